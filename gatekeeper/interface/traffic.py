"""The picture that ``top`` shows, from ``GET /v1/status``: versions by their traffic, and the workers that carry it."""

from collections.abc import Mapping
from typing import Any

from gatekeeper.interface import overview, render
from gatekeeper.interface.failures import objects

VERSIONS = ("service", "version", "weight", "req/s", "share", "errors", "p50/95/99 ms", "in flight", "ready")
WORKERS = ("worker", "pid", "state", "revision", "clients", "in flight", "lag ms", "memory", "restarts")


def picture(data: Mapping[str, Any]) -> list[render.Part]:
    return [overview.headline(data), versions(data), workers(data), *overview.remarks(data)]


def versions(data: Mapping[str, Any]) -> render.Table:
    """One row per version of every service, the one with the most requests first."""
    found: list[tuple[float, tuple[str, ...]]] = []
    for service in overview.services_of(data):
        for name, details in service.get("versions", {}).items():
            live = details.get("live") or {}
            cells = (
                str(service.get("name", "")),
                str(name),
                render.number(service.get("split", {}).get(name)),
                render.rate(live.get("rate")),
                render.percent(live.get("share")),
                render.percent(live.get("errors")),
                overview.latency(live, "p50", "p95", "p99"),
                render.number(live.get("in_flight")),
                overview.backends(details),
            )
            found.append((float(live.get("rate") or 0.0), cells))
    found.sort(key=lambda one: -one[0])  # stable: without traffic they stay in the order of the file
    return render.Table(VERSIONS, [cells for _, cells in found], frozenset(VERSIONS[2:]))


def workers(data: Mapping[str, Any]) -> render.Table:
    rows = [
        (
            render.number(one.get("index")),
            render.number(one.get("pid")),
            str(one.get("state", "")),
            render.number(one.get("revision")),
            render.number(one.get("connections")),
            render.number(one.get("in_flight")),
            render.milliseconds(one.get("lag")),
            render.size(one.get("rss")),
            render.number(one.get("restarts")),
        )
        for one in objects(data.get("workers"))
    ]
    return render.Table(WORKERS, rows, frozenset(WORKERS) - {"state"})
