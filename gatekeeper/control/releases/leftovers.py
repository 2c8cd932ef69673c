"""Programs of checks that outlived a killed supervisor: noted while they run, so that the next one can end them.

The next one makes the same checks again, and two of one kind at once (a migration, say) could do harm. A process cannot
be known by what it is, since a check may run anything; so its number and its start are written into a small file beside
the state file, one for each supervisor, which that one holds a lock on. A file that nobody has locked is of a dead one.
"""

import fcntl
import logging
import os
import signal
import threading
from pathlib import Path
from typing import Final

from gatekeeper.control.fleet.orphans import Identity, identify

log = logging.getLogger("gatekeeper.release")

_BYTES: Final = 64 * 1024
"""Of a file that is read: more than two thousand programs, of which a supervisor runs a few dozen."""


class Leftovers:
    """Calls may block for as long as the disk does, so they are made in threads. None of them fails."""

    def __init__(self, state_path: str) -> None:
        self._state = state_path
        self._path = Path(f"{state_path}.checks-{os.getpid()}")
        self._running: dict[int, Identity] = {}
        self._file: int | None = None
        self._lock = threading.Lock()

    def note(self, pid: int) -> None:
        """This program runs; it has a session of its own."""
        found = identify(pid)
        if found is not None:
            with self._lock:
                self._running[pid] = found
                self._write()

    def forget(self, pid: int) -> None:
        with self._lock:
            if self._running.pop(pid, None) is not None:
                self._write()

    def end_earlier(self) -> int:
        """End all that dead supervisors of this state file left behind. Returns how many were found."""
        found = 0
        for path in Path(self._state).parent.glob(f"{Path(self._state).name}.checks-*"):
            try:
                found += _end_of(path) if path != self._path else 0
            except (OSError, ValueError) as error:
                log.warning("programs of earlier checks may run", extra={"file": str(path), "reason": str(error)})
        return found

    def _write(self) -> None:
        try:
            if not self._running:
                self._remove()
                return
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            text = "".join(f"{one.pid} {one.started}\n" for one in self._running.values()).encode()
            # Killed between the two, it names some that ended: they are recognised by their start.
            os.pwrite(self._file, text, 0)
            os.ftruncate(self._file, len(text))
        except OSError as error:
            log.warning("programs of checks are not noted", extra={"file": str(self._path), "reason": str(error)})

    def _remove(self) -> None:
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None


def _end_of(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # its supervisor lives, as one does that hands over
        lines = [line.split() for line in os.pread(handle, _BYTES, 0).decode("ascii").splitlines()]
        found = sum(_end(Identity(int(pid), int(started))) for pid, started in lines)
        path.unlink(missing_ok=True)
        return found
    finally:
        os.close(handle)


def _end(one: Identity) -> bool:
    """End a program and all it started, if it still is that one."""
    try:
        handle = os.pidfd_open(one.pid)
    except OSError:
        return False
    try:
        # Checked after the handle is ours: from here on the number cannot pass to another process unnoticed.
        if identify(one.pid) != one or os.getpgid(one.pid) != one.pid:
            return False
        os.killpg(one.pid, signal.SIGKILL)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(handle)
