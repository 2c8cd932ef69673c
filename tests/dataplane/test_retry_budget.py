"""Retries as a share of requests."""

from gatekeeper.dataplane.retry import Budget


def spent(budget, seen, wanted):
    """How many of the retries wanted at once are granted."""
    return sum(budget.spend(seen) for _ in range(wanted))


def test_a_service_without_traffic_may_retry_its_reserve():
    assert spent(Budget(0.1), 0, 100) == Budget.RESERVE


def test_without_a_share_nothing_is_retried():
    assert spent(Budget(0.0), 1_000_000, 10) == 0


def test_retries_are_the_share_of_requests_in_the_long_run():
    budget = Budget(0.1)
    spent(budget, 0, 100)
    assert sum(spent(budget, seen, 10) for seen in range(10, 10_001, 10)) == 1_000


def test_a_whole_share_grants_every_request_of_a_burst_a_retry():
    assert spent(Budget(1.0), 500, 500) == 500


def test_a_burst_is_bounded_however_long_nothing_was_retried():
    assert spent(Budget(0.1), 10**9, 1_000) == Budget.SAVED * 0.1


def test_requests_that_are_forgotten_take_nothing_away():
    budget = Budget(0.1)
    assert budget.spend(10**6)
    assert budget.spend(5)
    assert spent(budget, 5, 200) == 98
