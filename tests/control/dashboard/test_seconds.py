"""Rows of a chart out of samples of counters."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.control.dashboard.seconds import SMOOTH, Seconds
from gatekeeper.telemetry.block import BUCKET_COUNT
from gatekeeper.telemetry.window import Counts

BLUE, GREEN = ("shop", "blue"), ("shop", "green")


def counts(requests=0, failed=0, bucket=3, in_flight=0):
    buckets = [0] * BUCKET_COUNT
    buckets[bucket] = requests
    return Counts(requests, failed, tuple(buckets), in_flight)


@pytest.fixture
def state(world):
    return world.controller.state


def test_the_first_sample_says_nothing_and_the_same_one_again_neither(state):
    seconds = Seconds()
    assert seconds.rows(state, 10.0, {BLUE: counts(5)}) is None
    assert seconds.rows(state, 10.0, {BLUE: counts(5)}) is None
    assert seconds.rows(state, 11.0, {BLUE: counts(7)})[BLUE].requests == 2


def test_requests_and_errors_are_those_of_the_second_and_the_rest_looks_back(state):
    seconds = Seconds()
    total = 0
    for second in range(SMOOTH + 3):
        total += 100 if second == 2 else 0
        row = (seconds.rows(state, float(second), {BLUE: counts(total, total // 10, in_flight=4)}) or {}).get(BLUE)
        if second in (2, 3):
            assert (row.requests, row.errors) == ((100, 10) if second == 2 else (0, 0))
        if 2 <= second < 2 + SMOOTH:
            assert row.share == 1.0
            assert 0.005 < row.p50 < row.p95 < row.p99 <= 0.01
        if second == 2 + SMOOTH:
            assert (row.share, row.p50, row.p95, row.p99) == (None, None, None, None)
        assert row is None or row.in_flight == 4


def test_the_share_is_what_flowed_and_the_weight_what_should_have(world):
    state = world.controller.state
    shop = state.services["shop"]
    split = replace(shop.running.split, weights={"blue": Decimal(2), "green": Decimal("0.5")})
    services = {**state.services, "shop": replace(shop, running=replace(shop.running, split=split))}
    state = replace(state, services=services)
    seconds = Seconds()
    seconds.rows(state, 0.0, {})
    rows = seconds.rows(state, 1.0, {BLUE: counts(70), GREEN: counts(30)})
    assert (rows[BLUE].weight, rows[GREEN].weight) == (0.8, 0.2)
    assert (rows[BLUE].share, rows[GREEN].share) == (0.7, 0.3)
    assert rows["cart", "v1"].share is None


def test_a_split_that_changes_changes_the_weight_at_once(world, state):
    seconds = Seconds()
    seconds.rows(state, 0.0, {})
    assert seconds.rows(state, 1.0, {})[GREEN].weight == 0.0
    shop = state.services["shop"]
    split = replace(shop.running.split, weights={"blue": Decimal(0), "green": Decimal(1)})
    after = replace(state, services={"shop": replace(shop, running=replace(shop.running, split=split))})
    assert seconds.rows(after, 2.0, {})[GREEN].weight == 1.0
    assert seconds.rows(state, 3.0, {})[GREEN].weight == 0.0


def test_a_supervisor_that_was_held_up_shows_no_peak(state):
    seconds = Seconds()
    seconds.rows(state, 0.0, {BLUE: counts(0)})
    assert seconds.rows(state, 1.1, {BLUE: counts(100)})[BLUE].requests == 100, "a little late is counted as it is"
    assert seconds.rows(state, 5.1, {BLUE: counts(500, 40)})[BLUE].requests == 100
    assert seconds.rows(state, 6.1, {BLUE: counts(600, 40)})[BLUE].errors == 0


def test_counters_that_begin_anew_never_make_a_negative_row(state):
    seconds = Seconds()
    seconds.rows(state, 0.0, {BLUE: counts(1000, 100)})
    row = seconds.rows(state, 1.0, {BLUE: counts(5, 1)})[BLUE]
    assert (row.requests, row.errors) == (5, 1)
