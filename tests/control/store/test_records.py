"""What is written of a command: who asked for what and what came of it, and which file was taken up."""

from dataclasses import replace

import pytest

from gatekeeper.control.controller import Once
from gatekeeper.core.command import Refused, Reload

ONCE = Once("k1", "anna", "f1", lambda state: {"revision": state.revision})


async def refused(world, command, **more):
    with pytest.raises(Refused) as caught:
        await world.controller.submit(command, **more)
    return caught.value


async def audit(world):
    """The rows, oldest first, but for the start's."""
    await world.feed.flush()
    return [*reversed(await world.store.audit())][1:]


async def test_what_was_done_is_in_the_audit_with_the_change(world):
    await world.controller.submit(replace(world.split(blue=9, green=1), note="first try"), via="uid 1000")
    await world.controller.submit(world.back(), via="token")
    assert [
        (row.actor, row.via, row.action, row.service, row.revision, row.outcome, row.detail)
        for row in await audit(world)
    ] == [
        ("anna", "uid 1000", "split", "shop", 2, "done", "first try"),
        ("anna", "token", "rollback", "shop", 3, "done", ""),
    ]


async def test_what_was_refused_or_was_so_already_is_in_the_audit_too(world):
    await refused(world, replace(world.split(blue=1, green=1), expected_revision=9), via="token")
    await refused(world, world.split(blu=1))
    await refused(world, world.back())
    await world.controller.submit(world.split(blue=100, green=0))
    rows = await audit(world)
    assert [(row.outcome, row.detail.split(":")[0], row.revision) for row in rows] == [
        ("refused", "revision_moved", None),
        ("refused", "invalid_weights", None),
        ("refused", "nothing_to_undo", None),
        ("unchanged", "", None),
    ]
    assert rows[0].via == "token"


async def test_a_dry_run_and_a_repetition_are_not_in_the_audit(world):
    await world.controller.submit(world.split(blue=9, green=1), dry_run=True)
    await refused(world, world.split(blu=1), dry_run=True)
    await world.controller.submit(world.split(blue=9, green=1), once=ONCE)
    await world.controller.submit(world.split(blue=9, green=1), once=ONCE)
    assert [row.outcome for row in await audit(world)] == ["done"]


async def test_what_was_undone_is_in_the_audit_with_its_reason(world):
    world.publisher.failures = [RuntimeError("the frame is too large")]
    await refused(world, world.split(blue=9, green=1))
    rows = await audit(world)
    assert [(row.revision, row.outcome, row.detail) for row in rows] == [
        (2, "done", ""),
        (3, "undone", "the frame is too large"),
    ]


async def test_a_long_list_of_mistakes_does_not_make_a_long_row(world, definition_of):
    weights = {f"v{at}": 1 for at in range(1000)}
    await refused(world, world.split(**weights))
    assert len((await audit(world))[0].detail) == 1000


async def test_the_file_of_a_reload_that_changed_nothing_counts_as_taken_up(
    tmp_path, world_of, made_service, definition_of
):
    """File A, then B is sent; the file becomes B and is reloaded, then C is sent: a restart with file B has C."""
    path = tmp_path / "state.db"
    a, b, c = (definition_of(made_service("shop", "blue", "green", path_prefix=f"/{name}")) for name in "abc")

    def take(definition, **more):
        return Reload(actor="anna", definition=definition, entropy="ef" * 32, **more)

    async with world_of(path, a) as world:
        await world.controller.submit(take(b, from_file=False))
        assert (await world.controller.submit(take(b))).changes == []
        await world.controller.submit(take(c, from_file=False))
    async with world_of(path, b) as world:
        assert world.controller.state.services["shop"].definition.path_prefix == "/c"


async def test_a_file_that_was_not_taken_up_by_the_workers_counts_as_edited(
    tmp_path, world_of, made_service, definition_of
):
    path = tmp_path / "state.db"
    a, b = (definition_of(made_service("shop", "blue", "green", path_prefix=f"/{name}")) for name in "ab")
    async with world_of(path, a) as world:
        known = await world.store.file()
        world.publisher.failures = [RuntimeError("too large")]
        await refused(world, Reload(actor="anna", definition=b, entropy="ef" * 32))
        assert await world.store.file() == known
    async with world_of(path, b) as world:
        assert world.controller.state.services["shop"].definition.path_prefix == "/b"
