"""The tables of docs/operations.md on failing processes, disks and state files: each row, tried as written."""

import contextlib
import os
import signal
import sqlite3
import time

import pytest

from gatekeeper.interface import client
from tests.system.disks import FullDisk
from tests.system.kernel import gone
from tests.system.operations import amend, ready, tries, wait_for
from tests.system.programs import UnixConnection, answers, until

pytestmark = pytest.mark.system


def split_of(gatekeeper):
    return gatekeeper.status()["services"][0]["split"]


def served(gatekeeper, times=5):
    """Traffic goes on: by these versions."""
    answers = [gatekeeper.get() for _ in range(times)]
    assert {answer.status for answer in answers} == {200}
    return {answer.version for answer in answers}


def kill(gatekeeper):
    """The supervisor, and nobody else."""
    gatekeeper.process.kill()
    gatekeeper.process.wait()


# Processes


@tries("A worker dies")
def test_a_worker_that_dies_is_replaced(site, seen):
    gatekeeper = seen.of(site(workers=2))
    victim, other = ready(gatekeeper)
    os.kill(victim, signal.SIGKILL)
    wait_for(gatekeeper, "worker_replaced")
    assert other in until(lambda: ready(gatekeeper))
    served(gatekeeper)
    seen.look(gatekeeper)


@tries("A worker keeps dying")
def test_a_worker_that_keeps_dying_waits_longer_each_time(site, seen):
    gatekeeper = seen.of(site(workers=1))
    for count in range(1, 4):
        os.kill(until(lambda: ready(gatekeeper))[0], signal.SIGKILL)
        deaths = wait_for(gatekeeper, "worker_died", count=count)
    assert [death["replaced_in"] for death in deaths] == [0.0, 0.1, 0.2]
    until(lambda: ready(gatekeeper))
    served(gatekeeper)


@tries("A worker hangs")
def test_a_worker_that_hangs_is_replaced(site, seen):
    gatekeeper = seen.of(site(workers=1))
    (victim,) = ready(gatekeeper)
    began = time.monotonic()
    os.kill(victim, signal.SIGSTOP)
    answer = gatekeeper.get()  # waits in the queue for whoever comes after it
    assert (answer.status, 4 < time.monotonic() - began < 12) == (200, True)
    assert until(lambda: ready(gatekeeper)) != [victim]


@tries("A worker does not take up a change")
def test_a_worker_that_does_not_take_up_a_change_is_replaced_before_the_reply(site, seen):
    gatekeeper = seen.of(site(workers=2))
    victim, other = ready(gatekeeper)
    os.kill(victim, signal.SIGSTOP)
    began = time.monotonic()
    reply = gatekeeper.split(green=1)
    assert 1.5 < time.monotonic() - began < 8
    assert reply["workers"] == {"acknowledged": 2, "total": 2}
    assert served(gatekeeper, 20) == {"green"}
    assert (victim in gatekeeper.workers(), other in gatekeeper.workers()) == (False, True)


@tries("The supervisor is killed")
def test_traffic_outlives_the_supervisor_and_the_next_one_takes_over(site, seen):
    gatekeeper = seen.of(site(workers=2))
    revision = gatekeeper.split(blue=1, green=1)["revision"]
    old = gatekeeper.worker_pids()
    kill(gatekeeper)
    seen.run(gatekeeper, "status", code=3)
    served(gatekeeper)
    assert gatekeeper.worker_pids() == old
    gatekeeper.start()
    wait_for(gatekeeper, "old_workers_replaced")
    until(lambda: all(map(gone, old)))
    assert gatekeeper.status()["revision"] == revision
    served(gatekeeper)


@tries("The supervisor hangs")
def test_traffic_goes_on_while_the_supervisor_hangs(site, seen):
    gatekeeper = seen.of(site(workers=1))
    os.kill(gatekeeper.process.pid, signal.SIGSTOP)
    try:
        served(gatekeeper)
        with contextlib.closing(UnixConnection(gatekeeper.socket)) as connection:
            connection.timeout = 0.5
            connection.request("GET", "/metrics")
            with pytest.raises(TimeoutError):
                connection.getresponse()
        seen.add(f"no answer within {client.TIMEOUT:g} s")  # what the command says then; it does wait so long
    finally:
        os.kill(gatekeeper.process.pid, signal.SIGCONT)
    assert gatekeeper.status()["ready"]


@tries("Everything is killed")
def test_no_acknowledged_change_is_lost_when_everything_is_killed(site, seen):
    gatekeeper = seen.of(site(workers=2))
    revision = gatekeeper.split(blue=2, green=3)["revision"]
    gatekeeper.end()
    until(lambda: not answers(gatekeeper.port))
    gatekeeper.start()
    assert f"revision {revision}," in seen.run(gatekeeper, "status")
    assert split_of(gatekeeper) == {"blue": 2, "green": 3}


