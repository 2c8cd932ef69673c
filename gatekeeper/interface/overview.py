"""The picture that ``status`` shows, from ``GET /v1/status`` or ``GET /v1/services/S``: one row per version."""

import time
from collections.abc import Mapping
from typing import Any

from gatekeeper.interface import flag_view, render, verdict_view
from gatekeeper.interface.failures import objects

COLUMNS = (
    "service", "stable", "version", "weight", "share", "req/s", "errors", "p50/95/99 ms", "in flight", "backends",
)  # fmt: skip
RIGHT = frozenset(COLUMNS[3:])


def picture(data: Mapping[str, Any]) -> list[render.Part]:
    head = headline(data)
    return [*([head] if head else []), table(data), *remarks(data)]


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


def _live(details: Mapping[str, Any]) -> tuple[str, ...]:
    live = details.get("live") or {}
    return (
        render.percent(live.get("share")),
        render.rate(live.get("rate")),
        render.percent(live.get("errors")),
        latency(live, "p50", "p95", "p99"),
        render.number(live.get("in_flight")),
        backends(details),
    )


def latency(live: Mapping[str, Any], *quantiles: str) -> str:
    """``2.10/8.40`` milliseconds."""
    if live.get(quantiles[0]) is None:
        return render.NOTHING
    return "/".join(render.milliseconds(live.get(quantile)) for quantile in quantiles)


def backends(version: Mapping[str, Any]) -> str:
    """``1/2``: ready ones of all."""
    found = objects(version.get("backends"))
    return f"{sum(1 for one in found if one.get('state') == 'ready')}/{len(found)}"


def name_of(backend: Mapping[str, Any]) -> str:
    """Its id: the url, and the address where the url's host name has several."""
    return str(backend.get("id") or backend.get("url") or "")


def remarks(data: Mapping[str, Any]) -> list[str]:
    """What is not as it should be or as one would think, one per line: what gatekeeper says of itself, changes that
    wait to be confirmed, releases, versions that are stopped or not what the file says, flags that are killed or
    overdue, backends and workers that are not ready.
    """
    lines = [str(problem) for problem in data.get("problems", [])]
    lines += [_waiting(change) for change in objects(data.get("pending"))]
    for service in services_of(data):
        name = str(service.get("name"))
        lines += _released(service)
        for version, details in service.get("versions", {}).items():
            lines += (f"{name} {version} {remark}" for remark in _of_version(name, version, details))
        lines += (f"{name} {version} is retired; the file still names it" for version in service.get("retired") or [])
    lines += flag_view.remarks(data.get("flags") or {})
    workers = objects(data.get("workers"))
    lines += [_of_worker(one) for one in workers if one.get("state") != "ready"]
    return [render.clean(line) for line in lines]


def _of_worker(worker: Mapping[str, Any]) -> str:
    if worker.get("pid") is not None:
        return f"worker {worker['pid']} is {worker.get('state')}"
    ended = worker.get("last_end")
    return f"worker slot {worker.get('index')} is empty" + (f": {ended}" if ended else "")


def _waiting(change: Mapping[str, Any]) -> str:
    flags = [f"flag {name}" for name in change.get("flags") or []]
    revision, services = change.get("revision"), render.listing([*(change.get("services") or []), *flags])
    return (
        f"revision {revision} of {change.get('actor')} ({services}) undoes itself at "
        f"{render.moment(change.get('deadline'))} unless confirmed: gatekeeper confirm {revision}"
    )


def _released(service: Mapping[str, Any]) -> list[str]:
    """The release that is under way, and what it waits for; or the old version that is kept after one."""
    lines, name = [], service.get("name")
    if release := service.get("release"):
        waiting = f"; waits for {' and '.join(release['waiting'])}" if release.get("waiting") else ""
        lines.append(f"{name} release {release.get('id')} is {release.get('headline')}{waiting}")
        if verdict := release.get("verdict"):
            lines.append(f"{name} {verdict_view.line(verdict)}")
            if verdict_view.nearness(verdict) is not None and "odds against" not in str(verdict.get("sentence")):
                lines.append(f"{name} {verdict_view.against(verdict)}")
    if kept := service.get("retained"):
        until = render.moment(kept.get("until"))
        lines.append(f"{name} {kept.get('version')} is kept until {until}: gatekeeper rollback {name} brings it back")
    return lines


def _of_version(service: str, version: str, details: Mapping[str, Any]) -> list[str]:
    lines = []
    if tripped := details.get("tripped"):
        lines.append(
            f"was stopped by the trip-wire at {render.moment(tripped.get('at'))}: {tripped.get('reason')}; "
            f"gatekeeper reset {service} {version}"
        )
    draining = details.get("draining")
    if draining is not None:
        over = draining <= time.time()
        lines.append(
            "is drained: no requests until it is given weight or deployed again"
            if over
            else f"drains until {render.moment(draining)}"
        )
    if details.get("differs_from_file"):
        lines.append("is as it was deployed; the file says something else")
    for backend in objects(details.get("backends")):
        state = backend.get("state")
        if state != "ready" and not (state == "draining" and draining is not None):
            reason = f": {backend['reason']}" if backend.get("reason") else ""
            lines.append(f"{name_of(backend)} {state}{reason}")
    return lines
