"""The one writer: all or nothing, in order, durable first, everywhere before the reply."""

import asyncio
import resource
import sqlite3
from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.control import controller as module
from gatekeeper.control import line
from gatekeeper.control.store.store import StoreError
from gatekeeper.core.command import Refused, Reload

ENTROPY = "ef" * 32


def snapshot(world):
    """Everything a refused command must leave alone."""
    return (
        world.controller.state,
        world.controller.table,
        world.disk(),
        world.publisher.traffic,
        len(world.publisher.sent),
        world.feed.latest,
    )


async def refused(world, command, **more):
    with pytest.raises(Refused) as caught:
        await world.controller.submit(command, **more)
    return caught.value


async def test_a_change_is_in_memory_on_disk_and_in_traffic_when_the_reply_comes(world):
    result = await world.controller.submit(world.split(blue=90, green=10))
    assert (result.base, result.state.revision, result.acknowledged, result.total) == (1, 2, 2, 2)
    assert result.changes == [
        {"path": "services.shop.split", "before": {"blue": 100, "green": 0}, "after": {"blue": 90, "green": 10}}
    ]
    assert world.controller.state is result.state
    assert world.controller.table.revision == 2
    assert world.weights() == {"blue": 90, "green": 10}
    assert world.disk()[1]["shop"] == world.publisher.traffic["shop"] == {"blue": 90, "green": 10}
    assert [event.kind for event in result.events] == ["split"]


async def test_the_reply_waits_until_every_worker_has_answered(world):
    world.publisher.hold = asyncio.Event()
    reply = asyncio.create_task(world.controller.submit(world.split(blue=0, green=1)))
    await asyncio.sleep(0.05)
    assert len(world.publisher.sent) == 2
    assert not reply.done()
    assert world.disk()[0] == 2, "durable before anybody routes by it"
    assert world.controller.state.revision == 1, "readers see it when it holds everywhere"
    assert world.feed.latest == 1, "nobody is told before it is so"
    world.publisher.hold.set()
    assert (await reply).state.revision == 2
    assert world.feed.latest == 2


async def test_a_wrong_command_changes_nothing(world):
    before = snapshot(world)
    refusal = await refused(world, world.split(blu=1, green=-1))
    assert refusal.status == 422
    assert {problem.path for problem in refusal.problems} == {"blu", "green"}
    assert (await refused(world, world.split("shopp", blue=1))).status == 404
    assert (await refused(world, world.back())).status == 409
    assert snapshot(world) == before


async def test_a_command_that_asks_for_what_is_makes_no_revision(world):
    before = snapshot(world)
    result = await world.controller.submit(world.split(blue=100, green=0))
    assert (result.changes, result.state, result.acknowledged) == ([], world.controller.state, 2)
    assert snapshot(world) == before


async def test_a_dry_run_shows_the_difference_and_changes_nothing(world):
    before = snapshot(world)
    result = await world.controller.submit(world.split(blue=1, green=1), dry_run=True)
    assert (result.base, result.state.revision, result.dry_run) == (1, 2, True)
    assert result.changes[0]["after"] == {"blue": 1, "green": 1}
    assert snapshot(world) == before


class FailingStore:
    """A real store that fails while ``error`` is set."""

    def __init__(self, store):
        self.store = store
        self.error = None

    async def append(self, record):
        if self.error is not None:
            raise self.error
        return await self.store.append(record)

    def __getattr__(self, name):
        return getattr(self.store, name)


@pytest.mark.parametrize("error", [StoreError("f", "is full", "free space"), OSError(28, "No space left"), KeyError()])
async def test_a_write_error_refuses_the_change_raises_the_alarm_and_recovers(world, error):
    world.controller._journal = journal = FailingStore(world.store)
    watcher = world.feed.watch()
    journal.error = error
    before = snapshot(world)
    refusal = await refused(world, world.split(blue=1, green=1))
    assert (refusal.status, refusal.code) == (503, "store_failed")
    assert snapshot(world) == before
    assert world.controller.trouble is not None
    alarm = await watcher.next(1)
    assert (alarm.kind, alarm.id, alarm.data["actor"]) == ("store_failed", 0, "anna")
    journal.error = None
    assert (await world.controller.submit(world.split(blue=1, green=1))).state.revision == 2
    assert world.controller.trouble is None
    assert [(await watcher.next(1)).kind for _ in range(2)] == ["split", "store_recovered"]


