"""A request that is mirrored: what its user gets is noted, copies are sent, and when all is there it is compared.

The exchange tells it five things and hears nothing: its body, that it was sent, the head and the body of the answer,
its end. All of these only put bytes aside. What takes longer, and what could go wrong, happens in a later turn of the
loop, where no user's request is on the stack.
"""

import time
from typing import TYPE_CHECKING, Final

from gatekeeper.core.flags.evaluate import Evaluated
from gatekeeper.core.shadow.compare import Answer, compare
from gatekeeper.core.shadow.tally import FAILED, Outcome
from gatekeeper.dataplane.shadow.copies import Copy, wanted_fields
from gatekeeper.dataplane.shadow.head import copied
from gatekeeper.http1.response import ResponseHead

if TYPE_CHECKING:
    from gatekeeper.dataplane.ending import Ending
    from gatekeeper.dataplane.shadow.runs import Running
    from gatekeeper.dataplane.shadow.shadows import Shadows

PATIENCE: Final = 0.2
"""Seconds that copies wait for the end of the user's own answer: most have ended by then, and a slow or long one must
not keep the candidate from being tried. 0: none. Users' p50 with a mirror of 10 % was 1.10 of what it is without when
copies went at once, and p99 1.5; with this 1.0 and .95 to 1.13."""

monotonic = time.monotonic


