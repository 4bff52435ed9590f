"""The input changes between two runs: no answer may end up under a job that did not ask for it."""

import dataclasses
import json
import shutil

import checker
import stage

JOBS = 30
BLOCK = 50  # Cases that share a mock.


def sweep(stage_):
    oracle = stage.Oracle(stage_)
    counts = {"went on": 0, "refused": 0, "answers compared": 0, "answers under a wrong id": 0}
    try:
        for start in range(0, stage_.times, BLOCK):
            block(stage_, oracle, range(start, min(start + BLOCK, stage_.times)), counts)
    finally:
        oracle.stop()
    stage_.tally.figures = {"mutated inputs": stage_.times, **counts}


def block(stage_, oracle, numbers, counts):
    sessions = [f"m{number}-{part}" for number in numbers for part in "abc"]
    with stage_.mock(f"block-{numbers[0]}", sessions, speed=1_000) as mock:
        cases = [case(stage_, mock, number) for number in numbers]
    calls = mock.calls()
    for one in cases:
        violations = one.judge(oracle, calls, counts)
        stage_.tally.judge(one.folder, [f"mutation {one.number}: {text}" for text in violations])


def case(stage_, mock, number):
    """A part of the jobs is run, the input changes, and the same command runs again; if it is refused, changes are accepted."""
    folder, chance = stage_.case(f"m{number}"), stage_.chance(number)
    source, output = folder / "in.jsonl", folder / "out.jsonl"
    lines = [stage.line(f"job-{at}", f"Question {at}") for at in range(JOBS)]
    source.write_text("".join(lines))
    first = stage.run(stage_.command(mock.url, source, output, "--first", str(chance.randint(1, JOBS))), f"m{number}-a")
    if first.code != 0:
        raise stage.Trouble(f"a first run ended with {first.code}: {first.said[-300:]}")
    before = output.read_bytes()
    source.write_bytes(mutated(lines, chance))
    second = stage.run(stage_.command(mock.url, source, output), f"m{number}-b")
    untouched = output.read_bytes() == before
    kept = shutil.copy(output, folder / "second.jsonl")
    accepted = None
    if second.code == 2:
        accepted = stage.run(stage_.command(mock.url, source, output, "--accept-changes"), f"m{number}-c")
    return Case(number, folder, source, output, stage.pathlib.Path(kept), second, untouched, accepted)


def mutated(lines, chance):
    """One to three changes, anywhere."""
    lines, end, mark, cut = [line.rstrip("\n") for line in lines], "\n", b"", 0
    for _ in range(chance.randint(1, 3)):
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.choice(["insert", "delete", "swap", "shuffle", "edit", "double", "rename", "exchange", "cut", "crlf", "bom"]):
            case "insert":
                lines.insert(at, stage.line(f"new-{other}", f"New {other}").rstrip("\n"))
            case "delete":
                lines.pop(at)
            case "swap":
                lines[at], lines[other] = lines[other], lines[at]
            case "shuffle":
                chance.shuffle(lines)
            case "edit":
                lines[at] = lines[at].replace("Question", "Another question")
            case "double":
                lines[at] = lines[other]
            case "rename":
                lines[at] = lines[at].replace('"job-', f'"job-{other}')
            case "exchange":  # The questions change places, the ids do not.
                (one, asked), (two, wanted) = (lines[place].split(',"method"', 1) for place in (at, other))
                lines[at] = f'{one},"method"{wanted}'
                if at != other:
                    lines[other] = f'{two},"method"{asked}'
            case "cut":
                cut = chance.randint(1, 150)
            case "crlf":
                end = "\r\n"
            case "bom":
                mark = b"\xef\xbb\xbf"
    text = mark + "".join(line + end for line in lines).encode()
    return text[: len(text) - cut]


def asked(source):
    """The body that each line asks with, by a naive reading, and how many lines are no jobs."""
    bodies, bad = {}, 0
    for line in source.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines():
        try:
            value = json.loads(line)
            bodies[value["custom_id"]] = json.dumps(value["body"])
        except (ValueError, KeyError):
            bad += bool(line.strip())
    return bodies, bad


@dataclasses.dataclass
class Case:
    """What happened to one mutated input."""

    number: int
    folder: stage.pathlib.Path
    source: stage.pathlib.Path
    output: stage.pathlib.Path
    second_output: stage.pathlib.Path
    second: stage.Ended
    untouched: bool
    accepted: stage.Ended | None

    def judge(self, oracle, calls, counts):
        bodies, bad = asked(self.source)
        questions = dict(zip(bodies, oracle.ask(bodies.values()), strict=True))
        mine = [call for call in calls if call["organization"].startswith(f"m{self.number}-")]
        if self.second.code == 2:
            counts["refused"] += 1
            return self.refused(questions, bad, mine, counts)
        counts["went on"] += 1
        return self.went_on(self.second, self.second_output, questions, bad, mine, counts)

    def refused(self, questions, bad, mine, counts):
        violations = []
        if not self.untouched or any(call["organization"].endswith("-b") for call in mine):
            violations.append("it was refused, and something happened all the same")
        if "ids must be unique" in self.second.said:
            return violations  # Accepting changes is no way out of that.
        if "--accept-changes" not in self.second.said:
            violations.append(f"refused without a way out: {self.second.said[-300:]}")
        return violations + self.went_on(self.accepted, self.output, questions, bad, mine, counts)

    def went_on(self, ended, output, questions, bad, mine, counts):
        violations = []
        if ended.code != (1 if bad else 0):
            violations.append(f"ended with {ended.code}: {ended.said[-300:]}")
        given = {(call["id"], call["marker"]) for call in mine}
        answered = set()
        for raw, _ in checker.results(output):
            value = json.loads(raw)
            name = value["custom_id"]
            if name not in questions:
                continue  # Its job is gone; what it got is kept.
            counts["answers compared"] += 1
            answered.add(name)
            if not checker.is_right(questions[name], value["response"], True, given):
                counts["answers under a wrong id"] += 1
                violations.append(f"{name} has the answer of another")
        if answered != set(questions):
            violations.append(f"without an answer: {sorted(set(questions) - answered)[:3]}")
        return violations
