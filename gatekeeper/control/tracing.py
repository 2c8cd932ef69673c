"""Spans to a collector, by OTLP over HTTP with JSON (opentelemetry.io/docs/specs/otlp).

Workers send what they sampled (``dataplane.tracing``); here, in the supervisor, it waits in a bounded queue and leaves
in batches. A collector that hangs, refuses or is gone costs spans, which are counted, and nobody waits for it. The
format is written here and not by OpenTelemetry's own exporter: that brings protobuf, requests and threads, to say what
one object of JSON says.
"""

import asyncio
import json
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import aiohttp

from gatekeeper import __version__
from gatekeeper.core.model import Settings

QUEUE: Final = 4096
"""Spans that wait, 3 MB: what comes while a collector is restarted."""
BATCH: Final = 256
"""Spans in one request: 5 ms of writing JSON, for which everything else here waits."""
SECONDS: Final = 1.0
"""Spans are collected for so long: one request a second, not one for each of them."""
TRY_SECONDS: Final = 5.0
TRIES: Final = 3
"""Then a batch is dropped: what waits behind it is newer."""
RETRIED: Final = frozenset({429, 502, 503, 504})
"""Answers after which OTLP lets one try again; others mean that these spans will never be taken."""
LAST_SECONDS: Final = 2.0
"""What stopping waits for a collector."""

Row = Sequence[Any]
"""A span as ``dataplane.tracing.Tracer.end`` writes it."""


class Exporter:
    """``hear`` never waits. ``exported`` and ``dropped`` are spans; ``trouble`` why the last try failed, or empty."""

    def __init__(self, settings: Callable[[], Settings], pause: float = SECONDS) -> None:
        self._settings = settings
        self._pause = pause
        self._waiting: deque[Row] = deque()
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.exported = self.dropped = 0
        self.trouble = ""

    def hear(self, rows: Sequence[Row]) -> None:
        """Spans from a worker. What does not fit is dropped, the newest first: a trace is worth most when whole."""
        room = QUEUE - len(self._waiting)
        self._waiting.extend(rows[:room])
        self.dropped += max(0, len(rows) - room)
        self._came.set()

    def troubles(self) -> list[str]:
        """In words, for the status."""
        return [f"traces are not taken: {self.trouble}"] if self.trouble else []

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="tracing")

    async def stop(self) -> None:
        """Send what waits, within LAST_SECONDS."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._waiting:
            async with self._session(LAST_SECONDS) as session:
                batch = self._batch()
                self._settle(batch, await self._try(session, batch))
        self.dropped += len(self._waiting)
        self._waiting.clear()

    async def _run(self) -> None:
        async with self._session(TRY_SECONDS) as session:
            while True:
                await self._came.wait()
                await asyncio.sleep(self._pause)
                self._came.clear()
                while batch := self._batch():
                    self._settle(batch, await self._deliver(session, batch))

    @staticmethod
    def _session(seconds: float) -> aiohttp.ClientSession:
        headers = {"User-Agent": f"gatekeeper/{__version__} (traces)"}
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds), headers=headers)

    def _batch(self) -> list[Row]:
        return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _settle(self, batch: Sequence[Row], taken: bool | None) -> None:
        if taken:
            self.exported += len(batch)
        else:
            self.dropped += len(batch)

    async def _deliver(self, session: aiohttp.ClientSession, batch: Sequence[Row]) -> bool:
        try:
            for turn in range(TRIES):
                if turn:
                    await asyncio.sleep(self._pause * 2**turn)
                if (taken := await self._try(session, batch)) is not None:
                    return taken
        except asyncio.CancelledError:
            self.dropped += len(batch)
            raise
        return False

    async def _try(self, session: aiohttp.ClientSession, batch: Sequence[Row]) -> bool | None:
        """None: another try may help."""
        tracing = self._settings().tracing
        if tracing is None:  # switched off meanwhile
            self.trouble = ""
            return False
        try:
            async with session.post(
                tracing.otlp, data=document(batch), headers={"Content-Type": "application/json"}, allow_redirects=False
            ) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self.trouble = f"{tracing.otlp}: {error or type(error).__name__}"
            return None
        if 200 <= status < 300:
            self.trouble = ""
            return True
        self.trouble = f"{tracing.otlp}: answered {status}"
        return None if status in RETRIED else False


def document(rows: Iterable[Row]) -> bytes:
    """An ExportTraceServiceRequest as JSON: ids in hexadecimal, 64-bit numbers as texts."""
    resource = {
        "service.name": "gatekeeper",
        "service.version": __version__,
        "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
    }
    spans = {"scope": {"name": "gatekeeper", "version": __version__}, "spans": [_span(row) for row in rows]}
    return json.dumps(
        {"resourceSpans": [{"resource": {"attributes": _pairs(resource)}, "scopeSpans": [spans]}]}
    ).encode()


def _span(row: Row) -> dict[str, Any]:
    trace, span, parent, begin, end, method, path, host, client, status, service, version, backend = row[:13]
    reason, revision, forced, retries, error, waited = row[13:]
    told = {
        "http.request.method": method,
        "url.path": path,
        "server.address": host,
        "client.address": client,
        "http.response.status_code": status,
        "gatekeeper.service": service,
        "gatekeeper.version": version,
        "gatekeeper.backend": backend,
        "gatekeeper.reason": reason,
        "gatekeeper.revision": revision,
        "gatekeeper.forced": forced,
        "gatekeeper.retries": retries,
    }
    if waited >= 0:
        told["gatekeeper.upstream_duration"] = waited
    if error or status >= 500:
        told["error.type"] = error or str(status)
    found: dict[str, Any] = {
        "traceId": trace,
        "spanId": span,
        "name": method,
        "kind": 2,  # SPAN_KIND_SERVER
        "startTimeUnixNano": str(1000 * round(begin * 1e6)),
        "endTimeUnixNano": str(1000 * round(end * 1e6)),
        "attributes": _pairs(told),
        "status": {"code": 2} if status >= 500 else {},
    }
    return found | ({"parentSpanId": parent} if parent else {})


def _pairs(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in told.items() if value != ""]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": value}
