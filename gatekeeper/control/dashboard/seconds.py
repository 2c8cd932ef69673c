"""What one second of a version was: from the counters' samples to a row of a chart. Pure but for what it remembers.

Requests and errors are those of the second. Quantiles and the share are of the last five: one second of a quiet service
is too little to say anything of them, and lines that jump tell nobody anything.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gatekeeper.core.model import State, Weights
from gatekeeper.telemetry.slots import Name
from gatekeeper.telemetry.window import NOTHING, Counts, quantile

SMOOTH: Final = 5
"""Samples that quantiles and shares look back over."""
_SLOW: Final = 1.5
"""Seconds between two samples beyond which a row is the mean of that time: a supervisor that was held up for three
seconds must not show a peak of three times the requests."""


@dataclass(frozen=True, slots=True)
class Row:
    """One version in one second. ``weight`` and ``share`` are parts of its service's requests (0..1): what the split
    gives it, and what it really got, None where the service had none. Quantiles in seconds, None without requests.
    """

    requests: int
    errors: int
    p50: float | None
    p95: float | None
    p99: float | None
    in_flight: int
    weight: float
    share: float | None


class Seconds:
    """``rows`` once a second, with the newest sample."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Mapping[Name, Counts]]] = deque(maxlen=SMOOTH + 1)
        self._weights: dict[str, tuple[Weights, dict[str, float]]] = {}
        """By service: the weights of the split, and what they come to."""

    def rows(self, state: State, now: float, counts: Mapping[Name, Counts]) -> dict[Name, Row] | None:
        """A row for every version of ``state``; None for the first sample, and for one that was seen before."""
        samples = self._samples
        if samples and now <= samples[-1][0]:
            return None
        samples.append((now, counts))
        if len(samples) == 1:
            return None
        then, before = samples[-2]
        long_ago = samples[0][1]
        gap = now - then
        divisor = gap if gap > _SLOW else 1.0
        found: dict[Name, Row] = {}
        self._weights = {name: known for name, known in self._weights.items() if name in state.services}
        for service, of in state.services.items():
            names = [(service, version) for version in of.definition.versions]
            lately = {name: counts.get(name, NOTHING).since(long_ago.get(name, NOTHING)) for name in names}
            total = sum(each.requests for each in lately.values())
            weights = self._parts(service, of.running.split.weights)
            for name in names:
                count, some = counts.get(name, NOTHING), lately[name]
                if not total and not count.in_flight and count is before.get(name):
                    found[name] = _quiet(weights.get(name[1], 0.0))
                    continue
                last = count.since(before.get(name, NOTHING))
                found[name] = Row(
                    requests=round(last.requests / divisor),
                    errors=round(last.failed / divisor),
                    p50=_micro(quantile(some.buckets, 0.5)),
                    p95=_micro(quantile(some.buckets, 0.95)),
                    p99=_micro(quantile(some.buckets, 0.99)),
                    in_flight=count.in_flight,
                    weight=weights.get(name[1], 0.0),
                    share=_micro(some.requests / total) if total else None,
                )
        return found

    def _parts(self, service: str, weights: Weights) -> dict[str, float]:
        """Each version's part of the split; made again only when the split is another one."""
        known = self._weights.get(service)
        if known is None or known[0] is not weights:
            whole = sum(weights.values())
            parts = {name: round(float(weight / whole), 6) if whole else 0.0 for name, weight in weights.items()}
            known = self._weights[service] = (weights, parts)
        return known[1]


@lru_cache(maxsize=1024)  # weights of services at rest: hardly ever others than 0 and 1
def _quiet(weight: float) -> Row:
    """A second in which nothing happened."""
    return Row(0, 0, None, None, None, 0, weight, None)


def _micro(value: float | None) -> float | None:
    """To a millionth: finer than any chart, and short to write."""
    return None if value is None else round(value, 6)
