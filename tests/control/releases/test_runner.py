"""What is due happens, once, by commands alone; checks are made when they are wanted, and only then."""

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from gatekeeper.control.releases import process
from gatekeeper.control.releases import runner as module
from gatekeeper.control.releases.checks import Examiner
from gatekeeper.control.releases.runner import Runner
from gatekeeper.core.command import Refused, Reload, Rollback
from gatekeeper.core.model import Backend
from gatekeeper.core.release.commands import Act, StartRelease, Verb
from gatekeeper.core.release.gates import checks_of
from gatekeeper.core.release.model import ReleaseState
from gatekeeper.core.release.plan import Check, CommandCheck, HttpCheck, OnFail, Plan, Step, Window

HTTP = Check(http=HttpCheck("/ok"))
MINUTE = 60.0


@pytest.fixture(autouse=True)
def _short_looks(monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(process, "END_SECONDS", 0.2)


def plan(*weights, hold=MINUTE, **more):
    return Plan("p", tuple(Step(Decimal(each), hold) for each in weights or (10, 100)), **{"verify": (HTTP,), **more})


def command(script, timeout=60.0):
    return Check(command=CommandCheck(("sh", "-c", script), timeout))


@dataclass
class Backends:
    """What they answer, and how many of each version are ready (1 if it is not said)."""

    wrong: str = ""
    hold: asyncio.Event | None = None
    asked: list[str] = field(default_factory=list)
    ready: dict[str, int] = field(default_factory=dict)

    async def probe(self, backend, _check, _tls):
        self.asked.append(backend)
        if self.hold is not None:
            await self.hold.wait()
        return self.wrong

    def count(self, service, version):
        return self.ready.get(f"{service}/{version}", 1)


@dataclass
class Stage:
    world: object
    backends: Backends
    runner: Runner
    examiner: Examiner

    @property
    def state(self):
        return self.world.controller.state

    def release(self, number=None):
        found = self.state.releases
        return found[max(found) if number is None else number]

    @property
    def weights(self):
        return self.world.weights()

    async def start(self, plan, **services):
        services = services or {"shop": "green"}
        order = StartRelease(actor="anna", services=services, plan=plan, offset=self.runner.offset)
        return max((await self.world.controller.submit(order)).state.releases)

    async def act(self, verb, actor="ben", **more):
        more = {"release": self.release().id, "reason": "because", **more}
        order = Act(actor=actor, event=verb, **more, **self.runner.world(self.release()))
        return await self.world.controller.submit(order)

    async def until(self, *states, number=None):
        await until(lambda: self.state.releases and self.release(number).state.value in states)
        return self.release(number)

    async def at_step(self, step):
        await until(lambda: self.release().step == step)

    async def still(self):
        """Nothing happens, for several looks."""
        revision = self.state.revision
        await asyncio.sleep(0.04)
        assert self.state.revision == revision


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in the program, which has no hook for it
            await asyncio.sleep(0.002)


@asynccontextmanager
async def on(world, backends=None):
    """A runner on that control plane."""
    backends = backends or Backends()
    examiner = Examiner(
        probe=backends.probe,
        ids=lambda *names: names[2:],
        directory=str(world.path.parent),
        state_path=str(world.path),
        clock=world.clock,
        ours={"PATH": os.environ["PATH"]},
    )
    runner = Runner(world.controller, examiner, backends.count, world.clock)
    runner.start()
    try:
        yield Stage(world, backends, runner, examiner)
    finally:
        await runner.stop()
        await examiner.close()


@pytest.fixture
async def stage(world):
    async with on(world) as made:
        yield made


# From its start to its end


async def test_a_plan_is_followed_from_its_checks_to_the_promotion(stage):
    await stage.start(plan(10, 50, 100))
    for weight in (10, 50, 100):
        await until(lambda known=weight: stage.weights == {"blue": 100 - known, "green": known})
        stage.world.clock.advance(MINUTE - 1)
        await stage.still()
        stage.world.clock.advance(1)
    release = await stage.until("promoted")
    assert [(each.name, each.passed, each.output) for each in release.checks] == [
        ("http /ok", True, "1 of 1 backends passed")
    ]
    assert stage.backends.asked == ["http://127.0.0.1:9002"]
    assert stage.state.services["shop"].definition.stable == "green"
    assert {event.data["actor"] for event in await stage.world.store.events(after=2)} == {"plan"}


async def test_nothing_is_asked_for_that_would_change_nothing(stage):
    """Each command, also one without effect, leaves a row in the audit."""
    await stage.start(plan())
    await stage.at_step(0)
    stage.world.clock.advance(30)
    await asyncio.sleep(0.06)
    rows = await stage.world.store.audit()
    assert [(row.action, row.actor, row.via) for row in rows] == [
        ("check_done", "plan", "gatekeeper"),
        ("advance", "plan", "gatekeeper"),
        ("start_release", "anna", ""),
        ("start", "gatekeeper", "gatekeeper"),
    ]


async def test_a_check_that_fails_ends_the_release_before_any_user_saw_it(stage):
    stage.backends.wrong = "answered 500, expected 200"
    await stage.start(plan())
    release = await stage.until("rolled_back")
    assert stage.weights == {"blue": 100, "green": 0}
    assert "http /ok failed" in release.reason
    assert release.checks[0].output.endswith("answered 500, expected 200")


@pytest.mark.parametrize("order", [1, -1])
async def test_of_two_checks_in_one_place_the_one_that_fails_decides(stage, order):
    checks = [HTTP, Check(http=HttpCheck("/ok", body_contains="splendid"))][::order]

    async def probe(_backend, check, _tls):
        return "answered 200 without it" if check.body_contains else ""

    stage.examiner._probe = probe
    await stage.start(plan(verify=tuple(checks)))
    release = await stage.until("rolled_back")
    assert sorted(each.passed for each in release.checks) == [False, True]


async def test_a_check_before_a_later_step_fails_and_all_users_go_back(stage):
    steps = (Step(Decimal(10), MINUTE), Step(Decimal(100), MINUTE, verify=(HTTP,)))
    await stage.start(Plan("p", steps))
    await until(lambda: stage.weights["green"] == 10)
    stage.backends.wrong = "answered 500"
    stage.world.clock.advance(MINUTE)
    await stage.until("rolled_back")
    assert stage.weights == {"blue": 100, "green": 0}


async def test_after_a_failure_that_paused_it_resuming_makes_the_checks_again(stage):
    stage.backends.wrong = "answered 500"
    await stage.start(plan(on_fail=OnFail.PAUSE))
    await stage.until("paused")
    await stage.still()
    stage.backends.wrong = ""
    await stage.act(Verb.RESUME)
    await stage.at_step(0)
    assert len(stage.backends.asked) == 2


async def test_it_waits_for_a_ready_backend_and_goes_on_when_told_of_one(stage, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 60.0)
    stage.backends.ready["shop/green"] = 0
    await stage.start(plan())
    await stage.still()
    assert (stage.release().state, stage.backends.asked) == (ReleaseState.PLANNED, [])
    stage.backends.ready["shop/green"] = 1
    stage.runner.look_soon()
    await stage.at_step(0)


async def test_two_services_move_as_one_and_both_are_checked(stage):
    await stage.start(plan(hold=0), shop="green", cart="v2")
    release = await stage.until("promoted")
    assert [each.service for each in release.checks] == ["shop", "cart"]
    assert (stage.weights["green"], stage.world.weights("cart")["v2"]) == (100, 100)


async def test_when_the_old_version_is_kept_no_longer_that_is_told(stage):
    await stage.start(plan(100, hold=0, retain=600.0))
    await stage.until("promoted")
    stage.world.clock.advance(599)
    stage.runner.look_soon()
    await stage.still()
    assert stage.release().retained
    stage.world.clock.advance(2)
    stage.runner.look_soon()
    await until(lambda: not stage.release().retained)
    last = (await stage.world.store.last_events(1))[0]
    assert (last.kind, last.data["actor"], last.data["release"]) == ("release_retention_over", "plan", 2)
    await stage.still()


async def test_a_window_that_closes_in_the_middle_holds_it_until_it_opens_again(stage):
    """1,700,000,000 is 2023-11-14, a Tuesday, 22:13:20 UTC."""
    until_2300 = Window((0, 1, 2, 3, 4, 5, 6), 22 * 60, 23 * 60, "UTC")
    await stage.start(plan(10, 50, 100, hold=40 * MINUTE, window=until_2300))
    await until(lambda: stage.weights["green"] == 10)
    stage.world.clock.advance(40 * MINUTE)
    await until(lambda: stage.weights["green"] == 50)
    stage.world.clock.advance(40 * MINUTE)
    release = await stage.until("waiting")
    assert [item.kind for item in release.waiting] == ["window"]
    stage.world.clock.advance(22 * 60 * MINUTE)
    await stage.still()
    stage.world.clock.advance(60 * MINUTE)
    await until(lambda: stage.weights["green"] == 100)


# Clocks


@pytest.mark.parametrize("jump", [-(10**6), 10**6])
async def test_a_wall_clock_that_is_set_neither_shortens_nor_lengthens_a_hold(stage, jump):
    await stage.start(plan())
    await until(lambda: stage.weights["green"] == 10)
    stage.world.clock.advance(20)
    stage.world.clock.jump_wall(jump)
    await stage.still()
    stage.world.clock.advance(39)
    await stage.still()
    stage.world.clock.advance(2)
    await until(lambda: stage.weights["green"] == 100)


async def test_a_pause_does_not_count_as_holding(stage):
    await stage.start(plan())
    await stage.at_step(0)
    stage.world.clock.advance(40)
    await stage.act(Verb.PAUSE)
    stage.world.clock.advance(1000)
    await stage.still()
    await stage.act(Verb.RESUME)
    stage.world.clock.advance(19)
    await stage.still()
    stage.world.clock.advance(2)
    await stage.at_step(1)


# Checks that are not wanted any more


async def begun(stage, tmp_path, **more):
    """A release whose check hangs; its pid. It will not end when asked to."""
    script = f"trap '' TERM; echo $$ >> {tmp_path}/pids; while :; do sleep 0.02; done"
    await stage.start(plan(verify=(command(script),), **more))
    await until(lambda: pids(tmp_path))
    return pids(tmp_path)[0]


def pids(tmp_path):
    path = tmp_path / "pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_command_that_hangs_delays_no_rollback_and_is_ended(stage, tmp_path):
    pid = await begun(stage, tmp_path)
    async with asyncio.timeout(0.5):
        await stage.world.controller.submit(Rollback(actor="ben", service="shop"))
    assert stage.release().state is ReleaseState.ROLLED_BACK
    await until(lambda: not exists(pid))
    assert stage.release().checks == ()


async def test_a_pause_ends_the_checks_and_resuming_makes_them_again(stage, tmp_path):
    pid = await begun(stage, tmp_path)
    await stage.act(Verb.PAUSE)
    await until(lambda: not exists(pid))
    await stage.still()
    assert len(pids(tmp_path)) == 1
    await stage.act(Verb.RESUME)
    await until(lambda: len(pids(tmp_path)) == 2)


async def test_a_pause_that_was_over_before_anybody_looked_counts_all_the_same(stage, monkeypatch):
    stage.backends.hold = asyncio.Event()
    await stage.start(plan())
    await until(lambda: len(stage.backends.asked) == 1)
    with monkeypatch.context() as patch:
        patch.setattr(module, "LOOK_SECONDS", 60.0)
        patch.setattr(Runner, "look_soon", lambda _: None)
        await asyncio.sleep(0.02)
        await stage.act(Verb.PAUSE)
        stage.world.clock.advance(1)
        await stage.act(Verb.RESUME)
    stage.runner.look_soon()
    await until(lambda: len(stage.backends.asked) == 2)


async def test_a_skip_goes_on_without_them(stage, tmp_path):
    pid = await begun(stage, tmp_path)
    await stage.act(Verb.SKIP)
    await stage.at_step(0)
    await until(lambda: not exists(pid))


async def test_an_approval_meanwhile_leaves_them_alone(stage, tmp_path):
    pid = await begun(stage, tmp_path)
    changed = replace(stage.state.services["cart"].definition, skew=5.0)
    definition = replace(stage.world.files.definition, services={"shop": stage.world.files.definition.services["shop"]})
    definition = replace(definition, services={**definition.services, "cart": changed})
    await stage.world.controller.submit(Reload(actor="ben", definition=definition, entropy="ab" * 32))
    await asyncio.sleep(0.04)
    assert (pids(tmp_path), exists(pid)) == ([pid], True)


async def test_a_candidate_that_changes_meanwhile_is_checked_anew(stage):
    """What was found out of one address says nothing of another."""
    stage.backends.hold = asyncio.Event()
    definition = stage.world.files.definition
    shop = definition.services["shop"]
    versions = {name: replace(version, build="b1") for name, version in shop.versions.items()}
    same = replace(definition, services={**definition.services, "shop": replace(shop, versions=versions)})
    await stage.world.controller.submit(Reload(actor="ben", definition=same, entropy="ab" * 32))
    await stage.start(plan())
    await until(lambda: len(stage.backends.asked) == 1)
    moved = {**versions, "green": replace(versions["green"], backends=(Backend("http://127.0.0.1:9009"),))}
    other = replace(definition, services={**definition.services, "shop": replace(shop, versions=moved)})
    await stage.world.controller.submit(Reload(actor="ben", definition=other, entropy="ab" * 32))
    await until(lambda: len(stage.backends.asked) == 2)
    stage.backends.hold.set()
    await stage.at_step(0)
    assert stage.backends.asked == ["http://127.0.0.1:9002", "http://127.0.0.1:9009"]
    assert len(stage.release().checks) == 1


async def test_it_ends_with_its_checks_and_nothing_of_them_is_left(world, tmp_path):
    async with on(world) as stage:
        pid = await begun(stage, tmp_path)
        await asyncio.wait_for(stage.runner.stop(), 0.5)
        await stage.examiner.close()
        assert not exists(pid)
        assert stage.release().state is ReleaseState.VERIFYING


# Restarts


async def test_a_restart_in_the_middle_of_the_checks_makes_them_again(tmp_path, world_of):
    hanging = Backends(hold=asyncio.Event())
    async with world_of(tmp_path / "state.db") as world, on(world, hanging) as stage:
        await stage.start(plan())
        await until(lambda: hanging.asked)
    async with world_of(tmp_path / "state.db") as world, on(world) as stage:
        await stage.at_step(0)
        assert len(stage.backends.asked) == 1


async def test_a_restart_in_a_hold_goes_on_with_the_same_clock(tmp_path, world_of):
    async with world_of(tmp_path / "state.db") as world, on(world) as stage:
        await stage.start(plan())
        await stage.at_step(0)
        world.clock.advance(20)
        await stage.still()
    async with world_of(tmp_path / "state.db") as world:
        world.clock.advance(50)  # its clock begins where that of the first one did: 50 of 60 s are over
        async with on(world) as stage:
            await stage.still()
            world.clock.advance(11)
            await stage.at_step(1)


async def test_what_became_due_while_nothing_ran_happens_at_the_start(tmp_path, world_of):
    async with world_of(tmp_path / "state.db") as world, on(world) as stage:
        await stage.start(plan())
        await stage.at_step(0)
    async with world_of(tmp_path / "state.db") as world:
        world.clock.advance(10_000)
        async with on(world) as stage:
            await stage.at_step(1)


async def test_after_a_restart_a_wall_clock_that_was_put_back_does_not_stop_it(tmp_path, world_of):
    async with world_of(tmp_path / "state.db") as world, on(world) as stage:
        await stage.start(plan())
        await stage.at_step(0)
    async with world_of(tmp_path / "state.db") as world:
        world.clock.jump_wall(-(10**8))
        async with on(world) as stage:
            await stage.still()
            world.clock.advance(MINUTE + 1)
            await stage.at_step(1)


# What goes wrong


async def test_what_is_refused_is_tried_again_and_checks_are_not_made_again_for_it(stage, monkeypatch, caplog):
    submit, refused = stage.world.controller.submit, []

    async def refuse(order, **more):
        if type(order).__name__ == "CheckDone":
            refused.append(stage.world.clock.monotonic())
            raise Refused(503, "store_failed", "the disk is full", "free space")
        return await submit(order, **more)

    monkeypatch.setattr(stage.world.controller, "submit", refuse)
    await stage.start(plan())
    for wait in (1, 2, 4, 8, 16, 32, 60, 60):
        before = len(refused)
        await until(lambda known=before: len(refused) == known + 1 or refused)
        known = len(refused)
        stage.world.clock.advance(wait - 0.5)
        await asyncio.sleep(0.02)
        assert len(refused) == known
        stage.world.clock.advance(0.5)
        await until(lambda known=known: len(refused) == known + 1)
    assert "a release does not go on" in caplog.text
    monkeypatch.setattr(stage.world.controller, "submit", submit)
    stage.world.clock.advance(61)
    await stage.at_step(0)
    assert len(stage.backends.asked) == 1


async def test_one_that_is_slow_to_be_granted_holds_up_no_other(stage, monkeypatch):
    submit, blocked = stage.world.controller.submit, asyncio.Event()

    async def slow(order, **more):
        if getattr(order, "release", None) == 2:
            await blocked.wait()
        return await submit(order, **more)

    monkeypatch.setattr(stage.world.controller, "submit", slow)
    await stage.start(plan())
    await stage.start(plan(hold=0), cart="v2")
    await stage.until("promoted", number=3)
    assert stage.release(2).state is ReleaseState.PLANNED
    blocked.set()
    await until(lambda: stage.weights["green"] == 10)


async def test_a_defect_in_looking_at_one_ends_neither_the_looking_nor_another_release(stage, monkeypatch, caplog):
    with monkeypatch.context() as patch:

        def broken(release):
            if release.id == 2:
                raise ZeroDivisionError
            return checks_of(release)

        patch.setattr(module, "checks_of", broken)
        await stage.start(plan())
        await stage.start(plan(hold=0), cart="v2")
        await stage.until("promoted", number=3)
        assert "a release was not looked at" in caplog.text
        assert stage.release(2).state is ReleaseState.PLANNED
    await until(lambda: stage.release(2).step == 0)


async def test_a_time_zone_that_is_gone_from_the_machine_is_said_and_waited_for(stage, caplog):
    def gone(zone, _at):
        if zone == "Atlantis/Capital":
            raise LookupError(f"no time zone {zone!r}")
        return 0.0

    stage.runner.offset = lambda *_: 0.0
    zone = Window((0, 1, 2, 3, 4, 5, 6), 0, 1440, "Atlantis/Capital")
    await stage.start(plan(window=zone))
    await stage.at_step(0)
    stage.runner.offset = gone
    stage.world.clock.advance(MINUTE)
    await until(lambda: caplog.records)
    assert caplog.records[0].reason == "no time zone 'Atlantis/Capital'"
    await stage.start(plan(hold=0), cart="v2")
    await stage.until("promoted", number=max(stage.state.releases))
    await stage.world.controller.submit(Rollback(actor="ben", service="shop"))
    assert stage.release(2).state is ReleaseState.ROLLED_BACK


async def test_it_sleeps_until_what_comes_next_when_nothing_is_released(stage, monkeypatch):
    looks = []
    look = Runner._look
    monkeypatch.setattr(Runner, "_look", lambda self: looks.append(look(self)) or looks[-1])
    await stage.start(plan(100, hold=0, retain=600.0))
    await stage.until("promoted")
    await asyncio.sleep(0.03)
    assert looks[-1] == pytest.approx(600.0, abs=1)
    many = len(looks)
    await asyncio.sleep(0.05)
    assert len(looks) == many


# Checks for no release


async def test_checks_can_be_made_of_a_version_at_any_time(stage):
    results = await stage.runner.verify("shop", "green", [HTTP, command("echo $GATEKEEPER_RELEASE.; exit 1")], 5.0)
    assert [(each.gate, each.service, each.name, each.passed, each.output) for each in results] == [
        ("manual", "shop", "http /ok", True, "1 of 1 backends passed"),
        ("manual", "shop", "command sh -c echo $GATEKEEPER_RELEASE.; exit 1", False, "exit code 1\n."),
    ]
    assert stage.state.revision == 1


@pytest.mark.parametrize(("service", "version"), [("shop", "grene"), ("shp", "green")])
async def test_a_version_that_is_not_there_is_refused(stage, service, version):
    with pytest.raises(Refused) as refused:
        await stage.runner.verify(service, version, [HTTP], 5.0)
    assert (refused.value.status, "did you mean" in refused.value.detail) == (404, True)


async def test_no_more_than_some_at_once_and_who_leaves_ends_his(stage):
    stage.backends.hold = asyncio.Event()
    tasks = [asyncio.create_task(stage.runner.verify("shop", "green", [HTTP], 5.0)) for _ in range(module.MANUAL)]
    await until(lambda: len(stage.backends.asked) == module.MANUAL)
    with pytest.raises(Refused) as refused:
        await stage.runner.verify("shop", "green", [HTTP], 5.0)
    assert (refused.value.status, refused.value.code) == (503, "busy")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    stage.backends.hold.set()
    assert (await stage.runner.verify("shop", "green", [HTTP], 5.0))[0].passed


async def test_it_shows_the_checks_that_run(stage):
    stage.backends.hold = asyncio.Event()
    number = await stage.start(plan(verify=(HTTP, command("true"))))
    await until(lambda: [each["state"] for each in stage.runner.progress(number)] == ["running", "passed"])
    assert [each["name"] for each in stage.runner.progress(number)] == ["http /ok", "command sh -c true"]
    stage.backends.hold.set()
    await until(lambda: stage.runner.progress(number) == [])
    assert stage.runner.progress(99) == []


async def test_it_tells_who_is_ready(stage):
    stage.backends.ready = {"shop/green": 0, "cart/v2": 2}
    assert stage.runner.ready({"shop": "green", "cart": "v2"}) == {"shop": False, "cart": True}
