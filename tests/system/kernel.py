"""What the kernel knows about processes and connections: witnesses that do not depend on gatekeeper's word."""

import contextlib
from pathlib import Path
from typing import NamedTuple

ESTABLISHED, LISTEN = "01", "0A"


class Socket(NamedTuple):
    """One line of /proc/net/tcp (proc(5)); ports as numbers."""

    local: int
    remote: int
    state: str
    inode: int


def sockets():
    """All TCP sockets of this machine over IPv4."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(address.rpartition(":")[2], 16) for address in fields[1:3])
        yield Socket(local, remote, fields[3], int(fields[9]))


def inodes(pid):
    """The sockets a process holds."""
    found = set()
    with contextlib.suppress(FileNotFoundError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                kind, _, number = str(path.readlink()).partition(":")
                if kind == "socket":
                    found.add(int(number.strip("[]")))
    return found


def accepted(pid, port):
    """The clients' ports of the connections this process has accepted on ``port``."""
    held = inodes(pid)
    return {each.remote for each in sockets() if (each.local, each.state) == (port, ESTABLISHED) and each.inode in held}


def dialled(pid, port):
    """The ports from which this process is connected to ``port``."""
    held = inodes(pid)
    return {each.local for each in sockets() if (each.remote, each.state) == (port, ESTABLISHED) and each.inode in held}


def listeners(pid, port):
    """The inodes of the sockets on which this process listens at ``port``."""
    held = inodes(pid)
    return {each.inode for each in sockets() if (each.local, each.state) == (port, LISTEN) and each.inode in held}


def gone(pid):
    """Whether no instruction of this process runs any more; a zombie counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
