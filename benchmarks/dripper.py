"""Slow-loris: connections whose request heads drip in, byte by byte, and never end. As a program: PORT COUNT SECONDS.

As a program it keeps COUNT connections under way for SECONDS, opening a new one for each that is ended, then opens no
more, waits until all have been ended, and prints what became of them as JSON.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

import uvloop

BEGINNING = b"GET / HTTP/1.1\r\nHost: shop.example.com\r\nX-Slow: "
PERIOD = 1.0
"""Seconds between two bytes on one connection."""
TURNS = 50
"""Parts of a period: in each, one part of the connections sends a byte."""
OPENING = 32
"""Connections being made at one time."""
AT_MOST_SECONDS = 60.0
"""How long the program waits for the last connections to be ended."""


@dataclass
class Tally:
    """``ends``: how connections ended: ``408``, another status, or ``closed`` without a word. Lives in seconds."""

    opened: int = 0
    under_way: int = 0
    most: int = 0
    refused: int = 0
    longest: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)


class Drop(asyncio.Protocol):
    """One connection."""

    def __init__(self, dripper: "Dripper") -> None:
        self._dripper = dripper
        self._status = "closed"
        self._began = time.monotonic()
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(BEGINNING)
        self._dripper.came(self)

    def data_received(self, data: bytes) -> None:
        if self._status == "closed":
            self._status = data.split(b" ", 2)[1].decode()
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # how it ended is all that counts
        self._dripper.went(self, self._status, time.monotonic() - self._began)


class Dripper:
    """``run`` drips until it is cancelled or, with ``again`` False, no connection is left."""

    def __init__(self, port: int, count: int, period: float = PERIOD) -> None:
        self._port = port
        self._count = count
        self._period = period
        self._drops: set[Drop] = set()
        self._opening = 0
        self._full = asyncio.Event()
        self.again = True
        self.tally = Tally()

    def came(self, drop: Drop) -> None:
        self._drops.add(drop)
        tally = self.tally
        tally.opened += 1
        tally.under_way = len(self._drops)
        tally.most = max(tally.most, tally.under_way)
        if tally.under_way == self._count:
            self._full.set()

    def went(self, drop: Drop, status: str, seconds: float) -> None:
        self._drops.discard(drop)
        tally = self.tally
        tally.under_way = len(self._drops)
        tally.ends[status] += 1
        tally.longest = max(tally.longest, seconds)

    async def full(self) -> None:
        """Until all connections are under way for the first time."""
        await self._full.wait()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            turn = 0
            while self.again or self._drops or self._opening:
                while self.again and self._opening < OPENING and len(self._drops) + self._opening < self._count:
                    self._opening += 1
                    tasks.create_task(self._open())
                for drop in list(self._drops)[turn % TURNS :: TURNS]:
                    drop.transport.write(b"a")
                turn += 1
                # While connections are missing it opens them as fast as they are made.
                missing = self.again and len(self._drops) < self._count
                await asyncio.sleep(0.002 if missing else self._period / TURNS)

    async def _open(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: Drop(self), "127.0.0.1", self._port)
        except OSError:
            self.tally.refused += 1
        finally:
            self._opening -= 1


async def main(port: int, count: int, seconds: float) -> Tally:
    dripper = Dripper(port, count)
    dripping = asyncio.create_task(dripper.run())
    await dripper.full()
    print("full", flush=True)
    await asyncio.sleep(seconds)
    dripper.again = False
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(dripping, AT_MOST_SECONDS)
    return dripper.tally


if __name__ == "__main__":
    # It must not keep those waiting who are measured beside it, whatever priority the whole is run at.
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(10)
    told = uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
    print(json.dumps(vars(told)))
