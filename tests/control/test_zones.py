"""Offsets of time zones, from the machine's rules or from the package's."""

import zoneinfo
from datetime import UTC, datetime

import pytest

from gatekeeper.control import zones


@pytest.fixture(autouse=True)
def _nothing_remembered():
    zones._zone.cache_clear()
    yield
    zones._zone.cache_clear()


def at(*parts):
    return datetime(*parts, tzinfo=UTC).timestamp()


def test_an_offset_is_whole_seconds_east_of_utc():
    assert zones.offset("UTC", 0.0) == 0
    assert zones.offset("Europe/Berlin", at(2026, 12, 1)) == 3600
    assert zones.offset("America/New_York", at(2026, 12, 1)) == -5 * 3600
    assert zones.offset("Asia/Kathmandu", at(2026, 12, 1) + 0.75) == 5 * 3600 + 45 * 60
    assert isinstance(zones.offset("Europe/Berlin", 1.5), int)


def test_it_changes_in_the_very_second_the_clocks_are_changed():
    change = at(2026, 3, 29, 1)
    assert [zones.offset("Europe/Berlin", change + moved) for moved in (-0.001, 0)] == [3600, 7200]
    back = at(2026, 10, 25, 1)
    assert [zones.offset("Europe/Berlin", back + moved) for moved in (-0.001, 0)] == [7200, 3600]


def test_offsets_of_old_times_with_parts_of_minutes_are_rounded_to_seconds():
    assert zones.offset("Europe/Berlin", at(1890, 1, 1)) == 53 * 60 + 28


@pytest.mark.parametrize("name", ["Mars/Olympus", "Europe", "../passwd", "/etc/localtime", "zone.tab", "", "a\0b"])
def test_a_zone_that_is_none_is_a_lookup_error(name):
    with pytest.raises(LookupError):
        zones.offset(name, 0.0)


def test_a_machine_without_rules_uses_those_of_the_package():
    before = zoneinfo.TZPATH
    zoneinfo.ZoneInfo.clear_cache()
    try:
        zoneinfo.reset_tzpath(to=())
        assert zones.offset("Europe/Berlin", at(2026, 7, 1)) == 7200
    finally:
        zoneinfo.reset_tzpath(to=before)
        zoneinfo.ZoneInfo.clear_cache()


def test_no_more_zones_are_kept_than_are_allowed():
    for name in sorted(zoneinfo.available_timezones())[: zones.CACHED + 20]:
        zones.offset(name, 0.0)
    assert zones._zone.cache_info().currsize == zones.CACHED
