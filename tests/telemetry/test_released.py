"""A release is on the page for as long as it is under way: its state, how far it is, what it waits for."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.core.model import Backend, Running, Service, ServiceState, Settings, Split, State, Version
from gatekeeper.core.release.model import Move, Release, ReleaseState, Waiting, WaitKind
from gatekeeper.core.release.plan import Plan, Step
from gatekeeper.telemetry import released

PLAN = Plan("careful", (Step(Decimal(10), 60.0), Step(Decimal(50), 60.0), Step(Decimal(100), 0.0)))
WEIGHTS = {"blue": Decimal(90), "green": Decimal(10)}
UNDER_WAY = Release(
    41,
    (Move("shop", "green", "blue", {"blue": Decimal(100)}),),
    PLAN,
    "ann",
    1_700_000_000.0,
    state=ReleaseState.WAITING,
    step=0,
    since=1_700_000_060.0,
    waiting=(Waiting(WaitKind.APPROVAL, "product", "1", ("product",)), Waiting(WaitKind.WINDOW, "Mon-Fri")),
)


def state(*releases: Release) -> State:
    versions = {name: Version(name, (Backend("http://127.0.0.1:9001"),)) for name in WEIGHTS}
    shop = ServiceState(Service("shop", versions, "blue", WEIGHTS), Running(Split(WEIGHTS, {}, "00"), "00"))
    return State(42, Settings(), {"shop": shop}, releases={each.id: each for each in releases})


def samples(*releases: Release) -> dict[tuple[str, ...], float]:
    """(name without its prefix, values of its labels...) -> value."""
    found = {}
    for family in released.families(state(*releases)):
        for each in family.samples:
            found[each.name.removeprefix("gatekeeper_"), *each.labels.values()] = each.value
    return found


def test_the_versions_say_who_is_stable_and_who_is_released():
    found = samples(UNDER_WAY)
    assert found["stable", "shop", "blue"] == 1
    assert found["stable", "shop", "green"] == 0
    assert found["candidate", "shop", "blue"] == 0
    assert found["candidate", "shop", "green"] == 1


def test_a_release_says_how_far_it_is_and_since_when():
    found = samples(UNDER_WAY)
    assert found["release_step", "shop", "41"] == 1
    assert found["release_steps", "shop", "41"] == 3
    assert found["release_state_since_seconds", "shop", "41"] == 1_700_000_060
    assert samples(replace(UNDER_WAY, step=-1))["release_step", "shop", "41"] == 0


def test_of_all_states_and_waits_the_present_ones_are_1():
    found = samples(UNDER_WAY)
    states = {key[-1]: value for key, value in found.items() if key[0] == "release_state"}
    assert states == {"planned": 0, "verifying": 0, "waiting": 1, "progressing": 0, "paused": 0}
    waits = {key[-1] for key, value in found.items() if key[0] == "release_waiting" and value}
    assert waits == {"approval", "window"}


def test_a_release_of_two_services_is_there_for_each():
    both = (*UNDER_WAY.moves, Move("cart", "green", "blue", {"blue": Decimal(100)}))
    found = samples(replace(UNDER_WAY, moves=both))
    assert found["release_step", "cart", "41"] == found["release_step", "shop", "41"] == 1


@pytest.mark.parametrize("ended", [ReleaseState.PROMOTED, ReleaseState.ROLLED_BACK, ReleaseState.ABORTED])
def test_a_release_that_ended_is_gone(ended):
    found = samples(replace(UNDER_WAY, state=ended))
    assert {key[0] for key in found} == {"stable", "candidate"}
    assert found["candidate", "shop", "green"] == 0
