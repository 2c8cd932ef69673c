"""Choosing a backend, sending the request's head, and trying again where that is safe."""

import asyncio
import time

from gatekeeper.dataplane.backends import Backend
from gatekeeper.dataplane.connecting import connect
from gatekeeper.dataplane.ending import Ending
from gatekeeper.dataplane.forward import outgoing_head
from gatekeeper.dataplane.life import AGAIN, CHOOSING, SENT, after
from gatekeeper.dataplane.outcomes import REASONS
from gatekeeper.dataplane.retry import connect_fault, may_answer_by_stable, may_repeat_unseen, may_try_again
from gatekeeper.dataplane.upstream import Upstream
from gatekeeper.errors import Fault, Source

# Request bytes held while a connection is being made; then the client is no longer read.
MAX_HELD = 64 * 1024

monotonic = time.monotonic


class Sending(Ending):
    """The way out. ``try_failed`` is the one place that decides what happens after a failed try."""

    def start(self) -> None:
        """Claim a backend and send, or answer that there is none. The decision was made in this same step."""
        decision = self.decision
        plane = self.downstream.plane
        plane.in_flight += 1
        plane.recorder.begin(decision.version.slot)
        if decision.failed_over_from is not None:
            plane.recorder.failover(decision.failed_over_from.slot)
        if self.head.length > plane.max_body:
            self.fail(Fault.BODY_TOO_LARGE)
            return
        place = plane.places[decision.version.slot]
        if place is not None:
            self.place = place
        if plane.tracer is not None:
            self.trace = plane.tracer.begin(self.head.fields.traceparent)
        if plane.shadows is not None:
            self.shadow = plane.shadows.draw(self)
        if decision.unavailable:
            self.fail(Fault.FORCED_UNAVAILABLE if decision.forced else Fault.UNAVAILABLE)
        else:
            self._try(self.started)

    def _try(self, now: float, *, fresh: bool = False) -> None:
        group = self.snapshot.groups[self.decision.version.slot]
        backend = group.claim(self.tried) if group is not None else None
        if backend is None:
            if self.place is not None:
                # Its backends are all busy with requests they do not answer: the version's doing, whoever says no.
                self.place.break_off(self, Source.UPSTREAM_UNAVAILABLE, now)
            self.fail(Fault.CONNECTION_LIMIT if group is not None and group.ready else Fault.UNAVAILABLE)
            return
        self.backend = backend
        self.last_backend = backend.id
        self.tries += 1
        upstream = None if fresh or not backend.idle else backend.take()
        if upstream is not None:
            upstream.used += 1
            self._send(upstream, now)
            return
        self.downstream.deadline = now + self.decision.service.timeouts.connect
        if self.held is None:
            self.held = []
        plane = self.downstream.plane
        plane.backends.make_room(plane.most_clients)
        self.connecting = self.downstream.loop.create_task(self._connect(backend))

    async def _connect(self, backend: Backend) -> None:
        upstream = Upstream(backend)
        try:
            await connect(backend, self.downstream.loop, lambda: upstream)
        except asyncio.CancelledError:
            upstream.close()  # it may have been made in the same moment as it was given up
            raise
        except OSError as error:
            self.connecting = None
            if self.state is CHOOSING:
                self.try_failed(connect_fault(error))
            return
        self.connecting = None
        if self.state is not CHOOSING:
            upstream.close()
        elif upstream.transport.is_closing():
            self.try_failed(Fault.RESET)  # it ended, or spoke unasked, before anything was sent
        else:
            self._send(upstream, monotonic())

    def _send(self, upstream: Upstream, now: float) -> None:
        self.upstream = upstream
        upstream.exchange = self  # type: ignore[assignment]  # every Sending is an Exchange; a cast costs a call
        downstream = self.downstream
        transport = upstream.transport
        self.state = after(self.state, SENT)
        self.sent_at = now
        self.turn = downstream.plane.turns
        head = outgoing_head(self.head, downstream.client, self.decision, self._ids(), upstream.backend)
        if self.trace is not None and self.trace.parent:
            head = self.trace.adopt(head)
        held = self.held
        if held is None:
            downstream.plane.write(transport, head)
        else:
            self.held = None
            downstream.plane.write(transport, b"".join((head, *held)) if held else head)
            downstream.release_reading()
        if self.shadow is not None:
            self.shadow.on_sent(head)
        if downstream.blocked:
            transport.pause_reading()
        request = self.request
        timeouts = self.decision.service.timeouts
        downstream.deadline = now + (timeouts.response if request is None or request.done else timeouts.idle)

    def _ids(self) -> tuple[bytes, ...]:
        """Field lines, in pieces, that identify the request: a client's own id and trace pass, others are made here.

        Flags 01 where we trace nothing: a backend's parent-based sampler then does what it does without a proxy in
        front.
        """
        fields = self.head.fields
        if fields.request_id and fields.traceparent:
            return ()
        ids = self.downstream.plane.ids
        span, flags = (ids.span(), b"-01\r\n") if self.trace is None else (self.trace.span, self.trace.flags)
        if fields.request_id:
            return (b"traceparent: 00-", ids.prefix, span, b"-", span, flags)
        # Further tries of a request keep its id.
        own = self.request_id = self.request_id or ids.prefix + span
        if fields.traceparent:
            return (b"X-Request-Id: ", own, b"\r\n")
        return (b"X-Request-Id: ", own, b"\r\ntraceparent: 00-", own, b"-", span, flags)

    # When a try fails

    def answered_unasked(self, *, reused: bool) -> None:
        """Bytes came before the request was written: they answer somebody else's request, or nobody's.

        Taken for this one's answer they would shift every answer on the connection by one (response queue poisoning).
        """
        if not reused or self.request is not None:
            self.try_failed(Fault.BAD_RESPONSE)
            return
        self.drop_upstream()
        self.release()
        self.state = after(self.state, AGAIN)
        self.downstream.plane.recorder.retry(self.decision.version.slot)
        self._try(monotonic(), fresh=True)

    def lost_before_answer(self, *, reused: bool) -> None:
        """The connection ended before a response head was complete."""
        if may_repeat_unseen(
            method=self.head.method,
            has_body=self.request is not None,
            reused=reused,
            answer_begun=bool(self.partial) or self.interim > 0,
        ):
            self.release()
            self.state = after(self.state, AGAIN)
            self.downstream.plane.recorder.retry(self.decision.version.slot)
            self._try(monotonic(), fresh=True)
            return
        self.try_failed(Fault.BAD_RESPONSE if self.partial else Fault.RESET)

    def try_failed(self, fault: Fault) -> None:
        """A try has failed before the response began: try again where that is safe, else answer."""
        service = self.decision.service
        plane = self.downstream.plane
        sent = self.state is not CHOOSING
        backend = self.backend
        self.drop_upstream()
        if self.place is not None:
            self.place.break_off(self, fault.value.source, monotonic())
        if fault in REASONS:
            self.settle(REASONS[fault])
        if (
            may_try_again(fault=fault, sent=sent, tries=self.tries, attempts=service.definition.retries.attempts)
            and backend is not None
            and (fault is not Fault.CONNECT_TIMEOUT or self._others_ready(backend))
            and plane.may_retry(service)
        ):
            slot = self.decision.version.slot
            plane.recorder.error(slot, fault.value.source)
            plane.recorder.retry(slot)
            self.tried = (*self.tried, backend)
            self.state = after(self.state, AGAIN)
            self._try(monotonic(), fresh=True)
        elif not self.answered_by_stable(fault, 0, sent=sent):
            self.fail(fault)

    def _others_ready(self, backend: Backend) -> bool:
        """Whether another backend is left to try: to wait a second time for one that was silent helps nobody."""
        group = self.snapshot.groups[self.decision.version.slot]
        return group is not None and any(other is not backend and other not in self.tried for other, _ in group.ready)

    def answered_by_stable(self, fault: Fault | None, status: int, *, sent: bool = True) -> bool:
        """Let stable answer what the candidate could not; the candidate's failure is counted all the same."""
        decision = self.decision
        service = decision.service
        stable = service.stable
        if not service.definition.retries.on_stable or decision.forced or decision.version is stable:
            return False
        if not self.snapshot.ready[stable.slot] or not may_answer_by_stable(
            fault=fault, status=status, method=self.head.method, has_body=self.request is not None, sent=sent
        ):
            return False
        plane = self.downstream.plane
        if not plane.may_retry(service):
            return False
        self.drop_upstream()
        self.settle()  # it answered; where it did not it has been blamed already
        recorder = plane.recorder
        slot = decision.version.slot
        now = monotonic()
        if self.place is not None:
            self.place.write(self, now, failed=True)
        if fault is not None:
            recorder.error(slot, fault.value.source)
            status = fault.value.status
        waited = self.answered_at - self.sent_at if self.answered_at > 0.0 else -1.0
        recorder.finish(slot, status, decision.forced, now - self.started, waited)
        recorder.begin(stable.slot)
        recorder.retry(stable.slot)
        self.decision = decision.elsewhere(stable)
        if decision.flags is not None and (flags := self.snapshot.table.flags_of(service.name)) is not None:
            self.decision = self.decision.with_flags(flags.at(decision.flags, stable.name))
        self.partial = b""
        self.interim = 0
        self.tried = ()
        self.state = after(self.state, AGAIN)
        self.answered_at = -1.0
        self._try(now)
        return True
