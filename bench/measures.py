"""What is measured of one party, once. Figures by name; one that cannot be had is left out, with a note that says why."""

import dataclasses
import json
import subprocess
import time

import processes
from processes import Trouble

CONNECTIONS = 64
RATE = 1000  # Requests a second, for those who can.
ROOM = 0.5  # Others are asked at this share of what they can do at most.
LEAST_SAMPLES = 1000  # For a p99 that is more than the worst case.
LONGEST_SECONDS = 30
HOLD_SETTLES_SECONDS = 3
LOADS = {  # Closed loops: name, flags.
    "chat": ("--body-bytes", "1024"),
    "large": ("--body-bytes", "32768"),
    "burst": ("--chunks", "50"),
    "tokens": ("--chunks", "50", "--every-millis", "5"),
}


@dataclasses.dataclass
class Effort:
    """How long everything is measured."""

    warm_seconds: float = 3  # Interpreters compile as they go.
    seconds: float = 5
    open_seconds: float = 10
    streams: int = 9500
    ramp_seconds: int = 10
    hold_seconds: int = 20
    after_seconds: int = 60


class Meter:
    """Measures parties with one load generator against one upstream."""

    def __init__(self, binary, upstream, effort):
        self.binary, self.upstream, self.effort = binary, upstream, effort
        self.rates = {}  # Of each party: what the first run found that it can do, so that all runs ask alike.

    def load(self, kind, url, headers, *flags):
        """Runs the load generator to its end."""
        figures = self.finish(self.spawn(kind, url, headers, *flags))
        if figures["wrong"]:
            raise Trouble(f"{figures['wrong']} of {figures['requests'] + figures['wrong']} wrong: {figures['troubles']}")
        return figures

    def spawn(self, kind, url, headers, *flags):
        command = [str(self.binary), kind, "--url", url, *map(str, flags)]
        command += [word for header in headers for word in ("--header", header)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    @staticmethod
    def finish(process):
        """The last line of what it says."""
        said = process.stdout.read().splitlines()
        if process.wait() or not said:
            raise Trouble("the load generator failed")
        return json.loads(said[-1])

    def requests(self, running, note):
        """Everything about short requests."""
        figures = {}
        if running.started_seconds is not None:
            figures["start_ms"] = running.started_seconds * 1000
        if running.pid:
            time.sleep(1)
            figures["idle_mib"] = processes.rss_kib(running.pid) / 1024
        with note.told("small writes"):
            self.warm_up(running)
        for name, flags in LOADS.items():
            with note.told(name):
                figures.update(self.closed(running, name, flags))
        return figures

    def warm_up(self, running):
        """The first requests; while they are under way we look whether ours holds small writes back."""
        load = self.spawn("closed", running.url, running.headers, "--seconds", self.effort.warm_seconds)
        time.sleep(self.effort.warm_seconds / 2)
        held = running.checked and self.held_back(running.pid)
        self.finish(load)
        if held:
            raise Trouble(f"Nagle's algorithm is on: {held[0]}")

    def held_back(self, pid):
        """Connections of a process whose small writes wait for an acknowledgement, which can take 40 ms."""
        told = subprocess.run([self.binary, "sockets", str(pid)], capture_output=True, text=True, check=False)
        if not told.stdout:
            raise Trouble(f"its connections cannot be looked at: {told.stderr.strip()}")
        return [line for line in told.stdout.splitlines() if "held back" in line]

    def closed(self, running, name, flags):
        """What one request costs, and how many can be had, from callers who ask without a pause."""
        common = (running.url, running.headers, *flags, "--connections", CONNECTIONS, "--seconds")
        self.load("closed", *common, self.effort.warm_seconds)
        before = running.pid and processes.cpu_seconds(running.pid)
        done = self.load("closed", *common, self.effort.seconds)
        figures = {f"{name}_per_second": done["per_second"]}
        if running.pid:
            spent = processes.cpu_seconds(running.pid) - before
            figures[f"{name}_cpu_micros"] = spent / done["requests"] * 1e6
        return figures

    def latency(self, name, running, most_per_second):
        """What a party adds at a fixed rate, over asking the upstream directly just before."""
        if name not in self.rates:
            can = most_per_second * ROOM
            self.rates[name] = RATE if can >= RATE else float(f"{can:.1g}")
        rate = self.rates[name]
        seconds = min(max(self.effort.open_seconds, LEAST_SAMPLES / rate), LONGEST_SECONDS)
        flags = ("--connections", CONNECTIONS, "--rate", rate, "--seconds")
        found = {}
        for who, url, headers in (("direct", self.upstream, []), ("party", running.url, running.headers)):
            self.load("open", url, headers, *flags, self.effort.warm_seconds)
            found[who] = self.load("open", url, headers, *flags, seconds)
        if found["party"]["per_second"] < rate * 0.95:
            raise Trouble(f"{found['party']['per_second']:.0f} requests/s where {rate:.0f} were asked")
        return {"rate": rate} | {
            f"{kind}_{quantile}_ms": (found["party"][f"{quantile}_micros"] - subtrahend) / 1000
            for quantile in ("p50", "p99")
            for kind, subtrahend in (("total", 0), ("added", found["direct"][f"{quantile}_micros"]))
        }

    def hold(self, running):
        """Thousands of slow streams at once, and what is left of them in memory."""
        effort, pid = self.effort, running.pid
        if pid:
            time.sleep(1)
        idle = processes.rss_kib(pid) if pid else 0
        flags = ("--connections", effort.streams, "--ramp-seconds", effort.ramp_seconds)
        flags += ("--chunks", effort.ramp_seconds + effort.hold_seconds, "--every-millis", 1000)
        process = self.spawn("hold", running.url, running.headers, *flags)
        figures = {}
        if process.stdout.readline().strip() == "open":
            figures = self.while_open(pid, idle)
        done = self.finish(process)
        if done["wrong"] or not figures:
            raise Trouble(f"{done['wrong']} of {effort.streams} streams were not whole: {done['troubles']}")
        figures["hold_late_p99_ms"] = done["p99_micros"] / 1000
        if pid:
            time.sleep(effort.after_seconds)
            figures["hold_after_mib"] = (processes.rss_kib(pid) - idle) / 1024
        return figures

    def while_open(self, pid, idle):
        if not pid:
            return {"hold_streams": self.effort.streams}
        time.sleep(HOLD_SETTLES_SECONDS)
        before, began = processes.cpu_seconds(pid), time.monotonic()
        time.sleep(self.effort.hold_seconds / 2)
        cores = (processes.cpu_seconds(pid) - before) / (time.monotonic() - began)
        per_stream = (processes.rss_kib(pid) - idle) / self.effort.streams
        return {"hold_streams": self.effort.streams, "hold_cores": cores, "hold_kib": per_stream}
