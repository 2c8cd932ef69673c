"""The rows of users: single requests, who sent them, when they ended, and what comes of recording them wrongly."""

from dataclasses import replace

from benchmarks.judge.recording import Mistake, Recording
from benchmarks.judge.release import Result
from benchmarks.judge.rows import PEOPLE, Row
from benchmarks.judge.traffic import HOUR
from benchmarks.judge.users import World, constant, during, run_world


def people() -> list[Row]:
    def case(
        name: str,
        releases: int,
        world: World,
        *,
        null: bool = False,
        forgets: bool = False,
        rescued: bool = False,
        mistake: Mistake = Mistake.NONE,
    ) -> Row:
        sticky = world.users is not None

        def once(seed: str) -> Result:
            recording = Recording(sticky=sticky, mistake=mistake)
            # What makes wealth forget is to be told that each request draws its own label.
            told = sticky and not forgets and mistake is not Mistake.PER_REQUEST
            return run_world(replace(world, rescued=rescued), recording, sticky=told, seed=seed)

        right = mistake is Mistake.NONE and not forgets and not rescued
        return Row(PEOPLE, name, releases, once, null, right)

    bots = World(20, 2000, constant(0.002), constant(0.002), heavy=0.7, bots=10)
    storm = World(20, 2000, constant(0.01), constant(0.01), retries=4, heavy=0.5, seconds=1800)
    better = World(20, 300, constant(0.05), constant(0.01), ((HOUR, 0.25),))
    outage = World(20, 400, during(1.0, 0.005, 300, 360), constant(0.005), ((HOUR, 0.1),), seconds=1800)
    waiting = World(50, None, constant(0.04), constant(0.04), ((HOUR, 0.25),), seconds=600, slow_failures=30)
    single = World(20, None, constant(0.01), constant(0.01), ((HOUR, 0.1),), seconds=600)
    worse = replace(single, candidate=constant(0.06))
    noisy = World(50, 1000, constant(0.02), constant(0.07))
    return [
        case("bots and heavy users, first error per unit", 60, bots, null=True),
        case("bots and heavy users, every error counted", 20, bots, mistake=Mistake.PER_REQUEST),
        case("retry storms (x4), first error per unit", 60, storm, null=True),
        case("retry storms (x4), every error counted", 30, storm, mistake=Mistake.PER_REQUEST),
        case("candidate better (1 % against 5 %), units", 30, better, null=True),
        case("candidate better, units, wealth that forgets", 20, better, forgets=True),
        case("stable fails for a minute, then both are equal, units", 50, outage, null=True),
        case("stable fails for a minute, units, wealth that forgets", 20, outage, forgets=True),
        case("stable's failures take 30 s, the candidate's none", 60, waiting, null=True),
        case(
            "stable's take 30 s, booked when they end",
            30,
            waiting,
            mistake=Mistake.BY_COMPLETION,
        ),
        case("stable's take 30 s, left out if they end late", 30, waiting, mistake=Mistake.FORGET_LATE),
        case("+5 points, first attempts", 50, worse),
        case("+5 points, what a retry on stable made of it", 50, worse, rescued=True),
        case("100 % errors, 200 units, 5 rps, ramp", 30, World(5, 200, constant(0.001), constant(1.0))),
        case("+5 points, 1000 units, base 2 %, 50 rps, ramp", 15, noisy),
        case(
            "+5 points from 2,100 s on, 1000 units, base 2 %",
            15,
            replace(noisy, candidate=during(0.07, 0.02, 2100, HOUR)),
        ),
        case(
            "+5 points from 2,100 s on, units, wealth that forgets",
            15,
            replace(noisy, candidate=during(0.07, 0.02, 2100, HOUR)),
            forgets=True,
        ),
    ]
