"""Flags that follow a release: on with its candidate, for everybody with its promotion, off with its rollback."""

from dataclasses import replace
from typing import Any

import pytest

from gatekeeper.core import routing
from gatekeeper.core.command import (
    Confirm,
    Expire,
    Past,
    Reload,
    Restore,
    Retire,
    Rollback,
    ScheduleFlags,
    TripVersion,
    Verb,
    apply,
)
from gatekeeper.core.flags.context import context_of
from gatekeeper.core.flags.evaluate import DEFAULT, TARGETING_MATCH, TargetingKeyMissing
from gatekeeper.core.flags.model import FlagSchedule
from gatekeeper.core.flags.resolver import Resolver
from gatekeeper.core.model import Sticky, UnitKind, UnitSource
from gatekeeper.core.reload import initial_state
from tests.core.flags.states import D, back, begun, file, kept, runs, said, setting, switching
from tests.core.releases import HEALTHZ, World, plan
from tests.core.routes import Asker, Request, slots
from tests.core.states import ANN, past, service

FOLLOWING = said(follow="shop")
SERVICES = (service("shop", sticky=Sticky((UnitSource(UnitKind.HEADER, "x-user"),))), service("cart"))


def world(*flags: Any, **options: Any) -> World:
    return World(state=begun(*(flags or (FOLLOWING,)), services=SERVICES), **options)


def is_now(world: World, name: str = "new") -> tuple[bool, str]:
    running = runs(world.state, name)
    return running.on, running.following


def promoted(**options: Any) -> World:
    return world().begin(by=plan((10, 5), (100, 0), retain=600.0), **options).later(1).later(10)


def test_it_follows_from_the_very_revision_that_starts_the_release():
    before = world()
    outcome = before.do(before.starting())
    assert is_now(before) == (False, "green")
    assert runs(before.state).release == before.release.id
    assert (before.state.revision, runs(before.state).revision) == (2, 2)
    told = outcome.events[-1]
    assert (told["kind"], told["flag"], told["after"]["following"], told["release"]) == (
        "flag_changed",
        "new",
        "green",
        2,
    )
    assert "flags.new.following" in [change.path for change in outcome.changes]


def test_it_is_on_for_exactly_those_who_get_the_candidate():
    ramping = world().begin(by=plan((50, 60), (100, 60))).later(1)
    state = ramping.state
    ask = Asker(routing.compile(state, slots(state)), client_ip="127.0.0.1")
    resolver = Resolver(state)
    seen = set()
    for number in range(60):
        user = f"u{number}"
        decision = ask(Request(fields=((b"x-user", user.encode()),)))
        on = decision.flags.line == b"X-Gatekeeper-Flags: new\r\n"
        assert on == (decision.version.name == "green")
        found = resolver.resolve("new", context_of({"targetingKey": user}))
        assert found is not None
        assert (found.value, found.reason) == (on, TARGETING_MATCH if on else DEFAULT)
        seen.add(on)
        forced = ask(Request(fields=((b"x-user", user.encode()),), force=b"green"))
        assert forced.flags.line == b"X-Gatekeeper-Flags: new\r\n"
    assert seen == {True, False}
    with pytest.raises(TargetingKeyMissing):
        resolver.resolve("new", context_of({}))


def test_who_gets_stable_after_all_does_not_have_it():
    state = world().begin(by=plan((50, 60), (100, 60))).later(1).state
    ask = Asker(routing.compile(state, slots(state)), client_ip="127.0.0.1")
    decision = ask(Request(force=b"green"))
    flags = ask.table.flags_of("shop")
    assert flags.at(decision.flags, "blue").line == b""
    assert flags.at(decision.flags, "green") is decision.flags
    assert Asker(ask.table, down=("green",))(Request(fields=((b"x-user", b"u1"),))).flags.line == b""


def test_what_does_not_follow_is_the_same_for_whoever_gets_stable_after_all():
    state = begun(said("a", on=True), said("b", on=True, percent=D(50)), services=SERVICES)
    ask = Asker(routing.compile(state, slots(state)))
    decision = ask(Request(fields=((b"x-user", b"u1"),)))
    assert ask.table.flags_of("shop").at(decision.flags, "green") is decision.flags


