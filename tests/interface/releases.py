"""Documents of releases as the admin API gives them, for the tests."""

import copy
from typing import Any

NOW = 1764600000.0
QUESTIONS = {
    "verified": ("How was it verified?", "1 of 1 check passed on build 2026-11-23.1"),
    "trigger": ("What triggers it?", "ann started it"),
    "hidden": ("How is it hidden again?", "gatekeeper rollback shop: blue as before, at once"),
    "decides": ("Who decides?", "engineering and product"),
    "deployed": ("Can it be deployed without releasing?", "yes: green is deployed and has no weight of its own"),
}
APPROVE = {"groups": ["product"], "expires": 86400.0}
PLAN: dict[str, Any] = {
    "name": "careful",
    "verify": ["http /healthz"],
    "at": None,
    "window": {"days": ["mon"], "hours": "09:00-16:00", "timezone": "UTC", "text": "Mon 09:00-16:00 UTC"},
    "approve": None,
    "steps": [
        {"weight": 1, "hold": 300.0, "approve": None, "pause": False, "verify": []},
        {"weight": 10.5, "hold": 600.0, "approve": None, "pause": False, "verify": []},
        {"weight": 100, "hold": 0.0, "approve": APPROVE, "pause": True, "verify": ["command ./smoke.sh {url}"]},
    ],
    "on_fail": "rollback",
    "max_hold": 86400.0,
    "retain": 3600.0,
    "seconds": 900.0,
    "definition": {"name": "careful", "steps": [{"weight": "100"}]},
}
DIRECT: dict[str, Any] = {
    **PLAN,
    "name": "direct",
    "verify": [],
    "window": None,
    "steps": [{"weight": 100, "hold": 0.0, "approve": None, "pause": False, "verify": []}],
    "seconds": 0.0,
}
CHECK = {
    "gate": "start",
    "service": "shop",
    "name": "http /healthz",
    "passed": True,
    "seconds": 0.0124,
    "output": "200",
    "at": NOW - 500,
    "version": "d1",
    "current": True,
}
RELEASE: dict[str, Any] = {
    "id": 41,
    "revision": 44,
    "services": ["shop"],
    "moves": [
        {
            "service": "shop",
            "from": "blue",
            "to": "green",
            "build": "2026-11-23.1",
            "before": {"blue": 100, "green": 0},
            "split": {"blue": 89.5, "green": 10.5},
        }
    ],
    "plan": PLAN,
    "author": "ann",
    "author_groups": ["engineering"],
    "note": "winter",
    "created": NOW - 600,
    "state": "progressing",
    "active": True,
    "headline": "progressing: step 2 of 3, 10.5 % to green",
    "step": 1,
    "steps": 3,
    "since": NOW - 150,
    "now": NOW,
    "paused_from": None,
    "reason": "",
    "ended_at": None,
    "retained_until": None,
    "retained": False,
    "hold": {"seconds": 600.0, "over": 150.0, "counts": True, "until": NOW + 450},
    "waiting": [],
    "next": {"text": "step 3 of 3: 100 % to green", "at": NOW + 450, "if": "product approves"},
    "allowed": ["approve", "reject", "pause", "skip", "promote", "abort", "rollback"],
    "answers": [{"key": key, "question": asked, "answer": said} for key, (asked, said) in QUESTIONS.items()],
    "verdicts": [],
    "verdict": {
        "kind": "collecting",
        "sentence": "needs 40 more",
        "odds": 1.0,
        "bar": 100.0,
        "cause": "",
        "passes": True,
    },
    "timeline": [
        {
            "step": 0,
            "weight": 1,
            "hold": 300.0,
            "state": "done",
            "from": NOW - 450,
            "to": NOW - 150,
            "expected": None,
            "gates": [
                {
                    "kind": "verify",
                    "gate": "start",
                    "text": "1 check: http /healthz",
                    "state": "done",
                    "at": NOW - 500,
                    "until": None,
                    "who": [],
                    "missing": [],
                }
            ],
        },
        {
            "step": 1,
            "weight": 10.5,
            "hold": 600.0,
            "state": "now",
            "from": NOW - 150,
            "to": None,
            "expected": None,
            "gates": [],
        },
        {
            "step": 2,
            "weight": 100,
            "hold": 0.0,
            "state": "to_come",
            "from": None,
            "to": None,
            "expected": NOW + 450,
            "gates": [
                {
                    "kind": "approval",
                    "gate": "2",
                    "text": "approval by product",
                    "state": "to_come",
                    "at": None,
                    "until": None,
                    "who": ["bob for engineering"],
                    "missing": ["product"],
                }
            ],
        },
    ],
    "checks": [CHECK],
    "checking": [],
    "approvals": [],
    "skipped": [],
    "log": [
        {"at": NOW - 600, "actor": "ann", "event": "started", "text": "shop from blue to green, plan careful"},
        {"at": NOW - 150, "actor": "plan", "event": "step", "text": "step 2 of 3: 10.5 % to green"},
    ],
}
NOT_IN_LISTS = {"timeline", "checks", "log", "answers", "waiting", "approvals", "skipped", "checking", "verdicts"}
PLANS: dict[str, Any] = {
    "revision": 44,
    "plans": [PLAN],
    "defaults": {"shop": "careful"},
    "groups": {"storefront": {"services": ["shop", "cart"], "plan": "careful"}},
    "freezes": [
        {
            "reason": "sale",
            "since": None,
            "until": NOW + 86400,
            "window": None,
            "services": ["shop"],
            "in_force": True,
            "ends": NOW + 86400,
            "text": "until Tue 2026-12-02 15:00 UTC",
        }
    ],
}


