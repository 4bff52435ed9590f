"""kill -9 under load, again and again: ready at once, no window overspent, no state broken, hardly anything forgotten."""

import asyncio
import collections
import json
import time

import callers
import house as houses

LIMIT = 600  # Requests a minute.
OFFERED = 500  # Requests a second: fifty times the limit.
CALLERS = 32
HASTE = 0.05  # Seconds that they would wait: nearly nobody is charged for a call that is still to be made.
LIVES = (0.2, 2.2)  # Seconds until the kill: what is saved every second is a part of it, or is not.
READY = 0.3  # Seconds until it is ready again.
FORGETS = 1.0  # Seconds of what its callers used.
WINDOW = 60.0
# The limit is typed in one half of the kills; in the other it is the provider's, which enforces it, and is learned.
KINDS = {
    "typed": ([], f'[[quota]]\naccount = "main"\nrequests = "{LIMIT}/min"\n'),
    "learned": (["--rpm", str(LIMIT), "--window", "sliding-log"], ""),
}
CONFIG = """[[upstream]]
name = "main"
provider = "openai"
base_url = "{url}/v1"
api_key = {{ file = "secrets/main" }}
"""


def sweep(stage_):
    figures = Figures()
    for kind in KINDS:
        asyncio.run(Sweep(stage_, kind, figures).play(stage_.times // len(KINDS)))
    figures.publish(stage_.tally)


class Figures:
    """Of all kills."""

    def __init__(self):
        self.ready, self.forgotten, self.windows, self.calls, self.refused = [], [], {}, {}, {}

    def publish(self, tally):
        tally.figures["kills"] = len(self.ready)
        tally.figures["ready again"] = f"p50 {houses.millis(houses.quantile(self.ready, 0.5))}, most {houses.millis(max(self.ready))}"
        tally.figures["of the callers' use forgotten"] = f"at most the last {max(self.forgotten):.2f} s"
        for kind, most in self.windows.items():
            tally.figures[f"{kind} limit of {LIMIT}/min"] = (
                f"at most {most} in any 60 s of {self.calls[kind]} calls, {self.refused[kind]} throttled"
            )


class Sweep:
    def __init__(self, stage_, kind, figures):
        self.stage, self.kind, self.figures = stage_, kind, figures
        self.house = houses.House(stage_, kind)

    async def play(self, kills):
        flags, quota = KINDS[self.kind]
        key = self.house.secret("main")
        account = f'[[account]]\norganization = "all"\nkeys = ["{key}"]\n'
        with self.stage.mock(self.kind, [], speed=1, script=account, flags=flags) as mock:
            started = time.monotonic()
            caller = self.house.caller("somebody", 'requests = "100M/day"')
            self.house.configure(CONFIG.format(url=mock.url) + quota + caller)
            load = callers.Load(self.house, "somebody", CALLERS, OFFERED, f"x-paceline-deadline: {HASTE}")
            running = asyncio.create_task(load.run())
            lives = [await self.life(number, is_last=number == kills) for number in range(kills + 1)]
            load.stopped = True
            await running
        calls = mock.calls()
        self.judge_forgotten(lives[:-1], [started + call["at"] for call in calls if call["status"] != 429])
        self.judge(calls)
        self.house.judge()

    async def life(self, number, is_last):
        """From a start to the kill: when that was, and what is kept then of what callers have used."""
        with houses.Gateway(self.house) as gateway:
            ready = await asyncio.to_thread(gateway.wait_until_ready)
            if number:
                self.figures.ready.append(ready)
                self.stage.tally.check(self.house.folder, self.stage.in_time(ready, READY), f"kill {number}: ready after {houses.millis(ready)}")
            if is_last:
                return None
            await asyncio.sleep(self.stage.chance(self.kind, number).uniform(*LIVES))
            killed = time.monotonic()
            gateway.process.kill()
            gateway.process.wait()
            return killed, self.kept(number)

    def kept(self, number):
        """What the state says that callers have used. It must be whole."""
        path = self.house.folder / "state" / "gateway.json"
        if not path.exists():
            return 0
        try:
            state = json.loads(path.read_text())
            self.stage.tally.check(self.house.folder, "paceline_state" in state, f"kill {number}: another state")
            return sum(amount for caller in state["callers"] for _, amount in caller["spent"])
        except (ValueError, KeyError) as fault:
            self.stage.tally.violation(self.house.folder, f"kill {number}: the state is broken: {fault}")
            return 0

    def judge_forgotten(self, lives, calls):
        """Of the calls of a life the next one may have forgotten only the very last."""
        begun = before = 0
        for number, (killed, kept) in enumerate(lives):
            made = sorted(at for at in calls if begun <= at < killed)
            forgotten = made[kept - before :]
            seconds = killed - forgotten[0] if forgotten else 0
            self.figures.forgotten.append(seconds)
            self.stage.tally.check(self.house.folder, self.stage.in_time(seconds, FORGETS), f"kill {number}: forgot the last {seconds:.2f} s")
            begun, before = killed, kept

    def judge(self, calls):
        at = sorted(call["at"] for call in calls)
        most, window = 0, collections.deque()
        for instant in at:
            window.append(instant)
            while window[0] <= instant - WINDOW:
                window.popleft()
            most = max(most, len(window))
        refused = sum(call["status"] == 429 for call in calls)
        self.figures.windows[self.kind], self.figures.calls[self.kind], self.figures.refused[self.kind] = most, len(at), refused
        tally, folder = self.stage.tally, self.house.folder
        tally.check(folder, 0 < most <= LIMIT, f"{self.kind}: {most} calls within 60 s")
        tally.check(folder, "holds no state" not in self.house.log(), f"{self.kind}: a state was put aside")
