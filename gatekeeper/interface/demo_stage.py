"""What the demo plays on: a temporary directory, free ports, the processes, and their end, whatever happens.

gatekeeper runs as anybody would run it, ``python -m gatekeeper serve --config FILE``, and is spoken to through its
admin socket only.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from gatekeeper.interface.client import Client
from gatekeeper.interface.failures import ClientError

START_WITHIN = 20.0
"""Seconds for a process to come up; one takes well below a second on an idle machine."""
STOP_WITHIN = 8.0
"""Seconds between asking a process to stop and killing it; gatekeeper's own drain is bounded by 3 s in the file."""
POLL = 0.05
LOG_TAIL = 15
WORKERS = 2
STEPS = (5, 25, 100)
"""Percent of the steps of the plan ``careful``."""
FIRST_WEIGHT = 25
"""Percent of the first step of the plan ``quick``: of 400 requests a second enough for the trip-wire within one."""
SECOND = "ben"
"""Who approves: of the group product, not who started the demo."""
FAULTY = "green2"
SMOKE = """\
import sys
import urllib.request

print(urllib.request.urlopen(sys.argv[1] + "/basket").read().decode().strip())
"""
"""A test that the plan runs: it looks into the basket of the new version."""


class DemoError(Exception):
    """A step did not happen as promised; the text says which promise and what was seen instead."""


