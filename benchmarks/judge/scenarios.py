"""The rows of the tables. Names are what is printed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from benchmarks.judge.recording import Mistake, Recording
from benchmarks.judge.release import ERRORS, LATENCY, Plan, Result, run
from benchmarks.judge.traffic import (
    HOUR,
    RAMP,
    Rates,
    Times,
    Weather,
    bad_minutes,
    fixed,
    jump,
    late,
    overdispersed,
    steady,
)
from benchmarks.judge.users import World, constant, during, run_world
from gatekeeper.core.judge.analysis import Burst

SCHEDULES: Final = {"w 1 %": fixed(0.01), "w 5 %": fixed(0.05), "w 50 %": fixed(0.5), "ramp": RAMP}
RATES: Final = (5, 50, 2000)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of one table: so many ``releases`` of it, each a function of a seed."""

    table: str
    name: str
    releases: int
    once: Callable[[str], Result]
    null: bool = False
    """The two versions are the same, or the difference is tolerated: a rollback is false, and counted as such."""
    right: bool = True
    """False: a way to record that is wrong, shown for what it does."""


def always(weather: Weather) -> Callable[[Random], Weather]:
    return lambda _random: weather


def row(table: str, name: str, releases: int, plan: Plan, *, null: bool = False, right: bool = True) -> Row:
    return Row(table, name, releases, lambda seed: run(plan, seed), null, right)


FALSE: Final = "False rollbacks of a candidate that is no worse"
DETECT: Final = "Detection of errors"
SLOWER: Final = "Latency"
PROMOTE: Final = "Promotion of an equal candidate"
# Rows that gates ask for.
OF_TWO: Final = "+5 points, base 1 %, w 5 %, 50 rps, beside latency (bar 200 : 1)"
OUTAGE_OF_TWO: Final = "100 % errors, w 1 %, 50 rps, beside latency (bar 200 : 1)"
MISROUTED: Final = "wrong share, 1.1 times what was drawn, w 5 %, 50 rps (said to be misrouted)"
TENTH: Final = "+10 %, w 5 %, 50 rps"
MARGIN: Final = "x1.5 at base .1 %, the margin itself, w 50 %, 2000 rps"
TOLERATED: Final = ("+.04 points, tolerated, w 50 %, 2000 rps", "+4 %, tolerated, ramp, 50 rps")
AT_THE_MARGIN: Final = "at the margin (+.5 points), base 1 %, ramp, 50 rps"

PEOPLE: Final = "Users, retries, waiting: what has to be recorded, and what comes of doing it wrong"


