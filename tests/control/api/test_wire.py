"""What requests may be: bodies, parameters, conditions; and every refusal as one problem document."""

import asyncio
import json
from contextlib import suppress
from io import BytesIO

import aiohttp
import pytest

from gatekeeper.control.api import wire

SPLIT = "/v1/services/shop/split"
ROLLBACK = "/v1/services/shop/rollback"
PASSES = "/v1/services/shop/passes"


def paths(problem):
    return [entry["path"] for entry in problem["problems"]]


async def test_every_mistake_in_a_split_is_in_one_answer(world, api):
    body = {"blu": 1, "green": "10", "blue": 0.1234567, "gren": True}
    status, problem, headers = await api("PUT", SPLIT, json=body)
    assert (status, problem["status"], problem["code"]) == (422, 422, "invalid_weights")
    assert headers["Content-Type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code", "problems"} <= set(problem)
    found = {entry["path"]: entry["message"] for entry in problem["problems"]}
    assert found["green"] == "must be a number"
    assert "did you mean blue?" in found["blu"]
    assert "6 decimals" in found["blue"]
    assert set(found) == {"green", "gren", "blu", "blue"}
    assert world.controller.state.revision == world.disk()[0] == 1


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 422),
        (b"{}", 422),
        (b'{"blue": 0, "green": 0}', 422),
        (b'{"blue": 1e999999}', 422),
        (b'{"blue": 1e99999999999999999999}', 400),
        (b'{"blue": -1}', 422),
        (b'{"blue": ' + b"9" * 4000 + b"}", 422),
        (b'{"blue": null}', 422),
        (b"[1]", 422),
        (b"blue=1", 400),
        (b'{"blue": 1, "blue": 2}', 400),
        (b'{"blue": NaN}', 400),
        (b'{"blue": Infinity}', 400),
        (b'{"blue": 1} x', 400),
        (b'{"blue": 1, "\\ud800": 1}', 400),
        (b'{"bl\xffue": 1}', 400),
        (b"[" * 100_000, 400),
        (b'{"blue": ' + b"9" * 5000 + b"}", 400),
    ],
)
async def test_a_body_that_is_no_split_is_refused_and_changes_nothing(world, api, data, status):
    got, problem, _ = await api("PUT", SPLIT, data=data)
    assert (got, problem["status"]) == (status, status)
    assert problem["detail"]
    assert world.controller.state.revision == 1


async def test_a_body_beyond_its_bound_is_refused_announced_or_not(world, api):
    async def chunks():
        for _ in range(20):
            yield b" " * 100_000

    for data in (BytesIO(b" " * (wire.BODY_BYTES + 1)), chunks()):
        try:
            status, problem, _ = await api("PUT", SPLIT, data=data)
        except aiohttp.ClientConnectionError:
            continue  # the refusal may come while the client still sends
        assert (status, problem["code"]) == (413, "body_too_large")
    assert world.controller.state.revision == 1
    assert (await api("PUT", SPLIT, data=b'{"green": 1}'.rjust(wire.BODY_BYTES)))[0] == 200
    with suppress(aiohttp.ClientConnectionError):
        status, problem, _ = await api("PUT", "/v1/config", data=BytesIO(b" " * (wire.CONFIG_BYTES + 1)))
        assert (status, problem["allowed"]) == (413, f"at most {wire.CONFIG_BYTES} bytes")
    whole = b'{"shop": ["blue", "green"], "cart": ["v1", "v2"]}'.ljust(wire.CONFIG_BYTES)
    assert (await api("PUT", "/v1/config", data=BytesIO(whole)))[0] == 200


async def test_a_body_announced_beyond_its_bound_is_refused_before_it_comes(world, api):
    reader, writer = await asyncio.open_unix_connection(str(world.path.with_name("admin.sock")))
    writer.write(b"PUT /v1/services/shop/split HTTP/1.1\r\nHost: g\r\nContent-Length: 9999999\r\n\r\n")
    assert b" 413 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()


async def test_a_body_that_does_not_arrive_is_given_up(api, world, monkeypatch):
    monkeypatch.setattr(wire, "BODY_SECONDS", 0.1)
    reader, writer = await asyncio.open_unix_connection(str(world.path.with_name("admin.sock")))
    writer.write(b"PUT /v1/services/shop/split HTTP/1.1\r\nHost: g\r\nContent-Length: 10\r\n\r\n{")
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()


