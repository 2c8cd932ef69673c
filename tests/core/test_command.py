"""Setting a split: what it changes, what it leaves, and what it refuses without a trace."""

import json
from dataclasses import dataclass
from decimal import Decimal

import pytest

from gatekeeper.core.codec import dump
from gatekeeper.core.command import UNDO_DEPTH, Command, Refused, Reload, Rollback, SetSplit, apply, initial_state
from gatekeeper.core.model import Backend, Definition, Service, Settings, State, Version
from gatekeeper.core.split import bounds, check

SALT = "5a" * 16
NOW = 1_700_000_000.0


def weights(**numbers: float | str) -> dict[str, Decimal]:
    return {name: Decimal(str(number)) for name, number in numbers.items()}


def service(name: str = "shop", **split: int) -> Service:
    versions = {key: Version(key, (Backend(f"http://{key}:80"),)) for key in ("blue", "green", "red")}
    return Service(name, versions, "blue", weights(**split) or weights(blue=100, green=0, red=0))


def start(*services: Service) -> State:
    definition = Definition(Settings(), {item.name: item for item in services or (service(),)})
    return initial_state(definition, {}, 1, "entropy", NOW)[0]


def split_to(state: State, now: float = NOW, **numbers: float | str) -> State:
    return apply(state, SetSplit(actor="ann", service="shop", weights=weights(**numbers), salt=SALT), now).state


def refusal(state: State, command: Command) -> Refused:
    """The refusal of ``command``; proves that the state was left as it was."""
    before = json.dumps(dump(state))
    with pytest.raises(Refused) as caught:
        apply(state, command, NOW)
    assert json.dumps(dump(state)) == before
    return caught.value


def test_a_split_makes_one_new_revision_with_the_weights_asked_for():
    old = start()
    command = SetSplit(actor="ann", note="first", service="shop", weights=weights(blue=90, green=10), salt=SALT)
    outcome = apply(old, command, NOW + 5)
    running = outcome.state.services["shop"].running
    assert outcome.state.revision == 2
    assert running.split.weights == weights(blue=90, green=10, red=0)
    assert list(running.split.weights) == ["blue", "green", "red"]
    assert (running.revision, running.changed_at) == (2, NOW + 5)
    check(running.split)


def test_a_split_says_what_changed_and_who_did_it():
    command = SetSplit(actor="ann", note="first", service="shop", weights=weights(blue="99.5", green="0.5"), salt=SALT)
    outcome = apply(start(), command, NOW)
    before, after = {"blue": 100, "green": 0, "red": 0}, {"blue": 99.5, "green": 0.5, "red": 0}
    assert dump(outcome.changes) == [{"path": "services.shop.split", "before": before, "after": after}]
    assert json.loads(json.dumps(outcome.events)) == [
        {
            "kind": "split",
            "revision": 2,
            "at": NOW,
            "actor": "ann",
            "note": "first",
            "service": "shop",
            "before": before,
            "after": after,
        }
    ]


def test_a_version_not_named_gets_nothing():
    state = split_to(split_to(start(), blue=50, green=30, red=20), green=1)
    assert state.services["shop"].running.split.weights == weights(blue=0, green=1, red=0)


def test_the_other_services_stay_the_same_objects():
    """Tables are compiled and sent only for what changed; identity is how the compiler knows."""
    old = start(service(), service("blog"))
    new = split_to(old, green=1)
    assert new.services["blog"] is old.services["blog"]
    assert new.services["shop"].definition is old.services["shop"].definition
    assert new.settings is old.settings


def test_the_state_of_before_is_left_alone():
    old = start()
    written = json.dumps(dump(old))
    split_to(split_to(old, green=1), blue=1, green=1)
    assert json.dumps(dump(old)) == written


@pytest.mark.parametrize("again", [{"blue": 90, "green": 10}, {"red": 0, "green": "10.0", "blue": "9E+1"}])
def test_asking_for_what_already_is_changes_nothing(again):
    """Idempotent: the very same state, the same revision, no change, no event, nothing more to undo."""
    state = split_to(start(), blue=90, green=10)
    outcome = apply(state, SetSplit(actor="bob", service="shop", weights=weights(**again), salt="77"), NOW)
    assert outcome.state is state
    assert not outcome.changes
    assert not outcome.events


def test_the_salt_is_renewed_when_one_version_stops_holding_everything():
    """So not the same people are first at every release; and while one version holds everything nobody moves by it."""
    old = start()
    first = split_to(old, blue=99, green=1)
    assert old.services["shop"].running.split.salt != SALT
    assert first.services["shop"].running.split.salt == SALT
    back = split_to(first, blue=1)
    command = SetSplit(actor="ann", service="shop", weights=weights(blue=99, green=1), salt="77")
    assert apply(back, command, NOW).state.services["shop"].running.split.salt == "77"


def test_the_salt_stays_while_several_versions_hold_weight():
    state = split_to(start(), blue=99, green=1)
    for numbers in ({"blue": 50, "green": 50}, {"blue": 1, "green": 1, "red": 1}, {"green": 1}):
        command = SetSplit(actor="ann", service="shop", weights=weights(**numbers), salt="77")
        state = apply(state, command, NOW).state
        assert state.services["shop"].running.split.salt == SALT


