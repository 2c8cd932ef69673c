"""Doing what is due: the loop that deadlines of changes and schedules of flags share."""

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import ClassVar, Final, Protocol

from gatekeeper.clock import Clock
from gatekeeper.core.command import Command
from gatekeeper.core.model import State

LOOK_SECONDS: Final = 1.0
"""At most this long between two looks at the clock while something is still to come: a clock that was set, and one in a
test's hand, cannot wake a sleeper."""
AGAIN_SECONDS: Final = 2.0
AGAIN_MOST: Final = 60.0
"""After a refusal (the disk is full, the queue is) it is tried again, first soon, then every minute, without end: what
was promised is done as soon as it can be."""


class Controller(Protocol):
    @property
    def state(self) -> State: ...
    async def changed(self, after: int) -> State: ...
    async def submit(self, command: Command, *, via: str = "") -> object: ...


class Punctual(ABC):
    """``start`` once the controller takes commands; ``stop`` before it ends."""

    name: ClassVar[str]
    """Of its task."""

    def __init__(self, controller: Controller, clock: Clock) -> None:
        self._controller = controller
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            state = self._controller.state
            if await self._act(state):
                continue  # the state has moved on, or the next try is later
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if self._waits(state) else None):
                    await self._controller.changed(state.revision)

    @abstractmethod
    async def _act(self, state: State) -> bool:
        """Do what is due now; whether anything was. What is refused is not due again for ``again`` seconds."""

    @abstractmethod
    def _waits(self, state: State) -> bool:
        """Whether something is still to come."""


def again(tries: int) -> float:
    """Seconds until what was refused so many times is tried again."""
    return min(AGAIN_SECONDS * 2.0 ** min(tries - 1, 10), AGAIN_MOST)
