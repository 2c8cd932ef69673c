"""What becomes of a release when something else changes its services: a retirement, the trip-wire, a new file."""

from dataclasses import replace
from typing import Any

import pytest

from gatekeeper.core.command import (
    Command,
    Confirm,
    Deploy,
    Drain,
    Expire,
    Reload,
    ResetTrip,
    Restore,
    Retire,
    Rollback,
    SetSplit,
    TripVersion,
    apply,
    initial_state,
)
from gatekeeper.core.model import Definition, Promoted, Rule, Settings, State, When
from gatekeeper.core.release.model import ReleaseState
from gatekeeper.core.release.plan import DIRECT
from gatekeeper.core.split import bounds
from tests.core.releases import World, plan
from tests.core.states import (
    ANN,
    NOW,
    SALT,
    definition,
    past,
    refusal,
    running,
    service,
    split_to,
    start,
    version,
    weights,
)

S = ReleaseState


def both(**options: Any) -> World:
    return World().begin(services={"shop": "green", "cart": "green"}, **options)


def file(shop: str = "blue green red", cart: str = "blue green red", **options: Any) -> Definition:
    return definition(service("shop", shop, **options), service("cart", cart))


def reload(new: Definition, **options: Any) -> Reload:
    return Reload(**ANN, definition=new, entropy="fresh", **options)


def without_cart() -> Definition:
    return definition(service("shop"))


GREEN_GOES: list[Command] = [
    Retire(**ANN, service="shop", version="green"),
    Drain(**ANN, service="shop", version="green", seconds=30),
    TripVersion(actor="gatekeeper", service="shop", version="green", reason="all backends down"),
    reload(file("blue red")),
    reload(
        definition(
            replace(service("shop"), versions={**service("shop").versions, "green": version("green", "http://x:1")}),
            service("cart"),
        )
    ),
    reload(file(stable="red")),
    reload(file(stable="green")),
]
IDS = [
    "retired",
    "drained",
    "tripped",
    "not in the file",
    "another build in the file",
    "other stable",
    "stable in file",
]


@pytest.mark.parametrize("command", GREEN_GOES, ids=IDS)
@pytest.mark.parametrize("seconds", [0, 60, 120])
def test_a_candidate_that_goes_takes_the_release_of_all_services_with_it_in_one_revision(command, seconds):
    world = both()
    while seconds:
        world.later(60)
        seconds -= 60
    held = world.weight("green", "cart")
    assert held > 0
    revision = world.state.revision
    outcome = world.do(command)
    assert world.state.revision == revision + 1
    assert world.release.state is S.ROLLED_BACK
    for name in ("shop", "cart"):
        assert world.state.services[name].running.split.weights.get("green", 0) == 0
        assert world.weight("blue", name) == 100
        assert running(world.state, name).revision == world.state.revision
        assert "green" not in running(world.state, name).superseded
    assert world.stable("cart") == "blue"
    assert {event["revision"] for event in outcome.events} == {world.state.revision}
    assert world.told[-1]["kind"] == "release_rolled_back"
    assert world.told[-1]["splits"]["cart"]["before"]["green"] == float(held)
    assert "green" in world.release.reason or "stable" in world.release.reason


def test_what_is_told_of_the_change_itself_says_the_split_that_holds_in_the_end():
    world = World(split_to(start(service(), service("cart")), blue=60, red=40)).begin()
    assert world.weight("blue") == 54
    world.do(TripVersion(actor="g", service="shop", version="green", reason="errors"))
    assert world.told[0]["kind"] == "tripped"
    assert world.told[0]["after"] == {"blue": 60, "green": 0, "red": 40}
    assert dict(running(world.state).split.weights) == weights(blue=60, green=0, red=40)


def test_after_a_trip_everybody_has_what_they_had_before_the_release():
    before = split_to(start(service(), service("cart")), blue=60, red=40)
    world = World(before).begin()
    world.later(60)
    world.do(TripVersion(actor="g", service="shop", version="green", reason="errors"))
    assert bounds(running(world.state).split) == bounds(running(before).split)
    assert "green" in running(world.state).tripped
    assert world.release.reason == "the trip-wire took version green of service shop: errors"


def test_the_candidate_can_be_retired_and_drained_even_while_it_holds_everything():
    for command in GREEN_GOES[:2]:
        world = World().begin(by=plan((100, 60)))
        assert world.weight() == 100
        world.do(command)
        assert (world.release.state, world.weight("blue")) == (S.ROLLED_BACK, 100)