class Shadow:
    """``holds`` are the bytes that it takes up at most. ``deadline``, monotonic: then nothing is waited for."""

    __slots__ = (
        "_again", "_answer", "_asked_at", "_body", "_candidate", "_due", "_group", "_head", "_kept", "_lines",
        "_lines_to", "_method", "_most", "_over", "_parts", "_path", "_sent", "_served", "_shadows", "_size", "_user",
        "_user_over", "_whole", "deadline", "holds", "running",
    )  # fmt: skip

    def __init__(self, shadows: "Shadows", running: "Running", exchange: "Ending", holds: int, deadline: float) -> None:
        served = exchange.decision.version
        self._shadows, self.running = shadows, running
        self._served, self._group = served, exchange.snapshot.groups[served.slot]
        self._lines = served.head_lines
        """What gatekeeper says of itself in the original, and in the copy to the candidate."""
        self._lines_to = running.to.head_lines
        if exchange.decision.flags is not None:
            self._flag(exchange, exchange.decision.flags)
        self._method, self._path = exchange.head.method, exchange.head.path
        self.holds = holds
        self.deadline = deadline
        self._over = False

        # The request
        self._head = b""
        self._sent = False
        self._due = False
        self._body: list[bytes] | None = None if exchange.request is None else []
        self._whole = exchange.request is None
        self._size = 0
        self._asked_at = 0.0

        # What the user gets
        self._most = running.mirror.compare.bytes
        self._answer: ResponseHead | None = None
        self._parts: list[bytes] = []
        self._kept = 0
        self._user: Answer | None = None
        self._user_over = False

        self._candidate: Copy | None = None
        self._again: Copy | None = None

    def _flag(self, exchange: "Ending", evaluated: Evaluated) -> None:
        """A flag that follows a release to its candidate is on for copies to it, too."""
        self._lines += evaluated.line
        service = exchange.decision.service
        flags = exchange.snapshot.table.flags_of(service.name)
        if flags is not None:
            head, address = exchange.head, exchange.address
            unit, draw = service.unit_of(head, address), exchange.downstream.plane.draw
            evaluated = flags.copied(evaluated, head, address, unit, self.running.to.name, draw)
        self._lines_to += evaluated.line

    # What the exchange tells

    def on_request_body(self, payload: bytes, *, whole: bool) -> None:
        """The next bytes of the request's body, and whether they are its last."""
        if self._over or self._body is None:
            return
        self._size += len(payload)
        if self._size > self.running.mirror.body:
            self._drop(Outcome.BODY_TOO_LARGE)
            return
        self._body.append(payload)
        self._whole = whole
        if whole and self._sent:
            self._ask()

    def on_sent(self, head: bytes) -> None:
        """The request is on its way to a backend, with this head. When it is tried again, that makes no new copies."""
        if self._over or self._sent:
            return
        if self._lines not in head:
            self._drop(None)  # stable gets it, in place of a candidate that could not be reached
            return
        self._head, self._sent = head, True
        if self._whole:
            self._ask()

    def on_answer(self, head: ResponseHead, data: bytes = b"") -> None:
        """The head of the answer that goes to the user, and the body where both came at once."""
        self._answer = head
        if data:
            self.on_answer_body(data)

    def on_answer_body(self, payload: bytes) -> None:
        """The next bytes of the answer's body."""
        room = self._most - self._kept
        if room > 0 and not self._over:
            self._parts.append(payload[:room])
            self._kept += min(len(payload), room)

    def on_end(self, exchange: "Ending") -> None:
        """The exchange is over, well or not."""
        if self._over:
            return
        self._user_over = True
        if not self._sent or not self._whole:
            self._drop(None)  # no copy was made and none will be
            return
        head = self._answer
        if head is not None and exchange.error is None and exchange.decision.version is self._served:
            size = exchange.sent_bytes
            seconds = max(0.0, exchange.answered_at - self._asked_at)
            # Its fields are read when it is compared.
            self._user = Answer(head.status, (), b"".join(self._parts), size, size > self._most, seconds)
        self._parts = []
        self._shadows.call_soon(self._send if self._candidate is None else self._look)

    # The copies

    def _ask(self) -> None:
        """The original is on its way. The copies go when its user has his answer, or has waited for PATIENCE: sent
        at once they would be worked on just before that answer, and be the reason why it is late.
        """
        self._asked_at = monotonic()
        self._due = True
        self.deadline = self._asked_at + PATIENCE
        if self._user_over or not PATIENCE:
            self._shadows.call_soon(self._send)

    def _send(self) -> None:
        if self._over or self._candidate is not None:
            return
        running, shadows = self.running, self._shadows
        mirror, tally = running.mirror, running.account.tally
        body = None if self._body is None else b"".join(self._body)
        head, self._head, self._body = self._head, b"", None
        self.deadline = monotonic() + mirror.timeout
        tally.count(Outcome.SENT)
        candidate = self._candidate = shadows.copy(running, self._method, self._look)
        again = None
        if mirror.asks_again(self._method.decode("latin-1")):
            tally.count(Outcome.AGAIN)
            again = self._again = shadows.copy(running, self._method, self._look)
        candidate.start(running.backend(running.group), copied(head, self._lines, self._lines_to, mirror.keep, body))
        if again is not None:
            again.start(running.backend(self._group), copied(head, self._lines, self._lines, mirror.keep, body))

    def expire(self) -> None:
        """The deadline has passed: what has not come will not."""
        if self._candidate is None:
            if self._due:
                self._send()
            else:
                self._drop(Outcome.SHED)  # so long does it take until the user's own request is on its way
            return
        self._user_over = True
        self._candidate.give_up(Outcome.TIMEOUT)
        if self._again is not None:
            self._again.give_up(Outcome.TIMEOUT)
        self._look()

    def concerns(self, service: str, version: str) -> bool:
        """Whether that version has a part in it."""
        running = self.running
        return running.account.service == service and version in (running.to.name, self._served.name)

    def close(self) -> None:
        """Nobody wants to know any more."""
        if not self._over:
            self._drop(None if self._candidate is None else Outcome.NOT_COMPARED)

    def _drop(self, outcome: Outcome | None) -> None:
        self._over = True
        self._body = None
        self._parts = []
        if outcome is not None:
            self.running.account.tally.count(outcome)
        for copy in (self._candidate, self._again):
            if copy is not None:
                copy.give_up(Outcome.SHED)
        self._shadows.release(self)

    def _look(self) -> None:
        """Go on if all has come."""
        candidate, again = self._candidate, self._again
        if self._over or not self._user_over or candidate is None or candidate.outcome is None:
            return
        if again is not None and again.outcome is None:
            return
        self._over = True
        tally = self.running.account.tally
        if candidate.answer is not None:
            tally.count(Outcome.ANSWERED)
            if candidate.answer.cut:
                tally.count(Outcome.TOO_LARGE)
            if self._user is not None and (again is None or again.answer is not None):
                self._shadows.comparing.add(self)  # it holds its bytes until then
                return
        elif candidate.outcome in FAILED and self._user is not None:
            tally.failed(candidate.outcome, self._request)
            self._shadows.release(self)
            return
        self.pass_over()

    @property
    def _request(self) -> str:
        return f"{self._method.decode('latin-1')} {self._path.decode('latin-1')}"

    # The comparison

    def compare(self) -> None:
        """Compare what has come."""
        candidate, again, user, head = self._candidate, self._again, self._user, self._answer
        running = self.running
        try:
            if candidate is None or candidate.answer is None or user is None or head is None:
                return
            user = Answer(
                user.status, wanted_fields(head, running.captured), user.body, user.length, user.cut, user.seconds
            )
            found = compare(running.mirror.compare, user, candidate.answer, None if again is None else again.answer)
            running.account.tally.compared(found, self._request)
        finally:
            self._shadows.release(self)

    def pass_over(self) -> None:
        """Do not compare it."""
        self.running.account.tally.count(Outcome.NOT_COMPARED)
        self._shadows.release(self)