# The disk


@tries("The disk is full")
def test_a_full_disk_refuses_changes_and_leaves_traffic_alone(site, seen, tmp_path):
    gatekeeper = seen.of(site(start=False))
    try:
        disk = FullDisk(tmp_path / "disk")
    except OSError as error:
        seen.skip(f"this user cannot have a small disk here: {error}")
    with contextlib.ExitStack() as stack:
        stack.callback(disk.close)
        stack.callback(gatekeeper.end)  # before the disk goes
        gatekeeper.state = disk.folder / "state.db"
        amend(gatekeeper, state=str(gatekeeper.state))
        gatekeeper.start()
        before = gatekeeper.status()["revision"]
        disk.fail()
        seen.run(gatekeeper, "split", "shop", "green=1", "--yes", code=1)
        seen.look(gatekeeper)
        assert gatekeeper.metrics()["gatekeeper_problems"] == 1
        assert served(gatekeeper) == {"blue"}
        disk.fail()  # undoing what was written by half may have made room
        os.kill(ready(gatekeeper)[0], signal.SIGKILL)
        assert wait_for(gatekeeper, "worker_died")[0]["id"] == 0
        disk.heal()
        seen.run(gatekeeper, "reload", "--yes")
        wait_for(gatekeeper, "store_recovered")
        until(lambda: gatekeeper.status()["problems"] == [])  # the worker's successor takes a moment
        assert gatekeeper.status()["revision"] == before


# The state file


@pytest.fixture
def stopped(site, seen):
    """A gatekeeper that ran and was stopped."""
    gatekeeper = seen.of(site())
    gatekeeper.split(blue=5, green=5)
    gatekeeper.process.terminate()
    assert gatekeeper.process.wait(15) == 0
    return gatekeeper


def start_leaves_alone(gatekeeper, seen):
    before = gatekeeper.state.read_bytes()
    seen.start_fails(gatekeeper)
    assert gatekeeper.state.read_bytes() == before


@tries("The state file is damaged")
def test_a_damaged_state_file_is_left_alone(stopped, seen):
    content = bytearray(stopped.state.read_bytes())
    content[8192:12288] = b"\xee" * 4096
    stopped.state.write_bytes(content)
    start_leaves_alone(stopped, seen)


@tries("It is not a state file")
def test_a_file_of_others_is_left_alone(stopped, seen):
    stopped.state.write_text("hello")
    start_leaves_alone(stopped, seen)
    stopped.state.write_text("")
    start_leaves_alone(stopped, seen)
    stopped.state.unlink()
    with contextlib.closing(sqlite3.connect(stopped.state)) as other:
        other.execute("CREATE TABLE theirs (a)")
    start_leaves_alone(stopped, seen)


@tries("It is a newer gatekeeper's")
def test_a_newer_state_file_is_left_alone(stopped, seen):
    with contextlib.closing(sqlite3.connect(stopped.state)) as newer:
        newer.execute("PRAGMA user_version = 99")
    start_leaves_alone(stopped, seen)


@tries("It is in use")
def test_a_state_file_in_use_is_left_to_who_has_it(site, seen):
    gatekeeper = seen.of(site())
    first = gatekeeper.process
    said = seen.start_fails(gatekeeper)
    assert f"(pid {first.pid})" in said
    assert first.poll() is None
    served(gatekeeper)


@tries("It is removed while gatekeeper runs")
def test_a_state_file_that_is_removed_takes_no_change_until_it_is_back(site, seen):
    gatekeeper = seen.of(site())
    away = gatekeeper.state.rename(gatekeeper.folder / "away")
    seen.run(gatekeeper, "split", "shop", "green=1", "--yes", code=1)
    assert served(gatekeeper) == {"blue"}
    away.rename(gatekeeper.state)
    seen.run(gatekeeper, "split", "shop", "green=1", "--yes")


@tries("Its -wal is removed while gatekeeper runs")
def test_a_log_that_is_removed_is_saved_by_a_stop(site, seen):
    gatekeeper = seen.of(site())
    gatekeeper.split(blue=3, green=1)
    gatekeeper.state.with_name("state.db-wal").unlink()
    seen.run(gatekeeper, "split", "shop", "green=1", "--yes", code=1)
    gatekeeper.process.terminate()
    assert gatekeeper.process.wait(15) == 0
    gatekeeper.start()
    assert split_of(gatekeeper) == {"blue": 3, "green": 1}


@tries("There is a -wal without its file")
def test_a_log_without_its_file_is_left_alone(stopped, seen):
    stopped.state.unlink()
    log = stopped.state.with_name("state.db-wal")
    log.write_bytes(b"changes")
    seen.start_fails(stopped)
    assert (log.read_bytes(), stopped.state.exists()) == (b"changes", False)
