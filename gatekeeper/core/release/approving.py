"""Approvals: who may give one, for which step, and how long it counts."""

from collections.abc import Iterable, Mapping

from gatekeeper.core.lookup import did_you_mean
from gatekeeper.core.outcome import Refused
from gatekeeper.core.release import gates
from gatekeeper.core.release.commands import Act
from gatekeeper.core.release.effects import REASON_KEPT
from gatekeeper.core.release.model import START, Given, Release
from gatekeeper.core.release.plan import Approval
from gatekeeper.core.release.turn import Turn
from gatekeeper.core.release.words import listed, step_of, which, with_reason


def approve(turn: Turn, why: str) -> None:
    """What the actor agrees to: the gates of the next step that asks anybody, or the one that was named.

    Never those of the steps after it, too: who sends the same approval twice has not agreed to two steps.
    """
    release, act = turn.release, turn.command
    groups = act.groups if isinstance(act, Act) else ()
    asked = _asked(release, act.gate if isinstance(act, Act) else None)
    if not asked:
        return approve_again(turn, why)
    if act.actor == release.author:
        raise Refused(
            409,
            "own_release",
            f"{act.actor} started {which(release)} and cannot approve it",
            f"an approval by somebody else, of {_groups(asked.values())}",
        )
    mine = {
        gate: tuple(group for group in dict.fromkeys(approval.groups) if group in groups)
        for gate, approval in asked.items()
    }
    if not any(mine.values()):
        raise Refused(
            409,
            "not_asked",
            f"{act.actor} is in none of the groups that are asked ({_groups(asked.values())}), but in "
            f"{listed(groups) if groups else 'none at all'}",
            f"an approval by somebody of {_groups(asked.values())}",
        )
    fresh = [
        Given(gate, act.actor, groups, why[:REASON_KEPT], turn.at)
        for gate, groups in mine.items()
        if groups and not _stands(turn, gate, asked[gate], groups)
    ]
    if not fresh:
        return None
    new = {(given.gate, given.actor) for given in fresh}
    kept = (given for given in release.approvals if (given.gate, given.actor) not in new)
    turn.set(approvals=(*kept, *fresh))
    named = listed(dict.fromkeys(group for given in fresh for group in given.groups))
    step = step_of(release, max(_step(given.gate) for given in fresh))
    turn.tell("approved", with_reason(f"{act.actor} for {named}, before {step}", why), gates=[*dict(new)])
    return None


def approve_again(turn: Turn, _why: str) -> None:
    """Nobody is asked any more: who has approved hears the same again, for anybody else there is nothing to do."""
    release = turn.release
    if all(given.actor != turn.command.actor for given in release.approvals):
        raise Refused(
            409,
            "nobody_is_asked",
            f"{which(release)} asks nobody for an approval {'any more' if gates.asks(release.plan) else 'at all'}",
            "everything but an approval",
        )


def lapse(turn: Turn, _why: str) -> None:
    gone = gates.lapsed(turn.release, turn.at)
    turn.set(approvals=tuple(given for given in turn.release.approvals if given not in gone))
    for given in gone:
        turn.tell("approval_expired", f"that of {given.actor} for {listed(given.groups)} counts no more")


def _asked(release: Release, gate: str | None) -> Mapping[str, Approval]:
    if gate is None:
        return gates.next_approvals(release)
    left = gates.approvals_left(release)
    if gate in left:
        return {gate: left[gate]}
    every = gates.asks(release.plan)
    if gate not in every:
        raise Refused(
            404,
            "unknown_gate",
            f"{which(release)} has no gate {gate} with an approval{did_you_mean(gate, every)}",
            ", ".join(every) or "nothing: it asks nobody",
        )
    return {}


def _stands(turn: Turn, gate: str, approval: Approval, groups: tuple[str, ...]) -> bool:
    return any(
        given.gate == gate
        and given.actor == turn.command.actor
        and given.groups == groups
        and gates.counts(given, approval, turn.at)
        for given in turn.release.approvals
    )


def _step(gate: str) -> int:
    return 0 if gate == START else int(gate)


def _groups(asked: Iterable[Approval]) -> str:
    return listed(dict.fromkeys(group for approval in asked for group in approval.groups))
