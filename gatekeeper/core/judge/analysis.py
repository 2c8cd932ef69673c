"""What is asked of a comparison: what is worse, what is good enough, and how sure one must be."""

from dataclasses import dataclass
from enum import StrEnum
from math import log
from typing import Final

SUSPICION: Final = 10.0
"""Odds at which a release stops going up; a good one ever gets there with a chance of 10 % at most."""
METRICS: Final = ("errors", "latency")
ROUTES_MOST: Final = 8
"""Routes looked at apart. Each gets less of the wealth the more there are; one byte per unit remembers them."""


class Demand(StrEnum):
    """What the hold of a step asks of the comparison, the last one before everything aside: that one asks for proof."""

    NO_ALARM = "no_alarm"
    PASSED = "passed"


@dataclass(frozen=True, slots=True)
class Guard:
    """An absolute bound, not a comparison: more than ``errors`` (0..1) failed, or 1 % took longer than ``p99`` seconds,
    over the last ``window`` seconds. None = no bound. ``least`` requests must have been answered.
    """

    errors: float | None = 0.05
    p99: float | None = None
    window: int = 60
    least: int = 20


TROUBLE: Final = Guard()
"""What both versions must be above for shared trouble, where no guard says otherwise."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Within ``block`` seconds the odds grow by ``cap`` at most: a machine's one bad minute is no verdict by itself."""

    block: int = 60
    cap: float = 20.0


@dataclass(frozen=True, slots=True)
class Query:
    """A custom metric: one number that a Prometheus query at ``url`` gives, asked for every ``every`` seconds.

    Below ``min`` or above ``max``, ``failures`` times in a row, it ends the release: a bound, not a comparison.
    ``token_file`` holds a bearer token.
    """

    name: str
    url: str
    query: str
    max: float | None = None
    min: float | None = None
    every: float = 30.0
    failures: int = 3
    token_file: str | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """Fractions are 0..1, times seconds.

    ``tolerate_*`` is what never raises an alarm, ``promote_*`` what traffic must exclude before a promotion:
    (ratio, addition) of stable's rate. Between the two it is collecting, after ``deadline`` seconds of a hold not
    enough data. ``guard`` rolls back by itself; it is for whoever asks for it, since two equal versions near the bound
    may be on different sides of it. ``routes`` (at most ROUTES_MOST path prefixes) are looked at apart; empty: those
    with most traffic before the release. ``services``: in how many services of the release a judge of its own watches.
    """

    alpha: float = 0.01
    beta: float = 0.05
    tolerate_ratio: float = 1.0
    tolerate_errors: float = 0.0005
    tolerate_latency: float = 0.05
    tolerate_floor: float = 0.002
    promote_errors: tuple[float, float] = (1.0, 0.005)
    promote_p95: tuple[float, float] = (1.5, 0.01)
    promote_p99: tuple[float, float] = (1.5, 0.005)
    latency: bool = True
    min_bake: int = 300
    min_events: int = 3
    warm_up: int = 0
    guard: Guard | None = None
    burst: Burst | None = None
    deadline: float = 3600.0
    steps: Demand = Demand.NO_ALARM
    routes: tuple[str, ...] = ()
    queries: tuple[Query, ...] = ()
    services: int = 1

    @property
    def log_bar(self) -> float:
        """Of the odds that mean rollback."""
        return -log(self.alpha)

    @property
    def log_proof(self) -> float:
        """Of the evidence that means good enough."""
        return -log(self.beta)

    @property
    def metrics(self) -> int:
        """Among how many the chance of a false alarm is divided (weighted Bonferroni), in all services together."""
        return (len(METRICS) if self.latency else 1) * self.services
