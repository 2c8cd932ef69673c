"""What a figure was measured on: without it a figure says nothing."""

import datetime as dt
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.processes import find
from benchmarks.proxies.programs import located

CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")
"""How TCP finds its rate: BBR paces on the loopback, too, so large bodies cost timers and wakings there."""
ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("uvloop", "httptools", "aiohttp")


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return (done.stdout + done.stderr).strip()


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _program_version(program: str) -> str:
    if program == "nginx":
        return _said(find("nginx"), "-v").rpartition("/")[2]
    if program == "haproxy":
        return _said(find("haproxy"), "-v").split()[2]
    if program == "caddy":
        return _said(find("caddy"), "version").split()[0]
    if program == "envoy":
        # "... version: REVISION/1.40.0/Clean/RELEASE/BoringSSL"
        return _said(located("envoy") or "envoy", "--version").split("/")[-4]
    # wrk prints its version with its usage, as "wrk debian/4.1.0-3 [epoll] ...".
    return _said(find("wrk"), "-v").split()[1].rpartition("/")[2]


def describe(programs: Sequence[str] = ("nginx", "haproxy", "wrk")) -> dict[str, str]:
    """CPU, kernel and the versions of everything that took part, as texts."""
    return {
        "cpu": f"{_cpu_model()}, {os.cpu_count()} cores",
        "kernel": platform.release(),
        "tcp": CONGESTION.read_text().strip() if CONGESTION.exists() else "unknown",
        "python": platform.python_version(),
        **{program: _program_version(program) for program in programs},
        **{package: metadata.version(package) for package in PACKAGES},
    }


def heading() -> dict[str, str]:
    """The day, the revision, and ``describe`` for a measurement that no other proxy took part in."""
    return {"date": dt.datetime.now(dt.UTC).date().isoformat(), "revision": revision(), **describe(())}


def keep(name: str, table: str, about: dict[str, str], raw: str = "") -> None:
    """Write a table to ``results/NAME-DATE-REVISION.md``, and what it was made of, as JSON, beside it."""
    path = ROOT / "benchmarks" / "results" / f"{name}-{about['date']}-{about['revision']}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(table)
    if raw:
        path.with_suffix(".json").write_text(raw)
    sys.stderr.write(f"written: {path.relative_to(ROOT)}\n")


def revision() -> str:
    """The revision of the source, with ``-dirty`` when the tree differs from it; ``none`` outside a repository."""
    found = subprocess.run(
        [find("git"), "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return found.stdout.strip() if found.returncode == 0 else "none"
