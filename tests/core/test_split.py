"""Examples of the split; what holds for every history is in tests/properties/test_split_properties.py."""

from bisect import bisect_right
from decimal import Decimal
from itertools import pairwise

import pytest

from gatekeeper.core import split as splits
from gatekeeper.core.model import Split
from gatekeeper.core.split import (
    SPACE,
    SplitError,
    bounds,
    check,
    holder,
    initial,
    lengths,
    move,
    renew,
    target_lengths,
)


def weights(**numbers: float | str) -> dict[str, Decimal]:
    return {name: Decimal(str(number)) for name, number in numbers.items()}


def owner(split: Split, point: int) -> str:
    uppers, owners = bounds(split)
    return owners[bisect_right(uppers, point)]


def pieces(split: Split) -> int:
    return sum(map(len, split.stacks.values()))


def moved(old: Split, new: Split) -> int:
    """Points whose owner differs, measured on the intervals."""
    (uppers_old, by_old), (uppers_new, by_new) = bounds(old), bounds(new)
    cuts = sorted({0, *uppers_old, *uppers_new})
    return sum(
        high - low
        for low, high in pairwise(cuts)
        if by_old[bisect_right(uppers_old, low)] != by_new[bisect_right(uppers_new, low)]
    )


def test_a_new_split_gives_each_version_its_share():
    split = initial(weights(blue=90, green=10), "aa")
    assert lengths(split) == {"blue": 3865470566, "green": 429496730}
    assert bounds(split) == ([3865470566, SPACE], ["blue", "green"])
    assert split.salt == "aa"


def test_every_point_has_an_owner_also_at_the_edges():
    split = initial(weights(a=1, b=1, c=1), "aa")
    assert {owner(split, point) for point in (0, SPACE - 1)} == {"a", "c"}
    uppers, owners = bounds(split)
    assert uppers[-1] == SPACE
    for upper, (low, high) in zip(uppers, pairwise(owners), strict=False):
        assert (owner(split, upper - 1), owner(split, upper)) == (low, high)


def test_a_version_without_weight_owns_nothing():
    split = initial(weights(blue=0, green=5, red=0), "aa")
    assert split.stacks == {"green": ((0, SPACE),)}
    assert bounds(split) == ([SPACE], ["green"])
    assert list(split.weights) == ["blue", "green", "red"]


def test_a_weight_too_small_for_a_point_owns_nothing():
    split = initial(weights(blue=1_000_000_000, green="0.000001"), "aa")
    assert lengths(split) == {"blue": SPACE}


