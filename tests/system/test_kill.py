"""kill -9 of a worker under load: what was in flight in it is lost, nothing else, and a new one serves at once."""

import os
import signal
import threading
import time

import pytest

from tests.system.kernel import accepted, dialled, gone, listeners
from tests.system.programs import requests_counted, until
from tests.system.visitors import Visitor, running

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.outside("nginx", "wrk")]

CONNECTIONS = 64
COUNTERS = ("_total", "_count", "_sum", "_bucket")


class Scraper(threading.Thread):
    """Reads /metrics again and again and notes every counter that went down or vanished."""

    def __init__(self, gatekeeper):
        super().__init__()
        self._gatekeeper = gatekeeper
        self._stopped = threading.Event()
        self.wrong, self.scrapes, self.last = [], 0, {}

    def run(self):
        while not self._stopped.is_set():
            self.look()
            self._stopped.wait(0.02)

    def look(self):
        metrics = self._gatekeeper.metrics()
        counters = {name: value for name, value in metrics.items() if name.partition("{")[0].endswith(COUNTERS)}
        for name, value in self.last.items():
            if counters.get(name, -1) < value:
                self.wrong.append((name, value, counters.get(name)))
        self.last = counters
        self.scrapes += 1

    def stop(self):
        self._stopped.set()
        self.join()


def serving(gatekeeper, index, other_than=None):
    """The pid of the worker in this slot once it serves, and is another one."""
    worker = gatekeeper.status()["workers"][index]
    return worker["pid"] if worker["state"] == "ready" and worker["pid"] != other_than else None


@pytest.mark.parametrize("workers", [1, 2])
def test_only_what_was_in_flight_in_a_killed_worker_fails_and_a_new_one_serves_within_a_second(
    shop, wrk, workers, long, tell
):
    """Failures are at most the killed worker's connections; whoever comes later waits in the accept queue of the same
    listening socket and is served within a second; no counter ever goes down."""
    gatekeeper = shop(workers=workers)
    gatekeeper.split(blue=50, green=50)
    load = wrk(gatekeeper.port, connections=CONNECTIONS)
    scraper, visitors = Scraper(gatekeeper), [Visitor(gatekeeper) for _ in range(4)]
    at_risk, killed = 0, []
    with running(scraper, *visitors):
        for number in range(5 * workers if long else workers):
            if number >= workers:
                time.sleep(11)  # a worker that keeps dying is sick, and its successors have to wait
            index = number % workers
            victim = until(lambda index=index: serving(gatekeeper, index))
            heard = listeners(victim, gatekeeper.port)
            assert len(heard) == 1
            at_risk += len(accepted(victim, gatekeeper.port) & dialled(load.pid, gatekeeper.port))
            began = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            until(lambda pid=victim: gone(pid))
            killed.append((began, time.monotonic()))
            successor = until(lambda index=index, pid=victim: serving(gatekeeper, index, pid))
            assert listeners(successor, gatekeeper.port) == heard
            time.sleep(0.5)
    report = load.stop()
    scraper.look()

    failed = report.errors
    assert set(failed) <= {"read", "write"}, "a connection was refused, timed out, or got an error as its answer"
    assert 0 < sum(failed.values()) <= at_risk
    visits = [visit for visitor in visitors for visit in visitor.visits]
    lost = [visit for visit in visits if visit.problem]
    # A visit can only be lost by being in the worker when it dies, and each visitor makes one at a time.
    assert all(any(visit.came <= dead and visit.left >= began for began, dead in killed) for visit in lost), lost
    assert len(lost) <= len(visitors) * len(killed)
    waited = [
        max(visit.left - max(began, visit.came) for visit in visits if visit.left >= began and not visit.problem)
        for began, _ in killed
    ]
    assert max(waited) < 1.0
    assert scraper.wrong == []

    deaths = gatekeeper.events("worker_died")
    assert [death["reason"] for death in deaths] == ["killed by SIGKILL"] * len(killed)
    metrics = gatekeeper.quiet_metrics()
    gatekeeper.blue.end()
    gatekeeper.green.end()
    seen = sum(1 for _ in (*gatekeeper.blue.lines(), *gatekeeper.green.lines()))
    # All that backends answered is counted, but for what was in flight in a killed worker. What was in flight when the
    # load ended is counted, too, and may or may not have reached a backend.
    counted = requests_counted(metrics)
    assert requests_counted(metrics, code=200) <= seen <= counted + at_risk + len(lost)
    tell(
        connections=at_risk,
        failed=sum(failed.values()),
        visits_lost=len(lost),
        longest_wait_ms=round(max(waited) * 1000),
        scrapes=scraper.scrapes,
        rate=round(report.rate),
        seen_not_counted=seen - counted,
    )
