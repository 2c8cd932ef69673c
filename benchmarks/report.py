"""Runs -> medians -> a Markdown table and its JSON twin."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.contestants import CONTESTANTS
from benchmarks.measure import Run

REFERENCE = "nginx"
TARGETS = (("nginx", 1.6), ("aiohttp", 0.2))
"""CPU per request of gatekeeper, at most this many times that of the other."""


@dataclass(frozen=True, slots=True)
class Line:
    """Medians over all rounds of one contestant. CPU in microseconds per request, latency in milliseconds."""

    name: str
    cpu_us: float
    cpu_us_lowest: float
    cpu_us_highest: float
    to_reference: float | None
    throughput: float
    busy: float
    saturated: bool
    p50_ms: float
    p99_ms: float


def ratio(rounds: Sequence[dict[str, Run]], name: str, other: str) -> float | None:
    """Median of the CPU ratios round by round: what slows a whole round (heat, neighbours) cancels out."""
    both = [runs for runs in rounds if name in runs and other in runs]
    return median(runs[name].cpu_per_request / runs[other].cpu_per_request for runs in both) if both else None


def summarise(rounds: Sequence[dict[str, Run]]) -> list[Line]:
    lines = []
    for name in CONTESTANTS:
        runs = [found[name] for found in rounds if name in found]
        if not runs:
            continue
        cpu = [run.cpu_per_request * 1e6 for run in runs]
        lines.append(
            Line(
                name=name,
                cpu_us=median(cpu),
                cpu_us_lowest=min(cpu),
                cpu_us_highest=max(cpu),
                to_reference=ratio(rounds, name, REFERENCE),
                throughput=median(run.throughput for run in runs),
                busy=median(run.busy for run in runs),
                saturated=all(run.saturated for run in runs),
                p50_ms=median(run.p50 for run in runs) * 1e3,
                p99_ms=median(run.p99 for run in runs) * 1e3,
            )
        )
    return lines


def markdown(lines: Sequence[Line], rounds: Sequence[dict[str, Run]], about: dict[str, str]) -> str:
    """The table, the targets that could be judged, and the machine."""
    out = [
        "| proxy | CPU per request | lowest-highest | to nginx | requests/s | core busy | p50 | p99 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for line in lines:
        to_reference = f"{line.to_reference:.2f}" if line.to_reference else ""
        # An idle share means that the load gave up first: the proxy could do more, and latency is the load's.
        throughput = f"{line.throughput:,.0f}" if line.saturated else f"> {line.throughput:,.0f}"
        p50, p99 = (f"{line.p50_ms:.2f} ms", f"{line.p99_ms:.2f} ms") if line.saturated else ("-", "-")
        cpu, spread = f"{line.cpu_us:.1f} us", f"{line.cpu_us_lowest:.1f}-{line.cpu_us_highest:.1f}"
        cells = [CONTESTANTS[line.name].title, cpu, spread, to_reference, throughput, f"{line.busy:.0%}", p50, p99]
        out.append(f"| {' | '.join(cells)} |")
    out.append("")
    for other, limit in TARGETS:
        found = ratio(rounds, "gatekeeper", other)
        if found is not None:
            verdict = "reached" if found <= limit else "missed"
            out.append(f"Target: at most {limit:g} times the CPU of {other}: {found:.2f}, {verdict}.")
    out += ["", "; ".join(f"{name} {value}" for name, value in about.items()) + "."]
    return "\n".join(out) + "\n"


def as_json(lines: Sequence[Line], rounds: Sequence[dict[str, Run]], about: dict[str, str]) -> str:
    raw = [[asdict(run) for run in runs.values()] for runs in rounds]
    return json.dumps({"about": about, "medians": [asdict(line) for line in lines], "rounds": raw}, indent=2) + "\n"
