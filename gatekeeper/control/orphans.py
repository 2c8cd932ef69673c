"""Workers that outlived their supervisor: found again through a small table beside the state.

A worker whose supervisor was killed serves on by its last revision. The next supervisor on the same state starts its
own workers beside them (SO_REUSEPORT lets both accept), and then asks the old ones to drain. Pids are reused, so a
recorded pid counts only with the same start time and a worker's command line, and is signalled through a pidfd.
"""

import asyncio
import json
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WORKER_MODULE: Final = "gatekeeper.dataplane.worker"

MAX_RECORDED: Final = 4096
"""More workers than any machine has; a longer table is not ours."""

_LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Identity:
    """One process for sure: ``started`` is field 22 of /proc/PID/stat, in clock ticks since the machine's boot."""

    pid: int
    started: int


def identify(pid: int) -> Identity | None:
    """Who has this pid now; None if nobody."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        # The command name may hold spaces and parentheses; the fields after it cannot.
        fields = text.rpartition(")")[2].split()
        return None if fields[0] in {"Z", "X"} else Identity(pid, int(fields[19]))
    except (OSError, ValueError, IndexError):
        return None


class WorkerTable:
    """The file ``<state>.workers``: pid and start time of every worker of this supervisor.

    Rewritten on each change, and gone when there is none.
    """

    def __init__(self, path: Path, marker: str = WORKER_MODULE) -> None:
        """``marker`` is an argument that a worker's command line has and no other program's."""
        self._path = path
        self._marker = marker

    def record(self, pids: Iterable[int], kept: Iterable[Identity] = ()) -> None:
        """Remember these workers, and orphans that are not gone yet. Raises OSError."""
        known = [found for pid in pids if (found := identify(pid)) is not None]
        known += [orphan for orphan in kept if self._lives(orphan)]
        if not known:
            self._path.unlink(missing_ok=True)
            return
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_text(json.dumps({"workers": [[one.pid, one.started] for one in known]}), encoding="utf-8")
        # Renamed, so that a reader finds the old table or the new one whole. Not synced: after a crash of the machine
        # there are no workers left either.
        fresh.replace(self._path)

    def survivors(self) -> list[Identity]:
        """Recorded workers that still run. An absent or damaged table means none."""
        try:
            entries = json.loads(self._path.read_text(encoding="utf-8"))["workers"][:MAX_RECORDED]
            recorded = [Identity(int(pid), int(started)) for pid, started in entries]
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return [one for one in recorded if self._lives(one)]

    async def end(self, orphans: Iterable[Identity], seconds: float, settle: float = 5.0) -> list[Identity]:
        """Ask the orphans to drain, and give them ``settle`` seconds to close what is idle.

        Whoever still finishes requests then is returned; ``reap`` ends it when its time (``seconds``) is over.
        """
        waiting = [one for one in orphans if self._signal(one, signal.SIGTERM)]
        return await self._gone(waiting, min(settle, seconds))

    async def reap(self, orphans: Iterable[Identity], seconds: float) -> int:
        """Wait up to ``seconds`` for orphans to finish, then kill the rest. Returns how many had to be killed."""
        left = await self._gone(list(orphans), seconds)
        return sum(self._signal(one, signal.SIGKILL) for one in left)

    async def _gone(self, waiting: list[Identity], seconds: float) -> list[Identity]:
        # They are not our children, so nothing tells us of their end; looking is cheap and they are few.
        waiting = [one for one in waiting if self._lives(one)]
        for _ in range(int(seconds / _LOOK_SECONDS)):
            if not waiting:
                break
            await asyncio.sleep(_LOOK_SECONDS)
            waiting = [one for one in waiting if self._lives(one)]
        return waiting

    def _lives(self, one: Identity) -> bool:
        if identify(one.pid) != one:
            return False
        try:
            arguments = Path(f"/proc/{one.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return self._marker.encode() in arguments

    def _signal(self, one: Identity, number: signal.Signals) -> bool:
        try:
            handle = os.pidfd_open(one.pid)
        except OSError:
            return False
        try:
            # Checked after the handle is ours: from here on the pid cannot pass to another process unnoticed.
            if not self._lives(one):
                return False
            signal.pidfd_send_signal(handle, number)
        except OSError:
            return False
        else:
            return True
        finally:
            os.close(handle)
