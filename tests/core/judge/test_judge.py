"""The judge as a whole: seconds in, a verdict with its sentence out; what stays, what survives, what cannot fool it."""

import json
from math import exp, isfinite, log
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.codec import CodecError, dump
from gatekeeper.core.judge.analysis import Analysis, Burst, Guard
from gatekeeper.core.judge.judge import ALONE_SECONDS, Judge
from gatekeeper.core.judge.second import Arm, Backend, Cell, Second, Tally, Totals, merge
from gatekeeper.core.judge.verdict import Cause, Kind
from tests.core.judge.worlds import cell, feed, replay, second

ERRORS = Analysis(latency=False)


def begin(analysis=ERRORS, *, sticky=False, routes=()):
    return Judge(analysis, "blue", "green", sticky=sticky, routes=routes)


def said(judge, **options):
    verdict = judge.verdict(**options)
    return verdict.kind, verdict.cause


GOOD = cell(0.1, 10, 0, 90, 0)
DEAD = cell(0.1, 10, 10, 90, 0)


# The seven verdicts


def test_the_worked_example_says_what_the_odds_are_and_why():
    judge = begin()
    judge.add(second(0, cell(0.05, 500, 8, 9500, 22)))
    assert exp(judge.log_odds) == pytest.approx(129.45, abs=0.01)
    verdict = judge.verdict()
    assert (verdict.kind, verdict.cause, verdict.bar) == (Kind.ROLLBACK, Cause.ERRORS, 100)
    assert verdict.sentence == (
        "30 failures so far; green had 5 % of the requests but 8 of the failures; "
        "odds against luck 129 : 1, rolls back at 100 : 1"
    )


def test_before_anything_is_known_it_collects_and_says_what_it_takes():
    judge = begin()
    verdict = judge.verdict()
    assert verdict.kind is Kind.COLLECTING
    assert "0 requests of green" in verdict.sentence


def test_odds_of_ten_make_it_suspicious_as_long_as_they_last():
    judge = begin()
    judge.add(second(0, cell(0.05, 500, 7, 9500, 22)))
    assert said(judge) == (Kind.SUSPICIOUS, Cause.ERRORS)
    feed(judge, cell(0.05, 50, 0, 950, 3), seconds=100)
    assert judge.verdict().kind is not Kind.SUSPICIOUS


def test_a_rollback_stays_whatever_comes_after_it():
    judge = begin()
    feed(judge, DEAD, seconds=5)
    sentence = judge.verdict().sentence
    feed(judge, GOOD, seconds=2000)
    assert said(judge) == (Kind.ROLLBACK, Cause.ERRORS)
    assert judge.verdict().sentence == sentence


def test_an_equal_candidate_passes_once_it_was_watched_long_enough():
    judge = begin()
    feed(judge, GOOD, seconds=200)
    assert judge.verdict().kind is Kind.COLLECTING
    assert judge.verdict().sentence == "proven good enough so far; watched for 100 s more"
    feed(judge, GOOD, seconds=100)
    verdict = judge.verdict()
    assert verdict.kind is Kind.PASSED
    assert verdict.sentence == (
        "green is proven not to fail more often than blue's rate and 0.5 percentage points, over 3,000 requests"
    )


def test_to_pass_every_metric_must():
    judge = begin(Analysis(min_bake=0))
    feed(judge, cell(0.1, 10, 0, 90, 0, slow={20: 90}, fast={20: 8, 40: 2}), seconds=60)
    assert judge.verdict().numbers.proofs["errors"] < log(20)
    feed(judge, cell(0.1, 10, 0, 90, 0, slow={20: 90}, fast={20: 8, 40: 2}), seconds=100)
    numbers = judge.verdict().numbers
    assert numbers.proofs["errors"] > log(20) > numbers.proofs["p95"]
    assert judge.verdict().kind is not Kind.PASSED


