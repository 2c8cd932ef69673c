"""SIGUSR2 over real processes: a new program takes over under load, or fails and nobody notices."""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.system.programs import PATIENCE, UnixConnection, requests_counted, until
from tests.system.test_kill import Scraper
from tests.system.visitors import Visitor, running

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.outside("nginx", "wrk")]

TROUBLED = str(Path(__file__).with_name("troubled.py"))
UPGRADE_SECONDS = 30.0
"""For what takes one on an idle machine."""


def alive(pid):
    """Whether this process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pid_of(gatekeeper):
    return gatekeeper.status()["pid"]


def upgrade(gatekeeper):
    """Hand over to a new program; its pid, once it answers and the old one is gone."""
    old = pid_of(gatekeeper)
    os.kill(old, signal.SIGUSR2)
    new = until(lambda: (pid := pid_of(gatekeeper)) != old and pid, UPGRADE_SECONDS, "the new program")
    until(lambda: not alive(old), what="the end of the old program")
    return new


@pytest.fixture
def troubled(shop, tmp_path):
    """``troubled(workers=1, ...)`` is a shop whose next programs get into trouble as ``plan`` says."""

    def start(**options):
        gatekeeper = shop(start=False, **options)
        troubles = tmp_path / "troubles"
        gatekeeper.program = [sys.executable, TROUBLED]
        gatekeeper.environment = {**os.environ, "TROUBLES": str(troubles), "PYTHONPATH": str(Path.cwd())}
        gatekeeper.plan = lambda **plan: troubles.write_text(json.dumps(plan))
        gatekeeper.in_trouble = tmp_path / "in-trouble"
        gatekeeper.plan(hello=5.0, ready=3.0)
        return gatekeeper.start()

    return start


# It works


@pytest.mark.parametrize("workers", [1, 2])
def test_programs_follow_each_other_under_load_and_no_request_fails(shop, wrk, workers, tell):
    """No error, no refused connection, every counter goes on from where it was, and so do weights and revision. Every
    old program is gone, with exit code 0, and what it left is one block however many there were."""
    gatekeeper = shop(workers=workers, timeouts={"drain": "5s"}, flags={"checkout": {"on": True}})
    gatekeeper.split(blue=50, green=50)
    before = gatekeeper.status()
    load = wrk(gatekeeper.port, "close=50")
    scraper, visitor, took = Scraper(gatekeeper), Visitor(gatekeeper), []
    with running(scraper, visitor):
        for _ in range(4):
            began = time.monotonic()
            upgrade(gatekeeper)
            took.append(time.monotonic() - began)
    report = load.stop()
    assert report.errors == {}
    assert [visit for visit in visitor.visits if visit.problem] == []
    assert scraper.wrong == []

    after = gatekeeper.status()
    assert gatekeeper.process.wait(PATIENCE) == 0
    assert after["pid"] not in (before["pid"], gatekeeper.process.pid)
    assert after["revision"] == before["revision"]
    assert after["services"][0]["split"] == {"blue": 50, "green": 50}
    assert gatekeeper.supervisor_pids() == [after["pid"]]
    until(lambda: gatekeeper.worker_pids() == sorted(gatekeeper.workers()))
    metrics = gatekeeper.quiet_metrics()
    gatekeeper.blue.end()
    gatekeeper.green.end()
    seen = sum(1 for _ in (*gatekeeper.blue.lines(), *gatekeeper.green.lines()))
    # What was under way when the load ended was counted, and may or may not have reached a backend.
    assert requests_counted(metrics, code=200) <= seen <= requests_counted(metrics)
    # Workers tell of flags once a second, those of the programs before until their last request.
    flagged = 'gatekeeper_flag_evaluations_total{flag="checkout",variant="on"}'
    until(lambda: gatekeeper.metrics()[flagged] == requests_counted(metrics), what="the count of flags")
    ended = gatekeeper.events("old_program_ended")
    assert [event["cut"] for event in ended] == [0] * 4
    assert [event["after_pid"] for event in gatekeeper.events("started")[1:]] == [event["pid"] for event in ended]
    tell(longest_seconds=round(max(took), 2), requests=report.requests, finished=ended[-1]["finished"])


def test_a_new_file_with_other_workers_and_addresses_is_taken_up_without_losing_anybody(shop, wrk, free_ports):
    """More workers, fewer, an address more, one less: who was connected or knocks at an address that stays, is served;
    an address that left is refused afterwards."""
    more, less = free_ports(2)
    gatekeeper = shop(workers=2, timeouts={"drain": "5s"}, start=False)

    def write(workers, *ports):
        document = gatekeeper.document(workers=workers, timeouts={"drain": "5s"})
        document["listen"] += [{"address": f"127.0.0.1:{port}"} for port in ports]
        gatekeeper.file.write_text(json.dumps(document))

    write(2, less)
    gatekeeper.start()
    load = wrk(gatekeeper.port, "close=20")
    for workers, ports in ((3, [less]), (1, [more, less]), (2, [more])):
        write(workers, *ports)
        upgrade(gatekeeper)
        assert len(gatekeeper.workers()) == workers
    assert load.stop().errors == {}
    assert connects(more)
    assert not connects(less)
    assert connects(gatekeeper.port)


def connects(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_unix_sockets_stay_where_they_are(shop, tmp_path):
    path = tmp_path / "web.sock"
    gatekeeper = shop(start=False)
    document = gatekeeper.document(workers=2, timeouts={"drain": "5s"})
    document["listen"].append({"address": f"unix:{path}"})
    gatekeeper.file.write_text(json.dumps(document))
    gatekeeper.start()
    before = path.stat().st_ino, gatekeeper.socket.stat().st_ino
    upgrade(gatekeeper)
    assert (path.stat().st_ino, gatekeeper.socket.stat().st_ino) == before
    with contextlib.closing(UnixConnection(path)) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
    os.kill(pid_of(gatekeeper), signal.SIGTERM)
    until(lambda: not path.exists() and not gatekeeper.socket.exists(), what="the end of the paths")


def test_a_watcher_is_told_why_it_ends_and_misses_nothing_afterwards(shop):
    gatekeeper = shop(timeouts={"drain": "5s"})
    with contextlib.closing(UnixConnection(gatekeeper.socket)) as connection:
        connection.request("GET", "/v1/events")
        stream = connection.getresponse()
        revision = gatekeeper.split(blue=60, green=40)["revision"]
        upgrade(gatekeeper)
        lines = stream.read().decode().splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert events[0]["revision"] == revision
    assert events[-1]["kind"] == "dropped"
    assert "a new program takes over" in events[-1]["reason"]
    seen = [line.removeprefix("id: ") for line in lines if line.startswith("id: ")][-1]
    with contextlib.closing(UnixConnection(gatekeeper.socket)) as connection:
        connection.request("GET", "/v1/events", headers={"Last-Event-ID": seen})
        stream = connection.getresponse()
        found = []
        while "old_program_ended" not in found:
            line = stream.readline().decode()
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: "))["kind"])
    assert "started" in found


def test_a_change_that_is_sent_meanwhile_is_made_by_the_new_program(shop):
    gatekeeper = shop(timeouts={"drain": "5s"})
    old, replies, done = pid_of(gatekeeper), [], threading.Event()

    def change():
        weight = 0
        while not done.is_set():
            weight = weight % 99 + 1
            replies.append(gatekeeper.call("PUT", "/v1/services/shop/split", {"blue": 100 - weight, "green": weight}))

    thread = threading.Thread(target=change)
    thread.start()
    os.kill(old, signal.SIGUSR2)
    until(lambda: pid_of(gatekeeper) != old, UPGRADE_SECONDS)
    done.set()
    thread.join(PATIENCE)
    made = [reply["revision"] for status, reply in replies if status == 200]
    assert made == sorted(set(made))
    assert gatekeeper.status()["revision"] == made[-1]
    # One may have been taken by the old program and not begun: that it was not is what it is told.
    refused = [reply for status, reply in replies if status != 200]
    assert len(refused) <= 1
    assert all(reply["code"] == "stopping" for reply in refused)


def test_after_a_hand_over_a_kill_loses_no_more_than_without(shop):
    gatekeeper = shop(timeouts={"drain": "5s"})
    new = upgrade(gatekeeper)
    workers = gatekeeper.workers()
    os.kill(new, signal.SIGKILL)
    until(lambda: not alive(new))
    assert gatekeeper.get().status == 200
    gatekeeper.start()
    assert gatekeeper.events("old_workers_replaced")[0]["found"] == len(workers)
    until(lambda: gatekeeper.worker_pids() == sorted(gatekeeper.workers()))
    assert gatekeeper.get().status == 200


# It is refused, or cut short


def test_a_second_request_is_refused_while_one_is_under_way(troubled):
    gatekeeper = troubled()
    gatekeeper.plan(at="hello", how="hang")
    old = pid_of(gatekeeper)
    os.kill(old, signal.SIGUSR2)
    until(gatekeeper.in_trouble.exists)
    os.kill(old, signal.SIGUSR2)
    until(lambda: "it is handing over already" in said_by(gatekeeper))
    until(lambda: gatekeeper.events("handover_failed"))
    assert pid_of(gatekeeper) == old


def said_by(gatekeeper):
    return (gatekeeper.folder / "out0").read_text()


def test_during_the_start_it_is_refused(serve):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        silent.settimeout(PATIENCE)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        slow = {"backends": [url], "health": {"interval": "60s", "timeout": "1s"}}
        gatekeeper = serve({"blue": url}, start=False, services={"shop": {"versions": {"blue": slow}}})
        process = gatekeeper.launch()
        silent.accept()[0].close()  # it asks its backends, so it has not begun to serve
        process.send_signal(signal.SIGUSR2)
        until(lambda: gatekeeper.events("started"), UPGRADE_SECONDS)
    assert "it is still starting" in said_by(gatekeeper)
    assert gatekeeper.supervisor_pids() == [process.pid]


def test_sigterm_in_the_middle_of_a_hand_over_stops_both(troubled):
    gatekeeper = troubled()
    gatekeeper.plan(at="inherited", how="hang")
    os.kill(pid_of(gatekeeper), signal.SIGUSR2)
    until(gatekeeper.in_trouble.exists)
    gatekeeper.process.send_signal(signal.SIGTERM)
    assert gatekeeper.process.wait(PATIENCE) == 0
    assert gatekeeper.supervisor_pids() == gatekeeper.worker_pids() == []
    assert gatekeeper.events()[-1]["event"] == "stopped"


def test_sigterm_to_the_old_program_cuts_what_it_still_finishes(shop):
    gatekeeper = shop(timeouts={"drain": "60s"})
    with contextlib.closing(gatekeeper.connect()) as slow:
        slow.request("GET", "/slow")
        assert slow.getresponse().status == 200
        old = pid_of(gatekeeper)
        os.kill(old, signal.SIGUSR2)
        until(lambda: pid_of(gatekeeper) != old, UPGRADE_SECONDS)
        assert alive(old)
        os.kill(old, signal.SIGTERM)
        assert gatekeeper.process.wait(PATIENCE) == 0
    [ended] = until(lambda: gatekeeper.events("old_program_ended"))
    assert (ended["cut"], ended["pid"]) == (1, old)
    assert gatekeeper.get().status == 200


# It fails


def goes_on(gatekeeper, load, old, before, reason):
    """Everything is as before a hand-over that failed: the same processes, and a change can be made."""
    [failed] = until(lambda: gatekeeper.events("handover_failed"), UPGRADE_SECONDS, "the failure")
    assert reason in failed["reason"]
    assert pid_of(gatekeeper) == old
    assert gatekeeper.workers() == before
    until(lambda: gatekeeper.supervisor_pids() == [old], what="the end of the new program")
    until(lambda: gatekeeper.worker_pids() == sorted(before), what="the end of its workers")
    reply = gatekeeper.split(blue=30, green=70)
    assert reply["workers"] == {"acknowledged": 2, "total": 2}
    time.sleep(0.3)
    assert load.stop().errors == {}


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ({"at": "hello", "how": "die"}, "it ended (exit code 9)"),
        ({"at": "hello", "how": "hang"}, "it did not say 'hello' within 5 s"),
        ({"at": "inherited", "how": "die"}, "it ended (exit code 9)"),
        ({"at": "inherited", "how": "hang"}, "it did not say 'ready' within 3 s"),
        ({"at": "inherited", "how": "raise"}, "the disk is on fire"),
        ({"at": "standing", "how": "die"}, "it ended (exit code 9)"),
        ({"at": "standing", "how": "hang"}, "it did not say 'ready' within 3 s"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
def test_a_new_program_that_fails_leaves_everything_as_it_was(troubled, wrk, plan, reason):
    gatekeeper = troubled()
    gatekeeper.split(blue=50, green=50)
    old, before = pid_of(gatekeeper), gatekeeper.workers()
    load = wrk(gatekeeper.port, "close=20")
    gatekeeper.plan(**plan)
    os.kill(old, signal.SIGUSR2)
    goes_on(gatekeeper, load, old, before, reason)
    if plan["at"] == "standing":  # the furthest it can get
        gatekeeper.plan()
        assert upgrade(gatekeeper) != old  # and the next one may well succeed


def test_a_broken_file_is_refused_with_its_mistake_and_the_one_in_force_stays(shop, wrk):
    gatekeeper = shop()
    old, before = pid_of(gatekeeper), gatekeeper.workers()
    load = wrk(gatekeeper.port)
    gatekeeper.write(stable="bleu")
    os.kill(old, signal.SIGUSR2)
    goes_on(gatekeeper, load, old, before, "bleu")


def test_a_file_that_was_taken_up_by_a_program_that_failed_is_not_in_force(troubled):
    """It wrote a revision of its own; ours is put above it, and a restart takes the file up as edited."""
    gatekeeper = troubled()
    revision = gatekeeper.split(blue=50, green=50)["revision"]
    gatekeeper.write(on_unavailable="fail")
    gatekeeper.plan(at="standing", how="die")
    old = pid_of(gatekeeper)
    os.kill(old, signal.SIGUSR2)
    until(lambda: gatekeeper.events("handover_failed"), UPGRADE_SECONDS)
    status = until(lambda: (now := gatekeeper.status())["revision"] > revision and now)
    assert status["revision"] == revision + 2
    assert status["pid"] == old
    assert [worker["revision"] for worker in status["workers"]] == [revision + 2] * 2
    [undone] = gatekeeper.events("undone")
    assert undone["undid"] == revision + 1
    gatekeeper.plan()
    upgrade(gatekeeper)
    status = gatekeeper.status()
    assert status["revision"] == revision + 3
    assert status["services"][0]["split"] == {"blue": 50, "green": 50}


def test_when_the_old_program_is_killed_in_the_middle_the_new_one_goes_on(troubled, wrk, tmp_path):
    """The workers it leaves behind finish their requests, without touching the sockets that the new ones share."""
    gatekeeper = troubled(timeouts={"drain": "5s"})
    load = wrk(gatekeeper.port, "close=20")
    gatekeeper.plan(at="standing", how="wait")
    os.kill(pid_of(gatekeeper), signal.SIGUSR2)
    until(gatekeeper.in_trouble.exists, UPGRADE_SECONDS)
    gatekeeper.process.kill()
    gatekeeper.process.wait()
    (tmp_path / "go-on").touch()
    new = int(gatekeeper.in_trouble.read_text())
    assert pid_of(gatekeeper) == new
    until(lambda: gatekeeper.worker_pids() == sorted(gatekeeper.workers()))
    time.sleep(0.5)
    assert load.stop().errors == {}
    assert gatekeeper.split(blue=20, green=80)["workers"] == {"acknowledged": 2, "total": 2}


def test_a_kill_of_both_in_the_middle_leaves_their_workers_to_the_next_start(troubled, wrk):
    gatekeeper = troubled(timeouts={"drain": "5s"})
    load = wrk(gatekeeper.port, "close=20")
    gatekeeper.plan(at="inherited", how="hang")
    os.kill(pid_of(gatekeeper), signal.SIGUSR2)
    until(gatekeeper.in_trouble.exists)
    gatekeeper.process.kill()
    gatekeeper.process.wait()
    os.kill(int(gatekeeper.in_trouble.read_text()), signal.SIGKILL)
    gatekeeper.plan()
    gatekeeper.start()
    until(lambda: gatekeeper.worker_pids() == sorted(gatekeeper.workers()))
    assert load.stop().errors == {}
