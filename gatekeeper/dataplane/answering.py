"""The response half of an exchange: read strictly, passed on at once, never looking complete when it is not."""

import ssl
import time

from gatekeeper.dataplane.life import END, HEAD, INTERIM, WHOLE, after
from gatekeeper.dataplane.outcomes import FAILED_ANSWERS
from gatekeeper.dataplane.pouring import LARGE, pour
from gatekeeper.dataplane.retry import connect_fault
from gatekeeper.dataplane.sending import Sending
from gatekeeper.dataplane.tunnel import switch
from gatekeeper.errors import Fault, Source
from gatekeeper.http1.errors import BadMessageError
from gatekeeper.http1.framing import LAST_CHUNK, CloseDecoder, LengthDecoder, decoder
from gatekeeper.http1.response import ResponseHead, read_response

# A response head beyond this is refused; nginx's default is 4 to 8 KiB, large cookies and policies reach 16.
MAX_RESPONSE_HEAD = 64 * 1024
# Interim answers before the final one; a backend sending them without end would hold the request for ever.
MAX_INTERIM = 16

monotonic = time.monotonic


class Answering(Sending):
    """The way back."""

    def on_response_data(self, data: bytes) -> None:
        if self.response is not None:
            self._on_body(data)
            return
        if self.turn == self.downstream.plane.turns:
            upstream = self.upstream
            self.answered_unasked(reused=upstream is not None and upstream.used > 0)
            return
        if self.partial:
            data = self.partial + data
            self.partial = b""
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4:
                # A LF that no CR precedes cannot become part of a valid head: say so now, not at the deadline.
                bare = data.count(b"\n") != data.count(b"\r\n")
                if bare or len(data) > MAX_RESPONSE_HEAD or data[:5] != b"HTTP/"[: len(data)]:
                    self.try_failed(Fault.BAD_RESPONSE)
                else:
                    self.partial = data
                return
            if end > MAX_RESPONSE_HEAD:
                self.try_failed(Fault.BAD_RESPONSE)
                return
            raw = data[:end]
            body_allowed = self.head.method != b"HEAD"
            heads = self.downstream.plane.response_heads
            known = heads.known.get(raw) if body_allowed else None  # without two calls: 0.2 us
            try:
                head = read_response(heads, raw, body_allowed=body_allowed) if known is None else known
            except BadMessageError:
                self.try_failed(Fault.BAD_RESPONSE)
                return
            data = data[end:]
            if head.status >= 200:
                break
            self.interim += 1
            if head.status == 101 or self.interim > MAX_INTERIM:
                if head.status != 101 or not switch(self, head, data):
                    self.try_failed(Fault.BAD_RESPONSE)  # RFC 9110 section 15.2.2: 101 only to who asked
                return
            self.state = after(self.state, INTERIM)
            if self.head.minor:  # RFC 9110 section 15.2: no interim answer to HTTP/1.0
                self.downstream.write(head.line + head.forward + b"\r\n\r\n")
            if not data:
                return
        self._on_head(head, data)

    def _on_head(self, head: ResponseHead, data: bytes) -> None:
        self.answered_at = now = monotonic()
        if head.status >= 500:
            if head.status in FAILED_ANSWERS and self.backend is not None:
                self.backend.fail(f"answered {head.status}")
            if self.answered_by_stable(None, head.status):
                return
        downstream = self.downstream
        upstream = self.upstream
        self.status = head.status
        length = head.length
        request = self.request
        request_done = request is None or request.done
        plane = downstream.plane
        if not request_done or plane.draining:
            self.keep = False
        if length < 0:
            if self.head.minor:
                self.rechunk = True
            else:
                self.keep = False  # RFC 9112 section 6.3: to HTTP/1.0 only the close tells the end
        extra = self._added_lines(head)
        if upstream is not None and not head.persistent:
            upstream.last = True
        whole = len(data) == length and request_done
        if self.shadow is not None:
            self.shadow.on_answer(head, data if whole else b"")
        if whole:
            # The whole answer came in one read, as small ones do: no decoder, one write, and the end in one go.
            plane.write(downstream.transport, b"".join((head.line, head.forward, extra, b"\r\n\r\n", data)))
            self.sent_bytes = length
            self.state = after(self.state, WHOLE)
            self._both_done(now, clean=True)
            return
        self.state = after(self.state, HEAD)
        response = self.response = decoder(length)
        downstream.write(b"".join((head.line, head.forward, extra, b"\r\n\r\n")))
        downstream.deadline = now + self.decision.service.timeouts.response
        if data or response.done:
            self._on_body(data)
        # By now the exchange may be over, or its connection lost.
        if length >= LARGE and self.upstream is not None and isinstance(response, LengthDecoder):
            pour(self.upstream, self, response)

    def _added_lines(self, head: ResponseHead) -> bytes:
        """What gatekeeper adds to a response head, each line starting with CRLF."""
        decision = self.decision
        extra = b"\r\nTransfer-Encoding: chunked" if self.rechunk else b""
        if not self.keep:
            extra += b"\r\nConnection: close"
        elif not self.head.minor:
            extra += b"\r\nConnection: keep-alive"
        if decision.set_cookie and not head.publicly_cacheable:
            extra += b"\r\n" + decision.set_cookie[:-2]
        if decision.forced:
            extra += b"\r\nX-Gatekeeper-Version: " + decision.version.name.encode()
        return extra

    def _on_body(self, data: bytes) -> None:
        response = self.response
        if response is None:
            return
        downstream = self.downstream
        copy: list[bytes] | None = None if self.shadow is None else []
        try:
            if self.rechunk:
                passed, size = response.relay(data, copy)
            else:
                passed = response.feed(data)
                size = len(passed)
                if copy is not None:
                    copy.append(passed)
        except BadMessageError:
            self.cut(Source.UPSTREAM_PROTOCOL)
            return
        self.sent_bytes += size
        if self.shadow is not None and copy:
            self.shadow.on_answer_body(b"".join(copy))
        if passed:
            downstream.write(passed)
        now = monotonic()
        if response.done:
            self._response_done(now, clean=not response.rest)
        elif not downstream.blocked:
            downstream.deadline = now + self.decision.service.timeouts.response

    def _response_done(self, now: float, *, clean: bool) -> None:
        self.state = after(self.state, END)
        if self.request_done:
            self._both_done(now, clean=clean)
            return
        # An early answer: the rest of the request is of no use to anybody and is thrown away, within a bound.
        self.drop_upstream()
        self.finish(now)
        self.downstream.linger()

    def _both_done(self, now: float, *, clean: bool) -> None:
        downstream = self.downstream
        upstream = self.upstream
        if upstream is not None:
            self.upstream = None
            upstream.exchange = None
            if upstream.transport.get_write_buffer_size():
                upstream.transport.abort()  # it answered without reading the request, and may never read it
            elif upstream.last or not clean:
                upstream.transport.close()  # bytes behind the end belong to no request
            else:
                if downstream.blocked:
                    upstream.transport.resume_reading()
                upstream.backend.give(upstream, now)
        self.finish(now)
        downstream.exchange_done(now, keep=self.keep)

    def on_upstream_lost(self, exc: Exception | None, *, reused: bool) -> None:
        """The backend's connection ended; ``exc`` is None where the backend closed it in an orderly way."""
        self.upstream = None
        response = self.response
        if response is None and isinstance(exc, ssl.SSLError) and not reused:
            self.try_failed(connect_fault(exc))  # in TLS 1.3 a backend refuses our certificate after the handshake
        elif response is None:
            self.lost_before_answer(reused=reused)
        elif isinstance(response, CloseDecoder) and exc is None:
            response.done = True
            if self.rechunk:
                self.downstream.write(LAST_CHUNK)
            self._response_done(monotonic(), clean=False)
        else:
            self.cut(Source.UPSTREAM_RESET)
