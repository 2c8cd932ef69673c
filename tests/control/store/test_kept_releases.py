"""What the state file keeps of releases: those of the present, every one there was, plans and what they made stable."""

from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.control.store.store import Store, StoreError
from gatekeeper.core.model import Promoted, Release, Releasing
from gatekeeper.core.release.model import (
    CheckResult,
    Entry,
    Given,
    Move,
    ReleaseState,
    SkipKind,
    Skipped,
    Waiting,
    WaitKind,
)
from gatekeeper.core.release.plan import (
    Approval,
    Check,
    CommandCheck,
    Freeze,
    Group,
    HttpCheck,
    Notify,
    Plan,
    ReleasedInCheck,
    Step,
    Window,
)
from tests.control.kept import WALL, record, service, state

PLAN = Plan(
    "careful",
    (Step(Decimal("0.5"), 300.0, Approval(("product",), 60.0), pause=True), Step(Decimal(100))),
    verify=(
        Check(http=HttpCheck("/healthz", (200, 204), "ok", 2.5)),
        Check(command=CommandCheck(("./smoke.sh", "{url}"), 5.0)),
        Check(released_in=ReleasedInCheck("https://staging:9900", "shop", "/etc/token")),
    ),
    at=WALL,
    window=Window((0, 4), 540, 960, "Europe/Berlin"),
)
RELEASING = Releasing(
    plans={"careful": PLAN},
    defaults={"shop": "careful"},
    groups={"storefront": Group(("shop", "cart"), "careful")},
    freezes=(Freeze("holidays", WALL, None, Window((5, 6), 0, 1440), ("shop",)),),
    notify=(Notify("https://example.com/hook", "secret", ("release_promoted",)),),
)
WHOLE = {"blue": Decimal(100), "green": Decimal(0)}


def release(number, *services, state=ReleaseState.VERIFYING, build="b1", **more):
    moves = tuple(
        Move(name, "green", "blue", WHOLE, build=build, digest="ab", first=number) for name in services or ("shop",)
    )
    return Release(number, moves, PLAN, "anna", WALL, state=state, seen=WALL, revision=number, **more)


FULL = release(
    2,
    author_groups=("engineering",),
    note="try it",
    state=ReleaseState.PAUSED,
    step=0,
    since=WALL + 0.5,
    held=1.25,
    paused_from=ReleaseState.PROGRESSING,
    waiting=(Waiting(WaitKind.APPROVAL, "approval by product", "0", ("product",), WALL),),
    approvals=(Given("start", "ben", ("product",), "fine", WALL),),
    checks=(CheckResult("start", "shop", "http /healthz", passed=True, seconds=0.1, output="ok", at=WALL),),
    skipped=(Skipped("start", SkipKind.CHECKS, "checks", "ben", "hurry", WALL),),
    log=(Entry(WALL, "anna", "start", "started"),),
)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "state.db")


@pytest.fixture
def store(path):
    with closing(Store.open(path)) as opened:
        yield opened


async def write(store, *states):
    before = None
    for each in states:
        await store.append(record(before, each))
        before = each


def at(revision, *releases, **more):
    return state(revision, service("shop"), service("cart"), releases=releases, **more)


async def test_a_restart_finds_plans_and_the_releases_of_the_state_as_they_were(path):
    states = [
        at(1, releasing=RELEASING),
        at(2, FULL, releasing=RELEASING),
        at(3, replace(FULL, step=1, revision=3), releasing=RELEASING),
        at(4, replace(FULL, step=1, revision=3), release(4, "cart"), releasing=Releasing()),
    ]
    before = None
    for each in states:
        with closing(Store.open(path)) as store:
            await store.append(record(before, each))
        with closing(Store.open(path)) as store:
            assert store.load().state == each
        before = each


async def test_one_that_left_the_state_is_kept_as_it_ended(store):
    ended = release(2, state=ReleaseState.PROMOTED, ended_at=WALL)
    await write(store, at(1), at(2, release(2)), at(3, replace(ended, revision=3)), at(4, release(4)))
    assert store.load().state.releases == {4: release(4)}
    assert await store.release(2) == replace(ended, revision=3)
    assert await store.release(4) == release(4)
    assert await store.release(3) is None


