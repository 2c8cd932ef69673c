"""What was read before need not be read again: the same bytes have the same meaning.

Clients, front proxies and servers repeat themselves. One look-up (0.2 us for 500 bytes) then spares the 2 to 6 us of
reading. Bounded by two generations, of which the older is forgotten when the younger is full: what is in use comes
back from it, a flood of new bytes costs what reading them costs.

Only what comes a second time is kept. Heads that never repeat would else push out those that do, and each of them would
be written to memory that no cache of the processor holds: 5 % of such a request.
"""

from typing import Generic, TypeVar

Reading = TypeVar("Reading")

MAX_ENTRIES = 1024
MAX_LENGTH = 2048
"""Longer bytes are not kept: 2 * 1,024 entries of 2 KiB, and what was read from them, are 10 MiB at the most."""
MAX_MARKS = 2048
"""Of bytes that came once the hash is known, of so many: 150 KiB. What repeats may stay away as long as that."""


class Returning:
    """Tells what comes again from what never does, with a hash that nobody outside can foresee."""

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        self._marks: set[int] = set()

    def again(self, key: bytes) -> bool:
        """Whether this was asked before, lately."""
        mark = hash(key)
        if mark in self._marks:
            return True
        if len(self._marks) >= MAX_MARKS:
            self._marks.clear()
        self._marks.add(mark)
        return False


class Memory(Generic[Reading]):
    """Readings by the bytes they were read from. What is kept must not change."""

    __slots__ = ("_older", "_returning", "known")

    def __init__(self) -> None:
        self.known: dict[bytes, Reading] = {}
        """The younger generation; looked up directly where every call counts, written by ``keep`` only."""
        self._older: dict[bytes, Reading] = {}
        self._returning = Returning()

    def recall(self, key: bytes) -> Reading | None:
        """What was read from these bytes, if it is still known."""
        reading = self.known.get(key)
        if reading is None:
            reading = self._older.get(key)
            if reading is not None:
                self._keep(key, reading)
        return reading

    def keep(self, key: bytes, reading: Reading) -> bool:
        """Keep what was read from these bytes, if they come again; whether that was done."""
        if len(key) > MAX_LENGTH or not self._returning.again(key):
            return False
        self._keep(key, reading)
        return True

    def _keep(self, key: bytes, reading: Reading) -> None:
        if len(self.known) >= MAX_ENTRIES:
            self._older, self.known = self.known, {}
        self.known[key] = reading

    def forget(self) -> None:
        self.known, self._older = {}, {}
