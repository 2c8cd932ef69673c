"""Results of many releases -> tables with their intervals, and the gates that must hold."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import median
from typing import Final

from benchmarks.judge import scenarios
from benchmarks.judge.cost import Cost
from benchmarks.judge.fair import Fairness
from benchmarks.judge.release import Fired, Result
from benchmarks.judge.rules import RULES
from benchmarks.judge.scenarios import Row
from gatekeeper.core.judge.verdict import Cause

Z95: Final = 1.959964
Z99: Final = 2.575829
ENOUGH: Final = 10_000
"""Releases of an unchanged candidate that the bound on false rollbacks is measured on."""
WHO: Final = ("judge", *RULES)


@dataclass(frozen=True, slots=True)
class Line:
    row: Row
    results: Sequence[Result]

    def fired(self, who: str) -> list[Fired]:
        return [each.fired[who] for each in self.results if who in each.fired]

    @property
    def passed(self) -> list[Fired]:
        return [each.passed for each in self.results if each.passed is not None]

    @property
    def misrouted(self) -> int:
        return sum(each.cause is Cause.ROUTING for each in self.results)


@dataclass(frozen=True, slots=True)
class Gate:
    name: str
    value: float
    limit: float

    @property
    def holds(self) -> bool:
        return self.value <= self.limit


def wilson(hits: int, of: int, z: float = Z95) -> tuple[float, float]:
    """The interval of a share, 0..1."""
    if not of:
        return 0.0, 1.0
    share, square = hits / of, z * z / of
    middle, half = share + square / 2, z * sqrt(share * (1 - share) / of + square / (4 * of))
    return max(0.0, (middle - half) / (1 + square)), min(1.0, (middle + half) / (1 + square))


def gates(lines: Sequence[Line], fairness: Fairness | None = None, *, enough: int = ENOUGH) -> list[Gate]:
    """Of the rows that were run; ``enough`` is how many null releases the first one asks for."""
    by_name = {line.row.name: line for line in lines}
    null = [line for line in lines if line.row.null]
    releases = sum(len(line.results) for line in null)
    found = []
    if fairness is not None:
        found += [
            Gate(f"mean wealth over {fairness.paths:,} fair paths", fairness.mean, fairness.bound),
            Gate("part of them on which it ever was 20", fairness.ever, fairness.ever_bound),
        ]
    if null:
        rollbacks = sum(len(line.fired("judge")) for line in null)
        misrouted = sum(line.misrouted for line in null)
        found += [
            Gate(f"null releases missing of {enough:,}", max(0, enough - releases), 0),
            Gate("false rollbacks, upper 99 % bound, %", 100 * wilson(rollbacks, releases, Z99)[1], 1),
            Gate("routing falsely called wrong, upper 99 % bound, %", 100 * wilson(misrouted, releases, Z99)[1], 1),
        ]
    for name, limit in ((scenarios.OF_TWO, 160), (scenarios.OUTAGE_OF_TWO, 5), (scenarios.TENTH, 3000)):
        if name in by_name:
            found.append(Gate(f"{name}: median candidate requests", _median(by_name[name]), limit))
    for name in (*scenarios.TOLERATED, scenarios.MARGIN):
        if name in by_name:
            found.append(Gate(f"{name}: rolled back", len(by_name[name].fired("judge")), 0))
    if scenarios.AT_THE_MARGIN in by_name:
        line = by_name[scenarios.AT_THE_MARGIN]
        lowest = 100 * wilson(len(line.passed), len(line.results), Z99)[0]
        found.append(Gate("promoted at the margin, lower 99 % bound, %", lowest, 5))
    return found


def _median(line: Line) -> float:
    """Candidate requests until the judge's rollback; a release that was not rolled back took for ever."""
    requests = [each.requests for each in line.fired("judge")]
    return median([*requests, *[float("inf")] * (len(line.results) - len(requests))])


def markdown(lines: Sequence[Line], cost: Cost | None, about: dict[str, str], found: Sequence[Gate]) -> str:
    out = []
    for table in dict.fromkeys(line.row.table for line in lines):
        out += [f"### {table}", "", *_table(table, [line for line in lines if line.row.table == table]), ""]
    if cost is not None:
        out += ["### Cost", "", *cost.markdown(), ""]
    out += ["### Gates", "", "| gate | value | at most | |", "|---|---:|---:|---|"]
    out += [f"| {gate.name} | {gate.value:,.4g} | {gate.limit:.4g} | {_holds(gate)} |" for gate in found]
    return "\n".join([*out, "", "; ".join(f"{name} {value}" for name, value in about.items()) + "."]) + "\n"


def _holds(gate: Gate) -> str:
    return "holds" if gate.holds else "**missed**"


def _table(table: str, lines: Sequence[Line]) -> list[str]:
    columns: tuple[str, ...] = WHO
    if table == scenarios.PROMOTE:
        columns = ("promoted, %", "candidate requests until then (seconds)")
    elif table == scenarios.PEOPLE:
        columns = ("rolled back, %", "said to be misrouted, %", "candidate requests until then (seconds)")
    out = [f"| | releases | {' | '.join(columns)} |", f"|---|{'---:|' * (len(columns) + 1)}"]
    for line in lines:
        name = line.row.name if line.row.right else f"*{line.row.name}*"
        out.append(f"| {name} | {len(line.results)} | {' | '.join(_cells(table, line))} |")
    return out


def _cells(table: str, line: Line) -> list[str]:
    if table == scenarios.PROMOTE:
        return [_share(len(line.passed), line), _when(line.passed, line)]
    if table == scenarios.PEOPLE:
        fired = line.fired("judge")
        return [_share(len(fired), line), _share(line.misrouted, line), _when(fired, line)]
    return [_cell(line, who, share=table == scenarios.FALSE or line.row.null) for who in WHO]


def _cell(line: Line, who: str, *, share: bool) -> str:
    fired = line.fired(who)
    if line.row.name == scenarios.MISROUTED and who == "judge":
        fired = [each.misrouted for each in line.results if each.misrouted is not None]
    return _share(len(fired), line) if share else _when(fired, line)


def _share(hits: int, line: Line) -> str:
    """Percent, with the 95 % interval by Wilson."""
    low, high = wilson(hits, len(line.results))
    return f"{100 * hits / len(line.results):.1f} ({100 * low:.1f}-{100 * high:.1f})"


def _when(fired: Sequence[Fired], line: Line) -> str:
    """Medians of those it happened to; a dash where that was less than half."""
    if 2 * len(fired) < len(line.results) or not fired:
        return f"- ({100 * len(fired) / len(line.results):.0f} %)"
    caught = "" if len(fired) == len(line.results) else f", {100 * len(fired) / len(line.results):.0f} %"
    return f"{median(each.requests for each in fired):,.0f} ({median(each.second for each in fired):,.0f}{caught})"


def as_json(lines: Sequence[Line], cost: Cost | None, about: dict[str, str], found: Sequence[Gate]) -> str:
    rows = [
        {
            "table": line.row.table,
            "name": line.row.name,
            "null": line.row.null,
            "releases": len(line.results),
            "fired": {who: [(each.second, each.requests) for each in line.fired(who)] for who in WHO},
            "passed": [(each.second, each.requests) for each in line.passed],
            "suspicious": sum(each.suspicious for each in line.results),
            "misrouted": line.misrouted,
        }
        for line in lines
    ]
    return (
        json.dumps(
            {
                "about": about,
                "gates": [{**asdict(gate), "holds": gate.holds} for gate in found],
                "cost": asdict(cost) if cost else None,
                "rows": rows,
            }
        )
        + "\n"
    )
