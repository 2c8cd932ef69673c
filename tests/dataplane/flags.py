"""Flags for tests of the data plane."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gatekeeper.core import split
from gatekeeper.core.flags.model import Flag, FlagRunning, FlagState, FlagType
from gatekeeper.core.model import When


def boolean(name: str, percent: float = 100, *, on: bool = True, following: str = "", **options: Any) -> FlagState:
    share = Decimal(str(percent))
    return _flag(name, FlagType.BOOLEAN, {"on": True, "off": False}, {"on": share, "off": 100 - share}, "off", on,
                 following, options)  # fmt: skip


def text(name: str, split: Mapping[str, float], *, on: bool = True, **options: Any) -> FlagState:
    """Its variants' values are their names; the first one is its ``off``."""
    weights = {variant: Decimal(str(weight)) for variant, weight in split.items()}
    return _flag(name, FlagType.STRING, {each: each for each in split}, weights, next(iter(split)), on, "", options)


def _flag(
    name: str,
    kind: FlagType,
    variants: Mapping[str, Any],
    weights: Mapping[str, Decimal],
    off: str,
    on: bool,
    following: str,
    options: Mapping[str, Any],
) -> FlagState:
    when = options.get("when", When())
    definition = Flag(name, kind, variants, off, weights, on, when, tuple(options.get("services", ())))
    salt = name.encode()[:16].hex().ljust(32, "0")
    return FlagState(definition, FlagRunning(split.initial(weights, salt), on and not following, following=following))


def flying(*flags: FlagState) -> dict[str, FlagState]:
    return {flag.definition.name: flag for flag in flags}
