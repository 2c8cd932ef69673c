"""How a command becomes a revision: what it puts where, what that changes, and the event that tells it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gatekeeper.core.codec import dump
from gatekeeper.core.difference import compare
from gatekeeper.core.flags.model import FlagState
from gatekeeper.core.model import Pending, Releasing, ServiceState, Settings, State
from gatekeeper.core.outcome import Command, Outcome, plain


def revise(
    state: State,
    command: Command,
    now: float,
    event: Mapping[str, Any],
    put: Mapping[str, ServiceState | None],
    *,
    settings: Settings | None = None,
    pending: tuple[Pending, ...] | None = None,
    releasing: Releasing | None = None,
    with_changes: bool = False,
    flags: Mapping[str, FlagState | None] | None = None,
) -> Outcome:
    """The next revision: ``put`` are the services that change (None: goes), ``flags`` the flags; the rest stays the
    very same objects.

    ``event`` says what is particular to the command; ``with_changes`` puts the differences into it.
    """
    after = replace(
        state,
        revision=state.revision + 1,
        settings=state.settings if settings is None else settings,
        services=with_services(state, put),
        pending=state.pending if pending is None else pending,
        releasing=state.releasing if releasing is None else releasing,
        flags=with_flags(state, flags) if flags else state.flags,
    )
    changes = [*compare(state, after, only=put)]
    told = {
        **event,
        "revision": after.revision,
        "at": now,
        "actor": command.actor,
        "note": command.note,
        **({"changes": dump(changes)} if with_changes else {}),
    }
    return Outcome(after, changes, [told])


def with_services(state: State, put: Mapping[str, ServiceState | None]) -> dict[str, ServiceState]:
    """The services of the state with these in the place of theirs, or last (None: goes)."""
    services = {name: put.get(name, service) for name, service in state.services.items()}
    services |= {name: service for name, service in put.items() if name not in services}
    return {name: service for name, service in services.items() if service is not None}


def with_flags(state: State, put: Mapping[str, FlagState | None]) -> dict[str, FlagState]:
    """The flags of the state with these in the place of theirs (None: goes)."""
    return {name: flag for name, flag in {**state.flags, **put}.items() if flag is not None}


def revise_service(
    state: State, command: Command, now: float, event: Mapping[str, Any], service: ServiceState
) -> Outcome:
    """The next revision, in which ``service`` is one that was there before; the event has both splits."""
    name = service.definition.name
    before = state.services[name].running.split.weights
    after = service.running.split.weights
    told = {**event, "service": name, "before": plain(before), "after": plain(after)}
    return revise(state, command, now, told, {name: service})


def stamped(service: ServiceState, revision: int, now: float) -> ServiceState:
    """The same under another revision: for what is put back as it was."""
    return replace(service, running=replace(service.running, revision=revision, changed_at=now))
