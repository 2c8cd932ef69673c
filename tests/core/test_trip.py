"""The trip-wire: who loses what, who moves, and what brings it back."""

import pytest

from gatekeeper.core.codec import dump
from gatekeeper.core.command import ResetTrip, Retire, Rollback, SetSplit, TripVersion, apply
from gatekeeper.core.model import Rule, Tripped, When
from gatekeeper.core.split import lengths
from tests.core.states import (
    ANN,
    NOW,
    SALT,
    do,
    refusal,
    running,
    service,
    shown,
    split_rule,
    split_to,
    start,
    weights,
)

TRIP = TripVersion(actor="gatekeeper", service="shop", version="green", reason="60% of 40 requests failed")
RESET = ResetTrip(**ANN, service="shop")
BACK = Rollback(**ANN, service="shop")


def test_the_share_goes_to_stable_and_nobody_else_moves():
    state = split_to(start(), blue=50, green=20, red=30)
    after = do(state, TRIP, NOW + 5)
    assert shown(after) == {"blue": 70, "red": 30}
    assert running(after).split.stacks["red"] == running(state).split.stacks["red"]
    assert running(after).split.salt == running(state).split.salt
    assert running(after).tripped == {"green": Tripped(NOW + 5, "60% of 40 requests failed")}


def test_also_a_version_that_holds_everything_is_tripped():
    assert shown(do(split_to(start(), green=1), TRIP)) == {"blue": 1}


def test_weights_that_were_added_up_are_written_as_any_other():
    state = do(split_to(start(), blue="99.5", green="0.5"), TRIP)
    assert str(running(state).split.weights["blue"]) == "100"


def test_a_trip_is_told_with_its_reason():
    outcome = apply(split_to(start(), blue=50, green=50), TRIP, NOW)
    event = outcome.events[0]
    assert {key: event[key] for key in ("kind", "version", "reason", "before", "after", "actor")} == {
        "kind": "tripped", "version": "green", "reason": TRIP.reason, "actor": "gatekeeper",
        "before": {"blue": 50, "green": 50, "red": 0}, "after": {"blue": 100, "green": 0, "red": 0},
    }  # fmt: skip
    assert dump(outcome.changes)[1] == {
        "path": "services.shop.tripped.green", "before": None, "after": {"at": NOW, "reason": TRIP.reason}
    }  # fmt: skip


def test_stable_and_a_version_without_users_are_not_tripped():
    for state in (start(), split_to(start(), green=1, red=1)):
        command = TripVersion(actor="gatekeeper", service="shop", version="blue", reason="x")
        assert apply(state, command, NOW).state is state
    state = start()
    assert apply(state, TRIP, NOW).state is state


def test_open_pages_and_pins_do_not_keep_a_tripped_version():
    state = split_to(split_to(start(), blue=50, green=50), green=1)
    since = running(state).since["green"]
    after = do(state, TRIP)
    assert running(after).superseded == {}
    again = split_to(do(after, RESET), blue=50, green=50)
    assert running(again).since["green"] > since


def test_a_tripped_version_gets_no_weight_until_a_reset():
    state = do(split_to(start(), blue=50, green=50), TRIP)
    command = SetSplit(**ANN, service="shop", weights=weights(blue=90, green=10), salt=SALT)
    refused = refusal(state, command)
    assert (refused.status, refused.code) == (409, "tripped")
    assert "60% of 40 requests failed" in str(refused)
    assert "gatekeeper reset shop" in refused.allowed
    assert shown(do(do(state, RESET), command)) == {"blue": 90, "green": 10}


def test_a_split_without_the_tripped_version_is_set_as_ever():
    state = do(split_to(start(), blue=50, green=50), TRIP)
    assert shown(split_to(state, blue=1, red=1, green=0)) == {"blue": 1, "red": 1}


def test_no_rollback_brings_a_tripped_version_back_neither_before_the_reset_nor_after():
    state = split_to(start(), blue=50, red=50)
    state = split_to(state, blue=45, red=45, green=10)
    state = do(split_to(state, blue=40, red=40, green=20), TRIP)
    for after in (state, do(state, RESET)):
        back = do(after, BACK)
        assert shown(back) == {"blue": 55, "red": 45}
        assert shown(do(back, BACK)) == {"blue": 50, "red": 50}


def test_a_rollback_to_a_named_revision_with_weight_for_a_tripped_version_is_refused():
    state = do(split_to(start(), blue=50, green=50), TRIP)
    command = Rollback(**ANN, service="shop", to_revision=2, weights=weights(blue=50, green=50))
    assert refusal(state, command).code == "tripped"


def test_a_trip_takes_the_shares_of_rules_and_a_reset_gives_them_back():
    state = start(service(rules=(split_rule("half", green=1, red=1), Rule("staff", When(), to="green"))))
    tripped = do(state, TRIP)
    assert running(tripped).rules["half"].weights == weights(green=0, red=1, blue=1)
    assert lengths(running(tripped).rules["half"]) == {"blue": 2**31, "red": 2**31}
    assert running(tripped).split == running(state).split
    assert tripped.services["shop"].definition is state.services["shop"].definition
    reset = do(tripped, RESET)
    assert running(reset).rules == running(state).rules
    paths = [change.path for change in apply(tripped, RESET, NOW).changes]
    assert paths == ["services.shop.tripped.green", "services.shop.rule_splits.half"]


def test_a_reset_gives_no_weight_and_names_whom_it_reset():
    state = do(split_to(start(), blue=50, green=50), TRIP)
    outcome = apply(state, RESET, NOW)
    assert outcome.state.revision == state.revision + 1
    assert shown(outcome.state) == {"blue": 100}
    assert (outcome.events[0]["kind"], outcome.events[0]["versions"]) == ("trip_reset", ["green"])
    assert running(outcome.state).tripped == {}


@pytest.mark.parametrize("versions", [(), ("red",), ("green", "red")])
def test_a_reset_of_what_is_not_tripped_changes_nothing(versions):
    state = start()
    assert apply(state, ResetTrip(**ANN, service="shop", versions=versions), NOW).state is state


def test_a_reset_may_name_some_of_the_tripped():
    state = do(split_to(start(), blue=1, green=1, red=1), TRIP)
    state = do(state, TripVersion(actor="gatekeeper", service="shop", version="red", reason="x"))
    assert list(running(do(state, ResetTrip(**ANN, service="shop", versions=("red",)))).tripped) == ["green"]


def test_what_is_retired_is_tripped_no_longer():
    state = do(do(split_to(start(), blue=50, green=50), TRIP), Retire(**ANN, service="shop", version="green"))
    assert running(state).tripped == {}
