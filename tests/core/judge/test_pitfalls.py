"""Ways in which comparing two versions goes wrong, one test each: the trap, and that nobody falls into it.

Where a trap lies in recording requests on sockets, it is tested beside that code:

- the first attempt counts whatever a retry makes of it, a stream is judged by its head and a hanging answer by the
  sealing, a client's hang-up is nobody's error: ``tests/dataplane/test_docket*.py``
- a restart, a kill or a reload in mid-release, and the clock that they go by: ``tests/control/judging``
- a deadline without traffic ends a script with another code than a pass: ``tests/interface``
- all of these once more with real processes between real backends: ``tests/system/test_judge*.py``
- the mean over 10**5 random releases, with all methods to record wrongly, at length: ``benchmarks/judge``
"""

import json
from math import exp, log
from random import Random

import pytest

from benchmarks.judge.fair import measure
from benchmarks.judge.recording import Mistake, Recording
from benchmarks.judge.users import World, constant, run_world
from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.judge.bets import CASH, RATIOS, stakes
from gatekeeper.core.judge.gather import Gathering
from gatekeeper.core.judge.judge import Judge
from gatekeeper.core.judge.latency import SLOWEST
from gatekeeper.core.judge.second import Arm, Cell, Second, Tally
from gatekeeper.core.judge.verdict import Cause, Kind
from tests.core.judge.workers import Request, memory, part
from tests.core.judge.worlds import cell, feed, second

ERRORS = Analysis(latency=False, min_bake=0)


def begin(analysis=ERRORS, **more):
    return Judge(analysis, "blue", "green", **{"sticky": False, **more})


def rolled_back(world, releases, *, mistake=Mistake.NONE):
    """How many releases of two equal versions, or so."""
    sticky = world.users is not None
    told = sticky and mistake is not Mistake.PER_REQUEST
    runs = (
        run_world(world, Recording(sticky=sticky, mistake=mistake), sticky=told, seed=f"pitfall {n}")
        for n in range(releases)
    )
    return sum(bool(each.fired) for each in runs)


# What is recorded


def test_a_version_that_fails_fast_beside_one_that_fails_slowly_is_not_worse():
    """Booked when they end, the failures of one side would come first."""
    world = World(60, None, constant(0.05), constant(0.05), ((60, 0.25),), seconds=60, slow_failures=30)
    assert rolled_back(world, 8) == 0
    assert rolled_back(world, 8, mistake=Mistake.BY_COMPLETION) > 4


def test_a_retry_on_stable_does_not_launder_a_failure():
    world = World(40, None, constant(0.001), constant(0.2), ((600, 0.1),), seconds=120)
    assert rolled_back(world, 5) == 5
    assert rolled_back(World(**{**_fields(world), "rescued": True}), 5) == 0


def _fields(world):
    return {name: getattr(world, name) for name in World.__slots__}


def test_a_storm_of_retries_by_few_clients_is_one_error_of_each():
    world = World(40, 400, constant(0.02), constant(0.02), ((600, 0.05),), seconds=120, retries=4, heavy=0.5)
    assert rolled_back(world, 12) == 0
    assert rolled_back(world, 12, mistake=Mistake.PER_REQUEST) > 0


def test_a_broken_robot_on_the_candidate_is_one_error():
    world = World(20, 300, constant(0.001), constant(0.001), ((600, 0.1),), seconds=200, heavy=0.9, bots=6)
    assert rolled_back(world, 12) == 0
    assert rolled_back(world, 12, mistake=Mistake.PER_REQUEST) > 2


def test_fast_failures_are_no_gain_of_speed():
    judge = begin(Analysis())
    feed(judge, cell(0.1, 10, 0, 90, 0, slow={30: 90}, fast={30: 10}), seconds=20)
    feed(judge, cell(0.1, 10, 5, 90, 4, slow={30: 86, SLOWEST: 4}, fast={1: 5, SLOWEST: 5}), seconds=40)
    assert judge.verdict().kind is Kind.ROLLBACK
    assert judge.verdict().numbers.metrics["latency"] > log(10)


