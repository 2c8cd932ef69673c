"""What gatekeeper has promised of its speed, each promise beside what was found."""

from dataclasses import dataclass

from benchmarks.proxies import soak
from benchmarks.proxies.latency import GATE_SHARE
from benchmarks.proxies.measure import Run
from benchmarks.proxies.results import Results, cpu, per_cpu

GATEKEEPER, COMPILED = "gatekeeper", "gatekeeper-compiled"
CPU_LIMITS = {"nginx": 1.35, "envoy": 0.6, "caddy": 0.25, "aiohttp": 0.15}
CPU_CASES = ("small", "everything")
LATENCY_LIMITS = {"p50": 1.5, "p99": 2.0}
IDLE_LIMIT = 100.0
ACTIVE_LIMIT = 1.25
BODY_LIMIT = 0.7
BODY_CASES = ("down-1m", "up-1m", "down-100m", "up-100m")
SERVICES_LIMIT, RULES_LIMIT = 1.1, 1.3
WORKERS_LIMIT = 1.8
SPREAD_LIMIT = 1.25
"""The worker with most connections to the mean."""


@dataclass(frozen=True, slots=True)
class Gate:
    """``found`` is None where what it needs was not measured, or was refused."""

    number: int
    what: str
    found: float | None
    limit: float
    at_most: bool = True

    @property
    def holds(self) -> bool | None:
        if self.found is None:
            return None
        return self.found <= self.limit if self.at_most else self.found >= self.limit

    @property
    def verdict(self) -> str:
        return {True: "pass", False: "FAIL", None: "not measured"}[self.holds]


def _workers(results: Results) -> tuple[float | None, float | None]:
    """The work of two to that of one, and how uneven their connections are."""
    runs = results.runs("workers-2", GATEKEEPER)
    # With cores of its own for the load: what passed. Else: what two cores are enough for at the cost that was found.
    if runs and runs[0].shared:
        dearer = results.between("workers-2", "small", GATEKEEPER, cpu)
        work = None if dearer is None else 2 / dearer
    else:
        work = results.between("workers-2", "small", GATEKEEPER, throughput)
    uneven = [max(run.spread) * 2 / sum(run.spread) if len(run.spread) == 2 else 2.0 for run in runs]
    return work, sorted(uneven)[len(uneven) // 2] if uneven else None


def throughput(run: Run) -> float:
    return run.throughput


def gates(results: Results) -> list[Gate]:
    found = [
        Gate(1, f"CPU per request to {other}, {case}{how}", results.ratio(case, mine, other, cpu), limit)
        for mine, how in ((GATEKEEPER, ""), (COMPILED, ", compiled"))
        for case in CPU_CASES
        for other, limit in CPU_LIMITS.items()
    ]
    for quantile, limit in LATENCY_LIMITS.items():
        mine, theirs = (results.added(name, GATE_SHARE, quantile) for name in (GATEKEEPER, "nginx"))
        # What is below a microsecond is the clock's, not the proxy's.
        ratio = None if mine is None or theirs is None else max(mine, 1e-6) / max(theirs, 1e-6)
        found.append(Gate(2, f"added {quantile} at half of the saturating rate, to nginx", ratio, limit))
    more = results.growth(GATEKEEPER)
    found += [
        Gate(3, "MiB for 10,000 idle connections", None if more is None else more / 2**20, IDLE_LIMIT),
        Gate(
            3,
            "CPU per request, 10,000 connections to 64",
            results.between("connections-10000", "small", GATEKEEPER, cpu),
            ACTIVE_LIMIT,
        ),
    ]
    found += [
        Gate(
            4,
            f"bytes per CPU second to nginx, {case}",
            results.ratio(case, GATEKEEPER, "nginx", per_cpu),
            BODY_LIMIT,
            at_most=False,
        )
        for case in BODY_CASES
    ]
    for case, base, limit in (
        ("services-10000", "services-1", SERVICES_LIMIT),
        ("rules-1000", "rules-1", RULES_LIMIT),
    ):
        ratio = results.between(case, base, GATEKEEPER, cpu)
        found.append(Gate(5, f"CPU per request, {case} to {base}", ratio, limit))
    work, uneven = _workers(results)
    found += [
        Gate(6, "work of two workers to that of one", work, WORKERS_LIMIT, at_most=False),
        Gate(6, "connections of the fuller worker to the mean", uneven, SPREAD_LIMIT),
    ]
    problems = None if results.soak is None else float(len(soak.wrong(results.soak)))
    found.append(Gate(7, "what went wrong in the soak", problems, 0))
    return found
