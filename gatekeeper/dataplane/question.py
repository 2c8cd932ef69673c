"""A request for flags, from its head to our answer: an exchange that no backend has a part in."""

import time
from typing import TYPE_CHECKING

from gatekeeper.core.flags.ofrep import BODY_BYTES
from gatekeeper.dataplane.asking import Asking, Response, written
from gatekeeper.dataplane.exchange import Exchange
from gatekeeper.dataplane.life import LOCAL, after
from gatekeeper.errors import Fault
from gatekeeper.http1.errors import BadMessageError
from gatekeeper.http1.request import RequestHead

if TYPE_CHECKING:
    from gatekeeper.dataplane.downstream import Downstream
    from gatekeeper.dataplane.plane import Snapshot

monotonic = time.monotonic


class Question(Exchange):
    """Reads the body within bounds of size and time, and answers."""

    def __init__(
        self,
        downstream: "Downstream",
        head: RequestHead,
        asking: Asking,
        snapshot: "Snapshot",
        address: str,
        started: float,
    ) -> None:
        super().__init__(downstream, head, asking.decision, snapshot, address, started)
        self._asking = asking
        self._body = b""

    def start(self) -> None:
        plane = self.downstream.plane
        plane.in_flight += 1
        plane.recorder.begin(self.decision.version.slot)
        if self.request is None:
            self._answer()
            return
        self.downstream.deadline = self.started + self.decision.service.timeouts.idle
        if self.head.length > BODY_BYTES:
            self._refuse()
        elif self.head.expect:
            self.downstream.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_request_data(self, data: bytes) -> bytes:
        request = self.request
        if request is None:
            return data
        try:
            self._body += request.feed(data)
        except BadMessageError as error:
            self.keep = False
            self.fail(error.fault)
            return b""
        self.received = len(self._body)
        if self.received > min(BODY_BYTES, self.downstream.plane.max_body):
            self._refuse()
            return b""
        if request.done:
            rest = request.rest
            self._answer()
            return rest
        return b""

    def on_deadline(self) -> None:
        self.keep = False
        self.fail(Fault.BODY_TIMEOUT)

    def _refuse(self) -> None:
        self.keep = False
        self._reply(self._asking.too_large(self.head, min(BODY_BYTES, self.downstream.plane.max_body)))

    def _answer(self) -> None:
        self._reply(self._asking.answer(self.head, self.address, self._body, monotonic()))

    def _reply(self, response: Response) -> None:
        downstream = self.downstream
        self.state = after(self.state, LOCAL)
        self.status = response[0]
        keep = self.keep and self.request_done and not downstream.plane.draining
        self.sent_bytes = len(response[2])
        downstream.write(written(response, close=not keep, minor=self.head.minor, bodyless=self.head.method == b"HEAD"))
        now = monotonic()
        self.finish(now)
        if self.request_done:
            downstream.exchange_done(now, keep=keep)
        else:
            downstream.linger()
