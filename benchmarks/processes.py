"""Programs on a core of their own, and what they cost by the kernel's own accounts (proc(5))."""

import contextlib
import os
import random
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
SBIN = "/usr/local/sbin:/usr/sbin"
START_SECONDS = 15.0
STOP_SECONDS = 10.0
ASK_SECONDS = 5.0


class BenchmarkError(Exception):
    """A measurement that cannot be made, or that must not be believed. The text names the cause and the way out."""


@dataclass(frozen=True, slots=True)
class Ports:
    blue: int
    green: int
    proxy: int


def free_port() -> int:
    """A port of 127.0.0.1 below the ephemeral range, which the load's own connections use. Raises BenchmarkError."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as candidate, contextlib.suppress(OSError):
            candidate.bind(("127.0.0.1", port))
            return port
    raise BenchmarkError("no free port among 100 tried between 20000 and 32000")


def free_ports() -> Ports:
    """Three different ones. Raises BenchmarkError."""
    found: list[int] = []
    while len(found) < 3:  # with two found, one in 6,000 is drawn again
        port = free_port()
        if port not in found:
            found.append(port)
    return Ports(*found)


def find(program: str) -> str:
    """The full path of ``program``. Raises BenchmarkError with the way to install it."""
    path = shutil.which(program, path=os.environ.get("PATH", os.defpath) + os.pathsep + SBIN)
    if path is None:
        raise BenchmarkError(f"{program} is not installed (Debian: apt-get install {program})")
    return path


def family(pid: int) -> list[int]:
    """``pid`` and all its living descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found.extend(int(child) for child in task.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time, user and system, of ``pid``, its living descendants, and those of their children they waited for.

    The kernel counts in ticks (10 ms), which is 0.3 % of a run of three seconds; the sum itself is exact, since it
    scales ticks to the scheduler's nanoseconds.
    """
    ticks = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            # The program's name, in brackets, may contain anything: count fields from behind it.
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(") ")[2].split()
            ticks += sum(int(value) for value in fields[11:15])  # utime stime cutime cstime
    return ticks / TICK


def memory(pid: int) -> int:
    """Bytes of ``pid`` and its living descendants together; what several share counts once (PSS, proc(5))."""
    total = 0
    for member in family(pid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{member}/smaps_rollup").read_text().partition("\nPss:")[2].split()[0])
    return total * 1024


def core_busy_seconds(core: int) -> float:
    """CPU time all programs together have used on ``core`` since boot, with interrupts."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *values = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq = (int(value) for value in values[:7])
            return (user + nice + system + irq + softirq) / TICK
    raise BenchmarkError(f"core {core} does not exist: two cores are needed, one for the proxy and one for the load")


class Cores:
    """What the cores did since it was made, and how much of it was neither ours nor of ``pids`` and their families."""

    def __init__(self, pids: Sequence[int], cores: Sequence[int] | None = None) -> None:
        """``cores``: all that this process may use, unless others are meant."""
        self._pids = pids
        self._cores = sorted(os.sched_getaffinity(0)) if cores is None else list(cores)
        self._began = self._now()

    def _now(self) -> tuple[float, float, float]:
        own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        ours = sum(usage.ru_utime + usage.ru_stime for usage in own) + sum(map(cpu_seconds, self._pids))
        return time.monotonic(), sum(map(core_busy_seconds, self._cores)), ours

    def looked(self) -> tuple[float, float]:
        """How busy they were, and how much of that was others', as shares of all cores' time."""
        took, busy, ours = (now - then for now, then in zip(self._now(), self._began, strict=True))
        whole = took * len(self._cores)
        return busy / whole, max(0.0, busy - ours) / whole

    def foreign(self) -> float:
        """As a share of all cores' time."""
        return self.looked()[1]


def strayed(pid: int, *cores: int) -> list[int]:
    """Members of the family of ``pid`` that may run elsewhere than on ``cores``."""
    away = []
    for member in family(pid):
        with contextlib.suppress(ProcessLookupError):
            if os.sched_getaffinity(member) != set(cores):
                away.append(member)
    return away


@contextlib.contextmanager
def running(command: Sequence[str], *, core: int | str, log: Path) -> Iterator[int]:
    """Run ``command`` on ``core`` (or several, in taskset's words) alone; its output goes to ``log``.

    Yields its pid, ends it and its children after.
    """
    with log.open("ab") as output:
        # taskset becomes the program it starts, so the pid is the program's own.
        process = subprocess.Popen(
            [find("taskset"), "--cpu-list", str(core), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        members = family(process.pid)
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"{command[0]} did not stop within {STOP_SECONDS:.0f} s: killed\n")
            for member in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member, signal.SIGKILL)
            process.wait()


def ask(
    port: int,
    cookie: str = "",
    *,
    path: str = "/",
    fields: Mapping[str, str] | None = None,
    body: bytes | None = None,
    tls: bool = False,
) -> tuple[int, dict[str, str], bytes]:
    """One GET, or a POST of ``body``: status, fields (names in lower case), body. Raises OSError or HTTPException."""
    sent = {"Host": "shop.example.com", **({"Cookie": cookie} if cookie else {}), **(fields or {})}
    if tls:
        trusting = ssl._create_unverified_context()  # noqa: S323 - the certificate was made a moment ago, on this machine
        connection: HTTPConnection = HTTPSConnection("127.0.0.1", port, timeout=ASK_SECONDS, context=trusting)
    else:
        connection = HTTPConnection("127.0.0.1", port, timeout=ASK_SECONDS)
    try:
        connection.request("GET" if body is None else "POST", path, body=body, headers=sent)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def wait_until_answering(port: int, pid: int, log: Path, *, tls: bool = False, seconds: float = START_SECONDS) -> None:
    """Return when ``port`` answers 200. Raises BenchmarkError with the end of ``log`` if it never does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, HTTPException):
            if ask(port, tls=tls)[0] == 200:
                return
        if not Path(f"/proc/{pid}").exists() or _is_zombie(pid):
            break
        time.sleep(0.05)
    tail = log.read_text(errors="replace")[-2000:]
    raise BenchmarkError(f"no 200 from 127.0.0.1:{port} within {seconds:.0f} s. Its last words:\n{tail}")


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except OSError:
        return True
