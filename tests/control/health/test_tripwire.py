"""The trip-wire on counters, conditions and a clock in the test's hand."""

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.clock import ManualClock, SystemClock
from gatekeeper.control.health import tripwire
from gatekeeper.control.health.health import Condition
from gatekeeper.control.health.tripwire import LOOK_SECONDS, Decision, Recent, TripWire, Watch
from gatekeeper.core.model import (
    Backend,
    HealthCheck,
    Running,
    Service,
    ServiceState,
    Settings,
    Split,
    State,
    Trip,
    Version,
)
from gatekeeper.core.outcome import Refused

READY, EJECTED, PENDING, DRAINING = Condition.READY, Condition.EJECTED, Condition.PENDING, Condition.DRAINING
TRIP = Trip(errors=0.5, within=1.0, least=20)


def state(trip=TRIP, stable="blue", health=None, **weights):
    split = {name: Decimal(weight) for name, weight in weights.items()}
    versions = {name: Version(name, (Backend("http://10.0.0.1:80"),), health=health) for name in split}
    shop = Service("shop", versions, stable, split, trip=trip)
    return State(1, Settings(), {"shop": ServiceState(shop, Running(Split(split, {}, "00"), "00"))})


class Bench:
    def __init__(self, current):
        self.now, self.wire, self.state = 1000.0, TripWire(), current
        self.counts = dict.fromkeys(("blue", "green", "red"), (0, 0))
        self.conditions = {name: [READY] for name in self.counts}

    def look(self, seconds=LOOK_SECONDS):
        self.now += seconds
        return self.wire.look(
            self.now, self.state, lambda _, version: self.counts[version], lambda _, version: self.conditions[version]
        )

    def answer(self, version, requests, failed=0):
        self.counts[version] = (self.counts[version][0] + requests, self.counts[version][1] + failed)


@pytest.fixture
def bench():
    made = Bench(state(blue=90, green=10))
    made.look()
    return made


# Down


def test_a_version_whose_backends_are_all_ejected_loses_its_weight(bench):
    bench.conditions["green"] = [EJECTED, EJECTED]
    assert bench.look() == [Decision("shop", "green", "all its 2 backends are ejected")]
    bench.conditions["green"] = [EJECTED]
    assert bench.look() == [Decision("shop", "green", "its backend is ejected")]


@pytest.mark.parametrize("others", [[EJECTED, READY], [EJECTED, PENDING], [PENDING], [DRAINING], []], ids="+".join)
def test_a_version_that_may_still_have_a_backend_keeps_its_weight(bench, others):
    bench.conditions["green"] = others
    assert bench.look() == []


def test_after_an_outage_of_both_a_version_has_the_time_that_its_checks_need():
    """Two checks of 2 s, a tenth later at most, each answered within 1 s: 6.4 s. Then it is the version alone."""
    bench = Bench(state(blue=90, green=10, health=HealthCheck()))
    bench.conditions.update(blue=[EJECTED], green=[EJECTED])
    assert bench.look() == []
    bench.conditions["blue"] = [READY]
    assert bench.look() == []
    assert bench.look(6.1) == []
    assert bench.look(0.2) == [Decision("shop", "green", "its backend is ejected")]


def test_a_version_that_fails_after_an_outage_of_both_gets_no_time(bench):
    bench.state = state(blue=90, green=10, health=HealthCheck())
    bench.conditions["blue"] = [EJECTED]
    bench.look()
    bench.conditions["blue"] = [READY]
    bench.answer("green", 20, 20)
    assert [each.reason for each in bench.look()] == ["20 of 20 requests failed within 1 s"]


def test_checks_that_are_hours_apart_do_not_keep_a_version_for_hours(bench):
    bench.state = state(blue=90, green=10, health=HealthCheck(interval=3600))
    bench.conditions.update(blue=[EJECTED], green=[EJECTED])
    bench.look()
    bench.conditions["blue"] = [READY]
    assert bench.look(29) == []
    assert bench.look(2)


@pytest.mark.parametrize("stable", [[EJECTED], [PENDING], [DRAINING]])
def test_nobody_is_moved_to_a_stable_version_without_a_ready_backend(bench, stable):
    bench.conditions.update(blue=stable, green=[EJECTED])
    bench.answer("green", 100, 100)
    assert bench.look() == []


# Errors


@pytest.mark.parametrize(
    ("requests", "failed", "trips"),
    [(20, 10, True), (20, 9, False), (19, 19, False), (2000, 1000, True), (20, 20, True)],
)
def test_both_the_part_and_the_number_must_be_reached(bench, requests, failed, trips):
    bench.answer("green", requests, failed)
    reason = f"{failed} of {requests} requests failed within 1 s"
    assert bench.look() == ([Decision("shop", "green", reason)] if trips else [])


def test_failures_add_up_within_the_time_and_not_beyond_it():
    found = {}
    for pause in (0.2, 0.6):
        bench = Bench(state(blue=90, green=10))
        bench.look()
        found[pause] = []
        for _ in range(6):
            bench.answer("green", 5, 5)
            found[pause] += bench.look(pause)
    assert found[0.2][0].reason == "20 of 20 requests failed within 1 s"
    assert found[0.6] == []


@pytest.mark.parametrize(
    ("requests", "failed", "trips"), [(0, 0, True), (100, 49, True), (100, 50, False), (4, 2, False), (4, 1, True)]
)
def test_where_stable_does_as_badly_at_the_same_time_it_is_not_the_version(bench, requests, failed, trips):
    bench.answer("green", 20, 20)
    bench.answer("blue", requests, failed)
    assert bool(bench.look()) is trips


