"""Who is told of releases: webhooks, each with a queue of its own, so that one that is dead holds up nobody.

What happens is put into queues at once and sent behind; nothing ever waits for a receiver. Of each endpoint events are
sent one after the other, in their order. One that cannot be sent is tried again, ever more slowly, at most TRIES times
within KEPT_SECONDS; then it is dropped, and that is an event, too (of which no webhook is told). What still waits when
gatekeeper ends is not sent: the events themselves are in the history.
"""

import asyncio
import hashlib
import hmac
import json
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

import gatekeeper
from gatekeeper.clock import Clock
from gatekeeper.control.health.probe import in_words
from gatekeeper.control.store.rows import Event
from gatekeeper.core.release.plan import Notify
from gatekeeper.core.release.words import host

QUEUE: Final = 1_000
"""Events that wait for one endpoint; some 500 bytes each. A release has dozens of events. Beyond it the oldest go."""
TRIES: Final = 10
KEPT_SECONDS: Final = 3_600.0
FIRST_SECONDS: Final = 1.0
LAST_SECONDS: Final = 600.0
GROWTH: Final = 4.0
"""Ten tries with waits of 1, 4, 16, 64, 256 and five times 600 s last 46 to 56 minutes: most of KEPT_SECONDS."""
JITTER: Final = 0.2
"""The part of a wait by which it is longer or shorter, so that not all who failed together come back together."""
TRY_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 1.0
"""At most this long between two looks at the clock: a clock in a test's hand cannot wake a sleeper."""
FAILED: Final = "notify_failed"
ALSO: Final = frozenset({"rollback", "tripped"})
"""Kinds that are sent, beside those of releases, where an endpoint names none."""
_AGENT: Final = f"gatekeeper/{gatekeeper.__version__} (notify)"

Tell = Callable[[Mapping[str, Any]], None]


def signature(secret: str, body: bytes, at: int) -> str:
    """The value of ``X-Gatekeeper-Signature``: HMAC-SHA256 of ``AT.BODY``, so that neither can be changed or repeated.

    A receiver computes ``v1`` anew from ``t`` and the body as it came, compares in constant time, and refuses a ``t``
    that is older than some minutes. ``at`` is wall seconds.
    """
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def wants(target: Notify, kind: str) -> bool:
    if kind == FAILED:
        return False
    return kind in target.events if target.events else kind.startswith("release_") or kind in ALSO


@dataclass(frozen=True, slots=True)
class _Waiting:
    event: Event
    since: float
    """Monotonic seconds."""


