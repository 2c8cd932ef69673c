"""One program follows another in service: both ends of the hand-over, without what is handed over (``estate``).

    the running program (Successor)                      the new one (Predecessor)
      starts it with a socketpair, GATEKEEPER_HANDOVER
                                                         reads and checks the file
                                          <- hello
      sets aside controller, store, admin
      estate, sockets, blocks ->
                                                         opens the store, starts workers on the same sockets
                                          <- ready: which sockets it took
      yours ->
      its workers drain; events ->                       speaks to the service manager, tells the events as its own
      ends

Until ``ready`` the old program can go on as if nothing had happened: whatever fails, is refused, is silent for too long
or dies before that is ended, and its reason told. From then on it never goes back.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final

from gatekeeper import __version__, channel
from gatekeeper.channel import Message
from gatekeeper.control.store.migrate import SCHEMA_VERSION
from gatekeeper.control.succession import estate as estates
from gatekeeper.control.succession.estate import Estate
from gatekeeper.control.succession.relay import Relay, RelayError
from gatekeeper.errors import GatekeeperError

VARIABLE: Final = "GATEKEEPER_HANDOVER"
"""Names the descriptor of the line in the environment of the new program."""
PROTOCOL: Final = 1
"""Grows when a message changes its meaning: programs that do not understand each other must not begin."""
HELLO_SECONDS: Final = 30.0
"""Python starts and the file is read in half a second; a large file on a starved machine takes some."""
READY_SECONDS: Final = 45.0
"""The store is checked, every backend asked once, workers started, each bounded by itself. Changes wait meanwhile."""
END_SECONDS: Final = 5.0
"""For a killed process to be gone."""
REASON_LENGTH: Final = 4_096
"""Of a failure's text: it goes into a log line and an event."""


class HandoverError(GatekeeperError):
    """The new program cannot take over; the text says why. The old one goes on."""


def own_command() -> list[str]:
    """How this program was started. By the interpreter's own path: what was said then need not be found again."""
    return [sys.executable, *sys.orig_argv[1:]]


class Successor:
    """The new program, as the running one sees it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.pid = 0
        self.version = ""
        self.state_path = ""
        self.schema = 0
        """Of its state files."""
        self._command = list(command)
        self._environment = dict(environment)
        self._relay: Relay | None = None
        self._handle = -1
        self._ended = asyncio.Event()
        self._code = 0

    async def start(self) -> None:
        """Start it and wait until it has read and checked its file. Raises HandoverError."""
        self._spawn()
        asyncio.get_running_loop().add_reader(self._handle, self._reap)
        hello = await self._expect("hello", HELLO_SECONDS)
        self.version = str(hello.get("version", ""))
        self.state_path, self.schema = str(hello.get("state", "")), int(hello.get("schema", 0))
        if hello.get("protocol") != PROTOCOL:
            raise HandoverError(
                f"version {self.version} hands over by protocol {hello.get('protocol')}, this one "
                f"({__version__}) by {PROTOCOL}; restart instead"
            )

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        self._relay = Relay(ours)
        try:
            os.set_inheritable(theirs.fileno(), True)
            environment = {**self._environment, VARIABLE: str(theirs.fileno())}
            # Not by asyncio, which would end it with our loop; it is to outlive us.
            self.pid = os.posix_spawn(self._command[0], self._command, environment)
            self._handle = os.pidfd_open(self.pid)
        except OSError as error:
            if self.pid:  # it runs, and nobody could watch it
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            raise HandoverError(f"{self._command[0]} cannot be started ({error.strerror})") from error
        finally:
            theirs.close()

    async def give(self, estate: Estate) -> set[tuple[str, int]]:
        """Hand everything over and wait until it serves; the names and slots of the sockets it took.

        Raises HandoverError.
        """
        assert self._relay is not None  # noqa: S101 - start comes first
        try:
            async with asyncio.timeout(READY_SECONDS):
                await estates.give(self._relay, estate)
        except TimeoutError:
            raise HandoverError(f"it did not take over the sockets within {READY_SECONDS:g} s") from None
        except RelayError as error:
            raise HandoverError(await self._why(str(error))) from error
        ready = await self._expect("ready", READY_SECONDS)
        return {(str(name), int(slot)) for name, slot in ready.get("taken", ())}

    async def release(self) -> None:
        """Tell it that it alone is in service now. What it does not hear it does not need: it serves already."""
        await self.send({"type": "yours"})

    async def send(self, message: Message) -> bool:
        """Send without waiting for long; whether it was heard."""
        assert self._relay is not None  # noqa: S101 - start comes first
        try:
            async with asyncio.timeout(1.0):
                await self._relay.send(message)
        except (RelayError, TimeoutError):
            return False
        return True

    async def end(self) -> None:
        """End it at once, and wait until it is gone."""
        if self._handle >= 0 and not self._ended.is_set():
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await self._ended.wait()
        self.forget()

    def forget(self) -> None:
        """Hang up, and let it live."""
        if self._handle >= 0:
            asyncio.get_running_loop().remove_reader(self._handle)
            os.close(self._handle)
            self._handle = -1
        if self._relay is not None:
            self._relay.close()

    async def _expect(self, kind: str, seconds: float) -> Message:
        assert self._relay is not None  # noqa: S101 - start comes first
        try:
            async with asyncio.timeout(seconds):
                message = await self._relay.receive()
        except TimeoutError:
            raise HandoverError(f"it did not say {kind!r} within {seconds:g} s") from None
        except RelayError as error:
            raise HandoverError(await self._why(str(error))) from error
        if message["type"] == "failed":
            raise HandoverError(str(message.get("reason", "no reason given"))[:REASON_LENGTH])
        if message["type"] != kind:
            raise HandoverError(f"it said {message['type']!r} where {kind!r} was due")
        return message

    async def _why(self, said: str) -> str:
        """Why the line is gone: the process usually is, and how it ended says more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._ended.wait()
                how = f"signal {-self._code}" if self._code < 0 else f"exit code {self._code}"
                return f"it ended ({how}); look for its messages on stderr"
        return said

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            _, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status)
        asyncio.get_running_loop().remove_reader(self._handle)
        self._ended.set()


