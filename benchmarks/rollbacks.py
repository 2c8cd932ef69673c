"""How long the candidate goes on getting users' requests once a release is rolled back, under full load.

    python -m benchmarks.rollbacks [--rollbacks 200] [--trips 20] [--typed 20] [--no-write]

Three ways back: an operator's rollback, from the moment the request for it is sent, and again from the moment a whole
command line is started; and the trip-wire, from the moment the candidate begins to answer 500, or its process is
killed. What is looked for each time is the last request that reached the candidate, by its own log. Backends, load, two
workers, supervisor and operator share all cores. Exit 0 if the p99 of the operator's way is within 50 ms, no request is
lost on it, and every trip is within a second; else 1.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.asking import Operator
from benchmarks.changes import quantile
from benchmarks.processes import BenchmarkError, Ports, find, free_ports, running, wait_until_answering
from benchmarks.proxies.wrk import usual_command

LIMIT, TRIP_LIMIT = 0.05, 1.0
"""Seconds: the p99 of the operator's way, and the longest of the trip-wire's."""
WORKERS = 2
WEIGHT = 50
WARM_SECONDS = 1.0
RAMPED = (0.02, 0.1)
"""Seconds of users on the candidate before each way back, drawn evenly, to meet the load in every phase of its own."""
AFTER_SECONDS = 0.05
"""Seconds after each way back in which a request to the candidate would be seen."""
FORGET_SECONDS = 1.2
"""Seconds between two trips: the trip-wire looks at a second of answers, and those of the last one must not count."""
PATIENCE = 20.0

NGINX = """\
daemon off;
pid {folder}/{name}.pid;
error_log {folder}/{name}.error error;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  log_format line '$msec $status $http_x_gatekeeper_version';
  access_log {folder}/{name}.access line buffer=32k flush=100ms;
  client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    default_type text/html;
    location = /healthz {{ access_log off; return 200 "ok"; }}
    location / {{
      if (-f {folder}/{name}.broken) {{ return 500 "broken"; }}
      return 200 "{body}";
    }}
  }}
}}
"""


@dataclass(slots=True)
class Way:
    """Times of one way back, in seconds from its beginning: to the last request, and until it was known to be done."""

    begun: list[float] = field(default_factory=list)
    """Wall seconds."""
    ended: list[float] = field(default_factory=list)
    """Wall seconds of the reply, or of when the candidate was seen without weight."""
    last: list[float] = field(default_factory=list)
    """Seconds to the last request that reached the candidate; below 0 if none came any more."""

    @property
    def done(self) -> list[float]:
        return [end - begin for begin, end in zip(self.begun, self.ended, strict=True)]

    def find_last(self, moments: Sequence[float], until: Sequence[float]) -> None:
        """From the candidate's log: ``moments`` of its requests, in order; each way was over at its ``until``."""
        for begin, end in zip(self.begun, until, strict=True):
            index = bisect_left(moments, end) - 1
            self.last.append(moments[index] - begin if index >= 0 else -1.0)


