"""Runs the program under strace, which lets one call of the system fail or kills the program there."""

import collections
import re
import shutil
import signal
import subprocess
import time

import stage

CALLS = [  # Whatever changes files, and what makes that durable. `?`: not every machine has it.
    "write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate", "openat",
    "?rename", "?renameat", "?renameat2", "?unlink", "unlinkat", "flock",
]  # fmt: skip
LINE = re.compile(r"^(\d+) +(\w+)\(")
SYNCED = re.compile(r"f(?:data)?sync\((\d+)")
COMMITTER = "paceline-commit"


def need():
    if shutil.which("strace") is None:
        raise stage.Trouble("`strace` is missing; install it with: apt-get install strace")


def files(folder):
    """The runner's own files in a folder, and the folder itself."""
    names = ["out.jsonl", "out.journal", "out.errors.jsonl", "out.jsonl.new", "out.errors.jsonl.new"]
    return [str(folder), *(str(folder / name) for name in names)]


def options(folder, log, calls, inject=None):
    """How to call strace; only calls about the runner's own files are looked at."""
    chosen = ["-qq", "-o", str(log), "-e", "signal=none", "-e", f"trace={calls}"]
    for path in files(folder):
        chosen += ["-P", path]
    return [*chosen, "-e", f"inject={inject}"] if inject else chosen


def counts(log):
    """How often the busiest thread makes each call: up to there `when` can name one."""
    by_thread = collections.Counter()
    for text in log.read_text(errors="replace").splitlines():
        if found := LINE.match(text):
            by_thread[found.groups()] += 1
    most = collections.Counter()
    for (_, name), count in by_thread.items():
        most[name] = max(most[name], count)
    return most


def run(command, session, folder, calls, inject=None):
    """Runs with one call failing: how it ended, and strace's log."""
    log = folder / "strace.log"
    traced = ["strace", "-f", *options(folder, log, calls, inject), *command]
    return stage.run(traced, session), log


def run_committer(command, session, folder, calls, inject):
    """The same, in the thread that commits alone: elsewhere another thread would come to its n-th call first."""
    log = folder / "strace.log"
    log.write_text("")
    begun = time.monotonic()
    process = subprocess.Popen(
        command, env=stage.environment(session), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    thread = committer(process)
    tracer = None
    if thread:
        tracer = subprocess.Popen(["strace", "-p", thread, *options(folder, log, calls, inject)], stderr=subprocess.DEVNULL)
    ended = stage.finish(process, begun)
    if tracer:
        tracer.wait(stage.LIMIT_SECONDS)
    return ended, log


def committer(process):
    """The thread's number, as soon as it is there."""
    tasks = stage.pathlib.Path(f"/proc/{process.pid}/task")
    while process.poll() is None:
        for task in tasks.glob("*"):
            try:
                if (task / "comm").read_text().strip() == COMMITTER:
                    return task.name
            except OSError:
                continue  # It has ended meanwhile.
        time.sleep(0.001)
    return None


def was_injected(ended, log):
    return ended.code in (-signal.SIGKILL, 128 + signal.SIGKILL) or "(INJECTED)" in log.read_text(errors="replace")


def synced_again(log):
    """Files that were synced again after a sync of theirs had failed: a later one may lie."""
    broken, again = set(), []
    for text in log.read_text(errors="replace").splitlines():
        found = SYNCED.search(text)
        if not found:
            continue
        if found.group(1) in broken:
            again.append(text.strip())
        if "(INJECTED)" in text:
            broken.add(found.group(1))
    return again
