"""The client's connection: heads, limits, lingering, time."""

import pytest

from gatekeeper.core.model import Limits, Pattern, PatternKind, Rule, Sticky, Timeouts, When
from gatekeeper.dataplane.parting import LINGER_SECONDS
from tests.dataplane.world import GET, OK, STRANGER, Message, post, request

TIMES = Timeouts(request_head=3, idle=40, response=20)


def closed_after(here, client, status):
    """One answer of this status, then nothing more is served."""
    message = Message.read(client.take())
    assert (message.status, message.get("connection")) == (status, "close")
    assert client.ended
    client.send(GET)
    assert client.take() == b""
    assert not here.attempts
    counts = here.counts(0)
    assert (counts.codes, counts.errors) == ({status: 1}, {"client": 1})
    assert here.counts("blue").begun == 0
    return message


# Heads that are refused; the exhaustive lists are in tests/http1


@pytest.mark.parametrize(
    ("raw", "status"),
    [(b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
     (b"\x16\x03\x01\x00\n", 400),
     (b"GET / HTTP/1.1\nHost: a\n\n", 400), (b"GET / HTTP/1.1\r\nHost: a\n\r\n\r\n", 400), (b"GET /\r\n\r\n", 400),
     (request("POST", "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
     (request("POST", "Transfer-Encoding: chunked", version="1.0"), 400),
     (request("POST", "Transfer-Encoding: gzip, chunked"), 400), (request("POST", "Content-Length: -1"), 400),
     (request("GET", version="2.0"), 505), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
     (request("CONNECT", target="a:1"), 501),
     (request("GET", "Expect: the-unexpected"), 417), (request("GET", target="/" + "a" * 9000), 414),
     (b"GET /" + b"a" * 40_000, 414), (b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000, 431),
     (request("GET", *["A: b"] * 200), 431),
     (request("GET", "X: " + "a" * 33_000), 431)],
)  # fmt: skip
def test_a_refused_head_ends_the_connection_and_nothing_behind_it_is_served(world, raw, status):
    here = world()
    client = here.client()
    client.send(raw + GET)
    closed_after(here, client, status)


def test_limits_are_the_operators(world):
    here = world(limits=Limits(header_bytes=200, headers=3))
    assert here.answered(request("GET", "A: b", "C: d")).status == 200
    assert here.refused(request("GET", "A: b", "C: d", "E: f")).status == 431
    assert here.refused(request("GET", "A: " + "b" * 200)).status == 431
    assert here.refused(request("GET", target="/" + "b" * 300)[:250]).status == 414


def test_a_larger_limit_lets_larger_heads_through(world):
    here = world(limits=Limits(header_bytes=256 * 1024))
    client = here.client()
    raw = request("GET", "X: " + "a" * 200_000)
    for start in range(0, len(raw), 50_000):
        client.send(raw[start : start + 50_000])
    here.backend().send(OK)
    assert client.take() == OK


def test_a_refused_head_request_gets_no_body(world):
    message = world().refused(request("HEAD", "Content-Length: x"))
    assert (message.status, message.body) == (400, b"")


@pytest.mark.parametrize("blank", [b"\r\n", b"\r\n" * 4])
def test_a_few_empty_lines_before_a_request_are_skipped_however_they_come(world, blank):
    here = world()
    for pieces in ([blank + GET], [blank, GET], [bytes([each]) for each in blank + GET], [blank + GET[:5], GET[5:]]):
        client = here.client()
        for piece in pieces:
            client.send(piece)
        here.backend().send(OK)
        assert client.take() == OK


@pytest.mark.parametrize(
    "blank", [b"\r\n" * 5, b"\n", b"\n\n", b"\r\r\n", b"\r\n\n", b"\r\n\n\n", b"\r\n\n\r", b" \r\n"]
)
def test_other_beginnings_are_refused(world, blank):
    assert world().refused(blank + GET).status == 400


def test_no_service_answers_404_and_keeps_the_connection(world):
    here = world(hosts=("shop.test",))
    client = here.client()
    other = GET.replace(b"shop", b"other")
    client.send(other)
    message = Message.read(client.take())
    assert (message.status, message.get("connection"), message.get("proxy-status")) == (
        404,
        None,
        "gatekeeper; error=destination_not_found",
    )
    assert here.counts(0).codes == {404: 1}
    client.send(other + GET + other)
    here.backend().send(OK)
    raw = client.take()
    assert [raw.count(each) for each in (b"404 Not Found", b"200 OK")] == [2, 1]
    assert not client.is_closing()


def test_a_request_of_no_service_is_logged_with_who_asked(world):
    here = world(hosts=("shop.test",), trusted=("0.0.0.0/0",))
    fields = b"Host: other.test\r\nUser-Agent: a\r\nReferer: r\r\nX-Request-Id: id-1\r\nX-Forwarded-For: 203.0.113.7"
    here.client().send(b"GET / HTTP/1.1\r\n" + fields + b"\r\n\r\n")
    (entry,) = here.log.entries
    assert (entry[1], *entry[16:19]) == ("203.0.113.7", b"id-1", b"r", b"a")
    assert entry[15] == here.plane.snapshot.table.revision > 0


@pytest.mark.parametrize(
    ("line", "kind"), [("Accept: text/html", "text/html; charset=utf-8"), ("Accept: */*", "application/problem+json")]
)
def test_a_404_is_html_for_browsers(world, line, kind):
    assert world(hosts=("a.test",)).refused(request("GET", line)).get("content-type") == kind


def test_a_404_with_a_body_behind_it_ends_the_connection(world):
    here = world(hosts=("a.test",))
    client = here.client()
    client.send(post(GET))
    assert client.take().count(b"HTTP/1.1") == 1
    assert client.ended


# Time


def test_a_connection_that_says_nothing_is_closed_after_the_time_of_a_head(world):
    here = world(timeouts=TIMES)
    client = here.client()
    here.pass_time(2.9)
    assert not client.lost
    here.pass_time(0.2)
    assert client.lost
    assert client.out == b""


def test_a_head_that_drips_in_is_408_however_busily_it_drips(world):
    here = world(timeouts=TIMES)
    client = here.client()
    for position in range(0, 20, 2):
        client.send(GET[position : position + 2])
        here.pass_time(0.29)
    assert client.out == b""
    here.pass_time(0.5)
    closed_after(here, client, 408)
    assert here.refusals() == {"head_timeout": 1}


def test_a_kept_connection_is_closed_after_the_idle_time(world):
    here = world(timeouts=TIMES)
    client, backend = here.asked(GET)
    backend.send(OK)
    here.pass_time(39)
    assert not client.is_closing()
    here.pass_time(2)
    assert client.lost
    assert client.take() == OK, "silently: no request was under way"


def test_a_second_head_has_the_time_of_a_head_not_of_idling(world):
    here = world(timeouts=TIMES)
    client, backend = here.asked(GET)
    backend.send(OK)
    client.take()
    client.send(b"GET / HT")
    here.pass_time(4)
    assert Message.read(client.take()).status == 408


# Lingering and closing


def test_after_the_last_answer_the_end_is_sent_and_the_client_may_take_its_time(world):
    here = world()
    client, backend = here.asked(request("GET", "Connection: close"))
    backend.send(OK)
    assert client.ended
    assert not client.lost
    client.end()
    assert client.lost


def test_lingering_has_an_end(world):
    here = world()
    client, backend = here.asked(request("GET", "Connection: close"))
    backend.send(OK)
    here.pass_time(LINGER_SECONDS + 0.1)
    assert client.lost


def test_a_slow_client_gets_the_whole_of_a_last_answer(world):
    """However long it takes, as long as it goes on taking: the close must not cut off a good answer."""
    here = world(timeouts=TIMES)
    client, backend = here.asked(request("GET", "Connection: close"))
    client.stall()
    backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000)
    for _ in range(6):
        here.pass_time(30)
        client.drain(10_000)
    client.drain()
    assert len(Message.read(client.take()).body) == 60_000
    assert client.ended


def test_a_client_that_stops_taking_a_last_answer_is_given_up(world):
    here = world(timeouts=TIMES)
    client, backend = here.asked(request("GET", "Connection: close"))
    client.stall()
    backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000)
    here.pass_time(39)
    assert not client.lost
    client.drain(5)
    here.pass_time(2)
    here.pass_time(39)
    assert not client.lost
    here.pass_time(2)
    assert client.lost


def test_a_slow_client_of_a_kept_connection_is_not_cut_off_by_the_idle_time(world):
    here = world(timeouts=TIMES)
    client, backend = here.asked(GET)
    client.stall()
    backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000)
    for _ in range(6):
        here.pass_time(41)
        client.drain(10_000)
    client.drain()
    assert len(Message.read(client.take()).body) == 60_000


