"""The log of one case: every second that its judge saw, so that each verdict can be checked, and a restart goes on.

Lines of JSON. A header says what the judge was at that place:

    {"judge": ..., "release": 7, "service": "shop", "gatekeeper": "1.0", "boot": "...", "began": wall seconds}
    {"second": ..., "odds": -0.69, "kind": "collecting"}

``odds`` is the natural logarithm, ``kind`` the verdict just after that second, asked as ``overdue`` and ``whole`` say
where they stand. A header comes first, after each restart, and wherever lines are missing (a full disk). Lines are not
written through to the disk: a kill keeps them, a power cut may not, and then they are not asked for.

All of it blocks, so it is called in a thread.
"""

import contextlib
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

PART_BYTES: Final = 64 * 1024 * 1024
"""A day of a busy release. Beyond it a new part begins, and one older is kept."""
DIRECTORY_BYTES: Final = 512 * 1024 * 1024
"""Of all logs together; those of releases that ended longest ago go first."""
_TAIL: Final = 1024 * 1024
"""Where the last seconds are, as a rule."""


class SecondsLog:
    def __init__(self, directory: str, release: int, service: str) -> None:
        self.path = f"{directory}/{release}-{service}.jsonl"
        self.older = f"{self.path}.1"
        self.size = 0
        """Bytes of the present part, as far as this process knows."""

    def paths(self) -> tuple[str, ...]:
        """Those that are there, the older first."""
        return tuple(path for path in (self.older, self.path) if Path(path).exists())

    def append(self, text: bytes, *, anew: bool = False) -> None:
        """Append it, or leave the file as it was. ``anew``: in a new part. Raises OSError."""
        if anew:
            with contextlib.suppress(FileNotFoundError):
                Path(self.path).replace(self.older)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(handle).st_size
            try:
                view = memoryview(text)
                while view:
                    view = view[os.write(handle, view) :]
            except OSError:
                os.ftruncate(handle, size)
                raise
            self.size = size + len(text)
        finally:
            os.close(handle)

    def mend(self) -> None:
        """Cut off a last line that was not written to its end. Raises OSError."""
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            self.size = os.fstat(handle).st_size
            begin = max(0, self.size - _TAIL)
            whole = begin + os.pread(handle, _TAIL, begin).rfind(b"\n") + 1
            if whole < self.size:
                os.ftruncate(handle, whole)
                self.size = whole
        finally:
            os.close(handle)

    def after(self, at: int) -> list[Any] | None:
        """The seconds that followed second ``at``, oldest first; None where the log does not lead there from it."""
        found: list[Any] = []
        for line in self._backwards():
            try:
                document = json.loads(line)
                if "judge" in document:
                    last = int(document["judge"]["memory"]["last"])
                    if last < at:
                        return None
                else:
                    last = int(document["second"]["at"])
                    if last > at:
                        found.append(document["second"])
            except (ValueError, KeyError, TypeError):
                return None
            if last == at:
                return found[::-1]
        return None

    def _backwards(self) -> Iterator[bytes]:
        for path in reversed(self.paths()):
            try:
                yield from _lines_backwards(path)
            except OSError:
                return


def _lines_backwards(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:  # noqa: PTH123 - bytes, read from the end
        size = os.fstat(file.fileno()).st_size
        begin = max(0, size - _TAIL)
        file.seek(begin)
        lines = file.read().split(b"\n")
        first = lines.pop(0) if begin else b""
        yield from (line for line in reversed(lines) if line)
        if begin:
            file.seek(0)
            lines = (file.read(begin) + first).split(b"\n")
            yield from (line for line in reversed(lines) if line)


def tidy(directory: str, stay: Collection[str]) -> None:
    """Remove what was written longest ago, but for the paths that are to ``stay``, until all of it together is below
    DIRECTORY_BYTES. Raises OSError.
    """
    sizes = {path: path.stat() for path in Path(directory).iterdir() if path.is_file()}
    left = sum(found.st_size for found in sizes.values())
    for path in sorted(sizes, key=lambda each: sizes[each].st_mtime):
        if left <= DIRECTORY_BYTES:
            return
        if str(path) not in stay:
            path.unlink(missing_ok=True)
            left -= sizes[path].st_size
