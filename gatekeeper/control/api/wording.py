"""A release in words: where it is, what it waits for and who may open that, what happens next."""

from typing import Any, Final

from gatekeeper.control.api.looking import Look
from gatekeeper.core.model import Release, State
from gatekeeper.core.release import calendar, demand, gates
from gatekeeper.core.release.model import ReleaseState, Waiting, WaitKind
from gatekeeper.core.release.words import candidates, listed, olds, percent, step_of

Document = dict[str, Any]

OPERATOR: Final = "an operator"
_BY_ITSELF: Final = frozenset({WaitKind.TIME, WaitKind.WINDOW, WaitKind.FREEZE})
_ROUNDS: Final = 20
"""Of windows and freezes that take turns: what has not opened after so many is not foretold."""


def headline(release: Release) -> str:
    """``progressing: step 2 of 4, 10 % to green``."""
    match release.state:
        case ReleaseState.PAUSED:
            was = release.paused_from or ReleaseState.WAITING
            return f"paused (was {_place(release, was)}){_why(release, 'paused')}"
        case ReleaseState.PROMOTED:
            # Once nothing is retained the release is over: what is stable by now is not its to say.
            became = "is" if release.retained else "became"
            return f"promoted: {candidates(release)} {became} stable{f' ({release.reason})' if release.reason else ''}"
        case ReleaseState.ROLLED_BACK | ReleaseState.ABORTED:
            state = release.state.value.replace("_", " ")
            return f"{state}{_why(release, state)}"
    return _place(release, release.state)


def _why(release: Release, state: str) -> str:
    """What follows a state: `` by ann: REASON``, where the reason begins with the state itself, or ``: REASON``."""
    reason = release.reason
    return reason.removeprefix(state) if reason.startswith(f"{state} by ") else f": {reason}" if reason else ""


def _place(release: Release, state: ReleaseState) -> str:
    if state is ReleaseState.PROGRESSING:
        step = release.step
        share = percent(release.plan.steps[step].weight)
        return f"{state.value}: {step_of(release, step)}, {share} to {candidates(release)}"
    return f"{state.value} before {step_of(release, release.step + 1)}"


def waiting_now(state: State, release: Release, look: Look) -> tuple[Waiting, ...]:
    """What the release waits for at this moment, but for a hold and checks that run."""
    match release.state:
        case ReleaseState.PAUSED:
            why = f": {release.reason}" if release.reason else ""
            return (Waiting(WaitKind.PAUSE, f"somebody to resume it{why}"),)
        case ReleaseState.PLANNED | ReleaseState.WAITING:
            return gates.waiting_for(state, release, look.now, look.offset, look.ready, look.steady)
    return ()


def waiting(release: Release, item: Waiting) -> Document:
    return {
        "kind": item.kind.value,
        "detail": item.detail,
        "gate": item.gate,
        "groups": list(item.groups),
        "until": item.until,
        "who": who_may(release, item),
    }


def who_may(release: Release, item: Waiting) -> str:
    """Who may open it."""
    if item.kind is WaitKind.APPROVAL:
        people = listed(f"{'a member' if place == 0 else 'one'} of {group}" for place, group in enumerate(item.groups))
        return f"{people}, not {release.author}"
    if item.kind is WaitKind.PAUSE:
        return OPERATOR
    if item.kind is WaitKind.JUDGE:
        return f"it opens with the next verdict that passes; {OPERATOR} may skip it with a reason"
    if item.kind in _BY_ITSELF:
        return f"it opens by itself; {OPERATOR} may skip it"
    return f"nobody: a backend of {candidates(release)} must become ready"


def what_next(state: State, release: Release, look: Look) -> Document | None:
    """What happens next by itself, when, and after what. None: nothing does."""
    if release.retained:
        return _next(f"{olds(release)} is not kept any longer", release.retained_until)
    if not release.active:
        return None
    if release.state is ReleaseState.PAUSED:
        return _next(_after_pause(release), None, "somebody resumes it")
    if release.state is ReleaseState.PROGRESSING:
        return _after_hold(state, release, look)
    return _before_step(state, release, look)


