"""A token bucket: so much at once, so much in the long run, and an honest word of when it goes on."""

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.flags.rate import Bucket


def test_the_burst_is_granted_at_once_and_the_next_one_waits():
    bucket = Bucket(rate=2, burst=3)
    assert [bucket.take(10.0) for _ in range(4)] == [0, 0, 0, 1]
    assert bucket.take(10.49) == 1
    assert bucket.take(10.5) == 0


def test_the_wait_is_in_whole_seconds_after_which_one_is_granted():
    bucket = Bucket(rate=0.3, burst=1)
    assert bucket.take(0.0) == 0
    assert bucket.take(0.0) == 4  # 3.33 s
    assert bucket.take(4.0) == 0


def test_what_is_refused_costs_nothing():
    bucket = Bucket(rate=1, burst=1)
    assert bucket.take(0.0) == 0
    assert [bucket.take(0.5) for _ in range(100)] == [1] * 100
    assert bucket.take(1.0) == 0


def test_silence_fills_it_to_the_burst_and_no_further():
    bucket = Bucket(rate=10, burst=2)
    assert bucket.take(0.0) == 0
    assert [bucket.take(1e9) for _ in range(3)] == [0, 0, 1]


def test_a_clock_that_goes_back_neither_gives_nor_takes():
    bucket = Bucket(rate=1, burst=1)
    assert bucket.take(100.0) == 0
    assert bucket.take(50.0) == 1
    assert bucket.take(100.5) == 1
    assert bucket.take(101.0) == 0


@given(
    st.floats(0.1, 1000),
    st.integers(1, 50),
    st.lists(st.floats(0, 3), min_size=1, max_size=200),
)
def test_never_more_than_the_burst_and_the_rate(rate, burst, gaps):
    bucket, now, granted = Bucket(rate, burst), 0.0, 0
    for gap in gaps:
        now += gap
        wait = bucket.take(now)
        granted += wait == 0
        assert wait >= 0
        assert granted <= burst + rate * (now - gaps[0]) + 1e-6
