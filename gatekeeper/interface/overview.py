"""The picture that ``status`` shows, from ``GET /v1/status`` or ``GET /v1/services/S``: one row per version."""

import time
from collections.abc import Mapping
from typing import Any

from gatekeeper.interface import render

COLUMNS = ("service", "stable", "version", "weight", "share", "requests/s", "errors", "p50/p99 ms", "backends")
RIGHT = frozenset({"weight", "share", "requests/s", "errors", "p50/p99 ms", "backends"})


def services_of(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The services of either document."""
    found = data.get("services")
    if isinstance(found, list):
        return [item for item in found if isinstance(item, dict)]
    return [dict(data)] if "versions" in data else []


def headline(data: Mapping[str, Any]) -> str:
    """``gatekeeper 0.1.0, pid 7, up 2h 5m, revision 17, workers: 2 ready``; only the revision for one service."""
    if "workers" not in data:
        return f"revision {data['revision']}" if "revision" in data else ""
    revision = data.get("revision")
    workers = [worker for worker in data["workers"] if isinstance(worker, dict)]
    current = sum(1 for worker in workers if worker.get("revision") == revision and worker.get("state") == "ready")
    parts = [f"gatekeeper {render.clean(data.get('version', ''))}", f"pid {data.get('pid')}"]
    if isinstance(started := data.get("started"), int | float):
        parts.append(f"up {render.duration(time.time() - started)}")
    parts += [f"revision {revision}", f"workers: {current} of {len(workers)} ready and up to date"]
    return ", ".join(parts)


def table(data: Mapping[str, Any]) -> render.Table:
    rows = []
    for service in services_of(data):
        name, stable = str(service.get("name", "")), str(service.get("stable", ""))
        for version, details in service.get("versions", {}).items():
            weight = service.get("split", {}).get(version)
            rows.append((name, stable, version, render.number(weight), *_live(details)))
            name = stable = ""  # said once, so that services stand apart
    return render.Table(COLUMNS, rows, RIGHT)


def _live(details: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    live = details.get("live") or {}
    backends = details.get("backends", [])
    ready = sum(1 for backend in backends if backend.get("state") == "ready")
    latency = "/".join(render.milliseconds(live.get(key)) for key in ("p50", "p99"))
    return (
        render.percent(live.get("share")),
        render.rate(live.get("rate")),
        render.percent(live.get("errors")),
        latency if live.get("p50") is not None else render.NOTHING,
        f"{ready}/{len(backends)}",
    )


def remarks(data: Mapping[str, Any]) -> list[str]:
    """What is not as it should be, one per line: what gatekeeper says of itself, backends and workers that are not
    ready.
    """
    lines = [str(problem) for problem in data.get("problems", [])]
    for service in services_of(data):
        for version, details in service.get("versions", {}).items():
            for backend in details.get("backends", []):
                if backend.get("state") != "ready":
                    reason = f": {backend['reason']}" if backend.get("reason") else ""
                    lines.append(f"{service.get('name')} {version} {backend.get('url')} {backend.get('state')}{reason}")
    workers = [worker for worker in data.get("workers", []) if isinstance(worker, dict)]
    lines += [f"worker {one.get('pid')} is {one.get('state')}" for one in workers if one.get("state") != "ready"]
    return [render.clean(line) for line in lines]
