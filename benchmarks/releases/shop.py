"""Two versions of a shop on loopback, of which the second may have a fault."""

import asyncio
from dataclasses import dataclass
from math import exp
from random import Random
from typing import Final

BASE: Final = 0.003
"""The part of the requests that fails on either version."""
MEDIAN, SIGMA, TAIL_QUANTILE = 0.1, 0.6, 1.880794
"""Seconds an answer takes, lognormal; from this normal quantile on it is one of the slowest 3 % (309 ms and more)."""
BODY: Final = b"a basket of apples\n"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the candidate: ``errors`` (0..1) more of its requests fail; its slowest 3 % take ``tail``
    times as long; nobody listens at its port (``refused``); or the routing gives it ``share`` times its weight.
    """

    name: str
    errors: float = 0.0
    tail: float = 1.0
    refused: bool = False
    share: float = 1.0


FAULTS: Final = (
    Fault("outage: every request fails", errors=1.0),
    Fault("5 % more errors", errors=0.05),
    Fault("slow tail: the slowest 3 % take 1.5 times as long", tail=1.5),
    Fault("connection refused", refused=True),
    Fault("wrong routing: 1.5 times the share that was set", share=1.5),
    Fault("nothing is wrong"),
)


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one request. ``fails`` wherever it goes, ``fails_there`` only on the candidate; seconds.

    ``luck`` (0..1) is what decided whether it fails wherever it goes.
    """

    luck: float
    fails: bool
    fails_there: bool
    seconds: float
    seconds_there: float

    @property
    def slowed(self) -> bool:
        return self.seconds_there > self.seconds


def fate(fault: Fault, number: int) -> Fate:
    """The same for whoever decides about the release: what differs between them is only who is on the candidate."""
    random = Random(f"{fault.name}/{number}")
    quantile = random.gauss(0.0, 1.0)
    seconds = MEDIAN * exp(SIGMA * quantile)
    there = seconds * fault.tail if quantile > TAIL_QUANTILE else seconds
    luck = random.random()
    return Fate(luck, luck < BASE, random.random() < fault.errors, seconds, there)


class Version:
    """One version. Requests say their number (``X-Number``), by which their fate is known."""

    def __init__(self, fault: Fault, *, candidate: bool) -> None:
        self._fault = fault
        self._candidate = candidate
        self._server: asyncio.Server | None = None
        self.served = self.slowed = 0

    async def start(self) -> int:
        """The port it listens on; where connections are to be refused, one on which nobody does."""
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        if self._candidate and self._fault.refused:
            self.stop()
        return port

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    def fate(self, number: int) -> Fate:
        return fate(self._fault, number)

    def answer(self, number: int) -> tuple[float, bytes]:
        """After how many seconds, and what."""
        found = self.fate(number)
        self.served += 1
        self.slowed += self._candidate and found.slowed
        failed = found.fails or (self._candidate and found.fails_there)
        status = b"500 Internal Server Error" if failed else b"200 OK"
        head = b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (status, len(BODY))
        return found.seconds_there if self._candidate else found.seconds, head + BODY


class _Connection(asyncio.Protocol):
    def __init__(self, version: Version) -> None:
        self._version = version
        self._transport: asyncio.Transport | None = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_server makes
        self._transport = transport

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        # gatekeeper sends one request at a time, without a body.
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end:
            return
        self._data = rest
        number = int(head.lower().partition(b"\r\nx-number:")[2].partition(b"\r\n")[0])
        seconds, answer = self._version.answer(number)
        asyncio.get_running_loop().call_later(seconds, self._write, answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None:
            self._transport.write(answer)
