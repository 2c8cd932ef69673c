"""Health checks: the state machine by itself, the monitor on a scripted probe, the probe on real servers."""

import asyncio
import socket
from decimal import Decimal

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gatekeeper.clock import ManualClock
from gatekeeper.control.health import Condition, Health, Monitor
from gatekeeper.control.probe import probe_http
from gatekeeper.core.model import Backend, HealthCheck, Running, Service, ServiceState, Settings, Split, State, Version

A, B = "http://10.0.0.1:80", "http://10.0.0.2:80"
FAST = HealthCheck(interval=0.01, timeout=1.0, rise=2, fall=3)


def state(**versions):
    """One service; versions by name as (urls, check)."""
    found = {
        name: Version(name, tuple(Backend(url) for url in urls), health=check)
        for name, (urls, check) in versions.items()
    }
    first = next(iter(found))
    weights = {first: Decimal(100)}
    service = Service("shop", found, first, weights)
    return State(1, Settings(), {"shop": ServiceState(service, Running(Split(weights, {}, "00"), "00"))})


class Bench:
    """A monitor whose backends answer as told: ``failing`` maps a url to the failure."""

    def __init__(self, **options):
        self.failing, self.asked, self.events, self.pictures = {}, [], [], []
        self.monitor = Monitor(self.events.append, self.pictures.append, probe=self.probe, **options)

    async def probe(self, url, check, tls):
        self.asked.append((url, check))
        return self.failing.get(url, "")

    def condition(self, url, version="blue"):
        return self.monitor.health("shop", version, url).condition


@pytest.fixture
async def bench():
    made = Bench()
    yield made
    await made.monitor.stop()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - checks come when they come
            await asyncio.sleep(0.002)


# The state machine


def conditions(results, check=FAST, first=Condition.PENDING):
    health = Health(check, first, "", 0.0)
    found = []
    for result in results:
        health.record("" if result == "+" else "broken", 1.0)
        found.append(health.condition.value[0])
    return "".join(found)


@pytest.mark.parametrize(
    ("first", "results", "expected"),
    [
        (Condition.PENDING, "+", "r"),
        (Condition.PENDING, "--+", "ppr"),
        (Condition.PENDING, "---", "ppe"),
        (Condition.READY, "--+--+", "rrrrrr"),
        (Condition.READY, "---", "rre"),
        (Condition.EJECTED, "+-++", "eeer"),
        (Condition.EJECTED, "----", "eeee"),
    ],
)
def test_a_backend_moves_only_on_enough_results_in_a_row(first, results, expected):
    assert conditions(results, first=first) == expected


def test_a_change_is_dated_and_says_why():
    clock = ManualClock()
    health = Health(HealthCheck(fall=2), Condition.READY, "the check passes", 0.0)
    assert not health.record("connection refused", clock.wall())
    assert (health.reason, health.since) == ("connection refused", 0.0)
    clock.advance(5)
    assert health.record("no answer within 1 s", clock.wall())
    assert health.since == clock.wall()
    assert health.reason == "2 checks failed in a row: no answer within 1 s"
    once = Health(HealthCheck(fall=1), Condition.READY, "the check passes", 0.0)
    assert once.record("connection refused", clock.wall())
    assert once.reason == "the check failed: connection refused"


# The monitor


async def test_a_backend_without_a_check_is_ready_and_is_never_asked(bench):
    assert bench.monitor.follow(state(blue=((A,), None)))
    assert await bench.monitor.first_round(1)
    health = bench.monitor.health("shop", "blue", A)
    assert (health.condition, health.reason) == (Condition.READY, "no health check")
    assert bench.asked == []


async def test_after_the_first_round_every_backend_has_been_asked(bench):
    bench.failing[B] = "connection refused"
    bench.monitor.follow(state(blue=((A,), FAST), green=((B,), HealthCheck(interval=60))))
    assert bench.monitor.picture() == {"shop": {"blue": {A: "pending"}, "green": {B: "pending"}}}
    assert await bench.monitor.first_round(5)
    assert bench.monitor.picture() == {"shop": {"blue": {A: "ready"}, "green": {B: "pending"}}}
    assert bench.monitor.health("shop", "green", B).reason == "connection refused"
    assert (bench.monitor.ready("shop", "blue"), bench.monitor.ready("shop", "green")) == (1, 0)


async def test_a_check_that_hangs_does_not_hold_up_the_start_for_ever():
    async def hang(url, check, tls):
        await asyncio.Event().wait()

    monitor = Monitor(lambda _: None, lambda _: None, probe=hang)
    monitor.follow(state(blue=((A,), FAST)))
    assert not await monitor.first_round(0.05)
    await monitor.stop()


