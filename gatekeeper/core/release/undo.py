"""A rollback where there is a release: it ends the release, or takes back what the release made of its services."""

from collections.abc import Mapping
from decimal import Decimal

from gatekeeper.core.model import Release, State
from gatekeeper.core.outcome import Command, Outcome, Refused
from gatekeeper.core.release.guard import last_of, move_of
from gatekeeper.core.release.lifecycle import Event, fire
from gatekeeper.core.release.model import ReleaseState
from gatekeeper.core.release.turn import Turn
from gatekeeper.core.release.words import which, with_reason


def take_back(state: State, command: Command, service: str, now: float) -> Outcome | None:
    """The rollback of the release that is under way or retained; None if there is nothing of a release to take back.

    Right after one that has ended already nothing is: who asks twice does not go further back than who asks once.
    """
    release = last_of(state, service)
    if release is None:
        return None
    if release.active or release.retained:
        return _ended(state, command, release, now).outcome()
    undo = state.services[service].running.undo
    if release.state is not ReleaseState.PROMOTED and all(item.revision < release.id for item in undo):
        return Outcome(state)
    return None


def take_back_to(
    state: State, command: Command, service: str, now: float, to_revision: int, weights: Mapping[str, Decimal]
) -> Turn | None:
    """The end of a release that a rollback of ``service`` to an earlier revision goes back beyond; None if there is
    none. The service itself is as it was before the release; its weights are the caller's to set.

    A promoted one stays so if the candidate has weight in the end, too. Raises ``Refused`` (409) for a revision in
    which the candidate of an active release had weight.
    """
    release = last_of(state, service)
    if release is None:
        return None
    move = move_of(release, service)
    if release.retained and to_revision < move.first and not weights.get(move.to):
        return _ended(state, command, release, now)
    if not release.active:
        return None
    if weights.get(move.to):
        raise Refused(
            409,
            "release_active",
            f"revision {to_revision} gives {move.to} weight, which is that of {which(release)}",
            f"`gatekeeper rollback {service}`, or --to a revision before the release",
        )
    return _ended(state, command, release, now)


def _ended(state: State, command: Command, release: Release, now: float) -> Turn:
    turn = Turn(state, command, now, release, revision=state.revision + 1)
    fire(turn, Event.ROLLBACK, with_reason(f"rolled back by {command.actor}", command.note))
    return turn
