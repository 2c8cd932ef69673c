"""What the files of a state hold, apart from the state: keys are no part of any revision, history or difference.

The supervisor reads the files and sends a ``Material`` down to the workers; both make contexts from it, kept in
``Contexts`` until the material changes.
"""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gatekeeper.core.model import BackendTls, KeyPair, ListenerTls, State
from gatekeeper.tls.contexts import client_context, server_context
from gatekeeper.tls.pem import Pair


@dataclass(frozen=True, slots=True)
class Material:
    """Texts by the paths they were read from."""

    pairs: Mapping[KeyPair, Pair] = field(default_factory=dict)
    authorities: Mapping[str, str] = field(default_factory=dict)

    def message(self) -> dict[str, Any]:
        """As it travels to a worker."""
        return {
            "pairs": [[paths.cert, paths.key, pair.cert, pair.key] for paths, pair in self.pairs.items()],
            "authorities": dict(self.authorities),
        }

    @classmethod
    def of_message(cls, message: Mapping[str, Any]) -> "Material":
        pairs = {KeyPair(cert, key): Pair(*texts) for cert, key, *texts in message["pairs"]}
        return cls(pairs, dict(message["authorities"]))


class MissingError(LookupError):
    """A state names a file whose content did not come with it."""


class Contexts:
    """Contexts made from one material; each is made once. Raises PemError or MissingError where one cannot be."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self._servers: dict[ListenerTls, ssl.SSLContext] = {}
        self._clients: dict[BackendTls, ssl.SSLContext] = {}

    def server(self, tls: ListenerTls) -> ssl.SSLContext:
        found = self._servers.get(tls)
        if found is None:
            pairs = [self._pair(paths) for paths in tls.pairs]
            found = self._servers[tls] = server_context(tls, pairs, self._authorities(tls.client_ca))
        return found

    def client(self, tls: BackendTls) -> ssl.SSLContext:
        tls = replace(tls, server_name=None)  # is said per connection, so versions that differ in it share
        found = self._clients.get(tls)
        if found is None:
            pair = self._pair(tls.pair) if tls.pair is not None else None
            found = self._clients[tls] = client_context(tls, pair, self._authorities(tls.ca))
        return found

    def _pair(self, paths: KeyPair) -> Pair:
        try:
            return self.material.pairs[paths]
        except KeyError:
            raise MissingError(f"the texts of {paths.cert} and {paths.key} are missing") from None

    def _authorities(self, path: str | None) -> str | None:
        if path is None:
            return None
        try:
            return self.material.authorities[path]
        except KeyError:
            raise MissingError(f"the text of {path} is missing") from None


def listeners_tls(state: State) -> Iterator[ListenerTls]:
    return (listener.tls for listener in state.settings.listeners.values() if listener.tls is not None)


def backends_tls(state: State) -> Iterator[BackendTls]:
    """The settings of all versions with a backend behind TLS."""
    for service in state.services.values():
        for version in service.definition.versions.values():
            if any(backend.url.startswith("https:") for backend in version.backends):
                yield version.tls


def check_tls(state: State, contexts: Contexts) -> None:
    """Make all that a state needs. Raises PemError or MissingError."""
    for listener in listeners_tls(state):
        contexts.server(listener)
    for backend in backends_tls(state):
        contexts.client(backend)


def wanted(state: State) -> tuple[set[KeyPair], set[str]]:
    """The pairs and the authorities that a state names."""
    pairs: set[KeyPair] = set()
    authorities: set[str | None] = set()
    for listener in listeners_tls(state):
        pairs.update(listener.pairs)
        authorities.add(listener.client_ca)
    for backend in backends_tls(state):
        if backend.pair is not None:
            pairs.add(backend.pair)
        authorities.add(backend.ca)
    return pairs, {path for path in authorities if path is not None}
