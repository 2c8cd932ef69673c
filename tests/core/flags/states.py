"""States with flags, for the tests of commands about them."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from gatekeeper.core.command import RollbackFlag, SetFlag, SwitchFlag
from gatekeeper.core.flags.define import defined
from gatekeeper.core.flags.model import Flag, FlagChanges, FlagRunning, FlagSchedule, FlagState, PastFlag
from gatekeeper.core.model import Definition, Service, State
from gatekeeper.core.reload import initial_state
from tests.core.states import ANN, NOW, SALT, definition

D = Decimal
THEME: dict[str, Any] = {"variants": {"light": "light", "dark": "dark"}, "off": "light"}
SCHEDULE = FlagSchedule(NOW + 100, NOW + 200)


def said(name: str = "new", **changes: Any) -> Flag:
    """A flag as the file says it."""
    return defined(name, FlagChanges(**changes))


def file(*flags: Flag, services: tuple[Service, ...] = ()) -> Definition:
    return replace(definition(*services), flags={flag.name: flag for flag in flags})


def begun(*flags: Flag, services: tuple[Service, ...] = ()) -> State:
    return initial_state(file(*(flags or (said(),)), services=services), {}, 1, "entropy", NOW)[0]


def setting(name: str = "new", *, salt: str = SALT, new: bool = False, **changes: Any) -> SetFlag:
    """``confirm_within`` and ``note`` are the command's, all else is what it says of the flag."""
    more = {key: changes.pop(key) for key in ("confirm_within", "expected_revision") if key in changes}
    return SetFlag(**ANN, **more, name=name, changes=FlagChanges(**changes), salt=salt, new=new)


def switching(name: str = "new", *, on: bool = True, **more: Any) -> SwitchFlag:
    return SwitchFlag(**{**ANN, **more}, name=name, on=on)


def back(name: str = "new", **more: Any) -> RollbackFlag:
    return RollbackFlag(**ANN, **more, name=name)


def flag(state: State, name: str = "new") -> FlagState:
    return state.flags[name]


def runs(state: State, name: str = "new") -> FlagRunning:
    return state.flags[name].running


def shares(state: State, name: str = "new") -> dict[str, Decimal]:
    return dict(runs(state, name).split.weights)


def kept(state: State) -> dict[str, PastFlag]:
    """What the store would give back of the flags of a state."""
    return {
        name: PastFlag(one.definition, one.running.split.weights, one.running.on, one.running.killed, one.running.made)
        for name, one in state.flags.items()
    }


def essence(one: FlagState) -> FlagState:
    """Without the number and time of the last change, and without what can be undone."""
    return replace(one, running=replace(one.running, revision=0, changed_at=0.0, undo=()))
