"""Sign-ins that fail are bounded, per address and in all, and so is the memory of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.control.dashboard import attempts
from gatekeeper.control.dashboard.attempts import BURST, BURST_OF_ALL, EVERY, EVERY_OF_ALL, Attempts


def test_some_may_fail_at_once_and_then_one_has_to_wait():
    bound = Attempts()
    for _ in range(BURST):
        assert bound.wait("192.0.2.1", 100.0) == 0
        bound.failed("192.0.2.1", 100.0)
    assert bound.wait("192.0.2.1", 100.0) == EVERY
    assert bound.wait("192.0.2.1", 100.0 + EVERY - 0.01) == 1
    assert bound.wait("192.0.2.1", 100.0 + EVERY) == 0
    assert bound.wait("192.0.2.2", 100.0) == 0, "another address is another person"


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 30.0), max_size=200))
def test_never_more_are_heard_than_the_bound_says(gaps):
    bound, now, heard = Attempts(), 0.0, []
    for gap in gaps:
        now += gap
        if not bound.wait("192.0.2.1", now):
            bound.failed("192.0.2.1", now)
            heard.append(now)
    for first in heard:
        within = [moment for moment in heard if first <= moment < first + 60]
        assert len(within) <= BURST + 60 / EVERY


def test_who_waits_as_long_as_he_is_told_is_heard():
    bound = Attempts()
    for at in range(BURST + 5):
        bound.failed("192.0.2.1", at * 0.3)
    now = (BURST + 5) * 0.3
    wait = bound.wait("192.0.2.1", now)
    assert wait > 0
    assert bound.wait("192.0.2.1", now + wait) == 0


def test_many_addresses_have_one_bound_together():
    bound = Attempts()
    for at in range(BURST_OF_ALL):
        bound.failed(f"10.0.{at // 250}.{at % 250}", 0.0)
    assert bound.wait("192.0.2.1", 0.0) == 1
    assert bound.wait("192.0.2.1", EVERY_OF_ALL + 0.01) == 0


def test_the_memory_of_them_is_bounded(monkeypatch):
    monkeypatch.setattr(attempts, "ADDRESSES", 50)
    bound = Attempts()
    for at in range(1_000):
        bound.failed(f"10.0.{at // 250}.{at % 250}", 0.0)
    assert len(bound) == 50


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("", "no address", True),
    ],
)
def test_an_address_of_ipv6_is_a_network_and_a_mapped_one_is_of_ipv4(one, other, alike):
    assert (attempts.network(one) == attempts.network(other)) == alike
