"""Backends that do on the wire exactly what a test tells them, and remember what they were asked."""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self


@dataclass(slots=True)
class Request:
    method: str
    path: str
    fields: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name.lower()]


Script = Callable[["Wire", Request], None]


def reply(body: str | bytes, status: int = 200, **fields: str) -> bytes:
    """A whole answer with a Content-Length."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items()]
    return f"HTTP/1.1 {status} Word\r\nContent-Length: {len(content)}\r\n{''.join(lines)}\r\n".encode() + content


class Wire(asyncio.Protocol):
    """One connection to a backend."""

    def __init__(self, backend: "Backend") -> None:
        self.backend = backend
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.backend.wires.add(self)
        self.backend.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.backend.wires.discard(self)

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            first, *lines = self.data[:end].decode("latin-1").split("\r\n")
            fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
            size = end + 4 + int(dict(fields).get("content-length", "0"))
            if len(self.data) < size:
                return
            body, self.data = self.data[end + 4 : size], self.data[size:]
            method, path, _ = first.split(" ")
            request = Request(method, path, fields, body)
            if path == self.backend.health_path:
                self.send(reply("", self.backend.health_status))
            else:
                self.backend.asked.append(request)
                self.backend.script(self, request)

    def send(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def later(self, seconds: float, data: bytes) -> None:
        asyncio.get_running_loop().call_later(seconds, self.send, data)

    def end(self) -> None:
        """Close in an orderly way (FIN)."""
        self.transport.close()

    def reset(self) -> None:
        """Close the rude way (RST)."""
        held: socket.socket = self.transport.get_extra_info("socket")
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Backend:
    """Runs ``script`` for each request; answers ``health_path`` itself with ``health_status``."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Request] = []
        self.wires: set[Wire] = set()
        self.connections = 0
        self.health_path = "/healthz"
        self.health_status = 200
        self.port = 0

    @classmethod
    def answering(cls, body: str) -> "Backend":
        answer = reply(body)
        return cls(lambda wire, _: wire.send(answer))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; on the port of before, if it had one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Wire(self), "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more, and drop every connection."""
        self._server.close()
        for wire in list(self.wires):
            wire.transport.abort()
        await self._server.wait_closed()
