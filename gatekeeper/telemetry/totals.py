"""One version's numbers, added up over the blocks of all workers. Reads memory only: no worker is asked or delayed."""

import struct
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from gatekeeper.errors import Source
from gatekeeper.telemetry.block import (
    BEGUN,
    BUCKET_COUNT,
    BUCKETS,
    CODE_COUNT,
    CODES,
    DURATION,
    ERRORS,
    FAILOVERS,
    FORCED,
    HEADER,
    RETRIES,
    STRIDE,
    SUM,
    TUNNEL_RECEIVED,
    TUNNEL_SENT,
    TUNNELS,
    TUNNELS_CLOSED,
    UPSTREAM,
    UPSTREAM_SUM,
    Block,
)

OTHER_CODE: Final = 0
"""Stands for every status outside 100..599; written ``000``."""

# Prometheus writes bounds as its clients do, "1.0" and "+Inf"; OpenMetrics requires exactly this form.
_BOUNDS: Final = (*(str(bound) for bound in BUCKETS), "+Inf")

_DOUBLE: Final = struct.Struct("d")
_TOGETHER: Final = 25
"""Codes that are looked at together."""


@dataclass(slots=True)
class Histogram:
    """``buckets`` are counts between two bounds of ``block.BUCKETS``, not cumulative; ``seconds`` is their sum.

    The number of observations is the sum of the buckets and kept nowhere else, so the two cannot disagree.
    """

    buckets: list[int] = field(default_factory=lambda: [0] * BUCKET_COUNT)
    seconds: float = 0.0

    @property
    def count(self) -> int:
        return sum(self.buckets)

    def cumulative(self) -> list[tuple[str, float]]:
        """(bound, observations up to it). prometheus-client takes the count from the last one."""
        return list(zip(_BOUNDS, accumulate(self.buckets), strict=True))


@dataclass(slots=True)
class Totals:
    """Counts since the slot was taken. ``codes`` maps (status, forced) to answers and holds no zeros."""

    codes: dict[tuple[int, bool], int] = field(default_factory=dict)
    duration: Histogram = field(default_factory=Histogram)
    upstream: Histogram = field(default_factory=Histogram)
    errors: dict[Source, int] = field(default_factory=lambda: dict.fromkeys(Source, 0))
    failovers: int = 0
    retries: int = 0
    begun: int = 0
    tunnels: int = 0
    tunnels_closed: int = 0
    tunnel_received: int = 0
    tunnel_sent: int = 0

    @property
    def requests(self) -> int:
        """Answers to requests that no tester forced."""
        return sum(count for (_, forced), count in self.codes.items() if not forced)

    @property
    def failed(self) -> int:
        """Those of ``requests`` answered with 5xx, by the version or for it."""
        return sum(count for (code, forced), count in self.codes.items() if code >= 500 and not forced)

    @property
    def in_flight(self) -> int:
        """Requests begun and not finished. Never negative, though a request may end while the cells are read."""
        return max(0, self.begun - sum(self.codes.values()))

    @property
    def tunnels_open(self) -> int:
        return max(0, self.tunnels - self.tunnels_closed)


def read(blocks: Iterable[Block], slot: int) -> Totals:
    """The numbers of one slot over all blocks. Blocks too small to have the slot count as empty."""
    totals = Totals()
    for block in blocks:
        if slot < block.capacity and block.used(slot):
            _add(totals, block, slot)
    return totals


def begun(blocks: Iterable[Block], slot: int) -> int:
    """Requests that have begun, of testers, too: what ``read`` has as ``begun``, many times as fast."""
    cell = HEADER + slot * STRIDE + BEGUN
    return sum(block.integers[cell] for block in blocks if slot < block.capacity)


def answered(blocks: Iterable[Block], slot: int) -> tuple[int, int]:
    """Answers to requests that no tester forced, and those of them with 5xx: what ``read`` has, many times as fast."""
    requests = failed = 0
    for block in blocks:
        if slot < block.capacity:
            codes = HEADER + slot * STRIDE + CODES
            cells = block.integers[codes : codes + CODE_COUNT]
            requests += sum(cells)
            failed += sum(cells[500 - 99 :])
    return requests, failed


def _answered(codes: "array[int]") -> Iterator[int]:
    """Where anything but zeros may be: most of the 501 are never answered, and ``any`` looks at many at once."""
    for start in range(0, CODE_COUNT, _TOGETHER):
        if any(codes[start : start + _TOGETHER]):
            yield from range(start, min(start + _TOGETHER, CODE_COUNT))


def _add(totals: Totals, block: Block, slot: int) -> None:
    cells = block.slot_cells(slot)
    totals.begun += cells[BEGUN]
    totals.failovers += cells[FAILOVERS]
    totals.retries += cells[RETRIES]
    totals.tunnels += cells[TUNNELS]
    totals.tunnels_closed += cells[TUNNELS_CLOSED]
    totals.tunnel_received += cells[TUNNEL_RECEIVED]
    totals.tunnel_sent += cells[TUNNEL_SENT]
    for histogram, buckets, total in (
        (totals.duration, DURATION, SUM),
        (totals.upstream, UPSTREAM, UPSTREAM_SUM),
    ):
        for index, count in enumerate(cells[buckets : buckets + BUCKET_COUNT]):
            histogram.buckets[index] += count
        histogram.seconds += _DOUBLE.unpack_from(cells, total * cells.itemsize)[0]
    for source in Source:
        totals.errors[source] += cells[ERRORS + source]
    for forced, first in ((False, CODES), (True, FORCED)):
        codes = cells[first : first + CODE_COUNT]
        for index in _answered(codes):
            if count := codes[index]:
                key = (index + 99 if index else OTHER_CODE, forced)
                totals.codes[key] = totals.codes.get(key, 0) + count
