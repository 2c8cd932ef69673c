"""Time in a release: holds over pauses, restarts and clocks that jump; windows, freezes, and when to look next."""

import json
from dataclasses import replace

import pytest

from gatekeeper.core.codec import load
from gatekeeper.core.command import TripVersion
from gatekeeper.core.model import Releasing, State
from gatekeeper.core.release.due import next_due
from gatekeeper.core.release.model import ReleaseState
from gatekeeper.core.release.plan import Freeze, Window
from tests.core.releases import World, asked, plan
from tests.core.states import NOW, refusal, service, split_to, start, written

S = ReleaseState
HOUR, DAY = 3600.0, 86400.0
# NOW is Tuesday 2023-11-14, 22:13:20 UTC.
NIGHTS = Window((0, 1, 2, 3), 22 * 60, 23 * 60)


def restarted(world: World, wall: float) -> World:
    """Another process, at that wall time, with what the store kept; its steady clock begins as a runner begins it."""
    state = load(State, json.loads(written(world.state)))
    assert state == world.state
    seen = max(item.seen for item in state.releases.values())
    return replace(world, state=state, now=wall, steady=max(wall, seen))


def due(world: World) -> float | None:
    return next_due(world.state, world.release, world.now, world.offset, world.steady)


def test_a_hold_is_over_when_its_time_is_and_not_before():
    world = World().begin()
    world.later(59.9)
    assert world.at == (S.PROGRESSING, 0)
    world.later(0.1)
    assert (world.at, world.weight()) == ((S.PROGRESSING, 1), 50)
    assert world.kinds == ["step"]


def test_looking_before_anything_is_due_makes_no_revision():
    world = World().begin()
    before = world.state
    for _ in range(5):
        world.later(10)
    assert world.state is before


def test_a_pause_does_not_count():
    world = World().begin()
    world.passed(20).act("pause")
    world.later(1000)
    assert (world.at, world.release.held) == ((S.PAUSED, 0), 20)
    world.act("resume")
    world.later(39)
    assert world.at == (S.PROGRESSING, 0)
    world.later(1)
    assert world.at == (S.PROGRESSING, 1)
    assert world.release.held == 0


def test_several_pauses_add_up():
    world = World().begin()
    for _ in range(3):
        world.passed(15).act("pause")
        world.passed(100).act("resume")
    world.later(14)
    assert world.at == (S.PROGRESSING, 0)
    world.later(1)
    assert world.at == (S.PROGRESSING, 1)


@pytest.mark.parametrize("jump", [-DAY, -10.0, 10.0, DAY, 400 * DAY])
def test_a_wall_clock_that_jumps_neither_shortens_nor_lengthens_a_hold(jump):
    world = World().begin()
    world.passed(30)
    world.now += jump
    world.advance()
    assert world.at == (S.PROGRESSING, 0)
    world.later(29)
    assert world.at == (S.PROGRESSING, 0)
    world.later(1)
    assert world.at == (S.PROGRESSING, 1)


def test_a_jump_that_another_command_saw_does_not_end_a_hold_either():
    world = World(split_to(start(service(), service("cart")), blue=60, red=40)).begin()
    world.passed(30)
    world.now += DAY
    world.do(TripVersion(actor="g", service="shop", version="red", reason="errors"))
    world.now -= DAY
    world.later(29)
    assert world.at == (S.PROGRESSING, 0)
    world.later(1)
    assert world.at == (S.PROGRESSING, 1)


def test_over_a_restart_the_wall_clock_counts():
    world = World().begin()
    world = restarted(world.passed(10), NOW + 50)
    world.advance()
    assert world.at == (S.PROGRESSING, 0)
    world.later(10)
    assert world.at == (S.PROGRESSING, 1)


def test_a_restart_with_a_clock_that_went_back_loses_no_time_for_ever():
    world = World().begin()
    world.later(60)
    assert world.release.seen == NOW + 60
    world = restarted(world, NOW - DAY)
    world.later(59)
    assert world.at == (S.PROGRESSING, 1)
    world.later(1)
    assert world.at == (S.PROGRESSING, 2)


def test_a_restart_in_a_pause_keeps_what_was_over():
    world = World().begin()
    world.passed(45).act("pause")
    world = restarted(world, NOW + DAY)
    world.act("resume")
    world.later(15)
    assert world.at == (S.PROGRESSING, 1)


def test_time_never_runs_backwards_in_a_release():
    world = World().begin(by=plan(approve=asked("product")))
    for steady in (100.0, 50.0, -5000.0, 60.0):
        world.now = world.steady = NOW + steady
        world.act("pause")
        world.act("resume")
    world.act("approve", groups="product")
    times = [entry.at for entry in world.release.log]
    assert times == sorted(times)
    assert world.release.seen == NOW + 100


def test_without_a_steady_clock_the_wall_clock_counts_but_never_backwards():
    world = World().begin()
    world.steady = None
    world.now += 60
    world.advance()
    assert world.at == (S.PROGRESSING, 1)
    world.now -= DAY
    world.advance()
    assert world.at == (S.PROGRESSING, 1)


