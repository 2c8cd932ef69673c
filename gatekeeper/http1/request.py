r"""Request heads: one reading or none (RFC 9112 sections 2, 3 and 5).

A head is two things with different lives. The *request line* differs with every request. The *field section* is often
the same, byte for byte, for many requests; ``RequestFields`` therefore depends on nothing else and is kept by
a ``Memory`` for the next request that carries the same bytes.

What llhttp would let through is refused here: several or no Host, ``gzip, chunked``, Transfer-Encoding together with
Content-Length or in HTTP/1.0, other versions, ``#`` or two blanks in the request line.
"""

import ipaddress
import re
from functools import lru_cache
from typing import Any

from gatekeeper.errors import Fault
from gatekeeper.http1.errors import BadMessageError
from gatekeeper.http1.fields import (
    TOKEN,
    Field,
    Lines,
    body_length,
    field_name,
    field_value,
    list_members,
    named_by_connection,
)
from gatekeeper.http1.framing import CHUNKED, NO_BODY
from gatekeeper.http1.memory import Memory
from gatekeeper.http1.upgrade import served

# Longest request target that is read; browsers and servers agree on about 8,000 (RFC 9112 section 3 asks for that).
MAX_TARGET = 8192

_METHOD = re.compile(TOKEN)
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
# Visible ASCII but `#`: a fragment never travels (RFC 9112 section 3.2), and receivers differ in where they cut it.
_TARGET = re.compile(rb"[!\"$-~]+")
# Spares the common methods the check of their grammar.
_COMMON_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#@\x00-\x20]+)((?:[/?].*)?)")
# RFC 3986 section 3.2.2 host with RFC 9112 section 3.2's optional port; the underscore is common in container names.
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|(?:[0-9A-Za-z\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+)(?::([0-9]{0,5}))?")
# Longer ones are read each time: no name in DNS is longer, with a port.
MAX_KNOWN_HOST = 260
# What a request id must look like to be believed and passed on: anything else could forge log lines.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._+/=\-]{1,128}")
# The forwarding fields that are written anew; others (X-Forwarded-Port) pass as they are, from a trusted peer.
_SET_ANEW = frozenset({b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"})
# W3C Trace Context section 3.2.2: version 00, or a later one (never ff) that begins with the same members; ids of
# zeroes only are invalid.
_TRACE_MEMBERS = rb"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_TRACEPARENT = re.compile(rb"00" + _TRACE_MEMBERS + rb"|(?!00|ff)[0-9a-f]{2}" + _TRACE_MEMBERS + rb"(?:-[\x21-\x7e]*)?")

# The methods that Max-Forwards is for (RFC 9110 section 7.6.2).
COUNTED = frozenset({b"OPTIONS", b"TRACE"})
_MAX_FORWARDS = re.compile(rb"[0-9]{1,9}")

_LINES = Lines(
    names=frozenset({
        b"connection", b"content-length", b"cookie", b"expect", b"forwarded", b"host", b"keep-alive",
        b"max-forwards", b"proxy-connection", b"te", b"traceparent", b"tracestate", b"transfer-encoding", b"upgrade",
        b"x-request-id",
    }),
    prefixes=(b"x-forwarded-", b"x-gatekeeper-"),
    fault=Fault.BAD_REQUEST,
)  # fmt: skip


class RequestFields:
    """What the field section of a request says. Immutable by habit.

    ``section`` is the whole, from the CRLF behind the request line to the empty line. ``kept`` are the lines that may
    go on: without hop-by-hop fields, forwarding fields, gatekeeper's own and, when ``cookie_apart``, Cookie. Framing
    fields stay where they were unless they were oddly spelt or repeated: then ``framing`` is the line that replaces
    them, starting with CRLF. ``host`` is lower case without port. ``upgrade`` are the protocols a client of HTTP/1.1
    offers to go on in and we would tunnel. ``max_forwards`` is -1 where the client says nothing.
    """

    __slots__ = (
        "authority", "close", "cookie", "cookie_apart", "decided", "expect", "force", "forwarded", "forwarded_for",
        "forwarded_host", "forwarded_proto", "framing", "host", "keep_alive", "kept", "lasting", "length", "lines",
        "max_forwards", "named", "pass_token", "prepared", "proxied", "request_id", "section", "te_trailers",
        "traceparent", "tracestate", "upgrade",
    )  # fmt: skip

    def __init__(self, section: bytes, max_fields: int) -> None:
        """Raises BadMessageError."""
        self.section = section
        self.lines = lines = section[2:-4].split(b"\r\n") if len(section) > 4 else []
        if len(lines) > max_fields:
            raise BadMessageError("too many fields", Fault.HEAD_TOO_LARGE)
        # What a sender made of these fields last, with what it depends on; theirs to use.
        self.prepared: tuple[object, object, bytes] | None = None
        self.decided: tuple[object, Any, tuple[int, ...], int] | None = None
        self.lasting = False
        """Whether a memory has it: else there is no use in noting anything here."""
        self.named: dict[bytes, list[bytes]] | None = None
        self.authority: bytes | None = None
        self.cookie = self.force = self.pass_token = self.traceparent = self.request_id = self.host = self.upgrade = b""
        self.forwarded_for = self.forwarded_proto = self.forwarded_host = self.expect = self.framing = b""
        self.proxied = self.te_trailers = self.cookie_apart = self.forwarded = False
        self.close = self.keep_alive = self.tracestate = False
        self.max_forwards = -1
        kept = lines.copy()
        cookies: list[bytes] = []
        connection: list[bytes] = []
        lengths: list[bytes] = []
        codings: list[bytes] = []
        for field in _LINES.watched(lines):
            name, value = field.name, field.value
            if name == b"host":
                if self.authority is not None:
                    raise BadMessageError("Host is repeated")  # RFC 9112 section 3.2
                self.authority = value
                self.host = host_name(value)
            elif name == b"connection":
                connection.append(value)
                kept.remove(field.line)
            elif name == b"cookie":
                self.cookie = self.cookie + b"; " + value if self.cookie else value
                cookies.append(field.line)
                if b"gatekeeper-" in value:
                    self.cookie_apart = True
            elif name == b"content-length":
                lengths.append(value)
            elif name == b"transfer-encoding":
                codings.append(value)
            elif not self._passes(field):
                kept.remove(field.line)
        if self.tracestate and not self.traceparent:
            # W3C Trace Context section 3.3: it belongs to the trace that is not believed.
            kept = [line for line in kept if field_name(line) != b"tracestate"]
        self.length: int | None = None
        if lengths or codings:
            self._frame(kept, lengths, codings)
        if connection == [b"keep-alive"]:  # what most browsers say
            self.keep_alive = True
            self.upgrade = b""
        elif connection:
            self._connection(connection, kept)
        else:
            self.upgrade = b""
        if self.cookie_apart:
            kept = [line for line in kept if line not in cookies]
        self.kept = kept

    def _passes(self, field: Field) -> bool:
        """Understand one of the less common fields; whether its line goes on."""
        name, value = field.name, field.value
        if name == b"traceparent":
            if self.traceparent or not _TRACEPARENT.fullmatch(value):
                return False  # repeated or malformed: restarted, as W3C Trace Context 3.2 asks
            self.traceparent = value
            return True
        if name == b"tracestate":
            self.tracestate = True
            return True
        if name == b"max-forwards":
            if _MAX_FORWARDS.fullmatch(value):
                self.max_forwards = int(value)
            return True
        if name == b"x-request-id":
            if self.request_id or not _REQUEST_ID.fullmatch(value):
                return False
            self.request_id = value
            return True
        if name == b"forwarded" or (name.startswith(b"x-forwarded-") and name not in _SET_ANEW):
            self.proxied = self.forwarded = True
            return True
        self._stops(name, value)
        return False

    def _stops(self, name: bytes, value: bytes) -> None:
        """Fields that never go on."""
        if name == b"upgrade":
            self.upgrade = self.upgrade + b", " + value if self.upgrade else value
        elif name == b"te":
            self.te_trailers |= b"trailers" in list_members([value])
        elif name == b"expect":
            self.expect = self.expect + b"," + value if self.expect else value.lower()
        elif name == b"x-forwarded-for":
            self.proxied = True
            self.forwarded_for = self.forwarded_for + b", " + value if self.forwarded_for else value
        elif name == b"x-forwarded-proto":
            self.proxied = True
            self.forwarded_proto = value
        elif name == b"x-forwarded-host":
            self.proxied = True
            self.forwarded_host = value
        elif name == b"x-gatekeeper-version":
            self.force = value
        elif name == b"x-gatekeeper-pass":
            self.pass_token = value

    def _frame(self, kept: list[bytes], lengths: list[bytes], codings: list[bytes]) -> None:
        self.length = body_length(lengths, codings, Fault.BAD_REQUEST)
        if self.length is None or codings == [b"chunked"] or lengths == [b"%d" % self.length]:
            return  # as everybody writes it; 010 is ten by the grammar, but some have read it as eight
        kept[:] = [line for line in kept if field_name(line) not in {b"content-length", b"transfer-encoding"}]
        if self.length == CHUNKED:
            self.framing = b"\r\nTransfer-Encoding: chunked"
        else:
            self.framing = b"\r\nContent-Length: %d" % self.length

    def _connection(self, values: list[bytes], kept: list[bytes]) -> None:
        tokens = list_members(values)
        self.close = b"close" in tokens
        self.keep_alive = b"keep-alive" in tokens
        # A request with a body is plain HTTP with its body, whatever it offers.
        self.upgrade = served(self.upgrade) if self.upgrade and b"upgrade" in tokens and not self.length else b""
        named = named_by_connection(tokens)
        if named:
            kept[:] = [line for line in kept if field_name(line) not in named]
            if b"cookie" in named:
                self.cookie = b""

    def values(self, name: bytes) -> list[bytes]:
        """All values of a field, in order, as sent; ``name`` in lower case. Looks at every line, once for each name."""
        if self.named is None:
            self.named = {}
        found = self.named.get(name)
        if found is None:
            prefix = name + b":"
            size = len(prefix)
            found = [field_value(line) for line in self.lines if line[:size].lower() == prefix]
            self.named[name] = found  # the log and rules ask for the same few: 1 us each
        return found


class RequestHead:
    """One request's head: its line, and the fields behind it. Immutable by habit.

    ``host`` is lower case without port and decides routing; ``authority`` is what the backend sees as Host.
    ``target`` is in origin-form (or ``*``), ``path`` and ``query`` are its two sides of the first question mark.
    ``rehosted`` says that the Host of the fields is absent or overruled. ``length`` is NO_BODY, CHUNKED or a number of
    bytes. ``persistent`` says the client keeps the connection.
    """

    __slots__ = (
        "authority", "cookie", "expect", "fields", "force", "host", "length", "method", "minor", "path", "persistent",
        "query", "rehosted", "target",
    )  # fmt: skip

    path: bytes
    query: bytes

    def __init__(self, line: bytes, fields: RequestFields) -> None:
        """Raises BadMessageError."""
        try:
            method, target, version = line.split(b" ")
        except ValueError:
            raise BadMessageError("malformed request line") from None
        if method not in _COMMON_METHODS and not _METHOD.fullmatch(method):
            raise BadMessageError("malformed method")
        if not _TARGET.fullmatch(target):
            raise BadMessageError("malformed target")
        if version == b"HTTP/1.1":
            minor = 1
        elif version == b"HTTP/1.0":
            minor = 0
        elif _VERSION.fullmatch(version):
            raise BadMessageError("unsupported HTTP version", Fault.BAD_VERSION)
        else:
            raise BadMessageError("malformed HTTP version")
        self.method = method
        if self.method == b"CONNECT":
            raise BadMessageError("CONNECT is not served", Fault.NOT_IMPLEMENTED)
        if fields.max_forwards == 0 and method in COUNTED:
            raise BadMessageError("Max-Forwards is used up", Fault.NOT_IMPLEMENTED)  # it is for us to answer
        if len(target) > MAX_TARGET:
            raise BadMessageError("target too long", Fault.TARGET_TOO_LONG)
        self.fields = fields
        self.minor = minor
        self.length = fields.length or NO_BODY
        if minor:
            self.persistent = not fields.close
            self.expect = bool(fields.expect)
            if fields.expect and fields.expect != b"100-continue":
                raise BadMessageError("unknown expectation", Fault.EXPECTATION)
            if fields.authority is None:
                raise BadMessageError("Host is missing")  # RFC 9112 section 3.2
        else:
            if self.length < 0:
                raise BadMessageError("Transfer-Encoding in HTTP/1.0")  # RFC 9112 section 6.1: faulty framing
            self.persistent = fields.keep_alive and not fields.close
            self.expect = False  # RFC 9110 section 10.1.1: ignored from an HTTP/1.0 client
        self.rehosted = fields.authority is None
        self.authority = fields.authority or b""
        self.host = fields.host
        if not target.startswith(b"/"):
            target = self._other_form(target)
        self.target = target
        self.path, _, self.query = target.partition(b"?")
        self.cookie = fields.cookie
        self.force = fields.force

    @property
    def pass_token(self) -> bytes:
        return self.fields.pass_token

    def _other_form(self, target: bytes) -> bytes:
        if target == b"*" and self.method == b"OPTIONS":
            return target
        match = _ABSOLUTE.fullmatch(target)
        if match is None:
            raise BadMessageError("target is neither origin-form nor absolute-form")
        self.rehosted = True
        self.authority = match[1]  # RFC 9112 section 3.2.2: absolute-form wins over Host
        self.host = host_name(match[1])
        path: bytes = match[2]
        if path.startswith(b"/"):
            return path
        # RFC 9112 section 3.2.1 wants a slash, section 3.2.4 a star for OPTIONS of the whole server
        return b"*" if self.method == b"OPTIONS" and not path else b"/" + path

    def values(self, name: bytes) -> list[bytes]:
        """All values of a field, in order; ``name`` in lower case. Looks at every line."""
        return self.fields.values(name)


def host_name(authority: bytes) -> bytes:
    """The host of an authority, lower case, without port.

    Raises BadMessageError where it is malformed or empty (RFC 9110 section 4.2.1 rejects an empty host).
    """
    # The same few in all heads: of the 4 us of reading one this takes 0.4 off.
    return _known_host(authority) if len(authority) <= MAX_KNOWN_HOST else _host_name(authority)


def _host_name(authority: bytes) -> bytes:
    match = _HOST.fullmatch(authority)
    if match is None or (match[2] and int(match[2]) > 65535):
        raise BadMessageError("Host is malformed")
    host: bytes = match[1].lower()
    if host[:1] == b"[":
        try:
            ipaddress.IPv6Address(host[1:-1].decode())
        except ValueError as error:
            raise BadMessageError("Host is no IPv6 address") from error
    return host


_known_host = lru_cache(1024)(_host_name)


def read_fields(memory: Memory[RequestFields], section: bytes, max_fields: int) -> RequestFields:
    """The fields of a section, from memory or read now. Raises BadMessageError."""
    fields = memory.recall(section)
    if fields is None:
        fields = RequestFields(section, max_fields)
        fields.lasting = memory.keep(section, fields)
    return fields


def split_head(head: bytes) -> tuple[bytes, bytes]:
    """(request line, field section) of a complete head that ends in an empty line."""
    end = head.find(b"\r\n")
    return head[:end], head[end:]


def parse_request(head: bytes, max_fields: int = 100) -> RequestHead:
    """Read a complete request head, up to and with its empty line. Raises BadMessageError."""
    line, section = split_head(head)
    return RequestHead(line, RequestFields(section, max_fields))
