"""What may be a flag: the one place that says so, for the file and for commands.

A boolean flag needs nothing but its name: variants ``on`` and ``off``, and ``percent`` says how many get the first.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from gatekeeper.core.flags.header import LONGEST_LINE, longest
from gatekeeper.core.flags.model import Flag, FlagChanges, FlagFails, FlagType
from gatekeeper.core.lookup import did_you_mean
from gatekeeper.core.outcome import Problem, Refused
from gatekeeper.core.parts import Origin, Weights
from gatekeeper.core.running import canonical
from gatekeeper.core.weights import wrong_weight

MOST_FLAGS: Final = 256
"""Flags there can be. More are a sign that none is ever removed; each costs a request about as much as a hash."""
MOST_VARIANTS: Final = 16
MOST_JUDGED: Final = 16
"""Flags that are judged at a time. Each costs a request of its services up to a microsecond, and a memory of units of
1.2 MB."""
LONGEST_VALUE: Final = 4096
"""Bytes of one value as JSON: settings of a feature, not documents."""
LONGEST_VALUES: Final = 16 * 1024
"""Bytes of all values of one flag: as many and as long ones as there can be are 4 MiB, which a worker gets as one
message at its start, and which every bulk evaluation may have to write."""
MOST_INTEGER: Final = 2**53
"""Beyond this a JSON number means different things to different readers (RFC 8259 section 6)."""

ON, OFF = "on", "off"
DEFAULT_VARIANTS: Final[Mapping[str, Any]] = {ON: True, OFF: False}
_WHOLE = Decimal(100)
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}", re.ASCII)
_VARIANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)
NAME_ALLOWED: Final = (
    "1 to 64 of lower-case letters, digits, '.', '_' and '-', beginning with a letter, not ending in .version"
)
VARIANT_ALLOWED: Final = "1 to 32 of letters, digits, '_' and '-', beginning with a letter or digit"


def is_name(text: str) -> bool:
    """Whether a flag can be named so: a key of an RFC 9651 dictionary that can stand in a path, and is not the built-in
    flag of a service.
    """
    return _NAME.fullmatch(text) is not None and not text.endswith(".version")


def is_variant(text: str) -> bool:
    """Whether a variant can be named so."""
    return _VARIANT.fullmatch(text) is not None


def defined(name: str, changes: FlagChanges, base: Flag | None = None, origin: Origin = Origin.FILE) -> Flag:
    """The flag of that name once ``changes`` are made to ``base`` (None: it is new, the rest are defaults).

    Raises ``Refused`` (422) with every problem, each under its key.
    """
    problems: list[Problem] = []
    if not is_name(name):
        problems.append(Problem("", f"{name!r} cannot be the name of a flag; allowed: {NAME_ALLOWED}"))
    variants, kind = _variants(changes, base, problems)
    off = _off(changes, base, variants, kind, problems)
    split = _split(changes, base, variants, off, problems)
    follow = changes.follow if changes.follow is not None else (base.follow if base is not None else "")
    services = changes.services if changes.services is not None else (base.services if base is not None else ())
    if follow and changes.services is None and changes.follow is not None:
        services = (follow,)
    if follow and services != (follow,):
        problems.append(Problem("services", f"a flag that follows {follow} concerns it alone; allowed: [{follow}]"))
    schedule = changes.schedule
    if schedule is not None and schedule.on_at is not None and schedule.on_at == schedule.off_at:
        problems.append(Problem("schedule", "on and off are the same moment; allowed: two moments, or one of them"))
    judged = _judged(changes, base, follow, problems)
    if problems:
        raise Refused(422, "invalid_flag", f"flag {name} cannot be so", "what the problems say", problems)
    flag = base or Flag(name, kind, variants, off, split, origin=origin)
    said = {
        key: getattr(changes, key)
        for key in ("on", "when", "owner", "schedule", "description")
        if getattr(changes, key) is not None
    }
    if changes.expires is not None:
        said["expires"] = changes.expires or None
    said |= judged
    return replace(flag, type=kind, variants=variants, off=off, split=split, follow=follow, services=services, **said)


def _judged(changes: FlagChanges, base: Flag | None, follow: str, problems: list[Problem]) -> dict[str, Any]:
    """``analysis`` and ``on_fail``."""
    analysis = changes.analysis if changes.analysis is not None else (base.analysis if base is not None else None)
    fails = changes.on_fail or (base.on_fail if base is not None else FlagFails.KEEP)
    if not analysis:
        if changes.on_fail is FlagFails.OFF:
            problems.append(Problem("on_fail", "nobody judges the flag; allowed: off beside an analysis, or keep"))
        return {"analysis": None, "on_fail": FlagFails.KEEP}
    if follow:
        message = f"a flag that follows {follow} is judged with its releases; allowed: an analysis in their plan"
        problems.append(Problem("analysis", message))
    return {"analysis": analysis, "on_fail": fails}


def type_of(value: object) -> FlagType | None:
    """The type whose values look so; None for what no flag can have."""
    if isinstance(value, bool):
        return FlagType.BOOLEAN
    if isinstance(value, str):
        return FlagType.STRING
    if isinstance(value, int | float):
        return FlagType.NUMBER
    return FlagType.OBJECT if isinstance(value, Mapping | list) else None


def complete(weights: Weights, variants: Iterable[str]) -> dict[str, Decimal]:
    """The weights of exactly these variants, in their order."""
    return {name: canonical(weights.get(name, Decimal(0))) for name in variants}


def crowd(flags: Mapping[str, Flag]) -> str:
    """Why there cannot be these flags together; empty if they can. The line that tells a backend its flags is bounded,
    and so is the number of flags.
    """
    if len(flags) > MOST_FLAGS:
        return f"{len(flags)} flags are too many; allowed: {MOST_FLAGS}, so remove some that are done with"
    judged = sum(flag.analysis is not None for flag in flags.values())
    if judged > MOST_JUDGED:
        return f"{judged} flags with an analysis are too many; allowed: {MOST_JUDGED}, so take it from some"
    everywhere = [flag for flag in flags.values() if not flag.services]
    named: dict[str, list[Flag]] = {}
    for flag in flags.values():
        for service in flag.services:
            named.setdefault(service, []).append(flag)
    for service, own in [*named.items(), ("", [])]:
        length = longest([*everywhere, *own])
        if length > LONGEST_LINE:
            whose = f"of service {service}" if service else "of every service"
            return (
                f"the flags {whose} could make an X-Gatekeeper-Flags of {length} bytes; allowed: {LONGEST_LINE}, so "
                "use shorter texts, objects (told by the variant's name), or fewer flags for the service"
            )
    return ""


def refuse_crowd(flags: Mapping[str, Flag]) -> None:
    """``Refused`` (409) where these flags cannot be together."""
    why = crowd(flags)
    if why:
        detail, _, allowed = why.partition("; allowed: ")
        raise Refused(409, "too_many_flags", detail, allowed)


def _variants(changes: FlagChanges, base: Flag | None, problems: list[Problem]) -> tuple[dict[str, Any], FlagType]:
    given = changes.variants if changes.variants is not None else (base.variants if base is not None else None)
    found = next((kind for kind in map(type_of, (given or {}).values()) if kind is not None), FlagType.BOOLEAN)
    kind = changes.type or (base.type if base is not None and changes.variants is None else found)
    if given is None:
        if kind is not FlagType.BOOLEAN:
            problems.append(Problem("variants", f"a flag of type {kind.value} needs them; allowed: names and values"))
        given = DEFAULT_VARIANTS
        kind = FlagType.BOOLEAN
    if not 1 <= len(given) <= MOST_VARIANTS:
        problems.append(Problem("variants", f"found {len(given)}; allowed: 1 to {MOST_VARIANTS}"))
    total = 0
    for name, value in given.items():
        where = f"variants.{name}"
        wrong = wrong_value(value)
        total += 0 if wrong else size(value)
        if not is_variant(name):
            problems.append(Problem(where, f"is no name of a variant; allowed: {VARIANT_ALLOWED}"))
        elif wrong:
            problems.append(Problem(where, wrong))
        elif type_of(value) is not kind:
            problems.append(Problem(where, f"is no {kind.value}; allowed: values of one type in all variants"))
    if total > LONGEST_VALUES:
        problems.append(Problem("variants", f"have {total} bytes as JSON; allowed: {LONGEST_VALUES} in all"))
    if kind is FlagType.NUMBER and any(isinstance(value, float) for value in given.values()):
        # Typed SDKs ask for one kind of number: 1 beside 2.5 is 1.0.
        given = {name: float(value) if isinstance(value, int) else value for name, value in given.items()}
    return dict(given), kind


def wrong_value(value: Any) -> str:
    """What is wrong with a value of a variant; empty if nothing is."""
    if type_of(value) is None:
        return "is no value of a flag; allowed: true, false, a text, a number, an object or a list"
    try:
        length = size(value)
    except (TypeError, ValueError, RecursionError):
        return "cannot be written as JSON; allowed: texts, finite numbers, true, false, null, objects and lists"
    if length > LONGEST_VALUE:
        return f"has {length} bytes as JSON; allowed: {LONGEST_VALUE}"
    if isinstance(value, int) and abs(value) > MOST_INTEGER:
        return f"is too large for every reader of JSON to see the same; allowed: up to {MOST_INTEGER}"
    return ""


def size(value: Any) -> int:
    """Bytes of a value as JSON. Raises TypeError, ValueError or RecursionError for what is none."""
    return len(json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode())


def _off(
    changes: FlagChanges, base: Flag | None, variants: Mapping[str, Any], kind: FlagType, problems: list[Problem]
) -> str:
    given = changes.off if changes.off is not None else (base.off if base is not None else None)
    if given is not None:
        if given not in variants:
            near = did_you_mean(given, variants)
            problems.append(Problem("off", f"there is no variant {given}{near}; allowed: {', '.join(variants)}"))
        return given
    if kind is FlagType.BOOLEAN:
        given = next((name for name, value in variants.items() if value is False), None)
    elif OFF in variants:
        given = OFF
    if given is None:
        problems.append(Problem("off", f"which variant is served while it is off; allowed: {', '.join(variants)}"))
        return next(iter(variants), OFF)
    return given


def _split(
    changes: FlagChanges, base: Flag | None, variants: Mapping[str, Any], off: str, problems: list[Problem]
) -> dict[str, Decimal]:
    if changes.percent is not None:
        own = changes.variants is not None or dict(variants) != DEFAULT_VARIANTS
        if changes.split is not None:
            problems.append(Problem("percent", "says what split says; allowed: one of the two"))
        elif own:
            message = f"is for a boolean flag without variants of its own; allowed: split over {', '.join(variants)}"
            problems.append(Problem("percent", message))
        elif wrong_weight(changes.percent) or changes.percent > _WHOLE:
            problems.append(Problem("percent", f"found {changes.percent}; allowed: 0 to 100 with at most 6 decimals"))
        else:
            return complete({ON: changes.percent, OFF: _WHOLE - changes.percent}, variants)
    elif changes.split is not None:
        before = len(problems)
        for name, weight in changes.split.items():
            if name not in variants:
                near = did_you_mean(name, variants)
                problems.append(Problem(f"split.{name}", f"no such variant{near}; allowed: {', '.join(variants)}"))
            elif wrong := wrong_weight(weight):
                problems.append(Problem(f"split.{name}", wrong))
        if not any(changes.split.values()):
            problems.append(Problem("split", "the weights add up to 0; at least one must be above 0"))
        if len(problems) == before:
            return complete(changes.split, variants)
    elif base is not None:
        kept = complete(base.split, variants)
        if any(kept.values()):
            return kept
    first = next((name for name in variants if name != off), off)
    return complete({first: _WHOLE}, variants)
