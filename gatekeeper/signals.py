"""What SIGHUP and SIGUSR2 ask for while gatekeeper serves: the file is taken up again, a new program takes over."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Mapping
from typing import Any, Final

from gatekeeper.control.api.config import reload_file
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.wire import ProblemError
from gatekeeper.control.fleet.pace import DrainReport
from gatekeeper.control.succession.upgrade import Heir, Upgrade
from gatekeeper.systemd import Notifier

log = logging.getLogger("gatekeeper.app")

PROBLEMS_TOLD: Final = 100
"""Problems of one refused reload that go into the log and the events; the rest is counted."""


class Reloads:
    """SIGHUP: one reload after the other; signals that come during one ask for one more, not for many."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._wanted = asyncio.Event()

    def ask(self) -> None:
        self._wanted.set()

    async def run(self, parts: Parts) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            # The manager wants to know when it began, so that it does not take an earlier READY for the end of it.
            self._notifier.tell(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)
            try:
                await reload_file(parts, actor="SIGHUP", via="signal")
            except ProblemError as problem:
                self._refused(parts, problem.document)
                self._notifier.tell(READY=1, STATUS="serving; the last reload was refused, see the log")
            else:
                self._notifier.tell(READY=1, STATUS="serving")

    @staticmethod
    def _refused(parts: Parts, document: Mapping[str, Any]) -> None:
        problems = document["problems"]
        for each in problems[:PROBLEMS_TOLD]:
            # A prefix, since the logging module keeps names like "message" for itself.
            log.error("reload refused", extra={f"problem_{key}": value for key, value in each.items()})
        parts.feed.tell(
            {
                "kind": "reload_refused",
                "actor": "SIGHUP",
                "reason": document["detail"],
                "problems": problems[:PROBLEMS_TOLD],
                "problems_in_all": len(problems),
            }
        )


class Succession:
    """SIGUSR2: a new program, while this one serves and does nothing of that kind already."""

    def __init__(self) -> None:
        self.heir: Heir | None = None
        """Who took over, once somebody did."""
        self.done = asyncio.Event()
        """Set with ``heir``."""
        self._upgrade: Upgrade | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = "it is still starting"

    def open(self, upgrade: Upgrade) -> None:
        self._upgrade, self._closed = upgrade, ""

    def ask(self) -> None:
        refused = self._closed or ("it is handing over already" if self._task is not None else "")
        # In a container the first process is the container: it would end, and the new program with it.
        refused = refused or ("it is process 1, whose end is everybody's; replace the container" * (os.getpid() == 1))
        if refused or self._upgrade is None:
            log.warning("SIGUSR2 refused", extra={"reason": refused})
            return
        log.info("handing over to a new program")
        self._task = asyncio.create_task(self._run(self._upgrade))

    async def leave(self, heir: Heir) -> DrainReport:
        """End in favour of the one who took over; what became of the requests under way."""
        assert self._upgrade is not None  # noqa: S101 - there is an heir only by it
        return await self._upgrade.leave(heir)

    async def close(self, reason: str) -> None:
        """Refuse what comes from now on, and undo what is under way; what is done stays."""
        self._closed = reason
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._upgrade is not None:
            await self._upgrade.stop()

    async def _run(self, upgrade: Upgrade) -> None:
        try:
            self.heir = await upgrade.begin()
        except Exception:
            log.exception("handing over failed")
        finally:
            self._task = None
        if self.heir is not None:
            self._closed = f"it handed over to process {self.heir.successor.pid}: ask that one"
            self.done.set()
