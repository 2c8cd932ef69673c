"""The state file: durable, locked, and never harmed by being wrong."""

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from gatekeeper.control.store import journal, migrate, statefile
from gatekeeper.control.store.rows import Delta
from gatekeeper.control.store.store import Record, Store, Stored, StoreError
from gatekeeper.core.model import Running, Split, Undo
from tests.control.store import crash_child

ROOT = Path(__file__).parents[3]


def running(green: int = 10) -> Running:
    weights = {"green": Decimal(green), "blue": Decimal(100 - green)}
    split = Split(weights, {"blue": ((0, 5), (9, 7)), "green": ((5, 7),)}, "ab" * 16)
    return Running(
        split=split,
        secret="cd" * 32,
        rules={"r": split},
        undo=(Undo(1, weights),),
        superseded={"blue": 1.5},
        revision=2,
        changed_at=3.25,
    )


def record(revision: int, green: int = 10, service: str = "shop", events: int = 1) -> Record:
    return Record(
        revision=revision,
        at=1000.5 + revision,
        actor="anna",
        action="split",
        note="näh — “why”",
        changes=[{"path": "services.shop.split", "before": 1, "after": None}],
        delta=Delta(running={service: running(green)}),
        events=[{"kind": "split", "service": service, "n": n} for n in range(events)],
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture
def store(path):
    with closing(Store.open(str(path))) as opened:
        yield opened


async def test_what_was_appended_is_there_after_a_restart_exactly_as_it_was(path):
    with closing(Store.open(str(path))) as store:
        assert store.load() == Stored(0, {}, None, "")
        await store.append(replace(record(1), file="d1"))
        await store.append(record(2, 20))
        await store.append(record(5, 30, "cart"))
    with closing(Store.open(str(path))) as store:
        stored = store.load()
        assert (stored.revision, stored.file) == (5, "d1")
        assert stored.running == {"shop": running(20), "cart": running(30)}
        assert list(stored.running["shop"].split.weights) == ["green", "blue"], "the order is part of it"
        assert await store.kept(["cart", "gone"]) == {"cart": running(30)}


@pytest.mark.parametrize("statement", ["INSERT INTO meta VALUES ('a', 'b')", "DELETE FROM events", "DROP TABLE audit"])
def test_what_only_reads_could_not_write(store, statement):
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store._read_connection.execute(statement)


def test_a_commit_waits_for_the_disk(store):
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL: the log is synced at every commit"
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_the_weights_of_any_revision_can_be_asked_for(store):
    for revision, green, service in ((1, 10, "shop"), (2, 20, "shop"), (3, 5, "cart"), (5, 30, "shop")):
        await store.append(record(revision, green, service))
    asked = {revision: await store.weights_at("shop", revision) for revision in range(7)}
    green = {revision: weights and int(weights["green"]) for revision, weights in asked.items()}
    assert green == {0: None, 1: 10, 2: 20, 3: 20, 4: None, 5: 30, 6: None}, "4 and 6 never were"
    assert await store.weights_at("cart", 2) is None, "it did not exist then"


async def test_the_history_comes_in_pages_newest_first_of_all_or_of_one_service(store):
    for revision in range(1, 9):
        await store.append(record(revision, revision, "shop" if revision % 2 else "cart"))
    assert [row.revision for row in await store.revisions(limit=3)] == [8, 7, 6]
    assert [row.revision for row in await store.revisions(limit=3, before=6)] == [5, 4, 3]
    assert [row.revision for row in await store.revisions(after=5)] == [8, 7, 6]
    assert [row.revision for row in await store.revisions(service="shop")] == [7, 5, 3, 1]
    (row,) = await store.revisions(limit=1)
    assert (row.actor, row.action, row.note, row.at) == ("anna", "split", "näh — “why”", 1008.5)
    assert row.weights == {"cart": running(8).split.weights}
    assert row.changes == [{"path": "services.shop.split", "before": 1, "after": None}]


async def test_events_get_growing_ids_and_are_read_back_as_they_were(store):
    first = await store.append(record(1, events=3))
    second = await store.tell([{"kind": "backend_ready", "weight": Decimal("0.5")}], 7.5)
    assert [event.id for event in first + second] == [1, 2, 3, 4]
    assert await store.events() == first + second
    assert await store.events(after=1, up_to=3, limit=1) == first[1:2]
    assert await store.last_events(2) == [first[2], second[0]]
    assert second[0].document() == {"id": 4, "at": 7.5, "kind": "backend_ready", "revision": None, "weight": "0.5"}


async def test_old_events_are_dropped_but_for_those_of_revisions_and_their_ids_never_given_again(store, monkeypatch):
    monkeypatch.setattr(journal, "EVENTS_KEPT", 100)
    monkeypatch.setattr(journal, "_PRUNE_EVERY", 50)
    await store.tell([{"kind": "x"}] * 100, 1.0)
    await store.append(record(1, events=2))
    await store.tell([{"kind": "x"}] * 278, 1.0)
    assert [event.id for event in await store.events(limit=4)] == [101, 102, 251, 252]
    assert (await store.tell([{"kind": "x"}], 1.0))[0].id == 381


async def test_a_command_is_written_whole_or_not_at_all(store):
    await store.append(record(1))
    before = (store.load(), await store.events(), await store.revisions())
    for broken in (
        replace(record(2), events=[{"kind": "split"}, {"kind": "split", "bad": object()}]),
        replace(record(2), changes=[{"bad": float("nan")}]),
    ):
        with pytest.raises(Exception, match=r"JSON"):
            await store.append(broken)
        assert (store.load(), await store.events(), await store.revisions()) == before
    await store.append(record(2))


async def test_a_revision_that_does_not_follow_is_refused(store):
    await store.append(record(2))
    for revision in (1, 2):
        with pytest.raises(StoreError, match="already holds revision 2"):
            await store.append(record(revision))
    assert len(await store.events()) == 1


async def test_a_store_that_is_closed_says_so(path):
    store = Store.open(str(path))
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        await store.append(record(1))


async def test_a_store_handed_over_lets_the_other_write_and_goes_on_from_there(path):
    with closing(Store.open(str(path))) as store:
        await store.append(record(1))
        await store.hand_over()
        for refused in (store.append(record(2)), store.events(), store.tell([{"kind": "x"}], 1.0)):
            with pytest.raises(StoreError, match="was handed over"):
                await refused
        with closing(Store.open(str(path))) as other:
            with pytest.raises(StoreError, match="another supervisor holds it"):
                await store.take_back()
            await other.append(record(2))
        await store.take_back()
        await store.append(record(3))
        assert [row.revision for row in await store.revisions()] == [3, 2, 1]


async def test_a_store_handed_over_for_good_closes_without_a_word(path):
    store = Store.open(str(path))
    await store.hand_over()
    with closing(Store.open(str(path))):
        store.close()
    Store.open(str(path)).close()


async def test_somebody_elses_lock_fails_the_write_in_bounded_time_and_nothing_is_lost(path, monkeypatch):
    monkeypatch.setattr(statefile, "BUSY_SECONDS", 0.1)
    with closing(Store.open(str(path))) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program has it locked"):
            await store.append(record(1))
        assert await store.revisions() == [], "reading goes on meanwhile"
        other.execute("ROLLBACK")
        await store.append(record(1))


async def test_a_log_removed_under_the_program_takes_no_further_write_and_a_stop_saves_what_was_in_it(path):
    """Written to a file without a name, a change would be gone after a kill."""
    with closing(Store.open(str(path))) as store:
        await store.append(record(1))
        os.unlink(f"{path}-wal")  # noqa: PTH108
        with pytest.raises(StoreError, match=r"-wal file was removed .* stop gatekeeper with SIGTERM"):
            await store.append(record(2))
    with closing(Store.open(str(path))) as store:
        assert [row.revision for row in await store.revisions()] == [1]


async def test_only_its_owner_may_read_the_file(store, path):
    await store.append(record(1))
    for name in (path, Path(f"{path}-wal"), Path(f"{path}.lock")):
        assert name.stat().st_mode & 0o777 == 0o600, name


def test_a_second_supervisor_is_refused_and_told_who_holds_the_file(store, path, tmp_path):
    before = path.read_bytes()
    (tmp_path / "link.db").symlink_to(path)
    for name in (path, tmp_path / "link.db"):
        with pytest.raises(StoreError, match=rf"another supervisor holds it \(pid {os.getpid()}\)"):
            Store.open(str(name))
    assert path.read_bytes() == before


def test_the_lock_ends_with_a_process_that_is_killed(path):
    script = (
        "import sys; from gatekeeper.control.store.store import Store;"
        "s = Store.open(sys.argv[1]); print(1, flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline()
        with pytest.raises(StoreError, match=f"pid {child.pid}"):
            Store.open(str(path))
        child.kill()
    Store.open(str(path)).close()


def filled(path: Path) -> bytes:
    """A healthy state file, closed, without a log beside it."""
    with closing(Store.open(str(path))) as store:

        async def fill():
            for revision in range(1, 40):
                await store.append(record(revision))

        asyncio.run(fill())
    assert not Path(f"{path}-wal").exists()
    return path.read_bytes()


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE revisions (revision INTEGER)")
        other.commit()


def newer(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version={migrate.SCHEMA_VERSION + 1}")


def without_a_table(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE running")
        other.commit()


def unreadable_row(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE running SET running = replace(running, 'secret', 'sekret')")
        other.commit()


WRONG = {
    "text": (lambda path: path.write_text("listen: []\n" * 50), "is not a state file"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "another program's": (foreign, "is a database of another program"),
    "newer": (newer, "written by a newer gatekeeper"),
    "header only": (lambda path: path.write_bytes(filled(path)[:60]), "is damaged .cut short"),
    "first page gone": (lambda path: path.write_bytes(filled(path)[:4096]), "is damaged .cut short"),
    "last byte gone": (lambda path: path.write_bytes(filled(path)[:-1]), "is damaged .cut short"),
    "a page overwritten": (
        lambda path: path.write_bytes((data := filled(path))[:8192] + b"\xa5" * 4096 + data[12288:]),
        "is damaged",
    ),
    "a table missing": (without_a_table, "is damaged .no table running"),
    "a row that is no running state": (unreadable_row, "is damaged .what runs of service 'shop'"),
    "a directory": (lambda path: path.mkdir(), "is not a regular file"),
}


def opened(path: Path, *, load: bool) -> None:
    with closing(Store.open(str(path))) as store:
        if load:  # rows are read by the load, a start's next step; all else must be noticed before
            store.load()


@pytest.mark.parametrize("kind", WRONG)
def test_a_file_that_is_not_a_healthy_state_file_is_refused_with_a_way_out_and_left_as_it_is(path, kind):
    make, message = WRONG[kind]
    make(path)
    before = path.read_bytes() if path.is_file() else None
    for _ in range(2):
        with pytest.raises(StoreError, match=message) as caught:  # noqa: SIM117 - the load is part of a start
            with closing(Store.open(str(path))) as store:
                store.load()
        assert str(path) in str(caught.value)
        assert caught.value.way_out
        if before is not None:
            assert path.read_bytes() == before


def test_every_truncation_is_noticed(path):
    data = filled(path)
    for size in range(0, len(data), 997):
        path.write_bytes(data[:size])
        with pytest.raises(StoreError):
            Store.open(str(path))
        assert path.read_bytes() == data[:size]


@pytest.mark.parametrize("octet", [b"\x00", b"\x0d", b"\xa5"])
def test_every_page_that_was_overwritten_is_noticed(path, octet):
    data = filled(path)
    for start in range(4096, len(data), 4096):
        path.write_bytes(data[:start] + octet * 4096 + data[start + 4096 :])
        with pytest.raises(StoreError, match=r"^[^\n]* is damaged [^\n]*$"):
            Store.open(str(path))


def test_a_log_without_its_file_is_not_taken_for_a_fresh_start(path):
    Path(f"{path}-wal").write_bytes(b"changes")
    with pytest.raises(StoreError, match=r"is missing, but .*-wal"):
        Store.open(str(path))
    assert not path.exists()
    assert Path(f"{path}-wal").read_bytes() == b"changes"


def test_a_start_that_was_killed_while_making_the_file_leaves_nothing_in_the_way(path):
    Path(f"{path}.new").write_bytes(b"half")
    Store.open(str(path)).close()
    assert not Path(f"{path}.new").exists()


def test_a_directory_that_is_missing_or_not_writable_is_named_with_a_way_out(tmp_path):
    with pytest.raises(StoreError, match=r"No such file.*make its directory"):
        Store.open(str(tmp_path / "none" / "state.db"))
    if os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(StoreError, match=r"Permission denied"):
            Store.open(str(tmp_path / "state.db"))
        tmp_path.chmod(0o700)


ROUNDS = 40


def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(path):
    """Each round continues where the killed one ended; the moments fall before, in and after a command."""
    draw = random.Random(20261123)
    child = [sys.executable, "-m", "tests.control.store.crash_child", str(path)]
    last = acknowledged = 0
    for _ in range(ROUNDS):
        with subprocess.Popen(child, stdout=subprocess.PIPE, cwd=ROOT) as process:
            process.stdout.readline()
            try:
                process.wait(draw.uniform(0, 0.05))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            said = process.stdout.read().decode().splitlines()
        if said:
            acknowledged += len(said)
            with closing(Store.open(str(path))) as store:
                stored = store.load()
                answered = asyncio.run(store.answer("crash", f"k{stored.revision}", time.time()))
            assert stored.revision in (int(said[-1]), int(said[-1]) + 1), "at most the one under way is more"
            assert stored.revision > last
            last = stored.revision
            assert crash_child.found(stored.state) == crash_child.expected(last)
            assert answered.document == {"revision": last}, "the key and the change are one transaction"
    assert acknowledged > ROUNDS
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        revisions = [row[0] for row in other.execute("SELECT revision FROM revisions ORDER BY 1")]
        assert revisions == list(range(1, last + 1)), "no hole in the history"
        events = [json.loads(row[0])["revision"] for row in other.execute("SELECT event FROM events WHERE id > 1")]
        assert events == revisions[1:], "every revision has its event: one transaction"
