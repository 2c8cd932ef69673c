"""What is foretold before a release comes true in it, and the small words that say it."""

import re
from math import inf
from random import Random
from statistics import median

import pytest

from gatekeeper.core.judge import words
from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.judge.judge import Judge
from gatekeeper.core.judge.power import requests_to_detect, requests_to_pass, requests_to_pass_latency
from gatekeeper.core.judge.verdict import Kind
from tests.core.judge.worlds import cell, second

ALONE = Analysis(latency=False, min_bake=0)


@pytest.mark.parametrize(
    ("weight", "stable", "candidate", "least", "most"),
    [(0.05, 0.01, 0.06, 120, 135), (0.05, 0.01, 0.03, 520, 600), (0.05, 0.001, 0.003, 10_000, 12_500)],
)
def test_known_cases_of_detection(weight, stable, candidate, least, most):
    assert least < requests_to_detect(ALONE, weight, stable, candidate) < most


def test_what_is_tolerated_or_cannot_be_compared_is_never_detected():
    assert requests_to_detect(ALONE, 0.05, 0.001, 0.0014) == inf
    assert requests_to_detect(ALONE, 0.0, 0.01, 0.5) == inf
    assert requests_to_detect(ALONE, 1.0, 0.01, 0.5) == inf
    assert requests_to_pass(ALONE, 0.05, 0.01, 0.02) == inf


def test_a_second_metric_costs_a_little():
    one, two = (requests_to_detect(analysis, 0.05, 0.01, 0.06) for analysis in (ALONE, Analysis()))
    assert one < two < 1.2 * one


def simulated(stable, candidate, *, until, releases):
    """Candidate requests until the verdict, at 5 % of 100 requests in a second: the median of some releases."""
    found = []
    for seed in range(releases):
        random, judge, requests = Random(f"power {seed}"), Judge(ALONE, "blue", "green", sticky=False), 0
        for at in range(4000):
            n = sum(random.random() < 0.05 for _ in range(100))
            k = sum(random.random() < candidate for _ in range(n))
            b = sum(random.random() < stable for _ in range(100 - n))
            judge.add(second(at, cell(0.05, n, k, 100 - n, b)))
            requests += n
            if judge.rolled_back if until == "rollback" else at % 10 == 9 and judge.verdict().kind is Kind.PASSED:
                break
        found.append(requests)
    return median(found)


def test_detection_takes_about_what_was_foretold():
    foretold = requests_to_detect(ALONE, 0.05, 0.01, 0.06)
    assert foretold / 1.5 < simulated(0.01, 0.06, until="rollback", releases=100) < foretold * 1.5


def test_passing_takes_about_what_was_foretold():
    foretold = requests_to_pass(ALONE, 0.05, 0.002, 0.002)
    assert foretold / 1.5 < simulated(0.002, 0.002, until="passed", releases=30) < foretold * 1.5
    # Every error-free run takes at least what the rule of three asks for.
    assert requests_to_pass(ALONE, 0.05, 0.0, 0.0) == pytest.approx(780, rel=0.1)
    assert 900 < requests_to_pass_latency(Analysis(), 0.05) < 2000


def test_more_evidence_leaves_less_to_get():
    assert requests_to_pass(ALONE, 0.05, 0.001, 0.001, have=2.0) < requests_to_pass(ALONE, 0.05, 0.001, 0.001)
    assert requests_to_pass(ALONE, 0.05, 0.001, 0.001, have=3.0) == 0


def test_the_sentence_of_what_is_missing_counts_down():
    judge, left = Judge(ALONE, "blue", "green", sticky=False), []
    for at in range(300):
        judge.add(second(at, cell(0.1, 5, 0, 45, 0)))
        left.append(words.requests_missing(ALONE, judge.numbers(), 0.1))
    assert left[0] > 700
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0


@pytest.mark.parametrize(
    ("sticky", "text"),
    [
        (False, r"needs [\d,]+ more green requests \([\dhmins ]+ at 50 rps x 10 %\)"),
        (True, r"needs [\d,]+ more units on green \([\dhmins ]+ at 50 new ones a second x 10 %\)"),
    ],
)
def test_what_is_missing_is_units_where_labels_stick_to_them(sticky, text):
    """However many requests a unit sends, it is drawn once."""
    judge = Judge(ALONE, "blue", "green", sticky=sticky)
    judge.add(second(0, cell(0.1, 5, 0, 45, 0)))
    assert re.search(text, judge.verdict().sentence)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (25, "25 s"),
        (119, "119 s"),
        (2360, "39 min"),
        (23_600, "6 h 33 min"),
        (3599, "60 min"),
        (3600 * 200, "200 h"),
    ],
)
def test_times_as_people_say_them(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("log_odds", "text"),
    [
        (-1.0, "none"),
        (0.0, "none"),
        (1.0, "2.7 : 1"),
        (4.863, "129 : 1"),
        (9.5, "13,360 : 1"),
        (800.0, "over a million : 1"),
    ],
)
def test_odds_as_people_say_them(log_odds, text):
    assert words.odds_text(log_odds) == text


@pytest.mark.parametrize(
    ("part", "text"), [(0.05, "5 %"), (0.0025, "0.25 %"), (0.123, "12 %"), (0.5, "50 %"), (1.0, "100 %")]
)
def test_shares_as_people_say_them(part, text):
    assert words.percent(part) == text
