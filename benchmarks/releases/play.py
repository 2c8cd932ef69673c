"""One release from its first step until somebody ends it, or the time is over."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.processes import BenchmarkError
from benchmarks.releases.loops import JUDGE, LOOPS, read
from benchmarks.releases.shop import Fault
from benchmarks.releases.stand import Stand, standing
from benchmarks.releases.users import Users

LOOK_SECONDS: Final = 0.5
"""Between two looks whether the candidate has lost its weight."""
AFTER_SECONDS: Final = 2.0
"""Users go on coming for this long after it, so that whoever is still sent there is counted."""


@dataclass(frozen=True, slots=True)
class Options:
    """``weight`` in percent. ``faster``: by how much the intervals of the loops are divided."""

    rps: float
    weight: float
    seconds: float
    faster: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """``seconds`` from the first step until the candidate lost its weight (or, ``held``, until the judge said that it
    cannot compare); None: nobody did anything. ``harmed``: users' requests that failed and would not have on stable.
    """

    fault: str
    watcher: str
    seconds: float | None
    held: bool
    said: str
    sent: int
    on_candidate: int
    failed: int
    harmed: int
    slowed: int


def plan(watcher: str, options: Options) -> dict[str, Any]:
    """One step that is held for longer than anybody watches."""
    steps = {"steps": [{"weight": options.weight, "hold": "6h"}, {"weight": 100}]}
    return {**steps, "analysis": {}} if watcher == JUDGE else steps


@dataclass(frozen=True, slots=True)
class Together:
    """All releases begin at once; of the gatekeepers before that only a few, or none would be ready in time."""

    ready: asyncio.Barrier
    starting: asyncio.Semaphore


async def play(fault: Fault, watcher: str, options: Options, together: Together) -> Outcome:
    """Raises BenchmarkError."""
    async with contextlib.AsyncExitStack() as stack:
        async with together.starting:
            stand = await stack.enter_async_context(standing(fault, plan(watcher, options)))
        await together.ready.wait()
        users = Users(stand.port, options.rps, fault)
        load = asyncio.create_task(users.come())
        try:
            await stand.ask("POST", "/v1/services/shop/releases", {"to": "green", "plan": "watched"})
            begin = time.monotonic()
            until = begin + options.seconds
            if watcher == JUDGE:
                looks = asyncio.create_task(_judged(stand, until))
            else:
                looks = asyncio.create_task(_watched(stand, watcher, options, until))
            await asyncio.wait((looks, load), return_when=asyncio.FIRST_COMPLETED)
            if users.problem is not None:
                looks.cancel()
                raise users.problem
            said, held = await looks
            seconds = time.monotonic() - begin if said else None
            await asyncio.sleep(AFTER_SECONDS)
        finally:
            load.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await load
        served = stand.candidate.served or users.harmed  # nobody there saw who was refused
        slowed = stand.candidate.slowed
        return Outcome(fault.name, watcher, seconds, held, said, users.sent, served, users.failed, users.harmed, slowed)


async def _judged(stand: Stand, until: float) -> tuple[str, bool]:
    """What the judge said, and whether it only held."""
    while time.monotonic() < until:
        over = not await stand.share()
        release = await stand.ask("GET", "/v1/services/shop/releases/last")
        verdict = release.get("verdict") or {}
        if over:
            return verdict.get("sentence") or release["state"], False
        if verdict.get("kind") == "invalid":
            return verdict["sentence"], True
        await asyncio.sleep(LOOK_SECONDS)
    return "", False


async def _watched(stand: Stand, watcher: str, options: Options, until: float) -> tuple[str, bool]:
    loop = LOOPS[watcher]()
    interval = loop.interval / options.faster
    due = time.monotonic() + interval
    while due < until:
        await asyncio.sleep(due - time.monotonic())
        due += interval
        why = loop.look(read(await stand.metrics(), "green"))
        if why:
            await stand.ask("POST", "/v1/services/shop/rollback", {})
            if await stand.share():
                raise BenchmarkError("the candidate kept its weight after a rollback")
            return why, False
    await asyncio.sleep(max(0.0, until - time.monotonic()))
    return "", False
