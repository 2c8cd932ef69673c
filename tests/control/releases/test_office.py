"""All that runs for releases begins and ends as one thing, and hears of everything that may concern it."""

import asyncio
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from aiohttp import web

from gatekeeper.control.releases.office import Office
from gatekeeper.core.command import Reload
from gatekeeper.core.model import Releasing
from gatekeeper.core.release.commands import StartRelease
from gatekeeper.core.release.plan import Check, CommandCheck, HttpCheck, Notify, Plan, Step
from gatekeeper.telemetry.shadowed import Shadowed


class Gate:
    """The parts of the gate to the data plane that it looks at."""

    def __init__(self, state_path):
        self.state_path = state_path
        self.monitor = self
        self.fleet = self
        self.recorded = None
        self.shadowed = Shadowed()
        self.count = 0
        self.hold = None

    async def probe(self, *_):
        if self.hold is not None:
            await self.hold.wait()
        return ""

    def ids(self, _service, _version, url):
        return [url]

    def ready(self, *_):
        return self.count


@pytest.fixture
def gate(tmp_path):
    return Gate(str(tmp_path / "state.db"))


@pytest.fixture
async def office(world, gate, tmp_path):
    made = Office(world.controller, gate, world.feed, world.store, world.clock, str(tmp_path))
    await made.start()
    yield made
    await made.close()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in the program, which has no hook for it
            await asyncio.sleep(0.002)


async def start(world, office, *checks):
    plan = Plan("p", (Step(Decimal(100)),), verify=checks)
    await world.controller.submit(
        StartRelease(actor="anna", services={"shop": "green"}, plan=plan, offset=office.runner.offset)
    )


async def test_a_release_goes_on_as_soon_as_a_backend_is_ready_and_everybody_is_told(
    world, office, gate, aiohttp_server
):
    got = []

    async def take(request):
        got.append(json.loads(await request.read())["kind"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    url = str((await aiohttp_server(app)).make_url("/"))
    told = replace(world.files.definition, releasing=Releasing(notify=(Notify(url),)))
    await world.controller.submit(Reload(actor="anna", definition=told, entropy="ab" * 32))
    await start(world, office, Check(http=HttpCheck("/")))
    await asyncio.sleep(0.02)
    assert world.weights() == {"blue": 100, "green": 0}
    gate.count = 1
    office.runner.look_soon()
    await until(lambda: "release_promoted" in got)
    assert got == [
        "release_started",
        "release_verifying",
        "release_verified",
        "release_step",
        "release_promoted",
    ]
    assert world.weights() == {"blue": 0, "green": 100}
    # It counts when it has the reply, a moment after the receiver has the request.
    await until(lambda: office.notifier.documents()[0]["delivered"] == 5)


async def test_stopped_it_asks_for_nothing_more_but_still_tells(world, office, gate):
    gate.count = 1
    await office.stop()
    await start(world, office)
    await asyncio.sleep(0.02)
    assert [each.state.value for each in world.controller.state.releases.values()] == ["planned"]
    assert office.notifier.hear in world.feed.listeners
    await office.close()
    assert world.feed.listeners == []


async def test_stopping_does_not_wait_for_a_program_that_does_not_end_and_closing_does(world, office, gate, tmp_path):
    gate.count = 1
    script = f"trap '' TERM; touch {tmp_path}/began; while :; do sleep 0.02; done"
    await start(world, office, Check(command=CommandCheck(("sh", "-c", script))))
    await until((tmp_path / "began").exists)
    await asyncio.wait_for(office.stop(), 0.5)
    assert office._examiner.programs.running == 1
    await office.close()
    assert office._examiner.programs.running == 0
