"""The rows of errors: equal versions in all weathers, bad minutes of one version alone, worse candidates."""

from dataclasses import replace

from benchmarks.judge.release import ERRORS, LATENCY, Plan
from benchmarks.judge.rows import (
    DETECT,
    FALSE,
    HOSTS,
    MARGIN,
    MISROUTED,
    OF_TWO,
    OUTAGE_OF_TWO,
    RATES,
    SCHEDULES,
    SHORT,
    TOLERATED,
    Row,
    always,
    row,
)
from benchmarks.judge.traffic import HOUR, RAMP, bad_minutes, fixed, jump, late, overdispersed, steady
from gatekeeper.core.judge.analysis import Burst

TIGHTEST = "base 1 %, w 50 %, 5 rps"
"""Where a bound of 1 % is used up most: few requests, even shares, so that early luck weighs much."""
SHORT_SECONDS = 900
"""Most of what is ever bet wrongly is bet early, so that many short releases say more than few long ones."""
SHORT_RAMP = tuple((seconds // 4, weight) for seconds, weight in RAMP)


def equal() -> list[Row]:
    """An hour each, beside all other rules."""
    rows = []
    for base in (0.001, 0.01):
        for rps in RATES:
            for name, schedule in SCHEDULES.items():
                plan = Plan(rps, schedule, always(steady(base)))
                rows.append(row(FALSE, f"base {100 * base:g} %, {name}, {rps} rps", 24, plan, null=True))
    rough = Plan(50, RAMP, always(jump(0.001, 0.015, HOUR // 2)))
    for name, weather in (
        ("errors of both jump from .1 % to 1.5 %", rough.weather),
        ("incident of both in the first 20 min (2 %)", always(jump(0.001, 0.02, 0, 1200))),
        ("three bad minutes of both (30 %)", bad_minutes(0.001, 0.3, 3)),
        ("rates overdispersed (gamma, 10 s), base .4 %", overdispersed(0.004, 0.5)),
    ):
        rows.append(row(FALSE, f"ramp, {name}", 50, replace(rough, weather=weather), null=True))
    for name, candidate in ((TOLERATED[0], 0.0014), (MARGIN, 0.0015)):
        rows.append(row(FALSE, name, 40, Plan(2000, fixed(0.5), always(steady(0.001, candidate))), null=True))
    return rows


def equal_and_short() -> list[Row]:
    """The same cells again, watched by the judge alone: their number is what the bound on false rollbacks rests on."""
    rows = []
    for base in (0.001, 0.01):
        for rps in RATES:
            for name, schedule in SCHEDULES.items():
                cell = f"base {100 * base:g} %, {name}, {rps} rps"
                steps = SHORT_RAMP if schedule is RAMP else schedule
                plan = Plan(rps, steps, always(steady(base)), SHORT_SECONDS, rules=False)
                releases = 1000 if cell == TIGHTEST else 345
                rows.append(row(SHORT, f"{cell}, 15 min", releases, plan, null=True))
    return rows


def hosts() -> list[Row]:
    rows = []
    for minutes, said in ((1, "one bad minute each (10 %)"), (3, "three bad minutes each (10 %)")):
        plan = Plan(50, RAMP, bad_minutes(0.001, 0.1, minutes, own=True))
        rows.append(row(HOSTS, f"{said}, ramp, 50 rps", 50, plan))
        for cap in (20, 5):
            capped = replace(plan, analysis=replace(ERRORS, burst=Burst(60, cap)), rules=False)
            rows.append(row(HOSTS, f"{said}, burst cap {cap} a minute", 50, capped))
    return rows


def detection() -> list[Row]:
    def case(name: str, rps: float, schedule: str, base: float, candidate: float) -> Row:
        return row(DETECT, name, 100, Plan(rps, SCHEDULES[schedule], always(steady(base, candidate))))

    outage_capped = replace(ERRORS, burst=Burst(60, 20))
    return [
        case("100 % errors, w 1 %, 50 rps", 50, "w 1 %", 0.001, 1.0),
        case("100 % errors, ramp, 5 rps", 5, "ramp", 0.001, 1.0),
        case("100 % errors, ramp, 50 rps", 50, "ramp", 0.001, 1.0),
        case("100 % errors, w 50 %, 5 rps", 5, "w 50 %", 0.001, 1.0),
        row(DETECT, OUTAGE_OF_TWO, 100, Plan(50, fixed(0.01), always(steady(0.001, 1.0)), analysis=LATENCY)),
        row(
            DETECT,
            "100 % errors, ramp, 50 rps, burst cap 20 a minute",
            100,
            Plan(50, RAMP, always(steady(0.001, 1.0)), analysis=outage_capped, rules=False),
        ),
        case("+5 points, base .1 %, ramp, 5 rps", 5, "ramp", 0.001, 0.051),
        case("+5 points, base .1 %, ramp, 50 rps", 50, "ramp", 0.001, 0.051),
        case("+5 points, base 1 %, ramp, 50 rps", 50, "ramp", 0.01, 0.06),
        case("+5 points, base 1 %, w 5 %, 50 rps", 50, "w 5 %", 0.01, 0.06),
        row(DETECT, OF_TWO, 100, Plan(50, fixed(0.05), always(steady(0.01, 0.06)), analysis=LATENCY)),
        case("+5 points, base 1 %, w 1 %, 2000 rps", 2000, "w 1 %", 0.01, 0.06),
        case("x3, base 1 %, ramp, 50 rps", 50, "ramp", 0.01, 0.03),
        case("x3, base 1 %, w 5 %, 2000 rps", 2000, "w 5 %", 0.01, 0.03),
        replace(case("x3, base .1 %, ramp, 50 rps", 50, "ramp", 0.001, 0.003), releases=50),
        replace(case("x3, base .1 %, w 5 %, 2000 rps", 2000, "w 5 %", 0.001, 0.003), releases=50),
        replace(case("x3, base .1 %, ramp, 5 rps", 5, "ramp", 0.001, 0.003), releases=50),
        replace(case("x1.5, base 1 %, ramp, 50 rps", 50, "ramp", 0.01, 0.015), releases=50),
        replace(case("x1.5, base 1 %, ramp, 2000 rps", 2000, "ramp", 0.01, 0.015), releases=50),
        row(
            DETECT,
            "x5 from minute 40 on, base .2 %, ramp, 50 rps (seconds from then)",
            50,
            Plan(50, RAMP, always(late(0.002, 0.01, 2400))),
            since=2400,
        ),
        row(DETECT, MISROUTED, 50, Plan(50, fixed(0.05), always(steady(0.01)), rules=False, misroute=1.1)),
    ]
