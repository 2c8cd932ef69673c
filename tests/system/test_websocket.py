"""WebSockets and other upgrades through real processes, with a real client and real backends."""

import asyncio
import json
import time
from contextlib import AsyncExitStack

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from tests.system.parts import running, until
from tests.system.scripted import Backend, Request, Wire, reply
from tests.system.wire import PATIENCE, Connection

pytestmark = [pytest.mark.system, pytest.mark.alone]

MIB = 1024 * 1024
MANY = 1000
DRAIN = 4.0
"""Seconds of the drain time where a test drains."""


class Echo:
    """A version whose backend sends every message back; ``who`` is answered by its name, ``close N`` by that code."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.codes: list[int | None] = []
        self.open: set[ServerConnection] = set()

    async def serve(self, socket: ServerConnection) -> None:
        self.open.add(socket)
        try:
            async for message in socket:
                if message == "who":
                    await socket.send(self.name)
                elif isinstance(message, str) and message.startswith("close "):
                    await socket.close(int(message[6:]), "as asked")
                else:
                    await socket.send(message)
        except ConnectionClosed:
            pass
        finally:
            self.open.discard(socket)
            self.codes.append(socket.close_code)

    def kill(self) -> None:
        """End every connection as the end of the process would."""
        for socket in list(self.open):
            socket.transport.abort()


@pytest.fixture
async def echo():
    """``echo("blue")`` is the service entry of a version with a new backend, and that backend."""
    async with AsyncExitStack() as stack:

        async def start(name: str) -> tuple[dict, Echo]:
            made = Echo(name)
            server = await stack.enter_async_context(
                serve_websockets(made.serve, "127.0.0.1", 0, max_size=None, ping_interval=None, close_timeout=1)
            )
            port = server.sockets[0].getsockname()[1]
            return {"backends": [f"http://127.0.0.1:{port}"]}, made

        yield start


def shop(drain: str = "0s", **versions: dict) -> dict:
    return {
        "shop": {
            "versions": versions,
            "sticky": {"mode": "none"},
            "timeouts": {"drain": drain},
        }
    }


def through(gatekeeper, **options) -> connect:
    options = {"max_size": None, "ping_interval": None, "proxy": None} | options
    return connect(f"ws://127.0.0.1:{gatekeeper.port}/", **options)


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_text_binary_fragments_and_pings_pass_in_both_directions(tmp_path, free_port, echo, compression):
    version, _ = await echo("blue")
    async with (
        running(tmp_path, free_port, shop(blue=version)) as gatekeeper,
        through(gatekeeper, compression=compression) as socket,
    ):
        for message in ("text ✓", "", b"", bytes(range(256)) * 500, "x" * 125, "y" * 126, b"z" * 65535, b"z" * 65536):
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send(["three ", "fragments ", "of text"])
        assert await socket.recv() == "three fragments of text"
        await socket.send([b"\x00" * 70_000, b"", b"\x01"])
        assert await socket.recv() == b"\x00" * 70_000 + b"\x01"
        assert await (await socket.ping(b"there?")) < PATIENCE


async def test_a_close_arrives_with_its_code_whoever_closes(tmp_path, free_port, echo):
    version, backend = await echo("blue")
    async with running(tmp_path, free_port, shop(blue=version)) as gatekeeper:
        async with through(gatekeeper) as socket:
            await socket.close(4001, "the client's")
        await until(lambda: backend.codes == [4001])
        async with through(gatekeeper) as socket:
            await socket.send("close 4002")
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert (socket.close_code, socket.close_reason) == (4002, "as asked")


async def test_messages_of_16_mib_come_back_unchanged(tmp_path, free_port, echo):
    version, _ = await echo("blue")
    message = bytes(range(256)) * (16 * MIB // 256)
    async with (
        running(tmp_path, free_port, shop(blue=version)) as gatekeeper,
        through(gatekeeper, compression=None) as socket,
    ):
        for _ in range(3):
            await socket.send(message)
            assert await socket.recv() == message
        samples = await gatekeeper.scrape()
        for name in ("received", "sent"):
            assert samples.sum(f"gatekeeper_tunnel_{name}_bytes_total", version="blue") > 3 * len(message)


async def test_an_idle_tunnel_outlives_the_response_timeout_and_ends_politely_by_its_own(tmp_path, free_port, echo):
    version, backend = await echo("blue")
    services = shop(blue=version)
    services["shop"]["timeouts"] |= {"tunnel": "1s", "response": "300ms", "idle": "300ms"}
    async with running(tmp_path, free_port, services) as gatekeeper, through(gatekeeper) as socket:
        await asyncio.sleep(0.7)  # more than twice `response` and `idle`
        await socket.send("still here")
        assert await socket.recv() == "still here"
        began = time.monotonic()
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert 0.9 < time.monotonic() - began < 3
        assert socket.close_code == 1001
        await until(lambda: backend.codes == [1001])


async def test_a_thousand_sockets_survive_a_change_of_weights_and_a_reload_and_leave_with_their_version(
    tmp_path, free_port, echo
):
    (blue, blue_end), (green, _) = await echo("blue"), await echo("green")
    first = shop("4s", blue=blue, green=green)
    async with running(tmp_path, free_port, first) as gatekeeper, AsyncExitStack() as stack:
        sockets = []
        for _ in range(MANY // 50):
            batch = [stack.enter_async_context(through(gatekeeper, compression=None)) for _ in range(50)]
            sockets += await asyncio.gather(*batch)

        async def ask(socket, message: str) -> str:
            await socket.send(message)
            return await socket.recv()

        async def all_answer() -> None:
            assert set(await asyncio.gather(*(ask(socket, "who") for socket in sockets))) == {"blue"}

        async def tunnels(version: str) -> float:
            return (await gatekeeper.scrape()).sum("gatekeeper_tunnels", service="shop", version=version)

        await all_answer()
        assert await tunnels("blue") == MANY
        await gatekeeper.weigh("shop", blue=0, green=100)
        await all_answer()
        async with through(gatekeeper) as newcomer:
            assert await ask(newcomer, "who") == "green"
        gatekeeper.put(shop("4s", blue=blue, green=green | {"build": "2"}))
        assert (await gatekeeper.admin("POST", "/v1/reload", {}))[0] == 200
        await all_answer()
        assert len(blue_end.open) == MANY
        assert not blue_end.codes
        gatekeeper.put(shop("4s", green=green))
        began = time.monotonic()
        assert (await gatekeeper.admin("POST", "/v1/reload", {}))[0] == 200
        await asyncio.gather(*(socket.wait_closed() for socket in sockets))
        assert time.monotonic() - began < 5
        assert {socket.close_code for socket in sockets} == {1001}
        await until(lambda: len(blue_end.codes) == MANY)
        assert set(blue_end.codes) == {1001}


async def test_a_drain_says_goodbye_to_each_at_another_moment(tmp_path, free_port, echo):
    """1001 to client and backend, spread over the drain time, and gatekeeper ends when all have left."""
    version, backend = await echo("blue")
    count = 200
    left: list[float] = []

    async def stay(socket) -> None:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        left.append(time.monotonic())
        assert socket.close_code == 1001

    async with running(tmp_path, free_port, shop(f"{DRAIN:g}s", blue=version)) as gatekeeper:
        sockets = [await through(gatekeeper, compression=None) for _ in range(count)]
        staying = [asyncio.create_task(stay(socket)) for socket in sockets]
        began = time.monotonic()
        await gatekeeper.stop()
        took = time.monotonic() - began
        await asyncio.gather(*staying)
        await until(lambda: len(backend.codes) == count)
        assert set(backend.codes) == {1001}
        assert took < DRAIN + 2
        moments = sorted(moment - began for moment in left)
        per_half_second = [sum(low <= moment < low + 0.5 for moment in moments) for low in (0.5, 1.0, 1.5, 2.0, 2.5)]
        assert min(per_half_second) > count / 40, per_half_second  # a fair share is an eighth of 3.2 s: 31
        assert max(per_half_second) < count / 3, per_half_second
        stopped = gatekeeper.events("stopped")
        assert stopped
        await gatekeeper.begin()  # `running` stops it once more


async def test_a_backend_that_dies_is_seen_by_its_clients(tmp_path, free_port, echo):
    version, backend = await echo("blue")
    async with running(tmp_path, free_port, shop(blue=version)) as gatekeeper, through(gatekeeper) as socket:
        await socket.send("alive")
        assert await socket.recv() == "alive"
        backend.kill()
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(socket.recv(), PATIENCE)
        assert socket.close_code == 1006
        samples = await gatekeeper.scrape()
        assert samples.errors("shop", "blue") == {}
        assert samples.codes("shop", "blue") == {"101": 1}
        await until(lambda: no_tunnels(gatekeeper))


async def no_tunnels(gatekeeper) -> bool:
    return (await gatekeeper.scrape()).sum("gatekeeper_tunnels") == 0


async def test_a_client_that_vanishes_is_seen_by_its_backend(tmp_path, free_port, echo):
    version, backend = await echo("blue")
    async with running(tmp_path, free_port, shop(blue=version)) as gatekeeper:
        socket = await through(gatekeeper)
        socket.transport.abort()
        await until(lambda: backend.codes == [1006])
        await until(lambda: no_tunnels(gatekeeper))


# Other protocols, byte by byte


def other(wire: Wire, request: Request) -> None:
    """Goes on in the protocol ``letters/1`` if asked, and then sends back each byte doubled; 403 for ``/no``."""
    if request.path == "/no" or "upgrade" not in dict(request.fields):
        wire.send(reply(json.dumps([request.path, dict(request.fields).get("upgrade"), len(request.body)]), 403))
        return
    wire.send(b"HTTP/1.1 101 Go\r\nUpgrade: letters/1\r\nConnection: Upgrade\r\n\r\nhello")
    wire.data_received = lambda data: wire.send(bytes(byte for each in data for byte in (each, each)))  # type: ignore[method-assign]
    if wire.data:
        rest, wire.data = wire.data, b""
        wire.data_received(rest)


OFFER = {"connection": "Upgrade", "upgrade": "letters/1"}


async def test_any_other_protocol_is_tunnelled_and_what_was_sent_early_is_not_lost(tmp_path, free_port):
    async with Backend(other) as backend:
        services = shop(blue={"backends": [backend.url]})
        async with running(tmp_path, free_port, services) as gatekeeper:
            connection = await Connection.open(gatekeeper.port)
            connection.writer.write(
                b"GET /go HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: letters/1\r\n\r\nab"
            )
            head = await asyncio.wait_for(connection.reader.readuntil(b"\r\n\r\n"), PATIENCE)
            assert head.startswith(b"HTTP/1.1 101 Go\r\n")
            assert b"\r\nUpgrade: letters/1\r\n" in head
            assert b"\r\nConnection: upgrade\r\n" in head
            assert await connection.reader.readexactly(9) == b"helloaabb"
            connection.writer.write(b"c" * MIB)
            connection.writer.write_eof()
            assert await asyncio.wait_for(connection.reader.read(), PATIENCE) == b"c" * 2 * MIB
            await connection.close()


async def test_after_a_refusal_the_connection_serves_further_requests(tmp_path, free_port):
    async with Backend(other) as backend:
        services = shop(blue={"backends": [backend.url]})
        async with running(tmp_path, free_port, services) as gatekeeper:
            connection = await Connection.open(gatekeeper.port)
            for _ in range(2):
                answer = await connection.ask("/no", **OFFER)
                assert (answer.status, json.loads(answer.body)) == (403, ["/no", "letters/1", 0])
            answer = await connection.ask("/plain")
            assert (answer.status, json.loads(answer.body)) == (403, ["/plain", None, 0])
            await connection.close()


async def test_an_offer_of_http2_with_a_body_is_a_plain_request_with_its_body(tmp_path, free_port):
    async with Backend(other) as backend:
        services = shop(blue={"backends": [backend.url]})
        async with running(tmp_path, free_port, services) as gatekeeper:
            connection = await Connection.open(gatekeeper.port)
            fields = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2_settings": "AAMAAABk"}
            answer = await connection.ask("/h2c", "POST", body=b"12345", **fields)
            assert (answer.status, json.loads(answer.body)) == (403, ["/h2c", None, 5])
            assert backend.asked[0].all("http2-settings") == []
            await connection.close()
