"""One request and its response, from the decision to the counters.

The rules of an exchange:

* A decision is made and a backend claimed in one synchronous step; there is no ``await`` on a request's path.
* The request half and the response half end independently. The exchange is over when the response has been written
  and the request read to its end, or when either side is lost.
* Before the response has begun, every failure becomes an answer (``fail``). After it has begun, the only honest
  thing left is a visible break: the client's connection is closed short of the announced end (``cut``).
* ``finish`` runs exactly once: it gives the claim back and counts.

It is told in four parts, each a class on top of the one before: ``ending.Ending`` (what every part may do: fail, cut,
finish), ``sending.Sending`` (choosing a backend, sending, trying again), ``answering.Answering`` (the response) and
here the request's body and what the clock and the client do.
"""

import time

from gatekeeper.dataplane.answering import Answering
from gatekeeper.dataplane.life import ANSWERING, LEFT, WAITING, after
from gatekeeper.dataplane.sending import MAX_HELD
from gatekeeper.errors import Fault, Source
from gatekeeper.http1.errors import BadMessageError

monotonic = time.monotonic


class Exchange(Answering):
    """See the module."""

    def on_request_data(self, data: bytes) -> bytes:
        """Take body bytes from the client; what is behind the body's end is given back."""
        request = self.request
        if request is None:
            return data
        copy: list[bytes] | None = None if self.shadow is None else []
        try:
            passed, size = request.relay(data, copy)
        except BadMessageError as error:
            self.keep = False
            self.fail(error.fault)
            return b""
        self.received += size
        if self.received > self.downstream.plane.max_body:
            self.keep = False
            self.fail(Fault.BODY_TOO_LARGE)
            return b""
        if self.shadow is not None and copy is not None:
            self.shadow.on_request_body(b"".join(copy), whole=request.done)
        if passed:
            self._pass_on(passed)
        if self.state is WAITING or self.state is ANSWERING:
            timeouts = self.decision.service.timeouts
            self.downstream.deadline = monotonic() + (timeouts.response if request.done else timeouts.idle)
        return request.rest

    def _pass_on(self, payload: bytes) -> None:
        if self.held is not None:
            self.held.append(payload)
            self.held_size += len(payload)
            if self.held_size > MAX_HELD:
                self.downstream.hold_reading()
        elif self.upstream is not None:
            self.downstream.plane.write(self.upstream.transport, payload)

    def on_client_lost(self) -> None:
        """The client went away: its backend learns at once, and no version is blamed."""
        self.state = after(self.state, LEFT)
        self.drop_upstream()
        self.release()
        self.error = Source.CLIENT
        self.downstream.plane.recorder.error(self.decision.version.slot, Source.CLIENT)
        self.finish(monotonic())

    def withdraw(self) -> None:
        """Its version leaves, and the time to do so is over."""
        self.fail(Fault.WITHDRAWN)

    def on_blocked(self) -> None:
        """The client does not read: it has the idle time to take something."""
        if self.response is not None:
            downstream = self.downstream
            downstream.unsent = downstream.transport.get_write_buffer_size()
            downstream.deadline = monotonic() + self.decision.service.timeouts.idle

    def on_unblocked(self) -> None:
        """The client reads again: the backend's time starts anew."""
        if self.response is not None:
            self.downstream.deadline = monotonic() + self.decision.service.timeouts.response

    def on_deadline(self) -> None:
        """The phase that this exchange is in has taken too long."""
        if self.connecting is not None:
            self.try_failed(Fault.CONNECT_TIMEOUT)
        elif self.downstream.blocked:
            if not self.downstream.takes(monotonic()):
                self.cut(Source.CLIENT)
        elif self.awaits_client:
            self.keep = False
            self.fail(Fault.BODY_TIMEOUT)
        elif self.response is not None:  # from here on also: the client is held because the backend does not read
            self.cut(Source.UPSTREAM_TIMEOUT)
        else:
            self.try_failed(Fault.RESPONSE_TIMEOUT)
