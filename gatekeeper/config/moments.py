"""Moments, hours, days and time zones as people write them.

A moment without an offset is local to a time zone that stands beside it, so it is read in two steps: ``read_moment``
takes the text, ``wall`` makes it wall seconds. One that a change of clocks leaves out is the first moment after the
gap, one that comes twice is the first of the two.
"""

import re
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

from gatekeeper.config.problems import WrongValueError, closest
from gatekeeper.config.values import ANY_SUBSTITUTION, JsonSchema, Reads
from gatekeeper.core.release.calendar import instant

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_ALL_DAY = 24 * 60
_OFFSET = r"Z|[+-]\d\d:\d\d"
_MOMENT = re.compile(rf"(\d{{4}})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?({_OFFSET})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LOOSE_MOMENT = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)(?:[Tt ]+(\d\d?)(?::(\d\d))?(:\d\d)?(?:\.\d+)?\s*([Zz]|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_FARTHEST_OFFSET = 14 * 3600
_YEARS = (2000, 2199)
"""Further away there are only typing errors; what stands here can be computed with in every time zone."""
_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)", re.ASCII)
_LOOSE_HOURS = re.compile(r"(\d\d?)(?:[:.]?(\d\d))?(?:\s*-\s*|\s*\u2013\s*|\s+to\s+)(\d\d?)(?:[:.]?(\d\d))?", re.ASCII)
# Zones of the machine gatekeeper runs on, and copies of all that exclude or include leap seconds.
_NOT_PORTABLE = frozenset({"localtime", "posixrules", "Factory"})
_LONGEST_ZONE = 64


@dataclass(frozen=True, slots=True)
class Moment:
    """``local`` are seconds from 1970-01-01 00:00 on the clocks of the place, ``east`` their offset, if it is given."""

    local: float
    east: int | None


