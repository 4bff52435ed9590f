"""kill -9 at every n-th write, sync, rename, truncate, open, unlink and lock of a 50-job run, for every n."""

import scenes
import strace

KILL = "signal=KILL"


def sweep(stage_):
    strace.need()
    source, questions, prepared = scenes.prepare(stage_)
    points = []
    for scene, call, count in scenes.discover(stage_, source, prepared):
        points += [scenes.Point(scene, call, nth, KILL) for nth in range(1, count + 1)]
        if (scene.name, call) == ("first", "write"):
            points += [scenes.Point(scene, call, nth, KILL, committer=True) for nth in range(1, scenes.GROUPS + 1)]
    scenes.sweep(stage_, points, source, questions)
