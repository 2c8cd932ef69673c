"""The line before the writer can be held up and let go; nothing is lost by it and nothing slips through."""

import asyncio

import pytest

from gatekeeper.core.command import Refused


async def test_a_pause_ends_the_command_under_way_and_lets_the_others_wait(world):
    world.publisher.hold = asyncio.Event()
    first = asyncio.create_task(world.controller.submit(world.split(blue=1, green=1)))
    await asyncio.sleep(0.02)
    pausing = asyncio.create_task(world.controller.pause())
    await asyncio.sleep(0.02)
    assert not pausing.done(), "a command is under way"
    world.publisher.hold.set()
    await pausing
    assert (await first).state.revision == 2
    second = asyncio.create_task(world.controller.submit(world.split(blue=2, green=1)))
    await asyncio.sleep(0.05)
    assert (second.done(), world.disk()[0]) == (False, 2)
    world.controller.resume()
    assert (await second).state.revision == 3


async def test_a_resume_and_a_pause_in_one_breath_let_nothing_through(world):
    await world.controller.pause()
    waiting = asyncio.create_task(world.controller.submit(world.split(blue=2, green=1)))
    await asyncio.sleep(0.02)
    world.controller.resume()
    await world.controller.pause()
    await asyncio.sleep(0.02)
    assert (waiting.done(), world.disk()[0]) == (False, 1)
    world.controller.resume()
    assert (await waiting).state.revision == 2


async def test_a_paused_controller_can_be_stopped_and_refuses_what_waited(world):
    await world.controller.pause()
    waiting = asyncio.create_task(world.controller.submit(world.split(blue=2, green=1)))
    await asyncio.sleep(0.02)
    await asyncio.wait_for(world.controller.stop(), 1)
    with pytest.raises(Refused, match="stopping"):
        await waiting
    assert world.disk()[0] == 1


async def test_who_waits_for_a_change_is_told_of_it(world):
    waiting = asyncio.create_task(world.controller.changed(1))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    await world.controller.submit(world.split(blue=2, green=1))
    assert (await asyncio.wait_for(waiting, 1)).revision == 2
    assert (await world.controller.changed(1)).revision == 2, "what was before is no reason to wait"
