"""A command under a key acts once, however often it is sent."""

import asyncio

import pytest

from gatekeeper.control.controller import Once
from gatekeeper.control.store import journal
from gatekeeper.control.store.rows import Answer, Record
from gatekeeper.control.store.store import Store, StoreError
from gatekeeper.core.command import Refused


def once(key="k1", actor="anna", fingerprint="f1"):
    return Once(
        key,
        actor,
        fingerprint,
        lambda state: {"revision": state.revision, "split": state.services["shop"].running.split.weights},
    )


async def refused(world, command, **more):
    with pytest.raises(Refused) as caught:
        await world.controller.submit(command, **more)
    return caught.value


def made(world):
    """What exists of revisions: in memory, on disk, in traffic."""
    return world.controller.state.revision, world.disk(), world.publisher.traffic


async def test_a_repetition_is_answered_as_then_and_does_nothing(world):
    first = await world.controller.submit(world.split(blue=90, green=10), once=once())
    assert (first.replayed, first.answer) == (False, {"revision": 2, "split": {"blue": "90", "green": "10"}})
    await world.controller.submit(world.split(blue=50, green=50))
    before = made(world)
    again = await world.controller.submit(world.split(blue=90, green=10), once=once())
    assert (again.replayed, again.answer) == (True, first.answer)
    assert (again.base, again.changes) == (first.base, first.changes)
    assert again.state.revision == 3, "beside it, what holds now"
    assert made(world) == before


async def test_a_repetition_after_a_restart_does_nothing_either(tmp_path, world_of):
    path = tmp_path / "state.db"
    async with world_of(path) as world:
        first = await world.controller.submit(world.split(blue=90, green=10), once=once())
        await world.controller.submit(world.back())
    async with world_of(path) as world:
        before = made(world)
        again = await world.controller.submit(world.split(blue=90, green=10), once=once())
        assert (again.replayed, again.answer, made(world)) == (True, first.answer, before)


async def test_of_simultaneous_requests_of_one_key_one_acts(world):
    world.publisher.hold = asyncio.Event()
    replies = [
        asyncio.create_task(world.controller.submit(world.split(blue=9, green=1), once=once())) for _ in range(8)
    ]
    await asyncio.sleep(0.05)
    world.publisher.hold.set()
    results = [await reply for reply in replies]
    assert [result.replayed for result in results] == [False] + [True] * 7
    assert {str(result.answer) for result in results} == {str(results[0].answer)}
    assert world.controller.state.revision == world.disk()[0] == 2


async def test_a_key_is_for_one_command_and_for_one_actor(world):
    await world.controller.submit(world.split(blue=90, green=10), once=once())
    before = made(world)
    refusal = await refused(world, world.split(blue=1, green=1), once=once(fingerprint="f2"))
    assert (refusal.status, refusal.code) == (422, "key_reused")
    assert "revision 2" in refusal.detail
    assert made(world) == before
    assert not (await world.controller.submit(world.split(blue=1, green=1), once=once(actor="ben"))).replayed


async def test_a_command_that_changed_nothing_does_not_act_later_either(world):
    first = await world.controller.submit(world.split(blue=100, green=0), once=once())
    assert (first.state.revision, first.replayed) == (1, False)
    await world.controller.submit(world.split(blue=50, green=50))
    again = await world.controller.submit(world.split(blue=100, green=0), once=once())
    assert (again.replayed, again.base, again.answer["revision"], again.changes) == (True, 1, 1, [])
    assert world.weights() == {"blue": 50, "green": 50}


async def test_what_was_refused_may_be_tried_again(world):
    assert (await refused(world, world.split("shop", blu=1), once=once())).status == 422
    assert not (await world.controller.submit(world.split(blue=9, green=1), once=once(fingerprint="f2"))).replayed


async def test_a_dry_run_uses_no_key_and_heeds_none(world):
    await world.controller.submit(world.split(blue=9, green=1), once=once(), dry_run=True)
    assert not (await world.controller.submit(world.split(blue=9, green=1), once=once())).replayed
    shown = await world.controller.submit(world.split(blue=8, green=1), once=once(), dry_run=True)
    assert (shown.replayed, shown.state.revision) == (False, 3)


async def test_a_change_that_was_not_taken_up_forgets_its_key(world):
    world.publisher.failures = [RuntimeError("the frame is too large")]
    assert (await refused(world, world.split(blue=9, green=1), once=once())).code == "not_taken_up"
    result = await world.controller.submit(world.split(blue=9, green=1), once=once())
    assert (result.replayed, result.state.revision) == (False, 4)
    assert world.weights() == {"blue": 9, "green": 1}


async def test_a_key_that_could_not_be_stored_refuses_the_command_also_when_it_changes_nothing(world, monkeypatch):
    async def full(record):
        raise StoreError("f", "is full", "free space")

    for split in (world.split(blue=9, green=1), world.split(blue=100, green=0)):
        with monkeypatch.context() as patch:
            patch.setattr(world.store, "append", full)
            assert (await refused(world, split, once=once())).code == "store_failed"
    assert world.controller.state.revision == 1
    assert not (await world.controller.submit(world.split(blue=9, green=1), once=once())).replayed


async def test_a_key_that_cannot_be_looked_up_refuses_the_command(world, monkeypatch):
    async def unreadable(*_):
        raise StoreError("f", "cannot be used", "look at that disk")

    before = made(world)
    with monkeypatch.context() as patch:
        patch.setattr(world.store, "answer", unreadable)
        assert (await refused(world, world.split(blue=9, green=1), once=once())).code == "store_failed"
    assert made(world) == before


async def test_an_answer_that_cannot_be_made_is_a_failure_that_changed_nothing(world):
    before = made(world)
    broken = Once("k1", "anna", "f1", lambda state: {"bad": object()})
    assert (await refused(world, world.split(blue=9, green=1), once=broken)).code == "internal"
    assert made(world) == before


async def test_a_caller_that_gave_up_learns_with_its_key_what_became_of_it(world):
    world.publisher.hold = asyncio.Event()
    gone = asyncio.create_task(world.controller.submit(world.split(blue=9, green=1), once=once()))
    await asyncio.sleep(0.05)
    gone.cancel()
    world.publisher.hold.set()
    again = await world.controller.submit(world.split(blue=9, green=1), once=once())
    assert (again.replayed, again.answer["revision"], world.controller.state.revision) == (True, 2, 2)


async def test_a_new_key_costs_no_look_into_the_file_and_a_used_one_is_found_whoever_used_it(tmp_path, monkeypatch):
    """However many keys there were: those that are known are as bounded as those that are kept."""
    monkeypatch.setattr(journal, "KEYS_KEPT", 4)
    monkeypatch.setattr(journal, "_PRUNE_EVERY", 1)
    store = Store.open(str(tmp_path / "state.db"))
    for number in range(30):
        answer = Answer(f"k{number}", "anna", "f", 0, 0, {"number": number})
        await store.append(Record(None, 1.0, "anna", "split", answer=answer))
    assert len(store._keys) <= 2 * 4
    assert (await store.answer("anna", "k29", 2.0)).document == {"number": 29}
    await store.hand_over()
    await store.take_back()
    assert (await store.answer("anna", "k29", 2.0)).document == {"number": 29}
    monkeypatch.setattr(store, "_read", None)
    assert await store.answer("anna", "k30", 2.0) is None
    assert await store.answer("ben", "k29", 2.0) is None
    store.close()
