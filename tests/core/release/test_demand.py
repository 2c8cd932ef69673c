"""What the judge must say for a release to go on: rule by rule, and whatever happens to a judged release."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.codec import dump, load
from gatekeeper.core.command import Rollback
from gatekeeper.core.judge.analysis import Analysis, Demand, Guard, Query
from gatekeeper.core.judge.verdict import Kind
from gatekeeper.core.model import State
from gatekeeper.core.release import demand, gates
from gatekeeper.core.release.changes import compare_releasing
from gatekeeper.core.release.model import ReleaseState, SkipKind, VerdictView
from gatekeeper.core.release.plan import OnFail, Plan, Releasing, Step
from tests.core.release.test_machine import ALARMS, PEOPLE, PLANS, Releases
from tests.core.releases import HEALTHZ, World, asked, plan
from tests.core.states import refusal, written

S = ReleaseState
KINDS = tuple(kind.value for kind in Kind)
JUDGED = plan(analysis=Analysis(deadline=120))
PROVEN = replace(JUDGED, analysis=Analysis(deadline=120, steps=Demand.PASSED))


def judged(by: Plan = JUDGED, kind: str = "", **options: bool) -> World:
    """A release at its first step of 10 %, in which the judge has said ``kind``."""
    world = World().begin(by=by)
    return said(world, kind, **options) if kind else world


def said(world: World, kind: str, *, passes: bool = True) -> World:
    world.do(world.judging(kind, passes=passes))
    return world


def at_half(kind: str = "", by: Plan = JUDGED) -> World:
    """At 50 %, the last hold before everything."""
    world = judged(by, "passed").later(60)
    assert world.at == (S.PROGRESSING, 1)
    return said(world, kind) if kind else world


def at_whole(kind: str = "") -> World:
    world = at_half("passed").later(60)
    assert world.at == (S.PROGRESSING, 2)
    return said(world, kind) if kind else world


# Holds


@pytest.mark.parametrize(
    ("where", "by", "ends"),
    [
        (judged, JUDGED, ("collecting", "not_enough_data", "passed")),
        (judged, PROVEN, ("passed",)),
        (lambda by: at_half(by=by), JUDGED, ("passed",)),
        (lambda by: at_half(by=by), PROVEN, ("passed",)),
        (lambda _by: at_whole(), JUDGED, ("collecting", "not_enough_data", "passed")),
    ],
    ids=["a step", "a step that asks for proof", "before everything", "before everything, too", "at 100 %"],
)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "rollback"])
def test_a_hold_ends_by_its_time_and_by_a_verdict_that_the_plan_takes_for_enough(where, by, ends, kind):
    world = where(by)
    _, step = world.at
    said(world, kind)
    world.later(59.9)
    assert world.at == (S.PROGRESSING, step)
    world.later(0.1)
    if kind in ends:
        assert world.at == ((S.PROMOTED, 2) if step == 2 else (S.PROGRESSING, step + 1))
        return
    assert world.at == (S.PROGRESSING, step)
    said(world, "passed")
    assert world.at == ((S.PROMOTED, 2) if step == 2 else (S.PROGRESSING, step + 1))


@pytest.mark.parametrize("by", [JUDGED, PROVEN])
def test_a_judge_that_says_nothing_lets_no_hold_end_and_takes_nobody_back(by):
    world = judged(by).later(60)
    assert (world.at, world.weight()) == ((S.PROGRESSING, 0), 10)
    world.later(86_399)
    assert (world.at, world.weight()) == ((S.PAUSED, 0), 10)
    assert world.release.reason == "no verdict let it pass within 1 d: the judge has not said anything yet"


def test_what_it_said_of_one_step_is_no_word_about_the_next():
    """One that died after the first step must not carry the release to the end."""
    world = judged(kind="passed").later(60)
    assert (world.at, world.release.verdict.kind, world.release.verdict.passes) == ((S.PROGRESSING, 1), "passed", False)
    world.later(1000)
    assert world.at == (S.PROGRESSING, 1)
    assert demand.is_news(world.release, VerdictView("passed", "passed"))
    said(world, "passed")
    assert world.at == (S.PROGRESSING, 2)


def test_what_the_judge_holds_against_it_besides_holds_it_whatever_the_kind():
    world = said(at_half().later(60), "passed", passes=False)
    assert world.at == (S.PROGRESSING, 1)
    said(world, "passed")
    assert world.at == (S.PROGRESSING, 2)


def test_without_an_analysis_nobody_waits_for_a_judge():
    world = World().begin()
    assert not demand.asked(world.release)
    assert world.later(60).at == (S.PROGRESSING, 1)


def test_an_alarm_after_the_hold_keeps_the_next_step_waiting_and_says_so():
    gated = replace(
        JUDGED, steps=(JUDGED.steps[0], replace(JUDGED.steps[1], approve=asked("product")), JUDGED.steps[2])
    )
    world = judged(gated, "collecting").later(60)
    said(world, "suspicious")
    assert world.waits() == ["approval", "judge"]
    world.act("approve", groups="product")
    assert (world.at, world.waits(), world.weight()) == ((S.WAITING, 0), ["judge"], 10)
    assert world.release.waiting[0].detail == "a verdict that lets it go on: the judge says suspicious: suspicious"
    said(world, "collecting")
    assert world.at == (S.PROGRESSING, 1)


def test_proof_that_is_lost_again_while_the_last_step_waits_is_waited_for():
    gated = replace(JUDGED, steps=(*JUDGED.steps[:2], replace(JUDGED.steps[2], pause=True)))
    world = at_half("passed", by=gated).later(60)
    said(world, "collecting")
    world.act("resume")
    assert (world.at, world.waits()) == ((S.WAITING, 1), ["judge"])
    said(world, "passed")
    assert world.at == (S.PROGRESSING, 2)


# Rollback


def test_rollback_acts_at_once_wherever_the_release_is():
    gated = replace(
        JUDGED, steps=(JUDGED.steps[0], replace(JUDGED.steps[1], pause=True, verify=(HEALTHZ,)), JUDGED.steps[2])
    )
    holding = judged(gated, "collecting")
    verifying = judged(gated, "collecting").later(60)
    waiting = judged(gated, "collecting").later(60)
    waiting.check()
    paused = judged(gated, "collecting")
    paused.act("pause")
    states = []
    for world in (holding, verifying, waiting, paused):
        states.append(world.release.state)
        said(world, "rollback")
        assert (world.release.state, world.weight(), world.release.reason) == (S.ROLLED_BACK, 0, "rollback")
    assert states == [S.PROGRESSING, S.VERIFYING, S.WAITING, S.PAUSED]


def test_one_cause_pauses_once_and_another_one_again():
    world = judged(replace(JUDGED, on_fail=OnFail.PAUSE), "rollback")
    assert world.at == (S.PAUSED, 0)
    world.act("resume")
    said(world, "rollback", passes=False)
    assert world.at == (S.PROGRESSING, 0)
    verdict = VerdictView("rollback", "an absolute guard", cause="guard")
    world.do(replace(world.judging("rollback"), verdict=verdict))
    assert (world.at, world.release.reason) == ((S.PAUSED, 0), "an absolute guard")


def test_a_rollback_that_somebody_resumed_still_lets_no_hold_end():
    world = judged(replace(JUDGED, on_fail=OnFail.PAUSE), "rollback")
    world.act("resume")
    assert world.later(1000).at == (S.PROGRESSING, 0)


# Too late


def test_proof_is_overdue_after_the_deadline_and_not_within_the_hold():
    world = at_half("collecting", by=replace(JUDGED, steps=(JUDGED.steps[0], Step(Decimal(50), 200), JUDGED.steps[2])))
    assert demand.needs_proof(world.release)
    world.passed(199)
    assert not demand.overdue(world.release, world.steady)
    world.passed(1)
    assert demand.overdue(world.release, world.steady)
    world = at_half("collecting").passed(119)
    assert not demand.overdue(world.release, world.steady)
    assert demand.overdue(world.release, world.steady + 1)


def test_nothing_is_overdue_where_no_proof_is_asked_for():
    for world in (judged(kind="collecting"), at_whole("collecting"), World().begin()):
        world.passed(100_000)
        assert not demand.overdue(world.release, world.steady)
    assert demand.whole(at_whole().release)
    assert not demand.whole(at_half().release)


def test_not_enough_data_holds_on_then_pauses_and_says_so_and_stays_so_in_the_pause():
    world = at_half("collecting", by=replace(JUDGED, max_hold=300.0)).later(120)
    said(world, "not_enough_data")
    assert (world.later(179).at, world.weight()) == ((S.PROGRESSING, 1), 50)
    assert (world.later(1).at, world.weight()) == ((S.PAUSED, 1), 50)
    assert (
        world.release.reason == "no verdict let it pass within 5 min: the judge says not enough data: not_enough_data"
    )
    assert demand.overdue(world.release, world.steady)
    world.act("resume")
    assert not demand.overdue(world.release, world.steady)
    assert demand.overdue(world.release, world.steady + 60)


# People


@pytest.mark.parametrize("kind", ["", "collecting", "suspicious", "invalid", "shared_trouble", "not_enough_data"])
@pytest.mark.parametrize("where", [judged, at_half])
def test_nobody_promotes_what_is_not_proven(where, kind):
    world = where(kind=kind)
    refused = refusal(world.state, world.acting("promote"), world.now)
    assert (refused.code, refused.status) == ("not_proven", 409)
    assert "a skip with a reason" in refused.allowed
    if kind:
        assert f"the judge says {kind.replace('_', ' ')}: {kind}" in refused.detail


def test_nobody_promotes_what_nobody_has_seen():
    world = World().begin(by=replace(JUDGED, approve=asked("product", expires=9)), at=World().now + 60)
    world.act("approve", groups="product")
    refused = refusal(world.state, world.acting("promote"), world.now)
    assert refused.code == "not_proven"
    assert refused.detail.endswith("nobody has seen green, so nothing is proven")


def test_what_is_proven_may_be_promoted_from_any_step():
    world = judged(kind="passed")
    world.act("promote")
    assert world.at == (S.PROMOTED, 2)
    world = at_whole("collecting")
    world.act("promote")
    assert world.at == (S.PROMOTED, 2)


def test_an_alarm_at_100_percent_keeps_it_from_being_promoted():
    assert refusal(*_promoting(at_whole("suspicious"))).code == "not_proven"


def _promoting(world: World):
    return world.state, world.acting("promote"), world.now


def test_a_skip_of_the_last_hold_before_everything_is_instead_of_proof_and_kept_with_its_reason():
    world = at_half("not_enough_data")
    world.act("skip", reason="few users at night")
    assert world.at == (S.PROGRESSING, 2)
    (skip,) = world.release.skipped
    assert (skip.kind, skip.gate, skip.reason) == (SkipKind.HOLD, "1", "few users at night")
    assert skip.what == (
        "the hold of step 2 of 3 ended after 0 s of 60 s, though the judge says not enough data: not_enough_data"
    )


def test_a_skip_of_an_early_hold_is_no_proof_for_the_end():
    gated = replace(JUDGED, steps=(JUDGED.steps[0], replace(JUDGED.steps[1], pause=True), JUDGED.steps[2]))
    world = judged(gated)
    world.act("skip", reason="because")
    assert world.at == (S.WAITING, 0)
    assert refusal(*_promoting(world)).code == "not_proven"
    world.act("resume")
    assert (world.at, world.release.overruled) == ((S.PROGRESSING, 1), "")
    assert world.later(100).at == (S.PROGRESSING, 1)


def test_who_accepts_a_suspicion_has_not_accepted_what_is_worse():
    gated = replace(JUDGED, steps=(JUDGED.steps[0], replace(JUDGED.steps[1], pause=True), JUDGED.steps[2]))
    world = judged(gated, "suspicious")
    world.act("skip", reason="a known customer")
    assert (world.at, world.waits()) == ((S.WAITING, 0), ["pause"])
    for kind in ("collecting", "suspicious", "not_enough_data"):
        assert said(world, kind, passes=False).waits() == ["pause"]
    assert said(world, "shared_trouble").waits() == ["pause", "judge"]
    assert said(world, "invalid").waits() == ["pause", "judge"]
    world.act("resume")
    assert world.at == (S.WAITING, 0)
    world.act("skip", reason="the share is fine")
    assert world.at == (S.PROGRESSING, 1)
    assert "the judge says invalid" in world.release.skipped[-1].what


def test_who_skipped_missing_proof_has_not_accepted_a_suspicion():
    gated = replace(JUDGED, steps=(*JUDGED.steps[:2], replace(JUDGED.steps[2], pause=True)))
    world = at_half("collecting", by=gated)
    world.act("skip", reason="enough for me")
    assert world.waits() == ["pause"]
    world.act("skip", reason="nobody is there")  # the pause; then the step would be taken
    assert world.at == (S.PROGRESSING, 2)
    world = at_half("collecting", by=gated)
    world.act("skip", reason="enough for me")
    said(world, "suspicious")
    world.ready = {}
    world.act("skip", reason="nobody is there")
    assert "suspicious" in world.release.skipped[-1].what
    said(world, "invalid")
    world.ready = {"shop": True}
    world.advance()
    assert world.at == (S.WAITING, 1)
    said(world, "suspicious")
    assert world.at == (S.PROGRESSING, 2)


# Several services


def test_the_worst_of_several_services_counts():
    views = [VerdictView(kind, kind, odds=1.0) for kind in KINDS]
    order = []
    while views:
        worst = demand.worst(views)
        order.append(worst.kind)
        views.remove(worst)
    assert order == [
        *("rollback", "shared_trouble", "invalid", "suspicious", "not_enough_data", "collecting", "passed"),
    ]
    assert tuple(order[:4]) == ALARMS
    assert set(order[:4]) == demand.ALARMS
    with pytest.raises(ValueError, match="empty"):
        demand.worst([])


def test_of_alike_ones_the_one_that_holds_it_counts_then_the_one_with_the_higher_odds():
    fine, odd = VerdictView("collecting", "a", odds=2.0), VerdictView("collecting", "b", odds=5.0)
    silent = VerdictView("collecting", "c", passes=False)
    assert demand.worst([fine, odd]) is odd
    assert demand.worst([fine, silent, odd]) is silent
    assert demand.worst([VerdictView("passed", "d"), fine]) is fine


# As values


def test_a_release_and_a_plan_that_were_stored_before_there_was_an_analysis_can_be_read():
    world = World().begin()
    said(world, "collecting")
    world.says(Releasing(plans={"careful": plan()}))
    stored = json.loads(written(world.state))
    release = stored["releases"]["2"]
    for part in (release["plan"], stored["releasing"]["plans"]["careful"]):
        assert part.pop("analysis") is None
    assert release.pop("overruled") == ""
    assert release["verdict"].pop("cause") == ""
    assert load(State, stored) == world.state
    assert load(State, stored).releases[2].plan.analysis is None


def test_an_analysis_with_everything_survives_the_store():
    full = Analysis(
        guard=Guard(0.1, 0.8, 30),
        steps=Demand.PASSED,
        routes=("/checkout",),
        queries=(Query("lag", "http://p:9090", "max(lag)", max=5.0, token_file="/t"),),
    )
    assert load(Plan, json.loads(json.dumps(dump(plan(analysis=full))))) == plan(analysis=full)


def test_a_plan_that_never_shows_both_versions_has_nothing_to_be_judged_by():
    world = World()
    refused = refusal(world.state, world.starting(by=plan((100, 60), analysis=Analysis())))
    assert (refused.code, refused.problems[0].path) == ("invalid_plan", "analysis")


def test_two_plans_differ_by_their_keys_and_analyses_by_theirs():
    before = Releasing(plans={"p": plan(), "q": JUDGED})
    after = Releasing(
        plans={"p": JUDGED, "q": replace(JUDGED, retain=1.0, analysis=Analysis(deadline=9, latency=False))}
    )
    found = {change.path: (change.before, change.after) for change in compare_releasing(before, after)}
    assert found == {
        "plans.p.analysis": (None, "on"),
        "plans.q.retain": (3600.0, 1.0),
        "plans.q.analysis.deadline": (120, 9),
        "plans.q.analysis.latency": (True, False),
    }


# Anything that may happen


acts = st.one_of(
    st.tuples(st.just("judge"), st.sampled_from(KINDS), st.sampled_from((True, True, True, False))),
    st.tuples(st.just("judge"), st.sampled_from(("collecting", "passed", "suspicious")), st.just(True)),
    st.tuples(st.just("time"), st.sampled_from((1.0, 31.0, 61.0))),
    st.tuples(st.just("time"), st.just(61.0)),
    st.tuples(st.just("act"), st.sampled_from(("approve", "approve", "resume", "skip", "promote", "promote", "pause"))),
    st.tuples(st.just("ready"), st.booleans()),
    st.tuples(st.just("check"), st.just(True)),
    st.tuples(st.just("restart"), st.just(0.0)),
)


@settings(deadline=None, max_examples=150)
@given(
    by=st.sampled_from([each for each in PLANS if each.analysis is not None]),
    done=st.lists(acts, min_size=12, max_size=30),
)
def test_no_weight_grows_without_a_word_that_lets_it_and_nothing_is_promoted_without_proof(by, done):
    """The checks are those of the machine (``judge_let_it``), along paths that do little but release and judge."""
    machine = Releases()
    machine.begin(split=(100, 0))
    machine.do(machine.world.starting(by=by, actor="ann"))
    for what, *how in done:
        match what:
            case "judge":
                machine.judge(*how)
            case "time":
                machine.time(*how)
            case "act":
                machine.act("shop", how[0], "ben" if how[0] == "approve" else "dan", "because", None)
            case "ready":
                machine.backends("shop", how[0])
            case "check":
                machine.check(True, False)
            case _:
                machine.restart(0.0)
        machine.who_is_not_verified_and_approved_has_no_users()
        machine.the_candidate_has_what_its_step_says()
        machine.what_has_ended_is_over()


def test_a_rollback_by_people_waits_for_no_verdict():
    world = at_half("suspicious")
    world.do(Rollback(actor="ann", service="shop"))
    assert (world.release.state, world.weight()) == (S.ROLLED_BACK, 0)


def test_the_gate_of_the_judge_is_open_before_the_first_step():
    world = World(ready={"shop": False}).begin(by=JUDGED)
    assert [item.kind.value for item in gates.waiting_for(world.state, world.release, world.now, world.offset)] == []
    assert "ben" in PEOPLE
