r"""Field lines: which matter to a proxy, what they say about framing and the connection, which go no further.

Most field lines of most messages have been seen before: the same browsers, the same servers. Each distinct line is
therefore validated and classified once, by ``Lines.learn``, and afterwards recognised by one look-up (about 50 ns,
against 500 ns for reading it again). What a line means is a property of the line alone; what lines mean together
(two Hosts, a length and a coding) is decided per message by who collects them.

A line is accepted if our own grammar (RFC 9110 section 5, RFC 9112 section 5) and llhttp both accept it. llhttp is a
second opinion on characters; what it lets through when lines meet is refused in ``request`` and ``response``.
"""

import re
from collections.abc import Iterable
from itertools import repeat

import httptools

from gatekeeper.errors import Fault
from gatekeeper.http1.errors import BadMessageError
from gatekeeper.http1.framing import CHUNKED
from gatekeeper.http1.memory import Returning

# RFC 9110 section 5.6.2
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"

# RFC 9112 section 5: no blank before the colon, no line folding, no control character but the tab.
_LINE = re.compile(rb"(" + TOKEN + rb"):([\t\x20-\x7e\x80-\xff]*)")
_LIST = re.compile(rb"[ \t]*,[ \t]*")
_DIGITS = re.compile(rb"[0-9]{1,18}")  # 18 digits stay below 2**63 without a further check

# llhttp judges these by what else it has seen; alone they would mislead it. Their grammar is checked where they are
# used.
_MEANT_TOGETHER = frozenset({b"connection", b"content-length", b"transfer-encoding", b"upgrade"})

# Named in Connection, these still pass: taking away framing or the client's address is an attack
# (HTTP desync through hop-by-hop headers), never a wish.
_NEVER_BY_CONNECTION = frozenset({
    b"host", b"content-length", b"transfer-encoding", b"forwarded", b"x-forwarded-for", b"x-forwarded-proto",
    b"x-forwarded-host", b"x-request-id", b"traceparent", b"x-gatekeeper-version", b"x-gatekeeper-revision",
})  # fmt: skip
# Removed anyway, so naming them in Connection asks for nothing more.
_ALWAYS_REMOVED = frozenset({b"close", b"keep-alive", b"upgrade", b"te", b"proxy-connection", b"connection"})

# Lines remembered: two generations of 4,096 of at most 512 bytes are about 4 MiB at the most, 1 MiB in practice. When
# the young generation is full, the old one is forgotten; what is still in use comes back from it.
MAX_KNOWN = 4096
MAX_KNOWN_LINE = 512


class Field:
    """One line of a field that a proxy must understand. ``name`` is in lower case, ``value`` without outer blanks."""

    __slots__ = ("line", "name", "value")

    def __init__(self, line: bytes, name: bytes, value: bytes) -> None:
        self.line = line
        self.name = name
        self.value = value


_NEW = Field(b"", b"", b"")
"""Stands for a line that is not known."""
_UNKNOWN = repeat(_NEW)


class _Silent:
    """A parser without callbacks: llhttp only says yes or no."""


_SILENT = _Silent()


class Lines:
    """The lines met so far by one kind of message.

    ``names`` are the fields to be understood, ``prefixes`` beginnings of further ones; all other lines are ``None``:
    valid, of no concern, passed on as they are. ``fault`` is what a malformed line is.
    """

    def __init__(self, names: frozenset[bytes], prefixes: tuple[bytes, ...], fault: Fault) -> None:
        self._names = names
        self._prefixes = prefixes
        self._fault = fault
        self._known: dict[bytes, Field | None] = {}
        self._older: dict[bytes, Field | None] = {}
        self._returning = Returning()

    def watched(self, lines: list[bytes]) -> list[Field]:
        """The lines that must be understood, in order. Raises BadMessageError for one without a single reading."""
        # One look-up a line, without a step of the interpreter: most lines are known, of many heads all.
        found: list[Field | None] = list(map(self._known.get, lines, _UNKNOWN))
        watched = list(filter(None, found))
        if _NEW in watched:
            found = [self._learn(line) if field is _NEW else field for line, field in zip(lines, found, strict=True)]
            watched = list(filter(None, found))
        return watched

    def _learn(self, line: bytes) -> Field | None:
        if line in self._older:
            field = self._older[line]
        else:
            match = _LINE.fullmatch(line)
            if match is None:
                raise BadMessageError("malformed field line", self._fault)
            name = match[1].lower()
            if name not in _MEANT_TOGETHER:
                try:
                    httptools.HttpResponseParser(_SILENT).feed_data(b"HTTP/1.1 200 OK\r\n" + line + b"\r\n\r\n")
                except httptools.HttpParserError as error:
                    raise BadMessageError(f"malformed field line: {error}", self._fault) from error
            watched = name in self._names or name.startswith(self._prefixes)
            field = Field(line, name, match[2].strip(b" \t")) if watched else None
        if len(line) <= MAX_KNOWN_LINE and self._returning.again(line):
            if len(self._known) >= MAX_KNOWN:
                self._older, self._known = self._known, {}
            self._known[line] = field
        return field


def field_name(line: bytes) -> bytes:
    """The name of a valid line, in lower case."""
    return line[: line.find(b":")].lower()


def field_value(line: bytes) -> bytes:
    """The value of a valid line, without outer blanks."""
    return line[line.find(b":") + 1 :].strip(b" \t")


def content_length(values: Iterable[bytes], fault: Fault) -> int:
    """The one length that all values and list members agree on (RFC 9112 section 6.3 item 5).

    Raises BadMessageError.
    """
    members = {member for value in values for member in _LIST.split(value)}
    if len(members) != 1:
        raise BadMessageError("Content-Length is repeated with different values", fault)
    (member,) = members
    if _DIGITS.fullmatch(member) is None:
        raise BadMessageError("Content-Length is no number", fault)
    return int(member)


def body_length(lengths: list[bytes], codings: list[bytes], fault: Fault) -> int | None:
    """Length, CHUNKED, or None where no field frames the body. Raises BadMessageError where readers could disagree."""
    if codings:
        if lengths:
            raise BadMessageError("both Transfer-Encoding and Content-Length", fault)  # RFC 9112 section 6.1
        if len(codings) != 1 or codings[0].lower() != b"chunked":
            raise BadMessageError("Transfer-Encoding is not chunked", fault)
        return CHUNKED
    if not lengths:
        return None
    if len(lengths) == 1 and len(lengths[0]) <= 18 and lengths[0].isdigit():
        return int(lengths[0])
    return content_length(lengths, fault)


def list_members(values: Iterable[bytes]) -> list[bytes]:
    """The members of a list-valued field over all its lines, lower case, empty ones dropped (RFC 9110 5.6.1)."""
    return [member for value in values for member in _LIST.split(value.lower().strip(b" \t")) if member]


def named_by_connection(tokens: Iterable[bytes]) -> frozenset[bytes]:
    """The further fields that a Connection field removes (RFC 9110 section 7.6.1)."""
    return frozenset(tokens) - _ALWAYS_REMOVED - _NEVER_BY_CONNECTION


def joined(lines: list[bytes]) -> bytes:
    """Lines with a CRLF before each and none behind the last."""
    return b"\r\n" + b"\r\n".join(lines) if lines else b""
