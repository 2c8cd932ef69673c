"""What runs between two supervisors, the one in service and the one that follows: messages, and descriptors with them.

Frames are those of the channel to workers. A frame may carry open descriptors (SCM_RIGHTS, unix(7)); they arrive in
the order they were sent and not later than their frame, so the receiver counts them off against what the frame says.
Nobody's event loop ever waits here: both ends have a service to run meanwhile.
"""

import array
import asyncio
import os
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from gatekeeper import channel
from gatekeeper.channel import Message
from gatekeeper.errors import GatekeeperError

AT_ONCE: Final = 64
"""Descriptors with one frame; the kernel takes 253 (SCM_MAX_FD)."""
HELD: Final = 65_536
"""Descriptors that came and were not counted off yet. More than any listener has; a peer that sends them is broken."""
_READ: Final = 65_536
_SPACE: Final = socket.CMSG_SPACE(253 * array.array("i").itemsize)


class RelayError(GatekeeperError):
    """The other end is gone, or spoke nonsense. The text says which."""


class Relay:
    """One end. Takes over ``sock``, a connected unix stream socket; one task may receive while others send."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._decoder = channel.Decoder()
        self._messages: deque[Message] = deque()
        self._descriptors: deque[int] = deque()
        self._sending = asyncio.Lock()

    async def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send one message, with at most AT_ONCE descriptors. Raises RelayError when the other end is gone.

        Waits as long as the other end does not read: bound it from outside.
        """
        data = memoryview(channel.encode(message))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        async with self._sending:
            while data:
                try:
                    sent = self._sock.sendmsg([data], rights)
                except BlockingIOError:
                    await self._ready(writing=True)
                except OSError as error:
                    raise RelayError(f"the other program is gone ({error.strerror})") from error
                else:
                    data, rights = data[sent:], []

    async def receive(self) -> Message:
        """The next message. Raises RelayError when the other end is gone or speaks nonsense."""
        while not self._messages:
            try:
                data, ancillary, flags, _ = self._sock.recvmsg(_READ, _SPACE, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                await self._ready(writing=False)
                continue
            except OSError as error:
                raise RelayError(f"the other program is gone ({error.strerror})") from error
            for level, kind, content in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    found = array.array("i")
                    found.frombytes(content[: len(content) // found.itemsize * found.itemsize])
                    self._descriptors.extend(found)
            if flags & socket.MSG_CTRUNC or len(self._descriptors) > HELD:
                raise RelayError("descriptors were lost on the way; raise the limit of open files (`ulimit -n`)")
            if not data:
                raise RelayError("the other program is gone")
            try:
                self._messages.extend(self._decoder.feed(data))
            except channel.ChannelError as error:
                raise RelayError(f"the other program speaks nonsense: {error}") from error
        return self._messages.popleft()

    def descriptors(self, count: int) -> list[int]:
        """The next ``count`` descriptors that came, from now on the caller's. Raises RelayError when they did not."""
        if count > len(self._descriptors):
            raise RelayError(f"{count} descriptors were announced, {len(self._descriptors)} came")
        return [self._descriptors.popleft() for _ in range(count)]

    def close(self) -> None:
        """Hang up, and close what was not counted off."""
        self._sock.close()
        while self._descriptors:
            with suppress(OSError):
                os.close(self._descriptors.popleft())

    async def _ready(self, *, writing: bool) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        descriptor = self._sock.fileno()
        (loop.add_writer if writing else loop.add_reader)(descriptor, wake)
        try:
            await ready
        finally:
            (loop.remove_writer if writing else loop.remove_reader)(descriptor)
