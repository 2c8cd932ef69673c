"""The last ten minutes, second by second: so that a page opened in the middle of an incident shows how it began.

One ring of ROWS rows, each of one moment; every (service, version) has its columns in it, arrays of whole numbers
(millionths where the value is a fraction). At PAIRS pairs that is 600 x 200 x 8 columns x 4 bytes = 3.9 MB, and no more
however many versions there are: then the busiest have their columns, and the others are in the present alone.
"""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gatekeeper.control.dashboard.seconds import Row
from gatekeeper.telemetry.slots import Name

Document = dict[str, Any]

ROWS: Final = 600
"""Ten minutes of seconds."""
PAIRS: Final = 200
"""Versions with a past."""
BRIEF_ROWS: Final = 60
"""Of every service where none was asked for: a minute, as wide as a small chart is."""

_UNKNOWN: Final = 2**32 - 1
_MOST: Final = _UNKNOWN - 1
"""Of one cell: four thousand million requests in a second, and quantiles up to 71 minutes; the last bucket is one."""
_NO_KIND: Final = 255
_PARTS: Final = 1_000_000
_COUNTED: Final = ("requests", "errors", "in_flight")
COLUMNS: Final = ("requests", "errors", "p50", "p95", "p99", "in_flight", "weight", "share")


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the judge says of a service: the odds against luck, those that mean rollback, the verdict's kind."""

    odds: float | None = None
    bar: float | None = None
    kind: str | None = None


@dataclass(slots=True)
class _Columns:
    """One version's."""

    cells: dict[str, "array[int]"]
    empty: int = 0
    """Rows in sequence without a version of that name; at ROWS nothing of it is left."""
    requests: int = 0
    """All that are in its rows."""

    def put(self, at: int, row: Row | None) -> None:
        before = self.cells["requests"][at]
        self.requests -= before if before != _UNKNOWN else 0
        if row is None:
            self.empty += 1
            for column in self.cells.values():
                column[at] = _UNKNOWN
            return
        self.empty = 0
        for name, column in self.cells.items():
            value = getattr(row, name)
            if value is None:
                column[at] = _UNKNOWN
            else:
                column[at] = min(value if name in _COUNTED else round(value * _PARTS), _MOST)
        self.requests += self.cells["requests"][at]


@dataclass(slots=True)
class _Opinions:
    """One service's; made when its first judge says something."""

    odds: "array[float]"
    kinds: bytearray
    bar: float | None = None
    empty: int = field(default=0)


