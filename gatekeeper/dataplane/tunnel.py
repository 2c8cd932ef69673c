"""Two connections after an upgrade: bytes both ways, until both have ended (RFC 9110 section 7.8).

A tunnel begins with the backend's 101 to a request that asked for it, and takes the exchange's place in both
connections. Until then nothing of the new protocol goes to the backend: what a client sends early is kept as bytes
read ahead, within their bound, and is a next request if the backend refuses.

* The request is counted at the 101, with its duration; the tunnel counts apart. Its line in the access log is
  written at the end. The claim on the backend lasts as long as the tunnel: it is work that the backend has.
* It belongs to no snapshot: a change of weights or a reload leave it alone.
* Whoever does not read is not read for. An end of one direction is passed on; the other direction goes on, with
  shorter pauses allowed.
* When the worker stops or its version leaves, a WebSocket is told 1001 (going away) on both sides, between two frames,
  at a moment drawn over the time for it, so that not all clients come back at once. Other protocols have no goodbye:
  they may go on to the end.
"""

import secrets
import time
from typing import TYPE_CHECKING

from gatekeeper.dataplane.entries import note_exchange
from gatekeeper.dataplane.life import END, SWITCH, after
from gatekeeper.errors import Source
from gatekeeper.http1.response import ResponseHead
from gatekeeper.http1.upgrade import GOING_AWAY, Frames, agrees, close_frame, is_websocket

if TYPE_CHECKING:
    import asyncio

    from gatekeeper.dataplane.ending import Ending
    from gatekeeper.dataplane.upstream import Upstream

# The part of the drain time over which goodbyes are spread; the rest is for frames still to end and for the answers.
SPREAD = 0.8
# Seconds for the peers' close frames after ours; a round trip or two. RFC 6455 section 7.1.1 lets nobody wait for ever.
GOODBYE_SECONDS = 5.0
# Seconds in which a backend may take what was written before its connection closed.
CLOSE_SECONDS = 10.0

monotonic = time.monotonic


def switch(exchange: "Ending", head: ResponseHead, early: bytes) -> bool:
    """Begin a tunnel after a 101; ``early`` came behind it. False if nobody asked for this, and nothing was done."""
    upstream = exchange.upstream
    request = exchange.head
    if upstream is None or not request.minor or not agrees(request.fields.upgrade, head.upgrade):
        return False
    Tunnel(exchange, upstream, is_websocket(head.upgrade)).open(head, early)
    return True


def _halves(transport: "asyncio.Transport") -> bool:
    """Whether one direction can end and the other go on. In TLS that is rare and here not done: our end is both's."""
    return transport.can_write_eof() and transport.get_extra_info("ssl_object") is None


class Way:
    """One direction. ``ended``: nothing more comes in it. ``told``: our close frame was put in it, nothing follows."""

    __slots__ = ("_masked", "ended", "frames", "leaving", "target", "told")

    def __init__(self, target: "asyncio.Transport", *, websocket: bool, masked: bool) -> None:
        self.target = target
        self.frames = Frames() if websocket else None
        self.ended = self.leaving = self.told = False
        self._masked = masked

    def pass_on(self, data: bytes) -> None:
        frames = self.frames
        if frames is not None:
            end = frames.feed(data)
            if self.told:
                return
            if self.leaving and end >= 0 and not frames.closing:
                self._tell(data[:end])
                return
        self.target.write(data)

    def leave(self) -> None:
        """Put a close frame in as soon as a frame has ended, unless the sender closes by itself."""
        self.leaving = True
        if self.frames is not None and self.frames.between and not self.frames.closing and not self.ended:
            self._tell(b"")

    def _tell(self, before: bytes) -> None:
        self.told = True
        # RFC 6455 section 5.3: what a client sends is masked, unpredictably.
        self.target.write(before + close_frame(GOING_AWAY, secrets.token_bytes(4) if self._masked else b""))

    @property
    def done(self) -> bool:
        """Whether its sender has nothing more to say."""
        return self.ended or (self.frames is not None and self.frames.closed)


