"""One sealed second, as the workers recorded it and the judge sees it. What is logged for a replay is exactly this.

What a recorder must do, for the judge's bound to hold:

- **Arrival.** A request is booked to the second it *arrived* in, and the second is handed on when all of them have
  ended or ``SEAL_AFTER`` seconds have passed. Booked by completion, a candidate that fails fast beside a stable that
  fails slowly looks worse than it is. What has not begun to be answered by then has failed, on either side: left
  out, the slow failures of one version would be missing beside the fast ones of the other.
- **First attempt.** It counts for the version first tried, whatever a retry made of it, up to the head of its answer:
  a stream or a tunnel that stays open for hours was answered when it began. One cut off before the seal has failed.
- **Blame.** What the version did: a 5xx, no connection, a reset, a broken answer, silence. What a client did (it went
  away, it asked for nonsense) is no error; its time counts as far as it waited.
- **Only draws.** ``weight`` is the probability with which this very label was drawn, among stable and candidate. What
  was ruled by anything but the split is ``excluded``; so is whatever was decided while one of the two had no ready
  backend, *whichever* label it drew: leaving out only what failed over would leave out one side. What a tester forced
  is nowhere.
- **Units.** Where labels stick to units, there is one draw per unit, and one bet: ``errors`` are first errors of units
  in the release, ``draws`` first requests. Only when the weight grows beyond what it ever was, units last seen to fail
  on stable at weight w0 become fresh coins, of probability (w - w0) / (1 - w0): their next error goes into a cell of
  its own. Errors on a route are first errors of a unit on that route. Units are remembered when a second is handed on,
  not before. In the warm-up they are neither remembered nor counted: a unit that failed where nothing was bet has its
  coin still. Within a second they are taken by rising weights, which all count as reached when it begins: several
  workers cannot say what came first, and it must not matter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

SEAL_AFTER: Final = 10
"""Seconds. Longer and a hanging candidate is seen later, shorter and slow pages count as failed (on both sides)."""


@dataclass(frozen=True, slots=True)
class Arm:
    """What one version did, of the requests that one weight decided.

    ``errors`` are those that may be bet on: all, or first errors of units. ``draws`` are the labels that were drawn
    anew: all requests, or first ones of units; ``draw_errors`` those of them that failed. ``times`` counts the draws
    by bucket (``latency.bucket``), the candidate's with the tolerance taken off (``latency.score``).
    """

    requests: int = 0
    errors: int = 0
    draws: int = 0
    draw_errors: int = 0
    times: Mapping[int, int] = field(default_factory=dict)

    def __add__(self, other: "Arm") -> "Arm":
        return Arm(
            self.requests + other.requests,
            self.errors + other.errors,
            self.draws + other.draws,
            self.draw_errors + other.draw_errors,
            {
                place: self.times.get(place, 0) + other.times.get(place, 0)
                for place in sorted({*self.times, *other.times})
            },
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests of stable and candidate, and errors that may be bet on, on one route."""

    stable: int = 0
    candidate: int = 0
    stable_errors: int = 0
    candidate_errors: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.stable + other.stable,
            self.candidate + other.candidate,
            self.stable_errors + other.stable_errors,
            self.candidate_errors + other.candidate_errors,
        )


@dataclass(frozen=True, slots=True)
class Cell:
    """The part of a second in which the coin of the label had probability ``weight``.

    A ``fresh`` one holds nothing but errors, of units whose label was drawn anew. ``routes`` divide the same requests.
    """

    weight: float
    stable: Arm = Arm()
    candidate: Arm = Arm()
    fresh: bool = False
    routes: Mapping[str, Tally] = field(default_factory=dict)

    def __add__(self, other: "Cell") -> "Cell":
        """Of the same coin."""
        routes = dict(self.routes)
        for name, tally in other.routes.items():
            routes[name] = routes.get(name, Tally()) + tally
        routes = dict(sorted(routes.items()))
        return Cell(self.weight, self.stable + other.stable, self.candidate + other.candidate, self.fresh, routes)


@dataclass(frozen=True, slots=True)
class Totals:
    """All users' requests to one version that arrived in the second, forced ones aside: for guards and for people."""

    requests: int = 0
    errors: int = 0
    slow: int = 0
    """Longer than the guard's ``p99``."""

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(self.requests + other.requests, self.errors + other.errors, self.slow + other.slow)

    def __sub__(self, other: "Totals") -> "Totals":
        return Totals(self.requests - other.requests, self.errors - other.errors, self.slow - other.slow)


@dataclass(frozen=True, slots=True)
class Backend:
    """Requests of the candidate that one of its backends had, and how many of them failed."""

    requests: int = 0
    errors: int = 0

    def __add__(self, other: "Backend") -> "Backend":
        return Backend(self.requests + other.requests, self.errors + other.errors)


@dataclass(frozen=True, slots=True)
class Second:
    """``at`` is monotonic seconds of the release. Seconds without a request are handed in, too: they count as time."""

    at: int
    cells: tuple[Cell, ...] = ()
    stable: Totals = Totals()
    candidate: Totals = Totals()
    backends: Mapping[str, Backend] = field(default_factory=dict)
    excluded: int = 0
    unkeyed: int = 0
    """Requests without a unit where labels stick to units: they cannot be judged."""
    crowded: float = 0.0
    """The part of the memory of units in use, 0..1: in a full one units collide, and those are left out."""
    keep: int = 1
    """There were so many units that 1 of this many was looked at."""
    missing: int = 0
    """Seconds, this one among them, of which a worker's report is missing, since the one that was handed on before."""


def merge(seconds: Iterable[Second]) -> Second:
    """One second out of what several workers recorded of it: there is one judge, whose evidence is all of theirs.

    The order of the workers does not matter. Raises ValueError for none, or for different seconds.
    """
    found = list(seconds)
    if len({each.at for each in found}) != 1:
        raise ValueError(f"not one second: {[each.at for each in found]}")
    cells: dict[tuple[float, bool], Cell] = {}
    backends: dict[str, Backend] = {}
    stable, candidate = Totals(), Totals()
    for each in found:
        stable, candidate = stable + each.stable, candidate + each.candidate
        for cell in each.cells:
            coin = (cell.weight, cell.fresh)
            cells[coin] = cells[coin] + cell if coin in cells else cell
        for name, backend in each.backends.items():
            backends[name] = backends.get(name, Backend()) + backend
    return Second(
        at=found[0].at,
        cells=tuple(cells[coin] for coin in sorted(cells)),
        stable=stable,
        candidate=candidate,
        backends=dict(sorted(backends.items())),
        excluded=sum(each.excluded for each in found),
        unkeyed=sum(each.unkeyed for each in found),
        crowded=max(each.crowded for each in found),
        keep=max(each.keep for each in found),
        missing=sum(each.missing for each in found),
    )
