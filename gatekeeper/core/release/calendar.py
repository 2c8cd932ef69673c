"""Hours of days in time zones, windows and freezes, as arithmetic.

What a zone is comes in as a function (``Offset``), so that everything here can be repeated. Local time is local
seconds: those since 1970-01-01 00:00 on the clocks of that place, which jump where the clocks are changed. A window
keeps its local hours: on the night they are put forward one from 02:00 to 03:00 does not open, on the night they are
put back it opens twice.

All searches look nine days ahead: a window opens at least once a week, and the clocks are not changed twice in it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from gatekeeper.core.release.plan import Freeze, Window

Offset = Callable[[str, float], float]
"""Zone name, wall seconds -> seconds that its clocks are ahead of UTC then."""

DAY: Final = 86_400
_AHEAD: Final = 9
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def utc(_zone: str, _at: float) -> float:
    """An ``Offset`` for who has only UTC."""
    return 0.0


def instant(local: float, zone: str, offset: Offset) -> float:
    """The wall second at which the clocks there first show ``local`` or, where that is skipped, anything later."""
    before, after = offset(zone, local - DAY), offset(zone, local + DAY)
    early, late = local - before, local - after
    if before == after or offset(zone, early) == before:
        return early
    if offset(zone, late) == after:
        return late
    return _change(zone, late, early, offset)


def is_open(window: Window, at: float, offset: Offset) -> bool:
    """Whether ``at`` (wall seconds) lies in the window."""
    local = at + offset(window.timezone, at)
    day, second = divmod(local, DAY)
    start, end = window.start * 60, window.end * 60
    if end > start:
        return _opens(window, day) and start <= second < end
    return (_opens(window, day) and second >= start) or (_opens(window, day - 1) and second < end)


def next_open(window: Window, at: float, offset: Offset) -> float | None:
    """The first wall second from ``at`` on at which it is open; None if that is in no week."""
    if is_open(window, at, offset):
        return at
    return min((edge for edge in _edges(window, at, offset) if is_open(window, edge, offset)), default=None)


def closes(window: Window, at: float, offset: Offset) -> float | None:
    """The first wall second from ``at`` on at which it is closed; None if it never closes."""
    if not is_open(window, at, offset):
        return at
    return min((edge for edge in _edges(window, at, offset) if not is_open(window, edge, offset)), default=None)


def frozen(
    freezes: Iterable[Freeze], services: Iterable[str], at: float, offset: Offset
) -> tuple[Freeze, float | None] | None:
    """The freeze that is in force for any of ``services``, and when no freeze will be (None: no end is known).

    Of several the one that ends last.
    """
    names = set(services)
    mine = [freeze for freeze in freezes if not freeze.services or names & set(freeze.services)]
    found: Freeze | None = None
    # Each round goes past the end of one freeze. A hundred in a row, or ones that take turns for ever, have no end.
    moment: float | None = at
    for _ in range(100):
        now = next((freeze for freeze in mine if moment is not None and _in_force(freeze, moment, offset)), None)
        if now is None or moment is None:
            return None if found is None else (found, moment)
        found, moment = now, _end(now, moment, offset)
    return None if found is None else (found, None)


def text(at: float, zone: str, offset: Offset) -> str:
    """``Tue 2026-12-01 06:00 Europe/Berlin``, with the seconds (``06:00:30``) where there are some."""
    day, second = divmod(int(at + offset(zone, at)), DAY)
    year, month, date = civil(day)
    clock = _clock(second // 60) + (f":{second % 60:02}" if second % 60 else "")
    return f"{_DAYS[(day + 3) % 7]} {year:04}-{month:02}-{date:02} {clock} {zone}"


def hours(window: Window) -> str:
    """``Mon Tue 09:00-16:00 Europe/Berlin``."""
    days = " ".join(_DAYS[day] for day in sorted(set(window.days)))
    return f"{days} {_clock(window.start)}-{_clock(window.end)} {window.timezone}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _opens(window: Window, day: float) -> bool:
    return (day + 3) % 7 in window.days  # day 0 was a Thursday


def _edges(window: Window, at: float, offset: Offset) -> Iterator[float]:
    """Every moment after ``at`` at which it may open or close."""
    zone = window.timezone
    today = (at + offset(zone, at)) // DAY
    for day in range(-1, _AHEAD):
        for minutes in (window.start, window.end):
            local = (today + day) * DAY + minutes * 60
            first = instant(local, zone, offset)
            # The other time the clocks show it, on the night they are put back.
            yield from (edge for edge in {first, local - offset(zone, first + DAY)} if edge > at)
    soon, late = at, at + _AHEAD * DAY
    if offset(zone, soon) != offset(zone, late):
        yield _change(zone, soon, late, offset)


def _change(zone: str, low: float, high: float, offset: Offset) -> float:
    """The wall second, between these two, at which the clocks are changed."""
    before = offset(zone, low)
    first, last = int(low), int(high)
    while last - first > 1:
        middle = (first + last) // 2
        if offset(zone, middle) == before:
            first = middle
        else:
            last = middle
    return float(last)


def _in_force(freeze: Freeze, at: float, offset: Offset) -> bool:
    return (
        (freeze.since is None or at >= freeze.since)
        and (freeze.until is None or at < freeze.until)
        and (freeze.window is None or is_open(freeze.window, at, offset))
    )


def _end(freeze: Freeze, at: float, offset: Offset) -> float | None:
    closing = None if freeze.window is None else closes(freeze.window, at, offset)
    ends = [end for end in (freeze.until, closing) if end is not None]
    return min(ends, default=None)


def civil(day: int) -> tuple[int, int, int]:
    """Year, month and day of the month; ``day`` 0 is 1970-01-01. Counted in years that begin in March, so that the
    leap day is the last.
    """
    era, rest = divmod(day + 719_468, 146_097)  # days from 0000-03-01; 400 years have 146,097
    year = (rest - rest // 1_460 + rest // 36_524 - rest // 146_096) // 365
    rest -= 365 * year + year // 4 - year // 100
    month = (5 * rest + 2) // 153
    date = rest - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return year + era * 400 + (month <= 2), month, date
