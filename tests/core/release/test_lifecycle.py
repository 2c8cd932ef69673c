"""The life of a release: every cell of its table, legal or not."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.core.command import Refused, Retire, Rollback, apply
from gatekeeper.core.release import lifecycle, picture
from gatekeeper.core.release.lifecycle import PEOPLE, TABLE, Event, allowed
from gatekeeper.core.release.model import ACTIVE, ReleaseState
from gatekeeper.core.release.plan import OnFail, Step
from gatekeeper.core.release.turn import Turn
from tests.core.releases import HEALTHZ, World, asked, plan
from tests.core.states import written

DOCUMENT = Path(__file__).parents[3] / "docs" / "release-states.md"
S = ReleaseState
CELLS = [(state, event) for state in ReleaseState for event in Event]
GATED = plan(verify=(HEALTHZ,), approve=asked("product"))
GATED = replace(GATED, steps=(GATED.steps[0], replace(GATED.steps[1], approve=asked("product")), GATED.steps[2]))

# What is expected of each legal cell: the next state, and what is told first. Written by hand, not read from the table.
STAYS = "stays"
NOTHING = "nothing"
EXPECTED: dict[ReleaseState, dict[str, tuple[Any, str]]] = {
    S.PLANNED: {
        "begin": (S.VERIFYING, "verifying"),
        "approve": (STAYS, "approved"),
        "reject": (S.ABORTED, "rejected"),
        "pause": (S.PAUSED, "paused"),
        "resume": (STAYS, NOTHING),
        "abort": (S.ABORTED, "aborted"),
        "rollback": (S.ROLLED_BACK, "rolled_back"),
        "withdrawn": (S.ROLLED_BACK, "rolled_back"),
        "failed": (S.ROLLED_BACK, "rolled_back"),
        "lapse": (STAYS, NOTHING),
    },
    S.VERIFYING: {
        "verified": (S.WAITING, "verified"),
        "check_failed": (S.ROLLED_BACK, "check_failed"),
        "approve": (STAYS, "approved"),
        "reject": (S.ABORTED, "rejected"),
        "pause": (S.PAUSED, "paused"),
        "resume": (STAYS, NOTHING),
        "skip": (S.WAITING, "skipped"),
        "abort": (S.ABORTED, "aborted"),
        "rollback": (S.ROLLED_BACK, "rolled_back"),
        "withdrawn": (S.ROLLED_BACK, "rolled_back"),
        "failed": (S.ROLLED_BACK, "rolled_back"),
        "lapse": (STAYS, NOTHING),
    },
    S.WAITING: {
        "ready": (S.PROGRESSING, "step"),
        "approve": (STAYS, "approved"),
        "reject": (S.ABORTED, "rejected"),
        "pause": (S.PAUSED, "paused"),
        "resume": (STAYS, NOTHING),
        "skip": (STAYS, "skipped"),
        "promote": (S.PROMOTED, "promoted"),
        "abort": (S.ABORTED, "aborted"),
        "rollback": (S.ROLLED_BACK, "rolled_back"),
        "withdrawn": (S.ROLLED_BACK, "rolled_back"),
        "failed": (S.ROLLED_BACK, "rolled_back"),
        "lapse": (STAYS, NOTHING),
    },
    S.PROGRESSING: {
        "due": (S.VERIFYING, NOTHING),
        "approve": (STAYS, "approved"),
        "reject": (S.ABORTED, "rejected"),
        "pause": (S.PAUSED, "paused"),
        "resume": (STAYS, NOTHING),
        "skip": (S.VERIFYING, "skipped"),
        "promote": (S.PROMOTED, "promoted"),
        "abort": (S.ABORTED, "aborted"),
        "rollback": (S.ROLLED_BACK, "rolled_back"),
        "withdrawn": (S.ROLLED_BACK, "rolled_back"),
        "failed": (S.ROLLED_BACK, "rolled_back"),
        "overtime": (S.PAUSED, "paused"),
        "lapse": (STAYS, NOTHING),
    },
    S.PAUSED: {
        "approve": (STAYS, "approved"),
        "reject": (S.ABORTED, "rejected"),
        "pause": (STAYS, NOTHING),
        "resume": (S.PROGRESSING, "resumed"),
        "promote": (S.PROMOTED, "promoted"),
        "abort": (S.ABORTED, "aborted"),
        "rollback": (S.ROLLED_BACK, "rolled_back"),
        "withdrawn": (S.ROLLED_BACK, "rolled_back"),
        "failed": (S.ROLLED_BACK, "rolled_back"),
        "lapse": (STAYS, NOTHING),
    },
    S.PROMOTED: {
        "approve": (STAYS, NOTHING),
        "promote": (STAYS, NOTHING),
        "rollback": (S.ROLLED_BACK, "rolled_back"),
        "retention_over": (STAYS, "retention_over"),
    },
    S.ROLLED_BACK: {"rollback": (STAYS, NOTHING)},
    S.ABORTED: {"reject": (STAYS, NOTHING), "abort": (STAYS, NOTHING), "rollback": (STAYS, NOTHING)},
}
LEGAL = [(state, Event(event)) for state, row in EXPECTED.items() for event in row]


def world_in(state: ReleaseState, **options: Any) -> World:
    """A release in that state: the first step's weight is 10, and set in all states after ``waiting``."""
    world = World(ready={"shop": state is not S.PLANNED})
    world.begin(by=replace(GATED, **options))
    if state in (S.PLANNED, S.VERIFYING):
        return world
    world.check()
    if state is S.WAITING:
        return world
    world.act("approve", groups="product")
    match state:
        case S.PAUSED:
            world.act("pause")
        case S.PROMOTED:
            world.act("approve", groups="product")
            world.act("promote")
        case S.ROLLED_BACK:
            world.do(Rollback(actor="ann", service="shop"))
        case S.ABORTED:
            world.act("abort")
    return world


