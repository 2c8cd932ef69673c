"""Runs of mirrors in the supervisor: begun, followed, kept, begun anew; and a plan's check."""

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from gatekeeper.clock import ManualClock
from gatekeeper.control.releases.candidate import Candidate
from gatekeeper.control.shadow import shadowing as module
from gatekeeper.control.shadow.shadowing import ENDED_MOST, Shadowing
from gatekeeper.core.model import Backend, Running, Service, ServiceState, Settings, Split, State, Version
from gatekeeper.core.release.plan import MirrorCheck
from gatekeeper.core.shadow.compare import Comparison, Difference, Kind
from gatekeeper.core.shadow.model import Mirror
from gatekeeper.core.shadow.runs import runs
from gatekeeper.core.shadow.tally import Outcome, Tally
from gatekeeper.telemetry.shadowed import Shadowed

MIRROR = Mirror("green", 5.0)
RUNNING = Running(Split({"blue": Decimal(1)}, {}, ""), "")


def shop(mirror: Mirror | None = MIRROR, **builds: str) -> Service:
    versions = {
        name: Version(name, (Backend(f"http://{name}"),), builds.get(name)) for name in ("blue", "green", "red")
    }
    return Service("shop", versions, "blue", {"blue": Decimal(100)}, mirror=mirror)


class Controller:
    def __init__(self, *services: Service) -> None:
        self.state = State(1, Settings(), {one.name: ServiceState(one, RUNNING) for one in services})
        self._changed = asyncio.Condition()

    async def changed(self, after: int) -> State:
        async with self._changed:
            await self._changed.wait_for(lambda: self.state.revision > after)
        return self.state

    async def set(self, *services: Service) -> None:
        async with self._changed:
            states = {one.name: ServiceState(one, RUNNING) for one in services}
            self.state = replace(self.state, revision=self.state.revision + 1, services=states)
            self._changed.notify_all()
        for _ in range(5):
            await asyncio.sleep(0)


class Crew:
    def __init__(self) -> None:
        self.told: list[list[list[object]]] = []

    def mirror(self, checks) -> None:
        self.told.append([list(each) for each in checks])


class World:
    def __init__(self, path: Path, *services: Service) -> None:
        self.path = path
        self.controller, self.crew, self.totals, self.clock = Controller(*services), Crew(), Shadowed(), ManualClock()
        self.made: list[Shadowing] = []
        self.shadowing = self.again()

    def again(self) -> Shadowing:
        """As the next program makes it."""
        self.shadowing = Shadowing(
            controller=self.controller,
            crew=self.crew,
            totals=self.totals,
            clock=self.clock,
            state_path=str(self.path / "state.db"),
        )
        self.made.append(self.shadowing)
        return self.shadowing

    def hear(self, number: str | None = None, *, equal: int = 0, different: int = 0, version: str = "green") -> None:
        """A worker's word of the present run, or of this one."""
        tally = Tally()
        for at in range(equal + different):
            places = (Difference(Kind.JSON, "$.price", "1", "2"),) if at < different else ()
            tally.count(Outcome.SENT)
            tally.compared(Comparison(places, (), True, 0.01, 0.02), "GET /cart")
        if number is None:
            found = runs(self.controller.state.services["shop"].definition) or {}
            number = next(run.id for run in found.values() if run.mirror.to == version)
        message = {"type": "shadow", "runs": [["shop", version, number, json.loads(json.dumps(tally.to_message()))]]}
        self.shadowing.hear(7, message)


@pytest.fixture
async def world(tmp_path):
    made = World(tmp_path, shop())
    await made.shadowing.start()
    yield made
    for each in made.made:
        await each.stop()


async def test_a_mirror_is_a_run_and_what_workers_say_of_it_adds_up(world):
    world.hear(equal=2, different=1)
    world.hear(equal=3)
    (run,) = world.shadowing.of("shop")
    assert (run.version, run.active, run.check) == ("green", True, False)
    assert (run.tally.asked, run.tally.different) == (6, 1)
    assert world.shadowing.of("other") == []


