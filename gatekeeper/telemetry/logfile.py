"""Where lines of a log go: standard output, or a file that is opened anew when somebody has moved it away."""

import os
import select
from typing import Final

MODE: Final = 0o640
"""Of a file that is made here: its group may read it, as with other servers' logs; addresses are nobody else's."""

# Several workers append to one file: with O_APPEND each write lands behind the one before, whole. Not waiting, as a
# pipe without a reader would otherwise hold up whoever opens it.
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class LogFile:
    """``write`` and ``reopen`` belong to one thread; both may block. At first lines go to the descriptor ``fd``."""

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd
        self._opened = False
        self._torn = False
        """The last line is not whole: the disk was full in the middle of it."""

    def write(self, data: bytes) -> None:
        """All of ``data``, whole lines, also where someone made the descriptor non-blocking. Raises OSError."""
        if self._torn:
            data = b"\n" + data
        rest = memoryview(data)
        try:
            while rest:
                try:
                    rest = rest[os.write(self._fd, rest) :]
                except BlockingIOError:
                    poll = select.poll()
                    poll.register(self._fd, select.POLLOUT)
                    poll.poll()
        except OSError:
            self._torn = self._torn or 0 < len(rest) < len(data)
            raise
        self._torn = False

    def reopen(self, path: str) -> None:
        """Write to the file at ``path`` from now on. Raises OSError, and then goes on with what was there before."""
        fd = os.open(path, _FLAGS, MODE)
        self.close()
        self._fd, self._opened, self._torn = fd, True, False

    def close(self) -> None:
        """Close what was opened here; standard output is others', too."""
        if self._opened:
            os.close(self._fd)
            self._fd, self._opened = 1, False


def why_not(path: str, error: OSError) -> str:
    """What to tell of a file that cannot be opened."""
    return f"{path}: cannot be opened for writing: {error.strerror or error}"
