"""Moments, hours, days and zones: what a text means, also where the clocks are changed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatekeeper.config import moments
from gatekeeper.config.problems import WrongValueError

DIGITS = st.from_regex(
    r"(\d{4}-\d\d?-\d\d?[T ]?)?\d\d?:?\d\d?( ?- ?\d\d?:?\d\d?)?([zZ]|[+-]\d\d:?\d\d)?", fullmatch=True
)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"]


def wall(text, zone=None):
    return moments.wall(moments.read_moment(text), zone)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC).timestamp()


def test_a_moment_with_an_offset_needs_no_zone():
    assert wall("2026-12-01T06:00+01:00") == wall("2026-12-01 05:00Z") == utc(2026, 12, 1, 5)
    assert wall("2026-12-01T06:00:30-05:30") == utc(2026, 12, 1, 11, 30, 30)
    assert wall("2026-12-01T06:00+01:00", "America/New_York") == utc(2026, 12, 1, 5)


def test_a_moment_without_one_is_local_to_the_zone():
    assert wall("2026-12-01T06:00") is None
    assert wall("2026-12-01T06:00", "Europe/Berlin") == utc(2026, 12, 1, 5)
    assert wall("2026-07-01T06:00", "Europe/Berlin") == utc(2026, 7, 1, 4)


@pytest.mark.parametrize("text", ["2026-03-29T02:00", "2026-03-29T02:30", "2026-03-29T02:59:59", "2026-03-29T03:00"])
def test_an_hour_the_clocks_leave_out_is_the_first_moment_after_the_gap(text):
    assert wall(text, "Europe/Berlin") == utc(2026, 3, 29, 1)


def test_an_hour_that_comes_twice_is_the_first_of_the_two():
    assert wall("2026-10-25T02:30", "Europe/Berlin") == utc(2026, 10, 25, 0, 30)
    assert wall("2026-10-25T03:00", "Europe/Berlin") == utc(2026, 10, 25, 2)
    # Half an hour is put back here.
    assert wall("2026-04-05T01:45", "Australia/Lord_Howe") == utc(2026, 4, 4, 14, 45)


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(2000, 1, 2), datetime(2199, 12, 30)).map(lambda at: at.replace(microsecond=0)),  # noqa: DTZ001
)
@example("Europe/Berlin", datetime(2026, 3, 29, 2, 30))  # noqa: DTZ001
@example("Australia/Lord_Howe", datetime(2026, 10, 4, 2, 15))  # noqa: DTZ001
def test_the_moment_is_the_first_at_which_the_clocks_show_that_or_later(zone, local):
    place = ZoneInfo(zone)
    found = wall(local.isoformat(timespec="seconds"), zone)
    shown = datetime.fromtimestamp(found, place).replace(tzinfo=None)
    second_before = datetime.fromtimestamp(found - 1, place).replace(tzinfo=None)
    first = datetime.fromtimestamp(local.replace(tzinfo=place, fold=0).timestamp(), place)
    if first.replace(tzinfo=None) == local:  # there is such an hour
        assert found == first.timestamp()
    else:
        assert second_before < local < shown
        assert shown - second_before > timedelta(seconds=1)


def test_every_zone_of_the_machine_agrees_with_what_is_local_there():
    local = datetime(2026, 6, 15, 12, 0)  # noqa: DTZ001
    for names in moments._zones().values():
        for name in names:
            assert moments.read_zone(name) == name
            assert wall("2026-06-15T12:00", name) == local.replace(tzinfo=ZoneInfo(name)).timestamp()


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("2026-12-01", "2026-12-01T00:00"),
        ("2026-12-01T6:00", "2026-12-01T06:00"),
        ("2026-12-1 06:00", "2026-12-01T06:00"),
        ("2026-12-01T06", "2026-12-01T06:00"),
        ("2026-12-01t06:00z", "2026-12-01T06:00Z"),
        ("2026-12-01T06:00+0100", "2026-12-01T06:00+01:00"),
        ("2026-12-01T06:00+01", "2026-12-01T06:00+01:00"),
        ("2026-12-01T06:00:00.000Z", "2026-12-01T06:00:00Z"),
        ("01.12.2026 06:00", ""),
        ("tomorrow", ""),
        ("2026-13-01", ""),
    ],
)
def test_a_moment_nearly_right_is_suggested(text, near):
    with pytest.raises(WrongValueError) as caught:
        moments.read_moment(text)
    assert (caught.value.message, caught.value.suggestion) == ("is not a moment", near)


@pytest.mark.parametrize("text", ["2026-02-29T06:00", "2026-12-01T24:00", "2026-12-01T06:60", "0000-01-01T00:00"])
def test_a_day_or_hour_that_never_comes_is_refused(text):
    with pytest.raises(WrongValueError, match="is no day or hour there is"):
        moments.read_moment(text)


def test_a_year_out_of_reach_and_an_offset_of_no_place_are_refused():
    with pytest.raises(WrongValueError, match="is too far away"):
        moments.read_moment("2206-12-01T06:00")
    for offset in ("+14:01", "-23:00", "+01:60"):
        with pytest.raises(WrongValueError, match="has an offset no place has"):
            moments.read_moment(f"2026-12-01T06:00{offset}")
    assert wall("2026-12-01T06:00+14:00") == utc(2026, 11, 30, 16)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("Eurpoe/Berlin", "Europe/Berlin"),
        ("Europe/Belrin", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("utc", "UTC"),
        ("Europe", ""),
        ("CEST", "CET"),
        ("Mars/Olympus", ""),
        ("../../etc/passwd", ""),
        ("/etc/localtime", ""),
        ("zone.tab", ""),
        ("localtime", ""),
        ("right/Europe/Berlin", "Europe/Berlin"),
        ("x" * 300, ""),
        ("Europe/Ber\0lin", "Europe/Berlin"),
    ],
)
def test_what_is_no_zone_is_refused_with_the_nearest(text, near):
    with pytest.raises(WrongValueError) as caught:
        moments.read_zone(text)
    assert (caught.value.message, caught.value.suggestion) == ("is not a time zone", near)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("09:00-16:00", (540, 960)),
        ("22:30-06:00", (1350, 360)),
        ("00:00-24:00", (0, 1440)),
        ("18:00-24:00", (1080, 1440)),
        ("18:00-00:00", (1080, 0)),
    ],
)
def test_hours_are_minutes_of_the_day(text, minutes):
    assert moments.read_hours(text) == minutes


@pytest.mark.parametrize(
    ("text", "message", "near"),
    [
        ("9:00-16:00", "is not a range of hours", "09:00-16:00"),
        ("9-16", "is not a range of hours", "09:00-16:00"),
        ("09:00 - 16:00", "is not a range of hours", "09:00-16:00"),
        ("09:00 to 16.30", "is not a range of hours", "09:00-16:30"),
        ("09:00", "is not a range of hours", ""),
        ("9am-4pm", "is not a range of hours", ""),
        ("09:00-25:00", "is no hour there is", ""),
        ("09:60-10:00", "is no hour there is", ""),
        ("24:00-06:00", "is no hour there is", ""),
        ("09:00-24:30", "is no hour there is", ""),
        ("09:00-09:00", "begins and ends at the same time", ""),
        ("00:00-00:00", "begins and ends at the same time", ""),
    ],
)
def test_hours_that_are_none_are_refused(text, message, near):
    with pytest.raises(WrongValueError) as caught:
        moments.read_hours(text)
    assert (caught.value.message, caught.value.suggestion) == (message, near)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon", (0,)),
        ("mon-thu", (0, 1, 2, 3)),
        ("sat-mon", (5, 6, 0)),
        ("sun-sun", (6,)),
        ("daily", (0, 1, 2, 3, 4, 5, 6)),
    ],
)
def test_days_count_from_monday(text, days):
    assert moments.read_days(text) == days


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("Mon-Thu", "mon-thu"),
        ("monday", "mon"),
        ("Monday to Friday", "mon-fri"),
        ("mon - fri", "mon-fri"),
        ("dayly", "daily"),
        ("mo-do", ""),
        ("weekend", ""),
        ("", ""),
    ],
)
def test_a_day_nearly_right_is_suggested(text, near):
    with pytest.raises(WrongValueError) as caught:
        moments.read_days(text)
    assert caught.value.suggestion == near


@given(st.sampled_from([moments.MOMENT, moments.ZONE, moments.HOURS, moments.WEEKDAYS]), st.text(max_size=40) | DIGITS)
def test_whatever_stands_there_is_read_or_refused(reads, text):
    try:
        reads.parse(text)
    except WrongValueError as error:
        if error.suggestion:
            reads.parse(error.suggestion)
