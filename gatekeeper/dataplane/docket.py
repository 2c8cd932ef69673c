"""What is recorded of one service that is judged: every request once, in the second in which it arrived.

``gatekeeper.core.judge.second`` says what a recorder must do, and why. Here it is done beside requests that pass:

* A request gets a ``Place`` in the step of its decision: what was true then (version, weight, who was ready).
* When its first attempt has ended, a line about that is written down, and that is all that a request is kept for.
* Lines are counted when there are PORTION of them and when the docket is looked at, some times a second: into the
  second in which the request arrived.
* A second is sealed when it is over and no request that arrived in it is still open, or SEAL_AFTER later: whoever seals
  ends what is open, first. Seconds are sealed in order.

No socket, no clock: times come with each call, in monotonic seconds.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gatekeeper.core.decision import SPLIT, STICKY, Decision
from gatekeeper.core.judge.second import SEAL_AFTER
from gatekeeper.core.judge.units import first_seen
from gatekeeper.dataplane.columns import Column, Counted, Keyed, Terms, limits
from gatekeeper.dataplane.paths import Prefixes
from gatekeeper.dataplane.sheet import Part, Sheet
from gatekeeper.dataplane.tally import PORTION
from gatekeeper.errors import Source

if TYPE_CHECKING:
    from gatekeeper.core.routing import ServiceRoute
    from gatekeeper.core.service import Ready
    from gatekeeper.dataplane.ending import Ending

MOST_PARTS: Final = 64
"""Sealed seconds kept for a supervisor that does not read. It has given this worker up long before the last of them."""

BLAMED: Final = frozenset({
    Source.UPSTREAM_CONNECT, Source.UPSTREAM_TIMEOUT, Source.UPSTREAM_RESET, Source.UPSTREAM_PROTOCOL,
    Source.UPSTREAM_UNAVAILABLE,
})  # fmt: skip
"""What is the version's fault. A client that leaves or sends nonsense had what it waited for; ours is nobody's."""

STABLE, CANDIDATE = range(2)
NEVER: Final = float("-inf")

Line = tuple["Place", float, float, bool | None, Decision, bytes, str]
"""Place, arrival, seconds, whether it failed (None: it says nothing of its version), decision, path, id of the backend.
"""


@dataclass(frozen=True, slots=True)
class Case:
    """Which service is judged, for which release, and how; ``origin`` is when its second 0 began, monotonic seconds.

    ``units``: labels stick to units. ``tolerate`` is what is taken off the candidate's times, a part and seconds.
    ``slow``: seconds. ``seen``: the file of units that were seen before.
    """

    release: int
    service: str
    stable: str
    candidate: str
    units: bool
    origin: float
    tolerate: tuple[float, float]
    slow: float | None
    routes: tuple[str, ...]
    seen: str | None

    @classmethod
    def of_message(cls, case: dict[str, Any]) -> "Case":
        part, floor = case["tolerate"]
        return cls(
            case["release"],
            case["service"],
            case["stable"],
            case["candidate"],
            bool(case["units"]),
            float(case["origin"]),
            (float(part), float(floor)),
            case["slow"],
            tuple(case["routes"]),
            case["seen"],
        )


class Place:
    """What is true of requests to one version that begin now; ``weight`` None: no label is drawn now.

    Replaced when that changes. Of the second that was counted last it knows the columns.
    """

    __slots__ = (
        "_count", "_lines", "arm", "counted", "docket", "dockets", "excluded", "others", "sheet", "slot", "unkeyed",
        "weight",
    )  # fmt: skip

    counted: Counted | None
    excluded: Column
    unkeyed: Column

    def __init__(self, docket: "Docket", arm: int, slot: int, weight: float | None, *, others: bool) -> None:
        self.docket = docket
        self.dockets: tuple[Docket, ...] = (docket,)
        """All that wait for the end of its requests."""
        self._lines = docket.lines
        self._count: Callable[[], None] = docket.count
        self.arm = arm
        self.slot = slot
        self.weight = weight
        self.others = others
        self.sheet = docket.no_sheet

    def end(self, exchange: "Ending", now: float) -> None:
        """Its first attempt was the only one, and is over: an error if its answer is a 5xx, or was cut short.

        Its time is the one until the answer's head.
        """
        answered = exchange.answered_at
        if answered <= 0.0:
            self.break_off(exchange, exchange.error, now)
            return
        exchange.place = None
        error = exchange.error
        self._lines.append((
            self, exchange.started, answered - exchange.started,
            exchange.status >= 500 or (error is not None and error in BLAMED),
            exchange.decision, exchange.head.path, exchange.last_backend,
        ))  # fmt: skip
        if len(self._lines) >= PORTION:
            self._count()

    def break_off(self, exchange: "Ending", source: Source | None, now: float) -> None:
        """Its first attempt is over without an answer, by the doing of ``source``."""
        self.write(exchange, now, None if source is Source.GATEKEEPER else source in BLAMED)

    def give_up(self, exchange: "Ending", now: float) -> None:
        """It was waited for long enough: what is not answered has failed, unless the client has not asked yet."""
        if exchange.answered_at > 0.0:
            self.end(exchange, now)
        else:
            self.write(exchange, now, not exchange.awaits_client)

    def write(self, exchange: "Ending", now: float, failed: bool | None) -> None:
        """One line for each request."""
        exchange.place = None
        started = exchange.started
        self._lines.append((
            self, started, now - started, failed, exchange.decision, exchange.head.path, exchange.last_backend
        ))  # fmt: skip
        if len(self._lines) >= PORTION:
            self._count()


class Docket:
    """One case's. ``bind`` it to each table; then, often, ``count``, ``seal``, and ``take`` what was sealed."""

    def __init__(self, case: Case, seen: memoryview | None = None) -> None:
        """``seen`` are the bits of units that were seen before, see ``gatekeeper.core.judge.units``."""
        self.case = case
        self.places: tuple[Place, ...] = ()
        """Stable's and the candidate's; none while the table has not both."""
        self._seen = seen
        self._terms = Terms(
            case.units,
            (limits(0.0, 0.0), limits(*case.tolerate)),
            float("inf") if case.slow is None else case.slow,
            Prefixes(case.routes) if case.routes else None,
        )
        # In mode pin who has an id, but no pin, is drawn again by that id: no coin.
        self._drawn = (STICKY, SPLIT) if case.units else (SPLIT,)
        self.lines: list[Line] = []
        self.no_sheet = Sheet(-1, 0.0, NEVER, self._terms)
        self._open: dict[int, Sheet] = {}
        self._sealed: deque[Part] = deque(maxlen=MOST_PARTS)
        self._upto = -1

    def bind(self, route: "ServiceRoute", ready: "Ready") -> None:
        """Follow a table, or who is ready, from the next request on."""
        case = self.case
        stable, candidate = route.versions.get(case.stable), route.versions.get(case.candidate)
        if stable is None or candidate is None:
            self.places = ()
            return
        both = stable.weight + candidate.weight
        weight = float(candidate.weight / both) if both and ready[stable.slot] and ready[candidate.slot] else None
        others = any(each.weight for each in route.versions.values() if each is not stable and each is not candidate)
        self.places = tuple(
            Place(self, arm, version.slot, weight, others=others) for arm, version in enumerate((stable, candidate))
        )

    # Counting

    def second(self, started: float) -> int:
        """The second in which a request arrived. One that was handed on is over, whatever a clock may say."""
        return max(int(started - self.case.origin), self._upto + 1)

    def count(self) -> None:
        """Count what was written down."""
        units, seen, drawn = self._terms.units, self._seen, self._drawn
        for place, started, took, failed, decision, path, backend in self.lines:
            if not place.sheet.since <= started < place.sheet.until:
                self._turn(place, started)
            if decision.forced:
                continue
            counted = place.counted
            if (
                counted is None
                or failed is None
                or decision.reason not in drawn
                or decision.failed_over_from is not None
            ):
                place.excluded.book(took, failed is True)
            elif not units:
                counted.draw(took, failed, path, backend)
            elif decision.unit < 0:
                place.unkeyed.book(took, failed)
            else:
                bucket = counted.draw(took, failed, path, backend)
                unit = decision.unit
                known = seen is not None and first_seen(seen, unit)
                if (
                    (failed or not known)
                    and isinstance(counted, Keyed)
                    and counted.note(unit, started, bucket, failed, path, known=known)
                ):
                    place.sheet.noted()
        self.lines.clear()

    def _turn(self, place: Place, started: float) -> None:
        """Let a place know the columns of another second."""
        at = self.second(started)
        sheet = self._open.get(at)
        if sheet is None:
            since = self.case.origin + at
            sheet = self._open[at] = Sheet(at, since, since + 1, self._terms)
        sheet.others = sheet.others or place.others
        cell = None if place.weight is None else sheet.counted(place.weight)
        place.sheet = sheet
        place.counted = None if cell is None else cell[place.arm]
        place.excluded, place.unkeyed = sheet.excluded[place.arm], sheet.unkeyed[place.arm]

    # Sealing

    def overdue(self, started: float, now: float) -> bool:
        """Whether a request that arrived then was waited for long enough."""
        return now >= self.case.origin + self.second(started) + 1 + SEAL_AFTER

    def seal(self, now: float, waits: int | None = None, *, last: bool = False) -> None:
        """Seal what is over; all that ended is counted. ``waits``: the first second of which a request is still open.

        ``last``: the present second is over, too, as no request begins any more.
        """
        over = int(now - self.case.origin) + last
        if waits is not None:
            over = min(over, waits)
        for at in sorted(at for at in self._open if at < over):
            sheet = self._open.pop(at)
            sheet.until = NEVER
            part = sheet.part(self._seen)
            if part is not None:
                self._sealed.append(part)
        self._upto = max(self._upto, over - 1)

    def take(self) -> list[Any]:
        """``[release, service, upto, parts]``: what was sealed since the last call, and up to which second all is."""
        parts = list(self._sealed)
        self._sealed.clear()
        return [self.case.release, self.case.service, self._upto, parts]
