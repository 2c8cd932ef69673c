"""Counters of blocks that nobody counts in any more, added up in one block, so that no sum ever goes back.

When a new program takes over, the workers of the one before count on in their own blocks until they have drained. Both
are read together until then. Afterwards what the old ones held is folded into one carried block, however many programs
there were before: a hundred upgrades cost one block.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gatekeeper.telemetry.block import HEADER, LAG, LAYOUT, REVISION, STRIDE, SUM, UPSTREAM_SUM, Block

User = TypeVar("User")


@dataclass(slots=True)
class Former(Generic[User]):
    """A block of an earlier program, and whoever may still count in it."""

    block: Block
    users: Sequence[User]


def fold(block: Block, into: Block) -> None:
    """Add what ``block`` counted to ``into``, which has as many slots. Nobody may count in ``block`` any more.

    Its gauges come to nothing (``Block.settle``): what was open in it is closed.
    """
    block.settle()
    for cell in range(LAYOUT + 1, HEADER):
        if cell not in (REVISION, LAG):  # what is now, and not how often
            into.integers[cell] += block.integers[cell]
    for slot in range(block.capacity):
        if not block.used(slot):
            continue
        base = HEADER + slot * STRIDE
        for cell in range(base, base + STRIDE):
            if cell - base in (SUM, UPSTREAM_SUM):
                into.doubles[cell] += block.doubles[cell]
            else:
                into.integers[cell] += block.integers[cell]


class Ledger(Generic[User]):
    """Every block whose counters are part of the sums: those of the workers now, and what came before them."""

    def __init__(self) -> None:
        self.own: list[Block] = []
        """By worker slot; filled by the owner."""
        self.former: list[Former[User]] = []
        self.carried: Block | None = None

    def all(self) -> list[Block]:
        before = [former.block for former in self.former]
        return [*self.own, *before, *([self.carried] if self.carried is not None else [])]

    def settle(self, lives: Callable[[User], bool]) -> bool:
        """Fold every former block that nobody counts in any more; whether there was one.

        All blocks have the same number of slots.
        """
        over = [former for former in self.former if not any(map(lives, former.users))]
        for former in over:
            if self.carried is None:
                former.block.settle()
                self.carried = former.block
            else:
                fold(former.block, self.carried)
                former.block.close()
        self.former = [former for former in self.former if all(former is not each for each in over)]
        return bool(over)

    def close(self) -> None:
        for block in self.all():
            block.close()
        self.own, self.former, self.carried = [], [], None
