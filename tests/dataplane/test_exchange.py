"""Requests and answers that go well: what passes, what does not, and when the connections stay."""

import pytest

from tests.dataplane.world import GET, OK, TESTER, Message, post, request

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_an_answer_passes_to_the_byte_and_both_connections_stay(world):
    here = world()
    client, backend = here.asked(GET)
    head = b"HTTP/1.1 200 Fine by me\r\nServer: x\r\nContent-Length: 4\r\nset-COOKIE: a=1\r\nSet-Cookie: b=2\r\n\r\n"
    answer = head + b"\x00\xff\r\n"
    backend.send(answer)
    assert client.take() == answer
    backend.take()
    client.send(GET)
    assert backend.take().startswith(b"GET / HTTP/1.1\r\n"), "the pooled connection serves the next request"
    backend.send(OK)
    assert client.take() == OK
    assert len(here.wires) == 1
    counts = here.counts("blue")
    assert (counts.codes, counts.errors, counts.upstream_timed) == ({200: 2}, {}, 2)


def test_a_body_passes_as_it_comes_in_both_directions(world):
    here = world()
    client, backend = here.asked(request("POST", "Content-Length: 6"))
    backend.take()
    for piece in (b"ab", b"cd", b"ef"):
        client.send(piece)
        assert backend.take() == piece
    backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
    assert client.take().endswith(b"\r\n\r\n"), "the head does not wait for the body"
    for piece in (b"gh", b"ij", b"kl"):
        backend.send(piece)
        assert client.take() == piece
    assert here.counts("blue").codes == {200: 1}


def test_a_head_may_come_byte_by_byte_from_either_side(world):
    here = world()
    client = here.client()
    for position in range(len(GET)):
        client.send(GET[position : position + 1])
    backend = here.backend()
    for position in range(len(OK)):
        backend.send(OK[position : position + 1])
    assert client.take() == OK


def test_chunks_are_written_anew_without_extensions_or_forbidden_trailers(world):
    here = world()
    client, backend = here.asked(request("POST", "Transfer-Encoding: chunked") + b"003;ext=1\r\nabc\r\n")
    assert backend.take().endswith(b"\r\n\r\n3\r\nabc\r\n")
    client.send(b"2 ; x\r\nde\r\n0;y\r\nX-Sum: 1\r\nHost: evil\r\n\r\n")
    assert backend.take() == b"2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n"
    backend.send(CHUNKED + b"00A;a=b\r\n01234")
    assert Message.read(client.take()).body == b"a\r\n01234"
    backend.send(b"56789\r\n0\r\nX-Sum: 2\r\nSet-Cookie: a=b\r\n\r\n")
    assert client.take() == b"56789\r\n0\r\nX-Sum: 2\r\n\r\n"
    assert not backend.is_closing()
    assert not client.is_closing()


def test_a_request_has_one_framing_field_whatever_the_client_wrote(world):
    here = world()
    told = here.told(request("POST", "content-length: 2", "Content-Length: 2") + b"ab")
    assert (told.get("content-length"), told.get("transfer-encoding"), told.body) == ("2", None, b"ab")
    told = here.told(request("POST", "transfer-ENCODING: Chunked") + b"0\r\n\r\n")
    assert (told.all("transfer-encoding"), told.get("content-length")) == (["chunked"], None)


def test_a_body_of_a_get_passes_as_well(world):
    here = world()
    assert here.told(request("GET", "Content-Length: 2") + b"ab").body == b"ab"


