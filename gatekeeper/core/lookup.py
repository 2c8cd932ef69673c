"""What a command names, found or refused with what was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches

from gatekeeper.core.model import ServiceState, State, Version
from gatekeeper.core.outcome import Refused


def find_service(state: State, name: str) -> ServiceState:
    """The service of that name. Raises ``Refused`` (404)."""
    service = state.services.get(name)
    if service is None:
        raise Refused(
            404,
            "unknown_service",
            f"there is no service {name}{did_you_mean(name, state.services)}",
            ", ".join(state.services) or "nothing: there are no services",
        )
    return service


def find_version(service: ServiceState, name: str) -> Version:
    """The version of that name. Raises ``Refused`` (404)."""
    versions = service.definition.versions
    if name not in versions:
        raise Refused(
            404,
            "unknown_version",
            f"service {service.definition.name} has no version {name}{did_you_mean(name, versions)}",
            ", ".join(versions),
        )
    return versions[name]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean NAME?)``, or nothing where none is near."""
    close = get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
