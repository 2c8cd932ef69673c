"""What is known of one backend."""

import pytest

from gatekeeper.dataplane.backends import Backend
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
