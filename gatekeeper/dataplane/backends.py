"""Backends: who is ready, how much each has to do, and their idle connections.

A backend is known by (service, version, url), not by snapshot: its connections and its count of requests in flight
outlive every change of weights and every reload that still names it. A ``Group`` is one version's backends as one
snapshot sees them.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from gatekeeper.core.routing import RoutingTable
from gatekeeper.dataplane.link import ClientLink
from gatekeeper.tls.material import Contexts

if TYPE_CHECKING:
    from gatekeeper.dataplane.upstream import Upstream

# Idle connections kept per backend and worker. A worker saturates its core with a few hundred requests in flight;
# what exceeds this was a burst, and costs the backend memory.
MAX_IDLE = 512
# Connections in all per backend and worker. Beyond it the backend counts as not ready: one address offers about
# 28,000 local ports, and a queue without bound would only move the wait in here.
MAX_CONNECTIONS = 20_000
# Seconds an idle connection is kept. Common servers close at 60 to 75 s (nginx 75, gunicorn 2, node 5); who closes
# earlier is noticed at once, because idle connections are being read.
IDLE_SECONDS = 55.0

Key = tuple[str, str, str]


class Backend:
    """One address of a version. ``state`` is ready, pending, ejected or draining; only ready ones get requests."""

    __slots__ = ("connections", "idle", "in_flight", "key", "named", "secure", "state", "url")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.url = key[2]
        self.state = "ready"
        self.in_flight = 0
        self.connections = 0
        self.idle: list[Upstream] = []
        self.named = True
        self.secure: Secure | None = None

    @property
    def authority(self) -> bytes:
        """What stands in Host where a client sent none."""
        return b"localhost" if self.url.startswith("unix:") else self.url.partition("://")[2].encode()

    def protect(self, secure: "Secure | None") -> None:
        """Connect by these means from now on; what was connected by others is not used again."""
        if secure != self.secure:
            self.secure = secure
            self.close_idle(float("inf"))

    def take(self) -> "Upstream | None":
        """The most recently used idle connection: the one least likely to be closed by the backend just now."""
        while self.idle:
            upstream = self.idle.pop()
            if not upstream.transport.is_closing():
                return upstream
        return None

    def give(self, upstream: "Upstream", now: float) -> None:
        """Keep a clean connection for the next request, or close it when nothing names the backend any more."""
        if self.named and len(self.idle) < MAX_IDLE:
            upstream.idle_since = now
            self.idle.append(upstream)
        else:
            upstream.close()

    def retire(self) -> None:
        self.named = False
        self.close_idle(float("inf"))

    def close_idle(self, before: float) -> None:
        """Close connections idle since before this monotonic time; the oldest stand first."""
        while self.idle and self.idle[0].idle_since < before:
            self.idle.pop(0).close()

    async def connect(self, loop: asyncio.AbstractEventLoop, factory: Callable[[], "Upstream"]) -> None:
        """Make a new connection. Raises OSError (ssl.SSLError is one); the caller bounds the time."""
        if self.url.startswith("unix:"):
            await loop.create_unix_connection(factory, self.url[5:])
            return
        host, _, port = self.url.partition("://")[2].rpartition(":")
        host = host.strip("[]")
        if self.secure is None:
            await loop.create_connection(factory, host, int(port))
            return
        link = ClientLink(factory(), self.secure.context, self.secure.name or host, loop)
        try:
            await loop.create_connection(lambda: link, host, int(port))
            await link.ready
        except BaseException:
            link.abort()
            raise


class Secure(NamedTuple):
    """TLS to a backend: the context, and the name to ask for and verify where it is not the url's host."""

    context: ssl.SSLContext
    name: str | None


