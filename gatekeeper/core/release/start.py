"""Starting a release, or saying why not."""

from dataclasses import replace
from typing import Final

from gatekeeper.core.lookup import find_service, find_version
from gatekeeper.core.model import Release, State
from gatekeeper.core.outcome import Outcome, Problem, Refused
from gatekeeper.core.pending import awaiting
from gatekeeper.core.release import calendar, lifecycle
from gatekeeper.core.release.commands import StartRelease
from gatekeeper.core.release.guard import active_of
from gatekeeper.core.release.model import Move
from gatekeeper.core.release.moving import WHOLE, digest
from gatekeeper.core.release.plan import Plan
from gatekeeper.core.release.turn import Turn
from gatekeeper.core.release.words import listed, moves, which
from gatekeeper.core.weights import WEIGHT_DECIMALS, refuse_tripped

MOST_STEPS: Final = 100
"""Steps of a plan: each is one revision or more, and the log and the evidence of a release are kept with every one."""
MOST_SERVICES: Final = 50
"""Services that move as one."""


def start(state: State, command: StartRelease, now: float) -> Outcome:
    """A new release, as far as it goes at once. Raises ``Refused``: 404, 409, or 422 for a plan that cannot be."""
    _check_plan(command.plan)
    if not 1 <= len(command.services) <= MOST_SERVICES:
        raise Refused(
            422, "invalid_services", f"found {len(command.services)} services to release", f"1 to {MOST_SERVICES}"
        )
    made = tuple(_move(state, service, to) for service, to in command.services.items())
    _refuse_frozen(state, command, now)
    plan = command.plan if command.at is None else replace(command.plan, at=command.at)
    fresh = Release(
        id=state.revision + 1,
        moves=made,
        plan=plan,
        author=command.actor,
        created=now,
        author_groups=command.groups,
        note=command.note,
    )
    before, events = _make_room(state, command, now)
    turn = Turn(state, command, now, fresh, revision=fresh.id)
    turn.set(since=turn.at, seen=turn.at, created=turn.at)
    turn.tell("started", f"{moves(fresh)}, plan {plan.name}")
    lifecycle.run_on(turn)
    outcome = turn.outcome(before)
    return replace(outcome, events=[*outcome.events, *events])


def _move(state: State, name: str, to: str) -> Move:
    service = find_service(state, name)
    version = find_version(service, to)
    running, stable = service.running, service.definition.stable
    release = active_of(state, name)
    if release is not None:
        raise Refused(
            409,
            "release_active",
            f"service {name} is being released already: {which(release)}, {moves(release)}, is {release.state.value}",
            f"`gatekeeper release show {name}`; another release once this one has ended",
        )
    if to == stable:
        others = [other for other in service.definition.versions if other != stable]
        raise Refused(
            409,
            "already_stable",
            f"version {to} is stable in service {name} already",
            f"a release to {listed(others, 'or')}" if others else "a deploy of another version first",
        )
    waiting = awaiting(state, name)
    if waiting is not None:
        raise Refused(
            409,
            "awaiting_confirmation",
            f"the change of service {name} in revision {waiting.revision} waits to be confirmed",
            "`gatekeeper confirm`, or a rollback, then the release",
        )
    refuse_tripped(service, {to: WHOLE})
    if to in running.draining:
        raise Refused(
            409,
            "draining",
            f"version {to} of service {name} drains",
            "a release once it is deployed again",
        )
    if running.split.weights.get(to):
        raise Refused(
            409,
            "holds_weight",
            f"version {to} of service {name} has users already: it holds {running.split.weights[to]} in the split",
            f"a split that gives {to} nothing, then the release",
        )
    return Move(name, to, stable, running.split.weights, version.build, digest(version))


def _refuse_frozen(state: State, command: StartRelease, now: float) -> None:
    at = max(now, command.plan.at or now) if command.at is None else max(now, command.at)
    found = calendar.frozen(state.releasing.freezes, command.services, at, command.offset)
    if found is None:
        return
    freeze, until = found
    why = f": {freeze.reason}" if freeze.reason else ""
    moment = "now" if at == now else calendar.text(at, "UTC", command.offset)
    end = f"until {calendar.text(until, 'UTC', command.offset)}" if until is not None else "without an end"
    raise Refused(
        409,
        "frozen",
        f"{listed(command.services)} may not be released {moment}, {end}{why}",
        "a start with a time (--at) after that" if until is not None else "a start once the file ends the freeze",
    )


def _make_room(state: State, command: StartRelease, now: float) -> tuple[dict[int, Release], list[dict[str, object]]]:
    """The releases the new one joins: what it takes the place of goes, or is not retained any longer.

    A release that ends its retention by this is kept until the next start, so that its end is written with this one.
    """
    kept: dict[int, Release] = {}
    events: list[dict[str, object]] = []
    taken: set[str] = set(command.services)
    for number, release in sorted(state.releases.items(), reverse=True):
        services = set(release.services)
        if release.retained and services & set(command.services):
            turn = Turn(state, command, now, release, revision=state.revision + 1)
            lifecycle.fire(turn, lifecycle.Event.RETENTION_OVER, f"{listed(command.services)} is released anew")
            turn.finish(release)
            kept[number] = turn.release
            events.extend(turn.events)
        elif release.active or not services <= taken:
            kept[number] = release
        taken |= services
    return dict(sorted(kept.items())), events


def _check_plan(plan: Plan) -> None:
    problems = []
    if not 1 <= len(plan.steps) <= MOST_STEPS:
        problems.append(Problem("steps", f"found {len(plan.steps)}; allowed: 1 to {MOST_STEPS}"))
    for place, step in enumerate(plan.steps):
        if not 0 <= step.weight <= WHOLE or step.weight != round(step.weight, WEIGHT_DECIMALS):
            problems.append(
                Problem(f"steps[{place}].weight", f"found {step.weight}; allowed: 0 to 100, {WEIGHT_DECIMALS} decimals")
            )
        if step.hold < 0:
            problems.append(Problem(f"steps[{place}].hold", f"found {step.hold:g} s; allowed: 0 or more"))
    if plan.steps and plan.steps[-1].weight != WHOLE:
        problems.append(Problem("steps", f"the last step is {plan.steps[-1].weight}; allowed: 100"))
    if plan.analysis is not None and all(step.weight == WHOLE for step in plan.steps):
        problems.append(Problem("analysis", "has nothing to compare; allowed: with a step below 100"))
    if problems:
        raise Refused(422, "invalid_plan", f"plan {plan.name} cannot be followed", "a plan that ends at 100", problems)
