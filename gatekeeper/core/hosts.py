"""Which services answer to a host: exact, then the longest wildcard, then the services without hosts.

``*.example.com`` holds every name below example.com, at any depth, and not example.com itself.
"""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from gatekeeper.core.prefixes import PrefixMap, normal
from gatekeeper.core.service import ServiceRoute

T = TypeVar("T")

MAX_HOST = 255
"""Bytes of a host that wildcards are tried on: DNS knows no longer name (RFC 1035 section 2.3.4), and every label
costs one lookup."""

Front = PrefixMap[ServiceRoute]
"""The services of one host by path prefix. Of two services with the same host and prefix the first stays."""


class HostMap:
    """Immutable. ``exact`` is looked up by the caller, on its hot path; ``search`` answers for the rest."""

    __slots__ = ("_default", "_wild", "exact")

    def __init__(self, exact: dict[bytes, Front], wild: dict[bytes, Front], default: Front) -> None:
        self.exact = exact
        self._wild = wild
        self._default = default

    def search(self, host: bytes) -> Front:
        """The services of a host (lower case, without port) that is not in ``exact``; possibly none."""
        if host.endswith(b"."):
            # The same name, written absolutely (RFC 1034 section 3.1).
            host = host[:-1]
            front = self.exact.get(host)
            if front is not None:
                return front
        if self._wild and len(host) <= MAX_HOST:
            _, dot, suffix = host.partition(b".")
            while dot:
                front = self._wild.get(suffix)
                if front is not None:
                    return front
                _, dot, suffix = suffix.partition(b".")
        return self._default

    def replaced(self, changes: Mapping[ServiceRoute, ServiceRoute]) -> "HostMap":
        """The same map with services exchanged for others of the same hosts and prefix.

        A change of one service among ten thousand then costs two copies of a dict, not ten thousand new fronts.
        """
        exact, wild, default = self.exact.copy(), self._wild.copy(), self._default
        for service in changes:
            for host in service.definition.hosts:
                table, name = _place(host, exact, wild)
                table[name] = _exchanged(table[name], changes)
            if not service.definition.hosts:
                default = _exchanged(default, changes)
        return HostMap(exact, wild, default)


def host_map(services: Iterable[ServiceRoute]) -> HostMap:
    exact: dict[bytes, list[ServiceRoute]] = {}
    wild: dict[bytes, list[ServiceRoute]] = {}
    default: list[ServiceRoute] = []
    for service in services:
        for host in service.definition.hosts:
            table, name = _place(host, exact, wild)
            table.setdefault(name, []).append(service)
        if not service.definition.hosts:
            default.append(service)
    return HostMap(
        {name: _front(found) for name, found in exact.items()},
        {name: _front(found) for name, found in wild.items()},
        _front(default),
    )


def _place(host: str, exact: dict[bytes, T], wild: dict[bytes, T]) -> tuple[dict[bytes, T], bytes]:
    return (wild, host[2:].encode()) if host.startswith("*.") else (exact, host.encode())


def _front(services: Iterable[ServiceRoute]) -> Front:
    return PrefixMap((normal(service.definition.path_prefix), service) for service in services)


def _exchanged(front: Front, changes: Mapping[ServiceRoute, ServiceRoute]) -> Front:
    return PrefixMap((prefix, changes.get(service, service)) for prefix, service in front.items())
