"""What keeps a release from users: people who may not, checks that fail or hang, times of which the plan says no."""

import os
import time
from pathlib import Path

import pytest

from tests.system.programs import requests_counted, until
from tests.system.team import entry, words

pytestmark = [pytest.mark.system, pytest.mark.outside("nginx")]

STEPS = [{"weight": 50, "hold": "1h"}, {"weight": 100}]


def untouched(gatekeeper):
    """Users have not seen the candidate."""
    return gatekeeper.split_of().get("green", 0) == 0 and not requests_counted(gatekeeper.metrics(), "green")


def test_the_author_does_not_approve_and_nobody_stands_for_two_groups(team):
    """Each attempt is refused and changes nothing; two other people let it go on."""
    gatekeeper = team(plans={"careful": {"approve": {"groups": ["engineering", "product"]}, "steps": STEPS}})
    gatekeeper.until_ready()
    gatekeeper.begin(who="max", plan="careful")
    release = gatekeeper.comes_to("waiting")
    status, refusal = gatekeeper.act("max", "approve")
    assert status in (403, 409), refusal
    assert "max started" in refusal["detail"]
    assert gatekeeper.release()["revision"] == release["revision"]
    gatekeeper.do("ann", "approve")
    repeated = gatekeeper.act("ann", "approve")
    assert (repeated[0], repeated[1]["base"]) == (200, repeated[1]["revision"])
    assert gatekeeper.release()["waiting"][0]["groups"] == ["product"]
    assert gatekeeper.act("ben", "approve")[0] in (200, 403, 409)  # engineering has agreed: it cannot fill product
    assert gatekeeper.release()["state"] == "waiting"
    assert untouched(gatekeeper)
    gatekeeper.do("pia", "approve")
    gatekeeper.comes_to("progressing", 0)


def test_one_person_in_two_groups_fills_one_of_them(team):
    gatekeeper = team(plans={"careful": {"approve": {"groups": ["engineering", "product"]}, "steps": STEPS}})
    gatekeeper.until_ready()
    gatekeeper.begin(plan="careful")
    gatekeeper.comes_to("waiting")
    gatekeeper.do("max", "approve")
    release = gatekeeper.release()
    assert (release["state"], len(release["waiting"][0]["groups"])) == ("waiting", 1)
    gatekeeper.do("ben", "approve")
    gatekeeper.comes_to("progressing", 0)


def test_a_person_who_is_in_none_of_the_groups_does_not_approve(team):
    gatekeeper = team(plans={"careful": {"approve": {"groups": ["product"]}, "steps": STEPS}})
    gatekeeper.until_ready()
    gatekeeper.begin(plan="careful")
    gatekeeper.comes_to("waiting")
    status, refusal = gatekeeper.act("ben", "approve")
    assert (status, "product" in str(refusal)) == (409, True), refusal
    status, refusal = gatekeeper.act("pia", "abort")  # a viewer approves, and no more
    assert status == 403, refusal
    assert gatekeeper.release()["state"] == "waiting"


def test_an_approval_that_has_expired_counts_no_more(team):
    """Given too early, it is gone when the second one comes; given again, it counts."""
    asked = {"groups": ["engineering", "product"], "expires": "1s"}
    gatekeeper = team(plans={"careful": {"approve": asked, "steps": STEPS}})
    gatekeeper.until_ready()
    gatekeeper.begin(plan="careful")
    gatekeeper.comes_to("waiting")
    gatekeeper.do("ben", "approve")
    until(lambda: "approval_expired" in words(gatekeeper.release()), what="the end of the approval")
    release = gatekeeper.do("pia", "approve")
    assert release["waiting"][0]["groups"] == ["engineering"]
    assert untouched(gatekeeper)
    time.sleep(1.1)
    assert gatekeeper.release()["waiting"][0]["groups"] == ["engineering", "product"]
    gatekeeper.do("pia", "approve")
    gatekeeper.do("ben", "approve")
    gatekeeper.comes_to("progressing", 0)


