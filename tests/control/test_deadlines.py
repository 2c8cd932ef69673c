"""A change that nobody confirms is taken back in time, whatever the clocks and the disk do."""

import asyncio
from dataclasses import replace

import pytest

from gatekeeper.control import punctual as module
from gatekeeper.control.deadlines import Deadlines
from gatekeeper.core.command import Confirm, Refused

MINUTES = 300.0


@pytest.fixture(autouse=True)
def _short_looks(monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.005)


@pytest.fixture
def definition(made_service, definition_of):
    return definition_of(made_service("shop", "blue", "green"), made_service("cart", "v1", "v2", path_prefix="/cart"))


@pytest.fixture
async def world(tmp_path, world_of, definition):
    async with world_of(tmp_path / "state.db", definition) as made:
        yield made


@pytest.fixture
async def deadlines(world):
    made = Deadlines(world.controller, world.clock)
    made.start()
    yield made
    await made.stop()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in the program, which has no hook for it
            await asyncio.sleep(0.002)


async def change(world, **weights):
    command = replace(world.split(**weights or {"blue": 1, "green": 1}), confirm_within=MINUTES)
    return await world.controller.submit(command)


def waiting(world):
    return [each.revision for each in world.controller.state.pending]


async def still(world, revision):
    """Nothing happens, for several looks at the clock."""
    await asyncio.sleep(0.05)
    assert world.controller.state.revision == revision


async def test_it_is_taken_back_at_its_deadline_and_not_before(world, deadlines):
    await change(world)
    assert (waiting(world), world.weights()) == ([2], {"blue": 1, "green": 1})
    world.clock.advance(MINUTES - 1)
    await still(world, 2)
    world.clock.advance(2)
    await until(lambda: world.controller.state.revision == 3)
    assert (waiting(world), world.weights()) == ([], {"blue": 100, "green": 0})
    assert world.disk()[1]["shop"] == world.publisher.traffic["shop"] == {"blue": 100, "green": 0}
    row = (await world.store.audit(limit=1))[0]
    assert (row.actor, row.via, row.action, row.outcome) == ("gatekeeper", "gatekeeper", "expire", "done")
    assert [event.kind for event in await world.store.last_events(1)] == ["undone"]


async def test_one_that_was_confirmed_stays(world, deadlines):
    await change(world)
    await world.controller.submit(Confirm(actor="anna", revision=2))
    world.clock.advance(MINUTES * 2)
    await still(world, 3)
    assert world.weights() == {"blue": 1, "green": 1}


async def test_each_has_a_deadline_of_its_own(world, deadlines):
    await change(world)
    world.clock.advance(100)
    command = replace(world.split("cart", v1=1, v2=1), confirm_within=MINUTES)
    await world.controller.submit(command)
    world.clock.advance(MINUTES - 50)
    await until(lambda: waiting(world) == [3])
    await still(world, 4)
    world.clock.advance(51)
    await until(lambda: waiting(world) == [])
    assert world.weights("cart") == {"v1": 100, "v2": 0}


async def test_one_whose_deadline_passed_while_nothing_ran_is_taken_back_at_the_start(tmp_path, world_of, definition):
    async with world_of(tmp_path / "state.db", definition) as world:
        await change(world)
    async with world_of(tmp_path / "state.db", definition) as world:
        assert (waiting(world), world.weights()) == ([2], {"blue": 1, "green": 1})
        world.clock.advance(MINUTES + 1)
        deadlines = Deadlines(world.controller, world.clock)
        deadlines.start()
        await until(lambda: world.weights() == {"blue": 100, "green": 0})
        await deadlines.stop()


@pytest.mark.parametrize("jump", [-(10**6), 10**6])
async def test_a_wall_clock_that_is_set_neither_hurries_nor_delays_it(world, deadlines, jump):
    await change(world)
    await until(lambda: deadlines._due)
    world.clock.jump_wall(jump)
    world.clock.advance(MINUTES - 1)
    await still(world, 2)
    world.clock.advance(2)
    await until(lambda: world.weights() == {"blue": 100, "green": 0})


async def test_what_could_not_be_taken_back_is_tried_again_ever_more_slowly(world, deadlines, monkeypatch, caplog):
    tries = []
    submit = world.controller.submit

    async def refuse(command, **more):
        tries.append(world.clock.monotonic())
        raise Refused(503, "store_failed", "the disk is full", "free space")

    await change(world)
    with monkeypatch.context() as patch:
        patch.setattr(world.controller, "submit", refuse)
        world.clock.advance(MINUTES + 1)
        await until(lambda: len(tries) == 1)
        for wait in (2, 4, 8, 16, 32, 60, 60):
            before = len(tries)
            world.clock.advance(wait - 1)
            await asyncio.sleep(0.02)
            assert len(tries) == before
            world.clock.advance(1)
            await until(lambda known=before: len(tries) == known + 1)
    assert world.controller.submit == submit
    assert "not undone yet" in caplog.text
    world.clock.advance(61)
    await until(lambda: world.weights() == {"blue": 100, "green": 0})


async def test_one_that_waits_on_after_all_is_not_tried_without_a_pause(world, deadlines, monkeypatch):
    tries = []

    async def nothing(command, **more):
        tries.append(command)

    await change(world)
    monkeypatch.setattr(world.controller, "submit", nothing)
    world.clock.advance(MINUTES + 1)
    await until(lambda: tries)
    await asyncio.sleep(0.05)
    assert len(tries) == 1


async def test_it_ends_while_it_waits(world):
    deadlines = Deadlines(world.controller, world.clock)
    deadlines.start()
    await asyncio.sleep(0)
    await asyncio.wait_for(deadlines.stop(), 1)
