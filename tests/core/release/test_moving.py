"""What a release does to the weights of a service, and that it leaves no trace when it is undone."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.release import moving
from gatekeeper.core.release.model import Move
from gatekeeper.core.split import bounds, lengths
from tests.core.states import NOW, running, service, split_to, start, weights

percents = st.decimals(0, 100, places=2)
some_weights = st.tuples(*(st.sampled_from((0, 1, 2.5, 7, 60)) for _ in range(3))).filter(any)


def stepped(state, percent, *, made=None, revision=9):
    shop = state.services["shop"]
    made = made or Move("shop", "green", shop.definition.stable, shop.running.split.weights)
    return moving.stepped(shop, made, Decimal(percent), release=5, revision=revision, now=NOW)


def test_the_candidate_gets_its_percent_and_the_others_share_the_rest_as_before():
    assert moving.shares(weights(blue=60, red=40, green=0), "green", Decimal(10)) == weights(blue=54, red=36, green=10)
    assert moving.shares(weights(blue=1, red=0, green=0), "green", Decimal("0.5")) == weights(
        blue="99.5", red=0, green="0.5"
    )
    assert moving.shares(weights(blue=1, red=1, green=0), "green", Decimal(100)) == weights(blue=0, red=0, green=100)


@given(some_weights, percents)
def test_the_shares_are_right_to_a_hundredth_of_a_millionth(before, percent):
    given_weights = dict(zip(("blue", "red", "white"), map(Decimal, map(str, before)), strict=True)) | {
        "green": Decimal(0)
    }
    found = moving.shares(given_weights, "green", percent)
    total, others = sum(found.values()), sum(given_weights.values())
    assert abs(found["green"] / total - percent / 100) < Decimal("0.00000001")
    for name, weight in given_weights.items():
        if name != "green":
            assert abs(found[name] / total - weight / others * (100 - percent) / 100) < Decimal("0.00000001")


def test_the_first_step_renews_the_salt_once_and_notes_what_a_rollback_goes_back_to():
    state = start(service())
    first, move = stepped(state, 10)
    assert first.running.split.salt != running(state).split.salt
    assert move.first == 9
    assert [item.revision for item in first.running.undo] == [9]
    again, same = moving.stepped(first, move, Decimal(100), release=5, revision=10, now=NOW)
    third, _ = moving.stepped(again, same, Decimal(50), release=5, revision=11, now=NOW)
    assert same == move
    assert again.running.split.salt == third.running.split.salt == first.running.split.salt
    assert third.running.undo == first.running.undo


def test_each_release_has_a_salt_of_its_own_so_that_not_the_same_users_are_first():
    state = start(service())
    shop = state.services["shop"]
    move = Move("shop", "green", "blue", shop.running.split.weights)
    salts = {
        moving.stepped(shop, move, Decimal(10), release=number, revision=9, now=NOW)[0].running.split.salt
        for number in range(5, 15)
    }
    assert len(salts) == 10


def test_where_several_versions_hold_weight_the_salt_stays_for_a_new_one_would_move_everybody():
    state = split_to(start(service()), blue=60, red=40)
    after, _ = stepped(state, 10)
    assert after.running.split.salt == running(state).split.salt


@settings(deadline=None, max_examples=60)
@given(some_weights, st.lists(percents, min_size=1, max_size=6))
def test_going_back_gives_every_unit_the_version_it_had(before, way):
    state = split_to(start(service()), **dict(zip(("blue", "red"), before, strict=False)) | {"blue": before[0] + 1})
    shop = old = state.services["shop"]
    move = Move("shop", "green", "blue", shop.running.split.weights)
    for place, percent in enumerate(way):
        shop, move = moving.stepped(shop, move, percent, release=5, revision=9 + place, now=NOW + place)
        assert lengths(shop.running.split).get("green", 0) > 0 or percent == 0
    after = moving.put_back(shop, move, revision=90, now=NOW + 90)
    assert bounds(after.running.split) == bounds(old.running.split)
    assert after.running.split.weights == old.running.split.weights
    assert after.running.undo == old.running.undo
    assert after.running.superseded.keys() == old.running.superseded.keys()
    assert after.definition == old.definition


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 99), min_size=2, max_size=6, unique=True))
def test_a_rising_step_moves_units_to_the_candidate_and_to_nobody_else(way):
    state = split_to(start(service()), blue=60, red=40)
    shop = state.services["shop"]
    move = Move("shop", "green", "blue", shop.running.split.weights)
    for place, percent in enumerate(sorted(way)):
        was = lengths(shop.running.split)
        shop, move = moving.stepped(shop, move, Decimal(percent), release=5, revision=9 + place, now=NOW)
        now = lengths(shop.running.split)
        assert now["green"] > was.get("green", 0)
        assert now["blue"] < was["blue"]
        assert now["red"] < was["red"]


def test_what_the_release_did_not_change_stays_the_very_same():
    shop = start(service()).services["shop"]
    move = Move("shop", "green", "blue", shop.running.split.weights)
    assert moving.put_back(shop, move, revision=9, now=NOW) is shop
    assert moving.stepped(shop, move, Decimal(0), release=5, revision=9, now=NOW) == (shop, move)


def test_a_candidate_that_lost_its_weight_by_a_step_down_is_not_kept_either():
    state = start(service(skew=60.0))
    shop, move = stepped(state, 50)
    shop, move = moving.stepped(shop, move, Decimal(0), release=5, revision=10, now=NOW + 1)
    assert shop.running.superseded == {"green": NOW + 1}
    assert moving.put_back(shop, move, revision=11, now=NOW + 2).running.superseded == {}


def test_versions_that_are_withdrawn_are_not_kept_by_an_open_page():
    state = start(service(skew=60.0))
    shop, move = stepped(state, 100)
    assert shop.running.superseded == {"blue": NOW}
    after = moving.put_back(shop, move, revision=10, now=NOW + 5)
    assert after.running.superseded == {}
