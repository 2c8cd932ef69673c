"""What a killed supervisor left running is ended by the next one; nobody else's process is."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gatekeeper.control.fleet.orphans import identify
from gatekeeper.control.releases.leftovers import Leftovers


@pytest.fixture
def state(tmp_path):
    return str(tmp_path / "state.db")


@pytest.fixture
def program():
    """``program()`` runs in a session of its own until it is ended."""
    made = []

    def start(script="sleep 60", **more):
        made.append(subprocess.Popen(["sh", "-c", script], **{"start_new_session": True, **more}))
        return made[-1]

    yield start
    for each in made:
        if each.poll() is None:
            each.kill()
        each.wait()


def left_behind(state, *lines, pid=999_999_999):
    """The file of a supervisor that was killed."""
    path = Path(f"{state}.checks-{pid}")
    path.write_text("".join(f"{each.pid} {each.started}\n" for each in lines))
    return path


def ends(process):
    return process.wait(5)


def test_a_program_of_a_dead_supervisor_is_ended_with_all_it_started(state, program, tmp_path):
    running = program(f"sleep 60 & echo $! > {tmp_path}/child; wait")
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
        time.sleep(0.005)
    path = left_behind(state, identify(running.pid))
    assert Leftovers(state).end_earlier() == 1
    assert ends(running) == -signal.SIGKILL
    child = int((tmp_path / "child").read_text())
    while identify(child) is not None:
        time.sleep(0.005)
    assert not path.exists()


def test_a_supervisor_that_was_really_killed_leaves_what_the_next_one_needs(state, tmp_path):
    script = f"""
import os, subprocess
from gatekeeper.control.releases.leftovers import Leftovers
running = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, start_new_session=True)
Leftovers({state!r}).note(running.pid)
print(running.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    assert identify(pid) is not None
    assert Leftovers(state).end_earlier() == 1
    while identify(pid) is not None:
        time.sleep(0.005)
    assert Leftovers(state).end_earlier() == 0


def test_a_supervisor_that_lives_keeps_its_own(state, program):
    """As the one that hands over does."""
    running, other = program(), Leftovers(state)
    other._path = Path(f"{state}.checks-1")
    other.note(running.pid)
    assert Leftovers(state).end_earlier() == 0
    assert running.poll() is None
    other.forget(running.pid)


def test_a_number_that_is_somebody_elses_by_now_is_left_alone(state, program):
    running = program()
    found = identify(running.pid)
    left_behind(state, type(found)(found.pid, found.started - 1))
    assert Leftovers(state).end_earlier() == 0
    assert running.poll() is None


def test_a_process_that_leads_no_group_is_none_that_was_noted(state, program):
    running = program(start_new_session=False)
    left_behind(state, identify(running.pid))
    assert Leftovers(state).end_earlier() == 0
    assert running.poll() is None


def test_only_what_runs_is_noted_and_no_file_is_there_without_need(state, program):
    first, second, leftovers = program(), program(), Leftovers(state)
    path = Path(f"{state}.checks-{os.getpid()}")
    assert not path.exists()
    leftovers.note(first.pid)
    leftovers.note(second.pid)
    leftovers.forget(first.pid)
    leftovers.forget(77)
    assert path.read_text() == f"{second.pid} {identify(second.pid).started}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert leftovers.end_earlier() == 0
    leftovers.forget(second.pid)
    assert not path.exists()


def test_a_file_that_cannot_be_read_or_written_is_said_and_stops_nothing(state, program, caplog):
    Path(f"{state}.checks-1").write_text("what is this\n")
    Path(f"{state}.checks-2").symlink_to("/etc/hostname")
    Path(f"{state}.checks-3").write_bytes(b"\xff")
    running = program()
    left_behind(state, identify(running.pid), pid=4)
    assert Leftovers(state).end_earlier() == 1
    assert len(caplog.records) == 3
    away = Leftovers("/nowhere/state.db")
    away.note(os.getpid())
    away.forget(os.getpid())
    assert away.end_earlier() == 0
    assert "programs of checks are not noted" in caplog.text
