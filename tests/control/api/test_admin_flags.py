"""Flags by the admin API: looked at, defined, switched, taken back, with all that every change has."""

import json
from decimal import Decimal

import pytest

from gatekeeper.core.command import SetFlag
from gatekeeper.core.flags.model import FlagChanges, FlagFails
from gatekeeper.core.judge.analysis import Analysis
from tests.control.flagged import NAME, a_flag, another_share
from tests.control.judged import SENTENCE, standing

FLAG = f"/v1/flags/{NAME}"
WHOLE = {"on": 100, "off": 0}


@pytest.fixture
async def flag(world):
    await a_flag(world)


def held(world, name=NAME):
    running = world.controller.state.flags[name].running
    return running.on, running.killed, {variant: int(weight) for variant, weight in running.split.weights.items()}


async def of(api, name=NAME):
    return (await api("GET", f"/v1/flags/{name}"))[1]


async def test_a_flag_is_made_shown_and_listed(world, api):
    body = {
        "on": True,
        "percent": 10,
        "services": ["shop"],
        "when": {"header": {"X-Country": "DE"}},
        "owner": "checkout-team",
        "expires": "2023-11-13",
        "schedule": {"off": "2030-01-01T00:00Z"},
        "description": "one page",
    }
    status, reply, headers = await api("PUT", f"{FLAG}?new=1", json=body)
    assert (status, headers["ETag"], reply["revision"], reply["flag"]) == (200, '"2"', 2, NAME)
    shown = await of(api)
    assert {name: shown[name] for name in ("name", "type", "state", "on", "killed", "percent", "origin")} == {
        "name": NAME,
        "type": "boolean",
        "state": "on",
        "on": True,
        "killed": False,
        "percent": 10,
        "origin": "command",
    }
    assert (shown["split"], shown["variants"], shown["off"]) == (
        {"on": 10, "off": 90},
        {"on": True, "off": False},
        "off",
    )
    assert (shown["services"], shown["owner"], shown["description"]) == (["shop"], "checkout-team", "one page")
    assert shown["when"] == {"headers": [["x-country", {"kind": "exact", "values": ["DE"]}]]}
    assert (shown["expires"], shown["overdue"]) == ("2023-11-13", True), "the clock of the test is at 2023-11-14"
    assert shown["schedule"] == {"on": None, "off": 1893456000.0, "next": 1893456000.0}
    assert (shown["changed"], shown["undo"], shown["revision"]) == ({"revision": 2, "at": world.clock.wall()}, [], 2)
    brief = {name: value for name, value in shown.items() if name not in ("revision", "undo")}
    assert reply["now"] == brief
    status, found, headers = await api("GET", "/v1/flags")
    assert (status, found, headers["ETag"]) == (200, {"revision": 2, "flags": [brief]}, '"2"')


async def test_what_the_judge_says_of_a_flag_is_shown_with_it(world, api):
    analysis = {"alpha": 0.02, "tolerate": {"errors": "0.1pt"}}
    body = {"on": True, "percent": 10, "analysis": analysis, "on_fail": "off"}
    assert (await api("PUT", f"{FLAG}?new=1", json=body))[0] == 200
    for flags in (world.controller.state.flags, world.store.load().state.flags):
        definition = flags[NAME].definition
        assert (definition.analysis, definition.on_fail) == (Analysis(0.02, tolerate_errors=0.001), FlagFails.OFF)
    shown = await of(api)
    assert (shown["on_fail"], shown["verdict"]) == ("off", None)
    said = standing(release=0, service=NAME)
    world.parts.flag_standing = lambda name: said if name == NAME else None
    verdict = (await of(api))["verdict"]
    assert (verdict["kind"], verdict["sentence"], verdict["bar"]) == ("suspicious", SENTENCE, said.verdict.bar)
    off, others = said.verdict.numbers.errors
    assert verdict["errors"] == {"off": off, "others": others}
    assert (await api("GET", "/v1/flags"))[1]["flags"][0]["verdict"] == verdict
    assert (await api("PUT", FLAG, json={"analysis": None}))[0] == 200
    assert (await of(api))["on_fail"] is None


