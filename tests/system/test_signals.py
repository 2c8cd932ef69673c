"""Signals under load: a stop that finishes what runs, a reload nobody notices, and a supervisor killed and followed."""

import contextlib
import http.client
import os
import signal
import threading
import time

import pytest

from tests.system.kernel import accepted, dialled, gone
from tests.system.programs import UnixConnection, answers, until
from tests.system.visitors import Visitor, running

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.outside("nginx", "wrk")]

# 100 KB at these speeds take two seconds, and longer than any test runs.
PACES = """
    location = /two-seconds { alias %(folder)s/slow; limit_rate 50k; }
    location = /endless { alias %(folder)s/slow; limit_rate 1k; }
"""
DRAIN = 3.0
CONNECTIONS = 64


class Download(threading.Thread):
    """One request whose answer takes its time; ``got`` is its body, ``problem`` why there is none."""

    def __init__(self, gatekeeper, path):
        super().__init__()
        self._gatekeeper, self._path = gatekeeper, path
        self.got, self.problem = b"", None
        self.start()

    def run(self):
        try:
            answer = self._gatekeeper.get(self._path)
            assert answer.status == 200
            self.got = answer.body
        except (OSError, http.client.HTTPException) as error:
            self.problem = error


@pytest.fixture
def slow_shop(nginx, serve, tmp_path):
    """As ``shop``, with answers that take their time."""

    def start(**options):
        servers = {name: nginx(name, PACES % {"folder": tmp_path / f"nginx-{name}"}) for name in ("blue", "green")}
        gatekeeper = serve({name: server.url for name, server in servers.items()}, **options)
        gatekeeper.blue, gatekeeper.green = servers.values()
        return gatekeeper

    return start


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_finishes_what_runs_and_says_what_was_cut(slow_shop, wrk, workers, tell):
    """Answers that end within ``timeouts.drain`` arrive whole; the others are cut when it is over, visibly, and
    counted; then it ends with exit code 0 and nothing of it is left."""
    gatekeeper = slow_shop(workers=workers, timeouts={"drain": f"{DRAIN:g}s"}, split={"blue": 50, "green": 50})
    load = wrk(gatekeeper.port, connections=CONNECTIONS)
    whole = [Download(gatekeeper, "/two-seconds") for _ in range(8)]
    endless = [Download(gatekeeper, "/endless") for _ in range(3)]
    visitors = [Visitor(gatekeeper) for _ in range(4)]
    with running(*visitors):
        time.sleep(0.3)
        gatekeeper.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        until(lambda: not answers(gatekeeper.port), what="the end of listening")
        refused = time.monotonic() - began
        time.sleep(0.2)
    report = load.stop()
    assert gatekeeper.process.wait(DRAIN + 10) == 0
    took = time.monotonic() - began
    for download in (*whole, *endless):
        download.join()
    assert [len(download.got) for download in whole] == [100_000] * 8, [download.problem for download in whole]
    assert all(isinstance(download.problem, http.client.IncompleteRead) for download in endless)
    assert DRAIN <= took <= DRAIN + 2
    # Who comes too late is refused (which wrk notices when it writes); nobody who was let in goes without an answer.
    assert set(report.errors) <= {"connect", "write"}, report
    problems = [visit.problem for visitor in visitors for visit in visitor.visits if visit.problem]
    assert problems
    assert {type(problem) for problem in problems} == {ConnectionRefusedError}
    gatekeeper.blue.end()
    gatekeeper.green.end()
    lines = [*gatekeeper.blue.lines(), *gatekeeper.green.lines()]
    assert sum(line.sent > 0 for line in lines) == report.requests
    [stopped] = gatekeeper.events("stopped")
    assert stopped["cut"] == 3
    assert stopped["finished"] >= 8
    assert stopped["workers_killed"] == 0
    assert gatekeeper.worker_pids() == []
    assert not gatekeeper.socket.exists()
    tell(refused_after_ms=round(refused * 1000), ended_after_s=round(took, 2), finished=stopped["finished"])


