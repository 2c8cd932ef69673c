"""The tables of the state file, and how a file of an older gatekeeper comes by them.

A migration is one transaction: a file is either of the old schema, byte for byte, or of the new one, also after a kill
or on a full disk. It goes one way; an older gatekeeper refuses the file afterwards and says why.

    revisions    one row per accepted state; goes only by ``history prune``, as all that belongs to it
    weights      the split of each service a revision changed; what held at revision N is the newest row up to N
    definitions  the same for what a service is: ``definition`` names a text (NULL: gone), ``overlay`` is what was
                 deployed and retired on top of the file
    flags        the same for what a flag is, and for what held of it; ``made`` names a text, too (NULL: the file's)
    flag_running what was decided about each flag, newest only; goes with the flag
    outlines     the same for the settings, the names of the services in order, and plans; all name texts
    texts        settings, services, lists of names, plans, each once, under the digest of it
    running      what operators decided about each service, newest only; kept when the service goes, so that it returns
                 as it was
    pending      changes that wait to be confirmed, newest only
    releases     each as it is now, or ended; those in the state are ``present``; ``revision`` is its last change
    moves        of which services these are, and the candidates' builds
    judges       what the judge of each service of a release knows, newest only; goes with the release
    events       what was told; the ids of server-sent events; those of no revision are dropped beyond ``EVENTS_KEPT``
    audit        who asked for what, and what came of it; what made no revision is dropped beyond ``AUDIT_KEPT``
    keys         answers to commands that must act once, for a day
    meta         ``file``: the digest of the configuration file taken up last, so that a start knows whether it changed
"""

import sqlite3
from typing import Final

SCHEMA_VERSION: Final = 4

TABLES: Final = {
    1: ("meta", "revisions", "weights", "running", "events"),
    2: (
        *("meta", "revisions", "weights", "definitions", "outlines", "texts", "running", "pending", "events"),
        *("releases", "moves", "audit", "keys"),
    ),
    3: (
        *("meta", "revisions", "weights", "definitions", "outlines", "texts", "running", "pending", "events"),
        *("releases", "moves", "audit", "keys", "judges"),
    ),
    4: (
        *("meta", "revisions", "weights", "definitions", "flags", "flag_running", "outlines", "texts", "running"),
        *("pending", "events", "releases", "moves", "audit", "keys", "judges"),
    ),
}
"""What a whole file has, by schema."""

_WEIGHTS: Final = """
CREATE TABLE weights (
  service TEXT NOT NULL, revision INTEGER NOT NULL, weights TEXT NOT NULL,
  PRIMARY KEY (service, revision)
) WITHOUT ROWID;
CREATE INDEX weights_revision ON weights (revision);
"""
_SINCE_2: Final = """
CREATE TABLE texts (digest TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE outlines (
  revision INTEGER PRIMARY KEY, settings TEXT NOT NULL, services TEXT NOT NULL, releasing TEXT NOT NULL
);
CREATE INDEX outlines_settings ON outlines (settings);
CREATE INDEX outlines_services ON outlines (services);
CREATE INDEX outlines_releasing ON outlines (releasing);
CREATE TABLE definitions (
  service TEXT NOT NULL, revision INTEGER NOT NULL, definition TEXT, overlay TEXT NOT NULL,
  PRIMARY KEY (service, revision)
) WITHOUT ROWID;
CREATE INDEX definitions_revision ON definitions (revision);
CREATE INDEX definitions_text ON definitions (definition);
CREATE TABLE pending (revision INTEGER PRIMARY KEY, pending TEXT NOT NULL);
CREATE TABLE releases (
  id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, present INTEGER NOT NULL, release TEXT NOT NULL
);
CREATE INDEX releases_present ON releases (id) WHERE present;
CREATE TABLE moves (
  service TEXT NOT NULL, release INTEGER NOT NULL, build TEXT,
  PRIMARY KEY (service, release)
) WITHOUT ROWID;
CREATE INDEX moves_release ON moves (release);
CREATE INDEX events_loose ON events (id) WHERE revision IS NULL;
CREATE TABLE audit (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, via TEXT NOT NULL, action TEXT NOT NULL,
  service TEXT NOT NULL, revision INTEGER, outcome TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE INDEX audit_loose ON audit (id) WHERE revision IS NULL;
CREATE TABLE keys (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL,
  base INTEGER NOT NULL, revision INTEGER NOT NULL, answer TEXT NOT NULL,
  UNIQUE (actor, key)
);
"""
_SINCE_3: Final = """
CREATE TABLE judges (
  release INTEGER NOT NULL, service TEXT NOT NULL, at INTEGER NOT NULL, wall REAL NOT NULL, dump TEXT NOT NULL,
  PRIMARY KEY (release, service)
);
"""
_SINCE_4: Final = """
CREATE TABLE flags (
  flag TEXT NOT NULL, revision INTEGER NOT NULL, definition TEXT, made TEXT, held TEXT NOT NULL,
  PRIMARY KEY (flag, revision)
) WITHOUT ROWID;
CREATE INDEX flags_revision ON flags (revision);
CREATE INDEX flags_definition ON flags (definition);
CREATE INDEX flags_made ON flags (made);
CREATE TABLE flag_running (flag TEXT PRIMARY KEY, running TEXT NOT NULL);
"""
SCHEMA: Final = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE revisions (
  revision INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, note TEXT NOT NULL,
  changes TEXT NOT NULL
);
{_WEIGHTS}
CREATE TABLE running (service TEXT PRIMARY KEY, running TEXT NOT NULL);
CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, revision INTEGER, event TEXT NOT NULL
);
{_SINCE_2}
{_SINCE_3}
{_SINCE_4}
"""
"""A new file."""

STEPS: Final = {
    # Weights stay when their revision goes, so they name it without referring to it. A digest without its definition is
    # of no use: the next start takes the configuration file up.
    1: f"""
ALTER TABLE weights RENAME TO weights_1;
DROP INDEX weights_revision;
{_WEIGHTS}
INSERT INTO weights SELECT service, revision, weights FROM weights_1;
DROP TABLE weights_1;
{_SINCE_2}
INSERT INTO audit (at, actor, via, action, service, revision, outcome, detail)
  SELECT at, actor, '', action, '', revision, 'done', note FROM revisions ORDER BY revision;
DELETE FROM meta WHERE name = 'definition';
""",  # noqa: S608 - the parts are our own
    2: _SINCE_3,
    3: _SINCE_4,
}
"""What brings a file of that schema to the next one. No statement holds a semicolon."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file up to ``SCHEMA_VERSION``, whole or not at all. Raises sqlite3.Error."""
    if _version(connection) == SCHEMA_VERSION:
        return
    try:
        connection.execute("BEGIN IMMEDIATE")
        for version in range(_version(connection), SCHEMA_VERSION):
            for statement in STEPS[version].split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
