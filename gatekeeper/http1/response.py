"""Response heads from a backend: one reading, or the answer is not passed on (RFC 9112 sections 4 and 6)."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gatekeeper.errors import Fault
from gatekeeper.http1.errors import BadMessageError
from gatekeeper.http1.fields import Lines, body_length, field_name, joined, list_members, named_by_connection
from gatekeeper.http1.framing import NO_BODY, UNTIL_CLOSE
from gatekeeper.http1.memory import Memory

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")

_LINES = Lines(
    names=frozenset({
        b"cache-control", b"connection", b"content-length", b"keep-alive", b"proxy-connection", b"te",
        b"transfer-encoding", b"upgrade", b"x-gatekeeper-version",
    }),
    prefixes=(),
    fault=Fault.BAD_RESPONSE,
)  # fmt: skip

_EXPIRES = re.compile(rb"\r\n(?i:expires):([^\r]*)")
_DATE = re.compile(rb"\r\n(?i:date):([^\r]*)")

# Status lines met so far: (minor version, status, the line to pass on). Backends use a handful; the bound is for those
# that put a request's id into the reason phrase.
_STATUS_LINES: dict[bytes, tuple[int, int, bytes]] = {}
_MAX_STATUS_LINES = 1024


def _learn_status(line: bytes) -> tuple[int, int, bytes]:
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise BadMessageError("malformed status line", Fault.BAD_RESPONSE)
    minor = int(match[1])
    entry = minor, int(match[2]), line if minor else b"HTTP/1.1" + line[8:]
    if len(_STATUS_LINES) >= _MAX_STATUS_LINES:
        _STATUS_LINES.clear()
    _STATUS_LINES[line] = entry
    return entry


class ResponseHead:
    """One response's head. Immutable by habit.

    ``line`` is the status line to pass on, without CRLF (RFC 9112 section 2.3: the version is always our own).
    ``forward`` holds the field lines that go on, each starting with CRLF, without hop-by-hop fields and
    Transfer-Encoding; a Content-Length stays where it was, except where none may be (1xx, 204). ``length`` is NO_BODY,
    CHUNKED, UNTIL_CLOSE or a number of bytes: what follows on this connection. ``persistent`` says that the backend
    keeps the connection.
    """

    __slots__ = ("cache_control", "forward", "length", "line", "persistent", "status", "upgrade")

    def __init__(self, head: bytes, *, body_allowed: bool) -> None:
        """``head`` ends in an empty line; ``body_allowed`` is False in answer to HEAD. Raises BadMessageError."""
        kept = head[:-4].split(b"\r\n")
        line = kept.pop(0)
        known = _STATUS_LINES.get(line)
        minor, status, self.line = known if known is not None else _learn_status(line)
        self.status = status
        self.cache_control = self.upgrade = b""
        self.persistent = minor == 1
        connection: list[bytes] = []
        lengths: list[bytes] = []
        codings: list[bytes] = []
        for field in _LINES.watched(kept):
            name = field.name
            if name == b"content-length":
                lengths.append(field.value)
            elif name == b"cache-control":
                self.cache_control += b"," + field.value.lower()
            else:
                kept.remove(field.line)
                if name == b"connection":
                    connection.append(field.value)
                elif name == b"transfer-encoding":
                    codings.append(field.value)
                elif name == b"upgrade":
                    self.upgrade = self.upgrade + b", " + field.value if self.upgrade else field.value
        if codings and not minor:
            raise BadMessageError("Transfer-Encoding in HTTP/1.0", Fault.BAD_RESPONSE)
        if lengths and (len(lengths) > 1 or not lengths[0].isdigit()):
            # Repeated or listed, even with equal values: a backend that cannot write one length is not believed.
            raise BadMessageError("Content-Length is no single number", Fault.BAD_RESPONSE)
        length = body_length(lengths, codings, Fault.BAD_RESPONSE)
        if connection and connection != [b"keep-alive"]:
            tokens = list_members(connection)
            self.persistent = b"close" not in tokens and (minor == 1 or b"keep-alive" in tokens)
            named = named_by_connection(tokens)
            if named:
                kept = [line for line in kept if field_name(line) not in named]
        elif connection:
            self.persistent = True
        if status == 204 or status < 200:
            self.length = NO_BODY
            if lengths:  # RFC 9110 section 8.6: none may be sent here, to HEAD neither
                kept = [line for line in kept if field_name(line) != b"content-length"]
        elif not body_allowed or status == 304:
            self.length = NO_BODY  # RFC 9112 section 6.3 item 1, whatever the fields claim
        else:
            self.length = UNTIL_CLOSE if length is None else length
        self.forward = joined(kept)

    @property
    def publicly_cacheable(self) -> bool:
        """Whether a shared cache may keep this answer for several users (RFC 9111 section 3)."""
        directives = self.cache_control
        if not directives:
            # Read only where it matters: in answers that are to get a cookie, which are few.
            return (expires := _when(_EXPIRES.search(self.forward))) is not None and (
                (date := _when(_DATE.search(self.forward))) is None or expires > date
            )
        if b"private" in directives or b"no-store" in directives or b"no-cache" in directives:
            return False
        return b"public" in directives or b"s-maxage" in directives or b"max-age" in directives


def _when(match: re.Match[bytes] | None) -> datetime | None:
    """The time a field tells; None without the field or without sense, as ``Expires: 0``, which is long ago."""
    try:
        when = None if match is None else parsedate_to_datetime(match[1].decode("latin-1"))
    except (ValueError, OverflowError):
        return None
    return None if when is None else when.replace(tzinfo=UTC)  # RFC 9110 section 5.6.7: always GMT, however written


def read_response(memory: Memory[ResponseHead], head: bytes, *, body_allowed: bool) -> ResponseHead:
    """A response head, from memory or read now. Raises BadMessageError.

    Only heads whose body is allowed are remembered: the same bytes mean another length in answer to HEAD.
    """
    if not body_allowed:
        return ResponseHead(head, body_allowed=False)
    reading = memory.recall(head)
    if reading is None:
        reading = ResponseHead(head, body_allowed=True)
        memory.keep(head, reading)
    return reading
