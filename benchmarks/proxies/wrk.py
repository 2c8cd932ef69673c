"""The closed loop: wrk, which takes as much as there is."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import BenchmarkError, Ports, find
from benchmarks.proxies import heads
from benchmarks.proxies.job import CONNECTIONS, Job

SCRIPT = Path(__file__).with_name("load.lua")
TIMEOUT = "20s"
"""Of one answer: ten thousand clients of a slow proxy wait for seconds."""
PATIENCE = 60.0
FAILURES = ("not_ok", "connect", "read", "write", "timeout")


@dataclass(frozen=True, slots=True)
class Load:
    """What it did; times in seconds.

    ``failed`` counts answers that were not 2xx or 3xx and errors of any connection, ``how`` says which.
    """

    requests: int
    seconds: float
    p50: float
    p99: float
    failed: int
    how: str = ""


def command(
    port: int, seconds: float, requests: Path, *, connections: int = CONNECTIONS, tls: bool = False
) -> list[str]:
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    options = ["-t1", f"-c{connections}", f"-d{round(seconds)}s", "--latency", "--timeout", TIMEOUT]
    return [find("wrk"), *options, "-s", str(SCRIPT), url, "--", str(requests)]


@contextlib.contextmanager
def usual_command(port: int, seconds: float) -> Iterator[list[str]]:
    """A load of 64 returning users, for harnesses that compare nothing; what it needs is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="gatekeeper-load-") as folder:
        requests = heads.write(Path(folder), heads.requests(Ports(1, 2, 3), Job(), heads.Shape()))
        yield command(port, seconds, requests)


def read(output: str) -> Load | None:
    """What load.lua said at its end."""
    for line in output.splitlines():
        if line.startswith("RESULT "):
            said = json.loads(line.removeprefix("RESULT "))
            return Load(
                requests=said["requests"],
                seconds=said["microseconds"] / 1e6,
                p50=said["p50_us"] / 1e6,
                p99=said["p99_us"] / 1e6,
                failed=sum(said[kind] for kind in FAILURES),
                how=", ".join(f"{kind.replace('_', ' ')}: {said[kind]}" for kind in FAILURES if said[kind]),
            )
    return None


class Running:
    """A load under way."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def end(self) -> Load:
        """Wait for its end. Raises BenchmarkError."""
        output, errors = self._process.communicate(timeout=PATIENCE + 60)
        found = read(output)
        if found is None:
            raise BenchmarkError(f"wrk gave no result (exit {self._process.returncode}):\n{output}{errors}")
        return found


@contextlib.contextmanager
def loading(cores: str, line: list[str], seconds: float) -> Iterator[Running]:
    """``line`` on ``cores``; killed at the end of the block if it still runs, and after ``seconds`` at the latest."""
    bounded = [find("timeout"), f"{seconds + PATIENCE:.0f}", find("taskset"), "--cpu-list", cores, *line]
    with subprocess.Popen(bounded, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Running(process)
        finally:
            process.kill()
