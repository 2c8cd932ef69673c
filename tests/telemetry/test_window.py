"""The window tells what flowed in the last span, and nothing of what was before."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.telemetry.block import BUCKETS
from gatekeeper.telemetry.recorder import Recorder
from gatekeeper.telemetry.window import Live, Window, quantile

NAMES = {2: ("shop", "blue"), 3: ("shop", "green"), 4: ("blog", "one")}


def _answer(recorder, slot, times, status=200, seconds=0.02, *, forced=False):
    for _ in range(times):
        recorder.begin(slot)
        recorder.finish(slot, status, forced, seconds, -1.0)


@pytest.fixture
def window(block):
    return Window(lambda: [block], lambda: NAMES)


def test_nothing_is_known_before_two_samples(window, block):
    assert window.live("shop", "blue") == Live()
    Recorder(block).begin(2)
    window.sample(100.0)
    assert window.live("shop", "blue") == Live(in_flight=1)
    assert window.live("shop", "unheard") == Live()


def test_rate_errors_and_share_are_of_the_window(window, block):
    recorder = Recorder(block)
    _answer(recorder, 2, 1000, status=500)  # before the window
    window.sample(100.0)
    _answer(recorder, 2, 90)
    _answer(recorder, 3, 8)
    _answer(recorder, 3, 2, status=502)
    window.sample(105.0)
    blue, green = window.live("shop", "blue"), window.live("shop", "green")
    assert (blue.requests, blue.errors, blue.rate, blue.share) == (90, 0, 18.0, 0.9)
    assert (green.requests, green.errors, green.rate, green.share) == (10, 2, 2.0, 0.1)
    assert green.seconds == 5.0


def test_testers_do_not_sway_the_numbers(window, block):
    recorder = Recorder(block)
    window.sample(100.0)
    _answer(recorder, 2, 10)
    _answer(recorder, 3, 10, status=500, seconds=50.0, forced=True)
    window.sample(101.0)
    green = window.live("shop", "green")
    assert (green.requests, green.errors, green.share, green.p99) == (0, 0, 0.0, None)
    assert window.live("shop", "blue").share == 1.0


def test_the_share_of_a_service_without_requests_is_unknown(window, block):
    window.sample(100.0)
    _answer(Recorder(block), 4, 1)
    window.sample(101.0)
    assert window.live("shop", "blue").share is None
    assert window.live("blog", "one").share == 1.0


def test_what_is_older_than_the_span_is_forgotten(window, block):
    recorder = Recorder(block)
    for second in range(100, 131):
        _answer(recorder, 2, 100 if second < 110 else 1)
        window.sample(float(second))
    live = window.live("shop", "blue")
    assert (live.seconds, live.requests) == (10.0, 10)


def test_a_late_sample_still_covers_at_least_the_span(window, block):
    recorder = Recorder(block)
    for second in (100.0, 101.0, 117.0):
        _answer(recorder, 2, 1)
        window.sample(second)
    assert window.live("shop", "blue").seconds == 16.0


def test_sampling_too_often_costs_no_memory(window):
    for step in range(10_000):
        window.sample(100.0 + step / 1000)
    assert len(window._samples) <= 22


def test_a_name_that_lost_its_slot_and_returns_starts_from_zero(window, block):
    recorder = Recorder(block)
    _answer(recorder, 2, 50)
    window.sample(100.0)
    block.clear_slot(2)
    _answer(recorder, 2, 3)
    window.sample(101.0)
    assert window.live("shop", "blue").requests == 3


def test_percentiles_follow_the_durations(window, block):
    recorder = Recorder(block)
    window.sample(100.0)
    _answer(recorder, 2, 90, seconds=0.004)
    _answer(recorder, 2, 10, seconds=0.9)
    window.sample(101.0)
    live = window.live("shop", "blue")
    assert 0.0025 < live.p50 <= 0.005
    assert 0.5 < live.p95 <= live.p99 <= 1.0


def test_beyond_the_last_bound_the_estimate_is_that_bound():
    assert quantile([0] * 15 + [4], 0.5) == 60.0


@given(st.lists(st.floats(0, 60), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values, part):
    buckets = [0] * 16
    for value in values:
        buckets[next(i for i, bound in enumerate(BUCKETS) if value <= bound)] += 1
    true = sorted(values)[math.ceil(part * len(values)) - 1]
    index = next(i for i, bound in enumerate(BUCKETS) if true <= bound)
    assert (BUCKETS[index - 1] if index else 0.0) <= quantile(buckets, part) <= BUCKETS[index]


def test_counters_of_who_had_nothing_to_do_are_the_same_object_and_nothing_is_missed(window, block):
    """Only once all that began has ended: a request that ends without another one beginning is seen."""
    recorder = Recorder(block)
    _answer(recorder, 2, 5)
    recorder.begin(3)
    window.sample(100.0)
    before = window.latest[1]
    recorder.finish(3, 500, forced=False, seconds=0.5, upstream_seconds=-1.0)
    window.sample(101.0)
    after = window.latest[1]
    assert after["shop", "blue"] is before["shop", "blue"]
    assert (after["shop", "green"].failed, after["shop", "green"].in_flight) == (1, 0)
    window.sample(102.0)
    assert window.latest[1]["shop", "green"] is after["shop", "green"]
    assert window.live("shop", "blue").requests == 0
    assert (window.live("shop", "green").errors, window.live("shop", "green").share) == (1, 1.0)