async def test_those_of_a_service_come_the_newest_first_by_page_and_by_build(store):
    ended = [
        release(number, *names, build=build, state=ReleaseState.ABORTED)
        for number, names, build in [
            (2, ["shop"], "b1"),
            (3, ["cart"], "b1"),
            (4, ["shop", "cart"], "b2"),
            (5, ["shop"], None),
            (6, ["shop"], "b1"),
        ]
    ]
    await write(store, at(1), *(at(each.id, each) for each in ended))

    async def found(service, *limit, **more):
        return [each.id for each in await store.releases((service,), *limit, **more)]

    assert await found("shop") == [6, 5, 4, 2]
    assert await found("cart") == [4, 3]
    assert await found("nobody") == []
    assert await found("shop", 2) == [6, 5]
    assert await found("shop", 2, before=5) == [4, 2]
    assert await found("shop", build="b1") == [6, 2]
    assert await found("shop", 1, build="b1", before=6) == [2]
    assert [each.id for each in await store.releases()] == [6, 5, 4, 3, 2]
    assert [each.id for each in await store.releases(["shop", "cart"], 3)] == [6, 5, 4]
    assert [each.id for each in await store.releases(build="b2")] == [4]


async def test_one_whose_start_was_taken_back_does_not_look_as_if_it_went_on(store):
    began = at(2, release(2))
    await write(store, at(1), began, at(3))
    assert store.load().state.releases == {}
    kept = await store.release(2)
    assert (kept.state, kept.reason, kept.ended_at) == (
        ReleaseState.ABORTED,
        "what started it was taken back",
        WALL,
    )


async def test_one_that_comes_back_is_in_the_state_again(store):
    """A start that is taken back gives the state its last release again."""
    last = release(2, state=ReleaseState.PROMOTED)
    await write(store, at(1), at(2, last), at(3, release(3)), at(4, last))
    assert store.load().state.releases == {2: last}


async def test_what_a_release_made_stable_is_known_of_every_revision(store):
    plain, promoted = service("shop"), service("shop")
    promoted = replace(promoted, running=replace(promoted.running, promoted=Promoted("green", "blue")))
    await write(store, state(1, plain), state(2, promoted), state(3, plain))
    found = [(await store.state_at(each)).services["shop"].promoted for each in (1, 2, 3)]
    assert found == [None, Promoted("green", "blue"), None]


async def test_plans_are_known_of_every_revision(store):
    await write(store, at(1), at(2, releasing=RELEASING), at(3))
    assert [(await store.state_at(each)).releasing for each in (1, 2, 3)] == [Releasing(), RELEASING, Releasing()]


async def test_pruning_takes_those_that_ended_before_and_none_of_the_present(store):
    ended = [release(number, state=ReleaseState.ABORTED) for number in (2, 4)]
    last = release(6, "cart", state=ReleaseState.PROMOTED)
    await write(store, at(1), at(2, ended[0]), at(4, ended[1]), at(6, last), at(7, last, release(7)), at(9, last))
    await store.prune(4, None)
    assert [each.id for each in await store.releases(["shop"])] == [7, 4]
    await store.prune(9, None)
    assert [each.id for each in await store.releases(["shop"])] == []
    assert [each.id for each in await store.releases(["cart"])] == [6], "it is part of the state"
    assert store._connection.execute("SELECT release FROM moves").fetchall() == [(6,)]


async def test_a_change_that_cannot_be_written_leaves_no_release_behind(store):
    await write(store, at(1), at(2, release(2)))
    broken = record(at(2, release(2)), at(3, release(2, note="other"), release(3, "cart")), events=[{"no": "kind"}])
    with pytest.raises(KeyError):
        await store.append(broken)
    assert store.load().state == at(2, release(2))
    assert await store.release(3) is None


async def test_a_release_that_cannot_be_read_is_named(store, path):
    await write(store, at(1), at(2, release(2)))
    store._connection.execute("UPDATE releases SET release = '{}'")
    with pytest.raises(StoreError, match="is damaged \\(release 2"):
        store.load()
