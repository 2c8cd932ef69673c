"""The metrics endpoint: all workers' blocks and the supervisor's own view, as Prometheus or OpenMetrics text.

A scrape reads shared memory and values the supervisor already has. It never sends anything to a worker, so it answers
while workers are busy, stopped or being replaced, and scraping often costs traffic nothing. What each metric means
stands in docs/metrics.md; a test keeps the two lists equal.
"""

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from gatekeeper import COMPILED, __version__
from gatekeeper.core.judge.standing import Standing
from gatekeeper.core.model import State
from gatekeeper.telemetry import flag_state, judged, released
from gatekeeper.telemetry.block import (
    ACCEPTED,
    CLOSED,
    LAG,
    LOG_DROPPED,
    REFUSED,
    REVISION,
    SPANS_DROPPED,
    Block,
    Refusal,
)
from gatekeeper.telemetry.flagged import Flagged
from gatekeeper.telemetry.shadowed import Shadowed
from gatekeeper.telemetry.slots import Name
from gatekeeper.telemetry.text import encode
from gatekeeper.telemetry.totals import OTHER_CODE, Totals, read
from gatekeeper.telemetry.window import Window

_PAIR: Final = ("service", "version")
STATES: Final = ("pending", "ready", "ejected", "draining")
CAUSES: Final = ("check", "requests")


@dataclass(frozen=True, slots=True)
class View:
    """What the supervisor knows without asking anyone.

    ``backends``: service -> version -> backend id -> ``ready``, ``pending``, ``ejected`` or ``draining``; a version
    that is not named has the backends of its definition, all ready. ``started`` is wall seconds. ``workers`` is how
    many are serving now, ``memory`` the bytes of each slot's, 0 while it starts. ``ejections``: service, version and
    cause -> how many. ``problems`` is how many the status names.
    """

    state: State | None
    started: float
    workers: int
    restarts: int
    backends: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    ejections: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    memory: Sequence[int] = ()
    problems: int = 0
    spans: tuple[int, int] = (0, 0)
    """Exported, and dropped on the way from the supervisor."""
    now: float = 0.0
    """Wall seconds."""


class Exposition:
    """``blocks`` in the order of worker indexes; ``names`` slot -> (service, version), see ``slots.Slots.names``."""

    def __init__(
        self,
        blocks: Callable[[], Sequence[Block]],
        names: Callable[[], Mapping[int, Name]],
        view: Callable[[], View],
        window: Window,
        *,
        counted: Callable[[], Sequence[Block]] | None = None,
        standings: Callable[[], Sequence[Standing]] = tuple,
        flag_standings: Callable[[], Sequence[Standing]] = tuple,
        flagged: Flagged | None = None,
        shadowed: Shadowed | None = None,
    ) -> None:
        """``counted`` are those of ``blocks`` and what earlier programs counted, see ``carry``; ``standings`` is how
        the judges of present releases stand, ``flag_standings`` those of flags; ``flagged`` is what was counted of
        feature flags, ``shadowed`` of copies.
        """
        self._blocks = blocks
        self._counted = counted or blocks
        self._standings = standings
        self._flag_standings = flag_standings
        self._flagged = flagged or Flagged()
        self._shadowed = shadowed or Shadowed()
        self._names = names
        self._view = view
        self._window = window

    def render(self, accept: str) -> tuple[bytes, str]:
        """The whole page and its Content-Type: OpenMetrics where the Accept field asks for it, else Prometheus text."""
        return encode(self.collect(), accept)

    def collect(self) -> Iterator[Metric]:
        blocks, counted = self._blocks(), self._counted()
        view = self._view()
        yield from _traffic({name: read(counted, slot) for slot, name in self._names().items()})
        yield from _workers(blocks, counted, view)
        if view.state is not None:
            yield from self._release(view.state)
            yield from _backends(view.state, view)
            yield from released.families(view.state)
            yield from flag_state.families(view.state, view.now)
        yield from judged.families(self._standings())
        yield from judged.of_flags(self._flag_standings())
        yield from self._flagged.families()
        yield from self._shadowed.families()

    def _release(self, state: State) -> Iterator[Metric]:
        """What operators decided, and what it comes to."""
        yield GaugeMetricFamily("gatekeeper_revision", "Revision of the accepted state.", value=state.revision)
        weight = GaugeMetricFamily("gatekeeper_weight", "Weight of a version in its service's split.", labels=_PAIR)
        share = GaugeMetricFamily(
            "gatekeeper_share", "Part of the service's requests that reached the version lately, 0 to 1.", labels=_PAIR
        )
        tripped = GaugeMetricFamily(
            "gatekeeper_tripped", "1 when the trip-wire took the version's weight, else 0.", labels=_PAIR
        )
        for service, known in state.services.items():
            weights = known.running.split.weights
            for version in known.definition.versions:
                weight.add_metric((service, version), float(weights.get(version, 0)))
                part = self._window.live(service, version).share
                if part is not None:
                    share.add_metric((service, version), part)
                tripped.add_metric((service, version), float(version in known.running.tripped))
        yield from (weight, share, tripped)


