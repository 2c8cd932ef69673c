"""Releases that go wrong, over real sockets: who notices, how soon, and how many users' requests that costs.

    python -m benchmarks.releases             # every fault, three watchers, all at once: half an hour
    python -m benchmarks.releases --quick     # the loops' intervals divided by ten: four minutes

Each fault is played once for each watcher, on a gatekeeper of its own, with the same requests at the same times that
meet the same fates: gatekeeper's judge, and two loops that read its metrics and roll back through its admin API as
Flagger and Argo Rollouts would. Exit 0 if the judge ended every bad release and no good one, else 1.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from benchmarks import machine
from benchmarks.processes import BenchmarkError
from benchmarks.releases import report
from benchmarks.releases.loops import EACH
from benchmarks.releases.play import Options, Outcome, Together, play
from benchmarks.releases.shop import FAULTS, Fault

SECONDS = 1560.0
"""Five of Argo's checks of five minutes, and a minute more."""
QUICK = 10.0
STARTING = 2
"""Gatekeepers that start at once."""


async def all_of(faults: Sequence[Fault], watchers: Sequence[str], options: Options) -> list[Outcome]:
    """At once. Raises BenchmarkError."""
    pairs = [(fault, watcher) for fault in faults for watcher in watchers]
    together = Together(asyncio.Barrier(len(pairs)), asyncio.Semaphore(STARTING))
    outcomes: list[Outcome] = []

    async def one(fault: Fault, watcher: str) -> None:
        outcome = await play(fault, watcher, options, together)
        outcomes.append(outcome)
        when = "never" if outcome.seconds is None else f"after {outcome.seconds:.1f} s"
        print(f"  {fault.name} / {watcher}: {when}; {outcome.harmed} failed", file=sys.stderr, flush=True)

    try:
        async with asyncio.TaskGroup() as group:
            for fault, watcher in pairs:
                group.create_task(one(fault, watcher))
    except* BenchmarkError as problems:
        raise problems.exceptions[0] from None
    order = {pair: place for place, pair in enumerate((fault.name, watcher) for fault, watcher in pairs)}
    return sorted(outcomes, key=lambda each: order[each.fault, each.watcher])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.releases", description=__doc__.partition("\n")[0])
    parser.add_argument("--rps", type=float, default=60.0, help="requests a second of each release (default: 60)")
    parser.add_argument("--weight", type=float, default=10.0, help="percent for the candidate (default: 10)")
    parser.add_argument("--only", default="", help="faults whose name contains this")
    parser.add_argument("--watchers", default=",".join(EACH), help=f"some of {', '.join(EACH)} (default: all)")
    parser.add_argument("--seconds", type=float, help=f"how long to watch (default: {SECONDS:g}, quick: a tenth)")
    parser.add_argument("--quick", action="store_true", help="divide the intervals of the loops by ten")
    parser.add_argument("--no-write", action="store_true", help="print only; leave benchmarks/results alone")
    options = parser.parse_args(arguments)
    faults = [fault for fault in FAULTS if options.only in fault.name]
    watchers = options.watchers.split(",")
    if not faults or not set(watchers) <= set(EACH):
        parser.error(f"--only has to leave a fault, --watchers are some of {', '.join(EACH)}")
    faster = QUICK if options.quick else 1.0
    seconds = options.seconds or SECONDS / faster
    try:
        outcomes = asyncio.run(all_of(faults, watchers, Options(options.rps, options.weight, seconds, faster)))
    except BenchmarkError as problem:
        print(f"refused: {problem}", file=sys.stderr)
        return 1
    about = machine.heading() | {
        "each release": f"{options.rps:g} requests a second, {options.weight:g} % to the candidate",
        "loops": f"intervals divided by {faster:g}" if options.quick else "one minute and five minutes",
        "watched for": f"{seconds:g} s",
        # Above the number of cores requests wait for other programs, and times say less.
        "load of the machine": f"{os.getloadavg()[2]:.1f} on average",
    }
    table = report.markdown(outcomes, about)
    print(table)
    wrong = report.wrong(outcomes, FAULTS[-1].name)
    for each in wrong:
        print(each, file=sys.stderr)
    if not options.no_write:
        machine.keep("releases-quick" if options.quick else "releases", table, about, report.as_json(outcomes, about))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
