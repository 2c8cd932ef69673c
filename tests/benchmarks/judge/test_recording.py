"""What is handed to the judge of single requests: the rules that its bound stands on, one by one."""

from itertools import pairwise, product
from math import exp, inf

import pytest

from benchmarks.judge.recording import Recording
from gatekeeper.core.judge.errors import ErrorTest
from gatekeeper.core.judge.latency import SLOWEST, bucket, score
from gatekeeper.core.judge.second import SEAL_AFTER, Arm, Backend, Cell, Tally, Totals
from tests.core.judge.worlds import Remembered

LATE = 1000.0
ANN, BOB = 1, 2


def one(recording, at=0.5, *, failed=False, took=0.1, candidate=True, weight=0.1, **more):
    attempt = recording.begin(at, candidate=candidate, weight=weight, **more)
    recording.end(attempt, at + took, failed=failed)


def sealed(recording, now=LATE):
    return [second for second in recording.seal(now) if second.cells or second.excluded]


def test_a_second_is_handed_on_when_all_of_it_has_ended_and_not_before():
    recording = Recording(sticky=False)
    slow = recording.begin(0.5, candidate=True, weight=0.1)
    one(recording, 1.5)
    assert not list(recording.seal(2.0))
    recording.end(slow, 3.0, failed=False)
    assert [second.at for second in recording.seal(3.0)] == [0, 1, 2]


def test_seconds_without_a_request_are_handed_on_too():
    recording = Recording(sticky=False)
    assert [second.at for second in recording.seal(3.5)] == [0, 1, 2]


def test_what_hangs_counts_as_failed_and_slowest_after_ten_seconds_on_both_sides():
    recording = Recording(sticky=False)
    for candidate in (False, True):
        recording.begin(0.5, candidate=candidate, weight=0.1)
    assert not list(recording.seal(SEAL_AFTER + 0.9))
    second, *_ = recording.seal(SEAL_AFTER + 1.0)
    assert second.cells == (Cell(0.1, Arm(1, 1, 1, 1, {SLOWEST: 1}), Arm(1, 1, 1, 1, {SLOWEST: 1})),)


def test_what_ends_after_that_changes_nothing():
    recording = Recording(sticky=False)
    hanging = recording.begin(0.5, candidate=True, weight=0.1)
    list(recording.seal(SEAL_AFTER + 1.0))
    recording.end(hanging, 30.0, failed=False)
    assert not sealed(recording)


def test_a_request_counts_in_the_second_it_arrived_in():
    recording = Recording(sticky=False)
    one(recording, 0.9, took=5.0, failed=True)
    one(recording, 4.0)
    assert [(second.at, second.candidate.errors) for second in sealed(recording)] == [(0, 1), (4, 0)]


def test_a_clock_that_jumps_back_puts_a_request_into_the_second_that_is_open():
    recording = Recording(sticky=False)
    list(recording.seal(5.0))
    one(recording, 2.0)
    assert [second.at for second in sealed(recording)] == [5]


def test_times_are_those_of_draws_the_candidates_less_what_is_tolerated():
    recording = Recording(sticky=False, tolerance=0.05, floor=0.002)
    one(recording, took=0.2)
    one(recording, took=0.2, candidate=False)
    one(recording, took=0.001, failed=True)
    (cell,) = sealed(recording)[0].cells
    assert cell.candidate.times == {score(0.2, 0.05, 0.002): 1, SLOWEST: 1}
    assert cell.stable.times == {bucket(0.2): 1}


def test_a_change_of_the_weight_inside_a_second_makes_two_cells():
    recording = Recording(sticky=False)
    one(recording, weight=0.5)
    one(recording, weight=0.1, failed=True)
    (second,) = sealed(recording)
    assert [(cell.weight, cell.candidate.errors) for cell in second.cells] == [(0.1, 1), (0.5, 0)]


def test_what_the_split_did_not_draw_is_left_out_whatever_it_came_to():
    recording = Recording(sticky=False)
    one(recording, failed=True, forced=True)
    one(recording, failed=True, counted=False)
    one(recording, failed=True, counted=False, candidate=False)
    (second,) = sealed(recording)
    assert second.cells == ()
    assert second.excluded == 2
    # Users had it all the same; what a tester forced, nobody had.
    assert (second.stable, second.candidate) == (Totals(1, 1), Totals(1, 1))


def test_failures_are_told_apart_by_backend_and_by_route():
    recording = Recording(sticky=False, routes=("/pay",))
    one(recording, failed=True, backend="g1", route="/pay")
    one(recording, backend="g2", route="/other")
    one(recording, candidate=False, backend="b1", route="/pay")
    (second,) = sealed(recording)
    assert second.backends == {"g1": Backend(1, 1), "g2": Backend(1, 0)}
    assert second.cells[0].routes == {"/pay": Tally(1, 1, 0, 1)}


# Units


def test_a_unit_is_drawn_once_and_bet_on_once():
    recording = Recording(sticky=True, routes=("/a", "/b"))
    one(recording, 0.1, unit=ANN, route="/a")
    one(recording, 0.2, unit=ANN, route="/a", failed=True)
    one(recording, 0.3, unit=ANN, route="/a", failed=True)
    one(recording, 1.2, unit=ANN, route="/b", failed=True)
    one(recording, 1.2, unit=BOB, route="/a", failed=True)
    first, second = (each.cells[0] for each in sealed(recording))
    assert first.candidate == Arm(3, 1, 1, 0, {score(0.1, 0.05, 0.002): 1})
    assert first.routes == {"/a": Tally(0, 3, 0, 1)}
    assert second.candidate == Arm(2, 1, 1, 1, {SLOWEST: 1})
    # On another route it is a first error again.
    assert second.routes == {"/a": Tally(0, 1, 0, 1), "/b": Tally(0, 1, 0, 1)}


