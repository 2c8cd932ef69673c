"""The connection to a backend. It knows whose exchange it carries, and nothing of HTTP."""

import asyncio
from typing import TYPE_CHECKING, cast

from gatekeeper.dataplane.backends import Backend
from gatekeeper.dataplane.tunnel import Tunnel

if TYPE_CHECKING:
    from gatekeeper.dataplane.exchange import Exchange


class Upstream(asyncio.Protocol):
    """``used`` counts the exchanges before the present one: only a reused connection may have died unnoticed.

    ``last`` says that the backend will close after the present answer.
    """

    __slots__ = ("_made", "backend", "exchange", "idle_since", "last", "transport", "used")

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.exchange: Exchange | Tunnel | None = None
        self.idle_since = 0.0
        self.used = 0
        self.last = False
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._made = False

    def close(self) -> None:
        """End a connection that nobody uses any more. What its backend has not read by then, it is not given."""
        if not self._made:
            return
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # closing would wait until it has read, perhaps for ever
        else:
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._made = True
        self.backend.connections += 1

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is not None:
            exchange.on_response_data(data)
        else:
            # Nobody asked: an answer to no request would be taken for the next one's (response queue poisoning).
            self.transport.abort()

    def eof_received(self) -> bool:
        exchange = self.exchange
        if isinstance(exchange, Tunnel):
            return exchange.on_upstream_eof()
        if exchange is not None:
            self.exchange = None
            exchange.on_upstream_lost(None, reused=self.used > 0)
        self.transport.abort()  # it has said all it will; see ``close``
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.backend.connections -= 1
        exchange = self.exchange
        if exchange is not None:
            self.exchange = None
            exchange.on_upstream_lost(exc, reused=self.used > 0)
        else:
            self.backend.idle.pop(self, None)

    def pause_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.downstream.hold_reading()

    def resume_writing(self) -> None:
        if self.exchange is not None:
            self.exchange.downstream.release_reading()
