"""EIO and ENOSPC at every n-th write, sync, rename, truncate, open and unlink of a 50-job run, for every n.

The run stops, says what it could not write, and syncs no file again whose sync has failed; the resume is exact.
"""

import re

import scenes
import strace

ERRORS = {"EIO": "Input/output error", "ENOSPC": "No space left on device"}
EVERY = {"EIO": [""], "ENOSPC": ["", "+"]}  # A disk that is full stays full.
NEVER_FULL = {"flock"}
CLAIM = re.compile(r"(\d+) done, \d+ failed")


def sweep(stage_):
    strace.need()
    source, questions, prepared = scenes.prepare(stage_)
    points = []
    for scene, call, count in scenes.discover(stage_, source, prepared):
        for error in ERRORS:
            if error == "ENOSPC" and call in NEVER_FULL:
                continue
            effect = f"error={error}"
            for every in EVERY[error]:
                points += [scenes.Point(scene, call, nth, effect, every) for nth in range(1, count + 1)]
            if (scene.name, call) == ("first", "write"):
                numbers = range(1, scenes.GROUPS + 1)
                points += [scenes.Point(scene, call, nth, effect, committer=True) for nth in numbers]
    scenes.sweep(stage_, points, source, questions, stops_and_says_so)


def stops_and_says_so(played, calls):
    """What a run owes when the disk has failed."""
    code, said, violations = played.broken.code, played.broken.said, []
    error = ERRORS[played.point.effect.removeprefix("error=")]
    sent = played.calls_of_the_broken(calls)
    if code == 2 and sent:
        violations.append(f"ended with 2, although {sent} calls were made")
    if code not in (2, 3):
        violations.append(f"ended with {code}")
    if error not in said or "out." not in said.rpartition("error:")[2]:
        violations.append(f"does not say what failed: {said[-300:]}")
    claimed = CLAIM.search(said)
    if claimed and int(claimed.group(1)) > played.kept:
        violations.append(f"claims {claimed.group(1)} done, {played.kept} are in the output")
    return violations + [f"synced again: {text}" for text in strace.synced_again(played.log)]