def test_at_the_deadline_without_traffic_there_is_not_enough_data_and_no_promotion():
    judge = begin()
    for at in range(3600):
        judge.add(Second(at))
    assert said(judge) == (Kind.COLLECTING, Cause.NONE)
    assert said(judge, overdue=True) == (Kind.NOT_ENOUGH_DATA, Cause.NONE)
    assert "needs green and blue to get requests at the same time" in judge.verdict(overdue=True).sentence


def test_not_enough_data_says_how_much_more_it_takes_and_where_it_would_be_quicker():
    judge = begin()
    # 5 requests a second, a hundredth of them the candidate's.
    for at in range(600):
        judge.add(second(at, cell(0.01, int(at % 20 == 0), 0, 5 - int(at % 20 == 0), int(at % 200 == 0))))
    verdict = judge.verdict(overdue=True)
    assert verdict.kind is Kind.NOT_ENOUGH_DATA
    assert "more green requests (" in verdict.sentence
    assert " h " in verdict.sentence
    assert "at 5 rps x 1 %); go to " in verdict.sentence
    assert "to need " in verdict.sentence


def test_both_in_trouble_is_shared_trouble_and_no_rollback():
    judge = begin()
    feed(judge, cell(0.1, 10, 5, 90, 45), seconds=60)
    verdict = judge.verdict()
    assert (verdict.kind, verdict.cause) == (Kind.SHARED_TROUBLE, Cause.GUARD)
    assert verdict.sentence == (
        "both versions are in trouble: blue: 2,700 of 5,400 requests failed in 60 s; "
        "green: 300 of 600 requests failed in 60 s"
    )
    feed(judge, GOOD, seconds=120)
    assert judge.verdict().kind is not Kind.SHARED_TROUBLE


def test_worse_than_a_stable_in_trouble_is_still_worse():
    judge = begin()
    feed(judge, cell(0.1, 10, 9, 90, 9), seconds=30)
    assert said(judge) == (Kind.ROLLBACK, Cause.ERRORS)


def test_a_dead_stable_neither_rolls_back_nor_proves_a_fine_candidate():
    judge = begin()
    feed(judge, cell(0.1, 10, 0, 90, 90), seconds=600)
    verdict = judge.verdict()
    assert (verdict.kind, verdict.cause) == (Kind.INVALID, Cause.STABLE)
    assert verdict.sentence.startswith("stable itself is in trouble")


def test_being_better_than_a_dead_stable_is_no_evidence_of_being_good():
    judge = begin()
    feed(judge, cell(0.1, 10, 0, 90, 90), seconds=5)
    before = judge.verdict().numbers.proofs
    feed(judge, cell(0.1, 10, 4, 90, 90), seconds=600)
    assert judge.verdict().numbers.proofs == before


def test_without_stable_beside_it_there_is_no_comparison():
    judge = begin()
    feed(judge, GOOD, seconds=400)
    assert judge.verdict().kind is Kind.PASSED
    feed(judge, cell(1.0, 100, 50, 0, 0), seconds=ALONE_SECONDS)
    assert said(judge) == (Kind.INVALID, Cause.ALONE)
    assert not judge.rolled_back
    # Nor where the recorder found that stable had no backend, and so no label was drawn.
    feed(judge, GOOD, seconds=1)
    assert judge.verdict().kind is Kind.PASSED
    for _ in range(ALONE_SECONDS):
        judge.add(Second(judge.last + 1, candidate=Totals(100, 0), excluded=100))
    assert said(judge) == (Kind.INVALID, Cause.ALONE)


WHOLE = cell(1.0, 100, 0, 0, 0)
NOTHING_LEFT = "; green has everything, nothing is compared any more: no absolute guard was asked for"


def test_where_the_step_gives_it_everything_a_candidate_that_had_passed_has_passed():
    judge = begin()
    feed(judge, GOOD, seconds=400)
    passed = judge.verdict()
    feed(judge, WHOLE, seconds=600)
    assert said(judge) == (Kind.INVALID, Cause.ALONE)
    assert said(judge, whole=True) == (Kind.PASSED, Cause.NONE)
    assert judge.verdict(whole=True).sentence == passed.sentence + NOTHING_LEFT


