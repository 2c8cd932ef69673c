"""What people write on the command line, read once: weights, durations, pairs. Wrong ones are wrong usage (exit 2)."""

import re
from collections.abc import Callable
from typing import Any

import click

WEIGHT = re.compile(r"[0-9]{1,10}(\.[0-9]{1,6})?", re.ASCII)
"""Syntax only; whether versions exist and the total is positive is gatekeeper's to say."""
DURATION = re.compile(r"(?=.)(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?", re.ASCII)
UNITS = (86400, 3600, 60, 1)

Callback = Callable[[click.Context, click.Parameter, Any], Any]


def weight_pairs(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, int | float]:
    """``VERSION=WEIGHT`` each, or what else the parameter calls it."""
    what = (parameter.metavar or "VERSION=WEIGHT").strip("[].")
    found: dict[str, int | float] = {}
    for value in values:
        name, equals, weight = value.rpartition("=")
        if not (name and equals and WEIGHT.fullmatch(weight)):
            raise click.BadParameter(
                f"{value!r} is not {what}; a weight is a plain decimal number such as 90 or 0.5, with at most "
                "6 decimals",
                context,
                parameter,
            )
        if name in found:
            raise click.BadParameter(f"{name!r} is named twice", context, parameter)
        # At most 16 digits and read back as a shortest decimal: the float on the wire is exact.
        found[name] = float(weight) if "." in weight else int(weight)
    return found


def seconds_of(text: str) -> int | None:
    """Seconds of ``45s``, ``5m``, ``1h30m``, ``90d``; None for what is no duration."""
    found = DURATION.fullmatch(text)
    return sum(int(part) * unit for part, unit in zip(found.groups(), UNITS, strict=True) if part) if found else None


def duration(low: int, high: int, bounds: str) -> Callback:
    """An option's value as seconds from ``low`` to ``high``, which ``bounds`` says in people's words."""

    def parse(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
        if value is None:
            return None
        seconds = seconds_of(value)
        if seconds is None:
            raise click.BadParameter(f"{value!r} is no duration; it looks like 45s, 5m, 8h or 2d", context, parameter)
        if not low <= seconds <= high:
            raise click.BadParameter(f"{value!r} is not from {bounds}", context, parameter)
        return seconds

    return parse


def pairs(separator: str, example: str) -> Callback:
    """NAME and value, parted by ``separator``; as a list, because a name may come twice."""

    def parse(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
        found = []
        for value in values:
            name, mark, rest = value.partition(separator)
            if not (mark and name.strip()):
                raise click.BadParameter(f"{value!r} does not look like {example}", context, parameter)
            found.append((name.strip(), rest.strip()))
        return found

    return parse