@pytest.mark.parametrize(
    "reply",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", CHUNKED,
     b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n"],
)  # fmt: skip
def test_an_answer_to_head_ends_with_its_head(world, reply):
    here = world()
    client, backend = here.asked(request("HEAD"))
    backend.send(reply)
    message = Message.read(client.take())
    assert message.body == b""
    assert message.get("transfer-encoding") is None
    client.send(GET)
    backend.send(OK)
    assert client.take() == OK, "both connections are where they should be"
    assert len(here.wires) == 1


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("framing", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_204_and_304_have_no_body_whatever_the_backend_says(world, status, framing):
    here = world()
    client, backend = here.asked(GET)
    backend.send(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, framing))
    message = Message.read(client.take())
    assert (message.status, message.body, message.get("transfer-encoding")) == (status, b"", None)
    client.send(GET)
    backend.send(OK)
    assert client.take() == OK


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_body_where_none_may_be_is_dropped_with_its_connection(world, method):
    here = world()
    client, backend = here.asked(request(method))
    backend.send(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\nhello" % (200 if method == "HEAD" else 304))
    assert Message.read(client.take()).body == b""
    assert backend.lost
    assert not client.is_closing()


def test_bytes_behind_an_answer_are_dropped_with_its_connection(world):
    here = world()
    client, backend = here.asked(GET)
    backend.send(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
    assert client.take() == OK
    assert backend.lost
    client.send(GET)
    assert here.backend() is not backend
    here.backend().send(OK)
    assert client.take() == OK


# HTTP/1.0


def test_a_client_of_http_1_0_gets_a_plain_body_and_the_close(world):
    here = world()
    client, backend = here.asked(request("GET", version="1.0"))
    assert backend.take().startswith(b"GET / HTTP/1.1\r\n")
    backend.send(CHUNKED + b"3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n")
    message = Message.read(client.take())
    assert (message.body, message.get("transfer-encoding"), message.get("connection")) == (b"abc", None, "close")
    assert client.ended
    assert not backend.is_closing()


def test_a_client_of_http_1_0_may_keep_its_connection_where_a_length_is_known(world):
    here = world()
    client, backend = here.asked(request("GET", "Connection: keep-alive", version="1.0"))
    backend.send(OK)
    assert Message.read(client.take()).get("connection") == "keep-alive"
    assert not client.ended


def test_a_client_of_http_1_0_cannot_keep_its_connection_without_a_length(world):
    here = world()
    client, backend = here.asked(request("GET", "Connection: keep-alive", version="1.0"))
    backend.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
    backend.end()
    message = Message.read(client.take())
    assert (message.body, message.get("connection")) == (b"abc", "close")
    assert client.ended


def test_a_client_of_http_1_0_without_host_gives_the_backends_own(world):
    here = world()
    assert here.told(b"GET / HTTP/1.0\r\n\r\n").get("host") == "blue-1:80"


def test_a_backend_of_http_1_0_is_read_to_its_close(world):
    here = world()
    client, backend = here.asked(GET)
    backend.send(b"HTTP/1.0 200 OK\r\n\r\nabc")
    backend.end()
    assert client.take() == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert not client.is_closing()


def test_a_backend_of_http_1_0_is_not_used_again(world):
    here = world()
    client, backend = here.asked(GET)
    backend.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert client.take() == OK
    assert backend.lost


# Who closes


@pytest.mark.parametrize("value", ["close", "Close, x"])
def test_a_client_that_says_close_gets_its_answer_then_the_end(world, value):
    here = world()
    client, backend = here.asked(request("GET", f"Connection: {value}"))
    backend.send(OK)
    message = Message.read(client.take())
    assert (message.body, message.get("connection")) == (b"ok", "close")
    assert client.ended
    client.send(GET)
    assert client.take() == b"", "nothing behind it is served"
    assert here.counts("blue").begun == 1


def test_a_backend_that_says_close_closes_nobody_else(world):
    here = world()
    client, backend = here.asked(GET)
    backend.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    assert client.take() == OK
    assert backend.lost
    assert not client.is_closing()


# 1xx and Expect


def test_a_client_that_waits_for_100_gets_the_backends(world):
    here = world()
    client, backend = here.asked(request("POST", "Content-Length: 2", "Expect: 100-continue"))
    told = Message.read(backend.take())
    assert (told.get("expect"), told.body) == ("100-continue", b"")
    backend.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"ab")
    assert backend.take() == b"ab"
    backend.send(OK)
    assert client.take() == OK


def test_a_client_that_waits_for_100_may_get_the_final_answer_instead(world):
    here = world()
    client, backend = here.asked(request("POST", "Content-Length: 2", "Expect: 100-continue"))
    backend.send(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
    message = Message.read(client.take())
    assert (message.status, message.get("connection")) == (417, "close")
    assert client.ended, "the two bytes may or may not come: nobody can tell them from a request"


def test_early_hints_pass_and_the_final_answer_is_whole(world):
    here = world()
    client, backend = here.asked(GET)
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
    backend.send(hints)
    assert client.take() == hints
    backend.send(b"HTTP/1.1 102 Processing\r\n\r\n" + OK)
    assert client.take() == b"HTTP/1.1 102 Processing\r\n\r\n" + OK


def test_nothing_but_the_final_answer_goes_to_http_1_0(world):
    here = world()
    client, backend = here.asked(request("POST", "Content-Length: 2", "Expect: 100-continue", version="1.0") + b"ab")
    assert Message.read(backend.take()).get("expect") is None
    backend.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)
    message = Message.read(client.take())
    assert (message.status, message.body) == (200, b"ok")


def test_an_interim_answer_never_tells_a_length_or_a_connection(world):
    here = world()
    client, backend = here.asked(GET)
    backend.send(b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\nConnection: close\r\nLink: x\r\n\r\n")
    assert client.take() == b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    backend.send(OK)


# Early answers


@pytest.mark.parametrize("body", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_an_early_answer_reaches_the_client_and_the_rest_of_its_body_is_no_request(world, body):
    here = world()
    client, backend = here.asked(request("POST", body))
    backend.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!")
    message = Message.read(client.take())
    assert (message.status, message.body, message.get("connection")) == (413, b"no!", "close")
    assert backend.lost
    client.send(GET * 5)
    assert client.take() == b""
    assert here.counts("blue").begun == 1
    assert not client.lost, "what it still sends is read for a while, so that no reset overtakes the answer"
    here.pass_time(3)
    assert client.lost


def test_a_client_that_goes_on_sending_after_an_early_answer_is_closed_after_a_mebibyte(world):
    here = world()
    client, backend = here.asked(request("POST", "Content-Length: 100000000"))
    backend.send(OK)
    for _ in range(17):
        assert not client.lost
        client.send(b"x" * 65536)
    assert client.lost


def test_an_early_answer_that_streams_on_while_the_request_ends_is_complete(world):
    here = world()
    client, backend = here.asked(request("POST", "Content-Length: 2"))
    backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
    client.send(b"xy")
    assert backend.take().endswith(b"xy")
    backend.send(b"cd")
    message = Message.read(client.take())
    assert (message.body, message.get("connection")) == (b"abcd", "close")


def test_a_forced_answer_names_its_version(world):
    here = world()
    answer = here.answered(request("GET", "X-Gatekeeper-Version: green"), address=TESTER)
    assert answer.get("x-gatekeeper-version") == "green"
    assert here.counts("green").forced == {200: 1}
    assert here.counts("green").codes == {}


def test_only_a_forced_answer_names_its_version(world):
    assert world().answered(request("GET", "X-Gatekeeper-Version: green")).get("x-gatekeeper-version") is None


def test_a_whole_post_passes_with_its_answer(world):
    here = world()
    client, backend = here.asked(post(b"payload"))
    assert Message.read(backend.take()).body == b"payload"
    backend.send(OK)
    assert client.take() == OK
