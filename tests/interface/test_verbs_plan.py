import json

import pytest

from gatekeeper.errors import GatekeeperError
from tests.interface.releases import CHECK, PLAN, PLANS

VERIFY = ("POST", "/v1/services/shop/verify")


def verified(*checks, **fields):
    passed = all(check["passed"] for check in checks)
    found = {"revision": 44, "service": "shop", "version": "green", "build": "7", "plan": "careful", "passed": passed}
    return {**found, "seconds": 1.25, "results": list(checks), **fields}


def test_verify_prints_each_check_with_its_time_and_its_result(admin, gatekeeper):
    admin.answer(*VERIFY, verified(CHECK, {**CHECK, "name": "smoke", "seconds": 12.3}))
    code, out, _ = gatekeeper("verify", "shop", "green", "--plan", "careful", "--timeout", "2m")
    assert code == 0
    assert [line.split() for line in out.splitlines()[:3]] == [
        ["CHECK", "RESULT", "TOOK"],
        ["http", "/healthz", "passed", "0.012", "s"],
        ["smoke", "passed", "12.3", "s"],
    ]
    assert out.splitlines()[3] == "shop green (build 7): 2 of 2 checks of plan careful passed, in 1.250 s"
    assert admin.asked[0].json == {"version": "green", "plan": "careful"}
    assert admin.asked[0].query == {"wait": "120s"}


def test_verify_ends_with_1_when_a_check_fails_and_shows_what_it_said(admin, gatekeeper):
    admin.answer(*VERIFY, verified(CHECK, {**CHECK, "name": "smoke", "passed": False, "output": "no cart"}))
    code, out, _ = gatekeeper("verify", "shop", "green")
    assert code == 1
    assert "smoke failed:\n    no cart\n" in out
    assert out.splitlines()[-1] == "shop green (build 7): 1 of 2 checks of plan careful passed, in 1.250 s"
    code, out, _ = gatekeeper("verify", "shop", "green", "--json")
    assert code == 1
    assert json.loads(out)["passed"] is False


def test_verify_without_checks_is_refused_with_the_plans_that_have_some(admin, gatekeeper):
    admin.problem(*VERIFY, 409, detail="plan direct has no checks", allowed="a plan with checks: careful")
    code, _, err = gatekeeper("verify", "shop", "green")
    assert code == 4
    assert "allowed: a plan with checks: careful" in err


def test_plans_are_a_table_with_what_moves_as_one_and_the_freezes(admin, gatekeeper):
    admin.answer("GET", "/v1/plans", PLANS)
    code, out, _ = gatekeeper("plans")
    assert code == 0
    row = out.splitlines()[1]
    assert row.startswith("careful  1 % 5m, 10.5 % 10m, 100 %  ")
    assert row.split()[-8:] == ["15m", "2", "product", "Mon", "09:00-16:00", "UTC", "shop,", "storefront"]
    assert "storefront: shop, cart move as one" in out
    assert "freeze of shop, in force, until Tue 2026-12-02 15:00 UTC: sale" in out


@pytest.mark.parametrize(("steps", "before"), [("no_alarm", "all users get it"), ("passed", "every step")])
def test_a_plan_that_is_judged_is_shown_to_be(admin, gatekeeper, steps, before):
    judged = {**PLAN, "definition": {**PLAN["definition"], "analysis": {"steps": steps}}}
    admin.answer("GET", "/v1/plans", {**PLANS, "plans": [judged]})
    out = gatekeeper("plans", "careful")[1]
    assert f"compares it with the old version from now on; it must be proven before {before}" in out


def test_a_plan_is_shown_step_by_step(admin, gatekeeper):
    admin.answer("GET", "/v1/plans", PLANS)
    code, out, _ = gatekeeper("plans", "careful")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "plan careful: when a check or the judge is against it, it is rolled back"
    assert [line.split()[0] for line in lines[2:]] == [
        *("verify", "wait", "step", "step", "verify", "approve", "pause", "step", "promote"),
    ]
    assert json.loads(gatekeeper("plans", "careful", "--json")[1]) == PLAN


def test_an_unknown_plan_names_those_there_are(admin, gatekeeper):
    admin.answer("GET", "/v1/plans", PLANS)
    code, _, err = gatekeeper("plans", "carefull")
    assert code == 2
    assert "one of the plans: careful" in err


FILE = """
services:
  shop: {versions: {blue: {backends: ["http://127.0.0.1:9001"]}}}
plans:
  careful: {steps: [{weight: 1, hold: 5m}, {weight: 100}]}
"""
SIMULATED = {
    "plan": "careful",
    "assumed": {"rps": 50.0, "errors": 0.01, "latency": 0.25},
    "seconds": 300.0,
    "stages": [
        {"step": 0, "weight": 1, "begins": 0.0, "hold": 300.0, "requests": 150.4},
        {"step": 1, "weight": 100, "begins": 300.0, "hold": 0.0, "requests": 0.0},
    ],
    "notes": ["a version that is as good is promoted"],
    "regressions": [
        {
            "name": "every request fails",
            "caught": 1.0,
            "median": 21.0,
            "p95": 40.0,
            "step": 0,
            "hurt": 1234.0,
            "guard": 0.25,
        },
        {"name": "latency +10 %", "caught": 0.0, "median": None, "p95": None, "step": None, "hurt": None, "guard": 0.0},
    ],
}


@pytest.fixture
def engine(monkeypatch):
    """In place of the planner and the judge; remembers what it was asked."""
    calls = []

    def simulate(definition, **traffic):
        calls.append((definition, traffic))
        return SIMULATED

    monkeypatch.setattr("gatekeeper.app.simulate_plan", simulate, raising=False)
    return calls


