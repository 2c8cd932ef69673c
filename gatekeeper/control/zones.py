"""Time zones: what the clocks of a place say. Rules come from the machine, or else from the tzdata package."""

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

CACHED = 64
"""Zones kept in memory, a few KiB each: those of all plans and freezes of any real file, and room to spare."""


def offset(zone: str, wall: float) -> int:
    """Seconds by which the clocks of ``zone`` (an IANA name) are ahead of UTC at ``wall`` seconds; negative west of it.

    The rules are those of when the zone was first asked for; new ones are taken up by the next start. Raises
    LookupError for a zone that is not known here.
    """
    east = datetime.fromtimestamp(wall, _zone(zone)).utcoffset()
    assert east is not None  # noqa: S101 - a ZoneInfo knows its offset at every moment
    return round(east.total_seconds())


@lru_cache(maxsize=CACHED)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError) as error:  # not a name, a folder, or a file that is no zone
        raise LookupError(f"no time zone {name!r}") from error