class Admin(Operator):
    """One connection to the admin socket."""

    def ask(self, method: str, path: str, body: object = None) -> tuple[float, float, dict[str, Any]]:
        """Wall seconds before it was sent and when it was answered, and the answer. Raises BenchmarkError."""
        content = json.dumps(body) if body is not None else ""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(content)}", "", ""]
        asked = time.time()
        self._socket.sendall(("\r\n".join(lines) + content).encode())
        answer = self._read()
        answered = time.time()
        if "detail" in answer:
            raise BenchmarkError(f"{method} {path} was refused: {answer['detail']}")
        return asked, answered, answer

    def release(self) -> None:
        """Bring the candidate to its first weight."""
        self.ask("POST", "/v1/services/shop/releases", {"to": "green", "plan": "half"})
        self.wait(lambda: self.weight() == WEIGHT, "the first step")
        time.sleep(random.uniform(*RAMPED))

    def weight(self) -> float:
        service = self.ask("GET", "/v1/services/shop")[2]
        return float(service["split"].get("green", 0))

    def ready(self) -> bool:
        service = self.ask("GET", "/v1/services/shop")[2]
        return all(backend["state"] == "ready" for backend in service["versions"]["green"]["backends"])

    def wait(self, condition: Callable[[], bool], what: str) -> float:
        """Wall seconds at which it was so. Raises BenchmarkError."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{what} did not come about within {PATIENCE:g} s")
            time.sleep(0.002)
        return time.time()


@dataclass(slots=True)
class Candidate:
    """The nginx that plays green, which is broken and killed; and where it writes down who came."""

    command: Sequence[str]
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        # No session of its own would let Ctrl-C reach it first.
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, start_new_session=True)

    def kill(self) -> None:
        """All of its processes at once: the one that serves and the one that would start another."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def moments(self) -> list[float]:
        """Wall seconds of the users' requests that reached it so far, in order; what it still buffers is not there."""
        lines = (self.folder / "green.access").read_text().splitlines()
        return sorted(float(line.split(" ", 1)[0]) for line in lines if line)


@contextlib.contextmanager
def load(port: int, lost: dict[str, int]) -> Iterator[None]:
    """The load until the end of the block; what failed is added to ``lost``, and what was asked, as ``requests``."""
    with usual_command(port, 3600) as command, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
        try:
            time.sleep(WARM_SECONDS)
            yield
            wrk.send_signal(signal.SIGINT)
            text, _ = wrk.communicate(timeout=60)
        finally:
            wrk.kill()
    said = next((line.removeprefix("RESULT ") for line in text.splitlines() if line.startswith("RESULT ")), None)
    if said is None:
        raise BenchmarkError(f"wrk gave no result:\n{text}")
    for kind, count in json.loads(said).items():
        if kind in ("requests", "not_ok", "connect", "read", "write", "timeout"):
            lost[kind] = lost.get(kind, 0) + count


def by_request(admin: Admin) -> tuple[float, float]:
    asked, answered, _ = admin.ask("POST", "/v1/services/shop/rollback", {})
    return asked, answered


def by_command(socket: Path) -> tuple[float, float]:
    """As an operator types it: Python starts, the command line is read, the request is sent."""
    command = [sys.executable, "-m", "gatekeeper", "--socket", str(socket), "rollback", "shop"]
    asked = time.time()
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise BenchmarkError(f"gatekeeper rollback shop: {done.stderr}")
    return asked, time.time()


def rolled_back(
    admin: Admin, times: int, back: Callable[[], tuple[float, float]], said: str
) -> tuple[Way, list[float]]:
    """So many releases, each rolled back; with the moments until which the log is to be looked at."""
    way, until = Way(), []
    for number in range(times):
        admin.release()
        asked, answered = back()
        way.begun.append(asked)
        way.ended.append(answered)
        time.sleep(AFTER_SECONDS)
        until.append(time.time())
        _tell(f"{said} {number + 1}/{times}", number, times)
    return way, until


def tripped(admin: Admin, times: int, candidate: Candidate, *, killed: bool) -> tuple[Way, list[float]]:
    """So many releases whose candidate fails."""
    way, until = Way(), []
    broken = candidate.folder / "green.broken"
    for number in range(times):
        admin.release()
        way.begun.append(time.time())
        if killed:
            candidate.kill()
        else:
            broken.touch()
        way.ended.append(admin.wait(lambda: admin.weight() == 0, "the end of the candidate's weight"))
        time.sleep(AFTER_SECONDS)
        until.append(time.time())
        if killed:
            candidate.start()
        else:
            broken.unlink()
        time.sleep(FORGET_SECONDS)
        admin.wait(admin.ready, "the candidate's recovery")
        admin.ask("POST", "/v1/services/shop/trip/reset", {})
        _tell(f"{'killed' if killed else 'failing'} {number + 1}/{times}", number, times)
    return way, until