class Endpoint:
    """One receiver and what waits for it."""

    def __init__(
        self, target: Notify, session: aiohttp.ClientSession, tell: Tell, clock: Clock, chance: Callable[[], float]
    ) -> None:
        self.target = target
        self._session = session
        self._tell = tell
        self._clock = clock
        self._chance = chance
        self._queue: deque[_Waiting] = deque()
        self._came = asyncio.Event()
        self._sending: _Waiting | None = None
        self._tries = 0
        self._delivered = 0
        self._dropped = 0
        self._lost = 0
        """Of these, those that are not told of yet."""
        self._trouble = ""
        self._failing_since: float | None = None
        self._last: float | None = None
        self.task = asyncio.create_task(self._run(), name="notify")

    def offer(self, event: Event) -> None:
        if len(self._queue) >= QUEUE:
            self._queue.popleft()
            self._dropped += 1
            self._lost += 1
        self._queue.append(_Waiting(event, self._clock.monotonic()))
        self._came.set()

    def document(self) -> dict[str, Any]:
        """How it stands. ``since`` (failing) and ``last`` (delivery) are wall seconds."""
        return {
            "url": shown(self.target.url),
            "events": list(self.target.events),
            "state": "failing" if self._failing_since is not None else "ok",
            "reason": self._trouble,
            "since": self._failing_since,
            "tries": self._tries,
            "waiting": len(self._queue) + (self._sending is not None),
            "delivered": self._delivered,
            "dropped": self._dropped,
            "last": self._last,
        }

    async def _run(self) -> None:
        while True:
            while not self._queue:
                self._came.clear()
                await self._came.wait()
            self._sending, self._tries = self._queue.popleft(), 0
            await self._deliver(self._sending)
            self._sending = None

    async def _deliver(self, waiting: _Waiting) -> None:
        wait = FIRST_SECONDS
        while True:
            trouble = await self._send(waiting.event)
            now, wall = self._clock.monotonic(), self._clock.wall()
            if not trouble:
                self._delivered += 1
                self._trouble, self._failing_since, self._last = "", None, wall
                return
            self._tries += 1
            self._trouble = trouble
            self._failing_since = wall if self._failing_since is None else self._failing_since
            pause = wait * (1 + JITTER * (2 * self._chance() - 1))
            if self._tries >= TRIES or now + pause - waiting.since >= KEPT_SECONDS:
                self._give_up(waiting.event, now)
                return
            await self._until(now + pause)
            wait = min(wait * GROWTH, LAST_SECONDS)

    def _give_up(self, event: Event, now: float) -> None:
        """Drop one, and with it those that wait for too long already: trying them would take hours more."""
        gone = 1
        while self._queue and now - self._queue[0].since >= KEPT_SECONDS:
            self._queue.popleft()
            gone += 1
        self._dropped += gone
        gone, self._lost = gone + self._lost, 0
        self._tell(
            {
                "kind": FAILED,
                "url": shown(self.target.url),
                "of": event.kind,
                "event_id": event.id,
                "tries": self._tries,
                "dropped": gone,
                "reason": self._trouble,
            }
        )

    async def _until(self, due: float) -> None:
        while (left := due - self._clock.monotonic()) > 0:  # noqa: ASYNC110 - the clock may be in a test's hand
            await asyncio.sleep(min(left, LOOK_SECONDS))

    async def _send(self, event: Event) -> str:
        """Send once: empty when it was taken, else the reason. Never raises but for cancellation."""
        body = json.dumps(event.document(), allow_nan=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "X-Gatekeeper-Event": event.kind}
        if event.id:
            headers["X-Gatekeeper-Delivery"] = str(event.id)  # the same each time: who had it already can tell
        if self.target.secret:
            headers["X-Gatekeeper-Signature"] = signature(self.target.secret, body, int(self._clock.wall()))
        try:
            async with (
                asyncio.timeout(TRY_SECONDS),
                self._session.post(self.target.url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                status = response.status
        except TimeoutError:
            return f"no answer within {TRY_SECONDS:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return in_words(error)
        if 200 <= status < 300:
            return ""
        if 300 <= status < 400:
            return f"answered {status}; redirects are not followed: name the address it leads to"
        return f"answered {status}"


class Notifier:
    """``start`` before anything happens, ``hear`` every event, ``stop`` at the end."""

    def __init__(
        self,
        targets: Callable[[], Sequence[Notify]],
        tell: Tell,
        clock: Clock,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``targets`` are those of the present state; a change of them counts from the next event on."""
        self._targets = targets
        self._tell = tell
        self._clock = clock
        self._chance = chance
        self._endpoints: dict[str, Endpoint] = {}
        """By url."""
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        self._session = aiohttp.ClientSession(
            # Events are hours apart; a connection kept so long is dead, and finding that out costs a try.
            # Events are hours apart; a connection kept so long is dead, and finding that out costs a try.
            connector=aiohttp.TCPConnector(force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": _AGENT},
        )
        self._follow()

    async def stop(self) -> None:
        tasks = [endpoint.task for endpoint in self._endpoints.values()]
        self._endpoints = {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def hear(self, event: Event) -> None:
        """Never waits."""
        self._follow()
        for endpoint in self._endpoints.values():
            if wants(endpoint.target, event.kind):
                endpoint.offer(event)

    def documents(self) -> list[dict[str, Any]]:
        """How every endpoint stands, in the order of the file."""
        self._follow()
        return [endpoint.document() for endpoint in self._endpoints.values()]

    def _follow(self) -> None:
        """Have an endpoint for each target; what waits for one that stays goes on waiting."""
        if self._session is None:
            return
        before, self._endpoints = self._endpoints, {}
        for target in self._targets():
            known = before.pop(target.url, None)
            if known is None or known.task.done():
                known = Endpoint(target, self._session, self._tell, self._clock, self._chance)
            known.target = target
            self._endpoints[target.url] = known
        for gone in before.values():
            gone.task.cancel()


def shown(url: str) -> str:
    """An address for people: without what may be a secret, which with many services is a part of the path."""
    parts = urlsplit(url)
    first = next((each for each in parts.path.split("/") if each), "")
    more = "/…" if parts.path.strip("/") != first or parts.query else ""
    return f"{host(url)}/{first}{more}"
