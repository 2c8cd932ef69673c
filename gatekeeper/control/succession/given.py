"""Listening sockets that somebody else made: the program before this one, or the service manager.

A given socket is worth more than one we could make: clients already wait in its queue. So every address of the file
looks here first, and only what nobody gave is opened anew.

``lent`` sockets (the service manager's) live on when we end. Nothing may be done to them that outlasts us: no filter
(``dataplane.leaving``), no removal of their paths.
"""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Given:
    """``label`` is what messages call it. ``name`` is what the file of the program before called it, empty for the
    service manager's; ``slot`` the worker slot it was for. ``inode`` is that of a unix socket's path, 0 for others.
    """

    sock: socket.socket
    label: str
    name: str = ""
    slot: int = 0
    lent: bool = False
    inode: int = 0


class Gifts:
    """All given sockets. What is taken belongs to the taker; ``close`` ends the rest."""

    def __init__(self, given: Iterable[Given] = ()) -> None:
        self._left = list(given)
        self._ports = {_port(each.sock) for each in self._left} - {0}
        self.taken: set[tuple[str, int]] = set()
        """Name and slot, in the giver's words, of what was taken."""

    def tcp(self, name: str, family: socket.AddressFamily, address: tuple[str, int], slots: int) -> dict[int, Given]:
        """The sockets of a TCP address for worker slots 0..``slots``-1, empty if none was given.

        A name counts before an address: ``:0`` goes on where it was.
        """
        found = [each for each in self._left if each.name == name] or [
            each for each in self._left if each.sock.family == family and each.sock.getsockname()[:2] == address
        ]
        # Two of one slot can only be one address listed twice; the second waits for its own turn.
        by_slot = {each.slot: each for each in reversed(found) if each.slot < slots}
        for each in by_slot.values():
            self._take(each)
        return by_slot

    def unix(self, name: str, path: Path) -> Given | None:
        """The socket of a unix path. One whose path is gone or somebody else's by now is not it."""
        found = [
            each
            for each in self._left
            if each.sock.family == socket.AF_UNIX
            and (each.name == name or (not each.name and os.fsdecode(each.sock.getsockname()) == str(path)))
            and (each.lent or inode_of(path) == each.inode)
        ]
        for each in found:
            self._take(each)
        for copy in found[1:]:  # all slots share one socket
            copy.sock.close()
        return found[0] if found else None

    def ours(self, port: int) -> bool:
        """Whether whoever listens at ``port`` are we: the program before this one, or the service manager for us."""
        return port in self._ports

    @property
    def left(self) -> list[Given]:
        """What nobody has taken."""
        return list(self._left)

    def close(self) -> None:
        """Close what nobody has taken."""
        for each in self._left:
            each.sock.close()
        self._left.clear()

    def _take(self, given: Given) -> None:
        self._left = [each for each in self._left if each is not given]
        self.taken.add((given.name, given.slot))


def inode_of(path: Path) -> int:
    """The inode behind a path itself, 0 if there is none."""
    try:
        return path.lstat().st_ino
    except OSError:
        return 0


def _port(sock: socket.socket) -> int:
    return int(sock.getsockname()[1]) if sock.family in {socket.AF_INET, socket.AF_INET6} else 0
