"""Which backends may get requests: active checks, one small state machine per backend.

    pending --first success--> ready --`fall` failures in a row--> ejected --`rise` successes in a row--> ready
    pending --`fall` failures in a row--> ejected

Without a ``health`` section a backend is ready from the start and stays it; passive failures are the worker's matter.
The supervisor checks once for all workers and sends them the picture on every change.

A check is a GET on a connection of its own: a pooled one would show that a connection works, not that the backend
accepts. Checks of one backend are spread by +-10 %, so that those started together do not stay together.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from gatekeeper.clock import Clock, SystemClock
from gatekeeper.control.publish import Picture
from gatekeeper.core.model import BackendTls, HealthCheck, State, Version

Emit = Callable[[Mapping[str, Any]], None]
Probe = Callable[[str, HealthCheck, BackendTls], Awaitable[str]]
"""Asks a backend once: "" when it is well, else what is wrong, in words. Bounds its own time by ``timeout``."""

JITTER: Final = 0.1
CONCURRENT: Final = 256
"""Checks under way at once: bounds descriptors and memory with thousands of backends that all hang."""

Key = tuple[str, str, str]
"""Service, version, backend url."""


class Condition(StrEnum):
    PENDING = "pending"
    READY = "ready"
    EJECTED = "ejected"


@dataclass(slots=True)
class Health:
    """One backend's condition, why it is in it, since when (wall seconds), and how far it is from the next."""

    check: HealthCheck | None
    condition: Condition
    reason: str
    since: float
    successes: int = 0
    failures: int = 0
    tls: BackendTls = field(default_factory=BackendTls)
    """How it is asked where its url is https."""

    def record(self, failure: str, now: float) -> bool:
        """Take one result ("" = well) into account; whether the condition changed."""
        assert self.check is not None  # noqa: S101 - what is not checked has no results
        if failure:
            self.successes, self.failures = 0, self.failures + 1
            self.reason = failure
            if self.condition is not Condition.EJECTED and self.failures >= self.check.fall:
                many = f"{self.failures} checks" if self.failures > 1 else "the check"
                in_a_row = " in a row" if self.failures > 1 else ""
                return self._become(Condition.EJECTED, f"{many} failed{in_a_row}: {failure}", now)
            return False
        self.successes, self.failures = self.successes + 1, 0
        if self.condition is Condition.PENDING or (
            self.condition is Condition.EJECTED and self.successes >= self.check.rise
        ):
            return self._become(Condition.READY, "the check passes", now)
        if self.condition is Condition.READY:
            self.reason = "the check passes"
        return False

    def _become(self, condition: Condition, reason: str, now: float) -> bool:
        self.condition, self.reason, self.since = condition, reason, now
        return True


@dataclass(slots=True)
class _Watched:
    health: Health
    task: "asyncio.Task[None] | None" = None
    checked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once there is a first result, or nothing to wait for."""


class Monitor:
    """Checks every backend of the current state. ``follow`` whenever the state changed; ``stop`` at the end."""

    def __init__(
        self,
        emit: Emit,
        on_change: Callable[[Picture], None],
        *,
        probe: Probe,
        clock: Clock | None = None,
        jitter: Callable[[], float] = lambda: random.uniform(1 - JITTER, 1 + JITTER),
    ) -> None:
        """``on_change`` gets the whole picture, at most once per turn of the event loop."""
        self._emit = emit
        self._on_change = on_change
        self._probe = probe
        self._clock = clock or SystemClock()
        self._jitter = jitter
        self._watched: dict[Key, _Watched] = {}
        self._places = asyncio.Semaphore(CONCURRENT)
        self._told = True

    def follow(self, state: State) -> bool:
        """Watch exactly the backends of ``state``; what is known of those that stay is kept. Whether any came or went.

        A backend with a check starts as pending. A changed check applies from the next round on.
        """
        wanted: dict[Key, Version] = {
            (service, name, backend.url): version
            for service, current in state.services.items()
            for name, version in current.definition.versions.items()
            for backend in version.backends
        }
        gone = self._watched.keys() - wanted.keys()
        for key in gone:
            self._forget(key)
        came = False
        for key, version in wanted.items():
            check = version.health
            known = self._watched.get(key)
            if known is not None and (known.health.check is None) == (check is None):
                known.health.check, known.health.tls = check, version.tls
                continue
            self._forget(key)
            self._watch(key, version)
            came = True
        return came or bool(gone)

    async def first_round(self, seconds: float) -> bool:
        """Wait until every backend watched now has been asked once, at most ``seconds``; whether all have been."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(watched.checked.wait() for watched in self._watched.values()))
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        tasks = [watched.task for watched in self._watched.values() if watched.task is not None]
        for key in list(self._watched):
            self._forget(key)
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # What is shown

    def picture(self) -> Picture:
        """Service -> version -> url -> condition, of all backends."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for (service, version, url), watched in self._watched.items():
            found.setdefault(service, {}).setdefault(version, {})[url] = watched.health.condition.value
        return found

    def health(self, service: str, version: str, url: str) -> Health | None:
        """What is known of one backend; None if no state names it."""
        watched = self._watched.get((service, version, url))
        return watched.health if watched is not None else None

    def ready(self, service: str, version: str) -> int:
        """How many backends of a version may get requests."""
        return sum(
            watched.health.condition is Condition.READY
            for (of, name, _), watched in self._watched.items()
            if of == service and name == version
        )

    # Checking

    def _watch(self, key: Key, version: Version) -> None:
        check, now = version.health, self._clock.wall()
        if check is None:
            watched = _Watched(Health(None, Condition.READY, "no health check", now))
            watched.checked.set()
        else:
            watched = _Watched(Health(check, Condition.PENDING, "not checked yet", now, tls=version.tls))
            watched.task = asyncio.create_task(self._run(key, watched))
        self._watched[key] = watched

    def _forget(self, key: Key) -> None:
        watched = self._watched.pop(key, None)
        if watched is not None:
            watched.checked.set()
            if watched.task is not None:
                watched.task.cancel()

    async def _run(self, key: Key, watched: _Watched) -> None:
        health = watched.health
        while (check := health.check) is not None:
            async with self._places:
                failure = await self._ask(key[2], check, health.tls)
            before = health.condition
            if health.record(failure, self._clock.wall()):
                self._tell(key, health, before)
            watched.checked.set()
            await asyncio.sleep(check.interval * self._jitter())

    async def _ask(self, url: str, check: HealthCheck, tls: BackendTls) -> str:
        try:
            return await self._probe(url, check, tls)
        except Exception as error:  # noqa: BLE001 - a defect must show as a failing check, not as one that stopped
            return f"the check itself failed: {error!r}"

    def _tell(self, key: Key, health: Health, before: Condition) -> None:
        service, version, url = key
        self._emit(
            {
                "kind": "backend_" + health.condition.value,
                "service": service,
                "version": version,
                "backend": url,
                "state": health.condition.value,
                "was": before.value,
                "reason": health.reason,
            }
        )
        # Backends of one machine fail together; one message to the workers says it all.
        if self._told:
            self._told = False
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._told = True
        self._on_change(self.picture())
