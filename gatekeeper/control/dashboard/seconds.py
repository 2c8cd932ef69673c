"""What one second of a version was: from the counters' samples to a row of a chart. Pure but for what it remembers.

Requests and errors are those of the second. Quantiles and the share are of the last five: one second of a quiet service
is too little to say anything of them, and lines that jump tell nobody anything.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
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
        self._shape: tuple[State | None, list[dict[Name, Row]]] = (None, [])
        """A state, and for each of its services the rows of a second in which nothing happens."""

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
        for quiet in self._quiet(state):
            # Most of 10,000 services are: telling so is all that they may cost.
            if all(
                (count := counts.get(name, NOTHING)) is long_ago.get(name, NOTHING) and not count.in_flight
                for name in quiet
            ):
                found.update(quiet)
                continue
            names = list(quiet)
            lately = {name: counts.get(name, NOTHING).since(long_ago.get(name, NOTHING)) for name in names}
            total = sum(each.requests for each in lately.values())
            for name in names:
                count, some = counts.get(name, NOTHING), lately[name]
                last = count.since(before.get(name, NOTHING))
                found[name] = Row(
                    requests=round(last.requests / divisor),
                    errors=round(last.failed / divisor),
                    p50=_micro(quantile(some.buckets, 0.5)),
                    p95=_micro(quantile(some.buckets, 0.95)),
                    p99=_micro(quantile(some.buckets, 0.99)),
                    in_flight=count.in_flight,
                    weight=quiet[name].weight,
                    share=_micro(some.requests / total) if total else None,
                )
        return found

    def _quiet(self, state: State) -> list[dict[Name, Row]]:
        if self._shape[0] is not state:
            self._weights = {name: known for name, known in self._weights.items() if name in state.services}
            rows = []
            for service, of in state.services.items():
                weights = self._parts(service, of.running.split.weights)
                rows.append(
                    {
                        (service, version): Row(0, 0, None, None, None, 0, weights.get(version, 0.0), None)
                        for version in of.definition.versions
                    }
                )
            self._shape = state, rows
        return self._shape[1]

    def _parts(self, service: str, weights: Weights) -> dict[str, float]:
        """Each version's part of the split; made again only when the split is another one."""
        known = self._weights.get(service)
        if known is None or known[0] is not weights:
            whole = sum(weights.values())
            parts = {name: round(float(weight / whole), 6) if whole else 0.0 for name, weight in weights.items()}
            known = self._weights[service] = (weights, parts)
        return known[1]


def _micro(value: float | None) -> float | None:
    """To a millionth: finer than any chart, and short to write."""
    return None if value is None else round(value, 6)