async def test_a_compressed_body_is_refused(api):
    status, problem, _ = await api("PUT", SPLIT, data=b"x", headers={"Content-Encoding": "gzip"})
    assert (status, problem["code"]) in {(415, "compressed_body"), (400, "bad_request")}


@pytest.mark.parametrize(
    ("method", "path", "body", "wrong", "meant"),
    [
        ("POST", ROLLBACK, {"too": 1}, ["too"], "to"),
        ("POST", "/v1/reload", {"reset_splits": True, "x": 1}, ["reset_splits", "x"], "reset_split"),
        ("POST", PASSES, {"version": ["green"], "ttl": 0}, ["version", "ttl"], "versions"),
        ("POST", "/v1/explain", {"client": "x", "headers": [["a"]], "method": 1}, None, "client_ip"),
    ],
)
async def test_unknown_keys_are_refused_with_what_was_probably_meant(world, api, method, path, body, wrong, meant):
    status, problem, _ = await api(method, path, json=body)
    assert (status, problem["code"]) == (422, "invalid_body")
    assert problem["problems"][0]["suggestion"] == meant
    assert "unknown key" in problem["problems"][0]["message"]
    if wrong is not None:
        assert paths(problem) == wrong
    else:
        assert set(paths(problem)) == {"client", "headers[0]", "method"}
    assert world.controller.state.revision == 1


async def test_unknown_parameters_are_refused_because_a_misspelt_dry_run_would_not_be_dry(world, api):
    status, problem, _ = await api("PUT", SPLIT + "?dryrun=1", json={"green": 1})
    assert (status, problem["code"], problem["problems"][0]["suggestion"]) == (400, "bad_query", "dry_run")
    for query in ("dry_run=yes", "dry_run=1&dry_run=0", "dry_run="):
        assert (await api("PUT", f"{SPLIT}?{query}", json={"green": 1}))[0] == 400
    assert world.controller.state.revision == 1


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "limit=1001", "before=99999999999999999999", "after=%D9%A3"])
async def test_numbers_out_of_range_are_refused(api, query):
    assert (await api("GET", f"/v1/revisions?{query}"))[0] == 400


async def test_a_note_is_one_line_of_bounded_length(world, api):
    for note in ("a%0Ab", "%00", "x" * 1001, "%1B[31m"):
        assert (await api("PUT", f"{SPLIT}?note={note}", json={"green": 1}))[0] == 422
    assert (await api("PUT", f"{SPLIT}?note=n%C3%A4h", json={"green": 1}))[0] == 200
    assert (await world.store.revisions(limit=1))[0].note == "näh"


async def test_of_two_writers_with_the_same_if_match_one_wins_and_the_other_learns_what_changed(world, api):
    for round_ in range(1, 11):
        answers = await asyncio.gather(
            *(
                api("PUT", SPLIT, json={"blue": round_, "green": 100 + n}, headers={"If-Match": f'"{round_}"'})
                for n in (1, 2)
            )
        )
        assert sorted(status for status, _, _ in answers) == [200, 412]
        ((_, won, _),) = [answer for answer in answers if answer[0] == 200]
        ((_, lost, headers),) = [answer for answer in answers if answer[0] == 412]
        assert (lost["code"], lost["revision"], headers["ETag"]) == ("revision_moved", round_ + 1, f'"{round_ + 1}"')
        assert [row["revision"] for row in lost["changed"]] == [round_ + 1]
        assert lost["changed"][0]["splits"] == {"shop": won["split"]}
        assert lost["changed"][0]["actor"]
    assert world.controller.state.revision == 11


@pytest.mark.parametrize(
    ("tag", "status"),
    [("*", 200), ('"1"', 200), ('"7", "1"', 200), ('"2"', 412), ('W/"1"', 400), ("1", 400), ("", 400)],
)
async def test_if_match_takes_the_etags_that_were_given_out(api, tag, status):
    assert (await api("PUT", SPLIT, json={"green": 1}, headers={"If-Match": tag}))[0] == status


async def test_if_match_guards_every_write(world, api):
    stale = {"If-Match": '"9"'}
    for method, path, more in (
        ("PUT", SPLIT, {"json": {"green": 1}}),
        ("POST", ROLLBACK, {"json": {}}),
        ("POST", "/v1/reload", {}),
        ("PUT", "/v1/config", {"data": "{}"}),
    ):
        assert (await api(method, path, headers=stale, **more))[0] == 412, path
    assert world.controller.state.revision == 1


