"""Plans of hours and days over real processes, with clocks in the test's hands (``clocked``)."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.system.clocked import Clocks
from tests.system.programs import until
from tests.system.team import entry

pytestmark = [pytest.mark.system, pytest.mark.outside("nginx")]

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3600
SLACK = 5.0
"""Seconds: a look every second, on a busy machine."""
STEPS = [{"weight": 10, "hold": "3h"}, {"weight": 50, "hold": "3h"}, {"weight": 100, "hold": "1h"}]
OFFICE = {"window": {"days": "mon-thu", "hours": "09:00-16:00", "timezone": "Europe/Berlin"}}


def berlin(day, clock, month=12, year=2026):
    hour, minute = map(int, clock.split(":"))
    return datetime(year, month, day, hour, minute, tzinfo=BERLIN).timestamp()


@pytest.fixture
def clocks(tmp_path):
    return Clocks(tmp_path / "clocks")


@pytest.fixture
def at(team, clocks):
    """``at(moment, plan)`` is a gatekeeper that was started at that wall second, with green ready."""

    def start(moment, plan, **more):
        clocks.set_wall(moment)
        gatekeeper = team(plans={"slow": plan}, clocks=clocks, **more)
        gatekeeper.until_ready()
        return gatekeeper

    return start


def stepped(release, number):
    return entry(release, "step", number)["at"]


def test_a_window_that_closes_in_the_middle_holds_the_release_until_it_opens(at, clocks):
    """Thursday: two steps within the hours; the third would be at 16:30, and waits over the weekend for Monday 9:00,
    also over a kill -9 of everything."""
    thursday, monday = 3, 7
    gatekeeper = at(berlin(thursday, "08:00"), {"start": OFFICE, "steps": STEPS})
    gatekeeper.begin(plan="slow")
    release = gatekeeper.comes_to("waiting", -1, waits="window")
    assert release["waiting"][0]["until"] == berlin(thursday, "09:00")

    clocks.until(berlin(thursday, "10:30"))
    release = gatekeeper.comes_to("progressing", 0)
    assert stepped(release, 0) == pytest.approx(berlin(thursday, "10:30"), abs=SLACK)
    clocks.until(berlin(thursday, "13:29"))
    assert gatekeeper.release()["step"] == 0
    clocks.until(berlin(thursday, "13:31"))
    gatekeeper.comes_to("progressing", 1)
    clocks.until(berlin(thursday, "16:32"))
    release = gatekeeper.comes_to("waiting", 1, waits="window")
    assert gatekeeper.split_of() == {"blue": 50, "green": 50}
    assert release["waiting"][0]["until"] == berlin(monday, "09:00")
    assert release["next"]["at"] == berlin(monday, "09:00")

    clocks.until(berlin(thursday + 2, "12:00"))
    gatekeeper.kill()
    clocks.until(berlin(monday, "08:59"))
    gatekeeper.start()
    assert gatekeeper.release()["state"] == "waiting"
    clocks.until(berlin(monday, "09:00") + 1)
    release = gatekeeper.comes_to("progressing", 2)
    assert gatekeeper.split_of() == {"blue": 0, "green": 100}
    clocks.until(berlin(monday, "10:00") + SLACK + 1)
    release = gatekeeper.comes_to("promoted")
    assert release["ended_at"] == pytest.approx(berlin(monday, "10:00"), abs=2 * SLACK)


@pytest.mark.parametrize("jump", [-5 * HOUR, 5 * HOUR])
def test_a_wall_clock_that_is_set_neither_shortens_nor_lengthens_a_hold(at, clocks, jump):
    """Held by what really passes: 3 h, whatever the wall clock says meanwhile; and the release never goes back."""
    gatekeeper = at(berlin(1, "10:00"), {"steps": STEPS})
    gatekeeper.begin(plan="slow")
    before = stepped(gatekeeper.comes_to("progressing", 0), 0)
    clocks.pass_(HOUR)
    clocks.set_wall(clocks.wall() + jump)
    clocks.pass_(2 * HOUR - 60)
    release = gatekeeper.release()
    assert (release["step"], release["hold"]["over"]) == (0, pytest.approx(3 * HOUR - 60, abs=SLACK))
    clocks.pass_(120)
    release = gatekeeper.comes_to("progressing", 1)
    moments = [item["at"] for item in release["log"]]
    assert moments == sorted(moments)
    assert stepped(release, 1) > before


def test_a_wall_clock_set_back_over_a_restart_does_not_take_the_release_back(at, clocks):
    """What the release has seen it does not live again: its hold goes on from there."""
    gatekeeper = at(berlin(1, "10:00"), {"steps": STEPS})
    gatekeeper.begin(plan="slow")
    gatekeeper.comes_to("progressing", 0)
    clocks.pass_(3 * HOUR + 10)
    seen = stepped(gatekeeper.comes_to("progressing", 1), 1)
    gatekeeper.kill()
    clocks.set_wall(berlin(1, "09:00"))
    gatekeeper.start()
    release = gatekeeper.release()
    assert (release["state"], release["step"]) == ("progressing", 1)
    assert release["now"] >= seen
    assert 0 <= release["hold"]["over"] < SLACK
    clocks.pass_(3 * HOUR + 10)
    release = gatekeeper.comes_to("progressing", 2)
    moments = [item["at"] for item in release["log"]]
    assert moments == sorted(moments)


def test_a_start_in_the_hour_that_a_change_of_clocks_leaves_out_is_the_first_moment_after_it(at, clocks):
    """02:30 does not exist in Berlin on 2027-03-28: it is 03:00, one second after 01:59:59."""
    night = {"start": {"at": "2027-03-28T02:30", "timezone": "Europe/Berlin"}, "steps": STEPS}
    gatekeeper = at(berlin(28, "01:00", 3, 2027), night)
    gatekeeper.begin(plan="slow")
    release = gatekeeper.comes_to("waiting", -1, waits="time")
    assert release["waiting"][0]["until"] == berlin(28, "01:00", 3, 2027) + HOUR == berlin(28, "03:00", 3, 2027)
    clocks.until(berlin(28, "03:00", 3, 2027) - 30)
    assert gatekeeper.release()["state"] == "waiting"
    clocks.until(berlin(28, "03:00", 3, 2027) + 1)
    gatekeeper.comes_to("progressing", 0)


def test_an_approval_of_yesterday_counts_no_more_and_the_old_version_is_kept_for_its_time_alone(at, clocks):
    """``expires`` and ``retain`` in hours."""
    plan = {"approve": {"groups": ["product"], "expires": "12h"}, "start": {"at": "2026-12-02T09:00Z"}, "retain": "2h"}
    gatekeeper = at(berlin(1, "10:00"), {**plan, "steps": [{"weight": 100, "hold": "1h"}]})
    gatekeeper.begin(plan="slow")
    gatekeeper.comes_to("waiting", -1, waits="approval")
    gatekeeper.do("pia", "approve")
    clocks.until(berlin(2, "10:01"))
    release = gatekeeper.comes_to("waiting", -1, waits="approval")
    assert gatekeeper.split_of()["green"] == 0
    gatekeeper.do("pia", "approve")
    gatekeeper.comes_to("progressing", 0)
    clocks.pass_(HOUR + 5)
    release = gatekeeper.comes_to("promoted")
    clocks.pass_(2 * HOUR - 60)
    assert gatekeeper.release()["retained"]
    gatekeeper.kill()
    clocks.pass_(120)
    gatekeeper.start()
    until(lambda: not gatekeeper.release()["retained"], what="the end of the retention")
    assert "rollback" not in gatekeeper.release()["allowed"]
    assert gatekeeper.stable() == "green"
    assert release["retained_until"] == pytest.approx(release["ended_at"] + 2 * HOUR)
