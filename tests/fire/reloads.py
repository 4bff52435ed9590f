"""Configurations that are wrong change nothing and are told with their line; right ones take hold without a request lost."""

import asyncio
import itertools
import json
import signal
import time

import callers
import house as houses
import stage
import upstream
import wrong

CALLERS, RATE = 8, 80  # How many ask meanwhile, and how often in a second together.
TOLD_WITHIN = 5  # Seconds until a reload is in the log; one that the file's change brings about is noticed within three.
TAKES_HOLD = 0.1  # Seconds from the signal until a right one is in force.
UNUSED = 1.0  # Seconds until a key that is gone from it isn't used any more.
FOR_RIGHT = 50  # One right reload, there and back, for so many wrong ones, ...
UNSIGNALLED = 50  # ... and one of so many wrong ones is left to be noticed by itself.
AFTER = 0.6  # Seconds beyond, for which nobody may use it.
ONE = """[[upstream]]
name = "one"
provider = "openai"
base_url = "{url}/v1"
api_key = {{ file = "secrets/one" }}
[[quota]]
account = "one"
models = ["gpt-*"] # a star stands for anything
requests = "600k/min"
in_flight = 400
[[pool]]
model = "by-one"
upstreams = ["one"]
send_as = "gpt-4o"
"""
TWO = """[[upstream]]
name = "two"
provider = "openai"
base_url = "{url}/v1"
api_key = {{ file = "secrets/two" }}
account = "second"
[[pool]]
model = "any"
upstreams = [{pool}]
send_as = "gpt-4o-mini"
"""
HEAD = 'longest_wait = "20s"\nwaiting = 1_000\nbody = "2 MiB"\n'


def sweep(stage_):
    asyncio.run(Sweep(stage_).play())


