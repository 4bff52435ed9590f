"""slowhttptest, which holds connections by being slow in four ways: they are cut in time, and others are served beside."""

import asyncio
import csv
import dataclasses
import shutil
import subprocess

import callers
import house as houses
import stage
import upstream

RATE = 100  # Healthy requests a second ...
HEALTHY = 10  # ... on so many connections.
CALM = 2  # Seconds of them before the attack, to compare with.
MORE = 0.005  # Seconds that the attack may add to their p99.
COMING = 4  # Seconds in which all connections come.
LATE = 2  # Seconds beyond its deadline that a connection may seem to live: one, and the tool counts in whole seconds.
MOST = 0.7  # So many of the connections must be in its count, which leaves out those of its last second.
SETTLED = 0.5  # Seconds after which connections of healthy callers are gone, ...
SETTLES = 5  # ... and after which nothing of an attack may be left.
CONFIG = """[[upstream]]
name = "main"
provider = "openai"
base_url = "{url}/v1"
api_key = {{ file = "secrets/main" }}
"""


@dataclasses.dataclass
class Attack:
    """How slowhttptest is slow, and when the gateway's deadline ends it."""

    flags: list
    path: str
    deadline: int  # Seconds; as the gateway's `Caps` say.


# The key lets a body be waited for at all: who has none is refused at once. It goes where a header's value does.
ATTACKS = {
    "slow heads (-H)": Attack(["-H", "-i", "5", "-x", "24", "-t", "GET"], "/v1/models", 10),
    "slow bodies (-B)": Attack(["-B", "-i", "3", "-x", "10", "-s", "8192", "-f", "{json}"], "/v1/chat/completions", 10),
    "ranges (-R)": Attack(["-R", "-a", "5", "-b", "2000", "-t", "GET"], "/v1/models", 75),
    "slow reading (-X)": Attack(["-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32", "-m", "{any}"], "/v1/models", 75),
}


def sweep(stage_):
    if not shutil.which("slowhttptest"):
        raise stage.Trouble("`slowhttptest` is missing; install it with: apt-get install slowhttptest")
    asyncio.run(Sweep(stage_).play())


class Sweep:
    def __init__(self, stage_):
        self.stage, self.house = stage_, houses.House(stage_, "house")

    async def play(self):
        self.upstream = upstream.Upstream()
        url = await self.upstream.start()
        self.house.secret("main")
        self.house.configure(CONFIG.format(url=url) + self.house.caller("healthy") + self.house.caller("slow"))
        with houses.Gateway(self.house) as self.gateway:
            await asyncio.to_thread(self.gateway.wait_until_ready)
            await self.healthy(2)  # Everything has been done once.
            await asyncio.sleep(SETTLED)
            self.before = self.gateway.descriptors()
            if self.stage.is_slice:
                await self.attack({name: one for name, one in ATTACKS.items() if one.deadline < 60})
            else:
                for name, one in ATTACKS.items():
                    await self.attack({name: one})
        self.house.judge()

    async def healthy(self, seconds):
        """Healthy callers for so long, or until the tasks are done: their load."""
        make = lambda number: upstream.prompt(self.house, "whole", number)
        load = callers.Load(self.house, "healthy", HEALTHY, RATE, make=make)
        running = asyncio.create_task(load.run())
        await (asyncio.sleep(seconds) if isinstance(seconds, (int, float)) else seconds)
        load.stopped = True
        await running
        return load

    async def attack(self, attacks):
        """These attacks at once, and healthy callers beside."""
        calm = await self.healthy(CALM)
        memory = self.gateway.resident()
        pages = {}

        async def all_of_them():
            many = self.stage.times // len(attacks)
            found = await asyncio.gather(*(self.one(name, attack, many) for name, attack in attacks.items()))
            pages.update(zip(attacks, found))

        beside = await self.healthy(all_of_them())
        await asyncio.to_thread(self.judge, " and ".join(attacks), calm, beside, memory)
        for name, page in pages.items():
            self.judge_cut(name, attacks[name], self.stage.times // len(attacks), page)

    async def one(self, name, attack, many):
        """Runs the tool, and returns what it saw second by second."""
        where = self.house.folder / "secrets" / name.split("(")[1].strip("-)")  # It prints what it sends.
        key = f"\r\nauthorization: Bearer {self.house.callers['slow']}"
        values = {"{json}": f"application/json{key}", "{any}": f"*/*{key}"}
        command = ["slowhttptest", *(values.get(flag, flag) for flag in attack.flags), "-g", "-o", str(where)]
        command += ["-c", str(many), "-r", str(many // COMING), "-l", str(attack.deadline + 2 * COMING), "-p", "3"]
        command += ["-u", f"http://127.0.0.1:{self.house.port}{attack.path}"]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        await asyncio.wait_for(process.wait(), attack.deadline + 60)
        with open(f"{where}.csv", newline="") as page:
            return list(csv.DictReader(page))

    def judge(self, name, calm, beside, memory):
        tally, folder, before = self.stage.tally, self.house.folder, self.before
        wrong = [answer.status for _, answer in beside.answers if answer.status != 200] + beside.failures
        tally.check(folder, not wrong, f"{name}: {len(wrong)} healthy requests failed, such as {wrong[:3]}")
        first, then = (houses.quantile([answer.took for _, answer in load.answers], 0.99) for load in (calm, beside))
        tally.figures[f"{name}: healthy"] = (
            f"{len(beside.answers)} of {beside.asked} served, p99 {houses.millis(then)}, before {houses.millis(first)}"
        )
        tally.check(folder, self.stage.in_time(then, first + MORE), f"{name}: p99 {houses.millis(first)} became {houses.millis(then)}")
        gone = houses.eventually(lambda: self.gateway.descriptors() <= before, SETTLES)
        now = self.gateway.descriptors()
        tally.figures["descriptors"] = f"{before} before, {now} after"
        tally.check(folder, gone is not None, f"{name}: {before} descriptors before, {now} after")
        tally.figures["memory"] = f"{memory:.1f} MiB before, {self.gateway.resident():.1f} MiB after"

    def judge_cut(self, name, attack, many, page):
        """By the tool's own count nobody held a connection beyond the deadline, and it was served whenever it looked."""
        tally, folder = self.stage.tally, self.house.folder
        (folder / f"{name}.txt").write_text("\n".join(map(str, page)))
        came = [int(row["Connected"]) + int(row["Closed"]) for row in page]
        most, all_there = max(came), int(page[came.index(max(came))]["Seconds"])
        held = [int(row["Seconds"]) for row in page if int(row["Connected"]) > 0]
        away = [row["Seconds"] for row in page if row["Service Available"] in ("0", "")]
        tally.figures[f"{name}: connections"] = f"{most} within {all_there} s, the last one gone after {max(held, default=0) + 1} s"
        tally.check(folder, most >= MOST * many, f"{name}: only {most} connections")
        tally.check(folder, held and max(held) <= all_there + attack.deadline + LATE, f"{name}: connected until {max(held, default=None)} s")
        tally.check(folder, not away, f"{name}: no service at {away} s")