class Tunnel:
    """What a Downstream and an Upstream call instead of an exchange. ``down`` leads to the client, ``up`` from it."""

    request_done = False
    """Whatever the client sends is the tunnel's."""

    def __init__(self, exchange: "Ending", upstream: "Upstream", websocket: bool) -> None:
        self.exchange = exchange
        self.downstream = exchange.downstream
        self.upstream: Upstream | None = upstream
        self.down = Way(self.downstream.transport, websocket=websocket, masked=False)
        self.up = Way(upstream.transport, websocket=websocket, masked=True)
        self.websocket = websocket
        self.leaving = False
        self._end: float | None = None
        """Until when it may stay, monotonic seconds; None while nobody asks it to leave."""
        self._slot = exchange.decision.version.slot
        self._timeouts = exchange.decision.service.timeouts
        self._pause = self._timeouts.tunnel
        self._leave_at = float("inf")
        exchange.upstream = None
        self.downstream.exchange = upstream.exchange = self

    def open(self, head: ResponseHead, early: bytes) -> None:
        """Take over both connections and pass on the 101 with all that waits on either side."""
        exchange, downstream = self.exchange, self.downstream
        plane = downstream.plane
        decision = exchange.decision
        now = monotonic()
        exchange.status = head.status
        exchange.answered_at = now
        exchange.state = after(exchange.state, SWITCH)
        plane.recorder.finish(self._slot, head.status, decision.forced, now - exchange.started, now - exchange.sent_at)
        plane.recorder.tunnel_opened(self._slot)
        if decision.flags is not None:
            plane.tally.lines.append((decision, head.status, now - exchange.started))
        if exchange.place is not None:
            exchange.place.end(exchange, now)
        plane.tunnels.add(self)
        if exchange.backend is not None:
            exchange.backend.requests += 1  # it was answered; how the tunnel ends says nothing of the backend
        lines = [head.line, head.forward, b"\r\nConnection: upgrade\r\nUpgrade: ", head.upgrade]
        if decision.set_cookie:
            lines += (b"\r\n", decision.set_cookie[:-2])
        if decision.forced:
            lines += (b"\r\nX-Gatekeeper-Version: ", decision.version.name.encode())
        lines.append(b"\r\n\r\n")
        plane.flush()  # a tunnel writes at once, behind everything that was queued
        downstream.transport.write(b"".join(lines))
        ahead, downstream.ahead = downstream.ahead, b""
        downstream.release_reading()
        if plane.drain_end is not None:
            self.leave_before(plane.drain_end)
        if exchange.leave_by < float("inf"):
            self.leave_before(exchange.leave_by)
        self._moved()
        if early:
            self.on_response_data(early)
        if ahead:
            self.on_request_data(ahead)

    # Bytes

    def on_request_data(self, data: bytes) -> bytes:
        """From the client. Nothing is left over."""
        self.downstream.plane.recorder.tunnel_received(self._slot, len(data))
        self.up.pass_on(data)
        self._moved()
        return b""

    def on_response_data(self, data: bytes) -> None:
        self.exchange.sent_bytes += len(data)
        self.downstream.plane.recorder.tunnel_sent(self._slot, len(data))
        self.down.pass_on(data)
        self._moved()

    def _moved(self) -> None:
        """Something happened: pauses are counted from now."""
        if self.leaving:
            self._part()
        else:
            self.downstream.deadline = min(monotonic() + self._pause, self._leave_at)

    def on_blocked(self) -> None:
        """The client does not read. That is a pause like any other."""

    def on_unblocked(self) -> None:
        """The client reads again. Bytes will follow, and count then."""

    # Ends

    def on_client_eof(self) -> bool:
        """Whether to keep the connection for what is still to be written on it."""
        return self._on_eof(self.up, self.down)

    def on_upstream_eof(self) -> bool:
        return self._on_eof(self.down, self.up)

    def _on_eof(self, way: Way, back: Way) -> bool:
        if way.ended:
            return True  # reading again after a pause meets the same end again
        way.ended = True
        if back.ended or not (_halves(way.target) and _halves(back.target)):
            self.close()
            return False
        # A peer that is gone for good looks the same until it is written to, so the rest may not pause for long.
        self._pause = min(self._pause, self._timeouts.idle)
        way.target.write_eof()
        self._moved()
        return True

    def on_client_lost(self) -> None:
        """Without a word. What it sent is still delivered where the protocol can tell that it was cut."""
        upstream = self._finish()
        if upstream is None:
            return
        plane = self.downstream.plane
        if self.websocket:
            plane.close_within(upstream.transport, CLOSE_SECONDS)
        else:
            plane.reset(upstream.transport)

    def on_upstream_lost(self, exc: Exception | None, *, reused: bool) -> None:
        """The same from the other side; no version is blamed, as its answer was complete with the 101."""
        del reused
        if exc is not None:
            self.exchange.error = Source.UPSTREAM_RESET
        self._finish()
        if self.websocket or exc is None:
            self.downstream.close()
        else:
            self.downstream.reset()

    def on_deadline(self) -> None:
        """Nothing has moved for too long, or the time to leave has come, or a goodbye got no answer."""
        if self.websocket and not self.leaving and not self.up.ended and not self.down.ended:
            self._leave()
        else:
            self.close()

    def close(self) -> None:
        """End both connections; what was written is still delivered."""
        upstream = self._finish()
        if upstream is not None:
            self.downstream.plane.close_within(upstream.transport, CLOSE_SECONDS)
        self.downstream.close()

    def _finish(self) -> "Upstream | None":
        """Let go of both connections, give the claim back and log, once. The backend's connection, if it is open."""
        upstream, self.upstream = self.upstream, None
        exchange, downstream = self.exchange, self.downstream
        plane = downstream.plane
        if self in plane.tunnels:
            plane.tunnels.remove(self)
            exchange.state = after(exchange.state, END)
            if upstream is not None:
                upstream.exchange = None
            downstream.exchange = None
            exchange.release()
            plane.in_flight -= 1
            plane.finished += 1
            plane.recorder.tunnel_closed(self._slot)
            if plane.log.enabled:
                waited = exchange.answered_at - exchange.sent_at
                note_exchange(exchange, monotonic(), waited)
        return upstream

    # Leaving

    def leave_before(self, end: float) -> None:
        """Choose the moment to leave, and be gone by ``end`` (monotonic seconds). The earliest end counts."""
        if self._end is not None and self._end <= end:
            return
        self._end = end
        now = monotonic()
        part = self.downstream.plane.draw() / 2**64 * SPREAD if self.websocket else 1.0
        self._leave_at = min(self._leave_at, now + max(0.0, end - now) * part)
        self.downstream.deadline = min(self.downstream.deadline, end if self.leaving else self._leave_at)

    def withdraw(self) -> None:
        """The time is over in which it should have left: who can still be told why is told."""
        if not self.leaving:
            self.down.leave()
            self.up.leave()
        self.close()

    def _leave(self) -> None:
        """Say goodbye to both sides, each as soon as a frame has ended."""
        self.leaving = True
        self.downstream.deadline = monotonic() + GOODBYE_SECONDS if self._end is None else self._end
        self.down.leave()
        self.up.leave()
        self._part()

    def _part(self) -> None:
        """Close when both sides have answered; do not wait long for it once both were told."""
        up, down = self.up, self.down
        if up.done and down.done:
            self.close()
        elif (up.told or up.done) and (down.told or down.done):
            self.downstream.deadline = min(self.downstream.deadline, monotonic() + GOODBYE_SECONDS)