async def test_a_full_disk_refuses_the_change_and_the_next_one_after_room_was_made_goes_through(world):
    pages = world.store._connection.execute("PRAGMA page_count").fetchone()[0]
    world.store._connection.execute(f"PRAGMA max_page_count={pages}")
    before = snapshot(world)
    refusal = await refused(world, replace(world.split(blue=1, green=1), note="n" * 100_000))
    assert refusal.status == 503
    assert "full" in refusal.detail
    assert "free space" in refusal.detail
    assert snapshot(world) == before
    world.store._connection.execute("PRAGMA max_page_count=1000000")
    assert (await world.controller.submit(world.split(blue=1, green=1))).state.revision == 2


async def test_a_log_that_cannot_grow_refuses_the_change_and_leaves_no_trace_for_a_restart(world):
    for green in range(1, 11):  # until the log is larger than the file, so that the limit meets the log alone
        await world.controller.submit(world.split(blue=1, green=green))
    log = world.path.with_name("state.db-wal").stat().st_size
    assert log > world.path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = snapshot(world)
    # The write then ends in the middle, as on a disk that fills up; Python ignores SIGXFSZ.
    resource.setrlimit(resource.RLIMIT_FSIZE, (log + 2000, limits[1]))
    try:
        refusal = await refused(world, world.split(blue=9, green=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert refusal.code == "store_failed"
    assert snapshot(world) == before
    assert world.path.with_name("state.db-wal").stat().st_size == 0, "no half of it is left to come back to life"
    with sqlite3.connect(f"file:{world.path}?mode=ro", uri=True) as other:
        assert other.execute("SELECT max(revision) FROM revisions").fetchone() == (11,)
    other.close()
    assert (await world.controller.submit(world.split(blue=9, green=1))).state.revision == 12


async def test_a_state_file_removed_under_the_program_refuses_changes(world):
    world.path.rename(world.path.with_name("moved"))
    refusal = await refused(world, world.split(blue=1, green=1))
    assert "removed or replaced" in refusal.detail
    assert world.controller.state.revision == 1
    world.path.with_name("moved").rename(world.path)
    assert (await world.controller.submit(world.split(blue=1, green=1))).state.revision == 2


async def test_what_cannot_be_compiled_changes_nothing(world, made_service, definition_of):
    from gatekeeper.core.model import Pattern, PatternKind, Rule, When

    bad = When(path=Pattern(PatternKind.REGEX, ("(",)))
    service = made_service("shop", "blue", "green", rules=(Rule("r", bad, to="green"),))
    before = snapshot(world)
    reload = Reload(actor="anna", definition=definition_of(service), entropy=ENTROPY)
    refusal = await refused(world, reload)
    assert (refusal.status, refusal.code) == (422, "cannot_be_routed")
    assert snapshot(world) == before


async def test_a_change_that_cannot_be_sent_is_undone_by_a_further_revision(world):
    await world.controller.submit(world.split(blue=70, green=30))
    split = world.controller.state.services["shop"].running.split
    world.publisher.failures = [RuntimeError("the frame is too large")]
    watcher = world.feed.watch()
    refusal = await refused(world, world.split(blue=0, green=1))
    assert (refusal.status, refusal.code) == (503, "not_taken_up")
    assert "too large" in refusal.detail
    assert world.controller.state.revision == world.controller.table.revision == world.disk()[0] == 4
    assert world.weights() == world.disk()[1]["shop"] == world.publisher.traffic["shop"] == {"blue": 70, "green": 30}
    running = world.controller.state.services["shop"].running
    assert running.split == split, "nobody was moved"
    assert running.revision == 4
    assert [(await watcher.next(1)).kind for _ in range(2)] == ["split", "undone"]
    assert (await world.controller.submit(world.split(blue=1, green=1))).state.revision == 5


async def test_a_fleet_that_hangs_is_given_up_and_the_change_undone(world, monkeypatch):
    monkeypatch.setattr(module, "PUBLISH_SECONDS", 0.05)
    world.publisher.hold = asyncio.Event()
    refusal = await refused(world, world.split(blue=1, green=1))
    assert refusal.code == "not_taken_up"
    assert world.weights() == world.disk()[1]["shop"] == world.publisher.traffic["shop"] == {"blue": 100, "green": 0}


async def test_an_undo_that_cannot_be_stored_leaves_memory_equal_to_the_disk(world):
    journal = world.controller._journal = FailingStore(world.store)

    async def publish(old, new):
        journal.error = StoreError("f", "is full", "free space")
        raise RuntimeError("gone")

    world.controller._publish = publish
    assert (await refused(world, world.split(blue=1, green=1))).status == 500
    assert world.weights() == world.disk()[1]["shop"] == {"blue": 1, "green": 1}
    assert world.controller.state.revision == world.controller.table.revision == world.disk()[0] == 2


async def test_workers_that_were_replaced_are_reported_and_the_change_stands(world):
    world.publisher.taken = type(world.publisher.taken)(1, 2)
    result = await world.controller.submit(world.split(blue=1, green=1))
    assert (result.acknowledged, result.total) == (1, 2)
    assert world.weights() == {"blue": 1, "green": 1}


async def test_of_two_writers_who_expect_the_same_revision_exactly_one_wins(world):
    for round_ in range(1, 20):
        commands = [
            replace(world.split(blue=100 + round_, green=green), expected_revision=round_) for green in (1, 2, 3)
        ]
        outcomes = await asyncio.gather(*map(world.controller.submit, commands), return_exceptions=True)
        lost = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
        assert len(lost) == 2
        assert {refusal.status for refusal in lost} == {412}
        assert world.controller.state.revision == round_ + 1


async def test_a_queue_that_is_full_refuses_and_the_waiting_ones_are_carried_out_in_order(world, monkeypatch):
    world.publisher.hold = asyncio.Event()
    first = asyncio.create_task(world.controller.submit(world.split(blue=1, green=1)))
    await asyncio.sleep(0.05)
    waiting = [
        asyncio.create_task(world.controller.submit(world.split(blue=1, green=green)))
        for green in range(2, line.QUEUE + 2)
    ]
    await asyncio.sleep(0)
    refusal = await refused(world, world.split(blue=1, green=999))
    assert (refusal.status, refusal.code) == (503, "busy")
    for task in waiting[5:]:
        task.cancel()
    world.publisher.hold.set()
    assert [(await task).state.revision for task in (first, *waiting[:5])] == [2, 3, 4, 5, 6, 7]
    await asyncio.gather(*waiting, return_exceptions=True)
    await world.controller.submit(world.split(blue=1, green=999))
    assert world.controller.state.revision == 8, "a command whose caller went away before it began is not carried out"


async def test_a_reply_that_takes_too_long_says_that_the_outcome_is_unknown(world, monkeypatch):
    monkeypatch.setattr(line, "REPLY_SECONDS", 0.05)
    world.publisher.hold = asyncio.Event()
    refusal = await refused(world, world.split(blue=1, green=1))
    assert (refusal.status, refusal.code) == (504, "outcome_unknown")
    world.publisher.hold.set()
    await asyncio.sleep(0.05)
    assert world.weights() == world.disk()[1]["shop"] == {"blue": 1, "green": 1}


async def test_a_failure_of_its_own_refuses_the_command_and_the_next_one_works(world, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError

    before = snapshot(world)
    with monkeypatch.context() as patch:
        patch.setattr(module, "apply", broken)
        assert (await refused(world, world.split(blue=1, green=1))).code == "internal"
    assert snapshot(world) == before
    assert "command failed" in caplog.text
    assert (await world.controller.submit(world.split(blue=1, green=1))).state.revision == 2


async def test_stopping_finishes_the_command_under_way_and_refuses_the_rest(world):
    world.publisher.hold = asyncio.Event()
    running = asyncio.create_task(world.controller.submit(world.split(blue=1, green=1)))
    await asyncio.sleep(0.05)
    waiting = asyncio.create_task(world.controller.submit(world.split(blue=2, green=1)))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(world.controller.stop())
    await asyncio.sleep(0)
    world.publisher.hold.set()
    await stopping
    assert (await running).state.revision == 2
    with pytest.raises(Refused, match="stopping"):
        await waiting
    assert (await refused(world, world.split(blue=3, green=1))).code == "stopping"


async def test_rollback_goes_back_and_to_any_revision_of_the_history(world):
    for green in (10, 50, 100):
        await world.controller.submit(world.split(blue=100 - green, green=green))
    await world.controller.submit(world.split("cart", v1=1, v2=1))
    assert (await world.controller.submit(world.back())).state.revision == 6
    assert world.weights() == {"blue": 50, "green": 50}
    await world.controller.submit(world.back(to=2))
    assert world.weights() == world.disk()[1]["shop"] == {"blue": 90, "green": 10}
    assert (await refused(world, world.back(to=99))).status == 404
    assert world.weights("cart") == {"v1": 1, "v2": 1}, "another service's split is left alone"


async def test_a_service_that_returns_to_the_file_returns_as_it_was(world, made_service, definition_of):
    await world.controller.submit(world.split("cart", v1=30, v2=70))
    salt = world.controller.state.services["cart"].running.split.salt
    shop, cart = (world.controller.state.services[name].definition for name in ("shop", "cart"))
    for services in ([shop], [shop, cart]):
        await world.controller.submit(Reload(actor="anna", definition=definition_of(*services), entropy=ENTROPY))
    assert world.weights("cart") == {"v1": 30, "v2": 70}
    assert world.controller.state.services["cart"].running.split.salt == salt


async def test_a_restart_goes_on_with_the_same_revision_and_an_edited_file_makes_one_of_its_own(
    tmp_path, world_of, made_service, definition_of
):
    path = tmp_path / "state.db"
    async with world_of(path) as world:
        await world.controller.submit(world.split(blue=30, green=70))
        state = world.controller.state
    async with world_of(path) as world:
        assert world.controller.state == state
    shop = made_service("shop", "blue", "green", path_prefix="/s")
    async with world_of(path, definition_of(shop)) as world:
        assert world.controller.state.revision == world.disk()[0] == 3
        assert world.weights() == {"blue": 30, "green": 70}
        assert [row.action for row in await world.store.revisions()] == ["start", "split", "start"]
        assert set(world.disk()[1]) == {"shop", "cart"}, "what the file drops is kept"
        shop = made_service("shop", "blue", "green", path_prefix="/t")
        reload = Reload(actor="anna", definition=definition_of(shop), entropy=ENTROPY)
        assert (await world.controller.submit(reload)).state.revision == 4
    async with world_of(path, definition_of(shop)) as world:
        assert world.controller.state.revision == 4, "a file that was reloaded is no news"


async def test_ms_is_measured_by_the_clock(world):
    clock = world.clock

    async def publish(old, new):
        clock.advance(0.25)
        return world.publisher.taken

    world.controller._publish = publish
    assert (await world.controller.submit(world.split(blue=1, green=1))).ms == pytest.approx(250)


async def test_weights_keep_their_decimals_on_disk(world):
    command = replace(world.split(), weights={"blue": Decimal("99.999999"), "green": Decimal("0.000001")})
    await world.controller.submit(command)
    assert world.store.load().running["shop"].split.weights == command.weights
