"""What all connections of one worker share: the current snapshot, the limits, the counters."""

import asyncio
import contextlib
import os
import random
import resource
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from gatekeeper.channel import Message
from gatekeeper.core.model import Settings, State, Tracing
from gatekeeper.core.networks import Networks
from gatekeeper.core.routing import RoutingTable, ServiceRoute, compile  # noqa: A004 - the field's word for it
from gatekeeper.dataplane.asking import Asking, ask
from gatekeeper.dataplane.departure import Departure, Report
from gatekeeper.dataplane.dockets import Dockets, Places
from gatekeeper.dataplane.door import Entrance, entrances
from gatekeeper.dataplane.groups import Group
from gatekeeper.dataplane.ids import Ids
from gatekeeper.dataplane.pouring import Pieces
from gatekeeper.dataplane.replies import local_reply
from gatekeeper.dataplane.retry import Budget
from gatekeeper.dataplane.roster import Ages, Roster, States
from gatekeeper.dataplane.shadow.shadows import Shadows
from gatekeeper.dataplane.tally import Tally
from gatekeeper.dataplane.tracing import Tracer
from gatekeeper.errors import Fault
from gatekeeper.http1.memory import Memory
from gatekeeper.http1.request import RequestFields
from gatekeeper.http1.response import ResponseHead
from gatekeeper.telemetry.accesslog import AccessLog
from gatekeeper.telemetry.block import Refusal
from gatekeeper.telemetry.recorder import Recorder
from gatekeeper.tls.material import Contexts, check_tls

if TYPE_CHECKING:
    from gatekeeper.dataplane.downstream import Downstream
    from gatekeeper.dataplane.parting import Parting
    from gatekeeper.dataplane.tunnel import Tunnel

# How often deadlines are looked at, seconds. A timeout is late by at most this much; 10,000 connections cost about
# 1 ms a sweep, 1 % of a core.
SWEEP_SECONDS = 0.1
# Bytes that are not kept until the end of the turn: only a written buffer tells its sender to pause, and one turn reads
# up to 32 times from a connection, 8 MB. With this a reader that stalls costs one read, 256 KB.
AT_ONCE = 16 * 1024
# Connections ended in one turn of the loop. An end costs 0.1 ms, and thousands that began together end together.
ENDS_AT_ONCE = 8
# Connections that are looked up in one sweep, 3 us each.
LOOKS_AT_ONCE = 256
# Connections beyond the limit that are told so at one time; further ones are closed without a word. Told ones take a
# descriptor for a moment, and a flood must not take all of them.
MAX_TURNED_AWAY = 128
# Descriptors that are no client's and no backend's: sockets to listen on, the channel, the loop's own, a lookup of a
# name; and connections that are being turned away or closed just now.
OTHER_DESCRIPTORS = MAX_TURNED_AWAY + 96
# The part of the drain time that tunnels leave free, at least this many sweeps, for their connections to close.
DRAIN_REST = 0.05
DRAIN_REST_SWEEPS = 2.5

# struct linger of socket(7), on and 0 s: what is unsent is thrown away and the peer gets a reset.
_NO_LINGER = struct.pack("ii", 1, 0)


monotonic = time.monotonic


def max_clients() -> int:
    """Connections of clients that leave each one a descriptor for a connection to a backend."""
    return max(1, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OTHER_DESCRIPTORS) // 2)


class Snapshot:
    """One table with the backends it names. Replaced whole; read once per request."""

    __slots__ = ("groups", "ready", "table")

    def __init__(self, table: RoutingTable, groups: list[Group | None], ready: list[int]) -> None:
        self.table = table
        self.groups = groups
        self.ready = ready


