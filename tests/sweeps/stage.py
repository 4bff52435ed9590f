"""What every sweep needs: the program, a mock provider with its call log, jobs, and a count of what held."""

import dataclasses
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 120  # No run of a sweep takes nearly as long.
IN_FLIGHT = 32
TOLD = re.compile(r"(\d+) jobs? in flight when the last run ended")


class Trouble(Exception):
    """A sweep cannot go on; the text says what helps."""


class Tally:
    """What held and what did not, and the figures of the last line."""

    def __init__(self, name, seed):
        self.name, self.seed, self.passed, self.failed, self.figures = name, seed, 0, 0, {}

    def violation(self, folder, text):
        self.failed += 1
        print(f"VIOLATION in {self.name}, seed {self.seed}: {text}\n  left in {folder}", flush=True)

    def judge(self, folder, violations):
        """One case: passes and goes away, or stays with what is wrong."""
        if violations:
            self.violation(folder, "; ".join(violations))
        else:
            self.passed += 1
            shutil.rmtree(folder, ignore_errors=True)

    def check(self, folder, holds, text):
        """One law: it holds, or it is told what is so instead."""
        if holds:
            self.passed += 1
        else:
            self.violation(folder, text)

    def line(self):
        figures = "; ".join(f"{what} {value}" for what, value in self.figures.items())
        return f"{figures}; {self.passed} passed, {self.failed} failed"


@dataclasses.dataclass
class Stage:
    """Where one sweep plays."""

    binary: pathlib.Path
    folder: pathlib.Path
    seed: int
    times: int | None
    tally: Tally
    is_slice: bool = False

    def in_time(self, seconds, most):
        """Speed is judged by whole sweeps alone: a slice shares its machine with who knows what."""
        return self.is_slice or seconds <= most

    def chance(self, *what):
        """Chance that depends on the seed and on what it is for, alone."""
        return random.Random(f"{self.seed} {what}")

    def case(self, name):
        folder = self.folder / name
        folder.mkdir()
        return folder

    def mock(self, name, sessions, speed=40, script="", flags=()):
        return Mock(self, self.folder / f"mock-{name}", sessions, speed, script, flags)

    def command(self, url, source, output, *more, in_flight=IN_FLIGHT):
        ceilings = ["--rpm", "100000000", "--tpm", "100000000000", "--in-flight", str(in_flight)]
        where = ["--provider", "openai", "--base-url", f"{url}/v1", "--progress", "plain"]
        return [str(self.binary), "run", str(source), "-o", str(output), *where, *ceilings, *more]


def binary():
    """The program: the one that PACELINE_BIN names, or a release build of this repository."""
    if named := os.environ.get("PACELINE_BIN"):
        return pathlib.Path(named).resolve()
    build = ["cargo", "build", "--release", "--locked", "-p", "paceline-cli"]
    if subprocess.run(build, cwd=ROOT).returncode != 0:
        raise Trouble("the program does not build")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return (ROOT / target / "release" / "paceline").resolve()


def environment(session):
    """One worker thread, so that calls of the system come in about the same order every time."""
    return dict(os.environ, OPENAI_API_KEY=key(session), TOKIO_WORKER_THREADS="1", NO_COLOR="1")


def key(session):
    return f"sk-sweep-{session}"


@dataclasses.dataclass
class Ended:
    """A run that is over."""

    code: int
    said: str
    seconds: float
    pid: int

    @property
    def told(self):
        """How many jobs it said were in flight before."""
        found = TOLD.search(self.said)
        return int(found.group(1)) if found else 0


def run(command, session, kill_after=None):
    """Runs to the end, or to a kill -9."""
    begun = time.monotonic()
    process = subprocess.Popen(
        command, env=environment(session), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    return finish(process, begun, kill_after)


def finish(process, begun, kill_after=None):
    try:
        said = process.communicate(timeout=LIMIT_SECONDS if kill_after is None else kill_after)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        said = process.communicate()[1]
        if kill_after is None:
            raise Trouble(f"a run did not end within {LIMIT_SECONDS} s: {said[-500:]}") from None
    return Ended(process.returncode, said, time.monotonic() - begun, process.pid)


class Mock:
    """`paceline mock` as a process. Each session has a key of its own, by which the call log names it."""

    def __init__(self, stage, folder, sessions, speed, script, flags):
        folder.mkdir(exist_ok=True)
        self.log = folder / "calls.jsonl"
        self.log.unlink(missing_ok=True)
        accounts = [f'[[account]]\norganization = "{name}"\nkeys = ["{key(name)}"]\n' for name in sessions]
        (folder / "script.toml").write_text(script + "".join(accounts))
        command = [stage.binary, "mock", "--listen", "127.0.0.1:0", "--profile", "unlimited", "--speed", str(speed)]
        command += ["--script", folder / "script.toml", "--log", self.log, *flags]
        self.said = open(folder / "said.txt", "w")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.said, text=True)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise Trouble(f"the mock does not start: {(folder / 'said.txt').read_text()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends it, and so completes its log."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(LIMIT_SECONDS)
            self.process.stdout.close()
            self.said.close()

    def calls(self):
        """Every call, in order of arrival. Whole only after `stop`."""
        if not self.log.exists():
            return []
        return sorted(map(json.loads, self.log.read_text().splitlines()), key=lambda call: call["call"])


@dataclasses.dataclass(frozen=True)
class Question:
    """A request and what it must be answered with."""

    body: str
    marker: str  # How the call log names the body.
    answer: str | None  # None when the mock refuses it.


class Oracle:
    """Knows the right answers: it has asked each question once, over plain HTTP, without the program under test."""

    def __init__(self, stage):
        self.mock = stage.mock("oracle", ["oracle"], speed=10_000)
        self.known = {}

    def ask(self, bodies):
        """The questions of the bodies, in their order."""
        new = [body for body in dict.fromkeys(bodies) if body not in self.known]
        answers = [self._ask(body) for body in new]
        calls = self._logged(len(self.known) + len(new))[len(self.known) :]
        for body, answer, call in zip(new, answers, calls, strict=True):
            self.known[body] = Question(body, call["marker"], answer)
        return [self.known[body] for body in bodies]

    def _ask(self, body):
        connection = http.client.HTTPConnection(self.mock.url.removeprefix("http://"))
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key('oracle')}"}
        connection.request("POST", "/v1/chat/completions", body.encode(), headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return text_of(answer) if response.status == 200 else None

    def _logged(self, many):
        until = time.monotonic() + 10
        while len(calls := self.mock.calls()) < many and time.monotonic() < until:
            time.sleep(0.01)
        return calls

    def stop(self):
        self.mock.stop()


def text_of(answer):
    return answer["choices"][0]["message"]["content"]


def body(text):
    return json.dumps({"model": "gpt-4o-mini", "max_tokens": 12, "messages": [{"role": "user", "content": text}]})


def line(name, text):
    return f'{{"custom_id":{json.dumps(name)},"method":"POST","url":"/v1/chat/completions","body":{body(text)}}}\n'


def jobs(stage, many, special=lambda number: ""):
    """An input file of so many jobs: its path, and the question of each id."""
    texts = {f"job-{number:04}": f"Question {number}{special(number)}" for number in range(many)}
    source = stage.folder / f"in-{many}.jsonl"
    source.write_text("".join(line(name, text) for name, text in texts.items()))
    oracle = Oracle(stage)
    try:
        questions = oracle.ask([body(text) for text in texts.values()])
    finally:
        oracle.stop()
    return source, dict(zip(texts, questions, strict=True))