def _backends(state: State, view: View) -> Iterator[Metric]:
    """Which backends get requests."""
    up = GaugeMetricFamily(
        "gatekeeper_backend_up", "1 when the backend takes requests, else 0.", labels=(*_PAIR, "backend")
    )
    states = GaugeMetricFamily(
        "gatekeeper_backend_state",
        "1 for the state a backend is in, 0 for others.",
        labels=(*_PAIR, "backend", "state"),
    )
    ejections = CounterMetricFamily(
        "gatekeeper_ejections", "Times a backend was ejected, by what ejected it.", labels=(*_PAIR, "cause")
    )
    for service, known in state.services.items():
        for version, definition in known.definition.versions.items():
            found = view.backends.get(service, {}).get(version) or {each.url: "ready" for each in definition.backends}
            for backend, condition in found.items():
                up.add_metric((service, version, backend), float(condition == "ready"))
                for each in STATES:
                    states.add_metric((service, version, backend, each), float(condition == each))
            for cause in CAUSES:
                ejections.add_metric((service, version, cause), view.ejections.get((service, version, cause), 0))
    yield from (up, states, ejections)


def _traffic(of: Mapping[Name, Totals]) -> Iterator[Metric]:
    """What workers counted per version. All but the codes are there from the start, at 0, so that rate() sees the
    first one happen; codes appear when they do, because 500 of them per version would be noise.
    """
    requests = CounterMetricFamily(
        "gatekeeper_requests", "Requests answered, by final status.", labels=(*_PAIR, "code", "forced")
    )
    errors = CounterMetricFamily(
        "gatekeeper_errors", "Failed exchanges, by who caused them.", labels=(*_PAIR, "source")
    )
    failovers = CounterMetricFamily(
        "gatekeeper_failovers", "Requests that left the version because it had no ready backend.", labels=_PAIR
    )
    retries = CounterMetricFamily("gatekeeper_retries", "Further tries of requests at the version.", labels=_PAIR)
    inflight = GaugeMetricFamily("gatekeeper_inflight", "Requests begun and not finished.", labels=_PAIR)
    duration = HistogramMetricFamily(
        "gatekeeper_request_duration_seconds", "Time to answer a request, forced ones left out.", labels=_PAIR
    )
    upstream = HistogramMetricFamily(
        "gatekeeper_upstream_duration_seconds", "Time until the backend's answer began.", labels=_PAIR
    )
    tunnels = GaugeMetricFamily("gatekeeper_tunnels", "Upgraded connections open.", labels=_PAIR)
    opened = CounterMetricFamily("gatekeeper_tunnels_opened", "Connections that were upgraded.", labels=_PAIR)
    received = CounterMetricFamily(
        "gatekeeper_tunnel_received_bytes", "Bytes from clients through upgraded connections.", labels=_PAIR
    )
    sent = CounterMetricFamily(
        "gatekeeper_tunnel_sent_bytes", "Bytes to clients through upgraded connections.", labels=_PAIR
    )
    for name, totals in of.items():
        for (code, forced), count in sorted(totals.codes.items()):
            label = "000" if code == OTHER_CODE else str(code)
            requests.add_metric((*name, label, "true" if forced else "false"), count)
        for source, count in totals.errors.items():
            errors.add_metric((*name, source.label), count)
        failovers.add_metric(name, totals.failovers)
        retries.add_metric(name, totals.retries)
        inflight.add_metric(name, totals.in_flight)
        tunnels.add_metric(name, totals.tunnels_open)
        opened.add_metric(name, totals.tunnels)
        received.add_metric(name, totals.tunnel_received)
        sent.add_metric(name, totals.tunnel_sent)
        duration.add_metric(name, totals.duration.cumulative(), totals.duration.seconds)
        upstream.add_metric(name, totals.upstream.cumulative(), totals.upstream.seconds)
    yield from (requests, errors, failovers, retries, inflight, duration, upstream, tunnels, opened, received, sent)


