"""Flags flipped under load: all workers by the reply, no request lost; and a kill -9 loses no flip that was answered.

The witness is the backend's log, as for changes of the split: what each request of the load said of the flags. One of
them has another value after every flip, so that it is seen by which of the flips a request was routed.
"""

import contextlib
import os
import signal
import time
from bisect import bisect_left

import pytest

from tests.system.programs import UnixConnection, until
from tests.system.test_kill import Scraper
from tests.system.visitors import running

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.outside("nginx", "wrk")]

VALUES = 16
FLIPS = 60
FLAGS = {
    "checkout": {"on": False},
    "step": {
        "on": True,
        "variants": {f"v{number}": f"v{number}" for number in range(VALUES)},
        "off": "v0",
        "split": {"v0": 100},
    },
}


def microseconds():
    """The clock of load.lua."""
    return time.monotonic_ns() // 1000


def flip(gatekeeper, number, connection=None):
    """The reply to the flip that leads to this value."""
    body = {"split": {f"v{number % VALUES}": 100}}
    status, reply = gatekeeper.call("PUT", "/v1/flags/step", body, connection)
    assert status == 200, reply
    return reply


def switch(gatekeeper, way, body=None):
    status, reply = gatekeeper.call("POST", f"/v1/flags/checkout/{way}", body or {})
    assert status == 200, reply
    return reply


def test_a_flip_holds_in_all_workers_by_the_reply_and_loses_no_request(shop, wrk, tell):
    """Every request is answered; none that was sent after a reply has an older value than that reply's."""
    gatekeeper = shop(workers=2, flags=FLAGS)
    at, took = [], []
    with contextlib.closing(UnixConnection(gatekeeper.socket)) as admin:
        load = wrk(gatekeeper.port, "close=50")
        for number in range(1, FLIPS + 1):
            asked = microseconds()
            reply = flip(gatekeeper, number, admin)
            at.append(microseconds())
            took.append(at[-1] - asked)
            assert reply["workers"] == {"acknowledged": 2, "total": 2}
        report = load.stop()
    assert report.errors == {}
    for server in (gatekeeper.blue, gatekeeper.green):
        server.end()
    total = 0
    for line in gatekeeper.blue.lines():
        assert line.status == 200
        assert line.flags.startswith("step=v"), line
        if line.sent:
            total += 1
            newest = bisect_left(at, line.sent)
            # By how many flips it was ahead of the last reply when it was sent: it arrived a little later.
            ahead = (int(line.flags.removeprefix("step=v")) - newest) % VALUES
            assert ahead < VALUES // 2, (line, newest)
    assert total >= report.requests
    took.sort()
    tell(
        requests=total, rate=round(report.rate), reply_p50_ms=took[len(took) // 2] / 1000, reply_max_ms=took[-1] / 1000
    )


def test_what_was_answered_outlives_a_kill_of_workers_and_of_everything(shop, wrk):
    """A worker that is killed amid flips is replaced by one that knows them, and no counter goes down; after a kill of
    all processes at once the state is that of the last reply, a killed flag is still killed, and users are told so.
    """
    gatekeeper = shop(workers=2, flags=FLAGS)
    load = wrk(gatekeeper.port)
    scraper = Scraper(gatekeeper)
    with running(scraper):
        switch(gatekeeper, "on")
        time.sleep(1.2)
        victim = gatekeeper.workers()[0]
        os.kill(victim, signal.SIGKILL)
        for number in range(1, 8):
            flip(gatekeeper, number)
        until(lambda: all(pid and pid != victim for pid in gatekeeper.workers()))
        time.sleep(0.3)
    load.stop()
    assert scraper.wrong == []
    had = 'gatekeeper_flag_requests_total{service="shop",flag="checkout",variant="on",class="2xx"}'
    assert scraper.last[had] > 100
    switch(gatekeeper, "off", {"kill": True, "reason": "it hurts"})
    flip(gatekeeper, 9)
    for pid in (*gatekeeper.supervisor_pids(), *gatekeeper.worker_pids()):
        os.kill(pid, signal.SIGKILL)
    gatekeeper.process.wait()
    gatekeeper.start()
    step, checkout = (gatekeeper.call("GET", f"/v1/flags/{name}")[1] for name in ("step", "checkout"))
    assert {name: weight for name, weight in step["split"].items() if weight} == {"v9": 100}
    assert (checkout["on"], checkout["killed"]) == (False, True)
    gatekeeper.get("/last")
    gatekeeper.blue.end()
    last = [line for line in gatekeeper.blue.lines() if line.target == "/last"]
    assert [line.flags for line in last] == ["step=v9"]
