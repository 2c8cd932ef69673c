"""Gatekeeper alone, for a long time: a steady load, a new split twice a second, a reload every minute.

The open loop does not wait for answers, so what stalls for a moment is seen in the times of that part of the hour.
"""

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from statistics import median
from typing import Any

from benchmarks.processes import BenchmarkError, memory
from benchmarks.proxies import driver, heads
from benchmarks.proxies.cases import CASES
from benchmarks.proxies.contestants import CONTESTANTS
from benchmarks.proxies.latency import driving, quantiles
from benchmarks.proxies.measure import Stage, staged
from benchmarks.proxies.peers.gatekeeper import Admin

NAME = "soak"
TITLE = "A soak: 70 % load, two changes of the split a second, a reload a minute"
SHARE = 0.7
SLICES = 60
"""Parts of the time that are looked at apart."""
CHANGE_SECONDS, RELOAD_SECONDS = 0.5, 60.0
WARM = 0.2
"""The part of the time after which memory must not grow: connections, memos and the store's cache are filled."""
GROWTH_LIMIT = 16 << 20
"""Bytes; what leaks ten kilobytes a second reaches it in half an hour."""
DRIFT_P50, DRIFT_P99 = 1.25, 1.5
"""The last quarter's times to the first quarter's. A scheduler's mood moves a p99 by a fifth from minute to minute."""


@dataclass(slots=True)
class Part:
    """Times in seconds, memory of all processes in bytes at its end."""

    at: float
    answered: int
    failed: int
    took: dict[str, float]
    late: dict[str, float]
    rss: int


@dataclass(slots=True)
class Soak:
    rate: float
    parts: list[Part] = field(default_factory=list)
    changes: int = 0
    reloads: int = 0
    error: str = ""


class Operator(threading.Thread):
    """Changes the split and reloads until it is stopped; ``problem`` says what was refused."""

    def __init__(self, stage: Stage, soak: Soak) -> None:
        super().__init__(daemon=True)
        self._admin = Admin(stage.folder)
        self._soak = soak
        self._ended = threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        reload, turn = began + min(RELOAD_SECONDS, 5.0), 0
        try:
            while not self._ended.wait(max(0.0, began + turn * CHANGE_SECONDS - time.monotonic())):
                turn += 1
                body = {"blue": 50 + turn % 10, "green": 50 - turn % 10}
                self._admin.say("PUT", "/v1/services/shop/split", body)
                self._soak.changes += 1
                if time.monotonic() >= reload:
                    self._admin.say("POST", "/v1/reload", {})
                    self._soak.reloads += 1
                    reload += RELOAD_SECONDS
        except (BenchmarkError, OSError, HTTPException) as problem:
            self._soak.error = self._soak.error or f"the operator: {problem}"
        finally:
            with contextlib.suppress(OSError):
                self._admin.close()

    def stop(self) -> None:
        self._ended.set()
        self.join(30)


def _parts(stage: Stage, soak: Soak, seconds: float) -> Iterator[Part]:
    requests = heads.write(stage.folder, heads.requests(stage.ports, stage.case.job, stage.case.shape))
    line = driving(stage.ports.proxy, requests, soak.rate, seconds, seconds / SLICES)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            for text in process.stdout or ():
                each = driver.said(text)
                soak.error = soak.error or each.error
                took, late = quantiles(each.took), quantiles(each.late)
                yield Part(each.at, each.answered, each.failed, took, late, memory(stage.pid))
        finally:
            process.kill()


def play(seconds: float, most: float) -> Soak:
    """``most``: requests a second that it can do. Raises BenchmarkError."""
    case, found = CASES["small"], Soak(SHARE * most)
    with staged(case, CONTESTANTS["gatekeeper"]) as stage:
        operator = Operator(stage, found)
        operator.start()
        try:
            # What comes after the last boundary is too short for figures of its own.
            parts = [*_parts(stage, found, seconds)]
            found.parts = parts[:SLICES]
            for late in parts[SLICES:]:
                found.parts[-1].failed += late.failed
        finally:
            operator.stop()
    if not found.parts:
        raise BenchmarkError("the driver said nothing")
    return found


def growth(parts: Sequence[Part]) -> int:
    """The most it had in the last tenth less the most it had until it was warm."""
    warm = parts[: max(1, round(WARM * len(parts)))]
    return max(each.rss for each in parts[-max(1, len(parts) // 10) :]) - max(each.rss for each in warm)


def drift(parts: Sequence[Part], name: str) -> float:
    """Of the last quarter to the first, medians of their parts; the very first part is of a cold proxy."""
    quarter = max(1, len(parts) // 4)
    first = parts[1 : 1 + quarter] or parts
    return median(each.took[name] for each in parts[-quarter:]) / max(1e-6, median(each.took[name] for each in first))


def wrong(soak: Soak) -> list[str]:
    """What must not be."""
    problems = [soak.error] if soak.error else []
    failed = sum(each.failed for each in soak.parts)
    if failed:
        problems.append(f"{failed} requests failed")
    if (more := growth(soak.parts)) > GROWTH_LIMIT:
        problems.append(f"memory grew by {more / 2**20:.1f} MiB")
    for name, limit in (("p50", DRIFT_P50), ("p99", DRIFT_P99)):
        if (factor := drift(soak.parts, name)) > limit:
            problems.append(f"the {name} became {factor:.2f} times what it was")
    if not soak.changes or not soak.reloads:
        problems.append("there were no changes or no reloads")
    return problems


def summary(soak: Soak) -> dict[str, Any]:
    """For a table."""
    parts = soak.parts
    return {
        "requests": sum(each.answered for each in parts),
        "requests a second": round(soak.rate),
        "failed": sum(each.failed for each in parts),
        "changes of the split": soak.changes,
        "reloads": soak.reloads,
        "p50, first and last part": f"{parts[0].took['p50'] * 1e3:.2f}, {parts[-1].took['p50'] * 1e3:.2f} ms",
        "p99, first and last part": f"{parts[0].took['p99'] * 1e3:.2f}, {parts[-1].took['p99'] * 1e3:.2f} ms",
        "worst p99.9 of a part": f"{max(each.took['p99.9'] for each in parts) * 1e3:.2f} ms",
        "drift of p50, p99": f"{drift(parts, 'p50'):.2f}, {drift(parts, 'p99'):.2f}",
        "memory, first, last and growth": (
            f"{parts[0].rss / 2**20:.1f}, {parts[-1].rss / 2**20:.1f}, {growth(parts) / 2**20:+.1f} MiB"
        ),
        "driver late by itself, p50, p99 (worst part)": (
            ", ".join(f"{max(each.late[name] for each in parts) * 1e6:.0f} us" for name in ("p50", "p99"))
        ),
    }