async def test_another_build_or_another_comparison_is_another_run_and_late_words_of_the_last_are_dropped(world):
    world.hear(equal=5)
    old = world.shadowing.of("shop")[0].id
    world.clock.advance(60)
    await world.controller.set(shop(green="7"))
    (run,) = world.shadowing.of("shop")
    assert run.tally.asked == 0
    assert run.since == world.clock.wall()
    world.hear(old, equal=5)
    assert run.tally.asked == 0
    world.hear(equal=1)
    assert run.tally.asked == 1


async def test_more_of_the_same_goes_on(world):
    world.hear(equal=5)
    await world.controller.set(shop(replace(MIRROR, percent=50.0)))
    world.hear(equal=1)
    assert world.shadowing.of("shop")[0].tally.asked == 6


async def test_a_mirror_that_was_taken_away_is_over_and_still_shown(world):
    world.hear(equal=5)
    await world.controller.set(shop(replace(MIRROR, to="red")))
    found = world.shadowing.of("shop")
    assert [(run.version, run.active, run.tally.asked) for run in found] == [("red", True, 0), ("green", False, 5)]
    await world.controller.set()
    assert world.shadowing.of("shop") == []


async def test_runs_that_are_over_are_bounded(world):
    names = [f"v{at}" for at in range(20)]
    versions = {name: Version(name, (Backend("http://x"),)) for name in ("blue", *names)}
    for name in names:
        await world.controller.set(replace(shop(), versions=versions, mirror=Mirror(name, 1.0)))
        world.clock.advance(1)
        world.hear(equal=1, version=name)
    assert [run.version for run in world.shadowing.of("shop")] == [*reversed(names)][: ENDED_MOST + 1]


async def test_a_reset_begins_anew(world):
    world.hear(equal=5)
    assert world.shadowing.reset("shop") == 1
    (run,) = world.shadowing.of("shop")
    assert (run.active, run.tally.asked) == (True, 0)
    world.hear(equal=1)
    assert run.tally.asked == 1


async def test_what_cannot_be_read_is_told_and_the_rest_counts(world, caplog):
    (run,) = world.shadowing.of("shop")
    good = Tally()
    good.count(Outcome.SHED)
    rows = [
        ["shop"],
        5,
        [["shop"], {}, [], good.to_message()],
        ["shop", "green", run.id, {"outcomes": 1}],
        ["shop", "green", run.id, good.to_message()],
    ]
    world.shadowing.hear(7, {"type": "shadow", "runs": rows})
    world.shadowing.hear(7, {"type": "shadow"})
    assert run.tally.outcomes == {Outcome.SHED: 1}
    assert len(caplog.records) == 3


async def test_the_metrics_count_what_no_run_counts_any_more(world):
    world.hear("gone", equal=2, different=1)
    (family,) = [family for family in world.totals.families() if family.name == "gatekeeper_shadow_requests"]
    assert {sample.labels["outcome"]: sample.value for sample in family.samples}["compared"] == 3


# Kept on disk


async def test_a_new_program_goes_on_with_what_the_last_one_knew(world):
    world.hear(equal=5, different=2)
    since = world.shadowing.of("shop")[0].since
    await world.shadowing.stop()
    world.clock.advance(100)
    await world.again().start()
    world.hear(equal=1)
    (run,) = world.shadowing.of("shop")
    assert (run.tally.asked, run.tally.different, run.since, run.active) == (8, 2, since, True)


async def test_what_is_kept_may_be_read_by_nobody_else(world):
    await world.shadowing.stop()
    (file,) = (world.path / "state.db.shadow").iterdir()
    assert file.name == "shop@green.json"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    "text", ["", "{}", "[" * 5000, '{"format": 2}', '{"format": 1, "service": "other"}', "x" * 5_000_000]
)
async def test_a_damaged_file_is_told_of_and_the_run_begins_anew(world, caplog, text):
    world.hear(equal=5)
    await world.shadowing.stop()
    file = world.path / "state.db.shadow" / "shop@green.json"
    file.write_text(text)
    await world.again().start()
    assert world.shadowing.of("shop")[0].tally.asked == 0
    assert "begins anew" in caplog.text
    await world.shadowing.stop()
    assert json.loads(file.read_text())["service"] == "shop"