def false_alarms() -> list[Row]:
    rows = []
    for base in (0.001, 0.01):
        for rps in RATES:
            for name, schedule in SCHEDULES.items():
                # Most of what is ever bet wrongly is bet early, so a fixed weight need not be watched for an hour.
                seconds = HOUR if schedule is RAMP else HOUR // 3
                plan = Plan(rps, schedule, always(steady(base)), seconds)
                rows.append(row(FALSE, f"base {100 * base:g} %, {name}, {rps} rps", 400, plan, null=True))
    rough = Plan(50, RAMP, always(jump(0.001, 0.015, HOUR // 2)))
    rows += [
        row(FALSE, "ramp, errors of both jump from .1 % to 1.5 %", 200, rough, null=True),
        row(
            FALSE,
            "ramp, incident of both in the first 20 min (2 %)",
            200,
            replace(rough, weather=always(jump(0.001, 0.02, 0, 1200))),
            null=True,
        ),
        row(
            FALSE,
            "ramp, three bad minutes of both (30 %)",
            200,
            replace(rough, weather=bad_minutes(0.001, 0.3, 3)),
            null=True,
        ),
        row(
            FALSE,
            "ramp, rates overdispersed (gamma, 10 s)",
            200,
            replace(rough, weather=overdispersed(0.01, 0.5)),
            null=True,
        ),
        row(
            FALSE,
            TOLERATED[0],
            100,
            Plan(2000, fixed(0.5), always(steady(0.001, 0.0014))),
            null=True,
        ),
        row(
            FALSE,
            MARGIN,
            100,
            Plan(2000, fixed(0.5), always(steady(0.001, 0.0015))),
            null=True,
        ),
    ]
    own = Plan(50, RAMP, bad_minutes(0.001, 0.1, 1, own=True))
    rows += [
        row(FALSE, "each version its own bad minute (10 %), ramp *", 100, own),
        row(
            FALSE,
            "each its own bad minute, burst cap 20 a minute *",
            100,
            replace(own, analysis=replace(ERRORS, burst=Burst(60, 20)), rules=False),
        ),
        row(
            FALSE,
            "each its own bad minute, burst cap 5 a minute *",
            100,
            replace(own, analysis=replace(ERRORS, burst=Burst(60, 5)), rules=False),
        ),
    ]
    return rows


def detection() -> list[Row]:
    def case(name: str, rps: float, schedule: str, base: float, candidate: float) -> Row:
        return row(DETECT, name, 50, Plan(rps, SCHEDULES[schedule], always(steady(base, candidate))))

    return [
        case("100 % errors, w 1 %, 50 rps", 50, "w 1 %", 0.001, 1.0),
        case("100 % errors, ramp, 5 rps", 5, "ramp", 0.001, 1.0),
        case("100 % errors, ramp, 50 rps", 50, "ramp", 0.001, 1.0),
        case("100 % errors, w 50 %, 5 rps", 5, "w 50 %", 0.001, 1.0),
        case("+5 points, base .1 %, ramp, 5 rps", 5, "ramp", 0.001, 0.051),
        case("+5 points, base .1 %, ramp, 50 rps", 50, "ramp", 0.001, 0.051),
        case("+5 points, base 1 %, ramp, 50 rps", 50, "ramp", 0.01, 0.06),
        case("+5 points, base 1 %, w 5 %, 50 rps", 50, "w 5 %", 0.01, 0.06),
        row(DETECT, OF_TWO, 50, Plan(50, fixed(0.05), always(steady(0.01, 0.06)), analysis=LATENCY)),
        row(DETECT, OUTAGE_OF_TWO, 50, Plan(50, fixed(0.01), always(steady(0.001, 1.0)), analysis=LATENCY)),
        case("+5 points, base 1 %, w 1 %, 2000 rps", 2000, "w 1 %", 0.01, 0.06),
        case("x3, base 1 %, ramp, 50 rps", 50, "ramp", 0.01, 0.03),
        case("x3, base 1 %, w 5 %, 2000 rps", 2000, "w 5 %", 0.01, 0.03),
        case("x3, base .1 %, ramp, 50 rps", 50, "ramp", 0.001, 0.003),
        case("x3, base .1 %, w 5 %, 2000 rps", 2000, "w 5 %", 0.001, 0.003),
        case("x3, base .1 %, ramp, 5 rps", 5, "ramp", 0.001, 0.003),
        case("x1.5, base 1 %, ramp, 50 rps", 50, "ramp", 0.01, 0.015),
        case("x1.5, base 1 %, ramp, 2000 rps", 2000, "ramp", 0.01, 0.015),
        row(
            DETECT,
            "x5 from minute 40 on, base 1 %, ramp, 50 rps",
            50,
            Plan(50, RAMP, always(late(0.01, 0.05, 2400))),
        ),
        row(
            DETECT,
            MISROUTED,
            50,
            Plan(50, fixed(0.05), always(steady(0.01)), rules=False, misroute=1.1),
        ),
    ]


def latency() -> list[Row]:
    def case(name: str, releases: int, rps: float, schedule: str, times: Times, *, null: bool = False) -> Row:
        plan = Plan(rps, SCHEDULES[schedule], always(steady(0.0)), times=times, analysis=LATENCY)
        if not null:
            plan = replace(plan, rules=rps <= 50)
        return row(SLOWER, name, releases, plan, null=null)

    def drifting(name: str, slower: Callable[[int], float]) -> Row:
        weather: Weather = lambda second, _random: Rates(0.0, 0.0, slower(second))  # noqa: E731 a function of two
        plan = Plan(50, RAMP, always(weather), times=Times(), analysis=LATENCY)
        return row(SLOWER, name, 40, plan, null=True)

    same, tenth, double = Times(), Times(factor=1.1), Times(factor=2.0)
    wave = (1.0, 1.4, 1.7, 1.8, 1.7, 1.4, 1.0, 0.6, 0.3, 0.2, 0.3, 0.6)
    return [
        case("equal, w 5 %, 50 rps", 40, 50, "w 5 %", same, null=True),
        case("equal, ramp, 50 rps", 40, 50, "ramp", same, null=True),
        drifting("equal, both x2.2 slower after 35 min, ramp", lambda second: 2.2 if second >= 2100 else 1.0),
        drifting("equal, both up and down by 80 %, ramp", lambda second: wave[second // 60 % len(wave)]),
        case(TOLERATED[1], 40, 50, "ramp", Times(factor=1.04), null=True),
        case(TENTH, 30, 50, "w 5 %", tenth),
        case("+10 %, w 1 %, 2000 rps", 15, 2000, "w 1 %", tenth),
        case("slowest 3 % x1.5, w 5 %, 50 rps", 30, 50, "w 5 %", Times(tail=1.5)),
        case("slowest 3 % x1.5, w 1 %, 2000 rps", 15, 2000, "w 1 %", Times(tail=1.5)),
        case("x2, ramp, 50 rps", 30, 50, "ramp", double),
        case("x2, ramp, 5 rps", 30, 5, "ramp", double),
        case("+10 %, ramp, 5 rps", 30, 5, "ramp", tenth),
    ]


def promotion() -> list[Row]:
    rows = []
    for base in (0.001, 0.01):
        for schedule in ("w 5 %", "ramp", "w 50 %"):
            for rps in RATES:
                plan = Plan(rps, SCHEDULES[schedule], always(steady(base)), rules=False, promotion=True)
                rows.append(row(PROMOTE, f"equal, base {100 * base:g} %, {schedule}, {rps} rps", 50, plan))
    for name, worse in ((AT_THE_MARGIN, 0.005), ("beyond it (+1 point), base 1 %, ramp, 50 rps", 0.01)):
        plan = Plan(50, RAMP, always(steady(0.01, 0.01 + worse)), rules=False, promotion=True)
        rows.append(row(PROMOTE, name, 100, plan))
    for rps, schedule in ((50, "w 5 %"), (50, "ramp")):
        plan = Plan(rps, SCHEDULES[schedule], always(steady(0.0)), HOUR, Times(), LATENCY, rules=False, promotion=True)
        rows.append(row(PROMOTE, f"with p95 and p99, no errors, {schedule}, {rps} rps", 15, plan))
    return rows


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
        case("bots and heavy users, first error per unit", 200, bots, null=True),
        case("bots and heavy users, every error counted", 100, bots, mistake=Mistake.PER_REQUEST),
        case("retry storms (x4), first error per unit", 100, storm, null=True),
        case("retry storms (x4), every error counted", 50, storm, mistake=Mistake.PER_REQUEST),
        case("candidate better (1 % against 5 %), units", 100, better, null=True),
        case("candidate better, units, wealth that forgets", 50, better, forgets=True),
        case("stable fails for a minute, then both are equal, units", 100, outage, null=True),
        case("stable fails for a minute, units, wealth that forgets", 50, outage, forgets=True),
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
        case("+5 points, 1000 units, base 2 %, 50 rps, ramp", 20, noisy),
        case(
            "+5 points from 2,100 s on, 1000 units, base 2 %",
            20,
            replace(noisy, candidate=during(0.07, 0.02, 2100, HOUR)),
        ),
        case(
            "+5 points from 2,100 s on, units, wealth that forgets",
            20,
            replace(noisy, candidate=during(0.07, 0.02, 2100, HOUR)),
            forgets=True,
        ),
    ]


def all_rows() -> list[Row]:
    return [*false_alarms(), *detection(), *latency(), *promotion(), *people()]
