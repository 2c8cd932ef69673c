import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.interface import when

WINTER = timezone(timedelta(hours=1))
SUMMER = timezone(timedelta(hours=2))


@pytest.fixture(autouse=True)
def berlin(monkeypatch):
    """The terminal stands where clocks are changed: forward on 2026-03-29, back on 2026-10-25."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(*parts: int, zone=WINTER) -> float:
    return datetime(*parts, tzinfo=zone).timestamp()


NOW = at(2026, 11, 23, 12, 0)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-01T06:00", at(2026, 12, 1, 6)),
        ("2026-12-01 06:00:30", at(2026, 12, 1, 6, 0, 30)),
        ("2026-12-01T06:00Z", at(2026, 12, 1, 6, zone=UTC)),
        ("2026-12-01T06:00+05:00", at(2026, 12, 1, 2)),
        ("18:30", at(2026, 11, 23, 18, 30)),
        ("11:59", at(2026, 11, 24, 11, 59)),
        ("12:00", at(2026, 11, 24, 12)),
        ("12:00:01", at(2026, 11, 23, 12, 0, 1)),
        ("in 10m", NOW + 600),
        ("  in  1d2h ", NOW + 26 * 3600),
    ],
)
def test_a_moment_is_read_as_people_write_it_on_the_clocks_of_the_terminal(text, moment):
    assert when.read(text, NOW) == moment


@pytest.mark.parametrize(
    ("text", "now", "moment"),
    [
        ("02:30", at(2026, 3, 29, 1), at(2026, 3, 29, 3, zone=SUMMER)),
        ("2026-03-29T02:00", at(2026, 3, 1), at(2026, 3, 29, 3, zone=SUMMER)),
        ("2026-10-25T02:30", at(2026, 10, 1, zone=SUMMER), at(2026, 10, 25, 2, 30, zone=SUMMER)),
        ("02:30", at(2026, 10, 25, 2, 15, zone=SUMMER), at(2026, 10, 25, 2, 30, zone=SUMMER)),
        ("02:30", at(2026, 10, 25, 2, 45, zone=SUMMER), at(2026, 10, 25, 2, 30)),
        ("02:30", at(2026, 10, 25, 2, 45), at(2026, 10, 26, 2, 30)),
    ],
)
def test_a_change_of_clocks_leaves_no_doubt_which_moment_is_meant(text, now, moment):
    assert when.read(text, now) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "25:00",
        "12:60",
        "in x",
        "in",
        "10m",
        "2026-12-01",
        "2026-02-30T00:00",
        "2026-12-01T06:00+01",
        "20261201T06",
    ],
)
def test_what_is_no_moment_says_what_one_looks_like(text):
    with pytest.raises(ValueError, match="is no moment; it looks like 2026-12-01T06:00"):
        when.read(text, NOW)


@pytest.mark.parametrize(
    ("text", "why"), [("2026-11-23T11:59", "has passed: it was 1m ago"), ("in 9999d", "ten years")]
)
def test_the_past_and_the_far_future_are_mistakes(text, why):
    with pytest.raises(ValueError, match=why):
        when.read(text, NOW)


@given(st.integers(0, 2**31), st.integers(0, 23), st.integers(0, 59))
def test_a_clock_is_the_next_moment_that_shows_it(now, hour, minute):
    moment = when.read(f"{hour}:{minute:02}", now)
    assert now < moment <= now + 25 * 3600
    shown = datetime.fromtimestamp(moment).astimezone()
    asked = (hour, minute)
    # Only in the hour that a change of clocks leaves out nothing shows it, and then it is the first moment after it.
    assert (shown.hour, shown.minute) == asked or (shown.hour > hour and shown.minute == shown.second == 0)


def test_a_moment_of_today_is_shown_by_its_time_alone():
    assert when.short(NOW, NOW + 60) == "12:00:00"
    assert when.short(NOW, NOW + 86400) == "Mon 2026-11-23 12:00:00"
    assert when.short(None, NOW) == ""
