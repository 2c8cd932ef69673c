"""Workers left behind by a killed supervisor are found, and nobody else is touched."""

import asyncio
import json
import os
import subprocess
import sys

import pytest

from gatekeeper.control.orphans import Identity, WorkerTable, identify

MARK = "marked-as-a-worker"
LOYAL = (
    "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit(0)); print('up', flush=True); time.sleep(60)"
)
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@pytest.fixture
def start():
    processes = []

    def start_(code, *arguments):
        process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"up\n"
        processes.append(process)
        return process

    yield start_
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def table(tmp_path):
    return WorkerTable(tmp_path / "state.db.workers", MARK)


async def reaped(process):
    """Orphans have no parent that waits for them; here the test has to."""
    return await asyncio.to_thread(process.wait, 5)


def test_recorded_workers_that_still_run_are_found_again(table, start):
    alive, dead = start(LOYAL, MARK), start(LOYAL, MARK)
    table.record([alive.pid, dead.pid])
    dead.kill()
    dead.wait()
    assert [found.pid for found in table.survivors()] == [alive.pid]


def test_a_process_that_is_no_worker_is_not_taken_for_one(table, start):
    table.record([start(LOYAL, "something-else").pid])
    assert table.survivors() == []


def test_a_pid_that_passed_to_a_later_process_is_not_taken_for_the_worker(table, start, tmp_path):
    worker = start(LOYAL, MARK)
    table.record([worker.pid])
    path = tmp_path / "state.db.workers"
    path.write_text(json.dumps({"workers": [[worker.pid, identify(worker.pid).started - 1]]}))
    assert table.survivors() == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"workers": 3}', '{"workers": [["x", 1]]}', '{"workers": [[1]]}'])
def test_a_damaged_table_means_no_survivors(table, tmp_path, text):
    (tmp_path / "state.db.workers").write_text(text)
    assert table.survivors() == []


def test_the_table_is_gone_when_there_is_nobody_to_remember(table, start, tmp_path):
    table.record([start(LOYAL, MARK).pid])
    table.record([])
    table.record([])
    assert list(tmp_path.iterdir()) == []


def test_orphans_that_still_drain_stay_in_the_table(table, start):
    old, new = start(LOYAL, MARK), start(LOYAL, MARK)
    table.record([old.pid])
    table.record([new.pid], kept=table.survivors())
    assert {found.pid for found in table.survivors()} == {old.pid, new.pid}


def test_a_zombie_is_nobody(start):
    process = start(LOYAL)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert identify(process.pid) is None


async def test_an_orphan_that_drains_is_waited_for(table, start):
    worker = start(LOYAL, MARK)
    table.record([worker.pid])
    assert await table.end(table.survivors(), 5, settle=5) == []
    assert await reaped(worker) == 0


async def test_an_orphan_that_does_not_end_is_killed_when_its_time_is_over(table, start):
    worker = start(STUBBORN, MARK)
    table.record([worker.pid])
    left = await table.end(table.survivors(), 5, settle=0.1)
    assert [one.pid for one in left] == [worker.pid]
    assert await table.reap(left, 0.1) == 1
    assert await reaped(worker) == -9


async def test_a_stranger_with_the_same_pid_is_not_signalled(table, start):
    stranger = start(LOYAL, MARK)
    old = Identity(stranger.pid, identify(stranger.pid).started - 1)
    assert await table.end([old], 1, settle=0.1) == []
    assert await table.reap([old], 0.1) == 0
    assert stranger.poll() is None