def read_moment(text: str) -> Moment:
    """``2026-12-01T06:00`` with or without seconds, and ``Z`` or an offset."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise WrongValueError("is not a moment", suggestion=_nearest_moment(text))
    *parts, offset = found.groups()
    try:
        local = datetime(*(int(part or 0) for part in parts), tzinfo=UTC)  # type: ignore[arg-type, misc]
    except ValueError:
        raise WrongValueError("is no day or hour there is") from None
    if not _YEARS[0] <= local.year <= _YEARS[1]:
        raise WrongValueError("is too far away", allowed=f"a year from {_YEARS[0]} to {_YEARS[1]}")
    return Moment(local.timestamp(), None if offset is None else _east(offset))


def _east(offset: str) -> int:
    if offset == "Z":
        return 0
    hours, minutes = int(offset[1:3]), int(offset[4:])
    seconds = hours * 3600 + minutes * 60
    if minutes > 59 or seconds > _FARTHEST_OFFSET:
        raise WrongValueError("has an offset no place has", allowed="Z, or an offset from -14:00 to +14:00")
    return -seconds if offset[0] == "-" else seconds


def _nearest_moment(text: str) -> str:
    found = _LOOSE_MOMENT.fullmatch(text)
    if found is None:
        return ""
    year, month, day, hour, minute, second, offset = found.groups()
    if offset is not None:
        digits = re.sub(r"\D", "", offset)
        offset = f"{offset[0]}{digits[:2]}:{digits[2:] or '00'}" if digits else "Z"
    near = f"{year}-{int(month):02}-{int(day):02}T{int(hour or 0):02}:{minute or '00'}{second or ''}{offset or ''}"
    try:
        read_moment(near)
    except WrongValueError:
        return ""
    return near


_MOMENT_PATTERN = (
    rf"^\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?({_OFFSET})?$|{ANY_SUBSTITUTION}"  # as _MOMENT, without groups
)
MOMENT = Reads(
    read_moment,
    "a day and hour such as 2026-12-01T06:00, with Z or +01:00 behind it where no timezone stands beside it",
    {"type": "string", "pattern": _MOMENT_PATTERN},
)


def read_date(text: str) -> str:
    """A day as ``2027-01-31``."""
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        raise WrongValueError("is no day there is") from None
    if day is None:
        near = _nearest_moment(text)[:10]
        raise WrongValueError("is not a day", suggestion=near)
    if not _YEARS[0] <= day.year <= _YEARS[1]:
        raise WrongValueError("is too far away", allowed=f"a year from {_YEARS[0]} to {_YEARS[1]}")
    return text


def read_zone(text: str) -> str:
    """The name of a time zone of the IANA database, as it is written there."""
    if not _is_zone(text):
        raise WrongValueError("is not a time zone", suggestion=_nearest_zone(text))
    return text


def _is_zone(name: str) -> bool:
    if len(name) > _LONGEST_ZONE or name in _NOT_PORTABLE or name.startswith(("posix/", "right/")):
        return False
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # none, not a name, a folder or another file beside the zones
        return False
    return True


@lru_cache(maxsize=1)
def _zones() -> dict[str, tuple[str, ...]]:
    """Area -> zones in it; the ones without an area under "". Looked up once, when there is a mistake to explain."""
    found: dict[str, list[str]] = {}
    for name in sorted(zoneinfo.available_timezones() - _NOT_PORTABLE, key=lambda name: (name.count("/"), name)):
        found.setdefault(name.partition("/")[0] if "/" in name else "", []).append(name)
    return {area: tuple(names) for area, names in found.items()}


@lru_cache(maxsize=256)
def _nearest_zone(text: str) -> str:
    """The zone that was meant: by its city alone, or by the nearest name of its area."""
    zones = _zones()
    if len(text) > _LONGEST_ZONE or text in zones:
        return ""
    area, _, city = text.replace(" ", "_").rpartition("/")
    for names in zones.values():
        for name in names:
            if name.rpartition("/")[2].lower() == city.lower():
                return name
    areas = {one.lower(): one for one in zones}
    known = areas.get(area.partition("/")[0].lower())
    # Only those that begin alike: to compare with all would cost a file of many mistakes minutes.
    first = city[:1].lower()
    alike = [name for name in zones[known] if name.rpartition("/")[2][:1].lower() == first] if known is not None else []
    return closest(text, alike)


ZONE = Reads(read_zone, "a time zone such as Europe/Berlin, America/New_York or UTC", {"type": "string"})


def offset(zone: str, at: float) -> float:
    """Seconds by which the clocks of ``zone`` (a known one) are ahead of UTC at the wall second ``at``."""
    return datetime.fromtimestamp(at, zoneinfo.ZoneInfo(zone)).utcoffset().total_seconds()  # type: ignore[union-attr]


def wall(moment: Moment, zone: str | None) -> float | None:
    """Wall seconds; None where it takes a zone to know them and there is none."""
    if moment.east is not None:
        return moment.local - moment.east
    return None if zone is None else instant(moment.local, zone, offset)


def read_hours(text: str) -> tuple[int, int]:
    """``09:00-16:00`` as minutes of the day, the first below 1440, the second at most that."""
    found = _HOURS.fullmatch(text)
    if found is None:
        raise WrongValueError("is not a range of hours", suggestion=_nearest_hours(text))
    start, end = (int(found[at]) * 60 + int(found[at + 1]) for at in (1, 3))
    if start >= _ALL_DAY or end > _ALL_DAY or max(int(found[2]), int(found[4])) > 59:
        raise WrongValueError("is no hour there is", allowed="00:00 to 23:59, at the end also 24:00")
    if start == end:
        raise WrongValueError("begins and ends at the same time", allowed="00:00-24:00 for the whole day")
    return start, end


def _nearest_hours(text: str) -> str:
    found = _LOOSE_HOURS.fullmatch(text.strip())
    if found is None:
        return ""
    near = f"{int(found[1]):02}:{found[2] or '00'}-{int(found[3]):02}:{found[4] or '00'}"
    try:
        read_hours(near)
    except WrongValueError:
        return ""
    return near


HOURS = Reads(
    read_hours,
    "hours such as 09:00-16:00; 22:00-06:00 ends on the next day, 00:00-24:00 is the whole day",
    {"type": "string", "pattern": rf"^[0-2]\d:[0-5]\d-[0-2]\d:[0-5]\d$|{ANY_SUBSTITUTION}"},
)


def read_days(text: str) -> tuple[int, ...]:
    """A day, a range of days (``mon-thu``; ``sat-mon`` goes over Sunday) or ``daily``, as 0 (Monday) to 6."""
    if text == "daily":
        return tuple(range(7))
    first, dash, last = text.partition("-")
    if first not in DAYS or (dash and last not in DAYS):
        raise WrongValueError("is no day of the week", suggestion=_nearest_days(text))
    start = DAYS.index(first)
    length = (DAYS.index(last) - start) % 7 + 1 if dash else 1
    return tuple((start + step) % 7 for step in range(length))


def _nearest_days(text: str) -> str:
    """Monday, MON-THU and the like."""
    lower = text.strip().lower()
    parts = [part.strip() for part in re.split(r"-|\u2013|\bto\b", lower, maxsplit=1)]
    short = [next((day for day in DAYS if part.startswith(day)), "") for part in parts]
    return "-".join(short) if all(short) else closest(lower, ("daily",))


_DAY_PATTERN = "|".join(DAYS)
_DAYS_SCHEMA: JsonSchema = {
    "type": "string",
    "pattern": rf"^(daily|({_DAY_PATTERN})(-({_DAY_PATTERN}))?)$|{ANY_SUBSTITUTION}",
}
WEEKDAYS = Reads(read_days, f"{', '.join(DAYS)}, a range such as mon-thu, or daily", _DAYS_SCHEMA)
