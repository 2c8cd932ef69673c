"""Traffic as it is assumed comes out as it was said."""

from math import sqrt
from random import Random

import pytest

from gatekeeper.core.judge.assumed import EQUAL, Regression, Traffic, poisson, second
from gatekeeper.core.judge.latency import SLOWEST, bucket, score

DRAWS = 4000


@pytest.mark.parametrize("mean", [0.0, 1e-4, 0.3, 4.0, 29.9, 30.0, 500.0, 1e7])
def test_poisson_numbers_have_their_mean_and_their_spread(mean):
    draw = Random(mean).random
    found = [poisson(draw, mean) for _ in range(DRAWS)]
    average = sum(found) / DRAWS
    # Six standard errors.
    assert abs(average - mean) <= 6 * sqrt(mean / DRAWS) + 1e-9
    variance = sum((each - average) ** 2 for each in found) / DRAWS
    assert variance == pytest.approx(mean, rel=0.15, abs=0.05)


def test_the_most_unlikely_draws_end_too():
    assert poisson(lambda: 0.0, 100.0) == 0
    assert poisson(lambda: 1 - 2**-53, 29.0) < 200


def seconds(traffic, regression, *, weight=0.2, times=True, count=400):
    draw = Random(1).random
    tolerance = (0.05, 0.002) if times else None
    for at in range(count):
        yield second(draw, traffic, regression, at=at, weight=weight, tolerance=tolerance)


def total(found, version):
    cells = [getattr(cell, version) for each in found for cell in each.cells]
    return sum(arm.requests for arm in cells), sum(arm.errors for arm in cells)


@pytest.mark.parametrize("times", [False, True])
def test_requests_and_errors_come_as_often_as_was_said(times):
    found = list(seconds(Traffic(100, errors=0.02), Regression("worse", times=2, more=0.05), times=times))
    requests, errors = total(found, "stable")
    assert requests == pytest.approx(32_000, rel=0.05)
    assert errors / requests == pytest.approx(0.02, rel=0.2)
    requests, errors = total(found, "candidate")
    assert requests == pytest.approx(8_000, rel=0.05)
    assert errors / requests == pytest.approx(0.09, rel=0.2)
    assert all(each.candidate.requests == sum(cell.candidate.requests for cell in each.cells) for each in found)


def test_nothing_fails_more_often_than_always():
    assert Regression("dead", times=3, more=1).errors(0.5) == 1.0


def test_times_are_lognormal_around_their_median_and_failures_the_slowest():
    found = list(seconds(Traffic(100, errors=0.1, latency=0.2), Regression("slow", slower=2.0)))
    for version, middle in (("stable", bucket(0.2)), ("candidate", score(0.4, 0.05, 0.002))):
        counts = {}
        for cell in (cell for each in found for cell in each.cells):
            for place, many in getattr(cell, version).times.items():
                counts[place] = counts.get(place, 0) + many
        requests, errors = total(found, version)
        assert sum(counts.values()) == requests
        assert counts[SLOWEST] >= errors
        below = sum(many for place, many in counts.items() if place < middle)
        upto = below + counts[middle]
        # Half of those that did not fail.
        assert below < (requests - errors) / 2 < upto


def test_the_same_chance_gives_the_same_traffic():
    one, other = (list(seconds(Traffic(5), EQUAL)) for _ in range(2))
    assert one == other
    assert any(not each.cells for each in one)
