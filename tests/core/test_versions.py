"""Deploying, retiring and draining versions: what users see of it (nothing), what is refused, what can be undone."""

from dataclasses import replace

import pytest

from gatekeeper.core.codec import dump
from gatekeeper.core.command import Command, Deploy, Drain, Reload, ResetTrip, Retire, Rollback, TripVersion, apply
from gatekeeper.core.model import Backend, Deployed, HealthCheck, Origin, Rule, State, Version, When
from gatekeeper.core.split import bounds
from gatekeeper.core.versions import MOST_VERSIONS
from tests.core.states import (
    ANN,
    NOW,
    definition,
    do,
    load,
    refusal,
    running,
    service,
    shown,
    split_rule,
    split_to,
    start,
    version,
    versions,
    weights,
)


def deploy(name: str, backend: str = "http://new:80", **options: object) -> Deploy:
    return Deploy(**ANN, service="shop", version=version(name, backend, **options))


def retire(name: str) -> Retire:
    return Retire(**ANN, service="shop", version=name)


def drain(name: str, seconds: float = 30.0) -> Drain:
    return Drain(**ANN, service="shop", version=name, seconds=seconds)


def trip(name: str) -> TripVersion:
    return TripVersion(actor="gatekeeper", service="shop", version=name, reason="errors")


BACK = Rollback(**ANN, service="shop")


def test_a_new_version_comes_last_and_gets_no_users():
    before = split_to(start(), blue=90, green=10)
    after = do(before, deploy("pink"))
    assert versions(after) == ["blue", "green", "red", "pink"]
    assert list(running(after).split.weights) == versions(after)
    assert shown(after) == {"blue": 90, "green": 10}
    assert bounds(running(after).split) == bounds(running(before).split)
    assert running(after).since == running(before).since


def test_a_deployed_version_is_marked_with_its_origin_and_time():
    after = do(start(), deploy("pink"), NOW + 5)
    told = version("pink", "http://new:80", origin=Origin.DEPLOY)
    assert after.services["shop"].definition.versions["pink"] == told
    assert running(after).deployed == {"pink": Deployed(told, NOW + 5)}


def test_a_deploy_replaces_a_version_where_it_stands_and_leaves_its_users():
    before = split_to(start(), blue=90, green=10)
    after = do(before, deploy("green", build="7"))
    green = after.services["shop"].definition.versions["green"]
    assert versions(after) == ["blue", "green", "red"]
    assert (green.backends, green.build, green.origin) == ((Backend("http://new:80"),), "7", Origin.DEPLOY)
    assert running(after).deployed["green"].replaced == version("green")
    assert running(after).split == running(before).split
    again = do(after, deploy("green", build="8"))
    assert running(again).deployed["green"].replaced == version("green")


def test_deploying_what_is_there_changes_nothing():
    state = do(start(), deploy("pink"))
    outcome = apply(state, deploy("pink"), NOW + 9)
    assert outcome.state is state
    assert not outcome.events
    assert apply(state, Deploy(**ANN, service="shop", version=version("green")), NOW).state is state


def test_a_deploy_of_what_the_file_says_is_the_file_s_version_again():
    state = do(do(start(), deploy("green")), Deploy(**ANN, service="shop", version=version("green")))
    assert running(state).deployed == {}
    assert state.services["shop"].definition == start().services["shop"].definition


def test_a_deploy_tells_what_it_registered():
    outcome = apply(start(), deploy("pink", build="7"), NOW)
    assert dump(outcome.changes) == [
        {"path": "services.shop.split", "before": {"blue": 100, "green": 0, "red": 0},
         "after": {"blue": 100, "green": 0, "red": 0, "pink": 0}},
        {"path": "services.shop.versions.pink", "before": None, "after": ["http://new:80"]},
    ]  # fmt: skip
    event = outcome.events[0]
    assert {key: event[key] for key in ("kind", "service", "version", "new", "build", "backends", "actor")} == {
        "kind": "deployed", "service": "shop", "version": "pink", "new": True, "build": "7",
        "backends": ["http://new:80"], "actor": "ann",
    }  # fmt: skip


def test_a_deploy_ends_trip_drain_and_retirement_of_its_version():
    tripped = do(split_to(start(), blue=50, green=50), trip("green"))
    for state in (tripped, do(start(), drain("green")), do(start(), retire("green"))):
        after = running(do(state, deploy("green")))
        assert (after.tripped, after.draining, after.retired) == ({}, {}, {})
        assert after.split.weights["green"] == 0
    # The same definition is a deploy, too: at one address different builds come and go.
    assert running(do(tripped, Deploy(**ANN, service="shop", version=version("green")))).tripped == {}


