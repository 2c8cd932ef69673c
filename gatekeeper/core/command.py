"""Commands and what they make of a state. Pure: time, salts and secrets are arguments.

Every change of what decides routing goes through ``apply``: a command, by an actor, becomes one new revision, or it is
refused and nothing changed. A command that asks for what already is gives back the very state it was given.
"""

from collections.abc import Callable
from typing import Any, Final

from gatekeeper.core.flags import acts as flag_acts
from gatekeeper.core.flags import follow as following
from gatekeeper.core.flags.commands import RemoveFlag, RollbackFlag, ScheduleFlags, SetFlag, SwitchFlag
from gatekeeper.core.flags.schedule import schedule_flags
from gatekeeper.core.model import State
from gatekeeper.core.outcome import Change, Command, Outcome, Problem, Refused
from gatekeeper.core.past import Past, PastService
from gatekeeper.core.pending import Confirm, Expire, check_confirm_within, confirm, expire, with_pending
from gatekeeper.core.release import acts
from gatekeeper.core.release.commands import Act, Advance, CheckDone, Judged, ReleaseCommand, StartRelease, Verb
from gatekeeper.core.release.follow import follow
from gatekeeper.core.release.guard import refuse_confirm_within
from gatekeeper.core.release.start import start
from gatekeeper.core.reload import Reload, initial_state, reload
from gatekeeper.core.restore import Restore, restore
from gatekeeper.core.running import UNDO_DEPTH
from gatekeeper.core.splitting import Rollback, SetSplit, rollback, set_split
from gatekeeper.core.trip import ResetTrip, TripVersion, reset_trip, trip
from gatekeeper.core.versions import Deploy, Drain, Retire, deploy, drain, retire
from gatekeeper.core.weights import MAX_WEIGHT, WEIGHT_DECIMALS

__all__ = [
    "MAX_WEIGHT",
    "UNDO_DEPTH",
    "WEIGHT_DECIMALS",
    "Act",
    "Advance",
    "Change",
    "CheckDone",
    "Command",
    "Confirm",
    "Deploy",
    "Drain",
    "Expire",
    "Judged",
    "Outcome",
    "Past",
    "PastService",
    "Problem",
    "Refused",
    "Reload",
    "RemoveFlag",
    "ResetTrip",
    "Restore",
    "Retire",
    "Rollback",
    "RollbackFlag",
    "ScheduleFlags",
    "SetFlag",
    "SetSplit",
    "StartRelease",
    "SwitchFlag",
    "TripVersion",
    "Verb",
    "apply",
    "initial_state",
]

_Act = Callable[[State, Any, float], Outcome]

_ACTS: Final[dict[type[Command], _Act]] = {
    SetSplit: set_split,
    Rollback: rollback,
    Reload: reload,
    Deploy: deploy,
    Retire: retire,
    Drain: drain,
    TripVersion: trip,
    ResetTrip: reset_trip,
    Restore: restore,
    Confirm: confirm,
    Expire: expire,
    SetFlag: flag_acts.set_flag,
    SwitchFlag: flag_acts.switch_flag,
    RollbackFlag: flag_acts.rollback_flag,
    RemoveFlag: flag_acts.remove_flag,
    ScheduleFlags: schedule_flags,
    StartRelease: start,
    Act: acts.act,
    CheckDone: acts.check_done,
    Judged: acts.judged,
    Advance: acts.advance,
}
_SETTLE: Final = (Rollback, Restore, TripVersion, RollbackFlag)
"""Those that may touch what waits to be confirmed, see ``core.pending``."""
_FOR_GOOD: Final = (Confirm, Expire, TripVersion, ReleaseCommand, ScheduleFlags)
"""Those that cannot themselves wait to be confirmed."""


def apply(state: State, command: Command, now: float) -> Outcome:
    """The outcome of ``command`` at ``now`` (wall seconds). Raises ``Refused``."""
    if command.expected_revision is not None and command.expected_revision != state.revision:
        raise Refused(
            412,
            "revision_moved",
            f"the revision is {state.revision}, the command expected {command.expected_revision}",
            f"look at what changed and repeat with revision {state.revision}",
        )
    act = _ACTS.get(type(command))
    if act is None:
        raise TypeError(f"{type(command).__name__} is not a command that can be applied")
    check_confirm_within(command, possible=not isinstance(command, _FOR_GOOD))
    outcome = act(state, command, now)
    if not isinstance(command, ReleaseCommand):
        restored = command.revision if isinstance(command, Restore) else None
        reset = isinstance(command, Reload) and command.reset_split
        outcome = follow(state, command, outcome, now, restored=restored, reset=reset)
    refuse_confirm_within(state, command, outcome.state)
    stops = isinstance(command, SwitchFlag) and (command.kill or command.verdict is not None)
    settles = stops or isinstance(command, _SETTLE)
    outcome = with_pending(state, command, outcome, now, settles=settles)
    return following.follow(state, command, outcome, now)