def test_what_was_stable_cannot_be_retired_in_a_release():
    world = World().begin(by=plan((100, 60)))
    assert refusal(world.state, Retire(**ANN, service="shop", version="blue")).code == "version_is_stable"


def test_no_rollback_goes_back_to_the_weights_of_a_release_that_ended():
    world = World(split_to(start(service(), service("cart")), blue=60, red=40)).begin()
    world.later(60)
    world.do(Drain(**ANN, service="shop", version="green", seconds=30))
    assert [item.revision for item in running(world.state).undo] == [2]


# What else may change meanwhile


def test_the_split_belongs_to_the_release():
    world = World().begin()
    refused = refusal(world.state, SetSplit(**ANN, service="shop", weights=weights(blue=1), salt=SALT))
    assert (refused.status, refused.code) == (409, "release_active")
    assert "gatekeeper release abort shop" in refused.allowed
    assert "gatekeeper rollback shop" in refused.allowed
    world.do(SetSplit(**ANN, service="cart", weights=weights(blue=1, red=1), salt=SALT))
    same = SetSplit(**ANN, service="shop", weights=running(world.state).split.weights, salt=SALT)
    assert apply(world.state, same, NOW).state is world.state


@pytest.mark.parametrize("name", ["blue", "green", "red"])
def test_versions_that_take_part_cannot_be_deployed_anew(name):
    world = World(split_to(start(service(), service("cart")), blue=60, red=40)).begin()
    refused = refusal(world.state, Deploy(**ANN, service="shop", version=version(name, "http://new:1")))
    assert (refused.status, refused.code) == (409, "release_active")
    known = world.state.services["shop"].definition.versions[name]
    assert apply(world.state, Deploy(**ANN, service="shop", version=known), NOW).state is world.state


def test_other_versions_can_be_deployed_and_the_release_goes_on():
    world = World().begin()
    before = world.release
    world.do(Deploy(**ANN, service="shop", version=version("white")))
    assert world.release is before
    world.do(Deploy(**ANN, service="shop", version=version("red", "http://new:1")))
    world.later(60)
    assert (world.at, world.weight()) == ((S.PROGRESSING, 1), 50)
    world.do(Rollback(actor="ann", service="shop"))
    assert dict(running(world.state).split.weights) == weights(blue=100, green=0, red=0, white=0)


@pytest.mark.parametrize(
    "command",
    [
        Retire(**ANN, service="shop", version="red"),
        Drain(**ANN, service="shop", version="red", seconds=30),
        TripVersion(actor="g", service="shop", version="red", reason="errors"),
    ],
)
def test_a_third_version_that_goes_gives_its_share_to_stable_for_good(command):
    world = World(split_to(start(service(), service("cart")), blue=60, red=40)).begin()
    world.do(command)
    assert world.at == (S.PROGRESSING, 0)
    assert (world.weight("blue"), world.weight("green")) == (90, 10)
    if isinstance(command, TripVersion):
        world.do(ResetTrip(**ANN, service="shop"))
    world.later(60)
    assert (world.weight("blue"), world.weight("green")) == (50, 50)
    world.do(Rollback(actor="ann", service="shop"))
    assert world.weight("blue") == 100
    assert world.state.services["shop"].running.split.weights.get("red", 0) == 0


def test_a_reload_that_leaves_the_candidate_alone_lets_the_release_go_on():
    world = World().begin()
    rule = Rule("staff", When(methods=("PUT",)), to="red")
    world.do(reload(file("blue green red white", rules=(rule,))))
    assert world.at == (S.PROGRESSING, 0)
    world.later(60)
    assert dict(running(world.state).split.weights) == weights(blue=50, green=50, red=0, white=0)


def test_the_same_build_with_other_backends_in_the_file_is_no_other_build():
    def built(at: str) -> Definition:
        shop = service("shop")
        return definition(
            replace(shop, versions={**shop.versions, "green": version("green", at, build="7")}), service("cart")
        )

    world = World(initial_state(built("http://a:1"), {}, 1, "e", NOW)[0]).begin()
    world.do(reload(built("http://b:1")))
    assert world.at == (S.PROGRESSING, 0)


def test_a_reload_does_not_reset_a_split_that_belongs_to_a_release():
    world = World().begin()
    refused = refusal(world.state, reload(file(), reset_split=True))
    assert refused.code == "release_active"
    assert "without --reset-split" in refused.allowed


def test_a_service_that_goes_ends_the_release_of_the_others():
    world = both()
    world.do(reload(without_cart()))
    assert world.release.state is S.ROLLED_BACK
    assert world.release.reason == "service cart is gone"
    assert world.weight("blue", "shop") == 100


# Restores