async def test_a_failing_backend_is_ejected_and_comes_back_and_both_are_told(bench):
    bench.monitor.follow(state(blue=((A,), FAST)))
    await until(lambda: bench.condition(A) is Condition.READY)
    bench.failing[A] = "answered 503, expected 200"
    await until(lambda: bench.condition(A) is Condition.EJECTED)
    del bench.failing[A]
    await until(lambda: bench.condition(A) is Condition.READY)
    await asyncio.sleep(0)
    assert [(e["kind"], e["was"]) for e in bench.events] == [
        ("backend_ready", "pending"),
        ("backend_ejected", "ready"),
        ("backend_ready", "ejected"),
    ]
    assert bench.events[1]["reason"] == "3 checks failed in a row: answered 503, expected 200"
    assert bench.events[1].items() >= {"service": "shop", "version": "blue", "backend": A}.items()
    assert [p["shop"]["blue"][A] for p in bench.pictures] == ["ready", "ejected", "ready"]


async def test_backends_that_change_together_make_one_message(bench):
    bench.monitor.follow(state(blue=((A, B), HealthCheck(interval=60))))
    await bench.monitor.first_round(5)
    await asyncio.sleep(0.01)
    assert bench.pictures == [{"shop": {"blue": {A: "ready", B: "ready"}}}]


async def test_what_is_known_of_a_backend_outlives_a_reload_and_a_changed_check_applies(bench):
    bench.monitor.follow(state(blue=((A,), FAST)))
    await until(lambda: bench.condition(A) is Condition.READY)
    changed = HealthCheck(path="/new", interval=0.01)
    assert not bench.monitor.follow(state(blue=((A,), changed)))
    assert bench.condition(A) is Condition.READY
    await until(lambda: bench.asked[-1] == (A, changed))


async def test_a_backend_no_state_names_is_not_asked_any_more(bench):
    bench.monitor.follow(state(blue=((A, B), FAST)))
    await bench.monitor.first_round(5)
    assert bench.monitor.follow(state(blue=((B,), FAST)))
    bench.asked.clear()
    await until(lambda: len(bench.asked) >= 3)
    assert {url for url, _ in bench.asked} == {B}
    assert bench.monitor.health("shop", "blue", A) is None


async def test_taking_the_check_away_makes_a_backend_ready(bench):
    bench.failing[A] = "connection refused"
    bench.monitor.follow(state(blue=((A,), FAST)))
    await until(lambda: bench.condition(A) is Condition.EJECTED)
    assert bench.monitor.follow(state(blue=((A,), None)))
    assert bench.condition(A) is Condition.READY


async def test_a_defect_in_the_check_ejects_instead_of_leaving_the_backend_unwatched():
    async def broken(url, check, tls):
        raise RuntimeError("boom")

    monitor = Monitor(lambda _: None, lambda _: None, probe=broken)
    monitor.follow(state(blue=((A,), FAST)))
    await until(lambda: monitor.health("shop", "blue", A).condition is Condition.EJECTED)
    assert "boom" in monitor.health("shop", "blue", A).reason
    await monitor.stop()


# The probe


@pytest.fixture
async def server():
    async def answer(request):
        if request.path == "/slow":
            await asyncio.sleep(30)
        if request.path == "/away":
            raise web.HTTPFound("/ok")
        return web.Response(status=int(request.query.get("status", 200)), text=request.headers["User-Agent"])

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    async with TestServer(app) as running:
        yield str(running.make_url("")).rstrip("/")


@pytest.mark.parametrize(
    ("check", "failure"),
    [
        (HealthCheck("/ok"), ""),
        (HealthCheck("/x?status=204", status=(200, 204)), ""),
        (HealthCheck("/x?status=503", status=(200, 204)), "answered 503, expected 200 or 204"),
        (HealthCheck("/away"), "answered 302, expected 200"),
        (HealthCheck("/slow", timeout=0.1), "no answer within 0.1 s"),
    ],
)
async def test_the_status_in_time_decides(server, check, failure):
    assert await probe_http(server, check) == failure


async def test_a_closed_port_is_refused():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert await probe_http(f"http://127.0.0.1:{port}", HealthCheck()) == "connection refused"


@pytest.mark.parametrize(
    ("said", "failure"),
    [(b"", "closed the connection without an answer"), (b"SSH-2.0-OpenSSH\r\n\r\n", "the answer is not HTTP")],
)
async def test_a_peer_that_speaks_no_http_fails_in_words(said, failure):
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as peer:
        port = peer.sockets[0].getsockname()[1]
        assert await probe_http(f"http://127.0.0.1:{port}", HealthCheck()) == failure


async def test_a_unix_backend_is_asked_at_its_path(tmp_path):
    async def ok(request):
        return web.Response()

    app = web.Application()
    app.router.add_get("/healthz", ok)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "b.sock")).start()
    try:
        assert await probe_http(f"unix:{tmp_path / 'b.sock'}", HealthCheck("/healthz")) == ""
        assert await probe_http(f"unix:{tmp_path / 'c.sock'}", HealthCheck()) == "no such file or directory"
    finally:
        await runner.cleanup()
