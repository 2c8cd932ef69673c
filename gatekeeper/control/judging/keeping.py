"""Puts on disk what judges know, behind: the seconds as they come, the rest every now and then.

Nothing waits for it but the end of this program. What cannot be written now is tried again with the next; meanwhile
judging goes on in memory.
"""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from gatekeeper.clock import Clock
from gatekeeper.control.judging.case import Case, line
from gatekeeper.control.judging.seconds import tidy
from gatekeeper.control.store.rows import Judgement
from gatekeeper.control.store.statefile import StoreError

T = TypeVar("T")

log = logging.getLogger("gatekeeper.judge")

KEEP_SECONDS: Final = 10.0
"""What a power cut costs at most, against one write of some 20 KB to the disk every time."""
DISK_SECONDS: Final = 5.0
"""How long an end, a beginning or a hand-over waits for the disk."""
ENDED_MOST: Final = 64
"""Cases that have ended and could not be written yet."""

Tell = Callable[[Mapping[str, Any]], None]


class Store(Protocol):
    async def keep_judges(self, rows: Sequence[Judgement]) -> None: ...
    async def judges(self, release: int) -> list[Judgement]: ...


@dataclass(slots=True)
class _Ended:
    case: Case
    row: Judgement


class Keeping:
    """``start`` before the first case; ``look`` after each look of the judges; ``stop`` writes everything."""

    def __init__(
        self, store: Store, directory: str, cases: Callable[[], Sequence[Case]], tell: Tell, clock: Clock
    ) -> None:
        """``directory`` is that of the logs and memories; ``cases`` are those that are judged now."""
        self.directory = directory
        self.threads = ThreadPoolExecutor(1, "judge")
        """What blocks for as long as the disk does."""
        self._store = store
        self._cases = cases
        self._tell = tell
        self._clock = clock
        self._ended: list[_Ended] = []
        self._due = float("-inf")
        self._wake = asyncio.Event()
        self._one = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self.trouble = ""
        """Why the last write failed; empty while the disk takes all."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="judges-keep")

    async def stop(self, *, write: bool = True) -> None:
        """Write everything, unless it is not ours any more, and end. Never fails, and waits DISK_SECONDS at most."""
        task, self._task = self._task, None
        if write and task is not None:
            await self.settle()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.threads.shutdown(wait=False)

    async def settle(self) -> bool:
        """Have everything written; False when the disk did not take it within DISK_SECONDS."""
        self._due = float("-inf")
        self._settling = asyncio.create_task(self.write())
        await asyncio.wait({self._settling}, timeout=DISK_SECONDS)
        return self._settling.done() and not self.trouble

    def look(self, *, soon: bool = False) -> None:
        """There are new seconds; ``soon``: what they led to must be kept now."""
        if soon:
            self._due = float("-inf")
        self._wake.set()

    def end(self, case: Case) -> None:
        """Write the last of a case; afterwards nobody needs its memory of units."""
        self._ended.append(_Ended(case, self._row(case)))
        for late in self._ended[:-ENDED_MOST]:
            late.case.memory.remove()
        self._ended = self._ended[-ENDED_MOST:]
        self.look(soon=True)

    async def run(self, work: Callable[[], T]) -> T:
        """In the thread, after what is being written."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    async def tidy(self, stay: Collection[str]) -> None:
        """Make the directory if need be, and room in it; ``stay`` are the paths that are in use. Never fails."""
        try:
            await self.run(lambda: _make_room(self.directory, stay))
        except OSError as error:
            self.failed(f"{self.directory}: {(error.strerror or str(error)).lower()}")

    def failed(self, reason: str) -> None:
        if not self.trouble:
            self._tell({"kind": "judge_log_failed", "reason": reason})
        self.trouble = reason

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.write()

    async def write(self) -> None:
        """Write the seconds that are new, and what judges know if that is due. Never fails."""
        async with self._one:
            try:
                trouble = await self._write()
            except Exception as error:
                log.exception("judges are not kept")
                trouble = str(error) or type(error).__name__
        if trouble:
            self.failed(trouble)
        elif self.trouble:
            log.info("judges are kept again")
            self.trouble = ""

    async def _write(self) -> str:
        """Returns what failed, if anything did."""
        cases, ended = list(self._cases()), self._ended
        everyone = [*cases, *(each.case for each in ended)]
        works = [_work(case) for case in everyone]
        trouble = await self.run(lambda: _append_all(works))
        if self._clock.monotonic() < self._due or not everyone:
            return trouble
        rows = [*(self._row(case) for case in cases), *(each.row for each in ended)]
        # First the units, then what rests on them: a judge that is older than its units has lost coins at worst.
        trouble = await self.run(lambda: _flush_all(everyone)) or trouble
        try:
            await self._store.keep_judges(rows)
        except StoreError as error:
            return str(error)
        self._due = self._clock.monotonic() + KEEP_SECONDS
        for each in ended:
            each.case.memory.remove()
        self._ended = [each for each in self._ended if each not in ended]
        return trouble

    def _row(self, case: Case) -> Judgement:
        return Judgement(case.task.release, case.task.service, case.judge.last, self._clock.wall(), case.dump())


_Work = tuple[Case, Callable[[], bytes], Callable[[], bytes], bool]


def _work(case: Case) -> _Work:
    """What is to be done for a case in the thread, from what it is now. Its texts are made there, too."""
    lines, header, anew = case.unwritten()
    return case, lambda: b"".join(_text(line(each)) for each in lines), lambda: _text(header) if header else b"", anew


def _append_all(works: Sequence[_Work]) -> str:
    trouble = ""
    for case, lines, header, anew in works:
        try:
            if text := lines():
                case.log.append(text)
            if first := header():
                case.log.append(first, anew=anew)
        except (OSError, ValueError) as error:
            case.broken = True
            trouble = f"{case.log.path}: {getattr(error, 'strerror', None) or error}"
    return trouble


def _flush_all(cases: Sequence[Case]) -> str:
    trouble = ""
    for case in cases:
        try:
            case.memory.flush()
        except OSError as error:
            trouble = f"{case.memory.path}: {error.strerror or error}"
    return trouble


def _text(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _make_room(directory: str, stay: Collection[str]) -> None:
    Path(directory).mkdir(mode=0o700, exist_ok=True)
    os.chmod(directory, 0o700)  # noqa: PTH101 - which requests fail is nobody else's business
    tidy(directory, stay)