class Sweep:
    def __init__(self, stage_):
        self.stage, self.house, self.marks = stage_, houses.House(stage_, "house"), itertools.count(1)
        self.folder, self.read = self.house.folder, 0
        self.right, self.late, self.kinds = [], 0, {}

    def check(self, holds, text):
        self.stage.tally.check(self.folder, holds, text)

    async def play(self):
        self.upstream = upstream.Upstream()
        url = await self.upstream.start()
        self.keys = {name: self.house.secret(name) for name in ("one", "two")}
        stays, leaves = self.house.caller("stays", 'requests = "1M/min"'), self.house.caller("leaves", "weight = 3")
        self.both = HEAD + ONE.format(url=url) + TWO.format(url=url, pool='"one", "two"') + stays + leaves
        self.less = HEAD + TWO.format(url=url, pool='"two"') + stays
        self.house.configure(self.both)
        # Each begins in its own words, so that they are not kept on one account for the sake of its cache.
        make = lambda number: callers.body(f"{number} {self.house.prompt} stage:whole mark:{next(self.marks)}", model="any")
        load = callers.Load(self.house, "stays", CALLERS, RATE, make=make)
        with houses.Gateway(self.house) as self.gateway:
            await asyncio.to_thread(self.gateway.wait_until_ready)
            running = asyncio.create_task(load.run())
            await asyncio.sleep(0.5)
            before = self.standing()
            for number in range(1, self.stage.times + 1):
                await self.wrong(number)
                if number % FOR_RIGHT == 0 or number == self.stage.times:
                    self.check(self.standing() == before, f"{number} wrong ones changed what is in force: {self.standing()}")
                    await self.there_and_back()
            load.stopped = True
            await running
        self.judge(load)
        self.house.judge()

    def standing(self):
        """What is in force, as the operator sees it."""
        page = self.gateway.look("/v1/status")[1]
        (self.folder / "status.txt").write_text(page)
        status = json.loads(page)
        allowed = {one["name"]: [(a["dimension"], a["limit"]) for a in one["allowances"]] for one in status["callers"]}
        return sorted(one["name"] for one in status["upstreams"]), allowed

    def new_lines(self):
        """What the log has more than when it was last looked at."""
        with open(self.folder / "said.log", "rb") as log:
            log.seek(self.read)
            text = log.read()
        whole = text[: text.rfind(b"\n") + 1]
        self.read += len(whole)
        return whole.decode().splitlines()

    async def told(self, words):
        """Whether the log says so before long; else all that it said of the configuration."""
        begun, others = time.monotonic(), []
        while time.monotonic() - begun < TOLD_WITHIN:
            for line in self.new_lines():
                if words in line:
                    return True, line
                others += [line] if "configuration" in line else []
            await asyncio.sleep(0.002)
        return False, " | ".join(others[-3:])

    async def wrong(self, number):
        """One configuration that is wrong."""
        chance = self.stage.chance("wrong", number)
        kind, text, line = wrong.mutated(chance, self.both, self.keys["one"])
        self.new_lines()
        self.house.configure(text)
        if number % UNSIGNALLED:
            self.gateway.send_signal(signal.SIGHUP)
        # The file begins with what `configure` puts before.
        found, said = await self.told(f"the configuration stays as it was: paceline.toml:{line + houses.LINES_BEFORE}: ")
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self.check(found, f"{number}, {kind}: line {line + houses.LINES_BEFORE} is not named: {said}")

    async def there_and_back(self):
        """One account, its key and a caller go, and come again. A stream that runs meanwhile on the account ends well."""
        stream = asyncio.create_task(self.ask("stays", "long", "by-one", stream=True))
        await asyncio.wait_for(self.last_call.arrived.wait(), callers.PATIENCE)
        self.check(self.uses("one", time.monotonic() - 1), "the key was not in use before it went: nothing is shown")
        await self.reload(self.less)
        gone = time.monotonic()
        await asyncio.sleep(UNUSED)
        refused = await self.ask("leaves", "whole", "any")
        self.check(refused.status == 401, f"a caller who is gone got {refused.status}")
        await asyncio.sleep(AFTER)
        late = self.uses("one", gone + UNUSED)
        self.late += late
        self.check(not late, f"a key that is gone was used {late} times more than a second later")
        answer = await stream
        self.check(answer.status == 200 and answer.is_whole, f"a stream on a key that is gone was cut: {answer}"[:500])
        await self.reload(self.both)

    async def reload(self, text):
        self.house.configure(text)
        self.new_lines()
        begun = time.monotonic()
        self.gateway.send_signal(signal.SIGHUP)
        found, said = await self.told("is in force")
        self.right.append(time.monotonic() - begun)
        self.check(found, f"a right one is not in force: {said}")

    def ask(self, caller, kind, model, stream=False):
        mark = next(self.marks)
        self.last_call = self.upstream.call(mark)
        sent = upstream.prompt(self.house, kind, mark, model=model, stream=stream)

        async def asking():
            connection = await callers.Connection.open(self.house.port)
            answer = await connection.ask(callers.request(self.house, caller, sent, "connection: close"))
            self.house.hear(answer)
            return answer

        return asking()

    def uses(self, name, since):
        """Calls with the key of this name from then on."""
        return sum(at >= since and self.keys[name] in head for at, head in self.upstream.came)

    def judge(self, load):
        failed = [answer for _, answer in load.answers if answer.status != 200] + load.failures
        self.check(not failed, f"{len(failed)} requests failed, such as {failed[:2]!r}")
        if len(load.answers) < self.stage.times / 10:
            raise stage.Trouble(f"only {len(load.answers)} requests beside: this sweep has shown nothing")
        slowest = houses.quantile(self.right, 0.99)
        self.check(self.stage.in_time(slowest, TAKES_HOLD), f"a right one took {houses.millis(slowest)} to be in force")
        self.stage.tally.figures = {
            "wrong ones": f"{sum(self.kinds.values())} of {len(self.kinds)} kinds",
            "right ones": f"{len(self.right)}, in force after {houses.millis(max(self.right))} at most",
            "calls with a removed key a second later": self.late,
            "requests beside": f"{len(load.answers)}, {len(failed)} failed",
        }
