"""What flows now: the numbers of the last ten seconds per (service, version), for people and for the share metric.

The supervisor calls ``sample`` once a second; each sample keeps the totals of that moment, and what happened lately
is the newest sample less the one that is a span older. Keyed by names and not by slots, so a reused slot starts anew.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gatekeeper.telemetry.block import BUCKET_COUNT, BUCKETS, Block
from gatekeeper.telemetry.slots import Name
from gatekeeper.telemetry.totals import begun, read

SPAN: Final = 10.0
"""Seconds. Long enough that 1 % of 100 requests/s is ten requests, short enough to watch a step take effect."""
_STEPS: Final = 20
"""At most so many samples in a span, however often ``sample`` is called: bounds memory."""


@dataclass(frozen=True, slots=True)
class Live:
    """One version in the last ``seconds`` (0: nothing known yet). Requests of testers are left out, except in flight.

    ``errors`` are answers with 5xx. ``share`` is the part of the service's requests, 0..1, None when it had none.
    ``p50`` .. ``p99`` estimate the request duration in seconds, None without requests; never above 60, the last bound.
    """

    seconds: float = 0.0
    requests: int = 0
    errors: int = 0
    rate: float = 0.0
    share: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """One version's counters at one moment, testers' requests left out: all, those with 5xx, and the histogram.

    ``begun`` counts testers' requests, too. The counters of a version that had nothing to do meanwhile are the very
    same object again: of 10,000 services hardly one has, and looking at those that have not was most of the work.
    """

    requests: int
    failed: int
    buckets: tuple[int, ...]
    in_flight: int
    begun: int = -1

    def since(self, base: "Counts") -> "Counts":
        """What happened since ``base``, the counters of an earlier moment; NOTHING itself if nothing did."""
        if base is self and not self.in_flight:
            return NOTHING
        if base.requests > self.requests:  # the name left, lost its slot and came back
            base = NOTHING
        buckets = tuple(max(0, now - then) for now, then in zip(self.buckets, base.buckets, strict=True))
        return Counts(self.requests - base.requests, max(0, self.failed - base.failed), buckets, self.in_flight)


NOTHING: Final = Counts(0, 0, (0,) * BUCKET_COUNT, 0)


class Window:
    """``blocks`` gives all workers' blocks, ``names`` slot -> (service, version)."""

    def __init__(
        self, blocks: Callable[[], Sequence[Block]], names: Callable[[], Mapping[int, Name]], span: float = SPAN
    ) -> None:
        self._blocks = blocks
        self._names = names
        self._span = span
        self._samples: deque[tuple[float, dict[Name, Counts]]] = deque(maxlen=_STEPS + 2)
        self._live: dict[Name, Live] = {}

    def sample(self, now: float) -> None:
        """Read the blocks at monotonic second ``now``. Calls closer than a twentieth of the span are left out."""
        samples = self._samples
        if samples and now - samples[-1][0] < self._span / _STEPS:
            return
        blocks = self._blocks()
        counts: dict[Name, Counts] = {}
        _, before = self.latest
        for slot, name in self._names().items():
            known = before.get(name)
            # All that had begun had ended, and none has begun since: its counters stand where they stood.
            if known is not None and not known.in_flight and known.begun == begun(blocks, slot):
                counts[name] = known
                continue
            totals = read(blocks, slot)
            buckets = tuple(totals.duration.buckets)
            counts[name] = Counts(totals.requests, totals.failed, buckets, totals.in_flight, totals.begun)
        samples.append((now, counts))
        while len(samples) > 2 and samples[1][0] <= now - self._span:
            samples.popleft()
        self._live = self._compare()

    @property
    def latest(self) -> tuple[float, Mapping[Name, Counts]]:
        """The newest sample: its monotonic second and the counters of then; (0, nothing) before the first."""
        return self._samples[-1] if self._samples else (0.0, {})

    def _compare(self) -> dict[Name, Live]:
        then, base = self._samples[0]
        now, counts = self._samples[-1]
        # A name unknown then had no slot then: everything it counted, it counted since.
        changes = {name: count.since(base.get(name, NOTHING)) for name, count in counts.items()}
        if now <= then:
            return {name: Live(in_flight=count.in_flight) for name, count in counts.items()}
        of_service: dict[str, int] = {}
        for (service, _), change in changes.items():
            of_service[service] = of_service.get(service, 0) + change.requests
        quiet = Live(seconds=now - then)
        return {
            name: quiet
            if change is NOTHING and not of_service[name[0]]
            else Live(
                seconds=now - then,
                requests=change.requests,
                errors=change.failed,
                rate=change.requests / (now - then),
                share=change.requests / of_service[name[0]] if of_service[name[0]] else None,
                p50=quantile(change.buckets, 0.5),
                p95=quantile(change.buckets, 0.95),
                p99=quantile(change.buckets, 0.99),
                in_flight=change.in_flight,
            )
            for name, change in changes.items()
        }

    def live(self, service: str, version: str) -> Live:
        """The latest sample's numbers; all zero for a version never sampled."""
        return self._live.get((service, version), Live())


def quantile(buckets: Sequence[int], part: float) -> float | None:
    """The ``part``-quantile in seconds, linear within its bucket as Prometheus' histogram_quantile; None when empty.

    In the last bucket, which has no upper bound, it is that bucket's lower bound.
    """
    count = sum(buckets)
    if not count:
        return None
    rank = part * count
    below = 0
    for index, bound in enumerate(BUCKETS):
        here = buckets[index]
        if here and below + here >= rank:
            lower = BUCKETS[index - 1] if index else 0.0
            return lower + (bound - lower) * max(0.0, rank - below) / here
        below += here
    return BUCKETS[-1]
