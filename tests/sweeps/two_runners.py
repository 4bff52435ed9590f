"""Two runs race for one output: exactly one wins, and the other is refused within a second and told who holds it."""

import re
import subprocess
import time

import checker
import stage

JOBS = 50
IN_FLIGHT = 8
HEAD_START = 0.03  # The most that one of them has, in seconds; a whole run takes ten times as long.
HELD = re.compile(r"in use by another run \(process (\d+)\)")


def sweep(stage_):
    source, questions = stage.jobs(stage_, JOBS)
    names = [f"race-{number}" for number in range(stage_.times)]
    sessions = [f"{name}-{who}" for name in names for who in "ab"]
    refused, slowest, doubled = 0, 0.0, 0
    with stage_.mock("races", sessions, speed=20) as mock:
        races = [race(stage_, mock, source, name) for name in names]
    calls = mock.calls()
    for name, (folder, ended) in zip(names, races, strict=True):
        mine = [call for call in calls if call["organization"].rpartition("-")[0] == name]
        violations = checker.judge(questions, folder / "out.jsonl", mine).violations()
        if len(mine) != JOBS:
            violations.append(f"{len(mine)} calls for {JOBS} jobs")
            doubled += max(len(mine) - JOBS, 0)
        winner, loser = sorted(ended, key=lambda end: end.code)
        violations += judge(winner, loser)
        refused, slowest = refused + (loser.code == 2), max(slowest, loser.seconds)
        stage_.tally.judge(folder, [f"{name}: {text}" for text in violations])
    stage_.tally.figures = {
        "races": len(names),
        "refused": refused,
        "refused after at most": f"{slowest:.2f} s",
        "double calls": doubled,
    }


def race(stage_, mock, source, name):
    folder, chance = stage_.case(name), stage_.chance(name)
    command = stage_.command(mock.url, source, folder / "out.jsonl", in_flight=IN_FLIGHT)
    started = []
    for who in "ab":
        process = subprocess.Popen(
            command, env=stage.environment(f"{name}-{who}"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append((process, time.monotonic()))
        if who == "a" and chance.random() < 0.7:
            time.sleep(chance.uniform(0, HEAD_START))
    # The one that ends first is waited for first, so that its time is its own.
    while all(process.poll() is None for process, _ in started):
        time.sleep(0.002)
    started.sort(key=lambda one: one[0].poll() is None)
    ended = [stage.finish(process, begun) for process, begun in started]
    (folder / "said.txt").write_text("\n--\n".join(f"{end.pid}: {end.code}\n{end.said}" for end in ended))
    return folder, ended


def judge(winner, loser):
    if (winner.code, loser.code) != (0, 2):
        return [f"they ended with {winner.code} and {loser.code}: {loser.said[-300:]}"]
    held, violations = HELD.search(loser.said), []
    if not held or int(held.group(1)) != winner.pid:
        violations.append(f"the refused one was not told that {winner.pid} holds it: {loser.said[-300:]}")
    if loser.seconds > 1:
        violations.append(f"it was refused after {loser.seconds:.1f} s")
    return violations
