"""What is counted of a judged service's requests: a column holds those of one second, version and coin.

Which column a request belongs in is said by ``docket``.
"""

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

from gatekeeper.core.judge.latency import BUCKETS, SLOWEST, score
from gatekeeper.core.judge.part import kept
from gatekeeper.core.judge.units import first_seen
from gatekeeper.dataplane.paths import Prefixes

_FAILED: Final = BUCKETS
"""Added to the bucket of a unit's first request if that failed; a slow answer has the same bucket."""

Name = TypeVar("Name")
Counts = defaultdict[Name, int]
Limits = tuple[float, ...]
"""The least times of all buckets but the first, seconds."""


@lru_cache(maxsize=16)
def limits(tolerance: float, floor: float) -> Limits:
    """``bisect_right`` in these is ``score``, in a quarter of the time: each is the least number that has the score."""
    found = []
    low = 0.0
    for place in range(1, BUCKETS):
        high = max(1.0, 2 * low)
        while score(high, tolerance, floor) < place:
            high *= 2
        while (middle := (low + high) / 2) not in {low, high}:
            if score(middle, tolerance, floor) < place:
                low = middle
            else:
                high = middle
        found.append(high)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for all columns of a case: ``limits`` by version, ``slow`` in seconds."""

    units: bool
    limits: tuple[Limits, Limits]
    slow: float
    paths: Prefixes | None


class Column:
    """Requests of one version of which only totals are kept; what is bet on is in those built on this."""

    __slots__ = ("errors", "requests", "slow", "slow_beyond")

    def __init__(self, terms: Terms) -> None:
        self.slow_beyond = terms.slow
        self.requests = self.errors = self.slow = 0

    def book(self, took: float, failed: bool) -> None:
        """One more, that took so many seconds."""
        self.requests += 1
        if failed:
            self.errors += 1
        if took > self.slow_beyond:
            self.slow += 1


class Counted(Column):
    """Requests whose label was drawn with one probability: each is a draw."""

    __slots__ = ("arm", "failed_by", "failed_on", "limits", "paths", "served_by", "times", "went_to")

    def __init__(self, terms: Terms, arm: int) -> None:
        super().__init__(terms)
        self.arm = arm
        self.limits = terms.limits[arm]
        self.times = [0] * BUCKETS
        self.paths = terms.paths
        self.went_to: Counts[str | None] = defaultdict(int)
        """Requests by route; None is of no route."""
        self.failed_on: Counts[str | None] = defaultdict(int)
        self.served_by: Counts[str] = defaultdict(int)
        """The candidate's requests by the id of the backend."""
        self.failed_by: Counts[str] = defaultdict(int)

    def draw(self, took: float, failed: bool, path: bytes, backend: str) -> int:
        """One more; its bucket."""
        self.requests += 1
        if took > self.slow_beyond:
            self.slow += 1
        if self.arm:
            self.served_by[backend] += 1
        if self.paths is not None:
            self.went_to[self.paths[path]] += 1
        if failed:
            self._failed(path, backend)
            bucket = SLOWEST
        else:
            bucket = bisect_right(self.limits, took)
        self.times[bucket] += 1
        return bucket

    def _failed(self, path: bytes, backend: str) -> None:
        self.errors += 1
        if self.arm:
            self.failed_by[backend] += 1
        if self.paths is not None:
            self.failed_on[self.paths[path]] += 1

    # What is told of it, as JSON

    def told(self) -> list[Any]:
        """An arm of a cell."""
        times = [[place, count] for place, count in enumerate(self.times) if count]
        return [self.requests, self.errors, self.requests, self.errors, times]

    def errors_on(self, route: str) -> int:
        return self.failed_on.get(route, 0)


class Keyed(Counted):
    """The same where labels stick to units: a draw is the first request of a unit, by arrival.

    ``firsts``: unit -> when its first request here arrived, and that one's bucket. ``failures``: unit -> routes on
    which it failed. Both hold 1 of ``keep`` units, a power of two.
    """

    __slots__ = ("failures", "firsts", "keep")

    def __init__(self, terms: Terms, arm: int) -> None:
        super().__init__(terms, arm)
        self.firsts: dict[int, tuple[float, int]] = {}
        self.failures: dict[int, set[str]] = {}
        self.keep = 1

    def note(self, unit: int, started: float, bucket: int, failed: bool, path: bytes, *, known: bool) -> bool:
        """A request of a unit had this bucket. ``known``: it is not the first in the release. Whether the unit is new
        here.
        """
        if not kept(unit, self.keep):
            return False
        new = unit not in self.firsts and unit not in self.failures
        if not known:
            first = self.firsts.get(unit)
            if first is None or started < first[0]:
                self.firsts[unit] = started, bucket + _FAILED if failed else bucket
        if failed:
            routes = self.failures.setdefault(unit, set())
            route = None if self.paths is None else self.paths[path]
            if route is not None:
                routes.add(route)
        return new

    def thin(self, keep: int) -> int:
        """Keep only 1 of ``keep`` units; how many there are then."""
        self.keep = keep
        self.firsts = {unit: first for unit, first in self.firsts.items() if kept(unit, keep)}
        self.failures = {unit: routes for unit, routes in self.failures.items() if kept(unit, keep)}
        return len(self.firsts.keys() | self.failures.keys())

    def told(self) -> list[Any]:
        return [self.requests, 0, 0, 0, []]

    def errors_on(self, route: str) -> int:
        del route
        return 0

    def units(self, weight: float, seen: memoryview | None) -> list[list[Any]]:
        """Its units that are new, or failed, by the memory ``seen``."""
        found: list[list[Any]] = []
        for unit in sorted(self.firsts.keys() | self.failures.keys()):
            first = self.firsts.get(unit)
            routes = self.failures.get(unit)
            marks = [-1, 0]
            # Another worker may have told of it meanwhile.
            if first is not None and not (seen is not None and first_seen(seen, unit)):
                marks = [first[1] % _FAILED, first[1] // _FAILED]
            if marks[0] >= 0 or routes is not None:
                found.append([unit, self.arm, weight, *marks, int(routes is not None), sorted(routes or ())])
        return found
