"""What is reported of a tally, and when a check has passed."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.release.plan import MirrorCheck
from gatekeeper.core.shadow.asking import ROW_MOST, too_many, verdict
from gatekeeper.core.shadow.compare import Comparison, Difference, Kind, Place
from gatekeeper.core.shadow.model import Mirror
from gatekeeper.core.shadow.report import quantile, report, wilson
from gatekeeper.core.shadow.tally import Outcome, Tally, Times
from tests.core.shadow.test_tally import CLOCK, PRICE, found, tally_of

CHECK = MirrorCheck(Mirror(""), seconds=600, max_different=0.01, at_least=100)


def test_differences_come_with_the_most_frequent_first_and_noise_apart():
    status = Place(Kind.STATUS, "")
    tally = tally_of(found(PRICE), *[found(status)] * 3, found(CLOCK), found(noise=(CLOCK,)), *[found()] * 4)
    tally.count(Outcome.SENT, 12)
    tally.count(Outcome.SHED, 2)
    said = report(tally)
    assert [(row.kind, row.path, row.requests) for row in said.differences] == [
        ("status", "", 3),
        ("json", "$.price", 1),
    ]
    assert [(row.kind, row.path, row.requests, row.noise) for row in said.noise] == [("json", "$.time", 1, 1)]
    assert (said.mirrored, said.compared, said.asked, said.different, said.share) == (12, 10, 10, 4, 0.4)
    assert said.low < 0.4 < said.high
    assert said.outcomes["shed"] == 2
    assert said.differences[0].samples[0].request == "GET /cart"
    assert 0.008 < (said.user.p50 or 0) < 0.0125


def test_of_nothing_nothing_is_known():
    said = report(Tally())
    assert (said.share, said.low, said.high, said.user.p50) == (None, 0.0, 1.0, None)


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_holds_the_share_and_stays_between_none_and_all(hits, more):
    low, high = wilson(hits, hits + more)
    assert 0 <= low <= hits / (hits + more) <= high <= 1


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"), [(0, 100, 0.0, 0.037), (5, 100, 0.0215, 0.1118), (10, 10, 0.722, 1)]
)
def test_the_interval_is_wilsons(hits, of, low, high):
    assert wilson(hits, of) == pytest.approx((low, high), abs=5e-4)


def test_a_quantile_is_the_end_of_its_bucket_and_unknown_beyond_the_last():
    times = Times()
    for seconds in (0.001, 0.001, 0.002, 100.0):
        times.add(seconds)
    assert quantile(times, 0.5) == 0.001
    assert quantile(times, 1.0) is None


# The check of a plan


def test_a_check_goes_on_until_its_time_is_over_or_too_much_differs():
    assert verdict(tally_of(*[found()] * 500), CHECK, over=False) is None
    passed, text = verdict(tally_of(*[found()] * 500), CHECK, over=True) or (None, "")
    assert passed
    assert text.startswith("0 of 500 answers differ (0 %, 95 % interval 0 % to 0.762 %), at most 1 % may")


def test_too_few_answers_do_not_pass():
    tally = tally_of(*[found()] * 99)
    tally.count(Outcome.SHED, 7)
    passed, text = verdict(tally, CHECK, over=True) or (None, "")
    assert passed is False
    assert "only 99 answers were compared, of at least 100; 7 were not copied" in text
    assert "`for`" in text


def test_too_many_differences_fail_at_once_but_not_before_enough_was_compared():
    assert verdict(tally_of(*[found(PRICE)] * 99), CHECK, over=False) is None
    passed, text = verdict(tally_of(*[found(PRICE)] * 100), CHECK, over=False) or (None, "")
    assert passed is False
    assert "json $.price: 100, such as GET /cart: l -> r" in text


def test_copies_that_got_no_answer_count_against_the_candidate():
    tally = tally_of(*[found()] * 200)
    for _ in range(5):
        tally.failed(Outcome.REFUSED, "GET /")
    assert (verdict(tally, CHECK, over=True) or (True,))[0] is False


def test_as_many_as_may_differ_pass():
    tally = tally_of(*[found()] * 99, found(PRICE))
    assert (verdict(tally, CHECK, over=True) or (False,))[0] is True
    assert (verdict(tally, replace(CHECK, max_different=0.0), over=False) or (True,))[0] is False


def test_noise_is_named_and_not_counted():
    tally = tally_of(*[found(noise=(CLOCK,))] * 200)
    passed, text = verdict(tally, CHECK, over=True) or (None, "")
    assert passed
    assert "not counted, since stable differs there from itself: json $.time" in text


def test_the_evidence_fits_into_what_is_kept_of_a_check():
    tally = Tally()
    for at in range(300):
        place = Place(Kind.JSON, f"$.{'x' * 180}{at}")
        long = Comparison(
            (Difference(*place, "l" * 120, "r" * 120),), (Place(Kind.HEADER, f"{'h' * 180}{at}"),), True, 0.1, 0.1
        )
        tally.compared(long, f"GET /{'p' * 200}")
    _, text = verdict(tally, CHECK, over=True) or (None, "")
    assert len(text) < 4096
    assert max(len(line) for line in text.splitlines() if line.startswith("json")) == ROW_MOST


def test_a_share_that_is_tolerated_fails_early_once_in_twenty_times_at_most():
    chance, early = random.Random(5), 0
    for _ in range(400):
        different = 0
        for asked in range(1, 400):
            different += chance.random() < 0.05
            if too_many(different, asked, 0.05):
                early += 1
                break
    assert early / 400 <= 0.05


def test_a_share_five_times_as_large_fails_early():
    assert not too_many(5, 100, 0.05)
    assert too_many(25, 100, 0.05)
