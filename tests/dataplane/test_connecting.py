"""How a backend is reached."""

import asyncio
import ssl

import pytest

from gatekeeper.dataplane.backends import Backend, Secure
from gatekeeper.dataplane.connecting import connect


def backend(identity):
    return Backend(("shop", "blue", identity))


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
    await connect(backend(identity), caller, lambda: None)
    assert caller.calls == [target]


@pytest.mark.parametrize(("name", "asked"), [(None, "a.test"), ("b.test", "b.test")])
async def test_tls_asks_for_the_urls_host_also_at_an_address(name, asked):
    here = backend("https://a.test:443#10.0.0.5")
    here.protect(Secure(ssl.create_default_context(), name))
    caller = Caller()
    await connect(here, caller, asyncio.Protocol)
    assert caller.calls == [("10.0.0.5", 443)]
    assert caller.link._object.server_hostname == asked
