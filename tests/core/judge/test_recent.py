"""Absolute bounds on the last seconds."""

import pytest

from gatekeeper.core.judge.analysis import Guard
from gatekeeper.core.judge.recent import CANDIDATE, STABLE, Recent
from gatekeeper.core.judge.second import Second, Totals

GUARD = Guard(errors=0.05, p99=0.8, window=10)


def recent(*totals: tuple[int, int, int]) -> Recent:
    """Of the candidate: requests, errors and slow ones of each second."""
    found = Recent(GUARD.window)
    for at, numbers in enumerate(totals):
        found.add(Second(at, candidate=Totals(*numbers)))
    return found


@pytest.mark.parametrize(
    ("numbers", "broken"),
    [
        ((19, 19, 19), False),  # too few requests
        ((30, 2, 2), False),  # 7 %, but no more than two of them
        ((30, 3, 0), True),
        ((60, 3, 0), False),
        ((61, 4, 0), True),
        ((100, 0, 1), False),
        ((30, 0, 3), True),
        ((300, 0, 3), False),
        ((300, 0, 4), True),
    ],
)
def test_a_bound_is_broken_by_a_part_of_enough_requests_and_never_by_one_or_two(numbers, broken):
    found = recent(numbers)
    assert found.breaks(GUARD, CANDIDATE) is broken
    assert not found.breaks(GUARD, STABLE)


def test_what_is_described_is_the_bound_that_is_broken():
    assert recent((40, 3, 0)).describe(GUARD, CANDIDATE) == "3 of 40 requests failed in 10 s"
    assert recent((30, 2, 3)).describe(GUARD, CANDIDATE) == "3 of 30 requests took longer than 0.8 s in 10 s"


def test_what_is_older_than_the_window_is_forgotten():
    found = recent((40, 40, 0), *[(10, 0, 0)] * 9)
    assert found.breaks(GUARD, CANDIDATE)
    assert not recent((40, 40, 0), *[(10, 0, 0)] * 10).breaks(GUARD, CANDIDATE)
