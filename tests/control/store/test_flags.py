"""What the state file keeps of flags: those of the present whole, and what each was at every revision."""

from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.control.store import records
from gatekeeper.control.store.rows import Delta, FlagHeld
from gatekeeper.control.store.start import first_state
from gatekeeper.control.store.store import Store, StoreError
from gatekeeper.core.command import SwitchFlag, apply
from gatekeeper.core.flags.model import Flag, FlagRunning, FlagSchedule, FlagState, FlagType, FlagUndo, Made
from gatekeeper.core.model import Definition, Pattern, PatternKind, Settings, Split, When
from gatekeeper.core.split import SplitError
from tests.control.kept import WALL, past_of, record, service, state
from tests.control.kept import flag as kept_flag

VALUES = {"light": {"dark": False, "steps": [1, 2.0, None]}, "dark": {"dark": True, "name": "nächt"}}


def weights(dark):
    return {"light": Decimal(100 - dark), "dark": Decimal(dark)}


def flag(name, dark=10, *, on=True, killed=False, undo=(), made=None, **more):
    definition = Flag(name, FlagType.OBJECT, VALUES, "light", weights(0), **more)
    split = Split(weights(dark), {"light": ((0, 2**32),)}, "ab" * 16)
    running = FlagRunning(split, on, killed, undo=undo, made=made, revision=2, changed_at=WALL, scheduled=(WALL,))
    return FlagState(definition, running)


FULL = flag(
    "theme",
    when=When(headers=(("x-country", Pattern(PatternKind.ONE_OF, ("DE", "AT"))),)),
    services=("shop",),
    owner="web",
    expires="2027-01-31",
    schedule=FlagSchedule(WALL, None),
    description="the new look",
)
CHANGED = replace(FULL.definition, owner="ops")
UNDONE = flag("theme", 50, undo=(FlagUndo(2, weights(10), on=True, definition=FULL.definition),), owner="ops")
STATES = [
    state(1, service("shop")),
    state(2, service("shop"), flags=(FULL,)),
    state(3, service("shop"), flags=(FULL, flag("banner", killed=True, on=False))),
    state(4, service("shop", 20), flags=(FULL, flag("banner", killed=True, on=False))),
    state(5, service("shop", 20), flags=(UNDONE,)),
    state(6, service("shop", 20), flags=(flag("theme", 50, made=Made(CHANGED, FULL.definition)), flag("banner", 0))),
]


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "state.db")


@pytest.fixture
def store(path):
    with closing(Store.open(path)) as opened:
        yield opened


async def write(store, states=STATES):
    before = None
    for each in states:
        await store.append(record(before, each))
        before = each


async def test_a_restart_finds_every_flag_as_it_was(path):
    before = None
    for each in STATES:
        with closing(Store.open(path)) as store:
            await store.append(record(before, each))
        with closing(Store.open(path)) as store:
            found = store.load().state
            assert found == each
            assert [repr(one.definition.variants) for one in found.flags.values()] == [
                repr(each.flags[name].definition.variants) for name in sorted(each.flags)
            ], "2.0 stays 2.0, and the order of variants is kept"
        before = each


async def test_every_flag_of_every_revision_can_be_had(store):
    await write(store)
    for each in STATES:
        assert await store.state_at(each.revision) == past_of(each)


async def test_the_history_tells_what_each_revision_made_of_flags(store):
    await write(store)
    assert [(row.revision, row.flags) for row in await store.revisions()] == [
        (6, {"banner": FlagHeld(weights(0), on=True, killed=False), "theme": FlagHeld(weights(50), True, False)}),
        (5, {"banner": None, "theme": FlagHeld(weights(50), on=True, killed=False)}),
        (4, {}),
        (3, {"banner": FlagHeld(weights(10), on=False, killed=True)}),
        (2, {"theme": FlagHeld(weights(10), on=True, killed=False)}),
        (1, {}),
    ]
    assert [row.revision for row in await store.revisions(flag="banner")] == [6, 5, 3]
    assert [row.revision for row in await store.revisions(flag="banner", before=6, limit=1)] == [5]
    assert await store.revisions(flag="nobody") == []


async def test_a_flip_writes_no_definition_again(store):
    flips = [state(number, flags=(flag("theme", number % 2),)) for number in range(1, 21)]
    await write(store, flips)
    assert store._connection.execute("SELECT count(*) FROM texts WHERE text LIKE '%steps%'").fetchone() == (1,)
    assert store._connection.execute("SELECT count(*) FROM flags").fetchone() == (20,)


async def test_what_runs_of_a_flag_goes_with_it(store):
    await write(store, STATES[:5])
    assert store._connection.execute("SELECT flag FROM flag_running").fetchall() == [("theme",)]


async def test_pruning_leaves_what_later_revisions_are_made_of(store):
    await write(store)
    await store.prune(5, None)
    assert store.load().state == STATES[-1]
    for each in STATES:
        kept = await store.state_at(each.revision)
        assert kept == (past_of(each) if each.revision >= 5 else None)
    await store.prune(6, None)
    assert store.load().state == STATES[-1]
    assert await store.state_at(6) == past_of(STATES[-1])
    texts = [row[0] for row in store._connection.execute("SELECT text FROM texts")]
    assert len([text for text in texts if '"the new look"' in text]) == 1, "only what `made` replaced still names it"


async def test_a_damaged_row_is_named(path):
    with closing(Store.open(path)) as store:
        await write(store)
        store._connection.execute("UPDATE flag_running SET running = '{}' WHERE flag = 'banner'")
    with closing(Store.open(path)) as store:
        with pytest.raises(StoreError, match="what runs of flag 'banner'"):
            store.load()
        store._connection.execute("DELETE FROM flag_running")
        with pytest.raises(StoreError, match="what runs of flag 'banner'"):
            store.load()


async def test_a_start_goes_on_with_the_flags_of_before_and_names_a_split_that_is_damaged(path):
    definition = Definition(
        Settings(), {"shop": service("shop").definition}, flags={"new": kept_flag("new").definition}
    )
    with closing(Store.open(path)) as store:
        first, _ = await first_state(store, definition, entropy="cd" * 32, now=WALL)
        assert first.flags["new"].running.on
        switched = apply(first, SwitchFlag(actor="anna", name="new", on=False), WALL).state
        await store.append(record(first, switched))
    with closing(Store.open(path)) as store:
        assert (await first_state(store, definition, entropy="ef" * 32, now=WALL))[0] == switched
        store._connection.execute("UPDATE flag_running SET running = replace(running, '4294967296', '4294967290')")
        with pytest.raises(SplitError, match=r"flag new is damaged"):
            await first_state(store, definition, entropy="cd" * 32, now=WALL)


def test_only_what_changed_is_written():
    one, other = state(2, flags=(FULL, flag("banner"))), state(3, flags=(FULL, flag("banner")))
    assert Delta.between(one, other).flags == {}
    assert Delta.between(one, state(3, flags=(UNDONE,))).flags == {"theme": UNDONE, "banner": None}
    assert Delta.between(None, one).flags == one.flags


def test_what_is_taken_back_has_the_flags_of_before_under_the_later_revision():
    old, failed = state(2, flags=(FULL, flag("banner"))), state(3, flags=(UNDONE, flag("new")))
    failed = replace(failed, flags={**failed.flags, "banner": old.flags["banner"]})
    back = records.taken_back(old, failed)
    assert back.flags["banner"] is old.flags["banner"]
    assert back.flags["theme"] == replace(FULL, running=replace(FULL.running, revision=4))
    assert set(back.flags) == {"theme", "banner"}
