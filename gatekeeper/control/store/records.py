"""What is written of a command: the rows of its revision, the answer under its key, its line in the audit."""

import json
import re
from dataclasses import replace
from typing import Final

from gatekeeper.control.store.definitions import digest
from gatekeeper.control.store.rows import Answer, Audit, Delta, Once, Record
from gatekeeper.core import codec
from gatekeeper.core.command import Act, Command, Outcome, Refused, Reload
from gatekeeper.core.flags.commands import RemoveFlag, RollbackFlag, SetFlag, SwitchFlag
from gatekeeper.core.model import ServiceState, State

DETAIL: Final = 1_000
"""Characters of an audit row's reason: enough for what it says, while a refusal may list a thousand problems."""

_ITSELF: Final = "gatekeeper"
_OF_A_FLAG: Final = (SetFlag, SwitchFlag, RollbackFlag, RemoveFlag)


def action(command: Command) -> str:
    """What the command wants, in one word: ``split``, ``reload``, ``trip_version``, ``approve_release``."""
    if isinstance(command, Act):
        return f"{command.event.value}_release"
    name = type(command).__name__.removeprefix("Set")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def granted(command: Command, via: str, old: State, outcome: Outcome, answer: Answer | None, at: float) -> Record:
    """The record of an accepted command; without a revision if it changed nothing. ``at`` is wall seconds."""
    new = outcome.state
    who = {"actor": command.actor, "note": command.note}
    made = new.revision if new.revision != old.revision else None
    return Record(
        revision=made,
        at=at,
        actor=command.actor,
        action=str(outcome.events[0]["kind"]) if outcome.events else action(command),
        note=command.note,
        changes=codec.dump(outcome.changes),
        delta=Delta.between(old, new),
        events=[{**who, **event} for event in outcome.events],
        file=digest(command.definition) if isinstance(command, Reload) and command.from_file else None,
        answer=answer,
        audit=replace(
            _audit(command, via, at, made, "unchanged" if made is None else "done", command.note),
            service=_services(command, old),
        ),
    )


def undone(
    command: Command,
    via: str,
    failed: State,
    back: State,
    why: str,
    *,
    file: str | None,
    forget: tuple[str, str] | None,
    at: float,
) -> Record:
    """The record of ``back``, which takes ``failed`` back. ``file`` and ``forget`` as in ``Record``."""
    event = {"kind": "undone", "actor": command.actor, "note": command.note, "undid": failed.revision, "reason": why}
    return Record(
        revision=back.revision,
        at=at,
        actor=command.actor,
        action="undone",
        note=command.note,
        delta=Delta.between(failed, back),
        events=[event],
        file=file,
        forget=forget,
        audit=_audit(command, via, at, back.revision, "undone", why),
    )


def reclaimed(left: State, back: State, why: str, *, file: str, at: float) -> Record:
    """The record of ``back``, which takes back what a program stored that never came into service."""
    event = {"kind": "undone", "actor": _ITSELF, "undid": left.revision, "reason": why}
    return Record(
        revision=back.revision,
        at=at,
        actor=_ITSELF,
        action="undone",
        delta=Delta.between(left, back),
        events=[event],
        file=file,
        audit=Audit(at, _ITSELF, _ITSELF, "hand_over", "", back.revision, "undone", why[:DETAIL]),
    )


def refused(command: Command, via: str, refusal: Refused, at: float) -> Audit:
    return _audit(command, via, at, None, "refused", f"{refusal.code}: {refusal}")


def answer(once: Once, base: int, state: State) -> Answer:
    """What is to be answered from now on. Raises CodecError if it has no JSON form."""
    # Through JSON and back, so that a repetition is answered with the very same.
    document = json.loads(json.dumps(codec.dump(once.describe(state)), allow_nan=False))
    return Answer(once.key, once.actor, once.fingerprint, base, state.revision, document)


def taken_back(old: State, failed: State) -> State:
    """``old`` again as the revision after ``failed``."""
    revision = failed.revision + 1
    services = {
        name: service if failed.services.get(name) is service else _again(service, revision)
        for name, service in old.services.items()
    }
    flags = {
        name: flag
        if failed.flags.get(name) is flag
        else replace(flag, running=replace(flag.running, revision=revision))
        for name, flag in old.flags.items()
    }
    return replace(old, revision=revision, services=services, flags=flags)


def _again(service: ServiceState, revision: int) -> ServiceState:
    return replace(service, running=replace(service.running, revision=revision))


def _services(command: Command, state: State) -> str:
    """What a command is about: a service, a flag; that of a release alone, the services of the release."""
    release = state.releases.get(getattr(command, "release", None) or 0)
    return _about(command) or (", ".join(release.services) if release is not None else "")


def _audit(command: Command, via: str, at: float, revision: int | None, outcome: str, detail: str) -> Audit:
    return Audit(at, command.actor, via, action(command), _about(command), revision, outcome, detail[:DETAIL])


def _about(command: Command) -> str:
    """The one service or flag that a command names; empty where it names none, or several."""
    if isinstance(command, _OF_A_FLAG):
        return f"flag {command.name}"
    return getattr(command, "service", None) or ""  # commands of one service name it so
