"""An application behind gatekeeper that tells what it was asked: redirects, cookies, uploads. In a thread."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class App(BaseHTTPRequestHandler):
    """Under ``/app``:

    * ``/redirect/N/STATUS``: N redirects with that status, each to the next, the last to ``/app/echo``
    * ``/login``: sets two cookies, one with a path and an end, and redirects to ``/app/echo``
    * anything else: the request as JSON (see ``echo``)
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self) -> None:
        # Also where the answer is none of the body's business: what is not read would be the next request.
        size, digest, beginning = self._body()
        parts = self.path.partition("?")[0].split("/")[2:]
        if parts[0] == "redirect":
            left = int(parts[1]) - 1
            self._redirect(int(parts[2]), f"/app/redirect/{left}/{parts[2]}" if left else "/app/echo")
        elif parts[0] == "login":
            self._redirect(302, "echo", "session=a1; Path=/; HttpOnly", "taste=b-2; Path=/app; Max-Age=60")
        else:
            document = self.echo() | {"size": size, "sha256": digest, "beginning": beginning}
            content = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer  # noqa: N815 - the base asks for them

    def echo(self) -> dict[str, Any]:
        return {
            "method": self.command,
            "path": self.path,
            "version": self.request_version,
            "fields": [(name.lower(), value) for name, value in self.headers.items()],
        }

    def _redirect(self, status: int, place: str, *cookies: str) -> None:
        self.send_response(status)
        self.send_header("Location", place)
        self.send_header("Content-Length", "0")
        for cookie in cookies:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()

    def _body(self) -> tuple[int, str, str]:
        """Size, checksum, and the first kilobyte as text."""
        found = hashlib.sha256()
        size, beginning = 0, b""
        for piece in self._pieces():
            size += len(piece)
            found.update(piece)
            beginning = (beginning + piece)[:1024]
        return size, found.hexdigest(), beginning.decode("latin-1")

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                assert self.rfile.readline() == b"\r\n"
            assert self.rfile.readline() == b"\r\n"
        elif length := int(self.headers.get("Content-Length", 0)):
            yield self.rfile.read(length)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


class Server(ThreadingHTTPServer):
    """Runs from ``start`` to ``end``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), App)
        self._thread = threading.Thread(target=self.serve_forever)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()