VERDICT: dict[str, Any] = {
    "service": "shop",
    "stable": "blue",
    "candidate": "green",
    "kind": "suspicious",
    "sentence": "30 failures so far; green had 5 % of the requests but 8 of the failures",
    "notes": ["all 8 failures of green are on its backend http://10.0.1.5:9002: eject it?"],
    "cause": "errors",
    "odds": 42.4,
    "bar": 100.0,
    "suspicious_at": 10.0,
    "at": NOW - 1,
    "seconds": 150,
    "weight": 0.05,
    "requests": {"stable": 9500, "candidate": 500},
    "errors": {"stable": 22, "candidate": 8},
    "slow": {"stable": 480, "candidate": 30},
    "draws": {"stable": 9500, "candidate": 500},
    "metrics": {"errors": 42.4, "latency": 0.25},
    "proofs": {"errors": 0.4, "p95": 3.0, "p99": 1e12},
    "proof_bar": 20.0,
    "share_odds": 0.5,
    "routes": [{"route": "/checkout", "stable": 2, "candidate": 7}],
    "backends": [
        {"id": "http://10.0.1.5:9002", "requests": 250, "errors": 8},
        {"id": "http://10.0.1.6:9002", "requests": 250, "errors": 0},
    ],
    "excluded": 1,
    "unkeyed": 3,
    "warm_up": 40,
    "keep": 1,
    "missing": 0,
    "guard": {"errors": 0.05, "p99": 0.8, "window": 60},
    "guards": [
        {"version": "blue", "guard": "errors", "value": 0.0023, "bound": 0.05},
        {"version": "green", "guard": "errors", "value": 0.016, "bound": 0.05},
        {"version": "green", "guard": "p99", "value": None, "bound": 0.01},
    ],
    "queries": [
        {"name": "carts", "value": 3.5, "max": 5.0, "min": 1.0, "state": "ok", "reason": "", "at": NOW - 9},
        {"name": "depth", "value": None, "max": 9.0, "min": None, "state": "unknown", "reason": "refused", "at": None},
    ],
}


def said(*verdicts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What the gate of a pipeline is answered."""
    head = {"revision": 44, "release": 41, "state": "progressing", "passes": False}
    verdict = {"kind": "suspicious", "sentence": VERDICT["sentence"]}
    return {**head, **verdict, "verdicts": [*verdicts], **fields}


def release(**fields: Any) -> dict[str, Any]:
    """A release at its second step, but for ``fields``."""
    return copy.deepcopy(RELEASE) | fields


def brief() -> dict[str, Any]:
    """The same as it stands in lists."""
    return {key: value for key, value in release(plan="careful").items() if key not in NOT_IN_LISTS}


def waiting(kind: str = "approval", **fields: Any) -> dict[str, Any]:
    """One that waits for something before its third step."""
    item = {"kind": kind, "detail": "approval by product", "gate": "2", "groups": ["product"], "until": None}
    item |= {"who": "a member of product, not ann", **fields}
    return release(state="waiting", headline="waiting before step 3 of 3", hold=None, waiting=[item])


def ended(state: str = "rolled_back", **fields: Any) -> dict[str, Any]:
    head = {"headline": f"{state.replace('_', ' ')}: errors", "reason": "errors", "ended_at": NOW - 1}
    return release(state=state, active=False, hold=None, next=None, allowed=[], **{**head, **fields})


def changed(found: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What an act answers."""
    workers = {"acknowledged": 2, "total": 2}
    answer = {"revision": 45, "base": 44, "dry_run": False, "changes": [], "workers": workers, "ms": 3.1}
    return {**answer, "confirm_by": None, **fields} | {
        "service": "shop",
        "release": found,
    }
