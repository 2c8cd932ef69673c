"""What the judge says, on the page: while a release is under way, as it is now, and never what is no JSON."""

import math
from dataclasses import replace

import pytest

from gatekeeper.control.dashboard.past import Opinion
from gatekeeper.control.dashboard.pulse import opinion
from gatekeeper.core.release.model import VerdictView
from tests.control.released import RAMP, begin, with_plans


async def released(world, odds=12.5):
    """A release about which the judge has said something."""
    with_plans(world)
    release = await begin(world, RAMP)
    said = replace(release, verdict=VerdictView("suspicious", "maybe", odds=odds, bar=100.0, passes=False))
    state = world.controller.state
    world.controller.state = replace(state, releases={**state.releases, release.id: said})
    return said


def asked(world, service="shop"):
    return opinion(world.parts, world.controller.state, service)


async def test_nothing_is_said_of_what_is_not_released(world):
    assert asked(world) == Opinion()
    await released(world)
    assert asked(world, "cart") == Opinion()


async def test_the_odds_are_those_of_now_and_before_the_judge_looked_those_of_the_verdict(world):
    await released(world)
    assert asked(world) == Opinion(12.5, 100.0, "suspicious")
    world.parts.dashboard.odds = {"shop": (48.0, 100.0)}.get
    assert asked(world) == Opinion(48.0, 100.0, "suspicious")


@pytest.mark.parametrize(("odds", "shown"), [(math.inf, 1e12), (1e300, 1e12), (None, None), (0.0, 0.0)])
async def test_odds_beyond_measure_are_a_number_that_can_be_written(world, odds, shown):
    await released(world, odds)
    assert asked(world).odds == shown


async def test_a_release_that_is_over_has_no_odds_any_more(world):
    said = await released(world)
    state = world.controller.state
    over = replace(said, state=type(said.state)("aborted"))
    world.controller.state = replace(state, releases={**state.releases, over.id: over})
    assert asked(world) == Opinion()