def turn_for(world: World, event: Event) -> Turn:
    if event in PEOPLE and event is not Event.ROLLBACK:
        command = world.acting(event.value, groups="product", reason="because")
    else:
        command = world.advancing()
    return Turn(world.state, command, world.now, world.release, revision=world.state.revision + 1)


def test_the_states_and_the_cells_are_those_that_are_expected():
    assert {state: {event.value for event in row} for state, row in TABLE.items()} == {
        state: set(row) for state, row in EXPECTED.items()
    }


@pytest.mark.parametrize(("state", "event"), LEGAL)
def test_an_event_of_the_table_leads_on_and_does_what_it_is_for(state, event):
    world = world_in(state)
    if event is Event.PROMOTE and state in ACTIVE:
        world.act("approve", groups="product")  # of the first step, or early of the next
        world = world if state is not S.WAITING else approved_throughout()
    expected, told = EXPECTED[state][event.value]
    before = world.release
    held = world.weight()
    turn = turn_for(world, event)
    lifecycle.fire(turn, event, "because")
    after = turn.release
    assert after.state is (before.state if expected is STAYS else expected)
    kinds = [item["kind"].removeprefix("release_") for item in turn.events]
    assert kinds[:1] == ([] if told is NOTHING else [told])
    weight = turn.service("shop").running.split.weights["green"]
    match after.state:
        case S.ROLLED_BACK | S.ABORTED:
            assert weight == 0
            assert turn.service("shop").definition.stable == "blue"
        case S.PROMOTED:
            assert weight == 100
            assert turn.service("shop").definition.stable == "green"
        case _:
            assert weight == (10 if event is Event.READY else held)
    if told is NOTHING and expected is STAYS:
        assert turn.outcome().state is world.state


def approved_throughout() -> World:
    """One that waits, for its time alone: all approvals are there."""
    world = World().begin(by=plan(verify=(HEALTHZ,), at=World().now + 60))
    world.check()
    assert world.at == (S.WAITING, -1)
    return world


@pytest.mark.parametrize(("state", "event"), [cell for cell in CELLS if cell not in LEGAL])
def test_any_other_event_is_refused_names_the_state_and_what_would_be_allowed_and_changes_nothing(state, event):
    world = world_in(state)
    before = written(world.state)
    turn = turn_for(world, event)
    with pytest.raises(Refused) as caught:
        lifecycle.fire(turn, event)
    assert (caught.value.status, caught.value.code) == (409, "wrong_state")
    assert f"is {state.value.replace('_', ' ')}" in caught.value.detail
    for verb in allowed(world.release, world.steady):
        assert verb.value in caught.value.allowed
    assert caught.value.allowed
    assert turn.release is world.release
    assert (turn.put, turn.events) == ({}, [])
    assert written(world.state) == before


@pytest.mark.parametrize(
    ("state", "event"),
    [(state, event) for state, event in CELLS if event in PEOPLE and (state, event) not in LEGAL],
)
def test_what_people_ask_for_in_vain_leaves_the_state_as_it_was(state, event):
    world = world_in(state)
    before = written(world.state)
    command = world.acting(event.value, groups="product", reason="because")
    with pytest.raises(Refused) as caught:
        apply(world.state, command, world.now)
    assert caught.value.code == "wrong_state"
    assert written(world.state) == before


