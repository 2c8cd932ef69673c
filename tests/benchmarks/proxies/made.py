"""Runs and results that were never measured."""

from benchmarks.proxies.idle import Held
from benchmarks.proxies.latency import Timed
from benchmarks.proxies.measure import Run
from benchmarks.proxies.results import Results
from benchmarks.proxies.soak import Part, Soak

MIB = 1 << 20


def run(name, cpu_us=10.0, busy=0.99, foreign=0.0, requests=100_000, **more):
    cpu = cpu_us * 1e-6 * requests
    return Run(
        name,
        requests,
        cpu / busy,
        cpu=cpu,
        busy=busy,
        foreign=foreign,
        **({"p50": 0.001, "p99": 0.002, "connections": 64} | more),
    )


def timed(name, p50, p99, share=0.5, late=0.00001, foreign=0.0):
    took = {"p50": p50, "p99": p99, "p99.9": 2 * p99}
    return Timed(name, share, 1000.0, 5000, 20e-6, foreign, took, dict.fromkeys(("p50", "p99", "p99.9"), late))


def part(at, p50=0.001, p99=0.002, rss=100 * MIB, failed=0):
    late = dict.fromkeys(("p50", "p99", "p99.9"), 0.00001)
    return Part(at, 1000, failed, {"p50": p50, "p99": p99, "p99.9": 0.01}, late, rss)


def soaked(**changes):
    return Soak(1000.0, [part(at) for at in range(20)], changes=100, reloads=3, **changes)


def all_well():
    """Results of which every promise is kept."""
    found = Results()
    for case in ("small", "everything"):
        costs = {"nginx": 10, "envoy": 30, "caddy": 70, "aiohttp": 120, "gatekeeper": 12, "gatekeeper-compiled": 9}
        found.rounds[case] = [{name: run(name, cost) for name, cost in costs.items()}]
    for case in ("down-1m", "up-1m", "down-100m", "up-100m"):
        found.rounds[case] = [{name: run(name, 500, requests=1000, size=10**9) for name in ("nginx", "gatekeeper")}]
    one = {
        "connections-10000": 14, "services-1": 12, "services-10000": 12.5, "rules-1": 12, "rules-1000": 14,
    }  # fmt: skip
    for case, cost in one.items():
        found.rounds[case] = [{"gatekeeper": run("gatekeeper", cost)}]
    found.rounds["workers-2"] = [{"gatekeeper": run("gatekeeper", 12.5, shared=True, spread=[33, 31])}]
    found.timed = [
        {
            "direct": [timed("direct", 0.0001, 0.0002)],
            "nginx": [timed("nginx", 0.0002, 0.0004)],
            "gatekeeper": [timed("gatekeeper", 0.00024, 0.0005)],
        }
    ]
    found.held = [{"gatekeeper": Held("gatekeeper", 10_000, 70 * MIB, 130 * MIB)}]
    found.soak = soaked()
    return found