async def test_values_keep_their_types_through_body_state_disk_and_answer(world, api):
    text = '{"type": "number", "variants": {"slow": 1.0, "fast": 2.5}, "off": "slow"}'
    assert (await api("PUT", "/v1/flags/speed?new=1", data=text))[0] == 200
    text = '{"type": "object", "variants": {"a": {"n": 1, "f": 1.0, "t": "x", "l": [null, true]}, "b": {}}, "off": "b"}'
    assert (await api("PUT", "/v1/flags/shape?new=1", data=text))[0] == 200
    for flags in (world.controller.state.flags, world.store.load().state.flags):
        values = flags["speed"].definition.variants
        assert [(value, type(value)) for value in values.values()] == [(1.0, float), (2.5, float)]
        assert repr(flags["shape"].definition.variants["a"]) == "{'n': 1, 'f': 1.0, 't': 'x', 'l': [None, True]}"
    assert '"slow": 1.0' in json.dumps((await of(api, "speed"))["variants"])
    assert (await of(api, "speed"))["percent"] is None


async def test_only_what_the_body_says_is_changed(world, api, flag):
    await api("PUT", FLAG, json={"percent": 25})
    shown = await of(api)
    assert (shown["percent"], shown["owner"], shown["services"], shown["on"]) == (25, "checkout-team", ["shop"], True)
    await api("PUT", FLAG, json={"owner": None, "services": None})
    shown = await of(api)
    assert (shown["percent"], shown["owner"], shown["services"]) == (25, "", [])
    status, reply, _ = await api("PUT", FLAG, json={"percent": 25})
    assert (status, reply["base"], reply["revision"], reply["changes"]) == (200, 4, 4, []), "it is so already"


async def test_it_is_turned_off_and_on_and_keeps_its_share(world, api, flag):
    await api("PUT", FLAG, json={"percent": 25})
    _, reply, _ = await api("POST", f"{FLAG}/off", json={"reason": "too many complaints"})
    assert (reply["now"]["state"], reply["now"]["percent"]) == ("off", 25)
    assert reply["changes"] == [{"path": f"flags.{NAME}.on", "before": True, "after": False}]
    await api("POST", f"{FLAG}/on")
    assert held(world) == (True, False, {"on": 25, "off": 75})
    rows = (await api("GET", f"{FLAG}/history"))[1]["revisions"]
    assert [(row["action"], row["note"], row["flags"][NAME]["on"]) for row in rows] == [
        ("flag_on", "", True),
        ("flag_off", "too many complaints", False),
        ("flag_changed", "", True),
        ("flag_changed", "", True),
    ]


async def test_a_killed_flag_is_off_until_it_is_revived_with_a_reason(world, api, flag):
    assert (await api("POST", f"{FLAG}/off", json={"kill": True}))[1]["now"]["state"] == "killed"
    for method, path, body in (
        ("POST", "/on", None),
        ("PUT", "", {"on": True}),
        ("POST", "/rollback", None),
    ):
        status, problem, _ = await api(method, FLAG + path, json=body)
        assert (status, problem["code"]) == (409, "flag_killed")
        assert "--revive" in problem["allowed"]
    status, problem, _ = await api("POST", f"{FLAG}/on", json={"revive": True})
    assert (status, problem["code"]) == (422, "reason_required")
    assert held(world)[:2] == (False, True)
    assert (await api("POST", f"{FLAG}/on", json={"revive": True, "reason": "fixed"}))[1]["now"]["state"] == "on"
    assert (await api("GET", "/v1/status"))[1]["flags"]["killed"] == []


async def test_a_rollback_takes_back_one_change_after_the_other(world, api, flag):
    await api("PUT", FLAG, json={"percent": 10})
    await api("PUT", FLAG, json={"percent": 50, "owner": "web"})
    undo = (await of(api))["undo"]
    assert [(item["split"], item["defines"]) for item in undo] == [({"on": 10, "off": 90}, True), (WHOLE, False)]
    await api("POST", f"{FLAG}/rollback")
    shown = await of(api)
    assert (shown["percent"], shown["owner"]) == (10, "checkout-team")
    await api("POST", f"{FLAG}/rollback", json={"reason": "further"})
    assert held(world) == (True, False, WHOLE)
    status, problem, _ = await api("POST", f"{FLAG}/rollback")
    assert (status, problem["code"]) == (409, "nothing_to_undo")


