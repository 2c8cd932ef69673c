"""The supervisor's log: one JSON object a line on standard output or in a file, written by a thread of its own.

What was logged with an ``event`` (``control.feed``) becomes a line of type ``event``, everything else one of type
``log``; the workers write lines of type ``access`` beside them. A reader that stalls stalls the thread and nobody
else: beyond QUEUE lines the newest are dropped, and the next line that gets through says how many.
"""

import json
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from gatekeeper.telemetry.logfile import LogFile, why_not

MAX_LINE: Final = 4096
"""PIPE_BUF of Linux: up to this size a write to a pipe is atomic, so lines of several processes do not mix."""
QUEUE: Final = 1_000
"""At most 4 MiB waiting for a reader, which is minutes of the busiest control plane."""
CLOSE_SECONDS: Final = 2.0
"""What ``close`` gives a slow reader; stopping must not depend on who reads the log."""
_KEPT: Final = 256
"""Characters kept of a text in a line that is too long."""

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "event"}


class Lines(logging.Formatter):
    """A record as one line of JSON in ASCII, newline included."""

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "event", None)
        head: dict[str, Any] = {"type": "log", "time": _time(record.created), "level": record.levelname.lower()}
        if isinstance(event, dict):
            body = {key: value for key, value in event.items() if key not in {"at", "kind"}}
            head |= {"type": "event", "time": _time(event.get("at", record.created)), "event": event.get("kind", "")}
        else:
            body = {"logger": record.name, "message": record.getMessage()}
            body |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if record.exc_info:
            body["traceback"] = self.formatException(record.exc_info)
        return _line(head, body)


def _line(head: dict[str, Any], body: dict[str, Any]) -> str:
    body = {key: value for key, value in body.items() if key not in head}  # what stands there is nobody else's to say
    line = json.dumps({**head, **body}, default=str)
    if len(line) >= MAX_LINE:
        # The whole of it is in the store and in the events; here it must stay one line that a pipe takes in one piece.
        short = {key: _clipped(value) for key, value in list(body.items())[:16]}
        line = json.dumps({**head, **short, "clipped": True}, default=str)
    if len(line) >= MAX_LINE:
        line = json.dumps({**head, "clipped": True}, default=str)
    return line + "\n"


def _clipped(value: Any) -> Any:
    """Tracebacks say most at their end, other texts at their beginning; lists and objects only how long they are."""
    if isinstance(value, str) and len(value) > _KEPT:
        return value[-_KEPT:] if value.startswith("Traceback") else value[:_KEPT]
    if isinstance(value, list | dict | tuple):
        return f"{len(value)} entries"
    return value


def _time(seconds: float) -> str:
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{milliseconds:03d}Z"


@dataclass(slots=True)
class _Reopen:
    path: str
    done: "Future[str]" = field(default_factory=Future)


class LogWriter(logging.Handler):
    """Takes records from any thread without waiting; writes them in its own."""

    def __init__(self, write: Callable[[bytes], None] | None = None) -> None:
        """``write`` takes one line and may block and raise OSError; without one, lines go to descriptor 1, or to the
        file last named to ``reopen``.
        """
        super().__init__()
        self.setFormatter(Lines())
        self.file = LogFile()
        self._write = write or self.file.write
        self._queue: queue.Queue[str | _Reopen | None] = queue.Queue(QUEUE)
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a record that cannot be written must not end the program that wrote it
            self.handleError(record)
            return
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def reopen(self, path: str) -> "Future[str]":
        """Let what comes from now on go to the file at ``path``, opened anew, and what came before to the old one.

        Done with "", or with the reason why the old file goes on. Never waits.
        """
        asked = _Reopen(path)
        try:
            self._queue.put_nowait(asked)
        except queue.Full:
            asked.done.set_result(f"{path}: not opened anew: {QUEUE} lines wait to be written to the old one")
        return asked.done

    def close(self) -> None:
        """Write what is left, for at most CLOSE_SECONDS."""
        if self._thread.is_alive():
            try:
                self._queue.put(None, timeout=CLOSE_SECONDS)
            except queue.Full:
                pass
            else:
                self._thread.join(CLOSE_SECONDS)
        super().close()

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            if isinstance(line, _Reopen):
                self._reopen(line)
                continue
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                head = {"type": "log", "time": _time(time.time()), "level": "warning", "logger": "gatekeeper.logs"}
                self._put(_line(head, {"message": f"{dropped} lines dropped: nobody read the log"}))
            self._put(line)

    def _reopen(self, asked: "_Reopen") -> None:
        try:
            self.file.reopen(asked.path)
        except OSError as error:
            asked.done.set_result(why_not(asked.path, error))
        else:
            asked.done.set_result("")

    def _put(self, line: str) -> None:
        try:
            self._write(line.encode())
        except OSError:  # the reader left or the disk is full; there is nobody to tell
            self._dropped += 1


def start_logging(level: str, path: str | None = None) -> LogWriter:
    """Send everything from ``level`` (``debug``, ``info``, ``warning``, ``error``) up to standard output as JSON, or to
    the file at ``path``. Raises OSError when that cannot be opened.
    """
    writer = LogWriter()
    if path is not None:
        writer.file.reopen(path)  # before the first line: nobody else touches it yet
    root = logging.getLogger()
    root.handlers[:] = [writer]
    set_level(level)
    logging.captureWarnings(capture=True)
    return writer


def set_level(level: str) -> None:
    logging.getLogger().setLevel(level.upper())
    # asyncio logs at debug which selector it uses, aiohttp each connection's weather: nobody's concern here.
    for chatty in ("asyncio", "aiohttp"):
        logging.getLogger(chatty).setLevel("WARNING" if level != "error" else "ERROR")


def stop_logging(writer: LogWriter) -> None:
    logging.captureWarnings(capture=False)
    logging.getLogger().removeHandler(writer)
    writer.close()
