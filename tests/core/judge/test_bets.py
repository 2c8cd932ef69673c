"""The bets are fair: on every path of small worlds, for every stopping rule."""

from math import exp, inf, isfinite, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.judge.bets import (
    CASH,
    PASS_BETS,
    RATIOS,
    Mixture,
    PassTest,
    ShareTest,
    WorseTest,
    stakes,
)
from tests.core.judge.worlds import Request, expectation

ROUNDING = 1e-12
WEIGHTS = (1e-4, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.9999)
BASES = (0.0, 1e-4, 1e-3, 0.01, 0.1, 0.5, 1.0)
RHOS = (1.0, 1.2, 2.0)
DELTAS = (0.0, 1e-4, 5e-4, 0.005, 0.05)


def growth_when_worse(weight, base, rho, delta, ratio):
    """The mean factor of one request at the edge of what is tolerated."""
    a, c = stakes(ratio, weight, rho)
    candidate = min(1.0, rho * base + delta)
    return weight * (1 + (exp(0) * a) * candidate) * exp(-a * delta) + (1 - weight) * (1 - c * base)


def growth_when_passing(weight, base, rho, delta, bet):
    candidate = min(1.0, rho * base + delta)
    factor = 1 + bet * rho * weight / (1 - weight)
    won = (1 - bet) / (1 - bet * delta) * candidate + 1 / (1 - bet * delta) * (1 - candidate)
    return weight * won + (1 - weight) * (1 - base + base * factor)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_a_bet_on_worse_is_unfavourable_everywhere_on_the_grid(weight):
    worst = max(
        growth_when_worse(weight, base, rho, delta, ratio)
        for base in BASES
        for rho in RHOS
        for delta in DELTAS
        for ratio in RATIOS
    )
    assert worst <= 1 + ROUNDING


@given(
    weight=st.floats(1e-6, 1 - 1e-6),
    base=st.floats(0, 1),
    better=st.floats(0, 1),
    rho=st.floats(1, 10),
    delta=st.floats(0, 0.5),
    ratio=st.floats(1, 1e4),
)
def test_a_bet_on_worse_is_unfavourable_for_whatever_is_tolerated(weight, base, better, rho, delta, ratio):
    a, c = stakes(ratio, weight, rho)
    candidate = better * min(1.0, rho * base + delta)
    mean = weight * (1 + a * candidate) * exp(-a * delta) + (1 - weight) * (1 - c * base)
    assert 0 <= c < 1
    assert mean <= 1 + 1e-9


@given(weight=st.floats(1e-6, 1 - 1e-6), base=st.floats(0, 1), rho=st.floats(1, 10), delta=st.floats(1e-6, 0.5))
def test_a_bet_on_good_enough_is_unfavourable_for_whatever_is_not(weight, base, rho, delta):
    if rho * base + delta <= 1:
        assert all(growth_when_passing(weight, base, rho, delta, bet) <= 1 + 1e-9 for bet in PASS_BETS)


def worlds() -> list[list[Request]]:
    """Five requests each: weights that change, rates that drift, outages of both."""
    return [
        [(0.05, 0.01, 0.01)] * 5,
        [(0.01, 0.0, 0.0), (0.05, 0.5, 0.5), (0.25, 1.0, 1.0), (0.5, 0.1, 0.1), (0.95, 0.3, 0.3)],
        [(0.5, 0.9, 0.9), (0.1, 0.001, 0.001), (0.1, 0.999, 0.999), (0.9, 0.2, 0.2), (0.9, 0.7, 0.7)],
    ]


@pytest.mark.parametrize("world", worlds())
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("delta", [0.0, 0.05])
@pytest.mark.parametrize("stop", [1.05, 1.5, inf])
def test_the_mean_wealth_of_a_good_candidate_never_exceeds_one_however_one_stops(world, shared, delta, stop):
    def play(bets):
        test = WorseTest(1.0, delta, Mixture.begin(len(RATIOS), shared=shared))
        for weight, n, k, b in bets:
            test.bet(weight, n, k, b)
            test.mixture.end_tick()
            if exp(test.mixture.log_wealth) >= stop:
                break
        return exp(test.mixture.log_wealth)

    at_the_edge = [(weight, stable, min(1.0, stable + delta)) for weight, stable, _ in world]
    assert expectation(at_the_edge, play) <= 1 + ROUNDING
    # And the game is worth playing: what is worse wins.
    worse = [(weight, stable / 4, min(1.0, stable + 0.3)) for weight, stable, _ in world]
    assert expectation(worse, play) > 1


