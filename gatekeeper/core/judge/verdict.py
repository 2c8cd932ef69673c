"""The seven verdicts. Exactly one holds at any time, always with its numbers and a sentence for whoever decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    COLLECTING = "collecting"
    """Nothing to say yet; keep the weight."""
    SUSPICIOUS = "suspicious"
    """Odds of 10 : 1 against luck: no step up while they last."""
    ROLLBACK = "rollback"
    """Proven worse, for good."""
    PASSED = "passed"
    """Proven good enough."""
    NOT_ENOUGH_DATA = "not_enough_data"
    """The step's time is over and neither is proven: hold, never promote."""
    INVALID = "invalid"
    """No comparison is possible, or the routing is not what was drawn: hold and explain."""
    SHARED_TROUBLE = "shared_trouble"
    """Both versions fail: hold; a comparison is blind to what hurts both."""


class Cause(StrEnum):
    """Why the verdict is what it is, for programs."""

    NONE = ""
    ERRORS = "errors"
    LATENCY = "latency"
    GUARD = "guard"
    ALONE = "alone"
    """The candidate runs without stable beside it, as in a step of 100 %."""
    STABLE = "stable"
    """Stable itself is in trouble."""
    METRIC = "metric"
    """A custom metric: a bound, not a comparison."""
    ROUTING = "routing"
    UNITS = "units"
    LOST = "lost"
    """What was known is gone, so that to go on would spend the chance of a false alarm again."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a verdict rests on. Pairs are of stable and of the candidate; ``log_`` are natural logarithms."""

    seconds: int = 0
    requests: tuple[int, int] = (0, 0)
    errors: tuple[int, int] = (0, 0)
    """Those that were bet on."""
    slow: tuple[int, int] = (0, 0)
    """Answers slower than stable's p95 was lately."""
    draws: tuple[int, int] = (0, 0)
    draw_errors: tuple[int, int] = (0, 0)
    log_odds: float = 0.0
    """Against luck, all metrics together; what is compared with the bar."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Metric -> its part of ``log_odds``, which is their maximum."""
    proofs: Mapping[str, float] = field(default_factory=dict)
    """Metric -> logarithm of the evidence that it is good enough."""
    log_share: float = 0.0
    """Evidence against the routing."""
    weight: float = 0.0
    """Of the candidate, lately."""
    reason: Cause = Cause.ERRORS
    """The metric with the highest odds."""
    route: str = ""
    """Where most of the evidence of errors is from; empty: from all requests."""
    routes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Errors per route."""
    backends: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Requests and errors per backend of the candidate."""
    excluded: int = 0
    unkeyed: int = 0
    """Requests without a unit where labels stick to units."""
    warmed: int = 0
    """Requests of the warm-up, left out on both sides."""
    crowded: float = 0.0
    """The part of the units' memory in use, 0..1."""
    keep: int = 1
    """1 of so many units was looked at where there were most of them."""
    missing: int = 0
    """Seconds of which a worker's report is missing."""
    ignored: int = 0
    """Seconds that came too late or twice."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``sentence`` and ``notes`` are for people, ``kind``, ``cause`` and ``numbers`` for programs; ``bar`` is the odds
    that mean rollback.
    """

    kind: Kind
    sentence: str
    numbers: Numbers
    bar: float
    cause: Cause = Cause.NONE
    notes: tuple[str, ...] = ()
