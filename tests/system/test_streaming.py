"""Both directions unbuffered: what is sent arrives at once, whatever the framing."""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable

import pytest
import pytest_asyncio

from tests.conftest import _take
from tests.system.parts import Load, running, until
from tests.system.talks import Talk, Talker, head, shop
from tests.system.wire import PATIENCE, Connection

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.asyncio(loop_scope="module")]

AT_ONCE = 0.010
"""Seconds from sending to arrival."""
EVENTS = 100
TRIES = 3
"""Buffering delays every event in every try; a busy machine delays some of them in some."""
MIB = 1 << 20

CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory):
    """One gatekeeper with one worker, and the backend behind it."""
    held: list[socket.socket] = []
    found = _take(held)
    held[-1].close()
    folder = tmp_path_factory.mktemp("scene")
    async with Talker() as talker, running(folder, found, shop(talker.url), workers=1) as gatekeeper:
        yield gatekeeper, talker


@pytest.fixture
def port(scene) -> int:
    return scene[0].port


@pytest.fixture
def stage(scene):
    """``async with stage(talk) as gatekeeper``: the backend talks so; no connection to it is left from before."""

    @contextlib.asynccontextmanager
    async def play(talk: Talk):
        gatekeeper, talker = scene
        talker.talk = talk
        yield gatekeeper
        await talker.hush()

    return play


def in_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def as_it_is(data: bytes) -> bytes:
    return data


def stamped() -> bytes:
    """A server-sent event that says when it was sent."""
    return f"data: {time.monotonic()!r}\n\n".encode()


def ages(data: bytes) -> list[float]:
    """Seconds since each of the events in these bytes was sent."""
    now = time.monotonic()
    return [now - float(line[6:]) for line in data.split(b"\n") if line.startswith(b"data: ")]


def telling(start: bytes, frame: Callable[[bytes], bytes]) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await head(reader)
            writer.write(start)
            for _ in range(EVENTS):
                await asyncio.sleep(0.005)
                writer.write(frame(stamped()))
            if start is UNTIL_CLOSE:
                return
            writer.write(b"0\r\n\r\n")

    return talk


