"""Deleting old history: what is left is what it was."""

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.control.store import prune
from gatekeeper.control.store.rows import Audit, Judgement
from gatekeeper.control.store.store import Store, StoreError
from tests.control.kept import WALL, record, service, state

services = st.builds(
    service,
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 100),
    skew=st.sampled_from([0.0, 1.0]),
    deployed=st.sampled_from([None, 9002]),
    retired=st.booleans(),
)
states = st.builds(
    lambda each, workers: (each, workers),
    st.lists(services, max_size=3, unique_by=lambda one: one.definition.name),
    st.integers(0, 1),
)


async def fill(store, plan):
    before = None
    for revision, (each, workers) in enumerate(plan, start=1):
        new = state(revision, *each, workers=workers)
        await store.append(record(before, new))
        before = new


async def seen(store, revisions):
    """All that can be asked of these revisions."""
    return [
        (
            await store.state_at(each),
            [await store.weights_at(name, each) for name in ("a", "b", "c")],
            await store.revisions(before=each + 1, limit=1),
        )
        for each in revisions
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(states, min_size=1, max_size=12), st.lists(st.integers(-1, 14), min_size=1, max_size=3))
def test_every_revision_that_is_left_is_what_it_was_and_so_is_the_present(plan, cuts):
    async def run(path):
        with closing(Store.open(path)) as store:
            await fill(store, plan)
            present, oldest, last = store.load(), 1, len(plan)
            for before in cuts:
                oldest = max(oldest, min(before, last))
                left = range(oldest, last + 1)
                expected = await seen(store, left)
                counts = await store.prune(before, None)
                assert counts["oldest"] == oldest
                assert await seen(store, left) == expected
                assert store.load() == present
                assert [await store.state_at(each) for each in range(1, oldest)] == [None] * (oldest - 1)
                assert [row.revision for row in await store.revisions()] == [*reversed(left)]
            texts = {row[0] for row in store._connection.execute("SELECT digest FROM texts")}
            used = store._connection.execute(
                "SELECT definition FROM definitions"
                " UNION SELECT settings FROM outlines UNION SELECT services FROM outlines"
                " UNION SELECT releasing FROM outlines"
            )
            assert texts == {row[0] for row in used} - {None}, "nothing is left that nobody needs"
            outlines = store._connection.execute("SELECT count(*) FROM outlines WHERE revision <= ?", (oldest,))
            assert outlines.fetchone() == (1,)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(f"{folder}/state.db"))


@pytest.fixture
def store(tmp_path):
    with closing(Store.open(str(tmp_path / "state.db"))) as opened:
        yield opened


PLAN = [([service("a", at % 50, skew=float(at))], 0) for at in range(1, 21)]


async def test_it_says_how_much_went_and_events_and_audit_go_with_their_revisions(store):
    await fill(store, PLAN)
    await store.tell([{"kind": "backend_ready"}], WALL)
    await store.note([Audit(WALL, "ben", "token", "split", "a", None, "refused")])
    shown = await store.prune(11, None, dry_run=True)
    assert len(await store.revisions()) == 20
    assert shown == await store.prune(11, None) == {"revisions": 10, "events": 10, "audit": 10, "oldest": 11}
    assert [event.revision for event in await store.events()] == [*range(11, 21), None]
    assert [row.revision for row in await store.audit()] == [None, *range(20, 10, -1)]
    assert await store.prune(11, None) == {"revisions": 0, "events": 0, "audit": 0, "oldest": 11}


async def test_what_is_older_goes_but_never_past_a_younger_one_and_never_the_newest(store):
    await fill(store, PLAN)  # revision N at WALL + 60 * N
    assert (await store.prune(None, WALL + 60 * 5))["oldest"] == 5
    store._connection.execute("UPDATE revisions SET at = ? WHERE revision = 7", (WALL + 10**6,))
    assert (await store.prune(None, WALL + 60 * 10))["oldest"] == 7, "its clock was wrong, its number is right"
    store._connection.execute("UPDATE revisions SET at = 0 WHERE revision = 7")
    assert (await store.prune(None, WALL + 10**9))["oldest"] == 20


