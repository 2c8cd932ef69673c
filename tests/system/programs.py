"""The programs of a system test: nginx as a version's backend, gatekeeper in front, and a way to ask them.

Each is a class with ``start`` and ``end``; the fixtures in conftest.py end whatever a test started, also when it fails.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

PATIENCE = 15.0
"""Seconds for what takes milliseconds on an idle machine."""

WORKER = b"gatekeeper.dataplane.worker"


def until(condition, seconds=PATIENCE, what="it"):
    """The first true value of ``condition()``; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about within {seconds:g} s"
        time.sleep(0.01)
    return found


def answers(port):
    """Whether something accepts connections there."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


class Line(NamedTuple):
    """One request as nginx saw it. ``sent`` is the client's monotonic clock in microseconds, 0 if it sent none.

    ``flags`` is what X-Gatekeeper-Flags said, "" where it was not there.
    """

    revision: int
    version: str
    sent: int
    status: int
    target: str
    flags: str


class Nginx:
    """One version: answers ``NAME REVISION`` in the body, ``X-Backend: NAME``, and logs who routed the request to it.

    ``/slow`` takes ten seconds for its 100 KB, ``/healthz`` answers ok; ``more`` are further lines of configuration.
    """

    def __init__(self, name, folder, port, more=""):
        self.name, self.port, self.folder = name, port, folder
        self.process = None
        folder.mkdir()
        (folder / "slow").write_bytes(name[:1].encode() * 100_000)
        # Started by root, it would serve as nobody, who may not read what lies here.
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"""\
daemon off;
pid {folder}/pid;
{user}
worker_processes 1;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
  log_format line '$http_x_gatekeeper_revision|$http_x_gatekeeper_version|$http_x_sent|$status|'
                  '$http_x_gatekeeper_flags|$request_uri';
  access_log {folder}/access line;
  client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    default_type text/plain;
    add_header X-Backend {name} always;
    add_header Cache-Control private;
    location / {{ return 200 "{name} $http_x_gatekeeper_revision"; }}
    location = /healthz {{ return 200 "ok"; }}
    location = /slow {{ root {folder}; limit_rate 10k; }}
    {more}
  }}
}}
"""
        )

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        program = shutil.which("nginx")
        assert program is not None
        # -e: before the file is read, nginx opens its compiled-in error log, which an ordinary user may not write.
        command = [program, "-e", f"{self.folder}/error", "-p", str(self.folder), "-c", f"{self.folder}/nginx.conf"]
        with (self.folder / "said").open("ab") as said:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
        until(lambda: self.process.poll() is not None or answers(self.port))
        assert self.process.poll() is None, (self.folder / "error").read_text()

    def end(self):
        if self.process is not None:
            end(self.process)
            self.process = None

    def kill(self):
        """kill -9 of all of its processes at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def lines(self):
        """All requests that the load sent so far, in order of their ends; complete once ``end`` was called."""
        with (self.folder / "access").open(encoding="latin-1") as file:
            for line in file:
                revision, version, sent, status, flags, target = line.rstrip("\n").split("|", 5)
                if revision != "-":  # else a health check, or a request that did not come through gatekeeper
                    flags = "" if flags == "-" else flags
                    yield Line(int(revision), version, 0 if sent == "-" else int(sent), int(status), target, flags)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Answer(NamedTuple):
    status: int
    fields: dict
    body: bytes

    @property
    def version(self):
        return self.body.split()[0].decode()

    @property
    def revision(self):
        return int(self.body.split()[1])


