"""One backend as the monitor holds it, and the checks that go on for it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from gatekeeper.control.health.health import Condition, Health
from gatekeeper.core.model import BackendTls, HealthCheck

Probe = Callable[[str, HealthCheck, BackendTls], Awaitable[str]]
"""Asks a backend, by its id, once: "" when it is well, else what is wrong, in words. Bounds its time by ``timeout``."""

CONCURRENT: Final = 256
"""Checks under way at once: bounds descriptors and memory with thousands of backends that all hang."""


@dataclass(slots=True)
class Watched:
    health: Health
    shown: Condition
    since: float
    """Wall seconds."""
    warm_from: float | None = None
    """When it became ready (monotonic), while it gets its share slowly."""
    task: "asyncio.Task[None] | None" = None
    checked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once there is a first result, or nothing to wait for."""

    def end(self) -> None:
        self.checked.set()
        if self.task is not None:
            self.task.cancel()


class Checker:
    """Asks backends again and again. Checks of one come a little early or late by ``chance`` (0..1), so that those
    started together do not stay so.
    """

    def __init__(self, probe: Probe, chance: Callable[[], float]) -> None:
        self._probe = probe
        self._chance = chance
        self._places = asyncio.Semaphore(CONCURRENT)

    def begin(self, backend: str, watched: Watched, changed: Callable[[], None]) -> None:
        """Ask as its ``health.check`` says from now on; ``changed`` is called when its condition is another."""
        if watched.health.check is None:
            watched.checked.set()
        else:
            watched.task = asyncio.create_task(self._run(backend, watched, changed))

    async def _run(self, backend: str, watched: Watched, changed: Callable[[], None]) -> None:
        health = watched.health
        while (check := health.check) is not None:
            async with self._places:
                failure = await self._ask(backend, check, health.tls)
            if health.record(failure):
                changed()
            watched.checked.set()
            await asyncio.sleep(check.interval * (1 + check.jitter * (2 * self._chance() - 1)))

    async def _ask(self, backend: str, check: HealthCheck, tls: BackendTls) -> str:
        try:
            return await self._probe(backend, check, tls)
        except Exception as error:  # noqa: BLE001 - a defect must show as a failing check, not as one that stopped
            return f"the check itself failed: {error!r}"
