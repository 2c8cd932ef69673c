"""The connection to a client: bytes into requests, one exchange at a time, in order.

A connection is in one of four phases, told by ``exchange`` and ``phase``:

* IDLE: no byte of a request is here; ``deadline`` is the keep-alive time.
* HEAD: a head has begun; ``deadline`` is its time, however slowly bytes drip in.
* BUSY: an exchange is running and owns ``deadline``. Bytes behind its request are kept, within a bound.
* LINGER: the last answer is out, what still comes in is thrown away for a moment, so that closing does not reset the
  connection before the client has read the answer (RFC 9112 section 9.6).
"""

import asyncio
import time
from typing import cast

from gatekeeper.dataplane.entries import note_refusal
from gatekeeper.dataplane.exchange import Exchange
from gatekeeper.dataplane.forward import Client, client_address, is_secure
from gatekeeper.dataplane.leaving import has_unread
from gatekeeper.dataplane.parting import BUSY, CLOSE_SECONDS, HEAD, IDLE, LINGER, MAX_AHEAD, Parting
from gatekeeper.dataplane.question import Question
from gatekeeper.dataplane.replies import local_reply, wants_html
from gatekeeper.dataplane.tunnel import Tunnel
from gatekeeper.errors import Fault
from gatekeeper.http1.errors import BadMessageError
from gatekeeper.http1.request import RequestHead, read_fields
from gatekeeper.telemetry.block import Refusal

# Empty lines allowed before a request line (RFC 9112 section 2.2), for clients that end a body with one.
MAX_BLANK = 4

monotonic = time.monotonic


