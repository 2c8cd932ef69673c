"""A release from start to promotion over real processes: checks, people, time, steps, and what is kept of it."""

import json
import time
from itertools import groupby

import pytest

from tests.system.programs import until
from tests.system.team import entry, words

pytestmark = [pytest.mark.system, pytest.mark.outside("nginx")]

HOLD = 1.0
SLACK = 0.75
"""Seconds that a step may be late on a busy machine; it is never early."""
LOOKED = 'env > "$GATEKEEPER_VERSION.env"; echo "looked at $1"; echo oops >&2'
PLAN = {
    "verify": [
        {"http": {"path": "/healthz", "body_contains": "ok"}},
        {"command": {"run": ["sh", "-c", LOOKED, "sh", "{url}/healthz"], "timeout": "10s"}},
    ],
    "approve": {"groups": ["engineering", "product"]},
    "steps": [
        {"weight": 10, "hold": f"{HOLD:g}s"},
        {"weight": 50, "hold": f"{HOLD:g}s", "approve": {"groups": ["product"]}, "verify": [{"http": "/healthz"}]},
        {"weight": 100, "hold": f"{HOLD:g}s"},
    ],
    "retain": "1h",
}


def weights(gatekeeper):
    return {name: weight for name, weight in gatekeeper.split_of().items() if weight}


def test_a_plan_goes_from_its_checks_to_the_promotion_and_every_step_is_explained(team):
    """Checks, two people, the time, weights step by step, each held as long as it should be; then green is stable."""
    gatekeeper = team({"plan": "careful"}, plans={"careful": PLAN})
    at = time.time() + 2.5
    release = gatekeeper.begin(at=at, note="the new basket")
    assert (release["author"], release["plan"]["name"]) == ("ann", "careful")
    assert weights(gatekeeper) == {"blue": 100}

    release = gatekeeper.comes_to("waiting", -1, waits="approval")
    assert [(check["name"], check["passed"]) for check in release["checks"]] == [
        ("http /healthz", True),
        (f"command {' '.join(PLAN['verify'][1]['command']['run'])}", True),
    ]
    assert all(text in release["checks"][1]["output"] for text in (f"looked at {gatekeeper.green.url}/healthz", "oops"))
    told = dict(
        line.split("=", 1) for line in (gatekeeper.folder / "green.env").read_text().splitlines() if "=" in line
    )
    assert (told["GATEKEEPER_SERVICE"], told["GATEKEEPER_VERSION"]) == ("shop", "green")
    assert int(told["GATEKEEPER_RELEASE"]) == release["id"]
    name, _, version = told["GATEKEEPER_FORCE_HEADER"].partition(": ")
    assert gatekeeper.get("/", {name: version}).version == "green"

    assert gatekeeper.do("ben", "approve")["waiting"][0]["groups"] == ["product"]
    release = gatekeeper.do("pia", "approve", "seen in staging")
    assert [item["kind"] for item in release["waiting"]] == ["time"]
    assert weights(gatekeeper) == {"blue": 100}

    release = gatekeeper.comes_to("progressing", 0)
    assert weights(gatekeeper) == {"blue": 90, "green": 10}
    assert at <= entry(release, "step")["at"] < at + SLACK
    release = gatekeeper.comes_to("waiting", 0)
    assert (release["waiting"][0]["kind"], release["waiting"][0]["gate"]) == ("approval", "1")
    assert weights(gatekeeper) == {"blue": 90, "green": 10}
    gatekeeper.do("pia", "approve")
    gatekeeper.comes_to("progressing", 1)
    assert weights(gatekeeper) == {"blue": 50, "green": 50}
    gatekeeper.comes_to("progressing", 2)
    assert weights(gatekeeper) == {"green": 100}
    assert gatekeeper.stable() == "blue"
    release = gatekeeper.comes_to("promoted")
    assert gatekeeper.stable() == "green"
    assert {gatekeeper.get().version for _ in range(20)} == {"green"}

    check_times(release)
    check_kept(gatekeeper, release)


def check_times(release):
    """Each weight was held for its time, and the next one followed at once unless somebody had to agree."""
    steps = [item["at"] for item in release["log"] if item["event"] == "step"]
    assert len(steps) == 3
    held = [end - begin for begin, end in zip(steps, [*steps[1:], release["ended_at"]], strict=True)]
    assert min(held) >= HOLD
    assert max(held[1:]) < HOLD + SLACK
    assert release["retained_until"] == pytest.approx(release["ended_at"] + 3600)
    assert [stage["state"] for stage in release["timeline"]] == ["done"] * 3


