"""A release as the judge sees it, second by second: Poisson requests, two versions, what the weather does to both."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

from benchmarks.judge.chance import ATOMS, gamma_levels, lognormal, poisson
from gatekeeper.core.judge.latency import SLOWEST, bucket, score
from gatekeeper.core.judge.second import Arm, Cell, Second, Totals

HOUR: Final = 3600
Schedule = tuple[tuple[int, float], ...]
"""(seconds, weight) one after the other; the last one goes on."""
RAMP: Final[Schedule] = ((900, 0.01), (900, 0.05), (900, 0.25), (900, 0.5))


def fixed(weight: float) -> Schedule:
    return ((HOUR, weight),)


def weight_at(schedule: Schedule, second: int) -> float:
    for seconds, weight in schedule:
        if second < seconds:
            return weight
        second -= seconds
    return schedule[-1][1]


@dataclass(frozen=True, slots=True)
class Rates:
    """The probabilities of this second that a request fails, and how much slower than usual both versions are."""

    stable: float
    candidate: float
    slower: float = 1.0


Weather = Callable[[int, Random], Rates]
"""Of a second of the release. Asked in order; the generator is the release's own."""


def steady(base: float, candidate: float | None = None) -> Weather:
    rates = Rates(base, base if candidate is None else candidate)
    return lambda _second, _random: rates


def jump(base: float, to: float, at: int, until: int = HOUR) -> Weather:
    """Both versions fail more often from ``at`` to ``until``."""
    return lambda second, _random: Rates(to, to) if at <= second < until else Rates(base, base)


def late(base: float, candidate: float, at: int) -> Weather:
    """The candidate is as good as stable until ``at``."""
    return lambda second, _random: Rates(base, candidate if second >= at else base)


def bad_minutes(base: float, bad: float, minutes: int, *, own: bool = False) -> Callable[[Random], Weather]:
    """Some minutes of the hour, from any second on, are bad for both, or (``own``) each version has its own ones."""

    def begin(random: Random) -> Weather:
        def some() -> frozenset[int]:
            begins = [random.randrange(HOUR - 60) for _ in range(minutes)]
            return frozenset(second for begin in begins for second in range(begin, begin + 60))

        stable = some()
        candidate = some() if own else stable
        return lambda second, _random: Rates(bad if second in stable else base, bad if second in candidate else base)

    return begin


def overdispersed(base: float, shape: float) -> Callable[[Random], Weather]:
    """Every ten seconds another rate, gamma distributed around the base."""

    def begin(random: Random) -> Weather:
        levels = gamma_levels(shape)
        rates = [min(1.0, base * random.choice(levels)) for _ in range(HOUR // 10 + 1)]
        return lambda second, _random: Rates(rates[second // 10 % len(rates)], rates[second // 10 % len(rates)])

    return begin


@dataclass(frozen=True, slots=True)
class Times:
    """Lognormal; median in seconds. The candidate takes ``factor`` times as long, the slowest 3 % ``tail`` times."""

    median: float = 0.1
    sigma: float = 0.6
    factor: float = 1.0
    tail: float = 1.0
    tolerance: float = 0.05
    floor: float = 0.002


# A few distributions per run, each of two lists.
@lru_cache(maxsize=512)
def _places(times: Times, slower: float, *, candidate: bool) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The equally likely times, and the bucket each is booked to."""
    if not candidate:
        values = lognormal(times.median * slower, times.sigma)
        return values, tuple(bucket(each) for each in values)
    values = lognormal(times.median * slower * times.factor, times.sigma, times.tail)
    return values, tuple(score(each, times.tolerance, times.floor) for each in values)


@dataclass(slots=True)
class Tick:
    """One second: what the judge gets, and the raw times for those who look at them."""

    second: Second
    weight: float
    stable_times: list[float]
    candidate_times: list[float]

    @property
    def candidate(self) -> Arm:
        return self.second.cells[0].candidate if self.second.cells else Arm()

    @property
    def stable(self) -> Arm:
        return self.second.cells[0].stable if self.second.cells else Arm()


# Most seconds of quiet traffic look alike; making the frozen values anew would cost as much as judging them.
@lru_cache(maxsize=1 << 16)
def _cell(weight: float, stable: int, stable_errors: int, candidate: int, candidate_errors: int) -> Cell:
    return Cell(
        weight,
        Arm(stable, stable_errors, stable, stable_errors),
        Arm(candidate, candidate_errors, candidate, candidate_errors),
    )


@lru_cache(maxsize=1 << 14)
def _totals(requests: int, errors: int) -> Totals:
    return Totals(requests, errors)


def ticks(
    random: Random, rps: float, schedule: Schedule, weather: Weather, seconds: int, times: Times | None = None
) -> Iterator[Tick]:
    """Each request draws its own label with the weight of its second, and its outcome from the weather."""
    for at in range(seconds):
        weight, rates = weight_at(schedule, at), weather(at, random)
        ours, theirs = rps * weight, rps * (1 - weight)
        candidate_errors = poisson(random, ours * rates.candidate)
        stable_errors = poisson(random, theirs * rates.stable)
        candidate = candidate_errors + poisson(random, ours * (1 - rates.candidate))
        stable = stable_errors + poisson(random, theirs * (1 - rates.stable))
        if times is None:
            cell = _cell(weight, stable, stable_errors, candidate, candidate_errors)
            stable_times: list[float] = []
            candidate_times: list[float] = []
        else:
            stable_times, slow = _draw(random, times, rates.slower, stable, stable_errors, candidate=False)
            candidate_times, fast = _draw(random, times, rates.slower, candidate, candidate_errors, candidate=True)
            cell = Cell(
                weight,
                Arm(stable, stable_errors, stable, stable_errors, slow),
                Arm(candidate, candidate_errors, candidate, candidate_errors, fast),
            )
        cells = (cell,) if stable or candidate else ()
        second = Second(at, cells, _totals(stable, stable_errors), _totals(candidate, candidate_errors))
        yield Tick(second, weight, stable_times, candidate_times)


def _draw(
    random: Random, times: Times, slower: float, requests: int, errors: int, *, candidate: bool
) -> tuple[list[float], dict[int, int]]:
    values, places = _places(times, slower, candidate=candidate)
    draw = random.random
    drawn = [int(draw() * ATOMS) for _ in range(requests - errors)]
    counts: dict[int, int] = {SLOWEST: errors} if errors else {}
    for index in drawn:
        place = places[index]
        counts[place] = counts.get(place, 0) + 1
    return [values[index] for index in drawn], counts
