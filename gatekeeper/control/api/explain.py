"""Which version a request would get, and why: the table's own decision on a request that nobody sent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gatekeeper.control.api.bodies import ExplainBody
from gatekeeper.control.api.wire import ProblemError
from gatekeeper.core import decision as reasons
from gatekeeper.core.decision import Decision
from gatekeeper.core.model import Service
from gatekeeper.core.routing import RoutingTable

_WHY = {
    reasons.FORCED: "a tester forced the version",
    reasons.RULE: "a rule matched",
    reasons.STICKY: "the split, at the place of a unit that is known",
    reasons.SPLIT: "the split, for a new unit",
    reasons.PINNED: "the browser's first assignment, which it keeps",
    reasons.PAGE: "the version of the page that is open",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A made-up request head, in the form ``core.head.Head`` asks for."""

    method: bytes
    host: bytes
    path: bytes
    query: bytes
    fields: tuple[tuple[bytes, bytes], ...]

    def values(self, name_lower: bytes) -> Sequence[bytes]:
        return [value for name, value in self.fields if name == name_lower]

    @property
    def cookie(self) -> bytes:
        return b"; ".join(self.values(b"cookie"))

    @property
    def force(self) -> bytes:
        return b"".join(self.values(b"x-gatekeeper-version")[:1])

    @property
    def pass_token(self) -> bytes:
        return b"".join(self.values(b"x-gatekeeper-pass")[:1])


def explain(
    table: RoutingTable,
    body: ExplainBody,
    ready: Callable[[str, str], int],
    draw: Callable[[], int],
    now: float,
) -> dict[str, Any]:
    """The decision as a document. ``ready`` gives the ready backends of (service, version).

    Raises ProblemError (404) for an unknown service and a request that no service answers.
    """
    service = table.services.get(body.service)
    if body.service and service is None:
        allowed = ", ".join(table.services)
        raise ProblemError(404, "unknown_service", f"there is no service {body.service!r}", allowed=allowed)
    wanted = service.definition if service is not None else None
    asked = _asked(body, wanted)
    made = table.decide(asked, body.client_ip, False, body.secure, _slots(table, ready), draw, now)
    if made is None:
        raise ProblemError(
            404,
            "no_service",
            f"no service answers to host {asked.host.decode('utf-8', 'replace')!r} and path "
            f"{asked.path.decode('utf-8', 'replace')!r}",
            allowed="; ".join(f"{item.definition.name}: {_front(item.definition)}" for item in table.services.values()),
        )
    document = _document(made, table.revision)
    if wanted is not None and made.service.name != wanted.name:
        document["note"] = f"this host and path belong to service {made.service.name}, not to {wanted.name}"
    return document


def _asked(body: ExplainBody, service: Service | None) -> Asked:
    """Host and path default to a request that reaches the service, unless a Host field says where it goes."""
    pairs = [(name.lower(), value.strip()) for name, value in body.headers]
    host = service.hosts[0].replace("*.", "any.", 1) if service is not None and service.hosts else ""
    host = next((value for name, value in pairs if name == "host"), host) if body.host is None else body.host
    prefix = service.path_prefix if service is not None else "/"
    # A slash alone is no path of a service with a prefix; who types it means the service's front page.
    target = prefix if body.path is None or body.path == "/" else body.path
    path, _, query = target.partition("?")
    return Asked(
        method=body.method.encode(),
        host=_without_port(host.lower()).encode(),
        path=path.encode(),
        query=query.encode(),
        # Octets above 127 are sent as they are typed in a terminal: UTF-8.
        fields=tuple((name.encode(), value.encode()) for name, value in pairs),
    )


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and (port.isdecimal() or not port) and (":" not in name or name.endswith("]")) else host


def _slots(table: RoutingTable, ready: Callable[[str, str], int]) -> list[int]:
    """Ready backends by slot, as the workers keep them."""
    versions = [version for service in table.services.values() for version in service.versions.values()]
    counts = [0] * (max((version.slot for version in versions), default=0) + 1)
    for version in versions:
        # Versions beyond the last slot share one; what one of them has must not be hidden by another.
        counts[version.slot] = max(counts[version.slot], ready(version.service, version.name))
    return counts


def _document(made: Decision, revision: int) -> dict[str, Any]:
    because = _WHY[made.reason]
    if made.reason == reasons.SPLIT and made.weight < 1:
        because += ": another such request may get another version"
    if made.failed_over_from is not None:
        because += f"; {made.failed_over_from.name} has no ready backend, so it failed over"
    if made.unavailable:
        because += "; no backend is ready, so the answer would be 503"
    return {
        "service": made.service.name,
        "version": made.version.name,
        "reason": made.reason,
        "because": because,
        "rule": made.rule,
        "forced": made.forced,
        "probability": made.weight,
        "failed_over_from": made.failed_over_from.name if made.failed_over_from is not None else None,
        "unavailable": made.unavailable,
        "sets_cookie": [line.partition("=")[0] for line in _cookie_lines(made)],
        "revision": revision,
    }


def _cookie_lines(made: Decision) -> list[str]:
    """Names only: the values open sessions."""
    lines = made.set_cookie.decode("ascii", "replace").split("\r\n")
    return [line.partition(":")[2].strip() for line in lines if line]


def _front(service: Service) -> str:
    return f"{', '.join(service.hosts) or 'every host'} {service.path_prefix}"
