"""What was counted of feature flags: how often each variant was evaluated, and what came of requests that had it.

A worker adds up a second in its own memory (``dataplane.tally``) and sends the sums; here they go into totals that only
grow, whichever worker dies, and that a program leaves to the next one. Cells of a worker's block would not do: names of
flags come and go with every change, and numbers for them would have to be agreed upon before.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from gatekeeper.telemetry.cells import ASKED, CELLS, CLASSES, MICROSECONDS, TIMES, Name
from gatekeeper.telemetry.totals import Histogram

MOST_NAMES: Final = 16_384
"""Names that are counted, 10 MB: 256 flags of two variants on 32 services. With more the one that was silent longest
begins anew, which to whoever reads it looks like a restart."""

_LABELS: Final = ("service", "flag", "variant")


class Flagged:
    """``hear`` what workers counted; ``families`` is what it comes to."""

    def __init__(self) -> None:
        self._totals: dict[Name, list[int]] = {}
        self._since: Flagged | None = None

    def hear(self, rows: Any) -> None:
        """Take a worker's rows, ``[service, flag, variant, [[cell, count], ...]]``.

        Raises ValueError for what is none; rows before it were taken.
        """
        try:
            for service, flag, variant, counts in rows:
                self._add((str(service), str(flag), str(variant)), [(int(cell), int(count)) for cell, count in counts])
        except (TypeError, ValueError, IndexError) as error:
            raise ValueError(f"no rows of flags: {error}") from error

    def evaluated(self, flag: str, variant: str) -> None:
        """One evaluation for somebody who asked us, and not for a request that passed."""
        self._add(("", flag, variant), [(ASKED, 1)])

    def _add(self, name: Name, counts: Sequence[tuple[int, int]]) -> None:
        cells = self._totals.pop(name, None)
        if cells is None:
            if len(self._totals) >= MOST_NAMES:
                del self._totals[next(iter(self._totals))]
            cells = [0] * CELLS
        self._totals[name] = cells  # behind those that were silent for longer
        for cell, count in counts:
            if cell < 0 or count < 0:
                raise ValueError(f"cell {cell} of {'/'.join(name)} cannot grow by {count}")
            cells[cell] += count
        if self._since is not None:
            self._since._add(name, counts)

    def dump(self) -> list[list[Any]]:
        """Everything, as ``hear`` takes it."""
        return [
            [*name, [[cell, count] for cell, count in enumerate(cells) if count]]
            for name, cells in self._totals.items()
        ]

    def hand_over(self) -> list[list[Any]]:
        """The same, for another program that goes on from there; ``rest`` is what it does not know."""
        self._since = Flagged()
        return self.dump()

    def rest(self) -> list[list[Any]]:
        """What was counted since ``hand_over``."""
        return [] if self._since is None else self._since.dump()

    def families(self) -> Iterator[Metric]:
        """As metrics, by name."""
        evaluations: dict[tuple[str, str], int] = {}
        requests = CounterMetricFamily(
            "gatekeeper_flag_requests",
            "Requests answered, by the variants they had and the class of their status; forced ones left out.",
            labels=(*_LABELS, "class"),
        )
        duration = HistogramMetricFamily(
            "gatekeeper_flag_request_duration_seconds",
            "Time to answer a request that had the variant, forced ones left out.",
            labels=_LABELS,
        )
        for name, cells in sorted(self._totals.items()):
            _, flag, variant = name
            evaluations[flag, variant] = evaluations.get((flag, variant), 0) + sum(cells[:TIMES])
            for kind in range(CLASSES):
                if cells[kind]:
                    requests.add_metric((*name, f"{kind}xx"), cells[kind])
            times = Histogram(cells[TIMES:MICROSECONDS], cells[MICROSECONDS] / 1e6)
            if times.count:
                duration.add_metric(name, times.cumulative(), times.seconds)
        evaluated = CounterMetricFamily(
            "gatekeeper_flag_evaluations",
            "Times a flag was evaluated, for requests and for applications that ask.",
            labels=("flag", "variant"),
        )
        for pair, count in evaluations.items():
            evaluated.add_metric(pair, count)
        yield from (evaluated, requests, duration)
