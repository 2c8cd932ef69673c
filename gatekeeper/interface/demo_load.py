"""The demo's users: each keeps its cookies, like a browser, and asks again and again; every answer is written down.

The client is a plain one on purpose: it never retries, so that a lost request is seen as one.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

KEEP = 200_000
"""Answers remembered: several minutes of the demo's load."""
PATIENCE = 10.0
"""Seconds until an answer counts as lost; the demo's slowest one takes half a second."""
CATCH_UP = 0.5
"""Seconds of schedule a slow machine may make up for; what is more is dropped rather than sent as a burst."""
MAX_HEAD = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """``sent`` and ``received`` are monotonic seconds; status 0 and ``lost`` set: no answer, and why."""

    user: int
    sent: float
    received: float
    status: int
    version: str
    lost: str = ""
    forced: str = ""
    """The version gatekeeper says it was forced to, empty if it was not."""


@dataclass(frozen=True, slots=True)
class Move:
    """A user who saw one version and then another."""

    user: int
    sent: float
    before: str
    after: str


@dataclass(slots=True)
class User:
    cookies: dict[str, str] = field(default_factory=dict)
    version: str = ""


class Connection:
    """One keep-alive connection to gatekeeper's public address."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._served = 0

    async def ask(self, number: int, user: User, *extra: str) -> Answer:
        """One GET as this user, ``extra`` being more header lines; a failure is an Answer too."""
        sent = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                status, fields = await self._exchange(user, extra)
        except (OSError, TimeoutError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
            self.close()
            why = f"{str(error) or type(error).__name__}, after {self._served} answers on its connection"
            return Answer(number, sent, time.monotonic(), 0, "", lost=why)
        version, forced = "", ""
        for name, value in fields:
            if name == "set-cookie":
                cookie, _, text = value.partition(";")[0].partition("=")
                user.cookies[cookie.strip()] = text.strip()
            elif name == "x-demo-version":
                version = value
            elif name == "x-gatekeeper-version":
                forced = value
        return Answer(number, sent, time.monotonic(), status, version, forced=forced)

    async def _exchange(self, user: User, extra: tuple[str, ...]) -> tuple[int, list[tuple[str, str]]]:
        if self._streams is None:
            self._served = 0
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=MAX_HEAD)
        reader, writer = self._streams
        lines = ["GET / HTTP/1.1", f"Host: 127.0.0.1:{self._port}", *extra]
        if user.cookies:
            lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in user.cookies.items()))
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in head[1:])]
        known = dict(fields)
        if "content-length" not in known:
            raise ValueError("an answer without Content-Length, which the demo's backends always send")
        await reader.readexactly(int(known["content-length"]))
        self._served += 1
        if known.get("connection", "").lower() == "close":
            self.close()
        return int(head[0].split(" ", 2)[1]), fields

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Load:
    """``users`` take turns, ``per_second`` requests in all, over at most ``connections`` at once."""

    def __init__(self, port: int, *, users: int, per_second: float, connections: int) -> None:
        self._port = port
        self._interval = 1.0 / per_second
        self._connections = connections
        self._due = 0.0
        self._turn = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.users = [User() for _ in range(users)]
        self.answers: deque[Answer] = deque(maxlen=KEEP)
        self.moves: list[Move] = []

    def start(self) -> None:
        self._due = time.monotonic()
        self._tasks = [asyncio.create_task(self._go_on()) for _ in range(self._connections)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def since(self, moment: float) -> list[Answer]:
        """Answers to requests sent at or after that monotonic second, in no certain order."""
        return [answer for answer in self._recent(moment) if answer.sent >= moment]

    def _recent(self, moment: float) -> Iterator[Answer]:
        # They are in the order of their coming, and what came before that moment was sent before it.
        for answer in reversed(self.answers):
            if answer.received < moment:
                return
            yield answer

    async def _go_on(self) -> None:
        connection = Connection(self._port)
        try:
            while True:
                now = time.monotonic()
                self._due = max(self._due + self._interval, now - CATCH_UP)
                number, self._turn = self._turn, (self._turn + 1) % len(self.users)
                await asyncio.sleep(self._due - now)
                self._note(await connection.ask(number, self.users[number]))
        finally:
            connection.close()

    def _note(self, answer: Answer) -> None:
        user = self.users[answer.user]
        self.answers.append(answer)
        if answer.version and answer.version != user.version:
            if user.version:
                self.moves.append(Move(answer.user, answer.sent, user.version, answer.version))
            user.version = answer.version
