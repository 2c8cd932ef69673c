"""Judges of flags with a clock in the test's hand: which flags are judged, what workers are told, what comes of it."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from gatekeeper.control.flags.judging import KIND, FlagJudging
from gatekeeper.control.judging.memory import WHOLE, Memory
from gatekeeper.control.store.statefile import StoreError
from gatekeeper.core.command import SetFlag, SwitchFlag
from gatekeeper.core.flags.model import FlagChanges, FlagFails
from gatekeeper.core.judge.analysis import Analysis, Guard
from gatekeeper.core.judge.verdict import Kind
from gatekeeper.core.model import Sticky, StickyMode
from gatekeeper.dataplane.docket import Case
from tests.control.judging.stage import part
from tests.control.kept import flag

ASKED = Analysis(min_bake=0, latency=False)
SALT = "ab" * 16
NONE = Sticky(mode=StickyMode.NONE)


def size(path):
    return Path(path).stat().st_size if Path(path).exists() else None


class Crew:
    """The fleet, as judges of flags see it."""

    def __init__(self):
        self.serving = [11]
        self.sent = []

    def judge(self, cases, kind):
        assert kind == KIND
        self.sent.append(cases)
        for case in cases:
            Case.of_message(case)


class Stage:
    def __init__(self, world):
        self.world, self.crew, self.told = world, Crew(), []
        self.judging = FlagJudging(controller=world.controller, crew=self.crew, tell=self.told.append,
                                   clock=world.clock, state_path=str(world.path))  # fmt: skip

    @property
    def running(self):
        return self.world.controller.state.flags["new"].running

    @property
    def case(self):
        (case,) = self.crew.sent[-1]
        return case

    @property
    def verdict(self):
        found = self.judging.standing("new")
        return None if found is None else found.verdict

    async def settled(self):
        async with asyncio.timeout(5):
            while self.judging._followed is not self.world.controller.state:  # noqa: ASYNC110 - there is no hook
                await asyncio.sleep(0.001)

    async def set(self, **changes):
        await self.world.controller.submit(SetFlag(actor="anna", name="new", changes=FlagChanges(**changes), salt=SALT))
        await self.settled()

    async def switch(self, *, on):
        await self.world.controller.submit(SwitchFlag(actor="anna", name="new", on=on))
        await self.settled()

    async def second(self, off, others, number=None):
        """A second passes in which the workers recorded this: (requests, errors) of both sides."""
        at = int(self.world.clock.monotonic() - self.case["origin"])
        self.world.clock.advance(1)
        told = [self.case["release"] if number is None else number, "new", at, [part(at, off, others)]]
        self.judging.hear(11, {"type": "flag_seconds", "of": [told]})
        await self.judging.look()
        await self.settled()


@pytest.fixture
def definition(made_service, definition_of):
    made = definition_of(made_service("shop", "blue", "green", sticky=NONE))
    judged = replace(flag("new", 50).definition, analysis=ASKED, on_fail=FlagFails.OFF)
    return replace(made, flags={"new": judged, "other": flag("other", 50).definition})


@pytest.fixture
async def stage(tmp_path, world_of, definition):
    async with world_of(tmp_path / "state.db", definition) as world:
        made = Stage(world)
        await made.judging.start()
        yield made
        await made.judging.stop()


async def test_the_flag_that_is_to_be_judged_is_and_the_workers_are_told_how(stage):
    case = stage.case
    assert (case["service"], case["stable"], case["candidate"]) == ("new", "new=off", "new=on")
    assert (case["units"], case["services"], case["origin"]) == (False, [], stage.world.clock.monotonic())
    assert stage.verdict.kind is Kind.COLLECTING
    assert [each.service for each in stage.judging.standings()] == ["new"]


async def test_a_flag_that_makes_things_worse_is_turned_off_in_one_revision_by_the_judge(stage):
    before = stage.world.controller.state.revision
    await stage.second((20, 0), (20, 20))
    assert not stage.running.on
    assert stage.world.controller.state.revision == before + 1
    await stage.world.feed.flush()
    (event,) = [each.data for each in await stage.world.store.last_events(50) if each.kind == "flag_off"]
    assert (event["actor"], event["verdict"], event["cause"]) == ("judge", "rollback", "errors")
    assert event["errors"] == {"off": 0, "others": 20}
    assert event["note"].startswith("20 failures so far; new=on had 50 % of the requests but 20 of the failures")
    assert [each["kind"] for each in stage.told] == ["flag_verdict"]
    assert stage.crew.sent[-1] == []
    assert stage.verdict is None


async def test_a_harmless_one_goes_on(stage):
    for _ in range(30):
        await stage.second((20, 2), (20, 2))
    assert stage.running.on
    assert stage.verdict.kind is not Kind.ROLLBACK
    assert len(stage.crew.sent) == 1


async def test_what_is_to_be_kept_is_kept_and_people_are_told_once(stage):
    await stage.set(on_fail=FlagFails.KEEP)
    for _ in range(3):
        await stage.second((20, 0), (20, 20))
    assert stage.running.on
    assert [(each["kind"], each["flag"], each["verdict"]) for each in stage.told] == [
        ("flag_verdict", "new", "rollback")
    ]


async def test_what_on_fail_says_at_that_moment_holds_for_what_was_seen_before(stage):
    await stage.set(on_fail=FlagFails.KEEP)
    await stage.second((20, 0), (20, 20))
    await stage.set(on_fail=FlagFails.OFF)
    assert len(stage.crew.sent) == 1, "the same judge"
    await stage.second((20, 0), (20, 0))
    assert not stage.running.on


async def test_another_share_is_the_same_judge(stage):
    await stage.second((20, 0), (20, 2))
    seen = stage.verdict.numbers
    await stage.set(percent=Decimal(75))
    assert stage.verdict.numbers == seen
    assert len(stage.crew.sent) == 1


@pytest.mark.parametrize("change", [{"percent": Decimal(0)}, {"analysis": replace(ASKED, alpha=0.02)}])
async def test_nobody_having_it_or_another_question_begin_another_judge(stage, change):
    await stage.second((20, 0), (20, 2))
    number = stage.case["release"]
    await stage.set(**change)
    if "percent" in change:
        assert (stage.crew.sent[-1], stage.verdict) == ([], None)
        await stage.set(percent=Decimal(10))
    assert stage.case["release"] != number
    assert stage.verdict.numbers.requests == (0, 0)


async def test_what_workers_say_of_the_judge_before_is_not_the_new_ones(stage):
    old = stage.case["release"]
    await stage.switch(on=False)
    await stage.switch(on=True)
    await stage.second((20, 0), (20, 20), number=old)
    assert stage.running.on


async def test_on_for_everybody_it_is_heard_out_and_goes_on_where_it_was(stage):
    await stage.second((20, 0), (20, 2))
    await stage.set(percent=Decimal(100))
    await stage.second((0, 0), (20, 0))
    assert "new=on has everything, nothing is compared any more" in stage.verdict.sentence
    await stage.set(percent=Decimal(50))
    await stage.second((20, 0), (20, 0))
    assert stage.verdict.numbers.errors[1] >= 2
    assert len(stage.crew.sent) == 1


async def test_a_bound_holds_for_everybody_too(stage):
    await stage.set(analysis=replace(ASKED, guard=Guard(errors=0.05)))
    await stage.set(percent=Decimal(100))
    await stage.second((0, 0), (100, 50))
    assert not stage.running.on


async def test_on_for_everybody_from_the_start_is_nothing_to_judge(stage):
    await stage.switch(on=False)
    await stage.set(percent=Decimal(100))
    await stage.switch(on=True)
    assert stage.verdict is None


async def test_a_refused_verdict_is_tried_again_and_not_all_the_time(stage, monkeypatch):
    asked = []

    async def full(*records):
        asked.append(records)
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(stage.world.store, "append", full)
        await stage.second((20, 0), (20, 20))
        for _ in range(5):
            await stage.judging.look()
    assert len(asked) == 1
    assert stage.running.on
    stage.world.clock.advance(1)
    await stage.judging.look()
    assert not stage.running.on


async def test_it_is_turned_off_only_as_it_was_looked_at(stage, monkeypatch):
    asked, revision = [], stage.world.controller.state.revision

    async def submit(command, *, via):
        asked.append((command.expected_revision, via))

    monkeypatch.setattr(stage.world.controller, "submit", submit)
    await stage.second((20, 0), (20, 20))
    assert asked == [(revision, "gatekeeper")]


async def test_under_a_state_that_it_does_not_follow_yet_nothing_is_judged(stage):
    followed, stage.judging._followed = stage.judging._followed, None
    at = int(stage.world.clock.monotonic() - stage.case["origin"])
    stage.world.clock.advance(1)
    told = [stage.case["release"], "new", at, [part(at, (20, 0), (20, 20))]]
    stage.judging.hear(11, {"type": "flag_seconds", "of": [told]})
    await stage.judging.look()
    assert stage.running.on
    stage.judging._followed = followed
    await stage.judging.look()
    assert not stage.running.on


@pytest.mark.parametrize("said", [[["x"]], [[1, "new", 0, [{"at": "now"}]]], "nonsense", [None]])
async def test_what_cannot_be_read_ends_the_comparison_it_belongs_to_and_nothing_else(stage, said):
    stage.judging.hear(11, {"type": "flag_seconds", "of": said})
    assert stage.verdict.kind is (Kind.INVALID if said[0] == [1, "new", 0, [{"at": "now"}]] else Kind.COLLECTING)


async def test_units_are_remembered_in_a_file_that_goes_with_the_judge(stage):
    state = stage.world.controller.state
    shop = state.services["shop"]
    sticky = replace(shop, definition=replace(shop.definition, sticky=Sticky()))
    await stage.judging._follow(replace(state, services={"shop": sticky}))
    assert stage.case["units"]
    path = stage.case["seen"]
    assert path == f"{stage.world.path}.judge/flag-new.units"
    assert size(path) == WHOLE
    await stage.judging._follow(replace(state, flags={}))
    assert size(path) is None


async def test_without_room_on_the_disk_units_are_remembered_in_ours(stage, monkeypatch):
    def full(path):
        raise OSError(28, f"no space for {path}")

    monkeypatch.setattr(Memory, "create", full)
    state = stage.world.controller.state
    shop = state.services["shop"]
    sticky = replace(shop, definition=replace(shop.definition, sticky=Sticky()))
    await stage.judging._follow(replace(state, services={"shop": sticky}))
    assert stage.case["units"]
    assert stage.case["seen"] is None


async def test_paused_nothing_is_judged(stage):
    await stage.judging.pause()
    await stage.second((20, 0), (20, 20))
    assert stage.running.on
    await stage.judging.resume()
    await stage.judging.look()
    assert not stage.running.on
