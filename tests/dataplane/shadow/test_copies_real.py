"""Copies over real sockets: by TLS, on a unix socket, and one connection after the other."""

import asyncio
import contextlib
import ssl

import pytest

from gatekeeper.core.shadow.tally import Outcome
from gatekeeper.dataplane.backends import Backend, Secure
from gatekeeper.dataplane.shadow.copies import Copy
from gatekeeper.dataplane.shadow.lines import Lines
from gatekeeper.http1.memory import Memory
from tests.tls.authority import Authority
from tests.tls.handshake import trusting

REQUEST = b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"


class Server:
    """Answers each request of a connection by the number that it has there; ends when its clients have."""

    def __init__(self):
        self._gone = set()

    async def answer(self, reader, writer):
        gone = asyncio.Event()
        self._gone.add(gone)
        for number in range(100):
            try:
                await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
        gone.set()

    async def end(self, server, lines):
        lines.close()
        server.close()
        async with asyncio.timeout(5):
            for gone in self._gone:
                await gone.wait()


async def ask(lines, backend):
    """A copy that is over."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    copy = Copy(loop, lines, Memory(), method=b"GET", most=100, wanted=(), over=over.set)
    copy.start(backend, REQUEST)
    async with asyncio.timeout(5):
        await over.wait()
    return copy


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.outside("openssl")
async def test_a_backend_that_speaks_tls_is_reached_by_it_and_only_if_it_is_who_it_says(authority):
    files = authority.issue("shop", "shop.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    serving = Server()
    server = await asyncio.start_server(serving.answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    backend = Backend(("shop", "green", f"https://127.0.0.1:{port}"))
    lines = Lines()
    backend.secure = Secure(trusting(authority.cert), "shop.test")
    bodies = [(await ask(lines, backend)).answer.body for _ in range(2)]
    assert bodies == [b"0", b"1"]
    backend.secure = Secure(trusting(authority.cert), "other.test")
    assert (await ask(lines, backend)).outcome is Outcome.REFUSED
    await serving.end(server, lines)


async def test_a_backend_on_a_unix_socket_is_reached(tmp_path):
    serving = Server()
    server = await asyncio.start_unix_server(serving.answer, tmp_path / "s")
    lines = Lines()
    copy = await ask(lines, Backend(("shop", "green", f"unix:{tmp_path}/s")))
    assert (copy.outcome, copy.answer.body) == (Outcome.ANSWERED, b"0")
    await serving.end(server, lines)
