"""Every way a backend or a client can fail: what the client gets, who is blamed, what is closed."""

import json

import pytest

from gatekeeper.core.model import Limits, Retries, Timeouts
from tests.dataplane.world import GET, OK, Message, post, request

NEVER = Retries(attempts=0)
TIMES = Timeouts(request_head=3, connect=5, response=20, idle=40)
LATER = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"


def problem(client, status, error):
    """The answer gatekeeper made: well framed, of this status and error type."""
    message = Message.read(client.take().replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""))
    assert message.status == status
    assert message.get("proxy-status") == f"gatekeeper; error={error}"
    assert int(message.get("content-length")) == len(message.body)
    assert message.get("cache-control") == "no-store"
    assert json.loads(message.body)["status"] == status
    return message


def blamed(here, source, code, version="blue"):
    """The one request is counted once, with this code and this one source; nobody else is."""
    counts = here.counts(version)
    assert (counts.codes, counts.errors, counts.begun) == ({code: 1}, {source: 1}, 1)
    other = here.counts("green" if version == "blue" else "blue")
    assert (other.codes, other.errors, other.begun) == ({}, {}, 0)


def test_a_backend_that_refuses_is_502(world):
    here = world(retries=NEVER)
    here.unreachable.add("http://blue-1:80")
    client = here.client()
    client.send(GET)
    answer = problem(client, 502, "connection_refused")
    assert answer.get("connection") is None, "the client's connection is as good as before"
    assert answer.get("x-request-id") == here.log.entries[0][16].decode() != "", "a user's report is found in the log"
    blamed(here, "upstream_connect", 502)


def test_a_backend_that_does_not_accept_is_504_after_the_connect_timeout(world):
    here = world(retries=NEVER, timeouts=TIMES)
    here.silent.add("http://blue-1:80")
    client = here.client()
    client.send(GET)
    here.pass_time(4.9)
    assert client.take() == b""
    here.pass_time(0.2)
    problem(client, 504, "connection_timeout")
    blamed(here, "upstream_connect", 504)
    assert not here.loop.tasks, "the attempt is given up"


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_backend_that_goes_before_it_answers_is_502(world, how):
    here = world()
    client, backend = here.asked(GET)
    getattr(backend, how)()
    problem(client, 502, "connection_terminated")
    blamed(here, "upstream_reset", 502)


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_backend_that_goes_in_the_middle_of_its_head_is_502(world, how):
    here = world()
    client, backend = here.asked(GET)
    backend.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    getattr(backend, how)()
    problem(client, 502, "http_protocol_error")
    blamed(here, "upstream_protocol", 502)


@pytest.mark.parametrize(
    "garbage",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x16\x03\x01", b"\r\n", b"X", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/2 200\r\n\r\n",
     b"http/1.1 200 OK\r\n\r\n",
     b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", b"HTTP/1.1 200 OK\r\nA: b\n\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
     b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
     b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
     b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
     b"HTTP/1.1 100 Continue\r\n\r\n" * 17, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 11_000 + b"\r\n",
     b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000],
)  # fmt: skip
def test_garbage_is_502_at_once_and_its_connection_is_closed(world, garbage):
    here = world()
    client, backend = here.asked(GET)
    backend.send(garbage)
    problem(client, 502, "http_protocol_error")
    blamed(here, "upstream_protocol", 502)
    assert backend.lost


def test_a_backend_that_is_silent_is_504_after_the_response_timeout(world):
    here = world(timeouts=TIMES)
    client, backend = here.asked(GET)
    here.pass_time(19.9)
    assert client.take() == b""
    here.pass_time(0.2)
    problem(client, 504, "http_response_timeout")
    blamed(here, "upstream_timeout", 504)
    assert backend.lost


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize(
    "begun",
    [LATER, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
)  # fmt: skip
def test_a_body_cut_short_never_looks_complete(world, begun, how):
    here = world()
    client, backend = here.asked(GET)
    backend.send(begun)
    getattr(backend, how)()
    message = Message.read(client.take())
    assert message.status == 200
    length = message.get("content-length")
    if length is None:
        assert not message.body.endswith(b"0\r\n\r\n")
    else:
        assert len(message.body) < int(length)
    assert client.lost
    blamed(here, "upstream_reset", 200)


@pytest.mark.parametrize("broken", [b"zz\r\n", b"-1\r\n", b"5\r\n01234XX", b"5\n01234\r\n", b"ffffffffffffffff\r\n"])
def test_broken_chunks_cut_the_answer_visibly(world, broken):
    here = world()
    client, backend = here.asked(GET)
    backend.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + broken)
    message = Message.read(client.take())
    assert message.status == 200, "what was read before the break is delivered before the close"
    assert not message.body.endswith(b"0\r\n\r\n")
    assert client.lost
    assert backend.lost
    blamed(here, "upstream_protocol", 200)


