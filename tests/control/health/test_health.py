"""What checks say of a backend: the state machine by itself."""

import pytest

from gatekeeper.control.health.health import Condition, Health
from gatekeeper.core.model import HealthCheck

FAST = HealthCheck(interval=0.01, timeout=1.0, rise=2, fall=3)


def conditions(results, check=FAST, first=Condition.PENDING):
    health = Health(check, first, "")
    found = []
    for result in results:
        health.record("" if result == "+" else "broken")
        found.append(health.condition.value[0])
    return "".join(found)


@pytest.mark.parametrize(
    ("first", "results", "expected"),
    [
        (Condition.PENDING, "+", "r"),
        (Condition.PENDING, "--+", "ppr"),
        (Condition.PENDING, "---", "ppe"),
        (Condition.READY, "--+--+", "rrrrrr"),
        (Condition.READY, "---", "rre"),
        (Condition.EJECTED, "+-++", "eeer"),
        (Condition.EJECTED, "----", "eeee"),
    ],
)
def test_a_backend_moves_only_on_enough_results_in_a_row(first, results, expected):
    assert conditions(results, first=first) == expected


def test_a_change_says_why():
    health = Health(HealthCheck(fall=2), Condition.READY, "the check passes")
    assert not health.record("connection refused")
    assert health.reason == "connection refused"
    assert health.record("no answer within 1 s")
    assert health.reason == "2 checks failed in a row: no answer within 1 s"
    assert not health.record("connection refused")
    once = Health(HealthCheck(fall=1), Condition.READY, "the check passes")
    assert once.record("connection refused")
    assert once.reason == "the check failed: connection refused"


def test_only_a_ready_backend_whose_last_check_passed_is_well():
    health = Health(HealthCheck(fall=2, rise=2), Condition.READY, "the check passes")
    found = []
    for result in ("", "broken", "", "broken", "broken", "", ""):
        health.record(result)
        found.append(health.well)
    assert found == [True, False, True, False, False, False, True]
    assert Health(None, Condition.READY, "no health check").well
