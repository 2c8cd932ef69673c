"""The memory of units: what it remembers, whom it leaves out, what survives, and where everything lies."""

import mmap
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.judge.units import DRAWS, FAILURES, SIZE, WEIGHTS_MOST, Units, first_seen
from tests.core.judge.workers import memory
from tests.core.judge.worlds import Remembered

WEIGHTS = (0.0, 0.01, 0.1, 0.5, 0.9, 1.0)

events = st.lists(
    st.tuples(
        st.sampled_from(["new", "coin", "coin", "coin", "coin", "route", "reach", "mixed"]),
        st.integers(0, 3),
        st.sampled_from(WEIGHTS),
        st.booleans(),
        st.integers(0, 7),
    ),
    max_size=40,
)
orders = st.sampled_from([sorted, list])
"""Of the weights: those of most releases only grow, and only then are there fresh coins."""


def told(units, event):
    """What it answers."""
    kind, unit, weight, candidate, route = event
    # The highest bits differ as well: they are the label's, and nothing here may go by them.
    unit |= unit << 28
    if kind == "new":
        return units.is_new(unit)
    if kind == "route":
        return units.is_first_on(unit, route)
    if kind == "coin":
        # No weight counts before its second has begun.
        units.reach([weight])
        return units.coin(unit, weight, candidate=candidate)
    return units.reach([weight], mixed=kind == "mixed" and route == 0)


@settings(deadline=None, max_examples=100)
@given(found=events, order=orders, restart=st.integers(0, 40))
def test_as_long_as_nobody_collides_it_remembers_what_dictionaries_would_beyond_any_restart(found, order, restart):
    weights = order([each[2] for each in found])
    found = [(kind, unit, weight, *more) for (kind, unit, _, *more), weight in zip(found, weights, strict=True)]
    buffer = bytearray(SIZE)
    units, plain = Units.begin(buffer), Remembered()
    for number, event in enumerate(found):
        if number == restart:
            before = units.crowded, units.highest
            units.close()
            units = Units(buffer)
            assert (units.crowded, units.highest) == before
        assert told(units, event) == told(plain, event)


def test_a_worker_sees_first_requests_and_the_seconds_of_failures_do_not_hide_them():
    units, view = memory()
    units.reach([0.1])
    units.coin(5, 0.1, candidate=True)
    assert not first_seen(view, 5)
    assert units.is_new(5)
    assert first_seen(view, 5)
    assert [unit for unit in range(64) if first_seen(view, unit)] == [5]


