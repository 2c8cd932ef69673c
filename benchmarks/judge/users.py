"""Releases made of single requests: users who stay on their version, who retry, who wait; recorded as a worker would.

Slower by far than ``traffic``, and only needed where it matters who sent a request, or when it ended.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from benchmarks.judge.chance import poisson
from benchmarks.judge.recording import Recording
from benchmarks.judge.release import ERRORS, Fired, Result
from benchmarks.judge.traffic import HOUR, RAMP, Schedule, weight_at
from gatekeeper.core.judge.judge import Judge
from gatekeeper.core.judge.second import Second
from gatekeeper.core.split import SPACE

FAST: Final = 0.1
"""Seconds an answer takes where nothing else is said."""


@dataclass(frozen=True, slots=True)
class World:
    """``base`` and ``candidate`` may be functions of the second. Users are equally active but for ``heavy`` tails.

    ``bots``: users whose requests all fail, on either version. ``retries``: how often a client asks again at once after
    a failure, with as little success. ``slow_failures``: seconds a failing request of stable takes.
    """

    rps: float
    users: int | None
    """None: every request is somebody else's, and draws its own label."""
    base: Callable[[int], float]
    candidate: Callable[[int], float]
    schedule: Schedule = RAMP
    seconds: int = HOUR
    heavy: float = 0.0
    """Exponent of the users' activity (Zipf); 0 = all alike."""
    bots: int = 0
    retries: int = 0
    slow_failures: float = FAST
    rescued: bool = False
    """A failure of the candidate is tried again on stable, and the outcome of that is what is recorded: a mistake."""


def constant(rate: float) -> Callable[[int], float]:
    return lambda _second: rate


def during(rate: float, usual: float, since: int, until: int) -> Callable[[int], float]:
    return lambda second: rate if since <= second < until else usual


def run_world(world: World, recording: Recording, *, sticky: bool, seed: str) -> Result:
    """``sticky`` is what the judge is told."""
    judge = Judge(ERRORS, "blue", "green", sticky=sticky)
    requests = 0
    for second in seconds_of(world, recording, Random(seed)):
        requests += sum(cell.candidate.requests for cell in second.cells)
        judge.add(second)
        if judge.rolled_back:
            return Result({"judge": Fired(second.at + 1, requests)})
    return Result(cause=judge.verdict().cause)


def seconds_of(world: World, recording: Recording, random: Random) -> Iterator[Second]:
    users = world.users or 0
    # Where a user is on the ring decides the version at every weight, as in ``core.split``.
    places = [random.random() for _ in range(users)]
    hashes = [int(place * SPACE) for place in places]
    activity: list[int] = []
    if users:
        # Sums of weights for choices(), so that a request costs one bisection.
        shares = [(number + 1.0) ** -world.heavy for number in range(users)]
        random.shuffle(shares)
        total = 0.0
        cumulative = [total := total + share for share in shares]
        expected = poisson_total(world)
        activity = random.choices(range(users), cum_weights=cumulative, k=expected)
    bots = set(random.sample(range(users), world.bots)) if world.bots else set()
    draw, used = random.random, 0
    for at in range(world.seconds):
        weight = weight_at(world.schedule, at)
        rates = world.base(at), world.candidate(at)
        for _ in range(poisson(random, world.rps)):
            user = activity[used % len(activity)] if users else None
            used += 1
            place = draw() if user is None else places[user]
            candidate = place < weight
            arrived = at + draw()
            failed = draw() < rates[candidate] or user in bots
            for _ in range(world.retries + 1 if failed else 1):
                attempt = recording.begin(
                    arrived, candidate=candidate, weight=weight, unit=None if user is None else hashes[user]
                )
                slow = failed and not candidate
                shown = failed
                if failed and candidate and world.rescued:
                    shown = draw() < rates[0]
                recording.end(attempt, arrived + (world.slow_failures if slow else FAST), failed=shown)
        yield from recording.seal(at + 1.0)


def poisson_total(world: World) -> int:
    """Requests of the whole release, about: who sends them is drawn at once."""
    return int(world.rps * world.seconds * 1.1) + 100
