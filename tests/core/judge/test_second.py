"""What several workers recorded of one second is one second."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.judge.second import Arm, Backend, Cell, Second, Tally, Totals, merge

few = st.integers(0, 20)
arms = st.builds(Arm, few, few, few, few, st.dictionaries(st.integers(0, 63), st.integers(1, 9), max_size=3))
cells = st.builds(
    Cell, st.sampled_from([0.1, 0.2]), arms, arms, st.booleans(), st.dictionaries(st.just("/"), st.builds(Tally, few))
)
seconds = st.builds(
    Second,
    st.just(7),
    st.lists(cells, max_size=2, unique_by=lambda each: (each.weight, each.fresh)).map(tuple),
    st.builds(Totals, few, few, few),
    st.builds(Totals, few, few, few),
    st.dictionaries(st.sampled_from(["g1", "g2"]), st.builds(Backend, few, few)),
    few,
    few,
    st.floats(0, 1),
)


@given(st.lists(seconds, min_size=1, max_size=3))
def test_the_order_of_the_workers_does_not_matter_and_nothing_is_lost(found):
    one = merge(found)
    assert all(merge(order) == one for order in permutations(found))
    assert sum(each.stable.requests for each in one.cells) == sum(
        cell.stable.requests for each in found for cell in each.cells
    )
    assert sum(sum(each.candidate.times.values()) for each in one.cells) == sum(
        sum(cell.candidate.times.values()) for each in found for cell in each.cells
    )
    assert one.candidate.errors == sum(each.candidate.errors for each in found)
    assert one.excluded == sum(each.excluded for each in found)


def test_the_same_coin_is_one_cell_and_a_fresh_one_another():
    one = Second(1, (Cell(0.1, Arm(5), Arm(1)), Cell(0.1, Arm(errors=1), fresh=True)))
    merged = merge([one, one])
    assert merged.cells == (Cell(0.1, Arm(10), Arm(2)), Cell(0.1, Arm(errors=2), fresh=True))


def test_everything_is_added_up():
    cell = Cell(0.1, Arm(5, 1, 4, 1, {3: 4}), Arm(2, 1, 2, 1, {3: 1, 63: 1}), routes={"/": Tally(5, 2, 1, 1)})
    one = Second(1, (cell,), Totals(6, 2, 1), Totals(3, 1, 1), {"g1": Backend(3, 1)}, 2, 1, 0.25, 4, 1)
    assert merge([one, one, one]) == Second(
        1,
        (
            Cell(
                0.1,
                Arm(15, 3, 12, 3, {3: 12}),
                Arm(6, 3, 6, 3, {3: 3, 63: 3}),
                routes={"/": Tally(15, 6, 3, 3)},
            ),
        ),
        Totals(18, 6, 3),
        Totals(9, 3, 3),
        {"g1": Backend(9, 3)},
        6,
        3,
        0.25,
        4,
        3,
    )


def test_different_seconds_are_not_one():
    with pytest.raises(ValueError, match=r"not one second: \[1, 2\]"):
        merge([Second(1), Second(2)])
    with pytest.raises(ValueError, match="not one second"):
        merge([])
