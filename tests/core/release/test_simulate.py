"""A plan walked before anybody is hurt: its timeline, and what of it would be caught when."""

import time
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest

from gatekeeper.core import codec
from gatekeeper.core.codec import CodecError
from gatekeeper.core.judge.analysis import Analysis, Guard, Query
from gatekeeper.core.judge.assumed import Regression, Traffic
from gatekeeper.core.outcome import Refused
from gatekeeper.core.release import simulate as simulation
from gatekeeper.core.release.plan import DIRECT, Approval, Check, HttpCheck, OnFail, Plan, Step, Window
from gatekeeper.core.release.simulate import simulate
from gatekeeper.simulation import simulate_plan

DEAD = Regression("100 % errors", more=1.0)
SMALL = Regression("x1.5 errors", times=1.5)


@pytest.fixture(autouse=True)
def few_releases(monkeypatch):
    """Enough for what is asked of them here."""
    monkeypatch.setattr(simulation, "RELEASES", 6)


def plan(*steps, **options):
    return Plan("careful", tuple(Step(Decimal(str(weight)), hold) for weight, hold in steps), **options)


USUAL = plan((1, 300), (10, 600), (50, 600), (100, 1800))


def walked(of=USUAL, traffic=None, *regressions, **options):
    return simulate(
        of, traffic or Traffic(50), chance=lambda seed: Random(seed).random, regressions=regressions, **options
    )


def test_the_timeline_is_that_of_the_plan():
    found = walked()
    assert [(each.step, each.weight, each.begins, each.hold, each.requests) for each in found.stages] == [
        (0, 1.0, 0.0, 300.0, 150.0),
        (1, 10.0, 300.0, 600.0, 3000.0),
        (2, 50.0, 900.0, 600.0, 15000.0),
        (3, 100.0, 1500.0, 1800.0, 90000.0),
    ]
    assert found.seconds == 3300.0


def test_steps_that_are_not_held_take_no_time():
    found = walked(plan((1, 0), (10, 60), (20, 0), (100, 0)))
    assert [(each.begins, each.hold) for each in found.stages] == [(0, 0), (0, 60), (60, 0), (60, 0)]
    assert found.seconds == 60


def test_gates_are_passed_at_once_and_said_to_be():
    steps = (
        Step(Decimal(5), 60, approve=Approval(("product", "security"))),
        Step(Decimal(50), 60, pause=True, verify=(Check(http=HttpCheck("/a")), Check(http=HttpCheck("/b")))),
        Step(Decimal(100)),
    )
    gated = Plan(
        "gated",
        steps,
        verify=(Check(http=HttpCheck("/healthz")),),
        approve=Approval(("product",)),
        at=4e9,
        window=Window((0,), 60, 120),
    )
    found = walked(gated)
    assert found.seconds == 120
    assert found.notes[:-2] == (
        "the plan's time and window are left out: what waits for them is not counted",
        "1 check before step 1: taken to pass at once",
        "approval by product before step 1: taken to be given at once",
        "approval by security before step 1: taken to be given at once",
        "2 checks before step 2: taken to pass at once",
        "pause before step 2: taken to be ended at once",
    )
    assert found.notes[-1] == (
        "the plan has no analysis, so nobody judges its releases: this is what `analysis: {}` would catch"
    )


def test_an_outage_is_caught_in_the_first_step_at_the_price_of_a_few_requests():
    (found,) = walked(USUAL, None, DEAD).regressions
    assert found.caught == 1
    assert found.step == 0
    assert 2 <= found.median <= 20
    assert found.median <= found.p95 <= 60
    assert 2.5 < found.hurt < 5


def test_what_traffic_cannot_show_is_not_caught_and_said_to_hurt_on():
    found = walked(USUAL, Traffic(0.5), SMALL)
    (caught,) = found.regressions
    assert (caught.caught, caught.median, caught.p95, caught.step) == (0, None, None, None)
    assert caught.hurt >= 0
    assert "what is not caught by the end hurts on after the promotion, until somebody sees it" in found.notes
    assert any("does not prove a candidate that is as good" in note for note in found.notes)


