import asyncio
import json

import pytest
from aiohttp import web

from gatekeeper.interface.client import Client, read_token, service_path
from gatekeeper.interface.failures import ClientError, RefusedError, UnreachableError, exit_code_of


def test_the_first_socket_where_somebody_listens_is_used(admin, tmp_path):
    admin.answer("GET", "/v1/status", {"revision": 3}, etag=3)
    client = Client(sockets=[str(tmp_path / "nobody.sock"), admin.socket])
    reply = client.call("GET", "/v1/status")
    assert (reply.data, reply.revision, client.where) == ({"revision": 3}, 3, f"unix:{admin.socket}")


def test_every_place_that_was_tried_is_named(tmp_path):
    client = Client(sockets=[str(tmp_path / "a"), str(tmp_path / "b")])
    with pytest.raises(UnreachableError) as caught:
        client.get("/v1/status")
    assert str(tmp_path / "a") in caught.value.where
    assert str(tmp_path / "b") in caught.value.where
    assert "--socket" in caught.value.way_out


def test_the_expected_revision_and_the_token_go_as_headers(admin):
    admin.answer("PUT", "/v1/services/shop/split", {"revision": 8})
    client = Client(sockets=[admin.socket], token="secret")
    client.call("PUT", "/v1/services/shop/split", body={"blue": 1}, expect=7)
    headers = admin.asked[0].headers
    assert (headers["If-Match"], headers["Authorization"]) == ('"7"', "Bearer secret")
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "code"), [(400, 2), (404, 2), (422, 2), (401, 4), (403, 4), (409, 4), (412, 4), (500, 1), (503, 1)]
)
def test_each_refusal_has_its_exit_code(status, code):
    assert exit_code_of(status) == code


def test_a_refusal_carries_its_problems(admin):
    admin.problem("POST", "/v1/reload", 422, title="invalid", detail="two mistakes", problems=[{"path": "a"}, "odd"])
    with pytest.raises(RefusedError) as caught:
        Client(sockets=[admin.socket]).call("POST", "/v1/reload", body={})
    assert (str(caught.value), caught.value.problems, caught.value.exit_code) == ("two mistakes", [{"path": "a"}], 2)


def test_somebody_else_s_server_is_not_taken_for_gatekeeper(admin):
    admin.answer("GET", "/v1/status", status=404, content_type="text/html", text="<h1>nginx</h1>")
    with pytest.raises(UnreachableError, match="not gatekeeper's admin API answered 404"):
        Client(sockets=[admin.socket]).get("/v1/status")


@pytest.mark.parametrize("page", [{"text": '{"from": "blue"}'}, {"text": "<h1>shop</h1>", "content_type": "text/html"}])
def test_nor_is_one_that_answers_everything_with_200(admin, page):
    admin.answer("GET", "/v1/status", **{"content_type": "application/json", **page})
    with pytest.raises(UnreachableError, match="not gatekeeper's admin API answered 200"):
        Client(sockets=[admin.socket]).get("/v1/status")


def test_an_answer_that_is_no_json_is_an_error_and_not_a_crash(admin):
    admin.answer("GET", "/v1/status", text="{", content_type="application/json")
    with pytest.raises(UnreachableError, match="not valid JSON"):
        Client(sockets=[admin.socket]).get("/v1/status")


def test_waiting_for_an_answer_has_an_end(admin):
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(0.5)
        return web.Response()

    admin.answers["GET", "/v1/status"] = [never]
    with pytest.raises(UnreachableError, match=r"no answer within 0\.1 s"):
        Client(sockets=[admin.socket], timeout=0.1).get("/v1/status")


async def hang_up(request: web.Request) -> web.Response:
    request.transport.close()
    return web.Response()


def test_a_connection_that_breaks_is_told_from_one_that_cannot_be_made(admin):
    admin.answers["GET", "/v1/status"] = [hang_up]
    with pytest.raises(UnreachableError, match="the connection broke"):
        Client(sockets=[admin.socket]).get("/v1/status")


def test_a_write_whose_connection_broke_is_repeated_once_with_the_same_key(admin):
    admin.answers["POST", "/v1/reload"] = [hang_up]
    admin.answer("POST", "/v1/reload", {"revision": 2})
    reply = Client(sockets=[admin.socket]).call("POST", "/v1/reload", body={"a": 1}, expect=1)
    keys = [asked.headers["Idempotency-Key"] for asked in admin.asked]
    assert reply.data == {"revision": 2}
    assert (len(keys), len(set(keys))) == (2, 1)
    assert [(asked.json, asked.headers["If-Match"]) for asked in admin.asked] == [({"a": 1}, '"1"')] * 2


