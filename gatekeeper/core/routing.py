"""The compiled routing table: which service and version a request gets. Immutable; equal States give equal tables.

A service is found by Host (exact, then the longest wildcard, then the services without hosts), and among the services
of that host by the longest path prefix. The host is settled first: a path that none of its services holds is nobody's,
as with nginx's server blocks, so that a catch-all service never answers for a host that is named.
"""

from collections.abc import Mapping

from gatekeeper.core.decision import RULE, STICKY, Decision, Draw, VersionRoute
from gatekeeper.core.flags.evaluate import FlagSet
from gatekeeper.core.flags.table import FlagTable
from gatekeeper.core.head import Head
from gatekeeper.core.hosts import HostMap, host_map
from gatekeeper.core.model import ServiceState, State
from gatekeeper.core.service import Ready, ServiceRoute

__all__ = ["Decision", "RoutingTable", "ServiceRoute", "VersionRoute", "compile"]

Slots = Mapping[str, Mapping[str, int]]
"""Service -> version -> position in a metrics block. Every version has its own: readiness is looked up by it."""


class RoutingTable:
    __slots__ = ("_exact", "_search", "flags", "hosts", "revision", "services", "state")

    def __init__(
        self, state: State, services: dict[str, ServiceRoute], hosts: HostMap, flags: FlagTable | None = None
    ) -> None:
        self.revision = state.revision
        self.state = state
        self.services = services
        self.hosts = hosts
        self.flags = flags
        """None where there are no flags at all."""
        self._exact = hosts.exact
        self._search = hosts.search

    def decide(
        self,
        head: Head,
        client_ip: str,
        proxied: bool,
        secure: bool,
        ready: Ready,
        draw: Draw,
        now: float,
    ) -> Decision | None:
        """The decision for a request; None when no service answers to its host and path.

        ``client_ip`` may be empty (unix sockets). ``proxied``: forwarding fields came from a peer that is not trusted,
        so the address is hearsay. ``secure``: the client came by TLS. ``ready``: ready backends by slot. ``draw`` gives
        64 random bits. ``now``: wall seconds.
        """
        front = self._exact.get(head.host)
        if front is None:
            front = self._search(head.host)
        service = front.root if front.flat else front.longest(head.path)
        if service is None:
            return None
        if self.flags is None:
            return service.decide(head, client_ip, proxied, secure, ready, draw, now)
        flags = self.flags.of(service.name, service)
        return service.decide(head, client_ip, proxied, secure, ready, draw, now, flags)

    def flags_of(self, service: str) -> FlagSet | None:
        """The flags of the service; None if it has none, or is not there."""
        route = self.services.get(service)
        return None if route is None or self.flags is None else self.flags.of(service, route)

    def repeats(self, head: Head, decision: Decision) -> bool:
        """Whether every request with the same fields gets this very decision from this table, while it is ready.

        Where the service has rules: every one for which ``RuleIndex.by_rest`` says the same; where it has flags, for
        which ``FlagSet.by_rest`` does.
        """
        front = self._exact.get(head.host)
        if front is None:
            front = self._search(head.host)
        service = decision.service
        # Of a rule's split and of its flags one cannot see here whether they were drawn.
        certain = decision.reason == STICKY or (
            decision.reason == RULE and decision.weight == 1.0 and decision.flags is None
        )
        return (
            certain
            and service.by_fields_alone
            and (service.rules is None or service.rules.follows(head))
            and front.flat
            and not head.force
            and not decision.set_cookie
            and decision.failed_over_from is None
            and not decision.unavailable
        )


def compile(  # noqa: A001 - the word for it; always used as routing.compile
    state: State, slots: Slots, previous: RoutingTable | None = None
) -> RoutingTable:
    """The table of a state. Services and flags that did not change since ``previous`` are taken over as they are.

    ``slots`` has every version of every service. Raises KeyError where state and slots do not belong together,
    MatchError for a regular expression that RE2 does not take, ValueError for a text that is no network.
    """
    flags = FlagTable(state.flags, previous.flags if previous is not None else None) if state.flags else None
    known = {} if previous is None else previous.services
    before = {} if previous is None else previous.state.services
    services: dict[str, ServiceRoute] = {}
    changes: dict[ServiceRoute, ServiceRoute] = {}
    for name, service in state.services.items():
        old = known.get(name)
        if old is not None and _unchanged(before[name], service, old.slots, slots[name]):
            services[name] = old
            continue
        new = services[name] = ServiceRoute(service, slots[name])
        if old is not None:
            changes[old] = new
    if previous is not None and _same_fronts(known, services, changes):
        return RoutingTable(state, services, previous.hosts.replaced(changes), flags)
    return RoutingTable(state, services, host_map(services.values()), flags)


def _unchanged(
    old: ServiceState, new: ServiceState, old_slots: Mapping[str, int], new_slots: Mapping[str, int]
) -> bool:
    # Identity first: comparing thousands of services field by field would cost more than the one that changed.
    # Slots of versions that are gone may still be there.
    return (old is new or old == new) and old_slots.items() <= new_slots.items()


def _same_fronts(
    old: Mapping[str, ServiceRoute], new: Mapping[str, ServiceRoute], changes: Mapping[ServiceRoute, ServiceRoute]
) -> bool:
    """Whether the same services, in the same order, answer to the same hosts and prefixes."""
    return list(old) == list(new) and all(_front(before) == _front(after) for before, after in changes.items())


def _front(route: ServiceRoute) -> tuple[tuple[str, ...], str]:
    return route.definition.hosts, route.definition.path_prefix
