"""kill -9 at random moments of a 2,000-job run, again and again on the same output until it is done."""

import checker
import stage

JOBS = 2_000
LONGEST = 0.9  # Seconds until the kill; a whole run takes a little more than a second.
MOST_KILLS = 40  # Of one batch.
MOST_UNWRITTEN = 64  # Answers that may have come and not be written, as `paceline_batch::MOST_UNWRITTEN` says.


def sweep(stage_):
    source, questions = stage.jobs(stage_, JOBS)
    kills, batch, figures = 0, 0, Figures()
    while kills < stage_.times:
        batch += 1
        kills += one(stage_, batch, source, questions, min(stage_.times - kills, MOST_KILLS), figures)
    figures.publish(stage_.tally, kills, batch)


class Figures:
    """Over all batches."""

    def __init__(self):
        self.wire, self.unwritten, self.told, self.words = [], [], [], {}

    def publish(self, tally, kills, batches):
        again = [a + b for a, b in zip(self.wire, self.unwritten, strict=True)]
        mean = sum(again) / max(len(again), 1)
        tally.figures = {
            "kills": kills,
            "batches": batches,
            **{word: self.words.get(word, 0) for word in ("lost", "doubled", "torn", "unexpected")},
            "repeated calls per kill: mean": f"{mean:.1f}, most {max(again, default=0)}",
            "cut off on the wire: most": max(self.wire, default=0),
            "answered and not yet written: most": max(self.unwritten, default=0),
            "told in flight: most": max(self.told, default=0),
        }


def one(stage_, batch, source, questions, most, figures):
    """One batch from its beginning to its end: how often it was killed."""
    chance = stage_.chance("batch", batch)
    folder = stage_.case(f"batch-{batch}")
    output = folder / "out.jsonl"
    names = [f"s{number}" for number in range(most + 1)]
    ended = []
    with stage_.mock(f"batch-{batch}", names) as mock:
        for name in names:
            command = stage_.command(mock.url, source, output)
            last = len(ended) == most
            ended.append(stage.run(command, name, None if last else chance.uniform(0, LONGEST)))
            (folder / f"{name}.said").write_text(ended[-1].said)
            if ended[-1].code != -9:
                break
    violations = verdict(questions, output, mock.calls(), names[: len(ended)], ended, figures)
    stage_.tally.judge(folder, [f"batch {batch}: {text}" for text in violations])
    return sum(end.code == -9 for end in ended)


def verdict(questions, output, calls, names, ended, figures):
    judged = checker.judge(questions, output, calls)
    for word in ("lost", "doubled", "torn", "unexpected"):
        figures.words[word] = figures.words.get(word, 0) + len(getattr(judged, word))
    told = [end.told for end in ended]
    again, violations = checker.repeats_were_told(calls, names, told)
    for name in names[:-1]:
        figures.wire.append(again.on_the_wire[name])
        figures.unwritten.append(again.unwritten[name])
        if again.on_the_wire[name] > stage.IN_FLIGHT:
            violations.append(f"{name}: {again.on_the_wire[name]} calls were on the wire")
        if again.on_the_wire[name] + again.unwritten[name] > stage.IN_FLIGHT + MOST_UNWRITTEN:
            violations.append(f"{name}: {again.unwritten[name]} answers were not written")
    figures.told += [number for number in told if number]
    if ended[-1].code != 0:
        violations.append(f"the last run ended with {ended[-1].code}: {ended[-1].said[-300:]}")
    return violations + judged.violations()
