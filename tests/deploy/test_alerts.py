"""Each alert fires for what it is there for, not before its time, and none on a day when all is well."""

import subprocess

import pytest
import yaml

from tests.deploy.test_watching import ALERTS, ROOT

pytestmark = pytest.mark.outside("promtool")

RULES = [str(path) for path in sorted((ROOT / "deploy" / "prometheus").glob("*.yml"))]
END = 45
"""Minutes of the made-up day; a sample every 15 s."""
SAMPLES = END * 4
LONG_AGO = -20_000
"""Seconds before that day began: more than five hours."""
BOUNDS = ("0.05", "0.1", "0.5", "5.0", "10.0", "60.0", "+Inf")

BLUE = 'service="shop",version="blue"'
GREEN = 'service="shop",version="green"'
OK = 'code="200",forced="false"'
FAILED = 'code="503",forced="false"'
RELEASE = 'service="shop",release="7"'
AT = 'job="gatekeeper",instance="one"'


def name(metric, labels=""):
    return f"{metric}{{{','.join(filter(None, (AT, labels)))}}}"


def rising(each):
    """A counter that grows by so much in 15 s."""
    return f"0+{each}x{SAMPLES}"


def always(value):
    return f"{value}+0x{SAMPLES}"


def times(metric, labels, bound, count):
    """A histogram whose observations are all in the bucket of this bound."""
    full = BOUNDS[BOUNDS.index(bound) :]
    return {name(f"{metric}_bucket", f'{labels},le="{le}"'): rising(count if le in full else 0) for le in BOUNDS}


DURATION, UPSTREAM = "gatekeeper_request_duration_seconds", "gatekeeper_upstream_duration_seconds"
WELL = {
    'up{job="gatekeeper",instance="one"}': always(1),
    name("gatekeeper_requests_total", f"{BLUE},{OK}"): rising(900),
    name("gatekeeper_requests_total", f"{GREEN},{OK}"): rising(100),
    name("gatekeeper_requests_total", f"{BLUE},{FAILED}"): rising(1),
    **times(DURATION, BLUE, "0.1", 900), **times(DURATION, GREEN, "0.1", 100),
    **times(UPSTREAM, BLUE, "0.1", 900), **times(UPSTREAM, GREEN, "0.1", 100),
    name("gatekeeper_errors_total", f'{BLUE},source="gatekeeper"'): always(0),
    name("gatekeeper_errors_total", f'{BLUE},source="client"'): rising(5),
    name("gatekeeper_failovers_total", BLUE): always(0),
    name("gatekeeper_weight", BLUE): always(90), name("gatekeeper_weight", GREEN): always(10),
    name("gatekeeper_share", BLUE): always(0.9), name("gatekeeper_share", GREEN): always(0.1),
    name("gatekeeper_stable", BLUE): always(1), name("gatekeeper_stable", GREEN): always(0),
    name("gatekeeper_candidate", BLUE): always(0), name("gatekeeper_candidate", GREEN): always(1),
    name("gatekeeper_backend_up", f'{BLUE},backend="a"'): always(1),
    name("gatekeeper_backend_up", f'{GREEN},backend="b"'): always(1),
    name("gatekeeper_backend_state", f'{GREEN},backend="b",state="ejected"'): always(0),
    name("gatekeeper_backend_state", f'{GREEN},backend="b",state="ready"'): always(1),
    name("gatekeeper_ejections_total", f'{GREEN},cause="check"'): always(1),
    name("gatekeeper_tripped", GREEN): always(0),
    name("gatekeeper_revision"): always(7),
    name("gatekeeper_release_state", f'{RELEASE},state="progressing"'): always(1),
    name("gatekeeper_release_state", f'{RELEASE},state="paused"'): always(0),
    name("gatekeeper_release_state_since_seconds", RELEASE): always(LONG_AGO),
    name("gatekeeper_release_waiting", f'{RELEASE},kind="approval"'): always(0),
    name("gatekeeper_release_waiting", f'{RELEASE},kind="window"'): always(1),
    name("gatekeeper_verdict", f'{RELEASE},verdict="collecting"'): always(1),
    name("gatekeeper_verdict_odds", 'service="shop"'): always(1),
    name("gatekeeper_verdict_bar", 'service="shop"'): always(100),
    name("gatekeeper_guard_value", f'{GREEN},guard="errors"'): always(0.01),
    name("gatekeeper_guard_bound", f'{GREEN},guard="errors"'): always(0.05),
    name("gatekeeper_custom_metric_value", 'service="shop",metric="carts"'): always(3),
    name("gatekeeper_custom_metric_bound", 'service="shop",metric="carts",bound="max"'): always(5),
    name("gatekeeper_workers"): always(2),
    name("gatekeeper_worker_restarts_total"): always(3),
    name("gatekeeper_worker_revision", 'worker="0"'): always(7),
    name("gatekeeper_worker_lag_seconds", 'worker="0"'): always(0.001),
    name("gatekeeper_problems"): always(0),
    name("gatekeeper_refused_total", 'reason="connection_limit"'): always(4),
    name("gatekeeper_refused_total", 'reason="tls"'): rising(4),
    name("gatekeeper_access_log_dropped_total"): always(9),
    name("gatekeeper_spans_total", 'outcome="dropped"'): always(9),
    name("gatekeeper_spans_total", 'outcome="exported"'): rising(30),
}  # fmt: skip


def verdict(kind):
    return {
        name("gatekeeper_verdict", f'{RELEASE},verdict="collecting"'): None,
        name("gatekeeper_verdict", f'{RELEASE},verdict="{kind}"'): always(1),
    }