@pytest.mark.parametrize("raw", [b"nonsense\r\n\r\n", GET.replace(b"shop", b"other")])
def test_an_answer_written_in_the_turn_of_the_clients_end_still_leaves(world, raw):
    here = world(hosts=("shop.test",))
    client = here.client()
    client.send(raw, run=False)
    client.end()
    assert client.take().startswith(b"HTTP/1.1 40")


def test_a_client_that_ends_its_side_is_gone(world):
    here = world()
    client, backend = here.asked(GET)
    client.end()
    assert backend.lost
    assert here.counts("blue").codes == {499: 1}


def test_a_connection_beyond_the_limit_is_told_so_and_closed(world):
    here = world(limits=Limits(connections=2))
    first, second = here.client(), here.client()
    third = here.client()
    message = Message.read(third.take())
    assert (message.status, message.get("connection")) == (503, "close")
    assert message.get("proxy-status") == "gatekeeper; error=connection_limit_reached"
    third.send(GET)
    assert not here.attempts
    assert here.refusals() == {"connection_limit": 1}
    third.end()
    first.end()
    assert here.answered(GET).status == 200
    assert second.out == b""


# Draining


def test_a_draining_worker_finishes_and_says_close(world):
    here = world()
    client, backend = here.asked(GET)
    idle = here.client()
    assert here.plane.drain()
    backend.send(OK)
    assert Message.read(client.take()).get("connection") == "close"
    assert client.ended
    idle.send(GET)
    here.backend().send(OK)
    assert Message.read(idle.take()).get("connection") == "close", "a request that crossed with the stop is served"
    assert not here.plane.drain()