async def test_a_file_of_a_mirror_that_changed_meanwhile_does_not_count(world):
    world.hear(equal=5)
    await world.shadowing.stop()
    await world.controller.set(shop(green="8"))
    await world.again().start()
    assert world.shadowing.of("shop")[0].tally.asked == 0


async def test_files_of_services_that_are_gone_go_too(world):
    world.hear(equal=5)
    await world.shadowing.stop()
    await world.controller.set()
    await world.again().start()
    await world.shadowing.stop()
    assert [*(world.path / "state.db.shadow").iterdir()] == []


async def test_a_directory_that_cannot_be_made_costs_nothing_but_the_report_after_a_restart(tmp_path, caplog):
    (tmp_path / "state.db.shadow").write_text("in the way")
    world = World(tmp_path, shop())
    await world.shadowing.start()
    world.hear(equal=5)
    await world.shadowing.stop()
    assert world.shadowing.of("shop")[0].tally.asked == 5
    assert "runs of mirrors are not kept" in caplog.text


async def test_while_another_program_goes_on_with_it_nothing_is_written(world):
    world.hear(equal=5)
    await world.shadowing.pause()
    first, former = world.shadowing, world.path / "state.db.shadow" / "shop@green.json"
    kept = former.read_text()
    world.hear(equal=5)
    await first.stop()
    assert former.read_text() == kept


async def test_after_a_hand_over_that_failed_everything_is_written_again(world):
    world.hear(equal=5)
    await world.shadowing.pause()
    file = world.path / "state.db.shadow" / "shop@green.json"
    file.write_text("the other program's")
    await world.shadowing.resume()
    await world.shadowing.stop()
    assert json.loads(file.read_text())["tally"]["outcomes"]["compared"] == 5


# A plan's check

CHECK = MirrorCheck(Mirror("", 20.0, methods=("GET",)), seconds=60.0, max_different=0.1, at_least=10)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(module, "TURN_SECONDS", 0.05)


def candidate(version: str = "green") -> Candidate:
    of = shop()
    return Candidate(of, of.versions[version], Settings())


async def checking(world) -> "asyncio.Task":
    task = asyncio.create_task(world.shadowing.check(CHECK, candidate()))
    await asyncio.sleep(0.01)
    return task


async def test_a_check_is_told_to_workers_and_has_a_run_of_its_own(world, quick):
    task = await checking(world)
    ((service, number, mirror),) = world.crew.told[-1]
    assert service == "shop"
    assert (mirror["to"], mirror["percent"], mirror["methods"]) == ("green", 20.0, ["GET"])
    world.hear(number, equal=20)
    world.hear(equal=3)
    await asyncio.sleep(0.01)
    assert not task.done()
    world.clock.advance(61)
    finding = await task
    assert finding.passed
    assert finding.text.startswith("0 of 20 answers differ")
    assert world.crew.told[-1] == []
    runs_ = world.shadowing.of("shop")
    assert [(run.check, run.active, run.tally.asked) for run in runs_] == [(False, True, 3), (True, False, 20)]


async def test_a_candidate_that_differs_too_often_fails_at_once(world, quick):
    task = await checking(world)
    world.hear(world.crew.told[-1][0][1], different=10)
    finding = await task
    assert not finding.passed
    assert "too many answers differ: 10 of 10" in finding.text


async def test_a_check_that_is_cancelled_tells_workers_to_stop(world, quick):
    task = await checking(world)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert world.crew.told[-1] == []
    again = await checking(world)
    world.hear(world.crew.told[-1][0][1], different=10)
    assert not (await again).passed


async def test_a_second_check_of_a_service_does_not_mix_with_the_first(world, quick):
    task = await checking(world)
    finding = await world.shadowing.check(CHECK, candidate("red"))
    assert not finding.passed
    assert "another mirror check of service shop" in finding.text
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_check_that_is_made_again_waits_until_the_one_before_has_ended(world, quick):
    first = await checking(world)
    second = asyncio.create_task(world.shadowing.check(CHECK, candidate()))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0.01)
    world.hear(world.crew.told[-1][0][1], different=10)
    assert "too many" in (await second).text