@pytest.mark.parametrize("state", ReleaseState)
def test_what_is_said_to_be_allowed_is_granted_and_changes_something(state):
    world = world_in(state)
    for event in allowed(world.release, world.steady):
        if event is Event.ROLLBACK:
            command: Any = Rollback(actor="ben", service="shop")
        else:
            command = world.acting(event.value, groups="product", reason="because")
        outcome = apply(world.state, command, world.now)
        assert outcome.state is not world.state
        assert outcome.state.revision == world.state.revision + 1


def test_a_promotion_is_said_to_be_allowed_once_nothing_is_missing_and_no_longer_than_that():
    world = World().begin(by=plan((10, 60), (100, 60), verify=(HEALTHZ,), approve=asked("product", expires=100)))
    world.act("pause")
    assert Event.PROMOTE not in allowed(world.release, world.steady), "not verified"
    world.act("resume")
    world.check()
    assert Event.PROMOTE not in allowed(world.release, world.steady), "not approved"
    world.passed(5).ready = {}
    world.act("approve", groups="product")
    assert Event.PROMOTE in allowed(world.release, world.steady)
    assert Event.PROMOTE not in allowed(world.release, world.steady + 100), "the approval counts no more"


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (S.VERIFYING, Event.CHECK_FAILED),
        *((state, Event.FAILED) for state in (S.PLANNED, S.VERIFYING, S.WAITING, S.PROGRESSING, S.PAUSED)),
    ],
)
def test_on_fail_pause_pauses_where_it_was_and_leaves_the_weight(state, event):
    world = world_in(state, on_fail=OnFail.PAUSE)
    held = world.weight()
    turn = turn_for(world, event)
    lifecycle.fire(turn, event, "it failed")
    assert turn.release.state is S.PAUSED
    assert turn.service("shop").running.split.weights["green"] == held
    if state is not S.PAUSED:
        assert (turn.release.paused_from, turn.release.reason) == (state, "it failed")


@pytest.mark.parametrize("state", [S.PLANNED, S.VERIFYING, S.WAITING, S.PROGRESSING])
def test_resume_leads_back_to_where_it_was_paused(state):
    world = world_in(state)
    step = world.release.step
    world.act("pause")
    assert world.at == (S.PAUSED, step)
    world.act("resume")
    assert world.at == (state, step)
    assert (world.release.paused_from, world.release.reason) == (None, "")


def test_what_is_not_retained_any_longer_cannot_be_rolled_back():
    world = world_in(S.PROMOTED, retain=0.0)
    with pytest.raises(Refused) as caught:
        lifecycle.fire(turn_for(world, Event.ROLLBACK), Event.ROLLBACK)
    assert caught.value.code == "not_retained"
    assert "a new release to blue" in caught.value.allowed
    assert Event.ROLLBACK not in allowed(world.release, world.steady)


def test_the_hold_of_the_last_step_leads_to_the_promotion():
    world = World().begin(by=plan((100, 60)))
    assert world.at == (S.PROGRESSING, 0)
    world.later(60)
    assert world.at == (S.PROMOTED, 0)
    assert (world.weight(), world.stable()) == (100, "green")


@pytest.mark.parametrize("state", [state for state in ReleaseState if state in ACTIVE])
def test_a_candidate_that_is_retired_ends_the_release_in_every_state(state):
    world = world_in(state)
    world.do(Retire(actor="ops", service="shop", version="green"))
    assert world.release.state is S.ROLLED_BACK
    assert "green" not in world.state.services["shop"].definition.versions
    assert world.weight("blue") == 100


def test_every_state_can_be_reached_and_only_what_has_ended_leads_nowhere():
    reached, found = set(), {S.PLANNED}
    while found:
        state = found.pop()
        reached.add(state)
        found |= {to for cell in TABLE[state].values() for to in cell.states} - reached
    assert reached == set(ReleaseState)
    ends = [state for state, row in TABLE.items() if all(cell.states == (state,) for cell in row.values())]
    assert ends == [S.ROLLED_BACK, S.ABORTED]


def test_a_plan_of_a_hundred_steps_with_nothing_to_wait_for_is_done_in_one_revision():
    many = replace(plan(), steps=(*(Step(Decimal(place)) for place in range(1, 100)), Step(Decimal(100))))
    world = World()
    world.begin(by=many)
    assert world.at == (S.PROMOTED, 99)
    assert world.state.revision == 2
    assert len([entry for entry in world.release.log if entry.event == "step"]) == 100


def test_the_document_shows_the_table_as_it_is():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert picture.as_markdown() in text
    assert picture.as_mermaid() in text
