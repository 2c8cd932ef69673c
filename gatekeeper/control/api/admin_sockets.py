"""Where the admin server listens: the unix socket, and addresses over TCP. Made here, or given by whoever came before.

Kept apart from the server, so that it can stop accepting while these live on: clients wait in their queues until this
program goes on, or its successor does.
"""

import os
import socket
import stat
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from gatekeeper.control.succession.given import Gifts, Given
from gatekeeper.errors import GatekeeperError

BACKLOG: Final = 128
"""Connections the kernel holds for us; operators and scrapers are few."""
SOCKET_MODE: Final = 0o660
"""The owner and the group: who may connect may command."""
PATH_BYTES: Final = 107
"""Of a socket's path, see unix(7)."""


class AdminError(GatekeeperError):
    """The admin server cannot listen where it should. Says where, why, and the way out."""


class AdminSockets:
    """``open`` makes them; ``close`` ends them and removes the path, ``hand_over`` ends them for this process alone."""

    def __init__(self, path: str, http: str | None) -> None:
        """``path`` of the unix socket, ``http`` ``HOST:PORT`` (IPv6 in brackets) or None."""
        self._path = path
        self._http = http
        self._inode = 0
        """By which the path is known to be ours; 0 while it is not, or not ours to remove."""
        self._borrowed = 0
        """The same for a given socket: not ours as long as the giver may go on with it."""
        self._given: list[Given] = []

    def open(self, gifts: Gifts | None = None) -> None:
        """Listen, on what was given first. Blocks for a moment. Raises AdminError; nothing listens then."""
        gifts = gifts or Gifts()
        try:
            self._open_unix(gifts)
            if self._http is not None:
                self._open_tcp(self._http, gifts)
        except BaseException:
            self.close()
            raise

    @property
    def given(self) -> list[Given]:
        """Every socket, as a successor gets it."""
        return list(self._given)

    def keep(self) -> None:
        """What was given is ours for good: whoever gave it has left."""
        self._inode, self._borrowed = self._inode or self._borrowed, 0

    def hand_over(self, taken: set[tuple[str, int]]) -> None:
        """Close our copies; the path of a socket that a successor took over stays."""
        if (f"unix:{self._path}", 0) in taken:
            self._inode = 0
        self.close()

    def close(self) -> None:
        if self._inode:
            _remove(self._path, self._inode)
            self._inode = 0
        for each in self._given:
            each.sock.close()
        self._given.clear()

    def _open_unix(self, gifts: Gifts) -> None:
        path = self._path
        if len(os.fsencode(path)) > PATH_BYTES:
            raise AdminError(f"{path}: longer than {PATH_BYTES} bytes; name a shorter `admin.socket`")
        name = f"unix:{path}"
        if (given := gifts.unix(name, Path(path))) is not None:
            self._borrowed = given.inode
            self._given.append(Given(given.sock, name, name, lent=given.lent, inode=given.inode))
            return
        _clear_stale(path)
        listening, self._inode = _bind(path)
        self._given.append(Given(listening, name, name, inode=self._inode))

    def _open_tcp(self, address: str, gifts: Gifts) -> None:
        host, _, port = address.rpartition(":")
        try:
            # A name may have several addresses (localhost); all of them are meant.
            found = socket.getaddrinfo(host.strip("[]") or None, int(port), type=socket.SOCK_STREAM)
            for index, (family, _, _, _, where) in enumerate(dict.fromkeys(found)):
                given = gifts.tcp(address, family, (str(where[0]), int(where[1])), index + 1)
                if (here := given.pop(index, None) or given.pop(0, None)) is not None:
                    sock, lent = here.sock, here.lent
                else:
                    sock, lent = _listen(family, where), False
                self._given.append(Given(sock, address, address, index, lent))
        except OSError as error:
            raise AdminError(
                f"{address}: cannot listen ({error.strerror or error}); end what listens there, or name another "
                "`admin.http`"
            ) from error


def _listen(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind(path: str) -> tuple[socket.socket, int]:
    """The socket, and the inode by which its name is known to be ours. Raises AdminError."""
    listening = socket.socket(socket.AF_UNIX)
    # The mode must be right from the first moment, not after a moment in which anybody could connect.
    before = os.umask(0o777 & ~SOCKET_MODE)
    try:
        listening.bind(path)
        listening.listen(BACKLOG)
        return listening, Path(path).lstat().st_ino
    except OSError as error:
        listening.close()
        raise AdminError(
            f"{path}: cannot listen ({error.strerror}); make its directory and let this user write there, or name "
            "another `admin.socket`"
        ) from error
    finally:
        os.umask(before)


def _remove(path: str, inode: int) -> None:
    """Take our name away, unless by now it belongs to a successor."""
    with suppress(OSError):
        if Path(path).lstat().st_ino == inode:
            Path(path).unlink()


def _clear_stale(path: str) -> None:
    """Remove the socket of a process that was killed. Raises AdminError if somebody listens, or it is no socket."""
    try:
        if not stat.S_ISSOCK(Path(path).lstat().st_mode):
            raise AdminError(f"{path}: is there and is no socket; move it away, or name another `admin.socket`")
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            probe.settimeout(1.0)
            probe.connect(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        Path(path).unlink(missing_ok=True)
        return
    except OSError as error:
        raise AdminError(f"{path}: cannot be looked at ({error}); name another `admin.socket`") from error
    raise AdminError(f"{path}: another gatekeeper listens there; stop it, or name another `admin.socket`")
