"""A write acts once under its ``Idempotency-Key``, however often it is sent, and is answered the same."""

import asyncio
import json

import aiohttp
import pytest

from gatekeeper.control.api.admin import Admin
from gatekeeper.core import passes

SHOP = "/v1/services/shop"
SPLIT = f"{SHOP}/split"
KEY = {"Idempotency-Key": "6f1c8e1e"}


def lasting(document):
    """The part of an answer that is not about the moment."""
    return {key: value for key, value in document.items() if key not in ("workers", "ms")}


async def test_a_repetition_gets_the_first_answer_and_nothing_happens(world, api):
    _, first, headers = await api("PUT", SPLIT, json={"blue": 9, "green": 1}, headers=KEY)
    assert "Idempotency-Replayed" not in headers
    await api("PUT", SPLIT, json={"blue": 5, "green": 5})
    status, again, headers = await api("PUT", SPLIT, json={"blue": 9, "green": 1}, headers=KEY)
    assert (status, headers["Idempotency-Replayed"], headers["ETag"]) == (200, "true", '"2"')
    assert lasting(again) == lasting(first)
    assert again["workers"] == {"acknowledged": 1, "total": 1}, "those of now"
    assert (world.controller.state.revision, world.weights()) == (3, {"blue": 5, "green": 5})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", SPLIT, {"blue": 1, "green": 3}),
        ("POST", f"{SHOP}/rollback", {}),
        ("PUT", f"{SHOP}/versions/red", {"backends": ["http://127.0.0.1:9009"]}),
        ("DELETE", f"{SHOP}/versions/green", None),
        ("POST", f"{SHOP}/versions/green/drain", {"seconds": 3}),
        ("POST", f"{SHOP}/trip/reset", None),
        ("POST", "/v1/revisions/1/restore", None),
        ("POST", "/v1/reload", None),
        ("PUT", "/v1/config", {"shop": ["blue"]}),
        ("POST", "/v1/history/prune", {"before": 2}),
        ("POST", f"{SHOP}/passes", {"versions": ["green"], "ttl": 60}),
    ],
)
async def test_every_write_acts_once_also_when_what_it_names_has_gone(world, api, method, path, body):
    await api("PUT", SPLIT, json={"blue": 90, "green": 10})
    data = None if body is None else json.dumps(body)
    status, first, _ = await api(method, path, data=data, headers=KEY)
    assert status == 200, first
    # Whatever the request names is no more; whatever it changed is changed again.
    await api("PUT", "/v1/config", data='{"other": ["a"], "shop": ["blue"]}')
    world.clock.advance(3600)
    before, events = world.controller.state, world.feed.latest
    if not path.endswith("/passes"):
        status, again, headers = await api(method, path, data=data, headers=KEY)
        assert (status, headers["Idempotency-Replayed"]) == (200, "true"), again
        assert lasting(again) == lasting(first)
    assert (world.controller.state, world.feed.latest) == (before, events)


async def test_a_pass_asked_for_again_is_the_same_and_is_told_of_once(world, api):
    watcher = world.feed.watch()
    body = {"versions": ["green"], "ttl": 60}
    _, first, _ = await api("POST", f"{SHOP}/passes", json=body, headers=KEY)
    world.clock.advance(30)
    _, again, headers = await api("POST", f"{SHOP}/passes", json=body, headers=KEY)
    assert (again, headers["Idempotency-Replayed"]) == (first, "true")
    assert passes.verify(again["pass"], ["k" * 32], "shop", world.clock.wall()) == {"green"}
    assert (await watcher.next(1)).kind == "pass_issued"
    assert await watcher.next(0.05) is None
    rows = world.store._read_connection.execute("SELECT answer FROM keys").fetchall()
    assert first["pass"] not in str(rows), "a pass opens something: it is kept nowhere"


