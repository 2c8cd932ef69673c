"""What is remembered of units (users) during one release, in a fixed piece of memory that processes can share.

Where labels stick to units, a unit's label is one coin. It may be bet on once: errors at the unit's first error,
everything else at its first request. So both have to be remembered, for millions of units, beyond a restart, and where
workers can look: a first-request bit that is set need not be sent up again.

    bytes                what
    0 .. 131,071         2**20 first-request bits; a unit's is number ``unit % 2**20``
    131,072 ..           2**17 slots of 8 bytes; a unit's is number ``unit % 2**17``
    1,179,648 ..         one page: what it is, the highest weight so far, and the weights that slots refer to

A unit is the 32-bit hash that the split draws by, which has a new salt in each release. Its *high* bits tell the label,
so places go by the *low* ones: whoever finds a place taken is left out whatever the label is. That costs power, never
validity. A slot holds the whole hash, and what has another hash is never taken for the same unit.

A slot is four bytes of hash, then one byte each: the weight at which the unit failed on stable (``_NEVER``: its label
is known for good; 0: no error was bet on), the highest weight of the release by then, and a bit for each route on which
it has failed. Weights are numbers in the table of the last page. Integers are in the machine's own order: the file
never leaves it. One writer; a reader may see any moment of it. Each write is of eight bytes at most, so a killed writer
leaves a memory that is whole and at most a step ahead of what was judged (then a coin is lost, which is fair).
"""

from collections.abc import Sequence
from typing import Final

DRAWS: Final = 2**20
"""A million users can be told apart by their first request; half are left out where there are 700,000."""
FAILURES: Final = 2**17
WEIGHTS_MOST: Final = 254
"""Weights at which units failed. Releases have a handful; a unit that fails at a later one never gets a fresh coin."""

_BITS_END: Final = DRAWS // 8
_SLOTS_END: Final = _BITS_END + 8 * FAILURES
SIZE: Final = _SLOTS_END + 4096
"""Bytes."""
_MAGIC: Final = int.from_bytes(b"gkunits1", "little")
_NEVER: Final = 255
_MIXED: Final = 1 << 16
"""Of the flags, whose low bits count the weights of the table."""

Coin = tuple[float, bool]
"""With which probability a label was drawn, and whether anew (``Cell.fresh``)."""


def first_seen(view: memoryview, unit: int) -> bool:
    """Whether a first request of the unit was counted, by the memory mapped at ``view``. For workers, who only read."""
    place = unit & (DRAWS - 1)
    return bool(view[place >> 3] >> (place & 7) & 1)


class Units:
    """The writer's end, over a buffer of at least SIZE bytes. Raises ValueError for one that is shorter, or holds no
    memory of units: ``begin`` makes one.
    """

    __slots__ = ("_bits", "_drawn", "_failed", "_floats", "_known", "_numbers", "_slots")

    def __init__(self, buffer: bytearray | memoryview) -> None:
        whole = memoryview(buffer)
        if len(whole) < SIZE:
            raise ValueError(f"a memory of units has {SIZE:,} bytes; this one has {len(whole):,}")
        self._bits = whole[:_BITS_END]
        self._slots: memoryview[int] = whole[_BITS_END:_SLOTS_END].cast("Q")
        self._numbers: memoryview[int] = whole[_SLOTS_END : _SLOTS_END + 16].cast("Q")
        """What it is; flags."""
        self._floats: memoryview[float] = whole[_SLOTS_END + 16 : SIZE].cast("d")
        """The highest weight; the table."""
        if self._numbers[0] != _MAGIC:
            self.close()
            raise ValueError("no memory of units: its mark is missing")
        count = self._numbers[1] & (_MIXED - 1)
        self._known = {self._floats[number]: number for number in range(1, min(count, WEIGHTS_MOST) + 1)}
        self._drawn = int.from_bytes(self._bits, "little").bit_count()
        self._failed = FAILURES - self._slots.tolist().count(0)

    @classmethod
    def begin(cls, buffer: bytearray | memoryview) -> "Units":
        """A memory that knows nobody. Raises ValueError for a buffer that is shorter than SIZE."""
        whole = memoryview(buffer)
        if len(whole) >= SIZE:
            whole[:SIZE] = bytes(SIZE)
            whole[_SLOTS_END : _SLOTS_END + 8].cast("Q")[0] = _MAGIC
        return cls(buffer)

    def close(self) -> None:
        """Let go of the buffer, so that it can be unmapped. Nothing works after it."""
        for view in (self._bits, self._slots, self._numbers, self._floats):
            view.release()

    @property
    def highest(self) -> float:
        """The highest weight of the release so far."""
        return self._floats[0]

    @property
    def crowded(self) -> float:
        """The part of the fuller of both memories in use, 0..1: so many of the units that come now are left out."""
        return max(self._drawn / DRAWS, self._failed / FAILURES)

    def reach(self, weights: Sequence[float], *, mixed: bool = False) -> None:
        """A second had these weights: before anything else is asked of it. ``mixed``: a third version took part.

        A third version's units may go to either side when weights change, so from then on nobody can say with which
        probability a known unit is where it is: no fresh coins until the end.
        """
        self._floats[0] = max(self._floats[0], *weights, 0.0)
        if mixed:
            self._numbers[1] |= _MIXED

    def is_new(self, unit: int) -> bool:
        """Whether this is the unit's first request in the release. The next one is not."""
        place = unit & (DRAWS - 1)
        byte, bit = self._bits[place >> 3], 1 << (place & 7)
        if byte & bit:
            return False
        self._bits[place >> 3] = byte | bit
        self._drawn += 1
        return True

    def coin(self, unit: int, weight: float, *, candidate: bool) -> Coin | None:
        """With which probability the label of a unit that failed was drawn; None: it was bet on, or may have been.

        A unit that failed on stable at weight w0 has been told apart from those that were the candidate's at w0. When
        the weight grows beyond all that was, it is the candidate's with probability (w - w0) / (1 - w0): a fresh coin.
        """
        slot = self._slots[unit & (FAILURES - 1)]
        if slot and slot & 0xFFFFFFFF != unit:
            return None
        since, until = slot >> 32 & 0xFF, slot >> 40 & 0xFF
        if not since:
            coin = weight, False
        elif since == _NEVER or self._numbers[1] & _MIXED or weight <= self._floats[until]:
            return None
        else:
            before = self._floats[since]
            coin = (weight - before) / (1 - before), True
        since, until = (_NEVER, _NEVER) if candidate else (self._number(weight), self._number(self.highest))
        if until == _NEVER:
            since = _NEVER
        self._put(unit, slot, slot & ~(0xFFFF << 32) | since << 32 | until << 40)
        return coin

    def is_first_on(self, unit: int, route: int) -> bool:
        """Whether this is the unit's first error on the route of this number (0..7). The next one is not."""
        slot, bit = self._slots[unit & (FAILURES - 1)], 1 << (48 + route)
        if (slot and slot & 0xFFFFFFFF != unit) or slot & bit:
            return False
        self._put(unit, slot, slot | bit)
        return True

    def _put(self, unit: int, old: int, slot: int) -> None:
        self._failed += not old
        self._slots[unit & (FAILURES - 1)] = slot | unit

    def _number(self, weight: float) -> int:
        """Of the table, where it is written down if there is room."""
        number = self._known.get(weight)
        if number is None:
            number = len(self._known) + 1
            if number > WEIGHTS_MOST:
                return _NEVER
            self._floats[number] = weight
            self._numbers[1] += 1
            self._known[weight] = number
        return number
