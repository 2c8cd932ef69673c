"""One copy of a request: to a backend, and its answer as far as it is compared.

Nobody waits for it, so it is written down plainly: bytes out, a head and the beginning of a body in, an end. What is
beyond the bound is not read, however much there is: the connection is closed.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final

from gatekeeper.core.shadow.compare import Answer
from gatekeeper.core.shadow.tally import Outcome
from gatekeeper.dataplane.backends import Backend
from gatekeeper.dataplane.connecting import connect
from gatekeeper.dataplane.retry import SAFE
from gatekeeper.dataplane.shadow.lines import Line, Lines
from gatekeeper.http1.errors import BadMessageError
from gatekeeper.http1.fields import field_name, field_value
from gatekeeper.http1.framing import BodyDecoder, CloseDecoder, decoder
from gatekeeper.http1.memory import Memory
from gatekeeper.http1.response import ResponseHead, read_response

MOST_HEAD: Final = 64 * 1024
"""Bytes of an answer's head, as for users."""
MOST_INTERIM: Final = 16

monotonic = time.monotonic


class Copy:
    """``outcome`` is None until it is over; ``over`` is called then, once. ``answer`` is there if it was answered."""

    __slots__ = (
        "_backend", "_body", "_decoder", "_head", "_head_only", "_interim", "_line", "_lines", "_loop", "_memory",
        "_most", "_over", "_partial", "_repeatable", "_request", "_seconds", "_sent_at", "_size", "_task", "_wanted",
        "answer", "outcome",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        lines: Lines,
        memory: Memory[ResponseHead],
        *,
        method: bytes,
        most: int,
        wanted: Collection[str],
        over: Callable[[], None],
    ) -> None:
        """``most`` bytes of the answer's body are kept, and the fields that are ``wanted``."""
        self._loop, self._lines, self._memory = loop, lines, memory
        self._most, self._wanted, self._over = most, wanted, over
        self._head_only, self._repeatable = method == b"HEAD", method in SAFE
        self.outcome: Outcome | None = None
        self.answer: Answer | None = None
        self._line: Line | None = None
        self._task: asyncio.Task[None] | None = None
        self._partial = b""
        self._interim = 0
        self._head: ResponseHead | None = None
        self._decoder: BodyDecoder | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._seconds = self._sent_at = 0.0

    def start(self, backend: Backend | None, request: bytes) -> None:
        """Send these bytes; without a backend it is refused."""
        if backend is None:
            self._end(Outcome.REFUSED)
            return
        self._backend, self._request = backend, request
        line = self._lines.take(backend)
        if line is not None:
            self._send(line)
        elif self._lines.room():
            self._connect()
        else:
            self._end(Outcome.SHED)

    def give_up(self, outcome: Outcome) -> None:
        """End it, if it is not over."""
        if self.outcome is None:
            self._end(outcome)

    def _connect(self) -> None:
        self._lines.making += 1
        self._task = self._loop.create_task(self._connected())

    async def _connected(self) -> None:
        line = Line(self._lines, self._backend)
        outcome: Outcome | None = None
        try:
            await connect(self._backend, self._loop, lambda: line)
        except asyncio.CancelledError:
            line.end()  # it may have been made in the same moment as it was given up
            raise
        except OSError:
            outcome = Outcome.REFUSED
        finally:
            self._lines.making -= 1
        self._task = None
        if outcome is not None:
            self._end(outcome)
        elif line.transport.is_closing():
            self._end(Outcome.BROKEN)
        else:
            self._send(line)

    def _send(self, line: Line) -> None:
        self._line = line
        line.copy = self
        self._sent_at = monotonic()
        line.transport.write(self._request)

    # The answer

    def on_data(self, data: bytes) -> None:
        try:
            if self._decoder is None:
                self._read_head(self._partial + data)
            else:
                self._read_body(self._decoder, data)
        except BadMessageError:
            self._end(Outcome.BROKEN)

    def on_lost(self, exc: Exception | None) -> None:
        """Its connection has ended; ``exc`` is None where the backend closed it in an orderly way."""
        line, self._line = self._line, None
        silent = self._head is None and not self._partial and not self._interim
        if isinstance(self._decoder, CloseDecoder) and exc is None:
            self._decoder.done = True
            self._answered()
        elif silent and self._repeatable and line is not None and line.used:
            self._connect()  # it was closed as we wrote on it, which is nobody's failure
        else:
            self._end(Outcome.BROKEN)

    def _read_head(self, data: bytes) -> None:
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4 or end > MOST_HEAD:
                if len(data) > MOST_HEAD or data[:5] != b"HTTP/"[: len(data)]:
                    self._end(Outcome.BROKEN)
                self._partial = data
                return
            head = read_response(self._memory, data[:end], body_allowed=not self._head_only)
            data = data[end:]
            if head.status >= 200:
                break
            self._interim += 1
            if head.status == 101 or self._interim > MOST_INTERIM:
                self._end(Outcome.BROKEN)
                return
        self._partial = b""
        self._seconds = monotonic() - self._sent_at
        self._head = head
        self._decoder = decoder(head.length)
        self._read_body(self._decoder, data)

    def _read_body(self, body: BodyDecoder, data: bytes) -> None:
        payload = body.feed(data)
        self._body.append(payload[: self._most - self._size])
        self._size += len(payload)
        if body.done or self._size > self._most:
            self._answered()

    def _answered(self) -> None:
        head, body = self._head, self._decoder
        if head is None or body is None:
            return
        length = self._size if body.done else head.length if head.length >= 0 else -1
        self.answer = Answer(
            head.status, wanted_fields(head, self._wanted), b"".join(self._body), length,
            self._size > self._most, self._seconds,
        )  # fmt: skip
        line = self._line
        if line is not None and body.done and not body.rest and head.persistent:
            line.copy = None
            self._line = None
            if line.transport.get_write_buffer_size():
                line.end()  # it answered without reading the request, and may never read it
            else:
                self._lines.give(line, monotonic())
        self._end(Outcome.ANSWERED)

    def _end(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._request = b""
        self._body = []
        self._partial = b""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        line, self._line = self._line, None
        if line is not None:
            line.end()
        self._over()


def wanted_fields(head: ResponseHead, wanted: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Those field lines of an answer, names in lower case, in order."""
    found = []
    for line in head.forward.split(b"\r\n")[1:]:
        name = field_name(line).decode("latin-1")
        if name in wanted:
            found.append((name, field_value(line).decode("latin-1")))
    return tuple(found)
