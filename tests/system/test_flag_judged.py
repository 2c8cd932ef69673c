"""Flags that are judged over real sockets: one that breaks its users' requests is turned off, a harmless one is not."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from tests.system.judged import ERRORS, LATE, LOOK, Users, Version, free_port
from tests.system.parts import running

pytestmark = pytest.mark.system

FLAG = {"on": True, "percent": 50, "services": ["shop"], "on_fail": "off"}
FLAGS = {"broken": {**FLAG, "analysis": ERRORS}, "harmless": {**FLAG, "analysis": ERRORS}}
PEOPLE = 400


def has(flag, request):
    return flag in ", ".join(request.all("x-gatekeeper-flags")).split(", ")


async def flag(gatekeeper, name):
    status, found = await gatekeeper.admin("GET", f"/v1/flags/{name}")
    assert status == 200, found
    return found


@pytest.mark.parametrize("sticky", [{"by": ["header:X-User-Id"]}, {"mode": "none"}], ids=["units", "requests"])
async def test_a_flag_whose_users_fail_is_turned_off_by_the_judge_and_a_harmless_one_stays(tmp_path, sticky, tell):
    async with AsyncExitStack() as stack:
        blue = await stack.enter_async_context(Version("blue", fails_for=lambda request: has("broken", request)))
        service = {"hosts": ["shop.test"], "sticky": sticky, "retries": {"attempts": 0}, "ejection": "off",
                   "trip": "off", "versions": {"blue": {"backends": [blue.url]}}}  # fmt: skip
        port = free_port()
        gatekeeper = await stack.enter_async_context(running(tmp_path, port, {"shop": service}, flags=FLAGS))
        users = Users(port, "shop", 100, fields=lambda number: {"x_user_id": f"user-{number % PEOPLE}"})
        stack.push_async_callback(users.leave)
        began = time.monotonic()
        users.come()
        while (found := await flag(gatekeeper, "broken"))["on"]:
            assert time.monotonic() < began + LATE, found["verdict"]
            await asyncio.sleep(LOOK)
        await users.leave()
        status, history = await gatekeeper.admin("GET", "/v1/flags/broken/history")
        assert status == 200
        newest = history["revisions"][0]
        assert (newest["actor"], newest["action"]) == ("judge", "flag_off")
        assert "broken=on had" in newest["note"]
        # Half of the requests failed until then: two seconds' worth at the most.
        assert users.failed == len(blue.failed) <= 200
        tell(failed_users=users.failed, seconds=round(time.monotonic() - began, 1))
        harmless = await flag(gatekeeper, "harmless")
        assert harmless["on"]
        # For the other's sake half of its users failed, too, and half of those who do not have it.
        assert harmless["verdict"]["kind"] != "rollback"
        assert min(harmless["verdict"]["errors"].values()) > 0
        shown = await asyncio.to_thread(gatekeeper.cli, "flag", "show", "harmless")
        assert "judged: " in shown.stdout
        found = await flag(gatekeeper, "broken")
        assert (found["on"], found["killed"], found["verdict"]) == (False, False, None)