def test_a_regression_that_only_some_releases_catch_has_no_time_that_most_stay_below():
    (found,) = walked(USUAL, None, Regression("x3 errors", times=3.0)).regressions
    assert 0 < found.caught < 1
    assert found.p95 is None
    assert found.step is not None


def test_twice_as_slow_is_caught_and_every_slow_answer_counted():
    (found,) = walked(USUAL, None, Regression("latency x2", slower=2.0)).regressions
    assert found.caught == 1
    assert found.hurt >= 10


def test_more_traffic_catches_sooner_and_the_weight_of_the_steps_counts():
    slow, fast = (walked(USUAL, Traffic(rps), Regression("+5 points", more=0.05)).regressions[0] for rps in (5, 500))
    assert fast.median < slow.median / 5
    bold = walked(plan((50, 300), (100, 0)), Traffic(5), Regression("+5 points", more=0.05)).regressions[0]
    assert bold.median < slow.median
    assert bold.hurt > slow.hurt


def test_a_release_all_at_once_compares_nothing():
    found = walked(DIRECT, None, DEAD)
    assert found.regressions[0].caught == 0
    assert "no step below 100 % is held, so nothing is ever compared with stable" in found.notes


def test_a_plan_that_only_pauses_is_said_to_go_on_hurting():
    pausing = replace(USUAL, on_fail=OnFail.PAUSE)
    assert "on_fail: pause: what is caught hurts on until somebody decides" in walked(pausing, None, DEAD).notes
    assert not any("on_fail" in note for note in walked(USUAL, None, DEAD).notes)


def test_an_equal_candidate_is_proven_to_be_and_when_is_said():
    (note,) = [note for note in walked().notes if "as good" in note]
    assert note.startswith("a candidate that is as good is proven to be after ")
    assert note.endswith(", in step 2 (median)")


def test_the_analysis_that_is_asked_for_is_the_one_that_is_run():
    strict, lax = (
        walked(USUAL, None, Regression("+5 points", more=0.05), analysis=Analysis(alpha=alpha)).regressions[0]
        for alpha in (1e-9, 0.1)
    )
    assert strict.median > 2 * lax.median


JUDGED = replace(USUAL, analysis=Analysis())


def test_the_analysis_of_the_plan_is_the_one_that_is_run():
    strict, lax = (
        walked(replace(USUAL, analysis=Analysis(alpha=alpha)), None, Regression("+5 points", more=0.05)).regressions[0]
        for alpha in (1e-9, 0.1)
    )
    assert strict.median > 2 * lax.median


def test_a_judged_plan_has_the_timeline_of_its_holds_and_says_when_proof_takes_longer():
    found = walked(JUDGED)
    assert [(each.begins, each.hold) for each in found.stages] == [(0, 300), (300, 600), (900, 600), (1500, 1800)]
    assert found.seconds == 3300
    assert not any("no analysis" in note or "promoted after" in note for note in found.notes)
    hasty = walked(replace(plan((10, 0), (100, 0)), analysis=Analysis()))
    assert hasty.seconds == 0
    (note,) = [note for note in hasty.notes if "promoted after" in note]
    assert note.endswith(" (median): holds wait for proof")


def test_a_candidate_that_is_as_good_is_left_to_people_where_traffic_is_too_thin_and_that_is_said():
    thin = walked(replace(JUDGED, max_hold=3600.0), Traffic(0.2))
    assert any(
        note.startswith("6 of 6 releases of one that is as good are left to people in step 3") for note in thin.notes
    )
    assert not any("left to people" in note for note in walked(JUDGED).notes)


def test_nothing_goes_up_before_the_judge_has_seen_enough():
    """Five points more, that two short steps of the plain plan carry up to everybody."""
    short = plan((1, 1), (10, 1), (100, 600))
    worse = Regression("+5 points", more=0.05)
    plain = walked(short, Traffic(5), worse).regressions[0]
    judged = walked(replace(short, analysis=Analysis()), Traffic(5), worse).regressions[0]
    assert (plain.caught, judged.caught) == (0, 1)
    assert judged.hurt < plain.hurt / 5


