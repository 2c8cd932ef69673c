"""Webhooks over real sockets: signed, in order, retried; an endpoint that is down or hangs delays nothing."""

import hashlib
import hmac
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.system.programs import until

pytestmark = [pytest.mark.system, pytest.mark.outside("nginx")]

SECRET = "a-secret-of-more-than-32-characters-for-tests"
PLANS = {"careful": {"steps": [{"weight": 10, "hold": "200ms"}, {"weight": 100, "hold": "200ms"}]}}
FIRST_AGAIN = 1.0
"""Seconds after which a delivery is tried again first; more or less by a fifth."""


class Receiver:
    """Takes POSTs and checks their signature; ``failing`` is the status it answers with instead of 204."""

    def __init__(self, port):
        self.port, self.failing = port, 0
        self.taken, self.refused, self.wrong = [], [], []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.came(dict(self.headers), body)
                self.send_response(receiver.failing or 204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def came(self, fields, body):
        event = json.loads(body)
        given = dict(part.split("=", 1) for part in fields["X-Gatekeeper-Signature"].split(","))
        digest = hmac.new(SECRET.encode(), f"{given['t']}.".encode() + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(digest, given["v1"]) or abs(time.time() - int(given["t"])) > 60:
            self.wrong.append(fields)
        (self.refused if self.failing else self.taken).append(event)

    @property
    def kinds(self):
        return [event["kind"] for event in self.taken]

    def end(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver(free_ports):
    """``receiver(port)`` listens; without a port on a free one."""
    made = []

    def start(port=None):
        found = Receiver(port or free_ports(1)[0])
        made.append(found)
        return found

    yield start
    for each in made:
        each.end()
        assert each.wrong == [], "a signature was wrong"


def hook(port, **more):
    return {"url": f"http://127.0.0.1:{port}/gatekeeper", "secret": SECRET, **more}


def test_everything_that_happens_to_a_release_is_sent_signed_once_and_in_order(team, receiver):
    everything, some = receiver(), receiver()
    notify = [hook(everything.port), hook(some.port, events=["release_promoted", "rollback"])]
    gatekeeper = team(plans=PLANS, notify=notify)
    gatekeeper.until_ready()
    release = gatekeeper.begin(plan="careful", note="the new basket")
    gatekeeper.comes_to("promoted")
    gatekeeper.rollback()
    until(lambda: "release_rolled_back" in everything.kinds, what="the last event")
    steps = [kind for kind in everything.kinds if kind in ("release_started", "release_step", "release_promoted")]
    assert steps == ["release_started", "release_step", "release_step", "release_promoted"]
    assert {event["release"] for event in everything.taken if event["kind"].startswith("release_")} == {release["id"]}
    assert everything.taken[0]["actor"] == "ann"
    numbers = [event["id"] for event in everything.taken]
    assert numbers == sorted(set(numbers))
    until(lambda: "release_promoted" in some.kinds, what="the promotion")
    assert set(some.kinds) <= {"release_promoted", "rollback"}


def test_an_endpoint_that_is_down_delays_nothing_and_gets_it_all_when_it_is_back(team, receiver, free_ports):
    """Refused connections first, then answers of 500: every event arrives once, in order; meanwhile the status shows
    it, and the release has not waited a moment."""
    (port,) = free_ports(1)
    gatekeeper = team(plans=PLANS, notify=[hook(port)])
    gatekeeper.until_ready()
    began = time.monotonic()
    gatekeeper.begin(plan="careful")
    gatekeeper.comes_to("promoted")
    assert time.monotonic() - began < 3
    began = time.monotonic()
    gatekeeper.rollback()
    assert time.monotonic() - began < 1

    def shown():
        return next((each for each in gatekeeper.status()["notify"] if each["state"] == "failing"), None)

    trouble = until(shown, what="the trouble in the status")
    assert trouble["waiting"] >= 4
    assert "refused" in trouble["reason"]
    back = receiver(port)
    back.failing = 500
    until(lambda: back.refused, 20, "another try")
    assert back.taken == []
    back.failing = 0
    until(lambda: "release_rolled_back" in back.kinds, 30, "the last event")
    assert back.kinds[0] == "release_started"
    numbers = [event["id"] for event in back.taken]
    assert numbers == sorted(set(numbers))
    until(lambda: all(each["state"] == "ok" for each in gatekeeper.status()["notify"]), what="the end of the trouble")


def test_an_endpoint_that_accepts_and_says_nothing_holds_up_neither_the_release_nor_another_endpoint(team, receiver):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        well = receiver()
        notify = [hook(silent.getsockname()[1]), hook(well.port)]
        gatekeeper = team(plans=PLANS, notify=notify)
        gatekeeper.until_ready()
        began = time.monotonic()
        gatekeeper.begin(plan="careful")
        gatekeeper.comes_to("promoted")
        until(lambda: "release_promoted" in well.kinds, what="the promotion")
        assert time.monotonic() - began < 3
        gatekeeper.process.terminate()
        assert gatekeeper.process.wait(15) == 0, "a webhook held up the end"


def test_an_endpoint_that_comes_with_a_reload_hears_from_then_on(team, receiver):
    gatekeeper = team(plans=PLANS)
    gatekeeper.until_ready()
    late = receiver()
    gatekeeper.begin(plan="careful")
    gatekeeper.reload(notify=[hook(late.port)])
    gatekeeper.comes_to("promoted")
    until(lambda: "release_promoted" in late.kinds, what="the promotion")
    gatekeeper.reload(notify=[])
    count = len(late.taken)
    gatekeeper.rollback()
    time.sleep(0.5)
    assert len(late.taken) == count