def _tell(text: str, number: int, times: int) -> None:
    if (number + 1) % 20 == 0 or number + 1 == times:
        print(f"  {text}", file=sys.stderr, flush=True)


@dataclass(slots=True)
class Played:
    """``lost`` and ``tripping`` are what wrk counted during the operator's ways and during the trips."""

    asked: Way
    typed: Way
    failing: Way
    killed: Way
    lost: dict[str, int]
    tripping: dict[str, int]

    @property
    def failures(self) -> int:
        return sum(count for kind, count in self.lost.items() if kind != "requests")

    @property
    def reached(self) -> bool:
        trips = [*self.failing.last, *self.failing.done, *self.killed.done]
        return not self.failures and quantile(self.asked.last, 0.99) <= LIMIT and max(trips, default=0) <= TRIP_LIMIT


def play(rollbacks: int, typed: int, trips: int) -> Played:
    """Start gatekeeper and its backends, measure. Raises BenchmarkError."""
    ports: Ports = free_ports()
    folder = Path(tempfile.mkdtemp(prefix="gatekeeper-rollbacks-"))
    folder.chmod(0o755)  # nginx's worker drops to another user when started by root
    blue_log, proxy_log = folder / "blue.log", folder / "proxy.log"
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    candidate = Candidate(_nginx(folder, "green", ports.green), folder)
    lost: dict[str, int] = {}
    tripping: dict[str, int] = {}
    try:
        candidate.start()
        with running(_nginx(folder, "blue", ports.blue), core=cores, log=blue_log) as blue:
            wait_until_answering(ports.blue, blue, blue_log)
            with running(_gatekeeper(folder, ports), core=cores, log=proxy_log) as pid:
                wait_until_answering(ports.proxy, pid, proxy_log)
                with contextlib.closing(Admin(folder / "admin.sock", WORKERS)) as admin:
                    admin.wait(admin.ready, "the candidate")
                    with load(ports.proxy, lost):
                        asked, asked_until = rolled_back(admin, rollbacks, lambda: by_request(admin), "rolled back")
                        socket = folder / "admin.sock"
                        by_hand, by_hand_until = rolled_back(admin, typed, lambda: by_command(socket), "by command")
                    with load(ports.proxy, tripping):
                        failing, failing_until = tripped(admin, trips, candidate, killed=False)
                        time.sleep(0.5)  # its log is flushed every 0.1 s, and a kill would take what is not
                        moments = candidate.moments()
                        killed, _ = tripped(admin, trips, candidate, killed=True)
    finally:
        candidate.kill()
        shutil.rmtree(folder, ignore_errors=True)
    for way, until in ((asked, asked_until), (by_hand, by_hand_until), (failing, failing_until)):
        way.find_last(moments, until)
    return Played(asked, by_hand, failing, killed, lost, tripping)


def _nginx(folder: Path, name: str, port: int) -> list[str]:
    path = folder / f"{name}.conf"
    path.write_text(NGINX.format(folder=folder, name=name, port=port, body=name[0] * 800))
    # -e: before the file is read, nginx opens its compiled-in error log, which an ordinary user may not write.
    return [find("nginx"), "-e", str(folder / f"{name}.error"), "-p", str(folder), "-c", str(path)]


def _gatekeeper(folder: Path, ports: Ports) -> list[str]:
    health = {"path": "/healthz", "interval": "200ms", "timeout": "2s", "rise": 1, "fall": 5}
    urls = {"blue": ports.blue, "green": ports.green}
    versions = {name: {"backends": [f"http://127.0.0.1:{port}"], "health": health} for name, port in urls.items()}
    document = {
        "listen": [{"address": f"127.0.0.1:{ports.proxy}"}],
        "admin": {"socket": str(folder / "admin.sock")},
        "state": str(folder / "state.db"),
        "workers": WORKERS,
        "log": {"access": "off", "level": "warning"},
        "plans": {"half": {"steps": [{"weight": WEIGHT, "hold": "1h"}, {"weight": 100}]}},
        "services": {"shop": {"versions": versions}},
    }
    path = folder / "gatekeeper.yaml"
    path.write_text(json.dumps(document, indent=2))  # JSON is YAML
    return [sys.executable, "-m", "gatekeeper", "serve", "--config", str(path)]