class Gatekeeper:
    """``gatekeeper serve`` with a file, a state and a socket in ``folder``; started as often as a test likes."""

    def __init__(self, folder, port, versions):
        """``versions``: name -> url or list of urls; the first is stable."""
        self.folder, self.port = folder, port
        self.file, self.socket = folder / "gatekeeper.yaml", folder / "admin.sock"
        self.state = folder / "state.db"
        self.versions = {name: [urls] if isinstance(urls, str) else list(urls) for name, urls in versions.items()}
        self.processes = []
        self.program = [sys.executable, "-m", "gatekeeper"]
        self.environment = None
        self.more = {}
        """Further arguments of Popen."""
        folder.mkdir()
        self.write()

    # The file

    def document(self, *, workers=2, access="off", services=None, flags=None, **service):
        """The configuration as an object: one service ``shop`` with ``service`` on top of defaults, or ``services``;
        and ``flags``.
        """
        shop = {
            "versions": {name: {"backends": urls} for name, urls in self.versions.items()},
            "sticky": {"by": ["cookie"], "mode": "none"},
            **service,
        }
        return {
            "listen": [{"address": f"127.0.0.1:{self.port}"}],
            "admin": {"socket": str(self.socket)},
            "state": str(self.state),
            "workers": workers,
            "log": {"access": access},
            "services": services if services is not None else {"shop": shop},
            **({"flags": flags} if flags is not None else {}),
        }

    def write(self, **options):
        """Write the file anew; options as in ``document``."""
        fresh = self.folder / "fresh.yaml"
        fresh.write_text(json.dumps(self.document(**options), indent=2))  # JSON is YAML
        fresh.replace(self.file)  # whole, whoever reads it just now

    # The process

    @property
    def process(self):
        return self.processes[-1]

    def launch(self):
        """Start it and do not wait."""
        number = len(self.processes)
        with (self.folder / f"out{number}").open("wb") as out, (self.folder / f"err{number}").open("wb") as err:
            process = subprocess.Popen(
                [*self.program, "serve", "--config", str(self.file)],
                **{"env": self.environment, **self.more},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def start(self):
        """Start it and wait until it serves."""
        process = self.launch()
        until(lambda: process.poll() is not None or self.events("started"), 30, "the start")
        assert process.poll() is None, self.said()
        return self

    def events(self, *kinds):
        """Events of the newest process, in order; of these kinds, if any are named."""
        lines = (self.folder / f"out{len(self.processes) - 1}").read_text().splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.endswith("\n") and '"type": "event"' in line]
        return [event for event in found if not kinds or event["event"] in kinds]

    def said(self):
        """What all its processes wrote to stderr; a worker's traceback would be there."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("err*")))

    def worker_pids(self):
        """Every living worker that serves our port or our state, also those whose supervisor is gone."""
        port, state = f"127.0.0.1:{self.port}=".encode(), f":{self.state}".encode()
        return _pids(
            lambda words: WORKER in words and any(word.startswith(port) or word.endswith(state) for word in words)
        )

    def supervisor_pids(self):
        """Every living supervisor of our file, also one that another one started to hand over to."""
        mark = str(self.file).encode()
        return _pids(lambda words: b"serve" in words and mark in words)

    def end(self):
        """Kill it and everything it started."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for pid in (*self.supervisor_pids(), *self.worker_pids()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not self.worker_pids(), what="the workers' end")

    # The admin socket

    def call(self, method, path, body=None, connection=None, fields=None):
        """Status and document. ``connection``: a ``UnixConnection`` to keep, else a fresh one."""
        with contextlib.ExitStack() as stack:
            if connection is None:
                connection = stack.enter_context(contextlib.closing(UnixConnection(self.socket)))
            content = None if body is None else json.dumps(body)
            connection.request(method, path, body=content, headers=fields or {})
            response = connection.getresponse()
            text = response.read()
        return response.status, json.loads(text)

    def split(self, connection=None, **weights):
        """Change the split; the reply."""
        status, reply = self.call("PUT", "/v1/services/shop/split", weights, connection)
        assert status == 200, reply
        return reply

    def status(self):
        return self.call("GET", "/v1/status")[1]

    def workers(self):
        """Pids by slot, None for a slot between two workers."""
        return [worker["pid"] for worker in self.status()["workers"]]

    def metrics(self):
        """Every sample of /metrics: ``name{labels}`` -> value."""
        with contextlib.closing(UnixConnection(self.socket)) as connection:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def quiet_metrics(self):
        """The metrics once every client has left; a request could still come in on a connection that is open."""

        def look():
            metrics = self.metrics()
            return metrics if not metrics["gatekeeper_connections"] and not requests_in_flight(metrics) else None

        return until(look, what="the end of all connections")

    # Traffic

    def connect(self, timeout=PATIENCE):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def get(self, path="/", fields=None, connection=None):
        """One GET; on a fresh connection unless one is given."""
        with contextlib.ExitStack() as stack:
            if connection is None:
                connection = stack.enter_context(contextlib.closing(self.connect()))
            connection.request("GET", path, headers=fields or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())

    def cli(self, *arguments):
        """Run the command line against this instance; the completed process with its texts."""
        command = [sys.executable, "-m", "gatekeeper", *arguments]
        environment = {**os.environ, "GATEKEEPER_SOCKET": str(self.socket)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


def _pids(belongs):
    """The processes whose command line, as a list of bytes, ``belongs`` to what is looked for."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if belongs(path.read_bytes().split(b"\0")):
                found.append(int(path.parent.name))
    return sorted(found)


def requests_counted(metrics, version=None, code=None):
    """Requests to the service ``shop`` that ended, by gatekeeper's count; of one version or code, or of all."""
    return _summed(metrics, "gatekeeper_requests_total", service="shop", version=version, code=code)


def requests_in_flight(metrics, version=None):
    return _summed(metrics, "gatekeeper_inflight", service="shop", version=version)


def _summed(metrics, name, **labels):
    marks = [f'{label}="{value}"' for label, value in labels.items() if value is not None]
    return sum(
        value
        for sample, value in metrics.items()
        if sample.startswith(name + "{") and all(mark in sample for mark in marks)
    )


def end(process):
    """End a program we started, and reap it."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
