"""The connection to a client: bytes into requests, one exchange at a time, in order.

A connection is in one of four phases, told by ``exchange`` and ``phase``:

* IDLE: no byte of a request is here; ``deadline`` is the keep-alive time.
* HEAD: a head has begun; ``deadline`` is its time, however slowly bytes drip in.
* BUSY: an exchange is running and owns ``deadline``. Bytes behind its request are kept, within a bound.
* LINGER: the last answer is out, what still comes in is thrown away for a moment, so that closing does not reset the
  connection before the client has read the answer (RFC 9112 section 9.6).
"""

import asyncio
import os
import re
import socket
import struct
import time
from typing import TYPE_CHECKING, cast

from gatekeeper.dataplane.exchange import Exchange
from gatekeeper.dataplane.forward import Client, client_address, is_secure
from gatekeeper.dataplane.replies import local_reply
from gatekeeper.errors import Fault
from gatekeeper.http1.errors import BadMessageError
from gatekeeper.http1.request import RequestHead, read_fields
from gatekeeper.telemetry.block import Refusal

if TYPE_CHECKING:
    from gatekeeper.dataplane.plane import Plane

IDLE, HEAD, BUSY, LINGER = range(4)

# Bytes read ahead of a running exchange: several pipelined heads, then the client waits (TCP does the rest).
MAX_AHEAD = 64 * 1024
# How long and how much is thrown away after a final answer; nginx lingers up to 30 s, enough here is one round trip.
LINGER_SECONDS = 2.0
LINGER_BYTES = 1024 * 1024
# Seconds a closing connection may take to deliver what was written.
CLOSE_SECONDS = 10.0
# Empty lines allowed before a request line (RFC 9112 section 2.2), for clients that end a body with one.
MAX_BLANK = 4

# struct linger of socket(7), on and 0 s: what is unsent is thrown away and the peer gets a reset.
_NO_LINGER = struct.pack("ii", 1, 0)

# A LF that no CR precedes cannot become part of a valid head: answer at once, not at the deadline.
_BARE_LF = re.compile(rb"(?<!\r)\n")

monotonic = time.monotonic


