"""TLS over a transport that a test holds in its hands: bytes in pieces, ends of every kind, handshakes that fail."""

import asyncio
import gc
import ssl
import weakref

import pytest

from gatekeeper.core.model import BackendTls, KeyPair, ListenerTls
from gatekeeper.dataplane.link import ClientLink, Link, ServerLink
from gatekeeper.tls.contexts import client_context, server_context
from gatekeeper.tls.pem import Pair
from tests.dataplane.raw import Counts, Peer, Protocol, Raw
from tests.tls.authority import Authority

pytestmark = pytest.mark.outside("openssl")

SHOWN = (KeyPair("a.pem", "a.key"),)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def files(authority):
    return authority.issue("shop", "shop.test")


@pytest.fixture(scope="module")
def serving(files):
    return server_context(ListenerTls(SHOWN), [Pair(*files.texts())], None)


@pytest.fixture
def trusting(authority):
    return client_context(BackendTls(ca="x"), None, authority.cert.read_text())


class Front:
    """Gatekeeper's end towards a client; ``peer`` is the client."""

    def __init__(self, serving, trusting, name="shop.test"):
        self.protocol, self.raw, self.counts = Protocol(), Raw(), Counts()
        self.link = ServerLink(self.protocol, serving, self.counts.plane)
        self.link.connection_made(self.raw)
        self.peer = Peer(trusting, name=name)

    def shake(self, size=1 << 20):
        """The handshake, ``size`` bytes at a time."""
        for _ in range(4):
            self.peer.shake()
            self.give(self.peer.take(), size)
            self.peer.put(self.raw.take())
        assert self.peer.done

    def give(self, data, size=1 << 20):
        for at in range(0, len(data), size):
            self.link.data_received(data[at : at + size])

    def lost(self, exc=None):
        self.link.connection_lost(exc)


@pytest.fixture
def front(serving, trusting):
    return Front(serving, trusting)


def test_the_protocol_knows_of_the_connection_before_the_handshake(front):
    """So limits and deadlines hold for it."""
    assert front.protocol.transport is front.link
    assert front.protocol.received == b""
    assert front.link.get_extra_info("ssl_object") is not None
    assert front.link.get_extra_info("peername") == ("192.0.2.7", 51000)


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_bytes_arrive_as_they_were_sent_however_they_are_split(front, size):
    front.shake(size)
    sent = bytes(range(256)) * 300  # several records
    front.give(front.peer.send(sent), size if size > 1 else 13)
    assert front.protocol.received == sent
    front.link.write(sent)
    assert front.peer.read(front.raw.take()) == sent


def test_a_request_that_comes_with_the_end_of_the_handshake_is_read(front):
    front.peer.shake()
    front.give(front.peer.take())
    front.peer.put(front.raw.take())
    front.peer.shake()
    front.give(front.peer.take() + front.peer.send(b"GET"))
    assert front.protocol.received == b"GET"


def test_one_read_of_the_transport_is_one_event_above(front):
    front.shake()
    front.give(front.peer.send(b"a" * 40_000) + front.peer.send(b"b"))
    assert [len(data) for data in front.protocol.events] == [40_001]


def test_closing_says_so_to_the_peer_and_is_over_for_the_writer(front):
    front.shake()
    front.link.write(b"last")
    front.link.close()
    front.link.write(b"too late")
    assert front.peer.read(front.raw.take()) == b"last"
    assert front.peer.ended
    assert front.raw.closed


def test_half_a_close_lets_the_peer_finish_and_only_counts_what_comes(front):
    front.shake()
    assert front.link.can_write_eof()
    front.link.write_eof()
    assert front.raw.half_closed
    assert not front.raw.closed
    front.give(front.peer.send(b"x" * 100))
    assert len(front.protocol.received) >= 100
    assert not front.link.can_write_eof()
    front.link.close()
    assert front.raw.closed


def test_an_aborted_connection_gets_no_close_notify(front):
    front.shake()
    front.link.abort()
    assert front.raw.aborted
    assert not front.peer.ended


def test_back_pressure_passes_through(front):
    front.shake()
    front.link.pause_writing()
    assert front.protocol.paused
    front.link.resume_writing()
    assert not front.protocol.paused
    front.link.pause_reading()
    assert front.raw.reading is False
    front.link.resume_reading()
    assert front.raw.reading is True
    front.link.write(b"x" * 100)
    assert front.link.get_write_buffer_size() > 100


def test_an_orderly_end_of_the_peer_closes(front):
    front.shake()
    front.give(front.peer.send(b"bye") + front.peer.end())
    assert front.protocol.received == b"bye"
    assert front.protocol.eof
    assert front.raw.closed


def test_who_wants_to_go_on_after_the_peers_end_may(front):
    front.shake()
    front.protocol.stays = True
    front.give(front.peer.end())
    assert front.link.eof_received() is True
    front.link.write(b"still here")
    assert front.peer.read(front.raw.take()) == b"still here"
    assert not front.raw.closed


@pytest.mark.parametrize("where", [5, 20, -1])
def test_a_byte_that_was_changed_ends_the_connection(front, where):
    front.shake()
    data = bytearray(front.peer.send(b"hello"))
    data[where] ^= 1
    front.give(bytes(data) + front.peer.send(b"more"))
    assert front.protocol.received == b""
    assert front.raw.closed
    front.lost()
    assert front.protocol.lost
    assert front.counts.refused == []


