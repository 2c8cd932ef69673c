"""How long an operator waits for a change while two workers are under full load, and what requests notice of it.

    python -m benchmarks.changes [--rounds 5] [--seconds 8] [--attempts 3] [--no-write]

A round is three times the same load: without changes, with changes one after the other, and with changes on a disk that
takes a quarter of a second longer for each. Backends, load, workers, supervisor and whoever asks for the changes share
all cores. Exit 0 if the p99 of the reply is within 25 ms (median over the rounds), else 1.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks import machine
from benchmarks.asking import Operator, changing
from benchmarks.processes import BenchmarkError, Cores, Ports, free_ports, running, wait_until_answering
from benchmarks.proxies.contestants import CONTESTANTS, two_versions
from benchmarks.proxies.wrk import usual_command

WORKERS = 2
LIMIT = 0.025
"""Seconds: what the p99 of the reply may be."""
WARM_SECONDS = 1.0
FOREIGN_LIMIT = 0.05
"""Share of the cores that others may use: who waits for a core that somebody else has is not measuring us."""
DISK_LIMIT = 0.005
"""Seconds that nine of ten writes may take on the disk alone: one that others write to is as little to be believed."""
DISK_BYTES, DISK_WRITES = 45_000, 100
"""What a change writes: ten pages of SQLite, and their frames."""
PAUSE_SECONDS = 5.0
"""Before a round in doubt is tried again."""
SLOW_DISK = 0.25
STEPS = ("asked", "came", "decided", "stored", "taken", "done", "answered")
"""Moments of a change, in order: two of the client, and between them those of ``timed_serve``."""
PARTS = ("way in", "decide", "store", "take up", "settle", "way out")
"""What lies between them."""


@dataclass(frozen=True, slots=True)
class Requests:
    """What wrk saw; times in seconds."""

    rate: float
    p50: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class Round:
    """``changes`` holds the moments of each change (STEPS, seconds) of the second load.

    ``foreign`` is the share of all cores' time that others used in the round, ``disk`` what the disk alone took for
    writes like those of a change (seconds), just before and after.
    """

    calm: Requests
    changed: Requests
    slow_disk: Requests
    changes: list[list[float]]
    foreign: float
    disk: list[float]

    def reply(self, share: float) -> float:
        return quantile([each[-1] - each[0] for each in self.changes], share)

    def part(self, index: int, share: float) -> float:
        return quantile([each[index + 1] - each[index] for each in self.changes], share)


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@contextlib.contextmanager
def load(port: int, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """The load for this long, on whichever core the kernel likes."""
    with usual_command(port, seconds) as command, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
        try:
            yield wrk
        finally:
            wrk.kill()


def seen(wrk: subprocess.Popen[str]) -> Requests:
    """What wrk says at its end. Raises BenchmarkError when a request failed: then there is nothing to compare."""
    text, _ = wrk.communicate(timeout=60)
    for line in text.splitlines():
        if line.startswith("RESULT "):
            said = json.loads(line.removeprefix("RESULT "))
            if failed := sum(said[kind] for kind in ("not_ok", "connect", "read", "write", "timeout")):
                raise BenchmarkError(f"{failed} of {said['requests']} requests failed")
            times = (said[name] / 1e6 for name in ("p50_us", "p99_us", "most_us"))
            return Requests(said["requests"] / said["microseconds"] * 1e6, *times)
    raise BenchmarkError(f"wrk gave no result:\n{text}")


def moments(asked: Sequence[tuple[float, float, int]], marks: Path) -> list[list[float]]:
    """Each change's STEPS. Raises BenchmarkError when they are not in order: then the clocks or the marks are wrong."""
    by_revision = {line["revision"]: line for line in map(json.loads, marks.read_text().splitlines())}
    found = []
    for sent, received, revision in asked:
        inside = by_revision[revision]
        steps = [sent, *(inside[name] for name in STEPS[1:-1]), received]
        if any(later < earlier for earlier, later in pairwise(steps)):
            raise BenchmarkError(f"the moments of revision {revision} are out of order: {steps}")
        found.append(steps)
    return found


def disk_alone(folder: Path) -> list[float]:
    """Seconds that each of some writes took, down to the disk, into a file that has its size already."""
    path, content, took = folder / "probe", os.urandom(DISK_BYTES), []
    path.write_bytes(content)
    with path.open("r+b", buffering=0) as file:
        os.fsync(file.fileno())
        for _ in range(DISK_WRITES):
            file.seek(0)
            began = time.monotonic()
            file.write(content)
            os.fdatasync(file.fileno())
            took.append(time.monotonic() - began)
    return took


def play_round(port: int, folder: Path, operator: Operator, seconds: float, pids: Sequence[int]) -> Round:
    disk, cores = disk_alone(folder), Cores(pids)
    with load(port, seconds) as wrk:
        calm = seen(wrk)
    with load(port, seconds) as wrk:
        asked = changing(operator, seconds - 0.5)
        changed = seen(wrk)
    with load(port, seconds) as wrk:
        (folder / "slow").write_text(str(SLOW_DISK))
        changing(operator, seconds - 0.5)
        (folder / "slow").unlink()
        slow_disk = seen(wrk)
    foreign = cores.foreign()
    return Round(calm, changed, slow_disk, moments(asked, folder / "marks"), foreign, disk + disk_alone(folder))


def doubt(one: Round) -> str:
    """Why a round must not be believed; empty if it may."""
    if one.foreign > FOREIGN_LIMIT:
        return f"others used {one.foreign:.0%} of the cores (allowed: {FOREIGN_LIMIT:.0%})"
    if (took := quantile(one.disk, 0.9)) > DISK_LIMIT:
        return f"the disk alone took {took * 1e3:.0f} ms for a write like a change's (allowed: {DISK_LIMIT * 1e3:g} ms)"
    return ""


