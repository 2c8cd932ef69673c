"""What workers counted of copies is added up, shown, bounded, and handed on."""

import json

import pytest

from gatekeeper.core.shadow.tally import Outcome
from gatekeeper.telemetry.shadowed import MOST_NAMES, Shadowed
from tests.core.shadow.test_tally import CLOCK, PRICE, found, tally_of

GREEN = {"service": "shop", "version": "green"}


def values(shadowed: Shadowed) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in shadowed.families()
        for sample in family.samples
    }


def counted() -> Shadowed:
    shadowed = Shadowed()
    tally = tally_of(found(PRICE, CLOCK), found(PRICE), found())
    tally.count(Outcome.SENT, 4)
    tally.failed(Outcome.TIMEOUT, "GET /")
    shadowed.add("shop", "green", tally)
    shadowed.add("shop", "green", tally)
    return shadowed


def test_outcomes_places_and_times_are_added_up():
    said = values(counted())
    outcomes = {"sent": 8, "compared": 6, "timeout": 2, "shed": 0}
    for outcome, many in outcomes.items():
        assert said["gatekeeper_shadow_requests_total", frozenset({**GREEN, "outcome": outcome}.items())] == many
    for kind, many in {"json": 6, "answer": 2, "status": 0}.items():
        assert said["gatekeeper_shadow_differences_total", frozenset({**GREEN, "kind": kind}.items())] == many
    for side, seconds in {"user": 0.06, "candidate": 0.12}.items():
        of = {**GREEN, "side": side}
        assert said["gatekeeper_shadow_duration_seconds_sum", frozenset(of.items())] == pytest.approx(seconds)
        assert said["gatekeeper_shadow_duration_seconds_count", frozenset(of.items())] == 6
        assert said["gatekeeper_shadow_duration_seconds_bucket", frozenset({**of, "le": "+Inf"}.items())] == 6
        assert said["gatekeeper_shadow_duration_seconds_bucket", frozenset({**of, "le": "0.001"}.items())] == 0


def test_the_next_program_goes_on_from_there():
    after = Shadowed()
    after.take(json.loads(json.dumps(counted().dump())))
    assert values(after) == values(counted())


@pytest.mark.parametrize(
    "wrong", [5, [["shop"]], [["shop", "green", {"unheard": 1}, {}, [[], 0], [[], 0]]], [[1, 2, 3, 4, 5, 6]]]
)
def test_what_is_no_sums_is_refused(wrong):
    with pytest.raises(ValueError, match=r".+"):
        Shadowed().take(wrong)


def test_names_are_bounded_and_those_that_were_silent_longest_go():
    shadowed = Shadowed()
    for at in range(MOST_NAMES + 1):
        shadowed.add("shop", f"v{at}", tally_of())
        shadowed.add("shop", "busy", tally_of())
    versions = {dict(labels)["version"] for _, labels in values(shadowed)}
    assert len(versions) == MOST_NAMES
    assert "busy" in versions
    assert "v0" not in versions