def test_where_the_step_gives_it_everything_what_was_not_proven_stays_so():
    judge = begin()
    feed(judge, GOOD, seconds=10)
    feed(judge, WHOLE, seconds=600)
    assert said(judge, whole=True) == (Kind.COLLECTING, Cause.NONE)
    assert judge.verdict(whole=True).sentence.endswith(NOTHING_LEFT)
    suspect = begin()
    suspect.add(second(0, cell(0.05, 500, 7, 9500, 22)))
    feed(suspect, WHOLE, seconds=60)
    assert said(suspect, whole=True) == (Kind.SUSPICIOUS, Cause.ERRORS)
    suspect.lost("everything")
    assert said(suspect, whole=True) == (Kind.INVALID, Cause.LOST)


def test_where_the_step_gives_it_everything_the_guard_goes_on():
    judge = begin(Analysis(latency=False, guard=Guard(errors=0.05)))
    feed(judge, GOOD, seconds=400)
    feed(judge, WHOLE, seconds=60)
    assert judge.verdict(whole=True).sentence.endswith("nothing is compared any more: only absolute guards are left")
    feed(judge, cell(1.0, 100, 8, 0, 0), seconds=60)
    assert said(judge, whole=True) == (Kind.ROLLBACK, Cause.GUARD)
    assert judge.verdict(whole=True) == judge.verdict()


def test_where_the_step_gives_it_everything_stables_last_failures_are_nobodys_concern():
    judge = begin()
    feed(judge, GOOD, seconds=400)
    feed(judge, cell(0.5, 50, 0, 50, 50), seconds=10)
    assert said(judge) == (Kind.INVALID, Cause.STABLE)
    assert said(judge, whole=True) == (Kind.PASSED, Cause.NONE)


def test_before_the_candidate_has_any_weight_nothing_is_wrong():
    judge = begin()
    feed(judge, cell(0.0, 0, 0, 100, 1), seconds=100)
    assert said(judge) == (Kind.COLLECTING, Cause.NONE)
    assert judge.log_odds == 0


# Routing


def test_a_wrong_share_is_said_to_be_invalid_for_good_and_rolls_nothing_back():
    judge = begin()
    random = Random(3)
    for at in range(2000):
        candidate = sum(random.random() < 0.11 for _ in range(50))
        judge.add(second(at, cell(0.1, candidate, 0, 50 - candidate, 0)))
    verdict = judge.verdict()
    assert (verdict.kind, verdict.cause) == (Kind.INVALID, Cause.ROUTING)
    assert verdict.sentence == (
        "green got 2,170 of 19,750 draws where 1,975 were to be expected: the routing is not what it should be, "
        "so nothing can be compared"
    )
    feed(judge, GOOD, seconds=600)
    assert said(judge) == (Kind.INVALID, Cause.ROUTING)
    feed(judge, DEAD, seconds=10)
    assert said(judge) == (Kind.INVALID, Cause.ROUTING)


