"""What must hold, or the judge is not what it is said to be."""

from collections.abc import Sequence
from statistics import median
from typing import Final

from benchmarks.judge import rows
from benchmarks.judge.cost import Cost
from benchmarks.judge.fair import Fairness
from benchmarks.judge.report import Gate, Line, wilson

Z99: Final = 2.575829
ENOUGH: Final = 10_000
"""Releases of an unchanged candidate that the bound on false rollbacks is measured on."""
GROWTH: Final = 1 << 20
"""Bytes that the judge's process may grow by over a day, that is 17 million requests."""


def gates(
    lines: Sequence[Line], fairness: Fairness | None = None, cost: Cost | None = None, *, enough: int = ENOUGH
) -> list[Gate]:
    """Of the rows that were run; ``enough`` is how many null releases the bounds ask for, 0: too few for a bound."""
    by_name = {line.row.name: line for line in lines}
    null = [line for line in lines if line.row.null]
    releases = sum(len(line.results) for line in null)
    found = []
    if null and enough:
        found += [
            Gate(f"null releases missing of {enough:,} (there are {releases:,})", max(0, enough - releases), 0),
            _bound("false rollbacks", sum(len(line.fired("judge")) for line in null), releases, 1),
            _bound("suspicious for a while", sum(line.suspicious for line in null), releases, 10),
            _bound("routing falsely called wrong", sum(line.misrouted for line in null), releases, 1),
        ]
    for name, limit in ((rows.OF_TWO, 160), (rows.OUTAGE_OF_TWO, 5), (rows.TENTH, 3000)):
        if name in by_name:
            found.append(Gate(f"{name}: median candidate requests", _median(by_name[name]), limit))
    for name in (*rows.TOLERATED, rows.MARGIN):
        if name in by_name:
            found.append(Gate(f"{name}: rolled back", len(by_name[name].fired("judge")), 0))
    if rows.AT_THE_MARGIN in by_name:
        line = by_name[rows.AT_THE_MARGIN]
        lowest = 100 * wilson(len(line.passed), len(line.results), Z99)[0]
        found.append(Gate("promoted at the margin, lower 99 % bound, %", lowest, 5))
    if fairness is not None:
        found += [
            Gate(f"mean wealth over {fairness.paths:,} fair paths", fairness.mean, fairness.bound),
            Gate("part of them on which it ever was 20", fairness.ever, fairness.ever_bound),
        ]
    if cost is not None:
        found.append(Gate("bytes the judge's process grew by from an hour to a day", cost.grown_bytes, GROWTH))
    return found


def _bound(what: str, hits: int, of: int, limit: float) -> Gate:
    return Gate(f"{what} ({hits} of {of:,}), upper 99 % bound, %", 100 * wilson(hits, of, Z99)[1], limit)


def _median(line: Line) -> float:
    """Candidate requests until the judge's rollback; a release that was not rolled back took for ever."""
    requests = [each.requests for each in line.fired("judge")]
    return median([*requests, *[float("inf")] * (len(line.results) - len(requests))])
