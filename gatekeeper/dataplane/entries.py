"""What the access log is told: one entry for each exchange, one for each request that no version got."""

import time
from typing import TYPE_CHECKING

from gatekeeper.errors import FaultInfo
from gatekeeper.http1.request import RequestHead
from gatekeeper.telemetry.accesslog import AccessLog

if TYPE_CHECKING:
    from gatekeeper.dataplane.ending import Ending


def note_exchange(exchange: "Ending", now: float, waited: float) -> None:
    """``now`` is monotonic seconds; ``waited`` are seconds until the backend's answer, below 0 where there was none."""
    head, decision = exchange.head, exchange.decision
    referer, agent = head.values(b"referer"), head.values(b"user-agent")
    exchange.downstream.plane.log.add(
        time.time(), exchange.address, head.method, head.target, head.minor, exchange.status or 499,
        exchange.sent_bytes, now - exchange.started, waited, head.host, decision.service.name,
        decision.version.name, exchange.last_backend, decision.reason, decision.rule, exchange.snapshot.table.revision,
        exchange.request_id, referer[0] if referer else b"", agent[0] if agent else b"",
        exchange.error.label if exchange.error is not None else "", decision.forced, max(0, exchange.tries - 1),
    )  # fmt: skip


def note_refusal(
    log: AccessLog, address: str, head: RequestHead | None, info: FaultInfo, size: int, revision: int
) -> None:
    """``address`` is the peer's, ``size`` the answer's body in bytes; without a readable head its parts are empty."""
    method, target, minor, host, request_id = b"", b"", 1, b"", b""
    referer: list[bytes] = []
    agent: list[bytes] = []
    if head is not None:
        method, target, minor, host = head.method, head.target, head.minor, head.host
        request_id, referer, agent = head.fields.request_id, head.values(b"referer"), head.values(b"user-agent")
    log.add(
        time.time(), address, method, target, minor, info.status, size, 0.0, -1.0, host, "", "", "", "", None, revision,
        request_id, referer[0] if referer else b"", agent[0] if agent else b"", info.source.label, False, 0,
    )  # fmt: skip
