"""The floor: bytes moved between two sockets by uvloop, no HTTP at all. BACKEND-PORT PORT as arguments.

Each client connection gets one backend connection of its own. Nothing that proxies in Python on asyncio can cost less.
"""

import asyncio
import sys
from typing import cast

import uvloop


class Back(asyncio.Protocol):
    def __init__(self, front: asyncio.Transport) -> None:
        self.front = front

    def data_received(self, data: bytes) -> None:
        self.front.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the protocol's signature
        self.front.close()


class Front(asyncio.Protocol):
    def __init__(self, backend_port: int) -> None:
        self.backend_port = backend_port
        self.early = bytearray()
        self.transport: asyncio.Transport | None = None
        self.back: asyncio.Transport | None = None
        self.connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.connecting = asyncio.ensure_future(self._connect(self.transport))

    async def _connect(self, front: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        self.back, _ = await loop.create_connection(lambda: Back(front), "127.0.0.1", self.backend_port)
        self.back.write(bytes(self.early))

    def data_received(self, data: bytes) -> None:
        if self.back is None:
            self.early += data
        else:
            self.back.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the protocol's signature
        if self.back is not None:
            self.back.close()


async def main(backend_port: int, port: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Front(backend_port), "127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
