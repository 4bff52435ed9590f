"""Callers leave at eight stages in three ways: upstream is told at once, and nothing of them stays."""

import asyncio
import itertools
import time

import callers
import house as houses
import upstream

AT_ONCE = 0.1  # Seconds until upstream is told: of 99 in 100 ...
AT_MOST = 1.0  # ... and of all.
TOGETHER = 16  # Callers at a time: few enough that this process is never behind itself.
QUEUED = 40  # The same for those who wait, as they are looked at together.
WARM = 10  # A tenth of all goes first, so that what is asked for once is there.
MOST_MEMORY = 4  # MiB that the other nine tenths may add.
WAYS = ("close", "reset", "half-close")
# What a caller has sent, and what upstream does, when it leaves; without `upstream` nobody may be called.
STAGES = {
    "before the request line ends": {"sends": lambda sent: sent[:9]},
    "mid head": {"sends": lambda sent: sent[:60]},
    "mid body": {"sends": lambda sent: sent[:-20]},
    "waiting in line": None,
    "sent, before the first byte": {"upstream": "silent"},
    "mid stream": {"upstream": "flowing", "reads": b'"ye"'},
    "after the last event": {"upstream": "told", "reads": b"[DONE]"},
    "bytes behind the request": {"upstream": "silent", "sends": lambda sent: sent + b"POST /v1/chat/comp"},
}
CONFIG = houses.ONE_HELD


def sweep(stage_):
    asyncio.run(Sweep(stage_).play())