@pytest.mark.parametrize("world", worlds())
@pytest.mark.parametrize("stop", [1.02, inf])
def test_the_mean_evidence_for_a_candidate_that_is_too_bad_never_exceeds_one(world, stop):
    def play(bets):
        test = PassTest(1.5, 0.05)
        for bet in bets:
            test.bet(*bet)
            if exp(test.log_evidence) >= stop:
                break
        return exp(test.log_evidence)

    at_the_edge = [(weight, stable / 2, 0.75 * stable + 0.05) for weight, stable, _ in world]
    assert expectation(at_the_edge, play) <= 1 + ROUNDING
    assert expectation([(weight, stable, 0.0) for weight, stable, _ in world], play) > 1


@pytest.mark.parametrize("world", worlds())
def test_the_mean_evidence_against_a_right_routing_is_one_and_against_a_wrong_one_more(world):
    def play(bets):
        test = ShareTest()
        for weight, n, _, _ in bets:
            test.bet(weight, 1 - n, n)
            test.mixture.end_tick()
        return exp(test.mixture.log_wealth)

    assert expectation(world, play) == pytest.approx(1, abs=ROUNDING)

    def play_wrong(bets):
        return play([(weight / 2, n, k, b) for weight, n, k, b in bets])

    assert expectation(world, play_wrong) > 1


# What must not depend on how the bets are placed


def test_fixed_share_keeps_the_whole_and_brings_back_what_was_lost():
    mixture = Mixture.begin(3)
    mixture.multiply([-50.0, -20.0, 1.0])
    before, lost = mixture.log_wealth, mixture.parts[1]
    mixture.end_tick()
    assert mixture.log_wealth == before
    assert sum(mixture.parts) == pytest.approx(1, abs=1e-15)
    assert lost < 1e-20
    assert mixture.parts[1] == pytest.approx((1 - CASH) / 3 / 60)


def test_a_mixture_that_is_not_shared_forgets_nothing():
    mixture = Mixture.begin(2, shared=False)
    mixture.multiply([-40.0, 0.0])
    for _ in range(1000):
        mixture.end_tick()
    mixture.multiply([40.0, 0.0])
    assert mixture.log_wealth == pytest.approx(0, abs=1e-9)


def test_the_cap_takes_wealth_and_never_gives_any():
    mixture = Mixture.begin(2)
    mixture.multiply([3.0, 2.0])
    before = mixture.log_wealth
    mixture.cap(before + 1)
    assert mixture.log_wealth == before
    mixture.cap(0.5)
    assert mixture.log_wealth == 0.5


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_without_a_concurrent_comparison_nothing_is_bet(weight):
    worse, passes, share = WorseTest(), PassTest(1.0, 0.005), ShareTest()
    worse.bet(weight, 100, 50, 50)
    passes.bet(weight, 100, 0, 50)
    share.bet(weight, 0, 100)
    assert worse.mixture.log_wealth == share.mixture.log_wealth == 0
    assert passes.log_evidence == pytest.approx(0)


@pytest.mark.parametrize("weight", [1e-4, 1e-9, 0.5, 1 - 1e-9])
@pytest.mark.parametrize(("k", "b"), [(10**7, 0), (0, 10**7), (10**7, 10**7), (10**7, 1), (0, 0)])
def test_ten_million_events_neither_overflow_nor_lose_what_comes_after(weight, k, b):
    worse, passes, share = WorseTest(1.0, 0.0005), PassTest(1.0, 0.005), ShareTest()
    for _ in range(3):
        # Two weights in one tick, so that what the first ruined is not healed before the second.
        for n, events, others in ((k, k, b), (10**7, b, k)):
            worse.bet(weight, n, events, others)
            passes.bet(weight, n, events, others)
            share.bet(weight, others, n)
        worse.mixture.end_tick()
        share.mixture.end_tick()
        assert isfinite(worse.mixture.log_wealth)
        assert isfinite(passes.log_evidence)
        assert isfinite(share.mixture.log_wealth)
    assert min(worse.mixture.parts) > 0
    if k == 0 and b and weight == 0.5:
        for _ in range(400):
            worse.bet(weight, 10, 10, 0)
            worse.mixture.end_tick()
        assert worse.mixture.log_wealth > log(100)


def test_two_failures_at_one_percent_are_already_odds_of_a_thousand():
    """Stable never failed: that is why three events are asked for, at the price of one request."""
    worse = WorseTest(1.0, 0.0005)
    worse.bet(0.01, 2, 2, 0)
    assert worse.mixture.log_wealth > log(900)


def test_the_order_within_a_tick_does_not_matter():
    one, other = WorseTest(), WorseTest()
    bets = [(0.05, 40, 2, 7), (0.25, 10, 1, 3)]
    for test, order in ((one, bets), (other, bets[::-1])):
        for bet in order:
            test.bet(*bet)
        test.mixture.end_tick()
    assert one.mixture.log_wealth == pytest.approx(other.mixture.log_wealth, abs=1e-12)


def test_a_wrong_share_near_weight_one_can_still_be_bet_on():
    share = ShareTest()
    for _ in range(2000):
        share.bet(0.98, 10, 90)
        share.mixture.end_tick()
    assert share.mixture.log_wealth > log(1000)
