"""What was deployed and retired, over a file that stays or is edited: the later act holds."""

from dataclasses import replace

import pytest

from gatekeeper.core.command import Deploy, Retire, initial_state
from gatekeeper.core.model import Origin, Rule, Service, State, When
from gatekeeper.core.overlay import differs_from_file, effective, in_file
from tests.core.states import (
    ANN,
    NOW,
    definition,
    do,
    load,
    running,
    service,
    shown,
    split_rule,
    split_to,
    start,
    version,
    versions,
)

FILE = service()


def deployed(state: State, name: str, **options: object) -> State:
    return do(state, Deploy(**ANN, service="shop", version=version(name, "http://new:80", **options)))


def retired(state: State, name: str) -> State:
    return do(state, Retire(**ANN, service="shop", version=name))


def edited(**changes: object) -> Service:
    """The file with other definitions of versions; None takes one out."""
    kept = {**FILE.versions, **changes}
    return replace(FILE, versions={name: item for name, item in kept.items() if item is not None})


def origin(state: State, name: str) -> Origin:
    return state.services["shop"].definition.versions[name].origin


def test_without_overlays_the_file_s_service_is_the_one_in_force():
    assert effective(FILE, running(start())) == (FILE, running(start()), [])
    assert effective(FILE, running(start()))[0] is FILE


@pytest.mark.parametrize("name", ["green", "pink"])
def test_a_deploy_survives_a_reload_of_the_same_file(name):
    state = deployed(start(), name)
    assert load(state, definition(FILE)).state is state
    after = load(state, definition(replace(FILE, skew=5.0))).state
    assert after.services["shop"].definition.versions == state.services["shop"].definition.versions
    assert running(after).deployed == running(state).deployed


def test_a_retirement_survives_a_reload_of_the_same_file():
    state = retired(start(), "green")
    assert load(state, definition(FILE)).state is state
    assert versions(load(state, definition(replace(FILE, skew=5.0))).state) == ["blue", "red"]


def test_the_deploy_is_the_later_act_until_the_file_says_something_else():
    state = deployed(start(), "green")
    outcome = load(state, definition(edited(green=version("green", "http://other:80"))))
    assert (origin(outcome.state, "green"), running(outcome.state).deployed) == (Origin.FILE, {})
    assert [change.path for change in outcome.changes] == [
        "services.shop.versions.green.backends",
        "services.shop.versions.green.origin",
    ]


def test_a_file_that_comes_to_name_a_deployed_version_has_it_from_then_on():
    state = deployed(start(), "pink")
    outcome = load(state, definition(edited(pink=version("pink", "http://new:80"))))
    assert [change.path for change in outcome.changes] == ["services.shop.versions.pink.origin"]
    assert "pink" not in versions(load(outcome.state, definition(FILE)).state)


def test_a_file_that_names_a_replaced_version_no_more_takes_it_away():
    state = deployed(split_to(start(), blue=90, green=10), "green")
    after = load(state, definition(edited(green=None))).state
    assert versions(after) == ["blue", "red"]
    assert running(after).deployed == {}


def test_a_retired_version_is_back_when_the_file_says_something_else_of_it():
    state = retired(start(), "green")
    after = load(state, definition(edited(green=version("green", "http://other:80")))).state
    assert (versions(after), running(after).retired) == (["blue", "green", "red"], {})


def test_a_version_that_left_the_file_and_returns_is_retired_no_longer():
    state = retired(start(), "green")
    outcome = load(state, definition(edited(green=None)))
    assert [change.path for change in outcome.changes] == ["services.shop.retired.green"]
    assert versions(load(outcome.state, definition(FILE)).state) == ["blue", "green", "red"]


@pytest.mark.parametrize(
    "named",
    [
        {"stable": "green"},
        {"rules": (Rule("staff", When(), to="green"),)},
        {"rules": (split_rule("half", blue=1, green=1),)},
    ],
)
def test_a_retirement_ends_when_the_file_comes_to_rely_on_the_version(named):
    after = load(retired(start(), "green"), definition(replace(FILE, **named))).state
    assert (versions(after), running(after).retired) == (["blue", "green", "red"], {})


def test_a_start_brings_back_what_was_deployed_and_retired():
    state = split_to(retired(deployed(deployed(start(), "green"), "pink"), "red"), blue=50, pink=50)
    stored = {"shop": running(state)}
    again, notes = initial_state(definition(FILE), stored, state.revision, "other", NOW + 9)
    assert (again, notes) == (state, [])
    assert shown(again) == {"blue": 50, "pink": 50}


def test_a_start_says_which_deploys_an_edited_file_overtook():
    state = retired(deployed(deployed(start(), "green"), "pink"), "red")
    file = edited(green=None, red=version("red", "http://other:80"), pink=version("pink", "http://file:80"))
    again, notes = initial_state(definition(file), {"shop": running(state)}, 9, "other", NOW + 9)
    assert versions(again) == ["blue", "red", "pink"]
    assert (running(again).deployed, running(again).retired) == ({}, {})
    assert (running(again).revision, running(again).changed_at) == (9, NOW + 9)
    assert notes == [
        "service shop: the deploy of green holds no longer, the file does not name it any more",
        "service shop: the deploy of pink holds no longer, the file says otherwise since",
        "service shop: red, which was retired, is in service again: the file names it anew",
        "service shop: green is not in the file any more; the split is now blue=100 red=0 pink=0",
    ]


def test_a_start_that_only_forgets_a_retirement_changes_the_service():
    state = retired(start(), "green")
    again, _ = initial_state(definition(edited(green=None)), {"shop": running(state)}, 9, "other", NOW + 9)
    assert (running(again).retired, running(again).revision, running(again).changed_at) == ({}, 9, NOW + 9)


def test_a_service_that_comes_back_has_its_deployed_versions():
    state = deployed(start(), "pink")
    kept = running(state)
    alone = load(state, definition(service("blog"))).state
    back = load(alone, definition(FILE, service("blog")), stored={"shop": kept}).state
    assert versions(back) == ["blue", "green", "red", "pink"]


def test_what_the_file_says_of_a_version_is_known_whatever_is_in_force():
    item = retired(deployed(deployed(start(), "green"), "pink"), "red").services["shop"]
    assert [in_file(item, name) for name in ("blue", "green", "red", "pink", "none")] == [
        version("blue"), version("green"), version("red"), None, None
    ]  # fmt: skip
    assert [differs_from_file(item, name) for name in ("blue", "green", "red", "pink")] == [False, True, False, False]
