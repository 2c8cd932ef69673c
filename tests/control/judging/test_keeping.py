"""A disk that is full, slow or gone costs files, never a verdict."""

import asyncio
import errno
import threading

import pytest

from gatekeeper.control.judging import case as cases
from gatekeeper.control.judging import keeping, memory, seconds
from gatekeeper.control.store.store import StoreError
from gatekeeper.core.release.commands import Verb
from tests.control.judging.stage import files, lines, staged, unit


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_with_a_full_disk_judging_goes_on_and_it_is_said_once(stage, monkeypatch):
    await stage.start()
    await stage.seconds(2)
    monkeypatch.setattr(seconds.os, "write", full)
    await stage.seconds(5)
    [told] = await stage.events("judge_log_failed")
    assert "No space left on device" in told["reason"]
    assert stage.verdict().numbers.seconds == 7
    await stage.second((20, 0), (20, 19))
    assert stage.release.state.value == "rolled_back"


async def test_once_there_is_room_again_the_log_says_where_it_stands(stage, monkeypatch):
    await stage.start()
    await stage.seconds(2)
    with monkeypatch.context() as patch:
        patch.setattr(seconds.os, "write", full)
        await stage.seconds(3)
    await stage.seconds(2)
    [log] = stage.judging.log_paths(stage.release.id, "shop")
    found = lines(log)
    shown = [("judge", each["judge"]["memory"]["last"]) if "judge" in each else each["second"]["at"] for each in found]
    assert shown == [("judge", -1), 0, 1, ("judge", 5), 6]
    assert not stage.judging._keeping.trouble
    monkeypatch.setattr(seconds.os, "write", full)
    await stage.second()
    assert len(await stage.events("judge_log_failed")) == 2


async def test_a_state_file_that_takes_nothing_is_tried_again(stage, monkeypatch):
    await stage.start()

    async def refuse(_):
        raise StoreError("state.db", "is full", "free space")

    with monkeypatch.context() as patch:
        patch.setattr(stage.world.store, "keep_judges", refuse)
        stage.world.clock.advance(keeping.KEEP_SECONDS)
        await stage.seconds(2)
        [told] = await stage.events("judge_log_failed")
        assert "is full" in told["reason"]
    await stage.second()
    [row] = await stage.world.store.judges(stage.release.id)
    assert row.at == stage.judging._courses[stage.release.id].cases["shop"].judge.last


async def test_without_room_for_the_memory_of_units_they_are_remembered_in_ours(stage, monkeypatch):
    monkeypatch.setattr(memory.os, "posix_fallocate", full)
    await stage.start(users="new")
    assert stage.crew.case("users")["seen"] is None
    for _ in range(2):
        at = stage.at("users")
        stage.world.clock.advance(1.0)
        cells = [[0.5, [3, 0, 0, 0, []], [2, 0, 0, 0, []], {}]]
        stage.say({"at": at, "cells": cells, "units": [unit(77, candidate=True, failed=True)]}, service="users")
        stage.judging.look()
    assert stage.verdict("users").numbers.errors == (0, 1)
    assert len(await stage.events("judge_log_failed")) == 1


async def test_a_directory_that_cannot_be_made_is_no_reason_not_to_judge(tmp_path):
    path = tmp_path / "state.db"
    (tmp_path / "state.db.judge").symlink_to(tmp_path / "nowhere" / "at all")
    async with staged(path) as stage:
        await stage.start(users="new")
        assert len(await stage.events("judge_log_failed")) == 1
        assert stage.verdict("users").kind == "collecting"


async def test_a_disk_that_hangs_holds_nobody_up(stage, monkeypatch):
    monkeypatch.setattr(keeping, "DISK_SECONDS", 0.1)
    monkeypatch.setattr(cases, "UNWRITTEN", 5)
    await stage.start()
    await stage.second()
    release = threading.Event()
    blocked = stage.judging._keeping.threads.submit(release.wait)
    try:
        for _ in range(20):
            at = stage.at()
            stage.world.clock.advance(1.0)
            stage.say({"at": at})
            stage.judging.look()
            await asyncio.sleep(0)
        assert stage.verdict().numbers.seconds == 21
        assert len(stage.judging._courses[stage.release.id].cases["shop"]._lines) <= 6
        assert not await stage.judging._keeping.settle()
    finally:
        release.set()
        blocked.result()


async def test_the_log_is_of_bounded_size_and_nothing_is_missing_between_its_parts(stage, monkeypatch):
    await stage.start()
    monkeypatch.setattr(cases, "PART_BYTES", 12_000)
    await stage.seconds(40)
    found = stage.judging.log_paths(stage.release.id, "shop")
    assert len(found) == 2
    ats = [each["second"]["at"] for each in lines(*found) if "second" in each]
    assert ats == list(range(ats[0], 40))
    assert all(each.st_size < 24_000 for each in files(stage.judging._keeping.directory, "*.jsonl*").values())


async def test_what_judges_know_is_kept_every_so_often_and_at_every_word(stage, monkeypatch):
    kept = []
    real = stage.world.store.keep_judges

    async def note(rows):
        kept.append([row.at for row in rows])
        await real(rows)

    monkeypatch.setattr(stage.world.store, "keep_judges", note)
    await stage.start()
    await stage.seconds(31)
    assert 4 <= len(kept) <= 7


async def test_the_units_are_on_disk_before_what_rests_on_them(stage, monkeypatch):
    order = []
    monkeypatch.setattr(memory.Memory, "flush", lambda _: order.append("units"))
    real = stage.world.store.keep_judges

    async def note(rows):
        order.append("judges")
        await real(rows)

    monkeypatch.setattr(stage.world.store, "keep_judges", note)
    await stage.start()
    await stage.seconds(15)
    assert order[:2] == ["units", "judges"]
    assert order.count("units") >= order.count("judges")


async def test_only_its_own_user_may_look_at_what_failed(stage):
    await stage.start()
    await stage.second()
    directory = stage.judging._keeping.directory
    assert files(directory, "*.jsonl")
    found = {**files(directory), **files(stage.world.path.parent, "*.judge")}
    assert [path for path, each in found.items() if each.st_mode & 0o077] == []


async def test_an_end_that_cannot_be_written_is_written_later(stage, monkeypatch):
    await stage.start()
    await stage.seconds(3)

    async def refuse(_):
        raise StoreError("state.db", "is full", "free space")

    with monkeypatch.context() as patch:
        patch.setattr(stage.world.store, "keep_judges", refuse)
        await stage.act(Verb.ABORT)
        await stage.settled()
    stage.judging._keeping.look()
    await stage.settled()
    [row] = await stage.world.store.judges(stage.release.id)
    assert row.at == 2
    assert not files(stage.judging._keeping.directory, "*.units")


@pytest.mark.parametrize("many", [70])
async def test_ends_that_cannot_be_written_do_not_pile_up(stage, monkeypatch, many):
    async def refuse(_):
        raise StoreError("state.db", "is full", "free space")

    monkeypatch.setattr(stage.world.store, "keep_judges", refuse)
    await stage.start()
    case = stage.judging._courses[stage.release.id].cases["shop"]
    for _ in range(many):
        stage.judging._keeping.end(case)
    assert len(stage.judging._keeping._ended) == keeping.ENDED_MOST
