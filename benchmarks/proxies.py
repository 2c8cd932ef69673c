"""CPU per request of gatekeeper beside nginx, HAProxy, a plain aiohttp proxy and a mover of bytes, in one run.

    python -m benchmarks.proxies [--rounds 5] [--seconds 5] [--attempts 3] [--only nginx,gatekeeper] [--no-write]

Contestants take turns (A B C A B C ...), so that a slow minute of the machine meets all of them. Exit 0 with a table,
1 without: a run that is not to be believed is refused rather than reported.
"""

import argparse
import datetime as dt
import itertools
import os
import random
import socket
import sys
import time
from collections.abc import Sequence

from benchmarks import machine, report
from benchmarks.contestants import CONTESTANTS, Contestant, Ports
from benchmarks.measure import FOREIGN_LIMIT, LOAD_CORE, PROXY_CORE, SATURATED, Run, run_once
from benchmarks.processes import BenchmarkError

PAUSE_SECONDS = 2.0
"""Wait before a doubted run is tried again: most bursts of neighbours on a shared machine are over by then."""
UNSATURATED_ALLOWED = {"floor"}
"""Who may be faster than the load. Not the others: with idle time a server wakes up more often for less work, so that
its CPU per request rises, and with it the ratios would be wrong."""


def free_ports() -> Ports:
    """Three ports of 127.0.0.1 below the ephemeral range, which the load's own connections use."""
    found: list[int] = []
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == 3:
            return Ports(*found)
    raise BenchmarkError("no three free ports among 100 tried between 20000 and 32000")


def doubt(run: Run) -> str:
    """Why ``run`` must not be believed; empty if it may."""
    if run.foreign > FOREIGN_LIMIT:
        return f"other programs used {run.foreign:.0%} of core {PROXY_CORE} (allowed: {FOREIGN_LIMIT:.0%})"
    if not run.saturated and run.contestant not in UNSATURATED_ALLOWED:
        return f"the proxy used {run.busy:.0%} of its core (needed: {SATURATED:.0%}): the load was the bottleneck"
    return ""


def believable(contestant: Contestant, seconds: int, users: int, attempts: int) -> Run:
    """A run without doubts. Raises BenchmarkError with the last one after ``attempts`` tries."""
    why = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        run = run_once(contestant, free_ports(), seconds, users)
        why = doubt(run)
        if not why:
            return run
        print(f"  {contestant.name}: {why}", file=sys.stderr, flush=True)
    raise BenchmarkError(f"{contestant.name}: {why}. Quiet the machine, or measure on one with faster or freer cores.")


def play(names: Sequence[str], options: argparse.Namespace) -> list[dict[str, Run]]:
    """All rounds; prints each run as it ends."""
    rounds: int = options.rounds
    played: list[dict[str, Run]] = [{} for _ in range(rounds)]
    for number, name in itertools.product(range(rounds), names):
        run = believable(CONTESTANTS[name], options.seconds, options.users, options.attempts)
        played[number][name] = run
        print(
            f"  {number + 1}/{rounds} {name:10} {run.cpu_per_request * 1e6:6.1f} us/request "
            f"{run.throughput:8,.0f}/s  core {run.busy:.0%} busy",
            file=sys.stderr,
            flush=True,
        )
    return played


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.proxies", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each proxy (default 5)")
    parser.add_argument("--seconds", type=int, default=5, help="length of one measurement (default 5)")
    parser.add_argument("--users", type=int, default=64, help="different heads; with 1 all are the same (default 64)")
    parser.add_argument("--attempts", type=int, default=3, help="tries of a run that is in doubt (default 3)")
    parser.add_argument("--only", default=",".join(CONTESTANTS), help="comma-separated (default: %(default)s)")
    parser.add_argument("--no-write", action="store_true", help="print only; leave benchmarks/results alone")
    options = parser.parse_args(arguments)
    names = options.only.split(",")
    if unknown := [name for name in names if name not in CONTESTANTS]:
        parser.error(f"unknown: {', '.join(unknown)} (known: {', '.join(CONTESTANTS)})")
    if min(options.rounds, options.seconds, options.users, options.attempts) < 1:
        parser.error("--rounds, --seconds, --users and --attempts start at 1")

    if not {PROXY_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        print(f"refused: cores {PROXY_CORE} (proxy) and {LOAD_CORE} (load) are needed", file=sys.stderr)
        return 1
    os.sched_setaffinity(0, {LOAD_CORE})  # the harness itself must not disturb what it measures
    try:
        about = {"date": dt.datetime.now(dt.UTC).date().isoformat(), "revision": machine.revision()}
        about |= machine.describe()
        about |= {"rounds": str(options.rounds), "seconds": str(options.seconds), "users": str(options.users)}
        rounds = play(names, options)
    except BenchmarkError as problem:
        print(f"refused: {problem}", file=sys.stderr)
        return 1
    lines = report.summarise(rounds)
    table = report.markdown(lines, rounds, about)
    print(table)
    if not options.no_write:
        results = machine.ROOT / "benchmarks" / "results"
        results.mkdir(exist_ok=True)
        stem = f"{about['date']}-{about['revision']}"
        (results / f"{stem}.md").write_text(table)
        (results / f"{stem}.json").write_text(report.as_json(lines, rounds, about))
        print(f"written: benchmarks/results/{stem}.md and .json", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
