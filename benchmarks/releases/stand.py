"""One gatekeeper between two versions of a shop and its users, with somebody who watches the release."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks import machine
from benchmarks.processes import BenchmarkError, free_port
from benchmarks.releases.shop import Fault, Version

START_SECONDS: Final = 60.0
"""Many start at once, on few cores."""
STOP_SECONDS: Final = 20.0


@dataclass(slots=True)
class Stand:
    """A running one. ``pid`` is the supervisor's."""

    pid: int
    port: int
    session: aiohttp.ClientSession
    stable: Version
    candidate: Version

    async def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Raises BenchmarkError for what is refused."""
        async with self.session.request(method, f"http://gatekeeper{path}", json=body) as answer:
            found: dict[str, Any] = await answer.json()
            if answer.status >= 400:
                raise BenchmarkError(f"{method} {path} was answered {answer.status}: {found.get('detail', found)}")
            return found

    async def metrics(self) -> str:
        async with self.session.get("http://gatekeeper/metrics") as answer:
            return await answer.text()

    async def share(self) -> float:
        """The candidate's weight."""
        service = await self.ask("GET", "/v1/services/shop")
        return float(service["split"].get("green", 0))


def configuration(
    folder: Path, port: int, versions: Mapping[str, int], plan: Mapping[str, Any], workers: int
) -> dict[str, Any]:
    """As in a file. What would end a total outage by itself is off: it is no judge, and would be there for all."""
    return {
        "listen": [f"127.0.0.1:{port}"],
        "admin": {"socket": str(folder / "admin.sock")},
        "state": str(folder / "state.db"),
        "workers": workers,
        "log": {"access": "off", "level": "warning"},
        "plans": {"watched": dict(plan)},
        "services": {
            "shop": {
                "versions": {name: {"backends": [f"http://127.0.0.1:{port}"]} for name, port in versions.items()},
                "sticky": {"by": ["header:X-User"]},
                "retries": {"attempts": 0},
                "ejection": "off",
                "trip": "off",
            }
        },
    }


@contextlib.asynccontextmanager
async def standing(
    fault: Fault,
    plan: Mapping[str, Any],
    *,
    versions: tuple[Version, Version] | None = None,
    workers: int = 1,
    log: Path | None = None,
) -> AsyncIterator[Stand]:
    """Started and ready; everything it started has ended after. Raises BenchmarkError.

    ``versions``: stable and candidate, where they are not the usual ones.
    ``log``: where what it says is kept; else only its end is shown, when it does not start.
    """
    stable, candidate = versions or (Version(fault, candidate=False), Version(fault, candidate=True))
    with tempfile.TemporaryDirectory(prefix="gatekeeper-releases-") as name:
        folder = Path(name)
        ports = {"blue": await stable.start(), "green": await candidate.start()}
        port = free_port()
        file = folder / "gatekeeper.yaml"
        file.write_text(json.dumps(configuration(folder, port, ports, plan, workers), indent=2))  # JSON is YAML
        said = log or folder / "said.log"
        command = [sys.executable, "-m", "gatekeeper", "serve", "--config", str(file)]
        if fault.share != 1.0:
            command = [sys.executable, "-m", "benchmarks.releases.misrouting", "serve", str(fault.share), str(file)]
        path = os.pathsep.join(filter(None, (str(machine.ROOT), os.environ.get("PYTHONPATH"))))
        with said.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command, stdout=output, stderr=output, env={**os.environ, "PYTHONPATH": path}, start_new_session=True
            )
        session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(folder / "admin.sock")), timeout=aiohttp.ClientTimeout(30)
        )
        try:
            stand = Stand(process.pid, port, session, stable, candidate)
            await _ready(stand, process, said)
            yield stand
        finally:
            await session.close()
            stable.stop()
            candidate.stop()
            await _stop(process)


async def _ready(stand: Stand, process: asyncio.subprocess.Process, said: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.returncode is None:
        with contextlib.suppress(aiohttp.ClientError, OSError):
            async with stand.session.get("http://gatekeeper/readyz") as answer:
                if answer.status == 200:
                    return
        await asyncio.sleep(0.1)
    words = said.read_text(errors="replace")[-2000:]  # noqa: ASYNC240 - nothing else is to be done any more
    raise BenchmarkError(f"gatekeeper was not ready within {START_SECONDS:g} s. Its last words:\n{words}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()
