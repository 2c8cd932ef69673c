"""Listening sockets: made and kept by the supervisor, inherited by the worker that takes the slot.

A TCP address gets one SO_REUSEPORT socket per worker slot, so that the kernel spreads connections without a lock, and
a replaced worker finds its accept queue intact: the supervisor still holds the socket. A unix path has no such
spreading; its one socket is shared by all workers.

SO_REUSEPORT also lets a second program of the same user bind the port and silently take half of the connections.
Therefore an address is first tried without it: somebody else's port is an error here, not a riddle later. Only workers
that a killed supervisor left behind may hold it (``shared``), and the program before this one, whose sockets are taken
over as they are (``given``).
"""

import contextlib
import errno
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gatekeeper.control.succession.given import Gifts, Given
from gatekeeper.errors import GatekeeperError

UNIX_BACKLOG: Final = 4096
"""Connections waiting to be accepted on a unix socket; the kernel lowers it to net.core.somaxconn."""

UNIX_PREFIX: Final = "unix:"


class ListenError(GatekeeperError):
    """An address cannot be listened on. The text names the address and the way out."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One inherited socket: the address as the file names it, and where it really is (the port of ``:0`` filled in).

    ``lent``: it is not ours to end, see ``given``.
    """

    name: str
    address: str
    sock: socket.socket
    lent: bool = False


class Listeners:
    """All listening sockets of all worker slots. ``open`` makes them, ``close`` ends them and removes unix paths."""

    def __init__(self, slots: list[list[Endpoint]], paths: list[tuple[Path, int]]) -> None:
        self._slots = slots
        self._paths = paths
        self._borrowed: list[tuple[Path, int]] = []
        """Paths of given sockets: not ours to remove as long as the giver may go on with them."""

    @classmethod
    def open(
        cls, names: tuple[str, ...], slots: int, *, shared: bool = False, given: Gifts | None = None
    ) -> "Listeners":
        """Sockets for ``names`` (``HOST:PORT``, IPv6 in brackets, or ``unix:/PATH``), one set per worker slot.

        TCP sockets made here are bound but do not listen yet: that is the worker's first act once it can answer.
        ``shared`` says that workers of an earlier supervisor may still serve these addresses; what was ``given`` is
        used before anything is made. Raises ListenError; then nothing is left open.
        """
        made, gifts = cls([[] for _ in range(slots)], []), given or Gifts()
        try:
            for name in names:
                if name.startswith(UNIX_PREFIX):
                    made._add_unix(name, gifts, shared=shared)
                else:
                    made._add_tcp(name, gifts, shared=shared)
        except BaseException:
            made.close()
            raise
        return made

    def slot(self, index: int) -> list[Endpoint]:
        """The sockets a worker in this slot inherits, in the order of the file."""
        return list(self._slots[index])

    @property
    def addresses(self) -> list[str]:
        """Where it really listens, for people and logs."""
        return [endpoint.address for endpoint in self._slots[0]] if self._slots else []

    def given(self) -> list[Given]:
        """Every socket as a successor gets it."""
        inodes = {f"{UNIX_PREFIX}{path}": inode for path, inode in (*self._paths, *self._borrowed)}
        return [
            Given(each.sock, each.name, each.name, index, each.lent, inodes.get(each.name, 0))
            for index, endpoints in enumerate(self._slots)
            for each in endpoints
        ]

    def keep(self) -> None:
        """What was given is ours for good: whoever gave it has left."""
        self._paths += self._borrowed
        self._borrowed = []

    def hand_over(self, taken: set[tuple[str, int]]) -> None:
        """Close the supervisor's copies; the paths of sockets that a successor took over stay."""
        names = {name for name, _ in taken}
        self._paths = [(path, inode) for path, inode in self._paths if f"{UNIX_PREFIX}{path}" not in names]
        self.close()

    def close(self) -> None:
        """Close the supervisor's copies and remove our unix paths. A worker's own copies live on until it drains."""
        for path, inode in self._paths:
            # Only what we made: a successor may have put its own socket there already.
            with contextlib.suppress(OSError):
                if path.lstat().st_ino == inode:
                    path.unlink()
        self._paths.clear()
        self._borrowed.clear()
        for endpoints in self._slots:
            for endpoint in endpoints:
                endpoint.sock.close()
            endpoints.clear()

    def _add_tcp(self, name: str, gifts: Gifts, *, shared: bool) -> None:
        family, address = _resolve(name)
        given = gifts.tcp(name, family, address, len(self._slots))
        first = min(given.items())[1] if given else None
        if first is not None:
            address = first.sock.getsockname()
        elif not shared and not gifts.ours(address[1]):
            _bind(name, family, address, reuse_port=False).close()
        for index, endpoints in enumerate(self._slots):
            lent = False
            if (here := given.pop(index, None)) is not None:
                sock, lent = here.sock, here.lent
            elif first is not None and not first.sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
                # No second socket can stand beside this one, so all workers accept from it.
                sock, lent = first.sock.dup(), first.lent
            else:
                sock = _bind(name, family, address, reuse_port=True)
            # With port 0 the kernel chose one; the other slots must join it there.
            address = sock.getsockname()
            endpoints.append(Endpoint(name, _text(family, address), sock, lent))

    def _add_unix(self, name: str, gifts: Gifts, *, shared: bool) -> None:
        path = Path(name.removeprefix(UNIX_PREFIX))
        given = gifts.unix(name, path)
        lent = given is not None and given.lent
        if given is None:
            sock = self._make_unix(name, path, shared=shared)
        else:
            sock = given.sock
            if not lent:
                self._borrowed.append((path, given.inode))
        for index, endpoints in enumerate(self._slots):
            endpoints.append(Endpoint(name, name, sock if index == 0 else sock.dup(), lent))
        if not self._slots:
            sock.close()

    def _make_unix(self, name: str, path: Path, *, shared: bool) -> socket.socket:
        _refuse_occupied(name, path, shared=shared)
        # Bound beside its place and then renamed onto it: there is no moment in which a client finds no socket, and
        # what a killed process left there is replaced in the same step.
        fresh = path.with_name(path.name + ".new")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            fresh.unlink(missing_ok=True)
            sock.bind(str(fresh))
            # As other proxies do: who may reach the socket is decided by its directory.
            fresh.chmod(0o666)
            sock.listen(UNIX_BACKLOG)
            self._paths.append((path, fresh.stat().st_ino))
            fresh.rename(path)
        except OSError as error:
            sock.close()
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise ListenError(_explain(name, error)) from error
        return sock


