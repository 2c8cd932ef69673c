"""A release and what it knows, as values. Everything of it is in the State, so that a restart goes on where it was.

Moments are seconds of the release's own time: the wall clock when it began, but never backwards, and counted by a
steady clock while one process runs (``commands.ReleaseCommand.steady``). Durations are seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from gatekeeper.core.release.plan import Plan

LOG_KEPT: Final = 200
"""Entries of a release's log, the newest; the first one always stays. A plan of 40 steps leaves about 160, and the
evidence of a report (checks, approvals, what was skipped) is kept apart from it."""
OUTPUT_KEPT: Final = 4096
"""Characters of a check's output."""
START: Final = "start"
"""The gate of ``plan.approve``, and of all that is verified before the first step. The gate of step i is ``str(i)``."""


TOLD: Final[Mapping[str, str]] = {
    "started": "somebody started it",
    "verifying": "checks run",
    "checked": "some of the checks passed",
    "verified": "all checks of this stage passed",
    "check_failed": "a check failed",
    "waiting": "the next step waits: for whom or what",
    "approved": "somebody approved",
    "approval_expired": "an approval counts no more",
    "step": "the weight of a step was set",
    "paused": "it was paused: by whom, or why",
    "resumed": "somebody let it go on",
    "skipped": "somebody waived checks, gates or a hold: which, and why",
    "verdict": "the judge says something else",
    "promoted": "the candidate is stable",
    "rejected": "somebody rejected it; it is aborted",
    "aborted": "it ended, weights are as before",
    "rolled_back": "it ended, weights are as before: why",
    "retention_over": "the old version is not kept any longer: why",
}
"""What is told of a release: the words of its log, and with ``release_`` before them the kinds of its events."""


class ReleaseState(StrEnum):
    PLANNED = "planned"
    """Accepted; nothing has been done yet, the candidate's backends are not known to be ready."""
    VERIFYING = "verifying"
    """The checks before the next step run."""
    WAITING = "waiting"
    """For people, for the time, or for backends, before the next step."""
    PROGRESSING = "progressing"
    """The step's weight is set and held."""
    PAUSED = "paused"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    ABORTED = "aborted"


ACTIVE: Final = frozenset(
    {
        ReleaseState.PLANNED,
        ReleaseState.VERIFYING,
        ReleaseState.WAITING,
        ReleaseState.PROGRESSING,
        ReleaseState.PAUSED,
    }
)


class SkipKind(StrEnum):
    CHECKS = "checks"
    GATES = "gates"
    HOLD = "hold"


class WaitKind(StrEnum):
    APPROVAL = "approval"
    PAUSE = "pause"
    TIME = "time"
    WINDOW = "window"
    FREEZE = "freeze"
    JUDGE = "judge"
    BACKENDS = "backends"


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing the next step waits for. ``detail`` says it to people; ``until`` is wall seconds, if that is known.

    An approval has its ``gate`` and the ``groups`` that are missing.
    """

    kind: WaitKind
    detail: str
    gate: str = ""
    groups: tuple[str, ...] = ()
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """What the release moves of one service, and what it was before.

    ``weights``, and ``stacks`` as in ``core.model.Split``, are what to go back to: after several steps there, one step
    back would give everybody some version, but not the one they had. ``first`` is the revision that set the first
    weight of the release (0: none yet). ``build`` and ``digest`` are of the candidate (``moving.digest``).
    """

    service: str
    to: str
    stable: str
    weights: Mapping[str, Decimal]
    build: str | None = None
    digest: str = ""
    stacks: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    first: int = 0


@dataclass(frozen=True, slots=True)
class Given:
    """An approval. ``groups`` are those of the actor that the gate asks."""

    gate: str
    actor: str
    groups: tuple[str, ...]
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of a check. ``version`` is the digest of the version it looked at; ``seconds`` how long it took."""

    gate: str
    service: str
    name: str
    passed: bool
    seconds: float
    output: str
    at: float
    version: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """What somebody waived: ``what`` says it, ``reason`` why."""

    gate: str
    kind: SkipKind
    what: str
    actor: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class VerdictView:
    """What the judge says, see ``core.judge``. ``odds`` against luck, ``bar`` those that mean rollback, ``cause`` why,
    for programs. ``passes``: the present hold may end by it; of a release's verdict ``demand`` has the last word in
    this, and when a step is taken it becomes False until the judge speaks again.
    """

    kind: str
    sentence: str
    odds: float | None = None
    bar: float | None = None
    passes: bool = True
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the release's own story. ``event`` is one of ``TOLD``."""

    at: float
    actor: str
    event: str
    text: str


@dataclass(frozen=True, slots=True)
class Release:
    """``id`` is the revision that started it; its ``moves`` are made, and undone, as one.

    ``plan`` is a copy: who edits the file does not change a release that runs. ``step`` is the one whose weight is
    set, -1 before the first; the states before a step are of the next one.
    """

    id: int
    moves: tuple[Move, ...]
    plan: Plan
    author: str
    created: float
    author_groups: tuple[str, ...] = ()
    note: str = ""
    state: ReleaseState = ReleaseState.PLANNED
    step: int = -1
    since: float = 0.0
    """When this state began; in a hold, when it was begun or resumed last."""
    held: float = 0.0
    """Seconds of the present hold that were over at ``since``."""
    paused_from: ReleaseState | None = None
    opened: bool = False
    """The pause before the next step was ended by somebody."""
    waived: bool = False
    """Somebody skipped what the next step waits for, but for its backends."""
    overruled: str = ""
    """The kind of verdict that somebody skipped; it does not keep the release from its next step."""
    waiting: tuple[Waiting, ...] = ()
    """What it waited for when it was touched last; ``gates.waiting_for`` says it of any moment."""
    approvals: tuple[Given, ...] = ()
    """One per gate and person."""
    checks: tuple[CheckResult, ...] = ()
    """The last result of each check per gate and service."""
    skipped: tuple[Skipped, ...] = ()
    verdict: VerdictView | None = None
    reason: str = ""
    """Why it ended, or is paused."""
    ended_at: float | None = None
    retained_until: float | None = None
    """After a promotion, until when the old version is kept to go back to; None = it is not."""
    log: tuple[Entry, ...] = ()
    seen: float = 0.0
    """The latest moment this release knows of: its time never runs backwards."""
    revision: int = 0
    """The revision that changed it last."""

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(move.service for move in self.moves)

    def held_at(self, at: float) -> float:
        """Seconds of the present hold that are over at that time of the release."""
        return self.held + (at - self.since if self.state is ReleaseState.PROGRESSING else 0.0)

    @property
    def retained(self) -> bool:
        """Whether a rollback brings the old version back."""
        return self.state is ReleaseState.PROMOTED and self.retained_until is not None


Releases = Mapping[int, Release]


@dataclass(frozen=True, slots=True)
class Promoted:
    """The version that a release made stable. ``replaced`` is what the file called stable then; as long as the file
    goes on to say that, the release is the later act and holds.
    """

    stable: str
    replaced: str
