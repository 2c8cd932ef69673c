"""A restart goes on where the judge was: after a kill to the second, after a power cut from what was kept."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gatekeeper.control.judging import keeping, resume
from gatekeeper.control.judging.judging import Judging
from gatekeeper.control.judging.memory import WHOLE
from gatekeeper.control.store.rows import Judgement
from gatekeeper.control.store.store import StoreError
from gatekeeper.core.judge.judge import Judge
from gatekeeper.core.release.commands import Verb
from tests.control.judging.stage import BOOT, files, lines, part, plan, staged, unit
from tests.core.judge.worlds import replay


@pytest.fixture(autouse=True)
def _kept_rarely(monkeypatch):
    """So that a restart needs the log."""
    monkeypatch.setattr(keeping, "KEEP_SECONDS", 1000.0)


def row(path, service="shop"):
    with closing(sqlite3.connect(path)) as found:
        return found.execute("SELECT at, dump FROM judges WHERE service = ?", (service,)).fetchone()


def tear(log):
    with Path(log).open("ab") as file:
        file.write(b'{"second": {"at": 5, "cel')


def harm(memory, loss):
    if loss == "unlink":
        memory.unlink()
    elif loss == "shorter":
        memory.write_bytes(memory.read_bytes()[:-1])
    else:
        memory.write_bytes(bytes(memory.stat().st_size))


async def begun(stage, many=5, **services):
    await stage.start(plan(100, 100) if services.pop("whole", False) else plan(), **services)
    await stage.seconds(many, (30, 1), (30, 1))


async def test_a_kill_loses_no_second(tmp_path):
    path = tmp_path / "state.db"
    async with staged(path) as stage:
        await begun(stage)
        before, origin = stage.judging._courses[stage.release.id].cases["shop"], stage.crew.case()["origin"]
        assert row(path)[0] < before.judge.last  # so the log has to make up for it
        stage.kill()
    async with staged(path, monotonic=9.0) as stage:
        after = stage.judging._courses[stage.release.id].cases["shop"]
        assert after.judge.dump() == before.judge.dump()
        assert stage.crew.case()["origin"] == origin
        assert stage.verdict().kind == "collecting"


async def test_seconds_that_nobody_heard_are_neither_evidence_nor_time(tmp_path):
    path = tmp_path / "state.db"
    async with staged(path) as stage:
        await begun(stage)
        stage.kill()
    async with staged(path, monotonic=3600.0) as stage:
        await stage.seconds(2, (30, 1), (30, 1))
        numbers = stage.verdict().numbers
        assert numbers.seconds == 7
        assert numbers.requests == (210, 210)
        assert stage.judging._courses[stage.release.id].cases["shop"].judge.last == 3601


async def test_after_a_long_gap_nothing_passes_by_what_was_said_before_it(tmp_path):
    path = tmp_path / "state.db"
    async with staged(path) as stage:
        await stage.start(plan(10, 50, 100))
        await stage.seconds(5, (54, 1), (6, 0), weight=0.1)
        assert stage.release.verdict.passes
        stage.kill()
    async with staged(path, monotonic=3600.0) as stage:
        assert not stage.release.verdict.passes
        await stage.advance()
        assert stage.release.step == 0


async def test_a_stop_keeps_everything(tmp_path):
    path = tmp_path / "state.db"
    async with staged(path) as stage:
        await begun(stage)
        dumped = stage.judging._courses[stage.release.id].cases["shop"].judge.dump()
    at, kept = row(path)
    assert at == 4
    assert json.loads(kept)["judge"] == json.loads(json.dumps(dumped))


@pytest.mark.parametrize("monotonic", [-990.0, 300.0])
async def test_after_a_power_cut_it_goes_on_from_what_was_kept(tmp_path, monotonic):
    path = tmp_path / "state.db"
    async with staged(path) as stage:
        await begun(stage)
        stage.judging._keeping.look(soon=True)
        await stage.settled()
        kept = stage.judging._courses[stage.release.id].cases["shop"].judge.dump()
        await stage.seconds(3, (30, 1), (30, 1))
        stage.kill()
    async with staged(path, monotonic=monotonic, boot="the-second-boot") as stage:
        case = stage.judging._courses[stage.release.id].cases["shop"]
        assert case.judge.dump() == kept  # the log is not asked for
        await stage.second((30, 1), (30, 1))
        assert case.judge.last == 8  # after all that ever was
        assert stage.verdict().kind == "collecting"
        assert stage.verdict().numbers.requests == (180, 180)
        stage.kill()
    async with staged(path, monotonic=monotonic + 10.0, boot="the-second-boot") as stage:
        assert stage.verdict().numbers.requests == (180, 180)


async def test_a_boot_that_is_not_known_counts_as_another(tmp_path):
    path = tmp_path / "state.db"
    async with staged(path, boot="") as stage:
        await begun(stage)
        stage.kill()
    async with staged(path, boot="", monotonic=20.0) as stage:
        assert stage.verdict().numbers.seconds == row(path)[0] + 1 == 1


async def test_a_rollback_that_was_never_taken_is_told_by_the_next_program(tmp_path):
    path = tmp_path / "state.db"
    async with staged(path) as stage:
        await begun(stage)

        async def never(*_, **__):
            await asyncio.Event().wait()

        stage.world.controller.submit, stage.stuck = never, True
        await stage.second((20, 0), (20, 19))
        assert stage.release.state.value == "progressing"
        stage.kill()
    async with staged(path, monotonic=8.0) as stage:
        stage.judging.look()
        await stage.settled()
        assert stage.release.state.value == "rolled_back"


LOST = "carried on"


@pytest.mark.parametrize(
    "loss",
    [
        "DELETE FROM judges",
        "UPDATE judges SET dump = '{}'",
        "UPDATE judges SET dump = 'nonsense'",
        "UPDATE judges SET dump = replace(dump, '\"gathering\"', '\"gatherings\"')",
        "UPDATE judges SET dump = replace(dump, '\"analysis\"', '\"analyses\"')",
    ],
)
async def test_what_is_not_there_any_more_ends_the_comparison_and_begins_no_new_one(tmp_path, loss):
    path = tmp_path / "state.db"
    async with staged(path) as stage:
        await begun(stage)
        stage.kill()
        [log] = stage.judging.log_paths(stage.release.id, "shop")
    tear(log)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(loss)
    async with staged(path, monotonic=9.0) as stage:
        await stage.seconds(20, (200, 0), (200, 0))
        assert stage.release.verdict.kind == "invalid"
        assert LOST in stage.release.verdict.sentence
        await stage.second((20, 0), (20, 19))
        assert stage.release.state.value == "progressing"
    assert all("judge" in each or "second" in each for each in lines(log))


@pytest.mark.parametrize("service", ["users", "cart"])
@pytest.mark.parametrize("loss", ["unlink", "shorter", "zeros"])
async def test_a_memory_of_units_that_is_not_there_ends_the_comparison(tmp_path, loss, service):
    path = tmp_path / "state.db"
    async with staged(path) as stage:
        await stage.start(**{service: "new" if service == "users" else "v2"})
        [memory] = files(f"{path}.judge", "*.units")
        stage.kill()
    harm(memory, loss)
    async with staged(path, monotonic=9.0) as stage:
        stage.judging.look()
        await stage.settled()
        if (service, loss) == ("cart", "zeros"):
            assert stage.release.verdict is None  # which has no units, and nothing is missing
            return
        assert stage.release.verdict.kind == "invalid"
        assert "memory of units" in stage.release.verdict.sentence
        assert [each.st_size for each in files(memory.parent, "*.units").values()] == [WHOLE]


async def test_units_that_were_bet_on_are_remembered_after_a_kill(tmp_path):
    path = tmp_path / "state.db"

    async def seen(stage, number):
        at = stage.at("users")
        stage.world.clock.advance(1.0)
        cells = [[0.5, [3, 0, 0, 0, []], [2, 0, 0, 0, []], {}]]
        stage.say({"at": at, "cells": cells, "units": [unit(number, candidate=True, failed=True)]}, service="users")
        stage.judging.look()
        await stage.settled()

    async with staged(path) as stage:
        await stage.start(users="new")
        await seen(stage, 77)
        stage.kill()
    async with staged(path, monotonic=9.0) as stage:
        await seen(stage, 77)
        assert stage.verdict("users").numbers.errors == (0, 1)
        await seen(stage, 78)
        assert stage.verdict("users").numbers.errors == (0, 2)


async def test_evidence_that_is_in_no_file_is_missed_by_the_count_in_memory(tmp_path, monkeypatch):
    """As after a kill in the middle of an hour with a full disk."""
    path = tmp_path / "state.db"
    async with staged(path) as stage:
        await begun(stage)
        stage.judging._keeping.look(soon=True)
        await stage.settled()
        monkeypatch.setattr(keeping, "_append_all", lambda _: "the disk is full")
        stage.judging._keeping._store = Full()
        await stage.seconds(resume.FORGOTTEN + 1)
        stage.kill()
        monkeypatch.undo()
    async with staged(path, monotonic=60.0) as stage:
        stage.judging.look()
        await stage.settled()
        assert stage.release.verdict.kind == "invalid"
        assert f"the evidence of {resume.FORGOTTEN + 1} s" in stage.release.verdict.sentence


class Full:
    """A state file without room."""

    async def keep_judges(self, _):
        raise StoreError("state.db", "is full", "free space")

    async def judges(self, _):
        return []


async def test_a_release_that_was_judged_before_is_never_begun_anew(tmp_path):
    """As one is that somebody's undoing brought back."""
    async with staged(tmp_path / "state.db") as stage:
        release = stage.world.controller.state.revision + 1
        await stage.world.store.keep_judges([Judgement(release, "shop", 7, 0.0, {})])
        assert (await stage.start()).id == release
        assert stage.verdict().kind == "invalid"


