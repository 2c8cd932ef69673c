"""A state file of an older gatekeeper becomes one of this, whole or not at all."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from gatekeeper.control.store import migrate, statefile
from gatekeeper.control.store.start import first_state
from gatekeeper.control.store.store import Store, StoreError
from gatekeeper.core.past import PastService

ROOT = Path(__file__).parents[3]

# Of gatekeeper 0.1, never to be changed: a file as it wrote it, with its own text of the tables.
SCHEMA_1 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE revisions (
  revision INTEGER PRIMARY KEY, at REAL NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, note TEXT NOT NULL,
  changes TEXT NOT NULL
);
CREATE TABLE weights (
  service TEXT NOT NULL, revision INTEGER NOT NULL REFERENCES revisions, weights TEXT NOT NULL,
  PRIMARY KEY (service, revision)
) WITHOUT ROWID;
CREATE INDEX weights_revision ON weights (revision);
CREATE TABLE running (service TEXT PRIMARY KEY, running TEXT NOT NULL);
CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, revision INTEGER, event TEXT NOT NULL
);
"""
ROWS_1 = """
INSERT INTO meta VALUES('definition','8c0042ec97e5880f059a12dbeccd80df');
INSERT INTO revisions VALUES(1,1700000000.0,'gatekeeper','start','','[]');
INSERT INTO revisions VALUES(2,1700000000.0,'anna','split','try it','[{"path":"services.shop.split",
"before":{"blue":100,"green":0},"after":{"blue":90,"green":10}}]');
INSERT INTO revisions VALUES(3,1700000000.0,'anna','split','','[{"path":"services.cart.split",
"before":{"v1":100,"v2":0},"after":{"v1":1,"v2":1}}]');
INSERT INTO revisions VALUES(4,1700000000.0,'anna','rollback','','[{"path":"services.shop.split",
"before":{"blue":90,"green":10},"after":{"blue":100,"green":0}}]');
INSERT INTO running VALUES('cart','{"split":{"weights":{"v1":"1","v2":"1"},"stacks":{"v1":[[0,2147483648]],
"v2":[[4294967296,2147483648]]},"salt":"abababababababababababababababab"},
"secret":"81781d14676820bdff655c41dd28f9baea16ec6e572631f0c6919ba06f5ca03e","rules":{},
"undo":[{"revision":3,"weights":{"v1":"100","v2":"0"}}],"superseded":{},"since":{"v1":1,"v2":3},"revision":3,
"changed_at":1700000000.0}');
INSERT INTO running VALUES('shop','{"split":{"weights":{"blue":"100","green":"0"},"stacks":{"blue":[[0,4294967296]]},
"salt":"abababababababababababababababab"},
"secret":"d7405501e90b6abf1135086427ca8c26146c9a61d7d541932228864836f02c30","rules":{},"undo":[],"superseded":{},
"since":{"blue":1,"green":2},"revision":4,"changed_at":1700000000.0}');
INSERT INTO weights VALUES('cart',1,'{"v1":"100","v2":"0"}');
INSERT INTO weights VALUES('cart',3,'{"v1":"1","v2":"1"}');
INSERT INTO weights VALUES('shop',1,'{"blue":"100","green":"0"}');
INSERT INTO weights VALUES('shop',2,'{"blue":"90","green":"10"}');
INSERT INTO weights VALUES('shop',4,'{"blue":"100","green":"0"}');
INSERT INTO events VALUES(1,1700000000.0,'start',1,'{"actor":"gatekeeper","note":""}');
INSERT INTO events VALUES(2,1700000000.0,'split',2,'{"actor":"anna","service":"shop"}');
INSERT INTO events VALUES(3,1700000000.0,'split',3,'{"actor":"anna","service":"cart"}');
INSERT INTO events VALUES(4,1700000000.0,'backend_ready',NULL,'{"service":"shop"}');
INSERT INTO events VALUES(5,1700000000.0,'rollback',4,'{"actor":"anna","service":"shop"}');
"""
STATEMENTS = migrate.STEPS[1].split(";")


