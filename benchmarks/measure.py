"""One run: one proxy, one load, what it cost; and whether that may be believed."""

import json
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants import BODY_BYTES, CONNECTIONS, Contestant, Ports, backends
from benchmarks.processes import (
    BenchmarkError,
    ask,
    core_busy_seconds,
    cpu_seconds,
    find,
    running,
    strayed,
    wait_until_answering,
)

PROXY_CORE = 0
LOAD_CORE = 1
WARM_UP_SECONDS = 1
SATURATED = 0.90
"""From here on the proxy's core counts as the bottleneck. Below, what wrk reports is the load's limit, not the proxy's:
throughput and latency then say nothing about the proxy."""
FOREIGN_LIMIT = 0.05
"""Share of the proxy's core that others may use during a run; caches and clock suffer from more than that."""
CHECK_REQUESTS = 64
"""Requests that check the job before it is measured. All on one version would happen once in 2**63 fair draws."""

LOAD_SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement. Times in seconds, ``busy`` and ``foreign`` as shares of the proxy's core."""

    contestant: str
    requests: int
    seconds: float
    cpu: float
    busy: float
    foreign: float
    p50: float
    p99: float

    @property
    def cpu_per_request(self) -> float:
        return self.cpu / self.requests

    @property
    def throughput(self) -> float:
        return self.requests / self.seconds

    @property
    def saturated(self) -> bool:
        return self.busy >= SATURATED


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk did. ``failed`` counts answers that were not 2xx or 3xx and errors of any connection."""

    requests: int
    seconds: float
    p50: float
    p99: float
    failed: int


def apply_load(port: int, seconds: int, users: int) -> Load:
    """Run wrk on the load's core: one thread, 64 connections, ``users`` taking turns. Raises BenchmarkError."""
    command = [find("taskset"), "--cpu-list", str(LOAD_CORE), find("wrk"), "-t1", f"-c{CONNECTIONS}"]
    command += [f"-d{seconds}s", "--latency", "-s", str(LOAD_SCRIPT), f"http://127.0.0.1:{port}", "--", str(users)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            said = json.loads(line.removeprefix("RESULT "))
            return Load(
                requests=said["requests"],
                seconds=said["microseconds"] / 1e6,
                p50=said["p50_us"] / 1e6,
                p99=said["p99_us"] / 1e6,
                failed=sum(said[kind] for kind in ("not_ok", "connect", "read", "write", "timeout")),
            )
    raise BenchmarkError(f"wrk gave no result (exit {done.returncode}):\n{done.stdout}{done.stderr}")


def check_job(contestant: Contestant, port: int) -> None:
    """Raise BenchmarkError unless the proxy does its job: whole bodies, both versions, users kept by their cookie."""
    seen = set()
    for _ in range(CHECK_REQUESTS):
        status, fields, body = ask(port)
        if status != 200 or len(body) != BODY_BYTES:
            raise BenchmarkError(
                f"{contestant.name} answered {status} with {len(body)} bytes, not 200 with {BODY_BYTES}"
            )
        version = fields["x-backend"]
        seen.add(version)
        if contestant.splits:
            cookie = fields.get("set-cookie", "").partition(";")[0]
            if not cookie:
                raise BenchmarkError(f"{contestant.name} gave a new user no cookie")
            again = ask(port, cookie)[1]["x-backend"]
            if again != version:
                raise BenchmarkError(f"{contestant.name} moved the user {cookie!r} from {version} to {again}")
    if contestant.splits and seen != {"blue", "green"}:
        raise BenchmarkError(f"{contestant.name} did not split: {CHECK_REQUESTS} new users all went to {seen}")


def run_once(contestant: Contestant, ports: Ports, seconds: int, users: int) -> Run:
    """Start backends and proxy, check, warm up, measure, stop. Raises BenchmarkError for a run not to be believed."""
    folder = Path(tempfile.mkdtemp(prefix="gatekeeper-bench-"))
    folder.chmod(0o755)  # nginx's worker drops to another user when started by root
    backend_log, proxy_log = folder / "backend.log", folder / "proxy.log"
    try:
        with running(backends(folder, ports), core=LOAD_CORE, log=backend_log) as backend_pid:
            for port in (ports.blue, ports.green):
                wait_until_answering(port, backend_pid, backend_log)
            with running(contestant.prepare(folder, ports), core=PROXY_CORE, log=proxy_log) as pid:
                wait_until_answering(ports.proxy, pid, proxy_log)
                check_job(contestant, ports.proxy)
                apply_load(ports.proxy, WARM_UP_SECONDS, users)
                return _measure(contestant, ports, pid, seconds, users)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(contestant: Contestant, ports: Ports, pid: int, seconds: int, users: int) -> Run:
    cpu, core, began = cpu_seconds(pid), core_busy_seconds(PROXY_CORE), time.monotonic()
    load = apply_load(ports.proxy, seconds, users)
    cpu, core, took = cpu_seconds(pid) - cpu, core_busy_seconds(PROXY_CORE) - core, time.monotonic() - began
    if load.failed:
        raise BenchmarkError(f"{contestant.name}: {load.failed} of {load.requests} requests failed")
    if away := strayed(pid, PROXY_CORE):
        raise BenchmarkError(f"{contestant.name}: processes {away} are not bound to core {PROXY_CORE}")
    return Run(
        contestant=contestant.name,
        requests=load.requests,
        seconds=load.seconds,
        cpu=cpu,
        busy=cpu / took,
        foreign=max(0.0, core - cpu) / took,
        p50=load.p50,
        p99=load.p99,
    )
