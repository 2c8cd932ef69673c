"""What judging costs: CPU per second of traffic, and how much there is to keep."""

import json
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.judge.release import ERRORS, LATENCY
from benchmarks.judge.traffic import RAMP, Tick, Times, steady, ticks
from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.judge.judge import Judge

SECONDS = 3600
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU in microseconds per second judged; what is kept, as JSON, in bytes after an hour and after a day."""

    errors_us: float
    all_us: float
    verdict_us: float
    hour_bytes: int
    day_bytes: int
    grown_bytes: int
    """Resident memory of the process, from the end of the first hour to that of the day."""

    def markdown(self) -> list[str]:
        return [
            "| | |",
            "|---|---:|",
            f"| CPU per second of traffic, errors alone | {self.errors_us:.1f} us |",
            f"| errors and times (ranks, p95, p99), 200 rps | {self.all_us:.1f} us |",
            f"| a verdict with its sentence | {self.verdict_us:.1f} us |",
            f"| what is kept, as JSON, after an hour | {self.hour_bytes:,} bytes |",
            f"| after a day, 17 million requests | {self.day_bytes:,} bytes |",
            f"| growth of the process in these 23 hours | {self.grown_bytes:,} bytes |",
        ]


def measure() -> Cost:
    few = list(ticks(Random(1), 50, RAMP, steady(0.01), SECONDS))
    many = list(ticks(Random(1), 200, RAMP, steady(0.01), SECONDS, Times()))
    errors_us, _ = _judged(ERRORS, few)
    all_us, judge = _judged(LATENCY, many)
    begin = time.process_time()
    for _ in range(1000):
        judge.verdict()
    verdict_us = (time.process_time() - begin) * 1e3
    hour, resident = len(json.dumps(judge.dump())), _resident()
    for day in range(1, 24):
        for tick in many:
            judge.add(type(tick.second)(day * SECONDS + tick.second.at, tick.second.cells))
    return Cost(errors_us, all_us, verdict_us, hour, len(json.dumps(judge.dump())), max(0, _resident() - resident))


def _resident() -> int:
    """Bytes (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _judged(analysis: Analysis, found: list[Tick]) -> tuple[float, Judge]:
    """The best of some rounds: others on the machine only ever make it slower."""
    best = float("inf")
    for _ in range(ROUNDS):
        judge = Judge(analysis, "blue", "green", sticky=False)
        begin = time.process_time()
        for tick in found:
            judge.add(tick.second)
        best = min(best, time.process_time() - begin)
    return best / len(found) * 1e6, judge
