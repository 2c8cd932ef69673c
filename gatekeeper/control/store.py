"""The state file: every accepted change, what runs since, and what was told, durable before it takes effect.

One SQLite file in WAL mode with ``synchronous=FULL``: when ``append`` returns, the change survives a kill -9 and a
power cut. All rows of one command are one transaction. Writes happen on one thread and reads on another, so that
a long look into the history never delays a command, and neither ever blocks the event loop.

    revisions  one row per accepted state, never changed or deleted
    weights    the split of each service a revision changed; what held at revision N is the newest row up to N
    running    what operators decided about each service, newest only; kept when the file drops the service, so that it
               returns as it was
    events     what was told; the ids of server-sent events; the oldest are dropped beyond ``EVENTS_KEPT``
    meta       ``definition``: the digest of the definition of the last revision, so that a start knows the file changed
"""

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeVar

from gatekeeper.control import statefile
from gatekeeper.control.statefile import Lock, StoreError, reading_errors
from gatekeeper.core import codec
from gatekeeper.core.model import Running, Weights

__all__ = ["Event", "Record", "Revision", "Store", "StoreError", "Stored"]

T = TypeVar("T")
Document = dict[str, Any]

EVENTS_KEPT: Final = 100_000
"""About 30 MB. A watcher that was away longer starts from what is there; revisions are never dropped."""
_PRUNE_EVERY: Final = 1_000
"""Events between two prunings: one deletion of 1,000 rows instead of one for every event."""
PAGE: Final = 1_000
"""Rows of one answer at most: bounds the memory of one reader; every list can be asked for its next page."""


@dataclass(frozen=True, slots=True)
class Event:
    """``id`` is 0 when the event could not be stored. ``at`` is wall seconds; ``data`` the rest, JSON-able."""

    id: int
    at: float
    kind: str
    revision: int | None
    data: Document

    def document(self) -> Document:
        return {**self.data, "id": self.id, "at": self.at, "kind": self.kind, "revision": self.revision}


@dataclass(frozen=True, slots=True)
class Record:
    """One command's rows. ``running`` holds the services whose running state it changed; ``at`` is wall seconds.

    ``events`` are JSON-able objects with at least a text ``kind``; ``definition`` is the digest of the new definition,
    None if it is the one of before.
    """

    revision: int
    at: float
    actor: str
    action: str
    note: str = ""
    changes: Sequence[Document] = ()
    running: Mapping[str, Running] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()
    definition: str | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """One row of the history. ``weights`` are the splits it set, by service."""

    revision: int
    at: float
    actor: str
    action: str
    note: str
    changes: list[Document]
    weights: dict[str, Weights]


@dataclass(frozen=True, slots=True)
class Stored:
    """What a start finds: the last revision (0 in a new file), its definition's digest, what ran of each service."""

    revision: int
    running: dict[str, Running]
    definition: str