def _resolve(name: str) -> tuple[socket.AddressFamily, tuple[str, int]]:
    host, _, port = name.rpartition(":")
    try:
        found = socket.getaddrinfo(
            host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, ValueError) as error:
        raise ListenError(
            f"cannot listen on {name}: the host is not known here ({error}); write an address of this machine, "
            "0.0.0.0 or [::] for all"
        ) from error
    # A name with several addresses (localhost) means the first, as getaddrinfo orders them; who wants both lists both.
    family, _, _, _, address = found[0]
    return family, (str(address[0]), int(address[1]))


def _bind(name: str, family: socket.AddressFamily, address: tuple[str, int], *, reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # Without it a restart fails for a minute on connections in TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # [::] and 0.0.0.0 are two addresses and may be listed together, whatever net.ipv6.bindv6only says.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address[:2])
    except OSError as error:
        sock.close()
        raise ListenError(_explain(name, error)) from error
    return sock


def _refuse_occupied(name: str, path: Path, *, shared: bool) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ListenError(_explain(name, error)) from error
    if not stat.S_ISSOCK(mode):
        raise ListenError(
            f"cannot listen on {name}: a file that is no socket is there; move it away or name another path"
        )
    if not shared and unix_answers(path):
        raise ListenError(f"cannot listen on {name}: another program listens there; stop it or name another path")


def unix_answers(path: Path) -> bool:
    """Whether somebody listens on this unix socket; a socket file left behind by a killed process refuses."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        # Never blocks: a full backlog answers EAGAIN at once, and means that somebody is there.
        client.setblocking(False)
        return client.connect_ex(os.fspath(path)) not in {errno.ECONNREFUSED, errno.ENOENT}


def _text(family: socket.AddressFamily, address: tuple[str, int]) -> str:
    return f"[{address[0]}]:{address[1]}" if family == socket.AF_INET6 else f"{address[0]}:{address[1]}"


def _explain(name: str, error: OSError) -> str:
    ways = {
        errno.EADDRINUSE: "another program uses this port; stop it (`ss -ltnp` shows it) or name another port",
        errno.EADDRNOTAVAIL: "this machine has no such address; name one of its own, 0.0.0.0 or [::] for all",
        errno.EACCES: "not allowed; ports below 1024 need CAP_NET_BIND_SERVICE, a socket's directory must be writable",
        errno.EPERM: "not allowed here; name another address",
        errno.ENOENT: "its directory does not exist; make it or name another path",
        errno.ENAMETOOLONG: "the path is too long; a unix socket's path has at most 107 bytes",
        errno.EAFNOSUPPORT: "this machine does not speak this address family; name an IPv4 address",
        errno.EMFILE: "too many open files; raise the limit (`ulimit -n`)",
    }
    way = ways.get(error.errno or 0)
    if way is None:
        # Python itself refuses over-long unix paths, without an errno.
        way = f"{error}; name another address" if error.errno else ways[errno.ENAMETOOLONG]
    return f"cannot listen on {name}: {way}"
