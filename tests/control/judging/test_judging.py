"""Releases with an analysis are judged from their first step to their end, and are told what is news."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.control.judging import course
from gatekeeper.core.command import Refused, Reload, SetSplit
from gatekeeper.core.model import Sticky, StickyMode
from gatekeeper.core.release.commands import Verb
from gatekeeper.core.release.plan import Approval, OnFail
from tests.control.judging.stage import SHOPS, asked, part, plan, unit


async def test_workers_are_told_what_to_record_when_the_first_step_is_taken_and_not_before(stage):
    waiting = plan()
    steps = (replace(waiting.steps[0], approve=Approval(("ops",))), *waiting.steps[1:])
    await stage.start(replace(waiting, steps=steps))
    assert stage.crew.sent == []
    await stage.act(Verb.SKIP)
    assert stage.release.step == 0
    [[case]] = stage.crew.sent
    assert case == {
        "release": stage.release.id,
        "service": "shop",
        "stable": "blue",
        "candidate": "green",
        "units": False,
        "origin": stage.world.clock.monotonic(),
        "tolerate": [0.05, 0.002],
        "slow": None,
        "routes": [],
        "seen": None,
    }


async def test_a_release_without_an_analysis_is_nobodys(stage):
    release = await stage.start(plan(analysis=None))
    await stage.settled()
    assert stage.crew.sent == []
    assert stage.judging.verdicts(release.id) == ()


async def test_labels_that_stick_come_with_the_memory_of_units(stage):
    release = await stage.start(users="new")
    case = stage.crew.case("users")
    assert case["units"] is True
    assert case["seen"] == f"{stage.world.path}.judge/{release.id}-users.units"


async def test_a_candidate_that_fails_is_rolled_back_with_the_first_look_that_proves_it(stage):
    await stage.start()
    await stage.seconds(3)
    assert stage.release.verdict.kind == "collecting"
    await stage.second((20, 0), (20, 15))
    assert stage.release.state.value == "rolled_back"
    assert "odds against luck" in stage.release.reason
    [told] = await stage.events("release_rolled_back")
    assert told["actor"] == "judge"
    assert stage.crew.sent[-1] == []


async def test_a_candidate_that_is_as_good_passes_and_the_hold_may_end(stage):
    await stage.start()
    await stage.seconds(10, (200, 0), (200, 0))
    assert stage.release.verdict.kind == "passed"
    assert stage.release.verdict.passes
    stage.world.clock.advance(600)
    await stage.advance()
    assert stage.release.step == 1


async def test_equal_failures_are_held_against_nobody(stage):
    await stage.start()
    for _ in range(30):
        await stage.second((20, 2), (20, 2))
    assert stage.release.state.value == "progressing"


async def test_numbers_that_grow_make_no_revision(stage):
    await stage.start()
    await stage.second()
    revision = stage.world.controller.state.revision
    await stage.seconds(20)
    assert stage.verdict().numbers.requests == (420, 420)
    assert stage.world.controller.state.revision <= revision + 1  # passed, at the most


async def test_all_workers_are_waited_for_and_counted_together(stage):
    stage.crew.serving[:] = [11, 12]
    await stage.start()
    stage.world.clock.advance(1.0)
    stage.say(part(0, (5, 0), (5, 0)))
    stage.judging.look()
    assert stage.verdict().numbers.requests == (0, 0)
    stage.say(part(0, (7, 0), (9, 0)), worker=12)
    stage.judging.look()
    assert stage.verdict().numbers.requests == (12, 14)


async def test_a_worker_that_hangs_or_dies_holds_nobody_up_for_long(stage):
    stage.crew.serving[:] = [11, 12]
    await stage.start()
    await stage.second()
    for _ in range(14):
        await stage.second()
    assert stage.verdict().numbers.requests[0] >= 20  # what 12 had is missing
    stage.crew.serving[:] = [11, 13]
    await stage.second()
    stage.say(worker=13)
    stage.judging.look()
    assert stage.verdict().numbers.requests == (320, 320)


async def test_several_services_share_the_chance_of_a_false_alarm_and_have_one_verdict(stage):
    await stage.start(shop="green", cart="v2")
    await stage.second()
    await stage.second(service="cart")
    assert {case["service"] for case in stage.crew.sent[-1]} == {"shop", "cart"}
    shop, cart = stage.judging.verdicts(stage.release.id)
    assert (shop.analysis.services, cart.analysis.services) == (2, 2)
    assert shop.verdict.bar == cart.verdict.bar == pytest.approx(100)
    await stage.second((20, 0), (20, 18), service="cart")
    assert stage.release.state.value == "rolled_back"
    assert stage.release.reason.startswith("cart: ")


async def test_the_verdict_of_several_services_is_the_worst_of_theirs(stage):
    await stage.start(shop="green", cart="v2")
    for _ in range(10):
        await stage.second((200, 0), (200, 0))
        await stage.second((200, 0), (200, 0), service="cart") if _ < 2 else None
    assert stage.verdict("shop").kind == "passed"
    assert stage.verdict("cart").kind == "collecting"
    assert stage.release.verdict.kind == "collecting"


async def test_a_refused_rollback_is_tried_again_until_it_is_taken(stage, monkeypatch):
    await stage.start()
    await stage.seconds(2)
    tries = []
    submit = stage.world.controller.submit

    async def refusing(command, **more):
        tries.append(command.verdict.kind)
        if len(tries) < 5:
            raise Refused(503, "store_failed", "the disk is full", "free space")
        return await submit(command, **more)

    monkeypatch.setattr(stage.world.controller, "submit", refusing)
    await stage.second((20, 0), (20, 18))
    waits = 0
    while len(tries) < 5:
        stage.world.clock.advance(1.0)
        waits += 1
        stage.judging.look()
        await stage.settled()
    assert set(tries) == {"rollback"}
    assert stage.release.state.value == "rolled_back"
    assert waits == 1 + 2 + 4 + 8


async def test_no_wait_between_two_tries_is_long(stage):
    assert course.AGAIN_MOST <= 15
    await stage.start()
    refused = 0

    async def refusing(*_, **__):
        nonlocal refused
        refused += 1
        raise Refused(503, "busy", "busy", "wait")

    stage.world.controller.submit = refusing
    await stage.second((20, 0), (20, 18))
    for _ in range(200):
        stage.world.clock.advance(1.0)
        stage.judging.look()
        await stage.settled()
    assert refused >= 200 / course.AGAIN_MOST


async def test_a_pause_by_the_plan_is_asked_for_once(stage):
    await stage.start(plan(on_fail=OnFail.PAUSE))
    await stage.seconds(2)
    await stage.second((20, 0), (20, 18))
    assert stage.release.state.value == "paused"
    assert stage.release.verdict.kind == "rollback"
    revision = stage.world.controller.state.revision
    await stage.seconds(10)
    assert stage.world.controller.state.revision == revision


async def test_a_paused_release_is_judged_on_and_taken_back(stage):
    await stage.start()
    await stage.seconds(2)
    await stage.act(Verb.PAUSE)
    await stage.second((20, 0), (20, 18))
    assert stage.release.state.value == "rolled_back"


async def test_what_comes_after_the_end_of_a_release_is_nobodys(stage):
    release = await stage.start()
    await stage.seconds(2)
    await stage.act(Verb.ABORT)
    stage.judging.hear(11, {"type": "seconds", "of": [[release.id, "shop", 2, [part(2, (9, 0), (9, 9))]]]})
    stage.judging.look()
    await stage.settled()
    assert stage.judging.verdicts(release.id) == ()
    [standing] = await stage.judging.recorded(release.id)
    assert standing.verdict.numbers.requests == (40, 40)
    assert (standing.service, standing.stable, standing.candidate) == ("shop", "blue", "green")


async def test_the_step_to_everything_is_held_for_guards_and_needs_no_comparison(stage):
    await stage.start()
    await stage.seconds(10, (200, 0), (200, 0))
    stage.world.clock.advance(600)
    await stage.advance()
    assert stage.release.step == 1
    # Since nobody had said anything for ten minutes, these come to nothing.
    for _ in range(20):
        await stage.second((0, 0), (40, 0), weight=1.0)
    assert stage.release.verdict.kind == "passed"
    assert "only absolute guards" in stage.verdict().sentence or "no absolute guard" in stage.verdict().sentence


async def test_a_deadline_of_a_hold_makes_collecting_not_enough_data(stage):
    await stage.start(plan(analysis=asked(deadline=600.0)))
    await stage.seconds(3, (1, 0), (1, 0))
    assert stage.release.verdict.kind == "collecting"
    stage.world.clock.advance(600)
    await stage.second((1, 0), (1, 0))
    assert stage.release.verdict.kind == "not_enough_data"
    assert not stage.release.verdict.passes


async def test_what_a_verdict_is_asked_may_change_without_a_new_second(stage):
    await stage.start(plan(analysis=asked(deadline=600.0)))
    await stage.seconds(3, (1, 0), (1, 0))
    stage.world.clock.advance(600)
    stage.judging.look()
    await stage.settled()
    assert stage.verdict().kind == stage.release.verdict.kind == "not_enough_data"


async def test_a_weight_set_under_way_is_in_what_workers_say_and_changes_nothing_here(stage):
    await stage.start(plan(10, 100))
    await stage.seconds(3, (90, 0), (10, 0), weight=0.1)
    await stage.seconds(3, (50, 0), (50, 0), weight=0.5)
    assert stage.verdict().numbers.weight == 0.5
    assert stage.verdict().kind == "collecting"


async def test_a_reload_leaves_a_release_as_it_is_judged_but_for_its_units(stage):
    await stage.start(users="new")
    case = stage.crew.case("users")
    part_of = {
        "at": 0,
        "cells": [[0.5, [3, 0, 0, 0, []], [2, 0, 0, 0, []], {}]],
        "units": [unit(7, candidate=True, failed=False)],
    }
    stage.world.clock.advance(1.0)
    stage.say(part_of, service="users")
    stage.judging.look()
    edited = replace(SHOPS, services={**SHOPS.services, "shop": replace(SHOPS.services["shop"], skew=5.0)})
    await stage.world.controller.submit(Reload(actor="x", definition=edited, entropy="ef" * 32, from_file=True))
    await stage.settled()
    assert stage.crew.sent[-1] == [case]
    assert stage.verdict("users").kind == "collecting"
    other = replace(SHOPS.services["users"], sticky=Sticky(mode=StickyMode.NONE))
    edited = replace(SHOPS, services={**SHOPS.services, "users": other})
    await stage.world.controller.submit(Reload(actor="x", definition=edited, entropy="ef" * 32, from_file=True))
    await stage.settled()
    stage.world.clock.advance(1.0)
    stage.say({**part_of, "at": 1}, service="users")
    stage.judging.look()
    await stage.settled()
    assert stage.release.verdict.kind == "invalid"
    assert "sticky" in stage.release.verdict.sentence


async def test_a_service_that_is_judged_no_more_is_no_longer_recorded(stage):
    await stage.start()
    await stage.second()
    without = replace(SHOPS, services={name: one for name, one in SHOPS.services.items() if name != "shop"})
    await stage.world.controller.submit(Reload(actor="x", definition=without, entropy="ef" * 32, from_file=True))
    await stage.settled()
    assert stage.crew.sent[-1] == []


async def test_what_cannot_be_read_ends_the_comparison_of_that_service_and_no_other(stage):
    await stage.start(shop="green", cart="v2")
    stage.world.clock.advance(1.0)
    stage.say({"at": "soon"})
    for odd in (None, [], [1], [stage.release.id, "shop", "x", []], [[], {}, 0, []]):
        stage.judging.hear(11, {"type": "seconds", "of": [odd]})
    stage.judging.hear(11, {"type": "seconds", "of": None})
    stage.judging.hear(11, {"type": "routes", "of": None})
    stage.judging.look()
    await stage.settled()
    assert stage.verdict("shop").kind == "invalid"
    assert stage.verdict("cart").kind == "collecting"


async def test_the_busiest_routes_before_the_release_are_looked_at_apart(stage):
    many = {f"/r{number}": 100 - number for number in range(20)}
    stage.judging.hear(11, {"type": "routes", "of": {"shop": many, "nobody": {"/x": 1}}})
    await stage.start()
    assert stage.crew.case()["routes"] == [f"/r{number}" for number in range(8)]
    assert stage.judging.routes("nobody") == ()


async def test_routes_that_were_named_are_those(stage):
    stage.judging.hear(11, {"type": "routes", "of": {"shop": {"/busy": 9}}})
    await stage.start(plan(analysis=asked(routes=("/checkout",))))
    assert stage.crew.case()["routes"] == ["/checkout"]


async def test_odds_can_be_had_at_any_time(stage):
    assert stage.judging.odds("shop") is None
    await stage.start()
    await stage.second((20, 0), (20, 4))
    odds, bar = stage.judging.odds("shop")
    assert odds > 1
    assert bar == pytest.approx(100)
    assert stage.judging.odds("cart") is None


async def test_verdicts_on_the_edge_make_few_revisions(stage):
    await stage.start()
    await stage.second()
    real = stage.judging._courses[stage.release.id].cases["shop"]
    before = stage.world.controller.state.revision
    for number in range(40):
        await stage.second()
        kind = "passed" if number % 2 else "collecting"
        real.verdict = replace(real.verdict, kind=type(real.verdict.kind)(kind))
        stage.judging._look_at(stage.judging._courses[stage.release.id], stage.release, [11])
        await stage.settled()
    assert stage.world.controller.state.revision - before <= 2 * 40 / course.CALM_SECONDS


async def test_a_new_release_begins_anew(stage):
    first = await stage.start()
    await stage.second((20, 0), (20, 2))
    await stage.act(Verb.ABORT)
    second = await stage.start()
    assert second.id != first.id
    assert stage.verdict().numbers.requests == (0, 0)


async def test_a_split_by_hand_is_still_refused_while_it_is_judged(stage):
    await stage.start()
    order = SetSplit(actor="a", service="shop", weights={"blue": Decimal(1), "green": Decimal(1)}, salt="ab" * 16)
    with pytest.raises(Refused):
        await stage.world.controller.submit(order)


async def test_a_judge_that_hears_nothing_says_nothing_and_then_lets_nothing_pass(stage):
    await stage.start(plan(10, 50, 100, hold=60.0))
    stage.world.clock.advance(20.0)
    stage.judging.look()
    await stage.settled()
    await stage.advance()
    assert stage.release.verdict is None
    await stage.second()
    assert (stage.release.verdict.kind, stage.release.verdict.passes) == ("collecting", True)
    stage.world.clock.advance(course.DEAF_SECONDS + 1)
    stage.judging.look()
    await stage.settled()
    assert (stage.release.verdict.kind, stage.release.verdict.passes) == ("collecting", False)
    assert "nothing was recorded for 3" in stage.release.verdict.sentence
    stage.world.clock.advance(3600)
    await stage.advance()
    assert stage.release.step == 0
    await stage.second()
    await stage.advance()
    assert stage.release.step == 1


async def test_seconds_without_traffic_are_not_silence(stage):
    await stage.start(plan(10, 50, 100, hold=60.0))
    for _ in range(90):
        stage.world.clock.advance(1.0)
        stage.say()
        stage.judging.look()
    await stage.settled()
    await stage.advance()
    assert stage.release.step == 1
