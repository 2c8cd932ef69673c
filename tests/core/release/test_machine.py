"""Releases under everything at once: people who do anything, clocks that jump, backends that fail, restarts.

A machine does what comes to mind and after each act compares what there is with what it has seen itself: who approved,
which checks passed, what the judge said of each hold, how much time really went by in it.
"""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gatekeeper.core.codec import load
from gatekeeper.core.command import (
    CheckDone,
    Command,
    Confirm,
    Deploy,
    Drain,
    Expire,
    Judged,
    Refused,
    Reload,
    ResetTrip,
    Restore,
    Retire,
    Rollback,
    SetSplit,
    TripVersion,
    apply,
    initial_state,
)
from gatekeeper.core.judge.analysis import Analysis, Demand
from gatekeeper.core.model import Release, State
from gatekeeper.core.outcome import plain
from gatekeeper.core.release import demand, gates
from gatekeeper.core.release.due import next_due
from gatekeeper.core.release.model import LOG_KEPT, TOLD, CheckResult, ReleaseState, SkipKind, VerdictView
from gatekeeper.core.release.plan import DIRECT, Freeze, OnFail, Plan, Step, Window
from tests.core.releases import HEALTHZ, SMOKE, World, asked
from tests.core.states import definition, past, service, start, version, weights, written
from tests.core.test_command_properties import is_sound

S = ReleaseState
SERVICES = ("shop", "cart")
PEOPLE = {"ann": "product", "ben": "product", "eve": "engineering", "dan": "product engineering", "tom": ""}
KINDS = {f"release_{word}" for word in TOLD}
ENDED_BACK = (S.ROLLED_BACK, S.ABORTED)


def step(weight: int, hold: float, **options: Any) -> Step:
    return Step(Decimal(weight), hold, **options)


PLANS = (
    DIRECT,
    Plan(
        "careful",
        (step(10, 60), step(50, 60, approve=asked("product", expires=300)), step(100, 30)),
        verify=(HEALTHZ, SMOKE),
        approve=asked("engineering", "product", expires=200),
        retain=500,
    ),
    Plan(
        "nights",
        (step(5, 100), step(40, 10, pause=True), step(100, 0)),
        window=Window(tuple(range(7)), 22 * 60, 23 * 60),
        on_fail=OnFail.PAUSE,
    ),
    Plan(
        "judged",
        (step(20, 50), step(60, 50, verify=(SMOKE,)), step(100, 50)),
        max_hold=120,
        retain=0,
        analysis=Analysis(deadline=60),
    ),
    Plan(
        "proven",
        (step(20, 0), step(40, 50, approve=asked("product")), step(60, 0), step(100, 0)),
        on_fail=OnFail.PAUSE,
        analysis=Analysis(steps=Demand.PASSED),
    ),
)
WORST_FIRST = ("rollback", "shared_trouble", "invalid", "suspicious", "not_enough_data", "collecting", "passed")
ALARMS = WORST_FIRST[:4]
who = st.sampled_from(sorted(PEOPLE))
names = st.sampled_from(SERVICES)
versions = st.sampled_from(("blue", "green", "red", "white"))
plans = st.sampled_from(PLANS)
builds = st.sampled_from((None, "7"))
rarely = st.sampled_from((True, False, False, False))
times = st.sampled_from((None, None, -50.0, 90.0))
files = st.sampled_from(("blue green red", "blue red", "blue green red white", "green blue"))


