"""A loop and transports without time or sockets: every byte and every turn is the test's to give.

They behave as uvloop's where the data plane could tell: bytes may be read by both ends of a connection until it is
closed, a closed transport refuses to be written on, closing delivers what was written, ``connection_lost`` comes in a
later turn of the loop. What is written is not copied before it is delivered, and who reads into memory of its own gets
as much at once as fits into it.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any

HIGH_WATER = 64 * 1024
LOW_WATER = 16 * 1024
READ = 256 * 1024
"""Most bytes that are read at once, where the protocol brings no memory."""
SUGGESTED = 64 * 1024
"""What a protocol is told that brings its memory; it may bring more or less."""
MAX_TURNS = 100_000
"""A loop that is not idle after so many callbacks never will be."""


class HandLoop:
    """``call_soon`` and ``create_task``, run by hand."""

    def __init__(self) -> None:
        self.ready: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.tasks: set[HandTask] = set()

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        self.ready.append((callback, args))

    def create_task(self, coroutine: Coroutine[Any, None, None]) -> "HandTask":
        return HandTask(self, coroutine)

    def run(self) -> None:
        for _ in range(MAX_TURNS):
            if not self.ready:
                return
            callback, args = self.ready.popleft()
            callback(*args)
        raise AssertionError("the loop never comes to rest")


class HandTask:
    def __init__(self, loop: HandLoop, coroutine: Coroutine[Any, None, None]) -> None:
        self._loop = loop
        self._coroutine = coroutine
        self._cancelled = False
        loop.tasks.add(self)
        loop.call_soon(self.step)

    def cancel(self) -> bool:
        self._cancelled = True
        self._loop.call_soon(self.step)
        return True

    def step(self) -> None:
        if self not in self._loop.tasks:
            return
        try:
            if self._cancelled:
                self._coroutine.throw(asyncio.CancelledError())
            else:
                attempt = self._coroutine.send(None)
                attempt.task = self
        except (StopIteration, asyncio.CancelledError):
            self._loop.tasks.discard(self)


class Unsent:
    """What was written and is not delivered: the very memory that was given, as uvloop keeps it. Its length is in
    bytes.
    """

    def __init__(self) -> None:
        self._buffers: deque[bytes | memoryview] = deque()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, data: bytes | memoryview) -> None:
        if data:
            self._buffers.append(data)
            self._size += len(data)

    def move(self, most: int, out: bytearray) -> None:
        """Only now is it looked at."""
        while most > 0 and self._buffers:
            data = self._buffers.popleft()
            if len(data) > most:
                data = memoryview(data)
                self._buffers.appendleft(data[most:])
                data = data[:most]
            out += data
            most -= len(data)
            self._size -= len(data)

    def clear(self) -> None:
        self._buffers.clear()
        self._size = 0


class Wire:
    """A transport, and in the same object the peer at its other end.

    The peer's side: ``send``, ``end``, ``reset``, ``stall``, ``drain``, ``take``. ``ended``: it has been told the end.
    ``lost``: gatekeeper has been told that the connection is gone. ``protocol`` is whose connection this is, ``told``
    who is told of what happens on it just now: the same, unless ``set_protocol`` was called.
    """

    def __init__(self, loop: HandLoop, protocol: Any, peer: object) -> None:
        self.loop = loop
        self.protocol = self.told = protocol
        self._out = bytearray()
        self._socket: socket.socket | None = None
        self.ended = False
        self.reading = True
        self.lost = False
        self.discarded = b""
        self._peer = peer
        self._unsent = Unsent()
        self._stalled = False
        self._paused = self._closing = self._eof = self._aborted = False
        self._coming: deque[bytes | memoryview] = deque()
        protocol.connection_made(self)

    # The transport, as the data plane sees it

    def set_protocol(self, protocol: Any) -> None:
        self.told = protocol

    def write(self, data: bytes | memoryview) -> None:
        assert isinstance(data, bytes | memoryview)
        if self.lost:
            raise RuntimeError("the handler is closed")
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._aborted or (self._closing and not self._unsent):
            self.discarded += data
            return
        self._unsent.add(data)
        self._deliver()
        if len(self._unsent) > HIGH_WATER and not self._paused:
            self._paused = True
            self.told.pause_writing()

    def write_eof(self) -> None:
        if self.lost:
            raise RuntimeError("the handler is closed")
        self._eof = True
        self._deliver()

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._deliver()

    def abort(self) -> None:
        self._force(None)

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def get_extra_info(self, name: str) -> object:
        if name == "peername":
            return self._peer
        if name != "socket":
            return None
        if self._socket is None:
            self._socket = socket.socket()  # connected to nothing; it has a descriptor and options
        return self._socket

    @property
    def reset_by_us(self) -> bool:
        """Whether the peer's system will report an error instead of an end."""
        if self._socket is None or not self._aborted:
            return False
        return struct.unpack("ii", self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == (1, 0)

    def discard(self) -> None:
        """Nothing is left behind."""
        if self._socket is not None:
            self._socket.close()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        if not self.reading and not self._closing:
            self.reading = True
            self.loop.call_soon(self._receive)

    def _deliver(self, most: int | None = None) -> None:
        if self._stalled and most is None and self._unsent:
            return
        most = len(self._unsent) if most is None else most
        self._unsent.move(most, self._out)
        if self._paused and len(self._unsent) <= LOW_WATER:
            self._paused = False
            self.told.resume_writing()
        if not self._unsent:
            self.ended |= self._closing or self._eof
            if self._closing and not self._aborted:
                self._aborted = True
                self.loop.call_soon(self._lose, None)

    def _force(self, error: Exception | None) -> None:
        if not self._aborted:
            self._closing = self._aborted = self.ended = True
            self._unsent.clear()
            self.loop.call_soon(self._lose, error)

    def _lose(self, error: Exception | None) -> None:
        if not self.lost:
            self.told.connection_lost(error)
            self.lost = True

    def _receive(self) -> None:
        while self._coming and self.reading and not self._closing:
            data = self._coming.popleft()
            room = self._room()
            most = READ if room is None else len(room)
            if len(data) > most:
                data = memoryview(data)
                self._coming.appendleft(data[most:])
                data = data[:most]
            if room is None:
                self.told.data_received(bytes(data))
            else:
                room[: len(data)] = data
                self.told.buffer_updated(len(data))

    def _room(self) -> memoryview | None:
        """The memory that the protocol reads into, if it brings its own; uvloop tells the kinds apart in this way."""
        if not hasattr(self.told, "get_buffer") or isinstance(self.told, asyncio.Protocol):
            return None
        room = memoryview(self.told.get_buffer(SUGGESTED))
        assert room
        return room

    # The peer

    def send(self, data: bytes, *, run: bool = True) -> None:
        """Bytes arrive. ``run=False``: in the same turn of the loop as what follows."""
        self._coming.append(data)
        self._receive()
        if run:
            self.loop.run()

    def end(self, *, run: bool = True) -> None:
        """The peer closes in an orderly way."""
        if not self._closing:
            self._room()  # whether there is anything to read is seen by reading
            if not self.told.eof_received():
                self.close()
        if run:
            self.loop.run()

    def reset(self, *, run: bool = True) -> None:
        """The peer's host says that the connection is gone."""
        self._force(ConnectionResetError("Connection reset by peer"))
        if run:
            self.loop.run()

    def stall(self) -> None:
        """The peer stops reading."""
        self._stalled = True

    def drain(self, size: int | None = None) -> None:
        """The peer reads ``size`` bytes more, or everything from now on."""
        if size is None:
            self._stalled = False
        self._deliver(size)
        self.loop.run()

    def take(self) -> bytes:
        """What has reached the peer since the last call."""
        taken = self.out
        self._out.clear()
        return taken

    @property
    def out(self) -> bytes:
        """What has reached the peer and was not taken yet."""
        return bytes(self._out)

    @property
    def waiting(self) -> int:
        """Bytes sent to gatekeeper that it has not read."""
        return sum(map(len, self._coming))


class Attempt:
    """A connection to a backend in the making."""

    def __init__(self, loop: HandLoop, url: str, factory: Callable[[], Any]) -> None:
        self.url = url
        self.task: HandTask | None = None
        self._loop = loop
        self._factory = factory
        self._error: OSError | None = None

    def __await__(self) -> Generator["Attempt", None, None]:
        yield self
        if self._error is not None:
            raise self._error

    def accept(self) -> Wire:
        """The connection is there; who asked for it hears of it in the next turn."""
        wire = Wire(self._loop, self._factory(), (self.url, 0))
        self._wake()
        return wire

    def refuse(self) -> None:
        self._error = ConnectionRefusedError("Connect call failed")
        self._wake()

    def _wake(self) -> None:
        assert self.task is not None
        self._loop.call_soon(self.task.step)
