"""What both versions did in the last seconds, for absolute bounds."""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import add, sub
from typing import Final

from gatekeeper.core.judge.analysis import Guard
from gatekeeper.core.judge.second import Second
from gatekeeper.core.judge.standing import GuardReading

SLOW_PART: Final = 0.01
"""Of the requests that may take longer than what a guard calls ``p99``."""

EVENTS: Final = 3
"""Failures, or slow answers, below which no bound is broken: of 30 requests a single slow one is more than 1 %."""

Sums = tuple[int, ...]
"""Requests, errors and slow ones of stable, then the same of the candidate."""
STABLE, CANDIDATE = slice(0, 3), slice(3, 6)


@dataclass(slots=True)
class Recent:
    """The last ``window`` seconds: each, and all together."""

    window: int
    rows: tuple[tuple[int, Sums], ...] = ()
    sums: Sums = (0,) * 6

    def add(self, second: Second) -> None:
        stable, candidate = second.stable, second.candidate
        new = stable.requests, stable.errors, stable.slow, candidate.requests, candidate.errors, candidate.slow
        sums, rows, over, gone = map(add, self.sums, new), self.rows, second.at - self.window, 0
        while gone < len(rows) and rows[gone][0] <= over:
            sums = map(sub, sums, rows[gone][1])
            gone += 1
        self.sums = tuple(sums)
        self.rows = (*rows[gone:], (second.at, new))

    def breaks(self, guard: Guard, version: slice) -> bool:
        return self._failing(guard, version) or self._slow(guard, version)

    def _failing(self, guard: Guard, version: slice) -> bool:
        requests, errors, _ = self.sums[version]
        if guard.errors is None or requests < guard.least:
            return False
        return errors >= EVENTS and errors > guard.errors * requests

    def _slow(self, guard: Guard, version: slice) -> bool:
        requests, _, slow = self.sums[version]
        if guard.p99 is None or requests < guard.least:
            return False
        return slow >= EVENTS and slow > SLOW_PART * requests

    def readings(self, guard: Guard, version: slice, name: str) -> Iterator[GuardReading]:
        """Where a version stands beside each of the guard's bounds."""
        requests, errors, slow = self.sums[version]
        enough = requests >= guard.least
        if guard.errors is not None:
            yield GuardReading(name, "errors", errors / requests if enough else None, guard.errors)
        if guard.p99 is not None:
            yield GuardReading(name, "p99", slow / requests if enough else None, SLOW_PART)

    def describe(self, guard: Guard, version: slice) -> str:
        """What breaks the guard, for people: ``31 of 40 requests failed in 60 s``."""
        requests, errors, slow = self.sums[version]
        if self._failing(guard, version):
            return f"{errors:,} of {requests:,} requests failed in {guard.window} s"
        return f"{slow:,} of {requests:,} requests took longer than {guard.p99 or 0:g} s in {guard.window} s"
