"""The strict readers at both ends. They share no code with gatekeeper, and forgive nothing.

Both are fed bytes as they come, keep what they read, and stop for good at the first byte that does not fit
(``fault``). The rest is then in ``rest``.
"""

import re
from dataclasses import dataclass, field

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# RFC 9112 section 3.2: origin-form, absolute-form, OPTIONS with a star, CONNECT with an authority; never a fragment.
_REQUEST_LINE = re.compile(
    rb"(?:%b (?:/|[A-Za-z][A-Za-z0-9+.-]*://[^/?#])[!\"$-~]*|OPTIONS \*|CONNECT [!\"$-~]+:[0-9]+) HTTP/1\.[01]" % _TOKEN
)
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")
# RFC 9110 section 5.5: NUL, CR and LF never; other control characters may be kept.
_FIELD = re.compile(rb"(%b):([^\x00\r\n]*)" % _TOKEN)
_SIZE = re.compile(rb"([0-9A-Fa-f]+)(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_DIGITS = re.compile(rb"[0-9]+")


class Misfit(Exception):  # noqa: N818 - it is what the word says
    """Bytes that no strict reader accepts."""


@dataclass(slots=True)
class Message:
    """One message. ``framing`` is none, length, chunked or close."""

    line: bytes
    lines: list[bytes]
    fields: list[tuple[bytes, bytes]]
    framing: str = "none"
    body: bytearray = field(default_factory=bytearray)
    trailers: list[bytes] = field(default_factory=list)
    whole: bool = False
    interim: list["Message"] = field(default_factory=list)

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]

    @property
    def status(self) -> int:
        return int(self.line.split(b" ")[1])


def _fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    found = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise Misfit(f"field line {line[:60]!r}")
        found.append((match[1].lower(), match[2].strip(b" \t")))
    return found


class Reader:
    """What requests and responses have in common: heads, and the three framings."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.fault = ""
        self.raw = bytearray()
        self._at = 0
        self._message: Message | None = None
        self._left = 0
        self._state = "head"

    @property
    def rest(self) -> bytes:
        """Bytes that belong to no message."""
        return bytes(self.raw[self._at :]) if self._message is None or self.fault else b""

    def feed(self, data: bytes) -> None:
        self.raw += data
        try:
            while not self.fault and self._step():
                pass
        except Misfit as misfit:
            self.fault = str(misfit)

    def _step(self) -> bool:
        if self._state == "head":
            return self._read_head()
        message = self._message
        if message is None:
            return False
        if self._state in {"length", "data", "close"}:
            available = len(self.raw) - self._at
            take = available if self._state == "close" else min(self._left, available)
            message.body += self.raw[self._at : self._at + take]
            self._at += take
            if self._state == "close":
                return False
            self._left -= take
            if self._left:
                return False
            if self._state == "length":
                self._done()
            else:
                self._state = "data end"
            return True
        line = self._line()
        if line is None:
            return False
        if self._state == "data end":
            if line:
                raise Misfit(f"chunk data is followed by {line[:40]!r}")
            self._state = "size"
        elif self._state == "size":
            match = _SIZE.fullmatch(line)
            if match is None:
                raise Misfit(f"chunk size {line[:40]!r}")
            self._left = int(match[1], 16)
            self._state = "data" if self._left else "trailers"
        elif line:
            _fields([line])
            message.trailers.append(line)
        else:
            self._done()
        return True

    def _line(self) -> bytes | None:
        end = self.raw.find(b"\n", self._at)
        if end < 0:
            return None
        if self.raw[end - 1 : end] != b"\r" or end == self._at:
            raise Misfit("a line ends without CR")
        line = bytes(self.raw[self._at : end - 1])
        if b"\r" in line:
            raise Misfit("a bare CR")
        self._at = end + 1
        return line

    def _read_head(self) -> bool:
        end = self.raw.find(b"\r\n\r\n", self._at)
        if end < 0:
            if re.search(rb"(?<!\r)\n", self.raw[self._at :]):
                raise Misfit("a line of the head ends without CR")
            return False
        line, *lines = bytes(self.raw[self._at : end]).split(b"\r\n")
        message = Message(line, lines, [])
        self._judge_line(message)
        message.fields = _fields(lines)
        framing = self._framing(message)
        self._at = end + 4
        if framing is None:
            return True
        message.framing = framing
        self._message = message
        self.messages.append(message)
        self._state = {"none": "none", "chunked": "size"}.get(framing, framing)
        if framing == "none" or (framing == "length" and self._left == 0):
            self._done()
        return True

    def _done(self) -> None:
        if self._message is not None:
            self._message.whole = True
        self._message = None
        self._state = "head"

    def _declared(self, message: Message) -> str:
        """The framing that the fields declare; the length in ``_left``."""
        lengths, codings = message.values(b"content-length"), message.values(b"transfer-encoding")
        if len(lengths) + len(codings) > 1:
            raise Misfit(f"framed twice: {lengths + codings}")
        if codings:
            if codings[0].lower() != b"chunked":
                raise Misfit(f"Transfer-Encoding {codings[0]!r}")
            return "chunked"
        if not lengths:
            return "none"
        if not _DIGITS.fullmatch(lengths[0]):
            raise Misfit(f"Content-Length {lengths[0]!r}")
        self._left = int(lengths[0])
        return "length"

    def _judge_line(self, message: Message) -> None:
        raise NotImplementedError

    def _framing(self, message: Message) -> str | None:
        """None where the message is no message of its own."""
        raise NotImplementedError


class Requests(Reader):
    """What a backend reads from one connection. ``tunnel`` says to read no further request."""

    tunnel = False

    def _step(self) -> bool:
        return not self.tunnel and super()._step()

    def _judge_line(self, message: Message) -> None:
        if _REQUEST_LINE.fullmatch(message.line) is None:
            raise Misfit(f"request line {message.line[:60]!r}")

    def _framing(self, message: Message) -> str:
        hosts = len(message.values(b"host"))
        if hosts > 1 or (hosts == 0 and message.line.endswith(b"HTTP/1.1")):
            raise Misfit(f"{hosts} Host fields")
        framing = self._declared(message)
        if framing == "chunked" and message.line.endswith(b"HTTP/1.0"):
            raise Misfit("Transfer-Encoding in HTTP/1.0")
        return framing


class Responses(Reader):
    """What a client reads from one connection. ``heads`` says of each answer whether it is one to HEAD."""

    def __init__(self, heads: tuple[bool, ...]) -> None:
        super().__init__()
        self._heads = heads
        self._interim: list[Message] = []
        self.tunnel = False

    def _judge_line(self, message: Message) -> None:
        if _STATUS_LINE.fullmatch(message.line) is None:
            raise Misfit(f"status line {message.line[:60]!r}")

    def _framing(self, message: Message) -> str | None:
        status = message.status
        if 100 <= status < 200 and status != 101:
            self._interim.append(message)
            return None
        message.interim, self._interim = self._interim, []
        number = len(self.messages)
        framing = self._declared(message)
        if status == 101:
            self.tunnel = True
            return "close"
        if (number < len(self._heads) and self._heads[number]) or status in {204, 304}:
            return "none"
        return "close" if framing == "none" else framing

    def end(self, *, orderly: bool) -> None:
        """The connection has ended."""
        if orderly and self._message is not None and self._state == "close":
            self._done()