def test_what_the_guard_catches_is_named_apart():
    guarded = replace(USUAL, analysis=Analysis(alpha=1e-99, guard=Guard(errors=0.2, window=30)))
    found = walked(guarded, Traffic(200), DEAD)
    (caught,) = found.regressions
    assert (caught.caught, caught.guard) == (1, 1)
    assert (
        "part of it is caught by the guard: an absolute bound, not a comparison, that says nothing of stable"
        in found.notes
    )
    assert walked(JUDGED, Traffic(200), DEAD).regressions[0].guard == 0


def test_a_guard_of_times_goes_by_the_times_that_are_assumed():
    guard = Guard(errors=None, p99=1.0, window=30)
    slow = Regression("latency x3", slower=3.0)
    blind = replace(USUAL, analysis=Analysis(latency=False))
    seeing = replace(USUAL, analysis=Analysis(latency=False, guard=guard))
    assert walked(blind, Traffic(200), slow).regressions[0].caught == 0
    assert walked(seeing, Traffic(200), slow).regressions[0].guard == 1
    assert not any("left to people" in note for note in walked(seeing, Traffic(200)).notes)


def test_a_warm_up_is_left_out_and_metrics_are_said_to_be():
    cold = replace(USUAL, analysis=Analysis(warm_up=120, queries=(Query("a", "http://h", "q", max=1.0),)))
    found = walked(cold, None, DEAD)
    assert 120 < found.regressions[0].median < 180
    assert "the metrics of Prometheus are left out: nothing is known of them" in found.notes


def test_longer_seconds_of_old_steps_change_no_time_by_much(monkeypatch):
    """Against every second one by one."""
    monkeypatch.setattr(simulation, "RELEASES", 12)
    regression = Regression("+1 point", more=0.01)
    taken_together = walked(USUAL, None, regression).regressions[0]
    monkeypatch.setattr(simulation, "_GROWTH", 10**9)
    one_by_one = walked(USUAL, None, regression).regressions[0]
    assert taken_together.median == pytest.approx(one_by_one.median, rel=0.25)
    assert taken_together.step == one_by_one.step


def test_the_same_question_has_the_same_answer():
    assert walked(USUAL, None, DEAD, SMALL) == walked(USUAL, None, DEAD, SMALL)


def test_a_day_long_plan_with_much_traffic_takes_seconds_at_most():
    long = plan((1, 86_400), (10, 86_400), (50, 86_400), (100, 86_400))
    begin = time.process_time()
    found = walked(long, Traffic(20_000), SMALL, Regression("latency +10 %", slower=1.1))
    # A third of the releases of a real one.
    assert time.process_time() - begin < 2
    assert found.seconds == 4 * 86_400


def test_a_plan_that_cannot_be_followed_is_refused():
    with pytest.raises(Refused, match="cannot be followed"):
        walked(plan((1, 60)))


def test_documents_in_and_out():
    found = simulate_plan(codec.dump(plan((5, 60), (100, 0))), rps=50, errors=0.001, latency=0.1)
    assert found["plan"] == "careful"
    assert found["assumed"] == {"rps": 50, "errors": 0.001, "latency": 0.1, "sigma": 0.6}
    assert found["stages"][0] == {"step": 0, "weight": 5.0, "begins": 0.0, "hold": 60.0, "requests": 150.0}
    assert [each["name"] for each in found["regressions"]] == [
        "100 % errors",
        "+5 points",
        "+1 point",
        "x3 errors",
        "latency +10 %",
        "latency x2",
    ]
    assert found["regressions"][0]["caught"] == 1
    assert simulate_plan(codec.dump(plan((5, 60), (100, 0))), rps=50, errors=0.001, latency=0.1) == found
    with pytest.raises(CodecError, match="steps"):
        simulate_plan({"name": "x"}, rps=1, errors=0, latency=0.1)
