"""The first state of a process: exactly what was acknowledged last, unless the file was edited since."""

import shutil
from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.control.store.start import first_state
from gatekeeper.control.store.store import Store
from gatekeeper.core.command import (
    Confirm,
    Deploy,
    Drain,
    Expire,
    Reload,
    ResetTrip,
    Restore,
    Retire,
    SetSplit,
    TripVersion,
)
from gatekeeper.core.model import Backend, Limits, Origin, Version
from gatekeeper.core.split import SplitError

ENTROPY = "ef" * 32


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


@pytest.fixture
def definition(made_service, definition_of):
    return definition_of(
        made_service("shop", "blue", "green", "red"), made_service("cart", "v1", "v2", path_prefix="/cart")
    )


async def start(path, definition, now=1_700_000_100.0):
    with closing(Store.open(str(path))) as store:
        state, notes = await first_state(store, definition, entropy="cd" * 32, now=now)
        return state, notes, store.load(), await store.revisions()


def crashed(world, folder):
    """The state file as a kill -9 at this moment would leave it."""
    folder.mkdir()
    for end in ("", "-wal"):
        shutil.copy(f"{world.path}{end}", folder / f"state.db{end}")
    return folder / "state.db"


def new(name, port=9100):
    return Version(name, (Backend(f"http://127.0.0.1:{port}"),), build="b1", origin=Origin.DEPLOY)


async def test_a_new_store_begins_with_the_file_as_its_first_revision(path, definition):
    state, notes, stored, (row,) = await start(path, definition)
    assert (state.revision, notes, stored.state) == (1, [], state)
    assert (row.action, row.actor, row.changes) == ("start", "gatekeeper", [])
    assert {name: service.definition for name, service in state.services.items()} == dict(definition.services)


async def test_a_restart_with_the_same_file_goes_on_with_the_very_state(path, definition):
    state, *_ = await start(path, definition)
    again, notes, _, rows = await start(path, definition, now=1_800_000_000.0)
    assert (again, notes, len(rows)) == (state, [], 1)


async def test_whatever_was_acknowledged_is_there_after_a_kill(path, definition, world_of, definition_of, tmp_path):
    """Every kind of change, and after each of them a crash: the next start has all of it and makes no revision."""
    shop = definition.services["shop"]
    sent = replace(
        definition_of(replace(shop, skew=5.0), *[definition.services["cart"]]),
        settings=replace(definition.settings, limits=Limits(body=1000)),
    )
    split = SetSplit(actor="anna", service="shop", weights={"blue": Decimal(1), "green": Decimal(2)}, salt="ab" * 16)
    anna = {"actor": "anna"}
    commands = [
        split,
        Deploy(**anna, service="shop", version=new("next")),
        Deploy(**anna, service="cart", version=new("v2", 9200)),
        replace(split, weights={"blue": Decimal(1), "next": Decimal("0.5")}),
        Reload(**anna, definition=sent, entropy=ENTROPY, from_file=False),
        Retire(**anna, service="shop", version="red"),
        Drain(**anna, service="shop", version="green", seconds=30.0),
        Restore(**anna, revision=3, entropy=ENTROPY),
        TripVersion(**anna, service="shop", version="green", reason="502s"),
        ResetTrip(**anna, service="shop"),
        replace(split, weights={"blue": Decimal(7), "green": Decimal(3)}, confirm_within=300.0),
        Confirm(**anna),
        Deploy(**anna, service="cart", version=new("v3", 9300), confirm_within=300.0),
        Expire(**anna, revision=14),
    ]
    async with world_of(path, definition) as world:
        for at, command in enumerate(commands, start=2):
            state = (await world.controller.submit(command)).state
            assert state.revision == at, command
            found, notes, *_ = await start(crashed(world, tmp_path / str(at)), definition)
            assert found == state, command
            assert notes == []
            assert [*found.services] == [*state.services]


async def test_an_edited_file_is_taken_up_and_what_runs_goes_on(path, definition, world_of):
    async with world_of(path, definition) as world:
        await world.controller.submit(world.split(blue=30, green=70))
        await world.controller.submit(Deploy(actor="anna", service="shop", version=new("next")))
    edited = replace(definition, services={"shop": replace(definition.services["shop"], skew=9.0)})
    state, notes, stored, (row, *_) = await start(path, edited)
    assert (state.revision, row.action, stored.state) == (4, "start", state)
    assert {change["path"] for change in row.changes} == {"services.shop.skew", "services.cart"}
    assert state.services["shop"].definition.skew == 9.0
    assert state.services["shop"].running.split.weights["green"] == 70
    assert "next" in state.services["shop"].definition.versions, "a deploy is not the file's to take away"
    assert any("cart is not in the file any more" in note for note in notes)
    assert row.note == "; ".join(notes)


async def test_a_sent_configuration_lasts_until_the_file_is_edited_or_reloaded(path, definition, world_of):
    sent = replace(definition, services={"shop": definition.services["shop"]})
    async with world_of(path, definition) as world:
        await world.controller.submit(Reload(actor="anna", definition=sent, entropy=ENTROPY, from_file=False))
    assert list((await start(path, definition))[0].services) == ["shop"]
    async with world_of(path, definition) as world:
        await world.controller.submit(Reload(actor="anna", definition=definition, entropy=ENTROPY))
        assert list(world.controller.state.services) == ["shop", "cart"]
    assert list((await start(path, definition))[0].services) == ["shop", "cart"]


async def test_a_file_edited_to_what_already_holds_makes_no_revision_and_counts_as_taken_up(path, definition, world_of):
    sent = replace(definition, services={"shop": definition.services["shop"]})
    async with world_of(path, definition) as world:
        await world.controller.submit(Reload(actor="anna", definition=sent, entropy=ENTROPY, from_file=False))
        state = world.controller.state
        file = await world.store.file()
    found, notes, stored, rows = await start(path, sent)
    assert (found, notes, len(rows)) == (state, [], 2)
    assert stored.file != file


async def test_a_change_that_waits_to_be_confirmed_waits_on_where_the_edited_file_leaves_it_alone(
    path, definition, world_of
):
    async with world_of(path, definition) as world:
        for split in (world.split(blue=1, green=1), world.split("cart", v1=1, v2=1)):
            await world.controller.submit(replace(split, confirm_within=300.0))
    shop, cart = definition.services.values()
    state, notes, stored, _ = await start(
        path, replace(definition, services={"shop": replace(shop, skew=9.0), "cart": cart})
    )
    assert [(each.revision, list(each.before)) for each in state.pending] == [(3, ["cart"])]
    assert stored.state == state
    assert any("revision 2" in note for note in notes)


async def test_a_damaged_split_is_named_with_a_way_out_and_nothing_is_written(path, definition):
    await start(path, definition)
    with closing(Store.open(str(path))) as store:
        store._connection.execute("UPDATE running SET running = replace(running, '4294967296', '4294967290')")
        for each in (definition, replace(definition, services={"shop": definition.services["shop"]})):
            with pytest.raises(SplitError, match=r"split of service (shop|cart) is damaged.*restore the state file"):
                await first_state(store, each, entropy="cd" * 32, now=1.0)
        assert [row.revision for row in await store.revisions()] == [1]
