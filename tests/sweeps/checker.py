"""Judges a batch that is done, in four words: lost, doubled, torn, unexpected. The call log is the truth."""

import collections
import dataclasses
import json

import stage


@dataclasses.dataclass
class Verdict:
    """What was found."""

    lost: list
    doubled: list
    torn: list
    unexpected: list

    def violations(self):
        found = dataclasses.asdict(self)
        return [f"{what} {len(ids)}: {', '.join(ids[:3])}" for what, ids in found.items() if ids]


def results(path):
    """The lines of a results file, each with whether it is whole."""
    if not path.exists():
        return []
    data = path.read_bytes()
    lines = data.split(b"\n")
    ended = lines.pop() == b""
    whole = [(line, True) for line in lines]
    return whole if ended else [*whole, (data.rsplit(b"\n", 1)[-1], False)]


def judge(questions, output, calls):
    """Every job has exactly one whole line, with the answer to its own question, which the mock gave to that question."""
    given = {(call["id"], call["marker"]) for call in calls}
    verdict, seen = Verdict([], [], [], []), collections.Counter()
    for path, good in [(output, True), (output.with_suffix(".errors.jsonl"), False)]:
        for raw, whole in results(path):
            try:
                value = json.loads(raw)
                name, response = value["custom_id"], value["response"]
            except (ValueError, KeyError, TypeError):
                verdict.torn.append(repr(raw[:60]))
                continue
            if not whole:
                verdict.torn.append(name)
            seen[name] += 1
            if not is_right(questions.get(name), response, good, given):
                verdict.unexpected.append(name)
    verdict.doubled = [name for name, count in seen.items() if count > 1]
    verdict.lost = [name for name in questions if seen[name] == 0]
    return verdict


def is_right(question, response, good, given):
    """The response answers the question."""
    if question is None or response is None or (response["request_id"], question.marker) not in given:
        return False
    if not good:
        return response["status_code"] != 200
    return response["status_code"] == 200 and stage.text_of(response["body"]) == question.answer


@dataclasses.dataclass
class Repeats:
    """Calls for jobs that an earlier session had sent already, and that may have been billed."""

    by: collections.Counter  # The session that repeated.
    on_the_wire: collections.Counter  # The session whose death cut the first call off.
    unwritten: collections.Counter  # The session whose death came after the answer, but before it was written.

    @property
    def total(self):
        return sum(self.by.values())


def repeats(calls, sessions):
    """Compares the sessions of one batch, in their order."""
    order = {name: number for number, name in enumerate(sessions)}
    found = Repeats(collections.Counter(), collections.Counter(), collections.Counter())
    earlier = {}
    for call in (call for call in calls if call["organization"] in order):
        first, session = earlier.get(call["marker"]), call["organization"]
        if first and first["organization"] != session:
            found.by[session] += 1
            cut_off = first["outcome"] == "client_gone"
            (found.on_the_wire if cut_off else found.unwritten)[first["organization"]] += 1
        if call["fault"] is None and call["outcome"] != "rejected":
            earlier[call["marker"]] = call
    return found


def repeats_were_told(calls, sessions, told):
    """No session sends more jobs again than it said it would."""
    found = repeats(calls, sessions)
    wrong = []
    for session, number in zip(sessions, told, strict=True):
        again = found.by[session]
        if again > number:
            wrong.append(f"{session} sent {again} jobs again and told {number}")
    return found, wrong