def test_a_split_of_a_flag_that_follows_is_among_those_who_get_the_candidate():
    half = world(said(follow="shop", percent=D(50))).begin(by=plan((50, 60), (100, 60))).later(1)
    ask = Asker(routing.compile(half.state, slots(half.state)))
    seen = set()
    for number in range(100):
        decision = ask(Request(fields=((b"x-user", f"u{number}".encode()),)))
        seen.add((decision.version.name, dict(decision.flags.variants)["new"]))
        flags = ask.table.flags_of("shop")
        assert decision.flags.drawn == ({"new"} if decision.version.name == "green" else set())
        assert flags.at(decision.flags, "blue").drawn == set()
    assert seen == {("blue", "off"), ("green", "on"), ("green", "off")}


def test_a_release_that_is_done_at_once_turns_it_on():
    done = world().begin(by=plan((100, 0), retain=600.0))
    assert (done.state.revision, done.release.state.value) == (2, "promoted")
    assert (is_now(done), runs(done.state).release) == ((True, ""), 2)
    done.do(Rollback(**ANN, service="shop"))
    assert is_now(done) == (False, "")


def test_promotion_turns_it_on_for_everybody():
    done = promoted()
    assert done.release.state.value == "promoted"
    assert is_now(done) == (True, "")
    state = done.state
    ask = Asker(routing.compile(state, slots(state)))
    assert ask(Request(fields=((b"x-user", b"u1"),))).flags.line == b"X-Gatekeeper-Flags: new\r\n"


def test_the_promotion_and_the_flag_are_one_revision_and_told():
    running = world().begin(by=plan((100, 5)))
    running.advance()
    before = running.state.revision
    running.passed(10)
    outcome = running.do(running.advancing())
    assert outcome.state.revision == before + 1
    assert [event["kind"] for event in outcome.events][-2:] == ["release_promoted", "flag_on"]
    assert runs(running.state).revision == outcome.state.revision


@pytest.mark.parametrize(
    "end",
    [
        lambda world: world.act(Verb.ABORT),
        lambda world: world.do(Rollback(**ANN, service="shop")),
        lambda world: world.do(TripVersion(**ANN, service="shop", version="green", reason="5xx")),
        lambda world: world.do(Retire(**ANN, service="shop", version="green")),
    ],
)
def test_any_other_end_turns_it_off(end):
    running = world().begin().later(1)
    before = running.state.revision
    end(running)
    assert not running.release.active
    assert is_now(running) == (False, "")
    assert runs(running.state).release == 0
    assert running.state.revision == before + 1
    assert running.told[-1]["kind"] == "flag_off"


def test_a_release_that_is_taken_back_after_its_promotion_turns_it_off():
    done = promoted()
    done.do(Rollback(**ANN, service="shop"))
    assert done.release.state.value == "rolled_back"
    assert is_now(done) == (False, "")


def test_a_flag_that_is_on_does_not_follow():
    """Or the next release would take from everybody what was released already."""
    running = world(said(follow="shop", on=True)).begin()
    assert is_now(running) == (True, "")
    running.act(Verb.ABORT)
    assert is_now(running) == (True, "")
    again = promoted()
    again.begin(to="red")
    assert is_now(again) == (True, "")
    again.act(Verb.ABORT)
    assert is_now(again) == (True, "")


def test_a_killed_flag_does_not_follow_and_one_that_is_killed_follows_no_more():
    state = apply(world().state, switching(on=False, kill=True), 1.0).state
    running = World(state=state).begin()
    assert is_now(running) == (False, "")
    following = world().begin()
    following.do(switching(on=False, kill=True))
    assert is_now(following) == (False, "")
    following.later(1).later(61).later(61).later(61)
    assert following.release.state.value == "promoted"
    assert (is_now(following), runs(following.state).killed) == ((False, ""), True)


@pytest.mark.parametrize("on", [True, False])
def test_what_somebody_switches_belongs_to_them_until_the_next_release(on):
    running = world().begin()
    running.do(switching(on=on))
    assert is_now(running) == (on, "")
    running.later(1)
    assert is_now(running) == (on, "")
    running.act(Verb.ABORT)
    assert is_now(running) == (on, "")
    running.begin(to="red")
    assert is_now(running) == (on, "" if on else "red")


