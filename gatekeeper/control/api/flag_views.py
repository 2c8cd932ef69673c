"""How a flag is shown: what defines it, what holds of it now, and what happens to it next."""

from typing import Any

from gatekeeper.core import codec
from gatekeeper.core.flags.model import FlagRunning, FlagState, FlagType
from gatekeeper.core.flags.schedule import overdue
from gatekeeper.core.judge.standing import Standing, odds
from gatekeeper.core.model import Origin, State, When
from gatekeeper.core.outcome import number, plain

Document = dict[str, Any]

ON, OFF = "on", "off"
"""The variants of a boolean flag that names none."""


def brief(flag: FlagState, now: float, standing: Standing | None = None) -> Document:
    """A flag as lists show it; ``now`` is wall seconds, ``standing`` how its judge stands."""
    definition, running = flag.definition, flag.running
    return {
        "name": definition.name,
        "type": definition.type.value,
        "description": definition.description,
        "state": state_of(running),
        "on": running.on,
        "killed": running.killed,
        "percent": percent(flag),
        "split": plain(running.split.weights),
        "variants": dict(definition.variants),
        "off": definition.off,
        "services": list(definition.services),
        "when": _when(definition.when),
        "owner": definition.owner,
        "expires": definition.expires,
        "overdue": overdue(definition, now),
        "schedule": _schedule(flag),
        "follow": definition.follow or None,
        "following": running.following or None,
        "on_fail": None if definition.analysis is None else definition.on_fail.value,
        "verdict": None if standing is None else _verdict(standing),
        "origin": "file" if definition.origin is Origin.FILE else "command",
        "differs_from_file": running.made is not None and running.made.replaced is not None,
        "changed": {"revision": running.revision, "at": running.changed_at},
    }


def full(flag: FlagState, now: float, standing: Standing | None = None) -> Document:
    """One flag: with what a rollback returns to."""
    undo = [
        {"revision": item.revision, "on": item.on, "split": plain(item.weights), "defines": item.definition is not None}
        for item in reversed(flag.running.undo)
    ]
    return {**brief(flag, now, standing), "undo": undo}


def _verdict(standing: Standing) -> Document:
    verdict, numbers = standing.verdict, standing.verdict.numbers
    return {
        "kind": verdict.kind.value,
        "cause": verdict.cause.value,
        "sentence": verdict.sentence,
        "notes": list(verdict.notes),
        "odds": odds(numbers.log_odds),
        "bar": verdict.bar,
        "at": standing.at,
        "seconds": numbers.seconds,
        "requests": {"off": numbers.requests[0], "others": numbers.requests[1]},
        "errors": {"off": numbers.errors[0], "others": numbers.errors[1]},
        "unkeyed": numbers.unkeyed,
    }


def state_of(running: FlagRunning) -> str:
    """``killed``, ``off``, ``on``, or ``candidate``: on for those who get the candidate of the release it follows."""
    if running.killed:
        return "killed"
    if running.following:
        return "candidate"
    return ON if running.on else OFF


def percent(flag: FlagState) -> int | float | None:
    """The share of variant ``on`` of a boolean flag with just ``on`` and ``off``; None for every other flag."""
    definition, weights = flag.definition, flag.running.split.weights
    if definition.type is not FlagType.BOOLEAN or set(definition.variants) != {ON, OFF}:
        return None
    return number(round(100 * weights[ON] / sum(weights.values()), 6))


def summary(state: State, now: float) -> Document:
    """What ``status`` says of flags: how many, and which want to be looked at."""
    flags = [state.flags[name] for name in sorted(state.flags)]
    return {
        "total": len(flags),
        "on": sum(state_of(each.running) == ON for each in flags),
        "killed": [each.definition.name for each in flags if each.running.killed],
        "overdue": [
            {"name": each.definition.name, "owner": each.definition.owner, "expires": each.definition.expires}
            for each in flags
            if overdue(each.definition, now)
        ],
    }


def _when(when: When) -> Document | None:
    """The parts of the condition that say something; None for every request."""
    said = {name: part for name, part in codec.dump(when).items() if part}
    return said or None


def _schedule(flag: FlagState) -> Document | None:
    """When it turns on and off, and the next of these moments that is still to be acted upon."""
    schedule, done = flag.definition.schedule, flag.running.scheduled
    if not schedule.moments:
        return None
    left = [at for at in schedule.moments if at not in done]
    return {"on": schedule.on_at, "off": schedule.off_at, "next": left[0] if left else None}