def test_what_an_operator_pinned_to_the_candidate_is_no_bet():
    gathering, judge = Gathering(None), begin()
    gathering.workers([0])
    for at in range(60):
        pinned = [Request(at, None, 0.1, True, True, counted=False)] * 5
        drawn = [Request(at, None, 0.1, number == 0) for number in range(10)]
        gathering.add(0, at, [part(at, pinned + drawn)])
        for each in gathering.take(at + 1.0):
            judge.add(each)
    verdict = judge.verdict()
    assert verdict.numbers.log_odds < 0
    assert (verdict.numbers.excluded, verdict.numbers.requests) == (300, (540, 60))


# Weights


def test_a_weight_that_changes_inside_a_second_does_not_mix_two_coins():
    """As one of both weights the same second would be a verdict."""
    mine = [Request(0, None, 0.5, True, True)] * 4 + [Request(0, None, 0.5, True)] * 46
    mine += [Request(0, None, 0.5, False)] * 50 + [Request(0, None, 0.01, True)] + [Request(0, None, 0.01, False)] * 99
    gathering, judge = Gathering(None), begin()
    gathering.workers([0])
    gathering.add(0, 0, [part(0, mine)])
    (found,) = gathering.take(1.0)
    judge.add(found)
    assert [each.weight for each in found.cells] == [0.01, 0.5]
    assert judge.log_odds < log(10)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_at_the_ends_of_the_weights_there_is_nothing_to_compare(weight):
    judge = begin()
    feed(judge, cell(weight, 50, 50, 50, 0), seconds=60)
    assert judge.log_odds == 0
    assert judge.verdict().numbers.proofs["errors"] == pytest.approx(0)


def test_at_a_ten_thousandth_three_failures_are_enough_however_long_all_was_well():
    judge = begin()
    feed(judge, cell(1e-4, 1, 0, 9999, 5), seconds=1000)
    # What never bets is a quarter.
    assert log(CASH) - 1 < judge.log_odds < 0
    feed(judge, cell(1e-4, 1, 1, 9999, 5), seconds=2)
    assert not judge.rolled_back
    feed(judge, cell(1e-4, 1, 1, 9999, 5), seconds=1)
    assert judge.rolled_back


def test_where_stable_never_failed_two_failures_are_not_enough():
    judge = begin()
    feed(judge, cell(0.01, 1, 1, 99, 0), seconds=2)
    assert exp(judge.log_odds) > 900
    assert judge.verdict().kind is Kind.SUSPICIOUS
    feed(judge, cell(0.01, 1, 1, 99, 0), seconds=1)
    assert judge.verdict().kind is Kind.ROLLBACK


def test_a_weight_lowered_and_raised_again_bets_on_no_label_twice():
    units, _ = memory()
    gathering = Gathering(units)
    gathering.workers([0])
    for at, weight in enumerate([0.5, 0.1, 0.5, 0.1, 0.5]):
        gathering.add(0, at, [part(at, [Request(at, 7, weight, False, True)], sticky=True)])
    found = [sum(each.stable.errors for each in second.cells) for second in gathering.take(5.0)]
    assert found == [1, 0, 0, 0, 0]


# Versions


def test_a_dead_stable_beside_a_good_candidate_rolls_nothing_back():
    judge = begin(Analysis())
    dead = cell(0.5, 50, 0, 50, 50, slow={SLOWEST: 50}, fast={20: 50})
    feed(judge, cell(0.5, 50, 0, 50, 0, slow={20: 50}, fast={20: 50}), seconds=5)
    before = judge.verdict().numbers.proofs
    feed(judge, dead, seconds=600)
    verdict = judge.verdict()
    assert (verdict.kind, verdict.cause) == (Kind.INVALID, Cause.STABLE)
    assert verdict.numbers.proofs == before, "to be faster than what is dead proves nothing"


def test_both_dead_is_shared_trouble_and_no_comparison():
    judge = begin()
    feed(judge, cell(0.5, 50, 50, 50, 50), seconds=120)
    assert judge.verdict().kind is Kind.SHARED_TROUBLE


