"""The promises, and what they are judged by."""

from dataclasses import replace

import pytest

from benchmarks.proxies.gates import gates
from benchmarks.proxies.idle import Held
from benchmarks.proxies.results import Results
from tests.benchmarks.proxies.made import MIB, all_well, part, run, soaked, timed


def of(results, what):
    (found,) = (gate for gate in gates(results) if what in gate.what and "compiled" not in gate.what)
    return found


def test_all_seven_promises_are_judged():
    found = gates(all_well())
    assert {gate.number for gate in found} == set(range(1, 8))
    assert [gate.what for gate in found if not gate.holds] == []


def test_what_was_not_measured_is_neither_kept_nor_broken():
    assert {gate.verdict for gate in gates(Results())} == {"not measured"}


@pytest.mark.parametrize(
    ("case", "cpu_us", "what"),
    [
        ("small", 13.6, "to nginx, small"),
        ("everything", 18.1, "to envoy, everything"),
        ("everything", 17.6, "to caddy, everything"),
        ("small", 18.1, "to aiohttp, small"),
        ("connections-10000", 15.1, "10,000 connections to 64"),
        ("services-10000", 13.3, "services-10000"),
        ("rules-1000", 15.7, "rules-1000"),
        ("down-1m", 720, "down-1m"),
        ("up-100m", 720, "up-100m"),
        ("workers-2", 13.4, "work of two workers"),
    ],
)
def test_who_costs_more_than_was_promised_fails(case, cpu_us, what):
    found = all_well()
    old = found.rounds[case][0]["gatekeeper"]
    worse = run("gatekeeper", cpu_us, requests=old.requests, size=old.size, shared=old.shared, spread=old.spread)
    found.rounds[case][0]["gatekeeper"] = worse
    assert of(found, what).verdict == "FAIL"


def test_what_is_compiled_is_judged_apart():
    found = all_well()
    found.rounds["small"][0]["gatekeeper-compiled"] = run("gatekeeper-compiled", 13.6)
    assert [gate.what for gate in gates(found) if gate.holds is False] == ["CPU per request to nginx, small, compiled"]


@pytest.mark.parametrize(("p50", "p99", "what"), [(0.00026, 0.0005, "added p50"), (0.00024, 0.00061, "added p99")])
def test_what_is_added_counts_and_not_what_it_takes(p50, p99, what):
    found = all_well()
    found.timed[0]["gatekeeper"] = [timed("gatekeeper", p50, p99)]
    assert of(found, what).verdict == "FAIL"
    assert [gate.number for gate in gates(found) if gate.holds is False] == [2]


def test_a_slow_round_does_not_count():
    found = all_well()
    for slower in (1, 10, 1):
        found.rounds["small"].append({"nginx": run("nginx", 10 * slower), "gatekeeper": run("gatekeeper", 12 * slower)})
    assert of(found, "to nginx, small").found == pytest.approx(1.2)


def test_a_refused_figure_is_not_measured():
    found = all_well()
    del found.rounds["small"][0]["nginx"]
    assert of(found, "to nginx, small").verdict == "not measured"


def test_idle_connections_may_take_a_hundred_mebibytes():
    found = all_well()
    found.held = [{"gatekeeper": Held("gatekeeper", 10_000, 70 * MIB, 171 * MIB)}]
    assert of(found, "idle").verdict == "FAIL"


def test_with_cores_for_the_load_the_work_of_two_workers_is_what_they_did():
    found = all_well()
    base = found.rounds["small"][0]["gatekeeper"]
    two = replace(base, requests=base.requests * 17 // 10, spread=[32, 32])
    found.rounds["workers-2"] = [{"gatekeeper": two}]
    assert of(found, "work of two").found == pytest.approx(1.7)
    assert of(found, "work of two").verdict == "FAIL"


@pytest.mark.parametrize("spread", [[50, 14], [64]])
def test_workers_that_do_not_share_connections_fail(spread):
    found = all_well()
    found.rounds["workers-2"] = [{"gatekeeper": run("gatekeeper", 12.5, shared=True, spread=spread)}]
    assert of(found, "fuller worker").verdict == "FAIL"


@pytest.mark.parametrize(
    "soak",
    [
        soaked(error="one was answered 502"),
        replace(soaked(), parts=[part(at, failed=at == 7) for at in range(20)]),
        replace(soaked(), parts=[part(at, rss=(100 + 2 * at) * MIB) for at in range(20)]),
        replace(soaked(), parts=[part(at, p50=0.001 * (1 + at / 20)) for at in range(20)]),
        replace(soaked(), parts=[part(at, p99=0.002 * (1 + at / 20)) for at in range(20)]),
        replace(soaked(), reloads=0),
    ],
)
def test_a_soak_with_errors_growth_or_drift_fails(soak):
    found = all_well()
    found.soak = soak
    assert of(found, "soak").verdict == "FAIL"
