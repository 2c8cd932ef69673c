"""Users: an open loop, so that who waits does not keep others from coming."""

import asyncio
import contextlib
from random import Random
from typing import Final

from benchmarks.processes import BenchmarkError
from benchmarks.releases.shop import Fault, fate

USERS: Final = 50_000
"""So many come back, each as likely as the others; labels stick to them: every quarter of an hour at 60 a second."""
PATIENCE: Final = 20.0
MOST_WAITING: Final = 2_000
"""Requests at once; more means that gatekeeper or this machine does not keep up, and no figure would mean anything."""
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Users:
    """Requests to ``port``, ``rps`` a second on average (Poisson), the same ones for each who judges.

    ``failed`` counts those that failed for them; ``harmed`` those that would have been well on stable.
    """

    def __init__(self, port: int, rps: float, fault: Fault) -> None:
        self._port, self._rps, self._fault = port, rps, fault
        self._idle: list[Connection] = []
        self._waiting: set[asyncio.Task[None]] = set()
        self.sent = self.failed = self.harmed = 0
        self.problem: BenchmarkError | None = None

    async def come(self) -> None:
        """Until cancelled; then those under way get their answers."""
        random, loop = Random(self._fault.name), asyncio.get_running_loop()
        due = loop.time()
        try:
            while self.problem is None:
                due += random.expovariate(self._rps)
                await asyncio.sleep(due - loop.time())
                if len(self._waiting) >= MOST_WAITING:
                    self.problem = BenchmarkError(f"{MOST_WAITING} requests wait at once: this machine is too slow")
                    return
                task = asyncio.create_task(self._one(self.sent, random.randrange(USERS)))
                self.sent += 1
                self._waiting.add(task)
                task.add_done_callback(self._waiting.discard)
        finally:
            await asyncio.gather(*self._waiting)
            for _, writer in self._idle:
                writer.close()

    async def _one(self, number: int, user: int) -> None:
        ok = False
        with contextlib.suppress(OSError, ValueError, EOFError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                ok = await self._ask(number, user) < 500
        if not ok:
            self.failed += 1
            self.harmed += not fate(self._fault, number).fails

    async def _connection(self) -> Connection:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():  # else it idled for longer than gatekeeper keeps one, as a browser would see, too
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def _ask(self, number: int, user: int) -> int:
        """The status. Raises OSError, EOFError or ValueError for what is no answer."""
        reader, writer = await self._connection()
        kept = False
        try:
            lines = ("GET /basket HTTP/1.1", "Host: shop.example", f"X-User: u{user}", f"X-Number: {number}", "", "")
            writer.write("\r\n".join(lines).encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]))
            if b"\r\nconnection: close" not in head:
                self._idle.append((reader, writer))
                kept = True
            return int(head[9:12])
        finally:
            if not kept:
                writer.close()
