"""What bytes mean to somebody else: h11 reads heads, and what gatekeeper writes it reads to the end.

h11 shares no code with gatekeeper or llhttp. It is more lenient than gatekeeper in places, never the other way round:
what gatekeeper accepts, h11 must accept, and mean the same.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import h11

# Beyond gatekeeper's own limits, so that h11 never refuses a head for its size.
MOST = 1 << 20

NONE, CHUNKED, CLOSE = 0, -1, -2

# The same bytes are judged several times, and h11 is slow. What was read is not changed afterwards.
remembered = lru_cache(maxsize=64)

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(?:;[^\r\n]*)?")

Fields = list[tuple[bytes, bytes]]


@dataclass
class Message:
    """A request or a response. ``whole`` says that its end was seen; ``framing`` is a length, CHUNKED or CLOSE."""

    line: tuple[bytes, ...]
    fields: Fields
    framing: int = NONE
    body: bytes = b""
    whole: bool = False
    interim: list["Message"] = field(default_factory=list)

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]

    @property
    def method(self) -> bytes:
        return self.line[0]

    @property
    def status(self) -> int:
        return int(self.line[0])

    @property
    def closes(self) -> bool:
        return b"close" in members(self.values(b"connection"))


@dataclass
class Reading:
    """Messages in order, the last one perhaps not whole; ``fault`` is why reading stopped; ``rest`` is behind it.

    ``ends`` are the positions behind the messages that are whole.
    """

    messages: list[Message] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    fault: str = ""
    rest: bytes = b""


def members(values: Sequence[bytes]) -> list[bytes]:
    return [member for value in values for part in value.split(b",") if (member := part.strip(b" \t").lower())]


def declared(fields: Fields) -> int | None:
    """The framing that fields declare, RFC 9112 section 6.3 items 4 to 6; None without any."""
    if any(name == b"transfer-encoding" for name, _ in fields):
        return CHUNKED
    lengths = set(members([value for name, value in fields if name == b"content-length"]))
    if not lengths:
        return None
    (length,) = lengths
    return int(length)


def take_body(framing: int, data: bytes) -> tuple[bytes, int]:
    """(payload, where the body ends in ``data`` or -1): as far as there is one reading, and no further."""
    if framing >= 0:
        return data[:framing], framing if len(data) >= framing else -1
    payload, at = b"", 0
    while True:
        end = data.find(b"\r\n", at)
        match = _SIZE_LINE.fullmatch(data[at:end]) if end >= 0 else None
        if match is None:
            return payload, -1
        size, at = int(match[1], 16), end + 2
        if not size:
            break
        payload += data[at : at + size]
        at += size
        if data[at : at + 2] != b"\r\n":
            return payload, -1
        at += 2
    while True:
        end = data.find(b"\r\n", at)
        if end < 0 or b"\n" in data[at:end]:
            return payload, -1
        if end == at:
            return payload, end + 2
        at = end + 2


def take_request(data: bytes) -> tuple[Message, bytes] | None:
    """The request at the beginning and what is behind it; None while its head is incomplete.

    Blank lines before it are skipped (RFC 9112 section 2.2). Raises h11.RemoteProtocolError.
    """
    while data.startswith(b"\r\n"):
        data = data[2:]
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST)
    reader.receive_data(data)
    event = reader.next_event()
    if not isinstance(event, h11.Request):
        return None
    rest = reader.trailing_data[0]
    fields = list(event.headers)
    framing = declared(fields) or NONE
    message = Message((event.method, event.target, event.http_version), fields, framing)
    message.body, end = take_body(framing, rest)
    message.whole = end >= 0
    return message, rest[end:] if message.whole else b""


@remembered
def came(data: bytes) -> Reading:
    """The requests that a client sent. What is no request ends the reading."""
    reading = Reading(rest=data)
    try:
        while not reading.messages or reading.messages[-1].whole:
            taken = take_request(reading.rest)
            if taken is None:
                break
            reading.messages.append(taken[0])
            reading.rest = taken[1]
            if taken[0].whole:
                reading.ends.append(len(data) - len(taken[1]))
    except h11.RemoteProtocolError as error:
        reading.fault = str(error)
    return reading


@remembered
def take_response(data: bytes, method: bytes, *, ended: bool) -> tuple[Message, bytes] | None:
    """The response to ``method`` at the beginning, its interim ones in it; None while no final head is complete.

    ``ended`` says the connection was closed in an orderly way behind ``data``. Raises h11.RemoteProtocolError.
    """
    interim: list[Message] = []
    while True:
        if not data:
            return None  # h11 would take no bytes for the end
        reader = _asked(method)
        reader.receive_data(data)
        event = reader.next_event()
        if not isinstance(event, (h11.InformationalResponse, h11.Response)):
            return None
        rest = reader.trailing_data[0]
        version = event.http_version
        message = Message((b"%d" % event.status_code, event.reason, version), list(event.headers), NONE)
        if message.status >= 200 or message.status == 101:
            break
        interim.append(message)
        data = rest
    message.interim = interim
    framing = declared(message.fields)
    if method == b"HEAD" or message.status in {204, 304}:
        framing = NONE
    elif framing is None or message.status == 101:
        framing = CLOSE
    message.framing = framing
    if framing == CLOSE:
        message.body, message.whole = rest, ended
        return message, b""
    message.body, end = take_body(framing, rest)
    message.whole = end >= 0
    return message, rest[end:] if message.whole else b""


def _asked(method: bytes) -> h11.Connection:
    reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST)
    fields = [("Host", "shop.test"), ("Connection", "upgrade"), ("Upgrade", "websocket")]
    reader.send(h11.Request(method=method, target="/", headers=fields))
    reader.send(h11.EndOfMessage())
    return reader


def _read_on(reader: h11.Connection, message: Message) -> bytes | None:
    """Read a message's body and end; the bytes behind it, or None if more is needed."""
    while True:
        event = reader.next_event()
        if isinstance(event, h11.Data):
            message.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            message.whole = True
            return bytes(reader.trailing_data[0])
        else:
            return None


