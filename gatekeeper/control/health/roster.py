"""Which backends a service has: the urls of its versions, each host name as the addresses that were found for it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gatekeeper.control.health.resolver import backend_id, name_in
from gatekeeper.core.model import Service, ServiceState, State

Pair = tuple[str, str]
"""Service, version."""
Key = tuple[str, str, str]
"""Service, version, backend id."""


@dataclass(frozen=True, slots=True)
class Roster:
    """``ids`` are by version, then by url of the file; a url whose host name was not found yet is its own id."""

    definition: Service
    draining: Mapping[str, float]
    """Version -> wall seconds, see ``model.Running``."""
    ids: Mapping[str, Mapping[str, tuple[str, ...]]]
    hosts: frozenset[str]

    def members(self, version: str) -> list[str]:
        """The ids of a version's backends."""
        return [each for ids in self.ids.get(version, {}).values() for each in ids]

    def every(self) -> Iterator[Key]:
        return ((self.definition.name, version, each) for version in self.ids for each in self.members(version))


def hosts_of(state: State) -> set[str]:
    """The host names of all backends."""
    versions = (version for each in state.services.values() for version in each.definition.versions.values())
    return {name_in(backend.url) for version in versions for backend in version.backends} - {""}


def roster(service: ServiceState, addresses: Callable[[str], Sequence[str]]) -> Roster:
    """``addresses`` gives those of a host name."""

    def ids(url: str) -> tuple[str, ...]:
        host = name_in(url)
        return tuple(backend_id(url, each) for each in addresses(host)) or (url,) if host else (url,)

    definition = service.definition
    urls = {name: [each.url for each in version.backends] for name, version in definition.versions.items()}
    return Roster(
        definition,
        service.running.draining,
        {name: {url: ids(url) for url in each} for name, each in urls.items()},
        frozenset(name_in(url) for each in urls.values() for url in each) - {""},
    )
