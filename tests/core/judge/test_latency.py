"""Times: buckets, what is tolerated, and bets on ranks and tails that are fair however stable's times move."""

from itertools import product
from math import exp, inf, log
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.judge.bets import PassTest
from gatekeeper.core.judge.latency import BUCKETS, KNOWN, LEARN_TICKS, LEAST, RATIO, SLOWEST, LatencyTest, bucket, score

ROUNDING = 1e-12


def begin():
    return LatencyTest(PassTest(1.5, 0.01), PassTest(1.5, 0.005))


def taught(times, ticks=1):
    """A test that has seen stable take these times, without a candidate beside it."""
    test = begin()
    for _ in range(ticks):
        test.bet(0.0, times, {})
        test.end_tick()
    return test


def test_buckets_grow_with_time_and_have_an_end_on_both_sides():
    places = [bucket(0.001 * 1.05**step) for step in range(200)]
    assert places == sorted(places)
    assert places[0] == 0
    assert places[-1] == SLOWEST == BUCKETS - 1
    assert set(places) == set(range(BUCKETS))
    assert bucket(0) == bucket(LEAST) == 0
    assert bucket(5.0) < SLOWEST
    assert bucket(6.0) == SLOWEST


@given(time=st.floats(0, 20), tolerance=st.floats(0, 0.5), floor=st.floats(0, 0.05))
def test_what_is_tolerated_is_literally_not_slower(time, tolerance, floor):
    slower = max(time * (1 + tolerance), time + floor)
    # One part in 10**9 for rounding.
    assert score(slower * (1 - 1e-9), tolerance, floor) <= bucket(time)
    assert score(time, 0.0, 0.0) == bucket(time)


def test_what_is_more_than_tolerated_is_slower():
    for edge in (LEAST * RATIO**10, LEAST * RATIO**40):
        assert score(1.051 * edge, 0.05, 0.0001) == bucket(1.0005 * edge) == bucket(0.999 * edge) + 1
        assert score(edge + 0.0021, 0.0, 0.002) == bucket(edge + 0.0001)


def test_nothing_is_called_slow_before_enough_of_stable_is_known():
    test = begin()
    test.bet(0.5, {10: KNOWN - 1}, {50: 20})
    test.end_tick()
    test.bet(0.5, {}, {50: 20})
    test.end_tick()
    assert test.log_wealth == 0
    for _ in range(LEARN_TICKS):
        test.bet(0.0, {10: 10}, {})
        test.end_tick()
    test.bet(0.5, {}, {50: 20})
    test.end_tick()
    assert test.log_wealth > log(10)


def test_ranks_come_only_from_seconds_before():
    """What stable takes in the same second must not decide what is slow in it."""
    test, other = taught({10: 100}), taught({10: 100})
    test.bet(0.5, {10: 1}, {20: 1})
    other.bet(0.5, {10: 1, 60: 1000}, {20: 1})
    assert test.ranks == other.ranks
    # The same candidate, and stable's own bets aside the same growth: look at a cell without any.
    test.bet(0.5, {}, {20: 5})
    one = test.body.log_wealth
    for _ in range(LEARN_TICKS):
        other.end_tick()
    assert other.ranks != test.ranks
    assert one > 0


@pytest.mark.parametrize("weight", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("stop", [1.05, inf])
def test_on_every_path_of_a_small_world_the_mean_wealth_of_equal_versions_never_exceeds_one(weight, stop):
    """Four requests, each of three times, each of either version; stable's memory is of other times than these."""
    memory = {10: 60, 20: 30, 30: 8, 40: 2}
    times = ((10, 0.5), (25, 0.3), (SLOWEST, 0.2))
    outcomes = [
        ((weight if candidate else 1 - weight) * chance, candidate, place)
        for candidate in (False, True)
        for place, chance in times
    ]
    total = 0.0
    for path in product(outcomes, repeat=4):
        test = taught(memory)
        chance = 1.0
        for probability, candidate, place in path:
            chance *= probability
            if exp(test.log_wealth) < stop:
                test.bet(weight, {} if candidate else {place: 1}, {place: 1} if candidate else {})
                test.end_tick()
        total += chance * exp(test.log_wealth)
    assert total <= 1 + ROUNDING


def play(factor, *, seconds, slower=lambda second: 1.0, weight=0.2, rps=50, seed=1, tail=1.0):
    random = Random(seed)
    test = begin()
    needed = 0
    for second in range(seconds):
        arms = ({}, {})
        for _ in range(rps):
            candidate = random.random() < weight
            time = random.lognormvariate(log(0.1), 0.6) * slower(second)
            if candidate:
                time *= factor * (tail if random.random() < 0.03 else 1.0)
                needed += 1
            place = score(time, 0.05, 0.002) if candidate else bucket(time)
            arms[candidate][place] = arms[candidate].get(place, 0) + 1
        test.bet(weight, *arms)
        test.end_tick()
        if test.log_wealth >= log(200):
            return needed
    return None


def test_twice_as_slow_is_seen_within_a_few_dozen_requests():
    # The first hundred requests of stable are learnt from.
    found = play(2.0, seconds=60)
    assert found is not None
    assert found < 150


def test_a_slow_tail_alone_is_seen():
    assert play(1.0, seconds=600, tail=6.0) is not None


@pytest.mark.parametrize("slower", [lambda second: 1.0, lambda second: 1 + 0.8 * (second // 20 % 3 - 1)])
def test_what_slows_both_versions_is_no_evidence_against_one(slower):
    assert play(1.0, seconds=300, slower=slower) is None
    assert play(1.04, seconds=300, slower=slower) is None


def test_fast_failures_do_not_look_like_a_gain():
    """A failure counts as the slowest, so a candidate that fails at once is slower, not faster."""
    test = taught({20: 200})
    for _ in range(10):
        test.bet(0.1, {20: 45}, {20: 2, SLOWEST: 3})
        test.end_tick()
    assert test.log_wealth > log(200)


def test_where_stable_itself_often_fails_its_tail_can_still_be_compared():
    """Stable's p95 and p99 are in the last bucket; nothing is above it."""
    test = taught({20: 90, SLOWEST: 10})
    assert max(test.limits) == SLOWEST - 1
    for _ in range(60):
        test.bet(0.5, {20: 9, SLOWEST: 1}, {20: 4, SLOWEST: 6})
        test.end_tick()
    assert test.p99.mixture.log_wealth > log(100)


def test_stable_is_forgotten_by_half_each_minute_unless_that_left_too_little():
    busy, quiet = taught({20: 10}, ticks=600), taught({20: 1}, ticks=600)
    assert sum(busy.recent) < 1300
    assert sum(quiet.recent) >= KNOWN


def test_both_tails_must_be_proven():
    test = taught({20: 1000, 40: 30, 50: 2})
    for _ in range(200):
        test.bet(0.2, {20: 30, 40: 1}, {20: 9, 40: 0})
        test.end_tick()
    assert test.pass95.log_evidence > log(20)
    assert test.log_pass == min(test.pass95.log_evidence, test.pass99.log_evidence)


def test_the_cap_holds_for_the_average_of_the_three():
    test = taught({20: 200})
    test.bet(0.05, {}, {60: 20})
    test.end_tick()
    assert test.log_wealth > log(20)
    test.cap(log(20))
    assert test.log_wealth == pytest.approx(log(20))
