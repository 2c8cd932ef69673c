"""Message bodies: where they end, and how they are written so that nobody can read another end.

A body arrives in one of four framings (RFC 9112 section 6.3): none, a length, chunked, or (responses only) until the
connection closes. Bodies with a length pass as they are, counted. Of chunked bodies every size line that is not spelt
as we spell it is written anew, so that chunk extensions, odd size spellings and forbidden trailers end here; the others
pass where they are, as copying a body twice to write the same costs four times as much as looking (0.05 ms for each
megabyte in chunks of 16 KiB, instead of 0.2 to 0.4).

All decoders share one shape: ``feed(data)`` returns the payload found, ``relay(data)`` the bytes to pass on, in chunks
where the end is not told by a length; ``done`` says that the end was seen, and ``rest`` holds the bytes behind it.
"""

import re

from gatekeeper.http1.errors import BadMessageError

NO_BODY = 0
CHUNKED = -1
UNTIL_CLOSE = -2

# A size line is at most 16 hexadecimal digits; 256 leaves room for the extensions seen in practice (signatures of
# signed uploads are about 100 bytes) and none for memory attacks.
MAX_CHUNK_LINE = 256
# Bytes of framing beyond 16 a chunk and twice the payload; a stream of one-byte chunks with long extensions makes
# the receiver work 100 times as much as the sender pays for.
MAX_EXCESS = 16 * 1024
# Trailers are rarely more than one checksum.
MAX_TRAILERS = 8 * 1024

LAST_CHUNK = b"0\r\n\r\n"

# RFC 9110 sections 5.6.2 and 5.6.4
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
_SIZE_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16})"  # RFC 9112 section 7.1: hexadecimal digits, no sign, no 0x, no blank
    # section 7.1.1: extensions are ignored, but only what is one
    rb"(?:[ \t]*;[ \t]*" + _TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?)*"
)
_TRAILER_LINE = re.compile(rb"(" + _TOKEN + rb"):[\t\x20-\x7e\x80-\xff]*")

# RFC 9110 section 6.5.1: a trailer must not carry what belongs to framing, routing, authentication or the request's
# modifiers; merged into a head by a careless receiver, each of these would be an attack.
_FORBIDDEN_TRAILERS = frozenset({
    b"age", b"authorization", b"cache-control", b"connection", b"content-encoding", b"content-length",
    b"content-range", b"content-type", b"cookie", b"date", b"expect", b"expires", b"forwarded", b"host",
    b"keep-alive", b"location", b"max-forwards", b"pragma", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"range", b"retry-after", b"set-cookie", b"te", b"trailer", b"traceparent", b"tracestate",
    b"transfer-encoding", b"upgrade", b"vary", b"warning", b"www-authenticate", b"x-request-id",
})  # fmt: skip
_FORBIDDEN_PREFIXES = (b"x-forwarded-", b"x-gatekeeper-")


