"""Backends that are a coroutine of the test: they speak when the test says so, byte by byte."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[str]:
    """A backend that runs ``talk`` for each connection, and closes it when that returns. Yields its url."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            # The other side may be gone at any time; whether that is right the test sees at its client.
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await talk(reader, writer)
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.sleep(0)


async def head(reader: asyncio.StreamReader) -> bytes:
    """A message's head, with the empty line."""
    return await reader.readuntil(b"\r\n\r\n")


def shop(url: str, **more: object) -> dict[str, object]:
    """The services of a file: one version, one backend; ``more`` are keys of the service."""
    return {"shop": {"versions": {"blue": {"backends": [url]}, "green": {"backends": [url]}}, **more}}
