"""Whose first request it was, whose first error: what units count for in one second, of all workers' entries."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gatekeeper.core.judge.latency import SLOWEST
from gatekeeper.core.judge.part import Part, Seen, kept
from gatekeeper.core.judge.second import Arm, Cell, Tally
from gatekeeper.core.judge.units import Coin, Units


@dataclass(slots=True)
class _Counts:
    """Of one coin. Lists are of stable and of the candidate."""

    errors: list[int] = field(default_factory=lambda: [0, 0])
    draws: list[int] = field(default_factory=lambda: [0, 0])
    draw_errors: list[int] = field(default_factory=lambda: [0, 0])
    times: tuple[dict[int, int], dict[int, int]] = field(default_factory=lambda: ({}, {}))
    routes: dict[str, list[int]] = field(default_factory=dict)

    def cell(self, coin: Coin) -> Cell:
        stable, candidate = (
            Arm(0, self.errors[label], self.draws[label], self.draw_errors[label], self.times[label])
            for label in (0, 1)
        )
        return Cell(coin[0], stable, candidate, coin[1], {name: Tally(0, 0, *two) for name, two in self.routes.items()})


def settle(units: Units, routes: Sequence[str], parts: Sequence[Part], keep: int) -> Iterator[Cell]:
    """Cells of all that is counted once per unit, without requests; ``units`` remembers it. ``parts`` are of one
    second, those of lower workers first. Only 1 of ``keep`` units is looked at.
    """
    counts: dict[Coin, _Counts] = {}
    units.reach([cell.weight for part in parts for cell in part.cells], mixed=any(part.others for part in parts))
    for seen in _entries(parts, keep):
        label = int(seen.candidate)
        mine = counts.setdefault((seen.weight, False), _Counts())
        if seen.bucket >= 0 and units.is_new(seen.unit):
            place = SLOWEST if seen.first_failed else seen.bucket
            mine.draws[label] += 1
            mine.draw_errors[label] += seen.first_failed
            mine.times[label][place] = mine.times[label].get(place, 0) + 1
        if not seen.failed:
            continue
        coin = units.coin(seen.unit, seen.weight, candidate=seen.candidate)
        if coin is not None:
            counts.setdefault(coin, _Counts()).errors[label] += 1
        for number, route in enumerate(routes):
            if route in seen.routes and units.is_first_on(seen.unit, number):
                mine.routes.setdefault(route, [0, 0])[label] += 1
    for coin, each in counts.items():
        yield each.cell(coin)


def _entries(parts: Iterable[Part], keep: int) -> list[Seen]:
    """One per unit, weight and label, by rising weights: what was first at a lower worker is what came first."""
    found: dict[tuple[float, int, bool], Seen] = {}
    for part in parts:
        for seen in part.units:
            if not kept(seen.unit, keep):
                continue
            key = (seen.weight, seen.unit, seen.candidate)
            first = found.setdefault(key, seen)
            if first is not seen and seen.failed:
                found[key] = first._replace(failed=True, routes=tuple({*first.routes, *seen.routes}))
    return [found[key] for key in sorted(found)]
