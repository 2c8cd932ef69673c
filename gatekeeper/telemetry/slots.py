"""Which (service, version) counts in which slot of the blocks.

The supervisor alone assigns slots and sends them down with the state; every version has a number of its own. It keeps
it for as long as it exists, and afterwards until the slot is needed: a version that returns goes on from its old
counts. A retired slot is taken again only when the block is full, the longest retired first, and only when no request
is in flight in it (``reusable`` finds out, and clears it in every block).

With no slot left a version gets a number beyond the block. It is served as any other, and the recorder counts it under
OVERFLOW, where its numbers are mixed with others': bounded memory, nothing lost, and visibly so.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Final

from gatekeeper.telemetry.block import FIRST_SLOT, NO_SERVICE, OVERFLOW

CAPACITY: Final = 512
"""Slots of a block unless told otherwise: 510 versions, 4.1 MiB of address space per worker, resident only where
something was counted."""

Name = tuple[str, str]
"""(service, version)."""

NO_SERVICE_NAME: Final[Name] = ("", "")
OVERFLOW_NAME: Final[Name] = ("", "overflow")
"""No service has an empty name, so this is nobody's."""


class Slots:
    """``reusable(slot)`` clears a retired slot and returns True, or False while requests are in flight in it."""

    def __init__(self, capacity: int = CAPACITY, reusable: Callable[[int], bool] | None = None) -> None:
        self._capacity = capacity
        self._reusable = reusable or (lambda _slot: False)
        self._slots: dict[Name, int] = {}
        self._retired: dict[Name, None] = {}  # longest retired first
        self._unused = FIRST_SLOT

    def restore(self, names: Mapping[int, Name]) -> None:
        """Go on with the slots of an earlier program (``names()`` there), all of them retired until they are assigned.

        To be called first. What this block has no room for is left out.
        """
        for slot, name in sorted(names.items()):
            if FIRST_SLOT <= slot < self._capacity and name not in self._slots:
                self._slots[name] = slot
                self._retired[name] = None
                self._unused = max(self._unused, slot + 1)

    def assign(self, existing: Iterable[Name]) -> dict[str, dict[str, int]]:
        """Slots for all versions of a state about to be published: service -> version -> slot.

        What is not named is retired, and its slot can be taken from the next call on: until the workers have this
        state they still count there.
        """
        wanted = dict.fromkeys(existing)
        for name in wanted:
            self._retired.pop(name, None)
        for name in [name for name in self._retired if self._slots[name] >= self._capacity]:
            self._forget(name)
        found: dict[str, dict[str, int]] = {}
        for name in wanted:
            if name not in self._slots:
                self._slots[name] = self._free()
            found.setdefault(name[0], {})[name[1]] = self._slots[name]
        for name in self._slots:
            if name not in wanted:
                self._retired.setdefault(name)
        return found

    def _free(self) -> int:
        if self._unused < self._capacity:
            self._unused += 1
            return self._unused - 1
        for name in self._retired:
            slot = self._slots[name]
            if self._reusable(slot):
                self._forget(name)
                return slot
        taken = set(self._slots.values())
        return next(slot for slot in count(self._capacity) if slot not in taken)

    def _forget(self, name: Name) -> None:
        del self._retired[name], self._slots[name]

    def slot(self, service: str, version: str) -> int | None:
        """Where a version counts; None where the block has no room for it, or nobody has named it."""
        found = self._slots.get((service, version))
        return found if found is not None and found < self._capacity else None

    def names(self) -> Mapping[int, Name]:
        """Slot of the block -> (service, version), retired ones included, and the two that are no version's."""
        own = {slot: name for name, slot in self._slots.items() if slot < self._capacity}
        return {NO_SERVICE: NO_SERVICE_NAME, OVERFLOW: OVERFLOW_NAME} | own
