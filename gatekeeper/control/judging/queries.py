"""Custom metrics of a release: numbers that a Prometheus gives, beside the comparison and never part of it.

Each is asked for every so often. A value beyond its bound stops the release, several in a row end it; no answer holds
it where it is and says nothing against the candidate.

The API is that of https://prometheus.io/docs/prometheus/latest/querying/api/ (instant queries, response format).
"""

import asyncio
import json
import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any, Final

import aiohttp

import gatekeeper
from gatekeeper.clock import Clock
from gatekeeper.control.health.probe import in_words
from gatekeeper.control.releases.released_in import TokenError, read_token
from gatekeeper.core.judge.analysis import Query
from gatekeeper.core.judge.standing import QueryReading
from gatekeeper.core.judge.verdict import Cause, Kind
from gatekeeper.core.release.model import VerdictView

ANSWER_BYTES: Final = 64 * 1024
"""One number with its labels is a few hundred bytes; more is many series, which is no number."""
ANSWER_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 1.0
"""At most this long between two looks at the clock: a clock in a test's hand cannot wake a sleeper."""
_AGENT: Final = f"gatekeeper/{gatekeeper.__version__} (analysis)"
_SHOWN: Final = 200
"""Characters of what a Prometheus says was wrong."""


class _UnusableError(Exception):
    """The answer gives no number; the text says why."""


@dataclass(slots=True)
class Metric:
    """One query and what it gave last."""

    query: Query
    reading: QueryReading = field(init=False)
    beyond: int = 0
    """Values beyond the bound in a row. No answer neither counts nor begins anew."""
    failed: str = ""
    """Why it ends the release, once it does; it stays."""

    def __post_init__(self) -> None:
        query = self.query
        self.reading = QueryReading(query.name, None, query.max, query.min, "unknown", "it was not asked yet")

    def take(self, value: float | None, reason: str, at: float) -> None:
        """A value, or ``reason`` why there is none; ``at`` is wall seconds."""
        query = self.query
        if value is None:
            self.reading = replace(self.reading, value=None, state="unknown", reason=reason, at=at)
            return
        wrong = ""
        if query.max is not None and value > query.max:
            wrong = f"{value:g}, more than {query.max:g}"
        elif query.min is not None and value < query.min:
            wrong = f"{value:g}, less than {query.min:g}"
        self.beyond = self.beyond + 1 if wrong else 0
        self.reading = replace(self.reading, value=value, state="beyond" if wrong else "ok", reason=wrong, at=at)
        if self.beyond >= query.failures and not self.failed:
            self.failed = f"a custom metric, not a comparison: {query.name} was {wrong}" + (
                f", {query.failures} times in a row" if query.failures > 1 else ""
            )

    def view(self) -> VerdictView | None:
        """What it has to say about the release; None: nothing against it."""
        name, reading = self.query.name, self.reading
        if self.failed:
            return VerdictView(Kind.ROLLBACK, self.failed, passes=False, cause=Cause.METRIC)
        if reading.state == "beyond":
            times = f"{self.beyond} of {self.query.failures} times that end the release"
            sentence = f"a custom metric, not a comparison: {name} is {reading.reason} ({times})"
            return VerdictView(Kind.SUSPICIOUS, sentence, passes=False, cause=Cause.METRIC)
        if reading.state == "unknown":
            sentence = f"the custom metric {name} is not known, so the release holds: {reading.reason}"
            return VerdictView(Kind.COLLECTING, sentence, passes=False, cause=Cause.METRIC)
        return None


class Queries:
    """All of a release. ``start`` when it is judged, ``stop`` when it is not any more."""

    def __init__(self, queries: Sequence[Query], clock: Clock, threads: Executor) -> None:
        """``threads`` read the files of tokens."""
        self.metrics = [Metric(query) for query in queries]
        self._clock = clock
        self._threads = threads
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._run(metric), name="metric") for metric in self.metrics]

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def readings(self) -> tuple[QueryReading, ...]:
        return tuple(metric.reading for metric in self.metrics)

    async def _run(self, metric: Metric) -> None:
        while True:
            due = self._clock.monotonic() + metric.query.every
            value, reason = await ask(metric.query, self._threads)
            metric.take(value, reason, self._clock.wall())
            while (left := due - self._clock.monotonic()) > 0:  # noqa: ASYNC110 - the clock may be in a test's hand
                await asyncio.sleep(min(left, LOOK_SECONDS))


async def ask(query: Query, threads: Executor) -> tuple[float | None, str]:
    """Ask once: the value, or None and the reason. Never raises but for cancellation."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            token = None
            if query.token_file is not None:
                # In a thread, and bounded with the rest: a file may lie on a disk that hangs.
                token = await asyncio.get_running_loop().run_in_executor(threads, read_token, query.token_file)
            return _number(await _answer(query, token)), ""
    except (TokenError, _UnusableError) as error:
        return None, str(error)
    except TimeoutError:
        return None, f"no answer within {ANSWER_SECONDS:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return None, in_words(error)


async def _answer(query: Query, token: str | None) -> Any:
    headers = {"User-Agent": _AGENT, "Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), headers=headers) as session,
        session.get(
            f"{query.url.rstrip('/')}/api/v1/query",
            params={"query": query.query},
            allow_redirects=False,  # the token is for this address alone
        ) as response,
    ):
        body = b""
        while len(body) <= ANSWER_BYTES and (more := await response.content.read(ANSWER_BYTES + 1 - len(body))):
            body += more
        if len(body) > ANSWER_BYTES:
            raise _UnusableError(f"answered with more than {ANSWER_BYTES} bytes; let the query give one number")
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):  # the latter by brackets in brackets
            document = None
        if response.status != 200 or not isinstance(document, dict) or document.get("status") != "success":
            said = document.get("error") if isinstance(document, dict) else None
            more_said = f", {str(said)[:_SHOWN]}" if said else ""
            raise _UnusableError(f"answered {response.status}{more_said}; it must be the API of a Prometheus")
        return document.get("data")


def _number(data: Any) -> float:
    result = data.get("result") if isinstance(data, dict) else None
    kind = data.get("resultType") if isinstance(data, dict) else None
    if kind == "vector" and isinstance(result, list):
        if len(result) != 1:
            found = f"{len(result)} series" if result else "nothing"
            raise _UnusableError(f"the query gave {found}; let it give one number, as sum() or max() do")
        result = result[0].get("value") if isinstance(result[0], dict) else None
    elif kind != "scalar":
        raise _UnusableError(f"the query gave a {kind}; let it give one number")
    try:
        value = float(result[1])  # type: ignore[index]
    except (TypeError, ValueError, IndexError, KeyError):
        raise _UnusableError("the query gave no number") from None
    if not math.isfinite(value):
        raise _UnusableError(f"the query gave {value}, as one does that divides by nothing; let it give a number")
    return value
