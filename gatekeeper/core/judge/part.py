"""What one worker recorded of one second, as it is sent up. ``second`` says what counts, ``gather`` what becomes of it.

    {"at": 12, "cells": [[weight, ARM, ARM, {route: [requests, requests, errors, errors]}], ...],
     "units": [[unit, candidate, weight, bucket, first_failed, failed, [route, ...]], ...], "keep": 1, "others": false,
     "stable": [requests, errors, slow], "candidate": [...], "backends": {id: [requests, errors]},
     "excluded": 0, "unkeyed": 0}

ARM is [requests, errors, draws, draw_errors, [[bucket, count], ...]]; of two the first is stable's. What is missing
is nothing. Where labels stick to units the cells count requests only, and what else there is comes from ``units``: one
entry for each unit that failed or may be new.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

from gatekeeper.core.judge.analysis import ROUTES_MOST
from gatekeeper.core.judge.latency import BUCKETS, SLOWEST
from gatekeeper.core.judge.second import Arm, Backend, Cell, Second, Tally, Totals

UNITS_SENT: Final = 2048
"""Entries of units in one part. More would be megabytes a second; beyond it ``keep`` doubles."""
CELLS_SENT: Final = 32
"""Weights in one part: no operator changes them as often in a second. What a 33rd decided is excluded."""
BACKENDS_SENT: Final = 64
_TEXT_MOST: Final = 512
"""Characters of a route or of a backend's id."""
_COUNT_MOST: Final = 2**40

T = TypeVar("T")


class Seen(NamedTuple):
    """One unit at one weight in one second. ``bucket`` is of the time of its first request in it, ``first_failed``
    whether that failed; -1: no first request of the release. ``failed``: any of its requests did, on ``routes``.
    """

    unit: int
    candidate: bool
    weight: float
    bucket: int
    first_failed: bool
    failed: bool
    routes: tuple[str, ...] = ()


def kept(unit: int, keep: int) -> bool:
    """Whether a unit is among the 1 of ``keep`` (a power of two) that are looked at in a second of too many.

    By the low bits, which do not tell the label. Rent is still paid for all requests, which is on the safe side.
    """
    return not unit & (keep - 1)


@dataclass(frozen=True, slots=True)
class Part:
    """``others``: a third version held weight. Other fields are as those of ``Second``."""

    at: int
    cells: tuple[Cell, ...] = ()
    units: tuple[Seen, ...] = ()
    keep: int = 1
    others: bool = False
    stable: Totals = field(default_factory=Totals)
    candidate: Totals = field(default_factory=Totals)
    backends: Mapping[str, Backend] = field(default_factory=dict)
    excluded: int = 0
    unkeyed: int = 0

    @classmethod
    def load(cls, data: object) -> "Part":
        """From what the channel gave. Raises ValueError, naming the place, for anything that is no part, or too big."""
        found = _fields(data)
        keep = _count(found.get("keep", 1), "keep")
        if not 1 <= keep <= 2**20 or keep & (keep - 1):
            raise ValueError(f"keep: {keep} is no power of two up to 2**20")
        return cls(
            at=_count(found.get("at"), "at"),
            cells=_rows(found.get("cells", []), "cells", CELLS_SENT, _cell),
            units=_rows(found.get("units", []), "units", UNITS_SENT, _seen),
            keep=keep,
            others=found.get("others", False) is True,
            stable=_totals(found.get("stable", [0, 0, 0]), "stable"),
            candidate=_totals(found.get("candidate", [0, 0, 0]), "candidate"),
            backends=_named(found.get("backends", {}), "backends", BACKENDS_SENT, _backend),
            excluded=_count(found.get("excluded", 0), "excluded"),
            unkeyed=_count(found.get("unkeyed", 0), "unkeyed"),
        )

    def second(self, *, units: bool) -> Second:
        """What is counted of it as it stands: all, or requests alone where labels stick to ``units``."""
        cells = self.cells if not units else tuple([_requests(cell) for cell in self.cells])
        return Second(
            self.at, cells, self.stable, self.candidate, self.backends, self.excluded, self.unkeyed, keep=self.keep
        )


def _requests(cell: Cell) -> Cell:
    routes = {name: Tally(tally.stable, tally.candidate) for name, tally in cell.routes.items()}
    return Cell(cell.weight, Arm(cell.stable.requests), Arm(cell.candidate.requests), routes=routes)


