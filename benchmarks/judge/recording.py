"""What a recorder of requests has to hand to the judge, as plainly as it can be said.

This is the reference: lists and dictionaries without bounds, one process, one request after the other. What workers
record is bounded and put together afterwards; where it can be exact those seconds must equal these. Only the memory of
units is the one of production, to be measured with all that it leaves out; a test may put a plain one in its place. The
rules and their reasons are in `gatekeeper.core.judge.second`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from gatekeeper.core.judge.latency import SLOWEST, bucket, score
from gatekeeper.core.judge.second import SEAL_AFTER, Arm, Backend, Cell, Second, Tally, Totals
from gatekeeper.core.judge.units import SIZE, Coin, Units


class Mistake(Enum):
    """Ways to do it wrong, to show what they do."""

    NONE = "none"
    PER_REQUEST = "every error of a unit"
    BY_COMPLETION = "booked to the second in which it ended"
    FORGET_LATE = "left out, if it had not ended when its second was sealed"


class Memory(Protocol):
    """What is remembered of units, as ``Units`` does."""

    def reach(self, weights: Sequence[float], *, mixed: bool = False) -> None: ...
    def is_new(self, unit: int) -> bool: ...
    def coin(self, unit: int, weight: float, *, candidate: bool) -> Coin | None: ...
    def is_first_on(self, unit: int, route: int) -> bool: ...


@dataclass(slots=True)
class Attempt:
    """The first attempt of one request, from its arrival (seconds) on."""

    arrived: float
    candidate: bool
    weight: float
    unit: int | None
    """Its hash, of 32 bits."""
    route: str
    backend: str
    counted: bool
    forced: bool
    ended: float | None = None
    failed: bool = False


@dataclass(slots=True)
class _Arm:
    requests: int = 0
    errors: int = 0
    draws: int = 0
    draw_errors: int = 0
    times: dict[int, int] = field(default_factory=dict)

    def sealed(self) -> Arm:
        return Arm(self.requests, self.errors, self.draws, self.draw_errors, dict(sorted(self.times.items())))


class _Cell:
    def __init__(self) -> None:
        self.arms = (_Arm(), _Arm())
        self.routes: dict[str, list[int]] = {}

    def sealed(self, weight: float, *, fresh: bool) -> Cell:
        routes = {name: Tally(*counts) for name, counts in sorted(self.routes.items())}
        return Cell(weight, self.arms[0].sealed(), self.arms[1].sealed(), fresh, routes)


class Recording:
    """``begin`` at each arrival, ``end`` when its first attempt has succeeded or failed, ``seal`` as time goes on.

    ``sticky``: labels stick to units. ``routes`` are counted apart. The first ``warm_up`` seconds are not judged.
    """

    def __init__(
        self,
        *,
        sticky: bool,
        tolerance: float = 0.05,
        floor: float = 0.002,
        routes: tuple[str, ...] = (),
        warm_up: int = 0,
        mistake: Mistake = Mistake.NONE,
        units: Memory | None = None,
    ) -> None:
        self._sticky = sticky
        self._each_error = mistake is Mistake.PER_REQUEST
        self._tolerance, self._floor = tolerance, floor
        self._routes = routes
        self._warm_up = warm_up
        self._by_completion = mistake is Mistake.BY_COMPLETION
        self._forget_late = mistake is Mistake.FORGET_LATE
        self._next = 0
        """The second that is open longest."""
        self._open: dict[int, list[Attempt]] = {}
        self._units: Memory = units or Units.begin(bytearray(SIZE))

    def begin(
        self,
        at: float,
        *,
        candidate: bool,
        weight: float,
        unit: int | None = None,
        route: str = "",
        backend: str = "",
        counted: bool = True,
        forced: bool = False,
    ) -> Attempt:
        """``counted``: the split drew its label, with probability ``weight``, while both versions had a backend."""
        counted = counted and not forced and (unit is not None or not self._sticky)
        attempt = Attempt(at, candidate, weight, unit, route, backend, counted, forced)
        if not self._by_completion:
            self._book(int(at), attempt)
        return attempt

    def end(self, attempt: Attempt, at: float, *, failed: bool) -> None:
        """After its second was sealed this changes nothing."""
        attempt.ended, attempt.failed = at, failed
        if self._by_completion:
            self._book(int(at), attempt)

    def _book(self, second: int, attempt: Attempt) -> None:
        # A second that was handed on is over, whatever a clock may say.
        self._open.setdefault(max(second, self._next), []).append(attempt)

    def seal(self, now: float) -> Iterator[Second]:
        """The seconds that are complete at ``now``, in order, those without a request, too."""
        while self._next + 1 <= now:
            attempts = self._open.get(self._next, [])
            waiting = any(each.ended is None or each.ended > now for each in attempts)
            if waiting and now < self._next + 1 + SEAL_AFTER:
                return
            self._open.pop(self._next, None)
            yield self._sealed(self._next, attempts, now)
            self._next += 1

    def _sealed(self, at: int, attempts: list[Attempt], now: float) -> Second:
        cells: dict[tuple[float, bool], _Cell] = {}
        totals = ([0, 0], [0, 0])
        backends: dict[str, list[int]] = {}
        excluded = unkeyed = 0
        attempts = sorted(attempts, key=lambda each: each.weight)
        if at >= self._warm_up:
            self._units.reach([each.weight for each in attempts if each.counted])
        for attempt in attempts:
            late = attempt.ended is None or attempt.ended > now
            if late and self._forget_late:
                attempt.failed = False
            failed = attempt.failed or (late and not self._forget_late)
            if attempt.forced:
                continue
            totals[attempt.candidate][0] += 1
            totals[attempt.candidate][1] += failed
            if not attempt.counted:
                excluded += 1
                unkeyed += self._sticky and attempt.unit is None
                continue
            if attempt.candidate and attempt.backend:
                counts = backends.setdefault(attempt.backend, [0, 0])
                counts[0] += 1
                counts[1] += failed
            self._count(cells, attempt, failed=failed, warming=at < self._warm_up)
        return Second(
            at=at,
            cells=tuple(cells[coin].sealed(coin[0], fresh=coin[1]) for coin in sorted(cells)),
            stable=Totals(*totals[0]),
            candidate=Totals(*totals[1]),
            backends={name: Backend(*counts) for name, counts in sorted(backends.items())},
            excluded=excluded,
            unkeyed=unkeyed,
        )

    def _count(self, cells: dict[tuple[float, bool], _Cell], attempt: Attempt, *, failed: bool, warming: bool) -> None:
        unit, candidate = attempt.unit if self._sticky else None, attempt.candidate
        cell = cells.setdefault((attempt.weight, False), _Cell())
        arm = cell.arms[candidate]
        arm.requests += 1
        tally = cell.routes.setdefault(attempt.route, [0, 0, 0, 0]) if attempt.route in self._routes else None
        if tally is not None:
            tally[candidate] += 1
        if unit is not None and warming:
            # Nothing that is not judged uses up a unit.
            return
        if unit is None or self._units.is_new(unit):
            arm.draws += 1
            arm.draw_errors += failed
            place = SLOWEST if failed else self._place(attempt)
            arm.times[place] = arm.times.get(place, 0) + 1
        if not failed:
            return
        once = unit if not self._each_error else None
        coin = (attempt.weight, False) if once is None else self._units.coin(once, attempt.weight, candidate=candidate)
        if coin is not None:
            cells.setdefault(coin, _Cell()).arms[candidate].errors += 1
        if tally is not None:
            tally[2 + candidate] += unit is None or self._units.is_first_on(unit, self._routes.index(attempt.route))

    def _place(self, attempt: Attempt) -> int:
        if attempt.ended is None:
            return SLOWEST
        took = attempt.ended - attempt.arrived
        return score(took, self._tolerance, self._floor) if attempt.candidate else bucket(took)
