"""What can be asked for by OFREP: flags, and which version of a service somebody gets.

The built-in flag ``SERVICE.version`` says the version that the split of the service gives to a unit. It knows no rules,
no testers and no pins: those are of requests, and of browsers.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from gatekeeper.core.flags.context import Context
from gatekeeper.core.flags.evaluate import SPLIT, STATIC, FlagRoute, Resolution, TargetingKeyMissing
from gatekeeper.core.flags.model import FlagState
from gatekeeper.core.match import View
from gatekeeper.core.model import ServiceState, State
from gatekeeper.core.split import bounds, holder
from gatekeeper.core.sticky import point

VERSION_SUFFIX = ".version"


class Resolver:
    """The flags of a state, or of one service in it; immutable."""

    __slots__ = ("_flags", "_versions", "names")

    def __init__(self, state: State, service: str | None = None, routes: Mapping[str, FlagRoute] | None = None) -> None:
        """``routes`` are the flags of the state where they are compiled already (``FlagTable.routes``). Raises what
        ``compile_when`` raises, and KeyError for a service that is not there.
        """
        services = state.services if service is None else {service: state.services[service]}
        self._versions = {name + VERSION_SUFFIX: VersionFlag(one) for name, one in services.items()}
        self._flags = {
            name: routes[name] if routes is not None else FlagRoute(flag)
            for name, flag in _of_service(state.flags, service)
        }
        self.names = tuple(sorted([*self._flags, *self._versions]))
        """Flags and built-in ones, in order."""

    def resolve(self, name: str, context: Context) -> Resolution | None:
        """None where there is no such flag. Raises ``TargetingKeyMissing``."""
        built_in = self._versions.get(name)
        if built_in is not None:
            return built_in.resolve(context.unit)
        route = self._flags.get(name)
        if route is None:
            return None
        followed = self._versions.get(route.state.definition.follow + VERSION_SUFFIX)
        return route.resolve(
            View(context.head, context.client_ip),
            context.unit,
            lambda: followed.version(context.unit) if followed is not None else None,
        )


class VersionFlag:
    """Which version of a service a unit gets, as a flag."""

    __slots__ = ("_key", "_name", "_owners", "_sole", "_uppers")

    def __init__(self, service: ServiceState) -> None:
        split = service.running.split
        self._name = service.definition.name
        self._sole = holder(split)
        self._uppers, self._owners = bounds(split)
        self._key = bytes.fromhex(split.salt)

    def version(self, unit: bytes | None) -> str | None:
        """None where it depends on the unit and there is none."""
        if self._sole is not None:
            return self._sole
        return None if unit is None else self._owners[bisect_right(self._uppers, point(self._key, unit))]

    def resolve(self, unit: bytes | None) -> Resolution:
        """Raises ``TargetingKeyMissing``."""
        version = self.version(unit)
        if version is None:
            raise TargetingKeyMissing(
                f"the version of service {self._name} depends on who asks; allowed: a targetingKey that is not empty"
            )
        return Resolution(version, version, STATIC if self._sole is not None else SPLIT, {"service": self._name})


def _of_service(flags: Mapping[str, FlagState], service: str | None) -> Iterable[tuple[str, FlagState]]:
    for name, flag in flags.items():
        concerned = flag.definition.services
        if service is None or not concerned or service in concerned:
            yield name, flag
