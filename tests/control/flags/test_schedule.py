"""Flags turn on and off when their schedule says so, once, whatever the clocks and the disk do."""

import asyncio
from dataclasses import replace

import pytest

from gatekeeper.control import punctual as module
from gatekeeper.control.flags import schedule as asked
from gatekeeper.control.flags.schedule import Schedule
from gatekeeper.control.store.statefile import StoreError
from gatekeeper.core.command import SwitchFlag
from gatekeeper.core.flags.model import FlagSchedule
from tests.control.kept import flag

HOUR = 3600.0
START = 1_700_000_000.0
"""Of the manual clock."""


@pytest.fixture(autouse=True)
def _short_looks(monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.005)


def scheduled(on=START + HOUR, off=START + 2 * HOUR, **more):
    return flag("banner", on=False, schedule=FlagSchedule(on, off), **more).definition


@pytest.fixture
def definition(made_service, definition_of):
    made = definition_of(made_service("shop", "blue", "green"))
    return replace(made, flags={"banner": scheduled(), "other": flag("other").definition})


@pytest.fixture
async def world(tmp_path, world_of, definition):
    async with world_of(tmp_path / "state.db", definition) as made:
        yield made


@pytest.fixture
async def schedule(world):
    made = Schedule(world.controller, world.clock)
    made.start()
    yield made
    await made.stop()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in the program, which has no hook for it
            await asyncio.sleep(0.002)


async def still(world, revision):
    """Nothing happens, for several looks at the clock."""
    await asyncio.sleep(0.05)
    assert world.controller.state.revision == revision


def on(world, name="banner"):
    return world.controller.state.flags[name].running.on


async def switch(world, name="banner", *, to):
    await world.controller.submit(SwitchFlag(actor="anna", name=name, on=to))


async def test_a_flag_turns_on_and_off_at_its_moments_and_not_before(world, schedule):
    world.clock.advance(HOUR - 1)
    await still(world, 1)
    world.clock.advance(1)
    await until(lambda: on(world))
    await still(world, 2)
    world.clock.advance(HOUR)
    await until(lambda: not on(world))
    await still(world, 3)
    rows = await world.store.revisions(flag="banner")
    assert [(row.actor, row.action) for row in rows] == [
        ("schedule", "flag_off"),
        ("schedule", "flag_on"),
        ("gatekeeper", "start"),
    ]


async def test_what_somebody_does_after_the_moment_holds(world, schedule):
    world.clock.advance(HOUR)
    await until(lambda: on(world))
    await switch(world, to=False)
    await still(world, 3)
    assert not on(world)


async def test_a_moment_that_passed_while_nothing_ran_is_made_up_for_once(world):
    world.clock.advance(HOUR + 1)
    for _ in range(2):
        made = Schedule(world.controller, world.clock)
        made.start()
        await until(lambda: on(world))
        await still(world, 2)
        await made.stop()


async def test_a_clock_that_was_set_back_does_not_do_it_again(world, schedule):
    world.clock.advance(HOUR)
    await until(lambda: on(world))
    await switch(world, to=False)
    world.clock.jump_wall(-2 * HOUR)
    await still(world, 3)
    world.clock.jump_wall(2 * HOUR)
    await still(world, 3)


async def test_a_disk_that_is_full_puts_it_off_and_not_out(world, schedule, monkeypatch):
    tried = []

    async def full(*_):
        tried.append(1)
        raise StoreError("state.db", "cannot be used (disk full)", "free space")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "append", full)
        world.clock.advance(HOUR)
        await until(lambda: world.controller.trouble)
        await still(world, 1)
        assert len(tried) == 1, "not again before its time"
    world.clock.advance(module.AGAIN_MOST)
    await until(lambda: on(world))
    assert world.controller.trouble is None


async def test_while_there_is_no_moment_to_come_nothing_is_looked_at(world, schedule, monkeypatch):
    world.clock.advance(2 * HOUR)
    await until(lambda: world.controller.state.revision == 2)
    assert not on(world), "both have passed: the later one counts"
    await asyncio.sleep(0.02)
    looked = []
    monkeypatch.setattr(asked, "due", lambda *_: looked.append(1))
    await asyncio.sleep(0.05)
    assert looked == []
