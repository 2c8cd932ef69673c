"""Under a service manager: notes and signs of life over a real socket, listening sockets that it holds, the units.

The manager is played by the test: a datagram socket for the notes, and sockets passed from descriptor 3 on.
"""

import ctypes
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.programs import PATIENCE, until
from tests.system.test_handover import UPGRADE_SECONDS, alive, pid_of
from tests.system.visitors import Visitor, running

pytestmark = pytest.mark.system

DEPLOY = Path(__file__).parents[2] / "deploy"


class Manager:
    """Receives notes, and passes its sockets to whatever it starts."""

    def __init__(self, folder, sockets=()):
        self.sockets = list(sockets)
        self.notes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notes.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.notes.bind(str(folder / "notify"))
        self.notes.settimeout(UPGRADE_SECONDS)

    def manage(self, gatekeeper, watchdog=None):
        """Let it be started as a service manager does."""
        environment = {**os.environ, "NOTIFY_SOCKET": self.notes.getsockname()}
        if watchdog is not None:
            environment["WATCHDOG_USEC"] = str(round(watchdog * 1e6))
        if self.sockets:
            environment |= {"LISTEN_FDS": str(len(self.sockets)), "LISTEN_FDNAMES": "gatekeeper.socket"}
        gatekeeper.environment = environment
        # By way of a shell, as the number of the process must be known to it before it begins.
        gatekeeper.program = ["sh", "-c", 'LISTEN_PID=$$ WATCHDOG_PID=$$ exec "$@"', "sh", *gatekeeper.program]

    def passed(self):
        """Put the sockets at descriptor 3 and on in a new process."""
        places = [sock.fileno() for sock in self.sockets]

        def place():
            far = [os.dup2(number, 500 + index) for index, number in enumerate(places)]
            for index, number in enumerate(far):
                os.dup2(number, 3 + index, inheritable=True)

        return {"preexec_fn": place, "pass_fds": range(3, 3 + len(places))} if places else {}

    def note(self, *wanted):
        """The next note that has one of these fields, and who sent it."""
        while True:
            data, ancillary, _, _ = self.notes.recvmsg(4096, 256)
            found = dict(line.split("=", 1) for line in data.decode().splitlines())
            if not wanted or found.keys() & set(wanted):
                return found, int.from_bytes(ancillary[0][2][:4], sys.byteorder)

    def silent_for(self, seconds):
        """Whether nothing comes for so long."""
        return not select.select([self.notes], [], [], seconds)[0]

    def close(self):
        self.notes.close()
        for sock in self.sockets:
            sock.close()


@pytest.fixture
def manager(tmp_path):
    made = []

    def make(*sockets):
        made.append(Manager(tmp_path, sockets))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def managed(serve, nginx, manager):
    """``managed(socks)``: gatekeeper and its manager, not started yet."""

    def make(*sockets, watchdog=None, **options):
        found = manager(*sockets)
        backend = nginx("blue")
        gatekeeper = serve({"blue": backend.url, "green": backend.url}, start=False, **options)
        found.manage(gatekeeper, watchdog)
        gatekeeper.more = found.passed()
        return gatekeeper, found

    return make


# Notes


@pytest.mark.outside("nginx")
def test_the_manager_hears_of_every_turn(managed):
    gatekeeper, manager = managed(timeouts={"drain": "2s"})
    gatekeeper.start()
    note, sender = manager.note("READY")
    assert note == {"READY": "1", "MAINPID": str(gatekeeper.process.pid), "STATUS": "serving"}
    assert sender == gatekeeper.process.pid

    gatekeeper.process.send_signal(signal.SIGHUP)
    note, _ = manager.note("RELOADING")
    assert int(note["MONOTONIC_USEC"]) <= time.monotonic() * 1e6
    assert manager.note("READY")[0]["STATUS"] == "serving"
    gatekeeper.file.write_text("nonsense")
    gatekeeper.process.send_signal(signal.SIGHUP)
    assert "refused" in manager.note("READY")[0]["STATUS"]

    gatekeeper.write(timeouts={"drain": "2s"})
    gatekeeper.process.send_signal(signal.SIGUSR2)
    note, sender = manager.note("MAINPID")  # by the old main process, as nobody else is listened to
    assert sender == gatekeeper.process.pid
    new = int(note["MAINPID"])
    assert manager.note("READY") == ({"READY": "1", "MAINPID": str(new), "STATUS": "serving"}, new)
    assert gatekeeper.process.wait(PATIENCE) == 0

    os.kill(new, signal.SIGTERM)
    note, sender = manager.note("STOPPING")
    assert sender == new
    assert int(note["EXTEND_TIMEOUT_USEC"]) > 2e6
    until(lambda: not alive(new))


@pytest.mark.outside("nginx")
def test_signs_of_life_come_from_whoever_is_in_service_and_stop_with_its_loop(managed):
    gatekeeper, manager = managed(watchdog=1.0)
    gatekeeper.start()
    old = gatekeeper.process.pid
    assert [manager.note("WATCHDOG")[1] for _ in range(3)] == [old] * 3
    os.kill(old, signal.SIGUSR2)
    manager.note("MAINPID")
    new = pid_of(gatekeeper)
    assert {manager.note("WATCHDOG")[1] for _ in range(4)} == {new}
    os.kill(new, signal.SIGSTOP)
    time.sleep(0.5)
    while manager.silent_for(0.1) is False:  # what was sent before it stood still
        manager.note()
    assert manager.silent_for(1.5)
    os.kill(new, signal.SIGCONT)


