"""kill -9 of everything, at every stage of a release: it goes on at the same step, with the same clock.

Supervisor and workers die at once, so nothing is left that could remember; what goes on afterwards comes from the disk.
Holds of an hour pass by clocks that the test sets (``clocked``); the others are of real time.
"""

import time

import pytest

from tests.system.clocked import Clocks
from tests.system.kernel import gone
from tests.system.programs import until
from tests.system.team import HEALTH, entry, words
from tests.system.test_upgrades import upgrade

pytestmark = [pytest.mark.system, pytest.mark.outside("nginx")]

AWAY = 0.3
"""Seconds for which nothing runs."""
HOLD = 3600.0
"""Long enough that a start fits into it, however slow the machine is; the clocks are in the test's hands."""
SLACK = 10.0
SAME = ("id", "moves", "plan", "author", "note", "created", "state", "step", "since", "approvals", "skipped", "log")
"""What must be as it was, to the letter."""


def killed(gatekeeper):
    """Kill all of it and start it again: the release before and after."""
    before = gatekeeper.release()
    gatekeeper.kill()
    time.sleep(AWAY)
    gatekeeper.start()
    after = gatekeeper.release()
    return before, after


def survives(gatekeeper, state, step):
    """Kill all of it in this state at this step: nothing of the release is another one after it."""
    before, after = killed(gatekeeper)
    assert (before["state"], before["step"]) == (state, step)
    changed = [name for name in SAME if before[name] != after[name]]
    assert changed == [], {name: (before[name], after[name]) for name in changed}
    assert gatekeeper.split_of() == before["moves"][0]["split"]
    return after


def test_a_release_killed_at_every_stage_goes_on_where_it_was(team, tmp_path):
    """Planned, verifying, waiting for people, for its time, held, before a check, paused, at its last step, promoted:
    killed at each of them, it comes to its promotion, every step once and none of them early."""
    slow = {"command": {"run": ["sh", "-c", "echo $$ >> runs; while [ ! -e checked ]; do sleep 0.05; done"]}}
    plan = {
        "verify": [slow],
        "approve": {"groups": ["engineering", "product"]},
        "steps": [
            {"weight": 10, "hold": f"{HOLD:g}s"},
            {"weight": 50, "hold": f"{HOLD:g}s", "approve": {"groups": ["product"]}},
            {"weight": 100, "hold": f"{HOLD:g}s"},
        ],
        "retain": "1h",
    }
    clocks = Clocks(tmp_path / "clocks")
    gatekeeper = team(plans={"careful": plan}, clocks=clocks)
    gatekeeper.until_ready()
    gatekeeper.green.end()
    until_down(gatekeeper)
    at = clocks.wall() + 2 * HOLD
    gatekeeper.begin(plan="careful", at=at, note="the new basket")
    time.sleep(0.3)
    survives(gatekeeper, "planned", -1)

    gatekeeper.green.start()
    gatekeeper.comes_to("verifying", -1)
    time.sleep(0.3)
    survives(gatekeeper, "verifying", -1)
    time.sleep(0.5)
    runs = (gatekeeper.folder / "runs").read_text().split()
    assert len(runs) == 2, "the check is made again, once"
    (gatekeeper.folder / "checked").touch()

    gatekeeper.comes_to("waiting", -1, waits="approval")
    gatekeeper.do("ben", "approve")
    release = survives(gatekeeper, "waiting", -1)
    assert [item["groups"] for item in release["waiting"] if item["kind"] == "approval"] == [["product"]]
    gatekeeper.do("pia", "approve")
    release = survives(gatekeeper, "waiting", -1)
    assert [item["kind"] for item in release["waiting"]] == ["time"]

    clocks.until(at)
    gatekeeper.comes_to("progressing", 0)
    clocks.pass_(HOLD / 2)
    gatekeeper.do("pia", "approve")  # early, for the next step
    release = survives(gatekeeper, "progressing", 0)
    assert release["hold"]["over"] == pytest.approx(HOLD / 2, abs=SLACK)
    clocks.pass_(HOLD / 2)
    gatekeeper.comes_to("progressing", 1)
    clocks.pass_(HOLD / 4)
    gatekeeper.do("ben", "pause", "lunch")
    release = survives(gatekeeper, "paused", 1)
    held = release["hold"]["over"]
    assert held == pytest.approx(HOLD / 4, abs=SLACK)
    clocks.pass_(5 * HOLD)
    assert gatekeeper.release()["hold"]["over"] == held
    gatekeeper.do("ben", "resume")
    clocks.pass_(HOLD * 3 / 4)
    gatekeeper.comes_to("progressing", 2)
    survives(gatekeeper, "progressing", 2)
    clocks.pass_(HOLD)
    gatekeeper.comes_to("promoted")
    release = survives(gatekeeper, "promoted", 2)
    assert (gatekeeper.stable(), release["retained"]) == ("green", True)
    check_clock(release, at)
    gatekeeper.rollback()
    assert (gatekeeper.stable(), gatekeeper.split_of()["blue"]) == ("blue", 100)
    assert killed(gatekeeper)[1]["state"] == "rolled_back"
    assert gatekeeper.stable() == "blue"


