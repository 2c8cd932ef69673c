"""OFREP on the admin API: the present state is what is told, in the protocol's words, to whom a token lets in."""

import gzip
import json
from dataclasses import replace

import jsonschema_rs
import pytest

from gatekeeper.control.api.openapi import document
from gatekeeper.control.api.routes import operations
from gatekeeper.core.flags.ofrep import BODY_BYTES
from gatekeeper.core.model import Settings
from tests.core.flags.asked import FLAGS, boolean, ramped

ALL = "/ofrep/v1/evaluate/flags"
ANNA = {"context": {"targetingKey": "anna"}}


def put(world, *flags):
    known = world.controller.state
    named = {one.definition.name: one for one in flags}
    world.controller.state = replace(known, revision=known.revision + 1, flags={**known.flags, **named})


@pytest.fixture
def counted(world):
    """Flags, and what was counted of them."""
    found = []
    world.parts.evaluated = lambda flag, variant: found.append((flag, variant))
    put(world, *FLAGS)
    return found


async def test_one_flag_is_told_and_counted(api, counted):
    status, found, headers = await api("POST", f"{ALL}/theme", json=ANNA)
    assert (status, found) == (
        200,
        {"key": "theme", "value": "light", "reason": "STATIC", "variant": "light", "metadata": {}},
    )
    assert headers["Content-Type"] == "application/json"
    assert "ETag" not in headers
    assert counted == [("theme", "light")]


async def test_all_flags_are_told_with_a_tag_and_not_again_while_it_holds(world, api, counted):
    status, found, headers = await api("POST", ALL, json=ANNA)
    assert status == 200
    assert [one["key"] for one in found["flags"]] == sorted(
        [*(one.definition.name for one in FLAGS), "cart.version", "shop.version"]
    )
    tag = {"If-None-Match": headers["ETag"]}
    status, found, again = await api("POST", ALL, json=ANNA, headers=tag)
    assert (status, found, again["ETag"]) == (304, "", headers["ETag"])
    assert "Content-Type" not in again
    assert len(counted) == 2 * (len(FLAGS) + 2)


async def test_a_ramp_that_leaves_a_user_in_place_is_no_news_to_him_and_one_that_moves_him_is(world, api):
    state = boolean("new", 10)
    tags, given = {}, {}
    for percent in (10, 50, 50, 0):
        state = ramped(state, percent)
        put(world, state)
        for unit in range(40):
            who = {"context": {"targetingKey": f"u{unit}"}}
            headers = {"If-None-Match": tags[unit]} if unit in tags else {}
            status, found, answered = await api("POST", ALL, json=who, headers=headers)
            if unit in tags:
                _, alone, _ = await api("POST", f"{ALL}/new", json=who)
                assert status == (304 if alone["variant"] == given[unit] else 200)
            if status == 200:
                (new,) = (one for one in found["flags"] if one["key"] == "new")
                tags[unit], given[unit] = answered["ETag"], new["variant"]
    assert set(given.values()) == {"off"}


async def test_the_next_evaluation_after_a_change_is_by_the_new_state(world, api, counted):
    await world.controller.submit(world.split(blue=0, green=100))
    assert (await api("POST", f"{ALL}/shop.version"))[1]["value"] == "green"
    put(world, boolean("simple", on=False))
    assert (await api("POST", f"{ALL}/simple"))[1]["reason"] == "DISABLED"


# Refusals


async def refused(asked, status, code, path=f"{ALL}/theme", key="theme", **more):
    found, failure, headers = await asked("POST", path, **more)
    assert (found, failure["errorCode"], failure.get("key")) == (status, code, key), failure
    assert set(failure) <= {"key", "errorCode", "errorDetails"}
    assert len(failure["errorDetails"]) > 10
    assert headers["Content-Type"] == "application/json"
    return failure["errorDetails"], headers


async def test_every_refusal_is_in_the_protocols_words(api, counted):
    await refused(api, 404, "FLAG_NOT_FOUND", f"{ALL}/them", "them", json=ANNA)
    await refused(api, 404, "FLAG_NOT_FOUND", f"{ALL}/a%2Fb%3F", "a/b?", json=ANNA)
    await refused(api, 400, "TARGETING_KEY_MISSING", f"{ALL}/new-checkout", "new-checkout", json={})
    await refused(api, 400, "PARSE_ERROR", data=b"{")
    await refused(api, 400, "INVALID_CONTEXT", json=[])
    await refused(api, 400, "INVALID_CONTEXT", ALL, None, json={"context": 1})
    await refused(api, 413, "GENERAL", data=b" " * (BODY_BYTES + 1))
    await refused(api, 415, "GENERAL", data=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})
    await refused(api, 404, "GENERAL", "/ofrep/v2/evaluate/flags", None)
    assert counted == []


