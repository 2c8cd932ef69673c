"""Finds workers that hang: each is asked once a second whether it lives, and ended when it does not say so."""

import asyncio
from collections.abc import Sequence

from gatekeeper import channel
from gatekeeper.control.fleet.pace import Pace
from gatekeeper.control.fleet.slot import Slot
from gatekeeper.control.fleet.worker_process import Phase


async def watch(slots: Sequence[Slot], pace: Pace) -> None:
    """Ask and end for ever. What counts are pings, not seconds: a supervisor that was stopped blames nobody."""
    number = 0
    starting: dict[int, int] = {}
    """Pid -> pings it was given while starting; it answers none before it is up."""
    patience = max(1, round(pace.start / pace.ping))
    while True:
        await asyncio.sleep(pace.ping)
        number += 1
        frame = channel.encode({"type": "ping", "n": number})
        for slot in slots:
            worker = slot.worker
            if worker is None or not worker.alive:
                continue
            if worker.phase is Phase.STARTING:
                starting[worker.pid] = starting.get(worker.pid, 0) + 1
                if starting[worker.pid] > patience:
                    worker.kill(f"was not ready within {pace.start:g} s")
                continue
            starting.pop(worker.pid, None)
            if worker.unanswered >= pace.pings_unanswered:
                worker.kill(f"did not answer for {pace.pings_unanswered * pace.ping:g} s")
                continue
            worker.unanswered += 1
            worker.send(frame)