def test_a_failed_handshake_is_counted_and_the_client_is_told_why(serving, authority):
    front = Front(serving, ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        front.shake()
    front.give(front.peer.take())  # its alert
    assert front.raw.closed
    front.lost()
    assert front.counts.refused == ["tls"]
    assert front.protocol.lost


def test_garbage_is_answered_with_an_alert(front):
    front.give(b"\x16\x03\x01\x00\x05hello")
    assert front.raw.take()[:1] == b"\x15"  # RFC 8446 section 5.1: alert
    assert front.raw.closed
    front.lost()
    assert front.counts.refused == ["tls"]


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"POST / HTTP/1.1\r\n"])
def test_plain_http_is_told_what_is_spoken_here(front, request_):
    front.give(request_)
    answer = front.raw.take()
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"HTTPS" in answer
    assert front.raw.closed


def test_who_only_knocks_is_not_counted_and_who_stops_within_the_handshake_is(serving, trusting):
    """Balancers open and close connections to see if somebody is there."""
    silent, slow = Front(serving, trusting), Front(serving, trusting)
    silent.lost()
    slow.peer.shake()
    slow.give(slow.peer.take()[:50])
    slow.link.close()
    slow.lost()
    assert (silent.counts.refused, slow.counts.refused) == ([], ["tls"])


def test_who_is_refused_before_the_handshake_is_closed_without_one(front):
    """An answer would cost the handshake that a limit is to spare."""
    front.link.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
    assert not front.link.can_write_eof()
    front.link.close()
    assert front.raw.take() == b""
    assert front.raw.closed


@pytest.mark.parametrize("shaken", [True, False])
def test_a_lost_connection_leaves_nothing_for_the_collector(serving, trusting, shaken):
    """OpenSSL holds some 40 KiB for each; connections come faster than the collector does."""
    front = Front(serving, trusting)
    if shaken:
        front.shake()
    held = weakref.ref(front.link.get_extra_info("ssl_object")), weakref.ref(front.protocol)
    gc.disable()
    try:
        front.link.abort()
        front.lost()
        front.link.write(b"too late")
        front.link.close()
        assert held[0]() is None
        assert front.protocol.lost
        assert front.link.get_extra_info("ssl_object") is None
        del front.protocol
        assert held[1]() is None
    finally:
        gc.enable()


class Back:
    """Gatekeeper's end towards a backend; ``peer`` is the backend."""

    def __init__(self, trusting, context, name="shop.test"):
        self.protocol, self.raw = Protocol(), Raw()
        self.link = ClientLink(self.protocol, trusting, name, asyncio.get_running_loop())
        self.link.connection_made(self.raw)
        self.peer = Peer(context, server=True)

    def shake(self):
        for _ in range(4):
            self.peer.put(self.raw.take())
            self.peer.shake()
            self.link.data_received(self.peer.take())


async def test_a_backend_is_connected_when_it_has_been_verified(trusting, serving):
    back = Back(trusting, serving)
    assert back.protocol.transport is None
    back.shake()
    await back.link.ready
    assert back.protocol.transport is back.link
    back.link.write(b"ping")
    assert back.peer.read(back.raw.take()) == b"ping"
    back.link.data_received(back.peer.send(b"pong"))
    assert back.protocol.received == b"pong"


async def test_a_backend_that_is_another_hears_nothing_of_the_request(trusting, serving):
    back = Back(trusting, serving, "other.test")
    with pytest.raises(ssl.SSLError, match="alert"):
        back.shake()  # the backend hears why
    with pytest.raises(ssl.SSLCertVerificationError):
        await back.link.ready
    assert back.raw.aborted
    back.link.connection_lost(None)
    assert back.protocol.transport is None
    assert not back.protocol.lost


@pytest.mark.parametrize(("exc", "kind"), [(None, ConnectionResetError), (BrokenPipeError(), BrokenPipeError)])
async def test_a_backend_that_goes_away_within_the_handshake_is_an_error(trusting, serving, exc, kind):
    back = Back(trusting, serving)
    back.link.connection_lost(exc)
    with pytest.raises(kind):
        await back.link.ready


async def test_an_answer_that_ends_with_close_notify_ended_and_one_without_was_cut(trusting, serving):
    """RFC 9112 section 9.8; what the close delimits must not look complete."""
    for notified in (True, False):
        back = Back(trusting, serving)
        back.shake()
        await back.link.ready
        back.link.data_received(back.peer.send(b"all") + (back.peer.end() if notified else b""))
        assert back.link.eof_received() is False
        back.link.connection_lost(None)
        assert back.protocol.received == b"all"
        assert (back.protocol.exc is None) is notified


async def test_an_attempt_given_up_before_it_was_made_does_no_harm(trusting):
    link = ClientLink(Protocol(), trusting, "shop.test", asyncio.get_running_loop())
    link.abort()


def test_the_base_is_for_its_two_sides_only(serving):
    link = Link(Protocol(), serving, server=True)
    with pytest.raises(NotImplementedError):
        link._opened()
    with pytest.raises(NotImplementedError):
        link._failed(ssl.SSLError())
