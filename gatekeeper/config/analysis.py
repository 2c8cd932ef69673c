"""``analysis`` of a plan as pydantic models: what is asked of the judge. What needs more than one key is in
``analysis_checks``.
"""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from gatekeeper.config.addresses import API_ADDRESS, FILE, PREFIX
from gatekeeper.config.base import Many, Model, key
from gatekeeper.config.problems import WrongValueError
from gatekeeper.config.values import (
    ANY_SUBSTITUTION,
    BOOLEAN,
    NAME,
    Reads,
    choice,
    duration,
    in_range,
    percent,
    text,
    whole,
)
from gatekeeper.core.judge.analysis import ROUTES_MOST, Demand

_HOUR = 3600.0
_NUMBER = r"\d{1,3}(?:\.\d{1,6})?"
_MARGIN = re.compile(rf"x({_NUMBER})(?:\s*\+\s*({_NUMBER})\s?pt)?|({_NUMBER})\s?pt")
_PACE = re.compile(rf"({_NUMBER})\s?%(?:\s*\+\s*(\S+))?|([^%\s]+)")
_CHANCE = re.compile(rf"({_NUMBER})\s?(%?)")
_ANY_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,9})?")

MOST_RATIO = 10.0
MOST_POINTS = 50.0
"""Beyond these a margin forbids nothing that anybody would call as good."""


def _chance(low: float, high: float) -> Reads:
    """A probability (0..1) as a number, or as a percentage; both bounds inclusive."""

    def parse(given: str) -> float:
        found = _CHANCE.fullmatch(given)
        if found is None:
            raise WrongValueError("is not a probability")
        value = float(Decimal(found[1]) / (100 if found[2] else 1))
        if value >= 1 and not found[2]:
            raise WrongValueError("is too large", suggestion=f"{found[1]}%")
        return in_range(value, low, high)

    schema = {
        "anyOf": [
            {"type": "number", "minimum": low, "maximum": high},
            {"type": "string", "pattern": rf"^{_NUMBER}\s?%?$|{ANY_SUBSTITUTION}"},
        ]
    }
    return Reads(
        parse, f"a probability from {low:g} to {high:g}, also written as {100 * low:g}% to {100 * high:g}%", schema
    )


def read_margin(given: str) -> tuple[float, float]:
    """(ratio, addition as a fraction) from ``x1.5 + 1pt``, ``x1.5`` or ``0.5pt``."""
    found = _MARGIN.fullmatch(given)
    if found is None:
        bare = re.fullmatch(rf"({_NUMBER})\s?%?", given)
        turned = re.fullmatch(rf"({_NUMBER})\s?x", given)
        near = f"{bare[1]}pt" if bare else f"x{turned[1]}" if turned else ""
        message = "needs a unit: pt, percentage points" if bare else "is neither a ratio nor points"
        raise WrongValueError(message, suggestion=near)
    ratio = in_range(float(found[1] or 1), 1.0, MOST_RATIO)
    points = in_range(Decimal(found[2] or found[3] or 0), Decimal(0), Decimal(MOST_POINTS))
    return ratio, float(points / 100)


MARGIN = Reads(
    read_margin,
    f"percentage points such as 0.5pt, a ratio such as x1.5, or both: x1.5 + 0.5pt "
    f"(at most x{MOST_RATIO:g} and {MOST_POINTS:g}pt)",
    {"type": "string", "pattern": rf"^x{_NUMBER}(\s*\+\s*{_NUMBER}\s?pt)?$|^{_NUMBER}\s?pt$|{ANY_SUBSTITUTION}"},
)

_SLOWER = duration(0, 10)


def _pace(given: str) -> tuple[float, float]:
    """(part, seconds) from ``5% + 2ms``, ``5%`` or ``2ms``."""
    found = _PACE.fullmatch(given)
    if found is None:
        raise WrongValueError("is neither a percentage nor a duration")
    part = in_range(Decimal(found[1] or 0), Decimal(0), Decimal(100))
    time = found[2] or found[3]
    return float(part / 100), _SLOWER.parse(time) if time else 0.0


PACE = Reads(
    _pace,
    "a percentage such as 5%, a duration such as 2ms, or both: 5% + 2ms (at most 100% and 10s)",
    {"type": "string", "pattern": rf"^{_NUMBER}\s?%(\s*\+\s*[\d.]+(ms|s))?$|^[\d.]+(ms|s)$|{ANY_SUBSTITUTION}"},
)


def _seconds(low: float, high: float) -> Reads:
    """A duration of whole seconds (int): the judge looks once a second."""
    reads = duration(low, high)

    def parse(given: str) -> int:
        seconds: float = reads.parse(given)
        if not seconds.is_integer():
            raise WrongValueError("is not a number of whole seconds", suggestion=f"{max(low, round(seconds)):g}s")
        return int(seconds)

    return Reads(parse, f"{reads.allowed}, in whole seconds", reads.schema)


