"""What judges say, as metrics: each value beside the bar it is compared with."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from gatekeeper.core.judge.standing import Standing, odds


def families(standings: Sequence[Standing]) -> Iterator[Metric]:
    """Of all services that are judged now."""
    yield from _verdicts(standings)
    yield from _guards(standings)
    yield from _metrics(standings)


def of_flags(standings: Sequence[Standing]) -> Iterator[Metric]:
    """Of all flags that are judged now."""
    kind = GaugeMetricFamily("gatekeeper_flag_verdict", "1 for the verdict on a flag.", labels=("flag", "verdict"))
    value = GaugeMetricFamily("gatekeeper_flag_verdict_odds", "Odds against luck.", labels=("flag",))
    bar = GaugeMetricFamily("gatekeeper_flag_verdict_bar", "Odds at which it is proven worse.", labels=("flag",))
    for each in standings:
        kind.add_metric((each.service, each.verdict.kind.value), 1.0)
        value.add_metric((each.service,), odds(each.verdict.numbers.log_odds))
        bar.add_metric((each.service,), each.verdict.bar)
    yield from (kind, value, bar)


def _verdicts(standings: Sequence[Standing]) -> Iterator[Metric]:
    kind = GaugeMetricFamily(
        "gatekeeper_verdict",
        "1 for the verdict on a service that is being released.",
        labels=("service", "release", "verdict"),
    )
    value = GaugeMetricFamily("gatekeeper_verdict_odds", "Odds against luck.", labels=("service",))
    bar = GaugeMetricFamily("gatekeeper_verdict_bar", "Odds that mean rollback.", labels=("service",))
    proof = GaugeMetricFamily(
        "gatekeeper_verdict_proof", "Odds that the candidate is good enough by a metric.", labels=("service", "metric")
    )
    proof_bar = GaugeMetricFamily(
        "gatekeeper_verdict_proof_bar", "Odds that each metric must reach for a pass.", labels=("service",)
    )
    for each in standings:
        numbers = each.verdict.numbers
        kind.add_metric((each.service, str(each.release), each.verdict.kind.value), 1.0)
        value.add_metric((each.service,), odds(numbers.log_odds))
        bar.add_metric((each.service,), each.verdict.bar)
        for metric, log_proof in numbers.proofs.items():
            proof.add_metric((each.service, metric), odds(log_proof))
        proof_bar.add_metric((each.service,), 1 / each.analysis.beta)
    yield from (kind, value, bar, proof, proof_bar)


def _guards(standings: Sequence[Standing]) -> Iterator[Metric]:
    labels = ("service", "version", "guard")
    value = GaugeMetricFamily(
        "gatekeeper_guard_value", "Part of a version's requests that failed, or took too long, lately.", labels=labels
    )
    bound = GaugeMetricFamily("gatekeeper_guard_bound", "The part that an absolute guard allows.", labels=labels)
    for each in standings:
        for reading in each.guards:
            names = (each.service, reading.version, reading.guard)
            if reading.value is not None:
                value.add_metric(names, reading.value)
            bound.add_metric(names, reading.bound)
    yield from (value, bound)


def _metrics(standings: Sequence[Standing]) -> Iterator[Metric]:
    labels = ("service", "metric")
    value = GaugeMetricFamily(
        "gatekeeper_custom_metric_value", "What a custom metric's query gave last.", labels=labels
    )
    bound = GaugeMetricFamily(
        "gatekeeper_custom_metric_bound", "What a custom metric is held against.", labels=(*labels, "bound")
    )
    for each in standings:
        for reading in each.queries:
            names = (each.service, reading.name)
            if reading.value is not None:
                value.add_metric(names, reading.value)
            for side, limit in (("min", reading.min), ("max", reading.max)):
                if limit is not None:
                    bound.add_metric((*names, side), limit)
    yield from (value, bound)
