"""What the metrics say of flags: on or not, for how many, and whether one should be gone."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.core.flags.schedule import overdue
from gatekeeper.core.model import Settings, State
from gatekeeper.telemetry.flag_state import families
from tests.control.kept import flag

NOON = 1_800_000_000.0
"""2027-01-15 08:00 UTC."""


def samples(*flags):
    state = State(1, Settings(), {}, flags={each.definition.name: each for each in flags})
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families(state, NOON)
        for sample in family.samples
    }


def test_each_flag_says_whether_it_is_on_and_for_how_many():
    found = samples(flag("new", 10), flag("old", on=False, expires="2027-01-14"))
    assert found == {
        ("gatekeeper_flag_on", "new"): 1,
        ("gatekeeper_flag_on", "old"): 0,
        ("gatekeeper_flag_weight", "new", "on"): 10,
        ("gatekeeper_flag_weight", "new", "off"): 90,
        ("gatekeeper_flag_weight", "old", "on"): 100,
        ("gatekeeper_flag_weight", "old", "off"): 0,
        ("gatekeeper_flag_overdue", "new"): 0,
        ("gatekeeper_flag_overdue", "old"): 1,
    }


@pytest.mark.parametrize(
    ("made", "on"), [(flag("x", killed=True), 0), (flag("x", on=False, following="green"), 1), (flag("x", on=False), 0)]
)
def test_a_killed_flag_is_off_and_one_that_is_on_for_the_candidate_is_on(made, on):
    assert samples(made)["gatekeeper_flag_on", "x"] == on


def test_a_weight_that_is_no_whole_number_is_shown_exactly():
    half = flag("x")
    split = replace(half.running.split, weights={"on": Decimal("0.5"), "off": Decimal("99.5")})
    found = samples(replace(half, running=replace(half.running, split=split)))
    assert found["gatekeeper_flag_weight", "x", "on"] == 0.5


@pytest.mark.parametrize(
    ("expires", "late"), [(None, False), ("2027-01-14", True), ("2027-01-15", False), ("2026-12-31", True)]
)
def test_a_flag_is_overdue_from_the_day_after_it_was_to_be_gone(expires, late):
    assert overdue(flag("x", expires=expires).definition, NOON) is late
    assert overdue(flag("x", expires="2027-01-15").definition, NOON - NOON % 86_400 + 86_399) is False
    assert overdue(flag("x", expires="2027-01-15").definition, NOON - NOON % 86_400 + 86_400) is True