def _number(low: float, high: float) -> Reads:
    def parse(given: str) -> float:
        if not _ANY_NUMBER.fullmatch(given):
            raise WrongValueError("is not a number")
        return in_range(float(given), low, high)

    return Reads(parse, f"a number from {low:g} to {high:g}", {"type": "number", "minimum": low, "maximum": high})


_BOUND = _number(-1e15, 1e15)
read_bound = _BOUND.parse


class Tolerate(Model):
    """How much worse than stable the candidate may be without an alarm, for ever."""

    errors: Annotated[tuple[float, float], MARGIN] = key("0.05pt", "Of stable's rate of errors.")
    latency: Annotated[tuple[float, float], PACE] = key("5% + 2ms", "Of stable's times.")


class PromoteWithin(Model):
    """How much worse than stable the candidate must be proven not to be. Wider than what is tolerated."""

    errors: Annotated[tuple[float, float], MARGIN] = key("0.5pt", "Of stable's rate of errors.")
    p95: Annotated[tuple[float, float], MARGIN] = key("x1.5 + 1pt", "Of the 5 % of answers above stable's p95.")
    p99: Annotated[tuple[float, float], MARGIN] = key("x1.5 + 0.5pt", "Of the 1 % of answers above stable's p99.")


class Guard(Model):
    """An absolute bound, not a comparison. At least one of errors and p99 stands here."""

    errors: Annotated[float, percent(0, 100)] | None = key(None, "Part of the candidate's requests that may fail.")
    p99: Annotated[float, duration(0.001, 600)] | None = key(None, "Time that 99 % of its answers must keep to.")
    window: Annotated[int, _seconds(5, 600)] = key("1m", "Over the last so many seconds.")


class Burst(Model):
    """Within a block of time the odds grow by a bounded factor: one bad minute of a machine is no verdict."""

    block: Annotated[int, _seconds(10, _HOUR)] = key("60s", "Length of a block.")
    cap: Annotated[float, _number(2, 1000)] = key(20, "How many times as high the odds may get in it.")


class Metric(Model):
    """A number that a Prometheus server knows, and its bounds. At least one of max and min stands here."""

    name: Annotated[str, NAME] = Field(description="Its name here.")
    prometheus: Annotated[str, API_ADDRESS] = Field(description="http:// or https:// address of the server.")
    query: Annotated[str, text(1, 4096)] = Field(description="PromQL that gives one number.")
    max: Annotated[float, _BOUND] | None = key(None, "More than this is too much.")
    min: Annotated[float, _BOUND] | None = key(None, "Less than this is too little.")
    every: Annotated[float, duration(1, _HOUR)] = key("30s", "Time between two queries.")
    failures: Annotated[int, whole(1, 100)] = key(3, "Answers in a row beyond a bound that end the release.")
    token_file: Annotated[str, FILE] | None = key(None, "File with a bearer token for the server.")


class Comparison(Model):
    """What the judge is asked of two that have users at the same time: how sure it must be, what is worse, what is good
    enough.
    """

    alpha: Annotated[float, _chance(0.0001, 0.1)] = key(
        0.01, "Chance at most that a release that is as good is rolled back; 1/alpha is the odds that roll back."
    )
    promote_beta: Annotated[float, _chance(0.001, 0.5)] = key(
        0.05, "Chance at most that one that is worse than promote_within is called good enough."
    )
    tolerate: Tolerate = key({}, "How much worse it may be without an alarm.")
    promote_within: PromoteWithin = key({}, "How much worse it must be proven not to be.")
    latency: Annotated[bool, BOOLEAN] = key(True, "Whether times are compared, and not errors alone.")
    min_bake: Annotated[int, _seconds(0, 24 * _HOUR)] = key("5m", "Time it is watched at least before it can pass.")
    min_events: Annotated[int, whole(1, 1000)] = key(3, "Failures of the candidate below which nothing rolls back.")
    warm_up: Annotated[int, _seconds(0, _HOUR)] = key("0s", "Time at the beginning that is left out on both sides.")
    guard: Guard | None = key(None, "Absolute bounds of the candidate.")
    burst: Burst | None = key(None, "A bound on what one block of time can say.")
    routes: Annotated[tuple[Annotated[str, PREFIX], ...], Many(0, ROUTES_MOST, unique=str)] = key(
        [], "Path prefixes that are looked at apart. Default: those with most traffic before a release, of a flag none."
    )


class Analysis(Comparison):
    """What the judge is asked of a release."""

    steps: Annotated[str, choice(*(each.value for each in Demand))] = key(
        "no_alarm", "What ends the hold of a step; the last one below 100 asks for passed in any case."
    )
    deadline: Annotated[float, duration(1, 30 * 24 * _HOUR)] = key(
        "1h", "Time a hold has for the proof it needs; then the verdict is not enough data."
    )
    metrics: Annotated[
        tuple[Metric, ...], Many(0, 16, alone=False, unique=lambda metric: metric.name, what="metrics")
    ] = key([], "Numbers of a Prometheus server that must keep to bounds.")
