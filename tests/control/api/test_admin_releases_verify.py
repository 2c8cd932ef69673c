"""The checks of a plan, made now for whoever asks: answered with what they found, ended when nobody waits any more."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from gatekeeper.control.api.admin import Admin
from gatekeeper.core.release.plan import Check, CommandCheck, Releasing
from tests.control.conftest import Api
from tests.control.released import CHECKED, PLANS, with_people, with_plans

VERIFY = "/v1/services/shop/verify"


def command(*run, timeout=60.0):
    return Check(command=CommandCheck(run, timeout))


@pytest.fixture(autouse=True)
def _plans(world):
    with_plans(world)


def plan_of(world, *checks, name="own"):
    found = replace(CHECKED, name=name, verify=checks)
    with_plans(world, Releasing({**PLANS, name: found}))


async def test_the_checks_are_made_now_and_nothing_changes(world, api):
    plan_of(world, CHECKED.verify[0], command("sh", "-c", "echo out; echo err >&2; exit 3"))
    status, document, headers = await api("POST", VERIFY, json={"version": "green", "plan": "own"})
    assert status == 200
    assert "ETag" not in headers
    assert (document["service"], document["version"], document["plan"]) == ("shop", "green", "own")
    assert document["passed"] is False
    http, program = document["results"]
    assert (http["name"], http["passed"]) == ("http /healthz", True)
    assert program["passed"] is False
    assert "exit code 3" in program["output"]
    assert {"out", "err"} <= set(program["output"].split())
    assert world.controller.state.revision == 1
    assert world.controller.state.releases == {}


async def test_who_had_it_verified_stands_in_the_audit(world, api):
    status, document, _ = await api("POST", VERIFY, json={"version": "green", "plan": "checked"})
    assert (status, document["passed"]) == (200, True)
    await world.feed.flush()
    (row,) = await world.store.audit(1)
    assert (row.action, row.service, row.outcome) == ("verify", "shop", "done")
    assert row.detail == "green: 1 of 1 checks passed"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"version": "green"}, 409, "nothing_to_verify"),
        ({"version": "green", "plan": "ramp"}, 409, "nothing_to_verify"),
        ({"version": "gren", "plan": "checked"}, 404, "unknown_version"),
        ({"version": "green", "plan": "chekced"}, 422, "invalid_body"),
        ({"version": "green", "plan": "direct"}, 409, "nothing_to_verify"),
        ({}, 422, "invalid_body"),
    ],
)
async def test_what_cannot_be_verified_says_why(api, body, status, code):
    found, problem, _ = await api("POST", VERIFY, json=body)
    assert (found, problem["code"]) == (status, code)
    if code == "nothing_to_verify":
        assert problem["allowed"] == "a plan with checks: checked, slow, full"


async def test_the_default_plan_of_the_service_is_used(world, api):
    with_plans(world, Releasing(PLANS, {"shop": "checked"}))
    _, document, _ = await api("POST", VERIFY, json={"version": "green"})
    assert document["plan"] == "checked"


async def test_where_there_is_no_plan_at_all_that_is_the_way_out(world, api):
    with_plans(world, Releasing())
    _, problem, _ = await api("POST", VERIFY, json={"version": "green"})
    assert problem["allowed"] == "a plan in the file, with `verify:`"


async def test_what_is_not_done_in_time_has_failed_and_is_ended(world, api):
    plan_of(world, command("sh", "-c", "exit 0"), command("sleep", "60"))
    status, document, _ = await api("POST", f"{VERIFY}?wait=1s", json={"version": "green", "plan": "own"})
    assert (status, document["passed"]) == (200, False)
    quick, slow = document["results"]
    assert quick["passed"] is True, "what was done in time counts"
    assert (slow["passed"], slow["output"]) == (False, "not finished within 1 s")
    await gone(world)


@pytest.mark.parametrize("wait", ["0s", "500ms", "2h", "x"])
async def test_the_time_for_it_has_bounds(api, wait):
    status, problem, _ = await api("POST", f"{VERIFY}?wait={wait}", json={"version": "green", "plan": "checked"})
    assert (status, problem["code"]) == (400, "bad_query")


async def test_when_the_caller_goes_away_the_checks_end(world, api, caplog):
    asking = asyncio.create_task(api("POST", VERIFY, json={"version": "green", "plan": "slow"}))
    await running(world)
    asking.cancel()
    await gone(world)
    await world.feed.flush()
    assert [row.action for row in await world.store.audit()] == ["start"], "nothing was found out"
    assert caplog.records == []


async def test_when_gatekeeper_stops_the_checks_end(world, tmp_path):
    admin = Admin(world.parts, path=str(tmp_path / "own.sock"))
    await admin.start()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "own.sock"))) as session:
        api = Api(session, "http://gatekeeper")
        asking = asyncio.create_task(api("POST", VERIFY, json={"version": "green", "plan": "slow"}))
        await running(world)
        await asyncio.wait_for(admin.stop(), 5)
        await gone(world)
        with pytest.raises(aiohttp.ClientError):
            await asking


async def test_so_many_verifications_are_made_at_once_and_no_more(world, api):
    body = {"version": "green", "plan": "slow"}
    asking = [asyncio.create_task(api("POST", VERIFY, json=body)) for _ in range(4)]
    await running(world, 4)
    status, problem, _ = await api("POST", VERIFY, json={"version": "green", "plan": "checked"})
    assert (status, problem["code"]) == (503, "busy")
    for task in asking:
        task.cancel()
    await gone(world)
    assert (await api("POST", VERIFY, json={"version": "green", "plan": "checked"}))[0] == 200


async def test_a_verification_is_no_change_so_it_goes_on_beside_them(world, api):
    asking = asyncio.create_task(api("POST", VERIFY, json={"version": "green", "plan": "slow"}))
    await running(world)
    assert (await api("PUT", "/v1/services/shop/split", json={"blue": 1, "green": 1}))[0] == 200
    asking.cancel()
    await gone(world)


async def test_only_an_operator_may(world, tcp):
    with_people(world)
    status, problem, _ = await tcp.with_token("pia")("POST", VERIFY, json={"version": "green", "plan": "checked"})
    assert (status, problem["code"]) == (403, "forbidden")


async def running(world, many=1):
    for _ in range(500):
        if world.parts.runner.examiner.programs.running >= many:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("no program was started")


async def gone(world):
    for _ in range(500):
        if world.parts.runner.examiner.programs.running == 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("a program still runs")
