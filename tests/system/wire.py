"""A client that hides nothing: what was sent is what was written, and an answer cut short is an error."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 20.0
"""Seconds after which a test gives up; far above every timeout that a test sets for gatekeeper."""


class CutShortError(Exception):
    """The connection ended before the answer was complete, or was reset."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name.lower()]

    def get(self, name: str) -> str:
        """The only value of a field, "" without one."""
        values = self.all(name)
        assert len(values) < 2, values
        return values[0] if values else ""


class Connection:
    """One connection; ``ask`` may be called again and again as long as the server keeps it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, place: int | Path, source: str = "") -> "Connection":
        """To a port of 127.0.0.1 or a unix socket; ``source`` is the address to come from."""
        if isinstance(place, Path):
            return cls(*await asyncio.open_unix_connection(str(place)))
        local = (source, 0) if source else None
        return cls(*await asyncio.open_connection("127.0.0.1", place, local_addr=local))

    async def ask(
        self,
        path: str = "/",
        method: str = "GET",
        host: str = "any.test",
        body: bytes = b"",
        version: str = "1.1",
        **fields: str,
    ) -> Answer:
        """Send a request and read its answer. ``x_user_id="7"`` is the field ``x-user-id: 7``."""
        lines = [f"{method} {path} HTTP/{version}", f"Host: {host}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._answer(head_only=method == "HEAD")
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise CutShortError(repr(error)) from error

    async def _answer(self, *, head_only: bool) -> Answer:
        while (head := await self.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 1"):
            pass  # interim
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        fields = tuple((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
        found = dict(fields)
        status = int(first.split(" ")[1])
        if head_only or status in {204, 304}:
            body = b""
        elif "content-length" in found:
            body = await self.reader.readexactly(int(found["content-length"]))
        elif found.get("transfer-encoding") == "chunked":
            body = await self._chunks()
        else:
            body = await self.reader.read()
        return Answer(status, fields, body)

    async def _chunks(self) -> bytes:
        parts = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            parts.append(await self.reader.readexactly(size))
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"
        return b"".join(parts)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):  # the other side was faster
            await self.writer.wait_closed()


async def ask(place: int | Path, path: str = "/", method: str = "GET", *, source: str = "", **more) -> Answer:
    """One request on a connection of its own; ``more`` as in ``Connection.ask``."""
    connection = await Connection.open(place, source)
    try:
        return await connection.ask(path, method, **more)
    finally:
        await connection.close()
