"""A service's own clients ask for flags: answered here, within bounds, and no backend hears of it."""

import json

import pytest

from gatekeeper.core.flags.ofrep import BODY_BYTES
from gatekeeper.core.model import Ofrep, Pattern, PatternKind, Sticky, UnitKind, UnitSource, When
from tests.dataplane.flags import boolean, flying, text
from tests.dataplane.world import GET, OK, STRANGER, Message, request

ALL = "/ofrep/v1/evaluate/flags"
USER = Sticky(by=(UnitSource(UnitKind.HEADER, "X-User"),))
PAGE = "https://www.example.com"


@pytest.fixture
def asked(world):
    """A world that answers questions about two flags, one of them split."""

    def make(ofrep=None, **options):
        place = world(ofrep=ofrep or Ofrep(), **{"sticky": USER, **options})
        place.flags = flying(boolean("new-search"), text("theme", {"light": 50, "dark": 50}))
        place.use(place.service, 8)
        return place

    return make


def question(target=ALL, body=b"", *lines, method="POST"):
    return request(method, f"Content-Length: {len(body)}", *lines, target=target) + body


def reply(place, raw, address=STRANGER) -> Message:
    return place.refused(raw, address)  # it asserts that no backend was asked


def document(message: Message):
    assert message.get("content-type") == "application/json"
    assert int(message.get("content-length")) == len(message.body)
    return json.loads(message.body)


def context(**attributes):
    return json.dumps({"context": attributes}).encode()


def test_all_flags_of_the_service_and_its_version_are_told(asked):
    place = asked()
    message = reply(place, question(ALL, context(targetingKey="ada")))
    assert message.status == 200
    found = {flag["key"]: flag for flag in document(message)["flags"]}
    assert list(found) == ["new-search", "shop.version", "theme"]
    assert found["new-search"]["value"] is True
    assert found["shop.version"]["value"] == "blue"


def test_one_flag_is_told_by_its_name(asked):
    message = reply(asked(), question(f"{ALL}/new-search", context(targetingKey="ada")))
    assert message.status == 200
    assert document(message)["variant"] == "on"


def test_without_a_targeting_key_it_is_the_unit_that_the_request_itself_has(asked):
    place = asked()
    for user in range(30):
        name = f"user-{user}"
        client, backend = place.asked(request("GET", f"X-User: {name}"))
        told = Message.read(backend.take()).get("x-gatekeeper-flags")
        backend.send(OK)
        client.take()
        for raw in (
            question(f"{ALL}/theme", b"", f"X-User: {name}"),
            question(f"{ALL}/theme", b"{}", f"X-User: {name}"),
            question(f"{ALL}/theme", context(targetingKey=name), "X-User: somebody-else"),
        ):
            assert told == f"new-search, theme={document(reply(place, raw))['value']}"


def test_who_has_no_unit_gets_an_error_for_what_depends_on_it_and_no_cookie(asked):
    place = asked(sticky=Sticky())
    message = reply(place, question(f"{ALL}/theme"))
    assert message.status == 400
    assert document(message)["errorCode"] == "TARGETING_KEY_MISSING"
    assert message.all("set-cookie") == []


def test_an_address_is_always_the_clients_own(asked):
    place = asked()
    inside = When(networks=("10.0.0.0/8",))
    place.flags = flying(boolean("inside", when=inside))
    place.use(place.service, 9)
    raw = question(f"{ALL}/inside", context(targetingKey="ada", client_ip="10.1.2.3"))
    assert document(reply(place, raw))["value"] is False
    assert document(reply(place, raw, "10.1.2.3"))["value"] is True


def test_a_header_of_the_request_itself_counts_where_the_context_says_nothing(asked):
    place = asked()
    german = When(headers=(("x-country", Pattern(PatternKind.EXACT, ("DE",))),))
    place.flags = flying(boolean("german", when=german))
    place.use(place.service, 9)
    target = f"{ALL}/german"
    assert document(reply(place, question(target, b"{}", "X-Country: DE")))["value"] is True
    assert document(reply(place, question(target, context(**{"X-Country": "FR"}), "X-Country: DE")))["value"] is False


