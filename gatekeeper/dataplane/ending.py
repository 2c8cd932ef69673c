"""What an exchange holds, and the ways it ends."""

import asyncio
import time
from typing import TYPE_CHECKING

from gatekeeper.core.routing import Decision
from gatekeeper.dataplane.backends import Backend
from gatekeeper.dataplane.entries import note_exchange
from gatekeeper.dataplane.life import ANSWERING, CHOOSING, CUT, LOCAL, after
from gatekeeper.dataplane.outcomes import BROKEN_OFF, FAILED_ANSWERS
from gatekeeper.dataplane.replies import local_reply, wants_html
from gatekeeper.dataplane.tally import PORTION
from gatekeeper.errors import Fault, FaultInfo, Source
from gatekeeper.http1.framing import BodyDecoder, LengthDecoder, decoder
from gatekeeper.http1.request import RequestHead

if TYPE_CHECKING:
    from gatekeeper.dataplane.docket import Place
    from gatekeeper.dataplane.dockets import Sampler
    from gatekeeper.dataplane.downstream import Downstream
    from gatekeeper.dataplane.plane import Snapshot
    from gatekeeper.dataplane.shadow.shadow import Shadow
    from gatekeeper.dataplane.tracing import Trace
    from gatekeeper.dataplane.upstream import Upstream

monotonic = time.monotonic


class Ending:
    """``state`` moves by the table in ``life``. ``tries`` counts the connections tried; ``status`` is 0 until a final
    response head has been passed on.

    What starts the same for every exchange is a class attribute: an instance sets only what differs (0.4 us less than
    filling 30 slots one by one).
    """

    state: str = CHOOSING

    # the try that is under way
    upstream: "Upstream | None" = None
    backend: Backend | None = None
    connecting: "asyncio.Task[None] | None" = None
    last_backend = ""
    tried: tuple[Backend, ...] = ()
    tries = 0
    sent_at = -1.0
    turn = -1

    # the request's body
    held: list[bytes] | None = None
    held_size = 0
    received = 0

    # the response
    partial = b""
    interim = 0
    status = 0
    rechunk = False
    sent_bytes = 0
    answered_at = -1.0

    # the end
    error: Source | None = None
    shadow: "Shadow | None" = None
    """Who is to know of it because it is mirrored."""
    trace: "Trace | None" = None
    """Its trace, where we have a part in it."""
    leave_by = float("inf")
    """When its version's time is over, monotonic seconds: then it is ended."""

    def __init__(
        self,
        downstream: "Downstream",
        head: RequestHead,
        decision: Decision,
        snapshot: "Snapshot",
        address: str,
        started: float,
    ) -> None:
        self.downstream = downstream
        self.head = head
        self.decision = decision
        self.snapshot = snapshot
        self.address = address
        self.started = started
        self.request: BodyDecoder | None = decoder(head.length) if head.length else None
        # These are no class attributes: mypyc sets none of several types.
        self.response: BodyDecoder | None = None
        self.place: Place | Sampler | None = None
        """Who is to know when its first attempt is over, and does not know yet."""
        self.keep = head.persistent
        self.request_id = head.fields.request_id

    @property
    def request_done(self) -> bool:
        return self.request is None or self.request.done

    @property
    def awaits_client(self) -> bool:
        """Whether what is waited for is the rest of the client's request, and nobody holds that up."""
        return self.connecting is None and not self.request_done and not self.downstream.held

    @property
    def ended_by_close(self) -> bool:
        """Whether its client takes the close of the connection for the answer's end: RFC 9112 section 6.3 item 8."""
        return not self.head.minor and self.response is not None and not isinstance(self.response, LengthDecoder)

    def drop_upstream(self) -> None:
        """Close the backend's connection, made or in the making, without hearing from it again."""
        upstream = self.upstream
        if upstream is not None:
            self.upstream = None
            upstream.exchange = None
            upstream.transport.abort()
        if self.connecting is not None:
            self.connecting.cancel()
            self.connecting = None

    def release(self) -> None:
        """Give the claim on the backend back; what came of it says nothing of the backend."""
        backend, self.backend = self.backend, None
        if backend is not None:
            backend.in_flight -= 1

    def settle(self, reason: str = "") -> None:
        """Give the claim back and count the try for its backend; ``reason`` says why it failed, if it did."""
        backend, self.backend = self.backend, None
        if backend is not None:
            backend.in_flight -= 1
            backend.requests += 1
            if reason:
                backend.fail(reason)

    def fail(self, fault: Fault) -> None:
        """Answer with a fault, or cut where the response has begun."""
        info: FaultInfo = fault.value
        if self.state is ANSWERING:
            self.cut(info.source)
            return
        self.state = after(self.state, LOCAL)
        self.drop_upstream()
        self.release()  # a backend that is to blame has been blamed by now
        downstream = self.downstream
        self.status = info.status
        self.error = info.source
        request_done = self.request_done
        keep = self.keep and request_done and not downstream.plane.draining
        downstream.plane.recorder.error(self.decision.version.slot, info.source)
        ids = downstream.plane.ids
        # Also where nothing was sent: it is how a user's report is found in the log.
        self.request_id = self.request_id or ids.prefix + ids.span()
        reply = local_reply(
            info,
            request_id=self.request_id,
            html_wanted=wants_html(self.head.values(b"accept")),
            pages=self.decision.service.definition.error_pages,
            head_only=self.head.method == b"HEAD",
            close=not keep,
            version=self.decision.version.name if self.decision.forced else "",
        )
        self.sent_bytes = len(reply) - reply.find(b"\r\n\r\n") - 4
        downstream.write(reply)
        now = monotonic()
        self.finish(now)
        if request_done:
            downstream.exchange_done(now, keep=keep)
        else:
            downstream.linger()

    def cut(self, source: Source) -> None:
        """End a response that has begun, visibly: a cut answer must never look complete."""
        self.state = after(self.state, CUT)
        self.drop_upstream()
        if source not in BROKEN_OFF:
            self.release()
        elif self.status not in FAILED_ANSWERS:
            self.settle(BROKEN_OFF[source])
        self.error = source
        self.downstream.plane.recorder.error(self.decision.version.slot, source)
        self.finish(monotonic())
        downstream = self.downstream
        if source is Source.CLIENT and downstream.blocked:
            downstream.reset()  # it would not read the rest either, and memory is held until it does
        elif self.ended_by_close:
            downstream.reset()
        else:
            downstream.close()

    def finish(self, now: float) -> None:
        """Give the claim back and count. The table lets an exchange be over once."""
        backend = self.backend
        if backend is not None:
            self.backend = None
            backend.in_flight -= 1
            backend.requests += 1
        downstream = self.downstream
        downstream.exchange = None
        plane = downstream.plane
        plane.in_flight -= 1
        plane.finished += 1
        decision = self.decision
        waited = self.answered_at - self.sent_at if self.answered_at > 0.0 else -1.0
        if self.status:
            plane.recorder.finish(decision.version.slot, self.status, decision.forced, now - self.started, waited)
        else:
            plane.recorder.abandon(decision.version.slot, decision.forced)
        if decision.flags is not None:
            lines = plane.tally.lines
            lines.append((decision, self.status, now - self.started))
            if len(lines) >= PORTION:
                plane.tally.count()
        if self.place is not None:
            self.place.end(self, now)
        if self.shadow is not None:
            self.shadow.on_end(self)
        if plane.log.enabled:
            note_exchange(self, now, waited)
        if self.trace is not None and self.trace.sampled and plane.tracer is not None:
            plane.tracer.end(self, now, waited)
