"""Flags for a service's own clients, by OFREP, at the service's own address: what is answered to which request.

Nothing of it reaches a backend, and nothing of it counts for a version: a browser that asks is no request of the
service. Of cross-origin rules it knows what a browser needs (the CORS protocol of the Fetch standard): who is not named
gets an answer that his browser does not show to the page.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from gatekeeper.core.decision import Decision, VersionRoute
from gatekeeper.core.flags.context import Context
from gatekeeper.core.flags.ofrep import GENERAL, Reply, bulk, failure, single
from gatekeeper.core.flags.rate import Bucket
from gatekeeper.core.flags.resolver import Resolver
from gatekeeper.core.model import Ofrep, Version
from gatekeeper.telemetry.block import NO_SERVICE

if TYPE_CHECKING:
    from gatekeeper.core.routing import RoutingTable, ServiceRoute
    from gatekeeper.http1.request import RequestHead

EVALUATE: Final = b"/v1/evaluate/flags"
BURST_SECONDS: Final = 1.0
"""What may be asked at once is what may be asked in a second."""
PREFLIGHT_SECONDS: Final = 600
"""How long a browser need not ask again whether it may ask; Chromium keeps no answer longer than two hours."""
ASKED: Final = "asked"
"""The reason of a decision that no version comes of."""

Response = tuple[int, list[bytes], bytes]
"""Status, field lines without their ends, body."""


class Asking:
    """One service's. ``counted`` is told of each evaluation: flag and variant."""

    def __init__(
        self,
        table: "RoutingTable",
        route: "ServiceRoute",
        settings: Ofrep,
        bucket: Bucket,
        counted: Callable[[str, str, str], None],
    ) -> None:
        prefix = route.definition.path_prefix.rstrip("/") + settings.path.rstrip("/")
        self.path = prefix.encode() + EVALUATE
        self.bucket = bucket
        self.settings = settings
        nobody = VersionRoute(route.name, "", NO_SERVICE, Version("", ()), Decimal(0), b"")
        self.decision = Decision(route, nobody, ASKED)
        """What requests that ask are said to have got: no version, so that none has anything of it."""
        self._table = table
        self._route = route
        self._counted = counted
        self._origins = frozenset(settings.origins)
        self._known: Resolver | None = None

    def concerns(self, path: bytes) -> bool:
        """Whether a request to this path asks for flags."""
        return path.startswith(self.path) and path[len(self.path) : len(self.path) + 1] in {b"", b"/"}

    def answer(self, head: "RequestHead", address: str, body: bytes, now: float) -> Response:
        """``address`` is the client's; ``now`` is monotonic seconds."""
        lines = self._cors(head)
        if head.method == b"OPTIONS" and head.values(b"access-control-request-method"):
            return 204, [*lines, *_PREFLIGHT] if len(lines) > 1 else lines, b""
        key = _key(head.path[len(self.path) :])
        if key is None:
            return self._failed(404, lines, "there is no such path", "PATH/v1/evaluate/flags or .../flags/NAME")
        if head.method != b"POST":
            lines.append(b"Allow: POST, OPTIONS")
            return self._failed(405, lines, f"{head.method.decode()} is not for asking", "POST")
        wait = self.bucket.take(now)
        if wait:
            lines.append(b"Retry-After: %d" % wait)
            return self._failed(429, lines, f"too many questions: {self.settings.rate} a second", f"again in {wait} s")
        own = Context(self._route.unit_of(head, address), head, address)
        if key:
            reply = single(self._resolver(), key, body, own)
        else:
            known = b", ".join(head.values(b"if-none-match")).decode("latin-1")
            reply = bulk(self._resolver(), body, known, own)
        for flag, variant in reply.evaluated:
            self._counted(self._route.name, flag, variant)
        if reply.etag:
            lines.append(b"ETag: " + reply.etag.encode())
        return reply.status, lines, reply.body

    def too_large(self, head: "RequestHead", most: int) -> Response:
        """The answer to a body of more than ``most`` bytes."""
        return self._failed(413, self._cors(head), "the body is too large", f"at most {most} bytes")

    def _failed(self, status: int, lines: list[bytes], message: str, allowed: str) -> Response:
        return status, lines, Reply(status, failure(GENERAL, f"{message}; allowed: {allowed}")).body

    def _cors(self, head: "RequestHead") -> list[bytes]:
        """What the browser is told of the origin of a page that asks."""
        origin = b"".join(head.values(b"origin")[:1]).decode("latin-1")
        # Answers differ by it, also by its being missing, wherever another origin is named.
        lines = [b"Vary: Origin"] if self._origins else []
        if origin in self._origins:
            named = [b"Access-Control-Allow-Origin: " + origin.encode("latin-1"), _CREDENTIALS]
        elif origin and "*" in self._origins:
            named = [b"Access-Control-Allow-Origin: *"]  # the one form that browsers refuse cookies with
        else:
            return lines
        return [*lines, *named, _EXPOSE]

    def _resolver(self) -> Resolver:
        """Made when first asked for: most tables are replaced before anybody asks."""
        if self._known is None:
            flags = self._table.flags
            self._known = Resolver(self._table.state, self._route.name, None if flags is None else flags.routes)
        return self._known


_CREDENTIALS: Final = b"Access-Control-Allow-Credentials: true"
_EXPOSE: Final = b"Access-Control-Expose-Headers: ETag, Retry-After"
_PREFLIGHT: Final = (
    b"Access-Control-Allow-Methods: POST",
    b"Access-Control-Allow-Headers: Content-Type, If-None-Match, Authorization",
    b"Access-Control-Max-Age: %d" % PREFLIGHT_SECONDS,
)


def ask(
    table: "RoutingTable",
    before: "Mapping[ServiceRoute, Asking]",
    workers: int,
    counted: Callable[[str, str, str], None],
) -> "dict[ServiceRoute, Asking]":
    """Those of a new table; a service goes on with what its clients may ask, unless that is changed.

    The kernel spreads connections over the workers, evenly on average: each allows its share, rounded up.
    """
    buckets = {each.decision.service.name: each for each in before.values()}
    found: dict[ServiceRoute, Asking] = {}
    for name, route in table.services.items():
        settings = route.definition.ofrep
        if settings is not None:
            old = buckets.get(name)
            if old is not None and old.settings.rate == settings.rate:
                bucket = old.bucket
            else:
                share = -(-settings.rate // workers)
                bucket = Bucket(share, share * BURST_SECONDS)
            found[route] = Asking(table, route, settings, bucket, counted)
    return found


def _key(rest: bytes) -> str | None:
    """What stands behind the path: "" for all flags, the name of one; None where it is no name."""
    if not rest:
        return ""
    name = unquote_to_bytes(rest[1:])
    # No flag has such a name; one that could be read in two ways is not looked for.
    return None if not name or b"/" in name else name.decode("utf-8", "replace")


def written(response: Response, *, close: bool, minor: int, bodyless: bool = False) -> bytes:
    """A whole response; ``bodyless``: to HEAD (RFC 9110 section 9.3.2)."""
    status, lines, body = response
    head = [b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode()), *lines]
    if body:
        head.append(b"Content-Type: application/json")
    if status not in {204, 304}:
        head.append(b"Content-Length: %d" % len(body))
    head += (b"Cache-Control: no-cache, private", b"Date: " + formatdate(usegmt=True).encode())
    if close:
        head.append(b"Connection: close")
    elif not minor:
        head.append(b"Connection: keep-alive")
    return b"\r\n".join(head) + b"\r\n\r\n" + (b"" if bodyless else body)
