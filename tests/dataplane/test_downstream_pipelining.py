"""Requests sent before the answers to those before them."""

import pytest

from gatekeeper.dataplane.parting import MAX_AHEAD
from tests.dataplane.world import GET, OK, Message, post, request

BYE = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def test_pipelined_requests_are_answered_in_order_one_at_a_time(world):
    here = world()
    client = here.client()
    client.send(b"".join(request("GET", target=f"/{number}") for number in range(5)))
    backend = here.backend()
    for number in range(5):
        assert backend.take().startswith(b"GET /%d HTTP/1.1\r\n" % number), "the next waits for the answer to this"
        backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)
        assert client.take().endswith(b"\r\n\r\n%d" % number)
    assert len(here.wires) == 1


def test_a_request_behind_a_body_begins_where_the_body_ends(world):
    here = world()
    client = here.client()
    client.send(post(b"abc") + request("POST", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n\r\n" + GET + GET[:10])
    backend = here.backend()
    bodies = []
    for _ in range(3):
        bodies.append(Message.read(backend.take()).body)
        backend.send(OK)
    assert bodies == [b"abc", b"1\r\nx\r\n0\r\n\r\n", b""]
    client.send(GET[10:])
    backend.send(OK)
    assert client.take() == OK * 4


def test_nothing_behind_a_request_that_says_close_is_served(world):
    here = world()
    client, backend = here.asked(request("GET", "Connection: close") + GET)
    backend.send(OK)
    assert here.counts("blue").begun == 1
    assert client.take().count(b"HTTP/1.1") == 1


def test_what_follows_a_broken_pipelined_request_is_not_served(world):
    here = world()
    client, backend = here.asked(GET + b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
    backend.send(OK)
    raw = client.take()
    assert raw.startswith(OK + b"HTTP/1.1 400")
    assert raw.count(b"HTTP/1.1") == 2
    assert here.counts("blue").begun == 1


@pytest.mark.parametrize("kind", ["answered", "unavailable", "nobodys"])
def test_a_bounded_amount_is_read_ahead(world, kind):
    """Also where each request is answered at once: reading must not run ahead of answering."""
    here = world(hosts=("shop.test",))
    if kind == "unavailable":
        here.states(blue="ejected", green="ejected")
    raw = GET if kind != "nobodys" else GET.replace(b"shop", b"other")
    client = here.client()
    burst = raw * (MAX_AHEAD // len(raw) // 2)
    for _ in range(8):
        client.send(burst, run=False)
    total = 8 * (MAX_AHEAD // len(raw) // 2)
    if kind == "answered":
        here.loop.run()
    done = 0
    worst = 0
    while here.loop.ready or done < total:
        if kind == "answered":
            here.backend().send(OK)
            done += 1
        else:
            for _ in range(len(here.loop.ready)):
                callback, args = here.loop.ready.popleft()
                callback(*args)
            done = here.plane.finished + here.counts(0).begun
        worst = max(worst, len(client.protocol.ahead))
    assert worst <= MAX_AHEAD + len(burst)
    assert client.take().count(b"HTTP/1.1 ") == total


def test_a_connection_made_per_request_reads_no_more_ahead(world):
    here = world()
    client, _backend = here.asked(GET)
    for _ in range(40):
        client.send(GET * 500, run=False)
    held = client.waiting
    for _ in range(20):
        here.backend().send(BYE)
    assert held - client.waiting < len(GET) * 1500
    assert len(client.protocol.ahead) <= MAX_AHEAD + len(GET) * 500