class Releases(RuleBasedStateMachine):
    world: World
    states: dict[int, State]
    before: State
    ran: dict[int, float]
    """Release -> seconds its present hold really ran, by the steady clock."""
    said: dict[int, tuple[str, bool] | None]
    """Release -> what the judge said last since this step was taken: kind, and whether it held anything against it."""
    last: dict[int, str]
    """Release -> the kind of verdict that it said last at all."""
    accepted: dict[int, str]
    """Release -> the kind that somebody accepted, by a skip with a reason, since this step was taken."""

    @initialize(split=st.sampled_from(((100, 0), (60, 40))))
    def begin(self, split: tuple[int, int]) -> None:
        held = dict(zip(("blue", "red"), map(Decimal, split), strict=True))
        self.world = World(start(service("shop", split=held), service("cart", skew=60.0)))
        self.states = {1: self.world.state}
        self.before = self.world.state
        self.ran = {}
        self.said, self.last, self.accepted = {}, {}, {}

    # What happens

    def do(self, command: Command) -> bool:
        """Whether it was granted; a refusal left everything as it was."""
        world = self.world
        self.pass_time(0.001)
        self.before, text = world.state, written(world.state)
        try:
            outcome = world.do(command)
        except Refused as refused:
            refusal: Refused | None = refused
        else:
            refusal = None
        if refusal is not None:
            assert refusal.status in (404, 409, 422)
            assert refusal.allowed
            assert written(world.state) == text
            world.told = []
            return False
        assert written(self.before) == text
        if outcome.state is self.before:
            assert not outcome.changes
            assert not outcome.events
            return True
        assert outcome.state.revision == self.before.revision + 1
        assert outcome.changes
        assert {event["revision"] for event in outcome.events} == {outcome.state.revision}
        assert {event["kind"] for event in outcome.events if event["kind"].startswith("release_")} <= KINDS
        self.explains(outcome.events)
        self.states[outcome.state.revision] = outcome.state
        self.follows(command)
        return True

    def explains(self, events: Any) -> None:
        """History explains every weight: some event of the revision has the split of each service that changed."""
        for name, item in self.world.state.services.items():
            was = self.before.services.get(name)
            held = {key: weight for key, weight in plain(item.running.split.weights).items() if weight}
            if was is None or held == {key: one for key, one in plain(was.running.split.weights).items() if one}:
                continue
            told = [event["splits"][name]["after"] for event in events if name in event.get("splits", ())]
            told += [event["after"] for event in events if event.get("service") == name and "after" in event]
            told += [
                change["after"]
                for event in events
                for change in event.get("changes", ())
                if change["path"] == f"services.{name}.split"
            ]
            assert held in [{key: one for key, one in each.items() if one} for each in told]

    def follows(self, command: Command) -> None:
        """Each release went on as it may."""
        for number, now in self.world.state.releases.items():
            was = self.before.releases.get(number)
            if was is None:
                self.ran[number] = 0.0
                self.said[number] = None
                continue
            if len(now.skipped) > len(was.skipped) and now.skipped[-1].kind is not SkipKind.CHECKS:
                assert now.skipped[-1].reason
                self.accepted[number] = self.last.get(number, "collecting")
            assert now.seen >= was.seen
            assert now.step >= was.step or now.state in ENDED_BACK
            assert not (was.state in ENDED_BACK and now != was)
            if now.step > was.step and was.step >= 0:
                self.held_long_enough(was, now)
            if (now.step > was.step or now.state is S.PROMOTED is not was.state) and now.plan.analysis is not None:
                self.judge_let_it(was, now)
            if now.step != was.step:
                self.ran[number] = 0.0
                self.said[number] = None
                self.accepted.pop(number, None)
            if now.state in ENDED_BACK and was.state not in ENDED_BACK:
                self.is_back(was, command)

    def held_long_enough(self, was: Release, now: Release) -> None:
        skipped = any(item.kind is SkipKind.HOLD and item.gate == str(was.step) for item in now.skipped)
        promoted = now.state is S.PROMOTED and now.reason.startswith("promoted by")
        hold = was.plan.steps[was.step].hold
        assert skipped or promoted or self.ran[was.id] >= hold - 0.001

    def judge_let_it(self, was: Release, now: Release) -> None:
        """No weight grows, and nothing becomes stable, but by a word about this very hold that is no alarm, and
        everything only by proof; or somebody accepted what the judge said, and nothing worse.
        """
        if was.step < 0:
            # The first step has nothing to be judged by; a promotion instead of it is none.
            assert now.step == 0
            return
        analysis, said = was.plan.analysis, self.said[was.id]
        assert analysis is not None
        kind = None if said is None else said[0]
        everything = was.plan.steps[now.step].weight == 100 and was.plan.steps[was.step].weight < 100
        by_hand = now.step > was.step + 1
        proof = everything or (analysis.steps is Demand.PASSED and was.plan.steps[was.step].weight < 100)
        if said is not None and said[1] and kind not in ALARMS and (kind == "passed" or not proof):
            return
        accepted = self.accepted[was.id]
        assert not by_hand
        assert kind not in ALARMS or WORST_FIRST.index(accepted) <= WORST_FIRST.index(kind)

    def is_back(self, was: Release, command: Command) -> None:
        """The weights are those of before the release, for everybody but who went since."""
        restored = isinstance(command, Restore) or (isinstance(command, Rollback) and command.to_revision is not None)
        for move in was.moves:
            item = self.world.state.services.get(move.service)
            if item is None:
                continue
            run = item.running
            assert not run.split.weights.get(move.to)
            assert move.to not in run.superseded or not move.first
            if restored:
                continue
            before = self.states[was.id - 1].services[move.service].running
            gone = {*run.tripped, *run.draining, *(before.split.weights.keys() - run.split.weights.keys())}
            if not gone & {name for name, weight in before.split.weights.items() if weight}:
                kept = {name: weight for name, weight in run.split.weights.items() if weight}
                assert kept == {name: weight for name, weight in before.split.weights.items() if weight}

    # People

    @property
    def releases(self) -> list[Release]:
        return list(self.world.state.releases.values())

    @precondition(lambda self: sum(len(item.services) for item in self.releases if item.active) < len(SERVICES))
    @rule(name=names, both=st.booleans(), by=plans, actor=who, ahead=times, data=st.data())
    def start_one(self, name: str, both: bool, by: Plan, actor: str, ahead: float | None, data: st.DataObject) -> None:
        there = self.world.state.services.get(name)
        idle = (
            [
                key
                for key, weight in there.running.split.weights.items()
                if not weight and key != there.definition.stable
            ]
            if there is not None
            else []
        )
        to = data.draw(st.sampled_from([*idle * 3, "blue", "white"]))
        services = dict.fromkeys(SERVICES, to) if both else {name: to}
        at = None if ahead is None else self.world.now + ahead
        self.do(self.world.starting(by=by, actor=actor, services=services, at=at))

    @precondition(lambda self: self.releases)
    @rule(
        name=names,
        verb=st.sampled_from(
            ("approve", "approve", "approve", "reject", "pause", "resume", "resume", "skip", "promote", "abort")
        ),
        actor=who,
        reason=st.sampled_from(("because", "")),
        gate=st.sampled_from((None, None, None, "start", "1")),
    )
    def act(self, name: str, verb: str, actor: str, reason: str, gate: str | None) -> None:
        self.do(self.world.acting(verb, actor, PEOPLE[actor], service=name, reason=reason, gate=gate))

    @precondition(lambda self: any(item.active for item in self.releases))
    @rule(seconds=st.sampled_from((0.0, 31.0, 61.0, 101.0)), times=st.integers(1, 3))
    def go_on(self, seconds: float, times: int) -> None:
        """Everybody does what the release waits for."""
        for _ in range(times):
            self.everybody_does_it(seconds)

    def everybody_does_it(self, seconds: float) -> None:
        for item in self.releases:
            if item.active:
                self.hear(item, "passed")
            match item.state:
                case S.VERIFYING:
                    self.do(self.checking(item))
                case S.WAITING | S.PAUSED:
                    for person, groups in PEOPLE.items():
                        self.do(self.world.acting("approve", person, groups, release=item.id))
                    self.do(self.world.acting("resume", "ben", release=item.id))
                case S.PLANNED:
                    self.world.ready = dict.fromkeys(SERVICES, True)
        self.pass_time(seconds)
        self.look()

    @precondition(lambda self: self.releases)
    @rule(name=names, sure=rarely)
    def roll_back(self, name: str, sure: bool) -> None:
        """A rollback of a release that is under way or retained is never refused, and takes back all of it."""
        if not sure:
            return
        world = self.world
        to_end = [item for item in self.releases if name in item.services and (item.active or item.retained)]
        done = self.do(Rollback(actor="ann", service=name))
        assert done or not to_end
        for item in to_end:
            assert world.state.releases[item.id].state is S.ROLLED_BACK
            for move in item.moves:
                assert world.weight(move.to, move.service) == 0
                assert world.stable(move.service) == move.stable

    @rule(data=st.data(), what=st.sampled_from(("split", "split", "deploy", "retire", "drain", "reset", "edit")))
    def disturb(self, data: st.DataObject, what: str) -> None:
        """Somebody else does something."""
        draw = data.draw
        name, of = draw(names), draw(versions)
        within = draw(st.sampled_from((None, None, 60.0)))
        who = {"actor": "tom", "confirm_within": within}
        match what:
            case "split":
                wanted = weights(blue=draw(st.integers(0, 2)), red=draw(st.integers(0, 2)))
                salt = f"{self.world.state.revision:032x}"
                self.do(SetSplit(**who, service=name, weights=wanted, salt=salt))
            case "deploy":
                made = version(of, draw(st.sampled_from(("http://a:1", "http://b:1"))), build=draw(builds))
                self.do(Deploy(**who, service=name, version=made))
            case "retire":
                self.do(Retire(**who, service=name, version=of))
            case "drain":
                self.do(Drain(**who, service=name, version=of, seconds=30.0))
            case "reset":
                self.do(ResetTrip(**who, service=name))
            case _:
                items = [service("shop", draw(files), skew=60.0), *([service("cart")] * draw(st.integers(0, 1)))]
                file = replace(definition(*items), releasing=self.world.state.releasing)
                self.do(Reload(**who, definition=file, entropy="e", reset_split=draw(rarely), stored=self.stored()))

    @rule(data=st.data(), name=st.sampled_from((None, *SERVICES)), weights_only=st.booleans())
    def go_back(self, data: st.DataObject, name: str | None, weights_only: bool) -> None:
        revision = data.draw(st.sampled_from(sorted(self.states)))
        then = self.states[revision]
        if weights_only and name is not None:
            held = then.services[name].running.split.weights if name in then.services else None
            self.do(Rollback(actor="ann", service=name, to_revision=revision, weights=held))
        elif data.draw(rarely):
            self.do(Restore(actor="tom", revision=revision, past=past(then), service=name, entropy="e"))

    @precondition(lambda self: self.world.state.pending)
    @rule(stays=st.booleans())
    def settle(self, stays: bool) -> None:
        revision = self.world.state.pending[0].revision
        self.do(Confirm(actor="ann", revision=revision) if stays else Expire(actor="g", revision=revision))

    # The world

    def stored(self) -> dict[str, Any]:
        """What the store has of every service that ever was."""
        every = (*self.states.values(), self.world.state)
        return {key: each.running for one in every for key, each in one.services.items()}

    @precondition(lambda self: self.releases)
    @rule(name=names, of=versions, sure=rarely)
    def trip(self, name: str, of: str, sure: bool) -> None:
        if sure:
            self.do(TripVersion(actor="g", service=name, version=of, reason="errors"))

    @rule(name=names, ready=st.sampled_from((True, True, True, False)))
    def backends(self, name: str, ready: bool) -> None:
        self.world.ready = {**(self.world.ready or {}), name: ready}

    def checking(self, item: Release, *, passed: bool = True) -> CheckDone:
        found = gates.checks_of(item)
        assert found is not None
        results = tuple(
            CheckResult(found[0], name, check.name, passed, 0.1, "out", 0.0)
            for name in item.services
            for check in found[1]
        )
        return CheckDone(actor="plan", release=item.id, gate=found[0], results=results, **self.world.known)

    @precondition(lambda self: any(item.state is S.VERIFYING for item in self.releases))
    @rule(passed=st.sampled_from((True, True, False)), part=st.booleans())
    def check(self, passed: bool, part: bool) -> None:
        for item in self.releases:
            if item.state is S.VERIFYING:
                done = self.checking(item, passed=passed)
                self.do(replace(done, results=done.results[:1]) if part else done)

    @precondition(lambda self: any(item.active for item in self.releases))
    @rule(
        kind=st.sampled_from((*WORST_FIRST, "suspicious", "collecting", "passed")),
        fine=st.sampled_from((True, True, False)),
    )
    def judge(self, kind: str, fine: bool) -> None:
        for item in self.releases:
            if item.active:
                self.hear(item, kind, fine=fine)

    def hear(self, item: Release, kind: str, *, fine: bool = True) -> None:
        """The judge says something; a rollback is acted upon at once, wherever the release is."""
        known = item.verdict
        self.said[item.id], self.last[item.id] = (kind, fine), kind
        verdict = VerdictView(kind, kind, passes=fine)
        news = demand.is_news(item, verdict)
        self.do(Judged(actor="judge", release=item.id, verdict=verdict, **self.world.known))
        now = self.world.state.releases[item.id]
        assert not demand.is_news(now, verdict) or now.step > item.step or not now.active
        assert news or now == item
        if kind == "rollback" and (known is None or known.kind != "rollback"):
            assert now.state is (S.PAUSED if item.plan.on_fail is OnFail.PAUSE else S.ROLLED_BACK)

    @rule(seconds=st.sampled_from((1.0, 30.0, 60.0, 61.0, 250.0, 3000.0)))
    def time(self, seconds: float) -> None:
        self.pass_time(seconds)
        self.look()

    def pass_time(self, seconds: float) -> None:
        self.world.passed(seconds)
        for item in self.releases:
            if item.state is S.PROGRESSING:
                self.ran[item.id] += seconds

    @rule(seconds=st.sampled_from((-90_000.0, -61.0, -1.0, 61.0, 3600.0, 90_000.0)))
    def jump(self, seconds: float) -> None:
        self.world.now += seconds
        self.look()

    @rule()
    def look(self) -> None:
        """The runner does what is due. Then nothing is, until the time it was told."""
        for number in list(self.world.state.releases):
            self.do(self.world.advancing(number))
            item, world = self.world.state.releases[number], self.world
            again = world.advancing(number)
            assert apply(world.state, again, world.now).state is world.state
            due = next_due(world.state, item, world.now, world.offset, world.steady)
            soon = 10.0 if due is None else due / 2
            if due is None or due > 0.01:
                later = replace(again, steady=world.steady + soon)
                assert apply(world.state, later, world.now + soon).state is world.state

    @rule(on=rarely, name=st.sampled_from((None, *SERVICES)))
    def freeze(self, on: bool, name: str | None) -> None:
        freezes = (Freeze("audit", services=(name,) if name else ()),) if on else ()
        self.world.says(replace(self.world.state.releasing, freezes=freezes))

    @rule(down=st.sampled_from((0.0, 45.0, -500.0, 4000.0)))
    def restart(self, down: float) -> None:
        """Everything ends and begins again with what was stored; the steady clock begins as a runner begins it."""
        world = self.world
        world.state = load(State, json.loads(written(world.state)))
        world.now += down
        steady = max([world.now, *(item.seen for item in self.releases)])
        for item in self.releases:
            if item.state is S.PROGRESSING:
                # What ran since the last revision is known by the wall clock alone.
                self.ran[item.id] = item.held + steady - item.since
        world.steady = steady
        self.look()

    @rule(shop=files)
    def restart_with_another_file(self, shop: str) -> None:
        world = self.world
        self.before = world.state
        file = replace(definition(service("shop", shop), service("cart")), releasing=world.state.releasing)
        revision = world.state.revision + 1
        world.state, _ = initial_state(file, self.stored(), revision, "e", world.now, world.state)
        self.states[revision] = world.state

    # What holds always

    @invariant()
    def it_is_sound(self) -> None:
        is_sound(self.world.state)

    @invariant()
    def a_service_has_one_active_release_at_most(self) -> None:
        active = [name for item in self.world.state.releases.values() if item.active for name in item.services]
        assert len(active) == len(set(active))
        assert len(self.world.state.releases) <= 3 * len(SERVICES)

    @invariant()
    def who_is_not_verified_and_approved_has_no_users(self) -> None:
        for item in self.releases:
            if not item.active and item.state is not S.PROMOTED:
                continue
            if item.active and item.step < 0:
                for move in item.moves:
                    assert self.world.weight(move.to, move.service) == 0
                continue
            self.passed_its_gates(item)

    def passed_its_gates(self, item: Release) -> None:
        early = item.reason.startswith("promoted by")
        for place in range(item.step + 1):
            gate = gates.gate_of(place)
            passed = {(one.service, one.name) for one in item.checks if one.passed and one.gate == gate}
            skipped = {one.kind for one in item.skipped if one.gate == gate}
            wanted = {(name, check.name) for name in item.services for check in gates.checks_before(item.plan, place)}
            if place == 0 or not early:
                assert wanted <= passed or SkipKind.CHECKS in skipped
            waived = [one for one in item.skipped if one.kind is SkipKind.GATES and one.gate == str(place)]
            for name, approval in gates.approvals_before(item.plan, place).items():
                given = [one for one in item.approvals if one.gate == name]
                assert item.author not in [one.actor for one in given]
                assert len({one.actor for one in given}) == len(given)
                enough = len(given) >= len(approval.groups) and set(approval.groups) <= {
                    group for one in given for group in one.groups
                }
                assert enough or any(one.actor != item.author and one.reason for one in waived)

    @invariant()
    def the_candidate_has_what_its_step_says(self) -> None:
        for item in self.releases:
            if item.active and item.step >= 0:
                for move in item.moves:
                    split = self.world.state.services[move.service].running.split.weights
                    share = split[move.to] / sum(split.values()) * 100
                    assert abs(share - item.plan.steps[item.step].weight) < Decimal("0.00001")

    @invariant()
    def time_does_not_run_backwards_in_a_release(self) -> None:
        for item in self.releases:
            times = [entry.at for entry in item.log]
            assert times == sorted(times)
            assert len(item.log) <= LOG_KEPT
            assert item.since <= item.seen
            assert item.held >= 0

    @invariant()
    def what_has_ended_is_over(self) -> None:
        for item in self.releases:
            assert item.active is (item.ended_at is None)
            assert item.active or not item.waiting
            assert (item.paused_from is not None) is (item.state is S.PAUSED)


TestReleases = Releases.TestCase
TestReleases.settings = settings(
    deadline=None, max_examples=30, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
