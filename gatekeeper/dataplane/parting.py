"""How the connection to a client is held back, and how it ends; what it is for stands in ``downstream``.

Nobody is cut off who did nothing wrong: a last answer is delivered before the close (RFC 9112 section 9.6), as long as
the client goes on taking it, and only a client that stalls, or must be told of an error, is reset.
"""

import asyncio
import time
from typing import TYPE_CHECKING, cast

from gatekeeper.dataplane.forward import Client
from gatekeeper.dataplane.leaving import has_left
from gatekeeper.dataplane.tunnel import Tunnel

if TYPE_CHECKING:
    from gatekeeper.dataplane.exchange import Exchange
    from gatekeeper.dataplane.plane import Plane

IDLE, HEAD, BUSY, LINGER = range(4)
"""The phases of a connection, see ``downstream``."""

# Bytes read ahead of a running exchange: several pipelined heads, then the client waits (TCP does the rest).
MAX_AHEAD = 64 * 1024
# How long and how much is thrown away after a final answer; nginx lingers up to 30 s, enough here is one round trip.
LINGER_SECONDS = 2.0
LINGER_BYTES = 1024 * 1024
# When the worker stops, an idle connection is kept this long: a client that is in the middle of its work sends its next
# request by then and is answered with ``Connection: close``. Closing at once would cross with that request.
LAST_REQUEST_SECONDS = 0.5
# Seconds a closing connection may take to deliver what was written.
CLOSE_SECONDS = 10.0

monotonic = time.monotonic
# The client of a connection that is not made yet.
_NOBODY = Client("", trusted=False)


class Parting(asyncio.Protocol):
    """What ``Downstream`` is built on: its fields, and what needs no request."""

    __slots__ = (
        "ahead", "blocked", "client", "deadline", "discarded", "exchange", "held", "loop", "phase", "plane",
        "transport", "unsent",
    )  # fmt: skip

    def __init__(self, plane: "Plane", loop: asyncio.AbstractEventLoop) -> None:
        self.plane = plane
        self.loop = loop
        self.exchange: Exchange | Tunnel | None = None
        self.phase = IDLE
        self.ahead = b""
        self.blocked = self.held = False
        self.discarded = self.unsent = 0
        self.deadline = 0.0
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.client = _NOBODY

    def write(self, data: bytes) -> None:
        self.plane.write(self.transport, data)

    def hold_reading(self) -> None:
        if not self.held:
            self.held = True
            self.plane.held.add(self)
            self.transport.pause_reading()

    def release_reading(self) -> None:
        """Read on, unless enough was read ahead already: then the next requests come first."""
        if self.held and len(self.ahead) <= MAX_AHEAD:
            self.held = False
            self.plane.held.discard(self)
            self.transport.resume_reading()

    def linger(self) -> None:
        """No further request is served; give the client time to read the answer, then close."""
        if self.transport.is_closing():
            return
        self.phase = LINGER
        self.ahead = b""
        self.deadline = monotonic() + LINGER_SECONDS
        self.release_reading()
        self.plane.flush()
        self.unsent = self.transport.get_write_buffer_size()
        if self.unsent:  # the answer is still under way to a slow client: see `_part`
            self.deadline = monotonic() + self.plane.idle_seconds
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.close()

    def _discard(self, data: bytes) -> None:
        self.discarded += len(data)
        if self.discarded > LINGER_BYTES:
            self.close()

    def close(self) -> None:
        """Close after what was written is delivered, within CLOSE_SECONDS."""
        self.phase = LINGER
        self.unsent = 0
        self.deadline = monotonic() + CLOSE_SECONDS
        self.plane.flush()
        self.transport.close()

    def reset(self) -> None:
        """Close so that the client's system reports an error instead of an end (on TCP; a unix socket has no reset)."""
        self.phase = LINGER
        self.plane.reset(self.transport)

    def _part(self, now: float) -> None:
        """Lingering is over, unless the client goes on taking the answer: cutting it off would break a good one."""
        if self.takes(now):
            return
        if self.transport.get_write_buffer_size():
            self.reset()  # the system would keep what it has taken, and go on trying for minutes
        else:
            self.transport.abort()

    def takes(self, now: float) -> bool:
        """Whether the client has taken anything since this was last asked; then it has the idle time again.

        A buffer that only shrinks is a bound of its own.
        """
        before, self.unsent = self.unsent, self.transport.get_write_buffer_size()
        if 0 < self.unsent < before:
            self.deadline = now + self.plane.idle_seconds
            return True
        return False

    def drain(self, now: float) -> None:
        """The worker is stopping: an idle connection closes soon, a busy one after its answer."""
        if self.phase == IDLE:
            self.deadline = min(self.deadline, now + LAST_REQUEST_SECONDS)

    def look_up(self) -> None:
        """Called by the sweep while the client is held: who left in the middle of a body would else not be missed."""
        exchange = self.exchange
        in_body = exchange is not None and not exchange.request_done and not isinstance(exchange, Tunnel)
        if in_body and has_left(self.transport):
            self.transport.abort()

    @property
    def unfinished(self) -> bool:
        """Whether the client waits for something, or may be sending a request just now."""
        return self.phase != LINGER or self.transport.get_write_buffer_size() > 0