@pytest.mark.outside("nginx")
def test_a_start_that_fails_says_why(managed):
    gatekeeper, manager = managed()
    gatekeeper.file.write_text("services: {}")
    assert gatekeeper.launch().wait(PATIENCE) == 2
    assert manager.note("STATUS")[0]["STATUS"].startswith("failed: ")


# Sockets


@pytest.mark.outside("nginx", "wrk")
@pytest.mark.parametrize("reuse_port", [False, True])
def test_a_restart_lets_clients_wait_in_the_managers_socket(managed, wrk, tmp_path, reuse_port, free_port):
    """No connection is refused or cut while nobody is there to accept; the socket and its path are left alone."""
    path = str(tmp_path / "admin-by-manager.sock")
    web = socket.create_server(("127.0.0.1", free_port), backlog=4096, reuse_port=reuse_port)
    admin = socket.create_server(path, family=socket.AF_UNIX)
    gatekeeper, _ = managed(web, admin, timeouts={"drain": "5s"})
    gatekeeper.port, gatekeeper.socket = free_port, Path(path)
    gatekeeper.write(timeouts={"drain": "5s"})
    gatekeeper.start()
    load, visitor = wrk(gatekeeper.port, "close=20"), Visitor(gatekeeper)
    with running(visitor):
        for _ in range(2):
            gatekeeper.process.terminate()
            assert gatekeeper.process.wait(PATIENCE) == 0
            assert Path(path).exists()
            time.sleep(0.3)  # nobody is there
            gatekeeper.start()
        os.kill(pid_of(gatekeeper), signal.SIGUSR2)  # and the same sockets go through a hand-over
        assert gatekeeper.process.wait(UPGRADE_SECONDS) == 0
    assert load.stop().errors == {}
    assert [visit for visit in visitor.visits if visit.problem] == []
    assert Path(path).exists()


@pytest.mark.outside("nginx", "wrk")
def test_after_a_kill_the_old_workers_leave_the_managers_socket_to_the_new_ones(managed, wrk, free_port):
    web = socket.create_server(("127.0.0.1", free_port), backlog=4096)
    gatekeeper, _ = managed(web)
    gatekeeper.port = free_port
    gatekeeper.write()
    gatekeeper.start()
    load = wrk(gatekeeper.port, "close=20")
    gatekeeper.process.kill()
    gatekeeper.process.wait()
    gatekeeper.start()
    until(lambda: gatekeeper.worker_pids() == sorted(gatekeeper.workers()))
    time.sleep(0.5)
    assert load.stop().errors == {}


@pytest.mark.outside("nginx")
def test_a_socket_that_the_file_does_not_name_is_refused_by_name(managed, free_ports):
    other = free_ports(1)[0]
    gatekeeper, _ = managed(socket.create_server(("127.0.0.1", other)))
    assert gatekeeper.launch().wait(PATIENCE) == 1
    assert (
        f"passes the socket 'gatekeeper.socket' (127.0.0.1:{other}), and the file does not listen" in gatekeeper.said()
    )


@pytest.mark.outside("nginx", "systemd-socket-activate")
def test_the_first_connection_starts_it_by_socket_activation(managed):
    gatekeeper, _ = managed(workers=1)
    command = ["systemd-socket-activate", "-l", f"127.0.0.1:{gatekeeper.port}", *gatekeeper.program[4:]]
    gatekeeper.program, gatekeeper.environment = command, None
    gatekeeper.launch()
    assert until(lambda: listening_answer(gatekeeper)).status == 200
    assert not list(gatekeeper.folder.glob("*.workers.new"))


def listening_answer(gatekeeper):
    try:
        return gatekeeper.get()
    except ConnectionRefusedError:  # the activator is not there yet
        return None


# The units


def unit(tmp_path):
    """The service unit with a program that exists here, beside its socket."""
    text = (DEPLOY / "gatekeeper.service").read_text()
    (tmp_path / "gatekeeper.service").write_text(re.sub(r"/opt/gatekeeper/bin/gatekeeper", sys.executable, text))
    (tmp_path / "gatekeeper.socket").write_text((DEPLOY / "gatekeeper.socket").read_text())
    return [str(tmp_path / f"gatekeeper.{kind}") for kind in ("service", "socket")]


@pytest.mark.outside("systemd-analyze")
def test_systemd_finds_no_mistake_in_the_units_and_little_that_is_open(tmp_path):
    units = unit(tmp_path)
    verified = subprocess.run(
        ["systemd-analyze", "--man=no", "verify", *units], capture_output=True, text=True, timeout=60, check=False
    )
    ours = [line for line in verified.stderr.splitlines() if "gatekeeper" in line]
    assert (verified.returncode, ours) == (0, [])
    subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", units[0]],
        capture_output=True,
        timeout=60,
        check=True,
    )


def deny_new_code():
    """What MemoryDenyWriteExecute= does, by the kernel's own means (prctl(2), Linux 6.3)."""
    pr_set_mdwe, refuse_exec_gain = 65, 1
    if ctypes.CDLL(None).prctl(pr_set_mdwe, refuse_exec_gain, 0, 0, 0):
        os._exit(77)


@pytest.mark.outside("nginx")
def test_it_needs_no_memory_that_is_written_and_executed(shop):
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 3):
        pytest.skip("this kernel cannot deny it to a process")
    gatekeeper = shop(
        start=False, timeouts={"drain": "2s"}, rules=[{"when": {"path": {"regex": "^/x+$"}}, "to": "blue"}]
    )
    gatekeeper.more = {"preexec_fn": deny_new_code}
    gatekeeper.start()
    assert gatekeeper.get("/xxx").status == 200
    gatekeeper.process.terminate()
    assert gatekeeper.process.wait(PATIENCE) == 0
    assert gatekeeper.said() == ""
