"""What the benchmark harness reports, and what it refuses to."""

import json

import pytest

from benchmarks import proxies, report
from benchmarks.measure import Run
from benchmarks.processes import BenchmarkError

ABOUT = {"cpu": "a core"}


def run(name, cpu_us=10.0, busy=0.99, foreign=0.0, requests=100_000):
    cpu = cpu_us * 1e-6 * requests
    return Run(name, requests, cpu / busy, cpu=cpu, busy=busy, foreign=foreign, p50=0.001, p99=0.002)


def test_the_ratio_is_taken_within_rounds_so_that_a_slow_round_does_not_count():
    rounds = [
        {"nginx": run("nginx", 10), "gatekeeper": run("gatekeeper", 15)},
        {"nginx": run("nginx", 100), "gatekeeper": run("gatekeeper", 150)},
        {"nginx": run("nginx", 10), "gatekeeper": run("gatekeeper", 15)},
    ]
    assert report.ratio(rounds, "gatekeeper", "nginx") == pytest.approx(1.5)


def test_a_ratio_without_its_other_side_is_none():
    assert report.ratio([{"nginx": run("nginx")}], "nginx", "aiohttp") is None


@pytest.mark.parametrize(("cpu_us", "verdict"), [(16.0, "reached"), (16.2, "missed")])
def test_targets_are_judged_by_the_ratio(cpu_us, verdict):
    rounds = [{"nginx": run("nginx", 10), "gatekeeper": run("gatekeeper", cpu_us)}]
    table = report.markdown(report.summarise(rounds), rounds, ABOUT)
    assert f"of nginx: {cpu_us / 10:.2f}, {verdict}." in table
    assert "of aiohttp" not in table


def test_who_outran_the_load_has_a_lower_bound_of_throughput_and_no_latency():
    rounds = [{"floor": run("floor", 10, busy=0.8)}]
    line = report.markdown(report.summarise(rounds), rounds, ABOUT).splitlines()[2]
    assert line.endswith("| > 80,000 | 80% | - | - |")


def test_the_json_holds_every_single_run():
    rounds = [{"nginx": run("nginx", 10)}, {"nginx": run("nginx", 12)}]
    said = json.loads(report.as_json(report.summarise(rounds), rounds, ABOUT))
    assert [[one["contestant"] for one in runs] for runs in said["rounds"]] == [["nginx"], ["nginx"]]
    assert said["medians"][0]["cpu_us"] == pytest.approx(11)


@pytest.mark.parametrize(
    ("doubtful", "why"),
    [
        (run("nginx", busy=0.7), "the load was the bottleneck"),
        (run("nginx", foreign=0.2), "other programs used 20%"),
        (run("floor", foreign=0.2), "other programs used 20%"),
    ],
)
def test_a_run_that_is_not_to_be_believed_is_refused(monkeypatch, doubtful, why):
    monkeypatch.setattr(proxies, "run_once", lambda *_: doubtful)
    monkeypatch.setattr(proxies, "PAUSE_SECONDS", 0)
    with pytest.raises(BenchmarkError, match=why):
        proxies.believable(proxies.CONTESTANTS[doubtful.contestant], 1, 64, attempts=2)


def test_a_doubted_run_is_tried_again(monkeypatch):
    runs = iter([run("nginx", foreign=0.2), run("nginx")])
    monkeypatch.setattr(proxies, "run_once", lambda *_: next(runs))
    monkeypatch.setattr(proxies, "PAUSE_SECONDS", 0)
    assert proxies.believable(proxies.CONTESTANTS["nginx"], 1, 64, attempts=2).foreign == 0


def test_the_floor_may_outrun_the_load():
    assert proxies.doubt(run("floor", busy=0.7)) == ""