class Sweep:
    def __init__(self, stage_):
        self.stage, self.house = stage_, houses.House(stage_, "house")
        self.upstream, self.marks = upstream.Upstream(), itertools.count(1)
        self.delays = {name: [] for name in STAGES}
        self.late, self.called = [], []

    async def play(self):
        url = await self.upstream.start()
        self.house.secret("main")
        self.house.configure(CONFIG.format(url=url) + self.house.caller("somebody", 'requests = "100M/day"'))
        with houses.Gateway(self.house) as gateway:
            self.gateway = gateway
            await asyncio.to_thread(gateway.wait_until_ready)
            await self.served(20)  # Its limits are known, and everything has been done once.
            before = gateway.descriptors()
            each = self.stage.times // len(STAGES)
            await self.round(each // WARM)
            warm = gateway.resident()
            await self.round(each - each // WARM)
            await self.served(20)
            await asyncio.to_thread(self.judge, before, warm)
        self.house.judge()

    async def served(self, many):
        connection = await callers.Connection.open(self.house.port)
        for _ in range(many):
            sent = upstream.prompt(self.house, "whole", next(self.marks))
            answer = await connection.ask(callers.request(self.house, "somebody", sent))
            self.stage.tally.check(self.house.folder, answer.status == 200, f"a healthy call got {answer.status}")
        connection.leave()

    async def round(self, each):
        for name, how in STAGES.items():
            if how is None:
                await self.leave_the_line(name, each)
                continue
            places = asyncio.Semaphore(TOGETHER)
            ways = itertools.islice(itertools.cycle(WAYS), each)
            await asyncio.gather(*(self.leave(name, way, places) for way in ways))
            idle = await asyncio.to_thread(houses.eventually, lambda: self.gateway.gauges() == (0, 0), AT_MOST)
            self.stage.tally.check(self.house.folder, idle is not None, f"{name}: waiting, in flight {self.gateway.gauges()}")

    async def leave(self, name, way, places):
        """One caller who comes, waits for the moment, and leaves."""
        how, mark = STAGES[name], next(self.marks)
        kind = how.get("upstream")
        sent = upstream.prompt(self.house, kind or "whole", mark, stream="reads" in how)
        sent = callers.request(self.house, "somebody", sent)
        async with places:
            connection = await callers.Connection.open(self.house.port)
            connection.writer.write(how.get("sends", lambda whole: whole)(sent))
            call = self.upstream.call(mark)
            if kind:
                await asyncio.wait_for(call.arrived.wait(), callers.PATIENCE)
            if "reads" in how:
                await asyncio.wait_for(connection.reader.readuntil(how["reads"]), callers.PATIENCE)
            await asyncio.sleep(0)
            left = time.monotonic()
            connection.leave(way)
            if kind:
                await self.note(name, way, call, left)
            elif call.times:
                self.called.append(f"{name}, {way}")
            connection.leave()

    async def note(self, name, way, call, left):
        """How long upstream took to hear of it."""
        try:
            heard = await asyncio.wait_for(call.left, callers.PATIENCE)
            self.delays[name].append(heard - left)
        except asyncio.TimeoutError:
            self.delays[name].append(callers.PATIENCE)
        if self.delays[name][-1] <= AT_MOST:
            self.stage.tally.passed += 1
        else:
            self.late.append(f"{name}, {way}: {self.delays[name][-1]:.2f} s")

    async def leave_the_line(self, name, many):
        """Some wait for a place that another one has, and leave together."""
        holder = await callers.Connection.open(self.house.port)
        held, marks = next(self.marks), []
        sent = upstream.prompt(self.house, "silent", held, model="held")
        holder.writer.write(callers.request(self.house, "somebody", sent))
        await asyncio.wait_for(self.upstream.call(held).arrived.wait(), callers.PATIENCE)
        for start in range(0, many, QUEUED):
            batch = []
            for _ in range(min(QUEUED, many - start)):
                batch.append(await callers.Connection.open(self.house.port))
                marks.append(next(self.marks))
                sent = upstream.prompt(self.house, "whole", marks[-1], model="held")
                batch[-1].writer.write(callers.request(self.house, "somebody", sent))
            await self.in_line(len(batch), callers.PATIENCE)
            for connection, way in zip(batch, itertools.cycle(WAYS)):
                connection.leave(way)
            # Found by looking again and again, so it includes a look at the metrics.
            took = await self.in_line(0, callers.PATIENCE)
            self.delays[name] += [took] * len(batch)
            self.stage.tally.passed += len(batch) if took <= AT_MOST else 0
            for connection in batch:
                connection.leave()
        holder.leave()
        await asyncio.wait_for(self.upstream.call(held).left, callers.PATIENCE)
        self.called += [f"{name}: {mark}" for mark in marks if self.upstream.call(mark).times]

    async def in_line(self, many, within):
        found = await asyncio.to_thread(houses.eventually, lambda: self.gateway.gauges()[0] == many, within)
        self.stage.tally.check(self.house.folder, found is not None, f"not {many} in line but {self.gateway.gauges()[0]}")
        return within if found is None else found

    def judge(self, before, warm):
        tally, folder = self.stage.tally, self.house.folder
        tally.figures["left"] = self.stage.times
        for name, delays in self.delays.items():
            if delays:
                slow = houses.quantile(delays, 0.99)
                tally.figures[f"{name}: p99"] = f"{houses.millis(slow)}, most {houses.millis(max(delays))}"
                tally.check(folder, self.stage.in_time(slow, AT_ONCE), f"{name}: told after {houses.millis(slow)} in p99")
        tally.check(folder, not self.late, f"told late: {'; '.join(self.late[:5])} ({len(self.late)})")
        tally.check(folder, not self.called, f"called in vain: {'; '.join(self.called[:5])} ({len(self.called)})")
        same = houses.eventually(lambda: self.gateway.descriptors() <= before, AT_MOST)
        tally.figures["descriptors"] = f"{before} before, {self.gateway.descriptors()} after"
        tally.check(folder, same is not None, f"{before} descriptors before, {self.gateway.descriptors()} after")
        grown = self.gateway.resident() - warm
        tally.figures["memory"] = f"{warm:.1f} MiB after a tenth, {grown:+.1f} MiB at the end"
        tally.check(folder, grown <= MOST_MEMORY, f"memory grew by {grown:.1f} MiB")
        calls = sum(call.times for call in self.upstream.calls.values())
        used = int(next(value for name, value in self.gateway.metrics().items() if name.startswith("paceline_caller_used{")))
        tally.figures["calls upstream"] = f"{calls}, charged to the caller {used}"
        tally.check(folder, used == calls, f"{calls} calls upstream, and {used} charged to the caller")
