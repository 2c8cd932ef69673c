"""The steps of a release with their gates, in order: what was done when and by whom, what is now, what is to come.

When a step's weight was set stands in the release's log; the log is bounded, so of a very long release the first of
these moments may be unknown.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from gatekeeper.control.api.looking import Look
from gatekeeper.control.api.wording import missing_people, opening, pauses
from gatekeeper.core.model import Release, State
from gatekeeper.core.outcome import number
from gatekeeper.core.release import calendar, demand, gates
from gatekeeper.core.release.model import Entry, ReleaseState, SkipKind, Skipped, Waiting, WaitKind
from gatekeeper.core.release.plan import Approval
from gatekeeper.core.release.words import count, listed

Document = dict[str, Any]

DONE, FAILED, NOW, TO_COME = "done", "failed", "now", "to_come"
SKIPPED, LEFT_OUT = "skipped", "left_out"
_STEP: Final = re.compile(r"step (\d+) of \d+")
"""How ``effects.take_step`` begins what it notes."""
_RESUMED: Final = " let it go on to "
"""What ``effects.end_pause`` notes, other than a resume of what somebody had paused."""


def timeline(state: State, release: Release, look: Look, waiting: tuple[Waiting, ...]) -> list[Document]:
    """One document for each step; ``waiting`` is what the release waits for now."""
    return _Timeline(state, release, look, waiting).stages()


class _Timeline:
    def __init__(self, state: State, release: Release, look: Look, waiting: tuple[Waiting, ...]) -> None:
        self._state, self._release, self._look = state, release, look
        self._plan = release.plan
        self._at = look.at(release)
        self._taken = _taken(release.log)
        was = release.paused_from if release.state is ReleaseState.PAUSED else release.state
        self._held = was is ReleaseState.PROGRESSING
        self._stage = was or ReleaseState.WAITING
        # A promotion by hand is at the last step without having taken those between.
        promoted = [entry.at for entry in release.log if entry.event == ReleaseState.PROMOTED.value]
        self._reached = max(self._taken, default=-1) if promoted else release.step
        self._over = promoted[0] if promoted else release.ended_at
        self._next = release.step + 1 if release.active and not self._held else None
        """The step that is being prepared."""
        paused = release.state is ReleaseState.PAUSED
        self._waiting = () if paused else waiting

    def stages(self) -> list[Document]:
        expected = self._expected()
        return [
            {
                "step": place,
                "weight": number(step.weight),
                "hold": step.hold,
                "state": self._state_of(place),
                "from": self._taken.get(place),
                "to": self._left(place),
                "expected": expected.get(place),
                "gates": list(self._gates(place)),
            }
            for place, step in enumerate(self._plan.steps)
        ]

    def _state_of(self, place: int) -> str:
        if not self._release.active:
            return DONE if place <= self._reached else LEFT_OUT
        present = self._release.step if self._next is None else self._next
        return DONE if place < present else NOW if place == present else TO_COME

    def _left(self, place: int) -> float | None:
        if place < self._reached:
            return next(
                (self._taken[later] for later in range(place + 1, self._reached + 1) if later in self._taken), None
            )
        return self._over if place == self._reached else None

    def _expected(self) -> dict[int, float]:
        """When each step to come begins at the earliest; without those of which nobody can know."""
        release, found = self._release, dict[int, float]()
        if not release.active or release.state is ReleaseState.PAUSED:
            return found
        at = self._at
        if self._held:
            left = self._plan.steps[release.step].hold - release.held_at(self._at)
            if left <= 0:
                return found  # the verdict does not let it pass
            at += left
        elif not demand.lets_go(release):
            return found
        ready = self._look.ready
        if self._next is not None and ready is not None and not all(ready.get(name) for name in release.services):
            return found
        for place in range(release.step + 1, len(self._plan.steps)):
            waived = release.waived and place == self._next
            if not waived and (missing_people(release, place, self._at) or pauses(release, place)):
                break
            opens = at if waived else opening(self._state, release, place, at, self._look)
            if opens is None:
                break
            found[place] = opens
            at = opens + self._plan.steps[place].hold
        return found

    # Gates

    def _gates(self, place: int) -> Iterator[Document]:
        """In the order in which they are passed."""
        yield from self._checks(place)
        for gate, approval in gates.approvals_before(self._plan, place).items():
            yield self._approval(place, gate, approval)
        yield from self._calendar(place)
        yield from self._only_now(place, WaitKind.FREEZE)
        if self._plan.steps[place].pause:
            yield self._pause(place)
        yield from self._only_now(place, WaitKind.JUDGE)
        yield from self._only_now(place, WaitKind.BACKENDS)

    def _checks(self, place: int) -> Iterator[Document]:
        checks = gates.checks_before(self._plan, place)
        if not checks:
            return
        gate = gates.gate_of(place)
        results = [result for result in self._release.checks if result.gate == gate]
        failed = any(not result.passed for result in results)
        complete = not failed and len(results) >= len(checks) * len(self._release.moves)
        last = max((result.at for result in results), default=None)
        many = len(checks) * len(self._release.moves)
        text = f"{count(many, 'check')}: {', '.join(check.name for check in checks)}"
        skip = self._skip(SkipKind.CHECKS, gate)
        if skip is not None:
            yield _gate("verify", gate, text, SKIPPED, skip.at, who=[skip.actor])
        elif place <= self._reached or (place == self._next and self._stage is ReleaseState.WAITING):
            yield _gate("verify", gate, text, DONE, last)
        elif place == self._next and self._release.state is ReleaseState.VERIFYING:
            yield _gate("verify", gate, text, NOW)
        elif failed:
            yield _gate("verify", gate, text, FAILED, last)
        elif complete and not self._release.active:
            yield _gate("verify", gate, text, DONE, last)
        else:
            yield _gate("verify", gate, text, self._not_yet())

    def _approval(self, place: int, gate: str, approval: Approval) -> Document:
        release = self._release
        given = [each for each in release.approvals if each.gate == gate]
        when = self._taken.get(place, self._at) if place <= self._reached else self._at
        missing = gates.missing_groups(release, gate, approval, when)
        who = [f"{each.actor} for {listed(each.groups)}" for each in given]
        text = f"approval by {listed(approval.groups)}"
        if not missing:
            return _gate("approval", gate, text, DONE, max(each.at for each in given), who=who)
        skip = self._waived(place)
        if skip is not None:
            return _gate("approval", gate, text, SKIPPED, skip.at, who=[*who, skip.actor], missing=missing)
        return _gate("approval", gate, text, self._open(place), who=who, missing=missing)

    def _calendar(self, place: int) -> Iterator[Document]:
        plan, gate = self._plan, gates.gate_of(place)
        zone = plan.window.timezone if plan.window is not None else "UTC"
        if place == 0 and plan.at is not None:
            text = f"not before {calendar.text(plan.at, zone, self._look.offset)}"
            yield self._by_time("time", place, gate, text, self._moment(place) >= plan.at, plan.at)
        if plan.window is not None:
            text = f"the window {calendar.hours(plan.window)}"
            moment = self._moment(place)
            opens = calendar.next_open(plan.window, moment, self._look.offset)
            yield self._by_time("window", place, gate, text, opens == moment, opens)

    def _moment(self, place: int) -> float:
        """When the calendar counted, or counts now, for a step."""
        return self._taken.get(place, self._look.now) if place <= self._reached else self._look.now

    def _by_time(self, kind: str, place: int, gate: str, text: str, is_open: bool, opens: float | None) -> Document:
        skip = self._waived(place)
        if skip is not None and not is_open:
            return _gate(kind, gate, text, SKIPPED, skip.at, who=[skip.actor])
        if place <= self._reached:
            return _gate(kind, gate, text, DONE, self._taken.get(place))
        if place == self._next:
            if is_open:
                return _gate(kind, gate, text, DONE, opens)
            return _gate(kind, gate, text, self._open(place), until=opens)
        return _gate(kind, gate, text, self._not_yet())

    def _only_now(self, place: int, kind: WaitKind) -> Iterator[Document]:
        """What is no part of the plan: only while it is waited for."""
        if place == self._next:
            for item in self._waiting:
                if item.kind is kind:
                    yield _gate(kind.value, gates.gate_of(place), item.detail, NOW, until=item.until)

    def _pause(self, place: int) -> Document:
        text, gate = "a pause, until somebody resumes it", str(place)
        skip = self._waived(place)
        opened = self._resumed(place)
        if skip is not None and opened is None:
            return _gate("pause", gate, text, SKIPPED, skip.at, who=[skip.actor])
        if place <= self._reached or (place == self._next and self._release.opened):
            at, who = (opened.at, [opened.actor]) if opened is not None else (self._taken.get(place), [])
            return _gate("pause", gate, text, DONE, at, who=who)
        return _gate("pause", gate, text, self._open(place))

    def _resumed(self, place: int) -> Entry | None:
        """Who let it go on to a step."""
        if place > self._reached and not self._release.opened:
            return None
        after = self._taken.get(place - 1, self._release.created)
        before = self._taken.get(place, self._at)
        found = (entry for entry in reversed(self._release.log) if entry.event == "resumed" and _RESUMED in entry.text)
        return next((entry for entry in found if after <= entry.at <= before), None)

    def _open(self, place: int) -> str:
        """The state of a gate that is not passed."""
        return NOW if place == self._next and self._release.state is ReleaseState.WAITING else self._not_yet()

    def _not_yet(self) -> str:
        return TO_COME if self._release.active else LEFT_OUT

    def _skip(self, kind: SkipKind, gate: str) -> Skipped | None:
        return next((each for each in reversed(self._release.skipped) if (each.kind, each.gate) == (kind, gate)), None)

    def _waived(self, place: int) -> Skipped | None:
        """Who did not wait for what comes before a step."""
        return self._skip(SkipKind.GATES, str(place))


def _taken(log: Iterable[Entry]) -> dict[int, float]:
    """Step -> when its weight was set."""
    found = ((_STEP.match(entry.text), entry.at) for entry in log if entry.event == "step")
    return {int(step[1]) - 1: at for step, at in found if step is not None}


def _gate(
    kind: str,
    gate: str,
    text: str,
    state: str,
    at: float | None = None,
    *,
    until: float | None = None,
    who: Iterable[str] = (),
    missing: Iterable[str] = (),
) -> Document:
    return {
        "kind": kind,
        "gate": gate,
        "text": text,
        "state": state,
        "at": at,
        "until": until,
        "who": list(who),
        "missing": list(missing),
    }
