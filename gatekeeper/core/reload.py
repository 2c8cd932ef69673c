"""A new definition: what it keeps, what it refuses, what it changes.

The file says what exists, the store says where the weights are now; so a reload keeps every running split unless told
otherwise, of flags too, and a service that comes back after it was gone comes back as it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gatekeeper.core import running
from gatekeeper.core import split as splits
from gatekeeper.core.codec import dump
from gatekeeper.core.difference import compare
from gatekeeper.core.flags import running as flag_running
from gatekeeper.core.flags.define import refuse_crowd
from gatekeeper.core.flags.follow import settle_flags
from gatekeeper.core.model import Definition, Running, ServiceState, State
from gatekeeper.core.outcome import Command, Outcome, plain
from gatekeeper.core.overlay import effective
from gatekeeper.core.pending import still_waiting
from gatekeeper.core.release.follow import settle
from gatekeeper.core.restart import refuse_restart
from gatekeeper.core.revise import stamped

_ACTOR = "gatekeeper"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload(Command):
    """Make ``definition`` the definition. ``reset_split``: with the file's splits instead of the running ones.

    ``entropy`` is a fresh secret text of at least 32 hexadecimal digits; salts and secrets are derived from it.
    ``stored`` is what is kept of services that are not in the state, by name. ``from_file``: the definition is the
    file's, and not one that was sent.
    """

    definition: Definition
    entropy: str
    reset_split: bool = False
    from_file: bool = True
    stored: Mapping[str, Running] = field(default_factory=dict)


def reload(state: State, command: Reload, now: float) -> Outcome:
    """The state with the new definition. Raises ``Refused`` (409) if a setting changed that needs a restart."""
    new = command.definition
    refuse_restart(state.settings, new.settings)
    revision = state.revision + 1
    services: dict[str, ServiceState] = {}
    for name, of_file in new.services.items():
        current = state.services.get(name)
        past = current.running if current is not None else command.stored.get(name)
        if past is None:
            present = ServiceState(of_file, running.begin(of_file, command.entropy, revision=revision, now=now))
        else:
            definition, kept, _ = effective(of_file, past)
            old = current.definition if current is not None else None
            carried = running.carry(
                definition, kept, command.entropy, revision=revision, now=now, reset_split=command.reset_split, old=old
            )
            present = ServiceState(definition, carried)
        services[name] = current if current == present else stamped(present, revision, now)
    settings = state.settings if new.settings == state.settings else new.settings
    releasing = state.releasing if new.releasing == state.releasing else new.releasing
    flags, _ = flag_running.effective(
        new.flags, state.flags, command.entropy, revision=revision, now=now, reset=command.reset_split
    )
    refuse_crowd({name: flag.definition for name, flag in flags.items()})
    after = replace(state, revision=revision, settings=settings, services=services, releasing=releasing, flags=flags)
    changes = [*compare(state, after)]
    if not changes:
        return Outcome(state)
    event = {
        "kind": "reload",
        "revision": revision,
        "at": now,
        "actor": command.actor,
        "note": command.note,
        "reset_split": command.reset_split,
        "from_file": command.from_file,
        "changes": dump(changes),
    }
    return Outcome(after, changes, [event])


def initial_state(
    definition: Definition,
    stored: Mapping[str, Running],
    revision: int,
    entropy: str,
    now: float,
    last: State | None = None,
) -> tuple[State, list[str]]:
    """The state to start with, numbered ``revision``: the file's services with what the store kept of them.

    ``last`` is the state that stopped, if it is known whole: a change in it that waits to be confirmed goes on waiting,
    but for the services that the file changes now, and a release in it goes on where it was, unless the file took away
    what it stands on. The notes say where file and store did not agree and what was done.
    Raises ``splits.SplitError``, naming the service, if what was kept is damaged.
    """
    services: dict[str, ServiceState] = {}
    notes: list[str] = []
    for name, of_file in definition.services.items():
        past = stored.get(name)
        if past is None:
            services[name] = ServiceState(of_file, running.begin(of_file, entropy, revision=revision, now=now))
            if stored:
                notes.append(f"service {name} is new: it starts with the split of the file")
            continue
        _check(name, past)
        service, kept, overtaken = effective(of_file, past)
        notes.extend(overtaken)
        known = last.services.get(name) if last is not None else None
        present = running.carry(
            service, kept, entropy, revision=revision, now=now, old=known.definition if known is not None else None
        )
        if present is not past:
            present = replace(present, revision=revision, changed_at=now)
        gone = [version for version in past.split.weights if version not in service.versions]
        if gone:
            notes.append(
                f"service {name}: {', '.join(gone)} is not in the file any more; the split is now "
                f"{_text(present.split.weights)}"
            )
        services[name] = ServiceState(service, present)
    notes.extend(
        f"service {name} is not in the file any more; its split is kept for its return"
        for name in stored
        if name not in definition.services
    )
    flags, overtaken = flag_running.effective(
        definition.flags, {} if last is None else last.flags, entropy, revision=revision, now=now
    )
    flags, crowded = flag_running.without_overlay(definition.flags, flags)
    notes += [*overtaken, *crowded]
    flag_running.check_flags(flags)
    state = State(revision, definition.settings, services, releasing=definition.releasing, flags=flags)
    if last is None:
        return state, notes
    state, told = settle(last, replace(state, releases=last.releases), Command(actor=_ACTOR), now)
    notes.extend(f"release {event['release']}: {event['text']}" for event in told)
    state, _ = settle_flags(last, state, now)
    services = dict(state.services)
    touched = {
        name for name in {**last.services, **services} if not _same_service(last.services.get(name), services.get(name))
    }
    pending, settled = still_waiting(
        last.pending,
        touched,
        settings=definition.settings != last.settings,
        releasing=definition.releasing != last.releasing,
        flags=[name for name in {**last.flags, **state.flags} if last.flags.get(name) != state.flags.get(name)],
    )
    notes.extend(
        f"the change of revision {number} waits no longer to be confirmed: the file changed what it had changed"
        for number in settled
    )
    return replace(state, pending=pending), notes


def _same_service(one: ServiceState | None, other: ServiceState | None) -> bool:
    """Equal but for the number and time of the last change."""
    if one is None or other is None:
        return one is other
    return one == stamped(other, one.running.revision, one.running.changed_at)


def _check(name: str, past: Running) -> None:
    try:
        for split in (past.split, *past.rules.values()):
            splits.check(split)
    except splits.SplitError as error:
        raise splits.SplitError(
            f"the stored split of service {name} is damaged: {error}; restore the state file from a copy, "
            "or start with a new one to begin with the splits of the file"
        ) from error


def _text(weights: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={weight}" for name, weight in plain(weights).items())