FAILING = {
    "body": ({"http": {"path": "/healthz", "body_contains": "splendid"}}, "splendid"),
    "status": ({"http": {"path": "/nothing", "status": 404}}, "200"),
    "tests": ({"command": {"run": ["sh", "-c", "echo 2 tests failed; exit 3"]}}, "2 tests failed"),
    "typo": ({"command": {"run": ["./is-not-there"]}}, "is-not-there"),
}
"""Checks that fail, and what their output says."""


@pytest.mark.parametrize("on_fail", ["rollback", "pause"])
def test_a_candidate_that_fails_a_check_reaches_nobody(team, on_fail):
    """The release ends, or pauses where the plan says so; why is in it."""
    passes = {"http": "/other"}
    plans = {
        name: {"verify": [passes, check], "steps": STEPS, "on_fail": on_fail} for name, (check, _) in FAILING.items()
    }
    gatekeeper = team(plans=plans)
    gatekeeper.until_ready()
    for plan, (_, said) in FAILING.items():
        gatekeeper.begin(plan=plan)
        release = gatekeeper.comes_to("rolled_back" if on_fail == "rollback" else "paused")
        assert [check["passed"] for check in release["checks"]] == [True, False]
        assert said in release["checks"][1]["output"]
        assert release["checks"][1]["name"] in release["reason"]
        assert untouched(gatekeeper)
        assert said in gatekeeper.cli("release", "show", "shop").stdout
        if on_fail == "pause":
            gatekeeper.do("ben", "abort")


def test_a_check_in_mid_ramp_that_fails_takes_the_users_back(team):
    steps = [
        {"weight": 10, "hold": "300ms"},
        {"weight": 50, "verify": [{"command": {"run": ["false"]}}]},
        {"weight": 100},
    ]
    gatekeeper = team(plans={"careful": {"steps": steps}})
    gatekeeper.until_ready()
    gatekeeper.begin(plan="careful")
    release = gatekeeper.comes_to("rolled_back")
    assert release["step"] == 0
    assert gatekeeper.split_of()["green"] == 0
    assert "command false" in release["reason"]


def test_a_command_that_hangs_is_ended_with_all_it_has_started_and_holds_nobody_up(team):
    """It ignores SIGTERM and leaves a child behind; meanwhile a rollback is as quick as ever, and after it nothing of
    it is left. At its timeout it has failed."""
    script = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > child; sleep 1000' & echo $$ > parent; wait; sleep 1000"
    plan = {"verify": [{"command": {"run": ["sh", "-c", script], "timeout": "30m"}}], "steps": STEPS}
    short = {"verify": [{"command": {"run": ["sh", "-c", script], "timeout": "500ms"}}], "steps": STEPS}
    gatekeeper = team(plans={"hangs": plan, "short": short})
    gatekeeper.until_ready()

    def pids():
        files = [gatekeeper.folder / name for name in ("parent", "child")]
        found = [file.read_text().strip() if file.exists() else "" for file in files]
        return [int(text) for text in found] if all(found) else None

    def gone(pid):
        return not Path(f"/proc/{pid}").exists() or f"{pid} (sh) Z" in Path(f"/proc/{pid}/stat").read_text()

    gatekeeper.begin(plan="hangs")
    running = until(pids, what="the command")
    assert all(os.getpgid(pid) == running[0] != os.getpgid(gatekeeper.process.pid) for pid in running)
    began = time.monotonic()
    gatekeeper.rollback()
    assert time.monotonic() - began < 1.0
    assert gatekeeper.release()["state"] == "rolled_back"
    until(lambda: all(map(gone, running)), what="the end of the command")

    for name in ("parent", "child"):
        (gatekeeper.folder / name).unlink()
    gatekeeper.begin(plan="short")
    running = until(pids, what="the command")
    release = gatekeeper.comes_to("rolled_back")
    until(lambda: all(map(gone, running)), what="the end of the command")
    assert "500" in release["checks"][0]["output"] or "0.5" in release["checks"][0]["output"], release["checks"]
    assert untouched(gatekeeper)