def test_a_body_until_the_close_ends_well_where_the_backend_closes_in_order(world):
    here = world()
    client, backend = here.asked(GET)
    backend.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
    backend.end()
    assert Message.read(client.take()).body == b"5\r\nhello\r\n0\r\n\r\n"
    assert here.counts("blue").errors == {}


def test_a_body_until_the_close_that_is_reset_is_cut(world):
    here = world()
    client, backend = here.asked(GET)
    backend.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
    backend.reset()
    assert Message.read(client.take()).body == b"5\r\nhello\r\n"
    assert client.lost
    blamed(here, "upstream_reset", 200)


@pytest.mark.parametrize(
    "begun", [b"HTTP/1.1 200 OK\r\n\r\nhello", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]
)
def test_to_http_1_0_a_cut_answer_without_a_length_is_reset(world, begun):
    """There the orderly close would be the end of a complete answer."""
    here = world()
    client, backend = here.asked(request("GET", version="1.0"))
    backend.send(begun)
    backend.reset()
    assert client.reset_by_us
    assert Message.read(client.take()).body == b"hello"


def test_to_http_1_0_a_cut_answer_with_a_length_is_closed_short_of_it(world):
    here = world()
    client, backend = here.asked(request("GET", version="1.0"))
    backend.send(LATER)
    backend.reset()
    assert client.lost
    assert Message.read(client.take()).body == b"01234"


def test_a_backend_that_stops_in_the_middle_of_its_body_is_cut_after_the_response_timeout(world):
    here = world(timeouts=TIMES)
    client, backend = here.asked(GET)
    here.pass_time(15)
    backend.send(LATER)
    here.pass_time(15)
    assert not client.lost, "each read starts its time anew"
    here.pass_time(6)
    assert client.lost
    assert backend.lost
    blamed(here, "upstream_timeout", 200)


def test_a_client_that_leaves_is_nobodys_failure_and_its_backend_learns_at_once(world):
    here = world()
    client, backend = here.asked(GET)
    client.reset()
    assert backend.lost
    blamed(here, "client", 499)
    assert here.counts("blue").upstream_timed == 0


def test_a_client_that_leaves_in_the_middle_of_its_answer_is_counted_by_the_answers_code(world):
    here = world()
    client, backend = here.asked(GET)
    backend.send(LATER)
    client.end()
    assert backend.lost
    blamed(here, "client", 200)


def test_a_client_that_leaves_while_the_connection_is_being_made_gives_it_up(world):
    here = world()
    here.silent.add("http://blue-1:80")
    client = here.client()
    client.send(GET)
    client.reset()
    assert not here.loop.tasks
    blamed(here, "client", 499)


def test_a_connection_made_in_the_moment_the_client_left_is_closed(world):
    here = world()
    here.silent.add("http://blue-1:80")
    client = here.client()
    client.send(GET)
    client.reset(run=False)
    here.wires.append(here.attempts[0].accept())
    here.loop.run()
    assert here.backend().lost
    assert here.backend().out == b""


def test_a_client_that_does_not_send_its_body_gets_408(world):
    here = world(timeouts=TIMES)
    client, backend = here.asked(post(b"0123456789")[:-5])
    here.pass_time(39)
    assert client.take() == b""
    here.pass_time(2)
    assert problem(client, 408, "http_request_error").get("connection") == "close"
    assert backend.lost, "the backend must not take half a body for a whole"
    blamed(here, "client", 408)


