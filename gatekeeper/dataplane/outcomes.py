"""What came of the requests that backends were given: counted here, judged by the supervisor, which may eject them.

A try counts when it has ended: as a request, and as a failure where the connection or the answer was at fault, or where
the backend itself answered 502, 503 or 504. What a client broke off or sent wrong counts as nothing, nor does a limit
of our own, nor a pooled connection that had died and whose request went out again unseen. A tunnel is a request that
was answered.

Only backends that failed are reported. So that one that fails now and then does not look as if it always did, a report
tells also of the requests before, as far back as LOOK_BACK_SECONDS to twice that. With five failures in ten seconds as
the least that ejects, failures that are further apart than this decide nothing.
"""

from collections.abc import Iterable
from typing import Any, Final

from gatekeeper.dataplane.backends import Backend
from gatekeeper.errors import Fault, Source

LOOK_BACK_SECONDS: Final = 2.0

FAILED_ANSWERS: Final = frozenset({502, 503, 504})
"""A backend that answers so says that it, or what is behind it, cannot serve; a 500 may be the request's fault."""

REASONS: Final[dict[Fault, str]] = {
    Fault.CONNECT_REFUSED: "cannot be reached",
    Fault.CONNECT_TIMEOUT: "did not accept a connection in time",
    Fault.BACKEND_TLS: "no TLS with it",
    Fault.BACKEND_CERTIFICATE: "its certificate is not accepted",
    Fault.RESPONSE_TIMEOUT: "did not answer in time",
    Fault.RESET: "closed before it answered",
    Fault.BAD_RESPONSE: "its answer is invalid",
}
"""The faults that are a backend's."""

BROKEN_OFF: Final[dict[Source, str]] = {
    Source.UPSTREAM_TIMEOUT: "stopped in the middle of an answer",
    Source.UPSTREAM_RESET: "closed in the middle of an answer",
    Source.UPSTREAM_PROTOCOL: "its answer is invalid",
}
"""The same for answers that had begun."""


def report(backends: Iterable[Backend]) -> list[list[Any]]:
    """``[service, version, id, requests, failures, reason]`` of each backend that failed since the last report."""
    rows: list[list[Any]] = []
    for backend in backends:
        failures = backend.failures
        if failures:
            # An answer that failed by its status counts as a request only when it has ended.
            requests = max(failures, backend.requests - backend.told)
            rows.append([*backend.key, requests, failures, backend.reason])
            backend.told += requests
            backend.failures = 0
    return rows


def look_back(backends: Iterable[Backend]) -> None:
    """Forget what is longer ago than the last call but one; to be called every LOOK_BACK_SECONDS."""
    for backend in backends:
        backend.told = max(backend.told, backend.mark)
        backend.mark = backend.requests
