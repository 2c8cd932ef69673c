"""Deleting the oldest of the history: everything before a revision, and nothing that a later one is made of.

It goes in steps of bounded size, each a transaction of its own, so that a command never waits for more than one of
them. Their order keeps every revision that is left right, also after a kill between two steps: first go the revisions,
by which the past is asked for, then what only they needed. The same call again finishes what was interrupted.

The file does not become smaller; what comes next takes the room.
"""

import sqlite3
from dataclasses import asdict, dataclass
from typing import Final

ROWS: Final = 500
"""Rows of one step: a few milliseconds of the one writing thread, and one wait for the disk."""

_SUPERSEDED: Final = (
    "DELETE FROM {table} WHERE ({of}, revision) IN (SELECT {of}, revision FROM {table} old"
    " WHERE revision < :first AND EXISTS (SELECT 1 FROM {table} new WHERE new.{of} = old.{of}"
    " AND new.revision > old.revision AND new.revision <= :first) LIMIT :rows)"
)
"""What held at the first revision kept is still its newest row up to there, however old."""

_UNUSED: Final = (
    "DELETE FROM texts WHERE digest IN (SELECT digest FROM texts"
    " WHERE NOT EXISTS (SELECT 1 FROM definitions WHERE definition = digest)"
    " AND NOT EXISTS (SELECT 1 FROM flags WHERE definition = digest)"
    " AND NOT EXISTS (SELECT 1 FROM flags WHERE made = digest)"
    " AND NOT EXISTS (SELECT 1 FROM outlines WHERE settings = digest)"
    " AND NOT EXISTS (SELECT 1 FROM outlines WHERE services = digest)"
    " AND NOT EXISTS (SELECT 1 FROM outlines WHERE releasing = digest) LIMIT :rows)"
)
_OUTLINES: Final = (
    "DELETE FROM outlines WHERE revision IN (SELECT revision FROM outlines WHERE revision <"
    " (SELECT max(revision) FROM outlines WHERE revision <= :first) LIMIT :rows)"
)
_ENDED: Final = (
    "DELETE FROM releases WHERE id IN (SELECT id FROM releases WHERE NOT present AND revision < :first LIMIT :rows)"
)
_MOVED: Final = (
    "DELETE FROM moves WHERE release IN (SELECT release FROM moves"
    " WHERE NOT EXISTS (SELECT 1 FROM releases r WHERE r.id = moves.release) LIMIT :rows)"
)
_JUDGED: Final = (
    "DELETE FROM judges WHERE rowid IN (SELECT rowid FROM judges"
    " WHERE NOT EXISTS (SELECT 1 FROM releases r WHERE r.id = judges.release) LIMIT :rows)"
)
_OLDER: Final = "DELETE FROM {0} WHERE {1} IN (SELECT {1} FROM {0} WHERE {1} < :{2} ORDER BY {1} LIMIT :rows)"
STEPS: Final = (
    _OLDER.format("revisions", "revision", "first"),
    _SUPERSEDED.format(table="weights", of="service"),
    _SUPERSEDED.format(table="definitions", of="service"),
    _SUPERSEDED.format(table="flags", of="flag"),
    _OUTLINES,
    _UNUSED,
    _ENDED,
    _MOVED,
    _JUDGED,
    _OLDER.format("events", "id", "event"),
    _OLDER.format("audit", "id", "audit"),
)
"""Each to be repeated until it deletes nothing more."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The first revision, event and audit row that stay. Rows of no revision go with the revision after them."""

    first: int
    event: int
    audit: int


def kept(connection: sqlite3.Connection, before: int | None, older_than: float | None) -> Kept:
    """What stays. ``before`` is a revision, ``older_than`` wall seconds: of both, what deletes less.

    The newest revision always stays; without either everything does.
    """
    newest, oldest = connection.execute(
        "SELECT coalesce(max(revision), 0), coalesce(min(revision), 0) FROM revisions"
    ).fetchone()
    wanted = [oldest if before is None and older_than is None else newest]
    if before is not None:
        wanted.append(before)
    if older_than is not None:
        # Only what is older without exception goes: a clock that was wrong for a while must not tear a hole.
        young = connection.execute(
            "SELECT revision FROM revisions WHERE at >= ? ORDER BY revision LIMIT 1", (older_than,)
        ).fetchone()
        wanted.append(newest if young is None else young[0])
    row = connection.execute("SELECT min(revision) FROM revisions WHERE revision >= ?", (min(wanted),)).fetchone()
    first = int(row[0] or 0)
    return Kept(first, _first_of(connection, "events", first), _first_of(connection, "audit", first))


def _first_of(connection: sqlite3.Connection, table: str, revision: int) -> int:
    row = connection.execute(
        f"SELECT id FROM {table} WHERE revision >= ? ORDER BY id LIMIT 1",  # noqa: S608
        (revision,),
    ).fetchone()
    return 0 if row is None else int(row[0])


def count(connection: sqlite3.Connection, kept: Kept) -> dict[str, int]:
    """How many rows go of those that people know of."""
    old = {"revisions": ("revision", kept.first), "events": ("id", kept.event), "audit": ("id", kept.audit)}
    return {
        table: int(connection.execute(f"SELECT count(*) FROM {table} WHERE {name} < ?", (limit,)).fetchone()[0])  # noqa: S608
        for table, (name, limit) in old.items()
    }


def step(connection: sqlite3.Connection, statement: str, kept: Kept) -> int:
    """One bounded step within a transaction of the caller. Returns how many rows went."""
    return connection.execute(statement, {**asdict(kept), "rows": ROWS}).rowcount
