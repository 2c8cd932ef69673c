"""One line of a table: what is simulated, how often, and what it is called. Names are what is printed."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from benchmarks.judge.release import Plan, Result, run
from benchmarks.judge.traffic import RAMP, Weather, fixed

FALSE: Final = "False rollbacks of a candidate that is no worse"
SHORT: Final = "False rollbacks, many releases of 15 minutes"
HOSTS: Final = "A bad minute of each version's own hosts: no comparison can tell those from its code"
DETECT: Final = "Detection of errors"
SLOWER: Final = "Latency"
PROMOTE: Final = "Promotion of an equal candidate"
PEOPLE: Final = "Users, retries, waiting: what has to be recorded, and what comes of doing it wrong"

# Rows that gates ask for.
OF_TWO: Final = "+5 points, base 1 %, w 5 %, 50 rps, beside latency (bar 200 : 1)"
OUTAGE_OF_TWO: Final = "100 % errors, w 1 %, 50 rps, beside latency (bar 200 : 1)"
MISROUTED: Final = "wrong share, 1.1 times what was drawn, w 5 %, 50 rps (said to be misrouted)"
TENTH: Final = "+10 %, w 5 %, 50 rps"
MARGIN: Final = "x1.5 at base .1 %, the margin itself, w 50 %, 2000 rps"
TOLERATED: Final = ("+.04 points, tolerated, w 50 %, 2000 rps", "+4 %, tolerated, ramp, 50 rps")
AT_THE_MARGIN: Final = "at the margin (+.5 points), base 1 %, ramp, 50 rps"

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
    since: int = 0
    """When the candidate became worse: seconds until the rollback count from there."""
    rules: bool = True
    """Whether the others decide, too."""


def always(weather: Weather) -> Callable[[Random], Weather]:
    return lambda _random: weather


def row(table: str, name: str, releases: int, plan: Plan, *, null: bool = False, since: int = 0) -> Row:
    return Row(table, name, releases, lambda seed: run(plan, seed), null, since=since, rules=plan.rules)
