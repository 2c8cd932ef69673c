"""The quiet hour: what is wrong with one, and what is not."""

import time

import pytest

from benchmarks.quiet_hour import GROWTH_LIMIT, Seen, Shared, Weather, growth, markdown, wrong
from benchmarks.releases.users import Users

MIB = 1 << 20


def hour(*, kinds=None, grown=0, weight=25.0, spike=0):
    looks = []
    for minute in range(60):
        rss = [70 * MIB + (spike if minute == 30 else 0), 30 * MIB + (grown if minute > 50 else 0)]
        looks.append(Seen(60.0 * (minute + 1), (kinds or {}).get(minute, "collecting"), 1.0, weight, rss))
    return looks


def test_nothing_is_wrong_with_an_hour_in_which_nothing_happened():
    assert wrong(hour()) == []
    assert wrong(hour(kinds={20: "suspicious", 21: "shared_trouble"})) == []


@pytest.mark.parametrize("kind", ["rollback", "invalid"])
def test_an_alarm_is_wrong(kind):
    assert wrong(hour(kinds={20: kind})) == [f"after 1260 s the judge said {kind}"]


def test_a_candidate_without_weight_at_the_end_is_wrong():
    assert wrong(hour(weight=0.0)) == ["the candidate lost its weight"]


def test_memory_that_stays_larger_is_wrong_and_a_moment_of_it_is_not():
    assert growth(hour(grown=3 * MIB)) == [0, 3 * MIB]
    assert len(wrong(hour(grown=GROWTH_LIMIT + 1))) == 1
    assert wrong(hour(spike=2 * GROWTH_LIMIT)) == []


def test_a_worker_that_was_lost_is_wrong():
    looks = hour()
    looks[30].rss = looks[30].rss[:1]
    assert wrong(looks) == ["a process died or was replaced"]


def test_both_versions_have_the_same_weather_which_changes_with_the_time():
    weather = Weather(faster=1.0)
    versions = [Shared(weather, candidate=candidate) for candidate in (False, True)]

    def failing(now):
        weather.began = time.monotonic() - now
        found = [[version.fate(number).fails for number in range(2000)] for version in versions]
        assert found[0] == found[1]
        return sum(found[0]) / 2000

    low, high, bad = failing(1275), failing(425), failing(1090)
    assert low < 0.005
    assert 0.01 < high < 0.02
    assert bad > 0.08
    weather.began = time.monotonic() - 150
    slow = versions[0].fate(1).seconds
    weather.began = time.monotonic() - 450
    assert slow > 5 * versions[1].fate(1).seconds


def test_the_table_says_for_how_long_what_was_said_and_what_was_held():
    users = Users(1, 1.0, None)
    users.sent = 720_000
    text = markdown(hour(kinds={0: "none"}), users, {"date": "today"})
    assert "| requests | 720,000 |" in text
    assert "| seconds of *collecting* | 3,540 |" in text
    assert "| memory of the supervisor, first and last (growth once warm), MiB | 70.0, 70.0 (+0.0) |" in text
