"""Server-sent events: what is stored after the id the client names, then what happens, until either side leaves.

A client that reconnects sends ``Last-Event-ID`` and misses nothing that is still stored; where some were dropped
already, an event ``missed`` in their place says which. The text format is WHATWG HTML 9.2.5.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from aiohttp import web

from gatekeeper.control.api.wire import ProblemError
from gatekeeper.control.feed import WATCHERS, DroppedError, Feed, TooManyWatchersError
from gatekeeper.control.store.store import Event, StoreError

log = logging.getLogger("gatekeeper.control")

SILENCE: Final = 15.0
"""Seconds without an event after which a comment goes out: it finds dead peers, and proxies close after 30 to 60."""
LOOK_SECONDS: Final = 0.5
"""Between two looks whether the watcher may still watch; with ``tokens.WATCH_SECONDS`` it is out within two seconds."""
WRITE_SECONDS: Final = 10.0
"""For one event to be taken by a client whose buffers are full; then it is dropped."""
PAGE: Final = 500
"""Stored events read at a time; bounds what one slow reader holds."""


class History(Protocol):
    async def events(self, *, after: int = 0, up_to: int | None = None, limit: int = PAGE) -> list[Event]: ...


Fallen = Callable[[], str]
"""Why the watcher may no longer see what happens; "" while he may."""


async def stream(
    request: web.Request, feed: Feed, history: History, after: int | None, fallen: Fallen = str
) -> web.StreamResponse:
    """Serve one watcher. ``after`` is the last id it has seen, None for only what happens from now on.

    Raises ProblemError (503) when too many watch, before anything was sent.
    """
    if feed.full:
        raise ProblemError(503, "too_many_watchers", f"{WATCHERS} watch already", allowed="close another one")
    seen = feed.latest if after is None else min(after, feed.latest)
    response = await open_stream(request)
    try:
        await _follow(response, feed, history, seen, fallen)
    except (DroppedError, StoreError) as dropped:
        await hang_up(request, response, _plain({"kind": "dropped", "reason": str(dropped)}), str(dropped))
    except ConnectionError:
        pass
    return response


async def open_stream(request: web.Request) -> web.StreamResponse:
    """An answer whose body is events, begun."""
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # an nginx in front would else hold events back
        }
    )
    await response.prepare(request)
    with suppress(ConnectionError):
        await response.write(b"retry: 2000\n\n")
    return response


async def _follow(response: web.StreamResponse, feed: Feed, history: History, seen: int, fallen: Fallen) -> None:
    # Catch up first, watch afterwards: no queue fills while a long history is read. Between the last comparison and
    # ``watch`` nothing is awaited, so no event falls between them.
    while seen < feed.latest:
        page = await history.events(after=seen, up_to=feed.latest, limit=PAGE)
        for event in page:
            refuse_fallen(fallen)
            if event.id > seen + 1:  # ids have no gaps: what is not there was there
                missed = {"kind": "missed", "from": seen + 1, "to": event.id - 1, "reason": "not stored any more"}
                await write(response, _plain(missed))
            await write(response, encode(event))
            seen = event.id
        seen = seen if page else feed.latest
    try:
        watcher = feed.watch()
    except TooManyWatchersError as error:
        raise DroppedError(str(error)) from error
    silent = 0.0
    try:
        while True:
            next_event = await watcher.next(LOOK_SECONDS)
            refuse_fallen(fallen)
            silent = silent + LOOK_SECONDS if next_event is None else 0.0
            if next_event is not None:
                await write(response, encode(next_event))
            elif silent >= SILENCE:
                await write(response, b":\n\n")
                silent = 0.0
    finally:
        feed.leave(watcher)


def refuse_fallen(fallen: Fallen) -> None:
    """Whoever lost his token while he watched sees nothing more: raises DroppedError."""
    if reason := fallen():
        raise DroppedError(reason)


async def write(response: web.StreamResponse, data: bytes) -> None:
    """Raises DroppedError when it is not taken in WRITE_SECONDS, ConnectionError when the client is gone."""
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            await response.write(data)
    except TimeoutError:
        raise DroppedError(f"nothing was read for {WRITE_SECONDS:g} s") from None


async def hang_up(request: web.Request, response: web.StreamResponse, last: bytes, reason: str) -> None:
    """``last``, the last event, names the reason, if the client still reads at all; the log has it in any case."""
    log.warning("watcher dropped", extra={"reason": reason, "peer": request.remote})
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(1.0):
            await response.write(last)
            await response.write_eof()
            return
    if request.transport is not None:
        request.transport.abort()


def encode(event: Event) -> bytes:
    """An event that could not be stored has no id: resuming after it would mean nothing."""
    identity = b"id: %d\n" % event.id if event.id else b""
    return identity + _plain(event.document())


def _plain(document: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(document, ensure_ascii=False, allow_nan=False).encode() + b"\n\n"
