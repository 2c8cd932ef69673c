"""How one judge stands now: what it was asked, what it says, and what was measured beside the comparison."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log
from typing import Final, Literal

from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.judge.verdict import Kind, Verdict

BY_WEIGHT: Final = (
    Kind.ROLLBACK,
    Kind.SHARED_TROUBLE,
    Kind.INVALID,
    Kind.SUSPICIOUS,
    Kind.NOT_ENOUGH_DATA,
    Kind.COLLECTING,
    Kind.PASSED,
)
"""What one of several services says before what another says: all of them must pass, and any may end the release."""

MOST_ODDS: Final = 1e12
"""What is shown of odds; beyond it they say nothing more."""


@dataclass(frozen=True, slots=True)
class GuardReading:
    """One absolute bound and one version: the part (0..1) of its requests that failed, or took longer than ``p99``.

    ``value`` None: too few requests lately to say.
    """

    version: str
    guard: Literal["errors", "p99"]
    value: float | None
    bound: float


@dataclass(frozen=True, slots=True)
class QueryReading:
    """What a custom metric's query gave last, at ``at`` (wall seconds); ``unknown``: nothing that could be used, and
    ``reason`` says why.
    """

    name: str
    value: float | None = None
    max: float | None = None
    min: float | None = None
    state: Literal["ok", "beyond", "unknown"] = "unknown"
    reason: str = ""
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one service of a release, as of ``at`` (wall seconds)."""

    release: int
    service: str
    stable: str
    candidate: str
    analysis: Analysis
    verdict: Verdict
    at: float
    guards: tuple[GuardReading, ...] = ()
    queries: tuple[QueryReading, ...] = ()


def worst(standings: Iterable[Standing]) -> Standing | None:
    """The one that decides for a release of several services; of two alike the one with the higher odds."""
    return min(
        standings,
        key=lambda each: (BY_WEIGHT.index(each.verdict.kind), -each.verdict.numbers.log_odds),
        default=None,
    )


def odds(log_odds: float) -> float:
    """Of their natural logarithm, as a number that every program can read."""
    return exp(min(log_odds, log(MOST_ODDS)))
