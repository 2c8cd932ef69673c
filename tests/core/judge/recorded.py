"""What a judge writes down, for the tests of whoever reads it: lines of JSON."""

import json
from typing import Any

from gatekeeper.core import codec
from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.judge.judge import Judge
from gatekeeper.core.judge.second import Arm, Cell, Second, Totals

SECONDS = 60
FAILS_FROM = 40
QUICK = 20
"""A bucket of times that is not the slowest."""


def second(at: int) -> Second:
    """Nine requests to stable and one to the candidate, which fails from ``FAILS_FROM`` on."""
    failed = int(at >= FAILS_FROM)
    cell = Cell(0.1, Arm(9, 0, 9, 0, {QUICK: 9}), Arm(1, failed, 1, failed, {QUICK: 1}))
    return Second(at, (cell,), Totals(9), Totals(1, failed))


def header(judge: Judge, **more: Any) -> dict[str, Any]:
    about = {"release": 41, "service": "shop", "gatekeeper": "0.1.0", "boot": "b", "began": 1_764_600_000.0}
    return {"judge": judge.dump(), **about, **more}


def judge() -> Judge:
    return Judge(Analysis(), "blue", "green", sticky=False)


def lines(one: Judge, ats: range, **asked: bool) -> list[bytes]:
    """What follows: each second with what the judge said then."""
    found = []
    for at in ats:
        each = second(at)
        one.add(each)
        kind = one.verdict(**asked).kind.value
        found.append(line({"second": codec.dump(each), "odds": one.log_odds, "kind": kind, **asked}))
    return found


def line(document: Any) -> bytes:
    return json.dumps(document).encode() + b"\n"


def record() -> list[bytes]:
    """A whole one, which ends in a rollback."""
    one = judge()
    return [line(header(one)), *lines(one, range(SECONDS))]
