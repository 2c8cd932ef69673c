"""Going back: one step, further, to a named revision, and when there is nothing to go back to."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.core.codec import dump
from gatekeeper.core.command import Refused, Reload, Rollback, SetSplit, apply, initial_state
from gatekeeper.core.model import Backend, Definition, Running, Service, Settings, State, Version

SALT = "5a" * 16
NOW = 1_700_000_000.0


def weights(**numbers: float | str) -> dict[str, Decimal]:
    return {name: Decimal(str(number)) for name, number in numbers.items()}


def service(*names: str) -> Service:
    versions = {name: Version(name, (Backend(f"http://{name}:80"),)) for name in names or ("blue", "green", "red")}
    first = next(iter(versions))
    return Service("shop", versions, first, {first: Decimal(100)})


def start() -> State:
    return initial_state(Definition(Settings(), {"shop": service()}), {}, 1, "entropy", NOW)[0]


def split_to(state: State, now: float = NOW, **numbers: float) -> State:
    return apply(state, SetSplit(actor="ann", service="shop", weights=weights(**numbers), salt=SALT), now).state


def back(state: State, to: int | None = None, /, **numbers: float) -> State:
    command = Rollback(actor="ann", service="shop", to_revision=to, weights=weights(**numbers) if numbers else None)
    return apply(state, command, NOW).state


def versions_are(state: State, *names: str) -> State:
    definition = Definition(Settings(), {"shop": service(*names)})
    return apply(state, Reload(actor="ann", definition=definition, entropy="x"), NOW).state


def running(state: State) -> Running:
    return state.services["shop"].running


def shown(state: State) -> dict[str, int]:
    return {name: int(weight) for name, weight in running(state).split.weights.items() if weight}


def refusal(state: State, command: Rollback) -> Refused:
    before = json.dumps(dump(state))
    with pytest.raises(Refused) as caught:
        apply(state, command, NOW)
    assert json.dumps(dump(state)) == before
    return caught.value


def test_a_rollback_is_a_new_revision_equal_to_the_one_before_the_change():
    old = split_to(start(), blue=90, green=10)
    new = back(split_to(old, blue=50, green=50))
    assert new.revision == 4
    assert running(new).split == running(old).split
    assert running(new).revision == 4


def test_pressing_again_goes_one_further_back_until_the_start():
    state = start()
    seen = [shown(state)]
    for green in (1, 10, 50):
        state = split_to(state, blue=100 - green, green=green)
        seen.append(shown(state))
    for expected in reversed(seen[:-1]):
        state = back(state)
        assert shown(state) == expected
    refused = refusal(state, Rollback(actor="ann", service="shop"))
    assert (refused.status, refused.code) == (409, "nothing_to_undo")
    assert "--to REVISION" in refused.allowed


def test_a_rollback_gives_everybody_the_version_they_had_also_from_everything():
    """The salt stays: the same ten percent that saw green before the promotion see it after it was taken back."""
    old = split_to(start(), blue=90, green=10)
    assert running(back(split_to(old, green=1))).split == running(old).split


def test_a_rollback_says_what_it_did():
    state = split_to(start(), blue=50, green=50)
    outcome = apply(state, Rollback(actor="ann", note="errors", service="shop"), NOW + 9)
    before, after = {"blue": 50, "green": 50, "red": 0}, {"blue": 100, "green": 0, "red": 0}
    assert dump(outcome.changes) == [{"path": "services.shop.split", "before": before, "after": after}]
    assert outcome.events == [
        {
            "kind": "rollback",
            "to_revision": None,
            "revision": 3,
            "at": NOW + 9,
            "actor": "ann",
            "note": "errors",
            "service": "shop",
            "before": before,
            "after": after,
        }
    ]


def test_a_version_rolled_back_to_nothing_is_withdrawn_not_superseded():
    """An open page may keep a superseded version; a version that was taken back must leave the pages too."""
    state = split_to(start(), NOW + 1, green=1)
    assert running(state).superseded == {"blue": NOW + 1}
    state = back(state)
    assert running(state).superseded == {}


def test_a_rollback_to_a_split_keeps_what_was_superseded_earlier():
    state = split_to(start(), NOW + 1, green=1)
    state = split_to(state, NOW + 2, green=1, red=1)
    assert running(back(state)).superseded == {"blue": NOW + 1}


def test_a_version_that_comes_back_by_rollback_counts_as_new_for_its_cookies():
    state = back(split_to(start(), green=1))
    assert running(state).since == {"blue": 3, "green": 2}


def test_a_rollback_to_a_named_revision_takes_the_changes_since_then_off_the_stack():
    """After it, the next rollback goes further back and never forward to what was just left."""
    state = split_to(start(), blue=99, green=1)  # revision 2
    state = split_to(state, blue=90, green=10)  # 3
    state = split_to(state, blue=50, green=50)  # 4
    state = back(state, 2, blue=99, green=1)
    assert shown(state) == {"blue": 99, "green": 1}
    assert shown(back(state)) == {"blue": 100}


def test_a_rollback_that_was_a_mistake_can_be_taken_back_by_revision_and_undone_again():
    state = split_to(start(), blue=90, green=10)  # 2
    state = split_to(state, blue=50, green=50)  # 3
    state = back(state)  # 4: 90/10
    state = back(state, 3, blue=50, green=50)  # 5
    assert shown(state) == {"blue": 50, "green": 50}
    assert shown(back(state)) == {"blue": 90, "green": 10}


def test_a_rollback_to_the_weights_that_hold_changes_nothing():
    state = split_to(start(), blue=90, green=10)
    outcome = apply(
        state, Rollback(actor="ann", service="shop", to_revision=2, weights=weights(blue=90, green=10)), NOW
    )
    assert outcome.state is state
    assert not outcome.events


def test_versions_that_no_longer_exist_are_left_out():
    state = split_to(start(), blue=50, green=30, red=20)
    state = versions_are(split_to(state, blue=1), "blue", "green")
    assert shown(back(state)) == {"blue": 50, "green": 30}


def test_a_change_that_a_reload_took_back_already_is_no_step_back():
    """blue 100, then 50 green, then green is removed: what is left to undo is what came before both."""
    state = split_to(start(), blue=50, red=50)
    state = split_to(state, blue=50, red=50, green=100)
    state = versions_are(state, "blue", "red")
    assert shown(state) == {"blue": 50, "red": 50}
    assert shown(back(state)) == {"blue": 100}


def test_going_back_to_versions_that_are_all_gone_is_refused():
    state = versions_are(split_to(split_to(start(), green=1), blue=1), "blue", "red")
    refused = refusal(state, Rollback(actor="ann", service="shop"))
    assert (refused.status, refused.code) == (409, "nothing_left")
    assert "everything to green, which no longer exists" in refused.detail
    assert "blue, red" in refused.allowed
    named = Rollback(actor="ann", service="shop", to_revision=2, weights=weights(green=1))
    assert refusal(state, named).code == "nothing_left"


def test_a_revision_the_history_does_not_have_is_refused():
    refused = refusal(start(), Rollback(actor="ann", service="shop", to_revision=77))
    assert (refused.status, refused.code) == (404, "unknown_revision")
    assert "revision 77" in refused.detail


def test_an_unknown_service_is_refused():
    assert refusal(start(), Rollback(actor="ann", service="blog")).code == "unknown_service"


def test_a_rollback_after_a_restart_goes_back_all_the_same():
    state = split_to(split_to(start(), blue=90, green=10), blue=50, green=50)
    stored = {"shop": running(state)}
    again, notes = initial_state(Definition(Settings(), {"shop": service()}), stored, 3, "other", NOW)
    assert notes == []
    assert again == replace(state)
    assert shown(back(back(again))) == {"blue": 100}
