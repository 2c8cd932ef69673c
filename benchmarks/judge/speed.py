"""The rows of times, and of promotion."""

from collections.abc import Callable
from dataclasses import replace

from benchmarks.judge.release import LATENCY, Plan
from benchmarks.judge.rows import (
    AT_THE_MARGIN,
    PROMOTE,
    RATES,
    SCHEDULES,
    SLOWER,
    TENTH,
    TOLERATED,
    Row,
    always,
    row,
)
from benchmarks.judge.traffic import HOUR, RAMP, Rates, Times, Weather, steady


def latency() -> list[Row]:
    def case(name: str, releases: int, rps: float, schedule: str, times: Times, *, null: bool = False) -> Row:
        plan = Plan(rps, SCHEDULES[schedule], always(steady(0.0)), times=times, analysis=LATENCY)
        # At 2000 rps the others would have to sort two million times a release.
        return row(SLOWER, name, releases, replace(plan, rules=rps <= 50), null=null)

    def drifting(name: str, slower: Callable[[int], float]) -> Row:
        weather: Weather = lambda second, _random: Rates(0.0, 0.0, slower(second))  # noqa: E731 a function of two
        plan = Plan(50, RAMP, always(weather), times=Times(), analysis=LATENCY)
        return row(SLOWER, name, 20, plan, null=True)

    same, tenth, double = Times(), Times(factor=1.1), Times(factor=2.0)
    wave = (1.0, 1.4, 1.7, 1.8, 1.7, 1.4, 1.0, 0.6, 0.3, 0.2, 0.3, 0.6)
    return [
        case("equal, w 5 %, 50 rps", 20, 50, "w 5 %", same, null=True),
        case("equal, ramp, 50 rps", 20, 50, "ramp", same, null=True),
        drifting("equal, both x2.2 slower after 35 min, ramp", lambda second: 2.2 if second >= 2100 else 1.0),
        drifting("equal, both up and down by 80 %, ramp", lambda second: wave[second // 60 % len(wave)]),
        case(TOLERATED[1], 20, 50, "ramp", Times(factor=1.04), null=True),
        case(TENTH, 40, 50, "w 5 %", tenth),
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
                rows.append(row(PROMOTE, f"equal, base {100 * base:g} %, {schedule}, {rps} rps", 40, plan))
    for name, worse in ((AT_THE_MARGIN, 0.005), ("beyond it (+1 point), base 1 %, ramp, 50 rps", 0.01)):
        plan = Plan(50, RAMP, always(steady(0.01, 0.01 + worse)), rules=False, promotion=True)
        rows.append(row(PROMOTE, name, 80, plan))
    for rps, schedule in ((50, "w 5 %"), (50, "ramp"), (5, "ramp"), (5, "w 50 %")):
        plan = Plan(rps, SCHEDULES[schedule], always(steady(0.0)), HOUR, Times(), LATENCY, rules=False, promotion=True)
        rows.append(row(PROMOTE, f"with p95 and p99, no errors, {schedule}, {rps} rps", 20, plan))
    return rows
