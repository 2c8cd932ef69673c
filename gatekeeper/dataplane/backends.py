"""One backend: how much it has to do, its idle connections, and what came of its requests.

A backend is known by service, version and id, not by snapshot: its connections and its count of requests in flight
outlive every change of weights and every reload that still names it (``roster``). Its id is its url; where the url has
a host name and the supervisor has looked it up, each address is a backend of its own, with the id ``URL#ADDRESS``.
"""

import ssl
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gatekeeper.dataplane.upstream import Upstream

# Seconds an idle connection is kept. Common servers close at 60 to 75 s (nginx 75, gunicorn 2, node 5); who closes
# earlier is noticed at once, because idle connections are being read.
IDLE_SECONDS = 55.0
# Idle connections kept per backend and worker for that long. A worker saturates its core with a few hundred requests in
# flight; what exceeds this was a burst, and costs the backend memory.
MAX_IDLE = 512
# Seconds the others are kept. Closed at once they would be made anew at the next turn while the burst lasts: with
# 10,000 clients who all ask again and again, a request cost 4 times the CPU.
BURST_SECONDS = 5.0
# Connections closed in one sweep: a close costs 20 us, and thousands that were used together become old together.
CLOSES_AT_ONCE = 64
# Connections in all per backend and worker. Beyond it the backend counts as not ready: one address offers about
# 28,000 local ports, and a queue without bound would only move the wait in here.
MAX_CONNECTIONS = 20_000

Key = tuple[str, str, str]
"""Service, version, id."""

UNIX = "unix:"


def parse_id(identity: str) -> tuple[str, str]:
    """The url and the address in an id; the address is empty where the url tells it."""
    if identity.startswith(UNIX):
        return identity, ""  # a path may hold a number sign
    url, _, address = identity.partition("#")
    return url, address


class Secure(NamedTuple):
    """TLS to a backend: the context, and the name to ask for and verify where it is not the url's host."""

    context: ssl.SSLContext
    name: str | None


class Backend:
    """One address of a version. ``state`` is ready, pending, ejected or draining; only ready ones get requests."""

    __slots__ = (
        "address", "connections", "credit", "factor", "failing", "failures", "id", "idle", "in_flight", "kept", "key",
        "mark", "reason", "requests", "secure", "share", "state", "told", "turn", "url",
    )  # fmt: skip

    def __init__(self, key: Key, failing: "dict[Backend, None] | None" = None) -> None:
        """``failing``: where it puts itself down when it fails; an ordered set, its roster's."""
        self.key = key
        self.id = key[2]
        self.url, self.address = parse_id(key[2])
        self.state = "ready"
        self.secure: Secure | None = None

        # What it has to do
        self.in_flight = 0
        self.connections = 0
        self.idle: dict[Upstream, None] = {}
        """An ordered set, the most recently used last. A backend that ends closes thousands of them, in any order."""
        self.kept = True
        """Whether a connection may get another request: not when it is draining, or nothing names it any more."""

        # What came of it, see ``outcomes``
        self.requests = 0
        self.failures = 0
        self.failing = {} if failing is None else failing
        self.reason = ""
        self.told = 0
        self.mark = 0

        # Its part of the requests, see ``groups``
        self.turn = 0.0
        self.factor = 1.0
        self.share = 0.0
        self.credit = 0.0

    @property
    def authority(self) -> bytes:
        """What stands in Host where a client sent none."""
        return b"localhost" if self.url.startswith(UNIX) else self.url.partition("://")[2].encode()

    def fail(self, reason: str) -> None:
        """Count a failure of its own, see ``outcomes``; ``reason`` is told with it."""
        self.failures += 1
        self.reason = reason
        self.failing[self] = None

    def protect(self, secure: Secure | None) -> None:
        """Connect by these means from now on; what was connected by others is not used again."""
        if secure != self.secure:
            self.secure = secure
            self.close_idle()

    def become(self, state: str) -> None:
        """Be in this state, and named by a table."""
        self.state = state
        self.kept = True
        if state == "draining":
            self.part()

    def take(self) -> "Upstream | None":
        """The most recently used idle connection: the one least likely to be closed by the backend just now."""
        while self.idle:
            upstream, _ = self.idle.popitem()
            if not upstream.transport.is_closing():
                return upstream
        return None

    def give(self, upstream: "Upstream", now: float) -> None:
        """Keep a clean connection for the next request, or close it when there will be none."""
        if self.kept:
            upstream.idle_since = now
            self.idle[upstream] = None
        else:
            upstream.close()

    def part(self) -> None:
        """Keep no connection any more; those in use end with their requests."""
        self.kept = False
        self.close_idle()

    def close_idle(self) -> None:
        """Close all connections that are idle."""
        while self.idle:
            self.idle.popitem()[0].close()

    def trim(self, now: float) -> None:
        """Close connections that were idle for too long, monotonic seconds."""
        surplus = len(self.idle) - MAX_IDLE
        for number, upstream in enumerate(list(islice(self.idle, CLOSES_AT_ONCE))):
            if now - upstream.idle_since <= (BURST_SECONDS if number < surplus else IDLE_SECONDS):
                break
            del self.idle[upstream]
            upstream.close()
