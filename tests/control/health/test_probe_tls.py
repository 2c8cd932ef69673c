"""Health checks of backends behind TLS: verified as requests verify them, and what is wrong is said."""

import ssl

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gatekeeper.control.health.probe import probe_http
from gatekeeper.core.model import BackendTls, HealthCheck
from gatekeeper.tls.contexts import client_context
from tests.tls.authority import Authority

pytestmark = pytest.mark.outside("openssl")


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
async def url(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("backend", "backend.test"))

    async def answer(request):
        return web.Response()

    app = web.Application()
    app.router.add_get("/", answer)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    yield f"https://127.0.0.1:{server.port}"
    await server.close()


async def test_a_backend_is_verified_by_its_authority_and_name(url, authority):
    context = client_context(BackendTls(ca="x"), None, authority.cert.read_text())
    assert await probe_http(url, HealthCheck(), context=context, name="backend.test") == ""
    failure = await probe_http(url, HealthCheck(), context=context)
    assert failure.startswith("the certificate is not accepted: IP address mismatch")


async def test_a_backend_nobody_vouches_for_fails(url):
    context = client_context(BackendTls(), None, None)
    failure = await probe_http(url, HealthCheck(), context=context)
    assert failure == "the certificate is not accepted: unable to get local issuer certificate"


async def test_verification_switched_off_is_off_here_too(url):
    context = client_context(BackendTls(verify=False), None, None)
    assert await probe_http(url, HealthCheck(), context=context) == ""


async def test_a_backend_that_speaks_no_tls_fails_in_words(aiohttp_server):
    server = await aiohttp_server(web.Application())
    context = client_context(BackendTls(verify=False), None, None)
    failure = await probe_http(f"https://127.0.0.1:{server.port}", HealthCheck(), context=context)
    assert failure.startswith("the TLS handshake failed: ")