def test_a_candidate_that_was_better_for_forty_minutes_is_caught_when_it_is_bad():
    judge = begin()
    for at in range(2400):
        judge.add(second(at, cell(0.25, 12, 0, 38, at % 2)))
    seconds = 0
    while not judge.rolled_back:
        seconds += 1
        judge.add(second(judge.last + 1, cell(0.25, 12, seconds % 2, 38, seconds % 2)))
    assert seconds < 300


def test_a_route_of_half_a_percent_that_is_wholly_broken_is_seen():
    judge, blind = begin(routes=("/", "/rare")), begin()
    for at in range(180):
        rare = int(at % 4 == 3)
        routes = {"/": Tally(89, 10 - rare, 1, int(at % 10 == 0)), "/rare": Tally(1, rare, 0, rare)}
        each = second(at, cell(0.1, 10, rare + int(at % 10 == 0), 90, 1, routes=routes))
        judge.add(each)
        blind.add(each)
        if judge.rolled_back:
            break
    assert judge.rolled_back
    assert not blind.rolled_back
    assert "on /rare" in judge.verdict().sentence


def test_a_wrong_share_is_no_comparison():
    judge, random = begin(), Random(11)
    for at in range(3000):
        candidate = sum(random.random() < 0.055 for _ in range(50))
        judge.add(second(at, cell(0.05, candidate, 0, 50 - candidate, 0)))
    verdict = judge.verdict()
    assert (verdict.kind, verdict.cause) == (Kind.INVALID, Cause.ROUTING)
    assert verdict.numbers.draws[1] > 3000 * 50 * 0.05


def test_at_the_deadline_without_traffic_nothing_is_proven():
    judge = begin()
    for at in range(60):
        judge.add(Second(at))
    assert judge.verdict(overdue=True).kind is Kind.NOT_ENOUGH_DATA


# Units


def test_one_heavy_good_user_promotes_nothing():
    units, seen = memory()
    gathering, judge = Gathering(units), begin(sticky=True)
    gathering.workers([0])
    for at in range(60):
        # And each second one new user of either version.
        others = [Request(at, 100 + at, 0.5, True), Request(at, 2**31 + 200 + at, 0.5, False)]
        mine = [Request(at, 7, 0.5, True)] * 200 + others
        gathering.add(0, at, [part(at, mine, sticky=True, seen=seen)])
        for each in gathering.take(at + 1.0):
            judge.add(each)
    numbers = judge.verdict().numbers
    assert numbers.requests[1] == 12_060
    assert numbers.draws == (60, 61)
    assert judge.verdict().kind is Kind.COLLECTING
    assert numbers.proofs["errors"] < 1


def test_where_every_unit_has_failed_on_stable_once_a_higher_weight_makes_new_coins():
    """A noisy baseline uses up the labels: without fresh coins a dead candidate would be seen by new units alone."""
    random = Random(2)
    crowd = [random.getrandbits(32) for _ in range(300)]

    def odds_after(*, mixed):
        units, seen = memory()
        gathering, judge = Gathering(units), begin(sticky=True)
        gathering.workers([0])
        for at in range(20):
            weight = 0.05 if at < 10 else 0.5
            mine = []
            for unit in crowd:
                candidate = unit < weight * 2**32
                # All of stable's fail at the first weight, then only the candidate's do.
                mine.append(Request(at, unit, weight, candidate, candidate if at >= 10 else not candidate))
            gathering.add(0, at, [part(at, mine, sticky=True, seen=seen, others=mixed)])
            for each in gathering.take(at + 1.0):
                judge.add(each)
        return judge.log_odds

    assert odds_after(mixed=False) > odds_after(mixed=True) + log(100)