async def test_a_torn_line_is_cut_off_and_the_log_goes_on_with_a_header(tmp_path):
    path = tmp_path / "state.db"
    async with staged(path) as stage:
        await begun(stage)
        [log] = stage.judging.log_paths(stage.release.id, "shop")
        stage.kill()
    tear(log)
    async with staged(path, monotonic=9.0) as stage:
        assert stage.verdict().numbers.seconds == 5
        await stage.seconds(2, (30, 1), (30, 1))
    found = lines(log)
    assert ["judge" in each for each in found] == [True, *[False] * 5, True, False, False]
    assert {each["boot"] for each in found if "judge" in each} == {BOOT}


async def test_the_log_gives_the_same_verdicts_again(tmp_path):
    path = tmp_path / "state.db"
    async with staged(path) as stage:
        await begun(stage, 8)
        await stage.second((20, 0), (20, 19))
        [log] = stage.judging.log_paths(stage.release.id, "shop")
    header, *seconds = lines(log)
    assert (header["release"], header["service"], len(seconds)) == (stage.release.id, "shop", 9)
    judge = Judge.load(header["judge"])
    verdicts = replay(header["judge"], [each["second"] for each in seconds])
    for each, verdict in zip(seconds, verdicts, strict=True):
        assert each["kind"] == verdict.kind
        assert each["odds"] == verdict.numbers.log_odds
    assert judge.last == -1


