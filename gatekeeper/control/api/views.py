"""What the admin API shows: documents made from the present state and the live numbers. No I/O, no waiting."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gatekeeper import __version__
from gatekeeper.control.api import flag_views
from gatekeeper.control.store.rows import FlagHeld
from gatekeeper.control.store.store import Revision
from gatekeeper.core import codec
from gatekeeper.core.difference import sizes
from gatekeeper.core.flags.model import PastFlag
from gatekeeper.core.model import Backend, Pending, Service, ServiceState, State, Version
from gatekeeper.core.outcome import number, plain
from gatekeeper.core.overlay import differs_from_file
from gatekeeper.core.past import Past

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

    ``health`` and ``live`` take service and version (``health`` also the backend's id); ``workers`` gives one document
    per worker with at least pid, revision and state; ``not_ready`` the reasons why traffic cannot be served, if any.
    ``troubles`` are what is wrong elsewhere: certificates, host names.
    ``ids`` are the backends that one url of a version stands for; ``drained`` is what became of a version's requests.
    """

    workers: Callable[[], Sequence[Mapping[str, Any]]]
    health: Callable[[str, str, str], BackendHealth | None]
    live: Callable[[str, str], LiveNumbers]
    not_ready: Callable[[], Sequence[str]]
    started: float
    """Wall seconds."""
    troubles: Callable[[], Sequence[str]] = list
    ids: Callable[[str, str, str], Sequence[str]] = lambda _service, _version, url: (url,)
    drained: Callable[[str, str], Mapping[str, Any] | None] = lambda _service, _version: None


Released = Callable[[str], Document]
"""A service -> ``release`` and ``retained`` of it, see ``api.release_views.of_service``."""


def status(
    state: State, sights: Sights, problems: Sequence[str], released: Released, notify: Sequence[Document], now: float
) -> Document:
    """Everything an operator asks first; ``notify`` is how the webhooks stand, ``now`` wall seconds."""
    return {
        "version": __version__,
        "pid": os.getpid(),
        "started": sights.started,
        "revision": state.revision,
        "ready": not sights.not_ready(),
        "problems": list(problems),
        "pending": [pending(change) for change in state.pending],
        "workers": [dict(worker) for worker in sights.workers()],
        "services": [brief(service, sights, released) for service in state.services.values()],
        "flags": flag_views.summary(state, now),
        "notify": list(notify),
    }


def pending(change: Pending) -> Document:
    return {
        "revision": change.revision,
        "deadline": change.deadline,
        "actor": change.actor,
        "services": list(change.before),
        "flags": list(change.flags),
    }


def brief(service: ServiceState, sights: Sights, released: Released) -> Document:
    """A service as ``status`` shows it: what runs, not how it is configured."""
    definition, running = service.definition, service.running
    return {
        "name": definition.name,
        "hosts": list(definition.hosts),
        "path_prefix": definition.path_prefix,
        "stable": definition.stable,
        "split": plain(running.split.weights),
        "changed": {"revision": running.revision, "at": running.changed_at},
        "versions": {name: _version(service, version, sights) for name, version in definition.versions.items()},
        "retired": list(running.retired),
        **released(definition.name),
    }


def full(state: State, service: ServiceState, sights: Sights, released: Released) -> Document:
    """A service with its definition."""
    undo = [{"revision": item.revision, "split": plain(item.weights)} for item in reversed(service.running.undo)]
    return {
        **brief(service, sights, released),
        "revision": state.revision,
        "rule_splits": {name: plain(split.weights) for name, split in service.running.rules.items()},
        "undo": undo,
        "definition": shown(service.definition),
    }


def shown(definition: Service) -> Document:
    """A definition for people: keys that sign passes are counted, never shown; error pages are measured."""
    document: Document = codec.dump(definition)
    document["testers"]["keys"] = len(definition.testers.keys)
    document["error_pages"] = sizes(definition.error_pages)
    return document


def version(state: State, service: ServiceState, name: str, sights: Sights) -> Document:
    """One version with its definition."""
    found = service.definition.versions[name]
    return {
        **_version(service, found, sights),
        "revision": state.revision,
        "service": service.definition.name,
        "version": name,
        "weight": number(service.running.split.weights[name]),
        "drained": sights.drained(service.definition.name, name),
        "definition": codec.dump(found),
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
        "flags": {name: None if held is None else _held(held) for name, held in row.flags.items()},
    }
    return document if service is None else {**document, "weights": splits.get(service)}


def _held(flag: FlagHeld | PastFlag) -> Document:
    """What held of a flag."""
    return {"on": flag.on, "killed": flag.killed, "split": plain(flag.weights)}


def past_flags(found: Past) -> Document:
    """The flags that were in force at a revision."""
    flags = found.flags or {}
    return {name: {**_held(one), "definition": codec.dump(one.definition)} for name, one in flags.items()}


def past(found: Past, service: str | None) -> Document:
    """What was in force at a revision, of all services or of one."""
    return {
        name: {
            "split": plain(one.weights),
            "definition": shown(one.definition) if one.definition is not None else None,
            "deployed": list(one.deployed),
            "retired": list(one.retired),
        }
        for name, one in found.services.items()
        if service in (None, name)
    }


def _version(state: ServiceState, version: Version, sights: Sights) -> Document:
    service, running = state.definition, state.running
    tripped = running.tripped.get(version.name)
    return {
        "build": version.build,
        "origin": version.origin.value,
        "differs_from_file": differs_from_file(state, version.name),
        "tripped": {"at": tripped.at, "reason": tripped.reason} if tripped is not None else None,
        "draining": running.draining.get(version.name),
        "backends": [
            _backend(service, version, backend, one, sights)
            for backend in version.backends
            for one in sights.ids(service.name, version.name, backend.url)
        ],
        "live": _live(sights.live(service.name, version.name)),
    }


def _backend(service: Service, version: Version, backend: Backend, one: str, sights: Sights) -> Document:
    document: Document = {"url": backend.url, "id": one, "weight": backend.weight}
    health = sights.health(service.name, version.name, one)
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
