"""Keeps runs on disk, a file each, so that a report goes on after a restart. Nothing waits for it but the end.

A file is replaced as a whole and not written through: a kill costs the last seconds, a power cut perhaps the file, and
then the run begins anew. What is in it are samples of answers, so nobody else may read it.
"""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from gatekeeper.control.shadow.run import Run

T = TypeVar("T")

log = logging.getLogger("gatekeeper.shadow")

FILE_BYTES: Final = 4 * 1024 * 1024
"""A run with all its places, sets and samples has some 0.3 MB; what is longer is none of ours."""
FILES_MOST: Final = 1024
"""Runs on disk. One for each service that mirrors; more are kept in memory alone."""
DISK_SECONDS: Final = 5.0
"""How long a beginning, an end or a hand-over waits for the disk."""


class Keeping:
    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self._threads = ThreadPoolExecutor(1, "shadow")
        self._trouble = ""

    async def read(self) -> list[Run]:
        """What an earlier program kept. Damaged files are told of in the log, and begun anew. Never fails."""
        return await self._run(self._read, []) or []

    async def write(self, runs: Sequence[Run], gone: Collection[tuple[str, str]] = ()) -> None:
        """Write those that are not; remove the files of ``gone``, by service and version. Never fails."""
        new = [run for run in runs[:FILES_MOST] if run.unwritten]
        documents = [(self._path(run.service, run.version), run.document()) for run in new]
        if not documents and not gone:
            return
        for run in new:
            run.unwritten = False
        paths = [self._path(*names) for names in gone]
        trouble = await self._run(lambda: self._write(documents, paths), f"not done within {DISK_SECONDS:g} s")
        if trouble:
            for run in new:
                run.unwritten = True
        if trouble and not self._trouble:
            log.error("runs of mirrors are not kept", extra={"directory": str(self._directory), "reason": trouble})
        elif self._trouble and not trouble:
            log.info("runs of mirrors are kept again")
        self._trouble = trouble or ""

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def _run(self, work: Callable[[], T], late: T) -> T:
        try:
            async with asyncio.timeout(DISK_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            return late

    def _path(self, service: str, version: str) -> Path:
        # Neither name can hold an @, or anything else that means something in a path.
        return self._directory / f"{service}@{version}.json"

    def _read(self) -> list[Run]:
        found: list[Run] = []
        try:
            paths = sorted(self._directory.glob("*@*.json"))[:FILES_MOST]
        except OSError:
            return found
        for path in paths:
            try:
                found.append(self._read_one(path))
            except (OSError, ValueError, RecursionError) as error:
                log.warning(
                    "a kept run of a mirror cannot be read, it begins anew",
                    extra={"file": str(path), "reason": str(error)[:200]},
                )
        return found

    def _read_one(self, path: Path) -> Run:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES + 1)
        if len(text) > FILE_BYTES:
            raise ValueError(f"it has more than {FILE_BYTES} bytes")
        run = Run.read(json.loads(text))
        if self._path(run.service, run.version) != path:
            raise ValueError(f"it is of {run.service}, {run.version}")
        return run

    def _write(self, documents: Iterable[tuple[Path, Any]], gone: Iterable[Path]) -> str:
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            for path, document in documents:
                beside = path.with_suffix(".new")
                handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(document, file, separators=(",", ":"))
                beside.replace(path)
            for path in gone:
                path.unlink(missing_ok=True)
        except OSError as error:
            return error.strerror or str(error)
        return ""
