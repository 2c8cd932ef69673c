"""A tunnel takes over after a 101 that was asked for, moves bytes, and ends as its two sides do."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.model import Timeouts
from gatekeeper.dataplane.parting import MAX_AHEAD
from gatekeeper.dataplane.tunnel import CLOSE_SECONDS, GOODBYE_SECONDS
from tests.dataplane.tunnels import ASK, AWAY, GO, cells_of, other, tunnel, unmasked
from tests.dataplane.wires import HIGH_WATER
from tests.dataplane.world import CANDIDATE, GET, OK, TESTER, Message, World, request
from tests.http1.test_upgrade import frame

# The switch


def test_the_backend_is_asked_for_the_upgrade_and_the_client_gets_the_101_whole(world):
    here = world()
    client, backend = here.asked(
        request("GET", "Connection: keep-alive, Upgrade", "Upgrade: h2c, websocket", "TE: trailers")
    )
    told = Message.read(backend.take())
    assert told.all("connection") == ["upgrade"]
    assert told.all("upgrade") == ["websocket"]
    assert told.all("te") == []
    backend.send(GO)
    answer = Message.read(client.take())
    assert answer.status == 101
    assert (answer.get("connection"), answer.get("upgrade")) == ("upgrade", "WebSocket")
    assert (answer.get("sec-websocket-accept"), answer.body) == ("xyz", b"")


@pytest.mark.parametrize(
    "ask",
    [
        GET,
        request("GET", "Upgrade: websocket"),
        request("GET", "Connection: Upgrade", "Upgrade: h2c"),
        request("GET", "Connection: Upgrade, keep-alive", "Upgrade: websocket", version="1.0"),
        request("POST", "Connection: Upgrade", "Upgrade: websocket", "Content-Length: 2") + b"ok",
    ],
    ids=["plain", "not named", "h2c", "1.0", "body"],
)
def test_nobody_who_did_not_ask_gets_a_101(world, ask):
    """RFC 9110 section 15.2.2; the request itself went on as plain HTTP, with its body."""
    here = world()
    client, backend = here.asked(ask)
    told = Message.read(backend.take())
    assert told.all("upgrade") == told.all("connection") == []
    assert told.body == (b"ok" if b"POST" in ask else b"")
    backend.send(GO)
    assert Message.read(client.take()).status == 502
    assert here.counts("blue").errors == {"upstream_protocol": 1}
    assert backend.lost


@pytest.mark.parametrize(
    "go",
    [
        b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: letters\r\n\r\n",
    ],
)
def test_a_101_to_something_else_than_asked_is_a_bad_answer(world, go):
    here = world()
    client, backend = here.asked(ASK)
    client.send(b"early")
    backend.take()
    backend.send(go + b"secret")
    answer = client.take()
    assert Message.read(answer).status == 502
    assert b"secret" not in answer
    assert backend.take() == b""


def test_no_byte_is_lost_around_the_switch_and_none_reaches_the_backend_before_it(world):
    here = world()
    client, backend = here.asked(ASK + b"one ")
    client.send(b"two ")
    assert backend.take().endswith(b"\r\n\r\n")
    backend.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + GO + b"hello ")
    assert client.take().endswith(b"\r\n\r\nhello ")
    assert backend.take() == b"one two "
    client.send(b"three")
    backend.send(b"again")
    assert (backend.take(), client.take()) == (b"three", b"again")


@settings(deadline=None, max_examples=60)
@given(cuts=st.lists(st.integers(1, 400), max_size=12), early=st.binary(max_size=40), late=st.binary(max_size=40))
def test_wherever_the_bytes_are_cut_they_arrive_once_and_in_order(cuts, early, late):
    with World() as here:
        client = here.client()
        for part in parts(ASK + early, cuts):
            client.send(part)
        backend = here.backend()
        assert backend.take().endswith(b"\r\n\r\n")
        for part in parts(GO + late, cuts):
            backend.send(part)
        assert Message.read(client.take()).body == late
        assert backend.take() == early


def parts(raw: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    return [raw[start:stop] for start, stop in pairwise(edges)]


def test_what_a_client_sends_early_is_held_within_a_bound(world):
    here = world()
    client, backend = here.asked(ASK)
    backend.take()
    for _ in range(8):
        client.send(bytes(MAX_AHEAD // 2))
    assert client.waiting > MAX_AHEAD
    backend.send(GO)
    here.loop.run()
    assert client.waiting == 0
    assert backend.take() == bytes(MAX_AHEAD * 4)


def test_a_refusal_is_an_answer_and_the_connection_serves_on(world):
    here = world()
    client, backend = here.asked(ASK)
    backend.take()
    backend.send(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nno")
    refusal = Message.read(client.take())
    assert (refusal.status, refusal.body, refusal.all("upgrade")) == (403, b"no", [])
    client.send(GET)
    assert here.backend() is backend
    assert Message.read(backend.take()).all("upgrade") == []
    backend.send(OK)
    assert client.take() == OK
    assert cells_of(here) == (0, 0, 0, 0)


def test_the_connection_of_a_tunnel_is_never_used_again(world):
    here = world()
    client, backend = tunnel(here)
    client.end()
    backend.end()
    assert backend.lost
    again, second = here.asked(GET)
    assert second is not backend
    second.send(OK)
    assert again.take() == OK


def test_a_cookie_and_a_testers_version_go_out_with_the_101(world):
    here = world(CANDIDATE)
    client, backend = here.asked(ASK[:-2] + b"X-Gatekeeper-Version: green\r\n\r\n", TESTER)
    backend.send(GO)
    assert Message.read(client.take()).get("x-gatekeeper-version") == "green"


# Back pressure


def test_a_client_that_does_not_read_stops_the_backend(world):
    here = world()
    client, backend = other(here)
    client.stall()
    for _ in range(4):
        backend.send(bytes(HIGH_WATER))
    assert backend.waiting == 2 * HIGH_WATER
    client.drain()
    assert backend.waiting == 0
    assert client.take() == bytes(4 * HIGH_WATER)


def test_a_backend_that_does_not_read_stops_the_client(world):
    here = world()
    client, backend = other(here)
    backend.stall()
    for _ in range(4):
        client.send(bytes(HIGH_WATER))
    assert client.waiting == 2 * HIGH_WATER
    backend.drain()
    assert client.waiting == 0
    assert backend.take() == bytes(4 * HIGH_WATER)


# Ends


def test_an_end_travels_and_the_other_direction_goes_on(world):
    here = world()
    client, backend = other(here)
    client.send(b"last")
    client.end()
    assert (backend.take(), backend.ended, client.lost) == (b"last", True, False)
    backend.send(b"still ")
    backend.send(b"speaking")
    assert client.take() == b"still speaking"
    backend.end()
    assert client.lost
    assert backend.lost


def test_an_end_of_the_backend_travels_too(world):
    here = world()
    client, backend = other(here)
    backend.send(b"last")
    backend.end()
    assert (client.take(), client.ended, client.lost) == (b"last", True, False)
    client.send(b"still speaking")
    assert backend.take() == b"still speaking"
    client.end()
    assert client.lost
    assert backend.lost


@pytest.mark.parametrize("side", ["client", "backend"])
def test_over_tls_an_end_is_the_end_of_both_and_what_was_written_arrives(world, side):
    here = world()
    sides = other(here)
    tls = sides[side == "backend"]
    tls.get_extra_info = lambda name: tls if name == "ssl_object" else None
    client, backend = sides
    backend.stall()
    client.send(b"last words")
    client.end()
    assert client.lost
    backend.drain()
    assert backend.take() == b"last words"
    assert backend.lost


def test_an_end_that_is_met_again_after_a_pause_in_reading_is_the_same_end(world):
    """So do uvloop's transports: reading on behind the end tells of it once more."""
    here = world(timeouts=Timeouts(idle=60.0))
    client, backend = other(here)
    client.end()
    here.pass_time(20)
    backend.send(b"still speaking")
    assert client.take() == b"still speaking"
    here.pass_time(50)
    assert client.protocol.eof_received()
    assert not client.lost
    here.pass_time(11)  # nothing new happened, so the time goes on
    assert client.lost


