"""All backends of this worker, and their states as the supervisor last told.

The present table says which there should be; the supervisor's picture says which addresses a host name has, and what
state each backend is in. A backend that neither names any more leaves the roster when its last connection has ended;
one that comes back before is the same one.
"""

import time
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from gatekeeper.core.model import OnUnavailable
from gatekeeper.core.routing import RoutingTable, ServiceRoute
from gatekeeper.dataplane.backends import Backend, Key, Secure
from gatekeeper.dataplane.groups import Group
from gatekeeper.dataplane.outcomes import LOOK_BACK_SECONDS, look_back, report
from gatekeeper.tls.material import Contexts

# What a backend is given of its share of the requests when its slow start begins.
SLOWEST = 0.1

# Backends that are looked at in one sweep, 0.1 ms. All of 20,000 take a millisecond: each has its turn once a second.
LOOKS_AT_ONCE = 2048

States = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Service -> version -> id -> ``pending``, ``ready``, ``ejected`` or ``draining``."""
Ages = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Service -> version -> id -> seconds since it became ready."""
Name = tuple[str, str]
"""Service, version."""

_NOTHING: Mapping[str, Any] = {}
# Without a supervisor nobody will ever say that these are well again.
_PERHAPS = ("ready", "ejected", "pending")

monotonic = time.monotonic


