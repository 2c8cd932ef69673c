"""``gatekeeper`` with clocks that a test sets: ``python -m tests.system.clocked FILE serve --config ...``.

FILE holds two doubles: how many seconds the steady and the wall clock of the supervisor are ahead of the machine's.
What a plan counts in hours passes in a moment then, in real processes. Sockets and timeouts go by the machine's time.
"""

import mmap
import struct
import sys
import time
from pathlib import Path

AHEAD = struct.Struct("dd")


def follow(path):
    """From now on, the clocks are ahead by what stands in the file."""
    from gatekeeper.clock import SystemClock

    with Path(path).open("rb") as file:
        ahead = mmap.mmap(file.fileno(), AHEAD.size, prot=mmap.PROT_READ)
    SystemClock.monotonic = lambda _: time.monotonic() + AHEAD.unpack_from(ahead)[0]
    SystemClock.wall = lambda _: time.time() + AHEAD.unpack_from(ahead)[1]


class Clocks:
    """The test's end of the file."""

    def __init__(self, path):
        self.path = path
        self._steady = self._wall = 0.0
        path.write_bytes(AHEAD.pack(0.0, 0.0))

    @property
    def program(self):
        """The command that runs gatekeeper with these clocks."""
        return [sys.executable, "-m", "tests.system.clocked", str(self.path)]

    def wall(self):
        return time.time() + self._wall

    def pass_(self, seconds):
        """Let time go by."""
        self._put(self._steady + seconds, self._wall + seconds)

    def until(self, wall):
        """Let time go by until that wall second."""
        self.pass_(wall - self.wall())

    def set_wall(self, wall):
        """Set the wall clock, as an administrator does: no time passes."""
        self._put(self._steady, wall - time.time())

    def _put(self, steady, wall):
        self._steady, self._wall = steady, wall
        with self.path.open("r+b") as file:  # in place: the program has it mapped
            file.write(AHEAD.pack(steady, wall))


if __name__ == "__main__":
    from gatekeeper.interface.cli import main

    follow(sys.argv.pop(1))
    main()