class Downstream(Parting):
    """``blocked`` says the client does not read as fast as we write; ``held`` that we do not read it just now."""

    __slots__ = ()

    # Events of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        plane = self.plane
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else ""
        secure = transport.get_extra_info("ssl_object") is not None
        self.client = Client(address, trusted=plane.trusts(address), secure=secure)
        # A fresh connection has the time of a head to send its first byte: opening many and saying nothing is free
        # for an attacker, waiting `idle` for each is not for us.
        self.deadline = monotonic() + plane.head_seconds
        plane.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason does not matter
        plane = self.plane
        plane.connections.discard(self)
        plane.turned_away.discard(self)
        plane.held.discard(self)
        plane.recorder.closed()
        if self.exchange is not None:
            self.exchange.on_client_lost()

    def eof_received(self) -> bool:
        """A client that closes its side is taken as gone.

        A full close looks the same, and backends must learn at once that nobody waits. Answers already written are
        still delivered. What an end means in a tunnel is not ours to say: it is passed on.
        """
        self.plane.flush()
        exchange = self.exchange
        if isinstance(exchange, Tunnel):
            return exchange.on_client_eof()
        if exchange is not None and exchange.ended_by_close:
            self.reset()  # who has ended only its own side would take our close for the end of a whole answer
        return False

    def pause_writing(self) -> None:
        self.blocked = True
        exchange = self.exchange
        if exchange is None:
            if self.phase == IDLE:  # who does not read answers may not ask for more: our own need no backend
                self.hold_reading()
        elif exchange.upstream is not None:
            exchange.upstream.transport.pause_reading()
            exchange.on_blocked()

    def resume_writing(self) -> None:
        self.blocked = False
        exchange = self.exchange
        if exchange is None:
            if self.phase == IDLE:
                self._go_on()
        elif exchange.upstream is not None:
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
        if data:
            self._keep_ahead(data)

    # Requests

    def _keep_ahead(self, data: bytes) -> None:
        """Bytes behind a request: of the next one, or of nobody."""
        if self.phase == LINGER:
            self._discard(data)
        elif not self.transport.is_closing():
            self.ahead += data
            if len(self.ahead) > MAX_AHEAD:
                self.hold_reading()
            if self.exchange is None:
                self.loop.call_soon(self._next)

    def _on_head_bytes(self, data: bytes) -> None:
        plane = self.plane
        line_end = data.find(b"\r\n")
        # A section that is known ends in its only empty line, so it need not be looked for: 0.3 us.
        # (Not in all that a pipelining client sent at once: hashing that for each of its requests costs too much.)
        fields = plane.request_fields.known.get(data[line_end:]) if len(data) <= plane.max_head else None
        body = b""
        try:
            if fields is None or line_end <= 0:
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
            self._refuse(error.fault, head_only=data.startswith(b"HEAD "))
            return
        self.ahead = b""
        self._begin(head, body)

    def _after_blank(self, data: bytes) -> None:
        """Empty lines before a request line are skipped, a few (RFC 9112 section 2.2)."""
        rest = data.lstrip(b"\r\n")
        blank = data[: len(data) - len(rest)]
        self.ahead = b""
        over = blank.replace(b"\r\n", b"")
        if len(blank) > 2 * MAX_BLANK or (over and (rest or over != b"\r")):  # half a line end only where more may come
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
        elif data.count(b"\n") != data.count(b"\r\n"):
            self._refuse(Fault.BAD_REQUEST)  # a LF without its CR is part of no valid head: say so now
        else:
            self.ahead = b""
            self.release_reading()  # no whole request waits, so there must be more to come
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
        # The same fields get the same decision from the same snapshot where nothing else has a say but rules that ask
        # for other parts of a request, and these say the same: 1 us without rules, 16 with ten of them.
        decided = fields.decided
        if (
            decided is not None
            and decided[0] is snapshot
            and snapshot.ready[decided[1].version.slot]
            and not head.rehosted
            and ((rules := decided[1].service.rules) is None or rules.by_rest(head, address) == decided[2])
            and (
                (flags := decided[1].flags) is None
                or flags.by_rest is None
                or flags.by_rest(head, address) == decided[3]
            )
        ):
            decision = decided[1]
        else:
            table = snapshot.table
            found = table.decide(head, address, unknown, secure, snapshot.ready, plane.draw, plane.wall)
            if found is None:
                self._refuse(Fault.NO_SERVICE, head, address=address)
                if body:
                    self._keep_ahead(body)
                return
            decision = found
            if fields.lasting and not head.rehosted and table.repeats(head, decision):
                rules = decision.service.rules
                flags = decision.flags
                fields.decided = (
                    snapshot,
                    decision,
                    () if rules is None else rules.by_rest(head, address),
                    0 if flags is None or flags.by_rest is None else flags.by_rest(head, address),
                )
        self.phase = BUSY
        asking = plane.asking.get(decision.service) if plane.asking else None
        if asking is None or not asking.concerns(head.path):
            exchange = Exchange(self, head, decision, snapshot, address, started)
        else:
            exchange = Question(self, head, asking, snapshot, address, started)
        self.exchange = exchange
        exchange.start()
        if body:
            if exchange.request is not None and self.phase == BUSY:  # it may be over by now
                body = exchange.on_request_data(body)
            if body:
                self._keep_ahead(body)

    def _refuse(
        self, fault: Fault, head: RequestHead | None = None, *, head_only: bool = False, address: str | None = None
    ) -> None:
        """Answer a request that no version gets, and count it under no service. ``address``: None is the peer's."""
        plane = self.plane
        info = fault.value
        keep = head is not None and head.persistent and head.length == 0 and not plane.draining
        html_wanted = head is not None and wants_html(head.values(b"accept"))
        head_only = head_only or (head is not None and head.method == b"HEAD")
        reply = local_reply(info, html_wanted=html_wanted, head_only=head_only, close=not keep)
        self.write(reply)
        plane.recorder.begin(0)
        plane.recorder.error(0, info.source)
        plane.recorder.finish(0, info.status, forced=False, seconds=0.0, upstream_seconds=-1.0)
        if plane.log.enabled:
            size = len(reply) - reply.find(b"\r\n\r\n") - 4
            address = self.client.address if address is None else address
            note_refusal(plane.log, address, head, info, size, plane.snapshot.table.revision)
        self.exchange_done(monotonic(), keep=keep)

    def exchange_done(self, now: float, *, keep: bool) -> None:
        """The exchange is over in both directions; go on with the next request or close."""
        if not keep:
            self.linger()
            return
        self.phase = IDLE
        self.deadline = now + self.plane.idle_seconds
        if self.blocked:
            self.hold_reading()
        elif self.ahead or self.held:
            self._go_on()

    def _go_on(self) -> None:
        if self.ahead:
            self.loop.call_soon(self._next)
        self.release_reading()

    def _next(self) -> None:
        if self.blocked:
            return  # `resume_writing` comes back to it
        if self.exchange is None and self.phase == IDLE and self.ahead and not self.transport.is_closing():
            data, self.ahead = self.ahead, b""
            self._on_head_bytes(data)

    # Time

    def expire(self, now: float) -> None:
        """The deadline has passed; called by the sweep."""
        self.deadline = now + CLOSE_SECONDS  # whatever is done now must itself end
        if self.exchange is not None:
            self.exchange.on_deadline()
        elif self.phase == LINGER or self.transport.is_closing():
            self._part(now)  # also for who ended by itself and does not take what was written
        elif self.phase == HEAD:
            self.plane.recorder.refused(Refusal.HEAD_TIMEOUT)
            self._refuse(Fault.HEAD_TIMEOUT)
        elif self.blocked or not has_unread(self.transport):
            if self.transport.get_write_buffer_size():
                self.linger()
            else:
                self.close()
