"""What gatekeeper and its service manager tell each other: notes, signs of life, sockets that the manager holds.

This is the protocol of sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3).

The manager speaks through environment variables. They are taken out of the environment when they are read: they are
meant for this one process, and a worker or a successor that found them would believe itself addressed.

    NOTIFY_SOCKET                                where notes go: ``READY=1``, ``STATUS=...``, one datagram each
    WATCHDOG_USEC, WATCHDOG_PID                  how often a sign of life is wanted, and of whom
    LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PID       how many sockets wait from descriptor 3 on, their names, for whom
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Final

from gatekeeper.errors import GatekeeperError

log = logging.getLogger("gatekeeper.systemd")

FIRST: Final = 3
"""The first descriptor that is passed, SD_LISTEN_FDS_START."""
MOST_SOCKETS: Final = 1_024
"""More than any unit lists; a larger number is garbage."""
PINGS: Final = 3
"""Signs of life within the time wanted: one may come late without harm."""

Environment = MutableMapping[str, str]


class SystemdError(GatekeeperError):
    """The service manager passed something that cannot be used. The text names it and the way out."""


@dataclass(frozen=True, slots=True)
class Passed:
    """One listening socket of the manager's; ``label`` is what messages call it."""

    sock: socket.socket
    label: str


class Notifier:
    """Tells the service manager how it goes; silent where there is none."""

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        """``address`` as in NOTIFY_SOCKET, empty for nobody; ``watchdog`` in seconds, 0 = no sign of life is wanted."""
        self._address = address
        self.watchdog = watchdog

    @classmethod
    def from_environment(cls, environment: Environment | None = None) -> "Notifier":
        """What the environment says, which is then removed from it. Raises SystemdError for what is no number."""
        environment = os.environ if environment is None else environment
        address = environment.pop("NOTIFY_SOCKET", "")
        period, whose = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        seconds = _number("WATCHDOG_USEC", period) / 1e6
        return cls(address, seconds if whose in {"", str(os.getpid())} else 0.0)

    def environment(self) -> dict[str, str]:
        """The variables by which a successor speaks to the same manager. Without a pid: it is not known yet."""
        found = {"NOTIFY_SOCKET": self._address} if self._address else {}
        if self.watchdog:
            found["WATCHDOG_USEC"] = str(round(self.watchdog * 1e6))
        return found

    def tell(self, **fields: str | int) -> None:
        """Send one note, such as ``tell(READY=1, STATUS="serving")``. Never waits and never raises."""
        if not self._address:
            return
        # Notes are lines: a line break in a text would begin another field.
        lines = "\n".join(f"{name}={str(value).replace(chr(10), ' ')}" for name, value in fields.items())
        # "@" stands for the zero byte of an abstract socket, see unix(7).
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(lines.encode(), address)
        except OSError as error:
            log.warning("service manager not told", extra={"note": next(iter(fields), ""), "reason": str(error)})

    async def watch(self, alive: Callable[[], bool]) -> None:
        """Give signs of life for ever, as long as ``alive()``.

        They come from the event loop: when it stands still they stop, and the manager acts.
        """
        while self._address and self.watchdog:
            if alive():
                self.tell(WATCHDOG=1)
            await asyncio.sleep(self.watchdog / PINGS)


def passed_sockets(environment: Environment | None = None, first: int = FIRST) -> list[Passed]:
    """The sockets the manager holds for this process; the variables are removed.

    Raises SystemdError for a descriptor that is no listening stream socket.
    """
    environment = os.environ if environment is None else environment
    whose, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if whose != str(os.getpid()):
        return []
    number = _number("LISTEN_FDS", count)
    if number > MOST_SOCKETS:
        raise SystemdError(f"LISTEN_FDS={count}: more than {MOST_SOCKETS} sockets; remove it from the environment")
    return [
        _adopt(first + index, names[index] if index < len(names) and names[index] else f"LISTEN_FDS {index}")
        for index in range(number)
    ]


def _adopt(descriptor: int, name: str) -> Passed:
    try:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise SystemdError(
            f"the service manager's socket {name!r} (descriptor {descriptor}) is no socket ({error.strerror}); "
            "name only ListenStream= in the socket unit"
        ) from error
    where = describe(sock)
    if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.detach()  # not ours to close: nothing is known of it
        raise SystemdError(
            f"the service manager's socket {name!r} ({where}) does not listen for connections; "
            "use ListenStream=, and Accept=no, in the socket unit"
        )
    return Passed(sock, f"{name!r} ({where})")


def describe(sock: socket.socket) -> str:
    """Where a socket is, as the file would write it."""
    if sock.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(sock.getsockname())}"
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return sock.family.name
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if sock.family == socket.AF_INET6 else f"{host}:{port}"


def _number(name: str, text: str) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit():
        raise SystemdError(
            f"{name}={text} in the environment is no number; let the service manager set it, or unset it"
        )
    return int(text)