def markdown(played: Played, about: dict[str, str]) -> str:
    """The table, the targets, and the machine."""
    out = ["| from | to | times | p50 | p90 | p99 | most |", "|---|---|---:|---:|---:|---:|---:|"]
    last = "the last request at the candidate"
    rows = (
        ("**rollback is asked for** (request sent)", last, played.asked.last),
        ("", "the reply", played.asked.done),
        ("Enter, with the start of the command line", last, played.typed.last),
        ("", "the command's end", played.typed.done),
        ("**the candidate begins to answer 500**", last, played.failing.last),
        ("", "its weight is 0 in every worker", played.failing.done),
        ("**the candidate's processes are killed**", "its weight is 0 in every worker", played.killed.done),
    )
    for begin, end, seconds in rows:
        if seconds:
            shown = [quantile(seconds, share) for share in (0.5, 0.9, 0.99)] + [max(seconds)]
            cells = [begin, end, str(len(seconds)), *(f"{value * 1e3:.1f} ms" for value in shown)]
            out.append(f"| {' | '.join(cells)} |")
    failed = sum(count for kind, count in played.tripping.items() if kind != "requests")
    rolling, tripping = played.lost.get("requests", 0), played.tripping.get("requests", 0)
    losses = f"Of {rolling:,} requests during the rollbacks {played.failures} were lost or failed"
    failures = f"of {tripping:,} during the trips {failed} failed, which the candidate did"
    target = f"p99 at most {LIMIT * 1e3:g} ms from the request to the last request at the candidate, none lost"
    verdict = "reached" if played.reached else "missed"
    out += ["", f"{losses}; {failures}."]
    out += ["", f"Target: {target}, trips at most {TRIP_LIMIT:g} s: {verdict}."]
    out += ["", "; ".join(f"{name} {value}" for name, value in about.items()) + "."]
    return "\n".join(out) + "\n"


def as_json(played: Played, about: dict[str, str]) -> str:
    """Every single way, in seconds."""
    ways = {
        name: {"last": [round(each, 6) for each in way.last], "done": [round(each, 6) for each in way.done]}
        for name, way in (
            ("asked", played.asked),
            ("typed", played.typed),
            ("failing", played.failing),
            ("killed", played.killed),
        )
    }
    return json.dumps({"about": about, **ways, "lost": played.lost, "tripping": played.tripping}) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.rollbacks", description=__doc__.partition("\n")[0])
    parser.add_argument("--rollbacks", type=int, default=200, help="rollbacks by request (default 200)")
    parser.add_argument("--typed", type=int, default=20, help="rollbacks by command line (default 20)")
    parser.add_argument("--trips", type=int, default=20, help="trips of each kind (default 20)")
    parser.add_argument("--no-write", action="store_true", help="print only; leave benchmarks/results alone")
    options = parser.parse_args(arguments)
    if min(options.rollbacks, options.trips) < 1 or options.typed < 0:
        parser.error("--rollbacks and --trips start at 1, --typed at 0")
    about = machine.heading() | {"nginx": machine.describe(["nginx"])["nginx"], "workers": str(WORKERS)}
    try:
        played = play(options.rollbacks, options.typed, options.trips)
    except BenchmarkError as problem:
        print(f"refused: {problem}", file=sys.stderr)
        return 1
    table = markdown(played, about)
    print(table)
    if not options.no_write:
        machine.keep("rollbacks", table, about, as_json(played, about))
    return int(not played.reached)


if __name__ == "__main__":
    sys.exit(main())