class Stage:
    """Use as an asynchronous context manager; leaving it ends every process and removes the directory."""

    def __init__(self, *, hold: float = 3.0) -> None:
        """``hold``: seconds for which the plan holds each step."""
        base = tempfile.gettempdir()
        # Not under a long TMPDIR: the path of a unix socket may have 107 bytes, and 36 more are to come.
        short = base if len(base.encode()) <= 70 else "/tmp"  # noqa: S108 - mkdtemp makes the directory private
        self.directory = Path(tempfile.mkdtemp(prefix="gatekeeper-demo-", dir=short))
        self.port, self._http = _free_ports(2)
        self._hold = hold
        self._token = secrets.token_hex(32)
        self.file = self.directory / "gatekeeper.yaml"
        self.socket = str(self.directory / "admin.sock")
        self.log = self.directory / "gatekeeper.log"
        self.client = Client(sockets=[self.socket], timeout=15.0)
        self._second = Client(url=self.url, token=self._token, timeout=15.0)
        self._backends: dict[str, tuple[asyncio.subprocess.Process, int]] = {}
        self._proxy: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The admin API over TCP."""
        return f"http://127.0.0.1:{self._http}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # A second Ctrl-C must not leave processes behind: the end is short, bounded, and not to be interrupted.
        await asyncio.shield(self._end())

    async def _end(self) -> None:
        processes = [process for process, _ in self._backends.values()]
        if self._proxy is not None:
            processes.insert(0, self._proxy)
        try:
            for process in processes:
                _signal(process, signal.SIGTERM)
            await asyncio.gather(*(_gone(process) for process in processes))
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    async def start_backend(self, name: str, *, errors: float = 0.0, seconds: float = 0.0) -> int:
        """Start a version's process and return its port. Raises DemoError."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gatekeeper.interface.demo_backend", name, str(errors), str(seconds)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None  # noqa: S101 - asked for above
        self._backends[name] = (process, 0)
        try:
            async with asyncio.timeout(START_WITHIN):
                port = int(await process.stdout.readline())
        except (TimeoutError, ValueError) as error:
            raise DemoError(f"the backend process of {name} did not come up: {error or 'no answer in time'}") from error
        self._backends[name] = (process, port)
        return port

    def write_file(self) -> None:
        """Write gatekeeper's file for the versions whose processes run, and the file of tokens."""
        digest = hashlib.sha256(self._token.encode()).hexdigest()
        # Who approves may be no more than a viewer: what counts is the group.
        token = {"name": SECOND, "role": "viewer", "groups": ["product"], "sha256": digest}
        tokens = self.directory / "tokens.yaml"
        tokens.write_text(json.dumps([token]), encoding="utf-8")
        tokens.chmod(0o600)
        (self.directory / "smoke.py").write_text(SMOKE, encoding="utf-8")
        smoke = {"command": {"run": [sys.executable, "smoke.py", "{url}"], "timeout": "20s"}}
        healthy = {"http": {"path": "/healthz", "body_contains": "ok"}}
        steps = [{"weight": weight, "hold": f"{self._hold:g}s"} for weight in STEPS]
        few = [{"weight": FIRST_WEIGHT, "hold": "1m"}, {"weight": 100}]
        plans = {
            "careful": {"verify": [healthy, smoke], "approve": {"groups": ["product"]}, "steps": steps},
            "quick": {"verify": [healthy], "steps": few},
        }
        health = {"path": "/healthz", "interval": "200ms", "timeout": "2s", "rise": 2, "fall": 5}
        urls = {name: f"http://127.0.0.1:{port}" for name, (_, port) in self._backends.items()}
        versions = {name: {"backends": [url], "health": health} for name, url in urls.items()}
        document = {
            "listen": f"127.0.0.1:{self.port}",
            "admin": {"socket": self.socket, "http": f"127.0.0.1:{self._http}", "tokens": str(tokens)},
            "state": str(self.directory / "state.db"),
            "workers": WORKERS,
            "log": {"access": "off", "level": "info"},
            "plans": plans,
            "services": {
                "shop": {"stable": "blue", "plan": "careful", "timeouts": {"drain": "3s"}, "versions": versions}
            },
        }
        self.file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")  # JSON is YAML

    async def start_gatekeeper(self) -> None:
        """Start it and wait until it answers readyz. Raises DemoError with the end of its log."""
        with self.log.open("wb") as log:
            self._proxy = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gatekeeper", "serve", "--config", str(self.file)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = asyncio.get_running_loop().time() + START_WITHIN
        while True:
            try:
                await self.call("GET", "/readyz")
            except ClientError as error:
                if self._proxy.returncode is not None:
                    raise DemoError(f"gatekeeper ended with code {self._proxy.returncode}{self.log_tail()}") from error
                if asyncio.get_running_loop().time() > deadline:
                    raise DemoError(f"gatekeeper is not ready: {error.what}{self.log_tail()}") from error
                await asyncio.sleep(POLL)
            else:
                return

    async def call(self, method: str, path: str, body: object = None, accept: str = "application/json") -> Any:
        """One request to the admin socket. Raises ClientError."""
        return (await asyncio.to_thread(self.client.call, method, path, body=body, accept=accept)).data

    async def call_second(self, method: str, path: str, body: object = None) -> Any:
        """The same over TCP, by the second person. Raises ClientError."""
        return (await asyncio.to_thread(self._second.call, method, path, body=body)).data

    async def seen(self, name: str) -> Mapping[str, Any]:
        """What the version's own process has seen: ``served`` requests of users, ``last`` in monotonic seconds."""
        url = f"http://127.0.0.1:{self._backends[name][1]}/_demo/seen"
        return dict(json.loads(await asyncio.to_thread(_fetch, url)))

    def check_alive(self) -> None:
        """Raise DemoError if a process has died."""
        named = [
            ("gatekeeper", self._proxy),
            *((f"{name}'s process", one) for name, (one, _) in self._backends.items()),
        ]
        for name, process in named:
            if process is not None and process.returncode is not None:
                raise DemoError(f"{name} ended with code {process.returncode}{self.log_tail()}")

    def troubles(self) -> str:
        """The last lines of gatekeeper's log that are more than information."""
        return self._tail(lambda line: '"level": "info"' not in line)

    def log_tail(self) -> str:
        """The last lines of gatekeeper's log, each on its own line, for an error message."""
        return self._tail(lambda _: True)

    def _tail(self, wanted: Callable[[str], bool]) -> str:
        with contextlib.suppress(OSError):
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            return "".join(f"\n    {line}" for line in list(filter(wanted, lines))[-LOG_TAIL:])
        return ""


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; who takes one in between makes gatekeeper's start fail, and say so."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _fetch(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback, whatever http_proxy says
    with opener.open(url, timeout=10) as response:
        return bytes(response.read(64 * 1024))


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


async def _gone(process: asyncio.subprocess.Process) -> None:
    """Wait for the process, then kill whatever is left of its session: workers whose supervisor broke."""
    try:
        async with asyncio.timeout(STOP_WITHIN):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
