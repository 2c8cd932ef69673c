"""Which flags are on, for how many, and which should be gone, as metrics."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from gatekeeper.core.flags.schedule import overdue
from gatekeeper.core.model import State


def families(state: State, now: float) -> Iterator[Metric]:
    """Of every flag; ``now`` is wall seconds."""
    on = GaugeMetricFamily(
        "gatekeeper_flag_on", "1 when the flag is on, also for the candidate alone, else 0.", labels=("flag",)
    )
    weight = GaugeMetricFamily(
        "gatekeeper_flag_weight", "Weight of a variant in its flag's split.", labels=("flag", "variant")
    )
    late = GaugeMetricFamily(
        "gatekeeper_flag_overdue", "1 when the day the flag was to be gone by is over, else 0.", labels=("flag",)
    )
    for name, flag in sorted(state.flags.items()):
        running = flag.running
        on.add_metric((name,), float((running.on or bool(running.following)) and not running.killed))
        for variant in flag.definition.variants:
            weight.add_metric((name, variant), float(running.split.weights.get(variant, 0)))
        late.add_metric((name,), float(overdue(flag.definition, now)))
    yield from (on, weight, late)
