"""Backends that are a coroutine of the test: they speak when the test says so, byte by byte."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Talker:
    """A backend that runs ``talk`` for each connection, and closes it when that returns. ``talk`` may change."""

    def __init__(self, talk: Talk | None = None) -> None:
        self.talk = talk
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self.hush()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        assert self.talk is not None
        self._tasks.add(task)
        try:
            # The other side may be gone at any time; whether that is right the test sees at its client.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self.talk(reader, writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def hush(self) -> None:
        """End every talk under way, and its connection."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[str]:
    """A Talker for one talk. Yields its url."""
    async with Talker(talk) as talker:
        yield talker.url


async def head(reader: asyncio.StreamReader) -> bytes:
    """A message's head, with the empty line."""
    return await reader.readuntil(b"\r\n\r\n")


def shop(url: str, **more: object) -> dict[str, object]:
    """The services of a file: one version, one backend; ``more`` are keys of the service."""
    return {"shop": {"versions": {"blue": {"backends": [url]}, "green": {"backends": [url]}}, **more}}
