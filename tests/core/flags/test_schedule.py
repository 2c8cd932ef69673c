"""Flags that turn themselves on and off, and those that should be gone."""

import pytest

from gatekeeper.core.command import Reload, ScheduleFlags, apply
from gatekeeper.core.flags.model import FlagSchedule
from gatekeeper.core.flags.schedule import due, next_moment, overdue
from tests.core.flags.states import SCHEDULE, back, begun, file, runs, said, switching
from tests.core.states import ANN, NOW, do, refusal

TIMED = said(schedule=SCHEDULE)
"""On at NOW + 100, off at NOW + 200."""
TICK = ScheduleFlags(actor="schedule")


def at(state, seconds):
    return apply(state, TICK, NOW + seconds)


def test_nothing_is_due_before_its_moment():
    state = begun(TIMED, said("other"))
    assert (due(state, NOW + 99.9), due(state, NOW + 100)) == (False, True)
    assert next_moment(state) == NOW + 100
    assert at(state, 99.9).state is state
    assert next_moment(begun()) is None


def test_each_moment_is_acted_upon_once():
    on = at(begun(TIMED), 100)
    assert runs(on.state).on
    assert (on.events[0]["kind"], on.events[0]["actor"], on.events[0]["scheduled"]) == (
        "flag_on", "schedule", NOW + 100
    )  # fmt: skip
    assert at(on.state, 150).state is on.state
    assert next_moment(on.state) == NOW + 200
    off = at(on.state, 200)
    assert not runs(off.state).on
    assert off.events[0]["kind"] == "flag_off"
    assert next_moment(off.state) is None


def test_what_somebody_does_afterwards_holds():
    state = do(at(begun(TIMED), 100).state, switching(on=False))
    assert at(state, 150).state is state
    assert not runs(at(state, 250).state).on
    again = do(at(begun(TIMED), 200).state, switching())
    assert at(again, 1000).state is again


@pytest.mark.parametrize(("seconds", "on"), [(150, True), (1000, False)])
def test_moments_that_passed_while_it_was_down_are_made_up_for(seconds, on):
    outcome = at(begun(TIMED), seconds)
    assert runs(outcome.state).on is on
    assert not due(outcome.state, NOW + seconds)


def test_the_later_of_two_that_passed_counts_whichever_it_is():
    night = said(on=True, schedule=FlagSchedule(on_at=NOW + 200, off_at=NOW + 100))
    assert runs(at(begun(night), 1000).state).on
    assert not runs(at(begun(night), 150).state).on


def test_a_flag_that_is_so_already_is_only_noted():
    state = begun(said(on=True, schedule=FlagSchedule(NOW + 100)))
    outcome = at(state, 100)
    assert runs(outcome.state).undo == ()
    assert [change.path for change in outcome.changes] == ["flags.new.scheduled"]
    assert at(outcome.state, 101).state is outcome.state


def test_all_that_is_due_is_one_revision_and_each_is_told():
    state = begun(TIMED, said("other", on=True, schedule=FlagSchedule(off_at=NOW + 50)), said("third"))
    outcome = at(state, 120)
    assert outcome.state.revision == 2
    assert [(event["kind"], event["flag"]) for event in outcome.events] == [("flag_on", "new"), ("flag_off", "other")]
    assert {event["revision"] for event in outcome.events} == {2}
    assert outcome.state.flags["third"] is state.flags["third"]


def test_a_rollback_takes_back_what_a_schedule_did():
    state = do(at(begun(TIMED), 100).state, back())
    assert not runs(state).on
    assert not due(state, NOW + 150)


def test_a_new_moment_is_acted_upon_and_one_that_stays_is_not_again():
    state = do(at(begun(TIMED), 100).state, switching(on=False))
    moved = said(schedule=FlagSchedule(NOW + 100, NOW + 300))
    state = do(state, Reload(**ANN, definition=file(moved), entropy="e"))
    assert next_moment(state) == NOW + 300
    later = said(schedule=FlagSchedule(NOW + 150, NOW + 300))
    state = do(state, Reload(**ANN, definition=file(later), entropy="e"))
    assert runs(state).scheduled == ()
    assert next_moment(state) == NOW + 150


def test_an_act_of_the_schedule_cannot_wait_to_be_confirmed():
    assert (
        refusal(begun(TIMED), ScheduleFlags(actor="s", confirm_within=60.0), NOW + 100).code == "invalid_confirm_within"
    )


def test_a_flag_is_overdue_from_the_day_after():
    flag = said(expires="2023-11-14")
    midnight = 1_700_006_400.0  # 2023-11-15T00:00Z
    assert not overdue(flag, midnight - 1)
    assert overdue(flag, midnight)
    assert not overdue(said(), 1e12)
