"""What tests need whose backends live in their own event loop: a gatekeeper, its metrics, a steady load."""

import asyncio
import contextlib
import io
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from gatekeeper.interface import cli
from tests.system import programs
from tests.system.wire import PATIENCE, Answer, Connection, CutShortError, ask

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Wait for something that a test cannot be told of."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found if not asyncio.iscoroutine(found) else await found:
            return
        assert time.monotonic() < deadline, "it did not come about in time"
        await asyncio.sleep(0.02)


class Metrics:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self.samples: Samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def sum(self, name: str, **labels: str) -> float:
        """The sum of all samples of a name that have these labels."""
        wanted = set(labels.items())
        return sum(value for (known, has), value in self.samples.items() if known == name and wanted <= has)

    def errors(self, service: str, version: str) -> dict[str, float]:
        """Source -> count, those above 0."""
        wanted = {("service", service), ("version", version)}
        return {
            dict(labels)["source"]: value
            for (name, labels), value in self.samples.items()
            if name == "gatekeeper_errors_total" and wanted <= labels and value
        }

    def codes(self, service: str, version: str, forced: str = "false") -> dict[str, float]:
        """Status -> count, those above 0."""
        wanted = {("service", service), ("version", version), ("forced", forced)}
        return {
            dict(labels)["code"]: value
            for (name, labels), value in self.samples.items()
            if name == "gatekeeper_requests_total" and wanted <= labels and value
        }


class Gatekeeper(programs.Gatekeeper):
    """The same for tests whose backends live in their event loop: nothing here blocks it.

    ``services`` and ``more`` are the file's content; ``put`` replaces the services.
    """

    def __init__(self, folder: Path, port: int, services: Mapping[str, Any], **more: Any) -> None:
        self.services, self.keys = services, more
        super().__init__(folder, port, {})

    def document(self, **options: Any) -> dict[str, Any]:
        found = super().document(services=self.services)
        admin = found["admin"] | self.keys.get("admin", {})
        return found | self.keys | {"admin": admin} | options

    def put(self, services: Mapping[str, Any]) -> None:
        self.services = services
        self.write()

    async def begin(self) -> None:
        await asyncio.to_thread(self.start)

    async def stop(self) -> None:
        """SIGTERM, and it must end by itself with 0."""
        self.process.terminate()
        assert await asyncio.to_thread(self.process.wait, PATIENCE) == 0

    async def admin(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        answer = await ask(self.socket, path, method, body=content, content_type="application/json")
        return answer.status, json.loads(answer.body)

    async def weigh(self, service: str, **weights: float) -> None:
        """Change the split; back when every worker routes by it."""
        status, reply = await self.admin("PUT", f"/v1/services/{service}/split", weights)
        assert status == 200, reply
        assert reply["workers"] == {"acknowledged": 2, "total": 2}

    async def revision(self) -> int:
        return (await self.admin("GET", "/v1/status"))[1]["revision"]

    async def backends(self, service: str, version: str) -> list[str]:
        """The states of a version's backends, in order."""
        document = (await self.admin("GET", f"/v1/services/{service}"))[1]
        return [backend["state"] for backend in document["versions"][version]["backends"]]

    async def scrape(self) -> Metrics:
        return Metrics((await ask(self.socket, "/metrics")).body.decode())

    async def ask(self, path: str = "/", method: str = "GET", **more: Any) -> Answer:
        return await ask(self.port, path, method, **more)

    async def command(self, *arguments: str) -> tuple[int, str, str]:
        """The command line, within this process but over the real socket: exit code, standard output, error.

        Over another place where ``--url`` names one.
        """
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            there = () if "--url" in arguments else ("--socket", str(self.socket))
            code = await asyncio.to_thread(cli.run, [*there, *arguments])
        return code, out.getvalue(), err.getvalue()


@contextlib.asynccontextmanager
async def running(
    folder: Path, port: int, services: Mapping[str, Any], *, program: Sequence[str] = (), **more: Any
) -> AsyncIterator[Gatekeeper]:
    """A gatekeeper that serves, and at the end has stopped when told to and met no error nobody expected.

    ``program`` is the command that runs it, if not the usual one.
    """
    made = Gatekeeper(folder / "gatekeeper", port, services, **more)
    made.program = [*program] or made.program
    try:
        await made.begin()
        yield made
        await made.stop()
    finally:
        await asyncio.to_thread(made.end)
    assert made.said() == ""
    told = "".join(path.read_text() for path in made.folder.glob("out*"))
    assert "Traceback" not in told, told


class Load:
    """Requests without a pause on a few kept connections, until stopped: ``failures`` names each that was not 2xx."""

    def __init__(self, port: int, *, connections: int = 4, pause: float = 0.0, path: str = "/", **fields: str) -> None:
        self._port, self._count, self._pause, self._path, self._fields = port, connections, pause, path, fields
        self.bodies: list[bytes] = []
        self.failures: list[str] = []
        self.begun = 0
        """Requests that have begun."""
        self._numbers: list[int] = []
        """Of each body: how many requests had begun before its own."""

    async def __aenter__(self) -> Self:
        self._going = True
        self._tasks = [asyncio.create_task(self._go()) for _ in range(self._count)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._going = False
        await asyncio.gather(*self._tasks)

    async def _go(self) -> None:
        connection = await Connection.open(self._port)
        while self._going:
            number = self.begun
            self.begun += 1
            try:
                answer = await connection.ask(self._path, **self._fields)
            except (CutShortError, TimeoutError) as error:
                self.failures.append(repr(error))
                connection = await Connection.open(self._port)
                continue
            if 200 <= answer.status < 300:
                self.bodies.append(answer.body)
                self._numbers.append(number)
            else:
                self.failures.append(f"{answer.status} {answer.body!r}")
            await asyncio.sleep(self._pause)
        await connection.close()

    def since(self, begun: int) -> list[bytes]:
        """What those were answered that began when so many had begun, or later."""
        return [body for body, number in zip(self.bodies, self._numbers, strict=True) if number >= begun]

    async def more(self, count: int) -> None:
        """Wait until this many further requests are done."""
        wanted = len(self.bodies) + count
        await until(lambda: len(self.bodies) >= wanted)
