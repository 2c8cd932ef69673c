"""A plan walked once from its start to the promotion, by the commands that a gatekeeper would apply.

People approve at once, checks pass at once, and the judge lets every hold end with its time.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from gatekeeper.core.command import Act, Advance, CheckDone, Judged, StartRelease, Verb, apply
from gatekeeper.core.judge.verdict import Kind
from gatekeeper.core.model import Backend, Definition, Release, Service, Settings, State, Version
from gatekeeper.core.outcome import Command
from gatekeeper.core.release import gates
from gatekeeper.core.release.calendar import utc
from gatekeeper.core.release.due import next_due
from gatekeeper.core.release.model import CheckResult, ReleaseState, VerdictView, WaitKind
from gatekeeper.core.release.plan import Plan
from gatekeeper.core.release.words import count
from gatekeeper.core.reload import initial_state

SERVICE: Final = "service"
STABLE: Final = "stable"
CANDIDATE: Final = "candidate"


class Walk:
    """``steps`` are weight, begin and end in seconds since the first step, and the State while it is held.

    ``judged``: the plan has an analysis.
    """

    def __init__(self, plan: Plan) -> None:
        self.notes: list[str] = []
        self._now = 0.0
        if plan.at is not None or plan.window is not None:
            self.notes.append("the plan's time and window are left out: what waits for them is not counted")
        self.judged = plan.analysis is not None
        self._state = _start()
        self._do(
            StartRelease(
                actor="author",
                services={SERVICE: CANDIDATE},
                plan=replace(plan, at=None, window=None),
                offset=utc,
                ready={SERVICE: True},
            )
        )
        held: dict[int, tuple[float, float, State]] = {}
        # Of each step: to be verified, to be approved, to be resumed, and held.
        for _ in range(4 * len(plan.steps) + 4):
            release = self.release
            if release.state is ReleaseState.PROGRESSING:
                begins, state = self._now, self._state
                self._do(judged(release.id, Kind.PASSED, "taken to be proven"))
                if self.release.step != release.step or not self.release.active:
                    held[release.step] = begins, begins, state
                    continue
                state = self._state
                self._now += max(0.0, next_due(state, release, begins, utc) or 0.0)
                held[release.step] = begins, self._now, state
                self._do(Advance(actor="plan", release=release.id, offset=utc, ready={SERVICE: True}))
            elif release.active:
                self._pass_gate(release)
        self.end = self._now
        self.steps: list[tuple[float, float, float, State]] = []
        ends = 0.0
        for number, step in enumerate(plan.steps):
            # A step that is not held is over in the revision that takes it.
            begins, ends, state = held.get(number, (ends, ends, self._state))
            self.steps.append((float(step.weight), begins, ends, state))

    @property
    def release(self) -> Release:
        return next(iter(self._state.releases.values()))

    def _do(self, command: Command) -> None:
        self._state = apply(self._state, command, self._now).state

    def _pass_gate(self, release: Release) -> None:
        checks = gates.checks_of(release)
        if checks is not None:
            gate, wanted = checks
            self._note(f"{count(len(wanted), 'check')} before step {release.step + 2}: taken to pass at once")
            results = tuple(CheckResult(gate, SERVICE, check.name, True, 0.0, "", self._now) for check in wanted)
            self._do(
                CheckDone(
                    actor="plan", release=release.id, gate=gate, results=results, offset=utc, ready={SERVICE: True}
                )
            )
            return
        for item in release.waiting:
            if item.kind is WaitKind.APPROVAL:
                for group in item.groups:
                    self._note(f"approval by {group} before step {release.step + 2}: taken to be given at once")
                    self._act(Verb.APPROVE, f"one of {group}", groups=(group,), gate=item.gate)
            elif item.kind is WaitKind.PAUSE:
                self._note(f"pause before step {release.step + 2}: taken to be ended at once")
                self._act(Verb.RESUME, "somebody")

    def _act(self, verb: Verb, actor: str, *, groups: tuple[str, ...] = (), gate: str | None = None) -> None:
        self._do(
            Act(
                actor=actor,
                event=verb,
                service=SERVICE,
                groups=groups,
                gate=gate,
                offset=utc,
                ready={SERVICE: True},
            )
        )

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _start() -> State:
    versions = {name: Version(name, (Backend(f"http://{name}:80"),)) for name in (STABLE, CANDIDATE)}
    service = Service(SERVICE, versions, split={STABLE: Decimal(100)}, stable=STABLE)
    return initial_state(Definition(Settings(), {SERVICE: service}), {}, 1, "simulation", 0.0)[0]


def judged(release: int, kind: Kind, sentence: str) -> Judged:
    """The word of the judge, as a command."""
    view = VerdictView(kind.value, sentence)
    return Judged(actor="judge", release=release, verdict=view, offset=utc, ready={SERVICE: True})
