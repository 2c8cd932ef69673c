"""Letting every worker open its access log anew."""

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Final

from gatekeeper import channel
from gatekeeper.control.fleet.worker_process import WorkerProcess

SECONDS: Final = 5.0
"""What opening a file may take: as long as no disk hangs it is far less than a millisecond, behind 4 MiB of lines that
wait it is a second.
"""

_serials = count(1)


async def reopen(workers: Sequence[WorkerProcess]) -> list[str]:
    """Returns when all of them write to the file as it is now; the reasons of those that go on with the old one."""
    serial = f"log {next(_serials)}"
    frame = channel.encode({"type": "reopen", "serial": serial})
    waits = []
    for worker in workers:
        waits.append(_answer(worker, worker.renewal(serial)))
        worker.send(frame)
    return [why for why in await asyncio.gather(*waits) if why]


async def _answer(worker: WorkerProcess, answer: "asyncio.Future[str]") -> str:
    try:
        async with asyncio.timeout(SECONDS):
            why = await answer
    except TimeoutError:
        why = f"no answer within {SECONDS:g} s"
    return f"worker {worker.pid}: {why}" if why else ""