class Plane:
    """The traffic path of one worker. Everything here is touched by one event loop only."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        recorder: Recorder,
        log: AccessLog,
        *,
        workers: int = 1,
    ) -> None:
        self.recorder = recorder
        self.log = log
        self.backends = Roster()
        self.entrances: dict[str, Entrance] = {}
        """What listening addresses demand before HTTP begins."""
        self.connections: set[Downstream] = set()
        self.held: set[Parting] = set()
        """Those of them that are not read just now."""
        self._looking: list[Parting] = []
        """Those of these that are still to be looked up in this round."""
        self.turned_away: set[Downstream] = set()
        """Those of them that were beyond the limit: they are being told so."""
        self.tunnels: set[Tunnel] = set()
        self.drain_end: float | None = None
        """Until when tunnels may stay, monotonic seconds; None while nobody asks them to leave."""
        self.departures: list[Departure] = []
        """Versions that are leaving."""
        self._closing: deque[tuple[float, asyncio.Transport]] = deque()
        self.draining = False
        self.draw = partial(random.Random().getrandbits, 64)
        self.wall = time.time()
        """Wall seconds, a sweep old at most: enough for signatures and logs, and a system call less per request."""
        self._workers = workers
        self.snapshot = Snapshot(compile(State(0, Settings(), {}), {}), [], [])
        self.dockets = Dockets()
        self.tally = Tally()
        self.places: Places = []
        """Who is to know of requests that begin, by slot."""
        self.mirroring = Shadows(self, loop)
        self.shadows: Shadows | None = None
        """The same where something is mirrored: who chooses from the requests that begin."""
        self.turns = 0
        """Flushes so far: tells whether what was queued has been written."""
        self._queued: list[tuple[asyncio.Transport, bytes]] = []
        self._call_soon = loop.call_soon
        self.pieces = Pieces()
        self._budgets: dict[str, Budget] = {}
        self.asking: dict[ServiceRoute, Asking] = {}
        """Services whose clients may ask for flags."""
        self.finished = 0
        self.in_flight = 0
        self.ids = Ids()
        self.tracer: Tracer | None = None
        """None while no collector is named."""
        self.request_fields: Memory[RequestFields] = Memory()
        self.response_heads: Memory[ResponseHead] = Memory()
        self.max_fields = 0
        self._take_settings(Settings())
        self.head_seconds = 10.0
        self.idle_seconds = 60.0

    def _take_settings(self, settings: Settings) -> None:
        limits = settings.limits
        self.max_head = limits.header_bytes
        if limits.headers != self.max_fields:
            self.max_fields = limits.headers
            self.request_fields.forget()
        self.max_body = limits.body or (1 << 62)
        # Connections are spread over the workers by the kernel, evenly on average: each takes its share, rounded up.
        share = -(-limits.connections // self._workers) if limits.connections else 1 << 30
        self.most_clients = max_clients()
        self.max_connections = min(share, self.most_clients)
        self.scarce = Refusal.CONNECTION_LIMIT if self.max_connections == share else Refusal.DESCRIPTORS
        self._trace(settings.tracing)
        self._trusted = Networks(settings.trusted_proxies) if settings.trusted_proxies else None

    def _trace(self, wanted: Tracing | None) -> None:
        if (None if self.tracer is None else self.tracer.share) == (None if wanted is None else wanted.sample):
            return
        if self.tracer is not None:
            rows, lost = self.tracer.take()
            self.recorder.spans_dropped(len(rows) + lost)
        self.tracer = None if wanted is None else Tracer(self.ids, wanted.sample)

    def trusts(self, address: str) -> bool:
        """Whether forwarding fields from this peer are believed; "" is one on a unix socket, whose mode decides."""
        trusted = self._trusted
        return trusted is not None and (not address or address in trusted)

    def swap(self, table: RoutingTable, state: State) -> None:
        """Route by this table from the next request on. Requests under way keep the snapshot they began with."""
        self._take_settings(state.settings)
        groups, ready = self.backends.bind(table)
        self.snapshot = Snapshot(table, groups, ready)
        self.places = self.dockets.bind(table, ready)
        self.shadows = self.mirroring.bind(table)
        self.request_fields.forget()  # what was prepared and decided for them must not keep old tables alive
        self.asking = ask(table, self.asking, self._workers, self.tally.asked)
        timeouts = [service.definition.timeouts for service in state.services.values()]
        self._budgets = {name: budget for name, budget in self._budgets.items() if name in state.services}
        # A service is known only when the head has been read, so these two are the largest of all.
        self.head_seconds = max((each.request_head for each in timeouts), default=10.0)
        self.idle_seconds = max((each.idle for each in timeouts), default=60.0)

    def admit(self, connection: "Downstream") -> None:
        """Count a new connection in. One too many is told so, unless so many are being told that this is too much."""
        self.recorder.accepted()
        self.connections.add(connection)
        if len(self.connections) - len(self.turned_away) > self.max_connections:
            self.turned_away.add(connection)
            self.recorder.refused(self.scarce)
            if len(self.turned_away) > MAX_TURNED_AWAY:
                connection.transport.abort()
            else:
                connection.write(local_reply(Fault.CONNECTION_LIMIT.value))
                connection.linger()

    def secure(self, state: State, contexts: Contexts) -> None:
        """Use these contexts for new connections, in and out; ``state`` is the one last swapped in.

        Raises PemError or MissingError for a state that the contexts cannot be made for; then nothing has changed.
        """
        check_tls(state, contexts)
        self.entrances = entrances(state, contexts)
        self.backends.protect(self.snapshot.table, contexts)

    def write(self, transport: asyncio.Transport, data: bytes) -> None:
        """Queue bytes to be written at the end of this turn of the loop.

        A turn reads from many connections. Writing at once would wake the peer for each, as it has long handled the
        one before and gone to sleep (waking a core costs 3 to 5 us); written together, one waking serves them all.
        Measured at 64 connections: 30 us of CPU per request became 21. Closing must ``flush`` first.
        """
        if not self._queued:
            self._call_soon(self.flush)
        self._queued.append((transport, data))
        if len(data) > AT_ONCE:
            self.flush()

    def pour(self, transport: asyncio.Transport, data: memoryview) -> None:
        """Write at once what is in memory that will be used again, behind all that is queued.

        After it ``get_write_buffer_size`` of the transport says whether it still needs that memory.
        """
        self.flush()
        with contextlib.suppress(RuntimeError):  # as in ``flush``
            transport.write(data)

    def flush(self) -> None:
        self.turns += 1
        queued, self._queued = self._queued, []
        for transport, data in queued:
            try:
                transport.write(data)
            except RuntimeError:
                # Its transport was closed in this very turn, by whoever had a reason to; the others must get theirs.
                continue

    def may_retry(self, service: ServiceRoute) -> bool:
        """Take one retry from the service's budget, which is kept across snapshots as long as its share is the same."""
        seen = sum(self.recorder.begun(version.slot) for version in service.versions.values())
        budget = self._budgets.get(service.name)
        if budget is None or budget.share != service.definition.retries.budget:
            budget = self._budgets[service.name] = Budget(service.definition.retries.budget)
        return budget.spend(seen)

    def judge(self, cases: Iterable[Message]) -> None:
        """Record for these cases from the next request on, see ``dockets``."""
        self.dockets.judge(cases)
        self.places = self.dockets.bind(self.snapshot.table, self.snapshot.ready)
        self.request_fields.forget()  # decisions are to say their unit, or not to

    def judge_flags(self, cases: Iterable[Message]) -> None:
        """The same for flags."""
        self.dockets.judge_flags(cases)
        self.places = self.dockets.bind(self.snapshot.table, self.snapshot.ready)
        self.request_fields.forget()

    def mirror(self, checks: Iterable[list[Any]]) -> None:
        """Mirror for these checks from the next request on, see ``shadow.shadows``."""
        self.mirroring.check(checks)
        self.shadows = self.mirroring.bind(self.snapshot.table)

    def orphaned(self) -> None:
        """Nobody will say any more who is well, and nobody is told what is recorded."""
        self.backends.orphaned()
        self.judge(())
        self.judge_flags(())
        self.mirroring.stop()
        self.shadows = None

    def set_backend_states(self, states: States, ages: Ages | None = None) -> None:
        """Heed the supervisor's picture from the next request on, see ``Roster.show``."""
        self.backends.show(states, ages or {})
        self.places = self.dockets.bind(self.snapshot.table, self.snapshot.ready)

    def sweep(self, now: float) -> None:
        """Close what is over its deadline."""
        self.wall = time.time()
        self.flush()
        looking = self._looking = self._looking or list(self.held)
        for _ in range(min(len(looking), LOOKS_AT_ONCE)):
            connection = looking.pop()
            if connection in self.held:
                connection.look_up()
        self._end([each for each in self.connections if each.deadline < now], now)
        self.backends.sweep(now)
        self.mirroring.sweep(now)
        if self.departures:
            self.departures = [departure for departure in self.departures if not departure.look(now)]
        while self._closing and self._closing[0][0] < now:
            self._closing.popleft()[1].abort()

    def _end(self, over: "list[Downstream]", now: float) -> None:
        """End those over their deadline, a few in each turn: the others' requests go on between them."""
        for _ in range(min(len(over), ENDS_AT_ONCE)):
            connection = over.pop()
            if connection.deadline < now and connection in self.connections:
                connection.expire(now)
        if over:
            self._call_soon(self._end, over, now)

    def close_within(self, transport: asyncio.Transport, seconds: float) -> None:
        """Close when what was written is delivered, or after ``seconds`` (the same in every call)."""
        self.flush()
        transport.close()
        self._closing.append((monotonic() + seconds, transport))

    def reset(self, transport: asyncio.Transport) -> None:
        """Close so that the peer's system reports an error instead of an end (on TCP; a unix socket has no reset)."""
        self.flush()
        # A stand-in of uvloop's has a descriptor and nothing else; options set on a copy hold for the connection.
        with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as copy:
            copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()

    async def run_sweeps(self, also: Callable[[], None]) -> None:
        """Sweep for ever; ``also`` is called after each."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(SWEEP_SECONDS)
            self.lag = max(0.0, loop.time() - before - SWEEP_SECONDS)
            try:
                self.sweep(monotonic())
                also()
            except Exception as error:  # noqa: BLE001 - one connection's mishap must not end all timeouts for good
                loop.call_exception_handler({"message": "a sweep of deadlines failed", "exception": error})

    lag = 0.0
    """Seconds the event loop was late at the last sweep."""

    def leave_tunnels(self, seconds: float) -> None:
        """The worker stops in ``seconds``: each tunnel chooses its moment."""
        self.drain_end = self.goodbye_end(seconds)
        for tunnel in self.tunnels:
            tunnel.leave_before(self.drain_end)

    def goodbye_end(self, seconds: float) -> float:
        """Until when tunnels may stay that have ``seconds`` to leave, monotonic seconds."""
        rest = max(DRAIN_REST * seconds, DRAIN_REST_SWEEPS * SWEEP_SECONDS)
        return monotonic() + max(0.0, seconds - rest)

    def leave(self, service: str, version: str, seconds: float, report: Report) -> None:
        """Let what is under way for a version end within ``seconds``; ``report`` is called once, when it has."""
        self.mirroring.leave(service, version)
        departure = Departure(self, (service, version), seconds, report, self._call_soon)
        if not departure.look(monotonic()):
            self.departures.append(departure)

    def drain(self) -> bool:
        """Close idle connections soon and every other one after its present request.

        To be called again and again: whether one must go on waiting for somebody.
        """
        self.draining = True
        now = monotonic()
        for connection in self.connections:
            connection.drain(now)
        return self.in_flight > 0 or any(connection.unfinished for connection in self.connections)
