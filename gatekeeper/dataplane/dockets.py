"""All that a worker records for judges, and the little it notes of services that nobody judges.

``places`` says for each slot of the present table who wants to know of a request that begins there: the place in the
docket of a judged service, the sampler, or nobody. Looking there is all that a request of another service pays.

The sampler finds out which routes a service has, so that they are known when a release begins. It takes one request to
each version after each sweep, and then steps aside: ten a second tell the busy routes, whatever the load, and cost the
other requests nothing.
"""

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatekeeper.channel import Message
from gatekeeper.core.judge.units import SIZE
from gatekeeper.core.routing import Decision, RoutingTable, ServiceRoute
from gatekeeper.core.service import Ready
from gatekeeper.dataplane.docket import Case, Docket, Line, Place
from gatekeeper.dataplane.flag_docket import Board, Both, FlagDocket, Watch, book
from gatekeeper.dataplane.paths import route_of
from gatekeeper.dataplane.tunnel import Tunnel
from gatekeeper.errors import Source

if TYPE_CHECKING:
    from gatekeeper.dataplane.downstream import Downstream
    from gatekeeper.dataplane.ending import Ending

TELL_AFTER: Final = 0.3
"""Seconds after the end of a second at which it is told: most of its requests have ended by then."""
ROUTES_SECONDS: Final = 10.0
"""Between two messages about routes."""
MOST_ROUTES: Final = 4096
"""Routes in such a message, of all services: 400 KB. Who sends made-up paths fills it, until the next one."""


class Sampler:
    """Counts the routes of some requests; ``places`` is where it stands, and is missing where it has just seen one."""

    def __init__(self) -> None:
        self.places: Places = []
        self._away: list[int] = []
        self._counts: dict[str, dict[str, int]] = {}
        self._many = 0

    def end(self, exchange: "Ending", now: float) -> None:
        """Its first attempt is over."""
        del now
        exchange.place = None
        decision = exchange.decision
        slot = decision.version.slot
        if slot >= len(self.places) or self.places[slot] is not self:
            return  # it has seen another one since
        self.places[slot] = None
        self._away.append(slot)
        self.note(decision, exchange.head.path)

    def note(self, decision: Decision, path: bytes) -> None:
        """Count the route of a request."""
        if decision.forced:
            return
        routes = self._counts.setdefault(decision.service.name, {})
        route = route_of(path)
        if route in routes:
            routes[route] += 1
        elif self._many < MOST_ROUTES:
            self._many += 1
            routes[route] = 1

    def break_off(self, exchange: "Ending", source: Source | None, now: float) -> None:
        """The same, without an answer."""
        del source
        self.end(exchange, now)

    def write(self, exchange: "Ending", now: float, failed: bool | None) -> None:
        """The same, as a failure or not."""
        del failed
        self.end(exchange, now)

    def stand(self, places: "Places") -> None:
        """Stand in another list, in which it was put."""
        self.places = places
        self._away.clear()

    def come_back(self) -> None:
        """Take the next request of each version."""
        for slot in self._away:
            if self.places[slot] is None:
                self.places[slot] = self
        self._away.clear()

    def take(self) -> dict[str, dict[str, int]]:
        """Service -> route -> requests, since the last call."""
        counts, self._counts = self._counts, {}
        self._many = 0
        return {service: routes for service, routes in counts.items() if routes}


Places = list[Place | Sampler | None]


