"""The memory of units of one case: a file that the workers map to read, and this process to write.

It is written as memory, so that a kill loses nothing of it. All of its blocks are taken when it is made: memory behind
which a full disk has no room would end this process with SIGBUS.
"""

import contextlib
import mmap
import os
import struct
from pathlib import Path
from typing import Final

from gatekeeper.core.judge.units import SIZE

_LAST: Final = struct.Struct("<q")
WHOLE: Final = SIZE + _LAST.size
"""Bytes: the units, then the last second that was handed on, for whoever finds the file after a kill."""


class Memory:
    """``view`` is what ``Units`` works on. ``path`` is None for one that ends with this process."""

    def __init__(self, mapped: mmap.mmap, path: str | None) -> None:
        self._mapped = mapped
        self.path = path
        self.view = memoryview(mapped)[:SIZE]

    @classmethod
    def create(cls, path: str) -> "Memory":
        """An empty one, in the place of what was there. Raises OSError; nothing is then left behind."""
        # Whoever has the former one mapped keeps it: a new file, not the old one emptied under them.
        Path(path).unlink(missing_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, WHOLE)
            made = cls(mmap.mmap(handle, WHOLE), path)
        except OSError:
            with contextlib.suppress(OSError):
                Path(path).unlink()
            raise
        finally:
            os.close(handle)
        made.last = -1
        return made

    @classmethod
    def open(cls, path: str) -> "Memory | None":
        """The one that is there; None for none, or one that is not whole."""
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            if os.fstat(handle).st_size != WHOLE:
                return None
            os.posix_fallocate(handle, 0, WHOLE)  # a copy that was restored may have holes
            return cls(mmap.mmap(handle, WHOLE), path)
        except (OSError, ValueError):
            return None
        finally:
            os.close(handle)

    @classmethod
    def private(cls) -> "Memory":
        """An empty one without a file."""
        made = cls(mmap.mmap(-1, WHOLE), None)
        made.last = -1
        return made

    @property
    def last(self) -> int:
        """The last second that was handed on; -1 before the first."""
        return int(_LAST.unpack_from(self._mapped, SIZE)[0])

    @last.setter
    def last(self, second: int) -> None:
        _LAST.pack_into(self._mapped, SIZE, second)

    def flush(self) -> None:
        """Return when it is on disk as it was at the call, or newer; blocks. Raises OSError."""
        if self.path is not None:
            self._mapped.flush()

    def remove(self) -> None:
        """Remove the file; whoever has it mapped may go on. Never fails."""
        if self.path is not None:
            with contextlib.suppress(OSError):
                Path(self.path).unlink(missing_ok=True)