async def test_another_method_is_refused_likewise(api):
    status, failure, headers = await api("GET", f"{ALL}/theme")
    assert (status, failure["errorCode"], headers["Allow"]) == (405, "GENERAL", "POST")


async def test_who_may_look_may_ask_and_a_stranger_learns_nothing(tcp, counted):
    details, headers = await refused(tcp, 401, "GENERAL", json=ANNA)
    assert "admin.tokens" in details
    assert headers["WWW-Authenticate"].startswith("Bearer")
    await refused(tcp, 401, "GENERAL", f"{ALL}/nothing", "nothing")
    assert (await tcp.with_token("token-of-viewer")("POST", f"{ALL}/theme", json=ANNA))[0] == 200


async def test_a_defect_of_ours_tells_nothing_of_the_inside(world, api, counted, caplog):
    def broken(*_):
        raise ZeroDivisionError("secret detail")

    world.parts.evaluated = broken
    details, _ = await refused(api, 500, "GENERAL", json=ANNA)
    assert "secret" not in details
    assert "secret detail" in caplog.text


async def test_what_clients_put_into_the_query_is_passed_over(api, counted):
    assert (await api("POST", f"{ALL}/theme?flagConfigEtag=x&flagConfigEtag=y", json=ANNA))[0] == 200


# The rate


async def test_who_asks_too_often_waits_and_nobody_else_does(world, tcp, counted):
    state = world.controller.state
    world.controller.state = replace(state, settings=replace(state.settings, ofrep_rate=3))
    viewer, operator = tcp.with_token("token-of-viewer"), tcp.with_token("token-of-operator")
    for _ in range(3):
        assert (await viewer("POST", f"{ALL}/theme", json=ANNA))[0] == 200
    for path, key in ((ALL, None), (f"{ALL}/theme", "theme")):
        details, headers = await refused(viewer, 429, "GENERAL", path, key, json=ANNA)
        assert headers["Retry-After"] == "1"
        assert "admin.ofrep.rate" in details
    assert (await operator("POST", f"{ALL}/theme", json=ANNA))[0] == 200
    assert (await viewer("GET", "/v1/status"))[0] == 200
    world.clock.advance(1)
    assert (await viewer("POST", f"{ALL}/theme", json=ANNA))[0] == 200


async def test_a_reload_changes_the_rate_at_once(world, api, counted, edited):
    world.files.definition = replace(world.files.definition, settings=edited(Settings(), ofrep_rate=1))
    assert (await api("POST", f"{ALL}/shop.version"))[0] == 200
    assert (await api("POST", "/v1/reload"))[0] == 200
    assert [(await api("POST", f"{ALL}/shop.version"))[0] for _ in range(3)] == [200, 429, 429]


# The description


async def test_real_answers_and_refusals_are_what_the_description_says(world, api, counted):
    table = {each.name: each for each in operations(world.parts)}
    described = document(list(table.values()))
    told = described["paths"][ALL]["post"], described["paths"][f"{ALL}/{{flag}}"]["post"]
    for (method, path, more), operation in (
        (("POST", ALL, {"json": ANNA}), told[0]),
        (("POST", ALL, {}), told[0]),
        (("POST", ALL, {"data": "{"}), told[0]),
        (("POST", f"{ALL}/new-checkout", {"json": ANNA}), told[1]),
        (("POST", f"{ALL}/new-checkout", {}), told[1]),
        (("POST", f"{ALL}/none", {}), told[1]),
    ):
        status, found, _ = await api(method, path, **more)
        media = operation["responses"][str(status)]["content"]
        schema = {**media["application/json"]["schema"], "components": described["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(found)
    for one in told:
        assert {"200", "400", "401", "403", "413", "415", "429", "500"} <= set(one["responses"])
        for status, response in one["responses"].items():
            assert "application/problem+json" not in response.get("content", {}), status
    assert "304" in told[0]["responses"]
    assert "304" not in told[1]["responses"]


async def test_numbers_leave_as_what_they_are(world, api, counted):
    async def raw(key):
        async with api.session.post(f"{api.base}{ALL}/{key}", data=json.dumps(ANNA)) as response:
            return await response.text()

    assert '"value":1.0,' in await raw("factor")
    assert '"value":50,' in await raw("limit")
