"""Counting requests by the variants of their flags, at a cost that does not grow with what users are dealt.

Twenty flags with two variants give a million different results. So nothing is kept per result but one number: a bit for
each variant that is in it, 64 places apart from the next. Adding this number to a sum adds one to twenty counters at
once, which takes Python a tenth of a microsecond; a second's sums are taken apart when they are sent.
"""

import sys
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

from gatekeeper.channel import Message
from gatekeeper.telemetry.block import BUCKETS
from gatekeeper.telemetry.cells import ASKED, CELLS, FORCED, MICROSECONDS, TIMES, Name

if TYPE_CHECKING:
    from gatekeeper.core.flags.evaluate import Evaluated
    from gatekeeper.core.routing import Decision

TELL_SECONDS: Final = 1.0
"""Between two messages: what a killed worker had counted since is lost."""
PORTION: Final = 256
"""Lines of ended requests that are counted together, in 0.1 ms: they are still in the processor's caches, and nobody
waits for long. Those of a whole sweep took 4 ms under full load."""
MOST_PLACES: Final = 4096
"""Variants that are counted side by side: all that a service can have at one time. Beyond it those that are gone are
forgotten."""
MOST_ASKED: Final = 4096
"""Names of flags that applications asked for between two messages, 0.5 MB: they are those of the file and few."""

CLIENT_LEFT: Final = 4
"""The class of requests whose client went away unanswered: 499, as ``Recorder.abandon`` counts them."""

Line = tuple["Decision", int, float]
"""Decision, status (0: the client went away), seconds."""


class _Board:
    """The sums of one service. ``places`` says where in them each (flag, variant) is. ``over``: count elsewhere."""

    __slots__ = ("over", "places", "sums")

    def __init__(self) -> None:
        self.places: dict[tuple[str, str], int] = {}
        self.sums = [0] * CELLS
        self.over = False

    def learn(self, evaluated: "Evaluated") -> tuple["_Board", int]:
        """Where this result counts, and the number that is to be added; the result remembers it."""
        places = self.places
        number = 0
        for pair in evaluated.variants:
            number |= 1 << 64 * places.setdefault(pair, len(places))
        evaluated.counter = (self, number)
        return self, number


class Tally:
    """Append to ``lines`` what a request came to, and ``count`` them when they are PORTION; ``look`` at each sweep."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        """Those that were not counted yet."""
        self._boards: dict[str, _Board] = {}
        self._asked: dict[Name, int] = {}
        self._owed: dict[Name, list[int]] = {}
        self._told: float | None = None

    def asked(self, service: str, flag: str, variant: str) -> None:
        """One evaluation that no request was forwarded for."""
        name = (service, flag, variant)
        if name in self._asked or len(self._asked) < MOST_ASKED:
            self._asked[name] = self._asked.get(name, 0) + 1

    def count(self) -> None:
        """Count what was written down."""
        for decision, status, took in self.lines:
            evaluated = decision.flags
            if evaluated is None:
                continue
            known = evaluated.counter
            if known is None or known[0].over:
                known = self._board(evaluated.service).learn(evaluated)
            board, number = known
            sums = board.sums
            if decision.forced:
                sums[FORCED] += number
            elif not status:
                sums[CLIENT_LEFT] += number
            else:
                sums[status // 100 if 100 <= status <= 599 else 0] += number
                sums[TIMES + bisect_left(BUCKETS, took)] += number
                sums[MICROSECONDS] += number * int(took * 1e6)
        self.lines.clear()

    def _board(self, service: str) -> _Board:
        board = self._boards.get(service)
        if board is None:
            board = self._boards[service] = _Board()
        return board

    def look(self, now: float, *, behind: bool = False) -> Message | None:
        """Count, and what is to be sent up, once a second. ``now`` is monotonic.

        ``behind``: whoever is told does not listen; the sums wait.
        """
        if self.lines:
            self.count()
        if self._told is None:
            self._told = now
        if now - self._told < TELL_SECONDS or behind:
            return None
        self._told = now
        return self.take()

    def take(self) -> Message | None:
        """All that was counted since the last message; None where that is nothing."""
        self.count()
        self._gather()
        owed, self._owed = self._owed, {}
        if not owed:
            return None
        rows: list[list[Any]] = [
            [*name, [[cell, count] for cell, count in enumerate(cells) if count]] for name, cells in owed.items()
        ]
        return {"type": "flags", "of": rows}

    def _gather(self) -> None:
        """Take the sums apart."""
        for service, board in [*self._boards.items()]:
            board.over = len(board.places) > MOST_PLACES or not any(board.sums)  # full, or nobody asks for it
            for cell, total in enumerate(board.sums):
                if total:
                    counts = array("Q", total.to_bytes(8 * len(board.places), sys.byteorder))
                    for pair, count in zip(board.places, counts, strict=True):
                        if count:
                            self._owe((service, *pair))[cell] += count
                    board.sums[cell] = 0
            if board.over:
                del self._boards[service]
        for name, count in self._asked.items():
            self._owe(name)[ASKED] += count
        self._asked.clear()

    def _owe(self, name: Name) -> list[int]:
        cells = self._owed.get(name)
        if cells is None:
            cells = self._owed[name] = [0] * CELLS
        return cells
