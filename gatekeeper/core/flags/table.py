"""The flags of a routing table: compiled once, put together for each service when its first request comes.

Flags are beside the services of a table and not in them, so that flipping one compiles no service anew, and that a
service without flags costs one look-up in a table that has some, and nothing in one that has none.
"""

from collections.abc import Mapping

from gatekeeper.core.flags.evaluate import FlagRoute, FlagSet
from gatekeeper.core.flags.model import FlagState


class FlagTable:
    """The flags of one state. ``sets`` grows by need, at most to the number of services."""

    __slots__ = ("_before", "_everywhere", "_named", "_sets", "routes")

    def __init__(self, flags: Mapping[str, FlagState], previous: "FlagTable | None" = None) -> None:
        """Raises what ``compile_when`` raises."""
        known = previous.routes if previous is not None else {}
        self.routes: dict[str, FlagRoute] = {}
        self._everywhere: list[FlagRoute] = []
        self._named: dict[str, list[FlagRoute]] = {}
        for name in sorted(flags):
            old, state = known.get(name), flags[name]
            route = old if old is not None and (old.state is state or old.state == state) else FlagRoute(state)
            self.routes[name] = route
            if not state.definition.services:
                self._everywhere.append(route)
            for service in state.definition.services:
                self._named.setdefault(service, []).append(route)
        self._sets: dict[str, tuple[object, FlagSet | None]] = {}
        # What the table before had put together; not that table itself, or none would ever be forgotten.
        self._before = dict(previous._sets) if previous is not None else {}

    def of(self, name: str, service: object) -> FlagSet | None:
        """The flags of the service of that name; None if there are none. ``service`` is what was compiled of it: a new
        one gets a new set, which remembers nothing of the old.
        """
        found = self._sets.get(name)
        if found is not None:
            return found[1]
        named = self._named.get(name)
        routes = self._everywhere
        if named:
            routes = sorted([*named, *routes], key=lambda route: route.name)
        before = self._before.pop(name, None)
        made: FlagSet | None = None
        if routes:
            kept = before[1] if before is not None and before[0] is service else None
            made = kept if kept is not None and kept.flags == tuple(routes) else FlagSet(name, routes)
        self._sets[name] = (service, made)
        return made
