"""What the admin API shows: documents made from the present state and the live numbers. No I/O, no waiting."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gatekeeper import __version__
from gatekeeper.control.store import Revision
from gatekeeper.core import codec
from gatekeeper.core.model import Backend, Service, ServiceState, State, Version
from gatekeeper.core.outcome import plain
from gatekeeper.core.reload import sizes

Document = dict[str, Any]


class BackendHealth(Protocol):
    """One backend's condition in one word, why it is in it, and since when (wall seconds)."""

    @property
    def condition(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def since(self) -> float: ...


class LiveNumbers(Protocol):
    """One version lately, see ``telemetry.window.Live``."""

    @property
    def seconds(self) -> float: ...
    @property
    def requests(self) -> int: ...
    @property
    def errors(self) -> int: ...
    @property
    def rate(self) -> float: ...
    @property
    def share(self) -> float | None: ...
    @property
    def p50(self) -> float | None: ...
    @property
    def p95(self) -> float | None: ...
    @property
    def p99(self) -> float | None: ...
    @property
    def in_flight(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Sights:
    """Where the admin API looks. All are cheap and never wait.

    ``health`` and ``live`` take service and version (``health`` also the backend's url); ``workers`` gives one document
    per worker with at least pid, revision and state; ``not_ready`` the reasons why traffic cannot be served, if any.
    """

    workers: Callable[[], Sequence[Mapping[str, Any]]]
    health: Callable[[str, str, str], BackendHealth | None]
    live: Callable[[str, str], LiveNumbers]
    not_ready: Callable[[], Sequence[str]]
    started: float
    """Wall seconds."""


def status(state: State, sights: Sights, trouble: str | None) -> Document:
    """Everything an operator asks first."""
    return {
        "version": __version__,
        "pid": os.getpid(),
        "started": sights.started,
        "revision": state.revision,
        "ready": not sights.not_ready(),
        "problems": [
            *sights.not_ready(),
            *([f"the state file does not take writes: {trouble}"] if trouble is not None else []),
        ],
        "workers": [dict(worker) for worker in sights.workers()],
        "services": [brief(service, sights) for service in state.services.values()],
    }


def brief(service: ServiceState, sights: Sights) -> Document:
    """A service as ``status`` shows it: what runs, not how it is configured."""
    definition, running = service.definition, service.running
    return {
        "name": definition.name,
        "hosts": list(definition.hosts),
        "path_prefix": definition.path_prefix,
        "stable": definition.stable,
        "split": plain(running.split.weights),
        "changed": {"revision": running.revision, "at": running.changed_at},
        "versions": {name: _version(definition, version, sights) for name, version in definition.versions.items()},
    }


def full(state: State, service: ServiceState, sights: Sights) -> Document:
    """A service with its definition. Keys that sign passes are counted, never shown; error pages are measured."""
    definition = codec.dump(service.definition)
    definition["testers"]["keys"] = len(service.definition.testers.keys)
    definition["error_pages"] = sizes(service.definition.error_pages)
    undo = [{"revision": item.revision, "split": plain(item.weights)} for item in reversed(service.running.undo)]
    return {
        **brief(service, sights),
        "revision": state.revision,
        "rule_splits": {name: plain(split.weights) for name, split in service.running.rules.items()},
        "undo": undo,
        "definition": definition,
    }


def revision(row: Revision, service: str | None) -> Document:
    """A row of the history; with ``service`` also that service's ``weights`` alone."""
    splits = {name: plain(weights) for name, weights in row.weights.items()}
    document = {
        "revision": row.revision,
        "at": row.at,
        "actor": row.actor,
        "action": row.action,
        "note": row.note,
        "changes": row.changes,
        "splits": splits,
    }
    return document if service is None else {**document, "weights": splits.get(service)}


def _version(service: Service, version: Version, sights: Sights) -> Document:
    return {
        "build": version.build,
        "origin": version.origin.value,
        "backends": [_backend(service, version, backend, sights) for backend in version.backends],
        "live": _live(sights.live(service.name, version.name)),
    }


def _backend(service: Service, version: Version, backend: Backend, sights: Sights) -> Document:
    document: Document = {"url": backend.url, "weight": backend.weight}
    health = sights.health(service.name, version.name, backend.url)
    if health is None:
        # Nobody watches it yet; workers take an unknown backend for ready.
        return {**document, "state": "ready", "reason": "not watched", "since": None}
    return {**document, "state": str(health.condition), "reason": health.reason, "since": health.since}


def _live(live: LiveNumbers) -> Document:
    """``errors`` is the part of the requests answered with 5xx, ``failed`` their number; times are seconds."""
    return {
        "seconds": live.seconds,
        "requests": live.requests,
        "failed": live.errors,
        "errors": live.errors / live.requests if live.requests else None,
        "rate": live.rate,
        "share": live.share,
        "p50": live.p50,
        "p95": live.p95,
        "p99": live.p99,
        "in_flight": live.in_flight,
    }
