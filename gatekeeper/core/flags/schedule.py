"""When flags turn themselves on and off, and when they are overdue.

A moment is acted upon once. One that passed while gatekeeper was down is made up for at its start; of several that
passed, the last one counts. What somebody does afterwards holds. A flag whose change waits to be confirmed is left
until that is settled, a killed one stays off.
"""

from dataclasses import replace
from typing import Any

from gatekeeper.core.flags.commands import ScheduleFlags
from gatekeeper.core.flags.model import Flag, FlagState
from gatekeeper.core.flags.running import changed, shown, stamped
from gatekeeper.core.model import State
from gatekeeper.core.outcome import Outcome
from gatekeeper.core.pending import awaiting_flag
from gatekeeper.core.release.calendar import DAY, civil
from gatekeeper.core.revise import revise


def due(state: State, now: float) -> bool:
    """Whether some schedule asks for something by ``now`` (wall seconds)."""
    moment = next_moment(state)
    return moment is not None and moment <= now


def next_moment(state: State) -> float | None:
    """The first moment (wall seconds) that was not acted upon yet; None if there is none."""
    return min(
        (min(left) for name, flag in state.flags.items() if (left := _left(flag)) and not awaiting_flag(state, name)),
        default=None,
    )


def schedule_flags(state: State, command: ScheduleFlags, now: float) -> Outcome:
    """One revision for all flags that are due; the very state of before if none is."""
    revision = state.revision + 1
    put: dict[str, FlagState | None] = {}
    events: list[dict[str, Any]] = []
    for name, was in state.flags.items():
        passed = [at for at in _left(was) if at <= now]
        if not passed or awaiting_flag(state, name) is not None:
            continue
        on = max(passed) == was.definition.schedule.on_at
        scheduled = (*was.running.scheduled, *passed)
        if was.running.killed or (was.running.on is on and not was.running.following):
            after = stamped(replace(was, running=replace(was.running, scheduled=scheduled)), revision, now)
        else:
            after = changed(was, was, revision=revision, now=now, on=on, scheduled=scheduled, following="", release=0)
        put[name] = after
        kind = "flag_on" if on else "flag_off"
        events.append(
            {"kind": kind, "flag": name, "before": shown(was), "after": shown(after), "scheduled": max(passed)}
        )
    if not put:
        return Outcome(state)
    outcome = revise(state, command, now, events[0], {}, flags=put)
    common = {key: outcome.events[0][key] for key in ("revision", "at", "actor", "note")}
    return replace(outcome, events=[{**event, **common} for event in events])


def overdue(flag: Flag, now: float) -> bool:
    """Whether the day (UTC) after which the flag should be gone is over at ``now`` (wall seconds)."""
    return flag.expires is not None and "{:04}-{:02}-{:02}".format(*civil(int(now // DAY))) > flag.expires


def _left(flag: FlagState) -> list[float]:
    return [at for at in flag.definition.schedule.moments if at not in flag.running.scheduled]
