"""Starting a release: what it becomes at once, and why it may not be."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.core.command import Deploy, Drain, Reload, SetSplit, TripVersion
from gatekeeper.core.model import Releasing
from gatekeeper.core.release.model import ReleaseState
from gatekeeper.core.release.plan import DIRECT, Freeze, Plan, Step
from tests.core.releases import World, asked, plan, steps
from tests.core.states import ANN, NOW, SALT, definition, refusal, service, split_to, start, version, weights

S = ReleaseState
HOUR = 3600.0


def test_without_a_plan_everything_moves_at_once_in_one_revision():
    world = World().begin(by=DIRECT)
    assert world.at == (S.PROMOTED, 0)
    assert world.state.revision == 2
    assert world.release.id == 2
    assert (world.weight(), world.stable()) == (100, "green")
    assert world.kinds == ["started", "step", "promoted"]
    assert world.told[-1]["splits"]["shop"]["after"] == {"blue": 0, "green": 100, "red": 0}


def test_without_word_of_the_backends_it_is_planned_until_they_are_ready():
    world = World(ready=None).begin(by=DIRECT)
    assert (world.at, world.weight()) == ((S.PLANNED, -1), 0)
    world.ready = {"shop": False}
    world.advance()
    assert world.at == (S.PLANNED, -1)
    assert world.state.revision == 2
    world.ready = {"shop": True}
    world.advance()
    assert world.at == (S.PROMOTED, 0)


def test_it_knows_who_started_it_by_which_plan_and_what_it_moves():
    world = World()
    world.do(Deploy(**ANN, service="shop", version=version("green", "http://new:80", build="7")))
    world.begin(by=plan(retain=5.0), groups=("product",), note="ticket 12")
    found = world.release
    assert (found.author, found.author_groups, found.note) == ("ann", ("product",), "ticket 12")
    assert (found.created, found.plan) == (NOW, plan(retain=5.0))
    move = found.moves[0]
    assert (move.service, move.to, move.stable, move.build) == ("shop", "green", "blue", "7")
    assert move.weights == weights(blue=100, green=0, red=0)
    assert len(move.digest) == 32
    assert world.told[0]["services"] == {"shop": "green"}
    assert world.told[0]["note"] == "ticket 12"


def test_editing_the_file_does_not_change_the_plan_of_a_release_that_runs():
    world = World().begin()
    before = world.release
    file = definition(service("shop"), service("cart"))
    world.do(Reload(**ANN, definition=replace(file, releasing=Releasing({"careful": DIRECT})), entropy="e"))
    assert world.state.releasing.plans == {"careful": DIRECT}
    assert world.release is before


def test_a_time_in_the_future_is_waited_for_and_the_hold_begins_then():
    world = World().begin(at=NOW + HOUR)
    assert (world.at, world.waits()) == ((S.WAITING, -1), ["time"])
    assert world.release.waiting[0].until == NOW + HOUR
    world.later(HOUR - 1)
    assert world.at == (S.WAITING, -1)
    world.later(1)
    assert (world.at, world.weight()) == ((S.PROGRESSING, 0), 10)
    assert world.release.since == NOW + HOUR


def test_a_time_in_the_past_starts_at_once():
    assert World().begin(at=NOW - HOUR).at == (S.PROGRESSING, 0)
    assert World().begin(by=plan(at=NOW - HOUR)).at == (S.PROGRESSING, 0)


def test_a_time_of_the_command_takes_the_place_of_that_of_the_plan():
    world = World().begin(by=plan(at=NOW + 2 * HOUR), at=NOW + HOUR)
    assert world.release.plan.at == NOW + HOUR
    assert World().begin(by=plan(at=NOW + HOUR), at=NOW).at == (S.PROGRESSING, 0)


def test_several_services_move_in_one_revision():
    world = World().begin(services={"shop": "green", "cart": "red"})
    assert (world.weight("green"), world.weight("red", "cart")) == (10, 10)
    revisions = {world.state.services[name].running.revision for name in ("shop", "cart")}
    assert revisions == {world.state.revision}
    world.later(60)
    assert (world.weight("green"), world.weight("red", "cart")) == (50, 50)


def test_a_second_release_of_a_service_is_refused_and_names_the_first():
    world = World().begin(services={"shop": "green", "cart": "green"})
    refused = refusal(world.state, world.starting("red", services={"cart": "red"}))
    assert (refused.status, refused.code) == (409, "release_active")
    assert "release 2 of shop and cart" in refused.detail
    assert "release show" in refused.allowed


def test_after_the_end_of_one_the_next_may_start_and_the_last_ones_are_kept():
    world = World().begin(services={"shop": "green", "cart": "green"})
    world.act("abort")
    world.begin(services={"shop": "green"})
    assert sorted(world.state.releases) == [2, 4]  # 2 is still the last one of cart
    world.act("abort")
    world.begin(services={"cart": "green"})
    assert sorted(world.state.releases) == [4, 6]


def test_what_a_new_release_takes_the_place_of_is_not_retained_any_longer():
    world = World().begin(by=DIRECT)
    world.begin("red", by=plan())
    old = world.state.releases[2]
    assert (old.retained, old.state, old.revision) == (False, S.PROMOTED, 3)
    assert world.kinds == ["started", "step", "retention_over"]
    assert world.told[-1]["release"] == 2
    world.act("abort")
    world.begin("red", by=plan())
    assert sorted(world.state.releases) == [5]


@pytest.mark.parametrize(
    ("to", "code", "status", "words"),
    [
        ("gren", "unknown_version", 404, "did you mean green?"),
        ("blue", "already_stable", 409, "stable in service shop already"),
    ],
)
def test_what_cannot_be_a_candidate_is_refused(to, code, status, words):
    world = World()
    refused = refusal(world.state, world.starting(to))
    assert (refused.code, refused.status) == (code, status)
    assert words in refused.detail


def test_an_unknown_service_is_refused():
    world = World()
    assert refusal(world.state, world.starting(services={"shop": "green", "blog": "x"})).code == "unknown_service"


def test_a_candidate_that_is_tripped_drains_or_has_users_is_refused_until_that_is_over():
    world = World(split_to(start(service(), service("cart")), blue=90, green=5, red=5))
    assert refusal(world.state, world.starting()).code == "holds_weight"
    world.do(TripVersion(actor="g", service="shop", version="green", reason="errors"))
    assert refusal(world.state, world.starting()).code == "tripped"
    world.do(Drain(**ANN, service="shop", version="red", seconds=5))
    assert refusal(world.state, world.starting("red")).code == "draining"


def test_no_release_starts_while_a_change_of_its_service_waits_to_be_confirmed():
    world = World()
    world.do(SetSplit(**ANN, service="cart", weights=weights(blue=50, red=50), salt=SALT, confirm_within=60))
    refused = refusal(world.state, world.starting(services={"shop": "green", "cart": "green"}))
    assert refused.code == "awaiting_confirmation"
    # Also where it would give nobody weight yet: what is put back later would undo it by halves.
    later = world.starting(services={"cart": "green"}, at=NOW + HOUR)
    assert refusal(world.state, later).code == "awaiting_confirmation"
    assert world.begin().at == (S.PROGRESSING, 0)


def test_a_freeze_refuses_a_start_and_says_until_when():
    world = World().says(Releasing(freezes=(Freeze("audit", NOW - 1, NOW + HOUR),)))
    refused = refusal(world.state, world.starting())
    assert refused.code == "frozen"
    assert "audit" in refused.detail
    assert "until Tue 2023-11-14 23:13:20 UTC" in refused.detail
    assert "--at" in refused.allowed


def test_a_start_with_a_time_after_the_freeze_is_fine_and_one_with_a_time_in_it_is_not():
    world = World().says(Releasing(freezes=(Freeze("audit", NOW + 10, NOW + HOUR),)))
    assert refusal(world.state, world.starting(at=NOW + 11)).code == "frozen"
    assert refusal(world.state, world.starting(by=plan(at=NOW + 11))).code == "frozen"
    assert world.begin(at=NOW + HOUR).at == (S.WAITING, -1)


def test_a_freeze_of_another_service_refuses_nothing():
    world = World().says(Releasing(freezes=(Freeze("audit", services=("cart",)),)))
    assert refusal(world.state, world.starting(services={"shop": "green", "cart": "green"})).code == "frozen"
    assert world.begin().at == (S.PROGRESSING, 0)


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        (Plan("p", ()), "steps"),
        (Plan("p", steps((10, 0))), "steps"),
        (Plan("p", (*steps((101, 0)), *steps((100, 0)))), "steps[0].weight"),
        (Plan("p", (Step(Decimal("0.0000001")), *steps((100, 0)))), "steps[0].weight"),
        (Plan("p", steps((10, -1), (100, 0))), "steps[0].hold"),
        (Plan("p", steps(*((1, 0),) * 100, (100, 0))), "steps"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused_with_the_place(wrong, path):
    world = World()
    refused = refusal(world.state, world.starting(by=wrong))
    assert (refused.status, refused.code) == (422, "invalid_plan")
    assert path in [problem.path for problem in refused.problems]


def test_a_release_of_nothing_is_refused():
    world = World()
    assert refusal(world.state, world.starting(services={})).code == "invalid_services"


def test_a_release_cannot_itself_wait_to_be_confirmed():
    world = World()
    refused = refusal(world.state, world.starting(confirm_within=60.0))
    assert (refused.status, refused.code) == (422, "invalid_confirm_within")


def test_the_expected_revision_is_part_of_the_command():
    world = World()
    assert refusal(world.state, world.starting(expected_revision=9)).code == "revision_moved"


def test_the_author_is_asked_like_anybody_else_but_his_word_does_not_count():
    world = World().begin(by=plan(approve=asked("product")), groups=("product",))
    assert world.release.waiting[0].groups == ("product",)
