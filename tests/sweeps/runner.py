"""The command line of sweeps: which of them, how often, with which chance, and the line at the end."""

import argparse
import importlib
import pathlib
import shutil
import sys
import time

import stage


def main(words, sweeps, place):
    """Runs what the command line asks for. `sweeps` says of each how often by default, and in a slice."""
    options = arguments(words, sweeps, place)
    names = list(sweeps) if options.sweep == "all" else [options.sweep]
    passed = failed = 0
    try:
        binary = stage.binary()
        for name in names:
            tally = one(name, sweeps[name], binary, options)
            passed, failed = passed + tally.passed, failed + tally.failed
    except stage.Trouble as trouble:
        print(f"error: {trouble}", file=sys.stderr)
        failed += 1
    print(f"\n{passed} passed, {failed} failed")
    return 1 if failed else 0


def arguments(words, sweeps, place):
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", choices=[*sweeps, "all"])
    parser.add_argument("--times", type=int, help="how often, or how many")
    parser.add_argument("--slice", action="store_true", help="a small part of everything, for every change")
    parser.add_argument("--seed", type=int, default=1, help="the same seed breaks at the same places (default 1)")
    parser.add_argument("--folder", type=pathlib.Path, default=stage.ROOT / "target" / place, help="where to work")
    return parser.parse_args()


def one(name, how_often, binary, options):
    whole, small = how_often
    times = options.times or (small if options.slice else whole)
    folder = (options.folder / f"{name}-{options.seed}").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tally = stage.Tally(name, options.seed)
    begun = time.monotonic()
    print(f"== {name}: seed {options.seed}", flush=True)
    try:
        importlib.import_module(name).sweep(stage.Stage(binary, folder, options.seed, times, tally, options.slice))
    except stage.Trouble as trouble:
        tally.violation(folder, str(trouble))
    if tally.failed == 0:
        shutil.rmtree(folder)
    print(f"{name}: {tally.line()} in {time.monotonic() - begun:.0f} s", flush=True)
    return tally