def _next(text: str, at: float | None, *conditions: str) -> Document:
    return {"text": text, "at": at, "if": listed(conditions) if conditions else ""}


def _after_pause(release: Release) -> str:
    if release.paused_from is ReleaseState.PROGRESSING:
        return f"the hold of {step_of(release, release.step)} goes on"
    return step_text(release, release.step + 1)


def step_text(release: Release, step: int) -> str:
    if step == len(release.plan.steps):
        return f"{candidates(release)} becomes stable"
    return f"{step_of(release, step)}: {percent(release.plan.steps[step].weight)} to {candidates(release)}"


def _after_hold(state: State, release: Release, look: Look) -> Document:
    step, at = release.step + 1, look.at(release)
    conditions = []
    if not demand.lets_go(release):
        conditions.append("the verdict lets it pass")
    left = release.plan.steps[release.step].hold - release.held_at(at)
    if step == len(release.plan.steps):
        return _next(step_text(release, step), at + left if left > 0 else None, *conditions)
    conditions += _to_do(release, step, at)
    opens = opening(state, release, step, at + max(0.0, left), look)
    return _next(step_text(release, step), _known(opens, at, conditions), *conditions)


def _before_step(state: State, release: Release, look: Look) -> Document:
    step = release.step + 1
    conditions = []
    if look.ready is not None and not all(look.ready.get(name, False) for name in release.services):
        conditions.append(f"a backend of {candidates(release)} is ready")
    if not demand.lets_go(release):
        conditions.append("the verdict lets it pass")
    if release.waived:
        return _next(step_text(release, step), None if conditions else look.now, *conditions)
    conditions += _to_do(release, step, look.at(release))
    opens = opening(state, release, step, look.now, look)
    if opens is None:
        conditions.append("the freeze ends")
    return _next(step_text(release, step), _known(opens, look.now, conditions), *conditions)


def _known(opens: float | None, now: float, conditions: list[str]) -> float | None:
    """A moment that says something: that it may begin at once does not where something else has to happen first."""
    return None if conditions and opens is not None and opens <= now else opens


def _to_do(release: Release, step: int, at: float) -> list[str]:
    """What checks and people have to do before a step."""
    found = []
    checks = 0
    if release.state is ReleaseState.VERIFYING and step == release.step + 1:
        checks = len(gates.unchecked(release))
    elif release.state is not ReleaseState.WAITING:
        checks = len(gates.checks_before(release.plan, step)) * len(release.moves)
    if checks:
        found.append(f"{checks} checks pass" if checks > 1 else "1 check passes")
    groups = missing_people(release, step, at)
    if groups:
        found.append(f"{listed(groups)} {'approve' if len(groups) > 1 else 'approves'}")
    if pauses(release, step):
        found.append("somebody resumes it")
    return found


def missing_people(release: Release, step: int, at: float) -> list[str]:
    """The groups that have not approved of a step."""
    missing = gates.missing_approvals(release, gates.approvals_before(release.plan, step), at)
    return [*dict.fromkeys(group for groups in missing.values() for group in groups)]


def pauses(release: Release, step: int) -> bool:
    """Whether the plan pauses before a step, and nobody has ended that pause."""
    return release.plan.steps[step].pause and not (release.opened and step == release.step + 1)


def opening(state: State, release: Release, step: int, at: float, look: Look) -> float | None:
    """The first moment (wall seconds) from ``at`` on at which the calendar lets a step be taken; None: not known."""
    plan = release.plan
    for _ in range(_ROUNDS):
        before = at
        if step == 0 and plan.at is not None:
            at = max(at, plan.at)
        if plan.window is not None:
            opens = calendar.next_open(plan.window, at, look.offset)
            if opens is None:
                return None
            at = opens
        frozen = calendar.frozen(state.releasing.freezes, release.services, at, look.offset)
        if frozen is not None:
            if frozen[1] is None:
                return None
            at = frozen[1]
        if at == before:
            return at
    return None