def test_a_draining_worker_closes_idle_connections_after_a_moment(world):
    here = world()
    client = here.client()
    here.plane.drain()
    assert not client.lost
    here.pass_time(0.6)
    assert client.lost
    assert not here.plane.drain()


def test_a_failure_while_draining_says_close(world):
    here = world()
    client, backend = here.asked(GET)
    here.plane.drain()
    backend.end()
    assert Message.read(client.take()).get("connection") == "close"


def test_a_decision_remembered_with_a_section_is_not_another_clients(world):
    """The same bytes from a tester and from a stranger."""
    here = world()
    raw = request("GET", "X-Gatekeeper-Version: green", "Cookie: gatekeeper-shop=" + "a" * 32)
    for address, version in (("127.0.0.1", "green"), (STRANGER, "blue"), ("127.0.0.1", "green")) * 2:
        assert here.told(raw, address).get("x-gatekeeper-version") == version


def test_a_decision_remembered_with_a_section_is_not_that_of_requests_that_a_rule_lets_through(world):
    beta = Rule("beta", When(path=Pattern(PatternKind.PREFIX, ("/beta",))), to="green")
    here = world({"blue": 100, "green": 0}, rules=(beta,), sticky=Sticky())
    cookie = "Cookie: gatekeeper-shop=" + "a" * 32
    for target, version in (("/", "blue"), ("/beta", "green"), ("/other", "blue")) * 3:
        assert here.told(request("GET", cookie, target=target)).get("x-gatekeeper-version") == version
    assert here.plane.request_fields.known
    assert all(fields.decided for fields in here.plane.request_fields.known.values())
