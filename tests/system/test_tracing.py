"""Spans of real requests reach a real collector; one that hangs or is gone costs spans and nothing else."""

import asyncio
import contextlib
import threading
import time

import pytest
from aiohttp import web

from tests.system.operations import amend
from tests.system.programs import requests_counted, until

pytestmark = pytest.mark.system

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"
SHOWN = 'location = /shown { return 200 "$http_traceparent"; }'


class Collector:
    """A server of OTLP in a thread of its own; ``hang`` makes it take requests and never answer."""

    def __init__(self, port):
        self.spans, self.port, self.asked = [], port, 0
        self._answers = asyncio.Event()
        self._answers.set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def hang(self):
        self._loop.call_soon_threadsafe(self._answers.clear)

    def close(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._answers.set)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    async def _take(self, request):
        body = await request.json()
        self.asked += 1
        await self._answers.wait()
        for resource in body["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                self.spans += scope["spans"]
        return web.json_response({})

    def _run(self):
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0)
        self._loop.run_until_complete(runner.setup())
        self._loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", self.port).start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()


@pytest.fixture
def collector(free_ports):
    found = Collector(free_ports(1)[0])
    yield found
    found.close()


@pytest.fixture
def traced(nginx, serve, collector):
    """``traced("100%")`` is gatekeeper over an nginx that tells its ``traceparent`` at /shown."""

    def start(sample, **more):
        blue = nginx("blue", SHOWN)
        gatekeeper = serve({"blue": blue.url}, start=False, workers=1, **more)
        amend(gatekeeper, tracing={"otlp": collector.url, "sample": sample})
        return gatekeeper.start()

    return start


def parent(flags):
    return {"traceparent": f"00-{TRACE}-{PARENT}-{flags}"}


def outcome(gatekeeper, name):
    return gatekeeper.metrics()[f'gatekeeper_spans_total{{outcome="{name}"}}']


def test_what_the_backend_gets_is_a_child_of_the_span_that_the_collector_gets(traced, collector):
    gatekeeper = traced("0%")
    shown = gatekeeper.get("/shown?q=1", parent("01")).body.decode()
    assert gatekeeper.get("/shown", parent("00")).body.decode() == parent("00")["traceparent"]
    assert gatekeeper.get("/shown").body.endswith(b"-00")
    (span,) = until(lambda: collector.spans)
    assert shown == f"00-{TRACE}-{span['spanId']}-01"
    assert (span["traceId"], span["parentSpanId"]) == (TRACE, PARENT)
    said = {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}
    assert said["url.path"] == "/shown"
    assert said["http.response.status_code"] == "200"
    assert said["gatekeeper.version"] == "blue"
    assert abs(int(span["endTimeUnixNano"]) / 1e9 - time.time()) < 30
    assert outcome(gatekeeper, "exported") == 1
    time.sleep(0.5)
    assert len(collector.spans) == 1


def test_a_share_under_load_is_sampled_and_every_span_is_exported_or_counted(traced, collector, wrk):
    gatekeeper = traced("1%")
    load = wrk(gatekeeper.port, connections=8)
    time.sleep(1)
    load.stop()
    requests = requests_counted(gatekeeper.quiet_metrics())
    until(lambda: collector.spans and len(collector.spans) == outcome(gatekeeper, "exported"))
    time.sleep(1.5)
    sampled = outcome(gatekeeper, "exported") + outcome(gatekeeper, "dropped")
    assert 0.5 * 0.01 < sampled / requests < 2 * 0.01
    assert len({span["traceId"] for span in collector.spans}) == len(collector.spans)


def test_a_collector_that_hangs_costs_spans_and_no_request(traced, collector):
    collector.hang()
    gatekeeper = traced("100%")
    with contextlib.closing(gatekeeper.connect()) as connection:
        slowest = 0.0
        for number in range(600):
            began = time.perf_counter()
            assert gatekeeper.get(connection=connection).status == 200
            slowest = max(slowest, time.perf_counter() - began)
            if number == 300:
                until(lambda: collector.asked)
    assert slowest < 1
    began = time.perf_counter()
    gatekeeper.split(blue=1)
    assert time.perf_counter() - began < 1
    gatekeeper.process.terminate()
    assert gatekeeper.process.wait(15) == 0


def test_a_collector_that_is_gone_is_named_in_the_status(traced, collector):
    gatekeeper = traced("100%")
    collector.close()
    assert gatekeeper.get().status == 200
    until(lambda: outcome(gatekeeper, "dropped") == 1)
    assert "traces are not taken" in gatekeeper.cli("status").stdout
    gatekeeper.write(workers=1)
    assert gatekeeper.call("POST", "/v1/reload", {})[0] == 200
    assert gatekeeper.get("/shown").body.endswith(b"-01")
