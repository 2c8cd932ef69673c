"""Moments as people write and read them, on the clocks of the place where they sit.

A moment that a change of clocks leaves out is the first one after the gap, one that comes twice is the first of the
two: as gatekeeper reads the moments of its file.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from gatekeeper.interface import render
from gatekeeper.interface.arguments import seconds_of

FARTHEST = 10 * 365 * 86400
"""Seconds: what is planned for later than in ten years is a typing error."""
ALLOWED = "2026-12-01T06:00 (here, or with Z or +01:00), 18:30 (the next one), or in 10m"

_FULL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_CLOCK = re.compile(r"(\d\d?):(\d\d)(?::(\d\d))?", re.ASCII)
_IN = re.compile(r"in\s+(\S+)", re.ASCII)


def read(text: str, now: float) -> float:
    """Wall seconds of ``2026-12-01T06:00``, ``18:30`` or ``in 10m``. Raises ValueError, which says what is wrong."""
    text = text.strip()
    at = next((found for form in (_later, _clock, _full) if (found := form(text, now)) is not None), None)
    if at is None:
        raise ValueError(f"{text!r} is no moment; it looks like {ALLOWED}")
    if at <= now:
        raise ValueError(f"{text!r} has passed: it was {render.duration(now - at)} ago, {render.moment(at)}")
    if at - now > FARTHEST:
        raise ValueError(f"{text!r} is further away than ten years")
    return at


def _later(text: str, now: float) -> float | None:
    found = _IN.fullmatch(text)
    seconds = seconds_of(found[1]) if found else None
    return None if seconds is None else now + seconds


def _clock(text: str, now: float) -> float | None:
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    today = _local(now)
    try:
        local = today.replace(hour=int(found[1]), minute=int(found[2]), second=int(found[3] or 0), microsecond=0)
    except ValueError:
        return None
    # On the night the clocks are put back it may have passed and come again an hour later.
    again = local.replace(fold=1).timestamp()
    moments = (_instant(local), again, _instant(local + timedelta(days=1)))
    return next((at for at in moments if at > now), None)


def _full(text: str, _now: float) -> float | None:
    found = _FULL.fullmatch(text)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.timestamp() if moment.tzinfo is not None else _instant(moment)
    except (ValueError, OverflowError):  # the 31st of February, the year 0
        return None


def _instant(local: datetime) -> float:
    local = local.replace(fold=0)
    early, late = sorted((local.timestamp(), local.replace(fold=1).timestamp()))
    if early == late or _local(early) == local:
        return early
    # In a gap neither reading shows it: the clocks are changed between them.
    return _first(early, late, lambda at: _local(at) > local)


def _local(at: float) -> datetime:
    """What the clocks here show, as a bare date and time."""
    return datetime.fromtimestamp(at).astimezone().replace(tzinfo=None)


def _first(low: float, high: float, holds: Callable[[float], bool]) -> float:
    """The first whole second in (low, high] for which it holds, if it goes on holding from there."""
    below, above = int(low), int(high)
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (below, middle) if holds(middle) else (middle, above)
    return float(above)


def short(at: object, now: float) -> str:
    """``14:05:10``; with weekday and date if that is another day here than ``now``."""
    if isinstance(at, bool) or not isinstance(at, int | float):
        return ""
    local, today = _local(at), _local(now)
    return f"{local:%H:%M:%S}" if local.date() == today.date() else f"{local:%a %Y-%m-%d %H:%M:%S}"


def ahead(at: float, now: float) -> str:
    """``2026-12-01 06:00:00+01:00 (in 8d 3h)``."""
    return f"{render.moment(at)} (in {render.duration(at - now)})"
