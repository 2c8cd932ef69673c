"""What thousands of slow-loris connections cost those who behave: the p99 of normal requests, calm and under attack.

    python -m benchmarks.slowloris [--connections 5000] [--rounds 3] [--seconds 12] [--rate 300] [--no-write]

gatekeeper has one worker and its default timeouts. A round is a calm measurement, the same under attack, and a calm
one again. The attack keeps its number of connections up all the time: for each that is ended it opens a new one. Exit 0
if the p99 under attack is within twice the calm one (medians over the rounds) and every slow connection was ended
within the header timeout, else 1.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import uvloop

from benchmarks import machine
from benchmarks.dripper import Tally
from benchmarks.processes import BenchmarkError, Ports, cpu_seconds, find, free_ports, running, wait_until_answering
from benchmarks.proxies.contestants import CONTESTANTS, two_versions
from benchmarks.proxies.measure import LOAD_CORE, PROXY_CORE

HEAD_SECONDS = 10.0
"""``timeouts.request_head`` where the file says nothing."""
LATE_SECONDS = 1.0
"""What an end may be later than that: a sweep, and the time of those who end together."""
FACTOR = 2.0
VISITORS = 16
PATIENCE = 30.0
REQUEST = b"GET / HTTP/1.1\r\nHost: shop.example.com\r\nCookie: gatekeeper-shop=0123456789abcdef\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Visits:
    """Requests at a steady rate: seconds each took since it was due, sorted; ``cpu`` is the proxy's, as a share."""

    took: list[float]
    cpu: float

    def quantile(self, share: float) -> float:
        return self.took[min(len(self.took) - 1, int(len(self.took) * share))]


@dataclass(frozen=True, slots=True)
class Round:
    calm: list[Visits]
    attacked: Visits
    slow: Tally

    @property
    def calm_p99(self) -> float:
        """The better of the two: what disturbs the machine must not look like calm."""
        return min(visits.quantile(0.99) for visits in self.calm)

    @property
    def factor(self) -> float:
        return self.attacked.quantile(0.99) / self.calm_p99


