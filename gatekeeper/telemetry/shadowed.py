"""What came of copies of users' requests, as metrics. The sums only grow, whichever run or worker they were of."""

from collections.abc import Iterator
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from gatekeeper.core.shadow.compare import Kind
from gatekeeper.core.shadow.tally import TIMES, Outcome, Tally, Times, bound

_PAIR: Final = ("service", "version")
EACH: Final = 3
"""Of the buckets of times every third one is shown: 15 lines of each histogram, a factor of two apart."""
MOST_NAMES: Final = 1024
"""Versions that are counted. With more the one that was silent longest begins anew, which looks like a restart."""


class _Sums:
    __slots__ = ("candidate", "kinds", "outcomes", "user")

    def __init__(self) -> None:
        self.outcomes: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.kinds: dict[Kind, int] = dict.fromkeys(Kind, 0)
        self.user = Times()
        self.candidate = Times()


class Shadowed:
    """``add`` what workers counted; ``families`` is what it comes to."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], _Sums] = {}

    def add(self, service: str, version: str, tally: Tally) -> None:
        sums = self._of(service, version)
        for outcome, many in tally.outcomes.items():
            sums.outcomes[outcome] += many
        for place, seen in tally.places.items():
            sums.kinds[place.kind] += seen.count
        sums.user.plus(tally.user)
        sums.candidate.plus(tally.candidate)

    def _of(self, service: str, version: str) -> _Sums:
        sums = self._sums.pop((service, version), None)
        if sums is None:
            if len(self._sums) >= MOST_NAMES:
                del self._sums[next(iter(self._sums))]
            sums = _Sums()
        self._sums[service, version] = sums  # behind those that were silent for longer
        return sums

    def dump(self) -> list[Any]:
        """Everything, as ``take`` takes it."""
        return [
            [
                *names,
                {outcome.value: many for outcome, many in sums.outcomes.items()},
                {kind.value: many for kind, many in sums.kinds.items()},
                [[*sums.user.counts.items()], sums.user.total],
                [[*sums.candidate.counts.items()], sums.candidate.total],
            ]
            for names, sums in self._sums.items()
        ]

    def take(self, rows: Any) -> None:
        """What an earlier program counted. Raises ValueError for what is none; rows before it were taken."""
        try:
            for service, version, outcomes, kinds, user, candidate in rows:
                sums = self._of(str(service), str(version))
                for name, many in outcomes.items():
                    sums.outcomes[Outcome(name)] += int(many)
                for name, many in kinds.items():
                    sums.kinds[Kind(name)] += int(many)
                sums.user.plus(Times({int(place): int(many) for place, many in user[0]}, float(user[1])))
                sums.candidate.plus(Times({int(place): int(many) for place, many in candidate[0]}, float(candidate[1])))
        except (TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"no sums of copies: {error}") from error

    def families(self) -> Iterator[Metric]:
        """As metrics, by name."""
        requests = CounterMetricFamily(
            "gatekeeper_shadow_requests",
            "Copies of users' requests to the version, by what became of them.",
            labels=(*_PAIR, "outcome"),
        )
        differences = CounterMetricFamily(
            "gatekeeper_shadow_differences",
            "Places in which answers differed from the users', by kind; noise that was not known yet among them.",
            labels=(*_PAIR, "kind"),
        )
        duration = HistogramMetricFamily(
            "gatekeeper_shadow_duration_seconds",
            "Time until an answer began, of requests that were compared: the user's and the candidate's.",
            labels=(*_PAIR, "side"),
        )
        for names, sums in sorted(self._sums.items()):
            for outcome, many in sums.outcomes.items():
                requests.add_metric((*names, outcome.value), many)
            for kind, many in sums.kinds.items():
                differences.add_metric((*names, kind.value), many)
            for side, times in (("user", sums.user), ("candidate", sums.candidate)):
                duration.add_metric((*names, side), _cumulative(times), times.total)
        yield from (requests, differences, duration)


def _cumulative(times: Times) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    below = 0
    for place in range(TIMES):
        below += times.counts.get(place, 0)
        if place % EACH == 0 or place == TIMES - 1:
            limit = bound(place)
            found.append(("+Inf" if limit == float("inf") else f"{limit:.6g}", below))
    return found