def test_after_one_end_the_rest_may_not_pause_for_long(world):
    here = world(timeouts=Timeouts(idle=60.0, tunnel=3600.0))
    client, backend = other(here)
    client.end()
    for _ in range(5):
        here.pass_time(50)
        backend.send(b"x")
    assert client.take() == b"xxxxx"
    here.pass_time(61)
    assert client.lost
    assert backend.lost


def test_a_lost_client_is_told_to_the_backend_and_what_it_sent_is_delivered_where_frames_tell_the_cut(world):
    here = world()
    client, backend = tunnel(here)
    backend.stall()
    client.send(frame(b"x" * 100, mask=b"mask"))
    client.reset()
    assert not backend.lost
    backend.drain()
    assert backend.take() == frame(b"x" * 100, mask=b"mask")
    assert backend.lost


def test_a_backend_that_never_takes_the_rest_is_given_up(world):
    here = world()
    client, backend = tunnel(here)
    backend.stall()
    client.send(frame(b"x" * 100, mask=b"mask"))
    client.reset()
    here.pass_time(CLOSE_SECONDS + 1)
    assert backend.lost


def test_a_cut_of_another_protocol_never_looks_like_an_end(world):
    here = world()
    client, backend = other(here)
    client.reset()
    assert backend.reset_by_us
    client, backend = other(here)
    backend.reset()
    assert client.reset_by_us


def test_a_lost_backend_closes_the_client_and_is_no_failed_request(world):
    here = world()
    client, backend = tunnel(here)
    backend.send(b"\x81\x02")
    backend.reset()
    assert client.take() == b"\x81\x02"
    assert client.lost
    counts = here.counts("blue")
    assert (counts.codes, counts.errors) == ({101: 1}, {})
    assert here.log.entries[-1][19] == "upstream_reset"


# Time


def test_an_idle_tunnel_outlives_every_other_timeout(world):
    here = world(timeouts=Timeouts(response=1.0, idle=1.0, tunnel=100.0))
    client, backend = other(here)
    here.pass_time(99)
    backend.send(b"x")
    here.pass_time(99)
    client.send(b"y")
    here.pass_time(99)
    assert (client.take(), backend.take()) == (b"x", b"y")
    here.pass_time(2)
    assert client.lost
    assert backend.lost


def test_an_idle_websocket_is_told_and_given_a_moment(world):
    here = world(timeouts=Timeouts(tunnel=100.0))
    client, backend = tunnel(here)
    here.pass_time(101)
    assert client.take() == AWAY
    assert unmasked(backend.take()) == b"\x03\xe9"
    assert not client.lost
    here.pass_time(GOODBYE_SECONDS + 1)
    assert client.lost
    assert backend.lost
