"""The few numbers that the demo reads from ``/metrics``, as a monitoring system would."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters of one version's requests that were not forced, since gatekeeper started."""

    by_code: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def requests(self) -> float:
        return sum(self.by_code.values())

    @property
    def errors(self) -> float:
        return sum(count for code, count in self.by_code.items() if code.startswith("5"))

    @property
    def mean(self) -> float:
        """Seconds per request."""
        return self.seconds / self.requests if self.requests else 0.0

    def minus(self, earlier: "Sample") -> "Sample":
        codes = {code: count - earlier.by_code.get(code, 0.0) for code, count in self.by_code.items()}
        return Sample(codes, self.seconds - earlier.seconds)


def read(text: str, service: str) -> dict[str, Sample]:
    """Version -> Sample from the Prometheus text format."""
    # Imported here: only the demo reads metrics, every other verb starts without this.
    from prometheus_client.parser import text_string_to_metric_families

    codes: dict[str, dict[str, float]] = {}
    seconds: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            if labels.get("service") != service:
                continue
            version = labels.get("version", "")
            if sample.name == "gatekeeper_requests_total" and labels.get("forced") == "false":
                counts = codes.setdefault(version, {})
                counts[labels["code"]] = counts.get(labels["code"], 0.0) + sample.value
            elif sample.name == "gatekeeper_request_duration_seconds_sum":
                seconds[version] = sample.value
    return {version: Sample(counts, seconds.get(version, 0.0)) for version, counts in codes.items()}


def shares(now: Mapping[str, Sample], earlier: Mapping[str, Sample]) -> dict[str, float]:
    """Version -> fraction of the requests between the two readings."""
    flowed = {version: sample.minus(earlier.get(version, Sample())).requests for version, sample in now.items()}
    total = sum(flowed.values())
    return {version: count / total for version, count in flowed.items()} if total else {}
