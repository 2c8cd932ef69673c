"""Versions that leave: who is told, how long, and what is reported, with workers that are futures."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.channel import Decoder
from gatekeeper.clock import ManualClock
from gatekeeper.control.health import departures as module
from gatekeeper.control.health.departures import Departures
from gatekeeper.core.model import Backend, Running, Service, ServiceState, Settings, Split, State, Timeouts, Version


def state(*versions, name="shop", draining=None, drain=30.0):
    split = {each: Decimal(100 if each == versions[0] else 0) for each in versions}
    found = {each: Version(each, (Backend("http://10.0.0.1:80"),)) for each in versions}
    shop = Service(name, found, versions[0], split, timeouts=Timeouts(drain=drain))
    running = Running(Split(split, {}, "00"), "00", draining=draining or {})
    return State(1, Settings(), {name: ServiceState(shop, running)})


class Worker:
    def __init__(self):
        self.told, self.futures = [], []

    def send(self, frame):
        self.told += Decoder().feed(frame)

    def leaving(self, service, version):
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]


class Bench:
    def __init__(self):
        self.clock, self.events, self.workers = ManualClock(), [], [Worker(), Worker()]
        self.departures = Departures(self.events.append, lambda: self.workers, self.clock)
        self.now = self.clock.wall()

    def told(self):
        assert self.workers[0].told == self.workers[1].told
        return [(each["service"], each["version"], each["seconds"]) for each in self.workers[0].told]

    async def answer(self, *results):
        for worker, result in zip(self.workers, results, strict=True):
            worker.futures[-1].set_result(result)
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def bench():
    made = Bench()
    yield made
    await made.departures.stop()


async def test_a_version_that_drains_is_told_to_leave_and_the_sum_is_reported(bench):
    until = bench.now + 20
    drained = state("blue", "green", draining={"green": until})
    bench.departures.follow(state("blue", "green"), drained)
    assert bench.told() == [("shop", "green", pytest.approx(20))]
    assert bench.workers[0].told[0]["type"] == "leave"
    assert bench.departures.report("shop", "green") == {"until": until, "finished": 0, "cut": 0, "done": False}
    await bench.answer((3, 1), (4, 0))
    assert bench.departures.report("shop", "green") == {"until": until, "finished": 7, "cut": 1, "done": True}
    assert bench.events == [
        {"kind": "version_drained", "service": "shop", "version": "green", "finished": 7, "cut": 1, "gone": False}
    ]
    bench.departures.follow(drained, replace(drained, revision=2))
    assert len(bench.told()) == 1
    assert bench.departures.report("shop", "green")["done"]


async def test_a_version_that_is_gone_leaves_within_the_time_that_was_its_services(bench):
    bench.departures.follow(state("blue", "green", drain=7.0), state("blue", drain=5.0))
    assert bench.told() == [("shop", "green", 7.0)]
    await bench.answer((0, 2), (1, 0))
    assert bench.events == [
        {"kind": "version_drained", "service": "shop", "version": "green", "finished": 1, "cut": 2, "gone": True}
    ]
    assert bench.departures.report("shop", "green") is None


async def test_the_versions_of_a_service_that_is_gone_leave_as_well(bench):
    bench.departures.follow(state("blue", "green", drain=7.0), State(2, Settings(), {}))
    assert bench.told() == [("shop", "blue", 7.0), ("shop", "green", 7.0)]


async def test_what_drained_before_it_was_retired_is_not_told_twice(bench):
    first = state("blue", "green", draining={"green": bench.now + 20})
    bench.departures.follow(first, state("blue"))
    assert bench.told() == []


async def test_a_later_deadline_is_a_drain_of_its_own_and_its_report_counts(bench):
    first = state("blue", "green", draining={"green": bench.now + 20})
    second = state("blue", "green", draining={"green": bench.now + 60})
    bench.departures.follow(state("blue", "green"), first)
    bench.departures.follow(first, second)
    assert [seconds for *_, seconds in bench.told()] == [pytest.approx(20), pytest.approx(60)]
    for worker in bench.workers:
        worker.futures[0].set_result((1, 1))
    await asyncio.sleep(0.01)
    assert not bench.departures.report("shop", "green")["done"]
    await bench.answer((2, 0), (2, 0))
    assert bench.departures.report("shop", "green")["finished"] == 4


async def test_weight_or_a_deploy_ends_the_report(bench):
    drained = state("blue", "green", draining={"green": bench.now + 20})
    bench.departures.follow(state("blue", "green"), drained)
    bench.departures.follow(drained, state("blue", "green"))
    assert bench.departures.report("shop", "green") is None
    await bench.answer((1, 0), (1, 0))
    assert bench.departures.report("shop", "green") is None


async def test_a_deadline_that_has_passed_cuts_at_once(bench):
    bench.departures.follow(state("blue", "green"), state("blue", "green", draining={"green": bench.now - 5}))
    assert bench.told() == [("shop", "green", 0.0)]


async def test_a_worker_that_never_answers_is_not_waited_for_for_ever(bench, monkeypatch, caplog):
    monkeypatch.setattr(module, "GRACE", 0.02)
    bench.departures.follow(state("blue", "green"), state("blue", "green", draining={"green": bench.now}))
    bench.workers[0].futures[0].set_result((5, 0))
    async with asyncio.timeout(5):
        while not bench.events:  # noqa: ASYNC110 - it comes when the grace is over
            await asyncio.sleep(0.005)
    assert bench.departures.report("shop", "green")["finished"] == 5
    assert [record.silent for record in caplog.records if record.name == "gatekeeper.departures"] == [1]


async def test_a_change_of_weights_lets_nobody_leave(bench):
    first = state("blue", "green")
    bench.departures.follow(first, state("blue", "green", drain=5.0))
    bench.departures.follow(first, first)
    assert bench.told() == []
    assert bench.events == []
