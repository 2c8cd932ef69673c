"""What is written into the state file: functions within a transaction that their caller begins and ends."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gatekeeper.control.store import definitions, flags
from gatekeeper.control.store.rows import Answer, Audit, Delta, Event, Judgement, Record
from gatekeeper.control.store.statefile import StoreError
from gatekeeper.core import codec
from gatekeeper.core.model import Pending, Release, ServiceState

EVENTS_KEPT: Final = 100_000
"""Events of no revision (a backend ejected, a worker replaced): about 30 MB. Those of revisions stay with them."""
AUDIT_KEPT: Final = 100_000
"""Audit rows of no revision: about 20 MB. A script that is refused all day long must not fill the disk, or the changes
of others would be refused for it."""
KEYS_KEPT: Final = 20_000
KEY_SECONDS: Final = 86_400.0
"""A client that repeats itself does so within seconds; a day outlasts the longest outage of one. 20,000 a day are one
every four seconds, and about 20 MB."""
_PRUNE_EVERY: Final = 1_000
"""Rows between two prunings: one deletion of 1,000 rows instead of one for every row."""


def append(connection: sqlite3.Connection, path: str, record: Record) -> list[Event]:
    """One command's rows. Returns its events with their ids. Raises StoreError, sqlite3.Error."""
    if record.revision is not None:
        _append_revision(connection, path, record, record.revision)
    if record.file is not None:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('file', ?)", (record.file,))
    if record.forget is not None:
        connection.execute("DELETE FROM keys WHERE actor = ? AND key = ?", record.forget)
    if record.answer is not None:
        _keep_answer(connection, record.answer, record.at)
    if record.audit is not None:
        append_audit(connection, [record.audit])
    return append_events(connection, record.events, record.at, record.revision)


def append_events(
    connection: sqlite3.Connection, events: Iterable[Mapping[str, Any]], at: float, revision: int | None
) -> list[Event]:
    stored = []
    for data in events:
        text = as_json({key: value for key, value in data.items() if key != "kind"})
        row = connection.execute(
            "INSERT INTO events (at, kind, revision, event) VALUES (?, ?, ?, ?)", (at, data["kind"], revision, text)
        )
        # Reading it back as it was stored keeps live and replayed events equal, types and all.
        event = Event(row.lastrowid or 0, at, data["kind"], revision, json.loads(text))
        if event.id % _PRUNE_EVERY == 0:
            connection.execute("DELETE FROM events WHERE revision IS NULL AND id <= ?", (event.id - EVENTS_KEPT,))
        stored.append(event)
    return stored


def append_audit(connection: sqlite3.Connection, rows: Sequence[Audit]) -> None:
    for row in rows:
        added = connection.execute(
            "INSERT INTO audit (at, actor, via, action, service, revision, outcome, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (row.at, row.actor, row.via, row.action, row.service, row.revision, row.outcome, row.detail),
        ).lastrowid
        if added is not None and added % _PRUNE_EVERY == 0:
            connection.execute("DELETE FROM audit WHERE revision IS NULL AND id <= ?", (added - AUDIT_KEPT,))


def keep_judges(connection: sqlite3.Connection, rows: Iterable[Judgement]) -> None:
    """Each in the place of what was kept of that service of that release."""
    connection.executemany(
        "INSERT OR REPLACE INTO judges VALUES (?, ?, ?, ?, ?)",
        ((row.release, row.service, row.at, row.wall, _text(row.dump)) for row in rows),
    )


def as_json(value: object) -> str:
    return _text(codec.dump(value))


def _text(dumped: object) -> str:
    return json.dumps(dumped, allow_nan=False, separators=(",", ":"))


def _append_revision(connection: sqlite3.Connection, path: str, record: Record, revision: int) -> None:
    newest = connection.execute("SELECT coalesce(max(revision), 0) FROM revisions").fetchone()[0]
    if revision <= newest:
        raise StoreError(
            path,
            f"already holds revision {newest}, so revision {revision} cannot follow",
            "another program wrote to it: stop that one and restart",
        )
    connection.execute(
        "INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?)",
        (revision, record.at, record.actor, record.action, record.note, as_json(record.changes)),
    )
    _append_delta(connection, revision, record.delta)


def _append_delta(connection: sqlite3.Connection, revision: int, delta: Delta) -> None:
    for name, running in delta.running.items():
        dumped = codec.dump(running)
        connection.execute("INSERT OR REPLACE INTO running VALUES (?, ?)", (name, _text(dumped)))
        connection.execute("INSERT INTO weights VALUES (?, ?, ?)", (name, revision, _text(dumped["split"]["weights"])))
    for name, service in delta.definitions.items():
        digest = None if service is None else _keep_text(connection, definitions.text(service.definition))
        connection.execute("INSERT INTO definitions VALUES (?, ?, ?, ?)", (name, revision, digest, _overlay(service)))
    flags.append(connection, revision, delta.flags, lambda text: _keep_text(connection, text))
    if delta.outline is not None:
        parts = (_keep_text(connection, definitions.text(part)) for part in delta.outline)
        connection.execute("INSERT INTO outlines VALUES (?, ?, ?, ?)", (revision, *parts))
    if delta.pending is not None:
        _replace_pending(connection, delta.pending)
    for release in delta.releases.values():
        _keep_release(connection, release)
    connection.executemany("UPDATE releases SET present = 0 WHERE id = ?", ((number,) for number in delta.left))


def _overlay(service: ServiceState | None) -> str:
    if service is None:
        return "{}"
    running = service.running
    parts = {"deployed": running.deployed, "retired": running.retired, "promoted": running.promoted}
    return as_json({name: part for name, part in parts.items() if part})


def _replace_pending(connection: sqlite3.Connection, pending: Sequence[Pending]) -> None:
    connection.execute("DELETE FROM pending")
    connection.executemany("INSERT INTO pending VALUES (?, ?)", ((each.revision, as_json(each)) for each in pending))


def _keep_release(connection: sqlite3.Connection, release: Release) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO releases VALUES (?, ?, 1, ?)", (release.id, release.revision, as_json(release))
    )
    connection.executemany(
        "INSERT OR IGNORE INTO moves VALUES (?, ?, ?)",
        ((move.service, release.id, move.build) for move in release.moves),
    )


def _keep_text(connection: sqlite3.Connection, text: str) -> str:
    digest = definitions.digest_of(text)
    connection.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (digest, text))
    return digest


def _keep_answer(connection: sqlite3.Connection, answer: Answer, at: float) -> None:
    row = (at, answer.actor, answer.key, answer.fingerprint, answer.base, answer.revision, as_json(answer.document))
    added = connection.execute(
        "INSERT OR REPLACE INTO keys (at, actor, key, fingerprint, base, revision, answer)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        row,
    ).lastrowid
    if added is not None and added % _PRUNE_EVERY == 0:
        connection.execute("DELETE FROM keys WHERE id <= ? OR at < ?", (added - KEYS_KEPT, at - KEY_SECONDS))
