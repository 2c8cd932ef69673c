"""What feature flags cost a request: ``python -m benchmarks.flags_cost``.

Two measurements. The code alone: the data plane of one worker between transports that only count bytes, where turns
with flags alternate with turns without. And all of it: gatekeeper on a core of its own, with real sockets and the
kernel's work, one run with flags for each run without; that is what the bound is about. See README.md.
"""

import argparse
import gc
import json
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from benchmarks.machine import heading, keep
from benchmarks.processes import BenchmarkError
from benchmarks.proxies.cases import Case
from benchmarks.proxies.contestants import CONTESTANTS
from benchmarks.proxies.job import Job
from benchmarks.proxies.measure import run_once
from benchmarks.recording_cost import TURN, USERS, Bench
from gatekeeper.core import split
from gatekeeper.core.flags.model import Flag, FlagRunning, FlagState, FlagType
from gatekeeper.core.model import Pattern, PatternKind, StickyMode, When
from gatekeeper.telemetry.block import Block

FLAGS = 20
ALLOWED = 1.1
"""CPU of a request with FLAGS flags, to one without."""
ALL = When()
GERMAN = When(headers=(("x-country", Pattern(PatternKind.EXACT, ("DE",))),))
CHECKOUT = When(path=Pattern(PatternKind.PREFIX, ("/checkout",)))


def boolean(name: str, percent: int, when: When = ALL) -> FlagState:
    weights = {"on": Decimal(percent), "off": Decimal(100 - percent)}
    definition = Flag(name, FlagType.BOOLEAN, {"on": True, "off": False}, "off", weights, on=True, when=when)
    salt = name.encode().hex().ljust(32, "0")[:32]
    return FlagState(definition, FlagRunning(split.initial(weights, salt), on=True))


def mixed(count: int) -> dict[str, FlagState]:
    """Half of them to half of the users, a quarter for all, a quarter under a condition that no request meets."""
    kinds = [(50, ALL), (100, ALL), (50, ALL), (50, GERMAN)]
    return {f"flag-{at:02}": boolean(f"flag-{at:02}", *kinds[at % len(kinds)]) for at in range(count)}


def split_in_half(count: int) -> dict[str, FlagState]:
    return {f"flag-{at:02}": boolean(f"flag-{at:02}", 50) for at in range(count)}


def by_path(count: int) -> dict[str, FlagState]:
    """The same, and one depends on the path: what was decided for a head cannot be used again."""
    return mixed(count - 1) | {"path": boolean("path", 50, CHECKOUT)}


SETTINGS: dict[str, tuple[Mapping[str, FlagState], bool]] = {
    "mixed, heads that repeat": (mixed(FLAGS), False),
    "mixed, heads that do not": (mixed(FLAGS), True),
    "all split in half, heads that repeat": (split_in_half(FLAGS), False),
    "one depends on the path, heads that repeat": (by_path(FLAGS), False),
}
"""What is measured of the code alone: the flags, and whether each head is another."""


def alone(flags: Mapping[str, FlagState], changing: bool, rounds: int) -> dict[str, float]:
    """In microseconds of CPU: a request without flags, what flags add, the spread of that."""
    block = Block.create(8)
    bench = Bench(StickyMode.RAMP, changing=changing, block=block, seen="")
    without, added = [], []
    bench.turn()
    for _ in range(rounds):
        figures = []
        for flying in ({}, flags, {}):
            bench.fly(flying)
            bench.turn(USERS)  # a table lasts longer than a turn: what it learns of its users is not the question
            figures.append(bench.turn())
        around = (figures[0] + figures[2]) / 2
        without.append(around)
        added.append(figures[1] - around)
    low, middle, high = statistics.quantiles(added, n=4)
    scale = 1e6 / TURN
    return {
        "request_us": statistics.median(without) * scale,
        "added_us": middle * scale,
        "added_low_us": low * scale,
        "added_high_us": high * scale,
    }


def whole(rounds: int, seconds: float) -> dict[str, Any]:
    """CPU of a request in microseconds, of each run; runs without and with flags take turns."""
    cases = {count: Case("small", f"{count} flags", job=Job(flags=count)) for count in (0, FLAGS)}
    found: dict[int, list[float]] = {0: [], FLAGS: []}
    for number in range(rounds):
        for count in (0, FLAGS) if number % 2 else (FLAGS, 0):  # who comes second finds the machine warmer
            run = run_once(cases[count], CONTESTANTS["gatekeeper"], seconds)
            found[count].append(run.cpu_per_request * 1e6)
            print(f"{count:2} flags: {found[count][-1]:.2f} us ({run.throughput:.0f}/s)", file=sys.stderr)
    ratios = [on / off for off, on in zip(found[0], found[FLAGS], strict=True)]
    return {"without_us": found[0], "with_us": found[FLAGS], "ratio": statistics.median(ratios), "ratios": ratios}


def report(rounds: int, runs: int, seconds: float) -> float:
    """Write it down; the ratio."""
    about = heading()
    lines = [f"# What {FLAGS} feature flags cost, {about['date']}, {about['revision']}", ""]
    everything: dict[str, Any] = {"about": about, "rounds": rounds}
    ratio = 0.0
    if runs:
        found = everything["whole"] = whole(runs, seconds)
        ratio = found["ratio"]
        lines += [
            f"CPU of a request with real sockets, {runs} runs of {seconds:g} s each way, in turns:",
            f"without flags {statistics.median(found['without_us']):.1f} us, with {FLAGS} flags",
            f"{statistics.median(found['with_us']):.1f} us. The ratio of neighbours is **{ratio:.3f}** in the median,",
            f"{min(found['ratios']):.3f} to {max(found['ratios']):.3f}; allowed: {ALLOWED}.",
            "",
        ]
    os.sched_setaffinity(0, {0})
    lines += [
        "The code alone, without kernel and loop, in microseconds of CPU; medians, and the middle half, of",
        f"differences between turns of {TURN:,} requests that follow each other, {rounds} times:",
        "",
        "| | a request without flags | flags add | middle half |",
        "|---|---:|---:|---:|",
    ]
    everything["alone"] = {}
    for name, (flags, changing) in SETTINGS.items():
        each = everything["alone"][name] = alone(flags, changing, rounds)
        spread = f"{each['added_low_us']:.2f} - {each['added_high_us']:.2f}"
        lines.append(f"| {name} | {each['request_us']:.1f} | {each['added_us']:.2f} | {spread} |")
    lines += ["", f"{about['cpu']}, Python {about['python']}, kernel {about['kernel']}.", ""]
    text = "\n".join(lines)
    print(text)
    keep("flags", text, about, json.dumps(everything, indent=1))
    return ratio


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flags_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="turns of the code alone")
    parser.add_argument("--runs", type=int, default=10, help="pairs of runs with real sockets; 0: none")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run")
    options = parser.parse_args(arguments)
    gc.set_threshold(50_000, 20, 100)  # as a worker does
    try:
        ratio = report(options.rounds, options.runs, options.seconds)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    if ratio > ALLOWED:
        print(f"flags cost {ratio:.3f} times a request without; allowed: {ALLOWED}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
