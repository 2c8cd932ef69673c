"""Results of many releases -> tables with their intervals."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from math import sqrt
from statistics import median
from typing import Final

from benchmarks.judge import rows
from benchmarks.judge.cost import Cost
from benchmarks.judge.peeking import PEEKS
from benchmarks.judge.release import Fired, Result
from benchmarks.judge.rows import Row
from benchmarks.judge.rules import RULES
from gatekeeper.core.judge.verdict import Cause

Z95: Final = 1.959964
OTHERS: Final = (*RULES, *PEEKS)
WHO: Final = ("judge", *OTHERS)


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
    def suspicious(self) -> int:
        return sum(each.suspicious for each in self.results)

    @property
    def misrouted(self) -> int:
        return sum(each.cause is Cause.ROUTING for each in self.results)


@dataclass(frozen=True, slots=True)
class Gate:
    """Holds while ``value`` is at most ``limit``."""

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


Column = tuple[str, Callable[[Line], str]]
"""What stands at its top, and what it says of a row."""


def _share(hits: int, line: Line) -> str:
    """Percent, with the 95 % interval by Wilson."""
    low, high = wilson(hits, len(line.results))
    return f"{100 * hits / len(line.results):.1f} ({100 * low:.1f}-{100 * high:.1f})"


def _when(fired: Sequence[Fired], line: Line) -> str:
    """Medians of those it happened to; a dash where that was less than half."""
    if 2 * len(fired) < len(line.results) or not fired:
        return f"- ({100 * len(fired) / len(line.results):.0f} %)"
    caught = "" if len(fired) == len(line.results) else f", {100 * len(fired) / len(line.results):.0f} %"
    seconds = median(each.second for each in fired) - line.row.since
    return f"{median(each.requests for each in fired):,.0f} ({seconds:,.0f}{caught})"


def _shares(who: str) -> Column:
    # A rule that did not look has not kept still.
    return who, lambda line: _share(len(line.fired(who)), line) if who == "judge" or line.row.rules else ""


def _times(who: str) -> Column:
    def cell(line: Line) -> str:
        if line.row.name == rows.MISROUTED and who == "judge":
            return _when([each.misrouted for each in line.results if each.misrouted is not None], line)
        if who != "judge" and not line.row.rules:
            return ""
        return _share(len(line.fired(who)), line) if line.row.null else _when(line.fired(who), line)

    return who, cell


_SUSPICIOUS: Final[Column] = ("suspicious for a while", lambda line: _share(line.suspicious, line))
COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    rows.FALSE: (_shares("judge"), _SUSPICIOUS, *map(_shares, OTHERS)),
    rows.SHORT: (_shares("judge"), _SUSPICIOUS),
    rows.HOSTS: tuple(map(_shares, WHO)),
    rows.DETECT: tuple(map(_times, WHO)),
    rows.SLOWER: tuple(map(_times, ("judge", "Flagger", "Kayenta"))),
    rows.PROMOTE: (
        ("promoted, %", lambda line: _share(len(line.passed), line)),
        ("candidate requests until then (seconds)", lambda line: _when(line.passed, line)),
    ),
    rows.PEOPLE: (
        ("rolled back, %", lambda line: _share(len(line.fired("judge")), line)),
        ("said to be misrouted, %", lambda line: _share(line.misrouted, line)),
        ("candidate requests until then (seconds)", lambda line: _when(line.fired("judge"), line)),
    ),
}


def markdown(lines: Sequence[Line], cost: Cost | None, about: dict[str, str], found: Sequence[Gate]) -> str:
    out = ["### Gates", "", "| gate | value | at most | |", "|---|---:|---:|---|"]
    out += [f"| {gate.name} | {gate.value:,.4g} | {gate.limit:,.4g} | {_holds(gate)} |" for gate in found]
    for table in dict.fromkeys(line.row.table for line in lines):
        out += ["", f"### {table}", "", *_table(table, [line for line in lines if line.row.table == table])]
    if cost is not None:
        out += ["", "### Cost", "", *cost.markdown()]
    return "\n".join([*out, "", "; ".join(f"{name} {value}" for name, value in about.items()) + "."]) + "\n"


def _holds(gate: Gate) -> str:
    return "holds" if gate.holds else "**missed**"


def _table(table: str, lines: Sequence[Line]) -> list[str]:
    columns = COLUMNS[table]
    out = [f"| | releases | {' | '.join(title for title, _ in columns)} |", f"|---|{'---:|' * (len(columns) + 1)}"]
    shown = [*lines, *_together(table, lines)]
    for line in shown:
        name = line.row.name if line.row.right else f"*{line.row.name}*"
        out.append(f"| {name} | {len(line.results)} | {' | '.join(cell(line) for _, cell in columns)} |")
    return out


def _together(table: str, lines: Sequence[Line]) -> list[Line]:
    """Lines that say of many null rows what they say as one."""
    found = []
    if table in (rows.FALSE, rows.SHORT):
        for said, begin in (("base 0.1 %", "base 0.1 %"), ("base 1 %", "base 1 %"), ("all", "")):
            some = [line for line in lines if line.row.name.startswith(begin)]
            every = [result for line in some for result in line.results]
            if len(some) > 1:
                found.append(Line(replace(some[0].row, name=f"**{said}, together**"), every))
    return found


def as_json(lines: Sequence[Line], cost: Cost | None, about: dict[str, str], found: Sequence[Gate]) -> str:
    of_rows = [
        {
            "table": line.row.table,
            "name": line.row.name,
            "null": line.row.null,
            "releases": len(line.results),
            "fired": {who: [(each.second, each.requests) for each in line.fired(who)] for who in WHO},
            "passed": [(each.second, each.requests) for each in line.passed],
            "suspicious": line.suspicious,
            "misrouted": line.misrouted,
        }
        for line in lines
    ]
    document = {
        "about": about,
        "gates": [{**asdict(gate), "holds": gate.holds} for gate in found],
        "cost": asdict(cost) if cost else None,
        "rows": of_rows,
    }
    return json.dumps(document) + "\n"