def slowest_but_five(late: list[float]) -> float:
    """The age of the event that only five in a hundred were older than."""
    assert len(late) == EVENTS
    return sorted(late)[-EVENTS * 5 // 100 - 1]


@pytest.mark.parametrize(
    ("start", "frame", "version"),
    [(CHUNKED, in_chunk, "1.1"), (UNTIL_CLOSE, as_it_is, "1.1"), (CHUNKED, in_chunk, "1.0")],
    ids=["chunked", "until-close", "to-http-1.0"],
)
async def test_server_sent_events_arrive_when_they_are_sent(stage, port, tell, start, frame, version):
    """Within 10 ms each, as far as the machine lets them."""
    best = 1.0
    async with stage(telling(start, frame)):
        for _ in range(TRIES):
            connection = await Connection.open(port)
            connection.writer.write(f"GET /events HTTP/{version}\r\nHost: a.test\r\n\r\n".encode())
            answer = await head(connection.reader)
            late: list[float] = []
            async with asyncio.timeout(PATIENCE):
                while len(late) < EVENTS and (data := await connection.reader.read(65536)):
                    late += ages(data)
            await connection.close()
            assert b"text/event-stream" in answer
            best = min(best, slowest_but_five(late))
            if best < AT_ONCE:
                break
    tell(p95_ms=best * 1e3)
    assert best < AT_ONCE


async def test_a_head_does_not_wait_for_its_body_nor_the_first_byte_for_the_second(stage, port):
    asked, told = asyncio.Event(), asyncio.Event()

    async def talk(reader, writer):
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        await asked.wait()
        writer.write(b"a")
        await told.wait()
        writer.write(b"b")
        await reader.read()

    async with stage(talk):
        connection = await Connection.open(port)
        connection.writer.write(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            assert (await head(connection.reader)).startswith(b"HTTP/1.1 200 ")
            asked.set()
            assert await connection.reader.read(9) == b"a"
            told.set()
            assert await connection.reader.read(9) == b"b"
        await connection.close()


@pytest.mark.parametrize(
    ("field", "frame"), [("Transfer-Encoding: chunked", in_chunk), ("Content-Length: 1000000", as_it_is)]
)
async def test_a_request_body_reaches_the_backend_when_it_is_sent(stage, port, field, frame):
    """And its head before the first byte of it."""
    late: list[float] = []
    begun = asyncio.Event()

    async def talk(reader, writer):
        await head(reader)
        begun.set()
        while data := await reader.read(65536):
            late.extend(ages(data))

    async with stage(talk):
        for _ in range(TRIES):
            late.clear()
            begun.clear()
            connection = await Connection.open(port)
            connection.writer.write(f"POST / HTTP/1.1\r\nHost: a.test\r\n{field}\r\n\r\n".encode())
            await asyncio.wait_for(begun.wait(), PATIENCE)
            for _ in range(EVENTS):
                connection.writer.write(frame(stamped()))
                await asyncio.sleep(0.005)
            await until(lambda: len(late) == EVENTS)
            await connection.close()
            if slowest_but_five(late) < AT_ONCE:
                break
    assert slowest_but_five(late) < AT_ONCE


async def test_long_polls_wait_without_keeping_anybody_else_waiting(stage, port, tell):
    """500 of them in one worker, all answered when the backend has something to say."""
    polls = 500
    news = asyncio.Event()
    waiting = 0

    async def talk(reader, writer):
        nonlocal waiting
        while True:
            if (await head(reader)).startswith(b"GET /poll "):
                waiting += 1
                await news.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnews")

    async with stage(talk) as gatekeeper:
        connections = [await Connection.open(port) for _ in range(polls)]
        answers_ = [asyncio.create_task(each.ask("/poll")) for each in connections]
        await until(lambda: waiting == polls)
        async with Load(port) as load:
            await load.more(200)
        assert not load.failures
        assert (await gatekeeper.scrape()).sum("gatekeeper_inflight", service="shop") == polls
        began = time.monotonic()
        news.set()
        assert {answer.body for answer in await asyncio.gather(*answers_)} == {b"news"}
        tell(all_told_ms=(time.monotonic() - began) * 1e3)
        for each in connections:
            await each.close()


@pytest.mark.parametrize("busy", [False, True], ids=["silent", "in-the-middle-of-a-body-nobody-reads"])
async def test_a_backend_learns_at_once_that_its_client_has_gone(stage, port, busy):
    """Also a backend that is slower than its client, so that nobody reads the client just then."""
    begun, left, gone = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def talk(reader, writer):
        await head(reader)
        begun.set()
        if not busy:
            writer.write(CHUNKED)
            await reader.read()
            gone.set()
            return
        writer.transport.pause_reading()
        await left.wait()
        writer.transport.resume_reading()
        with contextlib.suppress(ConnectionError):
            while await reader.read(MIB):
                pass
        gone.set()

    async with stage(talk) as gatekeeper:
        before = (await gatekeeper.scrape()).errors("shop", "blue").get("client", 0)
        connection = await Connection.open(port)
        if busy:
            connection.writer.write(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000\r\n\r\n")
            await begun.wait()
            connection.writer.write(bytes(20 * MIB))
            await asyncio.sleep(0.3)
            # Without this the system would go on delivering what it has, and its end would stand behind that.
            held = connection.writer.get_extra_info("socket")
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.writer.transport.abort()

            async def nobody() -> bool:
                return not (await gatekeeper.scrape()).sum("gatekeeper_inflight", service="shop")

            await until(nobody, 1.0)
            left.set()
        else:
            connection.writer.write(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
            await begun.wait()
            connection.writer.transport.abort()
        await asyncio.wait_for(gone.wait(), 3.0)
        assert (await gatekeeper.scrape()).errors("shop", "blue")["client"] == before + 1


# Interim answers


async def test_early_hints_and_a_100_pass_before_the_answer_each_when_it_is_sent(stage, port):
    """The body is not sent before the 100, and all three answers arrive in their order."""
    heads: list[bytes] = []
    hinted, bodied = asyncio.Event(), asyncio.Event()

    async def talk(reader, writer):
        heads.append(await head(reader))
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        await hinted.wait()
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(5) == b"hello"
        bodied.set()
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok")
        await reader.read()

    async with stage(talk):
        connection = await Connection.open(port)
        connection.writer.write(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            assert await head(connection.reader) == (b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
            assert not bodied.is_set()
            hinted.set()
            assert await head(connection.reader) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.writer.write(b"hello")
            assert (await head(connection.reader)).startswith(b"HTTP/1.1 201 Created\r\n")
            assert await connection.reader.readexactly(2) == b"ok"
        await connection.close()
    assert b"\r\nExpect: 100-continue\r\n" in heads[0]


async def test_a_client_that_is_refused_instead_of_told_to_continue_sends_no_body(stage, port):
    """The refusal is the answer; nothing the client sends on is taken for a request."""
    seen: list[bytes] = []

    async def talk(reader, writer):
        seen.append(await head(reader))
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
        seen.append(await reader.read())

    async with stage(talk):
        connection = await Connection.open(port)
        connection.writer.write(
            b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 999\r\nExpect: 100-continue\r\n\r\n"
        )
        async with asyncio.timeout(PATIENCE):
            assert (await head(connection.reader)).startswith(b"HTTP/1.1 413 ")
            assert await connection.reader.read() == b"big"
        await connection.close()
        await until(lambda: len(seen) == 2)
    assert seen[1] == b""


async def test_a_backend_that_knows_no_100_gets_the_body_of_a_client_tired_of_waiting(stage, port):
    async def talk(reader, writer):
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + await reader.readexactly(5))
        await reader.read()

    async with stage(talk):
        connection = await Connection.open(port)
        connection.writer.write(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        await asyncio.sleep(0.2)
        connection.writer.write(b"hello")
        async with asyncio.timeout(PATIENCE):
            assert (await head(connection.reader)).startswith(b"HTTP/1.1 200 OK\r\n")
            assert await connection.reader.readexactly(5) == b"hello"
        await connection.close()


async def test_http_1_0_clients_get_no_interim_answer(stage, port):
    async def talk(reader, writer):
        await head(reader)
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.read()

    async with stage(talk):
        connection = await Connection.open(port)
        connection.writer.write(b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
        answer = await asyncio.wait_for(connection.reader.read(), PATIENCE)
        await connection.close()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nok")