async def test_a_flag_that_a_command_made_is_removed_and_one_of_the_file_is_not(world, api, flag):
    _, reply, _ = await api("DELETE", FLAG)
    assert (reply["now"], world.controller.state.flags) == (None, {})
    assert (await api("GET", FLAG))[0] == 404
    rows = (await api("GET", f"{FLAG}/history"))[1]["revisions"]
    assert [(row["action"], row["flags"][NAME] is None) for row in rows] == [
        ("flag_removed", True),
        ("flag_changed", False),
    ]
    assert (await api("GET", f"{FLAG}/history?before=2"))[1]["revisions"] == []
    assert (await api("GET", f"{FLAG}/history?limit=1"))[1]["revisions"] == rows[:1]


async def test_a_name_nobody_knows_is_said_with_what_was_probably_meant(api, flag):
    for method, path in (("GET", ""), ("GET", "/history"), ("PUT", ""), ("POST", "/off"), ("DELETE", "")):
        status, problem, _ = await api(
            method, f"/v1/flags/new-chekout{path}", json={"percent": 1} if method == "PUT" else None
        )
        assert (status, problem["code"]) == (404, "unknown_flag"), path
        assert f"did you mean {NAME}?" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"percent": 101}, "percent"),
        ({"percent": 5, "split": {"on": 1}}, "percent"),
        ({"variants": {"a": 1, "b": "x"}}, "variants"),
        ({"type": "colour"}, "type"),
        ({"services": ["shpo"]}, "services"),
        ({"expires": "tomorrow"}, "expires"),
        ({"schedule": {"on": "2030-01-01T00:00"}}, "schedule"),
        ({"when": {"headr": {}}}, "when"),
        ({"onn": True}, "onn"),
    ],
)
async def test_what_no_flag_can_be_is_refused_with_its_place_and_leaves_everything_as_it_was(
    world, api, flag, body, path
):
    before = world.controller.state
    for name, query in ((NAME, ""), ("other", "?new=1")):
        status, problem, _ = await api("PUT", f"/v1/flags/{name}{query}", json=body)
        assert status == 422, problem
        assert any(each["path"].startswith(path) for each in problem["problems"]), problem
    assert world.controller.state is before
    assert world.store.load().state == before


async def test_a_flag_is_not_made_twice_and_not_by_an_impossible_name(world, api, flag):
    status, problem, _ = await api("PUT", f"{FLAG}?new=1", json={"percent": 5})
    assert (status, problem["code"]) == (409, "flag_exists")
    for name in ("New", "9lives", "shop.version", "a%2Fb", "x" * 65):
        status, problem, _ = await api("PUT", f"/v1/flags/{name}?new=1", json={"percent": 5})
        assert status in (404, 422), name
    assert set(world.controller.state.flags) == {NAME}


async def test_a_dry_run_shows_what_would_be_and_changes_nothing(world, api, flag):
    before = world.controller.state
    _, reply, headers = await api("PUT", f"{FLAG}?dry_run=1", json={"percent": 5})
    assert (reply["base"], reply["revision"], reply["now"]["percent"], headers["ETag"]) == (2, 3, 5, '"2"')
    assert world.controller.state is before


async def test_of_two_with_the_same_if_match_one_wins(api, flag):
    first = await api("PUT", FLAG, json={"percent": 5}, headers={"If-Match": '"2"'})
    second = await api("PUT", FLAG, json={"percent": 6}, headers={"If-Match": '"2"'})
    assert (first[0], second[0]) == (200, 412)
    assert [row["flags"][NAME]["split"] for row in second[1]["changed"]] == [{"on": 5, "off": 95}]


async def test_the_same_key_acts_once(world, api, flag):
    asked = {"json": {"percent": 5}, "headers": {"Idempotency-Key": "k1"}}
    _, first, _ = await api("PUT", FLAG, **asked)
    await api("PUT", FLAG, json={"percent": 7})
    _, again, headers = await api("PUT", FLAG, **asked)
    assert headers["Idempotency-Replayed"] == "true"
    assert (again["now"], again["revision"]) == (first["now"], 3)
    assert held(world)[2] == {"on": 7, "off": 93}


