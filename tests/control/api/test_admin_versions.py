"""Versions by the API: deployed, replaced, retired, drained, and let in again after a trip."""

import asyncio
import json

from gatekeeper.core.command import TripVersion
from gatekeeper.core.model import HealthCheck
from tests.tls.authority import Authority

SHOP = "/v1/services/shop"
SPLIT = f"{SHOP}/split"
GREEN, BLUE, RED = (f"{SHOP}/versions/{name}" for name in ("green", "blue", "red"))
NEW = {"backends": ["http://127.0.0.1:9009"]}


def paths(problem):
    return [entry["path"] for entry in problem["problems"]]


def urls(world, version):
    definition = world.controller.state.services["shop"].definition
    return [backend.url for backend in definition.versions[version].backends]


async def test_a_new_version_gets_no_weight_and_nobody_checks_it_first(world, api):
    body = {"backends": ["http://127.0.0.1:9009", {"url": "http://127.0.0.1:9010", "weight": 2}], "build": "b7"}
    status, document, headers = await api("PUT", RED + "?note=first", json=body)
    assert (status, headers["ETag"]) == (200, '"2"')
    assert (document["version"], document["split"]) == ("red", {"blue": 100, "green": 0, "red": 0})
    changes = {change["path"]: change["after"] for change in document["changes"]}
    assert changes["services.shop.versions.red"] == ["http://127.0.0.1:9009", "http://127.0.0.1:9010"]
    assert world.proof.asked == []
    _, shown, _ = await api("GET", RED)
    assert (shown["origin"], shown["build"], shown["weight"]) == ("deploy", "b7", 0)
    assert [one["weight"] for one in shown["backends"]] == [1, 2]
    assert (await world.store.revisions(limit=1))[0].note == "first"


async def test_what_is_left_out_is_as_it_was_or_as_in_stable(world, api, edited):
    service = world.files.definition.services["shop"]
    checked = edited(service.versions["blue"], health=HealthCheck(path="/up"))
    shop = edited(service, versions={**service.versions, "blue": checked})
    world.files.definition = edited(world.files.definition, services={**world.files.definition.services, "shop": shop})
    await api("POST", "/v1/reload")
    for body, path in ((NEW, "/up"), ({**NEW, "health": {"path": "/own"}}, "/own"), (NEW, "/own")):
        await api("PUT", RED, json=body)
        assert world.controller.state.services["shop"].definition.versions["red"].health.path == path
    await api("PUT", RED, json={**NEW, "health": None})
    assert world.controller.state.services["shop"].definition.versions["red"].health is None


async def test_every_mistake_in_a_version_is_in_one_answer_with_its_path(world, api):
    body = {"backend": [], "backends": ["127.0.0.1:1", {"url": "http://a:1", "wieght": 2}], "health": {"rise": 0}}
    status, problem, _ = await api("PUT", f"{SHOP}/versions/gr%20een", json=body)
    assert (status, problem["code"]) == (422, "invalid_version")
    assert set(paths(problem)) == {"version", "backend", "backends[0]", "backends[1].wieght", "health.rise"}
    found = {entry["path"]: entry for entry in problem["problems"]}
    assert found["backend"]["suggestion"] == "backends"
    assert found["backends[0]"]["suggestion"] == "http://127.0.0.1:1"
    assert found["version"]["suggestion"] == "gr-een"
    assert "line" not in found["backend"]
    for body in ([], "x", {"backends": ["${PATH}"]}, {"backends": [[[[]]]]}, {}):
        assert (await api("PUT", RED, data=json.dumps(body)))[0] == 422
    assert (await api("PUT", RED, data="[" * 500 + "]" * 500))[0] == 422
    assert (await api("PUT", RED, data='{"backends":' + "[" * 400 + "]" * 400 + "}"))[0] == 422
    assert world.controller.state.revision == world.disk()[0] == 1


async def test_a_version_with_users_keeps_its_backends_until_the_new_ones_passed(world, api):
    before = urls(world, "blue")
    world.proof.hold = asyncio.Event()
    reply = asyncio.create_task(api("PUT", BLUE + "?wait=5s", json=NEW))
    await asyncio.wait_for(world.proof.began.wait(), 5)
    assert urls(world, "blue") == before
    assert (await api("PUT", "/v1/services/cart/split", json={"v2": 1}))[0] == 200, "the writer does not wait"
    world.proof.hold.set()
    status, document, _ = await reply
    assert (status, document["revision"]) == (200, 3)
    assert urls(world, "blue") == NEW["backends"]
    ((service, version, seconds),) = world.proof.asked
    assert (service, version.name, seconds) == ("shop", "blue", 5.0)
    assert {row.outcome for row in await world.store.audit()} == {"done"}, "nothing was refused on the way"
    assert (await api("PUT", BLUE, json=NEW))[0] == 200
    assert len(world.proof.asked) == 1, "nothing new, nothing to check"