class Store:
    """Open it with ``Store.open``; ``close`` lets the next supervisor in."""

    def __init__(self, path: str, lock: Lock, writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
        self.path = path
        self._lock = lock
        self._connection = writer
        self._read_connection = reader
        self._inode = os.stat(path).st_ino  # noqa: PTH116
        self._writer = ThreadPoolExecutor(1, "store-write")
        self._reader = ThreadPoolExecutor(1, "store-read")

    @classmethod
    def open(cls, path: str) -> "Store":
        """Lock, check and open the state file, or make a new one; blocks for as long as the disk takes.

        Raises StoreError (held by another supervisor, foreign, damaged, newer, not writable); what was there is then
        untouched.
        """
        path = os.path.realpath(path)  # two names of one file must meet at one lock
        with ExitStack() as undo:
            lock = Lock(path)
            undo.callback(lock.close)
            statefile.prepare(path)
            with reading_errors(path):
                writer = statefile.connect(path, mode="rw")
                undo.callback(writer.close)
                writer.execute("PRAGMA journal_mode=WAL").fetchone()
                writer.execute("PRAGMA synchronous=FULL")
                reader = statefile.connect(path, mode="rw")
                undo.callback(reader.close)
                reader.execute("PRAGMA query_only=1")
            undo.pop_all()
        return cls(path, lock, writer, reader)

    def close(self) -> None:
        """Finish what is being written, close, and unlock. The store cannot be used afterwards."""
        self._writer.shutdown(wait=True)
        self._reader.shutdown(wait=True)
        self._read_connection.close()
        with suppress(sqlite3.Error):  # a failing last checkpoint loses nothing: the next start replays the log
            self._connection.close()
        self._lock.close()

    def load(self) -> Stored:
        """What to start from. Raises StoreError naming the row that cannot be read."""
        with reading_errors(self.path):
            revision = self._connection.execute("SELECT coalesce(max(revision), 0) FROM revisions").fetchone()[0]
            rows = self._connection.execute("SELECT service, running FROM running ORDER BY service").fetchall()
            digest = self._connection.execute("SELECT value FROM meta WHERE name = 'definition'").fetchone()
        running = {service: self._running(service, text) for service, text in rows}
        return Stored(revision, running, digest[0] if digest else "")

    async def append(self, record: Record) -> list[Event]:
        """Write one command's rows; on return they are on disk. Returns its events with their ids.

        Raises StoreError when nothing was written.
        """
        return await self._run(self._writer, lambda: self._write(lambda: self._append(record)))

    async def tell(self, events: Sequence[Mapping[str, Any]], at: float) -> list[Event]:
        """Store events that belong to no command (health, workers). Raises StoreError when nothing was written."""
        return await self._run(self._writer, lambda: self._write(lambda: self._append_events(events, at, None)))

    async def kept(self, services: Sequence[str]) -> dict[str, Running]:
        """What ran of those of ``services`` that ever existed. Raises StoreError."""
        return await self._run(self._reader, lambda: self._kept(services))

    async def weights_at(self, service: str, revision: int) -> Weights | None:
        """The split that held at ``revision``; None if there was no such revision or no such service then."""
        return await self._run(self._reader, lambda: self._weights_at(service, revision))

    async def revisions(
        self, *, before: int | None = None, after: int = 0, service: str | None = None, limit: int = 100
    ) -> list[Revision]:
        """The newest first, ``after`` < revision < ``before``, at most ``limit`` (capped at PAGE)."""
        return await self._run(self._reader, lambda: self._revisions(before, after, service, limit))

    async def events(self, *, after: int = 0, up_to: int | None = None, limit: int = PAGE) -> list[Event]:
        """The oldest first, ``after`` < id <= ``up_to``, at most ``limit`` (capped at PAGE)."""
        return await self._run(self._reader, lambda: self._events(after, up_to, limit))

    async def last_events(self, limit: int) -> list[Event]:
        """The newest ``limit`` (capped at PAGE), the oldest of them first."""
        return await self._run(self._reader, lambda: self._last_events(limit))

    async def _run(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            running = asyncio.get_running_loop().run_in_executor(executor, work)
        except RuntimeError as error:  # the executor was shut down by ``close``
            raise StoreError(self.path, "is closed", "gatekeeper is stopping; ask the next one") from error
        return await running

    # On the writing thread.

    def _write(self, work: Callable[[], T]) -> T:
        with reading_errors(self.path):
            self._still_there()
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                result = work()
                self._connection.execute("COMMIT")
            except BaseException:
                self._undo()
                raise
        return result

    def _undo(self) -> None:
        """Leave neither an open transaction nor a trace in the log.

        A COMMIT that failed may have written its frames before the disk said no; a crash before the next write would
        bring a refused command back to life. An emptied log cannot.
        """
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _still_there(self) -> None:
        """A deleted or replaced file would take every write and keep none after a restart."""
        try:
            same = os.stat(self.path).st_ino == self._inode  # noqa: PTH116
        except FileNotFoundError:
            same = False
        if not same:
            raise StoreError(self.path, "was removed or replaced under the running program", "put it back or restart")

    def _append(self, record: Record) -> list[Event]:
        execute = self._connection.execute
        newest = execute("SELECT coalesce(max(revision), 0) FROM revisions").fetchone()[0]
        if record.revision <= newest:
            raise StoreError(
                self.path,
                f"already holds revision {newest}, so revision {record.revision} cannot follow",
                "another program wrote to it: stop that one and restart",
            )
        execute(
            "INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?)",
            (record.revision, record.at, record.actor, record.action, record.note, _json(record.changes)),
        )
        for service, running in record.running.items():
            dumped = codec.dump(running)
            execute("INSERT OR REPLACE INTO running VALUES (?, ?)", (service, _json(dumped)))
            execute(
                "INSERT INTO weights VALUES (?, ?, ?)", (service, record.revision, _json(dumped["split"]["weights"]))
            )
        if record.definition is not None:
            execute("INSERT OR REPLACE INTO meta VALUES ('definition', ?)", (record.definition,))
        return self._append_events(record.events, record.at, record.revision)

    def _append_events(self, events: Iterable[Mapping[str, Any]], at: float, revision: int | None) -> list[Event]:
        stored = []
        for data in events:
            body = {key: value for key, value in data.items() if key != "kind"}
            row = self._connection.execute(
                "INSERT INTO events (at, kind, revision, event) VALUES (?, ?, ?, ?)",
                (at, data["kind"], revision, _json(body)),
            )
            # Reading it back as it was stored keeps live and replayed events equal, types and all.
            event = Event(row.lastrowid or 0, at, data["kind"], revision, json.loads(_json(body)))
            if event.id % _PRUNE_EVERY == 0:
                self._connection.execute("DELETE FROM events WHERE id <= ?", (event.id - EVENTS_KEPT,))
            stored.append(event)
        return stored

    # On the reading thread.

    def _kept(self, services: Sequence[str]) -> dict[str, Running]:
        with reading_errors(self.path):
            rows = self._read_connection.execute(
                "SELECT service, running FROM running WHERE service IN (SELECT value FROM json_each(?))",
                (_json(list(services)),),
            ).fetchall()
        return {service: self._running(service, text) for service, text in rows}

    def _weights_at(self, service: str, revision: int) -> Weights | None:
        with reading_errors(self.path):
            row = self._read_connection.execute(
                "SELECT weights FROM weights WHERE service = ? AND revision <= ?"
                " AND EXISTS (SELECT 1 FROM revisions WHERE revision = ?) ORDER BY revision DESC LIMIT 1",
                (service, revision, revision),
            ).fetchone()
        return None if row is None else _weights(row[0])

    def _revisions(self, before: int | None, after: int, service: str | None, limit: int) -> list[Revision]:
        with reading_errors(self.path):
            rows = self._read_connection.execute(
                "SELECT revision, at, actor, action, note, changes FROM revisions"
                " WHERE revision > ?1 AND (?2 IS NULL OR revision < ?2) AND (?3 IS NULL OR EXISTS"
                " (SELECT 1 FROM weights w WHERE w.service = ?3 AND w.revision = revisions.revision))"
                " ORDER BY revision DESC LIMIT ?4",
                (after, before, service, _page(limit)),
            ).fetchall()
            weights: dict[int, dict[str, Weights]] = {row[0]: {} for row in rows}
            for name, revision, text in self._read_connection.execute(
                "SELECT service, revision, weights FROM weights WHERE revision IN (SELECT value FROM json_each(?))",
                (_json(list(weights)),),
            ):
                weights[revision][name] = _weights(text)
        return [
            Revision(number, at, actor, action, note, json.loads(changes), weights[number])
            for number, at, actor, action, note, changes in rows
        ]

    def _events(self, after: int, up_to: int | None, limit: int) -> list[Event]:
        with reading_errors(self.path):
            rows = self._read_connection.execute(
                "SELECT id, at, kind, revision, event FROM events"
                " WHERE id > ?1 AND (?2 IS NULL OR id <= ?2) ORDER BY id LIMIT ?3",
                (after, up_to, _page(limit)),
            ).fetchall()
        return [_event(row) for row in rows]

    def _last_events(self, limit: int) -> list[Event]:
        with reading_errors(self.path):
            rows = self._read_connection.execute(
                "SELECT id, at, kind, revision, event FROM events ORDER BY id DESC LIMIT ?", (_page(limit),)
            ).fetchall()
        return [_event(row) for row in reversed(rows)]

    def _running(self, service: str, text: str) -> Running:
        try:
            return codec.load(Running, json.loads(text))
        except (ValueError, codec.CodecError) as error:
            raise StoreError(
                self.path,
                f"is damaged (what runs of service {service!r}: {error})",
                "put back a copy of it, or move it away to start from the configuration file's splits",
            ) from error


def _event(row: tuple[Any, ...]) -> Event:
    number, at, kind, revision, text = row
    return Event(number, at, kind, revision, json.loads(text))


def _page(limit: int) -> int:
    return max(0, min(limit, PAGE))


def _json(value: object) -> str:
    return json.dumps(codec.dump(value), allow_nan=False, separators=(",", ":"))


def _weights(text: str) -> Weights:
    return {name: Decimal(weight) for name, weight in json.loads(text).items()}
