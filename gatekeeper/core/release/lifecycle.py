"""The life of a release, as a table of states and events, and the interpreter of it.

What people do, what is due, and what happens to the candidate are events. A cell says where one leads and what it does
besides; what is always done on entering a state stands by the state. A cell that is not in the table is refused, and
nothing changes; one that asks for what already is (``repeat``) is granted and changes nothing.

Steps are numbered from 0. The release is *at* a step whose weight is set; ``verifying`` and ``waiting`` come before
the next one, at the weight of the last. Stages in which there is nothing to do are passed at once (``run_on``), all in
one revision. ``docs/release-states.md`` is written from the table; a test keeps it so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gatekeeper.core.outcome import Refused
from gatekeeper.core.release import approving, demand, effects, gates
from gatekeeper.core.release.model import Release, ReleaseState
from gatekeeper.core.release.plan import OnFail
from gatekeeper.core.release.turn import Turn
from gatekeeper.core.release.words import listed, which

PLANNED: Final = ReleaseState.PLANNED
VERIFYING: Final = ReleaseState.VERIFYING
WAITING: Final = ReleaseState.WAITING
PROGRESSING: Final = ReleaseState.PROGRESSING
PAUSED: Final = ReleaseState.PAUSED
PROMOTED: Final = ReleaseState.PROMOTED
ROLLED_BACK: Final = ReleaseState.ROLLED_BACK
ABORTED: Final = ReleaseState.ABORTED


class Event(StrEnum):
    # By itself
    BEGIN = "begin"
    VERIFIED = "verified"
    CHECK_FAILED = "check_failed"
    READY = "ready"
    DUE = "due"
    # By people
    APPROVE = "approve"
    REJECT = "reject"
    PAUSE = "pause"
    RESUME = "resume"
    SKIP = "skip"
    PROMOTE = "promote"
    ABORT = "abort"
    ROLLBACK = "rollback"
    # What happens to it
    WITHDRAWN = "withdrawn"
    FAILED = "failed"
    OVERTIME = "overtime"
    LAPSE = "lapse"
    RETENTION_OVER = "retention_over"


@dataclass(frozen=True, slots=True)
class Choice:
    """Where several states may follow: which one the release itself says. ``by`` says it to readers."""

    to: tuple[ReleaseState, ...]
    by: str
    pick: Callable[[Release], ReleaseState]


@dataclass(frozen=True, slots=True)
class Cell:
    to: ReleaseState | Choice
    effect: effects.Effect | None = None
    repeat: bool = False
    """It is so already: nothing changes."""

    @property
    def states(self) -> tuple[ReleaseState, ...]:
        return self.to.to if isinstance(self.to, Choice) else (self.to,)


def _on_fail(release: Release) -> ReleaseState:
    return ROLLED_BACK if release.plan.on_fail is OnFail.ROLLBACK else PAUSED


def _next(release: Release) -> ReleaseState:
    return VERIFYING if release.step + 1 < len(release.plan.steps) else PROMOTED


def _before(release: Release) -> ReleaseState:
    return release.paused_from or WAITING


ON_FAIL: Final = Choice((ROLLED_BACK, PAUSED), "`on_fail`", _on_fail)
NEXT: Final = Choice((VERIFYING, PROMOTED), "whether a step is left", _next)
BEFORE: Final = Choice((PLANNED, VERIFYING, WAITING, PROGRESSING), "where it was paused", _before)


def _stays(state: ReleaseState, effect: effects.Effect | None = None, *, repeat: bool = False) -> Cell:
    return Cell(state, effect, repeat)


def _active(state: ReleaseState) -> dict[Event, Cell]:
    """What is possible in every state in which something is being released."""
    return {
        Event.APPROVE: _stays(state, approving.approve),
        Event.REJECT: Cell(ABORTED, effects.reject),
        Event.ABORT: Cell(ABORTED),
        Event.ROLLBACK: Cell(ROLLED_BACK),
        Event.WITHDRAWN: Cell(ROLLED_BACK),
        Event.FAILED: Cell(ON_FAIL),
        Event.LAPSE: _stays(state, approving.lapse),
    }


TABLE: Final[Mapping[ReleaseState, Mapping[Event, Cell]]] = {
    PLANNED: {
        Event.BEGIN: Cell(VERIFYING),
        **_active(PLANNED),
        Event.PAUSE: Cell(PAUSED),
        Event.RESUME: _stays(PLANNED, repeat=True),
    },
    VERIFYING: {
        Event.VERIFIED: Cell(WAITING, effects.verified),
        Event.CHECK_FAILED: Cell(ON_FAIL, effects.check_failed),
        **_active(VERIFYING),
        Event.PAUSE: Cell(PAUSED),
        Event.RESUME: _stays(VERIFYING, repeat=True),
        Event.SKIP: Cell(WAITING, effects.skip_checks),
    },
    WAITING: {
        Event.READY: Cell(PROGRESSING, effects.take_step),
        **_active(WAITING),
        Event.PAUSE: Cell(PAUSED),
        Event.RESUME: _stays(WAITING, effects.end_pause),
        Event.SKIP: _stays(WAITING, effects.skip_gates),
        Event.PROMOTE: Cell(PROMOTED, effects.may_promote),
    },
    PROGRESSING: {
        Event.DUE: Cell(NEXT),
        **_active(PROGRESSING),
        Event.PAUSE: Cell(PAUSED),
        Event.RESUME: _stays(PROGRESSING, repeat=True),
        Event.SKIP: Cell(NEXT, effects.skip_hold),
        Event.PROMOTE: Cell(PROMOTED, effects.may_promote),
        Event.OVERTIME: Cell(PAUSED),
    },
    PAUSED: {
        **_active(PAUSED),
        Event.PAUSE: _stays(PAUSED, repeat=True),
        Event.RESUME: Cell(BEFORE, effects.resume),
        Event.PROMOTE: Cell(PROMOTED, effects.may_promote),
    },
    PROMOTED: {
        Event.APPROVE: _stays(PROMOTED, approving.approve_again),
        Event.PROMOTE: _stays(PROMOTED, repeat=True),
        Event.ROLLBACK: Cell(ROLLED_BACK, effects.may_go_back),
        Event.RETENTION_OVER: _stays(PROMOTED, effects.retention_over),
    },
    ROLLED_BACK: {
        Event.ROLLBACK: _stays(ROLLED_BACK, repeat=True),
    },
    ABORTED: {
        Event.REJECT: _stays(ABORTED, repeat=True),
        Event.ABORT: _stays(ABORTED, repeat=True),
        Event.ROLLBACK: _stays(ABORTED, repeat=True),
    },
}
"""State -> event -> what comes of it."""

ENTERING: Final[Mapping[ReleaseState, effects.Effect]] = {
    VERIFYING: effects.enter_verifying,
    PAUSED: effects.enter_paused,
    PROMOTED: effects.enter_promoted,
    ROLLED_BACK: effects.enter_ended,
    ABORTED: effects.enter_ended,
}

PEOPLE: Final = (
    Event.APPROVE,
    Event.REJECT,
    Event.PAUSE,
    Event.RESUME,
    Event.SKIP,
    Event.PROMOTE,
    Event.ABORT,
    Event.ROLLBACK,
)


def fire(turn: Turn, event: Event, why: str = "") -> None:
    """Let ``event`` happen to the release of ``turn``. Raises ``Refused`` (409) where the table has no such cell."""
    was = turn.release
    cell = TABLE[was.state].get(event)
    if cell is None:
        raise illegal(was, event, turn.at)
    if cell.repeat:
        return
    to = cell.to.pick(was) if isinstance(cell.to, Choice) else cell.to
    turn.was = was
    if to is not was.state:
        turn.set(state=to, since=turn.at)
    if cell.effect is not None:
        cell.effect(turn, why)
    if to is not was.state and to in ENTERING:
        ENTERING[to](turn, why)


def run_on(turn: Turn) -> None:
    """Go on as far as nothing is to be waited for."""
    # At most four events lead from one step to the next.
    for _ in range(4 * len(turn.release.plan.steps) + 4):
        event = _due(turn)
        if event is None:
            break
        fire(turn, event)
    release = turn.release
    if release.state is WAITING and (turn.began.state, turn.began.step) != (WAITING, release.step):
        waiting = turn.waiting()
        if waiting:
            turn.tell("waiting", f"for {listed(item.detail for item in waiting)}")


def _due(turn: Turn) -> Event | None:
    """What happens next by itself, now."""
    release = turn.release
    match release.state:
        case ReleaseState.PLANNED if turn.ready:
            return Event.BEGIN
        case ReleaseState.VERIFYING if not gates.unchecked(release):
            return Event.VERIFIED
        case ReleaseState.WAITING if turn.ready and not turn.waiting():
            return Event.READY
        case ReleaseState.PROGRESSING if hold_is_over(release, turn.at):
            return Event.DUE
    return None


def hold_is_over(release: Release, at: float) -> bool:
    """Whether the time of the present hold is over at that time of the release, and the judge lets it end."""
    return demand.lets_go(release) and release.held_at(at) >= release.plan.steps[release.step].hold


def is_overtime(release: Release, at: float) -> bool:
    """Whether the judge has held up the present hold for too long."""
    if release.state is not PROGRESSING or demand.lets_go(release):
        return False
    return release.held_at(at) >= max(release.plan.max_hold, release.plan.steps[release.step].hold)


def allowed(release: Release, at: float) -> tuple[Event, ...]:
    """What people may do at that time of the release that would change something; an approval only if anybody is asked
    for one, a promotion only if nothing in the release is against it.
    """
    cells = TABLE[release.state]
    found = [event for event in PEOPLE if event in cells and not cells[event].repeat]
    if not gates.next_approvals(release):
        found = [event for event in found if event is not Event.APPROVE]
    if effects.against_promotion(release, at) is not None:
        found = [event for event in found if event is not Event.PROMOTE]
    if release.state is WAITING and not pauses_next(release):
        found = [event for event in found if event is not Event.RESUME]
    if release.state is PROMOTED and not release.retained:
        found = [event for event in found if event is not Event.ROLLBACK]
    return tuple(found)


def pauses_next(release: Release) -> bool:
    """Whether the plan pauses before the next step, and nobody has ended that pause yet."""
    step = release.step + 1
    return step < len(release.plan.steps) and release.plan.steps[step].pause and not release.opened


def illegal(release: Release, event: Event, at: float) -> Refused:
    """What is said of an event that the table does not have."""
    why = f" ({release.reason})" if release.reason else ""
    may = listed(allowed(release, at), "or") if allowed(release, at) else f"a new release of {listed(release.services)}"
    return Refused(409, "wrong_state", f"{which(release)} is {_state(release)}{why}: no {event.value} now", may)


def _state(release: Release) -> str:
    return release.state.value.replace("_", " ")
