"""One run: one proxy, one case, what it cost; and whether that may be believed."""

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.processes import (
    BenchmarkError,
    Cores,
    Ports,
    ask,
    cpu_seconds,
    family,
    find,
    free_ports,
    memory,
    running,
    strayed,
    wait_until_answering,
)
from benchmarks.proxies import check, heads, wrk
from benchmarks.proxies.cases import Bulk, Case
from benchmarks.proxies.contestants import Contestant
from benchmarks.proxies.peers import gatekeeper

PROXY_CORE = 0
LOAD_CORE = 1
WARM_UP_SECONDS = 1
SATURATED = 0.90
"""From here on the proxy's core counts as the bottleneck. Below, what the load reports is its own limit, not the
proxy's: throughput and latency then say nothing about the proxy, and its cost is that of one that often sleeps."""
FOREIGN_LIMIT = 0.05
"""Share of the proxy's core that others may use during a run; caches and clock suffer from more than that."""
UNSATURATED_ALLOWED = {"floor"}
"""Who may be faster than the load. Not the others: with idle time a server wakes up more often for less work, so that
its CPU per request rises, and with it the ratios would be wrong."""
FILES_BESIDE = 1000
"""Files that a proxy has besides a connection for each client and one to a backend for him: spares, and what idles."""


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement. Times in seconds, ``busy`` and ``foreign`` as shares of the proxy's core or cores.

    ``size``: bytes of large bodies. ``rss`` and ``rss_loaded``: memory before the load and under it, shared pages
    once. ``spread``: client connections of each process that had any, where there are several workers. ``shared``:
    whether the load had no core of its own, for lack of cores.
    """

    contestant: str
    requests: int
    seconds: float
    cpu: float
    busy: float
    foreign: float
    p50: float = 0.0
    p99: float = 0.0
    size: int = 0
    connections: int = 0
    rss: int = 0
    rss_loaded: int = 0
    shared: bool = False
    spread: list[int] = field(default_factory=list)

    @property
    def cpu_per_request(self) -> float:
        return self.cpu / self.requests

    @property
    def throughput(self) -> float:
        return self.requests / self.seconds

    @property
    def saturated(self) -> bool:
        return self.busy >= SATURATED


def doubt(run: Run) -> str:
    """Why ``run`` must not be believed; empty if it may."""
    if run.foreign > FOREIGN_LIMIT:
        return f"other programs used {run.foreign:.0%} of its core (allowed: {FOREIGN_LIMIT:.0%})"
    if not run.saturated and run.contestant not in UNSATURATED_ALLOWED:
        return f"the proxy used {run.busy:.0%} of its core (needed: {SATURATED:.0%}): the load was the bottleneck"
    return ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which cores the proxy has, and which backends and load, in taskset's words."""

    proxy: tuple[int, ...] = (PROXY_CORE,)
    load: tuple[int, ...] = (LOAD_CORE,)

    @classmethod
    def of(cls, workers: int, cores: int) -> "Layout":
        """A core for each worker and as many for the load, if there are so many, else all of them for everybody."""
        if workers == 1:
            return cls()
        if cores >= 2 * workers:
            return cls(tuple(range(workers)), tuple(range(workers, 2 * workers)))
        return cls(tuple(range(cores)), tuple(range(cores)))

    @property
    def shared(self) -> bool:
        return bool(set(self.proxy) & set(self.load))


def words(cores: tuple[int, ...]) -> str:
    return ",".join(map(str, cores))


@dataclass(frozen=True, slots=True)
class Stage:
    """Backends and a proxy that run. ``pid`` is the proxy's, ``backend`` theirs."""

    case: Case
    contestant: Contestant
    folder: Path
    ports: Ports
    layout: Layout
    pid: int
    backend: int


def fitting(connections: int) -> int:
    """As many of ``connections`` as leave a proxy the files for a backend's connection to each."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return connections if allowed == resource.RLIM_INFINITY else min(connections, (allowed - FILES_BESIDE) // 2)


@contextlib.contextmanager
def staged(case: Case, contestant: Contestant) -> Iterator[Stage]:
    """Start backends and proxy, see that they do the job. Raises BenchmarkError."""
    folder = Path(tempfile.mkdtemp(prefix="gatekeeper-bench-"))
    folder.chmod(0o755)  # nginx's worker drops to another user when started by root
    ports, job = free_ports(), case.job
    backend_log, proxy_log = folder / "backend.log", folder / "proxy.log"
    layout = Layout.of(job.workers, os.cpu_count() or 1)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    try:
        with running(case.backends(folder, ports), core=words(layout.load), log=backend_log) as backend:
            for port in (ports.blue, ports.green):
                wait_until_answering(port, backend, backend_log)
            command = contestant.prepare(folder, ports, job)
            with running(command, core=words(layout.proxy), log=proxy_log) as pid:
                wait_until_answering(ports.proxy, pid, proxy_log, tls=job.tls, seconds=case.start_seconds)
                if contestant.name in gatekeeper.NAMES:
                    gatekeeper.begin(folder, job)
                _proved(case, contestant, ports)
                yield Stage(case, contestant, folder, ports, layout, pid, backend)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _proved(case: Case, contestant: Contestant, ports: Ports) -> None:
    if case.bulk is not None:
        check.bulk(contestant, ports)
    elif case.shape.body:
        check.posted(contestant, ports, case.shape)
    else:
        check.job(contestant, ports, case.job)


def run_once(case: Case, contestant: Contestant, seconds: float) -> Run:
    """Start, check, warm up, measure, stop. Raises BenchmarkError for a run with errors."""
    with staged(case, contestant) as stage:
        run = play(stage, seconds)
        if away := strayed(stage.pid, *stage.layout.proxy):
            raise BenchmarkError(f"{contestant.name}: processes {away} are not bound to {words(stage.layout.proxy)}")
        if contestant.name in gatekeeper.NAMES and case.job.judged and not gatekeeper.judged(stage.folder):
            raise BenchmarkError("gatekeeper: the judged release had ended, or its judge was told nothing")
        return run


def play(stage: Stage, seconds: float) -> Run:
    """The case's load for that long, on what runs. Raises BenchmarkError for a run with errors."""
    if stage.case.bulk is not None:
        return _bulk(stage, stage.case.bulk, seconds)
    return _windowed(stage, seconds) if stage.case.settle else _loaded(stage, seconds)


