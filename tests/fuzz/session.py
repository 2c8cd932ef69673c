"""Target ``session``: a byte program plays all peers of a data plane; then everything that was written is judged.

A program is two bytes of settings and then steps: one byte for what to do, and its operands. It plays up to four
clients and any backend, cuts what they send anywhere, lets them stall, end or vanish, lets time pass, moves weights,
ejects backends, drains. What is past its end reads as zero.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from random import Random

from gatekeeper.core.model import Limits, Retries, Sticky, StickyMode
from tests.dataplane.wires import Attempt, Wire
from tests.dataplane.world import ALL, CANDIDATE, World
from tests.fuzz.heads import forget
from tests.fuzz.judge import judge
from tests.fuzz.vocabulary import PIECES, REQUESTS, RESPONSES
from tests.fuzz.watch import Watch

MAX_STEPS = 120
MAX_BYTES = 2 << 20
MAX_CLIENTS = 4
# What may wait for a peer that does not read: the mark at which we stop reading for it, what was read in that turn
# (nothing here sends more than BULKS[-1] at once), and framing.
MAX_UNSENT = 256 * 1024
BULKS = (1, 3, 17, 100, 1500, 16 * 1024, 40_000, 65_536)
TIMES = (0.05, 0.5, 1.9, 2.1, 5.1, 10.1, 30.0, 60.1, 3600.1)
ADDRESSES = ("203.0.113.9", "10.0.0.1", "127.0.0.1", "")
# With everybody silent all must be over after these: heads, idle connections, tries of an answer, closes.
WINDING_DOWN = (2.1, 10.1, 10.1, *[60.1] * 8)
# Then tunnels, and requests sent ahead, each of which has its time: more than fit into what is read ahead.
MAX_LONG = 4000


class Program:
    """Bytes, read as operands. ``plain`` is the same program in its plainest spelling.

    Kept cases are spelt so: then a table may grow at its end without changing their stories.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.plain = bytearray()

    @property
    def over(self) -> bool:
        return self._at >= len(self._data)

    def byte(self, below: int = 256) -> int:
        """A number smaller than ``below``."""
        self._at += 1
        number = self._data[self._at - 1] % below if self._at <= len(self._data) else 0
        self.plain.append(number)
        return number

    def take(self, count: int) -> bytes:
        self._at += count
        taken = self._data[self._at - count : self._at]
        self.plain += taken
        return taken


def _world(first: int, second: int) -> World:
    return World(
        dict(CANDIDATE if first & 1 else ALL),
        backends=2 if first & 2 else 1,
        limits=Limits(header_bytes=512, headers=8, body=3_000) if first & 8 else None,
        trusted=("10.0.0.0/8",) if first & 16 else (),
        hosts=("shop.test",) if first & 32 else (),
        path_prefix="/shop" if first & 64 else "/",
        strip_prefix=bool(first & 128),
        sticky=Sticky(mode=StickyMode.NONE) if second & 1 else Sticky(),
        retries=Retries(attempts=second >> 1 & 3, budget=1.0, on_stable=bool(first & 4)),
    )


