"""The analysis of a plan: what is written becomes what the judge is asked."""

import pytest

from gatekeeper.config import ConfigError
from gatekeeper.config.analysis import PACE, read_margin
from gatekeeper.core.judge.analysis import Analysis, Burst, Demand, Guard, Query
from gatekeeper.core.release.plan_changes import compare_plans

PLAN = "plans: {p: {steps: [{weight: 5}, {weight: 100}], analysis: {%s}}}"
EVERYTHING = """
plans:
  p:
    steps: [{weight: 5}, {weight: 100}]
    analysis:
      alpha: 0.1%
      promote_beta: 0.1
      tolerate: {errors: x1.1 + 0.1pt, latency: 7.5% + 10ms}
      promote_within: {errors: x1.25 + 1pt, p95: x2, p99: 3pt}
      steps: passed
      latency: true
      deadline: 90m
      min_bake: 2m
      min_events: 5
      warm_up: 20s
      routes: [/checkout/, /login]
      guard: {errors: 2.5%, p99: 800ms, window: 30s}
      burst: {block: 2m, cap: 10.5}
      metrics:
        - {name: lag, prometheus: "HTTP://Prometheus:9090/prom/", query: "max(lag) by (app)", max: 1.5, min: -3,
           every: 1m, failures: 2, token_file: prom.token}
"""


@pytest.fixture
def analysis(load):
    def analysis(keys: str) -> Analysis:
        return load(top=PLAN % keys).releasing.plans["p"].analysis

    return analysis


def test_an_analysis_with_everything_is_read_whole(load, tmp_path):
    assert load(top=EVERYTHING).releasing.plans["p"].analysis == Analysis(
        alpha=0.001,
        beta=0.1,
        tolerate_ratio=1.1,
        tolerate_errors=0.001,
        tolerate_latency=0.075,
        tolerate_floor=0.01,
        promote_errors=(1.25, 0.01),
        promote_p95=(2.0, 0.0),
        promote_p99=(1.0, 0.03),
        min_bake=120,
        min_events=5,
        warm_up=20,
        guard=Guard(0.025, 0.8, 30),
        burst=Burst(120, 10.5),
        deadline=5400.0,
        steps=Demand.PASSED,
        routes=("/checkout", "/login"),
        queries=(
            Query(
                "lag", "http://prometheus:9090/prom", "max(lag) by (app)", 1.5, -3.0, 60.0, 2, f"{tmp_path}/prom.token"
            ),
        ),
    )


def test_what_is_left_out_is_what_the_judge_does_without_it(analysis, load):
    assert analysis("") == Analysis()
    assert load(top="plans: {p: {steps: [{weight: 5}, {weight: 100}]}}").releasing.plans["p"].analysis is None
    assert analysis("guard: {p99: 1s}").guard == Guard(errors=None, p99=1.0)
    assert analysis("guard: {errors: 1%}").guard == Guard(errors=0.01)
    assert analysis("burst: {}").burst == Burst()
    assert analysis("metrics: [{name: a, prometheus: 'http://h', query: q, max: 1}]").queries == (
        Query("a", "http://h", "q", max=1.0),
    )


@pytest.mark.parametrize(
    ("text", "ratio", "points"),
    [("x1.5", 1.5, 0), ("0.05pt", 1, 0.0005), ("x1.5 + 1pt", 1.5, 0.01), ("x2+0.5 pt", 2, 0.005), ("0pt", 1, 0)],
)
def test_a_margin_is_a_ratio_points_or_both(text, ratio, points):
    assert read_margin(text) == (ratio, points)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5% + 2ms", (0.05, 0.002)), ("5%", (0.05, 0)), ("2ms", (0, 0.002)), ("0", (0, 0)), ("5 %+1s", (0.05, 1))],
)
def test_what_is_tolerated_of_times_is_a_part_a_time_or_both(text, expected):
    assert PACE.parse(text) == expected


def test_a_deadline_may_be_as_long_as_the_longest_hold(load):
    top = "plans: {p: {steps: [{weight: 5}, {weight: 100}], max_hold: 30h, analysis: {deadline: 30h}}}"
    assert load(top=top).releasing.plans["p"].analysis.deadline == 108_000
    with pytest.raises(ConfigError, match="is longer than max_hold"):
        load(top=top.replace("max_hold: 30h", "max_hold: 29h"))


def test_what_differs_between_two_analyses_is_told_by_the_keys_of_the_file(load):
    one, other = (
        load(top=PLAN % keys).releasing.plans["p"]
        for keys in (
            "tolerate: {errors: 0.1pt}, guard: {errors: 5%}",
            "tolerate: {errors: x1.5}, promote_within: {errors: x2}",
        )
    )
    found = {
        change.path.removeprefix("p.analysis."): (change.before, change.after)
        for change in compare_plans("p", one, other)
    }
    assert found["tolerate.errors"] == ("0.1pt", "x1.5 + 0pt")
    assert found["promote_within.errors"] == ("0.5pt", "x2 + 0pt")
    assert found["guard.errors"] == (0.05, None)