class Downstream(asyncio.Protocol):
    """``blocked`` says the client does not read as fast as we write; ``held`` that we do not read it just now."""

    __slots__ = (
        "ahead", "blocked", "client", "deadline", "discarded", "exchange", "held", "loop", "phase", "plane",
        "transport",
    )  # fmt: skip

    def __init__(self, plane: "Plane", loop: asyncio.AbstractEventLoop) -> None:
        self.plane = plane
        self.loop = loop
        self.exchange: Exchange | None = None
        self.phase = IDLE
        self.ahead = b""
        self.blocked = self.held = False
        self.discarded = 0
        self.deadline = 0.0
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.client: Client = cast("Client", None)

    # Events of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        plane = self.plane
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else ""
        self.client = Client(address, trusted=plane.trusts(address))
        # A fresh connection has the time of a head to send its first byte: opening many and saying nothing is free
        # for an attacker, waiting `idle` for each is not for us.
        self.deadline = monotonic() + plane.head_seconds
        plane.recorder.accepted()
        plane.connections.add(self)
        if len(plane.connections) > plane.max_connections:
            plane.recorder.refused(Refusal.CONNECTION_LIMIT)
            self.write(local_reply(Fault.CONNECTION_LIMIT.value))
            self.linger()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason does not matter
        plane = self.plane
        plane.connections.discard(self)
        plane.recorder.closed()
        if self.exchange is not None:
            self.exchange.on_client_lost()

    def eof_received(self) -> bool:
        """A client that closes its side is taken as gone.

        A full close looks the same, and backends must learn at once that nobody waits. Answers already written are
        still delivered.
        """
        return False

    def pause_writing(self) -> None:
        self.blocked = True
        exchange = self.exchange
        if exchange is not None and exchange.upstream is not None:
            exchange.upstream.transport.pause_reading()

    def resume_writing(self) -> None:
        self.blocked = False
        exchange = self.exchange
        if exchange is not None and exchange.upstream is not None:
            exchange.upstream.transport.resume_reading()
            exchange.on_unblocked()

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            if self.phase == LINGER:
                self._discard(data)
            else:
                self._on_head_bytes(self.ahead + data if self.ahead else data)
            return
        if not exchange.request_done and not self.ahead:
            data = exchange.on_request_data(data)
        if data and not self.transport.is_closing():
            if self.phase == LINGER:
                self._discard(data)
            else:
                self._keep_ahead(data)

    # Requests

    def _keep_ahead(self, data: bytes) -> None:
        self.ahead += data
        if self.exchange is None:
            self.loop.call_soon(self._next)
        elif len(self.ahead) > MAX_AHEAD:
            self.hold_reading()

    def _on_head_bytes(self, data: bytes) -> None:
        plane = self.plane
        line_end = data.find(b"\r\n")
        # A section that is known ends in its only empty line, so it need not be looked for: 0.3 us.
        fields = plane.request_fields.known.get(data[line_end:])
        body = b""
        try:
            if fields is None or line_end <= 0 or len(data) > plane.max_head:
                end = data.find(b"\r\n\r\n") + 4
                if line_end == 0:
                    self._after_blank(data)
                    return
                if end < 4 or end > plane.max_head:
                    self._incomplete(data, end)
                    return
                fields = read_fields(plane.request_fields, data[line_end:end], plane.max_fields)
                body = data[end:]
            head = RequestHead(data[:line_end], fields)
        except BadMessageError as error:
            self.ahead = b""
            self._refuse(error.fault)
            return
        self.ahead = b""
        self._begin(head, body)

    def _after_blank(self, data: bytes) -> None:
        """Empty lines before a request line are skipped, a few (RFC 9112 section 2.2)."""
        rest = data.lstrip(b"\r\n")
        blank = data[: len(data) - len(rest)]
        self.ahead = b""
        if len(blank) > 2 * MAX_BLANK or blank.replace(b"\r\n", b"") not in {b"", b"\r"}:
            self._refuse(Fault.BAD_REQUEST)
        elif rest:
            self._on_head_bytes(rest)
        elif blank.endswith(b"\r"):
            self.ahead = b"\r"

    def _incomplete(self, data: bytes, end: int) -> None:
        """Not a whole head yet, or one beyond the limit."""
        plane = self.plane
        if end > plane.max_head or len(data) > plane.max_head:
            long_line = b"\n" not in data[: plane.max_head]
            self._refuse(Fault.TARGET_TOO_LONG if long_line else Fault.HEAD_TOO_LARGE)
        elif _BARE_LF.search(data):
            self._refuse(Fault.BAD_REQUEST)
        else:
            self.ahead = data
            if self.phase != HEAD:
                self.phase = HEAD
                self.deadline = monotonic() + plane.head_seconds

    def _begin(self, head: RequestHead, body: bytes) -> None:
        plane = self.plane
        snapshot = plane.snapshot
        started = monotonic()
        client = self.client
        fields = head.fields
        if fields.proxied:
            address = client_address(client, fields, plane.trusts)
            secure = is_secure(client, fields)
            unknown = not client.trusted
        else:
            address = client.address
            secure = client.secure
            unknown = False
        # The same fields get the same decision from the same snapshot where nothing else has a say: 1 us.
        decided = fields.decided
        if (
            decided is not None
            and decided[0] is snapshot
            and snapshot.ready[decided[1].version.slot]
            and not head.rehosted
        ):
            decision = decided[1]
        else:
            table = snapshot.table
            found = table.decide(head, address, unknown, secure, snapshot.ready, plane.draw, plane.wall)
            if found is None:
                self._refuse(Fault.NO_SERVICE, head)
                return
            decision = found
            if not head.rehosted and table.repeats(head, decision):
                fields.decided = (snapshot, decision)
        self.phase = BUSY
        exchange = self.exchange = Exchange(self, head, decision, snapshot, address, started)
        exchange.start()
        if body:
            if exchange.request is not None and self.exchange is exchange:
                body = exchange.on_request_data(body)
            if body and not self.transport.is_closing():
                if self.phase == LINGER:
                    self._discard(body)
                else:
                    self._keep_ahead(body)

    def _refuse(self, fault: Fault, head: RequestHead | None = None) -> None:
        """Answer a request that no version gets, and count it under no service."""
        plane = self.plane
        info = fault.value
        keep = head is not None and head.persistent and head.length == 0 and not plane.draining
        reply = local_reply(info, head_only=head is not None and head.method == b"HEAD", close=not keep)
        self.write(reply)
        plane.recorder.begin(0)
        plane.recorder.error(0, info.source)
        plane.recorder.finish(0, info.status, forced=False, seconds=0.0, upstream_seconds=-1.0)
        if plane.log.enabled:
            size = len(reply) - reply.find(b"\r\n\r\n") - 4
            method, target, minor, host = (
                (head.method, head.target, head.minor, head.host) if head else (b"", b"", 1, b"")
            )
            plane.log.add(
                time.time(), self.client.address, method, target, minor, info.status, size, 0.0, -1.0, host, "", "", "",
                "", None, 0, b"", b"", b"", info.source.label, False, 0,
            )  # fmt: skip
        self.exchange_done(monotonic(), keep=keep)

    def exchange_done(self, now: float, *, keep: bool) -> None:
        """The exchange is over in both directions; go on with the next request or close."""
        if not keep:
            self.linger()
            return
        self.phase = IDLE
        self.deadline = now + self.plane.idle_seconds
        if self.ahead:
            self.loop.call_soon(self._next)
        if self.held:
            self.release_reading()

    def _next(self) -> None:
        if self.exchange is None and self.phase == IDLE and self.ahead and not self.transport.is_closing():
            data, self.ahead = self.ahead, b""
            self._on_head_bytes(data)

    # Writing, back pressure, closing

    def write(self, data: bytes) -> None:
        self.plane.write(self.transport, data)

    def hold_reading(self) -> None:
        if not self.held:
            self.held = True
            self.transport.pause_reading()

    def release_reading(self) -> None:
        if self.held:
            self.held = False
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
        self.deadline = monotonic() + CLOSE_SECONDS
        self.plane.flush()
        self.transport.close()

    def reset(self) -> None:
        """Close so that the client's system reports an error instead of an end (on TCP; a unix socket has no reset)."""
        self.phase = LINGER
        self.plane.flush()
        # A stand-in of uvloop's has a descriptor and nothing else; options set on a copy hold for the connection.
        with socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as copy:
            copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def expire(self, now: float) -> None:
        """The deadline has passed; called by the sweep."""
        self.deadline = now + CLOSE_SECONDS  # whatever is done now must itself end
        if self.exchange is not None:
            self.exchange.on_deadline()
        elif self.phase == HEAD:
            self.plane.recorder.refused(Refusal.HEAD_TIMEOUT)
            self._refuse(Fault.HEAD_TIMEOUT)
        elif self.phase == LINGER:
            self.transport.abort()
        else:
            self.close()

    def drain(self) -> None:
        """The worker is stopping: an idle connection closes now, a busy one after its answer."""
        if self.exchange is None and self.phase == IDLE and not self.ahead:
            self.close()

    def log_exchange(self, exchange: Exchange, now: float, waited: float) -> None:
        head, decision = exchange.head, exchange.decision
        referer, agent = head.values(b"referer"), head.values(b"user-agent")
        self.plane.log.add(
            time.time(), exchange.address, head.method, head.target, head.minor, exchange.status or 499,
            exchange.sent_bytes, now - exchange.started, waited, head.host, decision.service.name,
            decision.version.name, exchange.last_url, decision.reason, decision.rule, exchange.snapshot.table.revision,
            exchange.request_id, referer[0] if referer else b"", agent[0] if agent else b"",
            exchange.error.label if exchange.error is not None else "", decision.forced, max(0, exchange.tries - 1),
        )  # fmt: skip