# Alert -> what is not well, and the minutes that pass before it says so.
CASES = {
    "GatekeeperVersionErrors": ({name("gatekeeper_requests_total", f"{GREEN},{FAILED}"): rising(50)}, 1),
    "GatekeeperVersionSlow": (times(DURATION, GREEN, "10.0", 100), 5),
    "GatekeeperCandidateWorse": ({name("gatekeeper_requests_total", f"{GREEN},{FAILED}"): rising(3)}, 1),
    "GatekeeperCandidateSlower": (times(UPSTREAM, GREEN, "0.5", 100), 2),
    "GatekeeperCandidateWithoutTraffic": ({name("gatekeeper_share", GREEN): always(0)}, 5),
    "GatekeeperVersionUnavailable": ({name("gatekeeper_backend_up", f'{GREEN},backend="b"'): always(0)}, 0.25),
    "GatekeeperBackendDown": (
        {name("gatekeeper_backend_state", f'{GREEN},backend="b",state="ejected"'): always(1)}, 1,
    ),
    "GatekeeperBackendFlaps": ({name("gatekeeper_ejections_total", f'{GREEN},cause="check"'): rising(1)}, 0),
    "GatekeeperFailovers": ({name("gatekeeper_failovers_total", BLUE): rising(1)}, 1),
    "GatekeeperTurnsClientsAway": ({name("gatekeeper_refused_total", 'reason="connection_limit"'): rising(1)}, 1),
    "GatekeeperOwnErrors": ({name("gatekeeper_errors_total", f'{BLUE},source="gatekeeper"'): rising(1)}, 1),
    "GatekeeperTripped": ({name("gatekeeper_tripped", GREEN): always(1)}, 0),
    "GatekeeperVerdictSuspicious": (verdict("suspicious"), 0.5),
    "GatekeeperVerdictRollback": (verdict("rollback"), 0),
    "GatekeeperVerdictNotEnoughData": (verdict("not_enough_data"), 30),
    "GatekeeperVerdictWithoutValue": (verdict("shared_trouble"), 1),
    "GatekeeperOddsNearBar": ({name("gatekeeper_verdict_odds", 'service="shop"'): always(51)}, 0),
    "GatekeeperGuardNear": ({name("gatekeeper_guard_value", f'{GREEN},guard="errors"'): always(0.045)}, 0.5),
    "GatekeeperCustomMetricUnknown": (
        {name("gatekeeper_custom_metric_value", 'service="shop",metric="carts"'): None}, 5,
    ),
    "GatekeeperReleasePaused": (
        {
            name("gatekeeper_release_state", f'{RELEASE},state="paused"'): always(1),
            name("gatekeeper_release_state_since_seconds", RELEASE): always(0),
        },
        15.25,
    ),
    "GatekeeperReleaseWaits": (
        {
            name("gatekeeper_release_waiting", f'{RELEASE},kind="approval"'): always(1),
            name("gatekeeper_release_state_since_seconds", RELEASE): always(5 * 60 - 4 * 3600),
        },
        5.25,
    ),
    "GatekeeperDown": ({'up{job="gatekeeper",instance="one"}': always(0)}, 0.5),
    "GatekeeperWithoutWorkers": ({name("gatekeeper_workers"): always(0)}, 0.25),
    "GatekeeperWorkerRestarts": ({name("gatekeeper_worker_restarts_total"): rising(1)}, 0),
    "GatekeeperWorkerBehind": ({name("gatekeeper_worker_revision", 'worker="0"'): always(6)}, 0.5),
    "GatekeeperWorkerBusy": ({name("gatekeeper_worker_lag_seconds", 'worker="0"'): always(0.3)}, 2),
    "GatekeeperProblems": ({name("gatekeeper_problems"): always(1)}, 0.5),
    "GatekeeperSpansDropped": ({name("gatekeeper_spans_total", 'outcome="dropped"'): rising(3)}, 1),
    "GatekeeperLogDropped": ({name("gatekeeper_access_log_dropped_total"): rising(30)}, 0),
}  # fmt: skip


def firing(alert, minutes, expected):
    return {
        "expr": f'group by (alertname) (ALERTS{{alertstate="firing",{alert}}})',
        "eval_time": f"{round(minutes * 60)}s",
        "exp_samples": expected,
    }


def day(series, *tests):
    return {
        "interval": "15s",
        "input_series": [{"series": each, "values": values} for each, values in series.items() if values],
        "promql_expr_test": list(tests),
    }


def promtool(folder, *days):
    file = folder / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": RULES, "evaluation_interval": "15s", "tests": list(days)}))
    return subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_rules_are_rules_to_promtool():
    done = subprocess.run(
        ["promtool", "check", "rules", "--lint=all", *RULES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("SUCCESS") == len(RULES)


def test_every_alert_fires_for_its_cause_and_not_before_its_time(tmp_path):
    assert set(CASES) == set(ALERTS)
    days = []
    for alert, (wrong, minutes) in CASES.items():
        asked = f'alertname="{alert}"'
        expected = [{"labels": f'{{alertname="{alert}"}}', "value": 1}]
        # A minute for rates to have their samples.
        tests = [firing(asked, minutes + 1.5, expected)]
        if minutes > 0.25:
            tests.append(firing(asked, minutes - 0.25, []))
        days.append(day(WELL | wrong, *tests))
    done = promtool(tmp_path, *days)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_fires_on_a_day_when_all_is_well(tmp_path):
    done = promtool(tmp_path, day(WELL, *(firing('alertname=~".+"', minute, []) for minute in (1, 10, 30, END))))
    assert done.returncode == 0, done.stdout + done.stderr
