"""The table of signals in docs/operations.md: each cell is tried by the function of its column and its words."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from tests.system import operations
from tests.system.kernel import gone
from tests.system.operations import amend, ready, tables, wait_for
from tests.system.programs import requests_in_flight, until

pytestmark = pytest.mark.system

SIGNALS = tables("Signals")
TRYING = {}


def column(number, words):
    def take(function):
        TRYING[number, words] = function
        return function

    return take


def signals_with(number, words):
    """The signals of whose rows the cell says so."""
    names = [name for row in SIGNALS if row.cells[number] == words for name in re.findall("SIG[A-Z0-9]+", row.name)]
    return [signal.Signals[name] for name in names]


@pytest.mark.parametrize(
    ("number", "words"), list(dict.fromkeys((n, row.cells[n]) for row in SIGNALS for n in range(3)))
)
def test_a_signal_does_what_its_cell_says(number, words, site):
    TRYING[number, words](site, signals_with(number, words))


@column(0, "drains and stops; the second one cuts")
def drains_and_stops(site, signals):
    for number in signals:
        gatekeeper = site(timeouts={"drain": "60s"})
        gatekeeper.process.send_signal(number)
        assert gatekeeper.process.wait(15) == 0
        assert [event["event"] for event in gatekeeper.events("stopping", "stopped")] == ["stopping", "stopped"]
        gatekeeper.start()
        with contextlib.closing(socket.create_connection(("127.0.0.1", gatekeeper.port))) as client:
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            until(lambda gatekeeper=gatekeeper: requests_in_flight(gatekeeper.metrics()))
            gatekeeper.process.send_signal(number)
            wait_for(gatekeeper, "stopping")
            time.sleep(0.5)
            assert gatekeeper.process.poll() is None
            gatekeeper.process.send_signal(number)
            assert gatekeeper.process.wait(15) == 0
        assert gatekeeper.events("stopped")[0]["cut"] == 1


@column(0, "reloads")
def reloads(site, signals):
    gatekeeper = site()
    for count, number in enumerate(signals, start=1):
        amend(gatekeeper, limits={"headers": 50 + count})
        gatekeeper.process.send_signal(number)
        wait_for(gatekeeper, "reload", count=count)


@column(0, "opens its log files anew; without any says so in the log")
def opens_anew(site, signals):
    gatekeeper = site(start=False)
    amend(gatekeeper, log={"access": "json", "access_file": str(gatekeeper.folder / "access")})
    gatekeeper.start()
    for count, number in enumerate(signals, start=1):
        gatekeeper.process.send_signal(number)
        wait_for(gatekeeper, "logs_reopened", count=count)
    gatekeeper = site()
    for number in signals:
        gatekeeper.process.send_signal(number)
        until(lambda name=number.name: f"{name} refused" in (gatekeeper.folder / "out0").read_text())
    assert gatekeeper.status()["pid"] == gatekeeper.process.pid


@column(0, "upgrades")
def upgrades(site, signals):
    for number in signals:
        gatekeeper = site()
        gatekeeper.process.send_signal(number)
        wait_for(gatekeeper, "old_program_ended")
        assert gatekeeper.process.wait(15) == 0
        assert gatekeeper.status()["pid"] != gatekeeper.process.pid


@column(0, "ends at once; its workers serve on")
def ends_alone(site, signals):
    gatekeeper = site()
    for number in signals:
        gatekeeper.process.send_signal(number)
        assert gatekeeper.process.wait(5) == -number
        assert gatekeeper.get().status == 200
        gatekeeper.start()


@column(0, "traffic goes on, nothing else does, until SIGCONT")
def stands_still(site, signals):
    gatekeeper = site()
    for number in signals:
        gatekeeper.process.send_signal(number)
        try:
            assert gatekeeper.get().status == 200
        finally:
            gatekeeper.process.send_signal(signal.SIGCONT)
        assert gatekeeper.status()["ready"]


@column(1, "nothing")
def nothing_to_a_worker(site, signals):
    gatekeeper = site()
    (worker,) = ready(gatekeeper)
    for number in signals:
        os.kill(worker, number)
        time.sleep(0.2)
        assert gatekeeper.get().status == 200
    assert ready(gatekeeper) == [worker]


@column(1, "ends at once and is replaced")
def ends_and_is_replaced(site, signals):
    gatekeeper = site()
    for number in signals:
        (worker,) = until(lambda: ready(gatekeeper))
        os.kill(worker, number)
        until(lambda worker=worker: gone(worker))
        assert gatekeeper.get().status == 200
    assert [each["reason"] for each in wait_for(gatekeeper, "worker_died")] == [f"killed by {s.name}" for s in signals]


@column(1, "is taken for hung: replaced after 5 s")
def taken_for_hung(_site, signals):
    assert signals == [signal.SIGSTOP]
    assert "A worker hangs" in operations.TRIED  # by SIGSTOP, in test_failures_inside.py


def orphans(site):
    """A gatekeeper whose supervisor was killed, and its two workers."""
    gatekeeper = site(workers=2)
    gatekeeper.process.kill()
    gatekeeper.process.wait()
    return gatekeeper, gatekeeper.worker_pids()


@column(2, "nothing")
def nothing_to_an_orphan(site, signals):
    gatekeeper, workers = orphans(site)
    for number in signals:
        for worker in workers:
            os.kill(worker, number)
    time.sleep(0.3)
    assert gatekeeper.worker_pids() == workers
    assert gatekeeper.get().status == 200


@column(2, "drains for 30 s at most and ends")
@column(2, "drains, and leaves its sockets to others")
def orphan_drains(site, signals):
    gatekeeper, (first, second) = orphans(site)
    (number,) = signals
    os.kill(first, number)
    until(lambda: gone(first))
    assert gatekeeper.worker_pids() == [second]
    os.kill(second, number)
    until(lambda: gatekeeper.worker_pids() == [])


@column(2, "ends at once")
def orphan_ends(site, signals):
    _, workers = orphans(site)
    for number, worker in zip(signals, workers, strict=True):
        os.kill(worker, number)
        until(lambda worker=worker: gone(worker))


@column(2, "keeps its clients waiting")
def orphan_stands_still(site, signals):
    gatekeeper, workers = orphans(site)
    for worker in workers:
        os.kill(worker, signals[0])
    with pytest.raises(TimeoutError), contextlib.closing(gatekeeper.connect(timeout=0.5)) as connection:
        gatekeeper.get(connection=connection)
    for worker in workers:
        os.kill(worker, signal.SIGCONT)
    assert gatekeeper.get().status == 200


def test_workers_that_were_left_behind_are_found_by_their_own_words(site):
    pattern = re.search(r"pkill -f '([^']*)'", operations.DOCUMENT.read_text())[1]
    gatekeeper, workers = orphans(site)
    subprocess.run(["pkill", "-f", pattern.replace("/var/lib/gatekeeper/state.db", str(gatekeeper.state))], check=True)
    until(lambda: all(map(gone, workers)))
