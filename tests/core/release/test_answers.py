"""What people are told of a release: what happens next, the five answers, small words."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.core.command import Deploy, Retire, Rollback
from gatekeeper.core.release import words
from gatekeeper.core.release.answers import QUESTIONS, answers, what_next
from gatekeeper.core.release.model import ReleaseState
from gatekeeper.core.release.plan import OnFail, Window
from tests.core.release.test_lifecycle import world_in
from tests.core.releases import HEALTHZ, SMOKE, World, asked, plan
from tests.core.states import ANN, NOW, version

S = ReleaseState


def coming(world: World) -> str:
    return what_next(world.state, world.release, world.now, world.offset, world.ready, world.steady)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (S.PLANNED, "the checks, once green has a ready backend"),
        (S.VERIFYING, "step 1 of 3 (10 %), once these have passed: http /healthz"),
        (S.WAITING, "step 1 of 3 (10 %), which waits for approval by product"),
        (S.PROGRESSING, "step 2 of 3 (50 %), after another 60 s of this hold"),
        (S.PAUSED, "nothing until somebody acts: approve, reject, resume, abort or rollback"),
        (S.PROMOTED, "blue is kept to go back to for another 1 h"),
        (S.ROLLED_BACK, "nothing: it has ended"),
        (S.ABORTED, "nothing: it has ended"),
    ],
)
def test_what_happens_next(state, text):
    assert coming(world_in(state)) == text


def test_what_happens_next_at_the_end_of_the_last_hold_and_of_one_the_judge_holds_up():
    world = World().begin(by=plan((100, 60)))
    world.passed(20)
    assert coming(world) == "the promotion of green, after another 40 s of this hold"
    world.do(world.judging("collecting"))
    world.passed(40)
    said = "the judge says collecting: collecting"
    assert coming(world) == f"the promotion of green, once a verdict lets it pass ({said})"


def test_every_question_has_an_answer_in_every_state():
    for state in ReleaseState:
        world = world_in(state)
        found = answers(world.state, world.release)
        assert found.keys() == QUESTIONS.keys()
        assert all(found.values())


def test_the_answers_have_the_evidence():
    world = World()
    world.do(Deploy(**ANN, service="shop", version=version("green", "http://new:1", build="2026-11-23.1")))
    by = plan(verify=(HEALTHZ, SMOKE), approve=asked("product"), window=Window((0, 1), 1320, 1440), at=NOW - 60)
    world.begin(by=by)
    done = world.checking()
    world.do(replace(done, results=done.results[:1]))
    world.act("skip", "eve", reason="smoke is broken")
    world.act("approve", "eve", "product", reason="wanted")
    found = answers(world.state, world.release)
    assert found["verified"] == (
        "1 of 2 checks passed; http /healthz; skipped by eve (checks not passed: http /smoke): smoke is broken"
    )
    assert found["trigger"] == (
        "ann started it by plan careful; it goes at Tue 2023-11-14 22:12:20 UTC and in the window Mon Tue 22:00-24:00 "
        "UTC and when product approved, by 10 %, 50 % and 100 %"
    )
    assert found["hidden"] == (
        "`gatekeeper rollback shop` brings blue back at once, without a deploy; the trip-wire does so by itself, "
        "and a failed check or verdict rolls it back"
    )
    assert found["decides"] == (
        "before step 1: product, never the author; eve approved for product before step 1: wanted"
    )
    assert found["deployed"] == (
        "yes: shop green (build 2026-11-23.1) is deployed; "
        "a deployed version has no users until a release gives it some"
    )


def test_the_answers_of_a_release_that_asks_nobody_and_checks_nothing_say_so():
    world = World().begin(by=plan((100, 0), retain=0.0, on_fail=OnFail.PAUSE))
    found = answers(world.state, world.release)
    assert found["verified"] == "not by gatekeeper: the plan asks for no check"
    assert found["trigger"] == "ann started it by plan careful; it goes at once, by 100 %"
    assert found["decides"] == "ann alone: the plan asks nobody else"
    assert "blue is not kept any longer" in found["hidden"]
    world = World().begin()
    world.do(Rollback(actor="ann", service="shop"))
    assert answers(world.state, world.release)["hidden"] == "it is: blue has its users again (rolled back by ann)"
    world = World().begin()
    world.do(Retire(**ANN, service="shop", version="green"))
    assert "shop green is not deployed any more" in answers(world.state, world.release)["deployed"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.25, "0.25 s"), (90, "90 s"), (119.9, "120 s"), (120, "2 min"), (3600, "1 h"), (3725, "1 h 2 min")],
)
def test_durations_have_two_units_at_most(seconds, text):
    assert words.duration(seconds) == text


def test_days_and_weeks_are_told_in_days():
    assert words.duration(86400 * 9 + 3601) == "9 d 1 h"
    assert words.duration(86400 + 1) == "1 d"


def test_services_that_move_to_one_name_are_named_once():
    world = World().begin(services={"shop": "green", "cart": "green"})
    assert words.candidates(world.release) == "green"
    assert words.which(world.release) == "release 2 of shop and cart"
    world = World().begin(services={"shop": "green", "cart": "red"})
    assert words.candidates(world.release) == "shop green and cart red"
    assert words.moves(world.release) == "shop from blue to green and cart from blue to red"
    assert words.percent(Decimal("0.50")) == "0.5 %"
