"""The strict readers and the judge: what they must accept, what they must not, and that a broken case is noticed."""

import asyncio

import pytest

from tests.wire.bench import Bench
from tests.wire.case import OK, Answer, Case, End, Reading, Reply, Seen, passed, request
from tests.wire.judge import Manner, verdict
from tests.wire.oracle import Requests, Responses

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def read(data):
    reader = Requests()
    reader.feed(data)
    return reader


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_requests_are_read_however_they_arrive(size):
    data = HEAD + b"\r\n" + POST + b"Content-Length: 2\r\n\r\nok" + CHUNKED + b"3;a\r\nabc\r\n0\r\nX: y\r\n\r\n"
    reader = Requests()
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
    assert [(bytes(message.body), message.whole) for message in reader.messages] == [
        (b"", True),
        (b"ok", True),
        (b"abc", True),
    ]
    assert (reader.messages[2].trailers, reader.rest, reader.fault) == ([b"X: y"], b"", "")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        HEAD + b"Host: b\r\n\r\n",
        HEAD + b"X : y\r\n\r\n",
        HEAD + b" X: y\r\n\r\n",
        HEAD + b"X: \x00\r\n\r\n",
        HEAD + b"X: y\rZ: a\r\n\r\n",
        HEAD.replace(b"\r\n", b"\n") + b"\n",
        b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        POST + b"Content-Length: +1\r\n\r\nx",
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"0x1\r\nx\r\n0\r\n\r\n",
        CHUNKED + b"1\nx\r\n0\r\n\r\n",
        CHUNKED + b"1\r\nxy\r\n0\r\n\r\n",
        CHUNKED + b"0\r\nno colon\r\n\r\n",
    ],
)
def test_what_has_no_single_reading_is_a_fault(data):
    assert read(data).fault


def test_an_incomplete_request_is_not_whole_and_leaves_nothing_over():
    reader = read(POST + b"Content-Length: 5\r\n\r\nabc")
    assert (reader.messages[0].whole, reader.rest, reader.fault) == (False, b"", "")


def test_bytes_that_begin_no_request_are_left_over():
    assert read(HEAD + b"\r\nGET /half").rest == b"GET /half"


@pytest.mark.parametrize(
    ("data", "orderly", "whole", "framing"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True, True, "length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", True, False, "length"),
        (b"HTTP/1.1 200 OK\r\n\r\nok", True, True, "close"),
        (b"HTTP/1.1 200 OK\r\n\r\nok", False, False, "close"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", True, False, "chunked"),
        (b"HTTP/1.1 204 No\r\n\r\n", True, True, "none"),
        (b"HTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", True, True, "none"),
    ],
)
def test_where_a_response_ends(data, orderly, whole, framing):
    reader = Responses((False,))
    reader.feed(data)
    reader.end(orderly=orderly)
    assert (reader.messages[0].whole, reader.messages[0].framing) == (whole, framing)


def test_the_answer_to_head_has_no_body():
    reader = Responses((True, False))
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
    assert [bytes(message.body) for message in reader.messages] == [b"", b"x"]


# The judge, by a proxy that passes every byte on as it is


async def pipe(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def played(case):
    """What becomes of a case when nobody stands between client and backend but a mover of bytes."""
    bench = Bench(patience=0.3)

    async def connected(reader, writer):
        back, forth = await asyncio.open_connection("127.0.0.1", bench.port)
        tasks = [asyncio.ensure_future(pipe(reader, forth)), asyncio.ensure_future(pipe(back, writer))]
        movers.extend(tasks)

    movers = []
    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    bench.proxy = server.sockets[0].getsockname()[1]
    await bench.start()
    scene = await bench.run(case)
    await bench.stop()
    for mover in movers:
        mover.cancel()
    await asyncio.gather(*movers, return_exceptions=True)
    server.close()
    return verdict(case, scene, Manner(frozenset(), exact=True), lenient=False)


GOOD = request(b"GET /p HTTP/1.1", b"X-A: b")


async def test_a_case_that_is_kept_has_nothing_against_it():
    assert await played(passed("x", "y", GOOD, Seen(b"GET /p HTTP/1.1", (b"Host: a.test", b"X-A: b")))) == []


@pytest.mark.parametrize(
    "case",
    [
        passed("another-line", "y", GOOD, Seen(b"GET /q HTTP/1.1", (b"Host: a.test", b"X-A: b"))),
        passed("another-field", "y", GOOD, Seen(b"GET /p HTTP/1.1", (b"Host: a.test", b"X-A: c"))),
        passed("a-field-too-many", "y", GOOD, Seen(b"GET /p HTTP/1.1", (b"Host: a.test",))),
        passed("another-order", "y", GOOD, Seen(b"GET /p HTTP/1.1", (b"X-A: b", b"Host: a.test"))),
        passed("another-request", "y", GOOD * 2, Seen(b"GET /p HTTP/1.1", (b"Host: a.test", b"X-A: b"))),
        passed("closed", "y", GOOD, Seen(b"GET /p HTTP/1.1", (b"Host: a.test", b"X-A: b")), end=End.CLOSED),
        Case("nothing-at-the-backend", "y", (GOOD,), Reading((), None)),
        Case("nothing-whole-at-the-backend", "y", (GOOD,), Reading(None, None)),
        Case("malformed-at-the-backend", "y", (b"GET  / HTTP/1.1\r\n\r\n",), Reading("anything", None)),
        Case("another-status", "y", (GOOD,), Reading("anything", (Reply(400),))),
        Case("another-body", "y", (GOOD,), Reading("anything", (Reply(200, b"no"),))),
        Case("a-field-missing", "y", (GOOD,), Reading("anything", (Reply(200, has=(b"X-B: c",)),))),
        Case("a-field-left", "y", (GOOD,), Reading("anything", (Reply(200, lacks=(b"content-length",)),))),
        Case("not-cut", "y", (GOOD,), Reading("anything", (Reply(200, whole=False),))),
        Case("no-interim", "y", (GOOD,), Reading("anything", (Reply(200, interim=(100,)),))),
        Case("two-connections", "y", (GOOD,), Reading("anything", (Reply(200),), connections=2)),
        Case(
            "malformed-for-the-client",
            "y",
            (GOOD,),
            Reading("anything", (Reply(200),)),
            (Answer((b"garbage\r\n\r\n",)), OK),
        ),
    ],
    ids=lambda case: case.name,
)
async def test_a_case_that_is_broken_is_noticed(case):
    assert await played(case) != []