def believable(attempts: int, one: Callable[[], Round]) -> Round:
    """A round without doubts. Raises BenchmarkError with the last one after ``attempts`` tries."""
    why = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        found = one()
        why = doubt(found)
        if not why:
            return found
        print(f"  {why}", file=sys.stderr, flush=True)
    raise BenchmarkError(f"{why}. Quiet the machine.")


def play(rounds: int, seconds: float, attempts: int) -> list[Round]:
    """Start gatekeeper and its backends, measure. Raises BenchmarkError."""
    ports: Ports = free_ports()
    folder = Path(tempfile.mkdtemp(prefix="gatekeeper-changes-"))
    folder.chmod(0o755)  # nginx's worker drops to another user when started by root
    backend_log, proxy_log = folder / "backend.log", folder / "proxy.log"
    played = []
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    try:
        with running(two_versions(folder, ports), core=cores, log=backend_log) as backend:
            for port in (ports.blue, ports.green):
                wait_until_answering(port, backend, backend_log)
            with running(_gatekeeper(folder, ports), core=cores, log=proxy_log) as pid:
                wait_until_answering(ports.proxy, pid, proxy_log)
                with contextlib.closing(Operator(folder / "admin.sock", WORKERS)) as operator:
                    with load(ports.proxy, WARM_SECONDS) as wrk:
                        changing(operator, WARM_SECONDS)
                        seen(wrk)
                    for number in range(rounds):
                        one = believable(
                            attempts, lambda: play_round(ports.proxy, folder, operator, seconds, [backend, pid])
                        )
                        played.append(one)
                        print(
                            f"  {number + 1}/{rounds} {len(one.changes)} changes, reply p50 {one.reply(0.5) * 1e3:.1f} "
                            f"p99 {one.reply(0.99) * 1e3:.1f} ms, others {one.foreign:.0%}",
                            file=sys.stderr,
                            flush=True,
                        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return played


def _gatekeeper(folder: Path, ports: Ports) -> list[str]:
    """The same as in the other measurements, but with two workers and its writer watched."""
    CONTESTANTS["gatekeeper"].prepare(folder, ports)
    path = folder / "gatekeeper.yaml"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"workers": WORKERS}))
    return [sys.executable, "-m", "benchmarks.timed_serve", str(folder / "marks"), str(folder / "slow"), str(path)]


def markdown(played: Sequence[Round], about: dict[str, str]) -> str:
    """Medians over the rounds, the target, and the machine."""
    out = ["| of a change | p50 | p90 | p99 |", "|---|---:|---:|---:|"]
    shares = (0.5, 0.9, 0.99)
    for index, name in enumerate(PARTS):
        out.append(_row(name, [median(each.part(index, share) for each in played) for share in shares]))
    out.append(_row("**reply**", [median(each.reply(share) for each in played) for share in shares]))
    alone = [median(quantile(each.disk, share) for each in played) for share in shares]
    out.append(_row("the disk alone, without load", alone))
    out += ["", "| requests meanwhile | a second | p50 | p99 | most |", "|---|---:|---:|---:|---:|"]
    for name, field in (
        ("without changes", "calm"),
        ("with changes", "changed"),
        (f"with changes, each {SLOW_DISK:g} s longer on the disk", "slow_disk"),
    ):
        runs: list[Requests] = [getattr(each, field) for each in played]
        times = [median(getattr(run, column) for run in runs) for column in ("p50", "p99", "most")]
        out.append(_row(f"{name} | {median(run.rate for run in runs):,.0f}", times))
    reached = median(each.reply(0.99) for each in played)
    verdict = "reached" if reached <= LIMIT else "missed"
    changes = sum(len(each.changes) for each in played)
    median_of = f"median of {len(played)} rounds, {changes:,} changes"
    out += [
        "",
        f"Target: reply p99 at most {LIMIT * 1e3:g} ms: {reached * 1e3:.1f} ms ({median_of}), {verdict}.",
        "",
        "; ".join(f"{name} {value}" for name, value in about.items()) + ".",
    ]
    return "\n".join(out) + "\n"


def _row(name: str, seconds: Sequence[float]) -> str:
    return f"| {' | '.join([name, *(f'{value * 1e3:.2f} ms' for value in seconds)])} |"


def as_json(played: Sequence[Round], about: dict[str, str]) -> str:
    """Every single change, its steps as seconds since it was asked."""
    rounds = [
        asdict(one) | {"changes": [[round(step - each[0], 6) for step in each] for each in one.changes]}
        for one in played
    ]
    return json.dumps({"about": about, "steps": STEPS, "rounds": rounds}) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.changes", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of the three loads (default 5)")
    parser.add_argument("--seconds", type=float, default=8, help="length of one load (default 8)")
    parser.add_argument("--attempts", type=int, default=3, help="tries of a round that is in doubt (default 3)")
    parser.add_argument("--no-write", action="store_true", help="print only; leave benchmarks/results alone")
    options = parser.parse_args(arguments)
    if min(options.rounds, options.attempts) < 1 or options.seconds < 2:
        parser.error("--rounds and --attempts start at 1, --seconds at 2")
    about = machine.heading() | {"nginx": machine.describe(["nginx"])["nginx"], "workers": str(WORKERS)}
    try:
        played = play(options.rounds, options.seconds, options.attempts)
    except BenchmarkError as problem:
        print(f"refused: {problem}", file=sys.stderr)
        return 1
    table = markdown(played, about)
    print(table)
    if not options.no_write:
        machine.keep("changes", table, about, as_json(played, about))
    return int(median(each.reply(0.99) for each in played) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