class Roster:
    """``groups`` and ``ready`` (how many of each may get requests) are the present table's, by slot."""

    def __init__(self) -> None:
        self.groups: list[Group | None] = []
        self.ready: list[int] = []
        self._known: dict[Key, Backend] = {}
        self._left: dict[Key, Backend] = {}
        """Those that nothing names any more and that still have connections or requests."""
        self._by_name: dict[Name, Group] = {}
        self._services: Mapping[str, ServiceRoute] = {}
        self._states: States = {}
        self._since: dict[Key, float] = {}
        """When backends in slow start became ready, monotonic seconds, as the supervisor last told."""
        self._warming: list[tuple[Backend, Group, float]] = []
        """The same of those that are here."""
        self._failing: dict[Backend, None] = {}
        """Those that failed since the last report."""
        self._looking: list[Backend] = []
        """Those whose idle connections are still to be looked at in this round."""
        self._looked_back = 0.0
        self._open = 0
        """Connections at most: those that were there when they were counted, and those made since."""

    # What the supervisor tells

    def bind(self, table: RoutingTable) -> tuple[list[Group | None], list[int]]:
        """Follow a new table: its groups and their ready counts, indexed by slot.

        A version whose backends are defined as before keeps its group, so that requests that began by an earlier table
        heed what the supervisor tells from now on.
        """
        self._services = table.services
        routes = [(service, route) for service in table.services.values() for route in service.versions.values()]
        # A slot may lie beyond the metrics block (it then counts as overflow), so the table says how many there are.
        slots = 1 + max((route.slot for _, route in routes), default=0)
        groups: list[Group | None] = [None] * slots
        before, self._by_name = self._by_name, {}
        for service, route in routes:
            name = (service.name, route.name)
            group = before.get(name)
            if group is None or group.entries != route.version.backends:
                group = Group([], route.version.backends)
            else:
                del before[name]
            group.slow_start = service.definition.slow_start
            self._by_name[name] = groups[route.slot] = group
        self.groups, self.ready = groups, [0] * slots
        self._fill(before.values())
        return groups, self.ready

    def show(self, states: States, ages: Ages) -> None:
        """Take over the supervisor's picture; what it does not name is ready. ``ages`` are of those in slow start."""
        now = monotonic()
        self._states = states
        self._since = {
            (service, version, identity): now - age
            for service, versions in ages.items()
            for version, found in versions.items()
            for identity, age in found.items()
        }
        self._fill(())

    def orphaned(self) -> None:
        """The supervisor is gone for good, and its last picture stays: nobody is to be shut out by it for ever."""
        for service in self._services.values():
            self._try_the_rest(service)

    def protect(self, table: RoutingTable, contexts: Contexts) -> None:
        """Connect by TLS where a table's backends ask for it. Raises PemError or MissingError, see ``contexts``."""
        for service in table.services.values():
            for route in service.versions.values():
                group = self._by_name.get((service.name, route.name))
                if group is not None and any(entry.url.startswith("https:") for entry in group.entries):
                    tls = route.version.tls
                    group.protect(Secure(contexts.client(tls), tls.server_name))

    def _fill(self, dropped: Iterable[Group]) -> None:
        """Put into every group the backends that its entries are by the picture, each in its state.

        Only groups for which something has changed are touched: a picture comes with each change of one backend.
        """
        states, nothing = self._states, _NOTHING
        changed = [
            (name, group, found)
            for name, group in self._by_name.items()
            if group.states != (found := states.get(name[0], nothing).get(name[1], nothing))
        ]
        gone = {
            backend.key: backend
            for group in chain(dropped, (group for _, group, _ in changed))
            for backend, _ in group.members
        }
        for key in gone:
            self._known.pop(key, None)
        for name, group, found in changed:
            members = []
            for identity, weight in group.resolved(found):
                key = (*name, identity)
                backend = self._known.get(key) or gone.pop(key, None) or self._left.pop(key, None)
                backend = backend or Backend(key, self._failing)
                self._known[key] = backend
                backend.become(found.get(identity, "ready"))
                members.append((backend, weight))
            group.fill(members, found)
        for backend in gone.values():
            backend.part()
            if backend.connections or backend.in_flight:
                self._left[backend.key] = backend
        self._warm()
        for slot, place in enumerate(self.groups):
            if place is not None:
                self.ready[slot] = len(place.ready)

    def _try_the_rest(self, service: ServiceRoute) -> None:
        """Give backends that were ejected or pending those requests that would else get a 503 for certain.

        As long as requests fail over to a version that has a ready backend, they are better off there.
        """
        ready = self.ready
        versions = service.versions.values()
        if service.definition.on_unavailable is OnUnavailable.FAIL_OVER and any(
            ready[route.slot] for route in versions if route is service.stable or route.weight > 0
        ):
            return
        for route in versions:
            group = self.groups[route.slot]
            if group is not None and not ready[route.slot]:
                ready[route.slot] = group.refresh(_PERHAPS)

    # Slow start

    def _warm(self) -> None:
        """Begin anew with those in slow start."""
        for backend, group, _ in self._warming:
            backend.factor = 1.0
            group.ration()
        self._warming = [
            (here, place, since)
            for key, since in self._since.items()
            if (here := self._known.get(key)) is not None and (place := self._by_name[key[:2]]).slow_start > 0.0
        ]
        if self._warming:
            self._grow(monotonic())

    def _grow(self, now: float) -> None:
        """Set the factors by age; who is grown up is no longer looked at."""
        warming = []
        touched = {}
        for each in self._warming:
            backend, group, since = each
            part = (now - since) / group.slow_start
            backend.factor = min(1.0, max(SLOWEST, part))
            touched[id(group)] = group
            if part < 1.0:
                warming.append(each)
        self._warming = warming
        for group in touched.values():
            group.ration()

    # Time, room, ends

    def sweep(self, now: float) -> None:
        """To be called ten times a second; ``now`` is monotonic seconds."""
        looking = self._looking = self._looking or list(self._known.values())
        for _ in range(min(len(looking), LOOKS_AT_ONCE)):
            backend = looking.pop()
            if backend.idle:
                backend.trim(now)
        if self._warming:
            self._grow(now)
        if self._left:
            self._left = {
                key: backend for key, backend in self._left.items() if backend.connections or backend.in_flight
            }
        if now - self._looked_back >= LOOK_BACK_SECONDS:
            self._looked_back = now
            look_back(self._known.values())

    def outcomes(self) -> list[list[Any]]:
        """What is to be told of backends that failed since the last call, see ``outcomes``."""
        if not self._failing:
            return []
        rows = report(backend for backend in self._failing if self._known.get(backend.key) is backend)
        left = [backend for backend in self._failing if backend.failures and self._left.get(backend.key) is backend]
        self._failing.clear()
        self._failing.update(dict.fromkeys(left))  # they may come back
        return rows

    def all(self) -> "chain[Backend]":
        """Every backend that may have connections, also those that nothing names any more."""
        return chain(self._known.values(), self._left.values())

    def make_room(self, most: int) -> None:
        """Close an idle connection if ``most`` are open: descriptors are for those in use. Before one is made."""
        self._open += 1
        if self._open <= most:
            return  # counting 20,000 backends takes a millisecond
        self._open = 1 + sum(backend.connections for backend in self.all())
        if self._open > most:
            idle = max((backend.idle for backend in self._known.values()), key=len, default={})
            oldest = next(iter(idle), None)
            if oldest is not None:
                del idle[oldest]
                oldest.close()

    def close_idle(self, name: Name) -> None:
        """Close the idle connections of one version."""
        group = self._by_name.get(name)
        for backend, _ in () if group is None else group.members:
            backend.close_idle()

    def close(self) -> None:
        for backend in self.all():
            backend.part()