def test_the_bits_are_the_first_128_kib_by_low_bits():
    units, view = memory()
    units.is_new(0xABC00000 | 12345)
    assert view[12345 // 8] == 1 << 12345 % 8
    assert sum(bytes(view[: 128 * 1024])) == 1 << 12345 % 8
    assert DRAWS // 8 == 128 * 1024
    assert SIZE % mmap.PAGESIZE == 0


def test_of_two_units_on_one_bit_only_the_first_is_ever_new():
    units, _ = memory()
    assert units.is_new(3)
    assert not units.is_new(3 + DRAWS)


def test_of_two_units_in_one_slot_only_the_first_is_ever_bet_on_and_neither_is_taken_for_the_other():
    units, _ = memory()
    units.reach([0.1])
    assert units.coin(3, 0.1, candidate=False) == (0.1, False)
    units.reach([0.5])
    assert units.coin(3 + FAILURES, 0.5, candidate=True) is None
    assert not units.is_first_on(3 + FAILURES, 0)
    assert units.coin(3, 0.5, candidate=True) == ((0.5 - 0.1) / 0.9, True)
    # Also a slot that only remembers a route.
    assert units.is_first_on(4, 2)
    assert units.coin(4 + FAILURES, 0.5, candidate=True) is None
    assert units.coin(4, 0.5, candidate=True) == (0.5, False)


def test_who_is_left_out_does_not_depend_on_the_label():
    """Labels go by the high bits, places by the low ones: in a crowd both sides lose as much."""
    units, _ = memory()
    units.reach([0.25])
    random = Random(1)
    drawn, counted = [0, 0], [0, 0]
    for _ in range(3 * FAILURES):
        unit = random.getrandbits(32)
        label = unit < 2**30
        drawn[label] += 1
        counted[label] += units.coin(unit, 0.25, candidate=label) is not None
    assert counted[0] / drawn[0] == pytest.approx(counted[1] / drawn[1], rel=0.01)
    assert 0.94 < units.crowded < 0.96


def test_the_fuller_of_both_memories_says_how_crowded_it_is():
    units, _ = memory()
    assert units.crowded == 0
    for unit in range(DRAWS // 4):
        units.is_new(unit)
    assert units.crowded == 0.25
    for unit in range(FAILURES // 2):
        units.is_first_on(unit, 0)
    assert units.crowded == 0.5


def test_beyond_the_weights_it_can_write_down_there_are_no_fresh_coins_and_nothing_is_lost():
    units, _ = memory()
    weights = [0.1 + number / 1000 for number in range(WEIGHTS_MOST + 2)]
    for unit, weight in enumerate(weights):
        units.reach([weight])
        assert units.coin(unit, weight, candidate=False) == (weight, False)
    # At a weight that is written down, but the highest one is not.
    assert units.coin(1000, weights[0], candidate=False) == (weights[0], False)
    units.reach([0.9])
    assert units.coin(1000, 0.9, candidate=True) is None
    assert units.coin(0, 0.9, candidate=True) is not None
    assert units.coin(WEIGHTS_MOST - 1, 0.9, candidate=True) is not None
    assert units.coin(WEIGHTS_MOST, 0.9, candidate=True) is None
    assert units.coin(WEIGHTS_MOST + 1, 0.9, candidate=True) is None
    # What follows the table is as it was.
    assert units._floats[WEIGHTS_MOST + 1 :].tolist() == [0.0] * (len(units._floats) - WEIGHTS_MOST - 1)


def test_a_restart_keeps_apart_the_weights_from_before_and_after_it():
    buffer = bytearray(SIZE)
    for unit, weight in ((1, 0.1), (2, 0.3), (3, 0.5)):
        units = Units.begin(buffer) if unit == 1 else Units(buffer)
        units.reach([weight])
        units.coin(unit, weight, candidate=False)
        units.close()
    units = Units(buffer)
    units.reach([0.9])
    found = [units.coin(unit, 0.9, candidate=True) for unit in (1, 2, 3)]
    assert found == [((0.9 - before) / (1 - before), True) for before in (0.1, 0.3, 0.5)]


def test_a_buffer_that_is_too_short_or_was_never_begun_is_refused():
    with pytest.raises(ValueError, match="has 1,183,744 bytes; this one has 1,183,743"):
        Units.begin(bytearray(SIZE - 1))
    with pytest.raises(ValueError, match="its mark is missing"):
        Units(bytearray(SIZE))
    used = bytearray(SIZE)
    units = Units.begin(used)
    units.reach([0.5])
    units.is_new(1)
    units.coin(1, 0.5, candidate=True)
    units.close()
    fresh = Units.begin(used)
    assert (fresh.crowded, fresh.highest) == (0, 0)
    assert fresh.coin(1, 0.5, candidate=True) == (0.5, False)


def test_it_works_over_a_mapped_file_leaves_alone_what_follows_and_lets_go_of_it(tmp_path):
    path = tmp_path / "units"
    path.write_bytes(bytes(SIZE) + b"of others")
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        view = memoryview(mapped)
        units = Units.begin(view)
        units.reach([0.5])
        units.is_new(9)
        units.coin(9, 0.5, candidate=False)
        units.close()
        view.release()
    found = bytearray(path.read_bytes())
    assert found[SIZE:] == b"of others"
    again = Units(found)
    assert (again.highest, again.crowded) == (0.5, 1 / FAILURES)
    assert not again.is_new(9)
