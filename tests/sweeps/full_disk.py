"""A file system that is really full: the run stops and says so; with more room the same command finishes it.

The file system is a small tmpfs of its own. Mounting one needs root, or a kernel that lets users have namespaces.
"""

import os
import pathlib
import subprocess
import sys

import checker
import stage

JOBS = 500
SMALLEST, LARGEST = 8, 420  # Kilobytes; the whole batch takes some 500.


def sweep(stage_):
    enter = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*enter, "mount", "-t", "tmpfs", "none", stage_.folder], capture_output=True).returncode != 0:
        raise stage.Trouble("mounting a small file system is not allowed here; try: sudo tests/sweeps/run full_disk")
    source, questions = stage.jobs(stage_, JOBS)
    names = [f"full-{number}" for number in range(stage_.times)]
    sessions = [f"{name}-{part}" for name in names for part in "abc"]
    cases, most = [], 0
    with stage_.mock("full", sessions, speed=100) as mock:
        for name in names:
            size = stage_.chance(name).randint(SMALLEST, LARGEST)
            inside = [sys.executable, __file__, str(stage_.case(name)), str(size)]
            command = stage_.command(mock.url, source, stage_.folder / name / "disk" / "out.jsonl")
            done = subprocess.run([*enter, *inside, name, *command], capture_output=True, text=True)
            cases.append((name, done))
    calls = mock.calls()
    for name, done in cases:
        violations, again = judge(stage_, name, done, questions, calls)
        most = max(most, again)
        stage_.tally.judge(stage_.folder / name, [f"{name}: {text}" for text in violations])
    stage_.tally.figures = {"full disks": len(names), "repeated calls: most": most}


def inside(folder, size, name, *command):
    """In a mount namespace of its own: fills the disk, tries again in vain, gets more room, and finishes."""
    folder = pathlib.Path(folder)
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", disk], check=True)
    for part in "abc":
        if part == "c":
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        ended = stage.run(list(command), f"{name}-{part}")
        (folder / f"{part}.said").write_text(f"{ended.code}\n{ended.said}")
    for file in disk.iterdir():  # What is in the mount goes away with it.
        (folder / file.name).write_bytes(file.read_bytes())


def judge(stage_, name, done, questions, calls):
    folder = stage_.folder / name
    if done.returncode != 0:
        return [done.stderr[-300:]], 0
    said = [(folder / f"{part}.said").read_text() for part in "abc"]
    codes = [int(text.split("\n", 1)[0]) for text in said]
    violations = checker.judge(questions, folder / "out.jsonl", calls).violations()
    if codes[0] != 3 or codes[1] not in (2, 3) or codes[2] != 0:
        violations.append(f"ended with {codes}")
    if not all("No space left on device" in text for text in said[:2]):
        violations.append(f"does not say that the disk is full: {said[0][-300:]} {said[1][-300:]}")
    told = [int(found.group(1)) if (found := stage.TOLD.search(text)) else 0 for text in said]
    sessions = [f"{name}-{part}" for part in "abc"]
    again, untold = checker.repeats_were_told(calls, sessions, told)
    return violations + untold, again.total


if __name__ == "__main__":
    inside(*sys.argv[1:])