def test_who_saw_green_at_ten_percent_sees_it_until_the_rollback_and_nobody_after():
    split = initial(weights(blue=100, green=0), "aa")
    seen: set[int] = set()
    users = range(0, SPACE, SPACE // 1000)
    for green in (1, 10, 50, 100):
        split = move(split, weights(blue=100 - green, green=green))
        sees = {user for user in users if owner(split, user) == "green"}
        assert seen <= sees
        assert len(sees) == pytest.approx(len(users) * green / 100, abs=2)
        seen = sees
    split = move(split, weights(blue=100, green=0))
    assert {owner(split, user) for user in users} == {"blue"}


def test_those_who_joined_last_leave_first():
    """Green grows 10 -> 30 -> 50 and shrinks to 30: exactly those who joined at 50 go back."""
    at_30 = move(initial(weights(blue=90, green=10), "aa"), weights(blue=70, green=30))
    at_50 = move(at_30, weights(blue=50, green=50))
    assert bounds(move(at_50, weights(blue=70, green=30))) == bounds(at_30)


def test_a_third_version_takes_from_those_that_shrink_only():
    before = initial(weights(blue=60, green=40), "aa")
    after = move(before, weights(blue=60, green=30, red=10))
    assert moved(before, after) == lengths(after)["red"]
    blue = [point for point in range(0, SPACE, SPACE // 1000) if owner(before, point) == "blue"]
    assert {owner(after, point) for point in blue} == {"blue"}


def test_a_version_that_disappears_gives_everything_in_proportion_to_the_weights_left():
    before = initial(weights(blue=50, green=25, red=25), "aa")
    after = move(before, weights(blue=50, green=25))
    assert "red" not in after.stacks
    assert "red" not in after.weights
    assert lengths(after) == target_lengths(weights(blue=2, green=1))
    assert moved(before, after) == lengths(before)["red"]


def test_the_same_shares_in_other_numbers_move_nobody():
    before = move(initial(weights(a=1, b=1, c=1), "aa"), weights(a=3, b=1, c=3))
    after = move(before, weights(a="0.3", b="0.1", c="0.3"))
    assert after.stacks == before.stacks


def test_a_share_that_stays_keeps_every_point_though_rounding_would_take_one():
    """Thirds do not divide 2**32; the odd point must not wander when only two of the versions trade."""
    before = initial(weights(a=1, b=1, c=1), "aa")
    after = move(before, weights(a=1, b=2, c=0))
    assert target_lengths(weights(a=1, b=2, c=0))["a"] != lengths(before)["a"]
    assert after.stacks["a"] == before.stacks["a"]


def test_target_lengths_add_up_and_break_ties_by_order():
    assert target_lengths(weights(a=1, b=1, c=1)) == {"a": 1431655766, "b": 1431655765, "c": 1431655765}
    assert target_lengths(weights(c=1, b=1, a=1)) == {"c": 1431655766, "b": 1431655765, "a": 1431655765}
    assert sum(target_lengths(weights(a="0.1", b="0.2", c="0.33", d="77.123456")).values()) == SPACE


@pytest.mark.parametrize("bad", [{}, weights(a=0), weights(a=0, b=0), weights(a=-1, b=2)])
def test_weights_without_a_positive_total_or_below_zero_are_refused(bad):
    with pytest.raises(SplitError):
        initial(bad, "aa")
    with pytest.raises(SplitError):
        target_lengths(bad)
    split = initial(weights(a=1, b=1), "aa")
    with pytest.raises(SplitError):
        move(split, bad)


def test_a_move_leaves_the_split_it_was_given_alone():
    wanted = weights(blue=10, green=90)
    before = initial(weights(blue=90, green=10), "aa")
    copy = Split(dict(before.weights), dict(before.stacks), before.salt)
    after = move(before, wanted)
    assert before == copy
    wanted["blue"] = Decimal(0)
    assert after.weights == weights(blue=10, green=90)


def test_the_salt_is_renewed_only_while_one_version_holds_everything():
    whole = initial(weights(blue=0, green=5), "aa")
    assert holder(whole) == "green"
    fresh = renew(whole, "bb")
    assert (fresh.salt, fresh.weights, bounds(fresh)) == ("bb", whole.weights, bounds(whole))
    shared = initial(weights(blue=1, green=5), "aa")
    assert holder(shared) is None
    with pytest.raises(SplitError, match="one version holds everything"):
        renew(shared, "bb")


def test_a_renewed_split_has_forgotten_its_fragments():
    split = initial(weights(a=1, b=0, c=0), "aa")
    for step in range(1, 20):
        split = move(split, weights(a=20 - step, b=(step + 1) // 2, c=step // 2))
    split = move(split, weights(a=0, b=0, c=1))
    assert pieces(split) > 2
    assert pieces(renew(split, "bb")) == 1


GOOD = initial(weights(blue=75, green=25), "aa")


@pytest.mark.parametrize(
    ("stacks", "says"),
    [
        ({"blue": ((0, 10),), "green": ((11, SPACE),)}, "damaged at 10"),
        ({"blue": ((0, 10),), "green": ((9, SPACE),)}, "damaged at 9"),
        ({"blue": ((0, 10), (10, 10)), "green": ((10, SPACE),)}, "damaged at 10"),
        ({"blue": ((1, SPACE),)}, "damaged at 0"),
        ({"blue": ((-5, SPACE),)}, "damaged at -5"),
        ({"blue": ((0, SPACE - 1),)}, "ends at 4294967295"),
        ({"blue": ((0, SPACE + 1),)}, "ends at 4294967297"),
        ({}, "ends at 0"),
        ({"blue": ((0, SPACE),)}, "version blue owns 4294967296 points; its weight asks for 3221225472"),
        ({"blue": ((0, 3 * 2**30),), "red": ((3 * 2**30, SPACE),)}, "version red owns"),
    ],
)
def test_a_damaged_split_is_recognised(stacks, says):
    check(GOOD)
    with pytest.raises(SplitError, match=says):
        check(Split(GOOD.weights, stacks, "aa"))


def test_weights_that_cannot_be_are_recognised_in_a_stored_split():
    with pytest.raises(SplitError):
        check(Split(weights(blue=0), {"blue": ((0, SPACE),)}, "aa"))
    with pytest.raises(SplitError):
        check(Split(weights(blue=2, green=-1), {"blue": ((0, SPACE),)}, "aa"))


def striped(count: int) -> Split:
    """Version a holds one half, b and c the other in ``count`` equal stripes each (a power of 2), turn by turn."""
    width = SPACE // 2 // (2 * count)
    stripes = [(at * width, (at + 1) * width) for at in range(2 * count)]
    # The last four in one piece each, so that a full count of stripes still leaves room for the piece of a.
    *turns, (start, _), (_, middle), _, (_, end) = stripes
    b, c = (*turns[::2], (start, middle)), (*turns[1::2], (middle, end))
    return Split(weights(a=2, b=1, c=1), {"a": ((SPACE, end),), "b": b, "c": c}, "aa")


def test_the_number_of_pieces_is_bounded_and_the_price_small():
    """At the bound the smallest pieces are dissolved: the weights stay exact, and hardly anybody more moves."""
    full = striped(splits.MAX_PIECES // 2)
    check(full)
    assert pieces(full) == splits.MAX_PIECES - 1
    extra = 0
    split = full
    for step in range(1, 5):
        after = move(split, weights(a=2 - step / 100, b=1 + step / 200, c=1 + step / 200))
        check(after)
        assert pieces(after) <= splits.MAX_PIECES
        assert lengths(after) == target_lengths(after.weights)
        extra += moved(split, after) - (lengths(split)["a"] - lengths(after)["a"])
        split = after
    assert 0 < extra < SPACE / 500


def test_below_the_bound_nothing_is_dissolved():
    full = striped(splits.MAX_PIECES // 4)
    check(full)
    after = move(full, weights(a="1.98", b="1.01", c="1.01"))
    assert moved(full, after) == lengths(full)["a"] - lengths(after)["a"]


def test_pieces_beside_their_own_kind_are_joined_first_and_move_nobody(monkeypatch):
    width = SPACE // 16
    own = tuple((at * width, (at + 1) * width) for at in range(12))
    before = Split(weights(a=12, b=4), {"a": own, "b": ((12 * width, SPACE),)}, "aa")
    check(before)
    monkeypatch.setattr(splits, "MAX_PIECES", 10)
    after = move(before, before.weights)
    assert bounds(after) == bounds(before)
    assert pieces(after) <= 10


def test_a_thousand_changes_of_three_versions_stay_within_the_bound(monkeypatch):
    monkeypatch.setattr(splits, "MAX_PIECES", 32)
    split = initial(weights(a=1, b=1, c=1), "aa")
    for step in range(1000):
        split = move(split, weights(a=step % 7 + 1, b=step % 11 + 1, c=step % 13 + 1))
        assert pieces(split) <= 32
    check(split)
