"""SIGUSR1: log files are opened anew, after somebody has moved the old ones away.

What was logged before is in the old file, what comes after the event ``logs_reopened`` in the new one, and nothing is
lost in between: each writer changes over between two lines. A file that cannot be opened keeps the old one, which is
told, and shown in the status until it works.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from gatekeeper.control.api.parts import Parts
from gatekeeper.control.feed import Feed
from gatekeeper.control.fleet.reopening import reopen
from gatekeeper.control.fleet.worker_process import WorkerProcess
from gatekeeper.control.gate import Gate
from gatekeeper.control.logs import LogWriter, set_level, start_logging
from gatekeeper.core.model import Settings
from gatekeeper.errors import GatekeeperError
from gatekeeper.telemetry.logfile import LogFile, why_not

log = logging.getLogger("gatekeeper.app")

SECONDS: Final = 5.0
"""For our own log, likewise: see ``fleet.reopening``."""


class LogsError(GatekeeperError):
    """A log file cannot be opened at the start; the text names it and the way out."""


def start_logs(settings: Settings) -> LogWriter:
    """Our own log, written where the settings say. Raises LogsError, also for a file that workers could not open."""
    key, path = "log.access_file", settings.access_file
    try:
        if path is not None:
            tried = LogFile()
            tried.reopen(path)
            tried.close()
        key, path = "log.file", settings.log_file
        return start_logging(settings.log.level, path)
    except OSError as error:
        raise LogsError(
            f"{why_not(path or '', error)}; make its directory, let this user write there, or name another `{key}:`"
        ) from error


class Rotation:
    """``ask`` as often as one likes: what comes during one round asks for one more, not for many."""

    def __init__(self, writer: LogWriter | None) -> None:
        """``writer`` is where our own log is written; None where somebody else does that."""
        self._writer = writer
        self._wanted = asyncio.Event()
        self._kept: list[str] = []

    def ask(self) -> None:
        self._wanted.set()

    def troubles(self) -> list[str]:
        """Which logs go on in their old files, in words."""
        return [f"a log goes on in its old file: {why}" for why in self._kept]

    def follow(self, settings: Settings) -> None:
        """Heed what a reload may change: from which severity on is logged."""
        if self._writer is not None and logging.getLevelName(logging.getLogger().level) != settings.log.level.upper():
            set_level(settings.log.level)

    def start(self, parts: Parts, gate: Gate) -> "asyncio.Task[None]":
        """``run``, and heed each event that may have brought other settings."""
        parts.feed.listeners.append(lambda _event: self.follow(parts.controller.state.settings))
        return asyncio.create_task(
            self.run(lambda: parts.controller.state.settings, lambda: gate.fleet.workers, parts.feed)
        )

    async def run(
        self, settings: Callable[[], Settings], workers: Callable[[], Sequence[WorkerProcess]], feed: Feed
    ) -> None:
        """Until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            present = settings()
            files = {"file": present.log_file, "access_file": present.access_file}
            named = {key: path for key, path in files.items() if path is not None}
            if not named:
                # Scripts that rotate logs of other servers send it; by default it would end us.
                reason = "log.file and log.access_file are not set: what goes to standard output has no file to reopen"
                log.warning("SIGUSR1 refused", extra={"reason": reason})
                continue
            self._kept = [
                *await self._reopen_ours(present.log_file),
                *(await reopen(workers()) if present.access_file is not None else ()),
            ]
            if self._kept:
                feed.tell({"kind": "logs_kept", **named, "reason": "; ".join(self._kept)})
            else:
                feed.tell({"kind": "logs_reopened", **named})

    async def _reopen_ours(self, path: str | None) -> list[str]:
        if path is None or self._writer is None:
            return []
        try:
            async with asyncio.timeout(SECONDS):
                why = await asyncio.wrap_future(self._writer.reopen(path))
        except TimeoutError:
            why = f"{path}: not opened anew within {SECONDS:g} s"
        return [why] if why else []