class Dockets:
    """``bind`` to each table, ``judge`` what the supervisor asks for, ``look`` at each sweep, ``close`` at the end."""

    def __init__(self) -> None:
        self.places: Places = []
        self._dockets: dict[tuple[int, str], Docket] = {}
        self._flags: dict[tuple[int, str], FlagDocket] = {}
        self._watched: dict[str, list[Line]] = {}
        """Service with flags that are judged -> what was written down of its requests."""
        self._telling: list[ServiceRoute] = []
        self._sampler = Sampler()
        self._told = -1
        """The second of the last sealing."""
        self._owed = False
        """Whether the supervisor was not told of it yet."""
        self._routes_told: float | None = None

    def bind(self, table: RoutingTable, ready: Ready) -> Places:
        """Follow a table, or who is ready, or what is judged; the places by slot."""
        routes = table.services.values()
        slots = 1 + max((version.slot for route in routes for version in route.versions.values()), default=0)
        self.places = [self._sampler] * slots
        for route in self._telling:
            route.tells_units = False
        self._telling = []
        for docket in self._dockets.values():
            judged = table.services.get(docket.case.service)
            if judged is not None:
                docket.bind(judged, ready)
                for place in docket.places:
                    self.places[place.slot] = place
                if docket.case.units:
                    self._tell_units(judged)
        self._watch(table)
        self._sampler.stand(self.places)
        return self.places

    def _tell_units(self, route: ServiceRoute) -> None:
        route.tells_units = True
        self._telling.append(route)

    def _watch(self, table: RoutingTable) -> None:
        """Have requests of services with flags that are judged watched."""
        watching: dict[str, list[Board]] = {}
        for docket in self._flags.values():
            docket.follow(table)
            if docket.board is not None:
                for name in docket.services or table.services:
                    watching.setdefault(name, []).append(docket.board)
        self._watched = {name: self._watched.get(name, []) for name in watching}
        for name, found in watching.items():
            route = table.services.get(name)
            if route is None:
                continue
            boards, lines = tuple(found), self._watched[name]
            for version in route.versions.values():
                inner = self.places[version.slot]
                watch = Both(lines, boards, inner) if isinstance(inner, Place) else Watch(lines, boards)
                self.places[version.slot] = watch
            if any(board.docket.case.units for board in boards):
                self._tell_units(route)

    def judge_flags(self, cases: Iterable[Message]) -> None:
        """Record these flags and no others; ``bind`` is to follow."""
        before, self._flags, self._told = self._flags, {}, -1
        for message in cases:
            case, services = Case.of_message(message), tuple(message["services"])
            key = (case.release, case.service)
            known = before.get(key)
            if known is None or (known.case, known.services) != (case, services):
                known = FlagDocket(case, services, None if case.seen is None else _mapped(case.seen))
            self._flags[key] = known

    def judge(self, cases: Iterable[Message]) -> None:
        """Record these cases and no others; ``bind`` is to follow. What was recorded of those that stay is kept."""
        before, self._dockets, self._told = self._dockets, {}, -1
        for message in cases:
            case = Case.of_message(message)
            key = (case.release, case.service)
            known = before.get(key)
            if known is None or known.case != case:
                known = Docket(case, None if case.seen is None else _mapped(case.seen))
            self._dockets[key] = known

    def look(self, now: float, connections: "Iterable[Downstream]", *, behind: bool = False) -> list[Message]:
        """Count what was written down, and what is to be sent up: seconds once a second, routes now and then.

        ``now`` is monotonic. ``behind``: whoever is told does not listen; what there is waits, within its bounds.
        """
        self._sampler.come_back()
        for lines in self._watched.values():
            if lines:
                self._sampler.note(lines[-1][4], lines[-1][5])
        self._count()
        messages: list[Message] = []
        first = next(self._all(), None)
        if first is not None:
            # By the clock of the first: cases that begin together end their seconds together.
            present = int(now - first.case.origin - TELL_AFTER)
            if present != self._told:
                self._told = present
                self._seal(now, connections)
                self._owed = True
            if self._owed and not behind:
                self._owed = False
                messages += self._messages()
        if self._routes_told is None:
            self._routes_told = now
        if now - self._routes_told >= ROUTES_SECONDS and not behind:
            self._routes_told = now
            if routes := self._sampler.take():
                messages.append({"type": "routes", "of": routes})
        return messages

    def close(self, now: float, connections: "Iterable[Downstream]") -> list[Message]:
        """The last of what is recorded, and record no more. What is open will be cut by us: nobody is to blame."""
        for exchange, place in _open(connections):
            if exchange.answered_at > 0.0:
                place.end(exchange, now)
            else:
                place.write(exchange, now, None)
        self._count()
        for docket in self._all():
            docket.seal(now, last=True)
        messages = self._messages()
        self._dockets, self._flags, self._watched = {}, {}, {}
        return messages

    def _all(self) -> Iterator[Docket]:
        yield from self._dockets.values()
        yield from self._flags.values()

    def _count(self) -> None:
        for docket in self._dockets.values():
            docket.count()
        for lines in self._watched.values():
            book(lines)

    def _seal(self, now: float, connections: "Iterable[Downstream]") -> None:
        waits: dict[Docket, int] = {}
        for exchange, place in _open(connections):
            if any(docket.overdue(exchange.started, now) for docket in place.dockets):
                place.give_up(exchange, now)
                continue
            for docket in place.dockets:
                at = docket.second(exchange.started)
                waits[docket] = min(waits.get(docket, at), at)
        self._count()
        for docket in self._all():
            docket.seal(now, waits.get(docket))

    def _messages(self) -> list[Message]:
        told = (("seconds", self._dockets.values()), ("flag_seconds", self._flags.values()))
        return [{"type": kind, "of": [docket.take() for docket in of]} for kind, of in told if of]


def _open(connections: "Iterable[Downstream]") -> "Iterator[tuple[Ending, Place]]":
    """Requests of judged services whose first attempt is not over. 10,000 connections take a millisecond."""
    for connection in connections:
        exchange = connection.exchange
        if exchange is not None and not isinstance(exchange, Tunnel) and isinstance(exchange.place, Place):
            yield exchange, exchange.place


def _mapped(path: str) -> memoryview | None:
    """The bits of units that were seen before, as they change; None where there is no such file: more is sent then."""
    try:
        with Path(path).open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), SIZE, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        return None
