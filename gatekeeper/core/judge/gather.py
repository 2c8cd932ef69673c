"""What all workers recorded of one service's comparison, put together into seconds, in order, each once.

Each worker sends what it recorded of a second when all of it has ended there, or ``SEAL_AFTER`` seconds after it, and
with it how far it has come. A second is handed on when every worker that is there has come so far; or when it is
overdue, without what is missing then. What is left out so, for a worker that hangs or was killed, is so on both sides
alike. Seconds that nobody recorded are no seconds at all: the time in which no one looked proves nothing.

Where labels stick to units, one unit may be seen by several workers. Each sends whom it saw; here it is settled who is
new and whose error is a first one, in the order of the weights and in no other: within a second nobody knows the order
among workers. Of several first requests in one second, that of the lowest worker counts, whatever it came to.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import Any, Final

from gatekeeper.core import codec
from gatekeeper.core.judge.part import Part
from gatekeeper.core.judge.second import SEAL_AFTER, Second, merge
from gatekeeper.core.judge.settle import settle
from gatekeeper.core.judge.units import Units

GRACE: Final = 3
"""Seconds beyond ``SEAL_AFTER``: workers send once a second, and may be busy."""
OPEN_MOST: Final = 32
"""Seconds that may wait here, twice as many as can be open by their clocks; what is beyond counts as late."""


@dataclass(slots=True)
class _Reports:
    """Of one worker: the seconds that it has told everything of."""

    since: int
    upto: int


@dataclass(frozen=True, slots=True)
class _Dumped:
    next: int
    warm_up: int
    routes: tuple[str, ...]
    missing: int
    late: int


class Gathering:
    """``workers`` whenever they change, ``add`` what each sends, ``take`` once a second.

    ``units`` remembers units where labels stick to them, None: each request draws its label. Units of the first
    ``warm_up`` seconds are neither remembered nor counted. ``routes`` are those of the judge. ``first`` is the second
    to begin with. Seconds are those since the comparison began, as ``Second.at``.
    """

    def __init__(self, units: Units | None, *, warm_up: int = 0, routes: Sequence[str] = (), first: int = 0) -> None:
        self._units = units
        self._warm_up = warm_up
        self._routes = tuple(routes)
        self._first = self._next = first
        self._now = float(first)
        self._open: dict[int, dict[int, Part]] = {}
        """Second -> worker -> what it recorded."""
        self._reports: dict[int, _Reports] = {}
        self._present: frozenset[int] | None = None
        self._awaited: frozenset[int] = frozenset()
        """Those that were there from the beginning, and are waited for before they have said anything."""
        self._cut: set[int] = set()
        """Seconds of which a worker that is gone had more to tell."""
        self._lost = 0
        """Seconds missing since the last one that was handed on."""
        self.missing = 0
        """Seconds of which something is missing, or all."""
        self.late = 0
        """Parts that came twice, or after their second was handed on."""

    def dump(self) -> Any:
        """What must survive a restart, as JSON values: not what waits here, which is lost on both sides alike."""
        return codec.dump(_Dumped(self._next, self._warm_up, self._routes, self.missing, self.late))

    @classmethod
    def load(cls, dumped: Any, units: Units | None, *, first: int = 0) -> "Gathering":
        """The gathering that ``dump`` was of, to go on with second ``first``, which is now: nobody recorded what was
        between. Raises CodecError.
        """
        found = codec.load(_Dumped, dumped)
        gathering = cls(units, warm_up=found.warm_up, routes=found.routes, first=max(first, found.next))
        gathering.missing, gathering.late = found.missing, found.late
        gathering._miss(gathering.next - found.next)
        return gathering

    @property
    def next(self) -> int:
        """The second that is handed on next, or later."""
        return self._next

    def workers(self, present: Collection[int]) -> None:
        """Who is there now. Those of the first call are waited for from the beginning, others from their first report
        on: whoever joins later hears of the comparison later, and has nothing to say about what was before.
        """
        now_present = frozenset(present)
        if self._present is None:
            self._awaited = now_present
        else:
            for gone in self._present - now_present:
                self._end(gone)
        self._present = now_present

    def _end(self, worker: int) -> None:
        reports = self._reports.get(worker)
        told = reports.upto if reports else self._next - 1
        self._cut.update(range(max(told + 1, self._next), min(floor(self._now), self._next + OPEN_MOST) + 1))
        self._awaited -= {worker}

    def add(self, worker: int, upto: int, parts: Iterable[Part]) -> None:
        """A worker has told everything of the seconds up to ``upto``; those without a part had nothing in them."""
        found = list(parts)
        reports = self._reports.get(worker)
        if reports is None:
            since = self._first if worker in self._awaited else min([upto, *(part.at for part in found)])
            reports = self._reports[worker] = _Reports(since, since - 1)
        for part in found:
            waiting = self._open.get(part.at, {})
            if (
                not max(self._next, reports.upto + 1) <= part.at <= upto
                or worker in waiting
                or (not waiting and len(self._open) >= OPEN_MOST)
            ):
                self.late += 1
                continue
            self._open.setdefault(part.at, {})[worker] = part
        reports.upto = max(reports.upto, upto)

    def take(self, now: float) -> list[Second]:
        """The seconds that are complete at ``now`` (seconds since the comparison began) or overdue, in order."""
        self._now = max(self._now, now)
        taken: list[Second] = []
        while self._next + 1 <= now:
            at = self._next
            overdue = now >= at + 1 + SEAL_AFTER + GRACE
            waiting = self._waiting(at)
            if any(each.since <= at <= each.upto for each in self._reports.values()):
                if waiting and not overdue:
                    break
                if waiting or at in self._cut:
                    self._miss(1)
                taken.append(self._second(at))
                self._next += 1
            elif overdue or self._nobody(at):
                # Nobody will say anything about what lies before the first that somebody has told of.
                later = [each.since for each in self._reports.values() if each.since > at]
                until = min([*later, floor(now) - SEAL_AFTER - GRACE] if overdue else later)
                self._miss(until - at)
                self._next = until
            else:
                break
            self._forget()
        return taken

    def _waiting(self, at: int) -> bool:
        """For anybody that is there and has not told of this second yet."""
        if self._present is None:
            return True
        return any(
            each.upto < at if (each := self._reports.get(worker)) else worker in self._awaited
            for worker in self._present
        )

    def _nobody(self, at: int) -> bool:
        """That is there was there then."""
        return bool(self._present) and all(
            (each := self._reports.get(worker)) is not None and each.since > at for worker in self._present or ()
        )

    def _miss(self, seconds: int) -> None:
        self._lost += seconds
        self.missing += seconds

    def _forget(self) -> None:
        """What is before the next second."""
        self._cut = {at for at in self._cut if at >= self._next}
        for at in [at for at in self._open if at < self._next]:
            del self._open[at]
        present = self._present or frozenset()
        for worker in [name for name, each in self._reports.items() if name not in present and each.upto < self._next]:
            del self._reports[worker]

    # One second

    def _second(self, at: int) -> Second:
        found = self._open.pop(at, {})
        parts = [found[worker] for worker in sorted(found)]
        keep = max([part.keep for part in parts], default=1)
        units, settled = self._units, Second(at, keep=keep, missing=self._lost)
        self._lost = 0
        if units is not None:
            cells = tuple(settle(units, self._routes, parts, keep)) if at >= self._warm_up else ()
            settled = replace(settled, cells=cells, crowded=units.crowded)
        return merge([settled, *(part.second(units=units is not None) for part in parts)])
