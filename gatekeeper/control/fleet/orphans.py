"""Workers that outlived their supervisor: found again by their command lines.

A worker whose supervisor was killed serves on by its last revision. The next supervisor on the same state starts its
own workers beside them (SO_REUSEPORT lets both accept), and then asks the old ones to drain: one that was overlooked
would route by the past for ever. So each worker says on its command line which supervisor started it and for which
state file, and the kernel says whose child it is now. No file has to be written for that, which could fail just then.
Pids are reused, so one counts only with its start time and a worker's command line, and is signalled through a pidfd.
"""

import asyncio
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WORKER_MODULE: Final = "gatekeeper.dataplane.worker"

LEAVE: Final = signal.SIGUSR1
"""What tells a worker without a supervisor to drain and to leave its listening sockets to others."""

_NAME: Final = "gatekeeper"
_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Identity:
    """One process for sure: ``started`` is field 22 of /proc/PID/stat, in clock ticks since the machine's boot."""

    pid: int
    started: int


def identify(pid: int) -> Identity | None:
    """Who has this pid now; None if nobody."""
    try:
        fields = _fields(pid)
        return None if fields[0] in {"Z", "X"} else Identity(pid, int(fields[19]))
    except (OSError, ValueError, IndexError):
        return None


def _fields(pid: int) -> list[str]:
    """/proc/PID/stat from the third field on: state, parent, ...; raises OSError."""
    # The command name may hold spaces and parentheses; the fields after it cannot.
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def _arguments(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def mark(state_path: str) -> str:
    """What the command line of a worker has that this very process starts for that state file, after ``-X``."""
    return f"{_NAME}={os.getpid()}:{state_path}"


class Orphans:
    """The workers of earlier supervisors of one state file."""

    def __init__(self, state_path: str, marker: str = WORKER_MODULE) -> None:
        """``marker`` is an argument that a worker's command line has and no other program's."""
        self._path = state_path
        self._marker = marker

    def found(self) -> list[Identity]:
        """Every one that runs, whoever started it. Those whose supervisor lives are its own business."""
        numbers = (path.name for path in Path("/proc").iterdir() if path.name.isdigit())
        return [one for number in numbers if (one := self._orphan(int(number))) is not None]

    def _orphan(self, pid: int) -> Identity | None:
        try:
            arguments = _arguments(pid)
            if self._marker.encode() not in arguments or Path(f"/proc/{pid}").stat().st_uid != os.geteuid():
                return None
            names = [each.partition(b"=") for each in arguments]
            marks = [value.partition(b":") for name, _, value in names if name == _NAME.encode()]
            ours = [int(parent) for parent, _, path in marks if path == os.fsencode(self._path)]
            return identify(pid) if ours and int(_fields(pid)[1]) not in ours else None
        except (OSError, ValueError, IndexError):
            return None  # it ended just now, or is none of ours

    async def end(
        self, orphans: Iterable[Identity], seconds: float, settle: float = 5.0, *, shared: bool = False
    ) -> list[Identity]:
        """Ask the orphans to drain, and give them ``settle`` seconds to close what is idle.

        ``shared`` says that others accept from the very sockets they have. Whoever still finishes requests then is
        returned; ``reap`` ends it when its time (``seconds``) is over.
        """
        waiting = [one for one in orphans if self._signal(one, LEAVE if shared else signal.SIGTERM)]
        return await self._gone(waiting, min(settle, seconds))

    async def reap(self, orphans: Iterable[Identity], seconds: float) -> int:
        """Wait up to ``seconds`` for orphans to finish, then kill the rest. Returns how many had to be killed."""
        left = await self._gone(list(orphans), seconds)
        return sum(self._signal(one, signal.SIGKILL) for one in left)

    async def _gone(self, waiting: list[Identity], seconds: float) -> list[Identity]:
        # They are not our children, so nothing tells us of their end; looking is cheap and they are few.
        waiting = [one for one in waiting if self.lives(one)]
        for _ in range(int(seconds / _LOOK_SECONDS)):
            if not waiting:
                break
            await asyncio.sleep(_LOOK_SECONDS)
            waiting = [one for one in waiting if self.lives(one)]
        return waiting

    def lives(self, one: Identity) -> bool:
        """Whether this worker still runs."""
        if identify(one.pid) != one:
            return False
        try:
            return self._marker.encode() in _arguments(one.pid)
        except OSError:
            return False

    def _signal(self, one: Identity, number: signal.Signals) -> bool:
        try:
            handle = os.pidfd_open(one.pid)
        except OSError:
            return False
        try:
            # Checked after the handle is ours: from here on the pid cannot pass to another process unnoticed.
            if not self.lives(one):
                return False
            signal.pidfd_send_signal(handle, number)
        except OSError:
            return False
        else:
            return True
        finally:
            os.close(handle)
