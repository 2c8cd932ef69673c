"""Closing without losing what the kernel has let in already.

Closing a listening socket resets every connection that waits in its accept queue, and closing a connection resets it
when a request lies unread in it: clients that did nothing wrong lose a request. So a listening socket first stops
taking handshakes, then its queue is emptied, then it is closed; and nothing is closed that has unread bytes.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import select
import socket
import struct
import sys
import termios
from typing import Final

_SO_ATTACH_FILTER: Final = 26  # socket(7), Linux; Python does not name it

# A classic BPF program on a TCP header: drop segments with SYN (bit 1 of byte 13, RFC 9293 section 3.1), take others.
# Each instruction is (code, jump if true, jump if false, operand).
_NO_SYN: Final = (
    (0x30, 0, 0, 13),  # load byte 13
    (0x45, 0, 1, 0x02),  # any of these bits set?
    (0x06, 0, 0, 0),  # return 0: drop
    (0x06, 0, 0, 0xFFFFFFFF),  # return all: take
)


def admit_no_more(listener: socket.socket) -> None:
    """Let no further handshake begin; those begun are finished and wait to be accepted.

    Who knocks now hears nothing and knocks again a second later (RFC 6298 section 2: the first timeout), when the port
    is closed or another process's. For good: whoever shares the socket is meant as well. Does nothing on unix sockets,
    whose path is gone by then, and on kernels without filters: there, closing may lose who comes in that moment.
    """
    if listener.family == socket.AF_UNIX or sys.platform != "linux":
        return
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in _NO_SYN)
    code = ctypes.create_string_buffer(program, len(program))
    with contextlib.suppress(OSError):
        listener.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(_NO_SYN), ctypes.addressof(code))
        )


def is_awaited(listener: socket.socket) -> bool:
    """Whether connections wait to be accepted."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))


def has_left(transport: asyncio.BaseTransport) -> bool:
    """Whether the peer's end has arrived, also behind bytes that nobody has read yet (poll(2); Linux tells)."""
    poll = select.poll()
    # A stand-in of uvloop's has a descriptor and little else.
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
    return any(events & select.POLLRDHUP for _, events in poll.poll(0))


def has_unread(transport: asyncio.BaseTransport) -> bool:
    """Whether bytes of the peer have arrived that nobody has read yet."""
    try:
        # A stand-in of uvloop's has a descriptor and little else.
        waiting = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4))
    except OSError:
        return False
    return any(waiting)
