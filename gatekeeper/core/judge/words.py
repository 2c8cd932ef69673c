"""What the judge says to people: one sentence per verdict, with its numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, inf

from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.judge.power import requests_to_pass, requests_to_pass_latency
from gatekeeper.core.judge.verdict import Cause, Numbers

PATIENCE = 3600.0
"""Seconds that people like to wait for a proof: a weight is named at which it would take no longer."""
LADDER = (0.02, 0.05, 0.1, 0.25, 0.5)
CROWDED = 0.5
"""Part of the units' memory in use above which collisions hide a noticeable part of them."""
FEW = 100.0
"""How many requests at stable's rate the candidate's own rate is mixed with, to begin with."""


@dataclass(frozen=True, slots=True)
class Names:
    """``units``: labels are drawn once per unit, so that units and not requests are the evidence."""

    stable: str
    candidate: str
    units: bool = False


def evidence(analysis: Analysis, names: Names, numbers: Numbers) -> str:
    """Why it is suspicious, or rolled back: the metric with the highest odds."""
    odds = f"odds against luck {odds_text(numbers.log_odds)}, rolls back at {1 / analysis.alpha:g} : 1"
    part = percent(numbers.requests[1] / max(1, sum(numbers.requests)))
    if numbers.reason is Cause.LATENCY:
        slow = numbers.slow
        # A failure is slower than any answer, so that failing fast is no gain: that must not look like a slow page.
        also = ", failures among them" if numbers.draw_errors[1] else ""
        return (
            f"{names.candidate} is slower: it had {part} of the requests but {slow[1]:,} of the "
            f"{count(sum(slow), 'answer')} above {names.stable}'s p95{also}; {odds}"
        )
    failed = numbers.errors
    where = ""
    if numbers.route:
        on_route = numbers.routes.get(numbers.route, (0, 0))
        where = f" (on {numbers.route} {on_route[1]:,} of {sum(on_route):,})"
    return (
        f"{count(sum(failed), 'failure')} so far; {names.candidate} had {part} of the requests but {failed[1]:,} of "
        f"the failures{where}; {odds}"
    )


def proven(analysis: Analysis, names: Names, numbers: Numbers) -> str:
    ratio, more = analysis.promote_errors
    rate = f"{names.stable}'s rate" if ratio == 1 else f"{ratio:g} times {names.stable}'s rate"
    return (
        f"{names.candidate} is proven not to fail more often than {rate} and {points(more)}, over "
        f"{count(numbers.draws[1], 'unit' if names.units else 'request')}"
    )


def collecting(analysis: Analysis, names: Names, numbers: Numbers) -> str:
    failed = numbers.errors
    seen = (
        f"{count(numbers.requests[1], 'request')} of {names.candidate} seen, {failed[1]:,} of "
        f"{count(sum(failed), 'failure')}"
    )
    return f"{seen}; {missing(analysis, names, numbers)}"


def missing(analysis: Analysis, names: Names, numbers: Numbers) -> str:
    """``needs 1,180 more green requests (6 h 33 min at 5 rps x 1 %); go to 10 % to need 39 min``; where labels stick to
    units ``needs 1,180 more units on green (6 h 33 min at 5 new ones a second x 1 %)``.
    """
    more = requests_missing(analysis, numbers, numbers.weight)
    if more <= 0:
        return "proven good enough so far"
    if not 0.0 < numbers.weight < 1.0:
        return f"needs {names.candidate} and {names.stable} to get requests at the same time"
    if more == inf:
        return f"as it goes on now, {names.candidate} will not be proven good enough"
    left = max(1, round(more))
    text = f"needs {count(left, f'more {names.candidate} request')}"
    if names.units:
        text = f"needs {count(left, 'more unit')} on {names.candidate}"
    per_second = sum(numbers.draws) / numbers.seconds if numbers.seconds else 0.0
    if not per_second:
        return text
    time = more / (per_second * numbers.weight)
    rate = f"{per_second:.3g} {'new ones a second' if names.units else 'rps'}"
    text += f" ({duration(time)} at {rate} x {percent(numbers.weight)})"
    if time > PATIENCE:
        for weight in (each for each in LADDER if each > numbers.weight):
            shorter = requests_missing(analysis, numbers, weight) / (per_second * weight)
            if shorter <= PATIENCE or (weight == LADDER[-1] and shorter < time / 2):
                return f"{text}; go to {percent(weight)} to need {duration(shorter)}"
    return text


def requests_missing(analysis: Analysis, numbers: Numbers, weight: float) -> float:
    """Candidate requests (draws) until it is proven good enough, about the median, if all goes on as it does.

    ``inf``: it will not be.
    """
    draws, failed = numbers.draws, numbers.draw_errors
    # Half an error that nobody has seen: after ten good requests the rate is not zero.
    stable = (failed[0] + 0.5) / (draws[0] + 1)
    candidate = (failed[1] + FEW * stable) / (draws[1] + FEW)
    weight = weight if 0.0 < weight < 1.0 else 0.5
    more = requests_to_pass(analysis, weight, stable, candidate, have=numbers.proofs["errors"])
    if analysis.latency:
        have = (numbers.proofs["p95"], numbers.proofs["p99"])
        more = max(more, requests_to_pass_latency(analysis, weight, have=have))
    return more


def notes(analysis: Analysis, names: Names, numbers: Numbers) -> Iterator[str]:
    """What else whoever decides should know."""
    failing = [name for name, (_, errors) in numbers.backends.items() if errors]
    if len(failing) == 1 and len(numbers.backends) > 1 and numbers.backends[failing[0]][1] >= analysis.min_events:
        errors = numbers.backends[failing[0]][1]
        yield f"all {errors:,} failures of {names.candidate} are on its backend {failing[0]}: eject it?"
    if numbers.warmed:
        yield f"{count(numbers.warmed, 'request')} of the first {analysis.warm_up} s left out as warm-up"
    if numbers.crowded > CROWDED:
        yield f"the memory of units is {percent(numbers.crowded)} full: some units are not counted"
    if numbers.keep > 1:
        yield f"of more units than can be sent in a second, 1 of {numbers.keep:,} was looked at"
    if numbers.missing:
        yield f"of {count(numbers.missing, 'second')} a worker's report is missing"
    if numbers.ignored:
        yield f"{count(numbers.ignored, 'second')} came late or twice and were left out"


# Small words


def odds_text(log_odds: float) -> str:
    """``129 : 1``; below even odds nothing speaks against the candidate."""
    if log_odds <= 0:
        return "none"
    if log_odds > 13.8:
        return "over a million : 1"
    value = exp(log_odds)
    return f"{value:,.0f} : 1" if value >= 10 else f"{value:.1f} : 1"


def count(many: int, what: str) -> str:
    return f"{many:,} {what}" if many == 1 else f"{many:,} {what}s"


def percent(part: float) -> str:
    """A share as people write it: 5 %, 0.25 %."""
    value = 100 * part
    return f"{value:.0f} %" if value >= 10 or value == round(value) else f"{value:.2g} %"


def points(part: float) -> str:
    return f"{100 * part:g} percentage points"


def duration(seconds: float) -> str:
    """``6 h 33 min``, ``40 min``, ``25 s``."""
    if seconds >= 3600:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours:,} h {minutes} min" if hours < 100 else f"{hours:,} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{max(1, round(seconds))} s"