def test_a_freeze_that_begins_in_the_middle_holds_the_release_and_no_rollback(team):
    """The step that is held stays, the next one waits for the end of the freeze; the way back is open; a start is
    refused. Taken up by a reload: a window that closes after minutes cannot be waited for here."""
    steps = [{"weight": 10, "hold": "1s"}, {"weight": 50, "hold": "1h"}, {"weight": 100}]
    gatekeeper = team(plans={"careful": {"steps": steps}})
    gatekeeper.until_ready()
    gatekeeper.begin(plan="careful")
    gatekeeper.comes_to("progressing", 0)
    gatekeeper.reload(freeze=[{"from": "2026-01-01T00:00Z", "until": "2199-01-01T00:00Z", "reason": "the books close"}])
    release = gatekeeper.comes_to("waiting", 0)
    assert release["waiting"][0]["kind"] == "freeze"
    assert "the books close" in release["waiting"][0]["detail"]
    time.sleep(0.5)
    assert gatekeeper.split_of()["green"] == 10
    gatekeeper.reload(freeze=[])
    gatekeeper.comes_to("progressing", 1)
    gatekeeper.reload(freeze=[{"until": "2199-01-01T00:00Z", "reason": "the books close"}])
    gatekeeper.rollback()
    assert gatekeeper.split_of()["green"] == 0
    status, refusal = gatekeeper.ask("ann", "POST", "/v1/services/shop/releases", {"to": "green", "plan": "careful"})
    assert status == 409
    assert "the books close" in refusal["detail"]
    assert "2199" in refusal["detail"] + refusal.get("allowed", "")


def test_a_window_that_the_file_closes_in_the_middle_does_not_touch_what_runs(team):
    """A release keeps the plan it began with."""
    steps = [{"weight": 10, "hold": "1s"}, {"weight": 100, "hold": "1h"}]
    gatekeeper = team(plans={"careful": {"steps": steps}})
    gatekeeper.until_ready()
    gatekeeper.begin(plan="careful")
    gatekeeper.comes_to("progressing", 0)
    gatekeeper.reload(plans={"careful": {"steps": [{"weight": 1, "hold": "2h"}, {"weight": 100}]}})
    release = gatekeeper.comes_to("progressing", 1)
    assert gatekeeper.split_of() == {"blue": 0, "green": 100}
    assert entry(release, "step", 1)["at"] - entry(release, "step")["at"] < 5


def test_a_start_says_why_it_is_refused_and_nothing_has_changed(team):
    """The stable version, one that nobody knows, one that holds weight, one while another is released."""
    gatekeeper = team(plans={"careful": {"steps": STEPS}})
    gatekeeper.until_ready()

    def refused(to, **body):
        before = gatekeeper.status()["revision"]
        status, refusal = gatekeeper.ask("ann", "POST", "/v1/services/shop/releases", {"to": to, **body})
        assert status in (404, 409, 422), refusal
        assert refusal["detail"]
        assert gatekeeper.status()["revision"] == before
        return refusal

    assert "stable" in refused("blue")["detail"]
    assert "green" in str(refused("gren"))
    assert "careful" in str(refused("green", plan="carefull"))
    gatekeeper.split(blue=90, green=10)
    assert "weight" in refused("green", plan="careful")["detail"] or "10" in refused("green", plan="careful")["detail"]
    gatekeeper.split(blue=100)
    first = gatekeeper.begin(plan="careful")
    assert str(first["id"]) in refused("green", plan="careful")["detail"]


def test_a_build_reaches_nobody_here_before_it_was_released_elsewhere(team):
    """``released_in`` asks the other gatekeeper; what was only deployed there, or was taken back, does not count."""
    staging = team()
    production = team(like=staging)
    check = {"gatekeeper": f"http://127.0.0.1:{staging.http}", "service": "shop"}
    check["token_file"] = str(production.folder / "staging.token")
    (production.folder / "staging.token").write_text(staging.token("pia"))
    production.reload(plans={"careful": {"verify": [{"released_in": check}], "steps": STEPS}})
    for gatekeeper in (staging, production):
        gatekeeper.until_ready()

    production.begin(plan="careful")
    release = production.comes_to("rolled_back")
    assert untouched(production)
    staging.begin()
    staging.comes_to("promoted")
    production.begin(plan="careful")
    release = production.comes_to("progressing", 0)
    assert release["checks"][0]["passed"]
    production.do("ann", "abort")
    staging.rollback()
    production.begin(plan="careful")
    assert "green-17" in production.comes_to("rolled_back")["checks"][0]["output"]
