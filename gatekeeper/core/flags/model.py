"""Feature flags as values: what defines one, and what operators and schedules decided about it since.

As with services a ``Flag`` is what the file says, or a command did, and ``FlagRunning`` is what a reload keeps. Moments
are wall seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.parts import Origin, Split, Weights, When


class FlagType(StrEnum):
    """What the values of a flag's variants are. A number is an int or a float; an object is JSON's."""

    BOOLEAN = "boolean"
    STRING = "string"
    NUMBER = "number"
    OBJECT = "object"


class FlagFails(StrEnum):
    """What becomes of a flag that is proven to make things worse."""

    OFF = "off"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class FlagSchedule:
    """Moments at which gatekeeper turns the flag on and off; None = never."""

    on_at: float | None = None
    off_at: float | None = None

    @property
    def moments(self) -> tuple[float, ...]:
        """In the order of time."""
        return tuple(sorted(at for at in (self.on_at, self.off_at) if at is not None))


@dataclass(frozen=True, slots=True)
class Flag:
    """``variants`` maps names to JSON values of the ``type``; ``off`` names the one that is served while the flag is
    off, killed, or its condition does not match. ``split`` (all variants, 0 where it does not name one) and ``on`` are
    where the flag starts; afterwards ``FlagRunning`` holds.
    """

    name: str
    type: FlagType
    variants: Mapping[str, Any]
    off: str
    split: Weights
    on: bool = False
    when: When = field(default_factory=When)
    services: tuple[str, ...] = ()
    """Those whose requests it concerns; empty = all."""
    owner: str = ""
    expires: str | None = None
    """ISO 8601 date: from the day after it, the flag is overdue."""
    schedule: FlagSchedule = FlagSchedule()
    follow: str = ""
    """The service whose releases it follows; then ``services`` is just that one."""
    description: str = ""
    analysis: Analysis | None = None
    """What the judge is asked of it; None: it is not judged."""
    on_fail: FlagFails = FlagFails.KEEP
    origin: Origin = Origin.FILE


@dataclass(frozen=True, slots=True)
class FlagUndo:
    """What held until ``revision`` replaced it. ``definition`` is None where only the running part changed."""

    revision: int
    weights: Weights
    on: bool
    definition: Flag | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """The flag as a command made or changed it; ``replaced`` is what the file said under its name then, None if
    nothing. As long as the file goes on to say that, the command is the later act and holds.
    """

    flag: Flag
    replaced: Flag | None = None


@dataclass(frozen=True, slots=True)
class FlagRunning:
    """What was decided about one flag since it exists."""

    split: Split
    on: bool
    killed: bool = False
    """Off, whatever a schedule, a release or a file says, until somebody revives it."""
    following: str = ""
    """The version whose requests alone have the flag on: the candidate of the release it follows."""
    release: int = 0
    """The release that decides ``on`` and ``following``, or did last; 0 = somebody or a schedule did."""
    scheduled: tuple[float, ...] = ()
    """Moments of the schedule that were acted upon."""
    undo: tuple[FlagUndo, ...] = ()
    """Newest last, bounded by ``core.flags.commands.UNDO_DEPTH``."""
    made: Made | None = None
    """None = the definition is the file's."""
    revision: int = 0
    """The revision of the last change of this flag."""
    changed_at: float = 0.0


@dataclass(frozen=True, slots=True)
class FlagState:
    definition: Flag
    running: FlagRunning


@dataclass(frozen=True, slots=True)
class PastFlag:
    """A flag as it was at an earlier revision, as far as the history keeps it."""

    definition: Flag
    weights: Weights
    on: bool
    killed: bool = False
    made: Made | None = None


@dataclass(frozen=True, slots=True)
class FlagChanges:
    """What a file or a command says of a flag. None = not said: as it is, or the default of a new flag.

    What is to go is said as "" (texts), ``FlagSchedule()``, ``When()``, False or () (all services).
    """

    type: FlagType | None = None
    variants: Mapping[str, Any] | None = None
    off: str | None = None
    split: Weights | None = None
    percent: Decimal | None = None
    """Decimal, 0..100: the share of variant ``on``, for a boolean flag without ``variants`` of its own."""
    on: bool | None = None
    when: When | None = None
    services: tuple[str, ...] | None = None
    owner: str | None = None
    expires: str | None = None
    schedule: FlagSchedule | None = None
    follow: str | None = None
    description: str | None = None
    analysis: Analysis | Literal[False] | None = None
    """False: it is not to be judged any more."""
    on_fail: FlagFails | None = None
