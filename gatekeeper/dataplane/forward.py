"""The head that a backend gets: the client's fields as they came, less what stops here, plus what SPEC names."""

import re
from collections.abc import Callable

from gatekeeper.core.model import Testers
from gatekeeper.core.routing import Decision, ServiceRoute
from gatekeeper.dataplane.backends import Backend
from gatekeeper.http1.fields import field_name, joined
from gatekeeper.http1.request import COUNTED, RequestFields, RequestHead

# The header of testers where a service names no other; ``http1.request`` keeps that one back by itself.
_FORCE = Testers().header
_FORWARDED = re.compile(rb"(?i:forwarded:|x-forwarded-)")
_MAX_FORWARDS = re.compile(rb"\r\n(?i:max-forwards):[^\r]*")


class Client:
    """What is known about the peer of a client connection. ``address`` is "" for a unix socket."""

    __slots__ = ("address", "key", "secure", "trusted")

    def __init__(self, address: str, *, trusted: bool, secure: bool = False) -> None:
        self.address = address
        self.trusted = trusted
        self.secure = secure
        self.key = (address, trusted, secure)
        """All that forwarded lines depend on."""


def client_address(client: Client, fields: RequestFields, trusts: Callable[[str], bool]) -> str:
    """The address of the client itself: the last one in X-Forwarded-For that no trusted proxy has.

    Only what trusted proxies appended is believed, so a client cannot choose its address.
    """
    if not client.trusted or not fields.forwarded_for:
        return client.address
    address = client.address
    for member in reversed(fields.forwarded_for.decode("latin-1").split(",")):
        candidate = _bare(member.strip())
        if not candidate:
            break
        address = candidate
        if not trusts(candidate):
            break
    return address


def _bare(member: str) -> str:
    """An address without the port that some proxies append."""
    if member.startswith("["):
        return member[1:].partition("]")[0]
    return member.partition(":")[0] if member.count(":") == 1 else member


def is_secure(client: Client, fields: RequestFields) -> bool:
    return client.secure or (client.trusted and fields.forwarded_proto.lower() == b"https")


def _prepare(head: RequestHead, client: Client, service: ServiceRoute) -> bytes:
    """All field lines that depend on the field section, the peer and the service, but not on the single request."""
    fields = head.fields
    lines = fields.kept
    if fields.forwarded and not client.trusted:
        lines = [line for line in lines if not _FORWARDED.match(line)]
    force = service.definition.testers.header
    if force != _FORCE:
        name = force.lower().encode()
        lines = [line for line in lines if field_name(line) != name]
    if head.rehosted and fields.authority is not None:
        lines = [line for line in lines if field_name(line) != b"host"]
    parts = [joined(lines)]
    if head.rehosted and head.authority:
        parts.insert(0, b"\r\nHost: " + head.authority)
    if fields.framing:
        parts.append(fields.framing)
    if fields.cookie_apart:
        strip = service.cookie_strip
        cookie = strip(fields.cookie).strip(b"; ")
        if cookie:
            parts.append(b"\r\nCookie: " + cookie)
    if fields.te_trailers and not fields.upgrade:  # one Connection field: not everybody reads a second
        parts.append(b"\r\nTE: trailers\r\nConnection: TE")  # RFC 9110 section 10.1.4: named in Connection, always
    peer = client.address.encode() or b"unknown"  # RFC 7239 section 6.3's word for a peer without an address
    trusted = client.trusted
    chain = fields.forwarded_for + b", " + peer if trusted and fields.forwarded_for else peer
    proto = (trusted and fields.forwarded_proto) or (b"https" if client.secure else b"http")
    host = (trusted and fields.forwarded_host) or head.authority
    parts += (b"\r\nX-Forwarded-For: ", chain, b"\r\nX-Forwarded-Proto: ", proto)
    if host:
        parts += (b"\r\nX-Forwarded-Host: ", host)
    parts.append(b"\r\n")
    return b"".join(parts)


def outgoing_head(
    head: RequestHead, client: Client, decision: Decision, ids: tuple[bytes, ...], backend: Backend
) -> bytes:
    """The complete request head for the backend. ``ids`` are the lines of ids made here, in pieces, each with CRLF."""
    fields = head.fields
    service = decision.service
    if head.rehosted:
        lines = _prepare(head, client, service)
        if not head.authority:
            # An HTTP/1.0 client may send no Host; what leaves is HTTP/1.1 and must have one (RFC 9112 section 3.2).
            lines = b"\r\nHost: " + backend.authority + lines
    else:
        # The same fields from the same peer to the same service give the same lines: where bytes repeat, this saves
        # the joining and the cookie's regular expression.
        prepared = fields.prepared
        if prepared is not None and prepared[0] is service and prepared[1] == client.key:
            lines = prepared[2]
        else:
            lines = _prepare(head, client, service)
            fields.prepared = (service, client.key, lines)
    if fields.max_forwards > 0 and head.method in COUNTED:
        lines = _MAX_FORWARDS.sub(b"\r\nMax-Forwards: %d" % (fields.max_forwards - 1), lines)
    target = head.target
    if service.stripped:
        target = _stripped(target, service.stripped)
    return b"".join((
        head.method, b" ", target, b" HTTP/1.1", lines,
        b"Expect: 100-continue\r\n" if head.expect else b"",
        b"Connection: upgrade\r\nUpgrade: " + fields.upgrade + b"\r\n" if fields.upgrade and head.minor else b"",
        decision.version.head_lines, b"" if decision.flags is None else decision.flags.line, *ids, b"\r\n",
    ))  # fmt: skip


def _stripped(target: bytes, prefix: str) -> bytes:
    if target == b"*":
        return target
    rest = target[len(prefix.rstrip("/")) :]
    return rest if rest.startswith(b"/") else b"/" + rest
