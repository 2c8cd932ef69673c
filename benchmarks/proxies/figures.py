"""Times as a count of each microsecond: exact, small however long it goes on, and easily added up."""

from collections import Counter
from collections.abc import Iterable, Mapping
from math import ceil


class Times(Counter[int]):
    """Microseconds -> how often."""

    def add(self, seconds: float) -> None:
        self[int(seconds * 1e6)] += 1

    def quantile(self, share: float) -> float:
        """In seconds: the least time that so many took at most (nearest rank). 0 of none."""
        total = self.total()
        rank, seen = max(1, ceil(total * share)), 0
        for micros in sorted(self):
            seen += self[micros]
            if seen >= rank:
                return micros / 1e6
        return 0.0

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> "Times":
        """From JSON, whose keys are texts."""
        return cls({int(micros): count for micros, count in counts.items()})

    @classmethod
    def together(cls, several: Iterable["Times"]) -> "Times":
        found = cls()
        for each in several:
            found.update(each)
        return found