async def test_of_a_revision_and_an_age_what_deletes_less_holds_and_neither_deletes_nothing(store):
    await fill(store, PLAN)
    assert (await store.prune(None, None))["revisions"] == 0
    assert (await store.prune(4, WALL + 60 * 9))["oldest"] == 4
    assert (await store.prune(12, WALL + 60 * 9))["oldest"] == 9


async def test_an_empty_history_has_nothing_to_delete(store):
    assert await store.prune(5, WALL) == {"revisions": 0, "events": 0, "audit": 0, "oldest": 0}


async def test_it_goes_in_steps_of_bounded_size_between_which_commands_are_written(store, monkeypatch):
    monkeypatch.setattr(prune, "ROWS", 3)
    await fill(store, PLAN)
    steps = []
    real = prune.step
    monkeypatch.setattr(prune, "step", lambda *asked: steps.append(real(*asked)) or steps[-1])
    pruning = asyncio.create_task(store.prune(20, None))
    while len(steps) < 3:  # noqa: ASYNC110 - what is waited for happens on a thread, which has no hook for it
        await asyncio.sleep(0)
    last = state(20, *PLAN[-1][0])
    await store.append(record(last, state(21, service("a", 99, skew=20.0))))
    assert not pruning.done()
    assert (await pruning)["revisions"] == 19
    assert max(steps) == 3
    assert [row.revision for row in await store.revisions()] == [21, 20]


@pytest.mark.parametrize("done", range(0, 40, 3))
async def test_a_prune_that_was_cut_short_harms_nothing_and_the_same_again_finishes_it(store, monkeypatch, done):
    monkeypatch.setattr(prune, "ROWS", 4)
    await fill(store, PLAN)
    left = range(12, 21)
    expected, present = await seen(store, left), store.load()
    real, steps = prune.step, []

    def cut(*asked):
        steps.append(asked)
        if len(steps) > done:
            raise sqlite3.OperationalError("disk I/O error")
        return real(*asked)

    with monkeypatch.context() as patch:
        patch.setattr(prune, "step", cut)
        try:
            await store.prune(12, None)
        except StoreError:
            there = {row.revision for row in await store.revisions()}
            for each in range(1, 12):
                past = await store.state_at(each)
                assert past is None if each not in there else past.services["a"].definition.skew == each
    assert (await seen(store, left), store.load()) == (expected, present)
    await store.prune(12, None)
    assert (await seen(store, left), store.load()) == (expected, present)
    assert store._connection.execute("SELECT count(*) FROM definitions").fetchone() == (9,)


async def test_a_reader_in_the_middle_of_a_prune_gets_all_of_a_revision_or_nothing(store, monkeypatch):
    monkeypatch.setattr(prune, "ROWS", 1)
    await fill(store, PLAN)

    async def read():
        found = []
        while not pruning.done():
            past = await store.state_at(10)
            found.append(past is not None)
            assert past is None or past.services["a"].definition.skew == 10.0
        return found

    pruning = asyncio.create_task(store.prune(20, None))
    found = await read()
    assert found[-1] is False
    await pruning


def test_the_file_of_a_prune_is_whole(tmp_path):
    path = Path(tmp_path / "state.db")

    async def run():
        with closing(Store.open(str(path))) as store:
            await fill(store, PLAN)
            await store.prune(15, None)

    asyncio.run(run())
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    Store.open(str(path)).close()


async def test_what_judges_knew_goes_with_the_release_and_not_before(store):
    await fill(store, PLAN)
    here, gone = 4, 9
    store._connection.execute("INSERT INTO releases VALUES (?, 30, 0, '{}')", (here,))
    await store.keep_judges([Judgement(here, "shop", 12, WALL, {"a": 1}), Judgement(gone, "shop", 3, WALL, {})])
    await store.keep_judges([Judgement(here, "shop", 13, WALL, {"a": [1.5]}), Judgement(here, "cart", 1, WALL, {})])
    assert len(await store.judges(gone)) == 1
    await store.prune(None, None)
    assert await store.judges(gone) == []
    assert await store.judges(here) == [
        Judgement(here, "cart", 1, WALL, {}),
        Judgement(here, "shop", 13, WALL, {"a": [1.5]}),
    ]
