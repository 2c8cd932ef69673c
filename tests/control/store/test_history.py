"""What can be asked of the state file: the whole present, the whole past, who did what."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from gatekeeper.control.store import journal
from gatekeeper.control.store.rows import Answer, Audit
from gatekeeper.control.store.store import Record, Store, StoreError
from gatekeeper.core.model import Pending, Role, Settings, User
from tests.control.kept import WALL, order, past_of, record, service, state


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture
def store(path):
    with closing(Store.open(str(path))) as opened:
        yield opened


FIRST = state(1, service("shop"), service("cart"))
STATES = [
    FIRST,
    state(2, service("shop", 10), service("cart")),
    state(3, service("shop", 10, deployed=9002), service("cart")),
    state(4, service("shop", 10, deployed=9002, retired=True), service("cart")),
    state(5, service("shop", 10, skew=3.0), workers=4),
    state(6, service("shop", 20, skew=3.0), workers=4),
    state(8, service("cart", 5), service("shop", 20, skew=3.0), service("new"), workers=4),
]


async def write(store, states=STATES):
    before = None
    for each in states:
        await store.append(record(before, each))
        before = each


async def test_the_file_knows_the_whole_present_after_every_change(path):
    before = None
    for each in STATES:
        with closing(Store.open(str(path))) as store:
            await store.append(record(before, each))
        before = each
        with closing(Store.open(str(path))) as store:
            stored = store.load()
        assert (stored.revision, stored.state) == (each.revision, each)
        assert order(stored.state.services) == order(each.services), "the order is part of it"


async def test_every_revision_can_be_had_whole(store):
    await write(store)
    for each in STATES:
        past = await store.state_at(each.revision)
        assert past == past_of(each)
        assert order(past.services) == order(each.services)
        assert list(past.services["shop"].weights) == ["green", "blue"]
    assert [await store.state_at(revision) for revision in (0, 7, 9)] == [None, None, None]


async def test_what_goes_is_kept_for_its_return_and_the_history_tells_that_it_went(store):
    await write(store)
    assert set(store.load().running) == {"shop", "cart", "new"}
    assert [row.revision for row in await store.revisions(service="cart")] == [8, 5, 1]


async def test_a_definition_is_written_once_however_often_it_returns(store):
    shop = [service("shop", skew=float(at % 2)) for at in range(10)]
    await write(store, [state(at, each) for at, each in enumerate(shop, start=1)])
    texts = [row[0] for row in store._connection.execute("SELECT text FROM texts")]
    assert len([text for text in texts if "testers" in text]) == 2
    assert store._connection.execute("SELECT count(*) FROM definitions").fetchone() == (10,)


async def test_a_change_of_weights_writes_no_definition(store):
    await write(store, STATES[:1])
    before = store._connection.execute("SELECT count(*) FROM definitions").fetchone()
    await store.append(record(STATES[0], STATES[1]))
    assert store._connection.execute("SELECT count(*) FROM definitions").fetchone() == before
    assert store._connection.execute("SELECT count(*) FROM outlines").fetchone() == (1,)


async def test_changes_that_wait_for_a_confirmation_are_kept_until_they_are_settled(path):
    waiting = Pending(2, WALL + 300, "anna", {"shop": FIRST.services["shop"], "new": None}, Settings(workers=9))
    second = replace(STATES[1], pending=(waiting,))
    third = replace(second, revision=3, pending=(waiting, replace(waiting, revision=3)))
    with closing(Store.open(str(path))) as store:
        await write(store, [FIRST, second, third])
    with closing(Store.open(str(path))) as store:
        assert store.load().state == third
        fourth = replace(third, revision=4, pending=third.pending[1:])
        await store.append(record(third, fourth))
        assert store.load().state == fourth
        fifth = replace(fourth, revision=5, pending=())
        await store.append(record(fourth, fifth))
        assert store.load().state == fifth


async def test_settings_with_all_that_they_may_hold_come_back(store):
    settings = Settings(admin_users={"anna": User(Role.OPERATOR, ("product",))}, trusted_proxies=("10.0.0.0/8",))
    await store.append(record(None, replace(FIRST, settings=settings)))
    assert store.load().state.settings == settings


async def test_the_audit_comes_newest_first_in_pages(store):
    await write(store)
    refused = Audit(WALL, "ben", "token", "split", "shop", None, "refused", "revision_moved: it moved")
    await store.note([refused, replace(refused, actor="cleo")])
    rows = await store.audit(limit=3)
    assert [(row.id, row.actor, row.outcome, row.revision) for row in rows] == [
        (9, "cleo", "refused", None),
        (8, "ben", "refused", None),
        (7, "anna", "done", 8),
    ]
    assert [row.id for row in await store.audit(limit=2, before=7)] == [6, 5]
    assert rows[1].document() == {
        "id": 8,
        "at": WALL,
        "actor": "ben",
        "via": "token",
        "action": "split",
        "service": "shop",
        "revision": None,
        "outcome": "refused",
        "detail": "revision_moved: it moved",
    }


async def test_refusals_are_bounded_and_what_was_done_stays(store, monkeypatch):
    monkeypatch.setattr(journal, "AUDIT_KEPT", 100)
    monkeypatch.setattr(journal, "_PRUNE_EVERY", 50)
    await write(store)
    await store.note([Audit(WALL, "ben", "token", "split", "shop", None, "refused")] * 393)
    rows = await store.audit(limit=1000)
    assert [row.id for row in rows if row.outcome == "refused"] == list(range(400, 300, -1))
    assert [row.revision for row in rows if row.outcome == "done"] == [8, 6, 5, 4, 3, 2, 1]


def answer(key="k1", actor="anna", revision=2):
    return Answer(key, actor, "f", 1, revision, {"revision": revision})


async def test_an_answer_is_kept_for_its_actor_and_its_key_for_a_day(store):
    await store.append(record(None, FIRST))
    changes = [{"path": "x", "before": 1, "after": 2}]
    await store.append(record(FIRST, STATES[1], answer=answer(), changes=changes))
    at = WALL + 120
    assert await store.answer("anna", "k1", at) == replace(answer(), changes=changes)
    assert await store.answer("anna", "k1", at + journal.KEY_SECONDS) == replace(answer(), changes=changes)
    assert await store.answer("anna", "k1", at + journal.KEY_SECONDS + 1) is None
    assert await store.answer("ben", "k1", at) is None
    assert await store.answer("anna", "k2", at) is None


async def test_an_answer_that_does_not_hold_is_forgotten_with_what_takes_it_back(store):
    await store.append(record(None, FIRST))
    await store.append(record(FIRST, STATES[1], answer=answer()))
    await store.append(record(STATES[1], STATES[2], forget=("anna", "k1")))
    assert await store.answer("anna", "k1", WALL) is None


async def test_answers_are_bounded_and_the_oldest_go(store, monkeypatch):
    monkeypatch.setattr(journal, "KEYS_KEPT", 20)
    monkeypatch.setattr(journal, "_PRUNE_EVERY", 10)
    for at in range(40):
        await store.append(Record(None, WALL, "anna", "split", answer=answer(f"k{at}")))
    kept = [at for at in range(40) if await store.answer("anna", f"k{at}", WALL) is not None]
    assert kept == list(range(20, 40))


async def test_a_command_that_changed_nothing_leaves_its_answer_and_no_revision(store):
    await store.append(record(None, FIRST))
    await store.append(Record(None, WALL, "anna", "split", answer=answer(revision=1), file="f1"))
    assert (await store.answer("anna", "k1", WALL)).revision == 1
    assert await store.file() == "f1"
    assert [row.revision for row in await store.revisions()] == [1]


DAMAGE = {
    "a text that is gone": ("DELETE FROM texts WHERE text LIKE '%testers%'", "is missing"),
    "a text of something else": ("UPDATE texts SET text = replace(text, 'backends', 'frontends')", "frontends"),
    "a definition that is gone": (
        "DELETE FROM definitions WHERE service = 'shop'",
        "nothing is kept of service 'shop'",
    ),
    "what ran that is gone": ("DELETE FROM running WHERE service = 'shop'", "nothing is kept of service 'shop'"),
    "a change that waits": ("INSERT INTO pending VALUES (2, '{}')", "the pending change of revision 2"),
}


@pytest.mark.parametrize("kind", DAMAGE)
async def test_rows_that_do_not_fit_together_are_named_with_a_way_out(path, kind):
    statement, message = DAMAGE[kind]
    with closing(Store.open(str(path))) as store:
        await write(store)
    with closing(sqlite3.connect(path)) as other:
        other.execute(statement)
        other.commit()
    with closing(Store.open(str(path))) as store, pytest.raises(StoreError, match=message) as caught:
        store.load()
    assert caught.value.way_out