async def test_a_key_of_another_request_is_refused(world, api):
    await api("PUT", SPLIT, json={"blue": 9, "green": 1}, headers=KEY)
    for method, path, more in (
        ("PUT", SPLIT, {"json": {"blue": 8, "green": 1}}),
        ("PUT", SPLIT + "?note=x", {"json": {"blue": 9, "green": 1}}),
        ("POST", f"{SHOP}/rollback", {}),
        ("POST", f"{SHOP}/passes", {"json": {"versions": ["green"]}}),
        ("POST", "/v1/history/prune", {"json": {"before": 1}}),
    ):
        status, problem, _ = await api(method, path, headers=KEY, **more)
        assert (status, problem["code"]) == (422, "key_reused"), path
    assert world.controller.state.revision == 2


async def test_keys_belong_to_who_sent_them(world, api, tcp):
    await api("PUT", SPLIT, json={"blue": 9, "green": 1}, headers=KEY)
    operator = tcp.with_token("token-of-operator")
    _, document, headers = await operator("PUT", SPLIT, json={"blue": 9, "green": 1}, headers=KEY)
    assert "Idempotency-Replayed" not in headers
    assert (document["base"], document["revision"]) == (2, 2), "its own request, which had nothing to change"


async def test_what_was_refused_or_only_tried_is_not_remembered(world, api):
    assert (await api("PUT", SPLIT, json={"gren": 1}, headers=KEY))[0] == 422
    assert (await api("PUT", SPLIT + "?dry_run=1", json={"green": 1}, headers=KEY))[0] == 200
    status, document, headers = await api("PUT", SPLIT, json={"green": 1}, headers=KEY)
    assert (status, document["revision"], "Idempotency-Replayed" in headers) == (200, 2, False)


async def test_a_repetition_comes_before_its_condition(world, api):
    """Its If-Match was true when it acted, and what it made has moved the revision on."""
    headers = {**KEY, "If-Match": '"1"'}
    await api("PUT", SPLIT, json={"green": 1}, headers=headers)
    status, _, headers = await api("PUT", SPLIT, json={"green": 1}, headers=headers)
    assert (status, headers["Idempotency-Replayed"]) == (200, "true")


async def test_of_many_at_once_one_acts(world, api):
    answers = await asyncio.gather(*(api("PUT", SPLIT, json={"blue": 9, "green": 1}, headers=KEY) for _ in range(20)))
    assert {status for status, _, _ in answers} == {200}
    assert len({json.dumps(lasting(document), sort_keys=True) for _, document, _ in answers}) == 1
    assert sum("Idempotency-Replayed" not in headers for _, _, headers in answers) == 1
    assert world.controller.state.revision == 2


async def test_a_restart_does_not_forget(tmp_path, world_of):
    async def ask(world):
        admin = Admin(world.parts, path=str(tmp_path / "s"))
        await admin.start()
        connector = aiohttp.UnixConnector(str(tmp_path / "s"))
        async with aiohttp.ClientSession(connector=connector) as session:
            body = {"blue": 9, "green": 1}
            async with session.put(f"http://g{SPLIT}", json=body, headers=KEY) as response:
                found = await response.json(), response.headers.get("Idempotency-Replayed")
        await admin.stop()
        return found

    async with world_of(tmp_path / "state.db") as world:
        first, replayed = await ask(world)
        assert replayed is None
    async with world_of(tmp_path / "state.db") as world:
        again, replayed = await ask(world)
        assert (lasting(again), replayed) == (lasting(first), "true")
        assert world.controller.state.revision == 2


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ä", "\t"])
async def test_what_is_no_key_is_refused(world, api, key):
    status, problem, _ = await api("PUT", SPLIT, json={"green": 1}, headers={"Idempotency-Key": key})
    assert (status, problem["code"]) == (400, "bad_idempotency_key")
    assert world.controller.state.revision == 1


async def test_two_keys_are_none(world, api):
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    async with api.session.put(api.base + SPLIT, json={"green": 1}, headers=headers) as response:
        assert response.status == 400
    assert world.controller.state.revision == 1
