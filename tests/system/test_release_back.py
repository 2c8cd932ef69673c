"""The way back: by an operator, during and after; and by itself, when the candidate is not there any more or fails."""

import os
import signal
import time

import pytest

from tests.system.programs import until
from tests.system.visitors import Visitor, running

pytestmark = [pytest.mark.system, pytest.mark.outside("nginx")]

WITHIN = 1.0
"""Seconds from what happened to the candidate to the last request it gets."""
STEPS = [{"weight": 50, "hold": "1h"}, {"weight": 100}]
PLANS = {"careful": {"steps": STEPS}, "all": {"steps": [{"weight": 100, "hold": "1h"}]}}


class Patient(Visitor):
    """Goes on coming whatever it is answered; a visit is when it came and the status."""

    def run(self):
        while not self._stopped.is_set():
            came = time.monotonic()
            self.visits.append((came, self._gatekeeper.get().status))
            self._stopped.wait(0.005)


@pytest.fixture
def ramping(team):
    """A gatekeeper that is at 50 % green."""

    def start(plan="careful", **service):
        gatekeeper = team({"sticky": {"mode": "none"}, **service}, plans=PLANS)
        gatekeeper.until_ready()
        gatekeeper.begin(plan=plan)
        gatekeeper.comes_to("progressing", 0)
        return gatekeeper

    return start


def test_backends_that_die_in_mid_ramp_lose_their_users_to_stable_within_a_second(ramping):
    """Nobody gets an error after that; the release ends rolled back and says why, and the version stays out until an
    operator lets it in again."""
    gatekeeper = ramping()
    visitors = [Patient(gatekeeper) for _ in range(4)]
    with running(*visitors):
        time.sleep(0.5)
        began = time.monotonic()
        gatekeeper.green.kill()
        until(lambda: gatekeeper.split_of().get("green") == 0, what="the end of green's weight")
        tripped = time.monotonic()
        time.sleep(0.5)
    assert tripped - began < WITHIN
    release = gatekeeper.release()
    assert (release["state"], "eject" in release["reason"]) == ("rolled_back", True), release["reason"]
    assert gatekeeper.split_of() == {"blue": 100, "green": 0}
    failed = [came for visitor in visitors for came, status in visitor.visits if status != 200]
    assert all(began - 0.1 < came < tripped for came in failed)
    again = {"to": "green", "plan": "careful"}
    status, refusal = gatekeeper.ask("ann", "POST", "/v1/services/shop/releases", again)
    assert (status, "reset" in refusal["allowed"]) == (409, True), refusal
    gatekeeper.green.start()
    assert gatekeeper.call("POST", "/v1/services/shop/trip/reset", {})[0] == 200
    gatekeeper.until_ready()
    gatekeeper.begin(plan="careful")
    gatekeeper.comes_to("progressing", 0)


def test_errors_that_begin_take_the_users_back_within_a_second(ramping):
    """The trip-wire, without statistics; the users' requests are what it sees."""
    gatekeeper = ramping()
    visitors = [Patient(gatekeeper) for _ in range(8)]
    with running(*visitors):
        time.sleep(0.5)
        began = time.monotonic()
        (gatekeeper.green.folder / "broken").touch()
        until(lambda: gatekeeper.split_of().get("green") == 0, what="the end of green's weight")
        tripped = time.monotonic()
        time.sleep(0.5)
    assert tripped - began < WITHIN
    release = gatekeeper.release()
    assert (release["state"], "failed" in release["reason"]) == ("rolled_back", True), release["reason"]
    failed = [came for visitor in visitors for came, status in visitor.visits if status != 200]
    assert failed
    assert max(failed) < tripped


@pytest.mark.parametrize("how", ["retire", "drain", "file", "another build"])
def test_a_candidate_that_is_taken_away_takes_its_release_with_it(ramping, how):
    """Retired, drained, gone from the file, or another build in the file: in the very same revision its users are with
    stable."""
    gatekeeper = ramping()
    before = gatekeeper.release()
    where = "/v1/services/shop/versions/green"
    if how == "retire":
        status, reply = gatekeeper.call("DELETE", where)
    elif how == "drain":
        status, reply = gatekeeper.call("POST", f"{where}/drain", {"seconds": 1})
    else:
        blue, green = (dict(gatekeeper.service["versions"][name]) for name in ("blue", "green"))
        versions = {"blue": blue} if how == "file" else {"blue": blue, "green": {**green, "build": "green-18"}}
        reply, status = gatekeeper.reload({"versions": versions}), 200
    assert status == 200, reply
    release = gatekeeper.release(release=before["id"])
    assert release["state"] == "rolled_back"
    assert release["revision"] == reply["revision"]
    assert "green" in release["reason"]
    assert gatekeeper.split_of().get("green", 0) == 0
    assert {gatekeeper.get().version for _ in range(20)} == {"blue"}


def test_nobody_puts_another_build_into_a_release_by_a_deploy(ramping):
    """What was verified is what goes on; the refusal says how to end it."""
    gatekeeper = ramping()
    body = {"backends": [gatekeeper.green.url], "build": "green-18"}
    status, refusal = gatekeeper.call("PUT", "/v1/services/shop/versions/green", body)
    assert (status, refusal["code"]) == (409, "release_active")
    assert "rollback" in refusal["allowed"] or "abort" in refusal["allowed"]
    assert gatekeeper.release()["state"] == "progressing"