def _workers(blocks: Sequence[Block], counted: Sequence[Block], view: View) -> Iterator[Metric]:
    """The processes themselves."""
    yield InfoMetricFamily(
        "gatekeeper_build",
        "The running program.",
        {
            "version": __version__,
            "python": platform.python_version(),
            "traffic_path": "compiled" if COMPILED else "python",
        },
    )
    yield GaugeMetricFamily("gatekeeper_start_time_seconds", "Wall time the supervisor started.", value=view.started)
    yield GaugeMetricFamily("gatekeeper_workers", "Workers serving.", value=view.workers)
    yield GaugeMetricFamily("gatekeeper_problems", "Problems that the status names now.", value=view.problems)
    yield CounterMetricFamily("gatekeeper_worker_restarts", "Workers that were replaced.", value=view.restarts)
    revision = GaugeMetricFamily(
        "gatekeeper_worker_revision", "Revision a worker routes by, 0 while it starts.", labels=("worker",)
    )
    lag = GaugeMetricFamily(
        "gatekeeper_worker_lag_seconds", "How late a worker's event loop ran its last timer.", labels=("worker",)
    )
    memory = GaugeMetricFamily(
        "gatekeeper_worker_memory_bytes", "Resident memory of a worker, 0 while it starts.", labels=("worker",)
    )
    for index, size in enumerate(view.memory):
        memory.add_metric((str(index),), size)
    refused = CounterMetricFamily("gatekeeper_refused", "Connections turned away.", labels=("reason",))
    accepted = closed = dropped = 0
    exported, lost = view.spans
    for index, block in enumerate(blocks):
        revision.add_metric((str(index),), block.integers[REVISION])
        lag.add_metric((str(index),), block.doubles[LAG])
    for block in counted:
        # Closed is read first: a connection that comes and goes in between may then count as open, never as -1.
        closed += block.integers[CLOSED]
        accepted += block.integers[ACCEPTED]
        dropped += block.integers[LOG_DROPPED]
        lost += block.integers[SPANS_DROPPED]
    for reason in Refusal:
        refused.add_metric((reason.label,), sum(block.integers[REFUSED + reason] for block in counted))
    yield from (revision, lag, memory, refused)
    yield GaugeMetricFamily("gatekeeper_connections", "Client connections open.", value=max(0, accepted - closed))
    yield CounterMetricFamily("gatekeeper_accepted", "Client connections accepted.", value=accepted)
    yield CounterMetricFamily(
        "gatekeeper_access_log_dropped", "Access log lines given up because nobody took them.", value=dropped
    )
    spans = CounterMetricFamily("gatekeeper_spans", "Spans of traces, by what became of them.", labels=("outcome",))
    spans.add_metric(("exported",), exported)
    spans.add_metric(("dropped",), lost)
    yield spans
