"""What runs of one flag, and how it follows its definition. As of a service: nobody is moved without need."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gatekeeper.core import split as splits
from gatekeeper.core.flags.define import complete, crowd
from gatekeeper.core.flags.model import Flag, FlagRunning, FlagState, FlagUndo, Made, PastFlag
from gatekeeper.core.outcome import plain
from gatekeeper.core.parts import Weights
from gatekeeper.core.running import derive, move_fresh

UNDO_DEPTH: Final = 10
"""Changes a rollback can go back through: what people remember. Each may keep a definition, of up to 20 KiB."""


def begin(flag: Flag, salt: str, *, revision: int, now: float, made: Made | None = None) -> FlagState:
    """A flag that has no past. ``salt`` is a fresh secret, hexadecimal."""
    running = FlagRunning(splits.initial(flag.split, salt), flag.on, made=made, revision=revision, changed_at=now)
    return FlagState(flag, running)


def salt_of(entropy: str, name: str) -> str:
    """The salt of a flag that a command with this secret makes."""
    return derive(entropy, "flag", name)


def redefined(state: FlagState, flag: Flag, made: Made | None) -> FlagState:
    """The same flag under another definition: weights of variants that stay go on, and what it follows."""
    running = replace(state.running, made=made)
    weights = complete(running.split.weights, flag.variants)
    if not any(weights.values()):
        weights = dict(flag.split)
    if list(weights.items()) != list(running.split.weights.items()):
        running = replace(running, split=splits.move(running.split, weights))
    if flag.follow != state.definition.follow and (running.following or running.release):
        running = replace(running, following="", release=0)
    scheduled = tuple(at for at in running.scheduled if at in flag.schedule.moments)
    if scheduled != running.scheduled:
        running = replace(running, scheduled=scheduled)
    return FlagState(flag, running)


def changed(
    state: FlagState,
    was: FlagState,
    *,
    revision: int,
    now: float,
    on: bool | None = None,
    weights: Weights | None = None,
    salt: str | None = None,
    **more: Any,
) -> FlagState:
    """The flag with these changes of what runs, as a change that a rollback takes back: ``was`` is the flag before it.
    Where one variant held everything, ``salt`` replaces the one of before; without one it stays.
    """
    running = state.running
    split = running.split
    if weights is not None and dict(weights) != dict(split.weights):
        split = splits.move(split, weights) if salt is None else move_fresh(split, weights, salt)
    definition = was.definition if was.definition != state.definition else None
    undo = FlagUndo(revision, was.running.split.weights, was.running.on, definition)
    running = replace(
        running,
        split=split,
        on=running.on if on is None else on,
        undo=(*running.undo, undo)[-UNDO_DEPTH:],
        revision=revision,
        changed_at=now,
        **more,
    )
    return replace(state, running=running)


def stamped(state: FlagState, revision: int, now: float) -> FlagState:
    """The same under another revision."""
    return replace(state, running=replace(state.running, revision=revision, changed_at=now))


def of_file(running: FlagRunning) -> Flag | None:
    """What the file says of a flag that a command made or changed; None where it names none such."""
    return running.made.replaced if running.made is not None else None


def effective(
    said: Mapping[str, Flag],
    known: Mapping[str, FlagState],
    entropy: str,
    *,
    revision: int,
    now: float,
    reset: bool = False,
) -> tuple[dict[str, FlagState], list[str]]:
    """The flags in force once the file says these: what commands made and changed holds as long as the file says of it
    what it said then. Flags that stay the same are the very same; with ``reset`` they begin as the file says, but for
    those that were killed, or that a release has.

    The notes say of which flags the file is the later word.
    """
    flags: dict[str, FlagState] = {}
    notes: list[str] = []
    for name in [*said, *(name for name in known if name not in said)]:
        flag, state = said.get(name), known.get(name)
        if state is None:
            if flag is not None:
                flags[name] = begin(flag, salt_of(entropy, name), revision=revision, now=now)
            continue
        made = state.running.made
        if made is not None and made.replaced == flag:
            present = state
        elif flag is None:
            if made is not None:
                notes.append(f"flag {name} is gone: the file does not name it any more")
            continue
        else:
            if made is not None:
                notes.append(f"what a command said of flag {name} holds no longer, the file says otherwise since")
            present = redefined(state, flag, None)
            if made is not None:
                undo = tuple(replace(item, definition=None) for item in state.running.undo)
                present = replace(present, running=replace(present.running, undo=undo))
        if reset:
            present = _reset(present, salt_of(entropy, name), revision, now)
        flags[name] = state if present == state else stamped(present, revision, now)
    return flags, notes


def _reset(state: FlagState, salt: str, revision: int, now: float) -> FlagState:
    flag, running = state.definition, state.running
    if running.killed or running.release or (running.on, dict(running.split.weights)) == (flag.on, dict(flag.split)):
        return state
    return changed(state, state, revision=revision, now=now, on=flag.on, weights=flag.split, salt=salt)


def without_overlay(said: Mapping[str, Flag], flags: Mapping[str, FlagState]) -> tuple[dict[str, FlagState], list[str]]:
    """These flags, if there can be so many and so long ones; else those of the file alone, and a note that says it."""
    why = crowd({name: state.definition for name, state in flags.items()})
    if not why:
        return dict(flags), []
    kept = {name: redefined(state, said[name], None) for name, state in flags.items() if name in said}
    return kept, [f"flags that commands made or changed are left out: {why}"]


def restored(
    was: Mapping[str, PastFlag], present: Mapping[str, FlagState], entropy: str, *, revision: int, now: float
) -> dict[str, FlagState | None]:
    """What changes where these flags are put back as they were; None: goes. A killed flag stays killed, and one that a
    release has goes on with it.
    """
    put: dict[str, FlagState | None] = {name: None for name in present if name not in was}
    for name, past in was.items():
        state = present.get(name)
        if state is None:
            fresh = begin(past.definition, salt_of(entropy, name), revision=revision, now=now, made=past.made)
            split = splits.move(fresh.running.split, complete(past.weights, past.definition.variants))
            put[name] = replace(fresh, running=replace(fresh.running, split=split, on=past.on, killed=past.killed))
            continue
        after = state if _is_so(state, past) else redefined(state, past.definition, past.made)
        running = after.running
        on = running.on if running.killed or running.following else past.on
        if after is state and on == running.on and dict(past.weights) == dict(running.split.weights):
            continue
        put[name] = changed(after, state, revision=revision, now=now, on=on, weights=past.weights)
    return put


def _is_so(state: FlagState, past: PastFlag) -> bool:
    return state.definition == past.definition and state.running.made == past.made


def shown(state: FlagState | None) -> dict[str, Any] | None:
    """What runs of a flag, as events tell it."""
    if state is None:
        return None
    running = state.running
    told: dict[str, Any] = {"on": running.on, "killed": running.killed, "split": plain(running.split.weights)}
    return told | ({"following": running.following} if running.following else {})


def check_flags(flags: Mapping[str, FlagState]) -> None:
    """Raises ``SplitError``, naming the flag, for a stored split that is damaged."""
    for name, flag in flags.items():
        try:
            splits.check(flag.running.split)
        except splits.SplitError as error:
            raise splits.SplitError(
                f"the stored split of flag {name} is damaged: {error}; restore the state file from a copy, or start "
                "with a new one to begin with the flags of the file"
            ) from error
