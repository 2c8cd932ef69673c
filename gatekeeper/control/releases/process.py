"""A program that is run for a check: in a session of its own, watched to its end, and ended with all it has started.

It is started by a thread, since the system may take its time to load it; it is waited for by a pidfd and heard by a
pipe of ours. So neither a program that hangs, nor one that closes its output and lives on, nor a child of it that holds
the output open, is ever waited for by anything but its own check. It is ended as a group, before its number is given
back to the system: nobody else's process can be hit.

What a killed supervisor leaves behind the next one ends, before it makes the same checks again (``leftovers``).
"""

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatekeeper.control.releases.leftovers import Leftovers
from gatekeeper.control.releases.output import Output

END_SECONDS: Final = 2.0
"""From SIGTERM to SIGKILL: long enough to remove what a test made, short enough for who waits."""
GONE_SECONDS: Final = 5.0
"""After SIGKILL a process is gone at once, unless the kernel waits for a disk; nobody waits longer for it."""
_READ: Final = 64 * 1024
_REST: Final = 1024 * 1024
"""Read at the end: more than a pipe holds. Who still writes then has left the group, and is not listened to."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, in a line, and what it wrote. ``passed``: by itself, in time, with exit code 0."""

    passed: bool
    how: str
    output: str = ""


class Programs:
    """Runs them. ``close`` returns when those that nobody waits for any more are gone."""

    def __init__(self, threads: ThreadPoolExecutor, leftovers: Leftovers) -> None:
        self._threads = threads
        self._leftovers = leftovers
        self._running: set[asyncio.Task[Ended]] = set()

    async def run(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], directory: str, seconds: float
    ) -> Ended:
        """Run a program to its end, at most ``seconds``. Whoever is cancelled here leaves it to be ended behind."""
        life = _Life(arguments, environment, directory, seconds, self._leftovers)
        task = asyncio.create_task(life.live(self._threads))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            life.unwanted.set()
            raise

    @property
    def running(self) -> int:
        """Programs that run or are being ended."""
        return len(self._running)

    async def close(self) -> None:
        """To be called when nobody waits in ``run`` any more."""
        if self._running:
            await asyncio.wait(self._running)


class _Life:
    """One program, from its start to its end."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        directory: str,
        seconds: float,
        leftovers: Leftovers,
    ) -> None:
        self._leftovers = leftovers
        self.unwanted = asyncio.Event()
        self._arguments = arguments
        self._environment = environment
        self._directory = directory
        self._seconds = seconds
        self._output = Output()

    async def live(self, threads: ThreadPoolExecutor) -> Ended:
        with contextlib.ExitStack() as stack:
            if self.unwanted.is_set():
                return Ended(passed=False, how="was not started, as nobody needs it any more")
            try:
                reading, process, handle = await self._begin(stack, threads)
            except (OSError, ValueError) as error:
                how = _not_started(error, self._arguments[0], self._directory, self._environment)
                return Ended(passed=False, how=how)
            loop = asyncio.get_running_loop()
            loop.add_reader(reading, self._hear, reading)
            stack.callback(loop.remove_reader, reading)
            stack.callback(threads.submit, self._leftovers.forget, process.pid)
            return await self._watch(process, handle, reading)

    async def _begin(
        self, stack: contextlib.ExitStack, threads: ThreadPoolExecutor
    ) -> "tuple[int, subprocess.Popen[bytes], int]":
        """What it is heard by, itself, and what it is waited for by. Raises OSError, ValueError; nothing runs then."""
        run = asyncio.get_running_loop().run_in_executor
        reading, writing = os.pipe()
        stack.callback(os.close, reading)
        os.set_blocking(reading, False)
        try:
            process = await run(threads, self._start, writing)
        finally:
            os.close(writing)
        try:
            handle = os.pidfd_open(process.pid)
        except OSError:  # no descriptor is left
            _signal(process.pid, signal.SIGKILL)
            await run(threads, process.wait)
            raise
        stack.callback(os.close, handle)
        return reading, process, handle

    def _start(self, writing: int) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(  # noqa: S603 - which program it is, the operator's file says
            list(self._arguments),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            cwd=self._directory,
            env=dict(self._environment),
            start_new_session=True,
        )
        self._leftovers.note(process.pid)
        return process

    async def _watch(self, process: "subprocess.Popen[bytes]", handle: int, reading: int) -> Ended:
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        loop.add_reader(handle, gone.set)
        how = ""
        try:
            if not await self._until_gone(gone):
                how = "was ended, as nobody needs it any more"
                if not self.unwanted.is_set():
                    how = f"did not end within {self._seconds:g} s, and was ended"
                if not await _end(process.pid, gone):
                    return Ended(passed=False, how=f"{how}; it is not gone yet, the system keeps it waiting")
        finally:
            loop.remove_reader(handle)
        _signal(process.pid, signal.SIGKILL)  # what it left behind; its number is its own until it is reaped
        process.wait()
        self._hear(reading, _REST)
        code = process.returncode
        return Ended(passed=not how and code == 0, how=how or _described(code), output=self._output.text())

    async def _until_gone(self, gone: asyncio.Event) -> bool:
        """Whether it ended by itself in time, and while it was wanted."""
        waits = [asyncio.create_task(each.wait()) for each in (gone, self.unwanted)]
        try:
            await asyncio.wait(waits, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return gone.is_set()

    def _hear(self, reading: int, at_most: int = _READ) -> None:
        with contextlib.suppress(BlockingIOError):
            while at_most > 0:
                data = os.read(reading, min(at_most, _READ))
                if not data:
                    asyncio.get_running_loop().remove_reader(reading)
                    return
                self._output.add(data)
                at_most -= len(data)


async def _end(group: int, gone: asyncio.Event) -> bool:
    """End a group whose leader has not been reaped; whether the leader is gone."""
    for number, seconds in ((signal.SIGTERM, END_SECONDS), (signal.SIGKILL, GONE_SECONDS)):
        _signal(group, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await gone.wait()
                return True
    return False


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone; or all of it belongs to another user now
        os.killpg(group, number)


def _described(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"


def _not_started(error: Exception, program: str, directory: str, environment: Mapping[str, str]) -> str:
    """Why there is no program running, and the way out."""
    number = error.errno if isinstance(error, OSError) else None
    if not Path(directory).is_dir():
        return f"{program} cannot be run: its directory {directory}, that of the configuration file, is gone"
    if "/" not in program and number == errno.ENOENT:
        path = environment.get("PATH", os.defpath)
        return f"{program} was not found in PATH ({path}); install it, or name it by its whole path"
    where = Path(directory, program)
    if number == errno.ENOENT and where.exists():
        return f"{where} cannot be run: the interpreter that its first line names is missing; install it"
    if number == errno.ENOENT:
        return f"{where} was not found; put it there, or name it by its whole path"
    if number in (errno.EACCES, errno.EPERM):
        return f"{where} may not be run by uid {os.geteuid()}; chmod +x it, and let that user read its directory"
    if number == errno.ENOEXEC:
        return f"{where} is no program; give it a first line such as #!/bin/sh"
    if isinstance(error, OSError):
        reason = (error.strerror or str(error)).lower()
        return f"{program} could not be started: {reason}; look at the limits of this machine and user"
    return f"{program} could not be started: {error}"
