"""Plans, windows and freezes as the API shows them."""

from typing import Any, Final

from gatekeeper.core import codec
from gatekeeper.core.model import State
from gatekeeper.core.outcome import number
from gatekeeper.core.release import calendar
from gatekeeper.core.release.calendar import Offset
from gatekeeper.core.release.plan import Approval, Freeze, Plan, Window

Document = dict[str, Any]

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def plan(found: Plan) -> Document:
    """``definition`` is all of it, for ``codec.load``; the rest says the same for people and pages."""
    return {
        "name": found.name,
        "verify": [check.name for check in found.verify],
        "at": found.at,
        "window": window(found.window),
        "approve": _approval(found.approve),
        "steps": [
            {
                "weight": number(step.weight),
                "hold": step.hold,
                "approve": _approval(step.approve),
                "pause": step.pause,
                "verify": [check.name for check in step.verify],
            }
            for step in found.steps
        ],
        "on_fail": found.on_fail.value,
        "max_hold": found.max_hold,
        "retain": found.retain,
        "seconds": sum(step.hold for step in found.steps),
        "definition": codec.dump(found),
    }


def window(found: Window | None) -> Document | None:
    if found is None:
        return None
    return {
        "days": [DAYS[day] for day in sorted(set(found.days))],
        "hours": f"{_clock(found.start)}-{_clock(found.end)}",
        "timezone": found.timezone,
        "text": calendar.hours(found),
    }


def plans(state: State, now: float, offset: Offset) -> Document:
    """What the file says of releases; nothing of whom it notifies."""
    releasing = state.releasing
    return {
        "revision": state.revision,
        "plans": [plan(each) for each in releasing.plans.values()],
        "defaults": dict(releasing.defaults),
        "groups": {
            name: {"services": list(group.services), "plan": group.plan} for name, group in releasing.groups.items()
        },
        "freezes": [freeze(each, now, offset) for each in releasing.freezes],
    }


def freeze(found: Freeze, now: float, offset: Offset) -> Document:
    in_force = calendar.frozen([found], found.services or ("",), now, offset)
    return {
        "reason": found.reason,
        "since": found.since,
        "until": found.until,
        "window": window(found.window),
        "services": list(found.services),
        "in_force": in_force is not None,
        "ends": in_force[1] if in_force is not None else None,
        "text": _text(found, offset),
    }


def _text(found: Freeze, offset: Offset) -> str:
    zone = found.window.timezone if found.window is not None else "UTC"
    words = [calendar.hours(found.window)] if found.window is not None else []
    words += [f"from {calendar.text(found.since, zone, offset)}"] if found.since is not None else []
    words += [f"until {calendar.text(found.until, zone, offset)}"] if found.until is not None else []
    return ", ".join(words) or "always"


def _approval(found: Approval | None) -> Document | None:
    return None if found is None else {"groups": list(found.groups), "expires": found.expires}


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
