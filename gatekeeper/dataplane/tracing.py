"""Spans of sampled requests: decided when a request begins, noted when it ends, sent to the supervisor in batches.

A request that came with a trace is sampled as its sender says (bit 0 of the flags, W3C Trace Context section 3.2.2.5);
one that did not begins a trace, sampled by the random half of its id, as OpenTelemetry's TraceIdRatioBased does: so
every gatekeeper with the same share chooses alike. What is not sampled costs one comparison. Nothing here waits for
anybody, and beyond MOST spans between two sendings they are dropped and counted.
"""

import re
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gatekeeper.dataplane.ids import Ids

if TYPE_CHECKING:
    from gatekeeper.dataplane.ending import Ending

MOST: Final = 512
"""Spans of a worker between two sendings, of which there are four a second: 400 KB, and more than anybody looks at."""
_KEPT: Final = 256
"""Characters of a text that a client chose."""

_ODD: Final = frozenset(b"13579bdf")
_TRACEPARENT: Final = re.compile(rb"\r\n(?i:traceparent):[^\r]*")
_SAMPLED: Final = b"-01\r\n"
_NOT: Final = b"-00\r\n"


class Trace(NamedTuple):
    """``flags`` end the field's line. ``parent`` is the client's span, empty where the trace begins here."""

    trace: bytes
    span: bytes
    parent: bytes
    flags: bytes

    @property
    def sampled(self) -> bool:
        return self.flags is _SAMPLED

    def adopt(self, head: bytes) -> bytes:
        """A request head in which the client's span is replaced by ours, which is the backend's parent."""
        field = b"\r\ntraceparent: 00-%b-%b%b" % (self.trace, self.span, self.flags[:-2])
        return _TRACEPARENT.sub(field, head, count=1)


class Tracer:
    __slots__ = ("_bound", "_ids", "_lost", "_rows", "share")

    def __init__(self, ids: Ids, share: float) -> None:
        """``share`` 0..1 is the part of new traces that is sampled."""
        self._ids = ids
        self.share = share
        # Compared as text, which spares reading 16 digits as a number; "g" is behind all of them.
        self._bound = b"g" if share >= 1 else b"%016x" % int(share * (1 << 64))
        self._rows: list[list[Any]] = []
        self._lost = 0

    def begin(self, parent: bytes) -> Trace | None:
        """The trace of a request that came with this ``traceparent``; None where the client's is passed on as it is."""
        if not parent:
            span = self._ids.span()
            return Trace(self._ids.prefix + span, span, b"", _SAMPLED if span < self._bound else _NOT)
        if parent[54] not in _ODD:
            return None
        return Trace(parent[3:35], self._ids.span(), parent[36:52], _SAMPLED)

    def end(self, exchange: "Ending", now: float, waited: float) -> None:
        """Note a sampled request that is over; arguments as of ``entries.note_exchange``."""
        if len(self._rows) >= MOST:
            self._lost += 1
            return
        trace, head, decision = exchange.trace, exchange.head, exchange.decision
        if trace is None:
            return
        end = time.time()
        self._rows.append(
            [
                trace.trace.decode(), trace.span.decode(), trace.parent.decode(), end - (now - exchange.started), end,
                _text(head.method), _text(head.target.partition(b"?")[0]), _text(head.host), exchange.address,
                exchange.status or 499, decision.service.name, decision.version.name, exchange.last_backend,
                decision.reason, exchange.snapshot.table.revision, decision.forced, max(0, exchange.tries - 1),
                exchange.error.label if exchange.error is not None else "", waited,
            ]
        )  # fmt: skip

    def take(self) -> tuple[list[list[Any]], int]:
        """The spans since the last call, and how many were dropped."""
        rows, lost = self._rows, self._lost
        self._rows, self._lost = [], 0
        return rows, lost


def _text(value: bytes) -> str:
    return value[:_KEPT].decode("utf-8", "replace")
