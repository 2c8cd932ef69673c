"""Times as counts."""

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.proxies.figures import Times


def times(*seconds):
    found = Times()
    for each in seconds:
        found.add(each)
    return found


def test_a_quantile_is_the_least_time_that_so_many_took_at_most():
    found = times(*(each / 1000 for each in range(1, 101)))
    assert [found.quantile(share) for share in (0.5, 0.99, 0.999, 1.0)] == [0.05, 0.099, 0.1, 0.1]


def test_of_nothing_there_is_no_time():
    assert Times().quantile(0.99) == 0.0


@given(st.lists(st.integers(0, 10**7), min_size=1), st.floats(0, 1))
def test_a_quantile_is_one_of_the_times_and_enough_are_not_above_it(micros, share):
    found = Times(micros)
    value = round(found.quantile(share) * 1e6)
    assert value in micros
    assert sum(each <= value for each in micros) >= share * len(micros)
    assert sum(each < value for each in micros) < max(1, share * len(micros)) + 1e-6


def test_what_went_through_json_and_was_added_up_is_the_same():
    one, two = times(0.001, 0.001), times(0.001, 0.5)
    assert Times.together([Times.of({str(key): count for key, count in one.items()}), two]) == {1000: 3, 500_000: 1}