def test_versions_are_bounded_but_those_there_can_be_replaced():
    names = [f"v{number}" for number in range(MOST_VERSIONS)]
    state = start(service(versions=" ".join(names)))
    assert refusal(state, deploy("pink")).code == "too_many_versions"
    assert do(state, deploy("v9")).revision == 2


def test_a_retired_version_is_gone_and_its_share_is_stable_s():
    state = split_to(start(), blue=50, green=20, red=30)
    after = do(state, retire("green"))
    assert versions(after) == ["blue", "red"]
    assert shown(after) == {"blue": 70, "red": 30}
    assert running(after).split.stacks["red"] == running(state).split.stacks["red"]
    assert running(after).retired == {"green": version("green")}
    assert "green" not in running(after).since


def test_a_retired_version_was_withdrawn_also_for_open_pages():
    state = split_to(split_to(start(), green=1), blue=1)
    assert "green" in running(state).superseded
    assert running(do(state, retire("green"))).superseded == {}


def test_a_retired_version_of_a_deploy_leaves_nothing():
    after = do(do(start(), deploy("pink")), retire("pink"))
    assert (running(after).deployed, running(after).retired) == ({}, {})
    assert running(do(do(start(), deploy("green")), retire("green"))).retired == {"green": version("green")}


def test_no_rollback_counts_what_a_retired_version_once_held():
    """blue 50, red 50; then green takes ten from both. With green gone its ten are stable's in the past, too."""
    state = split_to(start(), blue=50, red=50)
    state = split_to(state, blue=45, red=45, green=10)
    state = split_to(state, blue=40, red=40, green=20)
    state = do(state, retire("green"))
    assert shown(state) == {"blue": 60, "red": 40}
    state = do(state, BACK)
    assert shown(state) == {"blue": 55, "red": 45}
    assert shown(do(state, BACK)) == {"blue": 50, "red": 50}


def test_between_two_versions_a_retirement_leaves_nothing_to_undo():
    state = do(split_to(split_to(start(), blue=90, green=10), blue=50, green=50), retire("green"))
    assert refusal(state, BACK).code == "nothing_to_undo"


def test_a_version_deployed_after_its_retirement_starts_without_users_and_cookies():
    state = split_to(start(), blue=50, green=50)
    state = do(do(state, retire("green")), deploy("green"))
    assert shown(state) == {"blue": 100}
    assert "green" not in running(state).since
    assert running(split_to(state, blue=1, green=1)).since["green"] == state.revision + 1


@pytest.mark.parametrize("command", [retire, drain])
def test_stable_and_whoever_holds_everything_stay(command):
    state = start()
    refused = refusal(state, command("blue"))
    assert (refused.status, refused.code) == (409, "version_is_stable")
    refused = refusal(split_to(state, green=1), command("green"))
    assert (refused.status, refused.code) == (409, "version_holds_all")
    assert "gatekeeper split shop blue=100" in refused.allowed


@pytest.mark.parametrize("rule", [Rule("staff", When(), to="green"), split_rule("half", blue=1, green=1)])
def test_a_version_that_rules_name_is_not_retired(rule):
    refused = refusal(start(service(rules=(rule,))), retire("green"))
    assert (refused.status, refused.code) == (409, "version_in_rules")
    assert [problem.path for problem in refused.problems] == [f"rules.{rule.name}"]
    assert rule.name in refused.detail


def test_a_rule_that_names_a_version_without_weight_keeps_nothing():
    state = do(start(service(rules=(split_rule("half", blue=1, green=0),))), retire("green"))
    assert versions(state) == ["blue", "red"]


@pytest.mark.parametrize(
    "command",
    [retire("gren"), drain("gren"), trip("gren"), ResetTrip(**ANN, service="shop", versions=("gren",))],
)
def test_an_unknown_version_is_refused_with_the_name_that_was_meant(command: Command):
    refused = refusal(start(), command)
    assert (refused.status, refused.code, refused.allowed) == (404, "unknown_version", "blue, green, red")
    assert "did you mean green?" in refused.detail


def test_every_command_of_versions_knows_its_service():
    for command in (deploy("pink"), retire("green"), drain("green"), trip("green"), ResetTrip(**ANN, service="")):
        refused = refusal(start(), replace(command, service="shpo"))
        assert (refused.status, refused.code) == (404, "unknown_service")


