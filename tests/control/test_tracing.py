"""Spans reach a collector over real sockets, or are counted; nobody ever waits for it."""

import asyncio
import json

import pytest
from aiohttp import web

from gatekeeper.control import tracing
from gatekeeper.control.tracing import BATCH, QUEUE, TRIES, Exporter, document
from gatekeeper.core.model import Settings, Tracing

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"


def row(number=0, *, parent="", status=200, error="", waited=0.010):
    return [
        TRACE, f"{number:016x}", parent, 1_700_000_000.25, 1_700_000_000.5, "GET", "/cart", "shop.test", "192.0.2.7",
        status, "shop", "green", "http://10.0.0.5:9002", "split", 17, False, 1, error, waited,
    ]  # fmt: skip


class Collector:
    """Takes spans; answers ``answers`` first, then 200. ``hangs`` while its gate is shut."""

    def __init__(self):
        self.answers, self.requests, self.spans = [], [], []
        self.gate = asyncio.Event()
        self.gate.set()

    async def take(self, request):
        body = await request.json()
        self.requests.append(request)
        await self.gate.wait()
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.spans += body["resourceSpans"][0]["scopeSpans"][0]["spans"]
        return web.json_response({}, status=status)


@pytest.fixture
async def collector(aiohttp_server):
    found = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", found.take)
    server = await aiohttp_server(app)
    found.url = str(server.make_url("/v1/traces"))
    yield found
    found.gate.set()


@pytest.fixture
async def make():
    made = []

    def start(url, pause=0.01):
        exporter = Exporter(lambda: Settings(tracing=Tracing(url, 1.0)), pause)
        exporter.start()
        made.append(exporter)
        return exporter

    yield start
    for exporter in made:
        await exporter.stop()


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.01)


async def test_spans_arrive_in_batches_and_are_counted(collector, make):
    exporter = make(collector.url)
    exporter.hear([row(number) for number in range(BATCH + 10)])
    await until(lambda: exporter.exported == BATCH + 10)
    assert [each["spanId"] for each in collector.spans] == [f"{number:016x}" for number in range(BATCH + 10)]
    assert len(collector.requests) == 2
    assert collector.requests[0].headers["Content-Type"] == "application/json"
    assert exporter.dropped == 0


def test_a_span_says_what_was_seen_in_the_form_of_otlp():
    (resource,) = json.loads(document([row(7, parent=PARENT)]))["resourceSpans"]
    names = {each["key"]: each["value"] for each in resource["resource"]["attributes"]}
    assert names["service.name"] == {"stringValue": "gatekeeper"}
    (span,) = resource["scopeSpans"][0]["spans"]
    assert (span["traceId"], span["parentSpanId"], span["kind"]) == (TRACE, PARENT, 2)
    assert span["startTimeUnixNano"] == "1700000000250000000"
    assert span["endTimeUnixNano"] == "1700000000500000000"
    said = {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}
    assert said == {
        "http.request.method": "GET",
        "url.path": "/cart",
        "server.address": "shop.test",
        "client.address": "192.0.2.7",
        "http.response.status_code": "200",
        "gatekeeper.service": "shop",
        "gatekeeper.version": "green",
        "gatekeeper.backend": "http://10.0.0.5:9002",
        "gatekeeper.reason": "split",
        "gatekeeper.revision": "17",
        "gatekeeper.forced": False,
        "gatekeeper.retries": "1",
        "gatekeeper.upstream_duration": 0.01,
    }


@pytest.mark.parametrize(
    ("more", "code", "kind"),
    [({}, None, None), ({"status": 503}, 2, "503"), ({"status": 502, "error": "upstream_reset"}, 2, "upstream_reset"),
     ({"status": 499, "error": "client"}, None, "client")],
)  # fmt: skip
def test_errors_are_those_of_the_server(more, code, kind):
    (resource,) = json.loads(document([row(**more)]))["resourceSpans"]
    (span,) = resource["scopeSpans"][0]["spans"]
    said = {each["key"]: each["value"] for each in span["attributes"]}
    assert span["status"].get("code") == code
    assert said.get("error.type") == (None if kind is None else {"stringValue": kind})


async def test_a_collector_that_is_busy_is_tried_again(collector, make):
    collector.answers += [503, 429]
    exporter = make(collector.url)
    exporter.hear([row()])
    await until(lambda: exporter.exported == 1)
    assert len(collector.requests) == TRIES
    assert exporter.trouble == ""


async def test_what_it_never_takes_is_dropped_and_told_at_once(collector, make):
    collector.answers += [400]
    exporter = make(collector.url)
    exporter.hear([row()])
    await until(lambda: exporter.dropped == 1)
    assert len(collector.requests) == 1
    assert exporter.troubles() == [f"traces are not taken: {collector.url}: answered 400"]
    exporter.hear([row()])
    await until(lambda: exporter.exported == 1)
    assert exporter.troubles() == []


async def test_a_collector_that_is_gone_costs_spans_that_are_counted(make, free_port):
    exporter = make(f"http://127.0.0.1:{free_port}/v1/traces")
    exporter.hear([row(), row()])
    await until(lambda: exporter.dropped == 2)
    assert "Connect" in exporter.troubles()[0] or "refused" in exporter.troubles()[0]


async def test_a_collector_that_hangs_is_given_up_and_the_queue_is_bounded(collector, make, monkeypatch):
    monkeypatch.setattr(tracing, "TRY_SECONDS", 0.2)
    collector.gate.clear()
    exporter = make(collector.url)
    exporter.hear([row() for _ in range(QUEUE + 5)])
    assert exporter.dropped == 5
    await until(lambda: exporter.dropped >= BATCH + 5)
    collector.gate.set()
    await until(lambda: exporter.exported + exporter.dropped == QUEUE + 5)
    assert exporter.exported > 0


async def test_stopping_sends_what_waits_and_counts_the_rest(collector):
    exporter = Exporter(lambda: Settings(tracing=Tracing(collector.url)), pause=60)
    exporter.start()
    exporter.hear([row() for _ in range(BATCH + 3)])
    await exporter.stop()
    assert len(collector.spans) == exporter.exported == BATCH
    assert exporter.dropped == 3


async def test_stopping_does_not_wait_for_a_collector_that_hangs(collector, monkeypatch):
    monkeypatch.setattr(tracing, "LAST_SECONDS", 0.2)
    collector.gate.clear()
    exporter = Exporter(lambda: Settings(tracing=Tracing(collector.url)), pause=0.01)
    exporter.start()
    exporter.hear([row(), row()])
    await until(lambda: collector.requests)
    exporter.hear([row()])
    async with asyncio.timeout(2):
        await exporter.stop()
    assert exporter.dropped == 3


async def test_switched_off_there_is_nothing_to_complain_of():
    exporter = Exporter(Settings, pause=0.01)
    exporter.start()
    exporter.hear([row()])
    await until(lambda: exporter.dropped == 1)
    assert exporter.troubles() == []
    await exporter.stop()
