"""What a command is and what comes of it: a new state with what changed, or a refusal that changed nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gatekeeper.core.model import State, Weights
from gatekeeper.errors import GatekeeperError


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A wish of ``actor``. With ``expected_revision`` it is only granted while that is the current revision.

    With ``confirm_within`` (seconds, 1 to a week) it undoes itself unless it is confirmed by then, see
    ``core.pending``.
    """

    actor: str
    note: str = ""
    expected_revision: int | None = None
    confirm_within: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, in JSON values. ``before`` is None for what is new, ``after`` for what is gone."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state after a command. Without changes it is the very state of before, under the same revision.

    ``events`` are JSON objects with at least kind, revision, at (wall seconds), actor and note.
    """

    state: State
    changes: Sequence[Change] = ()
    events: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a command: where in it, and what to write instead."""

    path: str
    message: str


@dataclass(eq=False)
class Refused(GatekeeperError):  # noqa: N818 - a refusal is an answer, nothing went wrong
    """A command that is not granted; nothing changed.

    ``status`` is HTTP's: 404 (no such thing), 409 (the state forbids it), 412 (the revision moved), 422 (the command is
    wrong), or what the caller of ``apply`` adds. ``allowed`` says what would be granted; ``problems`` lists every
    mistake.
    """

    status: int
    code: str
    detail: str
    allowed: str = ""
    problems: Sequence[Problem] = field(default_factory=tuple)

    def __str__(self) -> str:
        lines = [self.detail, *(f"{problem.path}: {problem.message}" for problem in self.problems)]
        return "; ".join([*lines, f"allowed: {self.allowed}"] if self.allowed else lines)


def plain(weights: Weights) -> dict[str, int | float]:
    """Weights as JSON numbers: whole ones without a fraction. Exact: a weight has at most 15 digits."""
    return {name: number(weight) for name, weight in weights.items()}


def number(weight: Decimal) -> int | float:
    return int(weight) if weight == weight.to_integral_value() else float(weight)
