"""One health check, on real servers: what is asked, and what is wrong in words."""

import asyncio
import socket

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gatekeeper.control.health.probe import BODY_BYTES, probe_connection, probe_http
from gatekeeper.core.model import HealthCheck


@pytest.fixture
async def server():
    async def answer(request):
        if request.path == "/slow":
            await asyncio.sleep(30)
        if request.path == "/away":
            raise web.HTTPFound("/ok")
        if request.path == "/long":
            return web.Response(text="x" * (BODY_BYTES - 3) + "needle")
        if request.path == "/drip":
            response = web.StreamResponse()
            await response.prepare(request)
            for letter in b"all is well":
                await response.write(bytes([letter]))
                await asyncio.sleep(0.002)
            await asyncio.sleep(30)
        if request.path == "/host":
            return web.Response(text=f"host {request.headers['Host']} encoding {request.headers['Accept-Encoding']}")
        return web.Response(status=int(request.query.get("status", 200)), text=request.headers["User-Agent"])

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    async with TestServer(app) as running:
        yield str(running.make_url("")).rstrip("/")


@pytest.mark.parametrize(
    ("check", "failure"),
    [
        (HealthCheck("/ok"), ""),
        (HealthCheck("/x?status=204", status=(200, 204)), ""),
        (HealthCheck("/x?status=503", status=(200, 204)), "answered 503, expected 200 or 204"),
        (HealthCheck("/away"), "answered 302, expected 200"),
        (HealthCheck("/slow", timeout=0.1), "no answer within 0.1 s"),
        (HealthCheck("/ok", body_contains="gatekeeper"), ""),
        (HealthCheck("/ok", body_contains='all "well"'), 'answered 200 without "all \\"well\\"" in its body'),
        (HealthCheck("/ok?status=503", body_contains="gatekeeper"), "answered 503, expected 200"),
        (HealthCheck("/drip", body_contains="is well", timeout=2.0), ""),
        (HealthCheck("/drip", body_contains="is ill", timeout=0.2), "no answer within 0.2 s"),
        (HealthCheck("/long", body_contains="xxx"), ""),
        (HealthCheck("/long", body_contains="needle"), 'answered 200 without "needle" in its body'),
    ],
)
async def test_status_and_body_in_time_decide(server, check, failure):
    assert await probe_http(server, check) == failure


async def test_a_closed_port_is_refused():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert await probe_http(f"http://127.0.0.1:{port}", HealthCheck()) == "connection refused"


@pytest.mark.parametrize(
    ("said", "failure"),
    [(b"", "closed the connection without an answer"), (b"SSH-2.0-OpenSSH\r\n\r\n", "the answer is not HTTP")],
)
async def test_a_peer_that_speaks_no_http_fails_in_words(said, failure):
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as peer:
        port = peer.sockets[0].getsockname()[1]
        assert await probe_http(f"http://127.0.0.1:{port}", HealthCheck()) == failure


async def test_a_unix_backend_is_asked_at_its_path(tmp_path):
    async def ok(request):
        return web.Response()

    app = web.Application()
    app.router.add_get("/healthz", ok)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "b.sock")).start()
    try:
        assert await probe_http(f"unix:{tmp_path / 'b.sock'}", HealthCheck("/healthz")) == ""
        assert await probe_http(f"unix:{tmp_path / 'c.sock'}", HealthCheck()) == "no such file or directory"
    finally:
        await runner.cleanup()


async def test_an_address_is_asked_under_the_name_of_the_url(server):
    port = server.rpartition(":")[2]
    check = HealthCheck("/host", body_contains=f"host app.test:{port} encoding identity")
    assert await probe_http(f"http://app.test:{port}", check, address="127.0.0.1") == ""
    refused = await probe_http(f"http://app.test:{port}", check, address="127.0.0.9")
    assert refused in {"", "connection refused"}
    assert await probe_http("http://app.test:1", check, address="127.0.0.1") == "connection refused"


async def test_without_a_check_a_connection_is_all_that_is_asked_for(server, tmp_path):
    port = server.rpartition(":")[2]
    assert await probe_connection(server, 1.0) == ""
    assert await probe_connection(f"http://app.test:{port}", 1.0, address="127.0.0.1") == ""
    assert await probe_connection("http://127.0.0.1:1", 1.0) == "connection refused"
    assert await probe_connection(f"unix:{tmp_path}/none.sock", 1.0) == "no such file or directory"