def check_kept(gatekeeper, release):
    """The log tells it in order; history explains every weight; the report holds the evidence; answers are five."""
    told = words(release)
    assert [word for word in told if word not in ("waiting", "verifying")] == [
        "started",
        "verified",
        "approved",
        "approved",
        "step",
        "verified",
        "approved",
        "step",
        "step",
        "promoted",
    ]
    rows = gatekeeper.call("GET", "/v1/revisions?limit=100")[1]["revisions"]
    moved = [row["splits"]["shop"]["green"] for row in reversed(rows) if "shop" in (row.get("splits") or {})]
    assert [weight for weight, _ in groupby(moved) if weight] == [10, 50, 100]
    assert [answer["key"] for answer in release["answers"]] == ["verified", "trigger", "hidden", "decides", "deployed"]
    assert all(answer["answer"] for answer in release["answers"])
    done = gatekeeper.cli("release", "report", "shop", str(release["id"]))
    assert (done.returncode, done.stderr) == (0, "")
    for text in ("ann", "ben", "pia", "seen in staging", "the new basket", f"looked at {gatekeeper.green.url}", "50 %"):
        assert text in done.stdout
    as_json = gatekeeper.cli("release", "report", "shop", str(release["id"]), "--format", "json")
    assert json.loads(as_json.stdout)["id"] == release["id"]
    audited = [(row["actor"], row["action"]) for row in gatekeeper.call("GET", "/v1/audit?limit=100")[1]["audit"]]
    assert len([actor for actor, _ in audited if actor == "pia"]) == 2


def test_without_a_plan_all_users_get_it_at_once_and_back(team):
    """``--to green`` alone is a release of one revision; a rollback after it is another."""
    gatekeeper = team()
    gatekeeper.until_ready()
    release = gatekeeper.begin()
    release = gatekeeper.comes_to("promoted")
    assert weights(gatekeeper) == {"green": 100}
    assert gatekeeper.stable() == "green"
    gatekeeper.rollback()
    assert (weights(gatekeeper), gatekeeper.stable()) == ({"blue": 100}, "blue")
    assert gatekeeper.release(release=release["id"])["state"] == "rolled_back"


def test_people_may_pause_resume_skip_and_promote_and_each_is_written_down(team):
    """A pause stops the hold's time; a skip needs a reason; a promotion leaves the rest out."""
    steps = [{"weight": 10, "hold": "2s"}, {"weight": 20, "hold": "1h"}, {"weight": 50}, {"weight": 100, "hold": "1h"}]
    gatekeeper = team(plans={"slow": {"steps": steps}})
    gatekeeper.until_ready()
    gatekeeper.begin(plan="slow")
    gatekeeper.comes_to("progressing", 0)
    gatekeeper.do("ben", "pause", "lunch")
    time.sleep(2.5)
    release = gatekeeper.release()
    assert (release["state"], release["step"], release["hold"]["counts"]) == ("paused", 0, False)
    assert release["hold"]["over"] < 1.5
    resumed = time.time()
    gatekeeper.do("ben", "resume")
    release = gatekeeper.comes_to("progressing", 1)
    assert entry(release, "step", 1)["at"] - resumed == pytest.approx(2.0 - paused_after(release), abs=SLACK)
    status, refusal = gatekeeper.act("ben", "skip")
    assert status == 422, refusal
    assert gatekeeper.release()["step"] == 1
    gatekeeper.do("ben", "skip", "no traffic at night")
    gatekeeper.comes_to("progressing", 3)  # step 2 has no hold
    gatekeeper.do("ben", "promote")
    release = gatekeeper.comes_to("promoted")
    assert [item["reason"] for item in release["skipped"]] == ["no traffic at night"]
    assert entry(release, "paused")["actor"] == "ben"
    assert gatekeeper.stable() == "green"


def paused_after(release):
    return entry(release, "paused")["at"] - entry(release, "step")["at"]


def test_the_command_line_does_all_of_it_and_says_what_is_missing(team):
    """start, show, approve, list, abort as an operator types them; exit 4 and the way out where it is refused."""
    steps = [{"weight": 10, "hold": "1h"}, {"weight": 100}]
    gatekeeper = team(plans={"careful": {"approve": {"groups": ["product"]}, "steps": steps}})
    gatekeeper.until_ready()
    done = gatekeeper.cli("release", "start", "shop", "--to", "green", "--plan", "careful", "--note", "for the fair")
    assert (done.returncode, done.stderr) == (0, "")
    assert "approval by product" in done.stdout
    again = gatekeeper.cli("release", "start", "shop", "--to", "green", "--plan", "careful")
    assert again.returncode == 4
    assert "already" in again.stderr or "is being released" in again.stderr, again.stderr
    refused = gatekeeper.cli("release", "approve", "shop")
    assert refused.returncode == 4, refused
    gatekeeper.do("pia", "approve")
    gatekeeper.comes_to("progressing", 0)
    split = gatekeeper.cli("split", "shop", "blue=50", "green=50")
    assert split.returncode == 4
    assert "rollback" in split.stderr
    shown = gatekeeper.cli("release", "show", "shop")
    for text in ("progressing: step 1 of 2", "How was it verified?", "for the fair", "pia"):
        assert text in shown.stdout
    assert gatekeeper.cli("release", "abort", "shop", "--reason", "the fair is over").returncode == 0
    listed = gatekeeper.cli("release", "list", "shop")
    assert "the fair is over" in listed.stdout
    assert weights(gatekeeper) == {"blue": 100}
    waited = gatekeeper.cli("--yes", "release", "start", "shop", "--to", "green", "--wait")
    assert waited.returncode == 0, waited
    until(lambda: gatekeeper.stable() == "green")
