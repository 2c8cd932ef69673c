"""Whether the backends of a version are well before it is there, on real servers."""

import time

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gatekeeper.control.health.proof import Prover
from gatekeeper.core.model import Backend, BackendTls, HealthCheck, Version
from gatekeeper.errors import GatekeeperError
from gatekeeper.tls.material import Contexts, Material

CHECK = HealthCheck("/up", interval=0.02)
NOBODY = "http://127.0.0.1:1"


class Names:
    def __init__(self):
        self.zone, self.asked = {}, 0

    async def ask(self, host):
        self.asked += 1
        if not self.zone.get(host):
            raise OSError("the host name is not known")
        return self.zone[host]


async def lend(tls):
    return Contexts(Material())


@pytest.fixture
def names():
    return Names()


@pytest.fixture
async def server():
    """Its url; well from the third check on."""
    asked = []

    async def up(request):
        asked.append(request)
        return web.Response(status=200 if len(asked) > 2 else 503)

    app = web.Application()
    app.router.add_get("/up", up)
    async with TestServer(app) as running:
        yield str(running.make_url("")).rstrip("/")


def version(*urls, health=CHECK):
    return Version("green", tuple(Backend(url) for url in urls), health=health)


async def test_it_is_over_as_soon_as_every_backend_has_passed_once(server, names):
    began = time.monotonic()
    assert await Prover(names, lend).prove(version(server), 5.0) == ([server], {})
    assert time.monotonic() - began < 2.0


async def test_who_does_not_pass_in_time_is_named_with_what_was_wrong_last(server, names):
    well, wrong = await Prover(names, lend).prove(version(server, NOBODY), 0.5)
    assert (well, wrong) == ([server], {NOBODY: "connection refused"})


async def test_a_backend_that_was_not_asked_in_time_is_not_well(names):
    well, wrong = await Prover(names, lend).prove(version(NOBODY), 0.0)
    assert (well, wrong) == ([], {NOBODY: "was not asked in time"})


async def test_without_a_check_a_connection_proves_enough(server, names):
    well, wrong = await Prover(names, lend).prove(version(server, NOBODY, health=None), 0.3)
    assert (well, wrong) == ([server], {NOBODY: "connection refused"})


async def test_every_address_of_a_name_must_pass(server, names):
    port = server.rpartition(":")[2]
    names.zone["app"] = ("127.0.0.1",)
    url = f"http://app:{port}"
    well, wrong = await Prover(names, lend).prove(version(url), 5.0)
    assert (well, wrong) == ([f"{url}#127.0.0.1"], {})


async def test_a_name_that_is_not_found_in_time_is_named(names):
    well, wrong = await Prover(names, lend).prove(version("http://gone:80", NOBODY), 0.7)
    assert (well, wrong) == ([], {"http://gone:80": "the host name is not known", NOBODY: "connection refused"})
    assert names.asked == 2


async def test_certificates_that_cannot_be_used_are_why_no_backend_is_well(names):
    async def refuse(tls):
        raise GatekeeperError("/etc/ca.pem: no such file")

    green = Version("green", (Backend("https://127.0.0.1:1"),), health=CHECK, tls=BackendTls(ca="/etc/ca.pem"))
    assert await Prover(names, refuse).prove(green, 5.0) == ([], {"https://127.0.0.1:1": "/etc/ca.pem: no such file"})