def test_who_knows_the_answer_already_is_told_so(asked):
    place = asked()
    first = reply(place, question(ALL, context(targetingKey="ada")))
    tag = first.get("etag")
    again = reply(place, question(ALL, context(targetingKey="ada"), f"If-None-Match: {tag}"))
    assert (again.status, again.body, again.get("etag")) == (304, b"", tag)
    place.flags = flying(boolean("new-search", on=False), text("theme", {"light": 50, "dark": 50}))
    place.use(place.service, 9)
    assert reply(place, question(ALL, context(targetingKey="ada"), f"If-None-Match: {tag}")).status == 200


def test_a_service_that_does_not_say_so_passes_such_requests_on(world):
    place = world()
    assert place.answered(question()).status == 200


@pytest.mark.parametrize("target", ["/ofrep", "/ofrep/v1/evaluate/flagsx", "/x/ofrep/v1/evaluate/flags", "/ofrep/v2"])
def test_other_paths_of_the_service_are_its_backends(asked, target):
    assert asked().answered(question(target)).status == 200


def test_the_path_is_below_the_services_prefix(asked):
    place = asked(Ofrep("/flags"), path_prefix="/shop")
    assert reply(place, question("/shop/flags/v1/evaluate/flags/new-search")).status == 200


@pytest.mark.parametrize(("target", "status"), [(f"{ALL}/", 404), (f"{ALL}/a/b", 404), (f"{ALL}/a%2Fb", 404)])
def test_what_is_no_name_of_a_flag_is_not_found(asked, target, status):
    message = reply(asked(), question(target))
    assert message.status == status
    assert "there is no such path" in document(message)["errorDetails"]


def test_an_unknown_flag_is_not_found_and_a_near_one_is_named(asked):
    message = reply(asked(), question(f"{ALL}/new-serch"))
    assert message.status == 404
    assert document(message)["errorCode"] == "FLAG_NOT_FOUND"
    assert "new-search" in document(message)["errorDetails"]


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS"])
def test_asking_is_done_by_post_alone(asked, method):
    message = reply(asked(), question(method=method))
    assert message.status == 405
    assert message.get("allow") == "POST, OPTIONS"
    assert bool(message.body) == (method != "HEAD")


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 5000, b'{"context": 5}', b"[]", b'{"context": {"x": NaN}}'])
def test_a_body_that_makes_no_sense_is_refused_and_the_connection_goes_on(asked, body):
    place = asked()
    client = place.client()
    client.send(question(ALL, body))
    message = Message.read(client.take())
    assert message.status == 400
    assert document(message)["errorCode"] in {"PARSE_ERROR", "INVALID_CONTEXT"}
    client.send(question(ALL, context(targetingKey="ada")))
    assert Message.read(client.take()).status == 200


def test_a_body_may_come_in_pieces_and_in_chunks(asked):
    place = asked()
    body = context(targetingKey="ada")
    client = place.client()
    raw = question(f"{ALL}/new-search", body)
    for at in range(len(raw)):
        assert client.take() == b""
        client.send(raw[at : at + 1])
    assert Message.read(client.take()).status == 200
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    client.send(request("POST", "Transfer-Encoding: chunked", target=f"{ALL}/new-search") + chunks)
    assert Message.read(client.take()).status == 200


def test_questions_and_requests_that_come_at_once_are_answered_in_order(asked):
    place = asked()
    client = place.client()
    one = question(f"{ALL}/new-search", context(targetingKey="ada"))
    client.send(one + one + GET)
    backend = place.backend()
    taken = client.take()
    assert taken.count(b"HTTP/1.1 200 OK") == 2
    backend.send(OK)
    assert client.take().startswith(b"HTTP/1.1 200")


def test_who_waits_for_a_word_before_sending_the_body_gets_it(asked):
    place = asked()
    client = place.client()
    body = context(targetingKey="ada")
    raw = question(f"{ALL}/new-search", body, "Expect: 100-continue")
    client.send(raw[: -len(body)])
    assert client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(body)
    assert Message.read(client.take()).status == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_bound_is_refused_before_it_is_held(asked, chunked):
    place = asked()
    client = place.client()
    if chunked:
        size = BODY_BYTES + 1
        piece = b"%x\r\n%b\r\n" % (size, b" " * size)
        client.send(request("POST", "Transfer-Encoding: chunked", target=ALL) + piece)
    else:
        client.send(request("POST", f"Content-Length: {BODY_BYTES + 1}", target=ALL))
    message = Message.read(client.take())
    assert message.status == 413
    assert message.get("connection") == "close"
    assert str(BODY_BYTES) in document(message)["errorDetails"]


