"""What comes of the commands about flags. What people do holds over what a release or a schedule did before it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gatekeeper.core.flags.commands import RemoveFlag, RollbackFlag, SetFlag, SwitchFlag
from gatekeeper.core.flags.define import complete, defined, refuse_crowd
from gatekeeper.core.flags.model import Flag, FlagState, FlagUndo, Made
from gatekeeper.core.flags.running import begin, changed, of_file, redefined, shown, stamped
from gatekeeper.core.lookup import did_you_mean
from gatekeeper.core.model import State
from gatekeeper.core.outcome import Command, Outcome, Problem, Refused
from gatekeeper.core.parts import Origin
from gatekeeper.core.pending import awaiting_flag, put_flag_back
from gatekeeper.core.revise import revise


def find_flag(state: State, name: str) -> FlagState:
    """The flag of that name. Raises ``Refused`` (404)."""
    flag = state.flags.get(name)
    if flag is None:
        raise Refused(
            404,
            "unknown_flag",
            f"there is no flag {name}{did_you_mean(name, state.flags)}",
            ", ".join(sorted(state.flags)) or "nothing: there are no flags",
        )
    return flag


def set_flag(state: State, command: SetFlag, now: float) -> Outcome:
    """Raises ``Refused``: 404 (no such flag), 409 (there is one already; killed; too many), 422."""
    revision = state.revision + 1
    if command.new:
        if command.name in state.flags:
            raise Refused(
                409, "flag_exists", f"there is a flag {command.name} already", "the same without new, or another name"
            )
        flag = defined(command.name, command.changes, origin=Origin.DEPLOY)
        _refuse_unknown(state, flag)
        made = begin(flag, command.salt, revision=revision, now=now, made=Made(flag))
        return _revised(state, command, now, "flag_changed", made)
    was = find_flag(state, command.name)
    start = defined(command.name, command.changes, was.definition)
    # What a command says of weights and of on is about now, and not about where the flag starts.
    flag = replace(start, split=complete(was.definition.split, start.variants), on=was.definition.on)
    if not any(flag.split.values()):
        flag = replace(flag, split=start.split)
    _refuse_unknown(state, flag)
    after = was
    if flag != was.definition:
        said = of_file(was.running) if was.running.made is not None else was.definition
        after = redefined(was, flag, None if flag == said else Made(flag, said))
    changes = command.changes
    weights = None if changes.split is None and changes.percent is None else start.split
    if changes.on:
        _refuse_killed(was, "set to on")
    running = after.running
    same = after is was and (weights is None or dict(weights) == dict(running.split.weights))
    if same and (changes.on is None or _is(was, on=changes.on)):
        return Outcome(state)
    own = {} if changes.on is None else {"following": "", "release": 0}
    after = changed(after, was, revision=revision, now=now, on=changes.on, weights=weights, salt=command.salt, **own)
    return _revised(state, command, now, "flag_changed", after)


def switch_flag(state: State, command: SwitchFlag, now: float) -> Outcome:
    """Raises ``Refused``: 404 (no such flag), 409 (it was killed), 422 (words that do not go together)."""
    was = find_flag(state, command.name)
    if command.on and command.kill:
        raise Refused(422, "invalid_switch", "a flag is killed by turning it off", "off with kill, or on without it")
    if command.revive and not command.on:
        raise Refused(422, "invalid_switch", "a flag is revived by turning it on", "on with revive")
    if command.revive and not command.note.strip():
        raise Refused(
            422, "reason_required", f"to revive flag {command.name} needs a reason", "a reason (--reason TEXT)"
        )
    if command.kill and command.confirm_within is not None:
        raise Refused(
            422, "invalid_confirm_within", "what is killed does not come back by itself", "the same without it"
        )
    if command.on and not command.revive:
        _refuse_killed(was, "turned on")
    if command.on and command.revive and was.running.killed:
        # Not to be undone: the change before it is what a rollback takes back.
        running = replace(
            was.running, on=True, killed=False, following="", release=0, revision=state.revision + 1, changed_at=now
        )
        return _revised(state, command, now, "flag_on", replace(was, running=running), revived=True)
    killed = was.running.killed or command.kill
    if _is(was, on=command.on) and killed == was.running.killed:
        return Outcome(state)
    after = changed(
        was, was, revision=state.revision + 1, now=now, on=command.on, killed=killed, following="", release=0
    )
    told: dict[str, Any] = {"killed": True} if command.kill else {}
    if command.verdict is not None:
        told |= command.verdict
    return _revised(state, command, now, "flag_on" if command.on else "flag_off", after, **told)


def rollback_flag(state: State, command: RollbackFlag, now: float) -> Outcome:
    """Raises ``Refused``: 404 (no such flag), 409 (killed, or nothing to go back to)."""
    waiting = awaiting_flag(state, command.name)
    if waiting is not None:
        return put_flag_back(state, command, waiting, command.name, now)
    was = find_flag(state, command.name)
    _refuse_killed(was, "rolled back")
    undo = was.running.undo
    while undo:
        *rest, last = undo
        undo = tuple(rest)
        back = _back(was, last)
        if back is None:
            continue
        refuse_crowd({**{name: item.definition for name, item in state.flags.items()}, command.name: back.definition})
        # Whoever takes back that it is on, or off, decides that, and no release does.
        own: dict[str, Any] = {} if back.running.on is was.running.on else {"following": "", "release": 0}
        running = replace(back.running, undo=undo, revision=state.revision + 1, changed_at=now, **own)
        return _revised(state, command, now, "flag_rollback", replace(back, running=running), undid=last.revision)
    raise Refused(
        409,
        "nothing_to_undo",
        f"flag {command.name} has nothing earlier to go back to",
        f"a restore of a revision, or gatekeeper flag set {command.name}",
    )


def _back(was: FlagState, item: FlagUndo) -> FlagState | None:
    """The flag as it was before that change; None where it is so, or where none of its variants is left."""
    back = was
    if item.definition is not None and item.definition != was.definition:
        said = of_file(was.running) if was.running.made is not None else was.definition
        back = redefined(was, item.definition, None if item.definition == said else Made(item.definition, said))
    weights = complete(item.weights, back.definition.variants)
    if not any(weights.values()):
        return None
    if back is was and _is(was, on=item.on) and weights == dict(was.running.split.weights):
        return None
    return changed(back, was, revision=item.revision, now=was.running.changed_at, on=item.on, weights=weights)


def remove_flag(state: State, command: RemoveFlag, now: float) -> Outcome:
    """Raises ``Refused``: 404 (no such flag), 409 (the file defines it)."""
    was = find_flag(state, command.name)
    made = was.running.made
    if made is None:
        raise Refused(
            409,
            "flag_in_file",
            f"flag {command.name} is defined by the file",
            f"a reload of a file without it, or gatekeeper flag off {command.name}",
        )
    if made.replaced is None:
        event = {"kind": "flag_removed", "flag": command.name, "before": shown(was), "after": None}
        return revise(state, command, now, event, {}, flags={command.name: None})
    after = redefined(was, made.replaced, None)
    return _revised(
        state, command, now, "flag_changed", changed(after, was, revision=state.revision + 1, now=now), from_file=True
    )


def _is(state: FlagState, *, on: bool) -> bool:
    """Whether the flag is on, or off, by what people said."""
    return state.running.on is on and not state.running.following


def _refuse_killed(state: FlagState, what: str) -> None:
    if state.running.killed:
        name = state.definition.name
        raise Refused(
            409,
            "flag_killed",
            f"flag {name} was killed and cannot be {what}",
            f"gatekeeper flag on {name} --revive --reason TEXT",
        )


def _refuse_unknown(state: State, flag: Flag) -> None:
    problems = [
        Problem("services", f"there is no service {name}{did_you_mean(name, state.services)}")
        for name in flag.services
        if name not in state.services
    ]
    if problems:
        allowed = ", ".join(state.services)
        raise Refused(422, "invalid_flag", f"flag {flag.name} cannot be so", f"services: {allowed}", problems)
    refuse_crowd({**{name: item.definition for name, item in state.flags.items()}, flag.name: flag})


def _revised(state: State, command: Command, now: float, kind: str, after: FlagState, **told: Any) -> Outcome:
    name = after.definition.name
    event: Mapping[str, Any] = {
        "kind": kind,
        "flag": name,
        "before": shown(state.flags.get(name)),
        "after": shown(after),
        **told,
    }
    return revise(state, command, now, event, {}, flags={name: stamped(after, state.revision + 1, now)})
