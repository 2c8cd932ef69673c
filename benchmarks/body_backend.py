"""A backend for bodies of any size, and what such a body is. As a program: PORT as argument.

    GET  /SIZE             a body of SIZE bytes, none for /; with ?chunked it tells no length
    POST /?rate=N          reads the body, N bytes a second at most (0: as fast as it comes), answers "SIZE CHECKSUM"

A body is one block repeated and cut to size. The block's length is a prime, so a piece that is lost, doubled or moved
changes the checksum.
"""

import random
import sys
import time
import zlib
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BLOCK = random.Random(20).randbytes(1_048_573)
READ = 256 * 1024


def pieces(size: int) -> Iterator[memoryview]:
    """The body of ``size`` bytes."""
    block = memoryview(BLOCK)
    while size > 0:
        piece = block[:size]
        size -= len(piece)
        yield piece


@cache
def checksum(size: int) -> int:
    """The CRC-32 of the body of ``size`` bytes."""
    found = 0
    for piece in pieces(size):
        found = zlib.crc32(piece, found)
    return found


class Pace:
    """Keeps a reader at ``rate`` bytes a second; 0 is no limit."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._began = time.monotonic()
        self._taken = 0

    def took(self, size: int) -> None:
        self._taken += size
        if self._rate:
            # Not for less than 5 ms: a sleep is late by a tenth of that, and what it missed is read at once after it.
            ahead = self._taken / self._rate - (time.monotonic() - self._began)
            if ahead > 0.005:
                time.sleep(ahead)


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rbufsize = 64 * 1024
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        size = int(url.path[1:] or 0)
        chunked = url.query == "chunked"
        self.send_response(200)
        self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(size))))
        self.end_headers()
        for piece in pieces(size):
            if chunked:
                self.wfile.write(b"%x\r\n" % len(piece))
            self.wfile.write(piece)
            if chunked:
                self.wfile.write(b"\r\n")
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def do_POST(self) -> None:
        pace = Pace(float(parse_qs(urlsplit(self.path).query).get("rate", ["0"])[0]))
        size = found = 0
        for piece in self._body():
            size += len(piece)
            found = zlib.crc32(piece, found)
            pace.took(len(piece))
        answer = f"{size} {found}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _body(self) -> Iterator[memoryview]:
        if "Content-Length" in self.headers:
            yield from self._part(int(self.headers["Content-Length"]))
            return
        while size := int(self.rfile.readline(), 16):
            yield from self._part(size)
            self.rfile.readline()
        self.rfile.readline()

    def _part(self, size: int) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(READ))
        while size:
            read = self.rfile.readinto(buffer[:size])
            if not read:
                raise ConnectionResetError("the body ended early")
            size -= read
            yield buffer[:read]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name for it
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle is what some loads are about; anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


if __name__ == "__main__":
    Server(("127.0.0.1", int(sys.argv[1])), Backend).serve_forever()
