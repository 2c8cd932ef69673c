"""Registering, retiring and draining versions while the service runs.

None of them shows users a version they did not see: what is deployed gets no weight, and the share of what goes or
drains is stable's, so that nobody else moves. Whoever had the version is not kept on it by an open page or a pin.

A retirement is refused where a rule names the version, for the rule would name nothing. A drain is not: its requests
fail over, and the share that the split of a rule gives it is stable's until the drain ends.

A rollback takes a drain back (the version gets its share again), but neither brings a retired version back nor counts
what it once held, nor gives anybody the new build of a version that was deployed anew: the share then is stable's.

The candidate of a release may be retired and drained even while it holds everything: that ends the release, and who had
it has what was before (``core.release.follow``).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gatekeeper.core.lookup import find_service, find_version
from gatekeeper.core.model import ServiceState, State, Undo, Version
from gatekeeper.core.outcome import Command, Outcome, Problem, Refused
from gatekeeper.core.overlay import rules_naming, same_build, same_but_origin, with_deployed, without
from gatekeeper.core.release.guard import active_of, move_of, refuse_deploy
from gatekeeper.core.revise import revise_service
from gatekeeper.core.running import complete, go_back, settled, undo_without, unmarked, withdraw, withdrawn

MOST_VERSIONS = 256
"""Versions of a service that takes further deploys: more is a pipeline that never retires, and every one of them is
checked, sent to all workers and stored with each revision."""

DRAIN_MOST = 86_400.0
"""Seconds: no request or tunnel is waited for longer than a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy(Command):
    """Register ``version``, or replace the one of its name. A new one gets no weight: no user sees it.

    Its definition comes from a deploy whatever its ``origin`` says, unless it is what the file says of it. What is not
    ``proved`` replaces no version that has users (409 ``not_healthy``): nobody knows yet whether its backends are well.
    """

    service: str
    version: Version
    proved: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire(Command):
    """Take ``version`` out of the service. Its share goes to stable."""

    service: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain(Command):
    """Give ``version`` no new requests, and those under way ``seconds`` (0 to a day) to end.

    Its share goes to stable.
    """

    service: str
    version: str
    seconds: float


def deploy(state: State, command: Deploy, now: float) -> Outcome:
    service = find_service(state, command.service)
    name = command.version.name
    definition, running = service.definition, service.running
    known = definition.versions.get(name)
    if known is None and len(definition.versions) >= MOST_VERSIONS:
        raise Refused(
            409,
            "too_many_versions",
            f"service {command.service} has {len(definition.versions)} versions",
            f"a deploy that replaces one of them, or one after a retirement; at most {MOST_VERSIONS}",
        )
    if known is None or not same_but_origin(known, command.version):
        if not command.proved and known is not None and has_users(service, name):
            raise Refused(
                409,
                "not_healthy",
                f"version {name} of service {command.service} has users, and its new backends were not checked yet",
                "a deploy of backends that passed their check",
            )
        refuse_deploy(state, service, name)
        service = with_deployed(service, command.version, now)
        if known is not None and not same_build(known, command.version):
            service = _renewed(service, name)
    elif name not in running.tripped and name not in running.draining:
        return Outcome(state)
    event = {
        "kind": "deployed",
        "version": name,
        "new": known is None,
        "build": command.version.build,
        "backends": [backend.url for backend in command.version.backends],
    }
    running = unmarked(service.running, {name})
    split = replace(running.split, weights=complete(service.definition, running.split.weights))
    return _settled(state, command, now, event, replace(service, running=replace(running, split=split)))


def _renewed(service: ServiceState, name: str) -> ServiceState:
    """Users had another build under that name: no rollback brings them this one, unless it has users already."""
    running, stable = service.running, service.definition.stable
    if running.split.weights.get(name) or name == stable:
        return service
    return replace(service, running=replace(running, undo=undo_without(running.undo, name, stable)))


def has_users(service: ServiceState, name: str) -> bool:
    """Whether the split, or a rule, sends requests to the version."""
    return bool(service.running.split.weights.get(name)) or any(rules_naming(service.definition, name))


def retire(state: State, command: Retire, now: float) -> Outcome:
    service = find_service(state, command.service)
    name, stable = command.version, service.definition.stable
    _refuse_holder(state, service, name, "retired")
    rules = list(rules_naming(service.definition, name))
    if rules:
        raise Refused(
            409,
            "version_in_rules",
            f"version {name} of service {command.service} is named by its rules: {', '.join(rules)}",
            "a retirement once the file names it in no rule",
            [Problem(f"rules.{rule}", f"sends requests to {name}") for rule in rules],
        )
    after = without(service, name)
    weights = complete(after.definition, withdrawn(service.running.split.weights, {name}, stable))
    undo = _forgotten(undo_without(service.running.undo, name, stable), name)
    running = go_back(after.running, weights, undo, revision=state.revision + 1, now=now)
    return _settled(state, command, now, {"kind": "retired", "version": name}, replace(after, running=running))


def drain(state: State, command: Drain, now: float) -> Outcome:
    service = find_service(state, command.service)
    name, stable, running = command.version, service.definition.stable, service.running
    _refuse_holder(state, service, name, "drained")
    if not 0 <= command.seconds <= DRAIN_MOST:
        raise Refused(
            422, "invalid_seconds", f"found {command.seconds:g} s for the drain", f"0 to {DRAIN_MOST:g} seconds"
        )
    revision = state.revision + 1
    undo = running.undo
    if running.split.weights.get(name):
        undo = (*undo, Undo(revision, running.split.weights))
    after = withdraw(running, name, stable, undo, revision=revision, now=now)
    until = now + command.seconds
    after = replace(after, draining={**running.draining, name: until})
    event = {"kind": "version_draining", "version": name, "seconds": command.seconds, "until": until}
    return _settled(state, command, now, event, replace(service, running=after))


def _settled(
    state: State, command: Deploy | Retire | Drain, now: float, event: dict[str, object], service: ServiceState
) -> Outcome:
    running = replace(settled(service.definition, service.running), revision=state.revision + 1, changed_at=now)
    return revise_service(state, command, now, event, replace(service, running=running))


def _refuse_holder(state: State, service: ServiceState, name: str, what: str) -> None:
    """``Refused``: 404 for no such version, 409 for stable and for whoever holds all the weight, unless it is being
    released.
    """
    find_version(service, name)
    definition = service.definition
    if name == definition.stable:
        raise Refused(
            409,
            "version_is_stable",
            f"version {name} is stable in service {definition.name}, it cannot be {what}",
            "another version; or this one once the file names another as stable",
        )
    release = active_of(state, definition.name)
    if release is not None and move_of(release, definition.name).to == name:
        return
    if not any(weight for other, weight in service.running.split.weights.items() if other != name):
        raise Refused(
            409,
            "version_holds_all",
            f"version {name} holds all the weight of service {definition.name}, it cannot be {what}",
            f"a split that gives another version weight, first: gatekeeper split {definition.name} "
            f"{definition.stable}=100",
        )


def _forgotten(undo: Iterable[Undo], name: str) -> tuple[Undo, ...]:
    return tuple(
        replace(item, weights={key: weight for key, weight in item.weights.items() if key != name}) for item in undo
    )
