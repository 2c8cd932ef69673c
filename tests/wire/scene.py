"""One case under way: both ends, what they saw, and the script steps that both can take."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

from tests.wire.case import Act, Case, Deaf, Flood, Got, Had, NotHad, Pieces, Sleep, Step
from tests.wire.oracle import Reader, Requests, Responses

# Seconds that anything expected may take to come about; only a case that fails waits as long.
PATIENCE = 5.0
# Between two pieces, so that the proxy reads them apart. If it does not on a busy machine, the case is easier, not
# wrong.
PIECE_SECONDS = 0.002
# A flood that the other side has not taken from for so long has come to a stand. Segments that met a full buffer are
# sent again by the kernel after 0.2 s, 0.6 s, 1.4 s: the shorter a flood stands, the shorter the transfer pauses after
# it, and the bench's idle time (2 s) is longer than the third of these.
STAND_SECONDS = 0.15


class Scene:
    """``complaints`` are steps that never came about, ``harm`` is what it did to the next client."""

    def __init__(self, case: Case, patience: float = PATIENCE) -> None:
        self.case = case
        self.patience = patience
        self.client: Side | None = None
        self.backends: list[Side] = []
        self.answered = 0
        self.complaints: list[str] = []
        self.harm: list[str] = []
        self.stood = False
        self._changed = asyncio.Event()

    def pulse(self) -> None:
        self._changed.set()

    async def reached(self, true: Callable[[], bool]) -> None:
        """Wait until something seen makes ``true`` true, however long it takes."""
        while not true():
            self._changed.clear()
            await self._changed.wait()

    async def until(self, true: Callable[[], bool], what: str) -> bool:
        """Wait until something seen makes ``true`` true; a complaint if it never does, unless ``what`` is empty."""
        try:
            async with asyncio.timeout(self.patience):
                await self.reached(true)
        except TimeoutError:
            if what:
                self.complaints.append(f"waited in vain for {what}")
            return False
        return True


class Side:
    """One connection, at either end: its socket, what it read, how it ended ("", "eof" or "reset")."""

    def __init__(self, scene: Scene, sock: socket.socket, reader: Reader, name: str) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.scene = scene
        self.sock = sock
        self.reader = reader
        self.name = name
        self.ended = ""
        self.deaf = False
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.ended:
            if self.deaf:
                await asyncio.sleep(0.01)
                continue
            try:
                data = await loop.sock_recv(self.sock, 256 * 1024)
            except OSError:
                self.ended = "reset"
            else:
                self.reader.feed(data)
                if not data:
                    self.ended = "eof"
            if self.ended and isinstance(self.reader, Responses):
                self.reader.end(orderly=self.ended == "eof")
            self.scene.pulse()

    async def play(self, steps: tuple[Step, ...]) -> None:
        """Take the steps. A side that the other one has hung up on stops sending without a word."""
        with contextlib.suppress(OSError):
            for step in steps:
                await self._take(step)

    async def _take(self, step: Step) -> None:
        loop = asyncio.get_running_loop()
        scene = self.scene
        match step:
            case bytes():
                if step.startswith(b"HTTP/1.1 101 ") and isinstance(self.reader, Requests):
                    self.reader.tunnel = True
                await loop.sock_sendall(self.sock, step)
            case Pieces(data, size):
                for start in range(0, len(data), size):
                    await loop.sock_sendall(self.sock, data[start : start + size])
                    await asyncio.sleep(PIECE_SECONDS)
            case Got(data):
                client = scene.client
                await scene.until(lambda: client is not None and data in client.reader.raw, f"{data!r} at the client")
            case Had(data):
                await scene.until(
                    lambda: any(data in each.reader.raw for each in scene.backends), f"{data!r} at the backend"
                )
            case NotHad(data):
                if any(data in each.reader.raw for each in scene.backends):
                    scene.complaints.append(f"{data!r} is at the backend too early")
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case Flood():
                await self._flood(step)
            case Deaf():
                self.deaf = True
                await scene.until(lambda: scene.stood, "the end of the flood")
                self.deaf = False
            case Act.FIN:
                self.sock.shutdown(socket.SHUT_WR)
            case Act.CLOSE | Act.RESET:
                await self.close(reset=step is Act.RESET)
            case Act.WHOLE:
                await scene.until(lambda: self.reader.messages[-1].whole, "the end of the request")
            case Act.GONE:
                await scene.until(lambda: bool(self.ended), f"the end of the connection to the {self.name}")

    async def _flood(self, flood: Flood) -> None:
        loop = asyncio.get_running_loop()
        block = bytes(range(256)) * 256
        taken, last = 0, loop.time()
        while taken < flood.size and loop.time() - last < STAND_SECONDS:
            try:
                start = taken % len(block)
                count = self.sock.send(block[start : start + flood.size - taken])
            except BlockingIOError:
                await asyncio.sleep(0.01)
            else:
                taken, last = taken + count, loop.time()
                if not taken % (16 * len(block)):
                    await asyncio.sleep(0)
        if taken > flood.most:
            self.scene.complaints.append(f"{taken} bytes were taken, {flood.most} are the bound")
        self.scene.stood = True
        self.scene.pulse()
        while taken < flood.size:
            start = taken % len(block)
            piece = block[start : start + flood.size - taken]
            await loop.sock_sendall(self.sock, piece)
            taken += len(piece)

    async def close(self, *, reset: bool = False) -> None:
        """Hang up."""
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.ended = self.ended or "closed here"
        self.scene.pulse()


def backend_reader(side: Side) -> Requests:
    reader = side.reader
    if not isinstance(reader, Requests):
        raise TypeError(side.name)
    return reader
