"""python -m benchmarks.judge: see benchmarks/README.md."""

import argparse
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from multiprocessing import Pool

from benchmarks import machine
from benchmarks.judge import cost, fair, report
from benchmarks.judge.catalogue import all_rows
from benchmarks.judge.gates import ENOUGH, gates
from benchmarks.judge.release import Result
from benchmarks.judge.report import Line
from benchmarks.judge.rows import Row

CHUNK = 5
"""Releases that a process does at a time: small enough that all processes end together."""
Task = tuple[int, int, int]


def _work(task: Task) -> tuple[Task, list[Result]]:
    place, first, last = task
    row = all_rows()[place]
    return task, [row.once(f"{row.name}/{number}") for number in range(first, last)]


def run(rows: Sequence[tuple[int, Row]], *, scale: float, processes: int) -> Iterator[Line]:
    """``rows`` with their places in ``all_rows``. The results depend on nothing but the rows and the scale."""
    releases = {place: max(1, round(row.releases * scale)) for place, row in rows}
    tasks = [
        (place, first, min(first + CHUNK, releases[place]))
        for place, _ in rows
        for first in range(0, releases[place], CHUNK)
    ]
    found: dict[int, dict[int, list[Result]]] = {place: {} for place, _ in rows}
    with Pool(processes, initializer=os.nice, initargs=(10,)) as pool:
        for done, ((place, first, _), results) in enumerate(pool.imap_unordered(_work, tasks), 1):
            found[place][first] = results
            if done % 200 == 0 or done == len(tasks):
                print(f"  {100 * done / len(tasks):.0f} % of {sum(releases.values()):,} releases", file=sys.stderr)
    for place, row in rows:
        yield Line(row, [each for first in sorted(found[place]) for each in found[place][first]])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judge", description=__doc__)
    parser.add_argument("--only", default="", help="rows whose table or name contains this")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the releases of each row (default: 1)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: one per core")
    parser.add_argument("--no-write", action="store_true", help="print only; leave benchmarks/results alone")
    options = parser.parse_args()
    rows = [(place, row) for place, row in enumerate(all_rows()) if options.only in f"{row.table}: {row.name}"]
    if not rows:
        parser.error(f"no row contains {options.only!r}")
    begin = time.monotonic()
    whole = not options.only
    costs = cost.measure() if whole else None
    fairness = fair.measure() if whole else None
    lines = list(run(rows, scale=options.scale, processes=options.processes))
    found = gates(lines, fairness, costs, enough=ENOUGH if options.scale >= 1 and whole else 0)
    # On a machine that does other things, too, only the CPU time says what it takes.
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(each.ru_utime + each.ru_stime for each in used)
    took = f"{time.monotonic() - begin:.0f} s with {options.processes} processes, {cpu:.0f} s of CPU"
    about = {**machine.heading(), "run time": took}
    table = report.markdown(lines, costs, about, found)
    sys.stdout.write(table)
    if not options.no_write:
        machine.keep("judge", table, about, report.as_json(lines, costs, about, found))
    return int(not all(gate.holds for gate in found))


if __name__ == "__main__":
    sys.exit(main())