def encode_chunk(payload: bytes) -> bytes:
    """One chunk; the payload must not be empty, an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


class LengthDecoder:
    """A body of a known number of bytes."""

    __slots__ = ("done", "remaining", "rest")

    trailers = b""

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.done = length == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        size = len(data)
        if size < self.remaining:
            self.remaining -= size
            return data
        self.done = True
        if size > self.remaining:
            data, self.rest = data[: self.remaining], data[self.remaining :]
        self.remaining = 0
        return data

    def relay(self, data: bytes, copy: list[bytes] | None = None) -> tuple[bytes, int]:
        """The bytes to pass on, and the size of the payload in ``data``; that is added to ``copy`` if there is one."""
        payload = self.feed(data)
        if copy is not None:
            copy.append(payload)
        return payload, len(payload)


class CloseDecoder:
    """A body that ends with the connection (RFC 9112 section 6.3 item 8)."""

    __slots__ = ("done", "rest")

    trailers = b""

    def __init__(self) -> None:
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        return data

    def relay(self, data: bytes, copy: list[bytes] | None = None) -> tuple[bytes, int]:
        """As of the others; the last chunk is for who sees the connection end."""
        if copy is not None:
            copy.append(data)
        return encode_chunk(data) if data else b"", len(data)


class ChunkedDecoder:
    """A chunked body (RFC 9112 section 7.1). ``trailers`` holds the trailer lines that may pass, each with CRLF.

    ``feed`` and ``relay`` raise BadMessageError at the first byte that breaks the grammar. Use one of them only.
    """

    __slots__ = ("_buffer", "_excess", "_left", "_state", "done", "rest", "trailers")

    _SIZE = 0
    _DATA = 1
    _DATA_END = 2
    _TRAILERS = 3

    def __init__(self) -> None:
        self._state = self._SIZE
        self._left = 0
        self._buffer = b""
        self._excess = 0
        self.done = False
        self.rest = b""
        self.trailers = b""

    def feed(self, data: bytes) -> bytes:
        """The payload in ``data``."""
        payload: list[bytes] = []
        self._read(data, payload, None)
        return payload[0] if len(payload) == 1 else b"".join(payload)

    def relay(self, data: bytes, copy: list[bytes] | None = None) -> tuple[bytes, int]:
        """The bytes to pass on, up to the last chunk and the trailers, and the size of the payload in ``data``.

        The payload itself is added to ``copy``, where one is given.
        """
        passed: list[bytes] = []
        size = self._read(data, copy, passed)
        return passed[0] if len(passed) == 1 else b"".join(passed), size

    def _read(self, data: bytes, payload: list[bytes] | None, passed: list[bytes] | None) -> int:
        """Read on; the size of the payload found. What may pass as it is stands between ``since`` and ``position``."""
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        since = position = found = 0
        size = len(data)
        while position < size and not self.done:
            if self._state == self._DATA:
                end = min(position + self._left, size)
                if payload is not None:
                    payload.append(data[position:end])
                found += end - position
                self._left -= end - position
                position = end
                if not self._left:
                    self._state = self._DATA_END
            elif self._state == self._DATA_END:
                if data[position : position + 2] != b"\r\n":
                    if data[position:] == b"\r":
                        self._buffer = b"\r"
                        break
                    raise BadMessageError("chunk data is not followed by CRLF")
                position += 2
                self._state = self._SIZE
            elif self._state == self._SIZE:
                start, position = position, self._line(data, position)
                if position < 0:
                    position = start
                    break
                spelling = b"%x\r\n" % self._left
                if passed is not None and (self._state == self._TRAILERS or data[start:position] != spelling):
                    if start > since:
                        passed.append(data[since:start])
                    if self._state == self._DATA:
                        passed.append(spelling)
                    since = position
            else:
                start, position = position, self._line(data, position)
                since = size
                if position < 0:
                    position = start
                    break
        if passed is not None:
            if position > since and self._state != self._TRAILERS:
                passed.append(data[since:position])
            if self.done:
                passed.append(b"0\r\n" + self.trailers + b"\r\n" if self.trailers else LAST_CHUNK)
        if self.done:
            self.rest = data[position:]
        return found

    def _line(self, data: bytes, position: int) -> int:
        """Take the size or trailer line at ``position``; the position behind it, or -1 when more bytes are needed."""
        bound = MAX_CHUNK_LINE if self._state == self._SIZE else MAX_TRAILERS
        end = data.find(b"\n", position, position + bound)
        if end < 0:
            if len(data) - position >= bound:
                raise BadMessageError("chunk size line or trailer is too long")
            self._buffer = data[position:]
            return -1
        if end == position or data[end - 1] != 13:  # a bare LF is no line end here: RFC 9112 section 2.2 allows it
            raise BadMessageError("line of a chunked body does not end in CRLF")  # only for start-line and field lines
        line = data[position : end - 1]
        if self._state == self._SIZE:
            self._size_line(line)
        elif line:
            self._trailer(line)
        else:
            self.done = True
        return end + 1

    def _size_line(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise BadMessageError("chunk size is malformed")
        self._left = int(match[1], 16)
        if self._left >= 1 << 63:
            raise BadMessageError("chunk size overflows")
        self._excess = max(0, self._excess + len(line) + 4 - 16 - 2 * self._left)
        if self._excess > MAX_EXCESS:
            raise BadMessageError("chunked framing costs more than its payload")
        self._state = self._DATA if self._left else self._TRAILERS

    def _trailer(self, line: bytes) -> None:
        match = _TRAILER_LINE.fullmatch(line)
        if match is None:
            raise BadMessageError("trailer is malformed")
        name = match[1].lower()
        self._excess += len(line)
        if self._excess > MAX_EXCESS or len(self.trailers) + len(line) > MAX_TRAILERS:
            raise BadMessageError("trailers are too long")
        if name not in _FORBIDDEN_TRAILERS and not name.startswith(_FORBIDDEN_PREFIXES):
            self.trailers += line + b"\r\n"


BodyDecoder = LengthDecoder | ChunkedDecoder | CloseDecoder


def decoder(length: int) -> BodyDecoder:
    """The decoder for a framing: a length, NO_BODY, CHUNKED or UNTIL_CLOSE."""
    if length >= 0:
        return LengthDecoder(length)
    return ChunkedDecoder() if length == CHUNKED else CloseDecoder()