def test_percent_of_a_flag_that_follows_can_be_set_and_taken_back_meanwhile():
    running = world().begin()
    running.do(setting(percent=D(5)))
    assert is_now(running) == (False, "green")
    running.do(back())
    assert is_now(running) == (False, "green")
    running.do(setting(on=True))
    assert (is_now(running), runs(running.state).release) == ((True, ""), 0)


def test_who_takes_back_that_it_is_on_for_everybody_decides_that():
    done = promoted()
    done.do(back())
    assert (is_now(done), runs(done.state).release) == ((False, ""), 0)


def test_a_schedule_that_acts_takes_it_over():
    start = world().now
    running = world(said(follow="shop", schedule=FlagSchedule(start + 5))).begin()
    running.passed(10)
    running.do(ScheduleFlags(actor="schedule"))
    assert is_now(running) == (True, "")


def test_releases_of_other_services_are_not_followed():
    running = world().begin(services={"cart": "green"})
    assert is_now(running) == (False, "")


def test_a_flag_that_begins_to_follow_during_a_release_follows_it():
    running = world(said()).begin()
    running.do(setting(follow="shop"))
    assert is_now(running) == (False, "green")
    running.do(setting(follow=""))
    assert (is_now(running), runs(running.state).release) == ((False, ""), 0)


def test_a_flag_that_waits_to_be_confirmed_follows_where_it_would_go_back_to_too():
    running = world().begin()
    running.do(setting(owner="anna", confirm_within=600.0))
    running.act(Verb.ABORT)
    assert is_now(running) == (False, "")
    assert running.state.pending[0].flags["new"].running.following == ""
    revision = running.state.pending[0].revision
    undone = apply(running.state, Expire(actor="gatekeeper", revision=revision), running.now).state
    assert (runs(undone).on, runs(undone).following, undone.flags["new"].definition.owner) == (False, "", "")
    kept = apply(running.state, Confirm(**ANN), running.now).state
    assert (runs(kept).following, kept.flags["new"].definition.owner) == ("", "anna")


def test_a_reload_keeps_what_follows():
    running = world().begin(services={"cart": "green", "shop": "green"}, by=plan(verify=(HEALTHZ,)))
    running.do(setting(percent=D(5)))
    new = file(said(follow="shop", owner="anna"), services=SERVICES)
    running.do(Reload(**ANN, definition=new, entropy="e", reset_split=True))
    assert (is_now(running), runs(running.state).split.weights["on"]) == ((False, "green"), 5)
    running.do(Reload(**ANN, definition=file(said(owner="anna"), services=SERVICES), entropy="e"))
    assert is_now(running) == (False, "")


def test_a_restore_keeps_what_follows():
    on = begun(said(follow="shop", on=True), services=SERVICES)
    running = world().begin()
    was = past(running.state)
    command = Restore(**ANN, revision=1, past=Past(was.settings, was.services, flags=kept(on)), entropy="e")
    running.do(command)
    assert (is_now(running), running.state.flags["new"].definition.on) == ((False, "green"), True)


def test_after_a_restart_it_follows_on_and_a_release_that_cannot_go_on_turns_it_off():
    state = world().begin().later(1).state
    stored = {name: item.running for name, item in state.services.items()}
    same, _ = initial_state(file(FOLLOWING, services=SERVICES), stored, 9, "e", 5.0, state)
    assert runs(same) == runs(state)
    without = (service("shop", "blue red"), service("cart"))
    other, _ = initial_state(file(FOLLOWING, services=without), stored, 9, "e", 5.0, state)
    assert (runs(other).on, runs(other).following) == (False, "")


def test_a_flag_that_follows_a_release_nobody_knows_is_off():
    running = world().begin()
    after = apply(replace(running.state, releases={}), setting(percent=D(50)), running.now).state
    assert (runs(after).on, runs(after).following, runs(after).release) == (False, "", 0)


def test_a_release_that_is_forgotten_leaves_the_flag_as_it_is():
    done = promoted()
    forgotten = replace(done.state, releases={})
    after = apply(forgotten, setting(percent=D(50)), done.now).state
    assert (runs(after).on, runs(after).following) == (True, "")