def test_a_rollback_in_the_middle_puts_everything_as_it_was(ramping):
    """Weights of before, one revision, no request to green after the reply; again, and nothing happens."""
    gatekeeper = ramping()
    reply = gatekeeper.rollback()
    assert reply["split"] == {"blue": 100, "green": 0}
    assert {gatekeeper.get().version for _ in range(50)} == {"blue"}
    release = gatekeeper.release()
    assert (release["state"], release["allowed"]) == ("rolled_back", [])
    again = gatekeeper.rollback()
    assert again["revision"] == again["base"] == reply["revision"]
    for verb in ("approve", "pause", "resume", "promote"):
        status, refusal = gatekeeper.act("ben", verb)
        assert status == 409, refusal
    assert gatekeeper.status()["revision"] == reply["revision"]
    gatekeeper.begin(plan="careful")
    gatekeeper.comes_to("progressing", 0)


def test_an_abort_ends_it_like_a_rollback_and_says_who_and_why(ramping):
    gatekeeper = ramping()
    release = gatekeeper.do("ben", "abort", "the wrong build")
    assert (release["state"], release["reason"]) == ("aborted", "aborted by ben: the wrong build")
    assert gatekeeper.split_of() == {"blue": 100, "green": 0}
    again = gatekeeper.act("ben", "abort")
    assert (again[0], again[1]["base"]) == (200, again[1]["revision"])


def test_after_the_promotion_a_rollback_brings_the_old_version_back_as_stable(ramping):
    """Blue is retained: its backends are still checked, and it has all users again from the reply on."""
    gatekeeper = ramping()
    release = gatekeeper.do("ben", "promote")
    assert (release["state"], release["retained"], gatekeeper.stable()) == ("promoted", True, "green")
    assert {gatekeeper.get().version for _ in range(20)} == {"green"}
    gatekeeper.rollback()
    assert {gatekeeper.get().version for _ in range(20)} == {"blue"}
    assert gatekeeper.stable() == "blue"
    assert gatekeeper.release()["state"] == "rolled_back"


def test_a_rollback_after_the_promotion_works_when_the_new_version_is_down_and_warns_when_the_old_one_is(ramping):
    gatekeeper = ramping()
    gatekeeper.do("ben", "promote")
    gatekeeper.green.end()
    began = time.monotonic()
    gatekeeper.rollback()
    assert time.monotonic() - began < WITHIN
    assert {gatekeeper.get().version for _ in range(20)} == {"blue"}

    gatekeeper.green.start()
    gatekeeper.until_ready()
    gatekeeper.begin(plan="careful")
    gatekeeper.comes_to("progressing", 0)
    gatekeeper.do("ben", "promote")
    gatekeeper.blue.end()
    until(lambda: backend_of(gatekeeper, "blue") != "ready", what="the end of blue")
    done = gatekeeper.cli("rollback", "shop")
    assert done.returncode == 0, done
    assert "version blue of service shop holds weight and has no ready backend" in done.stderr
    assert gatekeeper.stable() == "blue"


def backend_of(gatekeeper, version):
    return gatekeeper.call("GET", "/v1/services/shop")[1]["versions"][version]["backends"][0]["state"]


def test_a_worker_that_hangs_delays_no_rollback_beyond_its_end(ramping):
    """One of two workers is stopped (SIGSTOP): it does not acknowledge, is ended, and the reply comes; after it nobody
    routes by the old weights."""
    gatekeeper = ramping()
    stopped = gatekeeper.workers()[0]
    os.kill(stopped, signal.SIGSTOP)
    reply = gatekeeper.rollback()
    assert reply["split"] == {"blue": 100, "green": 0}
    until(lambda: all(pid and pid != stopped for pid in gatekeeper.workers()), what="a new worker")
    assert {gatekeeper.get().version for _ in range(20)} == {"blue"}
    assert gatekeeper.release()["state"] == "rolled_back"


def test_a_rollback_of_a_release_that_waits_or_verifies_is_granted_at_once(team):
    """Before any user has seen it, at every gate there is."""
    hangs = {"verify": [{"command": {"run": ["sleep", "1000"], "timeout": "1h"}}], "steps": STEPS}
    plans = {
        "hangs": hangs,
        "people": {"approve": {"groups": ["product"]}, "steps": STEPS},
        "pause": {"steps": [{"weight": 50, "pause": True}, {"weight": 100}]},
        "time": {"start": {"at": "2199-01-01T00:00Z"}, "steps": STEPS},
    }
    gatekeeper = team(plans=plans)
    gatekeeper.until_ready()
    for plan, state in (("hangs", "verifying"), ("people", "waiting"), ("pause", "waiting"), ("time", "waiting")):
        gatekeeper.begin(plan=plan)
        gatekeeper.comes_to(state, -1)
        began = time.monotonic()
        gatekeeper.rollback()
        assert time.monotonic() - began < WITHIN
        assert gatekeeper.release()["state"] == "rolled_back"
        assert gatekeeper.split_of() == {"blue": 100, "green": 0}
