"""What people want to know of a release: what happens next, and the five questions of deploy versus release."""

from collections.abc import Mapping
from typing import Final

from gatekeeper.core.judge.analysis import Demand
from gatekeeper.core.model import State
from gatekeeper.core.release import calendar, demand, gates, lifecycle
from gatekeeper.core.release.calendar import Offset
from gatekeeper.core.release.model import START, Release, ReleaseState, SkipKind
from gatekeeper.core.release.plan import OnFail, Plan
from gatekeeper.core.release.words import candidates, count, duration, listed, olds, percent, step_of, the_judge

QUESTIONS: Final = {
    "verified": "How was it verified?",
    "trigger": "What triggers it?",
    "hidden": "How is it hidden again?",
    "decides": "Who decides?",
    "deployed": "Can it be deployed without releasing?",
}


def what_next(
    state: State,
    release: Release,
    now: float,
    offset: Offset,
    ready: Mapping[str, bool] | None = None,
    steady: float | None = None,
) -> str:
    """What happens next, and when or after what. Arguments as of ``gates.waiting_for``."""
    at = max(release.seen, now if steady is None else steady)
    match release.state:
        case ReleaseState.PLANNED:
            return f"the checks, once {candidates(release)} has a ready backend"
        case ReleaseState.VERIFYING:
            left = listed(dict.fromkeys(name for _, name in gates.unchecked(release)))
            return f"{_step(release)}, once these have passed: {left}"
        case ReleaseState.WAITING:
            waiting = gates.waiting_for(state, release, now, offset, ready, steady)
            if not waiting:
                return f"{_step(release)}, at once"
            return f"{_step(release)}, which waits for {listed(item.detail for item in waiting)}"
        case ReleaseState.PROGRESSING:
            return f"{_after_hold(release)}, {_hold_left(release, at)}"
        case ReleaseState.PAUSED:
            return f"nothing until somebody acts: {listed(lifecycle.allowed(release, at), 'or')}"
        case ReleaseState.PROMOTED if release.retained and release.retained_until is not None:
            return (
                f"{olds(release)} is kept to go back to for another {duration(max(0.0, release.retained_until - at))}"
            )
        case _:
            return "nothing: it has ended"


def answers(state: State, release: Release) -> dict[str, str]:
    """The answer to each of ``QUESTIONS``, by its key."""
    plan = release.plan
    return {
        "verified": _verified(release),
        "trigger": _trigger(release),
        "hidden": _hidden(release),
        "decides": _decides(plan, release),
        "deployed": _deployed(state, release),
    }


def _step(release: Release) -> str:
    step = release.plan.steps[release.step + 1]
    return f"{step_of(release, release.step + 1)} ({percent(step.weight)})"


def _after_hold(release: Release) -> str:
    left = release.step + 1 < len(release.plan.steps)
    return _step(release) if left else f"the promotion of {candidates(release)}"


def _hold_left(release: Release, at: float) -> str:
    left = release.plan.steps[release.step].hold - release.held_at(at)
    parts = [f"after another {duration(left)} of this hold"] if left > 0 else []
    if not demand.lets_go(release):
        parts.append(f"once a verdict lets it pass ({the_judge(release)})")
    return listed(parts) if parts else "at once"


def _verified(release: Release) -> str:
    plan = release.plan
    asked = sum(len(gates.checks_before(plan, step)) for step in range(len(plan.steps))) * len(release.moves)
    judged = _judged(release)
    if not asked:
        return judged or "not by gatekeeper: the plan asks for no check"
    passed = [item for item in release.checks if item.passed]
    failed = [item for item in release.checks if not item.passed]
    parts = [f"{len(passed)} of {count(asked, 'check')} passed"]
    if passed:
        parts.append(listed(dict.fromkeys(item.name for item in passed)))
    if failed:
        parts.append(f"failed: {listed(dict.fromkeys(item.name for item in failed))}")
    skipped = (item for item in release.skipped if item.kind is SkipKind.CHECKS)
    parts += [f"skipped by {item.actor} ({item.what}): {item.reason}" for item in skipped]
    return "; ".join([*parts, judged] if judged else parts)


def _judged(release: Release) -> str:
    """What the comparison came to; empty where none is asked for."""
    if release.plan.analysis is None:
        return ""
    said = f": {the_judge(release)}" if release.step >= 0 else ""
    return f"compared with {olds(release)} by its users' requests{said}"


def _trigger(release: Release) -> str:
    plan = release.plan
    when = [f"at {calendar.text(plan.at, 'UTC', calendar.utc)}"] if plan.at is not None else []
    when += [f"in the window {calendar.hours(plan.window)}"] if plan.window is not None else []
    groups = dict.fromkeys(group for approval in gates.asks(plan).values() for group in approval.groups)
    when += [f"when {listed(groups)} approved"] if groups else []
    how = listed(percent(step.weight) for step in plan.steps)
    return f"{release.author} started it by plan {plan.name}; it goes {' and '.join(when) or 'at once'}, by {how}"


def _hidden(release: Release) -> str:
    service = release.services[0]
    back = olds(release)
    match release.state:
        case ReleaseState.ROLLED_BACK | ReleaseState.ABORTED:
            return f"it is: {back} has its users again ({release.reason})"
        case ReleaseState.PROMOTED if not release.retained:
            return f"by a release to {back}, or a rollback to an earlier revision: {back} is not kept any longer"
    failing = "rolls it back" if release.plan.on_fail is OnFail.ROLLBACK else "pauses it"
    return (
        f"`gatekeeper rollback {service}` brings {back} back at once, without a deploy; the trip-wire does so by "
        f"itself, and a failed check or verdict {failing}"
    )


def _decides(plan: Plan, release: Release) -> str:
    asked = gates.asks(plan)
    parts = [
        f"before step {_place(gate)}: {listed(approval.groups)}, never the author" for gate, approval in asked.items()
    ]
    if not asked:
        parts = [f"{release.author} alone: the plan asks nobody else"]
    parts += [
        f"{given.actor} approved for {listed(given.groups)} before step {_place(given.gate)}"
        + (f": {given.reason}" if given.reason else "")
        for given in release.approvals
    ]
    if plan.analysis is not None:
        every = plan.analysis.steps is Demand.PASSED
        parts.append(f"the judge, who must prove it good enough before {'every step' if every else '100 %'}")
    skipped = (item for item in release.skipped if item.kind is not SkipKind.CHECKS)
    parts += [f"{item.actor} skipped ({item.what}): {item.reason}" for item in skipped]
    return "; ".join(parts)


def _deployed(state: State, release: Release) -> str:
    parts = []
    for move in release.moves:
        build = f" (build {move.build})" if move.build else ""
        there = state.services.get(move.service)
        known = there is not None and move.to in there.definition.versions
        where = "is deployed" if known else "is not deployed any more"
        parts.append(f"{move.service} {move.to}{build} {where}")
    return f"yes: {listed(parts)}; a deployed version has no users until a release gives it some"


def _place(gate: str) -> int:
    return 1 if gate == START else int(gate) + 1
