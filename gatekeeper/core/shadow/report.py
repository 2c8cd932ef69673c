"""What a tally says to people: how many answers differ, where, and what of it is noise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

from gatekeeper.core.shadow.compare import Place, source
from gatekeeper.core.shadow.tally import FAILED, Outcome, Sample, Seen, Tally, Times, bound

Z95: Final = 1.959964
"""Standard deviations to either side that hold 95 %."""


@dataclass(frozen=True, slots=True)
class Row:
    """A place at which answers differ. ``requests`` are those in which the candidate did and the second answer of the
    users' version did not; ``noise`` those in which that one differed from itself.
    """

    kind: str
    path: str
    requests: int
    noise: int = 0
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True)
class Seconds:
    """Times to the head of an answer; None where nothing was compared, or it took longer than is told apart."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """``asked`` requests are known to have been answered alike, otherwise, or not at all: ``different`` are the last
    two, ``low`` and ``high`` (0..1) Wilson's 95 % interval of their share.
    """

    mirrored: int = 0
    answered: int = 0
    compared: int = 0
    failed: int = 0
    asked: int = 0
    different: int = 0
    share: float | None = None
    low: float = 0.0
    high: float = 1.0
    twice: int = 0
    differences: tuple[Row, ...] = ()
    noise: tuple[Row, ...] = ()
    user: Seconds = Seconds()
    candidate: Seconds = Seconds()
    outcomes: Mapping[str, int] = field(default_factory=dict)


def report(tally: Tally) -> Report:
    """Differences and noise come with the most frequent first."""
    asked, different = tally.asked, tally.different
    low, high = wilson(different, asked)
    counts = {outcome.value: tally.outcomes.get(outcome, 0) for outcome in Outcome}
    rows = [_row(tally, place, seen) for place, seen in tally.places.items() if not tally.is_noise(place)]
    return Report(
        mirrored=counts[Outcome.SENT],
        answered=counts[Outcome.ANSWERED],
        compared=counts[Outcome.COMPARED],
        failed=sum([counts[outcome] for outcome in FAILED]),
        asked=asked,
        different=different,
        share=different / asked if asked else None,
        low=low,
        high=high,
        twice=tally.twice,
        differences=tuple(sorted(rows, key=lambda row: -row.requests)),
        noise=tuple(sorted(_noise(tally), key=lambda row: -row.noise)),
        user=_seconds(tally.user),
        candidate=_seconds(tally.candidate),
        outcomes=counts,
    )


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval (0..1) of a share, also where few or none were seen."""
    if not of:
        return 0.0, 1.0
    part, square = hits / of, Z95 * Z95
    middle = (part + square / (2 * of)) / (1 + square / of)
    reach = Z95 / (1 + square / of) * sqrt(part * (1 - part) / of + square / (4 * of * of))
    # Rounding must not keep "none" or "all" out of their own interval.
    return 0.0 if not hits else max(0.0, middle - reach), 1.0 if hits == of else min(1.0, middle + reach)


def quantile(times: Times, part: float) -> float | None:
    """The longest time of the bucket in which that part of all times ends."""
    wanted, below = part * sum(times.counts.values()), 0
    for place in sorted(times.counts):
        below += times.counts[place]
        if below and below >= wanted:
            limit = bound(place)
            return None if limit == float("inf") else limit
    return None


def _row(tally: Tally, place: Place, seen: Seen) -> Row:
    return Row(place.kind.value, place.path, seen.count, tally.noise.get(source(place), 0), tuple(seen.samples))


def _noise(tally: Tally) -> list[Row]:
    """Where the users' version differs from itself and the candidate is not much worse."""
    found = []
    for place, many in tally.noise.items():
        theirs = [one for one in tally.places if source(one) == place]
        if not theirs or any(tally.is_noise(one) for one in theirs):
            quiet = sum([tally.places[one].count for one in theirs if tally.is_noise(one)])
            found.append(Row(place.kind.value, place.path, quiet, many))
    return found


def _seconds(times: Times) -> Seconds:
    return Seconds(quantile(times, 0.5), quantile(times, 0.95), quantile(times, 0.99))