def test_a_draining_version_gives_its_share_to_stable_until_the_seconds_end():
    state = split_to(start(), blue=50, green=20, red=30)
    after = do(state, drain("green", 45), NOW + 5)
    assert shown(after) == {"blue": 70, "red": 30}
    assert running(after).draining == {"green": NOW + 50}
    assert running(after).split.stacks["red"] == running(state).split.stacks["red"]
    assert versions(after) == versions(state)


def test_a_drain_is_told_with_its_end():
    event = apply(split_to(start(), blue=50, green=50), drain("green"), NOW).events[0]
    told = {key: event[key] for key in ("kind", "version", "seconds", "until", "before", "after")}
    assert told == {
        "kind": "version_draining", "version": "green", "seconds": 30.0, "until": NOW + 30,
        "before": {"blue": 50, "green": 50, "red": 0}, "after": {"blue": 100, "green": 0, "red": 0},
    }  # fmt: skip


def test_open_pages_do_not_hold_on_to_a_draining_version():
    state = split_to(split_to(start(), green=1), blue=1)
    assert "green" in running(state).superseded
    assert running(do(state, drain("green"))).superseded == {}


def test_the_share_a_rule_gives_a_draining_version_is_stable_s_for_as_long():
    state = start(service(rules=(split_rule("half", red=1, green=1), split_rule("all", green=1))))
    drained = do(state, drain("green"))
    assert {name: dict(split.weights) for name, split in running(drained).rules.items()} == {
        "half": {"red": 1, "green": 0, "blue": 1},
        "all": {"green": 0, "blue": 1},
    }
    assert running(drained).rules["half"].stacks["red"] == running(state).rules["half"].stacks["red"]
    assert running(do(drained, deploy("green"))).rules == running(state).rules


@pytest.mark.parametrize("how", ["split", "rollback", "deploy", "reset_split"])
def test_a_drain_ends_when_the_version_is_given_weight_or_deployed(how):
    state = do(split_to(start(), blue=50, green=50), drain("green"))
    match how:
        case "split":
            after = split_to(state, blue=1, green=1)
        case "rollback":
            after = do(state, BACK)
            assert shown(after) == {"blue": 50, "green": 50}
        case "deploy":
            after = do(state, deploy("green"))
        case _:
            after = load(state, definition(service(split=weights(green=1, blue=1))), reset_split=True).state
    assert running(after).draining == {}


def test_a_split_without_the_draining_version_leaves_the_drain():
    state = split_to(do(start(), drain("green")), blue=1, red=1)
    assert list(running(state).draining) == ["green"]


def test_a_drain_of_a_version_without_users_leaves_nothing_to_undo():
    state = do(start(), drain("green"))
    assert running(state).undo == ()
    assert refusal(state, BACK).code == "nothing_to_undo"


@pytest.mark.parametrize("seconds", [-1.0, 86_401.0, float("nan"), float("inf")])
def test_a_drain_has_an_end_within_a_day(seconds):
    assert refusal(start(), drain("green", seconds)).code == "invalid_seconds"


def test_a_version_that_becomes_stable_neither_drains_nor_stays_tripped():
    state: State = do(do(split_to(start(), blue=50, green=50), trip("green")), drain("red"))
    after = load(state, definition(service(stable="green"))).state
    assert (running(after).tripped, list(running(after).draining)) == ({}, ["red"])


def test_other_backends_in_the_file_are_another_version_and_other_checks_are_not():
    state = do(do(split_to(start(), blue=50, green=50), trip("green")), drain("red"))
    file = service()
    checked = {name: replace(item, health=HealthCheck(rise=9)) for name, item in file.versions.items()}
    same = load(state, definition(replace(file, versions=checked))).state
    assert (list(running(same).tripped), list(running(same).draining)) == (["green"], ["red"])
    built = {**file.versions, "red": replace(file.versions["red"], build="8")}
    assert list(running(load(state, definition(replace(file, versions=built))).state).draining) == []
    moved = {**file.versions, "green": Version("green", (Backend("http://else:80"),))}
    outcome = load(state, definition(replace(file, versions=moved)))
    assert (list(running(outcome.state).tripped), list(running(outcome.state).draining)) == ([], ["red"])
    assert "services.shop.tripped.green" in [change.path for change in outcome.changes]


def test_reset_split_gives_a_tripped_version_nothing():
    file = definition(service(split=weights(blue=1, green=3)))
    state = do(split_to(start(), blue=50, green=50), trip("green"))
    after = apply(state, Reload(**ANN, definition=file, entropy="e", reset_split=True), NOW).state
    assert shown(after) == {"blue": 4}
