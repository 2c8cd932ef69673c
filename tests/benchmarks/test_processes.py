"""The harness's accounts of what processes cost and where they run."""

import subprocess
import sys
import time

import pytest

from benchmarks.processes import BenchmarkError, cpu_seconds, family, find, running, strayed, wait_until_answering

BURN = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
PARENT = f"""
import subprocess, sys, time
subprocess.run([sys.executable, '-c', {BURN!r}])
print('done', flush=True)
time.sleep(60)
"""


def test_the_cost_of_a_process_includes_children_that_have_ended():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        spent = cpu_seconds(process.pid)
        process.kill()
    assert spent >= 0.3


def test_the_family_of_a_process_includes_living_children():
    code = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); child.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        child = int(process.stdout.readline())
        found = family(process.pid)
        subprocess.run(["kill", str(child)], check=True)
    assert found == [process.pid, child]


@pytest.mark.outside("taskset")
def test_a_program_runs_on_its_core_and_is_gone_after(tmp_path):
    log = tmp_path / "log"
    with running(["sleep", "60"], core=0, log=log) as pid:
        deadline = time.monotonic() + 10
        while strayed(pid, 0) and time.monotonic() < deadline:  # until taskset has bound itself
            time.sleep(0.01)
        assert strayed(pid, 0) == []
        assert strayed(pid, 1) == [pid]
    assert family(pid) == [pid]
    assert cpu_seconds(pid) == 0


@pytest.mark.outside("taskset")
def test_a_server_that_never_answers_is_reported_with_its_last_words(tmp_path, free_port):
    log = tmp_path / "log"
    with (
        running([sys.executable, "-c", "print('no such file', flush=True)"], core=0, log=log) as pid,
        pytest.raises(BenchmarkError, match="no such file"),
    ):
        wait_until_answering(free_port, pid, log)


def test_a_missing_program_is_named_with_the_way_to_get_it():
    with pytest.raises(BenchmarkError, match="apt-get install no-such-program"):
        find("no-such-program")
