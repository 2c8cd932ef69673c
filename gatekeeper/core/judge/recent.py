"""What both versions did in the last seconds, for absolute bounds."""

from dataclasses import dataclass

from gatekeeper.core.judge.analysis import Guard
from gatekeeper.core.judge.second import Second

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
        new: Sums = (
            *(stable.requests, stable.errors, stable.slow),
            *(candidate.requests, candidate.errors, candidate.slow),
        )
        rows = (*self.rows, (second.at, new))
        while rows[0][0] <= second.at - self.window:
            new = tuple([each - old for each, old in zip(new, rows[0][1], strict=True)])
            rows = rows[1:]
        self.rows = rows
        self.sums = tuple([each + more for each, more in zip(self.sums, new, strict=True)])

    def breaks(self, guard: Guard, version: slice) -> bool:
        requests, errors, slow = self.sums[version]
        if requests < guard.least:
            return False
        return (guard.errors is not None and errors > guard.errors * requests) or (
            guard.p99 is not None and slow > 0.01 * requests
        )

    def describe(self, guard: Guard, version: slice) -> str:
        """What breaks the guard, for people: ``31 of 40 requests failed in 60 s``."""
        requests, errors, slow = self.sums[version]
        if guard.errors is not None and errors > guard.errors * requests:
            return f"{errors:,} of {requests:,} requests failed in {guard.window} s"
        return f"{slow:,} of {requests:,} requests took longer than {guard.p99 or 0:g} s in {guard.window} s"
