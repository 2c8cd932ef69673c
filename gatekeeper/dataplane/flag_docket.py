"""What is recorded of one flag that is judged: requests by whether their flag's split gave them ``off`` or another one.

It is a ``docket`` whose arms are variants, of all services of the flag. Where a request belongs is not said by where
it goes but by what its flags came to, so requests to these services get a ``Watch``, one for each version: it writes
one line for all flags of the service, and tells whoever records the version, too.

Only what the split decided is looked at: who is not met by the flag's condition has ``off`` for another reason than a
draw. Where the flag is on for everybody there is nothing to compare, and what they do counts for absolute bounds.
"""

from collections.abc import Iterable
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Final, cast

from gatekeeper.core.flags.evaluate import LONGEST_UNIT, FlagRoute
from gatekeeper.core.flags.judged import share, sticks
from gatekeeper.core.judge.units import first_seen
from gatekeeper.dataplane.columns import Keyed
from gatekeeper.dataplane.docket import CANDIDATE, STABLE, Case, Docket, Line, Place

if TYPE_CHECKING:
    from gatekeeper.core.flags.evaluate import Evaluated
    from gatekeeper.core.routing import RoutingTable
    from gatekeeper.dataplane.ending import Ending

NEITHER: Final = 2
REMEMBERED = 4096
"""Results of which the arm is remembered, as many as are kept of a service at a time; with them go their lines."""
POINTS = 16_384
"""Units whose points are remembered, 2 MB a flag and 6 MB with the longest: a hash costs as much as all the rest."""


class Board:
    """What holds of a flag for requests that begin under one table; ``weight`` None: no variant is drawn now."""

    __slots__ = ("_name", "_off", "arms", "docket", "places", "points", "route")

    def __init__(self, docket: "FlagDocket", route: FlagRoute) -> None:
        self.docket = docket
        self.route = route
        part = share(route.state)
        weight = part if 0.0 < part < 1.0 else None
        self.places = tuple(Place(docket, arm, 0, weight, others=False) for arm in (STABLE, CANDIDATE))
        self._name = route.name
        self._off = route.state.definition.off
        self.arms: dict[Evaluated, int] = {}
        self.points: dict[bytes, int] = {}
        """What ``learn`` and ``point`` found."""

    def learn(self, evaluated: "Evaluated") -> int:
        """The arm of requests with these flags; NEITHER: the flag's condition gave them ``off``, and no draw."""
        variant = dict(evaluated.variants).get(self._name, self._off)
        if len(self.arms) >= REMEMBERED:
            self.arms.clear()
        arm = CANDIDATE if variant != self._off else STABLE if self._name in evaluated.drawn else NEITHER
        self.arms[evaluated] = arm
        return arm

    def point(self, who: bytes) -> int:
        """Of a unit, in the flag's own hash range."""
        point = self.route.point(who)
        if len(who) <= LONGEST_UNIT:
            if len(self.points) >= POINTS:
                self.points.clear()
            self.points[who] = point
        return point


class Watch(Place):
    """Of the requests to one version of a service with flags that are judged."""

    __slots__ = ("boards",)

    def __init__(self, lines: list[Line], boards: tuple[Board, ...]) -> None:
        super().__init__(boards[0].docket, STABLE, 0, None, others=False)
        self._lines = lines
        self._count = partial(book, lines)
        self.boards = boards
        self.dockets = tuple(board.docket for board in boards)


class Both(Watch):
    """The same where a release of the service is judged, too; ``inner`` is the place of the version in its docket."""

    __slots__ = ("inner",)

    def __init__(self, lines: list[Line], boards: tuple[Board, ...], inner: Place) -> None:
        super().__init__(lines, boards)
        self.inner = inner
        self.dockets += inner.dockets

    def end(self, exchange: "Ending", now: float) -> None:
        if exchange.answered_at > 0.0:
            self.inner.end(exchange, now)
        super().end(exchange, now)

    def write(self, exchange: "Ending", now: float, failed: bool | None) -> None:
        self.inner.write(exchange, now, failed)
        super().write(exchange, now, failed)


class FlagDocket(Docket):
    """One flag's: ``Case.service`` is its name, ``services`` are those it is judged in, empty: all. ``follow`` each
    table; ``book`` what watches wrote.
    """

    def __init__(self, case: Case, services: tuple[str, ...], seen: memoryview | None = None) -> None:
        super().__init__(case, seen)
        self.services = services
        self.board: Board | None = None
        """None while the flag is off, or gone."""

    def follow(self, table: "RoutingTable") -> None:
        """Follow it from the next request on."""
        route = None if table.flags is None else table.flags.routes.get(self.case.service)
        if route is None or share(route.state) <= 0.0:
            self.board = None
        elif self.board is None or self.board.route is not route:
            self.board = Board(self, route)

    def book(self, board: Board, lines: Iterable[Line]) -> None:
        """Count these lines, of requests that began while ``board`` held."""
        units, seen = self._terms.units, self._seen
        arms, points, places = board.arms, board.points, board.places
        for _, started, took, failed, decision, path, backend in lines:
            evaluated = decision.flags
            if evaluated is None or decision.forced:
                continue
            arm = arms.get(evaluated)
            if arm is None:
                arm = board.learn(evaluated)
            if arm == NEITHER:
                continue
            place = places[arm]
            if not place.sheet.since <= started < place.sheet.until:
                self._turn(place, started)
            counted = place.counted
            if counted is None or failed is None:
                place.excluded.book(took, failed is True)
            elif not units:
                counted.draw(took, failed, path, backend)
            elif not decision.who:
                # Where requests have variants nobody expects an id; they are left out whatever they drew.
                column = place.unkeyed if sticks(decision.service.definition) else place.excluded
                column.book(took, failed)
            else:
                bucket = counted.draw(took, failed, path, backend)
                unit = points.get(decision.who, -1)
                if unit < 0:
                    unit = board.point(decision.who)
                known = seen is not None and first_seen(seen, unit)
                if (
                    (failed or not known)
                    and isinstance(counted, Keyed)
                    and counted.note(unit, started, bucket, failed, path, known=known)
                ):
                    place.sheet.noted()


def book(lines: list[Line]) -> None:
    """Count lines that watches of one service wrote, for each of its flags."""
    for boards, found in groupby(lines, _boards):
        rows = list(found)
        for board in boards:
            board.docket.book(board, rows)
    lines.clear()


def _boards(line: Line) -> tuple[Board, ...]:
    return cast("Watch", line[0]).boards
