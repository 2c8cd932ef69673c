"""What people do to a release, what its checks and the judge say, and what is told and kept of that."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.core.command import Rollback, Verb
from gatekeeper.core.difference import compare
from gatekeeper.core.model import Releasing
from gatekeeper.core.release import gates
from gatekeeper.core.release.calendar import utc
from gatekeeper.core.release.model import LOG_KEPT, OUTPUT_KEPT, ReleaseState, SkipKind
from gatekeeper.core.release.plan import Check, Freeze, HttpCheck, OnFail, Window, names
from tests.core.releases import HEALTHZ, SMOKE, World, asked, plan
from tests.core.states import NOW, refusal

S = ReleaseState


def pausing() -> World:
    by = plan()
    return World().begin(by=replace(by, steps=(by.steps[0], replace(by.steps[1], pause=True), by.steps[2])))


# Checks


def test_the_checks_of_the_plan_and_of_the_first_step_come_before_it_for_every_service():
    by = plan(verify=(HEALTHZ,))
    by = replace(by, steps=(replace(by.steps[0], verify=(SMOKE,)), *by.steps[1:]))
    world = World().begin(by=by, services={"shop": "green", "cart": "green"})
    assert (world.at, world.weight()) == ((S.VERIFYING, -1), 0)
    assert gates.checks_of(world.release) == ("start", (HEALTHZ, SMOKE))
    assert len(gates.unchecked(world.release)) == 4
    world.check()
    assert (world.at, world.weight()) == ((S.PROGRESSING, 0), 10)
    assert len(world.release.checks) == 4
    assert gates.checks_of(world.release) is None


def test_results_may_come_one_by_one_and_only_all_of_them_pass():
    world = World().begin(by=plan(verify=(HEALTHZ, SMOKE)))
    every = world.checking()
    world.do(replace(every, results=every.results[:1]))
    assert world.at == (S.VERIFYING, -1)
    assert gates.unchecked(world.release) == [("shop", "http /smoke")]
    world.do(replace(every, results=every.results[1:]))
    assert world.at == (S.PROGRESSING, 0)


def test_of_two_checks_of_one_name_both_have_to_pass():
    twice = (HEALTHZ, Check(http=HttpCheck("/healthz", body_contains="green")))
    world = World().begin(by=plan(verify=twice))
    assert names(twice) == ["http /healthz", "http /healthz (2)"]
    every = world.checking()
    world.do(replace(every, results=every.results[:1]))
    assert (world.at, gates.unchecked(world.release)) == ((S.VERIFYING, -1), [("shop", "http /healthz (2)")])
    world.do(replace(every, results=every.results[1:]))
    assert world.at == (S.PROGRESSING, 0)


def test_a_check_that_fails_ends_the_release_and_nobody_saw_the_candidate():
    world = World().begin(by=plan(verify=(HEALTHZ,)))
    world.check(passed=False)
    assert (world.at, world.weight()) == ((S.ROLLED_BACK, -1), 0)
    assert world.release.reason == "http /healthz failed in service shop"
    assert world.kinds == ["check_failed", "rolled_back"]
    assert world.release.checks[0].output == "out"


def test_a_check_before_a_later_step_that_fails_takes_the_weight_back():
    by = plan()
    world = World().begin(by=replace(by, steps=(by.steps[0], replace(by.steps[1], verify=(SMOKE,)), by.steps[2])))
    world.later(60)
    assert (world.at, world.weight()) == ((S.VERIFYING, 0), 10)
    assert gates.checks_of(world.release) == ("1", (SMOKE,))
    world.check(passed=False)
    assert (world.at, world.weight()) == ((S.ROLLED_BACK, 0), 0)


def test_with_on_fail_pause_the_checks_run_again_on_resume_and_old_results_do_not_count():
    world = World().begin(by=plan(verify=(HEALTHZ, SMOKE), on_fail=OnFail.PAUSE))
    every = world.checking()
    world.do(replace(every, results=every.results[:1]))
    second = world.checking(passed=False)
    world.passed(1).do(replace(second, results=second.results[1:]))
    assert (world.at, world.release.paused_from) == ((S.PAUSED, -1), S.VERIFYING)
    world.passed(1).act("resume")
    assert world.at == (S.VERIFYING, -1)
    assert len(gates.unchecked(world.release)) == 2
    world.check()
    assert world.at == (S.PROGRESSING, 0)


@pytest.mark.parametrize("act", ["pause", "skip", "abort"])
def test_results_that_come_too_late_change_nothing(act):
    world = World().begin(by=plan(verify=(HEALTHZ,)))
    late = world.checking(passed=False)
    world.act(act, reason="because")
    before = world.state
    world.do(late)
    assert world.state is before


def test_results_of_another_gate_release_or_check_change_nothing():
    world = World().begin(by=plan(verify=(HEALTHZ,)))
    before, done = world.state, world.checking(passed=False)
    stranger = replace(done.results[0], name="http /other")
    for late in (
        replace(done, gate="1"),
        replace(done, gate="1", results=(replace(done.results[0], gate="1"),)),
        replace(done, release=99),
        replace(done, results=()),
        replace(done, results=(stranger,)),
        replace(done, results=(replace(done.results[0], service="cart"),)),
    ):
        world.do(late)
        assert world.state is before


def test_the_output_of_a_check_is_bounded():
    world = World().begin(by=plan(verify=(HEALTHZ,)))
    done = world.checking()
    world.do(replace(done, results=(replace(done.results[0], output="x" * 100_000),)))
    assert len(world.release.checks[0].output) == OUTPUT_KEPT


# Skipping


def test_a_skip_needs_a_reason():
    world = World().begin()
    refused = refusal(world.state, world.acting("skip", reason="  "))
    assert (refused.status, refused.code) == (422, "reason_required")


def test_a_skipped_hold_is_over_now_and_who_did_it_and_why_is_kept():
    world = World().begin()
    world.passed(20).act("skip", reason="hot fix")
    assert world.at == (S.PROGRESSING, 1)
    skipped = world.release.skipped[0]
    assert (skipped.kind, skipped.gate, skipped.actor, skipped.reason) == (SkipKind.HOLD, "0", "ben", "hot fix")
    assert skipped.what == "the hold of step 1 of 3 ended after 20 s of 60 s"
    assert world.kinds == ["skipped", "step"]
    assert "hot fix" in world.told[0]["text"]


def test_a_skip_ends_one_hold_and_not_the_next():
    world = World().begin()
    world.act("skip", reason="r")
    world.later(59)
    assert world.at == (S.PROGRESSING, 1)


def test_skipped_checks_are_named_and_the_next_gate_still_holds():
    world = World().begin(by=plan(verify=(HEALTHZ,), approve=asked("product")))
    world.act("skip", reason="known to be well")
    assert (world.at, world.weight(), world.waits()) == ((S.WAITING, -1), 0, ["approval"])
    assert world.kinds == ["skipped", "waiting"]
    assert world.release.skipped[0].what == "checks not passed: http /healthz"


def test_a_skip_waives_people_and_calendar_for_this_step_alone():
    closed = Window((5,), 0, 60)
    by = plan(approve=asked("product"), window=closed)
    world = World().says(Releasing()).begin(by=by)
    world.says(Releasing(freezes=(Freeze("audit"),)))
    world.act("skip", reason="an emergency")
    assert (world.at, world.weight()) == ((S.PROGRESSING, 0), 10)
    what = world.release.skipped[0].what
    assert "approval by product" in what
    assert "audit" in what
    assert "the window" in what
    world.later(60)
    assert (world.at, world.waits()) == ((S.WAITING, 0), ["window", "freeze"])


def test_the_author_cannot_skip_the_approval_of_his_own_release():
    world = World().begin(by=plan(approve=asked("product")))
    refused = refusal(world.state, world.acting("skip", "ann", reason="hurry"))
    assert refused.code == "own_release"
    assert "somebody else" in refused.allowed
    world.act("skip", "ben", reason="hurry")
    assert world.at == (S.PROGRESSING, 0)


def test_the_author_may_skip_what_asks_nobody():
    world = World().begin(at=NOW + 60)
    world.act("skip", "ann", reason="hurry")
    assert world.at == (S.PROGRESSING, 0)


def test_backends_that_are_not_ready_cannot_be_skipped():
    world = World().begin(at=NOW + 60)
    world.ready = {"shop": False}
    world.act("skip", reason="hurry")
    assert (world.at, world.weight(), world.waits()) == ((S.WAITING, -1), 0, ["backends"])
    before = world.state
    world.act("skip", reason="hurry")
    assert world.state is before
    world.ready = {"shop": True}
    world.advance()
    assert world.at == (S.PROGRESSING, 0)
    world.ready = {"shop": False}
    world.later(60)
    assert refusal(world.state, world.acting("skip", reason="hurry")).code == "candidate_not_ready"


# Pauses


def test_the_plan_pauses_before_a_step_until_somebody_resumes():
    world = pausing()
    world.later(60)
    assert (world.at, world.waits(), world.weight()) == ((S.WAITING, 0), ["pause"], 10)
    world.later(100_000)
    assert world.at == (S.WAITING, 0)
    world.act("resume")
    assert (world.at, world.weight()) == ((S.PROGRESSING, 1), 50)


def test_one_resume_ends_one_pause_of_the_plan():
    by = plan()
    world = World().begin(by=replace(by, steps=tuple(replace(each, pause=True) for each in by.steps)))
    for number in range(3):
        assert world.at == (S.WAITING, number - 1)
        world.act("resume")
        assert world.at == (S.PROGRESSING, number)
        world.later(60)


def test_resume_while_it_waits_for_something_else_changes_nothing():
    world = World().begin(by=plan(approve=asked("product")))
    before = world.state
    world.act("resume")
    assert world.state is before


@pytest.mark.parametrize(
    ("verb", "again"), [("pause", "pause"), ("abort", "abort"), ("reject", "reject"), ("reject", "abort")]
)
def test_what_is_so_already_is_granted_and_changes_nothing(verb, again):
    world = World().begin()
    world.act(verb)
    before = world.state
    world.act(again)
    assert world.state is before
    assert world.told == []


def test_a_pause_in_a_pause_of_the_plan_still_needs_both_to_be_ended():
    world = pausing()
    world.later(60)
    world.act("pause")
    world.act("resume")
    assert (world.at, world.waits()) == ((S.WAITING, 0), ["pause"])
    world.act("resume")
    assert world.at == (S.PROGRESSING, 1)


# Ends


def test_a_promotion_now_leaves_out_the_steps_that_are_left():
    world = World().begin()
    world.act("promote", reason="all is well")
    assert (world.at, world.weight(), world.stable()) == ((S.PROMOTED, 2), 100, "green")
    assert world.release.reason == "promoted by ben: all is well"
    assert world.told[-1]["splits"]["shop"] == {
        "before": {"blue": 90, "green": 10, "red": 0},
        "after": {"blue": 0, "green": 100, "red": 0},
    }


def test_what_was_paused_before_it_was_verified_cannot_be_promoted():
    world = World().begin(by=plan(verify=(HEALTHZ,)))
    world.act("pause")
    assert refusal(world.state, world.acting("promote")).code == "not_verified"


def test_a_candidate_without_a_ready_backend_cannot_be_promoted():
    world = World().begin()
    world.ready = {"shop": False}
    assert refusal(world.state, world.acting("promote")).code == "candidate_not_ready"
    world.ready = None
    world.act("promote")
    assert world.at == (S.PROMOTED, 2)


def test_a_service_of_which_nothing_is_known_has_no_ready_backend():
    world = World().begin(at=NOW + 60, services={"shop": "green", "cart": "green"})
    world.ready = {"shop": True}
    world.later(60)
    assert world.at == (S.WAITING, -1)
    assert [item.detail for item in gates.waiting_for(world.state, world.release, world.now, utc, world.ready)] == [
        "a ready backend of green in service cart"
    ]


def test_without_word_of_the_backends_no_step_is_taken():
    world = World().begin(at=NOW + 60)
    world.ready = None
    world.later(60)
    assert (world.at, world.weight()) == ((S.WAITING, -1), 0)
    world.ready = {"shop": True}
    world.advance()
    assert world.at == (S.PROGRESSING, 0)


def test_a_promotion_does_not_wait_for_its_time():
    world = World().begin(at=NOW + 1000)
    world.act("promote")
    assert world.at == (S.PROMOTED, 2)


@pytest.mark.parametrize(("verb", "word"), [("abort", "aborted"), ("reject", "rejected")])
def test_who_ended_it_and_why_is_kept(verb, word):
    world = World().begin(services={"shop": "green", "cart": "green"})
    world.later(60)
    world.act(verb, reason="too slow")
    assert world.at == (S.ABORTED, 1)
    assert world.release.reason == f"{word} by ben: too slow"
    assert world.release.ended_at == NOW + 60
    assert [world.weight("blue", name) for name in ("shop", "cart")] == [100, 100]
    assert [world.weight("green", name) for name in ("shop", "cart")] == [0, 0]


def test_the_verdict_rollback_ends_it_and_its_sentence_is_the_reason():
    world = World().begin()
    world.do(world.judging("rollback"))
    assert (world.at, world.weight()) == ((S.ROLLED_BACK, 0), 0)
    assert world.release.reason == "rollback"
    assert world.kinds == ["verdict", "rolled_back"]


def test_with_on_fail_pause_it_keeps_its_weight():
    world = World().begin(by=plan(on_fail=OnFail.PAUSE))
    world.do(world.judging("rollback"))
    assert (world.at, world.weight()) == ((S.PAUSED, 0), 10)


def test_a_verdict_that_somebody_overruled_does_not_pause_it_again():
    world = World().begin(by=plan(on_fail=OnFail.PAUSE))
    world.do(world.judging("rollback"))
    world.act("resume")
    world.do(world.judging("rollback"))
    assert world.at == (S.PROGRESSING, 0)


def test_the_same_verdict_again_changes_nothing_and_one_of_a_release_that_ended_neither():
    world = World().begin()
    world.do(world.judging("collecting"))
    before = world.state
    world.do(world.judging("collecting"))
    assert world.state is before
    world.act("abort")
    before = world.state
    world.do(world.judging("rollback"))
    assert world.state is before


# Which release


def test_a_release_can_be_named_by_its_number():
    world = World().begin()
    world.act("pause", release=2)
    assert world.at == (S.PAUSED, 0)
    world.act("resume", release=2, service="shop")
    assert world.at == (S.PROGRESSING, 0)


@pytest.mark.parametrize(
    ("options", "code", "status"),
    [
        ({"release": 9}, "unknown_release", 404),
        ({"release": 2, "service": "cart"}, "unknown_release", 404),
        ({"service": "cart"}, "no_release", 404),
        ({"service": "shp"}, "unknown_service", 404),
        ({"service": None}, "which_release", 422),
    ],
)
def test_what_names_no_release_is_refused(options, code, status):
    world = World().begin()
    refused = refusal(world.state, world.acting("pause", **options))
    assert (refused.code, refused.status) == (code, status)


def test_the_runner_asking_for_a_release_that_is_gone_changes_nothing():
    world = World()
    world.do(world.advancing(99))
    assert world.state.revision == 1


# What is told and kept


def test_every_revision_of_a_release_tells_what_it_did_with_its_number():
    world = World().begin(by=plan(verify=(HEALTHZ,), approve=asked("product")))
    before = world.state
    for work in (
        world.check,
        lambda: world.act("approve", groups="product", reason="yes"),
        lambda: world.act("pause"),
        lambda: world.act("resume"),
        lambda: world.act("skip", reason="r"),
        lambda: world.act("promote"),
        lambda: world.do(Rollback(actor="ann", service="shop", note="bad")),
    ):
        outcome = work()
        assert outcome.state.revision == before.revision + 1 == world.release.revision
        assert outcome.changes
        assert list(outcome.changes) == list(compare(before, outcome.state))
        for event in outcome.events:
            assert event["kind"].startswith("release_")
            assert (event["revision"], event["release"], event["at"]) == (outcome.state.revision, 2, world.now)
        before = outcome.state
    assert world.release.reason == "rolled back by ann: bad"


def test_the_log_is_bounded_and_keeps_how_it_began():
    world = World().begin()
    for _ in range(LOG_KEPT):
        world.act("pause")
        world.act("resume")
    assert len(world.release.log) == LOG_KEPT
    assert world.release.log[0].event == "started"
    assert world.release.log[-1].event == "resumed"


def test_a_release_of_many_pauses_does_not_grow():
    from tests.core.states import written

    world = World().begin()
    sizes = []
    for _ in range(3 * LOG_KEPT):
        world.act("pause")
        world.act("resume")
        sizes.append(len(written(world.state)))
    assert sizes[-1] <= sizes[LOG_KEPT] + 200


def test_verbs_are_those_of_the_table():
    assert {verb.value for verb in Verb} == {"approve", "reject", "pause", "resume", "skip", "promote", "abort"}


def test_a_step_may_go_down():
    world = World().begin(by=plan((50, 10), (0, 10), (20, 10), (100, 0)))
    for expected in (0, 20, 100):
        world.later(10)
        assert world.weight() == Decimal(expected)
    assert world.at == (S.PROMOTED, 3)
