"""What can be asked of flags, and what comes of it.

A flag that was killed stays off until it is revived, and nothing else revives it: no schedule, release, rollback,
restore or file. Weights move as those of a service do (``core.split``): no unit without need, and under a new salt
where one variant held everything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatekeeper.core.flags.model import FlagChanges
from gatekeeper.core.outcome import Command

UNDO_DEPTH = 10
"""Changes a rollback can go back through. Each may keep a definition of up to 20 KiB: 50 MB for all flags at worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFlag(Command):
    """Change what ``changes`` says of the flag, and nothing else; with ``new`` there may be none of that name yet.

    ``salt`` is a fresh hexadecimal text of at least 32 digits, used for a new flag, and where one variant held
    everything until now.
    """

    name: str
    changes: FlagChanges
    salt: str
    new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchFlag(Command):
    """Turn the flag on or off. ``kill`` (with ``on`` false): off until somebody revives it. ``revive`` (with ``on``
    true) ends that, and needs a ``note`` that says why. ``verdict`` is what the judge says who turns it off, as events
    tell it; like a kill it settles a change that waits to be confirmed.
    """

    name: str
    on: bool
    kill: bool = False
    revive: bool = False
    verdict: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackFlag(Command):
    """Take back the last change of the flag. Where that still waits to be confirmed, all it changed of the flag."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFlag(Command):
    """Remove a flag that a command made, or what commands changed of the definition in the file."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFlags(Command):
    """Do what schedules ask for by now, one act of gatekeeper's own for all flags that are due."""
