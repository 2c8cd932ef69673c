"""One worker process as its supervisor sees it: started, spoken to, watched, ended."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import sysconfig
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import gatekeeper
from gatekeeper.channel import ChannelError, Decoder, Message
from gatekeeper.control.fleet.orphans import WORKER_MODULE, mark
from gatekeeper.control.fleet.sockets import Endpoint

# -P: the directory the supervisor was started in must not decide what a worker imports.
WORKER_COMMAND: Final = (sys.executable, "-P", "-m", WORKER_MODULE)


def worker_command(state_path: str) -> tuple[str, ...]:
    """The same for that state file. Python takes no notice of ``-X`` words it does not know; ``orphans`` does."""
    program, *arguments = WORKER_COMMAND
    return (program, "-X", mark(state_path), *arguments)


CLOSING_SECONDS: Final = 1.0
"""A worker that ends closes its channel shortly before its process is gone; longer means it lost its way."""


Recorded = Callable[[int, Message], None]
"""Takes a worker's pid and its message, see ``control.judging``."""


class Phase(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    DEAD = "dead"


class WorkerProcess(asyncio.Protocol):
    """A running worker. ``exited`` is done with the reason, in words, when the process is gone."""

    def __init__(
        self,
        index: int,
        on_ready: Callable[["WorkerProcess"], None],
        on_outcomes: Callable[[Sequence[Sequence[Any]]], None],
        on_recorded: Recorded = lambda _pid, _message: None,
    ) -> None:
        self.index = index
        self.pid = 0
        self.phase = Phase.STARTING
        self.revision = 0
        """The revision it routes by, as acknowledged."""
        self.unanswered = 0
        """Pings since it last said anything."""
        self.load: Message = {}
        """Its last pong: connections, in_flight, lag (seconds), rss (bytes)."""
        self.report: Message = {}
        """Its drain report: finished, cut."""
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[str] = loop.create_future()
        self._ready = on_ready
        self._outcomes = on_outcomes
        self._recorded = on_recorded
        self._why = ""
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._waiter: asyncio.Task[None] | None = None
        self._acks: list[tuple[int, asyncio.Future[str]]] = []
        self._renewals: dict[int | str, asyncio.Future[str]] = {}
        self._leavings: list[tuple[str, str, asyncio.Future[tuple[int, int]]]] = []

    @classmethod
    async def spawn(
        cls,
        index: int,
        block_fd: int,
        endpoints: Sequence[Endpoint],
        on_ready: Callable[["WorkerProcess"], None],
        command: Sequence[str] = WORKER_COMMAND,
        on_outcomes: Callable[[Sequence[Sequence[Any]]], None] = lambda _: None,
        on_recorded: Recorded = lambda _pid, _message: None,
    ) -> "WorkerProcess":
        """Start the process of slot ``index``. Raises OSError when the system gives no process or descriptor.

        ``on_outcomes`` gets what it reports of backends that fail: rows as in ``Monitor.hear``. ``on_recorded`` gets
        what it recorded for judges.
        """
        worker = cls(index, on_ready, on_outcomes, on_recorded)
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            pairs = [
                f"{endpoint.name}={endpoint.sock.fileno()}{'+lent' if endpoint.lent else ''}" for endpoint in endpoints
            ]
            worker._process = await asyncio.create_subprocess_exec(
                *command,
                str(theirs.fileno()),
                str(block_fd),
                str(index),
                *pairs,
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), block_fd, *(endpoint.sock.fileno() for endpoint in endpoints)],
                env=_environment(),
                # Ctrl-C and a closing terminal signal the whole process group; workers hear of it from us alone.
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        worker.pid = worker._process.pid
        worker._waiter = asyncio.create_task(worker._wait())
        await asyncio.get_running_loop().create_unix_connection(lambda: worker, sock=ours)
        return worker

    @property
    def alive(self) -> bool:
        return self.phase is not Phase.DEAD

    def send(self, frame: bytes) -> None:
        """Queue one frame. What a stuck worker does not read is bounded by the time until it is found stuck."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    def acknowledgement(self, revision: int) -> "asyncio.Future[str]":
        """Done with "" when this revision is acknowledged, or with the reason why it never will be."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if self.revision >= revision:
            future.set_result("")
        elif not self.alive:
            future.set_result("it ended")
        else:
            self._acks.append((revision, future))
        return future

    def renewal(self, serial: int | str) -> "asyncio.Future[str]":
        """Done with "" when the certificates, or the log, of this serial number are in use, or with the reason why
        not.
        """
        future = self._renewals[serial] = asyncio.get_running_loop().create_future()
        if not self.alive:
            future.set_result("")  # its successor begins with them
        return future

    def leaving(self, service: str, version: str) -> "asyncio.Future[tuple[int, int]]":
        """Done with how many finished and were cut when it has left a version, or with (0, 0) when it ended before."""
        future: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        if self.alive:
            self._leavings.append((service, version, future))
        else:
            future.set_result((0, 0))
        return future

    def kill(self, why: str) -> None:
        """End it at once; ``why`` becomes the reason of its death."""
        if self._process is None or not self.alive:
            return
        self._why = self._why or why
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        try:
            messages = self._decoder.feed(data)
        except ChannelError as error:
            self.kill(f"spoke nonsense: {error}")
            return
        self.unanswered = 0
        for message in messages:
            self._take(message)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self.alive:
            asyncio.get_running_loop().call_later(CLOSING_SECONDS, self.kill, "closed its channel and ran on")

    def _take(self, message: Message) -> None:
        kind = message["type"]
        if kind == "ack":
            self.revision = max(self.revision, int(message.get("revision", 0)))
            self._settle(self.revision, "")
        elif kind == "nack":
            self._settle(int(message.get("revision", 0)), str(message.get("why", "no reason given")))
        elif kind == "pong":
            self.load = message
        elif kind == "ready" and self.phase is Phase.STARTING:
            self.phase = Phase.READY
            self._ready(self)
        elif kind == "drained":
            self.report = message
        elif kind == "outcomes":
            self._outcomes(message.get("backends", ()))
        elif kind in ("seconds", "flag_seconds", "routes", "spans", "flags", "shadow"):
            self._recorded(self.pid, message)
        elif kind == "left":
            self._left(message)
        elif kind in ("credentials_taken", "reopened"):
            future = self._renewals.pop(message.get("serial", 0), None)
            if future is not None and not future.done():
                future.set_result(str(message.get("why", "")))

    def _left(self, message: Message) -> None:
        """Of several for one version the one that was asked for first: whoever asked wants their sum."""
        for at, (service, version, future) in enumerate(self._leavings):
            if (service, version) == (message.get("service"), message.get("version")):
                del self._leavings[at]
                if not future.done():
                    future.set_result((int(message.get("finished", 0)), int(message.get("cut", 0))))
                return

    def _settle(self, revision: int, result: str) -> None:
        for wanted, future in self._acks:
            if wanted <= revision and not future.done():
                future.set_result(result)
        self._acks = [(wanted, future) for wanted, future in self._acks if not future.done()]

    async def _wait(self) -> None:
        assert self._process is not None  # noqa: S101 - spawn sets it before this task exists
        code = await self._process.wait()
        self.phase = Phase.DEAD
        if self._transport is not None:
            self._transport.close()
        reason = self._why or describe(code)
        for _, future in self._acks:
            if not future.done():
                future.set_result(f"it ended: {reason}")
        self._acks.clear()
        for future in self._renewals.values():
            if not future.done():
                future.set_result("")  # its successor begins with them
        self._renewals.clear()
        for *_, left in self._leavings:
            if not left.done():
                left.set_result((0, 0))
        self._leavings.clear()
        self.exited.set_result(reason)


def describe(code: int) -> str:
    """A process's end in words, from its return code (negative: the signal that ended it)."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _environment() -> dict[str, str]:
    """Ours, plus the place of this very package where it is not installed, so that worker and supervisor agree."""
    environment = dict(os.environ)
    root = str(Path(gatekeeper.__file__).resolve().parent.parent)
    if root not in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH"))))
    return environment
