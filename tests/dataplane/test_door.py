"""The door: PROXY header, then TLS, then HTTP, in whatever pieces; nobody passes who is not believed."""

from types import SimpleNamespace

import pytest

from gatekeeper.core.model import KeyPair, Listener, ListenerTls, Settings
from gatekeeper.dataplane import door
from gatekeeper.dataplane.door import Door, Entrance, accept, entrances
from gatekeeper.dataplane.downstream import Downstream
from gatekeeper.dataplane.forward import Client
from gatekeeper.dataplane.link import ServerLink
from gatekeeper.tls.contexts import server_context
from gatekeeper.tls.pem import Pair
from tests.dataplane.raw import Counts, Peer, Protocol, Raw
from tests.http1.test_proxy_protocol import V4, tlv, v2
from tests.tls.authority import Authority
from tests.tls.handshake import trusting

LINE = b"PROXY TCP4 198.51.100.9 203.0.113.1 51000 443\r\n"
HEADERS = {
    "v1": LINE,
    "v2": v2(block=bytes((198, 51, 100, 9)) + V4[4:]),
    "v2 with TLS": v2(block=bytes((198, 51, 100, 9)) + V4[4:] + tlv(0x20, b"\x01\0\0\0\0")),
}
HTTP = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class House:
    """A door with what is behind it."""

    def __init__(self, raw=None, inner=None, secure=False):
        self.counts = Counts()
        self.raw = raw or Raw()
        self.behind = Protocol()
        self.downstream = SimpleNamespace(client=Client("192.0.2.7", trusted=True, secure=secure))
        inner = inner(self) if inner else self.behind
        self.door = Door(self.counts.plane, self.downstream, inner)
        self.raw.protocol = self.door
        self.door.connection_made(self.raw)

    def give(self, *pieces):
        for piece in pieces:
            if not self.raw.is_closing():
                self.raw.protocol.data_received(piece)

    def lost(self):
        self.raw.protocol.connection_lost(None)

    @property
    def client(self):
        return self.downstream.client


@pytest.mark.parametrize("kind", HEADERS)
def test_header_and_request_may_be_split_at_every_byte(kind):
    whole = HEADERS[kind] + HTTP
    for at in range(1, len(whole)):
        house = House()
        house.give(whole[:at], whole[at:])
        assert house.behind.received == HTTP
        assert (house.client.address, house.client.trusted) == ("198.51.100.9", False)
        assert house.client.secure is (kind == "v2 with TLS")


@pytest.mark.parametrize("kind", HEADERS)
def test_they_may_come_byte_by_byte(kind):
    house = House()
    house.give(*(bytes((byte,)) for byte in HEADERS[kind] + HTTP))
    assert house.behind.received == HTTP


@pytest.mark.outside("openssl")
@pytest.mark.parametrize("kind", ["v1", "v2"])
def test_tls_begins_behind_the_header_split_at_every_byte(kind, tmp_path):
    authority = Authority(tmp_path)
    files = authority.issue("shop", "shop.test")
    context = server_context(ListenerTls((KeyPair("a", "b"),)), [Pair(*files.texts())], None)
    client = trusting(authority.cert)
    hello = Peer(client, name="shop.test")
    hello.shake()
    length = len(HEADERS[kind] + hello.take())
    for at in range(1, length, 3):
        house = House(inner=lambda house: ServerLink(house.behind, context, house.counts.plane), secure=True)
        peer = Peer(client, name="shop.test")
        peer.shake()
        whole = HEADERS[kind] + peer.take()
        house.give(whole[:at], whole[at:])
        peer.put(house.raw.take())
        peer.shake()
        house.give(peer.take() + peer.send(HTTP))
        assert house.behind.received == HTTP
        assert (house.client.address, house.client.secure) == ("198.51.100.9", True)


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", v2(command=0, family=0)])
def test_a_peer_that_names_nobody_speaks_for_itself(header):
    house = House()
    house.give(header + HTTP)
    assert house.behind.received == HTTP
    assert (house.client.address, house.client.trusted) == ("192.0.2.7", True)


def test_an_address_that_is_trusted_itself_is_a_proxy():
    """Its X-Forwarded-For will be believed: an HTTP proxy in front of a balancer of connections."""
    house = House()
    house.give(b"PROXY TCP4 192.0.2.99 203.0.113.1 51000 443\r\n")
    assert (house.client.address, house.client.trusted) == ("192.0.2.99", True)


def test_a_peer_that_is_not_trusted_is_refused_whatever_it_says():
    house = House(Raw(("198.51.100.1", 1)))
    assert house.raw.aborted
    house.door.data_received(HEADERS["v1"] + HTTP)
    house.lost()
    assert house.behind.received == b""
    assert house.behind.lost
    assert house.counts.refused == ["proxy_protocol"]


@pytest.mark.parametrize("peer", ["", b"", None])
def test_on_a_unix_socket_the_directory_decides_who_is_believed(peer):
    house = House(Raw(peer))
    house.give(HEADERS["v1"] + HTTP)
    assert house.client.address == "198.51.100.9"


@pytest.mark.parametrize("data", [HTTP, b"\x16\x03\x01", b"PROXY TCP4 1 2\r\n", LINE[:5] + b"\r\n"])
def test_whoever_sends_something_else_is_refused_without_an_answer(data):
    house = House()
    house.give(*(bytes((byte,)) for byte in data))
    assert house.raw.aborted
    assert house.raw.take() == b""
    house.lost()
    assert house.behind.received == b""
    assert house.counts.refused == ["proxy_protocol"]


def test_a_header_that_never_ends_is_counted_and_a_knock_is_not():
    begun, silent = House(), House()
    begun.give(LINE[:10])
    begun.lost()
    silent.lost()
    assert (begun.counts.refused, silent.counts.refused) == (["proxy_protocol"], [])
    assert begun.behind.lost


def test_back_pressure_passes_through():
    house = House()
    house.door.pause_writing()
    assert house.behind.paused
    house.door.resume_writing()
    assert not house.behind.paused


@pytest.mark.outside("openssl")
def test_an_address_demands_what_the_state_says(tmp_path, monkeypatch):
    """Read for each new connection, so a reload counts from the next one on."""
    files = Authority(tmp_path).issue("shop", "shop.test")
    context = server_context(ListenerTls((KeyPair("a", "b"),)), [Pair(*files.texts())], None)
    plane = SimpleNamespace(
        entrances={"tls": Entrance(context, False), "proxy": Entrance(None, True), "both": Entrance(context, True)}
    )
    monkeypatch.setattr(door, "Downstream", lambda *_: SimpleNamespace(spec=Downstream))
    kinds = {name: type(accept(plane, None, name)) for name in ("plain", "tls", "proxy", "both")}
    assert kinds == {"plain": SimpleNamespace, "tls": ServerLink, "proxy": Door, "both": Door}
    both = accept(plane, None, "both")
    assert isinstance(both._inner, ServerLink)


def test_only_listeners_with_demands_have_an_entrance():
    state = SimpleNamespace(settings=Settings(listen=("a", "b"), listeners={"b": Listener(proxy_protocol=True)}))
    assert entrances(state, None) == {"b": Entrance(None, True)}
