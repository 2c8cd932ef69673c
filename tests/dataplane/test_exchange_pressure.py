"""Back pressure: whoever does not read is not read for, memory stays bounded, and everything goes on afterwards."""

from gatekeeper.core.model import Timeouts
from gatekeeper.dataplane.sending import MAX_HELD
from tests.dataplane.wires import HIGH_WATER
from tests.dataplane.world import GET, OK, Message, request

TIMES = Timeouts(connect=5, response=20, idle=40)
PIECE = b"x" * 10_000


def big(size):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size


def test_a_backend_is_not_read_while_the_client_does_not_read(world):
    here = world()
    client, backend = here.asked(GET)
    client.stall()
    backend.send(big(500_000))
    for _ in range(50):
        backend.send(PIECE)
    assert not backend.reading
    assert client.get_write_buffer_size() <= HIGH_WATER + len(PIECE)
    assert backend.waiting > 400_000
    client.drain()
    assert backend.reading
    assert len(Message.read(client.take()).body) == 500_000
    client.send(GET)
    backend.send(OK)
    assert client.take() == OK


def test_a_client_is_not_read_while_the_backend_does_not_read(world):
    here = world()
    client, backend = here.asked(request("POST", "Content-Length: 500000"))
    backend.stall()
    for _ in range(50):
        client.send(PIECE)
    assert not client.reading
    assert backend.get_write_buffer_size() <= HIGH_WATER + len(PIECE) + 1000
    backend.drain()
    assert client.reading
    assert len(Message.read(backend.take()).body) == 500_000
    backend.send(OK)
    assert client.take() == OK


def test_a_client_is_not_read_beyond_a_bound_while_the_connection_is_being_made(world):
    here = world()
    here.silent.add("http://blue-1:80")
    client = here.client()
    client.send(request("POST", "Content-Length: 500000"))
    for _ in range(50):
        client.send(PIECE)
    assert not client.reading
    assert 500_000 - client.waiting <= MAX_HELD + len(PIECE)
    here.wires.append(here.attempts[0].accept())
    here.loop.run()
    backend = here.backend()
    assert len(Message.read(backend.take()).body) == 500_000
    backend.send(OK)
    assert client.take() == OK


def test_a_client_held_for_a_connection_that_fails_is_read_again(world):
    here = world()
    here.silent.add("http://blue-1:80")
    client = here.client()
    client.send(request("POST", "Content-Length: 500000") + b"x" * (MAX_HELD + 1))
    assert not client.reading
    for _ in range(2):
        here.attempts[-1].refuse()
        here.loop.run()
    assert Message.read(client.take()).status == 502
    assert client.reading, "what it still sends is thrown away, so that the answer is not lost in a reset"


def test_a_client_that_reads_again_starts_the_backends_time_anew(world):
    here = world(timeouts=TIMES)
    client, backend = here.asked(GET)
    client.stall()
    backend.send(big(200_000) + b"x" * 100_000)
    here.pass_time(19)
    client.drain()
    here.pass_time(19)
    backend.send(b"x" * 100_000)
    assert len(Message.read(client.take()).body) == 200_000


def test_a_request_sent_while_the_client_does_not_read_waits(world):
    """Pipelined: the second request is not begun until the first answer has been taken."""
    here = world()
    client, backend = here.asked(GET + GET)
    client.stall()
    backend.take()
    backend.send(big(100_000) + b"x" * 100_000)
    assert backend.take() == b""
    client.drain()
    assert backend.take().startswith(b"GET")
    backend.send(big(9) + b"123456789")
    assert client.take().endswith(b"123456789")


def test_a_connection_given_back_while_its_client_does_not_read_serves_others(world):
    here = world()
    slow, backend = here.asked(GET)
    slow.stall()
    backend.send(big(100_000) + b"x" * 99_999)
    assert not backend.reading
    slow.drain(60_000)
    backend.send(b"x")
    slow.drain(39_000)
    other, same = here.asked(GET)
    assert same is backend
    backend.send(OK)
    assert other.take() == OK
    slow.drain()
    assert len(Message.read(slow.take()).body) == 100_000


def test_an_answer_before_the_backend_has_read_the_request_leaves_no_connection_to_reuse(world):
    """Its end of the request is not clean: unread bytes may stay unread for ever."""
    here = world()
    client, backend = here.asked(request("POST", "Content-Length: 20000"))
    backend.stall()
    client.send(b"x" * 20_000)
    backend.send(OK)
    assert client.take() == OK
    backend.drain()
    assert backend.lost
    client.send(GET)
    assert here.backend() is not backend
    here.backend().send(OK)
    assert client.take() == OK


def test_chunks_do_not_grow_what_is_held(world):
    here = world()
    client, backend = here.asked(request("POST", "Transfer-Encoding: chunked"))
    backend.stall()
    for _ in range(100):
        client.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
    assert not client.reading
    assert backend.get_write_buffer_size() < HIGH_WATER + 3000
    backend.drain()
    client.send(b"0\r\n\r\n")
    assert backend.take().endswith(b"\r\n0\r\n\r\n")
    backend.send(OK)
    assert client.take() == OK
