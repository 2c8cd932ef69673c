"""What is known of one backend, and how it is reached."""

import asyncio
import ssl

import pytest

from gatekeeper.dataplane.backends import Backend, Secure
from tests.dataplane.world import GET, Message


def backend(identity):
    return Backend(("shop", "blue", identity))


@pytest.mark.parametrize(
    ("identity", "authority"),
    [("http://a.test:80", b"a.test:80"), ("http://[::1]:9", b"[::1]:9"), ("unix:/run/x.sock", b"localhost"),
     ("https://a.test:443#10.0.0.5", b"a.test:443"), ("unix:/run/x#1", b"localhost")],
)  # fmt: skip
def test_a_backend_has_a_name_for_requests_without_one(identity, authority):
    assert backend(identity).authority == authority


class Caller:
    """A loop that only notes where connections were to go."""

    def __init__(self) -> None:
        self.calls = []
        self.link = None

    def create_future(self):
        return asyncio.get_running_loop().create_future()

    async def create_connection(self, factory, host, port):
        self.calls.append((host, port))
        self.link = factory()
        if hasattr(self.link, "ready"):
            self.link.ready.set_result(None)

    async def create_unix_connection(self, factory, path):
        del factory
        self.calls.append(path)


@pytest.mark.parametrize(
    ("identity", "target"),
    [("http://a.test:80", ("a.test", 80)), ("http://a.test:81#10.0.0.5", ("10.0.0.5", 81)),
     ("http://a.test:81#2001:db8::1", ("2001:db8::1", 81)), ("http://[::1]:9", ("::1", 9)),
     ("unix:/run/a#b", "/run/a#b")],
)  # fmt: skip
async def test_a_connection_goes_to_the_address_in_the_id_or_else_to_the_urls(identity, target):
    caller = Caller()
    await backend(identity).connect(caller, lambda: None)
    assert caller.calls == [target]


@pytest.mark.parametrize(("name", "asked"), [(None, "a.test"), ("b.test", "b.test")])
async def test_tls_asks_for_the_urls_host_also_at_an_address(name, asked):
    here = backend("https://a.test:443#10.0.0.5")
    here.protect(Secure(ssl.create_default_context(), name))
    caller = Caller()
    await here.connect(caller, asyncio.Protocol)
    assert caller.calls == [("10.0.0.5", 443)]
    assert caller.link._object.server_hostname == asked


def test_a_backend_is_told_the_host_that_the_client_asked_for_and_the_log_names_the_address(world):
    here = world()
    here.plane.set_backend_states({"shop": {"blue": {"http://blue-1:80#10.0.0.5": "ready"}}})
    client, wire = here.asked(GET)
    assert Message.read(wire.take()).get("host") == "shop.test"
    client.reset()
    bare = b"GET / HTTP/1.0\r\n\r\n"
    client, wire = here.asked(bare)
    assert Message.read(wire.take()).get("host") == "blue-1:80"
    client.reset()
    assert {entry[12] for entry in here.log.entries} == {"http://blue-1:80#10.0.0.5"}
