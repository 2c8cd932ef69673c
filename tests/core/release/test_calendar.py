"""Windows, freezes and local times, over changes of clocks; compared with looking at every quarter of an hour."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.release import calendar
from gatekeeper.core.release.calendar import closes, frozen, hours, instant, is_open, next_open, text, utc
from gatekeeper.core.release.plan import Freeze, Window

BERLIN = "Europe/Berlin"
ZONES = (BERLIN, "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu", "America/St_Johns")
QUARTER = 900
WEEKDAYS = (0, 1, 2, 3)
# The clocks of Berlin went from 02:00 to 03:00, and from 03:00 to 02:00.
SPRING = datetime(2026, 3, 29, 1, tzinfo=UTC).timestamp()
AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp()


def offset(zone: str, at: float) -> float:
    found = datetime.fromtimestamp(at, ZoneInfo(zone)).utcoffset()
    assert found is not None
    return found.total_seconds()


def local(zone: str, *parts: int) -> float:
    """The wall second of a local time that exists once."""
    return datetime(*parts, tzinfo=ZoneInfo(zone)).timestamp()


def clock(*parts: int) -> float:
    """Local seconds."""
    return datetime(*parts, tzinfo=UTC).timestamp()


windows = st.builds(
    Window,
    st.lists(st.integers(0, 6), min_size=1, max_size=7, unique=True).map(tuple),
    st.integers(0, 47).map(lambda half: half * 30),
    st.integers(0, 48).map(lambda half: half * 30),
    st.sampled_from(ZONES),
)
moments = st.one_of(
    st.integers(0, 365 * 96).map(lambda quarter: clock(2026, 1, 1) + quarter * QUARTER),
    st.tuples(st.sampled_from((SPRING, AUTUMN)), st.integers(-300, 300)).map(lambda item: item[0] + item[1] * QUARTER),
)


@given(windows, moments)
@settings(deadline=None, max_examples=150)
def test_a_window_opens_and_closes_at_the_first_quarter_of_an_hour_at_which_it_does(window, at):
    grid = [at + step * QUARTER for step in range(9 * 96)]
    assert next_open(window, at, offset) == next((one for one in grid if is_open(window, one, offset)), None)
    assert closes(window, at, offset) == next((one for one in grid if not is_open(window, one, offset)), None)


@given(windows, moments)
@settings(deadline=None, max_examples=150)
def test_a_window_is_open_exactly_in_its_local_hours(window, at):
    here = datetime.fromtimestamp(at, ZoneInfo(window.timezone))
    minute = here.hour * 60 + here.minute
    today, yesterday = here.weekday() in window.days, (here.weekday() - 1) % 7 in window.days
    if window.start < window.end:
        expected = today and window.start <= minute < window.end
    else:
        expected = (today and minute >= window.start) or (yesterday and minute < window.end)
    assert is_open(window, at, offset) is expected


@given(st.sampled_from(ZONES), moments)
@settings(deadline=None, max_examples=200)
def test_a_local_time_is_the_first_moment_at_which_the_clocks_show_it_or_more(zone, shown):
    grid = (shown + step * QUARTER for step in range(-30 * 4, 30 * 4))
    assert instant(shown, zone, offset) == next(at for at in grid if at + offset(zone, at) >= shown)


def test_a_local_time_that_is_skipped_is_the_moment_after_the_gap_and_one_shown_twice_the_first():
    assert instant(clock(2026, 3, 29, 2, 30), BERLIN, offset) == SPRING
    assert instant(clock(2026, 10, 25, 2, 30), BERLIN, offset) == AUTUMN - 1800
    assert instant(clock(2026, 12, 1, 6), BERLIN, offset) == local(BERLIN, 2026, 12, 1, 6)


def test_a_window_keeps_its_local_hours_when_the_clocks_are_changed():
    window = Window((6, 0), 9 * 60, 16 * 60, BERLIN)
    for year, month, day in ((2026, 3, 29), (2026, 3, 30), (2026, 10, 25), (2026, 10, 26)):
        midnight = local(BERLIN, year, month, day)
        assert next_open(window, midnight, offset) == local(BERLIN, year, month, day, 9)
        assert closes(window, local(BERLIN, year, month, day, 12), offset) == local(BERLIN, year, month, day, 16)


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on():
    window = Window((4,), 22 * 60, 2 * 60)  # Friday night; 2026-11-27 is a Friday
    assert is_open(window, clock(2026, 11, 27, 23), utc)
    assert is_open(window, clock(2026, 11, 28, 1, 59), utc)
    assert not is_open(window, clock(2026, 11, 28, 2), utc)
    assert not is_open(window, clock(2026, 11, 27, 1), utc)


def test_a_window_of_every_hour_never_closes_and_one_of_no_day_never_opens():
    always = Window(tuple(range(7)), 0, 1440)
    assert closes(always, clock(2026, 11, 27), utc) is None
    assert next_open(Window((), 0, 1440), clock(2026, 11, 27), utc) is None


def test_a_freeze_is_in_force_from_its_start_until_its_end():
    freeze = Freeze("holidays", clock(2026, 12, 20), clock(2027, 1, 6))
    assert frozen([freeze], ["shop"], clock(2026, 12, 19, 23), utc) is None
    assert frozen([freeze], ["shop"], clock(2026, 12, 20), utc) == (freeze, clock(2027, 1, 6))
    assert frozen([freeze], ["shop"], clock(2027, 1, 6), utc) is None


def test_freezes_that_follow_on_each_other_end_with_the_last():
    holidays = Freeze("holidays", clock(2026, 12, 20), clock(2027, 1, 6))
    audit = Freeze("audit", clock(2027, 1, 4), clock(2027, 1, 10))
    later = Freeze("later", clock(2027, 1, 11), clock(2027, 1, 12))
    assert frozen([later, audit, holidays], ["shop"], clock(2026, 12, 24), utc) == (audit, clock(2027, 1, 10))


def test_a_freeze_of_a_service_is_for_that_service_and_one_without_an_end_has_none():
    freeze = Freeze("stuck", services=("cart",))
    assert frozen([freeze], ["shop"], 0, utc) is None
    assert frozen([freeze], ["shop", "cart"], 0, utc) == (freeze, None)


def test_freezes_that_take_turns_for_ever_have_no_end():
    day, night = (
        Freeze("day", window=Window(tuple(range(7)), 0, 720)),
        Freeze("night", window=Window(tuple(range(7)), 720, 0)),
    )
    found = frozen([day, night], ["shop"], clock(2026, 11, 27, 1), utc)
    assert found is not None
    assert found[1] is None


def test_a_freeze_by_hours_ends_when_its_window_closes_or_its_days_are_over():
    weekends = Freeze("weekend", window=Window((5, 6), 0, 1440, BERLIN))
    saturday = local(BERLIN, 2026, 11, 28, 12)
    assert frozen([weekends], ["shop"], saturday, offset) == (weekends, local(BERLIN, 2026, 11, 30))
    until = Freeze("weekend", until=local(BERLIN, 2026, 11, 29), window=weekends.window)
    assert frozen([until], ["shop"], saturday, offset) == (until, local(BERLIN, 2026, 11, 29))


@given(st.integers(-400 * 365, 400 * 365))
def test_days_are_those_of_the_calendar(day):
    then = date(1970, 1, 1) + timedelta(days=day)
    assert text(day * 86400.0, "UTC", utc) == f"{then:%a %Y-%m-%d} 00:00 UTC"


def test_a_moment_is_written_in_the_time_of_its_zone():
    assert text(local(BERLIN, 2026, 12, 1, 6), BERLIN, offset) == "Tue 2026-12-01 06:00 Europe/Berlin"
    half_a_minute = local(BERLIN, 2026, 12, 1, 6) + 30.9
    assert text(half_a_minute, BERLIN, offset) == "Tue 2026-12-01 06:00:30 Europe/Berlin"
    assert hours(Window((3, 0), 540, 1440, BERLIN)) == "Mon Thu 09:00-24:00 Europe/Berlin"
    assert calendar.utc("anywhere", 0) == 0
