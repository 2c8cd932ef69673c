"""A custom metric is a bound beside the comparison: beyond it several times it ends a release; no answer holds it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from aiohttp import web

from gatekeeper.clock import ManualClock
from gatekeeper.control.judging import queries as module
from gatekeeper.control.judging.queries import Metric, Queries, ask
from gatekeeper.core.judge.analysis import Query
from tests.control.judging.stage import asked, plan

QUERY = Query("load", "http://127.0.0.1:1", "sum(load)", max=0.9, failures=3)


def vector(*values):
    return {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1.0, each]} for each in values]},
    }


class Prometheus:
    """Answers what it is told to; ``asked`` are the queries and tokens that came."""

    def __init__(self):
        self.answer, self.status, self.asked, self.hang = vector("0.5"), 200, [], False

    async def handle(self, request):
        self.asked.append((request.path, request.query.get("query"), request.headers.get("Authorization")))
        if self.hang:
            await asyncio.sleep(60)
        if self.status == 302:
            self.status, self.answer = 200, vector("0.5")
            raise web.HTTPFound("/elsewhere")
        if isinstance(self.answer, str):
            return web.Response(text=self.answer, status=self.status)
        return web.json_response(self.answer, status=self.status)


@pytest.fixture
async def prometheus(free_port):
    found = Prometheus()
    app = web.Application()
    app.router.add_get("/{path:.*}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", free_port).start()
    found.url = f"http://127.0.0.1:{free_port}"
    yield found
    await runner.cleanup()


@pytest.fixture
def threads():
    made = ThreadPoolExecutor(1)
    yield made
    made.shutdown()


async def test_a_number_is_taken_from_a_vector_of_one_and_from_a_scalar(prometheus, threads):
    query = replace(QUERY, url=prometheus.url + "/")
    assert await ask(query, threads) == (0.5, "")
    assert prometheus.asked == [("/api/v1/query", "sum(load)", None)]
    prometheus.answer = {"status": "success", "data": {"resultType": "scalar", "result": [1.0, "-2.5"]}}
    assert await ask(query, threads) == (-2.5, "")


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (200, vector(), "the query gave nothing"),
        (200, vector("1", "2"), "the query gave 2 series"),
        (200, vector("NaN"), "the query gave nan"),
        (200, vector("+Inf"), "the query gave inf"),
        (200, vector("x"), "no number"),
        (200, vector(None), "no number"),
        (200, {"status": "success", "data": {"resultType": "matrix", "result": []}}, "a matrix"),
        (200, {"status": "success", "data": {"resultType": "vector", "result": [3]}}, "no number"),
        (200, {"status": "success"}, "gave a None"),
        (200, "hello", "answered 200; it must be the API of a Prometheus"),
        (200, "[" * 50_000, "must be the API"),
        (200, "x" * 70_000, "more than 65536 bytes"),
        (400, {"status": "error", "error": "parse error"}, "answered 400, parse error"),
        (503, vector("0.5"), "answered 503"),
        (302, "elsewhere", "answered 302"),
    ],
)
async def test_what_is_no_number_is_no_answer(prometheus, threads, status, answer, said):
    prometheus.status, prometheus.answer = status, answer
    value, reason = await ask(replace(QUERY, url=prometheus.url), threads)
    assert value is None
    assert said in reason


async def test_who_does_not_answer_in_time_or_at_all_gave_no_answer(prometheus, threads, monkeypatch, free_port):
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.2)
    prometheus.hang = True
    assert await ask(replace(QUERY, url=prometheus.url), threads) == (None, "no answer within 0.2 s")
    assert await ask(QUERY, threads) == (None, "connection refused")


async def test_a_token_is_read_anew_each_time_and_one_that_cannot_be_is_said(prometheus, threads, tmp_path):
    path = tmp_path / "token"
    query = replace(QUERY, url=prometheus.url, token_file=str(path))
    value, reason = await ask(query, threads)
    assert value is None
    assert "cannot be read" in reason
    for token in ("one", "two"):
        path.write_text(f"{token}\n")
        await ask(query, threads)
    assert [each[2] for each in prometheus.asked] == ["Bearer one", "Bearer two"]


def test_several_values_beyond_the_bound_in_a_row_end_the_release_for_good():
    metric = Metric(QUERY)
    assert metric.view().kind == "collecting"
    assert not metric.view().passes
    metric.take(0.9, "", 1.0)
    assert metric.view() is None
    for value in (1.0, 1.0, 0.1, 1.0, 1.5):
        metric.take(value, "", 2.0)
    assert (metric.view().kind, metric.view().cause) == ("suspicious", "metric")
    metric.take(2.0, "", 3.0)
    assert metric.view().kind == "rollback"
    assert metric.view().sentence == "a custom metric, not a comparison: load was 2, more than 0.9, 3 times in a row"
    metric.take(0.0, "", 4.0)
    assert metric.view().kind == "rollback"


def test_a_value_below_the_least_is_beyond_it_too():
    metric = Metric(replace(QUERY, max=None, min=10.0, failures=1))
    metric.take(9.0, "", 1.0)
    assert metric.view().sentence == "a custom metric, not a comparison: load was 9, less than 10"
    assert metric.reading.state == "beyond"


def test_no_answer_holds_however_long_and_forgets_no_failure():
    metric = Metric(QUERY)
    metric.take(1.0, "", 1.0)
    metric.take(1.0, "", 2.0)
    for _ in range(100):
        metric.take(None, "connection refused", 3.0)
    assert metric.view().kind == "collecting"
    assert not metric.view().passes
    assert "connection refused" in metric.view().sentence
    metric.take(1.0, "", 4.0)
    assert metric.view().kind == "rollback"


async def test_each_is_asked_as_often_as_it_says(prometheus, threads, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.002)
    clock = ManualClock()
    queries = Queries([replace(QUERY, url=prometheus.url, every=30.0)], clock, threads)
    queries.start()
    try:
        for times in range(1, 4):
            async with asyncio.timeout(5):
                while len(prometheus.asked) < times:  # noqa: ASYNC110 - another task's doing
                    await asyncio.sleep(0.002)
            await asyncio.sleep(0.02)
            assert len(prometheus.asked) == times
            clock.advance(30.0)
    finally:
        await queries.stop()
    assert queries.readings[0].value == 0.5


async def test_a_metric_ends_a_release_that_the_judge_has_nothing_against(stage, prometheus):
    query = replace(QUERY, url=prometheus.url, failures=1)
    await stage.start(plan(analysis=asked(queries=(query,))))
    async with asyncio.timeout(5):
        while not prometheus.asked:  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0.002)
    await asyncio.sleep(0.02)
    await stage.seconds(10, (200, 0), (200, 0))
    assert stage.release.verdict.kind == "passed"
    assert stage.judging.verdicts(stage.release.id)[0].queries[0].value == 0.5
    stage.judging._courses[stage.release.id].queries.metrics[0].take(2.0, "", 1.0)
    await stage.second((200, 0), (200, 0))
    assert stage.release.state.value == "rolled_back"
    assert stage.release.reason.startswith("a custom metric, not a comparison")


async def test_a_metric_that_does_not_answer_holds_what_the_judge_would_let_pass(stage):
    await stage.start(plan(analysis=asked(queries=(QUERY,))))
    await stage.seconds(10, (200, 0), (200, 0))
    assert stage.verdict().kind == "passed"
    assert (stage.release.verdict.kind, stage.release.verdict.passes) == ("collecting", False)
    stage.world.clock.advance(3600)
    await stage.advance()
    assert (stage.release.state.value, stage.release.step) == ("progressing", 0)
    await stage.second((20, 0), (20, 18))
    assert stage.release.state.value == "rolled_back"
