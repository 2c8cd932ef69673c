"""Once a second: the newest sample becomes a row of the past, and a tick for whoever watches.

A tick is written once, however many watch, and not at all where nobody does.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from gatekeeper.control.api import release_views
from gatekeeper.control.api.looking import look
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.dashboard import live
from gatekeeper.control.dashboard.marks import SECONDS
from gatekeeper.control.dashboard.past import BRIEF_ROWS, COLUMNS, Opinion
from gatekeeper.control.dashboard.seconds import Row, Seconds
from gatekeeper.core.model import State
from gatekeeper.core.release.guard import last_of
from gatekeeper.telemetry.slots import Name
from gatekeeper.telemetry.window import Counts

log = logging.getLogger("gatekeeper.control")

Document = dict[str, Any]


ODDS: Final = 1e12
"""Odds beyond it are written as this: they say no more, and infinity is no JSON."""


class Sampled(Protocol):
    """Where samples come from, see ``telemetry.window``."""

    @property
    def latest(self) -> tuple[float, Mapping[Name, Counts]]: ...


class Pulse:
    """``beat`` after each sample."""

    def __init__(self, parts: Parts, samples: Sampled) -> None:
        self._parts = parts
        self._samples = samples
        self._seconds = Seconds()
        self._failed = False

    def beat(self) -> None:
        """Never fails: what is shown must not stop what counts. A defect is logged once."""
        try:
            self._beat()
        except Exception:
            if not self._failed:
                log.exception("the dashboard's numbers could not be made")
            self._failed = True
        else:
            self._failed = False

    def _beat(self) -> None:
        parts, dashboard = self._parts, self._parts.dashboard
        state = parts.controller.state
        rows = self._seconds.rows(state, *self._samples.latest)
        if rows is None:
            return
        released = {service for release in state.releases.values() if release.active for service in release.services}
        opinions = {service: opinion(parts, state, service) for service in released}
        dashboard.second(rows, opinions, parts.clock.wall())
        dashboard.marks.keep(state.services.keys())
        marks = dashboard.marks.fresh()
        if len(dashboard.live):
            dashboard.live.tick(live.event("tick", tick(parts, marks)))


def opinion(parts: Parts, state: State, service: str) -> Opinion:
    """What the judge says of a service that is being released; nothing of any other."""
    release = last_of(state, service)
    if release is None or not release.active or release.verdict is None:
        return Opinion()
    odds, bar = parts.dashboard.odds(service) or (release.verdict.odds, release.verdict.bar)
    return Opinion(None if odds is None else min(odds, ODDS), bar, release.verdict.kind)


def tick(parts: Parts, marks: Mapping[str, Sequence[Document]]) -> Document:
    """The present: ``marks`` are those that came since the last tick."""
    state, dashboard = parts.controller.state, parts.dashboard
    versions: dict[str, Document] = {service: {} for service in state.services}
    for (service, version), row in dashboard.rows.items():
        if service in versions:
            versions[service][version] = _row(row)
    return {
        "at": round(parts.clock.wall(), 3),
        "revision": state.revision,
        "services": {
            service: _service(parts, state, service, versions[service], marks.get(service)) for service in versions
        },
        "workers": [dict(worker) for worker in parts.sights.workers()],
        "problems": parts.problems(),
    }


def past(parts: Parts, service: str | None) -> Document:
    """The last ten minutes of one service, or the last minute of all."""
    state, dashboard = parts.controller.state, parts.dashboard
    names = [*state.services] if service is None else [service]
    since = parts.clock.wall() - SECONDS
    return {
        "at": round(parts.clock.wall(), 3),
        "revision": state.revision,
        "services": dashboard.past.document(names, BRIEF_ROWS if service is None else None),
        "marks": {name: dashboard.marks.of(name, since) for name in names},
    }


def _service(
    parts: Parts, state: State, service: str, versions: Document, marks: Sequence[Document] | None
) -> Document:
    said = parts.dashboard.opinions.get(service, Opinion())
    released = release_views.of_service(state, service, partial(look, parts))
    return {
        "versions": versions,
        "odds": said.odds,
        "bar": said.bar,
        "verdict": said.kind,
        **released,
        **({"marks": [*marks]} if marks else {}),
    }


def _row(row: Row) -> Document:
    return {name: getattr(row, name) for name in COLUMNS}