async def test_new_backends_that_are_not_well_change_nothing_and_say_why(world, api):
    world.proof.failed = {"http://127.0.0.1:9009": "connection refused"}
    before = (world.controller.state, world.disk(), len(world.publisher.sent))
    status, problem, _ = await api("PUT", BLUE, json=NEW)
    assert (status, problem["code"]) == (409, "not_healthy")
    assert problem["problems"] == [{"path": "http://127.0.0.1:9009", "message": "connection refused"}]
    assert "the old ones stay" in problem["detail"]
    assert (world.controller.state, world.disk(), len(world.publisher.sent)) == before
    assert (await api("PUT", GREEN, json=NEW))[0] == 200, "no user would meet them"


async def test_a_version_that_got_users_while_it_was_deployed_is_checked_after_all(world, api):
    """Whether it has users is decided in the very moment of the change, not when the request came."""
    world.publisher.hold = asyncio.Event()
    split = asyncio.create_task(api("PUT", SPLIT, json={"blue": 50, "green": 50}))
    await asyncio.sleep(0.05)
    world.proof.failed = {"http://127.0.0.1:9009": "connection refused"}
    deploy = asyncio.create_task(api("PUT", GREEN, json=NEW))
    await asyncio.sleep(0.05)
    world.publisher.hold.set()
    assert (await split)[0] == 200
    assert (await deploy)[1]["code"] == "not_healthy"
    assert urls(world, "green") != NEW["backends"]


async def test_a_dry_run_of_a_deploy_checks_nothing_and_changes_nothing(world, api):
    status, document, _ = await api("PUT", BLUE + "?dry_run=1", json=NEW)
    assert (status, document["dry_run"], document["base"], document["revision"]) == (200, True, 1, 2)
    assert world.proof.asked == []
    assert world.controller.state.revision == 1


async def test_over_tcp_a_deploy_names_no_file_that_the_configuration_does_not(world, api, tcp, tmp_path):
    authority = Authority(tmp_path)
    body = {"backends": ["https://127.0.0.1:9443"], "tls": {"ca": str(authority.cert)}}
    operator = tcp.with_token("token-of-operator")
    status, problem, _ = await operator("PUT", RED, json=body)
    assert (status, problem["code"], paths(problem)) == (422, "invalid_version", ["tls.ca"])
    assert world.controller.state.revision == 1
    assert (await api("PUT", RED, json=body))[0] == 200, "whoever owns the machine may"
    assert (await operator("PUT", f"{SHOP}/versions/pink", json=body))[0] == 200, "now one names it"


async def test_retiring_gives_the_share_to_stable_and_what_cannot_go_says_why(world, api):
    await api("PUT", SPLIT, json={"blue": 90, "green": 10})
    status, document, _ = await api("DELETE", GREEN)
    assert (status, document["version"], document["split"]) == (200, "green", {"blue": 100})
    _, shown, _ = await api("GET", SHOP)
    assert (list(shown["versions"]), shown["retired"]) == (["blue"], ["green"])
    assert (await api("DELETE", GREEN))[1]["code"] == "unknown_version"
    status, problem, _ = await api("DELETE", BLUE)
    assert (status, problem["code"]) == (409, "version_is_stable")
    status, problem, _ = await api("DELETE", f"{SHOP}/versions/gren")
    assert status == 404


async def test_draining_is_answered_at_once_and_says_until_when(world, api):
    await api("PUT", SPLIT, json={"blue": 90, "green": 10})
    status, document, _ = await api("POST", GREEN + "/drain", json={"seconds": 45})
    assert (status, document["split"]) == (200, {"blue": 100, "green": 0})
    assert document["draining"] == world.clock.wall() + 45
    assert (await api("GET", GREEN))[1]["draining"] == document["draining"]
    assert (await api("POST", GREEN + "/drain", json={"seconds": 86_401}))[0] == 422
    assert (await api("POST", BLUE + "/drain"))[1]["code"] == "version_is_stable"


async def test_a_tripped_version_gets_weight_again_only_after_a_reset(world, api):
    await api("PUT", SPLIT, json={"blue": 90, "green": 10})
    trip = TripVersion(actor="gatekeeper", service="shop", version="green", reason="all its backends are ejected")
    await world.controller.submit(trip)
    assert (await api("GET", GREEN))[1]["tripped"] == {"at": world.clock.wall(), "reason": trip.reason}
    status, problem, _ = await api("PUT", SPLIT, json={"blue": 90, "green": 10})
    assert (status, problem["code"]) == (409, "tripped")
    status, problem, _ = await api("POST", f"{SHOP}/trip/reset", json={"versions": ["gren"]})
    assert (status, problem["problems"][0]["suggestion"]) == (422, "green")
    assert (await api("POST", f"{SHOP}/trip/reset", json={"versions": ["green"]}))[0] == 200
    assert (await api("PUT", SPLIT, json={"blue": 90, "green": 10}))[0] == 200


async def test_a_deploy_over_the_file_is_marked_until_the_file_says_the_same(world, api):
    await api("PUT", GREEN, json=NEW)
    _, shown, _ = await api("GET", GREEN)
    assert (shown["origin"], shown["differs_from_file"]) == ("deploy", True)
    await api("PUT", RED, json=NEW)
    assert (await api("GET", RED))[1]["differs_from_file"] is False, "the file says nothing of it"
    await api("PUT", GREEN, json={"backends": ["http://127.0.0.1:9002"]})
    _, shown, _ = await api("GET", GREEN)
    assert (shown["origin"], shown["differs_from_file"]) == ("file", False)
