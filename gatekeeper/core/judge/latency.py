"""Times on the same bets: is the candidate slower than stable was lately, in the middle or at the end of the scale?

Times come as counts per bucket (``BUCKETS`` of a constant ratio); the recorder has taken off the candidate's what is
tolerated, so that "up to 5 %, or 2 ms, slower" is literally not slower. The last bucket
holds what failed or was not answered in time: fast failures must not look like a gain.

Ranks and thresholds of a tick come only from stable's times of the ticks before it (predictable). A poor or stale
threshold then costs power, never validity. Body: a sequential Mann-Whitney. Tails: an event is a time above stable's
recent p95 or p99. All three bet on the same draw of the same label, so their average is evidence, too (Vovk & Wang
2021; over time only for one filtration, Choe & Ramdas 2024).
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate, pairwise
from math import log, log1p
from typing import Final

from gatekeeper.core.judge.bets import Mixture, PassTest, WorseTest, log_mean

BUCKETS: Final = 64
"""62 of ratio 1.12 from 5 ms to about 5.6 s, one below, one for what is slower, failed or was not finished."""
RATIO: Final = 1.12
LEAST: Final = 0.005
SLOWEST: Final = BUCKETS - 1
STAKES: Final = (0.03, 0.08, 0.2, 0.45)
KNOWN: Final = 100
"""Requests of stable without which nothing can be called slow."""
LEARN_TICKS: Final = 10
"""Between two looks at what stable took: ranks that are a few seconds old cost nothing that could be measured."""
HALVE_TICKS: Final = 60
"""What stable took is forgotten by half each minute: long enough for a p99, short enough to follow the day."""

_LOG_RATIO: Final = log(RATIO)

Times = Mapping[int, int]
"""Bucket -> how many."""


def bucket(seconds: float) -> int:
    """The bucket of a time in seconds."""
    if seconds <= LEAST:
        return 0
    return min(1 + int(log(seconds / LEAST) / _LOG_RATIO), SLOWEST)


def score(seconds: float, tolerance: float, floor: float) -> int:
    """The bucket of a candidate's time less what is tolerated: a part of it, or ``floor`` seconds if that is more."""
    return bucket(min(seconds / (1 + tolerance), seconds - floor))


# Stable's histogram stays the same for some ticks, and so do all logarithms that a weight makes of it.
@lru_cache(maxsize=16)
def _body_terms(ranks: tuple[float, ...], weight: float) -> list[tuple[list[float], list[float]]]:
    """Per stake, what a time of each bucket adds to the logarithm: the candidate's, stable's."""
    return [
        ([log1p(stake * (1 - weight) * x) for x in ranks], [log1p(-stake * weight * x) for x in ranks])
        for stake in STAKES
    ]


@dataclass(slots=True)
class LatencyTest:
    """``recent`` is stable's histogram, ``ranks`` and ``limits`` (the buckets of p95 and p99) what follows from it."""

    pass95: PassTest
    pass99: PassTest
    body: Mixture = field(default_factory=lambda: Mixture.begin(len(STAKES)))
    p95: WorseTest = field(default_factory=WorseTest)
    p99: WorseTest = field(default_factory=WorseTest)
    recent: tuple[float, ...] = (0.0,) * BUCKETS
    coming: tuple[float, ...] = (0.0,) * BUCKETS
    """What it will grow by."""
    ranks: tuple[float, ...] = ()
    """Worth of a time in each bucket, from -1 (faster than all of stable lately) to 1; none while too little is known.
    """
    limits: tuple[int, ...] = ()
    ticks: int = 0
    slow: tuple[int, int] = (0, 0)
    """Times of stable and of the candidate above stable's p95."""

    def bet(self, weight: float, stable: Times, candidate: Times, *, proving: bool = True) -> None:
        """One weight of one tick. ``proving``: it may count as evidence that the candidate is good, too."""
        if stable:
            coming = list(self.coming)
            for place, many in stable.items():
                coming[place] += many
            self.coming = tuple(coming)
        if not self.ranks or not 0.0 < weight < 1.0 or not (stable or candidate):
            return
        ours, theirs = candidate.items(), stable.items()
        self.body.multiply(
            [
                sum([many * won[place] for place, many in ours]) + sum([many * lost[place] for place, many in theirs])
                for won, lost in _body_terms(self.ranks, weight)
            ]
        )
        n = sum(candidate.values())
        limit = self.limits[0]
        k = sum([many for place, many in ours if place > limit])
        b = sum([many for place, many in theirs if place > limit])
        self.slow = (self.slow[0] + b, self.slow[1] + k)
        self.p95.bet(weight, n, k, b)
        if proving:
            self.pass95.bet(weight, n, k, b)
        limit = self.limits[1]
        k = sum([many for place, many in ours if place > limit])
        b = sum([many for place, many in theirs if place > limit])
        self.p99.bet(weight, n, k, b)
        if proving:
            self.pass99.bet(weight, n, k, b)

    def end_tick(self) -> None:
        """After the last bet of a tick."""
        for mixture in self._mixtures():
            mixture.end_tick()
        self.ticks += 1
        if self.ticks % LEARN_TICKS == 0 or (not self.ranks and sum(self.coming) >= KNOWN):
            self._learn()

    def _learn(self) -> None:
        """From now on times are compared with what stable took up to now."""
        # Where there is little traffic it is kept longer: half of too little would be nothing.
        keep = 0.5 if self.ticks % HALVE_TICKS == 0 and sum(self.recent) >= 2 * KNOWN else 1.0
        self.recent = tuple([keep * old + new for old, new in zip(self.recent, self.coming, strict=True)])
        self.coming = (0.0,) * BUCKETS
        known = sum(self.recent)
        if known < KNOWN:
            return
        below = [0.0, *accumulate(self.recent)]
        self.ranks = tuple([(low + high) / known - 1 for low, high in pairwise(below)])
        # Nothing is above the last bucket, so what fails more often than that has its limit below it.
        self.limits = tuple([min(bisect_left(below, part * known) - 1, SLOWEST - 1) for part in (0.95, 0.99)])

    def _mixtures(self) -> Iterator[Mixture]:
        yield from (self.body, self.p95.mixture, self.p99.mixture)

    @property
    def log_wealth(self) -> float:
        return log_mean([mixture.log_wealth for mixture in self._mixtures()])

    def cap(self, log_most: float) -> None:
        for mixture in self._mixtures():
            mixture.cap(log_most)

    @property
    def log_pass(self) -> float:
        """Both tails must pass, so the weaker one speaks."""
        return min(self.pass95.log_evidence, self.pass99.log_evidence)
