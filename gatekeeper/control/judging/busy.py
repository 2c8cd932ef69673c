"""Which routes of each service have most traffic, so that they are known before a release begins."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from gatekeeper.core.judge.analysis import ROUTES_MOST

KEPT: Final = 128
"""Routes of one service. Workers name far fewer; a scanner that asks for ever new paths must not fill the memory."""
FADE: Final = 1_000_000
"""Requests of a service, as sampled, at which all of its counts are halved: what was busy last year is not."""


class Busy:
    """``hear`` what workers sampled; ``top`` says which routes that makes."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}

    def hear(self, services: Collection[str], sampled: Mapping[str, Any]) -> None:
        """``sampled``: service -> route -> requests. Of ``services`` alone, the others are forgotten."""
        self._counts = {name: counts for name, counts in self._counts.items() if name in services}
        for name, routes in sampled.items():
            if name in services and isinstance(routes, dict):
                self._counts[name] = _more(self._counts.get(name, {}), routes)

    def top(self, service: str) -> tuple[str, ...]:
        """The busiest first, at most ROUTES_MOST."""
        counts = self._counts.get(service, {})
        return tuple(sorted(counts, key=lambda route: (-counts[route], route))[:ROUTES_MOST])


def _more(counts: dict[str, int], routes: Mapping[str, Any]) -> dict[str, int]:
    for route, count in routes.items():
        if isinstance(count, int) and count > 0:
            counts[route] = counts.get(route, 0) + count
    if len(counts) > KEPT:
        busiest = sorted(counts, key=lambda route: -counts[route])[: KEPT // 2]
        counts = {route: counts[route] for route in busiest}
    if sum(counts.values()) > FADE:
        counts = {route: count // 2 for route, count in counts.items() if count > 1}
    return counts
