"""One whole gatekeeper as a process: how it starts, stops, reloads, and comes back after being killed."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

PATIENCE = 15.0


class Backend(BaseHTTPRequestHandler):
    """Answers with its version's name; ``/slow`` once ``gate`` is open, reporting in ``arrived`` that it waits."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/slow":
            self.server.arrived.set()
            self.server.gate.wait(PATIENCE)
        body = b"blue"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def backend():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    server.daemon_threads = True
    server.arrived, server.gate = threading.Event(), threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


def until(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)
    return found


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Home:
    """A directory with a file, a state and a socket, and the processes started in it."""

    def __init__(self, path, port, backend):
        self.path, self.port = path, port
        self.file, self.socket = path / "gk.yaml", path / "admin.sock"
        self.backend = backend
        self.processes = []
        self.pids = set()
        self.write()

    def write(self, more="", **service):
        settings = {"timeouts": {"drain": "5s"}, **service}
        versions = {name: {"backends": [f"http://127.0.0.1:{self.backend}"]} for name in ("blue", "green")}
        settings.setdefault("versions", versions)
        self.file.write_text(
            f"listen: ['127.0.0.1:{self.port}']\nadmin: {{socket: {self.socket}}}\nstate: {self.path / 'state.db'}\n"
            f"workers: 2\nlog: {{access: 'off'}}\nservices: {{shop: {json.dumps(settings)}}}\n{more}"
        )

    def start(self, *, ready=True):
        out, err = ((self.path / f"{name}{len(self.processes)}").open("wb") for name in ("out", "err"))
        with out, err:
            process = subprocess.Popen(
                [sys.executable, "-m", "gatekeeper", "serve", "--config", str(self.file)], stdout=out, stderr=err
            )
        self.processes.append(process)
        if ready:
            until(lambda: process.poll() is not None or "started" in self.events())
            assert process.poll() is None, self.said()
            self.pids |= set(self.workers())
        return process

    def events(self):
        """Kinds of the newest process's events, in order."""
        lines = (self.path / f"out{len(self.processes) - 1}").read_text().splitlines()
        return [line["event"] for line in map(json.loads, lines) if line["type"] == "event"]

    def said(self):
        """What the newest process wrote to stderr."""
        return (self.path / f"err{len(self.processes) - 1}").read_text()

    def call(self, method, path, body=None):
        connection = Unix(self.socket)
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def status(self):
        return self.call("GET", "/v1/status")[1]

    def workers(self):
        return [worker["pid"] for worker in self.status()["workers"]]

    def get(self, path="/"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def left(self):
        """Files that are there apart from the configuration, the state and what the processes wrote."""
        return {
            each.name for each in self.path.iterdir() if not each.name.startswith(("out", "err", "gk.", "state.db"))
        }

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()
        for pid in self.pids:
            if running(pid):
                os.kill(pid, signal.SIGKILL)


def running(pid):
    """Whether this pid is a worker of ours that still runs; a zombie does not."""
    try:
        return b"gatekeeper.dataplane.worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


@pytest.fixture
def home(tmp_path, free_port, backend):
    made = Home(tmp_path, free_port, backend.server_address[1])
    yield made
    made.end()


@contextlib.contextmanager
def under_way(home, backend, path="/slow"):
    """A request that the backend holds until its gate is opened; gives the list its answer, or error, comes to."""
    answers = []

    def ask():
        try:
            answers.append(home.get(path))
        except (OSError, http.client.HTTPException) as error:
            answers.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert backend.arrived.wait(PATIENCE)
    yield answers
    thread.join(PATIENCE)


def test_it_serves_says_that_it_started_and_leaves_nothing_behind_when_stopped(home):
    process = home.start()
    workers = home.workers()
    assert len(workers) == 2
    assert home.get() == b"blue"
    assert home.call("GET", "/readyz")[0] == 200
    assert home.left() == {"admin.sock"}
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert home.events()[-3:] == ["started", "stopping", "stopped"]
    assert home.left() == set()
    assert not any(running(pid) for pid in workers)
    assert home.said() == ""


def test_a_wrong_file_is_refused_with_every_mistake_and_nothing_is_opened(home):
    home.write(stable="bleu", on_unavailable="perhaps")
    process = home.start(ready=False)
    assert process.wait(PATIENCE) == 2
    assert "bleu" in home.said()
    assert "perhaps" in home.said()
    assert not (home.path / "state.db").exists()


def test_a_place_for_the_state_that_cannot_be_made_is_named_with_the_way_out(home):
    (home.path / "out.d").write_text("a file, where a directory would have to be")
    text = home.file.read_text().replace(str(home.path / "state.db"), str(home.path / "out.d" / "x" / "state.db"))
    home.file.write_text(text)
    assert home.start(ready=False).wait(PATIENCE) == 1
    assert f"{home.path}/out.d/x/state.db: its directory cannot be used (Not a directory)" in home.said()
    assert "name another `state:`" in home.said()


def test_the_first_revision_of_a_file_is_in_the_log(home):
    home.start()
    assert home.events()[0] == "start"


def test_a_port_in_use_ends_the_start_with_the_way_out_and_nothing_left(home):
    with socket.socket() as other:
        other.bind(("127.0.0.1", home.port))
        other.listen()
        process = home.start(ready=False)
        assert process.wait(PATIENCE) == 1
    assert f"cannot listen on 127.0.0.1:{home.port}: another program uses this port" in home.said()
    assert home.left() == set()


def test_a_second_one_on_the_same_state_is_refused_and_the_first_serves_on(home):
    first = home.start()
    assert home.start(ready=False).wait(PATIENCE) == 1
    assert str(home.path / "state.db") in home.said()
    assert first.poll() is None
    assert home.get() == b"blue"


def test_a_signal_during_the_start_ends_it(home):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        home.write(versions={"blue": {"backends": [url], "health": {"interval": "60s", "timeout": "50s"}}})
        process = home.start(ready=False)
        silent.settimeout(PATIENCE)
        silent.accept()[0].close()  # the first check has come: it is in the middle of starting
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert home.left() == set()


def test_sigterm_lets_a_request_under_way_finish_and_refuses_new_ones(home, backend):
    process = home.start()
    with under_way(home, backend) as answers:
        process.send_signal(signal.SIGTERM)
        until(lambda: refused(home.port))
        assert home.call("GET", "/readyz")[0] == 503
        assert process.poll() is None
        backend.gate.set()
    assert answers == [b"blue"]
    assert process.wait(PATIENCE) == 0


def refused(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def test_a_second_sigterm_cuts_at_once_and_says_what_was_cut(home, backend):
    home.write(timeouts={"drain": "60s"})
    process = home.start()
    with under_way(home, backend) as answers:
        process.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in home.events())
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        backend.gate.set()
    assert isinstance(answers[0], Exception)
    stopped = [json.loads(line) for line in (home.path / "out0").read_text().splitlines()][-1]
    assert (stopped["event"], stopped["cut"]) == ("stopped", 1)


def test_a_drain_ends_when_its_time_is_over(home, backend):
    home.write(timeouts={"drain": "300ms"})
    process = home.start()
    with under_way(home, backend) as answers:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        backend.gate.set()
    assert isinstance(answers[0], Exception)


def test_a_killed_worker_is_replaced_within_a_second_and_the_reason_is_told(home):
    home.start()
    victim, other = home.workers()
    began = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    until(lambda: [w["state"] for w in home.status()["workers"]] == ["ready", "ready"] and victim not in home.workers())
    assert time.monotonic() - began < 1.5  # a second, and the looking
    home.pids |= set(home.workers())
    assert home.workers()[1] == other
    assert home.status()["workers"][0]["last_end"] == "killed by SIGKILL"
    until(lambda: "worker_replaced" in home.events())
    assert home.get() == b"blue"


def test_after_a_kill_of_the_supervisor_its_workers_serve_on_and_the_next_one_takes_over(home):
    home.start()
    assert home.call("PUT", "/v1/services/shop/split", {"blue": 25, "green": 75})[1]["revision"] == 2
    old = home.workers()
    home.processes[0].kill()
    home.processes[0].wait()
    assert home.get() == b"blue"
    assert all(running(pid) for pid in old)

    home.start()
    status = home.status()
    assert status["revision"] == 2
    assert status["services"][0]["split"] == {"blue": 25, "green": 75}
    assert not set(home.workers()) & set(old)
    assert "old_workers_replaced" in home.events()
    until(lambda: not any(running(pid) for pid in old))
    assert home.get() == b"blue"


def test_a_start_that_fails_leaves_the_old_workers_serving(home):
    home.start()
    old = home.workers()
    home.processes[0].kill()
    home.processes[0].wait()
    with socket.socket(socket.AF_UNIX) as other:  # somebody sits on the admin socket
        home.socket.unlink()
        other.bind(str(home.socket))
        other.listen()
        assert home.start(ready=False).wait(PATIENCE) == 1
    assert all(running(pid) for pid in old)
    assert home.get() == b"blue"
    home.socket.unlink()
    home.start()
    until(lambda: not any(running(pid) for pid in old))


def test_sighup_takes_the_file_up_again(home):
    process = home.start()
    home.write(on_unavailable="fail")
    process.send_signal(signal.SIGHUP)
    until(lambda: home.status()["revision"] == 2)
    assert "reload" in home.events()
    assert process.poll() is None


def test_sighup_with_mistakes_names_them_all_and_changes_nothing(home):
    process = home.start()
    before = home.status()["revision"]
    home.write(stable="bleu", on_unavailable="perhaps")
    process.send_signal(signal.SIGHUP)
    until(lambda: "reload_refused" in home.events())
    told = (home.path / "out0").read_text()
    assert "bleu" in told
    assert "perhaps" in told
    assert home.status()["revision"] == before
    assert home.get() == b"blue"


def test_a_reader_of_its_log_that_stalls_holds_up_neither_traffic_nor_control(home):
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):  # filled to the brim: nothing more goes in, as with a reader that sleeps
        while os.write(write, b"x" * 4096):
            pass
    os.set_blocking(write, True)
    process = subprocess.Popen(
        [sys.executable, "-m", "gatekeeper", "serve", "--config", str(home.file)], stdout=write, stderr=write
    )
    os.close(write)
    home.processes.append(process)
    try:
        until(home.socket.exists)
        home.pids |= set(home.workers())
        for weight in range(1, 20):
            assert home.call("PUT", "/v1/services/shop/split", {"blue": 100 - weight, "green": weight})[0] == 200
        assert home.get() == b"blue"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        os.close(read)