def test_a_look_whose_connection_broke_is_repeated_once(admin):
    admin.answers["GET", "/v1/status"] = [hang_up]
    admin.answer("GET", "/v1/status", {"revision": 2})
    assert Client(sockets=[admin.socket]).get("/v1/status") == {"revision": 2}


def test_an_answer_that_breaks_in_the_middle_is_asked_for_again(admin):
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "17"})
        await response.prepare(request)
        await response.write(b'{"revi')
        request.transport.close()
        return response

    admin.answers["GET", "/v1/status"] = [half]
    admin.answer("GET", "/v1/status", {"revision": 2})
    assert Client(sockets=[admin.socket]).get("/v1/status") == {"revision": 2}


def test_a_write_that_breaks_twice_is_given_up_and_said_to_be_in_doubt(admin):
    admin.answers["POST", "/v1/reload"] = [hang_up]
    with pytest.raises(UnreachableError) as caught:
        Client(sockets=[admin.socket]).call("POST", "/v1/reload")
    assert len(admin.asked) == 2
    assert caught.value.what.startswith("it is not known whether the change was made: the connection broke")
    assert "gatekeeper history" in caught.value.way_out


def test_what_was_not_answered_in_time_is_not_repeated_and_a_write_is_in_doubt(admin):
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(0.5)
        return web.Response()

    admin.answers["POST", "/v1/reload"] = [never]
    with pytest.raises(UnreachableError, match=r"it is not known .*: no answer within 0\.1 s"):
        Client(sockets=[admin.socket], timeout=0.1).call("POST", "/v1/reload")
    assert len(admin.asked) == 1


def test_a_change_that_could_not_even_be_sent_is_not_in_doubt(tmp_path):
    with pytest.raises(UnreachableError) as caught:
        Client(sockets=[str(tmp_path / "nobody")]).call("POST", "/v1/reload")
    assert caught.value.what == "cannot reach gatekeeper"


def test_every_write_has_a_key_of_its_own_and_a_look_has_none(admin):
    admin.answer("POST", "/v1/reload", {"revision": 2})
    admin.answer("GET", "/v1/status", {"revision": 2})
    client = Client(sockets=[admin.socket])
    for method, path in (("POST", "/v1/reload"), ("POST", "/v1/reload"), ("GET", "/v1/status")):
        client.call(method, path)
    first, second, look = (asked.headers.get("Idempotency-Key") for asked in admin.asked)
    assert len({first, second}) == 2
    assert len(first) == 32
    assert look is None


def test_a_refusal_is_never_repeated(admin):
    admin.problem("POST", "/v1/reload", 503, detail="stopping")
    with pytest.raises(RefusedError):
        Client(sockets=[admin.socket]).call("POST", "/v1/reload")
    assert len(admin.asked) == 1


def test_events_arrive_one_by_one_and_resume_after_the_last(admin):
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in (5, 6):
            data = json.dumps({"kind": "split", "number": number})
            await response.write(f": heartbeat\n\nid: {number}\nevent: split\ndata: {data}\n\n".encode())
        return response

    admin.answers["GET", "/v1/events"] = [stream]
    found = list(Client(sockets=[admin.socket]).events(last_id="4"))
    assert [(event.id, event.data["number"]) for event in found] == [("5", 5), ("6", 6)]
    assert admin.asked[0].headers["Last-Event-ID"] == "4"


def test_names_cannot_leave_their_place_in_a_path():
    assert service_path("../status?", "split") == "/v1/services/..%2Fstatus%3F/split"


def test_the_token_is_read_without_its_newline(tmp_path):
    (tmp_path / "token").write_text("abc\n")
    assert read_token(str(tmp_path / "token")) == "abc"


@pytest.mark.parametrize("content", ["", "two words", "line\nline", "\x00"])
def test_a_file_that_holds_no_token_is_wrong_usage(tmp_path, content):
    (tmp_path / "token").write_text(content)
    with pytest.raises(ClientError) as caught:
        read_token(str(tmp_path / "token"))
    assert caught.value.exit_code == 2


def test_a_tcp_address_where_nobody_listens_is_unreachable(unused_tcp_port):
    with pytest.raises(UnreachableError, match="cannot reach gatekeeper"):
        Client(url=f"http://127.0.0.1:{unused_tcp_port}").get("/v1/status")
