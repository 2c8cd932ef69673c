"""A stand-in for gatekeeper's admin socket: answers what a test tells it, and remembers what it was asked."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gatekeeper.interface import screen
from gatekeeper.interface.cli import run
from gatekeeper.interface.session import Session


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Admin:
    socket: str
    answers: dict[tuple[str, str], list[web.Response | Callable[[web.Request], Any]]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def answer(self, method: str, path: str, data: Any = None, *, status: int = 200, etag: int | None = None, **more):
        """Queue an answer; the last one queued for a path is given again and again."""
        headers = {"ETag": f'"{etag}"'} if etag is not None else {}
        kind = "application/problem+json" if status >= 300 else "application/json"

        def make(_: web.Request) -> web.Response:
            arguments = {"text": json.dumps(data), "content_type": kind, **more}
            return web.Response(status=status, headers=headers, **arguments)

        self.answers.setdefault((method, path), []).append(make)

    def problem(self, method: str, path: str, status: int, **fields: Any) -> None:
        self.answer(method, path, {"type": "about:blank", "status": status, **fields}, status=status)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(Asked(request.method, request.path, dict(request.query), dict(request.headers.items()), body))
        queue = self.answers.get((request.method, request.path))
        if not queue:
            return web.json_response({"title": "not found", "status": 404}, status=404)
        found = queue.pop(0) if len(queue) > 1 else queue[0]
        answer = found(request)
        return await answer if asyncio.iscoroutine(answer) else answer


@pytest.fixture
def admin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Admin]:
    """The stand-in, listening on a socket that the environment names."""
    for name in ("GATEKEEPER_URL", "GATEKEEPER_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    found = Admin(str(tmp_path / "admin.sock"))
    monkeypatch.setenv("GATEKEEPER_SOCKET", found.socket)
    started, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", found.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, found.socket).start()
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(5)
    yield found
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)
    loop.close()


@pytest.fixture
def gatekeeper(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line; returns (exit code, standard output, standard error)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def terminal(monkeypatch):
    """A person at a terminal who answers what the test puts into the list."""
    answers = []
    monkeypatch.setattr(Session, "asks", property(lambda session: not session.yes))
    monkeypatch.setattr("click.confirm", lambda *_, **__: answers.pop(0))
    return answers


@pytest.fixture
def window(monkeypatch):
    """A terminal of 160 by 40; the list holds what happens while each picture stands, at the end Ctrl-C."""
    happens = []

    def wait(_keys, seconds):
        assert seconds <= 1.0
        if not happens:
            raise KeyboardInterrupt
        return happens.pop(0)

    monkeypatch.setattr(screen._Keys, "wait", wait)
    monkeypatch.setattr(screen, "watched", lambda: True)
    for name, value in (("TERM", "xterm"), ("COLUMNS", "160"), ("LINES", "40"), ("FORCE_COLOR", "1")):
        monkeypatch.setenv(name, value)
    return happens
