"""Changes that wait to be confirmed: what undoes them, what keeps off, and who may go past."""

from dataclasses import replace

import pytest

from gatekeeper.core.codec import dump
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
from gatekeeper.core.model import Definition, Settings, State
from tests.core.states import (
    ANN,
    NOW,
    SALT,
    definition,
    do,
    essence,
    load,
    past,
    refusal,
    running,
    service,
    shown,
    split_to,
    start,
    version,
    versions,
    weights,
)

BACK = Rollback(**ANN, service="shop")


def split(name: str = "shop", within: float | None = 60.0, **numbers: float) -> SetSplit:
    return SetSplit(**ANN, service=name, weights=weights(**numbers), salt=SALT, confirm_within=within)


def both(**options: object) -> State:
    return start(service(), service("blog"), **options)  # type: ignore[arg-type]


def waiting(state: State) -> list[tuple[int, list[str]]]:
    return [(item.revision, list(item.before)) for item in state.pending]


def test_a_change_takes_effect_at_once_and_waits():
    before = both()
    outcome = apply(before, split(blue=1, green=1), NOW)
    pending = outcome.state.pending[0]
    assert shown(outcome.state) == {"blue": 1, "green": 1}
    assert (pending.revision, pending.deadline, pending.actor) == (2, NOW + 60, "ann")
    assert pending.before == {"shop": before.services["shop"]}
    assert pending.settings is None
    assert outcome.events[0]["deadline"] == NOW + 60
    assert dump(outcome.changes)[-1] == {
        "path": "pending.2", "before": None, "after": {"deadline": NOW + 60, "actor": "ann", "services": ["shop"]}
    }  # fmt: skip


def test_what_changes_nothing_waits_for_nothing():
    state = both()
    assert apply(state, split(blue=100), NOW).state is state


@pytest.mark.parametrize("within", [0.0, 0.99, -5.0, 7 * 86_400 + 1.0, float("nan"), float("inf")])
def test_the_time_to_confirm_is_a_second_to_a_week(within):
    refused = refusal(start(), split(within=within, blue=1, green=1))
    assert (refused.status, refused.code) == (422, "invalid_confirm_within")
    assert "1 to 604800 s" in refused.allowed


@pytest.mark.parametrize(
    "command",
    [
        Confirm(actor="ann", confirm_within=5.0),
        Expire(actor="ann", revision=1, confirm_within=5.0),
        TripVersion(actor="ann", service="shop", version="green", reason="", confirm_within=5.0),
    ],
)
def test_what_is_for_good_cannot_wait(command: Command):
    assert refusal(split_to(start(), blue=1, green=1), command).code == "invalid_confirm_within"


def test_a_confirmed_change_stays_and_can_be_undone_as_any():
    state = do(both(), split(blue=1, green=1))
    outcome = apply(state, Confirm(**ANN), NOW + 5)
    after = outcome.state
    assert (after.revision, after.pending) == (3, ())
    assert after.services == state.services
    assert (outcome.events[0]["kind"], outcome.events[0]["confirmed"]) == ("confirmed", 2)
    assert apply(after, Expire(actor="g", revision=2), NOW + 99).state is after
    assert shown(do(after, BACK)) == {"blue": 100}


def test_confirm_without_a_revision_needs_exactly_one():
    state = both()
    assert refusal(state, Confirm(**ANN)).code == "nothing_to_confirm"
    state = do(do(state, split(blue=1, green=1)), split("blog", blue=1, green=1))
    refused = refusal(state, Confirm(**ANN))
    assert (refused.status, refused.code) == (409, "which_revision")
    assert "2, 3" in refused.detail
    assert refusal(state, Confirm(**ANN, revision=1)).code == "nothing_to_confirm"
    assert waiting(do(state, Confirm(**ANN, revision=3))) == [(2, ["shop"])]


def test_what_nobody_confirmed_is_put_back_exactly():
    before = split_to(both(), blue=90, green=10)
    state = do(before, split(green=1))
    assert running(state).superseded
    outcome = apply(state, Expire(actor="gatekeeper", revision=3), NOW + 60)
    assert essence(outcome.state) == essence(before)
    assert (outcome.state.revision, outcome.state.pending) == (4, ())
    assert (running(outcome.state).revision, running(outcome.state).changed_at) == (4, NOW + 60)
    assert outcome.state.services["blog"] is before.services["blog"]
    event = outcome.events[0]
    assert {key: event[key] for key in ("kind", "undid", "reason", "services")} == {
        "kind": "undone", "undid": 3, "reason": "not confirmed in time", "services": ["shop"]
    }  # fmt: skip


