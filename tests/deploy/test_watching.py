"""The rules and the dashboard in deploy/ name nothing that gatekeeper does not expose."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.promql import TARGET, groupings, templated, uses

ROOT = Path(__file__).parents[2]
RULES = {
    path.stem: [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
    for path in sorted((ROOT / "deploy" / "prometheus").glob("*.yml"))
}
ALERTS = {rule["alert"]: rule for rule in RULES["alerts"]}
RECORDED = {rule["record"]: rule["expr"] for rule in RULES["recording"]}
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "gatekeeper.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
HANDBOOK = (ROOT / "docs" / "metrics.md").read_text()


def exposed():
    """Series name -> labels. The handbook's tables: tests/telemetry/test_exposition.py keeps them equal to the page."""
    found = {"up": set(TARGET)}
    for name, kind, labels in re.findall(
        r"^\| `(gatekeeper_\w+)` \| (\w+) \| [^|]+ \| ([^|]+) \|", HANDBOOK, re.MULTILINE
    ):
        known = set(re.findall(r"`(\w+)`", labels)) | TARGET
        if kind == "histogram":
            found |= {f"{name}_bucket": known | {"le"}, f"{name}_count": known, f"{name}_sum": known}
        else:
            found[name] = known
    for name in RECORDED:
        found[name] = set(name.partition(":")[0].split("_"))
    return found


EXPOSED = exposed()
FIXED = re.compile(r"^\| `(state|verdict|source|reason|kind|forced|outcome)` \| (.*) \|$", re.MULTILINE)
VALUES = {label: set(re.findall(r"`(\w+)`", values)) for label, values in FIXED.findall(HANDBOOK)}


def dashboard_expressions():
    for panel in PANELS:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"], target["legendFormat"]
    for each in DASHBOARD["annotations"]["list"]:
        yield each["name"], each["expr"], each["titleFormat"]
    for each in DASHBOARD["templating"]["list"]:
        if each["type"] == "query":
            yield each["name"], each["query"]["query"], ""


def alert_texts(rule):
    return " ".join(rule["annotations"].values())


EXPRESSIONS = [
    *((name, expr, "") for name, expr in RECORDED.items()),
    *((name, rule["expr"], alert_texts(rule)) for name, rule in ALERTS.items()),
    *dashboard_expressions(),
]


@pytest.mark.parametrize(("expr", "text"), [each[1:] for each in EXPRESSIONS], ids=[each[0] for each in EXPRESSIONS])
def test_an_expression_names_only_metrics_labels_and_values_that_exist(expr, text):
    used = uses(expr)
    assert used, expr
    for use in used:
        assert use.metric in EXPOSED, use.metric
        for label, _, value in use.matchers:
            assert label in EXPOSED[use.metric], (use.metric, label)
            if label in VALUES:
                assert set(value.split("|")) <= VALUES[label], (label, value)
    known = set().union(*(EXPOSED[use.metric] for use in used))
    assert groupings(expr) <= known
    assert templated(text) - {"$value"} <= known


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_series_has_the_labels_that_its_name_says(name):
    levels = set(name.partition(":")[0].split("_"))
    outermost = re.match(r"(?:sum|max) by \(([^)]*)\)", RECORDED[name]) or re.match(
        r"histogram_quantile\([\d.]+, sum by \(([^)]*)\)", RECORDED[name]
    )
    if outermost:
        assert set(outermost[1].split(", ")) - {"le"} == levels
    else:  # made of recorded ones
        first = uses(RECORDED[name])[0].metric
        assert EXPOSED[first] == levels


def test_every_alert_says_what_it_means_and_what_to_do_and_how_bad_it_is():
    for name, rule in ALERTS.items():
        assert name.startswith("Gatekeeper")
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "description"}, name


def test_the_handbook_has_every_alert_and_no_other():
    section = (ROOT / "docs" / "operations.md").read_text().partition("## What to alert on")[2].partition("\n## ")[0]
    named = re.findall(r"`(Gatekeeper\w+)`", section)
    assert sorted(named) == sorted(ALERTS)


def test_the_dashboard_asks_its_variables_and_no_panel_lies_on_another():
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    for index, one in enumerate(places):
        assert one["x"] + one["w"] <= 24
        for other in places[:index]:
            apart = (
                one["x"] >= other["x"] + other["w"]
                or other["x"] >= one["x"] + one["w"]
                or one["y"] >= other["y"] + other["h"]
                or other["y"] >= one["y"] + one["h"]
            )
            assert apart, (one, other)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for name, expr, _ in dashboard_expressions():
        variables = set(re.findall(r"\$(\w+)", expr))
        assert variables <= {"job", "instance", "service"}, name
        if name not in {"job", "instance", "service"}:
            assert "job" in variables, name


def test_what_releases_are_watched_with_is_on_the_dashboard():
    shown = {use.metric for _, expr, _ in dashboard_expressions() for use in uses(expr)}
    for name in ("release_state", "release_step", "release_waiting", "verdict", "verdict_odds", "verdict_bar"):
        assert f"gatekeeper_{name}" in shown
    for name in ("worker_lag_seconds", "worker_memory_bytes", "worker_restarts_total", "backend_up", "tripped"):
        assert f"gatekeeper_{name}" in shown