def until_down(gatekeeper):
    def down():
        backends = gatekeeper.call("GET", "/v1/services/shop")[1]["versions"]["green"]["backends"]
        return all(backend["state"] != "ready" for backend in backends)

    until(down, what="the end of green")


def check_clock(release, at):
    """Every step once; none before its time; a hold that was over while nothing ran ended at the start."""
    assert words(release).count("step") == 3
    first, second, third = (entry(release, "step", number)["at"] for number in range(3))
    paused, resumed = entry(release, "paused")["at"], entry(release, "resumed")["at"]
    assert at <= first < at + SLACK
    assert HOLD <= second - first < HOLD + SLACK
    assert HOLD <= third - second - (resumed - paused) < HOLD + SLACK
    assert HOLD <= release["ended_at"] - third < HOLD + SLACK


def test_a_hold_that_ends_while_nothing_runs_is_over_at_the_start(team):
    """After a restart the wall clock counts: nobody waits twice."""
    steps = [{"weight": 10, "hold": "1500ms"}, {"weight": 50, "hold": "1h"}, {"weight": 100}]
    gatekeeper = team(plans={"careful": {"steps": steps}})
    gatekeeper.until_ready()
    gatekeeper.begin(plan="careful")
    gatekeeper.comes_to("progressing", 0)
    gatekeeper.kill()
    time.sleep(2.0)
    gatekeeper.start()
    started = time.time()
    release = gatekeeper.comes_to("progressing", 1)
    assert entry(release, "step", 1)["at"] < started + 1.5
    assert gatekeeper.split_of() == {"blue": 50, "green": 50}


def test_an_edited_plan_in_the_file_does_not_touch_a_release_across_a_restart(team):
    """The release has its own copy, also when the file is another one at the start."""
    steps = [{"weight": 10, "hold": "2s"}, {"weight": 50, "hold": "1h"}, {"weight": 100}]
    gatekeeper = team(plans={"careful": {"steps": steps}})
    gatekeeper.until_ready()
    gatekeeper.begin(plan="careful")
    gatekeeper.comes_to("progressing", 0)
    gatekeeper.kill()
    gatekeeper.top["plans"] = {"other": {"steps": [{"weight": 100}]}}
    gatekeeper.write()
    gatekeeper.start()
    assert [step["weight"] for step in gatekeeper.release()["plan"]["steps"]] == [10, 50, 100]
    gatekeeper.comes_to("progressing", 1)


def test_a_candidate_that_the_file_took_away_meanwhile_ends_the_release(team):
    """The file is the later act: the release is over, with the reason, and users are with stable."""
    gatekeeper = team(plans={"careful": {"steps": [{"weight": 50, "hold": "1h"}, {"weight": 100}]}})
    gatekeeper.until_ready()
    gatekeeper.begin(plan="careful")
    gatekeeper.comes_to("progressing", 0)
    gatekeeper.kill()
    blue = {"backends": [gatekeeper.blue.url], "health": HEALTH}
    gatekeeper.service["versions"] = {"blue": blue}
    gatekeeper.write()
    gatekeeper.start()
    release = gatekeeper.release()
    assert release["state"] == "rolled_back"
    assert "green" in release["reason"]
    assert gatekeeper.split_of() == {"blue": 100}


def test_an_upgrade_in_the_middle_takes_the_release_with_it(team, tmp_path):
    """SIGUSR2: the new program goes on at the same step with the same clock, and makes anew the check that ran."""
    slow = {"command": {"run": ["sh", "-c", "echo $$ >> runs; while [ ! -e checked ]; do sleep 0.05; done"]}}
    steps = [{"weight": 10, "hold": f"{HOLD:g}s"}, {"weight": 50, "hold": "2h"}, {"weight": 100}]
    clocks = Clocks(tmp_path / "clocks")
    gatekeeper = team(plans={"careful": {"verify": [slow], "steps": steps}}, clocks=clocks)
    gatekeeper.until_ready()
    gatekeeper.begin(plan="careful")
    runs = tmp_path / "gatekeeper0" / "runs"
    until(runs.exists, what="the check")
    upgrade(gatekeeper)
    until(lambda: len(runs.read_text().split()) == 2, what="the check of the new program")
    (first, _) = map(int, runs.read_text().split())
    until(lambda: gone(first), what="the end of the check of the old one")
    (tmp_path / "gatekeeper0" / "checked").touch()
    before = gatekeeper.comes_to("progressing", 0)
    clocks.pass_(HOLD / 2)
    upgrade(gatekeeper)
    release = gatekeeper.release()
    assert {name: release[name] for name in SAME} == {name: before[name] for name in SAME}
    assert release["hold"]["over"] == pytest.approx(HOLD / 2, abs=SLACK)
    clocks.pass_(HOLD / 2)
    gatekeeper.comes_to("progressing", 1)
    assert gatekeeper.split_of() == {"blue": 50, "green": 50}
