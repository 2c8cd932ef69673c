"""Times at fixed rates, by an open loop, beside those of the same requests sent to a backend directly."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import BenchmarkError, Cores, cpu_seconds, find
from benchmarks.proxies import driver, heads
from benchmarks.proxies.cases import CASES, Case
from benchmarks.proxies.contestants import CONTESTANTS
from benchmarks.proxies.figures import Times
from benchmarks.proxies.measure import FOREIGN_LIMIT, LOAD_CORE, PROXY_CORE, Stage, staged

NAME = "latency"
TITLE = "Times at fixed rates, each counted from when the request was due"
RIVALS = ("direct", "nginx", "haproxy", "gatekeeper", "envoy", "caddy")
SETTERS = ("nginx", "gatekeeper")
"""The rates are parts of what the slower of these can do, so that both can be compared at each."""
SHARES = (0.25, 0.5, 0.7)
GATE_SHARE = 0.5
MOST_SHARE = 0.85
"""Nobody is asked for more than this part of what he can do: above it a queue is measured, not a proxy."""
LATE_P50, LATE_P99 = 0.0002, 0.002
"""What the driver may be late by itself. Above it, the times are the driver's as much as the proxy's."""
CONNECTIONS = 64
WARM_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Timed:
    """A contestant at a rate. Times in seconds; ``late`` are the driver's own; ``cpu`` per request."""

    contestant: str
    share: float
    rate: float
    answered: int
    cpu: float
    foreign: float
    took: dict[str, float] = field(default_factory=dict)
    late: dict[str, float] = field(default_factory=dict)


QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


def quantiles(times: Times) -> dict[str, float]:
    return {name: times.quantile(share) for name, share in QUANTILES.items()}


def doubt(timed: Timed) -> str:
    """Why it must not be believed; empty if it may."""
    if timed.foreign > FOREIGN_LIMIT:
        return f"other programs used {timed.foreign:.0%} of its core (allowed: {FOREIGN_LIMIT:.0%})"
    for name, limit in (("p50", LATE_P50), ("p99", LATE_P99)):
        if timed.late[name] > limit:
            return (
                f"the driver was late by {timed.late[name] * 1e6:.0f} us itself ({name}, allowed: {limit * 1e6:.0f}): "
                "the load was the bottleneck"
            )
    return ""


def driving(port: int, requests: Path, rate: float, seconds: float, every: float | None = None) -> list[str]:
    """The command line of the driver, on the load's core."""
    command = [find("taskset"), "--cpu-list", str(LOAD_CORE), sys.executable, "-m", "benchmarks.proxies.driver"]
    command += [str(port), str(requests), str(rate), str(seconds), "--connections", str(CONNECTIONS)]
    return [*command, "--every", str(every)] if every else command


def drive(port: int, requests: Path, rate: float, seconds: float) -> driver.Slice:
    """All of it as one slice. Raises BenchmarkError if anything failed."""
    done = subprocess.run(
        driving(port, requests, rate, seconds), capture_output=True, text=True, timeout=seconds + 60, check=False
    )
    if done.returncode:
        raise BenchmarkError(f"the driver failed:\n{done.stderr[-2000:]}")
    found = driver.said(done.stdout.splitlines()[-1])
    if found.failed:
        raise BenchmarkError(f"{found.failed} of {found.failed + found.answered} requests failed: {found.error}")
    return found


def _timed(stage: Stage, name: str, share: float, rate: float, seconds: float) -> Timed:
    port = stage.ports.blue if name == "direct" else stage.ports.proxy
    pid = stage.backend if name == "direct" else stage.pid
    requests = heads.write(stage.folder, heads.requests(stage.ports, stage.case.job, stage.case.shape))
    drive(port, requests, rate, WARM_SECONDS)
    cores, cpu = Cores([stage.pid], (PROXY_CORE,)), cpu_seconds(pid)
    found = drive(port, requests, rate, seconds)
    cpu, foreign = cpu_seconds(pid) - cpu, cores.foreign()
    took, late = quantiles(found.took), quantiles(found.late)
    return Timed(name, share, rate, found.answered, cpu / found.answered, foreign, took, late)


@dataclass(slots=True)
class Rates:
    """What each of those who take part can do at most, in requests a second, and so the rates."""

    most: dict[str, float]

    @property
    def saturating(self) -> float:
        return min(self.most.get(name, float("inf")) for name in SETTERS)

    def of(self, name: str) -> Iterator[tuple[float, float]]:
        """Shares, and rates, that ``name`` is asked for."""
        for share in SHARES:
            rate = share * self.saturating
            if name == "direct" or rate <= MOST_SHARE * self.most[name]:
                yield share, rate


def play(name: str, rates: Rates, seconds: float, case: Case = CASES["small"]) -> list[Timed]:
    """One contestant, started once, at all its rates. Raises BenchmarkError."""
    with staged(case, CONTESTANTS["nginx" if name == "direct" else name]) as stage:
        return [_timed(stage, name, share, rate, seconds) for share, rate in rates.of(name)]
