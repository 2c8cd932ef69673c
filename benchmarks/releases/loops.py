"""How others would watch the same release: a look at its metrics now and then, and a rollback through the admin API.

Re-told from the documentation of Flagger and Argo Rollouts, with the values of its examples; none of their code is
here.

- *Flagger-like*: every minute the candidate's success rate must be 99 % and its p99 below half a second; the fifth
  failed check in all rolls back. A minute without a request checks nothing.
- *Argo-like*: every five minutes 95 % success; the fourth failure rolls back (``failureLimit: 3``).
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Protocol

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters of one version. ``within`` has for each bound in seconds how many took no longer."""

    requests: float = 0.0
    failed: float = 0.0
    within: tuple[tuple[float, float], ...] = ()

    def since(self, other: "Reading") -> "Reading":
        before = dict(other.within)
        within = tuple((bound, many - before.get(bound, 0.0)) for bound, many in self.within)
        return Reading(self.requests - other.requests, self.failed - other.failed, within)

    @property
    def success(self) -> float:
        return 1 - self.failed / self.requests

    def quantile(self, part: float) -> float:
        """Seconds, as Prometheus' histogram_quantile has them: evenly spread within a bucket. Not a number: nobody."""
        whole = self.within[-1][1] if self.within else 0.0
        if not whole:
            return float("nan")
        for (low, below), (high, many) in pairwise(((0.0, 0.0), *self.within)):
            if many >= part * whole:
                return low if high == float("inf") else low + (high - low) * (part * whole - below) / (many - below)
        raise AssertionError("the last bucket holds all")


def read(metrics: str, version: str) -> Reading:
    """What a page of metrics says of a version of the shop."""
    requests = failed = 0.0
    within: list[tuple[float, float]] = []
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.labels.get("version") != version:
                continue
            if sample.name == "gatekeeper_requests_total":
                requests += sample.value
                failed += sample.value if sample.labels["code"] >= "500" else 0.0
            elif sample.name == "gatekeeper_request_duration_seconds_bucket":
                within.append((float(sample.labels["le"]), sample.value))
    return Reading(requests, failed, tuple(sorted(within)))


class Loop(Protocol):
    """``interval`` seconds between two looks."""

    interval: float

    def look(self, reading: Reading) -> str:
        """Why to roll back now; empty: go on."""
        ...


@dataclass(slots=True)
class FlaggerLike:
    interval: float = 60.0
    failures: int = 0
    _last: Reading = field(default_factory=Reading)

    def look(self, reading: Reading) -> str:
        now, self._last = reading.since(self._last), reading
        if now.requests:
            self.failures += now.success < 0.99 or now.quantile(0.99) > 0.5
        return f"{self.failures} checks failed" if self.failures >= 5 else ""


@dataclass(slots=True)
class ArgoLike:
    interval: float = 300.0
    failures: int = 0
    _last: Reading = field(default_factory=Reading)

    def look(self, reading: Reading) -> str:
        now, self._last = reading.since(self._last), reading
        if now.requests:
            self.failures += now.success < 0.95
        return f"{self.failures} checks failed" if self.failures > 3 else ""


LOOPS: Final[dict[str, type[FlaggerLike] | type[ArgoLike]]] = {"Flagger-like": FlaggerLike, "Argo-like": ArgoLike}
JUDGE: Final = "judge"
EACH: Final = (JUDGE, *LOOPS)
