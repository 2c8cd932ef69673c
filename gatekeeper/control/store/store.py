"""The state file: every accepted change, what runs since, and what was told, durable before it takes effect.

One SQLite file in WAL mode with ``synchronous=FULL``: when ``append`` returns, the change survives a kill -9 and a
power cut. All rows of one command are one transaction. Writes happen on one thread and reads on another, so that
a long look into the history never delays a command, and neither ever blocks the event loop.

Here is the life of the file and of its two threads. What is written is in ``journal``, what is read in ``history``,
what is deleted in ``prune``, the tables in ``migrate``, and what comes before any of it in ``statefile``.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any, TypeVar

from gatekeeper.control.store import journal, migrate, prune, statefile
from gatekeeper.control.store.history import PAGE, History
from gatekeeper.control.store.rows import Answer, Audit, Event, Judgement, Record, Revision, Stored
from gatekeeper.control.store.statefile import Lock, StoreError, reading_errors
from gatekeeper.core.model import Release, Running, Weights
from gatekeeper.core.past import Past

__all__ = ["Audit", "Event", "Record", "Revision", "Store", "StoreError", "Stored"]

T = TypeVar("T")


class Store:
    """Open it with ``Store.open``; ``close`` lets the next supervisor in.

    Every method that reads or writes raises StoreError when it could not; nothing is then written.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)  # two names of one file must meet at one lock
        self._writer = ThreadPoolExecutor(1, "store-write")
        self._reader = ThreadPoolExecutor(1, "store-read")
        self._away: str | None = None
        """Why it can be neither read nor written now, if so."""

    # Set by ``_take``.
    _lock: Lock
    _connection: sqlite3.Connection
    _read_connection: sqlite3.Connection
    _inode: int
    _log_inode: int
    _keys: set[int]
    """Hashes of all keys with an answer, and of some that have none any more."""

    @classmethod
    def open(cls, path: str) -> "Store":
        """Lock, check, migrate and open the state file, or make a new one; blocks for as long as the disk takes.

        Raises StoreError (held by another supervisor, foreign, damaged, newer, not writable); what was there is then
        untouched.
        """
        store = cls(path)
        try:
            store._take()
        except BaseException:
            store._end_threads()
            raise
        return store

    def close(self) -> None:
        """Finish what is being written, close, and unlock. The store cannot be used afterwards."""
        self._end_threads()
        if self._away is None:
            self._give()

    async def hand_over(self) -> None:
        """Finish what is being written and let another supervisor in, until ``take_back``."""
        self._away = "was handed over"
        for executor in (self._writer, self._reader):
            await asyncio.get_running_loop().run_in_executor(executor, lambda: None)
        await asyncio.to_thread(self._give)

    async def take_back(self) -> None:
        """Go on after ``hand_over``. Raises StoreError when the other one still holds it."""
        await asyncio.to_thread(self._take)
        self._away = None

    def load(self) -> Stored:
        """What to start from. Raises StoreError naming the row that cannot be read."""
        with reading_errors(self.path):
            return History(self._connection, self.path).load()

    # Writing

    async def append(self, record: Record) -> list[Event]:
        """Write one command's rows; on return they are on disk. Returns its events with their ids."""
        events = await self._write(lambda: journal.append(self._connection, self.path, record))
        if record.answer is not None:
            self._keys.add(hash((record.answer.actor, record.answer.key)))
            if len(self._keys) > 2 * journal.KEYS_KEPT:
                self._keys = await self._read(lambda history: history.keys())
        return events

    async def tell(self, events: Sequence[Mapping[str, Any]], at: float) -> list[Event]:
        """Store events that belong to no command (health, workers)."""
        return await self._write(lambda: journal.append_events(self._connection, events, at, None))

    async def note(self, rows: Sequence[Audit]) -> None:
        """Store audit rows of what made no revision."""
        await self._write(lambda: journal.append_audit(self._connection, rows))

    async def keep_judges(self, rows: Sequence[Judgement]) -> None:
        """Keep what judges know, in the place of what was kept of each before; on return it is on disk."""
        await self._write(lambda: journal.keep_judges(self._connection, rows))

    async def prune(
        self, before: int | None, older_than_wall: float | None, *, dry_run: bool = False
    ) -> dict[str, int]:
        """Delete the history before a revision, or what is older than that wall second; with both, what is both.

        The newest revision always stays. Returns how many ``revisions``, ``events`` and ``audit`` rows went (with
        ``dry_run`` would go), and the ``oldest`` revision that is left. Commands go on meanwhile; after an error a part
        may have gone, and the same call deletes the rest.
        """
        kept = await self._read(lambda _: prune.kept(self._read_connection, before, older_than_wall))
        counts = await self._read(lambda _: prune.count(self._read_connection, kept))
        if not dry_run:
            for statement in prune.STEPS:
                while await self._write(lambda one=statement: prune.step(self._connection, one, kept)):  # type: ignore[misc]
                    pass
        return {**counts, "oldest": kept.first}

    # Reading

    async def file(self) -> str:
        """The digest of the configuration file taken up last; empty if none was."""
        return await self._read(lambda history: history.file())

    async def kept(self, services: Sequence[str]) -> dict[str, Running]:
        """What ran of those of ``services`` that ever existed."""
        return await self._read(lambda history: history.kept(services))

    async def answer(self, actor: str, key: str, now: float) -> Answer | None:
        """What was answered to ``actor`` under ``key`` in the last day; ``now`` is wall seconds.

        Most keys are new, and each is asked for twice: knowing that without the other thread saves a change under full
        load 1.5 of 12 ms.
        """
        if hash((actor, key)) not in self._keys:
            return None
        return await self._read(lambda history: history.answer(actor, key, now))

    async def state_at(self, revision: int) -> Past | None:
        """All of an earlier revision, as far as it was kept; None if the history does not have it."""
        return await self._read(lambda history: history.state_at(revision))

    async def weights_at(self, service: str, revision: int) -> Weights | None:
        """The split that held at ``revision``; None if there was no such revision or no such service then."""
        return await self._read(lambda history: history.weights_at(service, revision))

    async def revisions(
        self,
        *,
        before: int | None = None,
        after: int = 0,
        service: str | None = None,
        flag: str | None = None,
        limit: int = 100,
    ) -> list[Revision]:
        """The newest first, ``after`` < revision < ``before``, at most ``limit`` (capped at PAGE)."""
        return await self._read(lambda history: history.revisions(before, after, service, flag, limit))

    async def events(self, *, after: int = 0, up_to: int | None = None, limit: int = PAGE) -> list[Event]:
        """The oldest first, ``after`` < id <= ``up_to``, at most ``limit`` (capped at PAGE)."""
        return await self._read(lambda history: history.events(after, up_to, limit))

    async def last_events(self, limit: int) -> list[Event]:
        """The newest ``limit`` (capped at PAGE), the oldest of them first."""
        return await self._read(lambda history: history.last_events(limit))

    async def release(self, number: int) -> Release | None:
        """A release as it is now, or as it ended; None if there was none of that id, or it was pruned."""
        return await self._read(lambda history: history.release(number))

    async def releases(
        self,
        services: Sequence[str] | None = None,
        limit: int = 100,
        *,
        build: str | None = None,
        before: int | None = None,
    ) -> list[Release]:
        """Those of any of ``services`` (None: of all), the newest first, id < ``before``, at most ``limit`` (capped at
        PAGE).

        ``build``: only those whose candidate for one of these was this build.
        """
        return await self._read(lambda history: history.releases(services, limit, build, before))

    async def revisions_of(self, release: Release) -> list[Revision]:
        """Those that changed a release, the oldest first, at most PAGE."""
        return await self._read(lambda history: history.revisions_of(release))

    async def judges(self, release: int) -> list[Judgement]:
        """What was kept of the judges of a release, by service."""
        return await self._read(lambda history: history.judges(release))

    async def audit(self, limit: int = 100, before: int | None = None) -> list[Audit]:
        """The newest first, id < ``before``, at most ``limit`` (capped at PAGE)."""
        return await self._read(lambda history: history.audit(limit, before))

    # On the threads

    async def _read(self, work: Callable[[History], T]) -> T:
        return await self._run(self._reader, lambda: self._at_one_moment(work))

    async def _write(self, work: Callable[[], T]) -> T:
        return await self._run(self._writer, lambda: self._transaction(work))

    async def _run(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._away is not None:
            raise StoreError(self.path, self._away, "ask the gatekeeper that runs now")
        try:
            running = asyncio.get_running_loop().run_in_executor(executor, work)
        except RuntimeError as error:  # the executor was shut down by ``close``
            raise StoreError(self.path, "is closed", "gatekeeper is stopping; ask the next one") from error
        return await running

    def _at_one_moment(self, work: Callable[[History], T]) -> T:
        with reading_errors(self.path):
            self._read_connection.execute("BEGIN")
            try:
                return work(History(self._read_connection, self.path))
            finally:
                self._read_connection.execute("ROLLBACK")

    def _transaction(self, work: Callable[[], T]) -> T:
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
        if _inode(self.path) != self._inode:
            raise StoreError(self.path, "was removed or replaced under the running program", "put it back or restart")
        if _inode(f"{self.path}-wal") != self._log_inode:
            # What it held is safe as long as this program lives, and in the file once it has stopped.
            raise StoreError(
                self.path,
                "its -wal file was removed or replaced under the running program",
                "stop gatekeeper with SIGTERM, which saves what was in it, and start it again; a kill would lose that",
            )

    # Life

    def _take(self) -> None:
        with ExitStack() as undo:
            self._lock = Lock(self.path)
            undo.callback(self._lock.close)
            statefile.prepare(self.path)
            with reading_errors(self.path):
                self._connection = statefile.connect(self.path, mode="rw")
                undo.callback(self._connection.close)
                self._connection.execute("PRAGMA synchronous=FULL")
                migrate.migrate(self._connection)
                self._connection.execute("PRAGMA journal_mode=WAL").fetchone()
                self._read_connection = statefile.connect(self.path, mode="rw")
                undo.callback(self._read_connection.close)
                self._read_connection.execute("PRAGMA query_only=1")
                self._keys = History(self._read_connection, self.path).keys()
                self._inode, self._log_inode = _inode(self.path), _inode(f"{self.path}-wal")
            undo.pop_all()

    def _give(self) -> None:
        self._read_connection.close()
        with suppress(sqlite3.Error):  # a failing last checkpoint loses nothing: the next start replays the log
            self._connection.close()
        self._lock.close()

    def _end_threads(self) -> None:
        self._writer.shutdown(wait=True)
        self._reader.shutdown(wait=True)


def _inode(path: str) -> int:
    """By which a file is known to be the same; 0 when there is none."""
    try:
        return os.stat(path).st_ino  # noqa: PTH116
    except FileNotFoundError:
        return 0
