"""Who is stable, who is being released, and how far that is, as metrics."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from gatekeeper.core.model import State
from gatekeeper.core.release.model import ACTIVE, WaitKind

_PAIR = ("service", "version")
_RELEASE = ("service", "release")


def families(state: State) -> Iterator[Metric]:
    """Of every version its part; of every release that is under way, once for each of its services, the rest."""
    active = [release for release in state.releases.values() if release.active]
    yield from _parts(state, {(move.service, move.to) for release in active for move in release.moves})
    kind = GaugeMetricFamily(
        "gatekeeper_release_state", "1 for the state that a release is in, 0 for others.", labels=(*_RELEASE, "state")
    )
    since = GaugeMetricFamily(
        "gatekeeper_release_state_since_seconds", "Wall time since when a release is in its state.", labels=_RELEASE
    )
    step = GaugeMetricFamily(
        "gatekeeper_release_step", "Step whose weight is set, from 1; 0 before the first.", labels=_RELEASE
    )
    steps = GaugeMetricFamily("gatekeeper_release_steps", "Steps of a release's plan.", labels=_RELEASE)
    waits = GaugeMetricFamily(
        "gatekeeper_release_waiting", "1 for what a release waits for, 0 for others.", labels=(*_RELEASE, "kind")
    )
    for release in active:
        kinds = {each.kind for each in release.waiting}
        for service in release.services:
            names = (service, str(release.id))
            for state_ in sorted(ACTIVE):
                kind.add_metric((*names, state_.value), float(release.state is state_))
            since.add_metric(names, release.since)
            step.add_metric(names, release.step + 1)
            steps.add_metric(names, len(release.plan.steps))
            for wait in WaitKind:
                waits.add_metric((*names, wait.value), float(wait in kinds))
    yield from (kind, since, step, steps, waits)


def _parts(state: State, candidates: set[tuple[str, str]]) -> Iterator[Metric]:
    stable = GaugeMetricFamily("gatekeeper_stable", "1 for the version that is stable, else 0.", labels=_PAIR)
    candidate = GaugeMetricFamily(
        "gatekeeper_candidate", "1 for a version that is being released, else 0.", labels=_PAIR
    )
    for service, known in state.services.items():
        for version in known.definition.versions:
            stable.add_metric((service, version), float(version == known.definition.stable))
            candidate.add_metric((service, version), float((service, version) in candidates))
    yield from (stable, candidate)