def test_a_client_that_does_not_read_is_cut_and_blamed(world):
    here = world(timeouts=TIMES)
    client, backend = here.asked(GET)
    client.stall()
    backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"x" * 100_000)
    here.pass_time(39)
    assert not backend.lost
    here.pass_time(2)
    assert backend.lost
    assert client.lost, "what it would not read is not kept for it"
    blamed(here, "client", 200)


def test_a_backend_that_does_not_read_the_body_is_504_and_blamed(world):
    """Not the client: it would send, were it read."""
    here = world(timeouts=TIMES)
    client, backend = here.asked(request("POST", "Content-Length: 999999"))
    backend.stall()
    client.send(b"x" * 100_000)
    assert not client.reading
    here.pass_time(41)
    problem(client, 504, "http_response_timeout")
    blamed(here, "upstream_timeout", 504)


@pytest.mark.parametrize("accept", ["text/html,application/xhtml+xml", "TEXT/HTML"])
def test_browsers_get_html(world, accept):
    here = world()
    client, backend = here.asked(request("GET", f"Accept: {accept}"))
    backend.end()
    message = Message.read(client.take())
    assert message.get("content-type") == "text/html; charset=utf-8"
    assert b"502 Bad Gateway" in message.body
    assert "blue" not in message.body.decode(), "no internals"


def test_a_failure_before_the_requests_body_has_come_says_close(world):
    here = world()
    client, backend = here.asked(post(b"0123456789")[:-5])
    backend.reset()
    assert problem(client, 502, "connection_terminated").get("connection") == "close"
    client.send(GET)
    assert client.take() == b"", "these bytes are the rest of a body, not a request"


def test_a_failure_is_empty_for_head_and_tells_its_length(world):
    here = world()
    client, backend = here.asked(request("HEAD"))
    backend.end()
    message = Message.read(client.take())
    assert (message.status, message.body) == (502, b"")
    assert int(message.get("content-length")) > 0


def test_a_body_beyond_the_limit_is_413_before_a_backend_hears_of_it(world):
    here = world(limits=Limits(body=10))
    client = here.client()
    client.send(post(b"x" * 11))
    problem(client, 413, "http_request_error")
    assert not here.attempts
    blamed(here, "client", 413)


def test_a_chunked_body_beyond_the_limit_is_413_and_the_backend_is_cut(world):
    here = world(limits=Limits(body=10))
    client, backend = here.asked(request("POST", "Transfer-Encoding: chunked") + b"5\r\n01234\r\n")
    client.send(b"6\r\n012345\r\n")
    problem(client, 413, "http_request_error")
    assert not backend.out.endswith(b"0\r\n\r\n")
    assert backend.lost
    blamed(here, "client", 413)


def test_a_body_as_long_as_the_limit_passes(world):
    here = world(limits=Limits(body=10))
    assert here.answered(post(b"x" * 10)).status == 200
    assert here.answered(request("POST", "Transfer-Encoding: chunked") + b"a\r\n0123456789\r\n0\r\n\r\n").status == 200


def test_broken_chunks_of_a_request_are_400_and_never_end_the_backends_body(world):
    here = world()
    client, backend = here.asked(request("POST", "Transfer-Encoding: chunked") + b"5\r\n01234\r\n")
    client.send(b"zz\r\nGET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
    assert problem(client, 400, "http_request_error").get("connection") == "close"
    assert not backend.out.endswith(b"0\r\n\r\n")
    assert backend.lost
    blamed(here, "client", 400)


def test_a_failure_of_an_answer_that_has_begun_is_a_break_not_a_second_answer(world):
    here = world()
    client, backend = here.asked(request("POST", "Transfer-Encoding: chunked"))
    backend.send(LATER)
    client.send(b"zz\r\n")
    assert client.take().count(b"HTTP/1.1") == 1
    assert client.lost
    blamed(here, "client", 200)


def test_after_a_failure_the_client_may_ask_again_on_its_connection(world):
    here = world()
    client, backend = here.asked(GET)
    backend.end()
    assert Message.read(client.take()).status == 502
    client.send(GET)
    here.backend().send(OK)
    assert client.take() == OK