def test_other_numbers_for_the_one_version_that_holds_everything_keep_the_salt():
    state = split_to(split_to(start(), blue=99, green=1), green=1)
    command = SetSplit(actor="ann", service="shop", weights=weights(green=7), salt="77")
    assert apply(state, command, NOW).state.services["shop"].running.split.salt == SALT


def test_a_version_that_loses_everything_is_superseded_until_it_holds_weight_again():
    state = split_to(start(), NOW + 1, green=1)
    assert state.services["shop"].running.superseded == {"blue": NOW + 1}
    state = split_to(state, NOW + 2, red=1)
    assert state.services["shop"].running.superseded == {"blue": NOW + 1, "green": NOW + 2}
    state = split_to(state, NOW + 3, blue=1, red=1)
    assert state.services["shop"].running.superseded == {"green": NOW + 2}


def test_since_is_the_revision_at_which_a_weight_last_rose_from_nothing():
    state = start()
    assert state.services["shop"].running.since == {"blue": 1}
    state = split_to(state, blue=90, green=10)
    state = split_to(state, blue=50, green=50)
    assert state.services["shop"].running.since == {"blue": 1, "green": 2}
    state = split_to(state, green=1)
    assert state.services["shop"].running.since == {"blue": 1, "green": 2}
    state = split_to(state, blue=1, green=1)
    assert state.services["shop"].running.since == {"blue": 5, "green": 2}


def test_what_can_be_undone_is_bounded_and_the_newest_is_kept():
    state = start()
    for step in range(1, UNDO_DEPTH + 10):
        state = split_to(state, blue=100, green=step)
    undo = state.services["shop"].running.undo
    assert len(undo) == UNDO_DEPTH
    assert undo[-1].weights == weights(blue=100, green=UNDO_DEPTH + 8, red=0)
    assert undo[-1].revision == state.revision


def test_the_expected_revision_is_enforced():
    state = split_to(start(), blue=90, green=10)
    wanted = weights(blue=80, green=20)
    moved = refusal(state, SetSplit(actor="ann", service="shop", weights=wanted, salt=SALT, expected_revision=1))
    assert (moved.status, moved.code) == (412, "revision_moved")
    assert "the revision is 2, the command expected 1" in str(moved)
    command = SetSplit(actor="ann", service="shop", weights=wanted, salt=SALT, expected_revision=2)
    assert apply(state, command, NOW).state.revision == 3


def test_a_moved_revision_refuses_every_kind_of_command():
    state = start()
    definition = Definition(Settings(), {"shop": service()})
    for command in (
        Rollback(actor="ann", service="shop", expected_revision=9),
        Reload(actor="ann", definition=definition, entropy="x", expected_revision=9),
    ):
        assert refusal(state, command).status == 412


def test_an_unknown_service_is_refused_with_the_name_that_was_meant():
    refused = refusal(start(), SetSplit(actor="ann", service="shpo", weights=weights(blue=1), salt=SALT))
    assert (refused.status, refused.code, refused.allowed) == (404, "unknown_service", "shop")
    assert "did you mean shop?" in refused.detail


def test_every_mistake_in_the_weights_is_named_at_once():
    bad = weights(gren=5, blue=-1, green="0.1234567", red=10**9 + 1)
    refused = refusal(start(), SetSplit(actor="ann", service="shop", weights=bad, salt=SALT))
    assert (refused.status, refused.code) == (422, "invalid_weights")
    found = {problem.path: problem.message for problem in refused.problems}
    assert list(found) == ["gren", "blue", "green", "red"]
    assert "did you mean green?" in found["gren"]
    assert "allowed: blue, green, red" in found["gren"]
    assert "0 or more" in found["blue"]
    assert "at most 6 decimals" in found["green"]
    assert "at most 1000000000" in found["red"]


@pytest.mark.parametrize(
    "bad",
    [
        {},
        weights(blue=0),
        weights(blue="-0", green="0.000000"),
        weights(blue="NaN"),
        weights(blue="sNaN"),
        weights(blue="Infinity"),
        weights(blue="-Infinity"),
        weights(blue="1E+999999"),
        weights(blue="1E-999999"),
        weights(blue="0.99999999999999999999999999999999999999999"),
        weights(blue="1000000000.000001"),
    ],
)
def test_weights_that_cannot_be_are_refused(bad):
    refused = refusal(start(), SetSplit(actor="ann", service="shop", weights=bad, salt=SALT))
    assert refused.status == 422
    assert refused.problems
    assert "weights from 0 to 1000000000" in refused.allowed


@pytest.mark.parametrize("good", ["0.000001", "999999999.999999", "1000000000", "1.0000000000", "1E+9", "5E-6"])
def test_weights_at_the_edge_of_what_can_be_are_taken(good):
    taken = split_to(start(), blue=1, green=good).services["shop"].running.split.weights
    assert taken["green"] == Decimal(good)
    assert "E" not in str(taken["green"])


def test_a_command_nobody_knows_is_a_mistake_of_the_program():
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Explode(Command):
        pass

    with pytest.raises(TypeError, match="Explode"):
        apply(start(), Explode(actor="ann"), NOW)


def test_equal_commands_on_equal_states_give_equal_states():
    first, second = split_to(start(), blue=70, green=30), split_to(start(), green=30, blue=70)
    assert first == second
    assert bounds(first.services["shop"].running.split) == bounds(second.services["shop"].running.split)