class Past:
    """``take`` once a second; ``document`` is what a page gets."""

    def __init__(self, rows: int = ROWS, pairs: int = PAIRS) -> None:
        self._rows = rows
        self._pairs = pairs
        self._at = array("d", bytes(8 * rows))
        self._taken = 0
        self._columns: dict[Name, _Columns] = {}
        self._opinions: dict[str, _Opinions] = {}
        self._kinds: list[str] = []

    def __len__(self) -> int:
        """Rows that are filled."""
        return min(self._taken, self._rows)

    @property
    def names(self) -> Iterable[Name]:
        """The versions that have a past."""
        return self._columns.keys()

    @property
    def size(self) -> int:
        """Bytes of all cells."""
        cells = sum(len(column) * column.itemsize for one in self._columns.values() for column in one.cells.values())
        opinions = sum(len(one.odds) * one.odds.itemsize + len(one.kinds) for one in self._opinions.values())
        return cells + opinions + len(self._at) * self._at.itemsize

    def take(self, at: float, rows: Mapping[Name, Row], opinions: Mapping[str, Opinion]) -> None:
        """The row of wall second ``at``."""
        index = self._taken % self._rows
        self._taken += 1
        self._at[index] = at
        self._make_room(rows)
        for name, columns in self._columns.items():
            columns.put(index, rows.get(name))
        for service in opinions:
            if service not in self._opinions and len(self._opinions) < self._pairs and opinions[service] != Opinion():
                self._opinions[service] = _Opinions(
                    array("d", [float("nan")]) * self._rows, bytearray([_NO_KIND]) * self._rows
                )
        for service, each in self._opinions.items():
            self._put_opinion(each, index, opinions.get(service, Opinion()))
        self._columns = {name: each for name, each in self._columns.items() if each.empty < self._rows}
        self._opinions = {name: each for name, each in self._opinions.items() if each.empty < self._rows}

    def document(self, services: Iterable[str], rows: int | None = None) -> Document:
        """These services' last ``rows``, each column as a list, the oldest first; None is what is not known."""
        wanted = len(self) if rows is None else min(rows, len(self))
        found: Document = {}
        at = [round(moment, 3) for moment in self._window(self._at, wanted)]
        versions: dict[str, dict[str, _Columns]] = {}
        for (service, version), columns in self._columns.items():
            versions.setdefault(service, {})[version] = columns
        for service in services:
            opinions = self._opinions.get(service)
            found[service] = {
                "at": at,
                "versions": {
                    version: {name: self._shown(name, cells, wanted) for name, cells in columns.cells.items()}
                    for version, columns in versions.get(service, {}).items()
                },
                "odds": self._odds(opinions, wanted),
                "bar": opinions.bar if opinions is not None else None,
                "verdict": self._verdicts(opinions, wanted),
            }
        return found

    def _make_room(self, rows: Mapping[Name, Row]) -> None:
        """Columns for those that have none. Where there is no room left, those of a version that is gone, else of one
        that had less in ten minutes than the newcomer has now; one in a second, so that a storm of names costs little.
        """
        others = [name for name in rows if name not in self._columns]
        for name in others[: self._pairs - len(self._columns)]:
            self._columns[name] = self._fresh()
        if not (left := [name for name in others if name not in self._columns]):
            return
        busiest = max(left, key=lambda name: rows[name].requests)
        quietest = min(self._columns, key=lambda name: (name in rows, self._columns[name].requests))
        if quietest not in rows or rows[busiest].requests > self._columns[quietest].requests:
            del self._columns[quietest]
            self._columns[busiest] = self._fresh()

    def _fresh(self) -> _Columns:
        return _Columns({name: array("I", [_UNKNOWN]) * self._rows for name in COLUMNS})

    def _put_opinion(self, each: _Opinions, index: int, opinion: Opinion) -> None:
        each.empty = each.empty + 1 if opinion == Opinion() else 0
        each.odds[index] = float("nan") if opinion.odds is None else opinion.odds
        each.bar = opinion.bar if opinion.bar is not None else each.bar
        if opinion.kind is not None and opinion.kind not in self._kinds and len(self._kinds) < _NO_KIND:
            self._kinds.append(opinion.kind)
        each.kinds[index] = self._kinds.index(opinion.kind) if opinion.kind in self._kinds else _NO_KIND

    def _window(self, ring: Any, rows: int) -> list[Any]:
        """The last ``rows`` of a ring, the oldest first."""
        end = self._taken % self._rows
        if self._taken <= self._rows:
            return [*ring[self._taken - rows : self._taken]]
        return [*ring[end:], *ring[:end]][self._rows - rows :]

    def _shown(self, name: str, cells: "array[int]", rows: int) -> list[float | None]:
        window = self._window(cells, rows)
        if name in _COUNTED:
            return [None if value == _UNKNOWN else value for value in window]
        return [None if value == _UNKNOWN else value / _PARTS for value in window]

    def _odds(self, opinions: _Opinions | None, rows: int) -> list[float | None]:
        if opinions is None:
            return [None] * rows
        return [None if odds != odds else odds for odds in self._window(opinions.odds, rows)]  # noqa: PLR0124 - NaN

    def _verdicts(self, opinions: _Opinions | None, rows: int) -> list[str | None]:
        if opinions is None:
            return [None] * rows
        return [None if kind == _NO_KIND else self._kinds[kind] for kind in self._window(opinions.kinds, rows)]
