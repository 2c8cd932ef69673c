"""Large bodies through one worker, both ways, to readers slower than their senders: what the worker's memory does.

    python -m benchmarks.bodies [--gigabytes 10] [--rate 250] [--streams 4] [--crawlers 16] [--no-write]

Bodies of 64 KiB to 1 GiB, half of them chunked; each is checked against its checksum. Beside them crawlers take one
body of 1 GiB each at 4 KiB a second, so that buffers stay full. Exit 0 if every body arrived whole and the worker's
memory grew by less than 32 MiB, else 1.
"""

import argparse
import http.client
import itertools
import queue
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from benchmarks.body_backend import READ, Pace, checksum, pieces
from benchmarks.processes import BenchmarkError, Ports, cpu_seconds, family, free_ports, running, wait_until_answering
from benchmarks.proxies.contestants import CONTESTANTS
from benchmarks.proxies.measure import LOAD_CORE, PROXY_CORE

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SHARES = ((GIB, 0.5), (256 * MIB, 0.3), (16 * MIB, 0.15), (MIB, 0.04), (64 * KIB, 0.01))
"""Sizes of bodies, and their parts of all bytes."""
GROWTH_LIMIT = 32 * MIB
CRAWL_BYTES, CRAWL_SECONDS = 4 * KIB, 1.0
SAMPLE_SECONDS = 0.05
PATIENCE = 60.0
WORKER = b"gatekeeper.dataplane.worker"


def plan(total: int) -> list[int]:
    """Sizes of bodies that are ``total`` bytes together, roughly, the large ones spread among the small ones.

    No body is more than half of all.
    """
    fitting = [(size, share) for size, share in SHARES if size <= total / 2]
    whole = sum(share for _, share in fitting)
    counts = [(size, max(1, round(total * share / whole / size))) for size, share in fitting]
    places = ((index / count, size) for size, count in counts for index in range(count))
    return [size for _, size in sorted(places)]


@dataclass(frozen=True, slots=True)
class Carried:
    """One direction. Bytes, seconds; ``rss`` and ``pss`` are the worker's before, the peaks the most during it."""

    direction: str
    bodies: int
    size: int
    seconds: float
    cpu: float
    rss: int
    rss_peak: int
    pss: int
    pss_peak: int

    @property
    def growth(self) -> int:
        return max(self.rss_peak - self.rss, self.pss_peak - self.pss)


