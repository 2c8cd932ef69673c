"""Clients that take their time on purpose: each kind is ended in time and counted, and costs nobody else anything."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import time
from functools import partial
from pathlib import Path

import pytest

from benchmarks.dripper import Dripper
from gatekeeper.dataplane.plane import OTHER_DESCRIPTORS
from tests.system.kernel import dialled
from tests.system.parts import Gatekeeper, Load, running, until
from tests.system.scripted import Backend
from tests.system.talks import head, shop, talking
from tests.system.wire import PATIENCE, Connection

pytestmark = [pytest.mark.system, pytest.mark.alone]

MIB = 1 << 20
LATE = 1.0
"""What a sweep, and a machine that does other things, may add to a timeout."""
SLOW = 300


@pytest.fixture
async def blue():
    async with Backend.answering("blue") as backend:
        yield backend


async def worker(gatekeeper: Gatekeeper) -> int:
    """The pid of the only one."""
    (found,) = (await gatekeeper.admin("GET", "/v1/status"))[1]["workers"]
    return found["pid"]


async def refused(gatekeeper: Gatekeeper) -> dict[str, float]:
    """Reason -> count, those above 0."""
    return {
        dict(labels)["reason"]: value
        for (name, labels), value in (await gatekeeper.scrape()).samples.items()
        if name == "gatekeeper_refused_total" and value
    }


def resident(pid: int) -> int:
    """Bytes of memory of a process (VmRSS)."""
    (line,) = (each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


async def test_heads_that_drip_in_are_408_in_time_and_counted_while_others_are_served(tmp_path, free_port, blue):
    """Slow-loris: 300 at a time, those that are ended come again at once."""
    services = shop(blue.url, timeouts={"request_head": "1500ms"})
    async with running(tmp_path, free_port, services, workers=1) as gatekeeper:
        dripper = Dripper(free_port, SLOW, period=0.5)
        async with Load(free_port, connections=4, pause=0.01) as load:
            dripping = asyncio.create_task(dripper.run())
            await asyncio.wait_for(dripper.full(), PATIENCE)
            full = len(load.bodies)
            await asyncio.sleep(1.8)
            dripper.again = False
            await asyncio.wait_for(dripping, 1.5 + LATE)
        assert load.failures == []
        assert len(load.bodies) > full + 100
        tally = dripper.tally
        assert tally.most == SLOW
        assert tally.opened > SLOW, "the first were gone before the last came"
        assert tally.ends == {"408": tally.opened}
        assert tally.longest < 1.5 + LATE
        assert await refused(gatekeeper) == {"head_timeout": tally.opened}
        scraped = await gatekeeper.scrape()
        assert scraped.errors("shop", "blue") == {}, "no version has to do with it"
        assert scraped.codes("", "")["408"] == tally.opened
        assert scraped.sum("gatekeeper_connections") <= 1


async def test_connections_that_say_nothing_are_closed_without_a_word_in_the_time_of_a_head(tmp_path, free_port, blue):
    services = shop(blue.url, timeouts={"request_head": "500ms"})
    async with running(tmp_path, free_port, services, workers=1):
        began = time.monotonic()
        silent = [await Connection.open(free_port) for _ in range(100)]
        async with asyncio.timeout(PATIENCE):
            said = await asyncio.gather(*(each.reader.read() for each in silent))
        assert set(said) == {b""}
        assert 0.5 <= time.monotonic() - began < 0.5 + 2 * LATE
        for each in silent:
            await each.close()
    assert not blue.asked


@pytest.mark.parametrize("field", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
async def test_a_body_that_stalls_is_408_and_its_backend_learns_that_it_is_cut(tmp_path, free_port, field):
    """One that keeps coming, however slowly, is waited for."""
    ends: list[bool] = []

    async def talk(reader, writer):
        await head(reader)
        try:
            while not (await reader.read(1000)).endswith(b"end"):
                assert not reader.at_eof()
            ends.append(True)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (AssertionError, ConnectionError):
            ends.append(False)

    async with talking(talk) as url:
        services = shop(url, timeouts={"idle": "1200ms"})
        async with running(tmp_path, free_port, services, workers=1) as gatekeeper:
            connection = await Connection.open(free_port)
            connection.writer.write(f"POST / HTTP/1.1\r\nHost: a.test\r\n{field}\r\n\r\n".encode())
            for _ in range(4):  # 1.6 s, each pause shorter than the limit
                connection.writer.write(b"5\r\nhello\r\n")
                await asyncio.sleep(0.4)
            stalled = time.monotonic()
            async with asyncio.timeout(PATIENCE):
                answer = await connection.reader.read()
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"\r\nConnection: close\r\n" in answer
            assert time.monotonic() - stalled < 1.2 + LATE
            await until(lambda: ends == [False])
            scraped = await gatekeeper.scrape()
            assert scraped.codes("shop", "blue") == {"408": 1}
            assert scraped.errors("shop", "blue") == {"client": 1}
            await connection.close()


async def endless(reader, writer):
    """A large answer, as fast as it is taken; then nothing, so that only its reader can end it."""
    while True:
        asked = await head(reader)
        if asked.startswith(b"GET /small "):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            continue
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(bytes(MIB))
            await writer.drain()


async def test_readers_that_stall_are_cut_after_the_idle_time_and_their_memory_is_free(tmp_path, free_port, tell):
    """100 at a time: none holds more than one read of its answer, the next ones get what the last ones held."""
    stalled, waves = 100, 3
    held, took = [], []
    async with talking(endless) as url:
        # The longest idle time of all is that of kept connections: a machine that stalls for a second cuts no load.
        patient = {"hosts": ["patient.test"], "versions": {"blue": {"backends": [url]}}, "timeouts": {"idle": "60s"}}
        services = {**shop(url, timeouts={"idle": "1s", "response": "60s"}), "patient": patient}
        async with running(tmp_path, free_port, services, workers=1) as gatekeeper:
            pid = await worker(gatekeeper)
            async with Load(free_port, connections=2, pause=0.01, path="/small") as load:
                await load.more(50)
                before = resident(pid)
                for wave in range(1, waves + 1):
                    with contextlib.ExitStack() as clients:
                        began = time.monotonic()
                        for _ in range(stalled):
                            client = clients.enter_context(socket.create_connection(("127.0.0.1", free_port)))
                            client.sendall(b"GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n")
                        await asyncio.sleep(0.7)
                        held.append(resident(pid) - before)
                        await until(partial(blamed, gatekeeper, wave * stalled))
                        took.append(time.monotonic() - began)
                        await load.more(20)
            assert load.failures == []
            tell(held_mib=held[0] / MIB, last_held_mib=held[-1] / MIB, cut_after_s=max(took))
            assert max(took) < 1 + 0.7 + 2 * LATE
            assert held[0] < stalled * MIB / 2
            assert held[-1] < held[0] + 10 * MIB
            assert len(dialled(pid, int(url.rpartition(":")[2]))) <= 2, "the backend need not go on either"


async def blamed(gatekeeper: Gatekeeper, clients: int) -> bool:
    """Whether this many answers were cut, every one for its client's sake."""
    return (await gatekeeper.scrape()).errors("shop", "blue") == {"client": clients}


