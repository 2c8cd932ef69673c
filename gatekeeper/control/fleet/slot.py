"""A worker slot: what outlives the processes that take it, one after the other."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gatekeeper.control.fleet.sockets import Endpoint
from gatekeeper.control.fleet.worker_process import WorkerProcess


class Memory(Protocol):
    """A metrics block: what a worker counts into, and what its death leaves to be put in order."""

    fd: int

    def settle(self) -> tuple[int, int]: ...


@dataclass(slots=True)
class Slot:
    index: int
    block: Memory
    endpoints: Sequence[Endpoint]
    worker: WorkerProcess | None = None
    keeper: "asyncio.Task[None] | None" = None
    first: "asyncio.Future[str]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Done with "" once the first worker of this slot is ready, or with the reason why it never was."""
    restarts: int = 0
    failures: int = 0
    """Deaths in a row without a settled life between them."""
    lost: int = 0
    """Requests that were in flight in the last worker when it ended."""
    filled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while there is a worker."""
    last_end: str = ""