@pytest.fixture(params=["wal", "delete"])
def old(tmp_path, request):
    """A file of schema 1: as the program left it, or as a copy made with ``VACUUM INTO`` has it."""
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.execute(f"PRAGMA journal_mode={request.param}").fetchone()
        made.executescript(f"PRAGMA application_id={statefile.APPLICATION_ID}; PRAGMA user_version=1;")
        made.executescript(f"BEGIN; {SCHEMA_1} {ROWS_1} COMMIT;")
    assert not Path(f"{path}-wal").exists()
    return path


def schema(path):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as other:
        version = other.execute("PRAGMA user_version").fetchone()[0]
        rows = other.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
    return version, {(kind, name): " ".join(sql.replace('"', "").split()) for kind, name, sql in rows}


def dump(path):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as other:
        return [other.execute("PRAGMA user_version").fetchone(), *other.iterdump()]


async def test_everything_that_was_kept_is_there_afterwards(old):
    with closing(Store.open(str(old))) as store:
        stored = store.load()
        assert (stored.revision, stored.state, stored.file) == (4, None, "")
        assert stored.running["cart"].split.weights == {"v1": Decimal(1), "v2": Decimal(1)}
        assert stored.running["shop"].since == {"blue": 1, "green": 2}
        assert [(row.revision, row.action, row.note) for row in await store.revisions()] == [
            (4, "rollback", ""),
            (3, "split", ""),
            (2, "split", "try it"),
            (1, "start", ""),
        ]
        assert [event.id for event in await store.events()] == [1, 2, 3, 4, 5]
        assert await store.weights_at("shop", 3) == {"blue": Decimal(90), "green": Decimal(10)}
        assert [(row.actor, row.action, row.outcome, row.revision) for row in await store.audit(limit=2)] == [
            ("anna", "rollback", "done", 4),
            ("anna", "split", "done", 3),
        ]