class Session:
    """One program's run. ``told`` is its story, step by step, for whoever looks at a finding."""

    def __init__(self, data: bytes) -> None:
        forget()
        self.program = Program(data)
        settings = self.program.byte(), self.program.byte()
        self.second = settings[1]
        self.world = _world(*settings)
        self.world.plane.draw = partial(Random(0).getrandbits, 64)
        self.watch = Watch()
        self.told: list[str] = [f"settings {settings[0]:#04x} {settings[1]:#04x}"]
        self.run_each = True
        self.cut = 0
        self.sent = 0
        self.number = 0
        self.chosen: Wire | None = None
        self.waiting: list[Attempt] = []
        self.attempts = 0
        self.gone: set[Wire] = set()
        self.left: set[Wire] = set()
        self.ending: set[Wire] = set()
        self.stalled: set[Wire] = set()
        self.slow: set[Wire] = set()
        self.steps: tuple[Callable[[], str], ...] = (
            self.request, self.piece, self.raw, self.bulk, self.answer, self.answer_piece, self.answer_raw,
            self.answer_bulk, self.client, self.end, self.reset, self.stall, self.drain, self.answer_end,
            self.answer_reset, self.answer_stall, self.answer_drain, self.choose, self.time, self.weights,
            self.states, self.manners, self.attempt, self.turn, self.cutting, self.leave,
        )  # fmt: skip

    def play(self) -> None:
        with self.watch, self.world:
            for _ in range(MAX_STEPS):
                if self.program.over:
                    break
                step = self.steps[self.program.byte(len(self.steps))]
                self.told.append(f"{step.__name__} {step()}")
                if self.run_each:
                    self._settle_turn()
            self._settle_turn()
            self.judge(everything=True)
            if self.second & 128:
                self.wind_down()
            self.left |= {wire for wire in self.world.clients if not wire.ended}
            for client in self.world.clients:
                client.reset()
            for _ in range(2):
                self.world.pass_time(10.1)  # backends may take so long to take what was written
            # Everybody has gone home; nothing may have been written to deceive. Leaving the world looks at the books.
            self.judge(everything=False)

    def judge(self, *, everything: bool) -> None:
        honest: set[Wire] = set()
        if everything:
            honest = {*self.world.clients, *self.world.wires} - self.gone - self.ending - self.stalled
            honest -= {wire for wire in self.slow if wire.is_closing()}  # they were given up for not reading
        service = self.world.service
        prefix = service.path_prefix.rstrip("/") if service.strip_prefix else ""
        judge(self.watch, self.world.clients, self.world.wires, prefix, honest=honest, left=self.left)

    def _settle_turn(self) -> None:
        world = self.world
        world.loop.run()
        self._note_attempts()
        for wire in [each for each in self.ending if not each.waiting and each.reading]:
            self.ending.discard(wire)
            self.gone.add(wire)
            wire.end()
        for wire in (*world.clients, *world.wires):
            assert len(wire._unsent) <= MAX_UNSENT, len(wire._unsent)
        for connection in world.plane.connections:
            assert len(connection.ahead) <= MAX_UNSENT
            assert connection.transport is not None
        for backend in world.known():
            assert backend.in_flight >= 0
            assert backend.connections >= len(backend.idle)

    def wind_down(self) -> None:
        """Nobody says a word any more: whatever was open must close by itself."""
        self.told.append("wind down")
        for seconds in (*WINDING_DOWN, *[3600.1] * MAX_LONG):
            self.world.pass_time(seconds)
            self._settle_turn()
            if not self.world.plane.connections and all(wire.lost for wire in self.world.wires):
                break
        assert not self.world.plane.connections, "a connection that nothing ends"
        assert not self.world.plane.tunnels
        assert self.world.plane.in_flight == 0
        assert not [wire for wire in self.world.wires if not wire.lost], "a backend's connection that nothing ends"

    # Clients

    def _client(self) -> Wire:
        while len(self.world.clients) <= self.number:
            self.world.client(ADDRESSES[self.program.byte(len(ADDRESSES))])
        return self.world.clients[self.number]

    def _send(self, wire: Wire, data: bytes) -> str:
        if wire in self.gone or wire in self.ending or self.sent + len(data) > MAX_BYTES:
            return "nothing"
        self.sent += len(data)
        step = self.cut if len(data) <= 4096 else 0
        for piece in [data[at : at + step] for at in range(0, len(data), step)] if step else [data]:
            wire.send(piece, run=self.run_each)
        return repr(data if len(data) <= 100 else data[:100] + b"...")

    def request(self) -> str:
        number = self.program.byte(len(REQUESTS))
        return self._send(self._client(), REQUESTS[number])

    def piece(self) -> str:
        number = self.program.byte(len(PIECES))
        return self._send(self._client(), PIECES[number])

    def raw(self) -> str:
        data = self.program.take(self.program.byte(32) + 1)
        return self._send(self._client(), data)

    def bulk(self) -> str:
        size = BULKS[self.program.byte(len(BULKS))]
        return self._send(self._client(), b"x" * size)

    def client(self) -> str:
        self.number = min(self.program.byte(MAX_CLIENTS), len(self.world.clients))
        self._client()
        return str(self.number)

    def _end(self, wire: Wire) -> str:
        if wire not in self.gone:
            self.ending.add(wire)
        return ""

    def _reset(self, wire: Wire) -> str:
        self.gone.add(wire)
        self.left.add(wire)
        self.ending.discard(wire)
        wire.reset(run=self.run_each)
        return ""

    def _stall(self, wire: Wire) -> str:
        self.stalled.add(wire)
        self.slow.add(wire)
        wire.stall()
        return ""

    def _drain(self, wire: Wire, size: int) -> str:
        if wire in self.stalled:
            if not size:
                self.stalled.discard(wire)
            wire.drain(size or None)
        return str(size or "all")

    def end(self) -> str:
        return self._end(self._client())

    def reset(self) -> str:
        return self._reset(self._client())

    def stall(self) -> str:
        return self._stall(self._client())

    def drain(self) -> str:
        return self._drain(self._client(), self.program.byte() * 256)

    # Backends: the one chosen, else the one that serves the present client, else the latest

    def _backend(self) -> Wire | None:
        if self.chosen is not None:
            return self.chosen
        if not self.world.wires:
            return None
        exchange = self._client().protocol.exchange
        upstream = exchange.upstream if exchange is not None else None
        return next((wire for wire in self.world.wires if wire.protocol is upstream), self.world.wires[-1])

    def _by_backend(self, act: Callable[[Wire], str]) -> str:
        wire = self._backend()
        return act(wire) if wire is not None else "nobody"

    def answer(self) -> str:
        data = RESPONSES[self.program.byte(len(RESPONSES))]
        return self._by_backend(lambda wire: self._send(wire, data))

    def answer_piece(self) -> str:
        data = PIECES[self.program.byte(len(PIECES))]
        return self._by_backend(lambda wire: self._send(wire, data))

    def answer_raw(self) -> str:
        data = self.program.take(self.program.byte(32) + 1)
        return self._by_backend(lambda wire: self._send(wire, data))

    def answer_bulk(self) -> str:
        size = BULKS[self.program.byte(len(BULKS))]
        return self._by_backend(lambda wire: self._send(wire, b"y" * size))

    def answer_end(self) -> str:
        return self._by_backend(self._end)

    def answer_reset(self) -> str:
        return self._by_backend(self._reset)

    def answer_stall(self) -> str:
        return self._by_backend(self._stall)

    def answer_drain(self) -> str:
        size = self.program.byte() * 256
        return self._by_backend(lambda wire: self._drain(wire, size))

    def choose(self) -> str:
        number = self.program.byte()
        wires = self.world.wires
        self.chosen = wires[-(number % len(wires)) - 1] if number % 8 and wires else None
        return str(number % 8)

    # The world

    def time(self) -> str:
        seconds = TIMES[self.program.byte(len(TIMES))]
        self.world.pass_time(seconds)
        return str(seconds)

    def weights(self) -> str:
        share = self.program.byte(3) * 50
        split = {"blue": Decimal(100 - share), "green": Decimal(share)}
        self.world.use(replace(self.world.service, split=split), 8 + share)
        return str(share)

    def states(self) -> str:
        which = self.program.byte()
        states = {name: "ejected" for bit, name in enumerate(("blue", "green")) if which & 1 << bit}
        self.world.states(**states)
        return str(states)

    def manners(self) -> str:
        """How backends take connections from now on."""
        self._note_attempts()
        which = self.program.byte(4)
        urls = {backend.url for backend in self.world.known()}
        self.world.unreachable = urls if which == 1 else {url for url in urls if "-1" in url} if which == 2 else set()
        self.world.silent = urls if which == 3 else set()
        return ("all", "none", "only the second", "silent")[which]

    def _note_attempts(self) -> None:
        """Those of silent backends wait until they are decided."""
        self.waiting += [each for each in self.world.attempts[self.attempts :] if each.url in self.world.silent]
        self.attempts = len(self.world.attempts)
        self.waiting = [each for each in self.waiting if each.task in self.world.loop.tasks]

    def attempt(self) -> str:
        """A silent backend makes up its mind."""
        accepted = self.program.byte(2)
        self._note_attempts()
        if not self.waiting:
            return "nobody"
        attempt = self.waiting.pop(0)
        if attempt.task is None or attempt.task._cancelled:
            return "too late"
        if accepted:
            self.world.wires.append(attempt.accept())
        else:
            attempt.refuse()
        return "accepted" if accepted else "refused"

    def turn(self) -> str:
        """Whether what follows happens in one turn of the loop."""
        self.run_each = not self.run_each
        return str(self.run_each)

    def cutting(self) -> str:
        self.cut = self.program.byte(40)
        return str(self.cut)

    def leave(self) -> str:
        """The worker is told to stop."""
        if self.world.plane.drain_end is None:
            self.world.plane.leave_tunnels(30.0)
        self.world.plane.drain()
        return ""


def plain(data: bytes) -> bytes:
    """The same program in its plainest spelling."""
    session = Session(data)
    with contextlib.suppress(Exception):
        session.play()
    return bytes(session.program.plain)


def check_session(data: bytes) -> None:
    session = Session(data)
    try:
        session.play()
    except BaseException as error:
        error.add_note("\n".join(session.told))
        raise
