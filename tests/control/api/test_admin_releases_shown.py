"""What the API says of a release: where it is, what it waits for, what comes next, its steps and gates."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.control.api import plan_views, release_views
from gatekeeper.control.api.looking import Look
from gatekeeper.control.api.release_answers import Plans, Release, ReleaseBrief
from gatekeeper.core import codec
from gatekeeper.core.command import Rollback
from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.release.calendar import utc
from gatekeeper.core.release.model import CheckResult
from gatekeeper.core.release.moving import digest
from gatekeeper.core.release.plan import Check, Freeze, Group, HttpCheck, OnFail, Plan, Releasing, Step, Window
from tests.core.releases import HEALTHZ, SMOKE, World, asked, plan, steps
from tests.core.states import NOW

HOUR = 3600.0
MONDAY_NOON = 1_700_481_600.0  # Mon 2023-11-20 12:00 UTC
OFFICE = Window((0, 1, 2, 3, 4), 9 * 60, 16 * 60, "UTC")


def look(world, **more):
    return Look(world.now, world.offset, world.steady, world.ready, **more)


def shown(world, **more):
    """The whole document, held against its model."""
    document = release_views.full(world.state, world.release, look(world, **more))
    Release.model_validate(document)
    brief = release_views.brief(world.state, world.release, look(world))
    ReleaseBrief.model_validate(brief)
    assert {**brief, "plan": None} == {**{key: document[key] for key in brief}, "plan": None}
    assert brief["plan"] == document["plan"]["name"]
    return document


def stage_words(document):
    return [stage["state"] for stage in document["timeline"]]


def gates(document, place=0):
    return [(gate["kind"], gate["state"]) for gate in document["timeline"][place]["gates"]]


def service(world, name="shop"):
    return release_views.of_service(world.state, name, lambda _: look(world))


# Where it is


def test_a_hold_says_how_much_of_it_is_over_and_what_comes_after():
    world = World().begin()
    world.passed(40)
    found = shown(world)
    assert found["headline"] == "progressing: step 1 of 3, 10 % to green"
    assert found["hold"] == {"seconds": 60, "over": 40.0, "counts": True, "until": NOW + 60}
    assert found["next"] == {"text": "step 2 of 3: 50 % to green", "at": NOW + 60, "if": ""}
    assert (found["step"], found["steps"], found["now"], found["since"]) == (0, 3, NOW + 40, NOW)
    assert found["moves"] == [
        {
            "service": "shop",
            "from": "blue",
            "to": "green",
            "build": None,
            "before": {"blue": 100, "green": 0, "red": 0},
            "split": {"blue": 90, "green": 10, "red": 0},
        }
    ]
    assert stage_words(found) == ["now", "to_come", "to_come"]
    assert [stage["from"] for stage in found["timeline"]] == [NOW, None, None]
    assert [stage["expected"] for stage in found["timeline"]] == [None, NOW + 60, NOW + 120]


def test_after_the_last_hold_comes_the_promotion_and_then_the_end_of_the_retention():
    world = World().begin()
    world.later(60).later(60)
    found = shown(world)
    assert found["next"] == {"text": "green becomes stable", "at": NOW + 180, "if": ""}
    world.later(60)
    found = shown(world)
    assert found["headline"] == "promoted: green is stable"
    assert (found["retained"], found["retained_until"], found["allowed"]) == (True, NOW + 180 + HOUR, ["rollback"])
    assert found["next"] == {"text": "blue is not kept any longer", "at": NOW + 180 + HOUR, "if": ""}
    assert [(stage["from"], stage["to"]) for stage in found["timeline"]] == [
        (NOW, NOW + 60),
        (NOW + 60, NOW + 120),
        (NOW + 120, NOW + 180),
    ]
    assert stage_words(found) == ["done", "done", "done"]
    world.later(HOUR)
    found = shown(world)
    assert (found["next"], found["retained"], found["allowed"]) == (None, False, [])


def test_a_pause_stops_the_hold_and_waits_for_an_operator():
    world = World().begin()
    world.passed(10)
    world.act("pause", reason="lunch")
    world.passed(500)
    found = shown(world)
    assert found["headline"] == "paused (was progressing: step 1 of 3, 10 % to green) by ben: lunch"
    assert found["hold"] == {"seconds": 60, "over": 10.0, "counts": False, "until": None}
    assert found["next"] == {"text": "the hold of step 1 of 3 goes on", "at": None, "if": "somebody resumes it"}
    assert found["waiting"] == [
        {
            "kind": "pause",
            "detail": "somebody to resume it: paused by ben: lunch",
            "gate": "",
            "groups": [],
            "until": None,
            "who": "an operator",
        }
    ]
    assert stage_words(found) == ["now", "to_come", "to_come"]
    assert {stage["expected"] for stage in found["timeline"]} == {None}


def test_what_was_promoted_by_hand_leaves_out_the_steps_between():
    world = World().begin()
    world.act("promote", reason="clear enough")
    found = shown(world)
    assert stage_words(found) == ["done", "left_out", "left_out"]
    assert found["timeline"][0]["to"] == NOW
    world.passed(50)
    world.do(Rollback(actor="ben", service="shop"))
    found = shown(world)
    assert stage_words(found) == ["done", "left_out", "left_out"]
    assert (found["timeline"][0]["to"], found["ended_at"]) == (NOW, NOW + 50)


def test_what_was_rolled_back_says_why_and_what_was_not_done_any_more():
    world = World().begin()
    world.later(60)
    world.do(Rollback(actor="ben", service="shop", note="too slow"))
    found = shown(world)
    assert found["headline"] == "rolled back by ben: too slow"
    assert (found["active"], found["ended_at"], found["next"], found["waiting"]) == (False, NOW + 60, None, [])
    assert stage_words(found) == ["done", "done", "left_out"]
    assert [stage["to"] for stage in found["timeline"]] == [NOW + 60, NOW + 60, None]


def test_a_candidate_without_a_backend_is_said_to_be_waited_for():
    world = World(ready={"shop": False, "cart": False})
    world.begin(by=plan(verify=(HEALTHZ,)))
    found = shown(world)
    assert found["headline"] == "planned before step 1 of 3"
    assert [(item["kind"], item["who"]) for item in found["waiting"]] == [
        ("backends", "nobody: a backend of green must become ready")
    ]
    assert found["next"]["if"] == "a backend of green is ready and 1 check passes"
    assert gates(found) == [("verify", "to_come"), ("backends", "now")]
    assert stage_words(found) == ["now", "to_come", "to_come"]


# Gates


def test_checks_go_from_now_to_done_with_what_they_said():
    world = World().begin(by=plan(verify=(HEALTHZ, SMOKE)))
    found = shown(world, checking=("http /smoke",))
    assert found["checking"] == ["http /smoke"]
    assert found["headline"] == "verifying before step 1 of 3"
    assert found["next"] == {"text": "step 1 of 3: 10 % to green", "at": None, "if": "2 checks pass"}
    (gate,) = found["timeline"][0]["gates"]
    assert (gate["text"], gate["state"], gate["gate"]) == ("2 checks: http /healthz, http /smoke", "now", "start")
    world.passed(3)
    world.check()
    found = shown(world)
    assert [(gate["state"], gate["at"]) for gate in found["timeline"][0]["gates"]] == [("done", NOW + 3)]
    assert [(each["name"], each["passed"], each["output"]) for each in found["checks"]] == [
        ("http /healthz", True, "out"),
        ("http /smoke", True, "out"),
    ]


def test_checks_that_failed_say_so_paused_or_ended():
    for on_fail, state in ((OnFail.PAUSE, "paused"), (OnFail.ROLLBACK, "rolled_back")):
        world = World().begin(by=plan(verify=(HEALTHZ,), on_fail=on_fail))
        world.check(passed=False)
        found = shown(world)
        assert (found["state"], gates(found)) == (state, [("verify", "failed")])
        assert "http /healthz failed in service shop" in found["headline"]


def test_checks_that_somebody_skipped_name_him():
    world = World().begin(by=plan(verify=(HEALTHZ,)))
    world.act("skip", reason="known to be broken")
    (gate,) = shown(world)["timeline"][0]["gates"]
    assert (gate["state"], gate["who"], gate["at"]) == ("skipped", ["ben"], NOW)


def test_a_check_of_another_deploy_than_the_present_one_is_marked():
    world = World().begin(by=plan(verify=(HEALTHZ,)))
    world.check()
    assert [each["current"] for each in shown(world)["checks"]] == [False]
    version = world.state.services["shop"].definition.versions["green"]
    result = CheckResult("start", "shop", "http /healthz", True, 0.1, "out", NOW, digest(version))
    release = replace(world.release, checks=(result,))
    world.state = replace(world.state, releases={release.id: release})
    assert [each["current"] for each in shown(world)["checks"]] == [True]


def test_an_approval_names_who_gave_it_who_is_missing_and_who_may():
    world = World().begin(by=plan(approve=asked("product", "ops")))
    world.act("approve", actor="pia", groups="product", reason="fine")
    found = shown(world)
    (gate,) = found["timeline"][0]["gates"]
    assert (gate["text"], gate["state"], gate["who"], gate["missing"]) == (
        "approval by product and ops",
        "now",
        ["pia for product"],
        ["ops"],
    )
    (item,) = found["waiting"]
    assert (item["detail"], item["gate"], item["groups"]) == ("approval by ops", "start", ["ops"])
    assert item["who"] == "a member of ops, not ann"
    assert found["next"] == {"text": "step 1 of 3: 10 % to green", "at": None, "if": "ops approves"}
    assert found["approvals"] == [
        {
            "gate": "start",
            "actor": "pia",
            "groups": ["product"],
            "reason": "fine",
            "at": NOW,
            "expires": NOW + 3600,
        }
    ]
    world.act("approve", actor="ole", groups="ops")
    (gate,) = shown(world)["timeline"][0]["gates"]
    assert (gate["state"], gate["who"], gate["missing"]) == ("done", ["pia for product", "ole for ops"], [])


def test_two_groups_are_both_named_as_those_who_may():
    world = World().begin(by=plan(approve=asked("product", "ops")))
    (item,) = shown(world)["waiting"]
    assert item["who"] == "a member of product and one of ops, not ann"
    assert shown(world)["next"]["if"] == "product and ops approve"


def test_an_approval_that_was_skipped_shows_by_whom_and_what_was_missing():
    world = World().begin(by=plan(approve=asked("product")))
    world.act("skip", reason="nobody there")
    (gate,) = shown(world)["timeline"][0]["gates"]
    assert (gate["state"], gate["who"], gate["missing"]) == ("skipped", ["ben"], ["product"])


def test_an_approval_of_a_step_taken_stays_done_after_its_time():
    world = World().begin(by=plan((10, 7200), (100, 0), approve=asked("product")))
    world.act("approve", actor="pia", groups="product")
    world.later(5000)
    (gate,) = shown(world)["timeline"][0]["gates"]
    assert (gate["state"], gate["who"]) == ("done", ["pia for product"])


def test_a_later_approval_stands_in_the_way_of_what_can_be_foretold():
    late = (Step(Decimal(10), 60), Step(Decimal(50), 60, approve=asked("product")), Step(Decimal(100), 60))
    world = World().begin(by=Plan("careful", late))
    found = shown(world)
    assert found["next"] == {"text": "step 2 of 3: 50 % to green", "at": NOW + 60, "if": "product approves"}
    assert [stage["expected"] for stage in found["timeline"]] == [None, None, None]
    assert gates(found, 1) == [("approval", "to_come")]
    world.act("approve", actor="pia", groups="product")
    found = shown(world)
    assert [stage["expected"] for stage in found["timeline"]] == [None, NOW + 60, NOW + 120]
    assert gates(found, 1) == [("approval", "done")]


def test_waiting_before_a_later_step_is_at_the_weight_of_the_last():
    late = (Step(Decimal(10), 60), Step(Decimal(100), 60, approve=asked("product")))
    world = World().begin(by=Plan("careful", late))
    world.later(60)
    found = shown(world)
    assert found["headline"] == "waiting before step 2 of 2"
    assert (stage_words(found), found["hold"]) == (["done", "now"], None)
    assert [(stage["from"], stage["to"]) for stage in found["timeline"]] == [(NOW, None), (None, None)]
    assert found["moves"][0]["split"]["green"] == 10


def test_a_pause_of_the_plan_names_who_ended_it():
    paused = (Step(Decimal(10), 0), Step(Decimal(100), 60, pause=True))
    world = World().begin(by=Plan("careful", paused))
    found = shown(world)
    assert gates(found, 1) == [("pause", "now")]
    assert found["next"] == {"text": "step 2 of 2: 100 % to green", "at": None, "if": "somebody resumes it"}
    world.passed(5)
    world.act("resume", reason="looks good")
    (gate,) = shown(world)["timeline"][1]["gates"]
    assert (gate["state"], gate["who"], gate["at"]) == ("done", ["ben"], NOW + 5)


def test_a_moment_and_a_window_say_when_they_open():
    world = World(now=MONDAY_NOON, steady=MONDAY_NOON)
    at = MONDAY_NOON + 6 * HOUR  # Monday 18:00, when the window is closed
    world.begin(by=plan(window=OFFICE, at=at))
    found = shown(world)
    tuesday = MONDAY_NOON + 21 * HOUR
    assert [(item["kind"], item["until"]) for item in found["waiting"]] == [("time", at)]
    assert found["next"] == {"text": "step 1 of 3: 10 % to green", "at": tuesday, "if": ""}
    time, window = found["timeline"][0]["gates"]
    assert (time["text"], time["state"], time["until"]) == ("not before Mon 2023-11-20 18:00 UTC", "now", at)
    assert (window["text"], window["state"]) == ("the window Mon Tue Wed Thu Fri 09:00-16:00 UTC", "done")
    assert found["timeline"][0]["expected"] == tuesday
    world.later(7 * HOUR)
    found = shown(world)
    assert gates(found) == [("time", "done"), ("window", "now")]
    assert found["timeline"][0]["gates"][1]["until"] == tuesday
    assert found["waiting"][0]["who"] == "it opens by itself; an operator may skip it"
    world.act("skip", reason="tonight it is quiet")
    found = shown(world)
    assert gates(found) == [("time", "done"), ("window", "skipped")]


def test_a_freeze_shows_only_while_it_is_waited_for():
    world = World(now=MONDAY_NOON, steady=MONDAY_NOON)
    until = MONDAY_NOON + 2 * HOUR
    world.begin(by=plan((10, 60), (100, 60)))
    assert gates(shown(world), 1) == []
    world.says(Releasing(freezes=(Freeze("the sale", None, until),)))
    found = shown(world)
    assert found["next"]["at"] == until, "the freeze is foretold"
    world.later(60)
    found = shown(world)
    assert gates(found, 1) == [("freeze", "now")]
    assert [(item["kind"], item["detail"]) for item in found["waiting"]] == [
        ("freeze", "the end of a freeze (the sale)")
    ]


def test_a_freeze_without_an_end_is_what_has_to_happen_first():
    world = World().begin(by=plan((10, 60), (100, 60)))
    world.says(Releasing(freezes=(Freeze("for ever"),)))
    world.later(60)
    found = shown(world)
    assert found["next"] == {"text": "step 2 of 2: 100 % to green", "at": None, "if": "the freeze ends"}
    assert found["timeline"][1]["expected"] is None


# The judge


def test_a_verdict_that_lets_nothing_pass_holds_on_beyond_the_hold():
    world = World().begin()
    world.do(world.judging("not_enough_data"))
    world.later(90)
    found = shown(world)
    assert (found["hold"]["over"], found["hold"]["until"]) == (90, None)
    assert found["next"] == {"text": "step 2 of 3: 50 % to green", "at": None, "if": "the verdict lets it pass"}
    assert found["verdict"]["kind"] == "not_enough_data"
    assert {stage["expected"] for stage in found["timeline"]} == {None}


def test_a_verdict_that_changed_after_the_hold_is_waited_for_and_named():
    second = replace(plan().steps[1], approve=asked("product"))
    by = plan(analysis=Analysis())
    world = World().begin(by=replace(by, steps=(by.steps[0], second, by.steps[2])))
    world.do(world.judging("collecting", passes=True))
    world.later(60)
    world.do(world.judging("suspicious", passes=True))
    world.act("approve", groups="product")
    found = shown(world)
    assert [(item["kind"], item["who"]) for item in found["waiting"]] == [
        ("judge", "it opens with the next verdict that passes; an operator may skip it with a reason")
    ]
    assert found["waiting"][0]["detail"] == "a verdict that lets it go on: the judge says suspicious: suspicious"
    assert found["next"]["if"] == "the verdict lets it pass"
    assert gates(found, 1) == [("approval", "done"), ("judge", "now")]
    assert {stage["expected"] for stage in found["timeline"]} == {None}
    assert "promote" not in found["allowed"]


def test_a_release_that_is_over_does_not_say_what_is_stable_now():
    world = World().begin(by=plan((100, 0), retain=60.0))
    assert shown(world)["headline"] == "promoted: green is stable"
    world.later(60)
    world.do(Rollback(actor="ann", service="shop"))
    assert world.stable() == "blue"
    assert shown(world)["headline"] == "promoted: green became stable"


# Several, and later ones


def test_several_services_are_named_each_with_its_own_move():
    world = World().begin(services={"shop": "green", "cart": "red"}, by=plan(verify=(HEALTHZ,)))
    found = shown(world)
    assert [(move["service"], move["to"]) for move in found["moves"]] == [("shop", "green"), ("cart", "red")]
    assert found["next"]["if"] == "2 checks pass"
    assert found["timeline"][0]["gates"][0]["text"] == "2 checks: http /healthz"
    assert service(world, "cart")["release"]["to"] == "red"


def test_an_older_release_says_nothing_of_the_present_split():
    world = World().begin()
    world.act("abort")
    before = world.release
    world.begin(to="red")
    found = release_views.full(world.state, before, look(world))
    Release.model_validate(found)
    assert found["moves"][0]["split"] is None
    assert (found["allowed"], found["next"], found["waiting"]) == ([], None, [])
    assert shown(world)["moves"][0]["split"]["red"] == 10


def test_a_service_says_what_is_being_released_and_what_is_kept():
    world = World()
    assert service(world) == {"release": None, "retained": None}
    world.begin(by=plan(approve=asked("product")))
    found = service(world)
    assert found["retained"] is None
    assert found["release"] == {
        "id": world.release.id,
        "state": "waiting",
        "headline": "waiting before step 1 of 3",
        "to": "green",
        "next": {"text": "step 1 of 3: 10 % to green", "at": None, "if": "product approves"},
        "waiting": ["approval by product"],
        "verdict": None,
    }
    world.act("approve", actor="pia", groups="product")
    world.later(60).later(60).later(60)
    assert service(world) == {"release": None, "retained": {"version": "blue", "until": world.release.retained_until}}
    world.later(HOUR)
    assert service(world) == {"release": None, "retained": None}


def test_the_five_answers_are_five_in_their_order():
    found = shown(World().begin())
    assert [each["key"] for each in found["answers"]] == ["verified", "trigger", "hidden", "decides", "deployed"]
    assert all("\n" not in each["answer"] and each["answer"] for each in found["answers"])


# Plans


def test_a_plan_is_shown_in_words_and_whole():
    found = Plan(
        "careful",
        (Step(Decimal("0.5"), 300, approve=asked("product"), verify=(SMOKE,)), *steps((100, 60))),
        verify=(Check(http=HttpCheck("/healthz")),),
        window=OFFICE,
        at=NOW,
    )
    shown = plan_views.plan(found)
    assert (shown["verify"], shown["seconds"]) == (["http /healthz"], 360)
    assert shown["steps"][0] == {
        "weight": 0.5,
        "hold": 300,
        "approve": {"groups": ["product"], "expires": 3600.0},
        "pause": False,
        "verify": ["http /smoke"],
    }
    assert shown["window"] == {
        "days": ["mon", "tue", "wed", "thu", "fri"],
        "hours": "09:00-16:00",
        "timezone": "UTC",
        "text": "Mon Tue Wed Thu Fri 09:00-16:00 UTC",
    }
    assert codec.load(Plan, shown["definition"]) == found


@pytest.mark.parametrize(
    ("freeze", "in_force", "ends", "text"),
    [
        (Freeze("x", None, MONDAY_NOON + HOUR), True, MONDAY_NOON + HOUR, "until Mon 2023-11-20 13:00 UTC"),
        (Freeze("x", MONDAY_NOON + HOUR), False, None, "from Mon 2023-11-20 13:00 UTC"),
        (Freeze("x"), True, None, "always"),
        (Freeze("x", window=OFFICE, services=("cart",)), True, MONDAY_NOON + 4 * HOUR, "Mon Tue Wed Thu Fri"),
    ],
)
def test_a_freeze_says_whether_it_is_in_force_and_until_when(freeze, in_force, ends, text):
    world = World().says(Releasing({"careful": plan()}, {"shop": "careful"}, {"all": Group(("shop",))}, (freeze,)))
    document = plan_views.plans(world.state, MONDAY_NOON, utc)
    Plans.model_validate(document)
    (found,) = document["freezes"]
    assert (found["in_force"], found["ends"]) == (in_force, ends)
    assert found["text"].startswith(text)
    assert document["defaults"] == {"shop": "careful"}
    assert document["groups"] == {"all": {"services": ["shop"], "plan": None}}