def _fields(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError(f"{_shown(data)} is no part: it must be an object")  # noqa: TRY004 one kind of error for all
    unknown = data.keys() - Part.__slots__
    if unknown:
        raise ValueError(f"{_shown(min(map(str, unknown)))}: unknown field of a part")
    return data


def _shown(data: object) -> str:
    return repr(data)[:60]


def _rows(data: object, path: str, most: int, load: Callable[[object, str], T]) -> tuple[T, ...]:
    if not isinstance(data, list) or len(data) > most:
        raise ValueError(f"{path}: must be at most {most:,} rows")
    return tuple([load(row, path) for row in data])


def _row(data: object, path: str, many: int) -> list[Any]:
    if not isinstance(data, list) or len(data) != many:
        raise ValueError(f"{path}: {_shown(data)} must be a row of {many}")
    return data


def _named(data: object, path: str, most: int, load: Callable[[object, str], T]) -> dict[str, T]:
    if not isinstance(data, dict) or len(data) > most or any(len(name) > _TEXT_MOST for name in data):
        raise ValueError(f"{path}: must be an object of at most {most} short names")
    return {name: load(row, f"{path}.{name}") for name, row in data.items()}


def _count(data: object, path: str) -> int:
    if type(data) is not int or not 0 <= data <= _COUNT_MOST:
        raise ValueError(f"{path}: {_shown(data)} is no count")
    return data


def _counts(data: object, path: str, many: int) -> list[int]:
    return [_count(each, path) for each in _row(data, path, many)]


def _weight(data: object, path: str) -> float:
    if type(data) not in (int, float) or not 0 <= data <= 1:  # type: ignore[operator] # the type was just looked at
        raise ValueError(f"{path}: {_shown(data)} is no weight from 0 to 1")
    return float(data)  # type: ignore[arg-type]


def _cell(row: object, path: str) -> Cell:
    weight, stable, candidate, routes = _row(row, path, 4)
    tallies = _named(routes, f"{path}.routes", ROUTES_MOST, _tally)
    return Cell(_weight(weight, path), _arm(stable, path), _arm(candidate, path), routes=tallies)


def _arm(row: object, path: str) -> Arm:
    requests, errors, draws, draw_errors, times = _row(row, path, 5)
    counts = (requests, errors, draws, draw_errors)
    for count in counts:
        _count(count, path)
    if not isinstance(times, list) or len(times) > BUCKETS:
        raise ValueError(f"{path}: times must be at most {BUCKETS} pairs")
    places: dict[int, int] = {}
    for pair in times:
        place, many = _row(pair, path, 2)
        if _count(place, path) > SLOWEST:
            raise ValueError(f"{path}: {place} is no bucket")
        places[place] = places.get(place, 0) + _count(many, path)
    if max(errors, draws) > requests or draw_errors > draws or sum(places.values()) != draws:
        raise ValueError(f"{path}: {counts} with {sum(places.values())} times do not go together")
    return Arm(requests, errors, draws, draw_errors, places)


def _tally(row: object, path: str) -> Tally:
    return Tally(*_counts(row, path, 4))


def _totals(row: object, path: str) -> Totals:
    return Totals(*_counts(row, path, 3))


def _backend(row: object, path: str) -> Backend:
    return Backend(*_counts(row, path, 2))


def _seen(row: object, path: str) -> Seen:
    unit, candidate, weight, place, first_failed, failed, routes = _row(row, path, 7)
    if type(unit) is not int or not 0 <= unit < 2**32:
        raise ValueError(f"{path}: {_shown(unit)} is no unit")
    if type(place) is not int or not -1 <= place <= SLOWEST:
        raise ValueError(f"{path}: {_shown(place)} is no bucket")
    if candidate not in (0, 1) or first_failed not in (0, 1) or failed not in (0, 1) or first_failed > failed:
        raise ValueError(f"{path}: the marks of {unit} must be 0 or 1, and what failed first has failed")
    if not isinstance(routes, list) or len(routes) > ROUTES_MOST or not all(isinstance(each, str) for each in routes):
        raise ValueError(f"{path}: routes must be at most {ROUTES_MOST} texts")
    weight = _weight(weight, path)
    return Seen(unit, bool(candidate), weight, place, bool(first_failed), bool(failed), tuple(routes))
