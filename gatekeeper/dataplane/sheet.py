"""One second of a service that is judged, while it is being recorded: its columns, and what is told of it.

Where labels stick to units, each unit that is new or that failed is told with the second, for it is the supervisor who
knows what other workers saw of it. Units that were seen before and did not fail are not told. At most UNITS_SENT of a
second are: beyond it every second one is, then every fourth, chosen by what does not tell the label (``kept``).
"""

from collections import Counter
from typing import Any

from gatekeeper.core.judge.part import BACKENDS_SENT, CELLS_SENT, UNITS_SENT
from gatekeeper.dataplane.columns import Column, Counted, Keyed, Terms

Part = dict[str, Any]
"""What one worker recorded of one second, as JSON, see ``gatekeeper.core.judge.part``."""


class Sheet:
    """``since`` and ``until`` are in monotonic seconds. ``others``: another version than the two held weight in it."""

    __slots__ = ("_cells", "_noted", "_terms", "at", "excluded", "keep", "others", "since", "unkeyed", "until")

    def __init__(self, at: int, since: float, until: float, terms: Terms) -> None:
        self.at = at
        self.since, self.until = since, until
        self.keep = 1
        self.others = False
        self.excluded = Column(terms), Column(terms)
        """What cannot be bet on: stable's and the candidate's."""
        self.unkeyed = Column(terms), Column(terms)
        """Those without a unit where labels stick to units."""
        self._terms = terms
        self._cells: dict[float, tuple[Counted, Counted]] = {}
        self._noted = 0

    def counted(self, weight: float) -> tuple[Counted, Counted] | None:
        """The columns of a coin; None where there are as many as can be sent."""
        cell = self._cells.get(weight)
        if cell is None and len(self._cells) < CELLS_SENT:
            kind = Keyed if self._terms.units else Counted
            cell = self._cells[weight] = kind(self._terms, 0), kind(self._terms, 1)
        return cell

    def noted(self) -> None:
        """One more unit is to be told of; if that is one too many, fewer are."""
        self._noted += 1
        while self._noted > UNITS_SENT:
            self.keep *= 2
            self._noted = sum(
                column.thin(self.keep) for cell in self._cells.values() for column in cell if isinstance(column, Keyed)
            )

    def part(self, seen: memoryview | None) -> Part | None:
        """What a message says of it; None of a second without a request. ``seen`` as in ``Docket``."""
        stable, candidate = self._totals(0), self._totals(1)
        if not stable[0] and not candidate[0]:
            return None
        cells = [(weight, *self._cells[weight]) for weight in sorted(self._cells)]
        unkeyed = sum(column.requests for column in self.unkeyed)
        served_by, failed_by = Counter[str](), Counter[str]()
        for _, _, column in cells:
            served_by.update(column.served_by)
            failed_by.update(column.failed_by)
        return {
            "at": self.at,
            "cells": [
                [weight, left.told(), right.told(), _routes(left, right)]
                for weight, left, right in cells
                if left.requests or right.requests
            ],
            "units": [
                unit
                for weight, *columns in cells
                for column in columns
                if isinstance(column, Keyed)
                for unit in column.units(weight, seen)
            ],
            "keep": self.keep,
            "others": self.others,
            "stable": stable,
            "candidate": candidate,
            "backends": {name: [many, failed_by[name]] for name, many in served_by.most_common(BACKENDS_SENT) if name},
            "excluded": unkeyed + sum(column.requests for column in self.excluded),
            "unkeyed": unkeyed,
        }

    def _totals(self, arm: int) -> list[int]:
        """Requests, errors, slow ones of a version."""
        columns = [self.excluded[arm], self.unkeyed[arm], *(cell[arm] for cell in self._cells.values())]
        return [
            sum(column.requests for column in columns),
            sum(column.errors for column in columns),
            sum(column.slow for column in columns),
        ]


def _routes(stable: Counted, candidate: Counted) -> dict[str, list[int]]:
    """Route -> requests of both, errors of both."""
    return {
        route: [stable.went_to[route], candidate.went_to[route], stable.errors_on(route), candidate.errors_on(route)]
        for route in {*stable.went_to, *candidate.went_to}
        if route is not None
    }