def test_sighup_under_load_takes_up_the_file_and_no_request_notices(shop, wrk):
    """A new rule routes once the reload is told, reload after reload; a file with mistakes changes nothing."""
    gatekeeper = shop(workers=2)
    load = wrk(gatekeeper.port, "close=50")
    before = gatekeeper.status()["revision"]
    for number in range(10):
        rule = {"name": "beta", "when": {"header": {"X-Beta": str(number)}}, "to": "green"}
        gatekeeper.write(rules=[rule])
        gatekeeper.process.send_signal(signal.SIGHUP)
        until(lambda number=number: len(gatekeeper.events("reload")) > number)
        assert gatekeeper.get(fields={"X-Beta": str(number)}).version == "green"
        assert gatekeeper.get(fields={"X-Beta": str(number - 1)}).version == "blue"
    assert gatekeeper.status()["revision"] == before + 10
    gatekeeper.write(rules=[rule, {"name": "beta", "when": {}, "to": "purple"}])
    gatekeeper.process.send_signal(signal.SIGHUP)
    until(lambda: gatekeeper.events("reload_refused"))
    assert gatekeeper.status()["revision"] == before + 10
    assert gatekeeper.get(fields={"X-Beta": "9"}).version == "green"
    assert load.stop().errors == {}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_supervisor_is_not_noticed_by_traffic_and_its_successor_takes_over(shop, wrk, workers, tell):
    """Workers serve on alone; the next start brings back the acknowledged split with its revision, and replaces the
    old workers without a lost request."""
    gatekeeper = shop(workers=workers)
    load = wrk(gatekeeper.port, "close=50", connections=CONNECTIONS)
    revision = gatekeeper.split(blue=0, green=100)["revision"]
    old = gatekeeper.worker_pids()
    gatekeeper.process.kill()
    gatekeeper.process.wait()
    alone = time.monotonic()
    while time.monotonic() < alone + 1:
        answer = gatekeeper.get()
        assert (answer.version, answer.revision) == ("green", revision)
    assert gatekeeper.worker_pids() == old
    gatekeeper.start()
    took = time.monotonic() - alone - 1
    [replaced] = gatekeeper.events("old_workers_replaced")
    assert (replaced["found"], replaced["still_draining"]) == (workers, 0)
    status = gatekeeper.status()
    assert status["revision"] == revision
    answer = gatekeeper.get()
    assert (answer.version, answer.revision) == ("green", revision)
    reply = gatekeeper.split(blue=100, green=0)
    assert reply["revision"] == revision + 1
    for _ in range(100):
        assert gatekeeper.get().version == "blue"
    until(lambda: all(map(gone, old)), what="the end of the old workers")
    assert gatekeeper.worker_pids() == sorted(gatekeeper.workers())
    assert load.stop().errors == {}
    tell(restart_s=round(took, 2))


def test_kill_of_everything_in_the_middle_of_changes_loses_no_acknowledged_one(shop, wrk, tell):
    """Supervisor and workers are killed at any moment of a stream of changes: afterwards holds the last change that
    was acknowledged, or the one that was under way."""
    gatekeeper = shop(workers=1)
    undecided = 0
    for life in range(4):
        load = wrk(gatekeeper.port, warm=0)
        doom = threading.Timer(0.3 + 0.0137 * life, gatekeeper.process.kill)
        asked = acknowledged = None
        with contextlib.closing(UnixConnection(gatekeeper.socket)) as admin:
            doom.start()
            with contextlib.suppress(OSError, http.client.HTTPException):
                for number in range(100_000):
                    asked = {"blue": 1 + number, "green": 1 + life}
                    acknowledged = (gatekeeper.split(admin, **asked)["revision"], asked)
        doom.join()
        gatekeeper.process.wait()
        assert acknowledged is not None
        for pid in gatekeeper.worker_pids():
            os.kill(pid, signal.SIGKILL)
        load.end()
        gatekeeper.start()
        status, document = gatekeeper.call("GET", "/v1/services/shop")
        assert status == 200
        found = (document["revision"], document["split"])
        assert found in (acknowledged, (acknowledged[0] + 1, asked))
        undecided += found != acknowledged
        assert gatekeeper.get().revision == found[0]
    tell(taken_up_without_reply=undecided)


def test_a_script_that_wants_log_files_reopened_does_no_harm(shop):
    """SIGUSR1, as such scripts send it, to the supervisor and to its workers."""
    gatekeeper = shop(workers=1)
    [worker] = gatekeeper.workers()
    for pid in (gatekeeper.process.pid, worker):
        os.kill(pid, signal.SIGUSR1)
    until(lambda: "SIGUSR1 refused" in (gatekeeper.folder / "out0").read_text())
    assert gatekeeper.get().status == 200
    assert gatekeeper.workers() == [worker]
    assert gatekeeper.process.poll() is None


def test_connections_of_a_draining_worker_are_told_to_go(shop):
    """The last answer on a kept connection says ``Connection: close``; an idle connection is closed at once."""
    gatekeeper = shop(workers=1, timeouts={"drain": "5s"})
    with contextlib.closing(gatekeeper.connect()) as idle:
        gatekeeper.get(connection=idle)
        [pid] = gatekeeper.workers()
        assert len(accepted(pid, gatekeeper.port) & dialled(os.getpid(), gatekeeper.port)) == 1
        gatekeeper.process.send_signal(signal.SIGTERM)
        assert idle.sock.recv(1) == b""
    assert gatekeeper.process.wait(5) == 0
