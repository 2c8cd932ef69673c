"""A disk that is full or read-only: the change is refused with the reason, and everything is as it was."""

import json
import resource
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gatekeeper.control.controller import Once
from gatekeeper.control.store.store import StoreError
from gatekeeper.core.command import Deploy, Refused, Reload
from gatekeeper.core.model import Backend, Origin, Version

ROOT = Path(__file__).parents[3]
LONG = "n" * 60_000
"""Needs pages that the file does not have."""


@contextmanager
def full(store):
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages}")
    try:
        yield
    finally:
        store._connection.execute("PRAGMA max_page_count=1000000")


@contextmanager
def no_room_in_the_log(store):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = Path(f"{store.path}-wal").stat().st_size
    # The write then ends in the middle, as on a disk that fills up; Python ignores SIGXFSZ.
    resource.setrlimit(resource.RLIMIT_FSIZE, (log + 2000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextmanager
def read_only(store):
    store._connection.execute("PRAGMA query_only=1")
    try:
        yield
    finally:
        store._connection.execute("PRAGMA query_only=0")


OBSTACLES = {
    "full": (full, "full", "free space on that disk"),
    "no room in the log": (no_room_in_the_log, "full|disk I/O error", "disk"),
    "read-only": (read_only, "readonly", "let this user write"),
}


def split(world):
    return replace(world.split(blue=1, green=1), note=LONG)


def deploy(world):
    version = Version("next", (Backend("http://127.0.0.1:9100"),), build="b1", origin=Origin.DEPLOY)
    return Deploy(actor="anna", service="shop", version=version, note=LONG)


def sent(world):
    shop = world.controller.state.services["shop"].definition
    definition = replace(world.files.definition, services={"shop": replace(shop, error_pages={"5xx": LONG})})
    return Reload(actor="anna", definition=definition, entropy="ef" * 32, from_file=False)


def of_the_file(world):
    return replace(sent(world), from_file=True)


def to_be_confirmed(world):
    return replace(split(world), confirm_within=60.0)


COMMANDS = {each.__name__: each for each in (split, deploy, sent, of_the_file, to_be_confirmed)}


async def everything(world):
    """What a refused command must leave alone, in memory, in traffic and on disk."""
    await world.feed.flush()
    revisions = await world.store.revisions(limit=1000)
    return (
        world.controller.state,
        world.controller.table,
        world.publisher.traffic,
        world.store.load(),
        revisions,
        [await world.store.state_at(row.revision) for row in revisions],
        [row for row in await world.store.audit(limit=1000) if row.revision],
        await world.store.answer("anna", "k1", world.clock.wall()),
    )


@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("obstacle", OBSTACLES)
async def test_a_refused_change_leaves_everything_as_it_was_and_the_same_works_afterwards(
    tmp_path, world_of, obstacle, kind
):
    obstruct, reason, way_out = OBSTACLES[obstacle]
    once = Once("k1", "anna", "f1", lambda state: {"revision": state.revision})
    async with world_of(tmp_path / "state.db") as world:
        for green in range(1, 11):  # until the log is larger than the file, so that its limit meets the log alone
            await world.controller.submit(world.split(blue=1, green=10 + green))
        command, before = COMMANDS[kind](world), await everything(world)
        with obstruct(world.store), pytest.raises(Refused, match=reason) as caught:
            await world.controller.submit(command, once=once)
        assert (caught.value.status, caught.value.code) == (503, "store_failed")
        assert way_out in str(caught.value)
        assert await everything(world) == before
        assert world.controller.trouble is not None
        result = await world.controller.submit(command, once=once)
        assert (result.state.revision, result.replayed) == (12, False)
        assert world.controller.trouble is None
        assert world.store.load().state == world.controller.state == result.state


@pytest.mark.parametrize("obstacle", ["read-only"])
async def test_a_key_of_a_command_that_changes_nothing_is_refused_too(world, obstacle):
    once = Once("k1", "anna", "f1", lambda state: {"revision": state.revision})
    before = await everything(world)
    with OBSTACLES[obstacle][0](world.store), pytest.raises(Refused, match="readonly"):
        await world.controller.submit(world.split(blue=100, green=0), once=once)
    assert await everything(world) == before


async def test_history_can_be_read_and_is_not_pruned_by_halves_on_a_read_only_disk(world):
    for green in range(1, 11):
        await world.controller.submit(world.split(blue=1, green=green))
    before = await everything(world)
    with read_only(world.store):
        with pytest.raises(StoreError, match="readonly"):
            await world.store.prune(5, None)
        assert await everything(world) == before
    assert (await world.store.prune(5, None))["revisions"] == 4


REAL = """
import asyncio, json, sys
from pathlib import Path
from gatekeeper.core.command import Refused
from tests.control.conftest import make_world

async def main(disk):
    said = {}
    async with make_world(disk / "state.db") as world:
        ballast = (disk / "ballast").open("wb", buffering=0)
        try:
            while ballast.write(b"x" * 4096):
                pass
        except OSError:
            pass
        for green in range(1, 2000):  # what the log has room for already goes through
            before = world.controller.state, world.publisher.traffic, world.store.load()
            try:
                await world.controller.submit(world.split(blue=1, green=green))
            except Refused as refusal:
                said["refused"] = str(refusal)
                break
        said["as before"] = before == (world.controller.state, world.publisher.traffic, world.store.load())
        said["revision"] = world.controller.state.revision
        ballast.close()
        (disk / "ballast").unlink()
        said["then"] = (await world.controller.submit(world.split(blue=7, green=3))).state.revision
    async with make_world(disk / "state.db") as world:
        said["restarted"] = world.controller.state.revision, world.weights()
    print(json.dumps(said))

asyncio.run(main(Path(sys.argv[1])))
"""
LOCKED = """
import sys
from gatekeeper.control.store.store import Store, StoreError
try:
    Store.open(sys.argv[1])
except StoreError as error:
    print(error)
"""


def on_a_disk_of_its_own(folder, prepare, script, path):
    """Run ``script`` where ``folder`` is a file system of 1 MiB, mounted as ``prepare`` says; its output."""
    folder.mkdir()
    command = f'mount -t tmpfs -o size=1m none {folder} && {prepare} && exec {sys.executable} -c "$SCRIPT" {path}'
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", command],
        env={"SCRIPT": script, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.outside("unshare")
def test_a_disk_that_is_really_full_refuses_changes_and_takes_them_again_when_there_is_room(tmp_path):
    folder = tmp_path / "disk"
    said = json.loads(on_a_disk_of_its_own(folder, "true", REAL, folder))
    assert "free space on that disk" in said["refused"]
    assert said["as before"] is True
    assert said["then"] == said["revision"] + 1
    assert said["restarted"] == [said["then"], {"blue": 7, "green": 3}]


@pytest.mark.outside("unshare")
def test_a_disk_that_is_read_only_at_the_start_is_named_with_the_way_out(tmp_path):
    folder = tmp_path / "disk"
    said = on_a_disk_of_its_own(folder, f"mount -o remount,ro {folder}", LOCKED, folder / "state.db")
    assert f"{folder}/state.db: cannot make its lock" in said
    assert "Read-only file system" in said
    assert "name another `state:` file" in said
