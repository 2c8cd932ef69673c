"""What is set aside for a new program, in which order, and that a failure gives back every single thing of it."""

import asyncio
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gatekeeper.control.fleet.pace import DrainReport
from gatekeeper.control.store.store import StoreError
from gatekeeper.control.succession import upgrade as module
from gatekeeper.control.succession.estate import Estate
from gatekeeper.control.succession.upgrade import COPY, Upgrade

SCRIPT = str(Path(__file__).with_name("new_program.py"))


class Part:
    """Admin and gate in the test's hand: notes what is asked of it, in one list for both."""

    def __init__(self, name, log):
        self._name, self._log = name, log
        self.given = []

    def __getattr__(self, asked):
        def sync(*_, **__):
            self._log.append(f"{self._name} {asked}")

        async def coroutine(*_, **__):
            self._log.append(f"{self._name} {asked}")
            return DrainReport(3, 1, 0)

        return sync if asked == "set_aside" else coroutine

    def estate(self):
        self._log.append(f"{self._name} estate")
        return Estate()


@pytest.fixture
def set_up(world, tmp_path):
    """``set_up("inherit", "ready")``: the upgrade of a real store, feed and controller to a scripted program."""
    log = []

    def make(*plan):
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "TOLD": str(tmp_path / "told"),
            "STATE": str(tmp_path / "state.db"),
        }
        made = Upgrade(
            admin=Part("admin", log),
            controller=world.controller,
            store=world.store,
            feed=world.feed,
            gate=Part("gate", log),
            office=Part("office", log),
            environment=lambda: environment,
            command=[sys.executable, SCRIPT, *plan],
        )
        return SimpleNamespace(upgrade=made, log=log, world=world)

    return make


async def test_whoever_takes_over_finds_the_store_unlocked_and_everything_standing_still(set_up):
    parts = set_up("inherit", "open", "ready", "events")
    heir = await parts.upgrade.begin()
    assert parts.log == ["admin pause", "office pause", "gate set_aside", "gate estate"]
    with pytest.raises(StoreError, match="was handed over"):
        await parts.world.store.revisions()
    waiting = asyncio.create_task(parts.world.controller.submit(parts.world.split(blue=1, green=1)))
    report = await parts.upgrade.leave(heir)
    assert (report.finished, report.cut) == (3, 1)
    with pytest.raises(Exception, match="gatekeeper is stopping"):
        await waiting
    assert parts.log[4:] == ["gate leave", "admin leave"]


@pytest.mark.parametrize("plan", [["die"], ["inherit", "die"], ["inherit", "open", "die"], ["inherit", "fail"]])
async def test_a_failure_gives_everything_back(set_up, plan):
    parts = set_up(*plan)
    before = parts.world.controller.state
    assert await parts.upgrade.begin() is None
    assert parts.log[-3:] == (["gate take_back", "office resume", "admin resume"] if len(plan) > 1 else [])
    assert parts.world.controller.state is before
    await parts.world.controller.submit(parts.world.split(blue=1, green=1))
    assert parts.world.disk()[0] == before.revision + 1
    await parts.world.feed.flush()
    [failed] = [each for each in await parts.world.store.last_events(10) if each.kind == "handover_failed"]
    assert failed.data["pid"] > 0
    assert failed.data["reason"]


async def test_being_stopped_in_the_middle_gives_everything_back_too(set_up):
    parts = set_up("inherit", "hang")
    beginning = asyncio.create_task(parts.upgrade.begin())
    async with asyncio.timeout(10):
        while "gate estate" not in parts.log:  # noqa: ASYNC110 - another process acts when it acts
            await asyncio.sleep(0.01)
    beginning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beginning
    assert parts.log[-3:] == ["gate take_back", "office resume", "admin resume"]
    await parts.world.controller.submit(parts.world.split(blue=1, green=1))


async def test_what_a_newer_program_migrated_before_it_failed_is_put_back(set_up, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "SCHEMA_VERSION", -1)  # the other one's is another
    parts = set_up("inherit", "migrate", "die")
    assert await parts.upgrade.begin() is None
    await parts.world.controller.submit(parts.world.split(blue=1, green=1))
    assert not (tmp_path / f"state.db{COPY}").exists()


async def test_a_copy_is_kept_only_until_the_newer_program_serves(set_up, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "SCHEMA_VERSION", -1)
    parts = set_up("inherit", "look", "ready", "events")
    heir = await parts.upgrade.begin()
    await parts.upgrade.leave(heir)
    assert not (tmp_path / f"state.db{COPY}").exists()
    async with asyncio.timeout(10):
        while not (tmp_path / "told").exists():  # noqa: ASYNC110 - another process acts when it acts
            await asyncio.sleep(0.01)
    assert f"state.db{COPY}" in (tmp_path / "told").read_text()  # it was there


async def test_a_state_file_that_cannot_be_got_back_is_tried_again_and_commands_say_why(set_up, monkeypatch):
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.01)
    parts = set_up("inherit", "die")
    taking, tries = parts.world.store.take_back, []

    async def take_back():
        tries.append(1)
        if len(tries) < 3:
            raise StoreError("state.db", "another supervisor holds it", "stop it")
        await taking()

    monkeypatch.setattr(parts.world.store, "take_back", take_back)
    assert await parts.upgrade.begin() is None
    with pytest.raises(Exception, match="was handed over"):
        await parts.world.controller.submit(parts.world.split(blue=1, green=1))
    async with asyncio.timeout(10):
        while len(tries) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await parts.upgrade._again
    await parts.world.controller.submit(parts.world.split(blue=1, green=1))
    await parts.upgrade.stop()


async def test_a_revision_that_the_failed_program_wrote_is_taken_back_above_it(set_up, world):
    parts = set_up("inherit", "write", "die")
    before = world.controller.state
    assert await parts.upgrade.begin() is None
    assert world.controller.state.revision == before.revision + 2
    assert world.disk()[0] == before.revision + 2
    assert world.controller.state.services["shop"].running.split == before.services["shop"].running.split
    assert world.publisher.sent[-1][1].revision == before.revision + 2
    [undone] = [each for each in await world.store.last_events(10) if each.kind == "undone"]
    assert undone.data["undid"] == before.revision + 1
