"""The wire between supervisor and worker: frames of JSON on a stream socket, the same both ways.

A frame is a length (4 bytes, big-endian, of the payload) and a payload (a JSON object in UTF-8 with a text ``type``).
This module knows frames only; what the messages say stands with those who send and take them.

    down  state  backends  credentials  leave  drain  judge  mirror  ping
    up    ready  ack  nack  credentials_taken  outcomes  left  seconds  routes  spans  flags  shadow
          pong  drained
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from gatekeeper.errors import GatekeeperError

Message = dict[str, Any]

MAX_FRAME: Final = 64 * 1024 * 1024
"""Bytes of one payload. A whole state of 1,000 services with long rules is about 5 MiB; beyond ten times that, the
length is garbage, and obeying it would let a broken peer make us hold memory without end."""

_PREFIX: Final = 4


class ChannelError(GatekeeperError):
    """The peer sent what is no frame, or a message is too large to send. The channel is not usable any more."""


def encode(message: Message) -> bytes:
    """One message as one frame. Raises ChannelError over MAX_FRAME, TypeError or ValueError for what is not JSON."""
    payload = json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    if len(payload) > MAX_FRAME:
        raise ChannelError(
            f"a {message.get('type')!r} message of {len(payload)} bytes is over the channel's {MAX_FRAME} bytes; "
            "use fewer services or shorter rules"
        )
    return len(payload).to_bytes(_PREFIX, "big") + payload


class Decoder:
    """Collects bytes and gives back whole messages. Holds at most one frame plus what one ``feed`` brought."""

    __slots__ = ("_broken", "_buffer")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._broken = False

    def feed(self, data: bytes | bytearray | memoryview) -> list[Message]:
        """The messages completed by ``data``, oldest first.

        Raises ChannelError when the stream is no sequence of frames; every later call raises it too, since nothing
        tells where the next frame would begin.
        """
        if self._broken:
            raise ChannelError("the channel was broken by an earlier frame; close it")
        self._buffer += data
        try:
            return list(self._frames())
        except ChannelError:
            self._broken = True
            self._buffer.clear()
            raise

    def _frames(self) -> Iterator[Message]:
        buffer, position = self._buffer, 0
        while len(buffer) - position >= _PREFIX:
            start = position + _PREFIX
            length = int.from_bytes(buffer[position:start], "big")
            if length > MAX_FRAME:
                raise ChannelError(f"a frame of {length} bytes announced, the bound is {MAX_FRAME}; close the channel")
            if len(buffer) - start < length:
                break
            yield _parse(bytes(buffer[start : start + length]))
            position = start + length
        del buffer[:position]

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun and not ended."""
        return len(self._buffer)


def _parse(payload: bytes) -> Message:
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ChannelError(f"a frame of {len(payload)} bytes is not JSON: {error}; close the channel") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ChannelError(f"a frame of {len(payload)} bytes is no object with a text 'type'; close the channel")
    return message