async def test_a_reader_that_is_slow_but_reads_gets_all_of_it(tmp_path, free_port):
    """For many times the idle time, at pauses shorter than it."""
    size = 3 * MIB

    async def talk(reader, writer):
        await head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        await reader.read()

    async with talking(talk) as url:
        services = shop(url, timeouts={"idle": "1200ms", "response": "1200ms"})
        async with running(tmp_path, free_port, services, workers=1) as gatekeeper:
            loop = asyncio.get_running_loop()
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
                client.setblocking(False)
                await loop.sock_connect(client, ("127.0.0.1", free_port))
                await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
                came = b""
                async with asyncio.timeout(PATIENCE):
                    for _ in range(16):
                        for _ in range(16):
                            came += await loop.sock_recv(client, 8192)
                        await asyncio.sleep(0.25)
                    while data := await loop.sock_recv(client, MIB):
                        came += data
            assert len(came.partition(b"\r\n\r\n")[2]) == size
            assert (await gatekeeper.scrape()).errors("shop", "blue") == {}


async def test_connections_beyond_the_limit_are_told_counted_and_forgotten(tmp_path, free_port, blue):
    async with running(tmp_path, free_port, shop(blue.url), workers=1, limits={"connections": 20}) as gatekeeper:
        kept = [await Connection.open(free_port) for _ in range(20)]
        for each in kept:
            assert (await each.ask()).status == 200
        for _ in range(3):
            beyond = [await Connection.open(free_port) for _ in range(10)]
            async with asyncio.timeout(PATIENCE):
                said = await asyncio.gather(*(each.reader.read() for each in beyond))
            assert all(each.startswith(b"HTTP/1.1 503 ") and b"\r\nConnection: close\r\n" in each for each in said)
            for each in beyond:
                await each.close()
        assert await refused(gatekeeper) == {"connection_limit": 30}
        for each in kept:
            assert (await each.ask()).status == 200, "whoever was there is served"
            await each.close()

        async def admitted() -> bool:
            with contextlib.suppress(OSError):
                return (await gatekeeper.ask()).status == 200
            return False

        await until(admitted, 2.0)


async def test_a_worker_short_of_descriptors_says_so_and_serves_those_it_has(tmp_path, free_port, blue):
    """Each client it has taken can have a connection to a backend, and no version is blamed."""
    few = OTHER_DESCRIPTORS + 2 * 20
    async with running(tmp_path, free_port, shop(blue.url), workers=1) as gatekeeper:
        first = await worker(gatekeeper)
        # The next worker inherits the limit from its supervisor.
        resource.prlimit(gatekeeper.process.pid, resource.RLIMIT_NOFILE, (few, few))
        os.kill(first, signal.SIGKILL)

        async def replaced() -> bool:
            (now,) = (await gatekeeper.admin("GET", "/v1/status"))[1]["workers"]
            return now["pid"] not in {None, first} and now["state"] == "ready"

        await until(replaced)
        kept = [await Connection.open(free_port) for _ in range(20)]
        beyond = [await Connection.open(free_port) for _ in range(300)]
        found = await asyncio.gather(*(each.ask() for each in kept))
        assert {answer.status for answer in found} == {200}
        async with asyncio.timeout(PATIENCE):
            for each in beyond:
                with contextlib.suppress(ConnectionError):
                    assert (await each.reader.read())[:13] in {b"HTTP/1.1 503 ", b""}
        assert (await refused(gatekeeper))["descriptors"] > 100
        assert (await gatekeeper.scrape()).errors("shop", "blue") == {}
        for each in (*kept, *beyond):
            await each.close()
