"""Rollbacks under full load: nothing is lost, and no request that was sent after the reply reaches the candidate.

The judge is the backends' logs (see ``test_under_load``). How long it takes is measured by ``benchmarks.rollbacks``.
"""

import contextlib
import time
from bisect import bisect_right

import pytest

from tests.system.programs import UnixConnection, until

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.outside("nginx", "wrk")]

ROLLBACKS = 20
WITHIN = 1.0
"""Seconds from the death of the candidate's backends to the end of its weight."""
PLANS = {"half": {"steps": [{"weight": 50, "hold": "1h"}, {"weight": 100, "hold": "1h"}]}}


def microseconds():
    """The clock of load.lua."""
    return time.monotonic_ns() // 1000


def granted(gatekeeper, admin, method, path, body):
    status, reply = gatekeeper.call(method, path, body, admin)
    assert status == 200, reply
    return reply


def lines_of(*sides):
    """Each side's requests of the load; complete, since it ends them."""
    for side in sides:
        side.end()
    return [[line for line in side.lines() if line.sent] for side in sides]


def test_rollbacks_under_full_load_lose_no_request_and_the_candidate_gets_none_after_the_reply(team, wrk, long, tell):
    """Half of them in mid ramp, half after the promotion, when all users are on the candidate."""
    gatekeeper = team({"sticky": {"mode": "none"}}, plans=PLANS)
    gatekeeper.until_ready()
    undone = []
    """When each rollback was replied to, and its revision: a later request may reach green by a later revision only."""
    with contextlib.closing(UnixConnection(gatekeeper.socket)) as admin:
        load = wrk(gatekeeper.port, "close=50")
        for number in range(ROLLBACKS * (10 if long else 1)):
            body = {"to": "green", "plan": "half"}
            reply = granted(gatekeeper, admin, "POST", "/v1/services/shop/releases", body)
            release = reply["release"]["id"]
            until(lambda: gatekeeper.release()["step"] == 0, what="the first step")
            if number % 2:
                granted(gatekeeper, admin, "POST", f"/v1/services/shop/releases/{release}/promote", {})
            time.sleep(0.05)
            reply = granted(gatekeeper, admin, "POST", "/v1/services/shop/rollback", {})
            replied = microseconds()
            assert reply["split"] == {"blue": 100, "green": 0}
            assert reply["workers"] == {"acknowledged": 2, "total": 2}
            undone.append((replied, reply["revision"]))
            time.sleep(0.05)
        report = load.stop()
    assert report.errors == {}
    blue, green = lines_of(gatekeeper.blue, gatekeeper.green)
    replies = [replied for replied, _ in undone]
    for line in green:
        at = bisect_right(replies, line.sent) - 1
        assert at < 0 or line.revision > undone[at][1], f"{line} reached green after the reply to its rollback"
    assert {line.status for line in (*blue, *green)} == {200}
    assert report.requests <= len(blue) + len(green) <= report.requests + 64
    assert len(green) > len(undone), "the load met the candidate"
    tell(rollbacks=len(undone), requests=report.requests, green=len(green), rate=round(report.rate))


def test_a_candidate_whose_backends_die_under_full_load_costs_errors_for_less_than_a_second_and_none_after_it(
    team, wrk, tell
):
    """What was sent to it is lost, what was not is answered 502, until its weight is gone."""
    gatekeeper = team({"sticky": {"mode": "none"}}, plans=PLANS)
    gatekeeper.until_ready()
    load = wrk(gatekeeper.port)
    gatekeeper.begin(plan="half")
    gatekeeper.comes_to("progressing", 0)
    time.sleep(0.3)
    began = time.monotonic()
    gatekeeper.green.kill()
    until(lambda: gatekeeper.split_of()["green"] == 0, what="the end of green's weight")
    took = time.monotonic() - began
    after = wrk(gatekeeper.port, warm=0)
    time.sleep(0.5)
    assert after.stop().errors == {}
    report = load.stop()
    assert took < WITHIN
    assert set(report.errors) <= {"status"}
    release = gatekeeper.release()
    assert release["state"] == "rolled_back"
    assert "eject" in release["reason"]
    tell(requests=report.requests, failed=report.status, ms=round(took * 1000), rate=round(report.rate))