def test_a_window_that_closes_holds_the_next_step_until_it_opens():
    world = World().begin(by=plan((10, HOUR), (100, 0), window=NIGHTS))
    assert world.at == (S.PROGRESSING, 0)
    world.later(HOUR)  # 23:13
    assert (world.at, world.waits(), world.weight()) == ((S.WAITING, 0), ["window"], 10)
    opens = NOW - 13 * 60 - 20 + DAY
    assert world.release.waiting[0].until == opens
    assert due(world) == opens - world.now
    world.later(opens - world.now - 1)
    assert world.at == (S.WAITING, 0)
    world.later(1)
    assert world.at == (S.PROMOTED, 1)


def test_a_window_that_closes_in_a_hold_does_not_keep_a_release_from_its_promotion():
    world = World().begin(by=plan((100, HOUR), window=NIGHTS))
    world.later(HOUR)
    assert world.at == (S.PROMOTED, 0)


def test_the_wall_clock_decides_about_windows_however_it_got_there():
    world = World(now=NOW + HOUR).begin(by=plan(window=NIGHTS))
    assert world.waits() == ["window"]
    world.now -= HOUR
    world.advance()
    assert world.at == (S.PROGRESSING, 0)


def test_a_freeze_that_begins_in_a_release_holds_the_next_step_and_no_rollback():
    world = World().begin()
    world.says(Releasing(freezes=(Freeze("audit", NOW + 30, NOW + HOUR),)))
    world.later(60)
    assert (world.at, world.waits(), world.weight()) == ((S.WAITING, 0), ["freeze"], 10)
    assert world.release.waiting[0].detail == "the end of a freeze (audit)"
    assert due(world) == HOUR - 60
    assert refusal(world.state, world.acting("promote"), world.now).code == "frozen"
    held = world.state
    world.later(HOUR - 60)
    assert world.at == (S.PROGRESSING, 1)
    world.state = held
    world.act("abort")
    assert world.at == (S.ABORTED, 0)


def test_in_a_freeze_what_holds_everything_already_may_be_promoted():
    world = World().begin(by=plan((100, HOUR)))
    world.says(Releasing(freezes=(Freeze("audit"),)))
    world.act("promote")
    assert world.at == (S.PROMOTED, 0)


def test_the_next_look_is_at_the_end_of_the_hold():
    world = World().begin()
    assert due(world) == 60
    world.passed(20)
    assert due(world) == 40
    world.act("pause")
    assert due(world) is None
    world.passed(100).act("resume")
    assert due(world) == 40
    world.passed(100)
    assert due(world) == 0


def test_the_next_look_is_at_the_time_at_the_expiry_of_approvals_and_at_the_end_of_the_retention():
    world = World().begin(by=plan((100, 0), approve=asked("a", "b", expires=100), retain=500.0), at=NOW + HOUR)
    assert due(world) == HOUR
    world.act("approve", groups="a")
    assert due(world) == 100
    world.act("approve", "eve", groups="b")
    world.passed(10)
    assert due(world) == 90
    world.act("promote")
    assert (world.at, due(world)) == ((S.PROMOTED, 0), 500)
    world.later(500)
    assert due(world) is None


def test_people_checks_and_backends_are_not_looked_for_by_the_clock():
    assert due(World().begin(by=plan(approve=asked("a")))) is None
    assert due(World(ready={"shop": False}).begin()) is None


def test_the_judge_who_does_not_let_a_hold_end_pauses_it_after_max_hold():
    world = World().begin(by=plan(max_hold=200.0))
    world.do(world.judging("collecting"))
    world.later(60)
    assert (world.at, due(world)) == ((S.PROGRESSING, 0), 140)
    world.later(139)
    assert world.at == (S.PROGRESSING, 0)
    world.later(1)
    assert world.at == (S.PAUSED, 0)
    assert world.release.reason == "no verdict let it pass within 3 min 20 s: the judge says collecting: collecting"
    assert world.weight() == 10
    # Who resumes it gives it as long again.
    world.act("resume")
    world.later(139)
    assert world.at == (S.PROGRESSING, 0)
    world.do(world.judging("passed", passes=True))
    assert world.at == (S.PROGRESSING, 1)


def test_a_verdict_that_passes_does_not_end_a_hold_before_its_time():
    world = World().begin()
    world.do(world.judging("passed", passes=True))
    assert world.at == (S.PROGRESSING, 0)
    world.later(60)
    assert world.at == (S.PROGRESSING, 1)


def test_the_retention_ends_with_its_time():
    world = World().begin(by=plan((100, 0), retain=100.0))
    world.later(99)
    assert world.release.retained
    world.now += DAY  # a jump is no time
    world.advance()
    assert world.release.retained
    world.later(1)
    assert (world.release.retained, world.at, world.kinds) == (False, (S.PROMOTED, 0), ["retention_over"])
    assert world.stable() == "green"


def test_a_plan_that_retains_nothing_has_nothing_to_go_back_to():
    world = World().begin(by=plan((100, 0), retain=0.0))
    assert not world.release.retained
