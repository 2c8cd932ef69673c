"""Approvals: four eyes, groups, one group a person, one step at a time, and when they count no more."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.release import gates
from gatekeeper.core.release.model import Given, ReleaseState
from gatekeeper.core.release.plan import Approval
from tests.core.releases import World, asked, plan
from tests.core.states import NOW, refusal

S = ReleaseState
HOUR = 3600.0


def asking(*groups: str, expires: float = HOUR) -> World:
    return World().begin(by=plan(approve=asked(*groups, expires=expires)))


def later_gate(**options) -> World:
    """The second step asks product."""
    by = plan(**options)
    return World().begin(
        by=replace(by, steps=(by.steps[0], replace(by.steps[1], approve=asked("product")), by.steps[2]))
    )


def test_one_of_each_group_is_needed_and_then_it_goes_on():
    world = asking("product", "engineering")
    assert world.release.waiting[0].detail == "approval by product and engineering"
    world.act("approve", "ben", "engineering", reason="looked at it")
    assert (world.at, world.release.waiting[0].groups) == ((S.WAITING, -1), ("product",))
    world.act("approve", "eve", "product")
    assert (world.at, world.weight()) == ((S.PROGRESSING, 0), 10)
    assert [(one.actor, one.groups, one.reason) for one in world.release.approvals] == [
        ("ben", ("engineering",), "looked at it"),
        ("eve", ("product",), ""),
    ]
    assert [entry.actor for entry in world.release.log if entry.event == "approved"] == ["ben", "eve"]


def test_the_author_cannot_approve():
    world = asking("product")
    refused = refusal(world.state, world.acting("approve", "ann", "product"))
    assert (refused.status, refused.code) == (409, "own_release")
    assert "somebody else, of product" in refused.allowed


def test_who_is_in_none_of_the_groups_cannot_approve():
    world = asking("product")
    refused = refusal(world.state, world.acting("approve", "ben", "engineering sales"))
    assert refused.code == "not_asked"
    assert "none of the groups that are asked (product), but in engineering and sales" in refused.detail
    assert "product" in refused.allowed
    refused = refusal(world.state, world.acting("approve", "ben", ""))
    assert refused.detail.endswith("(product), but in none at all")


def test_nobody_can_approve_what_asks_nobody():
    world = World().begin()
    assert refusal(world.state, world.acting("approve", "ben", "product")).code == "nobody_is_asked"


def test_one_person_does_not_fill_two_groups():
    world = asking("product", "engineering")
    world.act("approve", "ben", "engineering product")
    assert len(world.release.waiting[0].groups) == 1
    world.act("approve", "ben", "engineering product")
    assert world.at == (S.WAITING, -1)


def test_who_is_in_two_groups_makes_room_for_who_is_in_one():
    for first, second in permutations((("ben", "engineering product"), ("eve", "engineering"))):
        world = asking("engineering", "product")
        world.act("approve", *first)
        world.act("approve", *second)
        assert world.at == (S.PROGRESSING, 0)


def test_two_of_one_group_can_be_asked():
    world = asking("product", "product")
    world.act("approve", "ben", "product")
    assert world.release.waiting[0].groups == ("product",)
    world.act("approve", "eve", "product")
    assert world.at == (S.PROGRESSING, 0)


def test_what_an_author_is_said_to_have_given_does_not_count():
    found = asking("product").release
    given_by = {
        name: replace(found, approvals=(Given("start", name, ("product",), "", NOW),)) for name in ("ann", "eve")
    }
    assert gates.missing_groups(given_by["ann"], "start", asked("product"), NOW) == ("product",)
    assert gates.missing_groups(given_by["eve"], "start", asked("product"), NOW) == ()


def test_the_same_approval_again_is_granted_and_changes_nothing():
    world = asking("product", "engineering")
    world.act("approve", "ben", "product")
    before = world.state
    world.passed(10).act("approve", "ben", "product")
    assert world.state is before


def test_an_approval_sent_twice_does_not_agree_to_a_later_step_too():
    world = later_gate(approve=asked("product"))
    world.act("approve", "eve", "product")
    assert world.at == (S.PROGRESSING, 0)
    assert [one.gate for one in world.release.approvals] == ["start"]


def test_a_later_step_may_be_approved_early_and_then_is_not_waited_for():
    world = later_gate()
    world.act("approve", "eve", "product")
    assert world.release.approvals[0].gate == "1"
    world.later(60)
    assert world.at == (S.PROGRESSING, 1)


def test_the_gate_can_be_named_and_a_wrong_one_is_refused():
    world = later_gate(approve=asked("product"))
    world.act("approve", "eve", "product", gate="1")
    assert [one.gate for one in world.release.approvals] == ["1"]
    assert world.at == (S.WAITING, -1)
    refused = refusal(world.state, world.acting("approve", "eve", "product", gate="2"))
    assert (refused.status, refused.code, refused.allowed) == (404, "unknown_gate", "start, 1")


def test_the_plan_and_its_first_step_may_both_ask_and_one_act_answers_both():
    by = plan(approve=asked("product"))
    by = replace(by, steps=(replace(by.steps[0], approve=asked("engineering", "product")), *by.steps[1:]))
    world = World().begin(by=by)
    assert [item.gate for item in world.release.waiting] == ["start", "0"]
    world.act("approve", "ben", "product engineering")
    assert [(item.gate, item.groups) for item in world.release.waiting] == [("0", ("product",))]
    world.act("approve", "eve", "product")
    assert world.at == (S.PROGRESSING, 0)


def test_an_approval_that_is_too_old_counts_no_more_and_that_is_told():
    world = asking("product", "engineering")
    world.act("approve", "ben", "product")
    world.later(HOUR - 1)
    assert len(world.release.approvals) == 1
    world.later(1)
    assert world.release.approvals == ()
    assert world.kinds == ["approval_expired"]
    assert world.release.waiting[0].groups == ("product", "engineering")
    world.act("approve", "eve", "engineering")
    assert world.at == (S.WAITING, -1)


def test_an_old_approval_does_not_open_a_gate_even_before_it_was_told():
    world = asking("product", "engineering")
    world.act("approve", "ben", "product")
    world.passed(HOUR)
    world.act("approve", "eve", "engineering")
    assert world.at == (S.WAITING, -1)
    assert world.release.waiting[0].groups == ("product",)


def test_who_approved_may_approve_again_when_it_has_expired():
    world = asking("product", "engineering")
    world.act("approve", "ben", "product")
    world.passed(HOUR)
    world.act("approve", "ben", "product")
    assert [one.at for one in world.release.approvals] == [NOW + HOUR]


def test_an_approval_that_opened_its_gate_is_kept_as_evidence_for_ever():
    world = asking("product")
    world.act("approve", "eve", "product")
    world.passed(2 * HOUR).advance()
    assert world.at == (S.PROGRESSING, 1)
    assert len(world.release.approvals) == 1


def test_a_promotion_needs_the_approvals_of_all_steps_that_are_left():
    world = later_gate()
    refused = refusal(world.state, world.acting("promote"))
    assert (refused.code, refused.allowed) == ("approval_missing", "an approval by product, then promote")
    world.act("approve", "eve", "product")
    world.act("promote")
    assert world.at == (S.PROMOTED, 2)
    assert (world.weight(), world.stable()) == (100, "green")


def test_after_the_promotion_an_approval_again_is_granted_and_a_new_one_is_too_late():
    world = later_gate()
    world.act("approve", "eve", "product")
    world.act("promote")
    before = world.state
    world.act("approve", "eve", "product")
    assert world.state is before
    assert refusal(world.state, world.acting("approve", "ben", "product")).code == "nobody_is_asked"


@pytest.mark.parametrize("state", ["planned", "verifying", "paused"])
def test_an_approval_may_come_before_it_is_waited_for(state):
    from tests.core.release.test_lifecycle import world_in

    world = world_in(ReleaseState(state))
    world.act("approve", "eve", "product")
    assert world.release.approvals[-1].actor == "eve"


@settings(deadline=None)
@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=4),
    st.lists(st.lists(st.sampled_from("abc"), max_size=3), max_size=5),
)
def test_as_many_groups_as_can_be_are_filled(groups, people):
    """Against trying every way to give people groups."""
    found = World().begin(by=plan(approve=Approval(tuple(groups)))).release
    approvals = tuple(Given("start", f"p{place}", tuple(each), "", NOW) for place, each in enumerate(people))
    found = replace(found, approvals=approvals)
    missing = gates.missing_groups(found, "start", Approval(tuple(groups)), NOW)
    seats = range(len(groups))
    best = 0
    for order in permutations([*range(len(people)), *[None] * len(groups)], len(groups)):
        filled = sum(one is not None and groups[seat] in people[one] for seat, one in zip(seats, order, strict=True))
        best = max(best, filled)
        if best == len(groups):
            break
    assert len(missing) == len(groups) - best
