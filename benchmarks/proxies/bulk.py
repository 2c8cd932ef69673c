"""A load of large bodies, one after the other on each connection. PORT WAY SIZE CONNECTIONS SECONDS as arguments.

WAY is ``down`` or ``up``, with ``-chunked`` behind it. What comes down with a length is thrown away by the kernel
(MSG_TRUNC, tcp(7)), so that the proxy is the bottleneck and not its client. Prints how much was carried whole, as JSON.
"""

import json
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass

from benchmarks.proxies.bulk_backend import CHUNK, FULL, LAST, PIECE

HOST = b"Host: shop.example.com\r\nCookie: theme=dark\r\n"
PATIENCE = 60.0


@dataclass(slots=True)
class Carried:
    """``size`` is in bytes of bodies that arrived whole; ``error`` is the first one there was."""

    bodies: int = 0
    size: int = 0
    seconds: float = 0.0
    error: str = ""


class Stream:
    """One connection. Every method raises ValueError for an answer that is wrong, and OSError."""

    def __init__(self, port: int, size: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._size = size
        self._framed = b"".join((b"%x\r\n" % CHUNK, FULL[:CHUNK], b"\r\n"))
        self._buffer = memoryview(bytearray(PIECE))

    def _head(self) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.socket.recv(PIECE)
            if not more:
                raise ValueError(f"the connection was closed after {data[:60]!r}")
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(f"answered {head[:60]!r}")
        return head.lower(), rest

    def down(self) -> None:
        self.socket.sendall(b"GET /%d HTTP/1.1\r\n%b\r\n" % (self._size, HOST))
        head, rest = self._head()
        if b"content-length: %d" % self._size not in head:
            raise ValueError(f"the answer has another length: {head[:300]!r}")
        left = self._size - len(rest)
        while left:
            came = self.socket.recv_into(self._buffer, min(left, PIECE), socket.MSG_TRUNC)
            if not came:
                raise ValueError(f"{left} bytes are missing")
            left -= came

    def down_chunked(self) -> None:
        self.socket.sendall(b"GET /%d?chunked HTTP/1.1\r\n%b\r\n" % (self._size, HOST))
        head, tail = self._head()
        if b"transfer-encoding: chunked" not in head:
            raise ValueError(f"the answer is not chunked: {head[:300]!r}")
        came = len(tail)
        # The content never has the last chunk's bytes in it.
        while not tail.endswith(LAST):
            read = self.socket.recv_into(self._buffer)
            if not read:
                raise ValueError("the last chunk is missing")
            came += read
            tail = (tail + bytes(self._buffer[max(0, read - len(LAST)) : read]))[-len(LAST) :]
        if came < self._size:
            raise ValueError(f"only {came} bytes came")

    def _taken(self) -> None:
        _, body = self._head()
        if body != str(self._size).encode():
            raise ValueError(f"the backend read {body!r} of {self._size} bytes")

    def up(self) -> None:
        self.socket.sendall(b"POST / HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n" % (HOST, self._size))
        view, left = memoryview(FULL), self._size
        while left:
            piece = view[: min(left, PIECE)]
            self.socket.sendall(piece)
            left -= len(piece)
        self._taken()

    def up_chunked(self) -> None:
        self.socket.sendall(b"POST / HTTP/1.1\r\n%bTransfer-Encoding: chunked\r\n\r\n" % HOST)
        many = self._framed * 8
        whole, rest = divmod(self._size, CHUNK)
        for _ in range(whole // 8):
            self.socket.sendall(many)
        self.socket.sendall(self._framed * (whole % 8))
        if rest:
            self.socket.sendall(b"%x\r\n%b\r\n" % (rest, FULL[:rest]))
        self.socket.sendall(LAST)
        self._taken()


def carry(port: int, way: str, size: int, connections: int, seconds: float) -> Carried:
    """At least one body on each connection; none begins after ``seconds``."""
    found, lock = Carried(), threading.Lock()
    began = time.monotonic()

    def run() -> None:
        try:
            stream = Stream(port, size)
            one = getattr(stream, way.replace("-", "_"))
            with stream.socket:
                while not found.error:
                    one()
                    with lock:
                        found.bodies += 1
                        found.size += size
                    if time.monotonic() >= began + seconds:
                        return
        except (OSError, ValueError) as problem:
            with lock:
                found.error = found.error or repr(problem)

    threads = [threading.Thread(target=run) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.seconds = time.monotonic() - began
    return found


if __name__ == "__main__":
    print(json.dumps(asdict(carry(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:6])))))
