"""A data plane with everything around it made by hand: clients, backends, the clock.

    with World() as world:
        client = world.client()
        client.send(GET)
        backend = world.backend()
        backend.send(OK)
        assert client.take() == OK

Leaving the world is a test of its own: no request is in flight, every claim was given back exactly once, everything
begun was counted exactly once and logged once, no connection to a backend is open that is not in the pool.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Self

import pytest

from gatekeeper.clock import ManualClock
from gatekeeper.core import routing
from gatekeeper.core.flags.model import FlagState
from gatekeeper.core.model import (
    Backend,
    Definition,
    Limits,
    Log,
    Service,
    Settings,
    State,
    Sticky,
    UnitKind,
    UnitSource,
    Version,
)
from gatekeeper.core.reload import initial_state
from gatekeeper.dataplane import backends as backends_module
from gatekeeper.dataplane import sending
from gatekeeper.dataplane.downstream import Downstream
from gatekeeper.dataplane.plane import Plane
from gatekeeper.dataplane.shadow import copies
from gatekeeper.errors import Source
from gatekeeper.telemetry import block as cells
from gatekeeper.telemetry.block import Block
from gatekeeper.telemetry.recorder import Recorder
from tests.dataplane.wires import Attempt, HandLoop, Wire

GET = b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ALL = {"blue": 100, "green": 0}
CANDIDATE = {"blue": 0, "green": 100}
SLOTS = {"blue": 2, "green": 3}
TESTER = "127.0.0.1"
STRANGER = "203.0.113.9"


def post(body: bytes, *lines: str) -> bytes:
    return request("POST", f"Content-Length: {len(body)}", *lines) + body


def request(method: str, *lines: str, target: str = "/", version: str = "1.1") -> bytes:
    return "\r\n".join((f"{method} {target} HTTP/{version}", "Host: shop.test", *lines, "", "")).encode()


@dataclass(frozen=True)
class Message:
    """A head read in the plainest way, and all bytes behind it."""

    line: str
    fields: list[tuple[str, str]]
    body: bytes

    @classmethod
    def read(cls, raw: bytes) -> "Message":
        head, separator, body = raw.partition(b"\r\n\r\n")
        assert separator, raw
        line, *lines = head.decode("latin-1").split("\r\n")
        pairs = [each.partition(": ") for each in lines]
        assert all(middle for _, middle, _ in pairs), raw
        return cls(line, [(name.lower(), value) for name, _, value in pairs], body)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, (name, values)
        return values[0] if values else None

    @property
    def status(self) -> int:
        return int(self.line.split(" ")[1])


@dataclass
class Counts:
    """What the metrics say of one version. ``codes`` and ``errors`` have no zeroes."""

    codes: dict[int, int]
    forced: dict[int, int]
    errors: dict[str, int]
    begun: int
    retries: int
    failovers: int
    upstream_timed: int


class Lines:
    """An access log that keeps what it is told."""

    enabled = True

    def __init__(self) -> None:
        self.entries: list[tuple[Any, ...]] = []

    def add(self, *entry: Any) -> None:
        self.entries.append(entry)


class World:
    """``backends`` is how many each version has; their urls are ``http://VERSION-N:80``. ``options`` are a Service's.

    Units are addresses unless told otherwise, so that no cookie is set.
    """

    def __init__(
        self,
        split: dict[str, int] | None = None,
        *,
        backends: int = 1,
        limits: Limits | None = None,
        trusted: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        self.clock = ManualClock()
        self.loop = HandLoop()
        self.log = Lines()
        self.attempts: list[Attempt] = []
        self.wires: list[Wire] = []
        self.clients: list[Wire] = []
        self.unreachable: set[str] = set()
        self.silent: set[str] = set()
        self._patch = pytest.MonkeyPatch()
        self._block = Block.create(8)
        self.recorder = Recorder(self._block)
        loop: Any = self.loop
        log: Any = self.log
        self.plane = Plane(loop, self.recorder, log)
        self.plane.wall = self.clock.wall()
        split = split or ALL
        names = [f"{version}-{number}" for version in split for number in range(1, backends + 1)]
        versions = {
            version: Version(version, tuple(Backend(f"http://{name}:80") for name in names if name.startswith(version)))
            for version in split
        }
        weights = {version: Decimal(weight) for version, weight in split.items()}
        self.settings = Settings(log=Log(access="off"), limits=limits or Limits(), trusted_proxies=trusted, workers=1)
        self.flags: dict[str, FlagState] = {}
        options.setdefault("sticky", Sticky(by=(UnitSource(UnitKind.CLIENT_IP),)))
        self.use(Service("shop", versions, "blue", weights, **options))

    def use(self, service: Service, revision: int = 7) -> State:
        """Route by a new table."""
        definition = Definition(self.settings, {service.name: service})
        state = initial_state(definition, {}, revision, "ab" * 32, self.clock.wall())[0]
        state = replace(state, flags={**state.flags, **self.flags})
        table = routing.compile(state, {service.name: {name: SLOTS[name] for name in service.versions}}, None)
        self.service = service
        self.plane.swap(table, state)
        self.loop.run()
        return state

    def __enter__(self) -> Self:
        for name, module in list(sys.modules.items()):
            if name.startswith("gatekeeper.dataplane.") and hasattr(module, "monotonic"):
                self._patch.setattr(module, "monotonic", self.clock.monotonic)

        async def connect(backend: backends_module.Backend, loop: HandLoop, factory: Any) -> None:
            attempt = Attempt(loop, backend.id, factory)
            self.attempts.append(attempt)
            if backend.id in self.unreachable:
                loop.call_soon(attempt.refuse)
            elif backend.id not in self.silent:
                loop.call_soon(lambda: self.wires.append(attempt.accept()))
            await attempt

        for module in (sending, copies):
            self._patch.setattr(module, "connect", connect)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._patch.undo()
        try:
            if kind is None:
                self.settle()
        finally:
            self._block.close()
            for wire in (*self.clients, *self.wires):
                wire.discard()

    def settle(self) -> None:
        """Everybody goes home; then the books must balance."""
        for client in self.clients:
            client.reset()
        assert not self.loop.tasks
        assert self.plane.in_flight == 0
        assert not self.plane.connections
        assert self.recorder.connections == 0
        for backend in self.known():
            assert backend.in_flight == 0
            open_wires = [wire for wire in self.wires if wire.protocol.backend is backend and not wire.lost]
            assert backend.connections == len(open_wires)
            assert {wire.protocol for wire in open_wires} == set(backend.idle)
            assert len(backend.idle) == len(set(backend.idle))
        # Who asks for flags is no version's request: an exchange, and begun where refusals are.
        questions = sum(entry[13] == "asked" for entry in self.log.entries)
        assert len(self.log.entries) == self.plane.finished + self.counts(cells.NO_SERVICE).begun - questions
        for slot in (cells.NO_SERVICE, *SLOTS.values()):
            counts = self.counts(slot)
            assert counts.begun == sum(counts.codes.values()) + sum(counts.forced.values())

    def known(self) -> Iterable[backends_module.Backend]:
        return self.plane.backends.all()

    # Acting

    def client(self, address: str = STRANGER) -> Wire:
        """A new connection; ``address`` "" is one over a unix socket."""
        loop: Any = self.loop
        wire = Wire(self.loop, Downstream(self.plane, loop), (address, 1234) if address else "")
        self.clients.append(wire)
        self.loop.run()
        return wire

    def backend(self, number: int = -1) -> Wire:
        """A connection that gatekeeper made, the latest unless told otherwise."""
        return self.wires[number]

    def asked(self, raw: bytes, address: str = STRANGER) -> tuple[Wire, Wire]:
        """A new client that sent these bytes, and the connection that its request went out on."""
        client = self.client(address)
        client.send(raw)
        return client, next(wire for wire in self.wires if wire.protocol.exchange is client.protocol.exchange)

    def answered(self, raw: bytes, reply: bytes = OK, address: str = STRANGER) -> Message:
        """What a new client gets when its backend replies so; the pool may serve it."""
        client, backend = self.asked(raw, address)
        backend.send(reply)
        return Message.read(client.take())

    def told(self, raw: bytes, address: str = STRANGER) -> Message:
        """What the backend is told when a new client sends this."""
        client, backend = self.asked(raw, address)
        told = Message.read(backend.take())
        client.reset()
        return told

    def refused(self, raw: bytes, address: str = STRANGER) -> Message:
        """What a new client gets for bytes that no backend must see."""
        before = len(self.attempts)
        client = self.client(address)
        client.send(raw)
        assert len(self.attempts) == before
        return Message.read(client.take())

    def pass_time(self, seconds: float) -> None:
        """In one step; then one sweep."""
        self.clock.advance(seconds)
        self.plane.sweep(self.clock.monotonic())
        self.loop.run()

    def states(self, **states: str) -> None:
        """``states(green="ejected")``: all backends of a version."""
        picture = {
            name: {each.url: states.get(name, "ready") for each in version.backends}
            for name, version in self.service.versions.items()
        }
        self.plane.set_backend_states({self.service.name: picture})

    # Looking

    def counts(self, where: str | int) -> Counts:
        """The counters of a version, or of a slot."""
        got = self._block.slot_cells(SLOTS[where] if isinstance(where, str) else where)

        def codes(base: int) -> dict[int, int]:
            return {99 + cell: got[base + cell] for cell in range(cells.CODE_COUNT) if got[base + cell]}

        return Counts(
            codes(cells.CODES),
            codes(cells.FORCED),
            {source.label: got[cells.ERRORS + source] for source in Source if got[cells.ERRORS + source]},
            got[cells.BEGUN],
            got[cells.RETRIES],
            got[cells.FAILOVERS],
            sum(got[cells.UPSTREAM : cells.UPSTREAM_SUM]),
        )

    def refusals(self) -> dict[str, int]:
        found = {each.label: self._block.integers[cells.REFUSED + each] for each in cells.Refusal}
        return dict(Counter({name: count for name, count in found.items() if count}))