class Watch(threading.Thread):
    """Looks at a process's memory all the time. ``rss`` and ``pss`` are the most it saw, in bytes (proc(5))."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._folder = Path(f"/proc/{pid}")
        self._ended = threading.Event()
        self.rss = self.pss = 0
        self.look()

    def look(self) -> None:
        for line in (self._folder / "smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "Rss":
                self.rss = max(self.rss, int(value.split()[0]) * KIB)
            elif name == "Pss":
                self.pss = max(self.pss, int(value.split()[0]) * KIB)

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.look()

    def stop(self) -> None:
        self._ended.set()
        self.join()
        self.look()


def download(connection: http.client.HTTPConnection, size: int, rate: float, *, chunked: bool) -> None:
    connection.request("GET", f"/{size}?chunked" if chunked else f"/{size}")
    response = connection.getresponse()
    buffer, pace = memoryview(bytearray(READ)), Pace(rate)
    came = found = 0
    while read := response.readinto(buffer):
        came += read
        found = zlib.crc32(buffer[:read], found)
        pace.took(read)
    if (response.status, came, found) != (200, size, checksum(size)):
        raise BenchmarkError(f"a body of {size} bytes arrived as {response.status} with {came}, checksum {found}")


def upload(connection: http.client.HTTPConnection, size: int, rate: float, *, chunked: bool) -> None:
    fields = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(size)}
    connection.request("POST", f"/?rate={rate:.0f}", body=pieces(size), headers=fields, encode_chunked=chunked)
    response = connection.getresponse()
    answer = response.read().decode()
    if (response.status, answer) != (200, f"{size} {checksum(size)}"):
        raise BenchmarkError(f"a body of {size} bytes was answered {response.status}, {answer[:200]}")


WAYS = {"down": download, "up": upload}


@contextmanager
def crawlers(port: int, direction: str, count: int) -> Iterator[None]:
    """``count`` bodies of 1 GiB under way to readers that take 4 KiB a second. None of them gets far."""
    ended = threading.Event()
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]
        for client in clients:
            if direction == "down":
                client.sendall(b"GET /%d HTTP/1.1\r\nHost: a.test\r\n\r\n" % GIB)
            else:
                rate = round(CRAWL_BYTES / CRAWL_SECONDS)
                client.sendall(b"POST /?rate=%d HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n" % (rate, GIB))
            client.setblocking(False)
            # With a reset: an end would wait behind what was sent, until somebody reads that.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        def crawl() -> None:
            block = bytes(MIB)
            while not ended.wait(CRAWL_SECONDS):
                for client in clients:
                    try:
                        if direction == "down":
                            client.recv(CRAWL_BYTES)
                        else:
                            client.send(block)  # as much as there is room for: it is the backend that crawls
                    except BlockingIOError:
                        continue

        thread = threading.Thread(target=crawl, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def carry(direction: str, port: int, pid: int, total: int, *, rate: float, streams: int, crawling: int) -> Carried:
    """Carry ``total`` bytes one way (``down``: to clients) through the worker ``pid``.

    ``rate`` is what all readers together take, bytes a second. Raises BenchmarkError if a body does not arrive whole.
    """
    sizes = plan(total)
    for size in set(sizes):
        checksum(size)  # before the clock runs
    todo: queue.SimpleQueue[tuple[int, bool]] = queue.SimpleQueue()
    for size, chunked in zip(sizes, itertools.cycle((False, True, True, False))):  # a cycle has no end
        todo.put((size, chunked))
    problems: list[Exception] = []

    def stream() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            while not problems:
                size, chunked = todo.get_nowait()
                WAYS[direction](connection, size, rate / streams, chunked=chunked)
        except queue.Empty:
            pass
        except (BenchmarkError, OSError, http.client.HTTPException) as problem:
            problems.append(problem)
        finally:
            connection.close()

    watch = Watch(pid)
    rss, pss, cpu = watch.rss, watch.pss, cpu_seconds(pid)
    watch.start()
    try:
        with crawlers(port, direction, crawling):
            began = time.monotonic()
            threads = [threading.Thread(target=stream) for _ in range(streams)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds, cpu = time.monotonic() - began, cpu_seconds(pid) - cpu
    finally:
        watch.stop()
    if problems:
        raise BenchmarkError(f"{direction}: {problems[0]!r}")
    return Carried(direction, len(sizes), sum(sizes), seconds, cpu, rss, watch.rss, pss, watch.pss)


def worker_of(pid: int) -> int:
    """The one worker of the gatekeeper ``pid``."""
    (found,) = (each for each in family(pid) if WORKER in Path(f"/proc/{each}/cmdline").read_bytes())
    return found


def run(total: int, *, rate: float, streams: int, crawling: int) -> list[Carried]:
    """Start gatekeeper and a backend, carry ``total`` bytes each way. Raises BenchmarkError."""
    ports: Ports = free_ports()
    folder = Path(tempfile.mkdtemp(prefix="gatekeeper-bodies-"))
    backend_log, proxy_log = folder / "backend.log", folder / "proxy.log"
    try:
        with ExitStack() as stack:
            for port in (ports.blue, ports.green):
                backend = [sys.executable, "-m", "benchmarks.body_backend", str(port)]
                pid = stack.enter_context(running(backend, core=LOAD_CORE, log=backend_log))
                wait_until_answering(port, pid, backend_log)
            proxy = CONTESTANTS["gatekeeper"].prepare(folder, ports)
            pid = stack.enter_context(running(proxy, core=PROXY_CORE, log=proxy_log))
            wait_until_answering(ports.proxy, pid, proxy_log)
            worker = worker_of(pid)
            options = {"rate": rate, "streams": streams, "crawling": crawling}
            return [carry(way, ports.proxy, worker, total, **options) for way in WAYS]  # type: ignore[arg-type]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def markdown(results: Sequence[Carried], about: dict[str, str]) -> str:
    out = [
        "| direction | bodies | bytes | time | throughput | CPU per GB | RSS before, peak | PSS before, peak | grown |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in results:
        rss, pss = (
            f"{before / MIB:.1f}, {most / MIB:.1f} MiB"
            for before, most in ((each.rss, each.rss_peak), (each.pss, each.pss_peak))
        )
        cells = [
            {"down": "to clients", "up": "to backends"}[each.direction],
            f"{each.bodies:,}",
            f"{each.size / 1e9:.2f} GB",
            f"{each.seconds:.1f} s",
            f"{each.size / each.seconds / 1e6:,.0f} MB/s",
            f"{each.cpu / each.size * 1e9:.2f} s",
            *(rss, pss, f"{each.growth / MIB:.1f} MiB"),
        ]
        out.append(f"| {' | '.join(cells)} |")
    most = max(each.growth for each in results)
    verdict = "reached" if most < GROWTH_LIMIT else "missed"
    out += ["", f"Target: a worker grows by less than {GROWTH_LIMIT // MIB} MiB: {most / MIB:.1f}, {verdict}."]
    out += ["", "; ".join(f"{name} {value}" for name, value in about.items()) + "."]
    return "\n".join(out) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.bodies", description=__doc__.partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=10, help="bytes in each direction, 1e9 (default 10)")
    parser.add_argument(
        "--rate", type=float, default=250, help="what all readers together take, 1e6 bytes/s, 0: no limit"
    )
    parser.add_argument("--streams", type=int, default=4, help="bodies under way at one time (default 4)")
    parser.add_argument("--crawlers", type=int, default=16, help="readers at 4 KiB/s beside them (default 16)")
    parser.add_argument("--no-write", action="store_true", help="print only; leave benchmarks/results alone")
    options = parser.parse_args(arguments)
    if options.gigabytes < 0.001 or options.rate < 0 or options.streams < 1 or options.crawlers < 0:
        parser.error("--gigabytes starts at 0.001, --streams at 1, --rate and --crawlers at 0")
    about = machine.heading()
    about |= {"rate": f"{options.rate:g} MB/s", "streams": str(options.streams), "crawlers": str(options.crawlers)}
    try:
        results = run(
            round(options.gigabytes * 1e9),
            rate=options.rate * 1e6,
            streams=options.streams,
            crawling=options.crawlers,
        )
    except BenchmarkError as problem:
        print(f"refused: {problem}", file=sys.stderr)
        return 1
    table = markdown(results, about)
    print(table)
    if not options.no_write:
        machine.keep("bodies", table, about)
    return int(max(each.growth for each in results) >= GROWTH_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