class Predecessor:
    """The running program, as the new one sees it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._relay: Relay | None = None

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] | None = None) -> "Predecessor | None":
        """Whoever started this process to be followed; None for an ordinary start.

        The variable is removed. Raises HandoverError when it names no socket.
        """
        environment = os.environ if environment is None else environment
        text = environment.pop(VARIABLE, "")
        if not text:
            return None
        try:
            number = int(text)
            os.set_inheritable(number, False)
            return cls(socket.socket(fileno=number))
        except (OSError, ValueError) as error:
            raise HandoverError(
                f"{VARIABLE}={text} in the environment names no socket; a running gatekeeper sets it, nobody else: "
                "unset it"
            ) from error

    async def inherit(self, state_path: str) -> Estate:
        """Say hello and take what is handed over. Raises HandoverError.

        ``state_path``, resolved, is that of this program.
        """
        self._relay = Relay(self._sock)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._relay.send(
                    {
                        "type": "hello",
                        "protocol": PROTOCOL,
                        "version": __version__,
                        "state": state_path,
                        "schema": SCHEMA_VERSION,
                    }
                )
                return await estates.receive(self._relay)
        except TimeoutError:
            raise HandoverError(f"the running program handed nothing over within {READY_SECONDS:g} s") from None
        except RelayError as error:
            raise HandoverError(f"nothing was handed over: {error}") from error

    async def ready(self, taken: set[tuple[str, int]]) -> bool:
        """Say that this program serves, and wait until the other leaves. False when it is gone already.

        There is no third way, however long it takes: the other leaves, or dies, or has decided to go on and ends us.
        """
        assert self._relay is not None  # noqa: S101 - inherit comes first
        try:
            await self._relay.send({"type": "ready", "taken": sorted(taken)})
            await self._relay.receive()
        except RelayError:
            return False
        return True

    async def reports(
        self, tell: Callable[[Mapping[str, Any]], None], counted: Callable[[Any], None] = lambda _: None
    ) -> None:
        """Tell what happens to the other program in its last moments, until it is gone, and what it ``counted`` of
        flags after it had handed over.
        """
        assert self._relay is not None  # noqa: S101 - inherit comes first
        with contextlib.suppress(RelayError):
            while True:
                message = await self._relay.receive()
                if message["type"] == "event" and isinstance(message.get("event"), dict):
                    tell(message["event"])
                elif message["type"] == "flags":
                    counted(message.get("of"))

    def fail(self, reason: str) -> None:
        """Say why this program cannot take over. For the moments before and after the event loop, too."""
        with contextlib.suppress(OSError):
            self._sock.setblocking(False)
            self._sock.sendall(channel.encode({"type": "failed", "reason": reason[:REASON_LENGTH]}))

    def close(self) -> None:
        if self._relay is not None:
            self._relay.close()
        self._sock.close()
