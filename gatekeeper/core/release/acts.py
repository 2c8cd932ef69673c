"""What people do to a release, what its checks and the judge say, and what is due by itself."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from gatekeeper.core.judge.verdict import Kind
from gatekeeper.core.model import Release, State
from gatekeeper.core.outcome import Outcome, Refused
from gatekeeper.core.release import demand, gates, lifecycle
from gatekeeper.core.release.commands import Act, Advance, CheckDone, Judged, Verb
from gatekeeper.core.release.guard import named
from gatekeeper.core.release.lifecycle import Event, fire, run_on
from gatekeeper.core.release.model import OUTPUT_KEPT, CheckResult
from gatekeeper.core.release.plan import names
from gatekeeper.core.release.turn import Turn
from gatekeeper.core.release.words import duration, listed, the_judge, with_reason

_DONE: Final = {
    Verb.REJECT: "rejected",
    Verb.PAUSE: "paused",
    Verb.PROMOTE: "promoted",
    Verb.ABORT: "aborted",
}


def act(state: State, command: Act, now: float) -> Outcome:
    """What somebody asks for. Raises ``Refused``: 404, 409, or 422 for a skip without a reason."""
    release = named(state, command)
    reason = command.reason.strip()
    if command.event is Verb.SKIP and not reason:
        raise Refused(422, "reason_required", "a skip needs a reason", "--reason TEXT; it is kept in the audit")
    done = _DONE.get(command.event)
    why = reason if done is None else with_reason(f"{done} by {command.actor}", reason)
    return _turned(state, command, now, release, lambda turn: fire(turn, Event(command.event.value), why))


def check_done(state: State, command: CheckDone, now: float) -> Outcome:
    release = state.releases.get(command.release)
    checks = gates.checks_of(release) if release is not None else None
    if release is None or checks is None or checks[0] != command.gate:
        return Outcome(state)
    wanted = {(service, name) for service in release.services for name in names(checks[1])}
    results = [item for item in command.results if (item.service, item.name) in wanted and item.gate == command.gate]
    if not results:
        return Outcome(state)

    def note(turn: Turn) -> None:
        new = {(item.gate, item.service, item.name): _kept(item, turn.at) for item in results}
        old = [item for item in turn.release.checks if (item.gate, item.service, item.name) not in new]
        turn.set(checks=(*old, *new.values()))
        failed = [item for item in new.values() if not item.passed]
        if failed:
            fire(turn, Event.CHECK_FAILED, _failure(failed))
        elif gates.unchecked(turn.release):
            turn.mention("checked", listed(f"{item.name} passed in service {item.service}" for item in new.values()))

    return _turned(state, command, now, release, note)


def judged(state: State, command: Judged, now: float) -> Outcome:
    release, said = state.releases.get(command.release), command.verdict
    if release is None or not release.active:
        return Outcome(state)
    _, _, passes = demand.heard(release, said)
    before, verdict = release.verdict, replace(said, passes=passes)
    if verdict == before:
        return Outcome(state)

    def note(turn: Turn) -> None:
        turn.set(verdict=verdict)
        text = f"{verdict.kind.replace('_', ' ')}: {verdict.sentence}"
        # For programs; ``kind`` is the event's own.
        data = {"verdict": verdict.kind, "cause": verdict.cause, "odds": verdict.odds, "bar": verdict.bar}
        if before is None or before.kind != verdict.kind:
            turn.tell("verdict", text, **data, passes=passes)
        else:
            turn.mention("verdict", text, **data, passes=passes)
        if verdict.kind == Kind.ROLLBACK and (before is None or (before.kind, before.cause) != (said.kind, said.cause)):
            fire(turn, Event.FAILED, verdict.sentence)

    return _turned(state, command, now, release, note)


def advance(state: State, command: Advance, now: float) -> Outcome:
    release = state.releases.get(command.release)
    if release is None:
        return Outcome(state)
    return _turned(state, command, now, release, _what_is_due, always=True)


def _what_is_due(turn: Turn) -> None:
    release = turn.release
    until = release.retained_until
    if release.retained and until is not None and turn.at >= until:
        fire(turn, Event.RETENTION_OVER)
    if release.active and gates.lapsed(release, turn.at):
        fire(turn, Event.LAPSE)
    if lifecycle.is_overtime(release, turn.at):
        limit = duration(max(release.plan.max_hold, release.plan.steps[release.step].hold))
        fire(turn, Event.OVERTIME, f"no verdict let it pass within {limit}: {the_judge(release)}")


def _turned(
    state: State,
    command: Act | CheckDone | Judged | Advance,
    now: float,
    release: Release,
    work: Callable[[Turn], None],
    *,
    always: bool = False,
) -> Outcome:
    """``work`` on the release, and what follows from it at once; without an effect nothing follows, unless ``always``
    is asked for.
    """
    turn = Turn(state, command, now, release, revision=state.revision + 1)
    work(turn)
    if turn.release.active and (always or turn.release != release):
        run_on(turn)
    return turn.outcome()


def _kept(result: CheckResult, at: float) -> CheckResult:
    return replace(result, output=result.output[:OUTPUT_KEPT], at=at)


def _failure(failed: Iterable[CheckResult]) -> str:
    return listed(f"{item.name} failed in service {item.service}" for item in failed)
