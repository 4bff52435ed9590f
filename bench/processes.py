"""What the system says of a process and its children: processor time, memory, who listens on a port."""

import os
import pathlib
import signal
import socket
import subprocess
import time

PROC = pathlib.Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
KIB = 1024
GRACE_SECONDS = 10


class Trouble(Exception):
    """Something that a person has to see to; its text says what."""


def stat(pid):
    """The fields of /proc/PID/stat from the third on. None when it is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def family(pid):
    """A process and all that descend from it."""
    children = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := stat(entry.name)):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, unseen = [], [pid]
    while unseen:
        found.append(unseen.pop())
        unseen += children.get(found[-1], [])
    return found


def cpu_seconds(pid):
    """User and system time of a process, its children, and those of them that have ended."""
    ticks = 0
    for member in family(pid):
        if fields := stat(member):
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


def rss_kib(pid):
    """Resident memory of a process and its children; what they share counts for each."""
    total = 0
    for member in family(pid):
        if fields := stat(member):
            total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // KIB
    return total


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listener(port):
    """The eldest process of this machine that listens on `port`, or None if we cannot see one."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        for line in (PROC / "net" / table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    holders = {int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit() and holds(entry, inodes)}
    heirs = {child for holder in holders for child in family(holder)[1:]}
    return min(holders - heirs, default=None)


def holds(process, inodes):
    try:
        return any(os.readlink(handle) in inodes for handle in (process / "fd").iterdir())
    except OSError:  # Gone, or not ours to look into.
        return False


def start(command, log, **options):
    """Starts a process in a session of its own, so that it can be ended with all its children."""
    with open(log, "wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True, **options)


def stop(process):
    """Ends a process and its children: kindly, then for certain."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            process.wait(GRACE_SECONDS)
            break
        except subprocess.TimeoutExpired:
            continue
    try:
        os.killpg(process.pid, signal.SIGKILL)  # Children that outlived it.
    except ProcessLookupError:
        pass


def busy_cores(seconds=1.0):
    """How many cores the whole machine uses now."""
    def used():
        fields = [int(field) for field in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(fields) - fields[3] - fields[4]

    before = used()
    time.sleep(seconds)
    return (used() - before) / TICKS / seconds
