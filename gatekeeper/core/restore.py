"""Going back to a whole earlier revision: definitions, deployed versions, weights, flags, settings.

It is a rollback of everything: a new revision that says what an old one said. Weights move as little as they must and
salts stay, so that whoever had a version then has it again as far as can be; versions that lose their weight are
withdrawn. What belongs to the present stays: secrets, what is tripped or drains (unless the old revision had other
backends or another build of it), flags that were killed, and settings that only a start can change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gatekeeper.core.flags.define import refuse_crowd
from gatekeeper.core.flags.model import FlagState
from gatekeeper.core.flags.running import restored as restored_flags
from gatekeeper.core.fronts import refuse_collisions
from gatekeeper.core.lookup import find_service
from gatekeeper.core.model import Deployed, Running, ServiceState, State
from gatekeeper.core.outcome import Command, Outcome, Refused
from gatekeeper.core.past import Past, PastService
from gatekeeper.core.restart import kept_until_restart
from gatekeeper.core.revise import revise, with_flags
from gatekeeper.core.running import begin, go_back, redeployed, settled, unmarked
from gatekeeper.core.splitting import undo_to
from gatekeeper.core.weights import refuse_tripped, still_there


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore(Command):
    """Make everything, or ``service`` alone, what it was at ``revision``.

    ``past`` is that revision (None: the history does not have it). ``entropy`` and ``stored`` are as in ``Reload``, for
    services that come back.
    """

    revision: int
    past: Past | None = None
    service: str | None = None
    entropy: str
    stored: Mapping[str, Running] = field(default_factory=dict)


def restore(state: State, command: Restore, now: float) -> Outcome:
    """The state with what held at that revision. Raises ``Refused``: 404 for what the history does not have, 409 for a
    tripped version that held weight then, for versions that are all gone, and for a service that would collide.
    """
    past = _known(state, command)
    put: dict[str, ServiceState | None] = {}
    for name in past.services if command.service is None else [command.service]:
        restored = _restored(state, command, name, past.services[name], now)
        if restored is not state.services.get(name):
            put[name] = restored
    settings, releasing = state.settings, state.releasing
    flags: dict[str, FlagState | None] = {}
    if command.service is None:
        put |= {name: None for name in state.services if name not in past.services}
        if past.settings is not None:
            settings = kept_until_restart(state.settings, past.settings)
        if past.releasing is not None:
            releasing = past.releasing
        if past.flags is not None:
            flags = restored_flags(past.flags, state.flags, command.entropy, revision=state.revision + 1, now=now)
            refuse_crowd({name: item.definition for name, item in with_flags(state, flags).items()})
    after = {name: service for name, service in {**state.services, **put}.items() if service is not None}
    refuse_collisions(after, put, f"a restore of revision {command.revision}")
    if not put and not flags and settings == state.settings and releasing == state.releasing:
        return Outcome(state)
    event: dict[str, object] = {"kind": "restored", "restored": command.revision}
    if command.service is not None:
        event["service"] = command.service
    if settings == state.settings:
        settings = state.settings
    if releasing == state.releasing:
        releasing = state.releasing
    return revise(
        state, command, now, event, put, settings=settings, releasing=releasing, with_changes=True, flags=flags
    )


def _known(state: State, command: Restore) -> Past:
    past, name = command.past, command.service
    if past is not None and (name is None or name in past.services):
        return past
    if past is not None and name is not None and name not in state.services:
        find_service(state, name)
    what = f"revision {command.revision}" if past is None else f"service {name} at revision {command.revision}"
    raise Refused(
        404,
        "unknown_revision",
        f"the history does not have {what}",
        f"a revision of `gatekeeper history`, at most {state.revision}",
    )


def _restored(state: State, command: Restore, name: str, was: PastService, now: float) -> ServiceState:
    current = state.services.get(name)
    definition = was.definition or (current.definition if current is not None else None)
    if definition is None:
        raise Refused(
            409,
            "definition_not_kept",
            f"the history has the split of service {name} at revision {command.revision}, not what it was",
            "a later revision, or a reload of a file that names the service",
        )
    revision = state.revision + 1
    running = current.running if current is not None else command.stored.get(name)
    if running is None:
        running = begin(definition, command.entropy, revision=revision, now=now, weights=was.weights)
        overlay = replace(running, deployed=was.deployed, retired=was.retired, promoted=was.promoted)
        return ServiceState(definition, overlay)
    if was.definition is not None:
        deployed = {name: _dated(item, running.deployed.get(name)) for name, item in was.deployed.items()}
        running = replace(running, deployed=deployed, retired=was.retired, promoted=was.promoted)
    old = current.definition if current is not None else None
    running = unmarked(running, {definition.stable, *redeployed(old, definition)})
    service = ServiceState(definition, running)
    weights = still_there(service, was.weights, f"the split of revision {command.revision}")
    refuse_tripped(service, weights)
    if current is not None and _is_so(current, service, weights):
        return current
    undo = undo_to(state, service, command.revision)
    running = go_back(running, weights, undo, revision=revision, now=now)
    return ServiceState(definition, settled(definition, running, command.entropy))


def _is_so(current: ServiceState, wanted: ServiceState, weights: Mapping[str, object]) -> bool:
    return current == wanted and dict(current.running.split.weights) == weights


def _dated(then: Deployed, present: Deployed | None) -> Deployed:
    """The same deploy at another time is the same."""
    return present if present is not None and replace(present, at=then.at) == then else then