@pytest.mark.parametrize("hashed", [False, True])
def test_a_simulation_of_a_file_needs_no_gatekeeper(gatekeeper, engine, tmp_path, monkeypatch, hashed):
    monkeypatch.setenv("GATEKEEPER_SOCKET", str(tmp_path / "nobody"))
    file = tmp_path / "gatekeeper.yaml"
    file.write_text(FILE)
    words = (f"{file}#careful",) if hashed else ("careful", "--file", str(file))
    code, out, _ = gatekeeper("simulate", *words, "--rps", "50", "--errors", "1%", "--latency", "250ms")
    assert code == 0
    ((definition, traffic),) = engine
    assert definition["name"] == "careful"
    assert [step["weight"] for step in definition["steps"]] == ["1", "100"]
    assert traffic == {"rps": 50.0, "errors": 0.01, "latency": 0.25}
    lines = out.splitlines()
    assert lines[0] == "plan careful at 50 requests/s, 1 % errors, 250 ms median latency"
    assert [line.split() for line in lines[2:5]] == [
        ["1", "1", "%", "0s", "5m", "150"],
        ["2", "100", "%", "5m", "0s", "0"],
        ["promoted", "5m"],
    ]
    assert "a version that is as good is promoted" in lines
    assert lines[-2].split() == [
        "every",
        "request",
        "fails",
        "100",
        "%",
        "(guard",
        "25",
        "%)",
        "21s",
        "40s",
        "1",
        "1,234",
    ]
    assert lines[-1].split() == ["latency", "+10", "%", "not", "caught", "by", "this", "plan", "-"]


def test_a_simulation_of_the_running_plan_asks_for_it(admin, gatekeeper, engine):
    admin.answer("GET", "/v1/plans", PLANS)
    code, out, _ = gatekeeper("simulate", "careful", "--rps", "50", "--json")
    assert (code, json.loads(out)) == (0, SIMULATED)
    assert engine == [(PLAN["definition"], {"rps": 50.0, "errors": 0.001, "latency": 0.1})]
    assert gatekeeper("simulate", "nope", "--rps", "50")[0] == 2


def test_a_plan_that_this_program_cannot_read_is_said(admin, gatekeeper, monkeypatch):
    def refuse(*_, **__):
        raise GatekeeperError("steps[0].wait: unknown field")

    monkeypatch.setattr("gatekeeper.app.simulate_plan", refuse, raising=False)
    admin.answer("GET", "/v1/plans", PLANS)
    code, _, err = gatekeeper("simulate", "careful", "--rps", "50")
    assert code == 1
    assert "the plan cannot be walked: steps[0].wait: unknown field" in err
    assert "way out: simulate with the version of gatekeeper that runs" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("careful", "--file", "FILE"), "Missing option '--rps'"),
        (("careful", "--file", "FILE", "--rps", "0"), "--rps"),
        (("careful", "--file", "FILE", "--rps", "1", "--errors", "100%"), "not from 0 % to 100 %"),
        (("careful", "--file", "FILE", "--rps", "1", "--errors", "some"), "it looks like 1%"),
        (("careful", "--file", "FILE", "--rps", "1", "--latency", "0ms"), "it looks like 100ms"),
        (("careful", "--file", "FILE", "--rps", "1", "--latency", "9"), "it looks like 100ms"),
        (("carefull", "--file", "FILE", "--rps", "1"), "one of the plans: careful"),
        (("careful", "--file", "FILE", "--rps", "1", "--socket", "x"), "talks to no running gatekeeper"),
        (("careful", "--file", "/nowhere.yaml", "--rps", "1"), "the file is not valid"),
    ],
)
def test_a_simulation_that_cannot_be_meant_is_wrong_usage(gatekeeper, engine, tmp_path, words, said):
    file = tmp_path / "gatekeeper.yaml"
    file.write_text(FILE)
    code, out, err = gatekeeper("simulate", *(str(file) if word == "FILE" else word for word in words))
    assert (code, out) == (2, "")
    assert said in err
    assert engine == []


def test_the_engine_itself_walks_the_plan_of_a_file_and_says_the_same_every_time(gatekeeper, tmp_path):
    file = tmp_path / "gatekeeper.yaml"
    file.write_text(FILE)
    words = ("simulate", "careful", "--file", str(file), "--rps", "50", "--json")
    code, out, _ = gatekeeper(*words)
    assert code == 0
    found = json.loads(out)
    assert set(found) == set(SIMULATED)
    assert [set(found[name][0]) for name in ("stages", "regressions")] == [
        set(SIMULATED[name][0]) for name in ("stages", "regressions")
    ]
    assert (found["plan"], found["seconds"], len(found["stages"])) == ("careful", 300.0, 2)
    assert found["regressions"][0]["caught"] == 1.0
    assert gatekeeper(*words)[1] == out
    assert gatekeeper(*words[:-1])[1].startswith("plan careful at 50 requests/s, 0.1 % errors, 100 ms median latency\n")


def test_a_plan_of_a_newer_gatekeeper_is_not_guessed_at(admin, gatekeeper):
    newer = {**PLAN, "definition": {**PLAN["definition"], "magic": 1}}
    admin.answer("GET", "/v1/plans", {**PLANS, "plans": [newer]})
    code, _, err = gatekeeper("simulate", "careful", "--rps", "50")
    assert code == 1
    assert "magic: unknown field" in err
