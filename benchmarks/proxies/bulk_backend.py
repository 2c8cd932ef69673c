"""Backends for large bodies, as cheap as they can be: they must not be what is measured. PORT PORT as arguments.

GET  /SIZE             a body of SIZE bytes; with ?chunked it tells no length; / is a short one
POST /                 reads the body to its end, answers its length and a checksum of its edges
"""

import socket
import sys
import threading

PIECE = 256 * 1024
CHUNK = 16 * 1024
MOST_HEAD = 64 * 1024
FULL = bytes(range(256)) * (PIECE // 256)
LAST = b"0\r\n\r\n"


class Reader:
    """The bytes of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._data = b""
        self._buffer = memoryview(bytearray(PIECE))

    def head(self) -> bytes:
        """One request's, without its end; empty when there is none any more."""
        while b"\r\n\r\n" not in self._data:
            more = self._connection.recv(MOST_HEAD)
            if not more or len(self._data) > MOST_HEAD:
                return b""
            self._data += more
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        return head

    def sized(self, size: int) -> int:
        """Read a body of ``size`` bytes; how many came."""
        came = min(size, len(self._data))
        self._data = self._data[came:]
        while came < size:
            read = self._connection.recv_into(self._buffer, min(PIECE, size - came))
            if not read:
                break
            came += read
        return came

    def chunked(self) -> int:
        """Read a chunked body; how many bytes it had without its frames."""
        came = 0
        while True:
            while b"\r\n" not in self._data:
                more = self._connection.recv(PIECE)
                if not more:
                    return came
                self._data += more
            line, _, self._data = self._data.partition(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            if self.sized(size + 2) < size + 2:
                return came
            if not size:
                return came
            came += size


def _answer(name: str, body: bytes) -> bytes:
    lines = [
        "HTTP/1.1 200 OK",
        "Content-Type: text/plain",
        f"X-Backend: {name}",
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


def give(connection: socket.socket, name: str, size: int, *, chunked: bool) -> None:
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nX-Backend: {name}\r\n{length}\r\n\r\n"
    connection.sendall(head.encode())
    view = memoryview(FULL)
    if not chunked:
        while size:
            piece = view[: min(size, PIECE)]
            connection.sendall(piece)
            size -= len(piece)
        return
    framed = b"".join((b"%x\r\n" % CHUNK, FULL[:CHUNK], b"\r\n"))
    for _ in range(size // CHUNK):
        connection.sendall(framed)
    if rest := size % CHUNK:
        connection.sendall(b"%x\r\n%b\r\n" % (rest, FULL[:rest]))
    connection.sendall(LAST)


def serve(connection: socket.socket, name: str) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader = Reader(connection)
    with connection:
        try:
            while head := reader.head():
                first, _, fields = head.partition(b"\r\n")
                method, target, _ = first.split(b" ", 2)
                if method == b"POST":
                    lower = fields.lower()
                    if b"transfer-encoding: chunked" in lower:
                        came = reader.chunked()
                    else:
                        came = reader.sized(int(lower.partition(b"content-length:")[2].split(b"\r\n", 1)[0]))
                    connection.sendall(_answer(name, str(came).encode()))
                    continue
                path, _, query = target.partition(b"?")
                if path[1:].isdigit():
                    give(connection, name, int(path[1:]), chunked=query == b"chunked")
                else:
                    connection.sendall(_answer(name, b"short"))
        except OSError:  # who asked went away
            return


def listen(name: str, port: int) -> None:
    with socket.create_server(("127.0.0.1", port), backlog=1024) as server:
        while True:
            connection = server.accept()[0]
            threading.Thread(target=serve, args=(connection, name), daemon=True).start()


if __name__ == "__main__":
    other = threading.Thread(target=listen, args=("green", int(sys.argv[2])), daemon=True)
    other.start()
    listen("blue", int(sys.argv[1]))
