"""What open dashboards cost: the supervisor's CPU and memory, and whether the worker notices.

    python -m benchmarks.dashboards [--pages 50] [--services 10] [--versions 3] [--rounds 3] [--seconds 20] [--no-write]

A round is four times the same: nobody watches; all pages watch; all watch while the split changes every five seconds,
after each of which every page asks for the service anew; nobody again. gatekeeper has a core to itself and traffic on
every version; pages, backends and load share the other. At the end as many pages that never read. Exit 0 if the
supervisor used at most a tenth of a core while all watched (median over the rounds) and its memory stayed in bounds.
"""

import argparse
import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks import machine
from benchmarks.asking import Operator
from benchmarks.pages import Reading, opened
from benchmarks.processes import (
    BenchmarkError,
    Ports,
    cpu_seconds,
    family,
    find,
    free_ports,
    running,
    wait_until_answering,
)
from benchmarks.proxies.contestants import two_versions
from benchmarks.proxies.measure import LOAD_CORE, PROXY_CORE, WARM_UP_SECONDS

CPU_LIMIT = 0.10
"""Of a core, for the supervisor, with all that it does beside."""
PAGE_LIMIT = 512 * 1024
"""Bytes of the supervisor's memory for each page, reading or not."""
CHANGE_SECONDS = 5.0
DEAF_SECONDS = 60.0
"""Until all buffers on the way are full of ticks, and then longer than a page may go without reading."""
TOKEN = "dashboard"  # noqa: S105 - of a gatekeeper that lives for a minute
CONNECTIONS = 8
SERVICE = "service0"
PAGE = f"/v1/services/{SERVICE}"
PHASES = ("nobody", "watching", "changing", "nobody again")


@dataclass(frozen=True, slots=True)
class Cost:
    """``supervisor`` as a share of a core; ``worker`` CPU seconds for a request; ``rss`` bytes of the supervisor."""

    supervisor: float
    worker: float
    rss: int


@dataclass(frozen=True, slots=True)
class Played:
    """``rounds`` by phase; ``deaf`` is the most that the supervisor grew by for pages that do not read, in bytes."""

    rounds: list[dict[str, Cost]]
    deaf: int
    dropped: int
    pages: int

    def of(self, phase: str, part: Callable[[Cost], float]) -> float:
        return median(part(each[phase]) for each in self.rounds)

    @property
    def cpu(self) -> float:
        return max(self.of(phase, lambda cost: cost.supervisor) for phase in ("watching", "changing"))

    @property
    def grown(self) -> float:
        """Bytes of memory for a page that reads."""
        return max(0.0, max(one["changing"].rss - one["nobody"].rss for one in self.rounds) / self.pages)

    @property
    def reached(self) -> bool:
        return self.cpu <= CPU_LIMIT and max(self.grown, self.deaf / self.pages) <= PAGE_LIMIT


def configuration(folder: Path, ports: Ports, admin: int, services: int, versions: int) -> Path:
    """A file with so many of both, each version with its part of the users."""
    (folder / "tokens.yaml").write_text(
        json.dumps([{"name": TOKEN, "role": "viewer", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}])
    )
    urls = [f"http://127.0.0.1:{port}" for port in (ports.blue, ports.green)]
    names = ["blue", "green", *(f"v{at}" for at in range(2, versions))]
    document = {
        "listen": [{"address": f"127.0.0.1:{ports.proxy}"}],
        "workers": 1,
        "admin": {
            "socket": str(folder / "admin.sock"),
            "http": f"127.0.0.1:{admin}",
            "tokens": str(folder / "tokens.yaml"),
        },
        "state": str(folder / "state.db"),
        "log": {"access": "off", "level": "warning"},
        "services": {
            f"service{at}": {
                "path_prefix": "/" if at == 0 else f"/s{at}",
                "versions": {name: {"backends": [urls[one % 2]]} for one, name in enumerate(names)},
                "stable": "blue",
                "split": dict.fromkeys(names, 1),
            }
            for at in range(services)
        },
    }
    path = folder / "gatekeeper.yaml"
    path.write_text(json.dumps(document))
    return path