def test_a_right_share_is_not_doubted():
    judge = begin()
    random = Random(4)
    for at in range(2000):
        weight = (0.01, 0.05, 0.25, 0.5)[at // 500]
        candidate = sum(random.random() < weight for _ in range(20))
        judge.add(second(at, cell(weight, candidate, 0, 20 - candidate, 0)))
    assert judge.verdict().numbers.log_share < log(100)


def test_what_an_operator_pinned_is_no_bet():
    judge, without = begin(), begin()
    for at in range(10):
        judge.add(Second(at, (GOOD,), Totals(90), Totals(60, 50), excluded=50))
        without.add(second(at, GOOD))
    assert judge.log_odds == without.log_odds
    assert judge.verdict().numbers.excluded == 500


# Weights


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_at_the_ends_of_the_weights_nothing_is_bet(weight):
    judge = begin()
    feed(judge, cell(weight, 10, 5, 10, 0), seconds=60)
    assert judge.log_odds == 0
    assert not judge.rolled_back


def test_at_a_ten_thousandth_a_dead_candidate_is_caught_at_its_third_request():
    judge = begin()
    for at in range(100):
        judge.add(second(at, cell(1e-4, 1, 1, 9999, 10)))
        if judge.rolled_back:
            break
    assert judge.verdict().numbers.errors[1] == 3


def test_when_the_weight_changes_inside_a_second_each_request_counts_with_its_own():
    judge, wrong = begin(), begin()
    judge.add(second(0, cell(0.01, 1, 0, 99, 2), cell(0.5, 50, 4, 50, 0)))
    wrong.add(second(0, cell(0.01, 51, 4, 149, 2)))
    assert judge.log_odds < log(100) < wrong.log_odds
    assert judge.verdict().numbers.requests == (149, 51)


def test_two_failures_are_never_enough_and_the_third_is():
    judge = begin()
    judge.add(second(0, cell(0.01, 2, 2, 198, 0)))
    assert judge.log_odds > log(100)
    assert judge.verdict().kind is Kind.SUSPICIOUS
    judge.add(second(1, cell(0.01, 1, 1, 99, 0)))
    assert judge.verdict().kind is Kind.ROLLBACK


# Several metrics


def test_the_metrics_divide_the_chance_of_a_false_alarm_between_them():
    alone, both = begin(), begin(Analysis())
    for judge in (alone, both):
        judge.add(second(0, cell(0.05, 500, 8, 9500, 22)))
    assert both.log_odds == pytest.approx(alone.log_odds - log(2))
    assert both.verdict().kind is Kind.SUSPICIOUS


def test_the_services_of_a_release_divide_the_chance_of_a_false_alarm_between_them():
    """The bar that people see stays the same."""
    alone, two = begin(), begin(Analysis(latency=False, services=2))
    for judge in (alone, two):
        judge.add(second(0, cell(0.05, 500, 8, 9500, 22)))
    assert two.log_odds == pytest.approx(alone.log_odds - log(2))
    assert two.verdict().numbers.metrics["errors"] == two.log_odds
    assert (alone.verdict().kind, two.verdict().kind) == (Kind.ROLLBACK, Kind.SUSPICIOUS)
    assert two.verdict().bar == 100


def test_being_faster_than_a_stable_in_trouble_is_no_evidence_of_being_good():
    judge = begin(Analysis(min_bake=0))
    feed(judge, cell(0.1, 10, 0, 90, 0, slow={20: 90}, fast={20: 10}), seconds=5)
    before = judge.verdict().numbers.proofs
    feed(judge, cell(0.1, 10, 0, 90, 45, slow={20: 45, 63: 45}, fast={20: 10}), seconds=100)
    assert judge.verdict().numbers.proofs == before


def test_a_slow_candidate_is_rolled_back_with_the_reason():
    judge = begin(Analysis())
    feed(judge, cell(0.1, 10, 0, 90, 0, slow={20: 80, 30: 10}, fast={20: 10}), seconds=20)
    feed(judge, cell(0.1, 10, 0, 90, 0, slow={20: 80, 30: 10}, fast={30: 2, 40: 8}), seconds=60)
    verdict = judge.verdict()
    assert (verdict.kind, verdict.cause) == (Kind.ROLLBACK, Cause.LATENCY)
    assert verdict.sentence.startswith("green is slower: it had 10 % of the requests but ")
    assert "above blue's p95; odds against luck" in verdict.sentence


def test_the_route_that_says_most_is_named():
    judge = begin(routes=("/", "/pay"))
    each = cell(0.1, 10, 2, 90, 1, routes={"/": Tally(80, 8, 1, 0), "/pay": Tally(10, 2, 0, 2)})
    feed(judge, each, seconds=20)
    verdict = judge.verdict()
    assert verdict.kind is Kind.ROLLBACK
    assert "of the failures (on /pay " in verdict.sentence
    assert verdict.numbers.route == "/pay"


# What is said beside it


def test_failures_on_one_backend_alone_are_pointed_out():
    judge = begin()
    backends = {"g1": Backend(5, 0), "g2": Backend(5, 3)}
    judge.add(second(0, cell(0.1, 10, 3, 90, 0), backends=backends))
    assert judge.verdict().notes == ("all 3 failures of green are on its backend g2: eject it?",)
    judge.add(second(1, cell(0.1, 10, 3, 90, 0), backends={"g1": Backend(10, 3)}))
    assert judge.verdict().notes == ()
    # Of an only backend that says nothing.
    judge = begin()
    judge.add(second(0, cell(0.1, 10, 3, 90, 0), backends={"g1": Backend(10, 3)}))
    assert judge.verdict().notes == ()


def test_a_warm_up_is_left_out_on_both_sides_and_shown():
    judge = begin(Analysis(latency=False, warm_up=10))
    feed(judge, DEAD, seconds=10)
    assert judge.log_odds == 0
    verdict = judge.verdict()
    assert verdict.numbers.requests == (0, 0)
    assert "1,000 requests of the first 10 s left out as warm-up" in verdict.notes
    # Its failures do not count as events either.
    judge.add(second(10, cell(0.01, 2, 2, 98, 0)))
    assert judge.verdict().kind is Kind.SUSPICIOUS
    feed(judge, DEAD, seconds=3)
    assert judge.verdict().kind is Kind.ROLLBACK


def test_the_warm_up_ends_with_its_time_however_many_seconds_of_it_were_recorded():
    judge = begin(Analysis(latency=False, warm_up=10))
    judge.add(second(9, DEAD))
    assert judge.log_odds == 0
    judge.add(second(10, DEAD))
    assert judge.log_odds > 0


def test_what_is_missing_and_what_was_left_out_is_said():
    judge = begin(sticky=True)
    judge.add(second(0, GOOD, keep=4, missing=1))
    judge.add(second(5, GOOD, keep=2, missing=5))
    verdict = judge.verdict()
    assert (verdict.numbers.keep, verdict.numbers.missing) == (4, 6)
    assert verdict.notes == (
        "of more units than can be sent in a second, 1 of 4 was looked at",
        "of 6 seconds a worker's report is missing",
    )


def test_a_full_memory_of_units_is_said():
    judge = begin(sticky=True)
    judge.add(second(0, GOOD, crowded=0.61))
    assert judge.verdict().notes == ("the memory of units is 61 % full: some units are not counted",)


# Units


def test_one_heavy_user_does_not_promote_a_release():
    """A thousand good requests of one unit are one draw."""
    judge = begin(sticky=True)
    judge.add(second(0, Cell(0.1, Arm(900, 0, 90, 0), Arm(1000, 0, 10, 0))))
    feed(judge, Cell(0.1, Arm(90), Arm(1000)), seconds=600)
    assert judge.verdict().kind is Kind.COLLECTING
    assert "needs " in judge.verdict().sentence
    feed(judge, Cell(0.1, Arm(90, 0, 90, 0), Arm(10, 0, 10, 0)), seconds=200)
    assert judge.verdict().kind is Kind.PASSED


def test_where_labels_stick_nothing_is_compared_any_more_after_the_candidate_had_everything():
    """Every unit's label was seen then; to give stable some back makes no new coins."""
    judge = begin(sticky=True)
    feed(judge, GOOD, seconds=20)
    feed(judge, WHOLE, seconds=1)
    odds = judge.log_odds
    feed(judge, cell(0.5, 50, 10, 50, 0), seconds=ALONE_SECONDS)
    assert judge.log_odds == odds
    assert said(judge) == (Kind.INVALID, Cause.ALONE)
    assert judge.verdict().numbers.requests == (1800, 200)


def test_too_many_requests_without_a_unit_leave_too_few_to_speak_for_all():
    judge = begin(sticky=True)
    for at in range(10):
        judge.add(second(at, GOOD, unkeyed=10))
    assert said(judge) == (Kind.INVALID, Cause.UNITS)
    judge = begin(sticky=False)
    for at in range(10):
        judge.add(second(at, GOOD, unkeyed=10))
    assert judge.verdict().kind is Kind.COLLECTING


def test_a_few_requests_without_a_unit_are_no_reason_to_doubt_neither_in_the_warm_up_nor_at_the_end():
    judge = begin(Analysis(latency=False, warm_up=30), sticky=True)
    judge.add(second(0, GOOD, unkeyed=20))
    assert judge.verdict().kind is Kind.COLLECTING
    feed(judge, GOOD, seconds=29)
    for at in range(30, 430):
        judge.add(second(at, GOOD, unkeyed=4))
        assert judge.verdict().cause is not Cause.UNITS
    for at in range(430, 1000):
        judge.add(second(at, WHOLE, unkeyed=4))
    assert said(judge, whole=True) == (Kind.PASSED, Cause.NONE)


# Absolute bounds


def test_a_guard_rolls_back_and_says_that_it_compares_nothing():
    guarded = begin(Analysis(latency=False, guard=Guard(errors=0.05)))
    # No stable beside it: a comparison has nothing to say.
    feed(guarded, cell(1.0, 100, 8, 0, 0), seconds=10)
    verdict = guarded.verdict()
    assert (verdict.kind, verdict.cause) == (Kind.ROLLBACK, Cause.GUARD)
    assert verdict.sentence == ("an absolute guard, not a comparison: green: 8 of 100 requests failed in 60 s")


def test_without_a_guard_no_absolute_bound_rolls_back():
    judge = begin()
    feed(judge, cell(1.0, 100, 8, 0, 0), seconds=100)
    assert not judge.rolled_back


def test_a_guard_on_times_counts_slow_answers():
    judge = begin(Analysis(latency=False, guard=Guard(errors=None, p99=0.8)))
    for at in range(10):
        judge.add(Second(at, (GOOD,), Totals(90, 0, 0), Totals(10, 0, 1)))
    assert said(judge) == (Kind.ROLLBACK, Cause.GUARD)
    assert "took longer than 0.8 s" in judge.verdict().sentence


def test_a_guard_looks_at_its_window_and_no_further():
    judge = begin(Analysis(latency=False, guard=Guard(errors=0.05, window=10)))
    judge.add(second(0, cell(1.0, 10, 10, 0, 0)))
    for at in range(1, 10):
        judge.add(second(at))
    judge.add(second(10, cell(1.0, 20, 0, 0, 0)))
    assert not judge.rolled_back
    judge.add(second(11, cell(1.0, 20, 3, 0, 0)))
    assert judge.rolled_back


def test_a_guard_that_both_break_rolls_nothing_back():
    judge = begin(Analysis(latency=False, guard=Guard(errors=0.05)))
    feed(judge, cell(0.1, 30, 3, 270, 27), seconds=60)
    assert said(judge) == (Kind.SHARED_TROUBLE, Cause.GUARD)


@pytest.mark.parametrize("guard", [Guard(errors=0.05, window=10), None])
def test_trouble_of_both_that_the_candidate_leaves_last_is_shared_for_a_window_more(guard):
    """Near the bound two equal versions are on different sides of it. What is left after the window is its own."""
    judge = begin(Analysis(latency=False, guard=guard, min_events=10**6))
    window = 10 if guard else 60
    feed(judge, cell(0.5, 50, 25, 50, 25), seconds=window)
    broken = window * 9 // 10 - 1  # so many good seconds, and 5 % of stable's window has failed
    feed(judge, cell(0.5, 50, 5, 50, 0), seconds=broken + window - 1)
    verdict = judge.verdict()
    assert (verdict.kind, verdict.cause) == (Kind.SHARED_TROUBLE, Cause.GUARD)
    assert verdict.sentence.startswith("both versions were in trouble: blue is out of it; green: ")
    assert not judge.rolled_back
    feed(judge, cell(0.5, 50, 5, 50, 0), seconds=1)
    assert said(judge) == ((Kind.ROLLBACK, Cause.GUARD) if guard else (Kind.SUSPICIOUS, Cause.ERRORS))


def test_trouble_of_both_from_the_first_second_on_is_not_the_candidates_for_being_asked_first():
    """Stable has not had the 20 requests that would accuse it."""
    judge = begin(Analysis(latency=False, guard=Guard(errors=0.05)))
    feed(judge, cell(0.5, 20, 10, 19, 9), seconds=1)
    assert not judge.rolled_back
    alone = begin(Analysis(latency=False, guard=Guard(errors=0.05)))
    feed(alone, cell(0.5, 20, 10, 19, 0), seconds=1)
    assert alone.rolled_back


# Bursts


def test_a_burst_needs_a_second_minute_to_convince():
    capped, free = (begin(Analysis(latency=False, burst=burst)) for burst in (Burst(60, 20), None))
    for judge in (capped, free):
        feed(judge, DEAD, seconds=59)
    assert free.rolled_back
    assert not capped.rolled_back
    assert capped.log_odds == pytest.approx(log(20))
    feed(capped, DEAD, seconds=3)
    assert capped.rolled_back


def test_one_bad_minute_of_the_candidate_alone_does_not_roll_back_with_a_cap():
    judge = begin(Analysis(latency=False, burst=Burst(60, 5)))
    feed(judge, GOOD, seconds=120)
    feed(judge, DEAD, seconds=50)
    feed(judge, cell(0.1, 10, 0, 90, 1), seconds=600)
    assert not judge.rolled_back


# Seconds, restarts, workers


def test_seconds_that_come_late_or_twice_are_left_out_and_counted():
    judge, without = begin(), begin()
    for at in (0, 1, 5):
        judge.add(second(at, DEAD if at else GOOD))
        without.add(second(at, DEAD if at else GOOD))
    before = judge.verdict().numbers.requests
    for at in (5, 3, 0, -7):
        judge.add(second(at, DEAD))
    assert judge.verdict().numbers.requests == before
    assert judge.log_odds == without.log_odds
    assert judge.last == 5
    assert judge.verdict().numbers.ignored == 4
    assert "4 seconds came late or twice and were left out" in judge.verdict().notes


ANALYSES = [ERRORS, Analysis(), Analysis(burst=Burst(), guard=Guard(errors=0.5), warm_up=3)]


def some_seconds(count, seed=5):
    random = Random(seed)
    for at in range(count):
        weight = (0.05, 0.25)[at > count // 2]
        n, stable = random.randrange(8), random.randrange(40)
        k, b = random.randrange(n // 4 + 1), random.randrange(stable // 20 + 1)
        slow, fast = {random.randrange(10, 40): stable} if stable else {}, {random.randrange(10, 45): n} if n else {}
        tallies = {"/": Tally(stable, n, b, k)}
        cells = (cell(weight, n, k, stable, b, slow=slow, fast=fast, routes=tallies), cell(0.5, 1, 0, 1, 0))
        yield second(at, *cells, backends={"g1": Backend(n, k)}, unkeyed=random.randrange(2))


@pytest.mark.parametrize("analysis", ANALYSES)
@pytest.mark.parametrize("sticky", [False, True])
def test_a_restart_at_any_second_changes_not_one_bit(analysis, sticky):
    straight = begin(analysis, sticky=sticky, routes=("/",))
    restarted = begin(analysis, sticky=sticky, routes=("/",))
    for each in some_seconds(120):
        straight.add(each)
        restarted = Judge.load(json.loads(json.dumps(restarted.dump())))
        restarted.add(each)
        assert restarted.log_odds.hex() == straight.log_odds.hex()
    assert restarted.verdict() == straight.verdict()
    assert restarted.dump() == straight.dump()


def test_a_replay_of_recorded_seconds_gives_the_same_verdicts_to_the_last_bit():
    judge = begin(Analysis(), routes=("/",))
    beginning, log_lines, verdicts = json.dumps(judge.dump()), [], []
    for each in some_seconds(200):
        log_lines.append(json.dumps(dump(each)))
        judge.add(each)
        verdicts.append(judge.verdict())
    assert list(replay(json.loads(beginning), map(json.loads, log_lines))) == verdicts


def test_a_replay_of_something_else_is_refused_with_the_place():
    beginning = begin().dump()
    with pytest.raises(CodecError, match=r"cells\[0\]\.weight"):
        list(replay(beginning, [{"at": 1, "cells": [{"weight": "much"}]}]))
    with pytest.raises(CodecError, match="memory"):
        Judge.load({**beginning, "memory": None})


def test_what_was_lost_in_a_restart_is_not_begun_anew_in_silence():
    judge = begin()
    feed(judge, GOOD, seconds=400)
    judge.lost("the units that failed were lost in a restart")
    assert said(judge) == (Kind.INVALID, Cause.LOST)
    assert judge.verdict().sentence.startswith("the units that failed were lost in a restart, so ")
    feed(judge, DEAD, seconds=20)
    assert said(judge) == (Kind.INVALID, Cause.LOST)
    assert not judge.rolled_back


def test_many_workers_are_one_judge_and_none_of_them_rolls_back_alone():
    """Eight workers see a few failures each, at odds that none of them could act on; together they convince."""
    parts = [second(0, cell(0.05, 60, 1, 1190, 2)) for _ in range(8)]
    alone, together = begin(), begin()
    alone.add(parts[0])
    together.add(merge(parts))
    assert not alone.rolled_back
    assert together.log_odds == pytest.approx(_odds_of(cell(0.05, 480, 8, 9520, 16)))
    assert together.verdict().kind is Kind.ROLLBACK


def _odds_of(one):
    judge = begin()
    judge.add(second(0, one))
    return judge.log_odds


# Whatever comes

counts = st.integers(0, 10**7)
arms = st.builds(
    lambda n, k, d, e, times: Arm(n, min(k, n), min(d, n), min(e, d, n), times),
    *(counts, counts, counts, counts),
    st.dictionaries(st.integers(0, 63), st.integers(1, 10**6), max_size=4),
)
cells = st.builds(
    Cell,
    st.sampled_from([0.0, 1e-9, 1e-4, 0.01, 0.5, 0.99, 1 - 1e-9, 1.0]),
    arms,
    arms,
    st.booleans(),
    st.dictionaries(st.sampled_from(["/", "/x"]), st.builds(Tally, counts, counts, counts, counts), max_size=2),
)
totals = st.builds(lambda n, k, s: Totals(n, min(k, n), min(s, n)), counts, counts, counts)
seconds = st.builds(
    Second, st.integers(0, 100), st.tuples(cells) | st.tuples(cells, cells) | st.just(()), totals, totals
)


@settings(max_examples=150, deadline=None)
@given(found=st.lists(seconds, max_size=12), sticky=st.booleans(), analysis=st.sampled_from(ANALYSES))
def test_whatever_comes_there_is_one_verdict_with_finite_numbers_that_can_be_kept(found, sticky, analysis):
    judge = begin(analysis, sticky=sticky, routes=("/",))
    for each in found:
        judge.add(each)
        verdict = judge.verdict(overdue=True)
        assert verdict.kind is not Kind.COLLECTING
        assert verdict.sentence
        numbers = verdict.numbers
        assert all(map(isfinite, [numbers.log_odds, numbers.log_share, *numbers.metrics.values()]))
        assert all(map(isfinite, numbers.proofs.values()))
        assert numbers.log_odds == pytest.approx(max(numbers.metrics.values()))
    assert Judge.load(json.loads(json.dumps(judge.dump()))).dump() == judge.dump()


def test_ten_million_requests_take_no_more_memory_than_a_thousand():
    judge = begin(Analysis(), routes=("/",))
    sizes = []
    for at in range(1000):
        each = cell(0.1, 1000, 1, 9000, 9, slow={20: 9000}, fast={20: 1000}, routes={"/": Tally(9000, 1000, 9, 1)})
        judge.add(second(at, each))
        if at in (99, 999):
            sizes.append(len(json.dumps(judge.dump())))
    assert judge.verdict().kind is Kind.PASSED
    # Longer numbers only.
    assert sizes[1] < sizes[0] * 1.1