def test_it_has_the_tables_of_a_new_file(old, tmp_path):
    Store.open(str(old)).close()
    Store.open(str(tmp_path / "new.db")).close()
    assert schema(old) == schema(tmp_path / "new.db")
    assert schema(old)[0] == migrate.SCHEMA_VERSION
    with closing(sqlite3.connect(old)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_the_start_after_it_takes_the_file_up_and_keeps_what_runs(old, made_service, definition_of):
    definition = definition_of(made_service("shop", "blue", "green"), made_service("cart", "v1", "v2"))
    with closing(Store.open(str(old))) as store:
        before = store.load()
        state, _ = await first_state(store, definition, entropy="ab" * 32, now=1.0)
        assert state.revision == 5
        assert {name: service.running for name, service in state.services.items()} == before.running
        assert store.load().state == state
        past = await store.state_at(5)
        assert {name: each.definition for name, each in past.services.items()} == dict(definition.services)
        assert past.services["cart"].weights == {"v1": Decimal(1), "v2": Decimal(1)}
    with closing(Store.open(str(old))) as store:
        assert await first_state(store, definition, entropy="cd" * 32, now=2.0) == (state, [])


async def test_of_what_was_before_the_weights_alone_are_known(old):
    with closing(Store.open(str(old))) as store:
        past = await store.state_at(2)
        assert past.settings is None
        assert past.services == {
            "cart": PastService(None, {"v1": Decimal(100), "v2": Decimal(0)}),
            "shop": PastService(None, {"blue": Decimal(90), "green": Decimal(10)}),
        }


@pytest.mark.parametrize("done", range(len(STATEMENTS)))
def test_a_migration_that_fails_leaves_every_byte_as_it_was(old, monkeypatch, done):
    before = old.read_bytes()
    with monkeypatch.context() as patch:
        patch.setitem(migrate.STEPS, 1, ";".join([*STATEMENTS[:done], "INSERT INTO nowhere VALUES (1)"]))
        with pytest.raises(StoreError, match="no such table: nowhere"):
            Store.open(str(old))
    assert old.read_bytes() == before
    assert not Path(f"{old}-wal").exists()
    Store.open(str(old)).close()


def test_a_full_disk_refuses_the_migration_and_leaves_every_byte_as_it_was(old, monkeypatch):
    before = old.read_bytes()
    connect = statefile.connect

    def full(path, *, mode):
        connection = connect(path, mode=mode)
        connection.execute(f"PRAGMA max_page_count={connection.execute('PRAGMA page_count').fetchone()[0] + 3}")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(statefile, "connect", full)
        with pytest.raises(StoreError, match=r"full.*free space on that disk"):
            Store.open(str(old))
    assert old.read_bytes() == before
    Store.open(str(old)).close()


KILLED = """
import os, sqlite3, sys
from gatekeeper.control.store import migrate
from gatekeeper.control.store.store import Store

def die(connection):
    connection.create_function("die", 0, lambda: os.kill(os.getpid(), 9))

real = migrate.migrate
migrate.migrate = lambda connection: (die(connection), real(connection))
statements = migrate.STEPS[1].split(";")
migrate.STEPS[1] = ";".join([*statements[:int(sys.argv[2])], "SELECT die()"])
Store.open(sys.argv[1])
"""


@pytest.mark.parametrize("done", [0, 3, len(STATEMENTS)])
def test_a_kill_in_the_middle_of_a_migration_leaves_the_old_file_to_be_migrated_again(old, done):
    before = dump(old)
    child = subprocess.run([sys.executable, "-c", KILLED, str(old), str(done)], cwd=ROOT, check=False)
    assert child.returncode == -signal.SIGKILL
    assert dump(old) == before
    Store.open(str(old)).close()
    assert schema(old)[0] == migrate.SCHEMA_VERSION


def test_a_file_of_a_newer_schema_is_refused_before_any_migration(old):
    with closing(sqlite3.connect(old)) as other:
        other.execute(f"PRAGMA user_version={migrate.SCHEMA_VERSION + 1}")
    before = old.read_bytes()
    with pytest.raises(StoreError, match=r"written by a newer gatekeeper .schema 5; this one knows 4"):
        Store.open(str(old))
    assert old.read_bytes() == before


def test_an_old_file_without_one_of_its_tables_is_refused_and_left_alone(old):
    with closing(sqlite3.connect(old)) as other:
        other.execute("DROP TABLE running")
        other.commit()
    before = old.read_bytes()
    with pytest.raises(StoreError, match="no table running"):
        Store.open(str(old))
    assert old.read_bytes() == before


# What each schema added; never to be changed.
ADDED = {3: ("judges",), 4: ("flags", "flag_running")}


@pytest.mark.parametrize("version", [2, 3])
async def test_a_file_of_a_later_schema_keeps_everything_and_gets_what_was_added(tmp_path, version):
    path = tmp_path / "state.db"
    Store.open(str(path)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        whole = schema(path)
        added = [table for since in range(version + 1, migrate.SCHEMA_VERSION + 1) for table in ADDED[since]]
        made.executescript(f"{''.join(f'DROP TABLE {table};' for table in added)} PRAGMA user_version={version};")
        made.executescript(f"BEGIN; {ROWS_1.replace('definition', 'file', 1)} COMMIT;")
    before = dump(path)
    with closing(Store.open(str(path))) as store:
        assert [row.revision for row in await store.revisions()] == [4, 3, 2, 1]
        assert [row.flags for row in await store.revisions()] == [{}, {}, {}, {}]
        assert await store.judges(1) == []
    assert schema(path) == whole
    assert [line for line in dump(path)[1:] if not any(table in line for table in ("flag", *added))] == before[1:]
