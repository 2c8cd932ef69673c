"""Routes: the beginnings of paths by which a judged service's requests are told apart, and how they are found."""

import re
from collections.abc import Iterable
from typing import Final

MAX_ROUTE: Final = 64
"""Characters of a route that is found: names of pages and of APIs are shorter, what is longer is somebody's data."""
MAX_SEGMENTS: Final = 2
_KNOWN_PATHS: Final = 1024
"""Paths whose route is remembered: more than a service has, but for those with ids in them."""
_KNOWN_LENGTH: Final = 256

# What stands for one thing of many: a number, a hash, a UUID. A route with it would be one user's.
_ID = re.compile(rb"[0-9]+|[0-9A-Fa-f]{8,}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def route_of(path: bytes) -> str:
    """The first segments of a path, up to the first that looks like an id. ``/`` is the root's."""
    route = b""
    for segment in path.split(b"/", MAX_SEGMENTS + 1)[1 : MAX_SEGMENTS + 1]:
        if not segment or _ID.fullmatch(segment) or len(route) + 1 + len(segment) > MAX_ROUTE:
            break
        route += b"/" + segment
    return route.decode("ascii", "replace") or "/"


class Prefixes(dict[bytes, str | None]):
    """Which of some routes a path is under: the longest of which it is the whole, or that ends before a slash; None
    under none.

    A dictionary of what was asked before, for that is asked of every request.
    """

    __slots__ = ("_routes",)

    def __init__(self, routes: Iterable[str]) -> None:
        super().__init__()
        self._routes = sorted(((each.rstrip("/").encode(), each) for each in routes), key=lambda pair: -len(pair[0]))

    def __missing__(self, path: bytes) -> str | None:
        found = next((name for route, name in self._routes if path == route or path.startswith(route + b"/")), None)
        if len(path) <= _KNOWN_LENGTH:
            if len(self) >= _KNOWN_PATHS:
                self.clear()
            self[path] = found
        return found
