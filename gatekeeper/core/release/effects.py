"""What happens at the events of a release's life and on entering its states; ``lifecycle`` says when.

The state is the new one already, ``turn.was`` is the release of before. An effect may refuse; the turn is then thrown
away and nothing has happened.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from gatekeeper.core.outcome import Refused
from gatekeeper.core.release import calendar, demand, gates
from gatekeeper.core.release.model import Release, ReleaseState, SkipKind, Skipped, WaitKind
from gatekeeper.core.release.moving import WHOLE
from gatekeeper.core.release.turn import Turn
from gatekeeper.core.release.words import (
    candidates,
    count,
    duration,
    listed,
    olds,
    percent,
    step_of,
    the_judge,
    which,
    with_reason,
)

Effect = Callable[[Turn, str], None]
"""Takes why the event happened, in a few words; empty if nobody said."""

REASON_KEPT: Final = 2_000
"""Characters of a reason, by people and by programs."""


# Events


def verified(turn: Turn, _why: str) -> None:
    checks = gates.checks_of(turn.was)
    if checks is not None and checks[1]:
        many = len(checks[1]) * len(turn.release.moves)
        turn.tell("verified", f"{count(many, 'check')} passed before {_next_step(turn.release)}")


def take_step(turn: Turn, _why: str) -> None:
    step = turn.release.step + 1
    wanted = turn.release.plan.steps[step]
    turn.set(step=step, held=0.0, opened=False, waived=False, overruled="")
    if turn.release.plan.analysis is not None and turn.release.verdict is not None:
        # What was said of the last step is no word about this one: a judge that has died must not carry it up.
        turn.set(verdict=replace(turn.release.verdict, passes=False))
    turn.step(wanted.weight)
    held = f", held for {duration(wanted.hold)}" if wanted.hold else ""
    turn.tell("step", f"{step_of(turn.release, step)}: {percent(wanted.weight)} to {candidates(turn.release)}{held}")


def skip_checks(turn: Turn, why: str) -> None:
    checks = gates.checks_of(turn.was)
    names = dict.fromkeys(name for _, name in gates.unchecked(turn.was))
    _skip(turn, SkipKind.CHECKS, checks[0] if checks is not None else "", f"checks not passed: {', '.join(names)}", why)


def skip_gates(turn: Turn, why: str) -> None:
    release = turn.release
    everything = turn.waiting()
    waiting = [item for item in everything if item.kind is not WaitKind.BACKENDS]
    if not waiting:
        if release.waived or not everything:
            return
        raise Refused(
            409,
            "candidate_not_ready",
            f"{which(release)} waits for {listed(item.detail for item in everything)}, which nobody can skip",
            "to go on by itself once one is ready",
        )
    missing = [item for item in waiting if item.kind is WaitKind.APPROVAL]
    if missing and turn.command.actor == release.author:
        raise Refused(
            409,
            "own_release",
            f"{release.author} started {which(release)} and cannot skip its approval",
            f"{listed(item.detail for item in missing)}, or a skip by somebody else",
        )
    turn.set(waived=True)
    if any(item.kind is WaitKind.JUDGE for item in waiting):
        _overrule(turn)
    _skip(
        turn, SkipKind.GATES, str(release.step + 1), f"did not wait for {listed(item.detail for item in waiting)}", why
    )


def skip_hold(turn: Turn, why: str) -> None:
    release = turn.release
    hold, over = release.plan.steps[release.step].hold, turn.was.held_at(turn.at)
    what = f"the hold of {step_of(release, release.step)} ended after {duration(over)} of {duration(hold)}"
    if not demand.lets_go(release):
        what += f", though {the_judge(release)}"
        _overrule(turn)
    _skip(turn, SkipKind.HOLD, str(release.step), what, why)


def end_pause(turn: Turn, why: str) -> None:
    """Resume where nobody paused: it opens the pause that the plan makes before the next step."""
    release = turn.release
    if release.plan.steps[release.step + 1].pause and not release.opened:
        turn.set(opened=True)
        turn.tell("resumed", with_reason(f"{turn.command.actor} let it go on to {_next_step(release)}", why))


def resume(turn: Turn, why: str) -> None:
    turn.set(reason="", paused_from=None)
    turn.tell("resumed", with_reason(f"{turn.command.actor} resumed it", why))


def reject(turn: Turn, why: str) -> None:
    turn.tell("rejected", why)


def check_failed(turn: Turn, why: str) -> None:
    turn.tell("check_failed", why)


def against_promotion(release: Release, at: float) -> Refused | None:
    """What in the release itself keeps it from being promoted at that time of it: checks, people, the judge."""
    if release.paused_from in (ReleaseState.PLANNED, ReleaseState.VERIFYING):
        return Refused(
            409,
            "not_verified",
            f"{which(release)} was paused before its checks had passed",
            "resume, and promote once it is verified",
        )
    missing = gates.missing_approvals(release, gates.approvals_left(release), at)
    if missing:
        groups = listed(dict.fromkeys(group for groups in missing.values() for group in groups))
        return Refused(
            409,
            "approval_missing",
            f"{which(release)} cannot be promoted yet: {groups} did not approve",
            f"an approval by {groups}, then promote",
        )
    if not demand.proven(release):
        if release.step < 0:
            said, then = f"nobody has seen {candidates(release)}, so nothing is proven", "its first step, then "
        else:
            said, then = the_judge(release), "resume, then " if release.state is ReleaseState.PAUSED else ""
        return Refused(
            409,
            "not_proven",
            f"{which(release)} cannot be promoted yet: {said}",
            f"{then}a skip with a reason of each hold that the judge does not let end, or to wait for proof",
        )
    return None


def may_promote(turn: Turn, _why: str) -> None:
    """Refuse a promotion now that people, checks, the judge, a freeze or the backends are against."""
    release = turn.was
    refused = against_promotion(release, turn.at)
    if refused is not None:
        raise refused
    found = calendar.frozen(turn.base.releasing.freezes, release.services, turn.now, turn.offset)
    if found is not None and (release.step < 0 or release.plan.steps[release.step].weight != WHOLE):
        freeze, until = found
        after = f"after {calendar.text(until, 'UTC', turn.offset)}" if until is not None else "once it has ended"
        raise Refused(
            409,
            "frozen",
            f"nothing is released now{f': {freeze.reason}' if freeze.reason else ''}",
            f"promote {after}, or a skip with a reason",
        )
    if turn.ready is False:
        raise Refused(
            409, "candidate_not_ready", f"{candidates(release)} has no ready backend", "promote once one is ready"
        )


def may_go_back(turn: Turn, _why: str) -> None:
    if not turn.was.retained:
        raise Refused(
            409,
            "not_retained",
            f"{which(turn.was)} was promoted, and {olds(turn.was)} is not kept any longer",
            f"a new release to {olds(turn.was)}, or a rollback to a named revision (--to REVISION)",
        )


def retention_over(turn: Turn, why: str) -> None:
    turn.set(retained_until=None)
    turn.tell("retention_over", f"{olds(turn.release)} is not kept any longer: {why or 'its time is over'}")


# States


def enter_verifying(turn: Turn, _why: str) -> None:
    checks = gates.checks_of(turn.release)
    if checks is not None and checks[1]:
        many = len(checks[1]) * len(turn.release.moves)
        turn.tell("verifying", f"{count(many, 'check')} before {_next_step(turn.release)}")


def enter_paused(turn: Turn, why: str) -> None:
    was = turn.was
    # What was more than the hold counts towards ``max_hold``, which begins anew when somebody has looked at it.
    over = min(was.held_at(turn.at), was.plan.steps[was.step].hold) if was.step >= 0 else 0.0
    turn.set(paused_from=was.state, held=over, reason=why[:REASON_KEPT])
    turn.tell("paused", why)


def enter_promoted(turn: Turn, why: str) -> None:
    release = turn.release
    retain = release.plan.retain
    turn.set(
        step=len(release.plan.steps) - 1,
        ended_at=turn.at,
        retained_until=turn.at + retain if retain > 0 else None,
        paused_from=None,
        reason=why[:REASON_KEPT],
    )
    turn.step(WHOLE)
    turn.make_stable()
    kept = f"; a rollback brings {olds(release)} back for {duration(retain)}" if retain > 0 else ""
    turn.tell("promoted", with_reason(f"{candidates(release)} is stable{kept}", why))


def enter_ended(turn: Turn, why: str) -> None:
    turn.set(ended_at=turn.at, retained_until=None, paused_from=None, reason=why[:REASON_KEPT])
    turn.put_back()
    back = f"{olds(turn.release)} as before" if turn.was.step >= 0 else "nobody had seen it"
    turn.tell(turn.release.state.value, with_reason(back, why))


# Parts of these


def _next_step(release: Release) -> str:
    return step_of(release, release.step + 1)


def _overrule(turn: Turn) -> None:
    """Take what the judge says now for good enough for the next step."""
    verdict = turn.release.verdict
    if verdict is None:
        turn.set(overruled=demand.SILENCE.value)
    else:
        turn.set(overruled=verdict.kind, verdict=replace(verdict, passes=True))


def _skip(turn: Turn, kind: SkipKind, gate: str, what: str, why: str) -> None:
    skipped = Skipped(gate, kind, what, turn.command.actor, why[:REASON_KEPT], turn.at)
    turn.set(skipped=(*turn.release.skipped, skipped))
    turn.tell("skipped", with_reason(f"{turn.command.actor}: {what}", why))
