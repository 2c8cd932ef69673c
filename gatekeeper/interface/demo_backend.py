"""One version of the demo's shop: a small HTTP server that says its name, and fails and dawdles if told to.

``python -m gatekeeper.interface.demo_backend NAME [ERRORS [SECONDS]]`` listens on a free loopback port, prints it, and
serves until its standard input ends, so it cannot outlive the demo that started it. ERRORS is the fraction of
requests answered 500, SECONDS what an answer takes on average. Its health check always succeeds: the faults of the
demo are of the kind that only users' traffic shows.
"""

import asyncio
import json
import random
import sys
import time

MAX_HEAD = 64 * 1024
"""Bytes of a request head; twice what gatekeeper lets through."""
SILENCE = 120.0
"""Seconds a connection may idle: longer than gatekeeper keeps one."""
SEEN_PATH = b"/_demo/seen"
HEALTH_PATH = b"/healthz"


class Backend:
    """``served`` counts users' requests, ``last`` is when the last one came (monotonic seconds, the machine's own)."""

    def __init__(self, name: str, errors: float = 0.0, seconds: float = 0.0) -> None:
        self.name = name
        self.errors = errors
        self.seconds = seconds
        self.served = 0
        self.last = 0.0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                async with asyncio.timeout(SILENCE):
                    head = await reader.readuntil(b"\r\n\r\n")
                    await _discard_body(head, reader)
                writer.write(await self._answer(head))
                await writer.drain()
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the peer left or talks nonsense: nothing to answer
        finally:
            writer.close()

    async def _answer(self, head: bytes) -> bytes:
        path = head.split(b" ", 2)[1].partition(b"?")[0]
        if path == HEALTH_PATH:
            return self._response(200, "ok\n")
        if path == SEEN_PATH:
            return self._response(200, json.dumps({"served": self.served, "last": self.last}))
        self.served += 1
        self.last = time.monotonic()
        if self.seconds:
            await asyncio.sleep(self.seconds * random.uniform(0.5, 1.5))
        if random.random() < self.errors:
            return self._response(500, f"{self.name} has a bug\n")
        return self._response(200, f"hello from {self.name}\n")

    def _response(self, status: int, text: str) -> bytes:
        body = text.encode()
        return (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Internal Server Error'}\r\n"
            f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\nX-Demo-Version: {self.name}\r\n\r\n"
        ).encode() + body


async def _discard_body(head: bytes, reader: asyncio.StreamReader) -> None:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            await reader.readexactly(min(int(value), MAX_HEAD))


async def serve(backend: Backend) -> None:
    server = await asyncio.start_server(backend.connected, "127.0.0.1", 0, limit=MAX_HEAD)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    server.close()


def main(arguments: list[str]) -> None:
    name, *numbers = arguments
    asyncio.run(serve(Backend(name, *map(float, numbers))))


if __name__ == "__main__":
    main(sys.argv[1:])