def test_where_each_request_draws_its_label_each_counts():
    recording = Recording(sticky=False)
    for _ in range(3):
        one(recording, failed=True, unit=ANN)
    assert sealed(recording)[0].cells[0].candidate == Arm(3, 3, 3, 3, {SLOWEST: 3})


def test_a_request_without_a_unit_is_left_out_and_counted():
    recording = Recording(sticky=True)
    one(recording, failed=True)
    (second,) = sealed(recording)
    assert (second.cells, second.excluded, second.unkeyed) == ((), 1, 1)


def errors_of(recording):
    return [
        [(cell.weight, cell.fresh, cell.stable.errors, cell.candidate.errors) for cell in second.cells]
        for second in sealed(recording)
    ]


def test_a_unit_that_failed_on_stable_is_a_fresh_coin_when_the_weight_grows_and_not_before():
    recording = Recording(sticky=True)
    one(recording, 0.1, unit=ANN, candidate=False, weight=0.2, failed=True)
    one(recording, 1.1, unit=ANN, candidate=False, weight=0.2, failed=True)
    one(recording, 2.1, unit=ANN, candidate=True, weight=0.6, failed=True)
    one(recording, 3.1, unit=ANN, candidate=True, weight=0.6, failed=True)
    one(recording, 4.1, unit=ANN, candidate=True, weight=0.9, failed=True)
    assert errors_of(recording) == [
        [(0.2, False, 1, 0)],
        [(0.2, False, 0, 0)],
        [(0.49999999999999994, True, 0, 1), (0.6, False, 0, 0)],
        [(0.6, False, 0, 0)],
        [(0.9, False, 0, 0)],
    ]


def test_a_weight_that_falls_and_rises_again_bets_on_no_label_twice():
    recording = Recording(sticky=True)
    one(recording, 0.1, unit=ANN, candidate=False, weight=0.5, failed=True)
    one(recording, 1.1, unit=ANN, candidate=False, weight=0.1, failed=True)
    one(recording, 2.1, unit=ANN, candidate=False, weight=0.5, failed=True)
    one(recording, 3.1, unit=ANN, candidate=False, weight=0.75, failed=True)
    assert errors_of(recording) == [
        [(0.5, False, 1, 0)],
        [(0.1, False, 0, 0)],
        [(0.5, False, 0, 0)],
        [(0.5, True, 1, 0), (0.75, False, 0, 0)],
    ]


def test_a_unit_that_failed_on_the_candidate_is_known_for_good():
    recording = Recording(sticky=True)
    one(recording, 0.1, unit=ANN, candidate=True, weight=0.2, failed=True)
    one(recording, 1.1, unit=ANN, candidate=True, weight=0.9, failed=True)
    assert errors_of(recording) == [[(0.2, False, 0, 1)], [(0.9, False, 0, 0)]]


def test_a_unit_that_failed_in_the_warm_up_has_its_coin_still():
    recording = Recording(sticky=True, warm_up=2, routes=("/",))
    for at in (0.1, 1.1, 2.1, 3.1):
        one(recording, at, unit=ANN, weight=0.2, failed=True, route="/")
    counts = [second.cells[0] for second in sealed(recording)]
    assert [(each.candidate.errors, each.candidate.draws) for each in counts] == [(0, 0), (0, 0), (1, 1), (0, 0)]
    assert [each.routes["/"].candidate_errors for each in counts] == [0, 0, 1, 0]


HAZARDS = ((0.5, 0.3, 0.6), (0.4, 0.1, 0.6))
"""Chance that a request fails in each of three seconds, on stable and on a candidate that is no worse."""


def stories(weights):
    """Every story of one unit with a request a second: its chance, and (label, failed) of each second."""
    edges = sorted({0.0, 1.0, *weights})
    for low, high in pairwise(edges):
        labels = [low < weight for weight in weights]
        for failed in product((False, True), repeat=len(weights)):
            chance = high - low
            for second, (label, fails) in enumerate(zip(labels, failed, strict=True)):
                hazard = HAZARDS[label][second]
                chance *= hazard if fails else 1 - hazard
            yield chance, list(zip(labels, failed, strict=True))


@pytest.mark.parametrize("weights", [(0.2, 0.2, 0.2), (0.1, 0.3, 0.6), (0.5, 0.2, 0.7)])
@pytest.mark.parametrize("stop", [1.2, 2.0, inf])
def test_on_every_path_of_two_units_the_mean_wealth_never_exceeds_one_with_all_their_fresh_coins(weights, stop):
    total = chances = 0.0
    fresh = 0
    for (chance, mine), (other_chance, other) in product(list(stories(weights)), repeat=2):
        recording = Recording(sticky=True, units=Remembered())
        for second, weight in enumerate(weights):
            for unit, story in ((ANN, mine), (BOB, other)):
                label, failed = story[second]
                one(recording, second + 0.5, unit=unit, candidate=label, weight=weight, failed=failed)
        test = ErrorTest.begin((), rho=1.0, delta=0.0, sticky=True)
        for second in sealed(recording, 4.0):
            for cell in second.cells:
                fresh += cell.fresh
                test.bet(cell)
            test.end_tick()
            if exp(test.log_wealth) >= stop:
                break
        total += chance * other_chance * exp(test.log_wealth)
        chances += chance * other_chance
    assert chances == pytest.approx(1)
    assert total <= 1 + 1e-12
    assert bool(fresh) is (max(weights) > weights[0])