async def test_handing_over_gives_the_new_program_everything_and_taking_back_goes_on(tmp_path):
    path = tmp_path / "state.db"
    async with staged(path) as stage:
        await begun(stage)
        await stage.judging.pause()
        assert row(path)[0] == 4
        at = stage.at()
        stage.world.clock.advance(1.0)
        stage.say(part(at, (30, 0), (30, 0)))
        stage.judging.look()
        await stage.settled()
        assert stage.verdict().numbers.seconds == 5
        await stage.judging.resume()
        stage.judging.look()
        assert stage.verdict().numbers.seconds == 6
        await stage.judging.pause()
        # The new program, in its own process, has the same files.
        world, crew = stage.world, type(stage.crew)()
        heir = Judging(
            controller=world.controller,
            crew=crew,
            store=world.store,
            tell=world.feed.tell,
            clock=world.clock,
            steady=lambda _: world.clock.wall(),
            world=stage.worldly,
            state_path=str(path),
            boot=BOOT,
        )
        await heir.start()
        [standing] = heir.verdicts(stage.release.id)
        assert standing.verdict.numbers.seconds == 6
        assert crew.case() == stage.crew.case()
        await heir.pause()
        before = files(f"{path}.judge")
        await stage.judging.stop()  # the old one leaves, and touches nothing
        assert files(f"{path}.judge") == before
        await heir.stop()


async def test_a_paused_release_is_found_again(tmp_path):
    path = tmp_path / "state.db"
    async with staged(path) as stage:
        await begun(stage)
        await stage.act(Verb.PAUSE)
        stage.kill()
    async with staged(path, monotonic=9.0) as stage:
        assert stage.verdict().numbers.seconds == 5


async def test_a_release_that_ended_is_not_begun_again(tmp_path):
    path = tmp_path / "state.db"
    async with staged(path) as stage:
        await begun(stage)
        await stage.act(Verb.ABORT)
        release = stage.release.id
        assert not files(f"{path}.judge", "*.units")
    async with staged(path, monotonic=9.0) as stage:
        assert stage.crew.sent == []
        [standing] = await stage.judging.recorded(release)
        assert standing.verdict.numbers.seconds == 5
        assert len(stage.judging.log_paths(release, "shop")) == 1