LOAD = """
local at, services = 0, {services}
request = function()
  at = at + 1
  local service = at % services
  return wrk.format("GET", service == 0 and "/" or "/s" .. service, {{["Host"] = "shop.example.com"}})
end
done = function(summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("RESULT %d %d\\n", summary.requests, failed))
end
"""


def loaded(port: int, seconds: float, script: Path) -> int:
    """Requests that wrk saw answered. Raises BenchmarkError when one failed."""
    command = [find("taskset"), "--cpu-list", str(LOAD_CORE), find("wrk"), "-t1", f"-c{CONNECTIONS}"]
    command += [f"-d{round(seconds)}s", "-s", str(script), f"http://127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            requests, failed = map(int, line.split()[1:])
            if failed:
                raise BenchmarkError(f"{failed} of {requests} requests failed")
            return requests
    raise BenchmarkError(f"wrk gave no result (exit {done.returncode}):\n{done.stdout}{done.stderr}")


def rss(pid: int) -> int:
    """Bytes of memory that a process has."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise BenchmarkError(f"process {pid} has no memory: it has ended")


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """The split of the first service changes every few seconds."""
    stop = threading.Event()

    def change() -> None:
        with contextlib.closing(Operator(path, 1, SERVICE)) as operator:
            while not stop.wait(CHANGE_SECONDS):
                operator.change()

    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


class Stage:
    """Gatekeeper under load, and what each phase costs it."""

    def __init__(self, folder: Path, pid: int, ports: Ports, admin: int, seconds: float, pages: int) -> None:
        self._folder, self._ports, self._admin, self._seconds = folder, ports, admin, seconds
        self._pages = pages
        self._pid = pid
        children = [one for one in family(pid) if one != pid]
        if len(children) != 1:
            raise BenchmarkError(f"gatekeeper has the processes {children}, not one worker")
        self._worker = children[0]

    def _cost(self) -> Cost:
        began, worker, all_of_it = time.monotonic(), cpu_seconds(self._worker), cpu_seconds(self._pid)
        requests = loaded(self._ports.proxy, self._seconds, self._folder / "load.lua")
        took, worker, all_of_it = (
            time.monotonic() - began,
            cpu_seconds(self._worker) - worker,
            cpu_seconds(self._pid) - all_of_it,
        )
        return Cost((all_of_it - worker) / took, worker / requests, rss(self._pid))

    def round(self) -> dict[str, Cost]:
        found = {"nobody": self._cost()}
        for phase, asks in (("watching", ()), ("changing", (PAGE,))):
            with opened(self._pages, self._admin, TOKEN) as pages, Reading(pages, asks) as reading:
                with changing(self._folder / "admin.sock") if asks else contextlib.nullcontext():
                    found[phase] = self._cost()
                reading.check(self._seconds)
        return found | {"nobody again": self._cost()}

    def deaf(self) -> tuple[int, int]:
        """Pages that do not read: the most that the supervisor grew by, and how many streams it had ended after."""
        before = most = rss(self._pid)
        with opened(self._pages, self._admin, TOKEN, deaf=True) as pages:
            end = time.monotonic() + DEAF_SECONDS
            while time.monotonic() < end:
                most = max(most, rss(self._pid))
                time.sleep(0.2)
            dropped = 0
            for page in pages:
                page.socket.setblocking(False)
                try:
                    while not page.ended:
                        page.read()
                except BlockingIOError:
                    continue
                except ConnectionResetError:
                    pass
                dropped += 1
        return most - before, dropped


def play(options: argparse.Namespace) -> Played:
    """Start gatekeeper and its backends, measure. Raises BenchmarkError."""
    ports, admin = free_ports(), free_ports().proxy
    folder = Path(tempfile.mkdtemp(prefix="gatekeeper-dashboards-"))
    folder.chmod(0o755)  # nginx's worker drops to another user when started by root
    backend_log, proxy_log = folder / "backend.log", folder / "proxy.log"
    path = configuration(folder, ports, admin, options.services, options.versions)
    (folder / "load.lua").write_text(LOAD.format(services=options.services))
    try:
        with running(two_versions(folder, ports), core=LOAD_CORE, log=backend_log) as backend:
            for port in (ports.blue, ports.green):
                wait_until_answering(port, backend, backend_log)
            command = [sys.executable, "-m", "gatekeeper", "serve", "--config", str(path)]
            with running(command, core=PROXY_CORE, log=proxy_log) as pid:
                wait_until_answering(ports.proxy, pid, proxy_log)
                loaded(ports.proxy, WARM_UP_SECONDS, folder / "load.lua")
                stage = Stage(folder, pid, ports, admin, options.seconds, options.pages)
                rounds = []
                for number in range(options.rounds):
                    rounds.append(stage.round())
                    said = ", ".join(f"{phase} {rounds[-1][phase].supervisor:.1%}" for phase in PHASES)
                    print(f"  {number + 1}/{options.rounds} supervisor: {said}", file=sys.stderr, flush=True)
                return Played(rounds, *stage.deaf(), options.pages)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def markdown(played: Played, about: dict[str, str]) -> str:
    """Medians over the rounds, the targets, and the machine."""
    out = [
        f"| {played.pages} pages | supervisor, of a core | its memory | worker, CPU per request |",
        "|---|---:|---:|---:|",
    ]
    for phase in PHASES:
        cpu, worker, memory = (
            played.of(phase, part) for part in (lambda c: c.supervisor, lambda c: c.worker, lambda c: c.rss)
        )
        out.append(f"| {phase} | {cpu:.1%} | {memory / 2**20:.1f} MiB | {worker * 1e6:.2f} us |")
    deaf = f"{played.deaf / 2**20:.1f} MiB at most for all, {played.dropped} of {played.pages} streams ended"
    reached = f"{played.cpu:.1%}, {played.grown / 1024:.0f} KiB ({played.deaf / played.pages / 1024:.0f} KiB where it"
    target = f"at most {CPU_LIMIT:.0%} of a core and {PAGE_LIMIT / 1024:.0f} KiB a page"
    out += [
        "",
        f"Pages that do not read: {deaf} by gatekeeper within {DEAF_SECONDS:.0f} s.",
        "",
        f"Target: {target}: {reached} does not read), {'reached' if played.reached else 'missed'}.",
        "",
        "; ".join(f"{name} {value}" for name, value in about.items()) + ".",
    ]
    return "\n".join(out) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.dashboards", description=__doc__.partition("\n")[0])
    for name, default, what in (
        ("pages", 50, "open at once"),
        ("services", 10, "in the file"),
        ("versions", 3, "of each, at least two"),
        ("rounds", 3, "of the four phases"),
        ("seconds", 20, "of each phase"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{what} (default {default})")
    parser.add_argument("--no-write", action="store_true", help="print only; leave benchmarks/results alone")
    options = parser.parse_args(arguments)
    if min(options.pages, options.services, options.rounds) < 1 or options.versions < 2 or options.seconds < 5:
        parser.error("--pages, --services and --rounds start at 1, --versions at 2, --seconds at 5")
    shape = {"services": str(options.services), "versions": str(options.versions)}
    about = machine.heading() | {"nginx": machine.describe(["nginx"])["nginx"], **shape}
    try:
        played = play(options)
    except BenchmarkError as problem:
        print(f"refused: {problem}", file=sys.stderr)
        return 1
    table = markdown(played, about)
    print(table)
    if not options.no_write:
        machine.keep("dashboards", table, about, json.dumps({"about": about, **asdict(played)}) + "\n")
    return int(not played.reached)


if __name__ == "__main__":
    sys.exit(main())
