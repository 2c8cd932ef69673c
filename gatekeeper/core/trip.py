"""The trip-wire: a version that fails its users loses its weight, until an operator says otherwise.

It loses its share of the split and of the splits of rules. A rule that sends its requests to the version and nowhere
else goes on: that was decided for those requests by name, as a tester's force is. No rollback brings a tripped version
back, neither before the reset nor after it: what can be undone counts its share as stable's. A reset gives back the
shares that rules of the file say; the split's only an operator gives.
"""

from dataclasses import dataclass, replace

from gatekeeper.core.lookup import find_service, find_version
from gatekeeper.core.model import ServiceState, State, Tripped
from gatekeeper.core.outcome import Command, Outcome
from gatekeeper.core.revise import revise_service
from gatekeeper.core.running import settled, undo_without, withdraw


@dataclass(frozen=True, slots=True, kw_only=True)
class TripVersion(Command):
    """Give the share of ``version`` to stable, and let it get none until a reset."""

    service: str
    version: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetTrip(Command):
    """Let these ``versions`` of the service (none named: all) get weight again."""

    service: str
    versions: tuple[str, ...] = ()


def trip(state: State, command: TripVersion, now: float) -> Outcome:
    service = find_service(state, command.service)
    name, stable, running = command.version, service.definition.stable, service.running
    find_version(service, name)
    if name == stable or not holds_share(service, name):
        return Outcome(state)
    undo = undo_without(running.undo, name, stable)
    running = withdraw(running, name, stable, undo, revision=state.revision + 1, now=now)
    running = replace(running, tripped={**running.tripped, name: Tripped(now, command.reason)})
    running = settled(service.definition, running)
    event = {"kind": "tripped", "version": name, "reason": command.reason}
    return revise_service(state, command, now, event, replace(service, running=running))


def reset_trip(state: State, command: ResetTrip, now: float) -> Outcome:
    service = find_service(state, command.service)
    for name in command.versions:
        find_version(service, name)
    running = service.running
    names = [name for name in running.tripped if not command.versions or name in command.versions]
    if not names:
        return Outcome(state)
    tripped = {name: mark for name, mark in running.tripped.items() if name not in names}
    running = replace(running, tripped=tripped, revision=state.revision + 1, changed_at=now)
    running = settled(service.definition, running)
    event = {"kind": "trip_reset", "versions": names}
    return revise_service(state, command, now, event, replace(service, running=running))


def holds_share(service: ServiceState, version: str) -> bool:
    """Whether the split, or that of a rule, gives the version weight."""
    running = service.running
    return any(split.weights.get(version) for split in (running.split, *running.rules.values()))