def test_a_restore_of_a_service_in_release_ends_it_and_the_others_go_back():
    world = World()
    then = past(world.state)
    world.do(Deploy(**ANN, service="shop", version=version("white")))
    world.begin(services={"shop": "green", "cart": "green"})
    world.do(Restore(**ANN, revision=1, past=then, service="shop", entropy="e"))
    assert world.release.state is S.ROLLED_BACK
    assert world.release.reason == "revision 1 was restored"
    assert "white" not in world.state.services["shop"].definition.versions
    assert (world.weight("blue", "shop"), world.weight("blue", "cart")) == (100, 100)


def test_what_was_restored_has_the_weights_of_then_and_not_those_before_the_release():
    world = World()
    then = past(world.state)
    world.do(SetSplit(**ANN, service="shop", weights=weights(blue=60, red=40), salt=SALT))
    world.begin(services={"shop": "green", "cart": "green"})
    world.do(Restore(**ANN, revision=1, past=then, service="shop", entropy="e"))
    assert (world.release.state, world.weight("blue"), world.weight("red")) == (S.ROLLED_BACK, 100, 0)


def test_a_restore_that_changes_nothing_of_it_lets_the_release_go_on():
    world = World()
    then = past(world.state)
    world.do(SetSplit(**ANN, service="cart", weights=weights(blue=50, red=50), salt=SALT))
    world.begin()
    world.do(Restore(**ANN, revision=1, past=then, service="cart", entropy="e"))
    assert world.at == (S.PROGRESSING, 0)


def test_a_restore_does_not_give_the_candidate_weight():
    world = World().begin()
    then = past(world.state)
    world.later(60)
    refused = refusal(world.state, Restore(**ANN, revision=2, past=then, service="shop", entropy="e"))
    assert refused.code == "release_active"
    assert "rollback shop" in refused.allowed


def test_a_restore_of_everything_brings_back_what_was_stable_and_what_the_file_said_of_releases():
    world = World()
    then = replace(past(world.state), releasing=world.state.releasing)
    world.begin(by=DIRECT)
    assert (world.stable(), running(world.state).promoted) == ("green", Promoted("green", "blue"))
    world.do(Restore(**ANN, revision=1, past=then, entropy="e"))
    assert (world.stable(), running(world.state).promoted) == ("blue", None)
    assert world.weight("blue") == 100
    assert (world.release.state, world.release.retained) == (S.PROMOTED, False)


# Changes that wait to be confirmed


@pytest.mark.parametrize(
    "command",
    [
        Retire(**ANN, service="shop", version="green", confirm_within=60),
        Retire(**ANN, service="shop", version="red", confirm_within=60),
        Deploy(**ANN, service="shop", version=version("white"), confirm_within=60),
        Rollback(**ANN, service="shop", confirm_within=60),
        reload(file("blue red"), confirm_within=60.0),
        reload(without_cart(), confirm_within=60.0),
    ],
)
def test_nothing_undoes_itself_in_the_middle_of_a_release(command):
    world = both()
    refused = refusal(world.state, command)
    assert refused.code == "release_active"
    assert refused.allowed == "the same without confirm_within"


def test_a_release_that_is_retained_is_not_taken_back_for_a_while():
    world = World().begin(by=DIRECT)
    refused = refusal(world.state, Rollback(**ANN, service="shop", confirm_within=60))
    assert refused.code == "release_active"


def test_what_does_not_concern_the_release_may_wait_to_be_confirmed():
    world = World().begin()
    world.do(SetSplit(**ANN, service="cart", weights=weights(blue=1, red=1), salt=SALT, confirm_within=60))
    world.later(60)
    assert world.at == (S.PROGRESSING, 1)
    world.do(Expire(actor="g", revision=3))
    assert (world.at, world.weight("blue", "cart")) == ((S.PROGRESSING, 1), 100)


def test_settings_that_wait_to_be_confirmed_keep_nobody_from_a_release_or_a_rollback():
    world = World()
    new = definition(service("shop"), service("cart"), settings=Settings(trusted_proxies=("10.0.0.0/8",)))
    world.do(reload(new, confirm_within=60.0))
    world.begin()
    world.do(Rollback(actor="ann", service="shop"))
    assert world.release.state is S.ROLLED_BACK
    world.do(Confirm(actor="ann"))


def test_plans_that_wait_to_be_confirmed_are_put_back():
    world = World()
    before = world.state.releasing
    new = replace(file(), releasing=replace(before, plans={"direct": DIRECT}))
    world.do(reload(new, confirm_within=60.0))
    assert world.state.releasing.plans == {"direct": DIRECT}
    assert world.state.pending[0].releasing == before
    world.do(Expire(actor="g", revision=2))
    assert world.state.releasing == before


