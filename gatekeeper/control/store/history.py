"""What is read from the state file: the present, any revision of the past, and who did what.

The caller sees to it that all statements of one question see the file as it was at one moment: a ``prune`` goes on in
steps, and a revision asked for may go between two of them.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

from gatekeeper.control.store import flags
from gatekeeper.control.store.journal import KEY_SECONDS, as_json
from gatekeeper.control.store.rows import Answer, Audit, Event, Judgement, Revision, Stored
from gatekeeper.control.store.statefile import StoreError
from gatekeeper.core import codec
from gatekeeper.core.model import (
    Deployed,
    Pending,
    Promoted,
    Release,
    Releasing,
    Running,
    Service,
    ServiceState,
    Settings,
    State,
    Version,
    Weights,
)
from gatekeeper.core.past import Past, PastService

PAGE: Final = 1_000
"""Rows of one answer at most: bounds the memory of one reader; every list can be asked for its next page."""


class History:
    """``path`` is for what is said of rows that cannot be read (StoreError)."""

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._path = path

    # The present

    def load(self) -> Stored:
        """What to start from."""
        revision = self._one("SELECT coalesce(max(revision), 0) FROM revisions")
        running = {name: self._running(name, text) for name, text in self._execute("SELECT * FROM running ORDER BY 1")}
        return Stored(revision, running, self._state(revision, running), self.file())

    def file(self) -> str:
        """The digest of the configuration file taken up last; empty if none was."""
        return self._one("SELECT value FROM meta WHERE name = 'file'") or ""

    def kept(self, services: Sequence[str]) -> dict[str, Running]:
        """What ran of those of ``services`` that ever existed."""
        rows = self._execute(
            "SELECT service, running FROM running WHERE service IN (SELECT value FROM json_each(?))",
            (as_json(list(services)),),
        ).fetchall()
        return {service: self._running(service, text) for service, text in rows}

    def answer(self, actor: str, key: str, now: float) -> Answer | None:
        """What was answered under this key within the last day."""
        row = self._execute(
            "SELECT k.fingerprint, k.base, k.revision, k.answer, r.changes FROM keys k"
            " LEFT JOIN revisions r ON r.revision = k.revision AND k.revision > k.base"
            " WHERE k.actor = ? AND k.key = ? AND k.at >= ?",
            (actor, key, now - KEY_SECONDS),
        ).fetchone()
        if row is None:
            return None
        fingerprint, base, revision, text, changes = row
        return Answer(key, actor, fingerprint, base, revision, json.loads(text), json.loads(changes or "[]"))

    def keys(self) -> set[int]:
        """The hashes of actor and key of all answers."""
        return {hash(row) for row in self._execute("SELECT actor, key FROM keys")}

    # The past

    def state_at(self, revision: int) -> Past | None:
        """All of an earlier revision; None if the history does not have it."""
        if self._one("SELECT 1 FROM revisions WHERE revision = ?", revision) is None:
            return None
        outline = self._outline(revision)
        if outline is None:  # written by a gatekeeper that kept nothing but weights
            found = self._execute("SELECT DISTINCT service FROM weights WHERE revision <= ?", (revision,)).fetchall()
            return Past(None, {name: self._past(name, revision) for (name,) in found})
        settings, names, releasing = outline
        services = {name: self._past(name, revision) for name in names}
        return Past(settings, services, releasing, flags.at(self._connection, revision, self._text, self._read))

    def weights_at(self, service: str, revision: int) -> Weights | None:
        """The split that held at ``revision``; None if there was no such revision or no such service then."""
        if self._one("SELECT 1 FROM revisions WHERE revision = ?", revision) is None:
            return None
        text = self._newest("weights", service, revision)
        return None if text is None else _weights(text[0])

    def revisions(
        self, before: int | None, after: int, service: str | None, flag: str | None, limit: int
    ) -> list[Revision]:
        return self._revisions(
            "revision > ?1 AND (?2 IS NULL OR revision < ?2) AND (?3 IS NULL OR EXISTS"
            " (SELECT 1 FROM weights w WHERE w.service = ?3 AND w.revision = revisions.revision) OR EXISTS"
            " (SELECT 1 FROM definitions d WHERE d.service = ?3 AND d.revision = revisions.revision))"
            " AND (?4 IS NULL OR EXISTS"
            " (SELECT 1 FROM flags f WHERE f.flag = ?4 AND f.revision = revisions.revision))"
            " ORDER BY revision DESC LIMIT ?5",
            (after, before, service, flag, _page(limit)),
        )

    def revisions_of(self, release: Release) -> list[Revision]:
        """Those that changed this release, or its services by it; the oldest first, at most PAGE."""
        return self._revisions(
            "revision BETWEEN ?1 AND ?2 AND EXISTS (SELECT 1 FROM json_each(changes) WHERE"
            " json_extract(value, '$.path') = ?3 OR json_extract(value, '$.path') LIKE ?3 || '.%')"
            " ORDER BY revision LIMIT ?4",
            (release.id, release.revision, f"releases.{release.id}", PAGE),
        )

    def _revisions(self, which: str, values: tuple[object, ...]) -> list[Revision]:
        rows = self._execute(
            f"SELECT revision, at, actor, action, note, changes FROM revisions WHERE {which}",  # noqa: S608
            values,
        ).fetchall()
        weights: dict[int, dict[str, Weights]] = {row[0]: {} for row in rows}
        for name, revision, text in self._execute(
            "SELECT service, revision, weights FROM weights WHERE revision IN (SELECT value FROM json_each(?))",
            (as_json(list(weights)),),
        ):
            weights[revision][name] = _weights(text)
        switched = flags.changed(self._connection, list(weights), self._read)
        return [
            Revision(number, at, actor, action, note, json.loads(changes), weights[number], switched[number])
            for number, at, actor, action, note, changes in rows
        ]

    def events(self, after: int, up_to: int | None, limit: int) -> list[Event]:
        rows = self._execute(
            "SELECT id, at, kind, revision, event FROM events"
            " WHERE id > ?1 AND (?2 IS NULL OR id <= ?2) ORDER BY id LIMIT ?3",
            (after, up_to, _page(limit)),
        ).fetchall()
        return [_event(row) for row in rows]

    def last_events(self, limit: int) -> list[Event]:
        rows = self._execute(
            "SELECT id, at, kind, revision, event FROM events ORDER BY id DESC LIMIT ?", (_page(limit),)
        ).fetchall()
        return [_event(row) for row in reversed(rows)]

    def release(self, number: int) -> Release | None:
        """As it is now, or as it ended; None if the file has no such release."""
        text = self._one("SELECT release FROM releases WHERE id = ?", number)
        return None if text is None else self._release(number, text)

    def releases(
        self, services: Sequence[str] | None, limit: int, build: str | None, before: int | None
    ) -> list[Release]:
        rows = self._execute(
            "SELECT id, release FROM releases WHERE id IN (SELECT release FROM moves WHERE"
            " (?1 IS NULL OR service IN (SELECT value FROM json_each(?1))) AND (?2 IS NULL OR build = ?2))"
            " AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4",
            (None if services is None else as_json(list(services)), build, before, _page(limit)),
        ).fetchall()
        return [self._release(number, text) for number, text in rows]

    def judges(self, release: int) -> list[Judgement]:
        rows = self._execute(
            "SELECT service, at, wall, dump FROM judges WHERE release = ? ORDER BY service", (release,)
        )
        return [Judgement(release, service, at, wall, _object(dump)) for service, at, wall, dump in rows]

    def audit(self, limit: int, before: int | None) -> list[Audit]:
        rows = self._execute(
            "SELECT at, actor, via, action, service, revision, outcome, detail, id FROM audit"
            " WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2",
            (before, _page(limit)),
        ).fetchall()
        return [Audit(*row) for row in rows]

    # Parts of these

    def _state(self, revision: int, running: dict[str, Running]) -> State | None:
        """The whole present; None where its definitions were never kept."""
        outline = self._outline(revision)
        if outline is None:
            return None
        settings, names, releasing = outline
        services = {name: self._service(name, revision, running) for name in names}
        rows = self._execute("SELECT revision, pending FROM pending ORDER BY revision").fetchall()
        pending = (self._read(Pending, text, f"the pending change of revision {number}") for number, text in rows)
        present = self._execute("SELECT id, release FROM releases WHERE present ORDER BY id").fetchall()
        releases = {number: self._release(number, text) for number, text in present}
        known = flags.present(self._connection, revision, self._text, self._read)
        return State(revision, settings, services, tuple(pending), releasing, releases, known)

    def _service(self, name: str, revision: int, running: dict[str, Running]) -> ServiceState:
        row = self._newest("definitions", name, revision)
        if row is None or row[0] is None or name not in running:
            raise self._damaged(f"nothing is kept of service {name!r}")
        return ServiceState(self._text(Service, row[0]), running[name])

    def _past(self, name: str, revision: int) -> PastService:
        weights = self._newest("weights", name, revision)
        if weights is None:
            raise self._damaged(f"the split of service {name!r} at revision {revision} is missing")
        row = self._newest("definitions", name, revision)
        if row is None or row[0] is None:
            return PastService(None, _weights(weights[0]))
        where = f"what was deployed of service {name!r} at revision {revision}"
        overlay = json.loads(row[1])
        return PastService(
            self._text(Service, row[0]),
            _weights(weights[0]),
            {one: self._load(Deployed, each, where) for one, each in overlay.get("deployed", {}).items()},
            {one: self._load(Version, each, where) for one, each in overlay.get("retired", {}).items()},
            self._load(Promoted | None, overlay.get("promoted"), where),
        )

    def _outline(self, revision: int) -> tuple[Settings, tuple[str, ...], Releasing] | None:
        row = self._execute(
            "SELECT settings, services, releasing FROM outlines WHERE revision <= ? ORDER BY revision DESC LIMIT 1",
            (revision,),
        ).fetchone()
        if row is None:
            return None
        return self._text(Settings, row[0]), self._text(tuple[str, ...], row[1]), self._text(Releasing, row[2])

    def _newest(self, table: str, service: str, revision: int) -> tuple[Any, ...] | None:
        """The columns, after service and revision, of what held at ``revision``."""
        row = self._execute(
            f"SELECT * FROM {table} WHERE service = ? AND revision <= ? ORDER BY revision DESC LIMIT 1",  # noqa: S608
            (service, revision),
        ).fetchone()
        return None if row is None else row[2:]

    def _text(self, hint: Any, digest: str) -> Any:
        text = self._one("SELECT text FROM texts WHERE digest = ?", digest)
        if text is None:
            raise self._damaged(f"the definition {digest} is missing")
        return self._read(hint, text, f"the definition {digest}")

    def _release(self, number: int, text: str) -> Release:
        return self._read(Release, text, f"release {number}")  # type: ignore[no-any-return]

    def _running(self, service: str, text: str) -> Running:
        return self._read(Running, text, f"what runs of service {service!r}")  # type: ignore[no-any-return]

    def _read(self, hint: Any, text: str, what: str) -> Any:
        with self._named(what):
            return codec.load(hint, json.loads(text))

    def _load(self, hint: Any, data: object, what: str) -> Any:
        with self._named(what):
            return codec.load(hint, data)

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, codec.CodecError) as error:
            raise self._damaged(f"{what}: {error}") from error

    def _damaged(self, what: str) -> StoreError:
        return StoreError(
            self._path,
            f"is damaged ({what})",
            "put back a copy of it, or move it away to start from the configuration file's splits",
        )

    def _one(self, statement: str, *values: object) -> Any:
        row = self._execute(statement, values).fetchone()
        return None if row is None else row[0]


def _event(row: tuple[Any, ...]) -> Event:
    number, at, kind, revision, text = row
    return Event(number, at, kind, revision, json.loads(text))


def _object(text: str) -> dict[str, Any]:
    """Empty for what is none: to judges that is a past that is gone, which they have an answer to."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _page(limit: int) -> int:
    return max(0, min(limit, PAGE))


def _weights(text: str) -> Weights:
    return {name: Decimal(weight) for name, weight in json.loads(text).items()}
