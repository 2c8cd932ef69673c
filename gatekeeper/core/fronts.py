"""No two services answer to the same host and path prefix: which one would be a matter of chance.

A file is checked for it as a whole; what puts single services back has to ask again.
"""

from collections.abc import Iterable, Mapping

from gatekeeper.core.model import ServiceState
from gatekeeper.core.outcome import Problem, Refused
from gatekeeper.core.prefixes import normal


def collisions(services: Mapping[str, ServiceState], names: Iterable[str]) -> dict[str, str]:
    """Those of ``names`` that answer to the same host and prefix as another service, and which that is."""
    mine = {name for name in names if name in services}
    taken: dict[tuple[str, bytes], str] = {}
    found: dict[str, str] = {}
    for name in [*(name for name in services if name not in mine), *(name for name in services if name in mine)]:
        definition = services[name].definition
        prefix = normal(definition.path_prefix)
        for host in definition.hosts or ("",):
            other = taken.setdefault((host, prefix), name)
            if other != name and name in mine:
                found[name] = other
    return found


def refuse_collisions(services: Mapping[str, ServiceState], names: Iterable[str], what: str) -> None:
    """``Refused`` (409) if one of ``names`` collides with another service. ``what`` is the thing not done."""
    found = collisions(services, names)
    if found:
        raise Refused(
            409,
            "same_front",
            f"{what} would give two services the same host and path prefix",
            "the whole revision (`gatekeeper restore REVISION` without a service)",
            [Problem(f"services.{name}", f"answers to the same as {other} does now") for name, other in found.items()],
        )
