"""Changing the protocol of a connection (RFC 9110 section 7.8), and as much of WebSocket as it takes to end it well.

Which protocols may be asked for, whether an answer is what was asked, and where one WebSocket frame ends and the next
begins (RFC 6455 section 5.2): only there may a close frame be put in. Nothing here looks at what frames carry.
"""

import re
from typing import Final

from gatekeeper.http1.fields import TOKEN, list_members

# RFC 9110 section 7.8: protocol-name ["/" protocol-version]
_PROTOCOL: Final = re.compile(rb"(" + TOKEN + rb")(?:/" + TOKEN + rb")?")
_COMMA: Final = re.compile(rb"[ \t]*,[ \t]*")

# Upgrades to these would leave the connection in a protocol whose requests somebody must read one by one: HTTP/2 in
# clear text (RFC 7540 section 3.2, withdrawn by RFC 9113), any other HTTP, TLS on the same connection (RFC 2817).
# A tunnel around them would be a way past every rule for requests. Whoever offers them takes a plain answer, too.
_NEVER: Final = frozenset({b"h2", b"h2c", b"h3", b"http", b"tls"})

CLOSE: Final = 0x8
"""The opcode of a close frame, RFC 6455 section 5.5.1."""
GOING_AWAY: Final = 1001
"""The status code of a server that goes down, RFC 6455 section 7.4.1."""

# FIN and opcode of a close frame; the MASK bit of the second byte; the longest header without its mask.
_FINAL_CLOSE: Final = 0x80 | CLOSE
_MASKED: Final = 0x80


def served(offer: bytes) -> bytes:
    """Those of the protocols that a request's Upgrade field offers which we tunnel, as spelt; b"" for none."""
    kept = []
    for member in _COMMA.split(offer.strip(b" \t")):
        match = _PROTOCOL.fullmatch(member)
        if match is not None and match[1].lower() not in _NEVER:
            kept.append(member)
    return b", ".join(kept)


def agrees(offer: bytes, answer: bytes) -> bool:
    """Whether the Upgrade field of a 101 names protocols, and only such as were offered."""
    chosen = list_members([answer])
    return bool(chosen) and set(chosen) <= set(list_members([offer]))


def is_websocket(answer: bytes) -> bool:
    """Whether a 101 with this Upgrade field begins a WebSocket connection (RFC 6455 section 4.2.2)."""
    return list_members([answer]) == [b"websocket"]


def close_frame(code: int, mask: bytes = b"") -> bytes:
    """A whole close frame without a reason (RFC 6455 section 5.5.1).

    ``mask`` is b"" towards a client and four unpredictable bytes towards a server (section 5.3).
    """
    payload = code.to_bytes(2, "big")
    if not mask:
        return bytes((_FINAL_CLOSE, len(payload))) + payload
    masked = bytes(byte ^ key for byte, key in zip(payload, mask, strict=False))
    return bytes((_FINAL_CLOSE, _MASKED | len(payload))) + mask + masked


class Frames:
    """Where frames end, in one direction of one connection, fed from its very first byte.

    There is no mark in the bytes by which to find an end later, so it is followed all the time; inside a long payload
    that is one subtraction per read. Bytes that are no WebSocket lead nowhere, but harm nothing.
    """

    __slots__ = ("_head", "_left", "closing")

    def __init__(self) -> None:
        self._left = 0
        self._head = b""
        self.closing = False
        """Whether a close frame has begun; nothing may follow it (RFC 6455 section 5.5.1)."""

    @property
    def between(self) -> bool:
        """Whether the last byte was the last of a frame, or none has come yet."""
        return not self._left and not self._head

    @property
    def closed(self) -> bool:
        """Whether a whole close frame has passed."""
        return self.closing and self.between

    def feed(self, data: bytes) -> int:
        """Follow these bytes; the position in them behind the last frame that ends in them, -1 if none does."""
        size = len(data)
        position = self._left
        if size < position:
            self._left = position - size
            return -1
        end = position or -1
        before = len(self._head)
        if before:
            data = self._head + data
            size += before
        while position + 2 <= size:
            second = data[position + 1]
            length = second & 0x7F
            payload = position + 2
            if length >= 126:
                payload += 2 if length == 126 else 8
                if payload > size:
                    break
                length = int.from_bytes(data[position + 2 : payload], "big")
            if data[position] & 0x0F == CLOSE:
                self.closing = True
            position = payload + length + (4 if second & _MASKED else 0)
            if position <= size:
                end = position - before
        self._left = max(0, position - size)
        self._head = data[position:] if position < size else b""
        return end
