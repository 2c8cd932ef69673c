"""What is shown of a judge beside its verdict: both versions against each absolute bound, odds as plain numbers."""

import json
from math import log

import pytest

from gatekeeper.core.judge.analysis import Analysis, Guard
from gatekeeper.core.judge.judge import Judge
from gatekeeper.core.judge.second import Second, Totals
from gatekeeper.core.judge.standing import MOST_ODDS, GuardReading, odds


def judge(guard: Guard | None) -> Judge:
    return Judge(Analysis(guard=guard), "blue", "green", sticky=False)


def test_each_version_stands_beside_each_bound_that_was_asked_for():
    one = judge(Guard(0.05, 0.8, 60))
    one.add(Second(0, (), Totals(100, 1, 2), Totals(50, 1, 0)))
    one.add(Second(1, (), Totals(100, 1, 0), Totals(50, 0, 1)))
    assert one.guards() == (
        GuardReading("blue", "errors", 0.01, 0.05),
        GuardReading("blue", "p99", 0.01, 0.01),
        GuardReading("green", "errors", 0.01, 0.05),
        GuardReading("green", "p99", 0.01, 0.01),
    )


def test_a_reading_is_of_the_window_alone_and_none_where_too_few_came_in_it():
    one = judge(Guard(0.05, None, 10))
    one.add(Second(0, (), Totals(100, 50), Totals(100, 50)))
    one.add(Second(10, (), Totals(100, 1), Totals(19, 19)))
    assert one.guards() == (GuardReading("blue", "errors", 0.01, 0.05), GuardReading("green", "errors", None, 0.05))


def test_without_a_guard_there_is_nothing_to_read():
    one = judge(None)
    one.add(Second(0, (), Totals(100, 50), Totals(100, 50)))
    assert one.guards() == ()


@pytest.mark.parametrize(("logarithm", "shown"), [(log(129), 129.0), (0.0, 1.0), (-800.0, 0.0), (5_000.0, MOST_ODDS)])
def test_odds_are_a_number_that_every_program_reads(logarithm, shown):
    assert odds(logarithm) == pytest.approx(shown)
    json.dumps(odds(logarithm), allow_nan=False)
