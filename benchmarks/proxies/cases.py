"""What is measured under full load, each a name on the command line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Ports
from benchmarks.proxies.contestants import bodies, two_versions
from benchmarks.proxies.heads import Shape
from benchmarks.proxies.job import COMMON_RULES, Job
from benchmarks.proxies.peers import haproxy

PROXIES = ("nginx", "haproxy", "gatekeeper", "gatekeeper-compiled", "envoy", "caddy")
EASY = (*PROXIES, "aiohttp")
ALL = ("floor", *EASY)
INDEXED = ("nginx", "haproxy", "gatekeeper")
"""Who has 10,000 services, each with backends of its own, in seconds and not in gigabytes."""
USUAL, BROWSER = Job(), Shape()
MB = 1_000_000
MANY = 10_000


@dataclass(frozen=True, slots=True)
class Bulk:
    """Bodies of ``size`` bytes, ``way`` as in bulk.py, on so many connections."""

    way: str
    size: int
    connections: int = 8


@dataclass(frozen=True, slots=True)
class Case:
    """``settle``: seconds until all connections are made, which are not measured."""

    name: str
    title: str
    rivals: tuple[str, ...] = PROXIES
    job: Job = USUAL
    shape: Shape = BROWSER
    bulk: Bulk | None = None
    settle: float = 0.0
    start_seconds: float = 15.0

    @property
    def backends(self) -> Callable[[Path, Ports], Sequence[str]]:
        if self.bulk is not None:
            return bodies
        return haproxy.backends if self.shape.body else two_versions


LARGE = Job(large=True)


def _bodies() -> list[Case]:
    found = []
    for way, words in (("down", "to the client"), ("up", "to the backend")):
        for size, connections, rivals in ((1, 8, EASY), (100, 4, PROXIES)):
            bulk = Bulk(way, size * MB, connections)
            found.append(Case(f"{way}-{size}m", f"{size} MB {words}", rivals, job=LARGE, bulk=bulk))
        bulk = Bulk(f"{way}-chunked", MB)
        found.append(Case(f"chunked-{way}", f"1 MB in chunks of 16 KiB {words}", job=LARGE, bulk=bulk))
    return found


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case("small", "Small GET, 64 returning users", ALL),
        Case(
            "everything",
            f"Small GET with all a user has on: {COMMON_RULES} rules, sticky split, a judged release held at 10 %",
            EASY,
            job=Job(rules=COMMON_RULES, share=10, judged=True),
        ),
        Case("fresh", "Small GET, no head ever comes twice", EASY, shape=Shape(fresh=True)),
        Case("post", "POST of 10 KB", EASY, shape=Shape(body=10_000)),
        *_bodies(),
        Case("connections-10", "10 connections at a time", job=Job(connections=10)),
        Case("connections-1000", "1,000 connections at a time", job=Job(connections=1000), settle=2.0),
        Case("connections-10000", "10,000 connections at a time", job=Job(connections=MANY), settle=8.0),
        Case("tls", "Small GET over TLS", job=Job(tls=True)),
        Case("connect", "Small GET, each on a connection of its own", shape=Shape(close=True)),
        Case("access-log", "Small GET, each in the access log", job=Job(access_log=True)),
        Case("services-1", "One service"),
        Case("services-100", "100 services, each with a host and backends of its own", job=Job(services=100)),
        Case("services-10000", "10,000 services", INDEXED, job=Job(services=MANY), start_seconds=180.0),
        Case("rules-1", "One rule", job=Job(rules=1)),
        Case("rules-100", "100 rules, none of which is met", job=Job(rules=100)),
        Case("rules-1000", "1,000 rules, none of which is met", job=Job(rules=1000), start_seconds=60.0),
        Case("workers-2", "Two workers, or threads", ("nginx", "haproxy", "gatekeeper", "envoy"), job=Job(workers=2)),
    )
}