def test_error_and_latency_of_one_user_are_not_averaged():
    """They bet on one label at different times: only the better of them counts, at half."""
    judge = begin(Analysis(), sticky=True)
    feed(judge, Cell(0.1, Arm(90, 1, 90, 1, {20: 90}), Arm(10, 0, 10, 0, {20: 10})), seconds=20)
    feed(judge, Cell(0.1, Arm(90, 1, 90, 1, {20: 90}), Arm(10, 1, 10, 1, {28: 10})), seconds=4)
    numbers = judge.verdict().numbers
    assert set(numbers.metrics) == {"errors", "latency"}
    assert numbers.log_odds == max(numbers.metrics.values())
    memory_of = judge._memory
    assert numbers.metrics["errors"] == pytest.approx(memory_of.errors.log_wealth - log(2))
    assert numbers.metrics["latency"] == pytest.approx(memory_of.latency.log_wealth - log(2))


# Numbers, clocks, processes


def test_ten_million_events_overflow_nothing():
    judge = begin(Analysis())
    many = 10**7
    feed(judge, cell(0.5, many, many // 2, many, many // 2, slow={20: many}, fast={20: many}), seconds=3)
    feed(judge, cell(1e-4, many, 0, many, many, slow={20: many}, fast={60: many}), seconds=3)
    assert json.loads(json.dumps(judge.dump())) == judge.dump()
    assert judge.verdict().numbers.log_odds < 1e10


def test_a_clock_that_jumps_back_is_no_second_chance_to_count():
    judge, straight = begin(), begin()
    for at in (0, 1, 2, 0, 1, 3):
        judge.add(second(at, cell(0.1, 10, 1, 90, 1)))
    for at in (0, 1, 2, 3):
        straight.add(second(at, cell(0.1, 10, 1, 90, 1)))
    assert judge.log_odds == straight.log_odds
    assert judge.verdict().numbers.ignored == 2
    gathering = Gathering(None)
    gathering.workers([0])
    gathering.add(0, 5, [])
    assert len(gathering.take(6.0)) == 6
    assert gathering.take(2.0) == []


def test_a_restart_in_mid_release_does_not_begin_at_even_odds():
    """All that decides goes on: the odds, and whose labels were bet on."""
    judge = begin(sticky=True)
    feed(judge, Cell(0.1, Arm(90, 0, 90), Arm(10, 2, 10, 2)), seconds=1)
    again = Judge.load(json.loads(json.dumps(judge.dump())))
    assert again.log_odds == judge.log_odds > 0
    again.lost("the memory of units is gone")
    assert (again.verdict().kind, again.verdict().cause) == (Kind.INVALID, Cause.LOST)


def test_many_workers_are_one_judge():
    """Each of eight sees one failure and has odds of nothing; together they are a verdict."""
    gathering, judge, alone = Gathering(None), begin(), begin()
    gathering.workers(range(8))
    for worker in range(8):
        mine = [Request(0, None, 0.05, True, number == 0) for number in range(60)]
        mine += [Request(0, None, 0.05, False, number < 2) for number in range(1190)]
        gathering.add(worker, 0, [part(0, mine)])
        if worker == 0:
            one = Gathering(None)
            one.workers([0])
            one.add(0, 0, [part(0, mine)])
            alone.add(one.take(1.0)[0])
    assert gathering.take(0.9) == []
    judge.add(gathering.take(1.0)[0])
    assert judge.rolled_back
    assert alone.log_odds < log(3)


# The game


def test_the_mean_wealth_over_random_releases_of_an_equal_candidate_is_at_most_one():
    fair = measure(5000)
    assert fair.mean <= fair.bound
    assert fair.ever <= fair.ever_bound


def test_one_bet_gains_nothing_on_average_wherever_the_candidate_is_tolerated():
    for weight in (1e-4, 0.01, 0.3, 0.5, 0.99):
        for base in (0.0, 0.001, 0.1, 0.9):
            for rho, delta in ((1.0, 0.0), (1.0, 0.0005), (1.5, 0.01), (2.0, 0.05)):
                candidate = min(1.0, rho * base + delta)
                for ratio in RATIOS:
                    a, c = stakes(ratio, weight, rho)
                    mean = weight * (1 + a * candidate) * exp(-a * delta) + (1 - weight) * (1 - c * base)
                    assert mean <= 1 + 1e-12
