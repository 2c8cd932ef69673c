"""Buckets without logarithms."""

from bisect import bisect_right
from itertools import pairwise
from math import nextafter

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.judge.latency import BUCKETS, score
from gatekeeper.dataplane.columns import limits

ODD = (0.0, 0.05, 0.5)
FLOORS = (0.0, 0.002, 3.0)


@given(st.sampled_from(ODD), st.sampled_from(FLOORS), st.floats(0, 60))
def test_a_search_in_the_limits_gives_the_score(tolerance, floor, seconds):
    assert bisect_right(limits(tolerance, floor), seconds) == score(seconds, tolerance, floor)


def test_each_limit_is_the_least_number_of_its_bucket():
    for tolerance in ODD:
        for floor in FLOORS:
            found = limits(tolerance, floor)
            assert len(found) == BUCKETS - 1
            assert all(low < high for low, high in pairwise(found))
            for place, limit in enumerate(found, start=1):
                assert score(limit, tolerance, floor) == place
                assert score(nextafter(limit, 0), tolerance, floor) == place - 1
