"""SIGTERM under load, again and again, on a socket that outlasts the process, as systemd's do.

What flows is finished, what waits is handed back, and who comes between two processes waits in the socket's line.
"""

import asyncio
import itertools
import signal
import socket
import time

import callers
import house as houses
import stage
import upstream

STREAMS = 6  # That flow when the signal comes, ...
WAITING = 4  # ... and requests that wait for a place which one of the streams has.
CALLERS, RATE = 10, 100  # Beside them: how many ask, and how often in a second together.
LIVES = (0.0, 0.3)  # Seconds from then until the signal; a stream takes half a second.
UNREADY = 0.1  # Seconds after the signal from which on nobody is told that it is ready.
AT_ONCE = 1.0  # Seconds until a second signal has ended it.
EVERY = 10  # Each so manieth life is ended by a second signal.
BACKLOG = 512
TERMINATED = 143
CONFIG = 'drain = "20s"\n' + houses.ONE_HELD


def sweep(stage_):
    asyncio.run(Sweep(stage_).play())


class Sweep:
    def __init__(self, stage_):
        self.stage, self.house, self.marks = stage_, houses.House(stage_, "house"), itertools.count(1)
        self.finished = self.handed_back = 0
        self.unready, self.draining, self.second, self.cuts = [], [], [], []

    async def play(self):
        self.upstream = upstream.Upstream()
        url = await self.upstream.start()
        self.house.secret("main")
        self.house.configure(CONFIG.format(url=url) + self.house.caller("somebody"))
        make = lambda _: upstream.prompt(self.house, "whole", next(self.marks))
        load = callers.Load(self.house, "somebody", CALLERS, RATE, make=make)
        with socket.create_server(("127.0.0.1", self.house.port), backlog=BACKLOG) as self.listener:
            running = asyncio.create_task(load.run())
            for number in range(1, self.stage.times + 1):
                await self.life(number, is_cut=number % EVERY == 0)
            load.stopped = True
            with houses.Gateway(self.house, self.listener):
                await running  # Whoever is still in the line has to be answered.
        self.judge(load)
        self.house.judge()

    def check(self, holds, text):
        self.stage.tally.check(self.house.folder, holds, text)

    async def life(self, number, is_cut):
        """From a start to the end."""
        with houses.Gateway(self.house, self.listener) as gateway:
            await asyncio.to_thread(gateway.wait_until_ready)
            flowing = [self.asking("slowly", model) for model in ["held"] + ["free"] * (STREAMS - 1)]
            await asyncio.gather(*(asyncio.wait_for(call.arrived.wait(), callers.PATIENCE) for _, call in flowing))
            waiting = [self.asking("whole", "held") for _ in range(WAITING)]
            await asyncio.sleep(self.stage.chance("life", number).uniform(*LIVES))
            begun = time.monotonic()
            gateway.send_signal(signal.SIGTERM)
            await self.not_ready(number, gateway, begun)
            if is_cut:
                await self.cut(number, gateway, begun)
            else:
                code = await asyncio.to_thread(gateway.wait)
                self.draining.append(time.monotonic() - begun)
                self.check(code == 0, f"end {number}: exit status {code}")
            for task, call in flowing:
                self.judge_stream(number, is_cut, await task)
            for task, call in waiting:
                self.judge_waiting(number, is_cut, await task, call)

    def asking(self, kind, model):
        """Somebody who asks, and the call that it may become."""
        mark = next(self.marks)
        sent = upstream.prompt(self.house, kind, mark, model=model, stream=kind == "slowly")

        async def ask():
            try:
                connection = await callers.Connection.open(self.house.port)
                answer = await connection.ask(callers.request(self.house, "somebody", sent, "connection: close"))
                self.house.hear(answer)
                return answer
            except (OSError, asyncio.TimeoutError) as error:
                return error

        return asyncio.create_task(ask()), self.upstream.call(mark)

    async def not_ready(self, number, gateway, begun):
        """The signal has come: it says so, unless it has ended already. What counts is the last look that found it ready."""
        last = 0.0

        def says_so():
            nonlocal last
            looked = time.monotonic() - begun
            try:
                status = gateway.look("/readyz")[0]
            except OSError:
                return gateway.process.poll() is not None
            last = looked if status == 200 else last
            return status == 503

        found = await asyncio.to_thread(houses.eventually, says_so, callers.PATIENCE)
        self.unready.append(last)
        self.check(found is not None and self.stage.in_time(last, UNREADY), f"end {number}: still ready after {houses.millis(last)}")

    async def cut(self, number, gateway, begun):
        gateway.send_signal(signal.SIGTERM)
        again = time.monotonic()
        code = await asyncio.to_thread(gateway.wait)
        took = time.monotonic() - again
        self.second.append(took)
        self.cuts.append((begun, time.monotonic()))
        # It may have come to its end by itself just before.
        self.check(code in (0, TERMINATED), f"end {number}: exit status {code} after a second signal")
        self.check(self.stage.in_time(took, AT_ONCE), f"end {number}: {took:.2f} s after a second signal")

    def judge_stream(self, number, is_cut, answer):
        whole = isinstance(answer, callers.Answer) and answer.status == 200 and answer.is_whole
        self.finished += whole and not is_cut
        self.check(whole or is_cut, f"end {number}: a stream was cut: {answer!r}"[:500])

    def judge_waiting(self, number, is_cut, answer, call):
        """Handed back unsent, or served if its turn came before the signal."""
        if isinstance(answer, callers.Answer) and answer.status == 503:
            self.handed_back += 1
            told = "retry-after" in answer.headers
            self.check(told and call.times == 0, f"end {number}: handed back after {call.times} calls: {answer.headers}")
        else:
            served = isinstance(answer, callers.Answer) and answer.status == 200
            self.check(served or is_cut, f"end {number}: one who waited got {answer!r}"[:500])

    def judge(self, load):
        was_cut = lambda at: any(begun <= at <= end + AT_ONCE for begun, end in self.cuts)
        failures = [error for at, error in load.failures if not was_cut(at)]
        refused = sum(isinstance(error, ConnectionRefusedError) for error in failures)
        others = [answer for _, answer in load.answers if answer.status not in (200, 503)]
        silent = [answer for _, answer in load.answers if answer.status == 503 and "retry-after" not in answer.headers]
        self.check(not refused, f"{refused} connections were refused")
        self.check(not failures, f"{len(failures)} requests failed, such as {failures[:2]!r}")
        self.check(not others and not silent, f"{len(others)} other answers, {len(silent)} without a time to come back")
        if self.handed_back == 0:
            raise stage.Trouble("nobody ever waited when the signal came: this sweep has shown nothing")
        slowest = houses.quantile([answer.took for _, answer in load.answers], 0.999)
        self.stage.tally.figures = {
            "ends": self.stage.times,
            "streams finished": self.finished,
            "waiting handed back": self.handed_back,
            "load": f"{len(load.answers)} answers, of which {sum(a.status == 503 for _, a in load.answers)} handed back, "
            f"{refused} refused, {len(failures)} failed, p99.9 {slowest:.2f} s",
            "still ready": f"at most {houses.millis(max(self.unready))} after the signal",
            "exit after": f"p50 {houses.quantile(self.draining, 0.5):.2f} s, most {max(self.draining, default=0):.2f} s",
            "after a second signal": f"at most {houses.millis(max(self.second, default=0))}",
        }
