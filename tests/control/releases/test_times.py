"""A release's time is what really passed, whatever becomes of the wall clock, and never runs backwards."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.clock import ManualClock
from gatekeeper.control.releases.times import Times
from gatekeeper.core.model import Release
from gatekeeper.core.release.plan import DIRECT

WALL = 1_700_000_000.0
RELEASE = Release(1, (), DIRECT, "anna", WALL, seen=WALL)


@pytest.fixture
def clock():
    return ManualClock(wall=WALL)


def test_it_begins_with_the_wall_clock_and_counts_what_passes(clock):
    times = Times(clock)
    assert times.of(RELEASE) == WALL
    clock.advance(30)
    assert times.of(RELEASE) == WALL + 30


@pytest.mark.parametrize("jump", [-(10**8), -1, 1, 10**8])
def test_a_wall_clock_that_is_set_does_not_count(clock, jump):
    times = Times(clock)
    times.of(RELEASE)
    clock.jump_wall(jump)
    clock.advance(5)
    assert times.of(RELEASE) == WALL + 5


def test_after_a_restart_the_wall_clock_counts(clock):
    clock.advance(3600)
    assert Times(clock).of(RELEASE) == WALL + 3600


def test_a_restart_with_a_wall_clock_that_was_put_back_goes_on_from_what_the_release_has_seen(clock):
    seen = replace(RELEASE, seen=WALL + 500)
    clock.jump_wall(-1000)
    times = Times(clock)
    assert times.of(seen) == WALL + 500
    clock.advance(5)
    assert times.of(seen) == WALL + 505


def test_each_release_has_its_own(clock):
    """One that was begun when the wall clock was wrong keeps no other from the right time."""
    times = Times(clock)
    wrong = replace(RELEASE, id=2, seen=WALL + 10**9)
    assert times.of(wrong) == WALL + 10**9
    assert times.of(RELEASE) == WALL


def test_what_others_made_it_see_is_not_taken_back(clock):
    times = Times(clock)
    times.of(RELEASE)
    clock.advance(5)
    seen = replace(RELEASE, seen=WALL + 100)
    assert times.of(seen) == WALL + 100
    clock.advance(5)
    assert times.of(seen) == WALL + 105


def test_those_that_ended_are_forgotten(clock):
    times = Times(clock)
    times.of(RELEASE)
    times.keep({7})
    assert times._ahead == {}


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e6, 1e6), st.booleans()), max_size=20))
def test_it_never_runs_backwards(steps):
    clock, release = ManualClock(wall=WALL), RELEASE
    times, last = Times(clock), WALL
    for passed, jump, restart in steps:
        clock.advance(passed)
        clock.jump_wall(jump)
        if restart:
            times = Times(clock)
        now = times.of(release)
        assert now >= last - 1e-3, "but for the last bits of a float"
        last = max(last, now)
        release = replace(release, seen=last)