@remembered
def sent_requests(data: bytes, most: int = 1) -> Reading:
    """The requests that gatekeeper wrote on one connection, read by h11 alone, ``most`` at the most."""
    reading = Reading(rest=data)
    try:
        while reading.rest and len(reading.messages) < most:
            reader = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST)
            reader.receive_data(reading.rest)
            event = reader.next_event()
            if not isinstance(event, h11.Request):
                break
            message = Message((event.method, event.target, event.http_version), list(event.headers))
            message.framing = declared(message.fields) or NONE
            reading.messages.append(message)
            rest = _read_on(reader, message)
            reading.rest = rest or b""
            if rest is None:
                break
    except h11.RemoteProtocolError as error:
        reading.fault = str(error)
    return reading


@remembered
def sent_responses(data: bytes, methods: tuple[bytes, ...], *, ended: bool) -> Reading:
    """The responses that gatekeeper wrote to requests with these methods, read by h11 alone.

    ``ended`` says that an orderly end follows. Behind a 101 everything is its body.
    """
    reading = Reading(rest=data)
    try:
        for method in methods:
            if not reading.rest:
                break
            reader = _asked(method)
            reader.receive_data(reading.rest)
            interim: list[Message] = []
            while True:
                event = reader.next_event()
                if not isinstance(event, (h11.InformationalResponse, h11.Response)):
                    return reading
                line = (b"%d" % event.status_code, event.reason, event.http_version)
                message = Message(line, list(event.headers))
                if event.status_code >= 200 or event.status_code == 101:
                    break
                interim.append(message)
            message.interim = interim
            reading.messages.append(message)
            if message.status == 101:
                message.body, reading.rest = reader.trailing_data[0], b""
                message.framing, message.whole = CLOSE, True
                break
            framing = declared(message.fields)
            bare = method == b"HEAD" or message.status in {204, 304}
            message.framing = NONE if bare else CLOSE if framing is None else framing
            if message.framing == CLOSE and ended:
                reader.receive_data(b"")
            rest = _read_on(reader, message)
            reading.rest = rest or b""
            if rest is None:
                break
    except h11.RemoteProtocolError as error:
        reading.fault = str(error)
    return reading
