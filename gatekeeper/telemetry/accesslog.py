"""The access log: collected by the worker's loop, written by a thread, never waited for.

``add`` on the hot path appends one tuple. Every BATCH entries, and whenever the worker's timer calls ``flush``, they
are formatted (about 3 us a line) and handed to the writer thread as one chunk. A reader of standard output that stalls
stalls that thread alone: chunks wait up to MAX_WAITING bytes, then lines are dropped and counted, and traffic goes on.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from gatekeeper.telemetry.logfile import LogFile, why_not
from gatekeeper.telemetry.logline import MAX_LINE, Entry, Format, combined_line, json_line

BATCH: Final = 128
"""Entries formatted in one go: at most half a millisecond in which the loop serves nobody."""

MAX_WAITING: Final = 4 * 1024 * 1024
"""Bytes handed to the writer and not yet written: about 10,000 lines, a second of a busy worker. A reader that pauses
longer is broken, and what it misses is counted."""

_CLOSE_SECONDS: Final = 2.0
"""How long ``close`` waits for a reader. Shutting down must not depend on who reads the log."""

_FORMATS: Final[dict[str, Format]] = {"json": json_line, "combined": combined_line}


class AccessLog:
    """``add``, ``flush`` and ``close`` belong to one thread, the loop's.

    ``write`` takes whole lines, at most MAX_LINE bytes or one line at a time, and may block and raise OSError; without
    one, lines go to the descriptor ``fd``, or to the file last named to ``reopen``. ``dropped`` is called from
    ``flush`` and ``close`` with a number of lines.
    """

    def __init__(
        self,
        fmt: str,
        write: Callable[[bytes], None] | None = None,
        *,
        fd: int = 1,
        dropped: Callable[[int], None] | None = None,
    ) -> None:
        """``fmt`` is ``json``, ``combined`` or ``off``; raises ValueError for another."""
        self._dropped = dropped or (lambda _lines: None)
        self._file = LogFile(fd)
        self._write = write or self._file.write
        self._pending: list[Entry] = []
        self._writer: _Writer | None = None
        self._format: Format | None = None
        self.set_format(fmt)

    @property
    def enabled(self) -> bool:
        """Callers may skip collecting the arguments of ``add`` when it is off."""
        return self._format is not None

    def set_format(self, fmt: str) -> None:
        """Write what comes from now on in this format, without waiting for what is still to be written."""
        if fmt != "off" and fmt not in _FORMATS:
            raise ValueError(f"the access log format is one of json, combined, off; not {fmt!r}")
        self.flush()
        self._format = _FORMATS.get(fmt)
        if self._format is not None and self._writer is None:
            self._writer = _Writer(self._write)

    def reopen(self, path: str, done: Callable[[str], None]) -> None:
        """Let what comes from now on go to the file at ``path``, opened anew, and what came before to the old one.

        Opening a file may take its time, so the writer does it when it has come so far. ``done`` is then called in
        that thread: with "", or with the reason why the old file goes on.
        """

        def change() -> None:
            try:
                self._file.reopen(path)
            except OSError as error:
                done(why_not(path, error))
            else:
                done("")

        self.flush()
        if self._writer is None:
            self._writer = _Writer(self._write)
        self._writer.ask(change)

    def add(
        self,
        wall: float,
        client_ip: str,
        method: bytes,
        target: bytes,
        version_minor: int,
        status: int,
        sent_bytes: int,
        seconds: float,
        upstream_seconds: float,
        host: bytes,
        service: str,
        gk_version: str,
        backend: str,
        reason: str,
        rule: str | None,
        revision: int,
        request_id: bytes,
        referer: bytes,
        agent: bytes,
        source: str,
        forced: bool,
        retries: int,
    ) -> None:
        """Note one exchange. ``wall`` and durations in seconds; ``upstream_seconds`` below 0: no backend answered."""
        if self._format is None:
            return
        pending = self._pending
        pending.append(
            (
                wall, client_ip, method, target, version_minor, status, sent_bytes, seconds, upstream_seconds, host,
                service, gk_version, backend, reason, rule, revision, request_id, referer, agent, source, forced,
                retries,
            )
        )  # fmt: skip
        if len(pending) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Hand over what was added. Returns at once, also when nobody reads; then what does not fit is dropped."""
        writer = self._writer
        if writer is None:
            return
        pending = self._pending
        lost = writer.take_lost()
        if pending and self._format is not None:
            self._pending = []
            if writer.waiting >= MAX_WAITING:  # before formatting: a stalled log costs less than one that flows
                lost += len(pending)
            else:
                writer.hand([self._format(entry) for entry in pending])
        if lost:
            self._dropped(lost)

    def close(self, timeout: float = _CLOSE_SECONDS) -> None:
        """Write what is left, for at most ``timeout`` seconds; what no reader takes by then is dropped and counted.

        For the end of the process: it waits. Lines added afterwards are ignored.
        """
        self.flush()
        writer = self._writer
        self._writer = self._format = None
        if writer is not None:
            writer.stop(timeout)
            lost = writer.take_lost() + writer.lines_waiting
            if lost:
                self._dropped(lost)


class _Writer:
    """The thread. Every number has one thread that writes it; the other reads it, possibly a moment late."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        # Lines are bounded by who hands them over, see ``waiting``; what is asked by how seldom it is.
        self._chunks: deque[list[bytes] | Callable[[], None]] = deque()
        self._ready = threading.Semaphore(0)
        self._stopping = False
        # written by the loop
        self._handed = self._handed_lines = self._lost_taken = 0
        # written by the thread
        self._done = self._done_lines = self._lost = 0
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Bytes handed over and neither written nor lost."""
        return self._handed - self._done

    @property
    def lines_waiting(self) -> int:
        return self._handed_lines - self._done_lines

    def take_lost(self) -> int:
        """Lines lost to write errors since the last call."""
        lost = self._lost - self._lost_taken
        self._lost_taken += lost
        return lost

    def hand(self, lines: list[bytes]) -> None:
        self._handed += sum(map(len, lines))
        self._handed_lines += len(lines)
        self._chunks.append(lines)
        self._ready.release()

    def ask(self, act: Callable[[], None]) -> None:
        """Let the thread do this between the lines that were handed over before and those after."""
        self._chunks.append(act)
        self._ready.release()

    def stop(self, timeout: float) -> None:
        self._stopping = True
        self._ready.release()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            self._ready.acquire()
            while self._chunks:
                chunk = self._chunks.popleft()
                if callable(chunk):
                    chunk()
                    continue
                for lines in _pieces(chunk):
                    self._put(lines)
            if self._stopping:
                return

    def _put(self, lines: list[bytes]) -> None:
        data = b"".join(lines)
        try:
            self._write(data)
        except (OSError, ValueError):  # the reader left, the disk is full, the file was closed
            self._lost += len(lines)
        self._done += len(data)
        self._done_lines += len(lines)


def _pieces(lines: list[bytes]) -> list[list[bytes]]:
    """Runs of whole lines of at most MAX_LINE bytes together."""
    pieces: list[list[bytes]] = []
    room = 0
    for line in lines:
        if len(line) > room or not pieces:
            pieces.append([])
            room = MAX_LINE
        pieces[-1].append(line)
        room -= len(line)
    return pieces
