"""How others decide, on the same traffic: fixed thresholds on the candidate, or a rank test over minutes.

Re-told from their documentation, with the values of its examples; none of their code is here.

- *Flagger-style*: each minute the candidate's success rate must be 99 % (or its p99 below half a second); the fifth
  failed check in all rolls back. A minute without a request checks nothing.
- *Argo-style*: each five minutes 95 % success; the fourth failure rolls back.
- *Kayenta-style*: every five minutes from the tenth on, a Mann-Whitney test of all per-minute values of both versions,
  98 % confidence, with a tolerance of a quarter of the estimated shift.
"""

from dataclasses import dataclass, field
from math import ceil, sqrt
from statistics import NormalDist, quantiles
from typing import Final, Protocol

MINUTE: Final = 60


@dataclass(slots=True)
class Minute:
    """What both versions did in one minute; times in seconds, empty where a scenario has none."""

    stable: int = 0
    candidate: int = 0
    stable_errors: int = 0
    candidate_errors: int = 0
    stable_times: list[float] = field(default_factory=list)
    candidate_times: list[float] = field(default_factory=list)


class Rule(Protocol):
    def add(self, minute: Minute) -> bool:
        """Whether to roll back now; asked once a minute."""
        ...


class Flagger:
    def __init__(self) -> None:
        self._failures = 0

    def add(self, minute: Minute) -> bool:
        if not minute.candidate:
            return False
        failed = minute.candidate_errors > 0.01 * minute.candidate
        if minute.candidate_times:
            failed = _percentile(minute.candidate_times, 99) > 0.5
        self._failures += failed
        return self._failures >= 5


class Argo:
    def __init__(self) -> None:
        self._minutes = self._failures = self._requests = self._errors = 0

    def add(self, minute: Minute) -> bool:
        self._minutes += 1
        self._requests += minute.candidate
        self._errors += minute.candidate_errors
        if self._minutes % 5 == 0:
            self._failures += self._errors > 0.05 * self._requests
            self._requests = self._errors = 0
        return self._failures >= 4


class Kayenta:
    def __init__(self) -> None:
        self._minutes = 0
        self._series: dict[str, tuple[list[float], list[float]]] = {}

    def add(self, minute: Minute) -> bool:
        self._minutes += 1
        if minute.stable_times and minute.candidate_times:
            for percent in (50, 99):
                self._put(
                    f"p{percent}",
                    _percentile(minute.stable_times, percent),
                    _percentile(minute.candidate_times, percent),
                )
        elif minute.stable and minute.candidate:
            self._put("errors", minute.stable_errors / minute.stable, minute.candidate_errors / minute.candidate)
        if self._minutes < 10 or self._minutes % 5:
            return False
        return any(higher(candidate, stable) for stable, candidate in self._series.values())

    def _put(self, name: str, stable: float, candidate: float) -> None:
        control, experiment = self._series.setdefault(name, ([], []))
        control.append(stable)
        experiment.append(candidate)


def _percentile(values: list[float], percent: int) -> float:
    return values[0] if len(values) == 1 else quantiles(values, n=100, method="inclusive")[percent - 1]


def higher(experiment: list[float], control: list[float], *, confidence: float = 0.98, tolerance: float = 0.25) -> bool:
    """Whether the confidence interval of the shift (Hodges-Lehmann, normal approximation) is above the tolerance."""
    if len(experiment) < 2 or len(control) < 2:
        return False
    shifts = sorted(one - other for one in experiment for other in control)
    m, n = len(experiment), len(control)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * sqrt(m * n * (m + n + 1) / 12)
    lowest = ceil(m * n / 2 - half)
    if lowest < 1:
        return False
    estimate = (shifts[(m * n - 1) // 2] + shifts[m * n // 2]) / 2
    return shifts[lowest - 1] > tolerance * abs(estimate)


RULES: Final[dict[str, type[Rule]]] = {"Flagger": Flagger, "Argo": Argo, "Kayenta": Kayenta}