async def _visit(port: int, began: float, rate: float, first: int, count: int, took: list[float]) -> None:
    """Every VISITORS-th request from ``first``. One that has to wait for the one before it is late all the same."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(first, count, VISITORS):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise BenchmarkError(f"a normal request was answered {head[:60]!r}")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        await reader.readexactly(int(length))
        took.append(time.monotonic() - due)
    writer.close()


async def visit(port: int, seconds: float, rate: float) -> list[float]:
    """Seconds each request took. Raises BenchmarkError if one is not answered 200."""
    took: list[float] = []
    count, began = int(seconds * rate), time.monotonic() + 0.1
    async with asyncio.timeout(seconds + PATIENCE), asyncio.TaskGroup() as tasks:
        for first in range(VISITORS):
            tasks.create_task(_visit(port, began, rate, first, count, took))
    return sorted(took)


def visits(port: int, pid: int, seconds: float, rate: float) -> Visits:
    cpu, began = cpu_seconds(pid), time.monotonic()
    took = uvloop.run(visit(port, seconds, rate))
    return Visits(took, (cpu_seconds(pid) - cpu) / (time.monotonic() - began))


def attack(port: int, pid: int, connections: int, seconds: float, rate: float) -> tuple[Visits, Tally]:
    """Normal requests during an attack, and what became of the slow connections."""
    command = [find("taskset"), "--cpu-list", str(LOAD_CORE), sys.executable, "-m", "benchmarks.dripper"]
    command += [str(port), str(connections), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dripper:
        try:
            if dripper.stdout is None or dripper.stdout.readline() != "full\n":
                raise BenchmarkError(f"{connections} connections were not opened; is `ulimit -n` above that?")
            measured = visits(port, pid, seconds, rate)
            said = dripper.communicate(timeout=seconds + 2 * PATIENCE)[0]
        finally:
            dripper.kill()
    return measured, Tally(**json.loads(said))


def play(connections: int, rounds: int, seconds: float, rate: float) -> list[Round]:
    """Start gatekeeper and its backends, measure. Raises BenchmarkError."""
    ports: Ports = free_ports()
    folder = Path(tempfile.mkdtemp(prefix="gatekeeper-loris-"))
    folder.chmod(0o755)  # nginx's worker drops to another user when started by root
    backend_log, proxy_log = folder / "backend.log", folder / "proxy.log"
    played = []
    try:
        with running(two_versions(folder, ports), core=LOAD_CORE, log=backend_log) as backend:
            for port in (ports.blue, ports.green):
                wait_until_answering(port, backend, backend_log)
            proxy = CONTESTANTS["gatekeeper"].prepare(folder, ports)
            with running(proxy, core=PROXY_CORE, log=proxy_log) as pid:
                wait_until_answering(ports.proxy, pid, proxy_log)
                visits(ports.proxy, pid, 1.0, rate)  # warm
                for number in range(rounds):
                    before = visits(ports.proxy, pid, seconds, rate)
                    attacked, said = attack(ports.proxy, pid, connections, seconds, rate)
                    after = visits(ports.proxy, pid, seconds, rate)
                    one = Round([before, after], attacked, said)
                    played.append(one)
                    print(
                        f"  {number + 1}/{rounds} p99 calm {one.calm_p99 * 1e3:.2f} ms, "
                        f"attacked {one.attacked.quantile(0.99) * 1e3:.2f} ms",
                        file=sys.stderr,
                        flush=True,
                    )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return played


def ended_in_time(played: Sequence[Round]) -> bool:
    return all(not each.slow.under_way and each.slow.longest < HEAD_SECONDS + LATE_SECONDS for each in played)


def markdown(played: Sequence[Round], connections: int, about: dict[str, str]) -> str:
    out = [
        f"| round | requests | p50 | p99 | worst | proxy's core | {connections:,} slow at a time | longest |",
        "|---|---:|---:|---:|---:|---:|---|---:|",
    ]
    for number, each in enumerate(played, 1):
        for name, found in (("calm", each.calm[0]), ("attacked", each.attacked), ("calm again", each.calm[1])):
            times = [f"{found.quantile(share) * 1e3:.2f} ms" for share in (0.5, 0.99, 1.0)]
            ends = ", ".join(f"{status}: {count:,}" for status, count in sorted(each.slow.ends.items()))
            slow = [f"{each.slow.opened:,} opened; {ends}", f"{each.slow.longest:.1f} s"]
            slow = slow if found is each.attacked else ["", ""]
            cells = [f"{number} {name}", f"{len(found.took):,}", *times, f"{found.cpu:.0%}", *slow]
            out.append(f"| {' | '.join(cells)} |")
    factor = median(each.factor for each in played)
    verdict = "reached" if factor <= FACTOR else "missed"
    gone = "reached" if ended_in_time(played) else "missed"
    longest = max(each.slow.longest for each in played)
    out += [
        "",
        f"Target: p99 under attack at most {FACTOR:g} times the calm one: {factor:.2f} (median of rounds), {verdict}.",
        "",
        f"Target: slow connections end within the header timeout ({HEAD_SECONDS:g} s): {longest:.1f} s, {gone}.",
        "",
        "; ".join(f"{name} {value}" for name, value in about.items()) + ".",
    ]
    return "\n".join(out) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.slowloris", description=__doc__.partition("\n")[0])
    parser.add_argument("--connections", type=int, default=5000, help="slow connections at a time (default 5000)")
    parser.add_argument("--rounds", type=int, default=3, help="calm, attacked, calm again (default 3 times)")
    parser.add_argument("--seconds", type=float, default=12, help="length of one measurement (default 12)")
    parser.add_argument("--rate", type=float, default=300, help="normal requests a second (default 300)")
    parser.add_argument("--no-write", action="store_true", help="print only; leave benchmarks/results alone")
    options = parser.parse_args(arguments)
    if min(options.connections, options.rounds, options.seconds, options.rate) < 1:
        parser.error("--connections, --rounds, --seconds and --rate start at 1")
    if not {PROXY_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        print(f"refused: cores {PROXY_CORE} (proxy) and {LOAD_CORE} (load) are needed", file=sys.stderr)
        return 1
    os.sched_setaffinity(0, {LOAD_CORE})
    about = machine.heading() | {"requests": f"{options.rate:g} a second"}
    try:
        played = play(options.connections, options.rounds, options.seconds, options.rate)
    except BenchmarkError as problem:
        print(f"refused: {problem}", file=sys.stderr)
        return 1
    table = markdown(played, options.connections, about)
    print(table)
    if not options.no_write:
        machine.keep("slowloris", table, about)
    return int(median(each.factor for each in played) > FACTOR or not ended_in_time(played))


if __name__ == "__main__":
    sys.exit(main())
