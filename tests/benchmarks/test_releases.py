"""Releases that go wrong: who decides what, and what is reported of it."""

from math import inf, isnan

import pytest

from benchmarks.releases.loops import ArgoLike, FlaggerLike, Reading, read
from benchmarks.releases.misrouting import widened
from benchmarks.releases.play import Options, Outcome, plan
from benchmarks.releases.report import markdown, wrong
from benchmarks.releases.shop import FAULTS, Fault, Version, fate
from gatekeeper.core.split import SPACE

METRICS = """\
# TYPE gatekeeper_requests_total counter
gatekeeper_requests_total{service="shop",version="green",code="200",forced="false"} 90
gatekeeper_requests_total{service="shop",version="green",code="404",forced="false"} 4
gatekeeper_requests_total{service="shop",version="green",code="502",forced="false"} 6
gatekeeper_requests_total{service="shop",version="blue",code="500",forced="false"} 999
# TYPE gatekeeper_request_duration_seconds histogram
gatekeeper_request_duration_seconds_bucket{service="shop",version="green",le="0.25"} 50
gatekeeper_request_duration_seconds_bucket{service="shop",version="green",le="0.5"} 98
gatekeeper_request_duration_seconds_bucket{service="shop",version="green",le="1"} 100
gatekeeper_request_duration_seconds_bucket{service="shop",version="green",le="+Inf"} 100
gatekeeper_request_duration_seconds_count{service="shop",version="green"} 100
gatekeeper_request_duration_seconds_sum{service="shop",version="green"} 30
"""


def test_a_page_of_metrics_tells_what_the_candidate_did_and_nobody_else():
    reading = read(METRICS, "green")
    assert (reading.requests, reading.failed) == (100, 6)
    assert reading.success == pytest.approx(0.94)
    assert reading.within == ((0.25, 50), (0.5, 98), (1.0, 100), (inf, 100))


def test_a_quantile_is_the_one_that_prometheus_would_show():
    reading = read(METRICS, "green")
    assert reading.quantile(0.5) == pytest.approx(0.25)
    assert reading.quantile(0.99) == pytest.approx(0.75)
    assert isnan(Reading().quantile(0.99))
    assert Reading(1, 0, ((1.0, 0), (inf, 1))).quantile(0.99) == 1.0


def fed(loop, *, failed, slow=0, checks=30, each=100):
    """After how many checks it gave up."""
    for check in range(1, checks + 1):
        within = ((0.5, float(check * (each - slow))), (1.0, float(check * each)), (inf, float(check * each)))
        if loop.look(Reading(check * each, check * failed, within)):
            return check
    return None


def test_flagger_gives_up_at_the_fifth_check_below_its_rate_or_above_its_time():
    assert fed(FlaggerLike(), failed=2) == 5
    assert fed(FlaggerLike(), failed=1) is None
    assert fed(FlaggerLike(), failed=0, slow=2) == 5
    assert fed(FlaggerLike(), failed=0, slow=1) is None
    assert fed(FlaggerLike(), failed=0, each=0) is None


def test_argo_gives_up_at_the_fourth_check_below_its_rate_and_looks_at_no_time():
    assert fed(ArgoLike(), failed=6) == 4
    assert fed(ArgoLike(), failed=5) is None
    assert fed(ArgoLike(), failed=0, slow=50) is None


def test_a_request_meets_the_same_fate_for_whoever_watches():
    worse = next(fault for fault in FAULTS if fault.errors == 0.05)
    fates = [fate(worse, number) for number in range(4000)]
    assert fates == [fate(worse, number) for number in range(4000)]
    assert 0.04 < sum(each.fails_there for each in fates) / 4000 < 0.06
    assert 0.001 < sum(each.fails for each in fates) / 4000 < 0.01
    assert not any(each.slowed for each in fates)
    slow = next(fault for fault in FAULTS if fault.tail > 1)
    slowed = [fate(slow, number) for number in range(4000)]
    assert 0.02 < sum(each.slowed for each in slowed) / 4000 < 0.04
    assert min(each.seconds for each in slowed if each.slowed) > 0.3


def test_a_fault_is_the_candidates_alone():
    outage = Fault("x", errors=1.0)
    number = next(number for number in range(100) if not fate(outage, number).fails)
    assert b" 200 OK" in Version(outage, candidate=False).answer(number)[1]
    candidate = Version(outage, candidate=True)
    assert b" 500 " in candidate.answer(number)[1]
    assert candidate.served == 1


@pytest.mark.parametrize("owners", [["blue", "green"], ["green", "blue"]])
def test_a_wrong_routing_gives_the_candidate_more_points_and_nobody_else_a_hole(owners):
    size = SPACE // 10
    uppers = [size if owners[0] == "green" else SPACE - size, SPACE]
    found, names = widened(lambda _split: (uppers, owners), 1.5)(None)
    assert names == owners
    assert found[1] == SPACE
    green = found[0] if owners[0] == "green" else SPACE - found[0]
    assert green == int(1.5 * size)
    assert widened(lambda _split: ([SPACE], ["blue"]), 1.5)(None) == ([SPACE], ["blue"])


def test_only_the_judge_is_asked_to_judge():
    options = Options(60, 10, 60, 1)
    assert "analysis" in plan("judge", options)
    assert "analysis" not in plan("Argo-like", options)


def outcome(fault="outage", watcher="judge", seconds=3.0, **more):
    found = {"held": False, "said": "worse", "sent": 100, "on_candidate": 10, "failed": 4, "harmed": 3, "slowed": 0}
    return Outcome(fault, watcher, seconds, **{**found, **more})


def test_the_table_says_what_each_cost():
    outcomes = [
        outcome(),
        outcome(watcher="Argo-like", seconds=None, harmed=1200),
        outcome("routing", held=True, harmed=0, said="misrouted"),
    ]
    text = markdown(outcomes, {"date": "today"})
    assert "| outage | **rolled back** after 3 s; 3 failed | never; 1,200 failed |" in text
    assert "| routing | held after 3 s; nobody hurt |  |" in text
    assert "- routing: misrouted" in text


def test_a_judge_that_misses_a_fault_or_ends_a_good_release_is_wrong():
    assert not wrong([outcome(), outcome("fine", seconds=None), outcome(watcher="Argo-like", seconds=None)], "fine")
    assert len(wrong([outcome(seconds=None), outcome("fine")], "fine")) == 2
