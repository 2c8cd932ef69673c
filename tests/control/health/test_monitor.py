"""The monitor on a scripted probe, a scripted name server and a clock in the test's hand."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.clock import ManualClock
from gatekeeper.control.health import monitor as module
from gatekeeper.control.health.health import Condition
from gatekeeper.control.health.monitor import Monitor
from gatekeeper.core.model import (
    Backend,
    Dns,
    Ejection,
    HealthCheck,
    Running,
    Service,
    ServiceState,
    Settings,
    Split,
    State,
    Version,
)

A, B, NAMED = "http://10.0.0.1:80", "http://10.0.0.2:80", "http://app:80"
ONE, TWO, THREE = (f"{NAMED}#10.1.0.{n}" for n in (1, 2, 3))
FAST = HealthCheck(interval=0.01, timeout=1.0, rise=2, fall=3)
SLOW = HealthCheck(interval=60)


def state(draining=None, service=None, dns=None, **versions):
    """One service; versions by name as (urls, check)."""
    found = {
        name: Version(name, tuple(Backend(url) for url in urls), health=check)
        for name, (urls, check) in versions.items()
    }
    first = next(iter(found))
    weights = {first: Decimal(100)}
    shop = Service("shop", found, first, weights, **(service or {}))
    running = Running(Split(weights, {}, "00"), "00", draining=draining or {})
    return State(1, Settings(dns=dns or Dns(refresh=0.01)), {"shop": ServiceState(shop, running)})


class Bench:
    """A monitor whose backends answer as told: ``failing`` maps an id to the failure, ``zone`` names to addresses."""

    def __init__(self):
        self.failing, self.zone, self.asked, self.events, self.pictures = {}, {}, [], [], []
        self.clock = ManualClock()
        self.monitor = Monitor(
            self.events.append, self.pictures.append, probe=self.probe, lookup=self.lookup, clock=self.clock
        )

    async def probe(self, backend, check, tls):
        self.asked.append((backend, check))
        return self.failing.get(backend, "")

    async def lookup(self, host):
        if host not in self.zone:
            raise OSError(1, "The name server is away")
        return self.zone[host]

    async def begin(self, first):
        self.monitor.follow(first)
        assert await self.monitor.first_round(5)

    def condition(self, backend, version="blue"):
        return self.monitor.health("shop", version, backend).condition

    def reason(self, backend, version="blue"):
        return self.monitor.health("shop", version, backend).reason

    def fail(self, backend, failures=5, version="blue"):
        self.monitor.hear(0, 0.0, [["shop", version, backend, failures, failures, "cannot be reached"]])

    def kinds(self):
        return [event["kind"] for event in self.events]


@pytest.fixture
async def bench(monkeypatch):
    monkeypatch.setattr(module, "TICK_SECONDS", 0.005)
    made = Bench()
    yield made
    await made.monitor.stop()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - checks come when they come
            await asyncio.sleep(0.002)


# Checks


async def test_a_backend_without_a_check_is_ready_and_is_never_asked(bench):
    assert bench.monitor.follow(state(blue=((A,), None)))
    assert await bench.monitor.first_round(1)
    assert (bench.condition(A), bench.reason(A)) == (Condition.READY, "no health check")
    assert (bench.asked, bench.events, bench.pictures) == ([], [], [])


async def test_after_the_first_round_every_backend_has_been_asked(bench):
    bench.failing[B] = "connection refused"
    bench.monitor.follow(state(blue=((A,), FAST), green=((B,), SLOW)))
    assert bench.monitor.picture() == {"shop": {"blue": {A: "pending"}, "green": {B: "pending"}}}
    assert await bench.monitor.first_round(5)
    assert bench.monitor.picture() == {"shop": {"blue": {A: "ready"}, "green": {B: "pending"}}}
    assert bench.reason(B, "green") == "connection refused"
    assert (bench.monitor.ready("shop", "blue"), bench.monitor.ready("shop", "green")) == (1, 0)
    assert bench.monitor.ready("gone", "blue") == 0


async def test_a_check_that_hangs_does_not_hold_up_the_start_for_ever():
    async def hang(backend, check, tls):
        await asyncio.Event().wait()

    monitor = Monitor(lambda _: None, lambda _: None, probe=hang)
    monitor.follow(state(blue=((A,), FAST)))
    assert not await monitor.first_round(0.05)
    await monitor.stop()


async def test_a_failing_backend_is_ejected_and_comes_back_and_both_are_told(bench):
    await bench.begin(state(blue=((A,), FAST)))
    bench.failing[A] = "answered 503, expected 200"
    bench.clock.advance(5)
    await until(lambda: bench.condition(A) is Condition.EJECTED)
    assert bench.monitor.health("shop", "blue", A).since == bench.clock.wall()
    del bench.failing[A]
    await until(lambda: bench.condition(A) is Condition.READY)
    await asyncio.sleep(0)
    assert [(e["kind"], e["was"], e["cause"]) for e in bench.events] == [
        ("backend_ready", "pending", "check"),
        ("backend_ejected", "ready", "check"),
        ("backend_ready", "ejected", "check"),
    ]
    assert bench.events[1]["reason"] == "3 checks failed in a row: answered 503, expected 200"
    assert bench.events[1].items() >= {"service": "shop", "version": "blue", "backend": A}.items()
    assert [p["shop"]["blue"][A] for p in bench.pictures] == ["ready", "ejected", "ready"]
    assert bench.monitor.ejections == {("shop", "blue", "check"): 1}


async def test_backends_that_change_together_make_one_message(bench):
    await bench.begin(state(blue=((A, B), SLOW)))
    await asyncio.sleep(0.01)
    assert bench.pictures == [{"shop": {"blue": {A: "ready", B: "ready"}}}]


async def test_what_is_known_of_a_backend_outlives_a_reload_and_a_changed_check_applies(bench):
    await bench.begin(state(blue=((A,), FAST)))
    changed = HealthCheck(path="/new", interval=0.01)
    assert not bench.monitor.follow(state(blue=((A,), changed)))
    assert bench.condition(A) is Condition.READY
    await until(lambda: bench.asked[-1] == (A, changed))


async def test_a_backend_no_state_names_is_not_asked_any_more(bench):
    await bench.begin(state(blue=((A, B), FAST)))
    assert bench.monitor.follow(state(blue=((B,), FAST)))
    bench.asked.clear()
    await until(lambda: len(bench.asked) >= 3)
    assert {backend for backend, _ in bench.asked} == {B}
    assert bench.monitor.health("shop", "blue", A) is None


async def test_taking_the_check_away_makes_a_backend_ready(bench):
    bench.failing[A] = "connection refused"
    bench.monitor.follow(state(blue=((A,), FAST)))
    await until(lambda: bench.condition(A) is Condition.EJECTED)
    assert bench.monitor.follow(state(blue=((A,), None)))
    assert bench.condition(A) is Condition.READY


async def test_a_check_that_is_added_takes_nothing_away_until_it_fails(bench):
    await bench.begin(state(blue=((A,), None)))
    bench.failing[A] = "answered 404, expected 200"
    bench.monitor.follow(state(blue=((A,), FAST)))
    assert bench.condition(A) is Condition.READY
    await until(lambda: bench.condition(A) is Condition.EJECTED)


async def test_a_defect_in_the_check_ejects_instead_of_leaving_the_backend_unwatched():
    async def broken(backend, check, tls):
        raise RuntimeError("boom")

    monitor = Monitor(lambda _: None, lambda _: None, probe=broken)
    monitor.follow(state(blue=((A,), FAST)))
    await until(lambda: monitor.health("shop", "blue", A).condition is Condition.EJECTED)
    assert "boom" in monitor.health("shop", "blue", A).reason
    await monitor.stop()


async def test_checks_come_early_and_late_by_the_jitter(monkeypatch):
    pauses, chances = [], iter([0.0, 0.5, 1.0] + [0.5] * 100)
    sleep = asyncio.sleep

    async def note(seconds):
        if seconds != module.TICK_SECONDS:
            pauses.append(seconds)
        await sleep(0.001)

    async def well(backend, check, tls):
        return ""

    monkeypatch.setattr(asyncio, "sleep", note)
    monitor = Monitor(lambda _: None, lambda _: None, probe=well, chance=lambda: next(chances))
    monitor.follow(state(blue=((A,), HealthCheck(interval=10.0, jitter=0.2))))
    async with asyncio.timeout(5):
        while len(pauses) < 3:
            await sleep(0.002)
    await monitor.stop()
    assert pauses[:3] == pytest.approx([8.0, 10.0, 12.0])


async def test_a_backend_that_was_proved_before_it_came_is_ready_at_once(bench):
    await bench.begin(state(blue=((A,), SLOW)))
    bench.monitor.prove("shop", "green", [B])
    bench.monitor.follow(state(blue=((A,), SLOW), green=((B,), SLOW)))
    assert bench.condition(B, "green") is Condition.READY
    bench.monitor.prove("shop", "late", [B])
    bench.clock.advance(61)
    bench.monitor.follow(state(blue=((A,), SLOW), late=((B,), SLOW)))
    assert bench.condition(B, "late") is Condition.PENDING


# Users' requests


POLICY = {"ejection": Ejection(failures=5, within=10.0, out=20.0)}


async def test_users_requests_eject_a_backend_until_its_time_is_over(bench):
    await bench.begin(state(service=POLICY, blue=((A, B), None)))
    bench.fail(A)
    assert bench.condition(A) is Condition.EJECTED
    bench.clock.advance(5)
    words = "5 of 5 requests failed within 10 s: cannot be reached; back in {} s at the earliest"
    assert bench.reason(A) == words.format(15)
    await asyncio.sleep(0.02)
    assert bench.pictures == [{"shop": {"blue": {A: "ejected", B: "ready"}}}]
    bench.clock.advance(15)
    await until(lambda: bench.condition(A) is Condition.READY)
    assert [(e["kind"], e["cause"]) for e in bench.events] == [
        ("backend_ejected", "requests"),
        ("backend_ready", "requests"),
    ]
    assert bench.events[0]["reason"] == words.format(20)
    assert bench.monitor.ejections == {("shop", "blue", "requests"): 1}


async def test_it_comes_back_only_when_its_check_passes(bench):
    await bench.begin(state(service=POLICY, blue=((A, B), HealthCheck(interval=0.01, fall=100))))
    bench.fail(A)
    bench.failing[A] = "answered 503, expected 200"
    await until(lambda: bench.reason(A).endswith("waits for its check: answered 503, expected 200"))
    bench.clock.advance(30)
    await asyncio.sleep(0.02)
    assert bench.condition(A) is Condition.EJECTED
    del bench.failing[A]
    await until(lambda: bench.condition(A) is Condition.READY)


async def test_checks_that_pass_do_not_shorten_the_time_out(bench):
    await bench.begin(state(service=POLICY, blue=((A, B), FAST)))
    bench.fail(A)
    await until(lambda: len(bench.asked) > 10)
    assert bench.condition(A) is Condition.EJECTED


async def test_the_floor_holds_and_says_so_and_lets_nobody_wait_for_who_is_gone(bench):
    await bench.begin(state(service=POLICY, blue=((A, B), FAST)))
    bench.fail(A)
    bench.fail(B)
    assert (bench.condition(A), bench.condition(B)) == (Condition.EJECTED, Condition.READY)
    assert bench.reason(B).endswith("; it stays, as 1 of 2 must")
    assert bench.kinds()[-2:] == ["backend_ejected", "backend_kept"]
    bench.failing[B] = "connection refused"
    await until(lambda: bench.condition(B) is Condition.EJECTED)
    assert bench.condition(A) is Condition.READY


async def test_without_ejection_requests_eject_nobody_and_switching_it_off_brings_all_back(bench):
    await bench.begin(state(service=POLICY, blue=((A, B), None)))
    bench.fail(A)
    assert bench.monitor.follow(state(service={"ejection": None}, blue=((A, B), None)))
    assert bench.condition(A) is Condition.READY
    bench.fail(A, 1000)
    assert bench.condition(A) is Condition.READY


async def test_rows_of_what_is_gone_are_nobodys(bench):
    await bench.begin(state(service=POLICY, blue=((A, B), None)))
    bench.fail("http://gone:1")
    bench.fail(A, version="gone")
    bench.monitor.hear(0, 0.0, [["gone", "blue", A, 9, 9, "x"]])
    assert bench.events == []


async def test_what_requests_said_outlives_a_change_of_weights_and_a_reload(bench):
    first = state(service=POLICY, blue=((A, B), None))
    await bench.begin(first)
    bench.fail(A)
    assert not bench.monitor.follow(replace(first, revision=2))
    assert bench.monitor.follow(state(service=POLICY, blue=((A, B), None), green=((A,), None)))
    assert bench.condition(A) is Condition.EJECTED
    assert bench.condition(A, "green") is Condition.READY


# Host names


async def test_every_address_of_a_name_is_a_backend_of_its_own(bench):
    bench.zone["app"] = ["10.1.0.2", "10.1.0.1"]
    bench.failing[TWO] = "connection refused"
    await bench.begin(state(blue=((NAMED, A), FAST)))
    assert list(bench.monitor.picture()["shop"]["blue"]) == [A, ONE, TWO]
    assert bench.monitor.ids("shop", "blue", NAMED) == (ONE, TWO)
    assert bench.monitor.ids("shop", "blue", A) == (A,)
    assert bench.monitor.ids("shop", "gone", NAMED) == (NAMED,)
    await until(lambda: bench.condition(TWO) is Condition.EJECTED)
    assert bench.condition(ONE) is Condition.READY
    assert {backend for backend, _ in bench.asked} == {A, ONE, TWO}


async def test_a_name_that_was_never_found_is_pending_with_the_reason(bench):
    await bench.begin(state(service=POLICY, blue=((NAMED,), FAST)))
    assert bench.monitor.picture() == {"shop": {"blue": {NAMED: "pending"}}}
    assert bench.reason(NAMED) == "its host name was not found yet: the name server is away"
    bench.zone["app"] = ["10.1.0.1"]
    await until(lambda: bench.monitor.health("shop", "blue", ONE) is not None)
    await until(lambda: bench.condition(ONE) is Condition.READY)
    assert bench.monitor.health("shop", "blue", NAMED) is None
    assert bench.kinds() == ["dns_failed", "dns_recovered", "backend_ready"]


async def test_another_answer_resets_nothing_of_the_addresses_that_stay(bench):
    bench.zone["app"] = ["10.1.0.1", "10.1.0.2"]
    await bench.begin(state(service=POLICY, blue=((NAMED,), None)))
    bench.fail(ONE)
    bench.clock.advance(1)
    since = bench.monitor.health("shop", "blue", ONE).since
    bench.zone["app"] = ["10.1.0.1", "10.1.0.3"]
    await until(lambda: bench.monitor.health("shop", "blue", THREE) is not None)
    assert bench.condition(ONE) is Condition.EJECTED
    assert bench.monitor.health("shop", "blue", ONE).since == since
    assert bench.monitor.health("shop", "blue", TWO) is None
    await until(lambda: bench.pictures[-1] == {"shop": {"blue": {ONE: "ejected", THREE: "ready"}}})


async def test_a_name_server_that_is_away_takes_no_backend_with_it(bench):
    bench.zone["app"] = ["10.1.0.1"]
    await bench.begin(state(blue=((NAMED,), None)))
    del bench.zone["app"]
    await until(lambda: "dns_failed" in bench.kinds())
    assert bench.monitor.picture() == {"shop": {"blue": {ONE: "ready"}}}


async def test_checks_of_a_name_that_is_dropped_end(bench):
    bench.zone["app"] = ["10.1.0.1"]
    await bench.begin(state(blue=((NAMED,), FAST)))
    bench.monitor.follow(state(blue=((A,), FAST)))
    await asyncio.sleep(0.02)
    bench.asked.clear()
    await until(lambda: len(bench.asked) > 5)
    assert {backend for backend, _ in bench.asked} == {A}


# Slow start


SLOWLY = {"slow_start": 30.0, "ejection": Ejection(out=5.0)}


async def test_what_is_ready_at_the_start_need_not_warm_up(bench):
    await bench.begin(state(service=SLOWLY, blue=((A,), FAST), green=((B,), None)))
    assert bench.monitor.warm() == {}


async def test_a_backend_that_comes_or_comes_back_warms_up_for_as_long_as_told(bench):
    await bench.begin(state(service=SLOWLY, blue=((A, B), None)))
    bench.fail(A)
    bench.clock.advance(5)
    await until(lambda: bench.condition(A) is Condition.READY)
    bench.clock.advance(10)
    assert bench.monitor.warm() == {"shop": {"blue": {A: 10.0}}}
    bench.monitor.follow(state(service=SLOWLY, blue=((A, B, "http://10.0.0.3:80"), None)))
    bench.clock.advance(19)
    assert bench.monitor.warm() == {"shop": {"blue": {A: 29.0, "http://10.0.0.3:80": 19.0}}}
    bench.clock.advance(1)
    assert bench.monitor.warm() == {"shop": {"blue": {"http://10.0.0.3:80": 20.0}}}


async def test_without_slow_start_nobody_warms_up(bench):
    await bench.begin(state(blue=((A,), None)))
    bench.monitor.follow(state(blue=((A, B), None)))
    assert bench.monitor.warm() == {}


# Drains, and a change of programs


async def test_a_version_that_drains_shows_so_and_its_checks_go_on(bench):
    first = state(blue=((A,), FAST), green=((B,), FAST))
    await bench.begin(first)
    until_then = bench.clock.wall() + 30
    assert bench.monitor.follow(state(draining={"green": until_then}, blue=((A,), FAST), green=((B,), FAST)))
    assert bench.condition(B, "green") is Condition.DRAINING
    assert bench.reason(B, "green") == "its version drains until 22:13:50 UTC"
    bench.clock.advance(31)
    assert bench.reason(B, "green") == "its version was drained; weight or a deploy brings it back"
    bench.failing[B] = "connection refused"
    bench.asked.clear()
    await until(lambda: [backend for backend, _ in bench.asked].count(B) > 5)
    assert bench.condition(B, "green") is Condition.DRAINING
    assert bench.monitor.follow(first)
    assert bench.condition(B, "green") is Condition.EJECTED
    assert "backend_draining" not in bench.kinds()


async def test_a_program_that_takes_over_begins_with_what_the_one_before_knew(bench):
    async def hang(backend, check, tls):
        await asyncio.Event().wait()

    bench.probe = hang
    monitor = Monitor(bench.events.append, bench.pictures.append, probe=hang, lookup=bench.lookup, clock=bench.clock)
    versions = {"blue": ((A, NAMED), SLOW), "green": ((A, B), None)}
    monitor.follow(state(service=POLICY, **versions))
    before = {"shop": {"blue": {A: "ready", ONE: "ejected"}, "green": {A: "ejected", B: "ready"}, "old": {A: "ready"}}}
    monitor.adopt(before)
    try:
        assert monitor.picture() == {
            "shop": {"green": {A: "ejected", B: "ready"}, "blue": {A: "ready", ONE: "ejected"}}
        }
        assert monitor.health("shop", "green", A).reason == (
            "it failed users' requests before this program took over; back in 20 s at the earliest"
        )
        assert bench.events == []
    finally:
        await monitor.stop()