class Group:
    """One version's backends with their weights."""

    __slots__ = ("_turn", "members", "ready")

    def __init__(self, members: list[tuple[Backend, int]]) -> None:
        self.members = members
        self._turn = 0
        self.ready: list[tuple[Backend, int]] = []
        self.refresh()

    def refresh(self) -> int:
        """Look at the states again; how many are ready."""
        self.ready = [member for member in self.members if member[0].state == "ready"]
        return len(self.ready)

    def claim(self, tried: tuple[Backend, ...] = ()) -> Backend | None:
        """Choose the ready backend with the least in flight per weight and count the request, in one step.

        Ties go round. ``tried`` are avoided while there is another choice.
        """
        ready = self.ready
        count = len(ready)
        if count == 1:
            backend = ready[0][0]
            if backend.connections >= MAX_CONNECTIONS and not backend.idle:
                return None
            backend.in_flight += 1
            return backend
        best: Backend | None = None
        best_load = float("inf")
        self._turn = turn = self._turn + 1
        for index in range(count):
            backend, weight = ready[(turn + index) % count]
            load = (backend.in_flight + 1) / weight
            if backend in tried:
                load += 1e9  # behind all others, but better than nothing
            if load < best_load and (backend.idle or backend.connections < MAX_CONNECTIONS):
                best, best_load = backend, load
        if best is not None:
            best.in_flight += 1
        return best


class Backends:
    """All backends of this worker, and their states as the supervisor last told."""

    def __init__(self) -> None:
        self._known: dict[Key, Backend] = {}
        self._states: Mapping[str, Mapping[str, Mapping[str, str]]] = {}

    def bind(self, table: RoutingTable) -> tuple[list[Group | None], list[int]]:
        """Groups and their ready counts, indexed by slot, for a table. Backends it no longer names are retired."""
        # A slot may lie beyond the metrics block (it then counts as overflow), so the table says how many there are.
        slots = 1 + max(
            (version.slot for service in table.services.values() for version in service.versions.values()), default=0
        )
        groups: list[Group | None] = [None] * slots
        ready = [0] * slots
        named: dict[Key, Backend] = {}
        for service in table.services.values():
            for version in service.versions.values():
                members = []
                for entry in version.version.backends:
                    key = (service.name, version.name, entry.url)
                    backend = self._known.get(key) or Backend(key)
                    named[key] = backend
                    members.append((backend, entry.weight))
                group = groups[version.slot] = Group(members)
                ready[version.slot] = len(group.ready)
        for key, backend in self._known.items():
            if key not in named:
                backend.retire()
        self._known = named
        self.apply_states(self._states, groups, ready)
        return groups, ready

    def apply_states(
        self,
        states: Mapping[str, Mapping[str, Mapping[str, str]]],
        groups: list[Group | None],
        ready: list[int],
    ) -> None:
        """Take over the supervisor's picture: service -> version -> url -> state; what it does not name is ready."""
        self._states = states
        for (service, version, url), backend in self._known.items():
            backend.state = states.get(service, {}).get(version, {}).get(url, "ready")
        for slot, group in enumerate(groups):
            if group is not None:
                ready[slot] = group.refresh()

    def protect(self, table: RoutingTable, contexts: Contexts) -> None:
        """Connect by TLS where a table's backends ask for it. Raises PemError or MissingError, see ``contexts``."""
        for service in table.services.values():
            for route in service.versions.values():
                tls = route.version.tls
                for entry in route.version.backends:
                    backend = self._known.get((service.name, route.name, entry.url))
                    if backend is not None and entry.url.startswith("https:"):
                        backend.protect(Secure(contexts.client(tls), tls.server_name))

    def sweep(self, now: float) -> None:
        for backend in self._known.values():
            if backend.idle:
                backend.close_idle(now - IDLE_SECONDS)

    def make_room(self, most: int) -> None:
        """Close an idle connection if ``most`` are open: descriptors are for those in use. Before one is made."""
        if sum(backend.connections for backend in self._known.values()) >= most:
            idle = max((backend.idle for backend in self._known.values()), key=len)
            if idle:
                idle.pop(0).transport.close()

    def close(self) -> None:
        for backend in self._known.values():
            backend.retire()
