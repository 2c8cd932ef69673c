"""Setting a split, and taking it back.

While a service is being released its split is the release's, and a rollback ends the release, or takes it back as long
as the old version is retained.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from gatekeeper.core.lookup import find_service
from gatekeeper.core.model import ServiceState, State, Undo, Weights
from gatekeeper.core.outcome import Command, Outcome, Refused
from gatekeeper.core.overlay import with_stable
from gatekeeper.core.pending import awaiting, put_back
from gatekeeper.core.release.guard import refuse_split
from gatekeeper.core.release.undo import take_back, take_back_to
from gatekeeper.core.revise import revise_service
from gatekeeper.core.running import decide, go_back, settled
from gatekeeper.core.weights import checked_weights, refuse_tripped, still_there


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSplit(Command):
    """Give the versions of ``service`` these weights; a version not named gets 0.

    ``salt`` is a fresh hexadecimal text of at least 32 digits, used if one version held everything until now.
    """

    service: str
    weights: Weights
    salt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback(Command):
    """Take back the last change of the split, or return to the ``weights`` that held at ``to_revision``.

    A release that is under way or retained is taken back as a whole, with all its services. Where the last change still
    waits to be confirmed, all it changed of the service is taken back.
    """

    service: str
    to_revision: int | None = None
    weights: Weights | None = None


def set_split(state: State, command: SetSplit, now: float) -> Outcome:
    service = find_service(state, command.service)
    weights = checked_weights(service, command.weights)
    refuse_tripped(service, weights)
    if weights == dict(service.running.split.weights):
        return Outcome(state)
    refuse_split(state, command.service)
    running = decide(service.running, weights, salt=command.salt, revision=state.revision + 1, now=now)
    after = replace(service, running=settled(service.definition, running))
    return revise_service(state, command, now, {"kind": "split"}, after)


def rollback(state: State, command: Rollback, now: float) -> Outcome:
    waiting = awaiting(state, command.service)
    if waiting is not None and command.to_revision is None:
        return put_back(state, command, waiting, command.service, now)
    service = find_service(state, command.service)
    if command.to_revision is not None:
        return _rollback_to(state, command, service, command.to_revision, now, settles=waiting is not None)
    released = take_back(state, command, command.service, now)
    if released is not None:
        return released
    weights, undo = _last_undo(service)
    after = _gone_back(state, service, weights, undo, now)
    return revise_service(state, command, now, {"kind": "rollback", "to_revision": None}, after)


def _rollback_to(
    state: State, command: Rollback, service: ServiceState, to_revision: int, now: float, *, settles: bool
) -> Outcome:
    """With ``settles`` something of the service waits to be confirmed: even the same weights are then an answer."""
    if command.weights is None:
        raise _unknown_revision(state, command.service, to_revision)
    weights = still_there(service, command.weights, f"the split of revision {to_revision}")
    refuse_tripped(service, weights)
    turn = take_back_to(state, command, command.service, now, to_revision, weights)
    if turn is not None:
        service = turn.service(command.service)
    elif weights == dict(service.running.split.weights) and not settles:
        return Outcome(state)
    after = _gone_back(state, service, weights, undo_to(state, service, to_revision), now)
    if turn is not None:
        turn.put[command.service] = after
        return turn.outcome()
    return revise_service(state, command, now, {"kind": "rollback", "to_revision": to_revision}, after)


def _gone_back(
    state: State, service: ServiceState, weights: Weights, undo: tuple[Undo, ...], now: float
) -> ServiceState:
    """The service with these weights, and with the stable it had before the changes that ``undo`` has no more."""
    left = {item.revision for item in undo}
    taken = (item.stable for item in service.running.undo if item.revision not in left)
    stable = next((name for name in taken if name in service.definition.versions), service.definition.stable)
    service = with_stable(service, stable)
    running = go_back(service.running, weights, undo, revision=state.revision + 1, now=now)
    return replace(service, running=settled(service.definition, running))


def _last_undo(service: ServiceState) -> tuple[dict[str, Decimal], tuple[Undo, ...]]:
    running = service.running
    undo = running.undo
    while undo:
        *rest, last = undo
        undo = tuple(rest)
        weights = still_there(service, last.weights, f"the split before revision {last.revision}")
        # A change that a reload already took back (its version is gone) is no step back: go on to the one before.
        if weights != dict(running.split.weights):
            return weights, undo
    raise Refused(
        409,
        "nothing_to_undo",
        f"service {service.definition.name} has no earlier split to go back to",
        "a rollback to a named revision (--to REVISION), or a new split",
    )


def undo_to(state: State, service: ServiceState, revision: int) -> tuple[Undo, ...]:
    """What is left to undo after going to the weights of ``revision``.

    Going back takes the changes since then off the stack, so that the next rollback goes further back and not forward
    again. Going forward to a split that was undone is a change like any other, and can itself be undone.
    """
    running = service.running
    undo = tuple(item for item in running.undo if item.revision <= revision)
    if len(undo) == len(running.undo):
        undo = (*undo, Undo(state.revision + 1, running.split.weights))
    return undo


def _unknown_revision(state: State, service: str, revision: int) -> Refused:
    return Refused(
        404,
        "unknown_revision",
        f"the history has no split of service {service} at revision {revision}",
        f"a revision in which {service} existed, at most {state.revision}",
    )