async def test_a_change_can_undo_itself_and_status_says_so(world, api, flag):
    _, reply, _ = await api("PUT", f"{FLAG}?confirm_within=5m", json={"percent": 5})
    assert reply["confirm_by"] == world.clock.wall() + 300
    (waiting,) = (await api("GET", "/v1/status"))[1]["pending"]
    assert (waiting["services"], waiting["flags"]) == ([], [NAME])
    status, problem, _ = await api("PUT", FLAG, json={"percent": 6})
    assert (status, problem["code"]) == (409, "awaiting_confirmation")
    assert (await api("POST", f"{FLAG}/rollback"))[0] == 200
    assert held(world)[2] == WHOLE
    assert (await api("GET", "/v1/status"))[1]["pending"] == []


async def test_status_counts_flags_and_names_those_to_look_at(world, api, flag):
    await world.controller.submit(
        SetFlag(actor="anna", name="old", changes=FlagChanges(on=True, percent=Decimal(5)), salt="ab" * 16, new=True)
    )
    await api("POST", "/v1/flags/old/off", json={"kill": True})
    assert (await api("GET", "/v1/status"))[1]["flags"] == {
        "total": 2,
        "on": 1,
        "killed": ["old"],
        "overdue": [{"name": NAME, "owner": "checkout-team", "expires": "2020-01-31"}],
    }


async def test_who_did_what_to_which_flag_stands_in_the_audit_also_what_was_refused(tcp, world, flag):
    operator, viewer = tcp.with_token("token-of-operator"), tcp.with_token("token-of-viewer")
    await operator("PUT", FLAG, json={"percent": 5})
    await operator("POST", f"{FLAG}/off", json={"kill": True, "reason": "it burns"})
    await operator("POST", f"{FLAG}/on")
    assert (await viewer("POST", f"{FLAG}/off"))[0] == 403
    rows = (await operator("GET", "/v1/audit?limit=4"))[1]["audit"]
    assert [(row["actor"], row["action"], row["service"], row["outcome"]) for row in rows] == [
        ("viewer", "switch_flag", f"flag {NAME}", "refused"),
        ("operator", "switch_flag", f"flag {NAME}", "refused"),
        ("operator", "switch_flag", f"flag {NAME}", "done"),
        ("operator", "flag", f"flag {NAME}", "done"),
    ]
    assert rows[2]["detail"] == "it burns"


async def test_a_change_that_could_not_be_sent_is_taken_back(world, api, flag):
    world.publisher.failures.append(OSError("no room in the channel"))
    status, problem, _ = await api("POST", f"{FLAG}/off")
    assert (status, problem["code"]) == (503, "not_taken_up")
    assert held(world)[0] is True
    assert world.controller.state.revision == 4, "undone by a further revision"
    assert world.store.load().state == world.controller.state


async def test_an_event_tells_what_it_was_and_what_it_is(world, api, flag):
    await another_share(world)
    await api("POST", f"{FLAG}/off", json={"kill": True, "reason": "it burns"})
    event = (await api("GET", "/v1/events?follow=0"))[1][-1]
    assert (event["kind"], event["flag"], event["killed"], event["note"]) == ("flag_off", NAME, True, "it burns")
    assert event["before"] == {"on": True, "killed": False, "split": {"on": 3, "off": 97}}
    assert event["after"] == {"on": False, "killed": True, "split": {"on": 3, "off": 97}}


async def test_a_whole_revision_shows_its_flags_and_a_restore_brings_them_back(world, api, flag):
    await another_share(world)
    await api("DELETE", FLAG)
    document = (await api("GET", "/v1/revisions/3"))[1]
    assert document["flags_then"][NAME]["split"] == {"on": 3, "off": 97}
    assert document["flags"] == {NAME: {"on": True, "killed": False, "split": {"on": 3, "off": 97}}}
    difference = (await api("GET", "/v1/revisions/3?diff=2"))[1]["changes"]
    assert difference == [{"path": f"flags.{NAME}.split", "before": WHOLE, "after": {"on": 3, "off": 97}}]
    assert (await api("POST", "/v1/revisions/3/restore"))[0] == 200
    assert held(world) == (True, False, {"on": 3, "off": 97})
