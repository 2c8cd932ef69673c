"""Routes, units, and weights that change: what may be added up, and what may not be forgotten."""

from itertools import pairwise
from math import exp, floor, inf, log
from random import Random

import pytest

from gatekeeper.core.judge.errors import ALL, ErrorTest
from gatekeeper.core.judge.second import Arm, Cell, Tally
from tests.core.judge.worlds import cell

ROUNDING = 1e-12


def begin(*routes, sticky=False):
    return ErrorTest.begin(routes, rho=1.0, delta=0.0, sticky=sticky)


def tick(test, *cells):
    for each in cells:
        test.bet(each)
    test.end_tick()


# Routes


def seconds_until(test, limit, **cells):
    for second in range(3600):
        tick(test, cells["each"](second))
        if test.log_wealth >= limit:
            return second + 1
    return inf


def broken_route(second):
    """200 rps, a tenth to the candidate, base 1 %; of each second's 20 candidate requests one in ten seconds is to
    /rare (half a percent of the traffic), where all of them fail.
    """
    rare = int(second % 10 == 9)
    background = int(second % 5 == 4)
    routes = {
        "/": Tally(170, 19, int(second % 2), background),
        "/rare": Tally(1, rare, 0, rare),
    }
    return cell(0.1, 20, background + rare, 180, 1 + second % 2, routes=routes)


@pytest.mark.parametrize("sticky", [False, True])
def test_a_route_of_half_a_percent_that_is_wholly_broken_is_seen_by_itself(sticky):
    alone = seconds_until(begin(sticky=sticky), log(100), each=broken_route)
    apart = begin("/", "/rare", sticky=sticky)
    together = seconds_until(apart, log(100), each=broken_route)
    assert together < 60
    assert together < alone / 4
    assert apart.loudest == "/rare"


def test_where_each_request_draws_its_label_the_evidence_of_routes_is_their_weighted_mean():
    test = begin("/a", "/b")
    tick(test, cell(0.1, 10, 3, 90, 2, routes={"/a": Tally(50, 5, 1, 3), "/b": Tally(40, 5, 1, 0)}))
    each = {name: exp(part.mixture.log_wealth) for name, part in test.tests.items()}
    assert exp(test.log_wealth) == pytest.approx(each[ALL] / 2 + each["/a"] / 4 + each["/b"] / 4)


def test_where_labels_stick_to_units_only_the_best_route_counts_as_much_as_it_was_given():
    test = begin("/a", "/b", sticky=True)
    tick(test, cell(0.1, 10, 3, 90, 2, routes={"/a": Tally(50, 5, 1, 3), "/b": Tally(40, 5, 1, 0)}))
    each = {name: exp(part.mixture.log_wealth) for name, part in test.tests.items()}
    assert exp(test.log_wealth) == pytest.approx(max(each[ALL] / 2, each["/a"] / 4, each["/b"] / 4))


def test_a_route_that_was_not_chosen_beforehand_is_no_evidence_of_its_own():
    test, without = begin("/a"), begin("/a")
    tick(test, cell(0.1, 10, 3, 90, 2, routes={"/other": Tally(0, 3, 0, 3)}))
    tick(without, cell(0.1, 10, 3, 90, 2))
    assert test.log_wealth == without.log_wealth


# Units


def odds_of_units(*, sticky, seed, hazards, units=400, weight=0.5, ticks=240):
    """The highest evidence of a release whose units fail with ``hazards(tick)`` of (stable, candidate), each once."""
    random = Random(seed)
    test = begin(sticky=sticky)
    left = [0, 0]
    for _ in range(units):
        left[random.random() < weight] += 1
    highest = 0.0
    for second in range(ticks):
        failed = [
            sum(random.random() < hazard for _ in range(alive))
            for hazard, alive in zip(hazards(second), left, strict=True)
        ]
        left = [alive - gone for alive, gone in zip(left, failed, strict=True)]
        tick(test, Cell(weight, Arm(units, failed[0]), Arm(units, failed[1])))
        highest = max(highest, test.log_wealth)
    return highest


