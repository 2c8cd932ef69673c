"""When a fleet begins to take traffic, and how it leaves its sockets to others."""

import pytest

from gatekeeper.control.fleet.workers import FleetError
from tests.control.fleet.test_workers import fleet_of, messages, state


async def test_no_worker_lets_traffic_in_before_all_can(tmp_path):
    """A worker lets traffic in when it is shown the backends; while one cannot even start, none is."""
    async with fleet_of(2, start=False, die_in_slot=1, log=str(tmp_path / "log")) as fleet:
        with pytest.raises(FleetError, match="worker 1: exit code 7"):
            await fleet.start(state(), {"shop": {}})
    assert messages(tmp_path / "log", "backends") == []


async def test_a_picture_that_changes_during_the_start_lets_nobody_in_early(tmp_path):
    async with fleet_of(1, start=False, log=str(tmp_path / "log")) as fleet:
        fleet.show_backends({"shop": {"blue": {"http://b": "pending"}}})
        assert not (tmp_path / "log").exists()
        await fleet.start(state(), {"shop": {"blue": {"http://b": "ready"}}})
        assert [each["states"] for each in messages(tmp_path / "log", "backends")] == [
            {"shop": {"blue": {"http://b": "ready"}}}
        ]


async def test_a_drain_names_the_sockets_that_others_accept_from(tmp_path):
    async with fleet_of(2, log=str(tmp_path / "log")) as fleet:
        await fleet.drain(5.0, {("127.0.0.1:0", 1)})
    drains = {each["worker"]: each["shared"] for each in messages(tmp_path / "log", "drain")}
    assert drains == {"0": [], "1": ["127.0.0.1:0"]}
