"""What must be true before a step is taken: checks, people, the calendar, the judge, backends."""

from collections.abc import Iterable, Mapping

from gatekeeper.core.model import State
from gatekeeper.core.release import calendar, demand
from gatekeeper.core.release.calendar import Offset
from gatekeeper.core.release.model import START, Given, Release, ReleaseState, Waiting, WaitKind
from gatekeeper.core.release.plan import Approval, Check, Plan, names
from gatekeeper.core.release.words import the_judge


def gate_of(step: int) -> str:
    """The gate under which what is verified before a step is noted."""
    return START if step == 0 else str(step)


def checks_before(plan: Plan, step: int) -> tuple[Check, ...]:
    return (*(plan.verify if step == 0 else ()), *plan.steps[step].verify)


def checks_of(release: Release) -> tuple[str, tuple[Check, ...]] | None:
    """The gate being verified now and its checks, to be made for every service; None while nothing is."""
    if release.state is not ReleaseState.VERIFYING:
        return None
    step = release.step + 1
    return gate_of(step), checks_before(release.plan, step)


def unchecked(release: Release) -> list[tuple[str, str]]:
    """Service and name of the checks that have not passed since this verification began."""
    running = checks_of(release)
    if running is None:
        return []
    gate, checks = running
    passed = {
        (result.service, result.name)
        for result in release.checks
        if result.gate == gate and result.passed and result.at >= release.since
    }
    wanted = [(service, name) for service in release.services for name in names(checks)]
    return [item for item in wanted if item not in passed]


def approvals_before(plan: Plan, step: int) -> dict[str, Approval]:
    """What people are asked before a step, by gate."""
    asked = {START: plan.approve} if step == 0 else {}
    asked[str(step)] = plan.steps[step].approve
    return {gate: approval for gate, approval in asked.items() if approval is not None}


def asks(plan: Plan) -> dict[str, Approval]:
    """All that people are asked, by gate."""
    return {gate: item for step in range(len(plan.steps)) for gate, item in approvals_before(plan, step).items()}


def approvals_left(release: Release) -> dict[str, Approval]:
    """What people are asked before all steps that are left, the next one first."""
    return {
        gate: approval
        for step in range(release.step + 1, len(release.plan.steps))
        for gate, approval in approvals_before(release.plan, step).items()
    }


def next_approvals(release: Release) -> dict[str, Approval]:
    """What people are asked before the next step that asks anybody."""
    for step in range(release.step + 1, len(release.plan.steps)):
        asked = approvals_before(release.plan, step)
        if asked:
            return asked
    return {}


def counts(given: Given, approval: Approval, at: float) -> bool:
    """Whether what was given is still good at that time of the release."""
    return at < given.at + approval.expires


def missing_groups(release: Release, gate: str, approval: Approval, at: float) -> tuple[str, ...]:
    """The groups of which nobody has approved yet. Each person stands for one group at most.

    As many groups as can be are filled (a maximum matching by augmenting paths), so that it does not matter in which
    order people of several groups came.
    """
    people = {
        given.actor: given.groups
        for given in release.approvals
        if given.gate == gate and given.actor != release.author and counts(given, approval, at)
    }
    stands_for: dict[str, int] = {}
    """Person -> place in ``groups``."""

    def fill(place: int, asked: set[str]) -> bool:
        for person, groups in people.items():
            if approval.groups[place] not in groups or person in asked:
                continue
            asked.add(person)
            if person not in stands_for or fill(stands_for[person], asked):
                stands_for[person] = place
                return True
        return False

    return tuple(group for place, group in enumerate(approval.groups) if not fill(place, set()))


def missing_approvals(release: Release, asked: Mapping[str, Approval], at: float) -> dict[str, tuple[str, ...]]:
    """The groups that are missing, by gate; without the gates that are complete."""
    missing = {gate: missing_groups(release, gate, approval, at) for gate, approval in asked.items()}
    return {gate: groups for gate, groups in missing.items() if groups}


def lapsed(release: Release, at: float) -> list[Given]:
    """The approvals for steps to come that were given too long ago."""
    asked = approvals_left(release)
    return [given for given in release.approvals if given.gate in asked and not counts(given, asked[given.gate], at)]


def waiting_for(
    state: State,
    release: Release,
    now: float,
    offset: Offset,
    ready: Mapping[str, bool] | None = None,
    steady: float | None = None,
) -> tuple[Waiting, ...]:
    """What the next step waits for at ``now`` (wall seconds); nothing if it may be taken, or if there is none.

    ``steady`` and ``ready`` as in ``commands.ReleaseCommand``; without ``ready`` nothing is said of backends.
    """
    step = release.step + 1
    if step >= len(release.plan.steps) or not release.active:
        return ()
    at = max(release.seen, now if steady is None else steady)
    found = [] if release.waived else [*_people(release, step, at), *_calendar(state, release, step, now, offset)]
    return (*found, *_judge(release), *_backends(release, ready))


def _people(release: Release, step: int, at: float) -> Iterable[Waiting]:
    missing = missing_approvals(release, approvals_before(release.plan, step), at)
    for gate, groups in missing.items():
        yield Waiting(WaitKind.APPROVAL, f"approval by {' and '.join(groups)}", gate, groups)
    if release.plan.steps[step].pause and not release.opened:
        yield Waiting(WaitKind.PAUSE, f"somebody to resume it: the plan pauses before step {step + 1}", str(step))


def _calendar(state: State, release: Release, step: int, now: float, offset: Offset) -> Iterable[Waiting]:
    plan = release.plan
    zone = plan.window.timezone if plan.window is not None else "UTC"
    if step == 0 and plan.at is not None and now < plan.at:
        yield Waiting(WaitKind.TIME, f"its time, {calendar.text(plan.at, zone, offset)}", until=plan.at)
    if plan.window is not None and not calendar.is_open(plan.window, now, offset):
        opens = calendar.next_open(plan.window, now, offset)
        yield Waiting(WaitKind.WINDOW, f"the window {calendar.hours(plan.window)}", until=opens)
    found = calendar.frozen(state.releasing.freezes, release.services, now, offset)
    if found is not None:
        freeze, until = found
        why = f" ({freeze.reason})" if freeze.reason else ""
        yield Waiting(WaitKind.FREEZE, f"the end of a freeze{why}", until=until)


def _judge(release: Release) -> Iterable[Waiting]:
    """A verdict that has changed since it let the hold end: no weight grows against it."""
    if not demand.lets_go(release):
        yield Waiting(WaitKind.JUDGE, f"a verdict that lets it go on: {the_judge(release)}")


def _backends(release: Release, ready: Mapping[str, bool] | None) -> Iterable[Waiting]:
    if ready is None:
        return
    for move in release.moves:
        if not ready.get(move.service, False):
            yield Waiting(WaitKind.BACKENDS, f"a ready backend of {move.to} in service {move.service}")