async def test_a_dry_run_of_every_write_changes_nothing_and_shows_the_difference(
    world, api, definition_of, made_service
):
    await api("PUT", SPLIT, json={"blue": 60, "green": 40})
    world.files.definition = definition_of(made_service("shop", "blue", "green", "red"))
    before = (world.controller.state, world.disk(), len(world.publisher.sent), world.feed.latest)
    for method, path, more, changed in (
        ("PUT", SPLIT, {"json": {"green": 1}}, {"services.shop.split"}),
        ("POST", ROLLBACK, {}, {"services.shop.split"}),
        ("POST", "/v1/reload", {}, {"services.cart", "services.shop.versions.red"}),
        ("PUT", "/v1/config", {"data": '{"shop": ["blue", "green"]}'}, {"services.cart"}),
    ):
        status, document, headers = await api(method, f"{path}?dry_run=1", **more)
        assert status == 200
        assert (document["dry_run"], document["base"], document["revision"]) == (True, 2, 3)
        assert headers["ETag"] == '"2"', "an agreement to it is an If-Match of what it was made from"
        assert changed <= {change["path"] for change in document["changes"]}, path
    assert (world.controller.state, world.disk(), len(world.publisher.sent), world.feed.latest) == before


async def test_what_is_no_route_is_a_problem_document_too(api):
    status, problem, headers = await api("GET", "/v1/nothing")
    assert (status, problem["code"], headers["Content-Type"]) == (404, "not_found", "application/problem+json")
    status, problem, headers = await api("DELETE", "/v1/status")
    assert (status, headers["Allow"], problem["allowed"]) == (405, "GET", "methods: GET")


async def said(world, data):
    """What comes back on the socket for these very bytes, until it is closed: status line, head and document."""
    reader, writer = await asyncio.open_unix_connection(str(world.path.with_name("admin.sock")))
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, json.loads(body)


@pytest.mark.parametrize(
    "data",
    [
        b"GET /v1/status HTTP/9.9\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /v1/status?x=" + b"y" * 70_000 + b" HTTP/1.1\r\nHost: g\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: g\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: g\r\nContent-Length: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
)
async def test_what_is_no_request_gets_a_problem_document_too(world, api, data, caplog):
    head, problem = await said(world, data)
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert b"application/problem+json" in head
    assert b"Python" not in head
    assert (problem["code"], problem["status"]) == ("bad_request", 400)
    assert "Traceback" not in caplog.text


async def test_a_note_of_full_length_in_any_script_fits_into_a_request_line(world, api):
    note = "界" * 1_000
    assert (await api("PUT", SPLIT, json={"green": 1}, params={"note": note}))[0] == 200
    assert (await world.store.revisions(limit=1))[0].note == note


async def test_what_is_repeated_of_a_header_need_not_be_text(world, api):
    request = b"GET /v1/events?follow=0 HTTP/1.1\r\nHost: g\r\nConnection: close\r\nLast-Event-ID: \xff\x84\r\n\r\n"
    head, problem = await said(world, request)
    assert b" 400 " in head.splitlines()[0]
    assert "Last-Event-ID" in problem["detail"]


async def test_of_very_many_mistakes_a_bounded_number_is_listed(api):
    status, problem, _ = await api("POST", "/v1/reload", json={f"k{n}": 1 for n in range(2_000)})
    assert (status, len(problem["problems"])) == (422, 101)
    assert problem["problems"][-1]["message"] == "1900 more problems are not listed"
    body = {f"v{n}": n for n in range(1_001)}
    status, problem, _ = await api("PUT", SPLIT, json=body)
    assert (status, problem["code"]) == (422, "invalid_weights")
    assert "at most 1000" in problem["problems"][0]["message"]


async def test_whole_numbers_may_be_written_with_a_fraction_of_nothing(api):
    await api("PUT", SPLIT, json={"green": 1})
    assert (await api("POST", ROLLBACK, data=b'{"to": 1.0}'))[0] == 200
    for wrong in (b'{"to": 1.5}', b'{"to": true}', b'{"to": "1"}', b'{"to": 1e400}'):
        assert (await api("POST", ROLLBACK, data=wrong))[0] in (400, 422), wrong
