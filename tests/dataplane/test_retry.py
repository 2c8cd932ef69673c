"""The retry rules, one by one."""

import pytest

from gatekeeper.dataplane.retry import may_answer_by_stable, may_repeat_unseen, may_try_again
from gatekeeper.errors import Fault

UNSEEN = {"method": b"GET", "has_body": False, "reused": True, "answer_begun": False}
NEVER_AGAIN = [
    Fault.BAD_REQUEST,
    Fault.BODY_TIMEOUT,
    Fault.RESPONSE_TIMEOUT,
    Fault.BAD_RESPONSE,
    Fault.UNAVAILABLE,
    Fault.INTERNAL,
]


def test_a_get_on_a_dead_pooled_connection_is_repeated():
    assert may_repeat_unseen(**UNSEEN)


@pytest.mark.parametrize(
    "but",
    [{"method": b"POST"}, {"method": b"PATCH"}, {"method": b"get"}, {"method": b"LOCK"}, {"has_body": True},
     {"reused": False}, {"answer_begun": True}],
)  # fmt: skip
def test_each_condition_alone_forbids_it(but):
    assert not may_repeat_unseen(**(UNSEEN | but))


@pytest.mark.parametrize("fault", [Fault.CONNECT_REFUSED, Fault.CONNECT_TIMEOUT, Fault.RESET])
def test_what_was_not_sent_may_be_tried_again_as_often_as_allowed(fault):
    assert may_try_again(fault=fault, sent=False, tries=1, attempts=1)
    assert not may_try_again(fault=fault, sent=False, tries=2, attempts=1)
    assert not may_try_again(fault=fault, sent=False, tries=1, attempts=0)
    assert not may_try_again(fault=fault, sent=True, tries=1, attempts=5)


@pytest.mark.parametrize("fault", NEVER_AGAIN)
def test_other_faults_are_final_within_the_version(fault):
    assert not may_try_again(fault=fault, sent=False, tries=1, attempts=5)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_stable_may_answer_for_a_5xx_or_a_broken_exchange(status):
    assert may_answer_by_stable(fault=None, status=status, method=b"GET", has_body=False)
    assert may_answer_by_stable(fault=Fault.RESPONSE_TIMEOUT, status=0, method=b"HEAD", has_body=False)


@pytest.mark.parametrize(
    "case",
    [{"status": 499}, {"status": 404}, {"method": b"POST"}, {"method": b"DELETE"}, {"has_body": True},
     {"fault": Fault.BODY_TIMEOUT},
     {"fault": Fault.UNAVAILABLE}],
)  # fmt: skip
def test_stable_does_not_answer_for_anything_else(case):
    assert not may_answer_by_stable(**({"fault": None, "status": 500, "method": b"GET", "has_body": False} | case))