# What is retained


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (Retire(**ANN, service="shop", version="blue"), "version blue of service shop was retired"),
        (
            Deploy(**ANN, service="shop", version=version("blue", "http://new:1")),
            "version blue of service shop is another build now",
        ),
        (reload(definition(service("cart"))), "service shop is gone"),
        (reload(file(stable="red")), "version red is stable in service shop now"),
    ],
)
def test_what_there_was_to_go_back_to_goes_and_is_not_retained_any_longer(command, why):
    world = World().begin(by=DIRECT)
    world.do(command)
    assert (world.release.state, world.release.retained) == (S.PROMOTED, False)
    assert world.told[-1]["kind"] == "release_retention_over"
    assert world.told[-1]["text"].endswith(why)


def test_the_old_version_is_retained_while_it_drains_and_a_rollback_ends_the_drain():
    world = World().begin(by=DIRECT)
    world.do(Drain(**ANN, service="shop", version="blue", seconds=30))
    assert world.release.retained
    world.do(Rollback(actor="ann", service="shop"))
    assert (world.weight("blue"), world.stable()) == (100, "blue")
    assert running(world.state).draining == {}


def test_the_old_version_that_was_tripped_is_nothing_to_go_back_to():
    world = World().begin(by=DIRECT)
    world.do(SetSplit(**ANN, service="shop", weights=weights(green=90, blue=10), salt=SALT))
    world.do(TripVersion(actor="g", service="shop", version="blue", reason="errors"))
    assert not world.release.retained
    assert refusal(world.state, Rollback(actor="ann", service="shop")).code == "nothing_to_undo"


# What the file says of stable


def test_what_was_promoted_stays_stable_over_a_reload_that_says_what_the_file_said_then():
    world = World().begin(by=DIRECT)
    world.do(reload(file("blue green red white")))
    assert (world.stable(), world.weight()) == ("green", 100)
    assert world.release.retained


def test_a_file_that_names_another_stable_since_is_the_later_act():
    world = World().begin(by=DIRECT)
    world.do(reload(file(stable="red")))
    assert (world.stable(), running(world.state).promoted) == ("red", None)
    assert world.weight() == 100


def test_a_file_that_says_so_itself_takes_over_and_a_later_edit_of_it_holds():
    world = World().begin(by=DIRECT)
    world.do(reload(file(stable="green")))
    assert (world.stable(), running(world.state).promoted) == ("green", None)
    assert world.release.retained
    world.do(reload(file(stable="blue")))
    assert world.stable() == "blue"


def test_a_promoted_version_that_the_file_does_not_name_any_more_is_stable_no_longer():
    world = World().begin(by=DIRECT)
    world.do(reload(file("blue red")))
    assert (world.stable(), running(world.state).promoted) == ("blue", None)


def test_the_old_stable_may_be_retired_after_a_promotion_and_stays_so_over_a_reload():
    world = World().begin(by=DIRECT)
    world.do(Retire(**ANN, service="shop", version="blue"))
    world.do(reload(file("blue green red white")))
    assert "blue" not in world.state.services["shop"].definition.versions
    assert world.stable() == "green"
    # Without what was promoted the file's stable has to be there.
    world.do(reload(file("blue red white")))
    assert (world.stable(), running(world.state).retired) == ("blue", {})


# Starts


def restarted(world: World, new: Definition, last: State | None = None) -> tuple[State, list[str]]:
    stored = {name: item.running for name, item in world.state.services.items()}
    return initial_state(new, stored, world.state.revision + 1, "e", NOW + 100, last or world.state)


def test_a_release_goes_on_over_a_start_with_an_edited_file():
    world = World().begin()
    state, _ = restarted(world, file("blue green red white"))
    world.state = state
    assert world.at == (S.PROGRESSING, 0)
    world.later(60)
    assert world.weight() == 50


def test_a_start_with_a_file_that_took_the_candidate_away_ends_the_release_in_all_services():
    world = both()
    state, notes = restarted(world, file("blue red"))
    world.state = state
    assert world.release.state is S.ROLLED_BACK
    assert (world.weight("blue", "cart"), world.weight("green", "cart")) == (100, 0)
    assert any("release 2" in note and "green" in note for note in notes)


def test_a_start_keeps_what_was_promoted():
    world = World().begin(by=DIRECT)
    state, _ = restarted(world, file("blue green red white"))
    assert state.services["shop"].definition.stable == "green"
    assert state.releases[2].retained
