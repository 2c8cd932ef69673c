"""Ids made at each request: unique, unguessable enough for correlation, and cheap."""

import random

# Spans made at a time: one call and 16 KiB of text for 1,024 requests instead of two formattings per request.
_BATCH = 1024
_SPAN = 16


class Ids:
    """Trace ids are 32 hexadecimal digits: a prefix per worker and 64 random bits; span ids are those 64 bits.

    W3C Trace Context section 3.2.2.3 wants at least the right half random, for samplers that read it.
    """

    __slots__ = ("_position", "_random", "_text", "prefix")

    def __init__(self) -> None:
        self._random = random.Random()
        self.prefix = random.SystemRandom().randbytes(8).hex().encode()
        self._text = b""
        self._position = 0

    def span(self) -> bytes:
        """16 hexadecimal digits, not all zero."""
        position = self._position
        text = self._text[position : position + _SPAN]
        if not text:
            self._text = self._random.randbytes(_BATCH * _SPAN // 2).hex().encode()
            position = 0
            text = self._text[:_SPAN]
        self._position = position + _SPAN
        return text if text != b"0000000000000000" else b"0000000000000001"