@pytest.mark.parametrize(
    ("hazards", "why"),
    [
        (lambda second: (0.05, 0.01), "the candidate is better all the time"),
        (lambda second: (0.9 if second < 5 else 0.01, 0.01), "stable fails for a moment, then both are equal"),
    ],
)
def test_wealth_that_remembers_is_fair_where_units_are_used_up_at_different_speeds(hazards, why):
    releases = 40
    remembering = sum(odds_of_units(sticky=True, seed=n, hazards=hazards) >= log(100) for n in range(releases))
    forgetting = sum(odds_of_units(sticky=False, seed=n, hazards=hazards) >= log(100) for n in range(releases))
    assert remembering == 0, why
    # The same with wealth that is dealt out anew is what this is made against.
    assert forgetting > releases / 2


UNIT = ((0.3, 0.1, 0.5), (0.25, 0.1, 0.0))
"""Hazards of three ticks on stable, and smaller or equal ones on the candidate."""


def unit_outcomes(weights):
    """Chance and (tick, label) of a unit's first error, or None, where the weight grows from tick to tick.

    Its place on the ring decides its label at each weight.
    """
    edges = [0.0, *weights, 1.0]
    for place, (low, high) in enumerate(pairwise(edges)):
        alive = high - low
        for second in range(len(weights)):
            label = place <= second
            hazard = UNIT[label][second]
            yield alive * hazard, (second, label)
            alive *= 1 - hazard
        yield alive, None


def unit_paths(weights, units):
    if not units:
        yield 1.0, []
        return
    for chance, rest in unit_paths(weights, units - 1):
        yield from ((chance * mine, [error, *rest]) for mine, error in unit_outcomes(weights))


@pytest.mark.parametrize("weights", [(0.2, 0.2, 0.2), (0.1, 0.3, 0.6), (0.5, 0.5, 0.9)])
@pytest.mark.parametrize("stop", [1.1, 1.5, 2.5, inf])
def test_on_every_path_of_three_units_the_mean_wealth_never_exceeds_one(weights, stop):
    total = chances = 0.0
    for chance, errors in unit_paths(weights, 3):
        test = begin(sticky=True)
        for second, weight in enumerate(weights):
            counts = [errors.count((second, label)) for label in (False, True)]
            tick(test, Cell(weight, Arm(3, counts[0]), Arm(3, counts[1])))
            if exp(test.log_wealth) >= stop:
                break
        total += chance * exp(test.log_wealth)
        chances += chance
    assert chances == pytest.approx(1)
    assert total <= 1 + ROUNDING


def test_a_weight_that_was_lowered_counts_as_the_highest_it_was():
    lowered, same = begin(sticky=True), begin(sticky=True)
    for test, weight in ((lowered, 0.1), (same, 0.5)):
        tick(test, cell(0.5, 10, 0, 10, 1))
        tick(test, cell(weight, 10, 3, 10, 0))
    assert lowered.log_wealth == same.log_wealth


def test_fresh_coins_are_bet_on_with_their_own_probability():
    test, highest = begin(sticky=True), begin(sticky=True)
    tick(test, cell(0.5, 10, 0, 10, 0), Cell(0.1, Arm(errors=2), Arm(errors=3), fresh=True))
    tick(highest, cell(0.5, 10, 3, 10, 2))
    assert test.log_wealth > highest.log_wealth
    assert test.highest == 0.5


def test_late_trouble_is_seen_soon_where_wealth_forgets_and_later_where_it_may_not():
    def hazards(second):
        return (0.002, 0.002) if second < 120 else (0.002, 0.02)

    forgetting = odds_of_units(sticky=False, seed=1, hazards=hazards, units=1000)
    remembering = odds_of_units(sticky=True, seed=1, hazards=hazards, units=1000)
    assert forgetting > remembering > log(100)


def test_each_request_its_own_label_a_candidate_that_was_better_for_long_is_still_caught():
    test = begin()
    for second in range(2400):
        tick(test, cell(0.25, 12, 0, 37, int(second % 3 == 0)))
    assert test.log_wealth < 0
    for second in range(600):
        tick(test, cell(0.25, 12, int(second % 3 == 0), 37, int(second % 3 == 1)))
        if test.log_wealth >= log(200):
            break
    # The candidate now fails three times as often: 20 failures of 39 are its own at a quarter of the traffic.
    assert floor(second) < 240