def test_a_body_that_never_comes_ends_in_time(asked):
    place = asked()
    client = place.client()
    client.send(question(ALL, b"{}")[:-1])
    place.pass_time(61)
    assert Message.read(client.take()).status == 408


def test_a_client_that_leaves_amid_its_body_leaves_nothing_behind(asked):
    place = asked()
    client = place.client()
    client.send(question(ALL, b"{}")[:-1])
    client.reset()
    assert place.plane.in_flight == 0


def test_beyond_the_rate_it_is_said_when_to_come_again_and_that_holds(asked):
    place = asked(Ofrep(rate=3))
    raw = question(f"{ALL}/new-search")
    place.plane.wall = place.clock.wall()
    assert [reply(place, raw).status for _ in range(4)] == [200, 200, 200, 429]
    place.use(place.service, 9)  # another revision gives nobody more
    message = reply(place, raw)
    assert message.status == 429
    assert message.get("retry-after") == "1"
    assert "3 a second" in document(message)["errorDetails"]
    place.clock.advance(1)
    assert reply(place, raw).status == 200


def test_it_counts_as_an_evaluation_of_the_flag_and_as_no_request_of_a_version(asked):
    place = asked()
    reply(place, question(f"{ALL}/new-search"))
    reply(place, question(ALL, context(targetingKey="ada")))
    message = place.plane.tally.take()
    assert message is not None
    found = {(flag, variant): dict(map(tuple, counts)) for _, flag, variant, counts in message["of"]}
    assert found["new-search", "on"] == {7: 2}
    assert found["shop.version", "blue"] == {7: 1}
    assert place.counts("blue").begun == 0
    assert place.counts(0).codes == {200: 2}


class TestPages:
    def test_a_page_of_the_services_own_origin_needs_no_word(self, asked):
        message = reply(asked(), question(ALL, b"{}"))
        assert [name for name, _ in message.fields if name.startswith("access-control") or name == "vary"] == []

    def test_a_page_that_is_named_may_ask_and_read(self, asked):
        place = asked(Ofrep(origins=(PAGE,)))
        message = reply(place, question(ALL, b"{}", f"Origin: {PAGE}"))
        assert message.status == 200
        assert message.get("access-control-allow-origin") == PAGE
        assert message.get("access-control-allow-credentials") == "true"
        assert message.get("access-control-expose-headers") == "ETag, Retry-After"
        assert message.get("vary") == "Origin"

    @pytest.mark.parametrize("origin", ["https://evil.example", "http://www.example.com", "null", f"{PAGE}.evil", ""])
    def test_a_page_that_is_not_named_may_not(self, asked, origin):
        place = asked(Ofrep(origins=(PAGE,)))
        for raw in (
            question(ALL, b"{}", f"Origin: {origin}"),
            question(ALL, b"", f"Origin: {origin}", "Access-Control-Request-Method: POST", method="OPTIONS"),
        ):
            message = reply(place, raw)
            assert [name for name, _ in message.fields if name.startswith("access-control")] == []
            assert message.get("vary") == "Origin"

    def test_where_all_may_ask_they_do_so_without_cookies(self, asked):
        message = reply(asked(Ofrep(origins=("*",))), question(ALL, b"{}", "Origin: https://evil.example"))
        assert message.get("access-control-allow-origin") == "*"
        assert message.get("access-control-allow-credentials") is None

    def test_a_browser_that_asks_first_is_told_what_it_may_send(self, asked):
        place = asked(Ofrep(origins=(PAGE,), rate=1))
        first = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
        for _ in range(5):  # it takes nothing of the rate
            message = reply(place, question(ALL, b"", f"Origin: {PAGE}", *first, method="OPTIONS"))
            assert message.status == 204
            assert message.get("access-control-allow-origin") == PAGE
            assert message.get("access-control-allow-methods") == "POST"
            assert "Content-Type" in message.get("access-control-allow-headers")
            assert message.get("content-length") is None

    def test_refusals_can_be_read_by_the_page_too(self, asked):
        place = asked(Ofrep(origins=(PAGE,), rate=1))
        raw = question(ALL, b"{}", f"Origin: {PAGE}")
        assert [reply(place, raw).get("access-control-allow-origin") for _ in range(3)] == [PAGE] * 3