def test_a_reload_with_all_it_changed_is_put_back():
    before = both()
    settings = Settings(trusted_proxies=("10.0.0.0/8",))
    new = definition(replace(service(), skew=5.0), service("news"), settings=settings)
    state = load(before, new, confirm_within=60.0).state
    assert set(state.pending[0].before) == {"shop", "blog", "news"}
    after = do(state, Expire(actor="g", revision=2))
    assert essence(after) == essence(before)


COMMANDS = [
    split(within=None, blue=1, red=1),
    Deploy(**ANN, service="shop", version=version("pink")),
    Retire(**ANN, service="shop", version="green"),
    Drain(**ANN, service="shop", version="green", seconds=1.0),
    Reload(**ANN, definition=definition(replace(service(), skew=5.0), service("blog")), entropy="e"),
    Reload(**ANN, definition=definition(service("blog")), entropy="e"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_nobody_else_changes_a_service_that_waits(command: Command):
    refused = refusal(do(both(), split(blue=1, green=1)), command)
    assert (refused.status, refused.code) == (409, "awaiting_confirmation")
    assert [problem.path for problem in refused.problems] == ["pending.2"]
    assert "gatekeeper confirm" in refused.allowed


def test_a_reset_of_the_trip_wire_waits_its_turn():
    state = do(split_to(start(), blue=50, green=50), TripVersion(actor="g", service="shop", version="green", reason=""))
    state = do(state, split(blue=1, red=1))
    assert refusal(state, ResetTrip(**ANN, service="shop")).code == "awaiting_confirmation"


def test_other_services_go_on_and_so_does_a_reload_that_leaves_it_alone():
    state = do(both(), split(blue=1, green=1))
    state = do(state, split("blog", blue=1, green=1))
    assert waiting(state) == [(2, ["shop"]), (3, ["blog"])]
    state = load(state, definition(service(), service("blog"), service("news"))).state
    assert waiting(state) == [(2, ["shop"]), (3, ["blog"])]
    after = do(state, Expire(actor="g", revision=2))
    assert shown(after, "blog") == {"blue": 1, "green": 1}
    assert shown(after) == {"blue": 100}


def test_settings_that_wait_are_changed_by_nobody_else():
    new = definition(settings=Settings(trusted_proxies=("10.0.0.0/8",)))
    state = load(start(), new, confirm_within=60.0).state
    assert waiting(state) == [(2, [])]
    third = definition(settings=Settings(trusted_proxies=("192.0.2.0/24",)))
    refused = refusal(state, Reload(**ANN, definition=third, entropy="e"))
    assert refused.code == "awaiting_confirmation"
    assert refused.problems[0].message.startswith("the settings")
    assert split_to(state, blue=1, green=1).pending == state.pending
    assert do(state, Expire(actor="g", revision=2)).settings == Settings()


def test_a_rollback_puts_back_all_that_waits_of_the_service():
    before = split_to(both(), blue=90, green=10)
    state = do(before, Deploy(**ANN, service="shop", version=version("green", "http://new:80"), confirm_within=60.0))
    outcome = apply(state, BACK, NOW + 5)
    assert essence(outcome.state) == essence(before)
    assert outcome.state.pending == ()
    event = outcome.events[0]
    assert {key: event[key] for key in ("kind", "undid", "settled", "service", "before", "after")} == {
        "kind": "rollback", "undid": 3, "settled": [3], "service": "shop",
        "before": {"blue": 90, "green": 10, "red": 0}, "after": {"blue": 90, "green": 10, "red": 0},
    }  # fmt: skip
    assert apply(outcome.state, Expire(actor="g", revision=3), NOW + 99).state is outcome.state


def test_a_rollback_of_one_service_leaves_the_others_of_the_change_waiting():
    before = both()
    state = load(
        before, definition(replace(service(), skew=5.0), replace(service("blog"), skew=5.0)), confirm_within=60.0
    ).state
    after = do(state, BACK)
    assert essence(after)[1]["shop"] == essence(before)[1]["shop"]
    assert waiting(after) == [(2, ["blog"])]
    assert essence(do(after, Expire(actor="g", revision=2))) == essence(before)


def test_a_rollback_brings_back_a_service_that_was_removed():
    state = load(both(), definition(service("blog")), confirm_within=60.0).state
    assert list(state.services) == ["blog"]
    assert shown(do(state, BACK)) == {"blue": 100}


def test_a_rollback_of_a_service_that_came_with_the_change_is_refused_with_the_way_out():
    before = start(service("blog"))
    state = load(before, definition(service(), service("blog")), confirm_within=60.0).state
    refused = refusal(state, BACK)
    assert (refused.status, refused.code) == (409, "nothing_to_undo")
    assert "gatekeeper restore 1" in refused.allowed
    after = do(state, Restore(**ANN, revision=1, past=past(before), entropy="e"))
    assert (list(after.services), after.pending) == (["blog"], ())


def test_a_rollback_to_a_revision_settles_what_waits_also_when_it_moves_nobody():
    state = split_to(start(), blue=90, green=10)
    state = do(state, Deploy(**ANN, service="shop", version=version("pink"), confirm_within=60.0))
    command = Rollback(**ANN, service="shop", to_revision=2, weights=weights(blue=90, green=10))
    after = do(state, command)
    assert (after.revision, after.pending) == (4, ())
    assert "pink" in versions(after)


def test_a_change_that_waits_is_not_taken_back_by_another_that_waits():
    state = do(start(), split(blue=1, green=1))
    assert refusal(state, replace(BACK, confirm_within=60.0)).code == "awaiting_confirmation"
    command = Restore(**ANN, revision=1, past=past(start()), entropy="e", confirm_within=60.0)
    assert refusal(state, command).code == "awaiting_confirmation"


def test_the_trip_wire_passes_and_settles_what_it_touches():
    before = split_to(both(), blue=50, green=50)
    new = definition(replace(service(), skew=5.0), replace(service("blog"), skew=5.0))
    state = load(before, new, confirm_within=60.0).state
    outcome = apply(state, TripVersion(actor="g", service="shop", version="green", reason="x"), NOW)
    assert shown(outcome.state) == {"blue": 100}
    assert outcome.events[0]["settled"] == [3]
    assert waiting(outcome.state) == [(3, ["blog"])]
    after = do(outcome.state, Expire(actor="g", revision=3))
    assert shown(after) == {"blue": 100}
    assert after.services["blog"].definition.skew == 0.0
    assert after.services["shop"].definition.skew == 5.0


def test_settings_go_on_waiting_where_the_services_were_settled():
    new = definition(replace(service(), skew=5.0), settings=Settings(trusted_proxies=("10.0.0.0/8",)))
    state = do(load(start(), new, confirm_within=60.0).state, BACK)
    assert waiting(state) == [(2, [])]
    after = do(state, Expire(actor="g", revision=2))
    assert essence(after) == essence(start())


def test_a_restore_settles_what_it_changes():
    before = both()
    state = do(do(before, split(blue=1, green=1)), split("blog", blue=1, green=1))
    after = do(state, Restore(**ANN, revision=1, past=past(before), service="shop", entropy="e"))
    assert waiting(after) == [(3, ["blog"])]
    assert do(state, Restore(**ANN, revision=1, past=past(before), entropy="e")).pending == ()


def moved_host(state: State) -> State:
    """A change that waits: blog gave its host to shop."""
    new = definition(service(hosts=("blog.example.com",)), service("blog", hosts=("old.example.com",)))
    return load(state, new, confirm_within=60.0).state


def test_taking_back_half_of_a_change_does_not_give_two_services_one_host():
    state = moved_host(both())
    refused = refusal(state, Rollback(**ANN, service="blog"))
    assert (refused.status, refused.code) == (409, "same_front")
    assert [problem.path for problem in refused.problems] == ["services.blog"]
    assert "shop" in refused.problems[0].message


def test_what_would_collide_with_what_was_settled_apart_stays_as_it_is():
    state = moved_host(split_to(both(), blue=50, green=50))
    state = do(state, TripVersion(actor="g", service="shop", version="green", reason="x"))
    outcome = apply(state, Expire(actor="g", revision=3), NOW)
    assert outcome.events[0]["kept"] == ["blog"]
    assert outcome.state.services["blog"].definition.hosts == ("old.example.com",)
    assert outcome.state.pending == ()


def test_what_waits_goes_on_waiting_over_a_restart_but_for_what_the_file_changes():
    state = do(do(both(), split(blue=1, green=1)), split("blog", blue=1, green=1))
    stored = {name: item.running for name, item in state.services.items()}

    def again(file: Definition) -> tuple[State, list[str]]:
        return initial_state(file, stored, state.revision, "other", NOW + 9, last=state)

    assert again(definition(service(), service("blog"))) == (state, [])
    edited, notes = again(definition(replace(service(), skew=5.0), service("blog")))
    assert waiting(edited) == [(3, ["blog"])]
    assert notes == ["the change of revision 2 waits no longer to be confirmed: the file changed what it had changed"]
    proxies = definition(service(), service("blog"), settings=Settings(trusted_proxies=("10.0.0.0/8",)))
    assert waiting(again(proxies)[0]) == waiting(state)


def test_settings_that_wait_do_so_over_a_restart_unless_the_file_changes_them():
    proxies = Settings(trusted_proxies=("10.0.0.0/8",))
    state = load(start(), definition(settings=proxies), confirm_within=60.0).state
    stored = {"shop": running(state)}
    for file, left in ((proxies, [(2, [])]), (Settings(), [])):
        again, _ = initial_state(definition(settings=file), stored, 2, "other", NOW + 9, last=state)
        assert waiting(again) == left
