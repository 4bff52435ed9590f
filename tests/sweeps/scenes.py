"""The states of a batch in which the syscall sweeps break it, prepared once and copied for every point."""

import dataclasses
import pathlib
import shutil

import checker
import stage
import strace

JOBS = 50
IN_FLIGHT = 8
GROUPS = 24  # About as often the committing thread writes.
BLOCK = 60  # Points that share a mock.
# Some jobs fail: one every time, and one in the first batch alone, so that the next run tidies the errors up.
ALWAYS = '[[rule]]\nfault = "not-found"\nbody_contains = "always refused"\n'
AT_FIRST = '[[rule]]\nfault = "not-found"\nbody_contains = "refused at first"\n'


@dataclasses.dataclass
class Scene:
    """What a run finds, and how it is called."""

    name: str
    folder: pathlib.Path
    flags: list
    refuses: str  # The mock's script.
    calls: list  # What was called before.

    def copy(self, to):
        shutil.copytree(self.folder, to)


def special(number):
    return {17: ": always refused", 33: ": refused at first"}.get(number, "")


def prepare(stage_):
    """The jobs, and every scene: a first run, one that has much to repair, and one that begins anew."""
    source, questions = stage.jobs(stage_, JOBS, special)
    empty, broken, complete = (stage_.case(f"scene-{name}") for name in ("first", "repair", "fresh"))
    with stage_.mock("scenes", ["broken", "complete"], speed=100, script=ALWAYS + AT_FIRST) as mock:
        stage.run(stage_.command(mock.url, source, complete / "out.jsonl", in_flight=IN_FLIGHT), "complete")
        command = stage_.command(mock.url, source, broken / "out.jsonl", in_flight=IN_FLIGHT)
        # The first run goes to its end; then lines are missing, torn, and strange.
        stage.run(command, "broken")
    lines = (broken / "out.jsonl").read_bytes().splitlines(keepends=True)
    (broken / "out.jsonl").write_bytes(b"".join([*lines[:20], b'{"custom_id":"a stranger"}\n', *lines[20:30], lines[31][:99]]))
    (broken / "out.jsonl.new").write_text("left behind")
    (broken / "strace.log").unlink(missing_ok=True)
    scenes = [
        Scene("first", empty, [], ALWAYS + AT_FIRST, []),
        Scene("repair", broken, ["--ordered"], ALWAYS, []),
        Scene("fresh", complete, ["--fresh"], ALWAYS, []),
    ]
    for scene, session in zip(scenes, (None, "broken", "complete"), strict=True):
        scene.calls = [call for call in mock.calls() if call["organization"] == session]
    return source, questions, scenes


@dataclasses.dataclass
class Point:
    """One place to break a run at: the n-th call of a kind in a scene."""

    scene: Scene
    call: str
    nth: int
    effect: str  # What strace is to do there.
    every: str = ""  # "+": at every later one, too.
    committer: bool = False

    def __str__(self):
        thread = " of the committing thread" if self.committer else ""
        return f"{self.scene.name}: {self.call} {self.nth}{self.every}{thread}: {self.effect}"

    @property
    def inject(self):
        return f"{self.call}:{self.effect}:when={self.nth}{self.every}"


def discover(stage_, source, scenes):
    """How often each call is made in each scene, found by watching."""
    found = []
    for scene in scenes:
        folder = stage_.folder / f"watched-{scene.name}"
        scene.copy(folder)
        with stage_.mock(f"watch-{scene.name}", ["watched"], speed=100, script=scene.refuses) as mock:
            command = stage_.command(mock.url, source, folder / "out.jsonl", *scene.flags, in_flight=IN_FLIGHT)
            ended, log = strace.run(command, "watched", folder, ",".join(strace.CALLS))
        if ended.code not in (0, 1) or not strace.counts(log):
            raise stage.Trouble(f"cannot watch a run with strace: {ended.said[-300:]}")
        found += [(scene, call, count) for call, count in sorted(strace.counts(log).items())]
        shutil.rmtree(folder)
    return found


def play(stage_, mock, name, point, source):
    """Breaks a run at the point and resumes it: what is to be judged when the call log is whole."""
    folder = stage_.folder / name
    point.scene.copy(folder)
    output = folder / "out.jsonl"
    command = stage_.command(mock.url, source, output, *point.scene.flags, in_flight=IN_FLIGHT)
    runner = strace.run_committer if point.committer else strace.run
    traced = "fsync,fdatasync" if "sync" in point.call else point.call
    broken, log = runner(command, f"{name}-a", folder, traced, point.inject)
    kept = sum(whole for _, whole in checker.results(output))
    flags = [flag for flag in point.scene.flags if flag != "--fresh"]
    resumed = stage.run(stage_.command(mock.url, source, output, *flags, in_flight=IN_FLIGHT), f"{name}-b")
    (folder / "said.txt").write_text(f"{point}\n{broken.code}\n{broken.said}\n-- resumed\n{resumed.code}\n{resumed.said}")
    return Played(point, folder, name, broken, log, kept, resumed)


@dataclasses.dataclass
class Played:
    """A run that was broken, and the one that resumed it."""

    point: Point
    folder: pathlib.Path
    name: str
    broken: stage.Ended
    log: pathlib.Path
    kept: int  # Whole lines in the output after the break.
    resumed: stage.Ended

    @property
    def injected(self):
        return strace.was_injected(self.broken, self.log)

    def calls_of_the_broken(self, calls):
        return sum(call["organization"] == f"{self.name}-a" for call in calls)

    def judge(self, questions, calls):
        """What holds after any break: the violations, and the repeated calls."""
        output, all_calls = self.folder / "out.jsonl", [*self.point.scene.calls, *calls]
        violations = checker.judge(questions, output, all_calls).violations()
        if self.resumed.code != 1:  # One job is always refused.
            violations.append(f"the resume ended with {self.resumed.code}: {self.resumed.said[-300:]}")
        sessions, told = [f"{self.name}-a", f"{self.name}-b"], [self.broken.told, self.resumed.told]
        again, untold = checker.repeats_were_told(calls, sessions, told)
        return violations + untold, again.total


def blocks(stage_, points):
    """All points, or a sample of them, in blocks that can share a mock."""
    if stage_.times is not None and stage_.times < len(points):
        points = stage_.chance("points").sample(points, stage_.times)
    alike = {}
    for number, point in enumerate(points):
        alike.setdefault((point.committer, point.scene.refuses), []).append((f"p{number}", point))
    for (slow, script), named in alike.items():
        for start in range(0, len(named), BLOCK):
            yield slow, script, named[start : start + BLOCK]


def sweep(stage_, points, source, questions, judge_more=lambda played, calls: []):
    """Plays all points, and counts those that were met: what comes first differs a little from run to run."""
    played = met = repeated = most = 0
    for slow, script, named in blocks(stage_, points):
        sessions = [f"{name}-{part}" for name, _ in named for part in "ab"]
        with stage_.mock(named[0][0], sessions, speed=4 if slow else 100, script=script) as mock:
            block = [play(stage_, mock, name, point, source) for name, point in named]
        calls = mock.calls()
        for one in block:
            violations, again = one.judge(questions, calls)
            if one.injected:
                met += 1
                violations += judge_more(one, calls)
            played, repeated, most = played + 1, repeated + again, max(most, again)
            stage_.tally.judge(one.folder, [f"{one.point}: {text}" for text in violations])
    mean = f"{repeated / max(played, 1):.2f}"
    stage_.tally.figures = {"points": played, "met": met, "repeated calls per point: mean": f"{mean}, most {most}"}
