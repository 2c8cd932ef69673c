"""What differs between the flags of two states, in the words of the file."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from gatekeeper.core.codec import dump
from gatekeeper.core.flags.model import Flag, FlagRunning, FlagState, PastFlag
from gatekeeper.core.outcome import Change, plain
from gatekeeper.core.parts import Split, When


def compare_flags(before: Mapping[str, FlagState], after: Mapping[str, FlagState]) -> Iterator[Change]:
    """Every difference, from ``before`` to ``after``."""
    if before is after:
        return
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        path = f"flags.{name}"
        if old is None or new is None:
            yield Change(path, old and _summary(old), new and _summary(new))
        elif old is not new:
            yield from _running(path, old.running, new.running)
            yield from _definition(path, old.definition, new.definition)


def past_flags(
    past: Mapping[str, PastFlag] | None, like: Mapping[str, FlagState] | Mapping[str, PastFlag] | None
) -> dict[str, FlagState]:
    """Earlier flags as ones that can be compared, and nothing else; those of ``like`` where the history kept none."""
    if past is None:
        return {name: one if isinstance(one, FlagState) else _past(one, None) for name, one in (like or {}).items()}
    return {name: _past(was, (like or {}).get(name)) for name, was in past.items()}


def _past(was: PastFlag, like: FlagState | PastFlag | None) -> FlagState:
    running = FlagRunning(Split(was.weights, {}, ""), was.on, was.killed, made=was.made)
    if isinstance(like, FlagState):
        kept = like.running
        running = replace(running, following=kept.following, scheduled=kept.scheduled)
    return FlagState(was.definition, running)


def _summary(flag: FlagState) -> dict[str, Any]:
    return {
        "variants": list(flag.definition.variants),
        "on": flag.running.on,
        "split": plain(flag.running.split.weights),
    }


def _running(path: str, old: FlagRunning, new: FlagRunning) -> Iterator[Change]:
    if dict(old.split.weights) != dict(new.split.weights):
        yield Change(f"{path}.split", plain(old.split.weights), plain(new.split.weights))
    for name in ("on", "killed", "following", "scheduled"):
        if getattr(old, name) != getattr(new, name):
            yield Change(f"{path}.{name}", dump(getattr(old, name)), dump(getattr(new, name)))
    if (old.made is None) != (new.made is None):
        yield Change(f"{path}.by_command", old.made is not None, new.made is not None)


def _definition(path: str, old: Flag, new: Flag) -> Iterator[Change]:
    if old is new:
        return
    for item in fields(Flag):
        one, other = getattr(old, item.name), getattr(new, item.name)
        if one == other:
            continue
        if item.name in ("split", "on"):
            shown = (plain(one), plain(other)) if item.name == "split" else (one, other)
            yield Change(f"{path}.{item.name} in the file", *shown)
        elif item.name == "when":
            yield Change(f"{path}.when", _condition(one), _condition(other))
        elif item.name == "variants":
            for name in [*one, *(name for name in other if name not in one)]:
                if (name in one) != (name in other) or one.get(name) != other.get(name):
                    yield Change(f"{path}.variants.{name}", one.get(name), other.get(name))
        else:
            yield Change(f"{path}.{item.name}", dump(one), dump(other))


def _condition(when: When) -> dict[str, Any] | None:
    """The parts that say something; None for every request."""
    return {name: part for name, part in dump(when).items() if part} or None
