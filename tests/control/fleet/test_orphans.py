"""Workers left behind by a killed supervisor are found, and nobody else is touched."""

import asyncio
import os
import subprocess
import sys

import pytest

from gatekeeper.control.fleet.orphans import Identity, Orphans, identify

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
def orphans(tmp_path):
    return Orphans(str(tmp_path / "state.db"), MARK)


@pytest.fixture
def worker(start, tmp_path):
    """``worker(LOYAL)`` is one whose supervisor is gone: at least it is no child of process 1."""
    return lambda code, parent=1: start(code, "-X", f"gatekeeper={parent}:{tmp_path / 'state.db'}", MARK)


async def reaped(process):
    """Orphans have no parent that waits for them; here the test has to."""
    return await asyncio.to_thread(process.wait, 5)


def test_workers_of_this_state_that_lost_their_supervisor_are_found(orphans, worker):
    alive, dead = worker(LOYAL), worker(LOYAL)
    dead.kill()
    dead.wait()
    assert [found.pid for found in orphans.found()] == [alive.pid]


def test_a_worker_whose_supervisor_lives_is_its_own_business(orphans, worker):
    worker(LOYAL, os.getpid())
    assert orphans.found() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("-X", "gatekeeper=1:{state}", "something-else"),
        ("-X", "gatekeeper=1:{state}.other", MARK),
        ("-X", "gatekeeper=one:{state}", MARK),
        ("-X", "gatekeeper", MARK),
        (MARK,),
    ],
)
def test_a_process_that_is_no_worker_of_this_state_is_not_taken_for_one(orphans, start, tmp_path, arguments):
    start(LOYAL, *(each.format(state=tmp_path / "state.db") for each in arguments))
    assert orphans.found() == []


def test_what_a_supervisor_starts_is_found_once_it_is_gone(tmp_path):
    """By the very command that starts workers, here without one: the supervisor ends as by kill -9."""
    state = str(tmp_path / "state.db")
    code = (
        "import os, subprocess, sys, time\n"
        "from gatekeeper.control.fleet.worker_process import worker_command\n"
        f"program, *words = worker_command({state!r})\n"
        "words[words.index('-m')] = '-c'\n"
        "words[-1:] = ['import time; print(flush=True); time.sleep(60)', words[-1]]\n"
        "child = subprocess.Popen([program, *words], stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as supervisor:
        pid = int(supervisor.stdout.readline())
        try:
            assert Orphans(state).found() == []
            supervisor.kill()
            supervisor.wait()
            assert [found.pid for found in Orphans(state).found()] == [pid]
        finally:
            os.kill(pid, 9)


def test_a_zombie_is_nobody(start):
    process = start(LOYAL)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert identify(process.pid) is None


async def test_an_orphan_that_drains_is_waited_for(orphans, worker):
    process = worker(LOYAL)
    assert await orphans.end(orphans.found(), 5, settle=5) == []
    assert await reaped(process) == 0


async def test_an_orphan_that_does_not_end_is_killed_when_its_time_is_over(orphans, worker):
    process = worker(STUBBORN)
    left = await orphans.end(orphans.found(), 5, settle=0.1)
    assert [one.pid for one in left] == [process.pid]
    assert await orphans.reap(left, 0.1) == 1
    assert await reaped(process) == -9


async def test_a_stranger_with_the_same_pid_is_not_signalled(orphans, worker):
    stranger = worker(LOYAL)
    old = Identity(stranger.pid, identify(stranger.pid).started - 1)
    assert await orphans.end([old], 1, settle=0.1) == []
    assert await orphans.reap([old], 0.1) == 0
    assert stranger.poll() is None


async def test_orphans_whose_sockets_others_use_are_told_by_a_signal_of_its_own(orphans, worker):
    process = worker(LOYAL.replace("SIGTERM", "SIGUSR1"))
    assert await orphans.end(orphans.found(), 5, settle=5, shared=True) == []
    assert await reaped(process) == 0