def test_a_bad_time_of_stable_that_is_over_excuses_nobody(bench):
    bench.answer("blue", 100, 100)
    for _ in range(6):
        bench.look()
    bench.answer("green", 20, 20)
    assert bench.look()


def test_what_was_counted_before_a_version_had_weight_counts_for_nothing():
    bench = Bench(state(blue=100, green=0))
    bench.answer("green", 1000, 1000)
    assert bench.look() == []
    bench.state = state(blue=90, green=10)
    assert bench.look() == []
    bench.answer("green", 19, 19)
    assert bench.look() == []
    bench.answer("green", 1, 1)
    assert bench.look()
    bench.state = state(blue=100, green=0)
    bench.look()
    bench.state = state(blue=90, green=10)
    assert bench.look() == []


def test_counters_that_went_back_begin_anew(bench):
    bench.answer("green", 100, 0)
    bench.look()
    bench.counts["green"] = (30, 30)
    assert bench.look() == []
    bench.answer("green", 20, 20)
    assert bench.look()


# Who is watched


def test_stable_is_never_tripped_and_neither_is_who_holds_no_weight():
    bench = Bench(state(blue=50, green=0, red=50, stable="red"))
    bench.look()
    bench.conditions.update(green=[EJECTED], blue=[EJECTED])
    bench.answer("red", 100, 0)
    bench.answer("green", 100, 100)
    assert [decision.version for decision in bench.look()] == ["blue"]


def test_each_of_several_versions_is_judged_by_itself():
    bench = Bench(state(blue=50, green=25, red=25))
    bench.look()
    bench.answer("green", 20, 20)
    bench.answer("red", 20, 0)
    assert [decision.version for decision in bench.look()] == ["green"]


def test_switched_off_it_trips_nobody():
    bench = Bench(state(trip=None, blue=90, green=10))
    bench.look()
    bench.conditions["green"] = [EJECTED]
    bench.answer("green", 100, 100)
    assert bench.look() == []
    assert bench.wire._recent == {}


@given(st.lists(st.tuples(st.floats(0.05, 3.0), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=60))
def test_the_window_holds_what_came_lately_and_not_much_more(steps):
    recent, now, answers, failed = Recent(), 1000.0, 0, 0
    recent.sample(now, 0, 0, 1.0)
    history = [(now, 0, 0)]
    for pause, well, ill in steps:
        now, answers, failed = now + pause, answers + well + ill, failed + ill
        history.append((now, answers, failed))
        found = recent.sample(now, answers, failed, 1.0)
        whole = [(answers - a, failed - f) for at, a, f in history if at <= now - 1.0] or [(answers, failed)]
        assert found[0] <= whole[-1][0]
        assert found[1] <= whole[-1][1]
        for at, a, f in history:
            if at > now - 1.0 + LOOK_SECONDS / 4:
                assert found[0] >= answers - a
                assert found[1] >= failed - f
        assert len(recent._samples) <= 22


# The loop


class World:
    def __init__(self, refusal=None):
        self.state, self.refusal, self.asked = state(blue=90, green=10), refusal, []
        self.conditions = {"blue": [READY], "green": [READY]}
        self.hold = None
        self.watch = Watch(
            lambda: self.state, lambda *_: (0, 0), lambda _, v: self.conditions[v], self.submit, SystemClock()
        )

    async def submit(self, command, *, via):
        assert (command.actor, via) == ("trip-wire", "gatekeeper")
        self.asked.append(command)
        if self.hold is not None:
            await self.hold.wait()
        if self.refusal is not None:
            raise self.refusal
        self.state = state(blue=100, green=0)


async def running(world, seconds):
    task = asyncio.create_task(world.watch.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_last_backends_ejection_is_seen_at_once():
    world = World()
    task = asyncio.create_task(world.watch.run())
    await asyncio.sleep(LOOK_SECONDS / 2)
    world.conditions["green"] = [EJECTED]
    world.watch.look_soon()
    await asyncio.sleep(0.02)
    assert [command.version for command in world.asked] == ["green"]
    await asyncio.sleep(LOOK_SECONDS * 2)
    assert len(world.asked) == 1
    task.cancel()


async def test_a_decision_that_takes_its_time_is_not_asked_for_twice():
    world = World()
    world.hold = asyncio.Event()
    world.conditions["green"] = [EJECTED]
    await running(world, LOOK_SECONDS * 3)
    assert len(world.asked) == 1
    world.hold.set()


async def test_a_refused_decision_is_asked_for_again_after_a_while_and_said_now_and_then(caplog, monkeypatch):
    monkeypatch.setattr(tripwire, "AGAIN_SECONDS", LOOK_SECONDS * 1.5)
    world = World(Refused(503, "store_failed", "the disk is full", "free space"))
    world.conditions["green"] = [EJECTED]
    await running(world, LOOK_SECONDS * 6.5)
    assert 3 <= len(world.asked) <= 5, "not at each of the looks"
    said = [record for record in caplog.records if record.name == "gatekeeper.tripwire"]
    assert [record.refusal for record in said] == ["the disk is full; allowed: free space"]


async def test_conditions_that_change_all_the_time_do_not_make_it_spin(monkeypatch):
    looks = []
    monkeypatch.setattr(tripwire.TripWire, "look", lambda *_: looks.append(1) or [])
    watch = Watch(lambda: state(blue=1), lambda *_: (0, 0), lambda *_: [], None, ManualClock())
    task = asyncio.create_task(watch.run())
    for _ in range(100):
        watch.look_soon()
        await asyncio.sleep(0.002)
    task.cancel()
    assert len(looks) <= 8