class Account:
    """CPU of the proxy and its cores from now on."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._rss = memory(stage.pid)
        self.begin()

    def begin(self) -> None:
        self._began = time.monotonic()
        self._cpu = cpu_seconds(self._stage.pid)
        shared = [self._stage.backend] if self._stage.layout.shared else []
        self._cores = Cores([self._stage.pid, *shared], self._stage.layout.proxy)

    def end(self, requests: int, seconds: float, **more: Any) -> Run:
        stage = self._stage
        took, cpu = time.monotonic() - self._began, cpu_seconds(stage.pid) - self._cpu
        busy, foreign = self._cores.looked()
        if not stage.layout.shared:
            # Only the proxy's own part makes it the bottleneck, and the harness is on another core.
            own = cpu / (took * len(stage.layout.proxy))
            busy, foreign = own, max(0.0, busy - own)
        return Run(
            stage.contestant.name, requests, seconds, cpu, busy, foreign,
            connections=fitting(stage.case.job.connections), rss=self._rss, shared=stage.layout.shared, **more,
        )  # fmt: skip


def _load_line(stage: Stage, seconds: float) -> list[str]:
    case = stage.case
    requests = heads.write(stage.folder, heads.requests(stage.ports, case.job, case.shape))
    many = fitting(case.job.connections)
    return wrk.command(stage.ports.proxy, seconds, requests, connections=many, tls=case.job.tls)


def _refuse_failures(stage: Stage, load: wrk.Load) -> None:
    if load.failed or not load.requests:
        raise BenchmarkError(f"{stage.contestant.name}: {load.failed} of {load.requests} requests failed ({load.how})")


def _loaded(stage: Stage, seconds: float) -> Run:
    cores = words(stage.layout.load)
    with wrk.loading(cores, _load_line(stage, WARM_UP_SECONDS), WARM_UP_SECONDS) as warming:
        warming.end()
    account = Account(stage)
    with wrk.loading(cores, _load_line(stage, seconds), seconds) as load:
        time.sleep(seconds / 2)
        rss, spread = memory(stage.pid), spread_of(stage)
        done = load.end()
        _refuse_failures(stage, done)
        return account.end(done.requests, done.seconds, p50=done.p50, p99=done.p99, rss_loaded=rss, spread=spread)


def _windowed(stage: Stage, seconds: float) -> Run:
    """A part of a load, after its connections were made; its requests are counted by the backends."""
    account, whole = Account(stage), stage.case.settle + seconds + 1
    with wrk.loading(words(stage.layout.load), _load_line(stage, whole), whole) as load:
        time.sleep(stage.case.settle)
        account.begin()
        began, before = time.monotonic(), counted(stage.ports.blue)
        time.sleep(seconds)
        took, after = time.monotonic() - began, counted(stage.ports.blue)
        run = account.end(max(1, after - before), took, rss_loaded=memory(stage.pid))
        done = load.end()
        _refuse_failures(stage, done)
        return run


def _bulk(stage: Stage, bulk: Bulk, seconds: float) -> Run:
    def carry(seconds: float) -> dict[str, Any]:
        command = [find("taskset"), "--cpu-list", words(stage.layout.load), sys.executable, "-m"]
        numbers = (bulk.size, bulk.connections, round(seconds))
        command += ["benchmarks.proxies.bulk", str(stage.ports.proxy), bulk.way, *map(str, numbers)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120, check=False)
        if done.returncode:
            raise BenchmarkError(f"the load of bodies failed:\n{done.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(done.stdout)
        if found["error"]:
            raise BenchmarkError(f"{stage.contestant.name}: {found['error']}")
        return found

    carry(0)
    account = Account(stage)
    found = carry(seconds)
    return account.end(found["bodies"], found["seconds"], size=found["size"], rss_loaded=memory(stage.pid))


def counted(port: int) -> int:
    """Requests that the backends have had, this one included (stub_status: the third number of its third line)."""
    text = ask(port, path="/count")[2].decode()
    return int(text.splitlines()[2].split()[2])


def spread_of(stage: Stage) -> list[int]:
    """Client connections of each process of the proxy, where it has several workers (proc(5), net/tcp)."""
    if stage.case.job.workers == 1:
        return []
    local = f"0100007F:{stage.ports.proxy:04X}"
    ours = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == local and fields[3] == "01":  # established
            ours.add(f"socket:[{fields[9]}]")
    found = []
    for member in family(stage.pid):
        with contextlib.suppress(OSError):
            held = 0
            for handle in Path(f"/proc/{member}/fd").iterdir():
                with contextlib.suppress(OSError):
                    held += str(handle.readlink()) in ours
            if held:
                found.append(held)
    return found
