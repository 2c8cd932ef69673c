"""Large answers pass through memory that others use before and after: every byte is right, whoever stalls or leaves."""

import ssl
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core.model import Timeouts
from gatekeeper.dataplane.backends import Secure
from gatekeeper.dataplane.forward import Client
from gatekeeper.dataplane.pouring import LARGE, PIECE, SPARE, Pieces, Pouring
from tests.dataplane.shadow.mirrored import Mirrored
from tests.dataplane.wires import HIGH_WATER, LOW_WATER, READ
from tests.dataplane.world import GET, OK, STRANGER, Message, World, post, request

TIMES = Timeouts(connect=5, response=20, idle=40)
SIZE = 3 * PIECE + 17
"""Bytes of a body that takes some reads."""


def noise(size, seed=0):
    """Bytes that are like no others, so that none can stand for another."""
    return Random(seed).randbytes(size)


def head(size, *lines):
    return "\r\n".join(("HTTP/1.1 200 OK", f"Content-Length: {size}", *lines, "", "")).encode()


def pours(backend):
    return isinstance(backend.told, Pouring)


def begun(here, size=SIZE, raw=GET, address=STRANGER):
    """A client and its backend, which has answered with a head and nothing else; the client has taken that."""
    client, backend = here.asked(raw, address)
    backend.send(head(size))
    assert pours(backend)
    assert Message.read(client.take()).status == 200
    return client, backend


def send(backend, data, size):
    """In reads of at most ``size`` bytes."""
    for start in range(0, len(data), size):
        backend.send(data[start : start + size])


def wrong_at(got, wanted):
    """The place of the first byte that is not the wanted one; None if there is none. Large bytes make poor messages."""
    if got == wanted:
        return None
    return next((place for place, (one, other) in enumerate(zip(got, wanted, strict=False)) if one != other),
                min(len(got), len(wanted)))  # fmt: skip


def blamed(here, source):
    """The one request is counted once, with this one source, and no claim is left."""
    counts = here.counts("blue")
    assert (counts.codes, counts.errors, counts.begun) == ({200: 1}, {source: 1}, 1)
    assert [backend.in_flight for backend in here.known()] == [0] * len(list(here.known()))


class Counted(Pieces):
    """``kept`` is how often a piece was kept; ``seen`` is all memory that was ever read into."""

    def __init__(self):
        super().__init__()
        self.kept = 0
        self.seen = [self.next.obj]

    def keep(self):
        self.kept += 1
        kept = super().keep()
        if not any(self.next.obj is each for each in self.seen):
            self.seen.append(self.next.obj)
        return kept

    @property
    def spare(self):
        return len(self._spare)


def counted(here):
    here.plane.pieces = Counted()
    return here.plane.pieces


# The body


@pytest.mark.parametrize("size", [LARGE, LARGE + 1, LARGE + PIECE, SIZE, 5_000_000])
def test_a_large_body_arrives_whole_that_is_there_at_once(world, size):
    here = world()
    body = noise(size)
    client, backend = here.asked(GET)
    backend.send(head(size))
    backend.send(body)
    assert wrong_at(Message.read(client.take()).body, body) is None


@pytest.mark.parametrize("read", [1447, 10_000, 65_536, PIECE - 1, PIECE, PIECE + 1, READ])
@pytest.mark.parametrize("size", [LARGE, LARGE + 1, SIZE])
def test_a_large_body_arrives_in_order_in_many_reads(world, size, read):
    here = world()
    body = noise(size)
    client, backend = begun(here, size)
    send(backend, body, read)
    assert wrong_at(client.take(), body) is None


def test_what_comes_with_the_head_goes_before_what_is_poured(world):
    here = world()
    body = noise(2_000_000)
    client, backend = here.asked(GET)
    backend.send(head(len(body)) + body)
    assert wrong_at(Message.read(client.take()).body, body) is None


def test_what_is_queued_for_the_client_goes_before_what_is_poured(world):
    """All comes in one turn of the loop: the head is not written yet."""
    here = world()
    body = noise(SIZE)
    client, backend = here.asked(GET)
    backend.send(head(SIZE), run=False)
    assert client.take() == b""
    backend.send(body, run=False)
    here.loop.run()
    assert wrong_at(Message.read(client.take()).body, body) is None


def test_what_was_read_is_written_in_the_same_turn(world):
    here = world()
    client, backend = begun(here)
    backend.send(b"x", run=False)
    assert client.take() == b"x"


def test_the_rest_of_a_body_is_read_as_all_answers_are(world):
    """Its end is told apart from what nobody asked for in one place only."""
    here = world()
    client, backend = begun(here, LARGE)
    send(backend, noise(LARGE - PIECE), 50_000)
    assert pours(backend)
    backend.send(b"x")
    assert not pours(backend)
    send(backend, noise(PIECE - 1), 50_000)
    assert len(client.take()) == LARGE
    assert here.plane.in_flight == 0


def test_the_access_log_says_how_many_bytes_were_sent(world):
    here = world()
    _, backend = begun(here)
    send(backend, noise(SIZE), 100_000)
    assert [entry[6] for entry in here.log.entries] == [SIZE]
    assert here.counts("blue").errors == {}


# The connections afterwards


@pytest.mark.parametrize("size", [0, 2, LARGE - 1, LARGE, SIZE])
def test_the_connection_goes_back_to_the_pool_and_carries_the_next_answer(world, size):
    here = world()
    client, backend = begun(here)
    backend.send(noise(SIZE))
    assert backend.told is backend.protocol
    assert list(backend.protocol.backend.idle) == [backend.protocol]
    assert len(client.take()) == SIZE
    client.send(GET)
    assert here.wires == [backend]
    body = noise(size, seed=1)
    backend.send(head(size) + body[:3])
    if size > 3:
        backend.send(body[3:])
    assert wrong_at(Message.read(client.take()).body, body) is None
    assert here.counts("blue").codes == {200: 2}


def test_a_connection_of_the_pool_tells_its_end(world):
    here = world()
    _, backend = begun(here)
    backend.send(noise(SIZE))
    backend.end()
    assert backend.lost
    assert not backend.protocol.backend.idle


def test_a_backend_that_says_it_will_close_is_not_asked_again(world):
    here = world()
    client, backend = here.asked(GET)
    backend.send(head(SIZE, "Connection: close"))
    assert pours(backend)
    backend.send(noise(SIZE))
    assert len(Message.read(client.take()).body) == SIZE
    assert backend.lost


def test_a_request_sent_ahead_is_answered_after_a_large_body(world):
    here = world()
    client, backend = here.asked(GET + GET)
    body = noise(SIZE)
    backend.send(head(SIZE))
    backend.send(body)
    backend.send(OK)
    assert wrong_at(client.take().partition(b"\r\n\r\n")[2], body + OK) is None


# Who does not pour


@pytest.mark.parametrize(("size", "first"), [(LARGE - 1, 0), (LARGE, 1), (LARGE + 99, 100), (2, 1)])
def test_a_body_of_which_less_is_to_come_never_changes_hands(world, size, first):
    here = world()
    body = noise(size)
    client, backend = here.asked(GET)
    backend.send(head(size) + body[:first])
    for start in range(first, size, 50_000):
        assert not pours(backend)
        backend.send(body[start : start + 50_000])
    assert wrong_at(Message.read(client.take()).body, body) is None


@pytest.mark.parametrize("first", [0, 100])
def test_a_body_of_which_as_much_is_to_come_pours(world, first):
    here = world()
    _, backend = here.asked(GET)
    backend.send(head(LARGE + first) + noise(first))
    assert pours(backend)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("how", ["chunked", "until the close"])
def test_a_body_without_a_length_does_not_pour(world, how, version):
    here = world()
    client, backend = here.asked(request("GET", version=version))
    body = noise(SIZE)
    chunked = how == "chunked"
    backend.send(b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n"))
    for start in range(0, SIZE, 50_000):
        part = body[start : start + 50_000]
        backend.send(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
        assert not pours(backend)
    if chunked:
        backend.send(b"0\r\n\r\n")
    else:
        backend.end()
    assert client.take().endswith(body[-10:] if version == "1.0" else b"\r\n0\r\n\r\n")


def test_an_answer_without_a_body_does_not_pour_whatever_its_length_says(world):
    here = world()
    client, backend = here.asked(request("HEAD"))
    backend.send(head(SIZE))
    assert not pours(backend)
    assert Message.read(client.take()).body == b""
    client.send(GET)
    backend.send(OK)
    assert client.take() == OK


@pytest.mark.parametrize("side", ["client", "backend"])
def test_nothing_pours_where_a_connection_is_a_tls_link(world, side):
    """It keeps what it is given."""
    here = world()
    client, backend = here.asked(GET)
    if side == "client":
        client.protocol.client = Client(STRANGER, trusted=False, secure=True)
    else:
        backend.protocol.backend.secure = Secure(ssl.create_default_context(), None)
    body = noise(SIZE)
    backend.send(head(SIZE))
    for start in range(0, SIZE, 50_000):
        assert not pours(backend)
        backend.send(body[start : start + 50_000])
    assert wrong_at(Message.read(client.take()).body, body) is None


def test_an_answer_that_is_mirrored_does_not_pour():
    body = noise(SIZE)
    with Mirrored() as here:
        client, backend = here.asked(GET)
        backend.send(head(SIZE))
        for start in range(0, SIZE, 50_000):
            assert not pours(backend)
            backend.send(body[start : start + 50_000])
        assert wrong_at(Message.read(client.take()).body, body) is None


# Clients that stall


def test_a_client_that_stalls_gets_everything_right_while_others_are_served(world):
    """What waits for it is not written over by what others get."""
    here = world()
    body, others = noise(SIZE), noise(5 * PIECE, seed=1)
    slow, backend = begun(here)
    backend.send(body[:100_000])
    slow.stall()
    backend.send(body[100_000:300_000])
    for read in (5 * PIECE, 100_000):
        fast, other = begun(here, len(others))
        assert other is not backend
        send(other, others, read)
        assert wrong_at(fast.take(), others) is None
        fast.reset()
    slow.drain()
    send(backend, body[300_000:], 100_000)
    assert wrong_at(slow.take(), body) is None


def test_clients_that_stall_at_the_same_time_get_everything_right(world):
    here = world()
    bodies = [noise(SIZE, seed) for seed in range(SPARE + 4)]
    pairs = [begun(here) for _ in bodies]
    for client, _ in pairs:
        client.stall()
    for (_, backend), body in zip(pairs, bodies, strict=True):
        backend.send(body)
    for (client, _), body in zip(reversed(pairs), reversed(bodies), strict=True):
        client.drain()
        assert wrong_at(client.take(), body) is None


def test_a_client_that_takes_a_part_only_gets_the_rest_right(world):
    """The piece is its own until it has taken all of it, though more is read from its backend before."""
    here = world()
    body, others = noise(SIZE), noise(LARGE, seed=1)
    slow, backend = begun(here)
    slow.stall()
    backend.send(body[:PIECE])
    slow.drain(PIECE - LOW_WATER)
    assert backend.reading
    send(backend, body[PIECE : PIECE + 30_000], 10_000)
    for start in range(PIECE + 30_000, SIZE, 10_000):
        slow.drain(10_000)
        backend.send(body[start : start + 10_000])
    fast, other = begun(here, LARGE)
    other.send(others)
    assert wrong_at(fast.take(), others) is None
    slow.drain()
    assert wrong_at(slow.take(), body) is None


def test_what_waits_for_a_client_stays_its_own_when_its_connection_serves_others(world):
    here = world()
    body, others = noise(LARGE), noise(SIZE, seed=1)
    slow, backend = begun(here, LARGE)
    slow.stall()
    backend.send(body[:PIECE])
    slow.drain(PIECE - LOW_WATER)
    backend.send(body[PIECE:])
    assert not slow.protocol.exchange
    fast, same = begun(here)
    assert same is backend
    send(backend, others, 100_000)
    assert wrong_at(fast.take(), others) is None
    slow.drain()
    assert wrong_at(slow.take(), body) is None


def test_a_client_may_stall_again_and_again(world):
    here = world()
    body = noise(SIZE)
    client, backend = begun(here)
    for start in range(0, SIZE, 100_000):
        client.stall()
        backend.send(body[start : start + 100_000])
        client.drain()
    assert wrong_at(client.take(), body) is None


def test_a_backend_is_not_read_while_its_client_does_not_read(world):
    here = world()
    client, backend = begun(here, 5_000_000)
    client.stall()
    send(backend, noise(5_000_000), 100_000)
    assert not backend.reading
    assert client.get_write_buffer_size() == 100_000
    assert backend.waiting == 4_900_000
    client.drain()
    assert wrong_at(client.take(), noise(5_000_000)) is None


def test_a_stalled_client_holds_one_piece_at_most_of_what_came_in_one_turn(world):
    here = world()
    client, backend = begun(here, 5_000_000)
    client.stall()
    backend.send(noise(5_000_000), run=False)
    assert client.get_write_buffer_size() == PIECE


def test_a_backend_that_trickles_to_a_stalled_client_fills_one_piece_only(world):
    """It is paused as any other, and each byte does not take memory of its own."""
    here = world()
    pieces = counted(here)
    body = noise(SIZE)
    client, backend = begun(here)
    client.stall()
    sent = 0
    while backend.reading:
        backend.send(body[sent : sent + 1])
        sent += 1
        assert pieces.kept == 1
    assert sent == client.get_write_buffer_size() == HIGH_WATER + 1
    client.drain()
    backend.send(body[sent:])
    assert wrong_at(client.take(), body) is None


def test_a_client_that_does_not_read_on_is_reset_after_the_idle_time_and_blamed(world):
    here = world(timeouts=TIMES)
    client, backend = begun(here)
    client.stall()
    backend.send(noise(SIZE))
    here.pass_time(39)
    assert not client.lost
    here.pass_time(2)
    assert client.reset_by_us
    assert backend.lost
    blamed(here, "client")


# Memory


def test_who_takes_all_at_once_needs_no_further_piece(world):
    here = world()
    pieces = counted(here)
    for _ in range(3):
        _, backend = begun(here)
        send(backend, noise(SIZE), 100_000)
    assert pieces.kept == 0


def test_a_client_that_stalls_again_and_again_uses_the_same_two_pieces(world):
    here = world()
    pieces = counted(here)
    client, backend = begun(here, 5_000_000)
    for _ in range(10):
        client.stall()
        backend.send(noise(100_000))
        client.drain()
    assert pieces.kept == 10
    assert len(pieces.seen) == 2


def test_a_piece_is_given_back_when_all_of_it_has_been_written_and_not_before(world):
    here = world()
    pieces = counted(here)
    client, backend = begun(here, 5_000_000)
    client.stall()
    backend.send(noise(60_000))
    client.drain(59_999)
    backend.send(b"x")
    assert (pieces.kept, pieces.spare) == (1, 0)
    client.drain()
    backend.send(b"x")
    assert (pieces.kept, pieces.spare) == (1, 1)


def test_a_bounded_number_of_pieces_is_kept_for_later(world):
    here = world()
    pieces = counted(here)
    pairs = [begun(here, 5_000_000) for _ in range(SPARE + 4)]
    for client, backend in pairs:
        client.stall()
        backend.send(b"x" * 100_000)
    assert len(pieces.seen) == SPARE + 5
    for client, backend in pairs:
        client.drain()
        backend.send(b"x")
    assert pieces.spare == SPARE


def test_spare_pieces_are_used_before_new_ones_are_made():
    pieces = Pieces()
    kept = [pieces.keep() for _ in range(SPARE + 5)]
    assert len({id(piece.obj) for piece in kept}) == SPARE + 5
    for piece in kept:
        pieces.give(piece)
    known = {id(piece.obj) for piece in kept} | {id(pieces.next.obj)}
    again = [pieces.keep() for _ in range(SPARE + 2)]
    assert sum(id(piece.obj) in known for piece in again) == SPARE + 1
    assert len({id(piece.obj) for piece in again}) == SPARE + 2
    assert {len(piece) for piece in again} == {PIECE}


# Ends


@pytest.mark.parametrize("behind", [b"x", OK, noise(2 * PIECE)], ids=["byte", "answer", "much"])
@pytest.mark.parametrize("read", [1_000_000, 100_000])
def test_bytes_behind_the_end_close_the_connection_and_reach_nobody(world, behind, read):
    here = world()
    body = noise(SIZE)
    client, backend = begun(here)
    send(backend, body[:-9], read)
    backend.send(body[-9:] + behind)
    assert backend.lost
    assert wrong_at(client.take(), body) is None
    client.send(GET)
    assert here.backend() is not backend
    here.backend().send(OK)
    assert client.take() == OK


@pytest.mark.parametrize("left", [PIECE + 1, PIECE, 1])
def test_bytes_behind_the_end_reach_nobody_however_much_was_to_come(world, left):
    here = world()
    body = noise(SIZE)
    client, backend = begun(here)
    send(backend, body[:-left], 100_000)
    backend.send(body[-left:] + b"x" * PIECE)
    assert backend.lost
    assert wrong_at(client.take(), body) is None


def test_bytes_that_come_after_the_end_close_the_connection_and_reach_nobody(world):
    here = world()
    client, backend = begun(here)
    backend.send(noise(SIZE))
    backend.send(OK)
    assert backend.lost
    assert len(client.take()) == SIZE


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("sent", [0, 1, 100_000, SIZE - PIECE, SIZE - 1])
def test_a_backend_that_goes_in_the_middle_is_blamed_and_the_answer_is_cut_off(world, sent, how):
    """The connection ends short of the announced length: that is how any client sees the cut."""
    here = world()
    body = noise(SIZE)
    client, backend = begun(here)
    if sent:
        backend.send(body[:sent])
    getattr(backend, how)()
    assert client.lost
    assert wrong_at(client.take(), body[:sent]) is None
    blamed(here, "upstream_reset")
    assert backend.lost
    assert backend.protocol.backend.connections == 0


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_stalled_client_gets_what_was_read_before_its_backend_went(world, how):
    """Also when others are served between: what waits for it stays its own."""
    here = world()
    body = noise(SIZE)
    client, backend = begun(here)
    client.stall()
    backend.send(body[:100_000])
    getattr(backend, how)()
    blamed(here, "upstream_reset")
    fast, other = begun(here)
    other.send(noise(SIZE, seed=1))
    assert wrong_at(fast.take(), noise(SIZE, seed=1)) is None
    client.drain()
    assert wrong_at(client.take(), body[:100_000]) is None
    assert client.lost


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("stalled", [False, True])
def test_a_client_that_leaves_in_the_middle_ends_the_backends_connection(world, stalled, how):
    here = world()
    client, backend = begun(here)
    if stalled:
        client.stall()
    backend.send(noise(100_000))
    getattr(client, how)()
    client.drain()
    assert client.lost
    assert backend.lost
    assert backend.protocol.backend.connections == 0
    blamed(here, "client")


def test_bytes_for_a_client_that_left_in_the_same_turn_go_nowhere(world):
    here = world()
    client, backend = begun(here)
    client.reset(run=False)
    backend.send(noise(100_000), run=False)
    here.loop.run()
    assert client.take() == b""
    assert backend.lost
    blamed(here, "client")


def test_what_is_read_after_the_exchange_is_over_reaches_nobody(world):
    """No transport should read then; the client is still being given what it had not taken."""
    here = world(timeouts=TIMES)
    client, backend = begun(here)
    client.stall()
    backend.send(b"x" * 1000)
    pouring = backend.told
    here.pass_time(20.1)
    assert not client.lost
    pouring.get_buffer(65_536)[:5] = b"other"
    pouring.buffer_updated(5)
    client.drain()
    assert client.take() == b"x" * 1000
    assert client.discarded == b""
    blamed(here, "upstream_timeout")


def test_a_version_that_has_to_leave_cuts_the_answer_off(world):
    here = world(timeouts=TIMES)
    client, backend = begun(here)
    backend.send(noise(100_000))
    said = []
    here.plane.leave("shop", "blue", 5.0, lambda *told: said.append(told))
    here.pass_time(6)
    assert client.lost
    assert len(client.take()) == 100_000
    assert backend.lost
    assert len(said) == 1


# Time


def test_each_read_renews_the_response_timeout(world):
    here = world(timeouts=TIMES)
    client, backend = begun(here)
    body = noise(SIZE)
    for start in range(0, SIZE, 100_000):
        here.pass_time(19.9)
        backend.send(body[start : start + 100_000])
    assert wrong_at(client.take(), body) is None
    assert here.counts("blue").errors == {}


@pytest.mark.parametrize("sent", [0, 1, 100_000, SIZE - 1])
def test_a_backend_that_falls_silent_in_the_middle_is_timed_out_and_blamed(world, sent):
    here = world(timeouts=TIMES)
    client, backend = begun(here)
    if sent:
        here.pass_time(10)
        backend.send(noise(sent))
    here.pass_time(19.9)
    assert not client.lost
    here.pass_time(0.2)
    assert client.lost
    assert backend.lost
    blamed(here, "upstream_timeout")


def test_a_trickle_to_a_stalled_client_does_not_renew_the_clients_time(world):
    """The client has the idle time to take something, from when it stopped reading."""
    here = world(timeouts=TIMES)
    client, backend = begun(here)
    client.stall()
    backend.send(noise(100_000))
    here.pass_time(30)
    backend.send(b"x")
    here.pass_time(11)
    assert client.lost
    blamed(here, "client")


def test_a_client_that_reads_again_starts_the_backends_time_anew(world):
    here = world(timeouts=TIMES)
    client, backend = begun(here)
    body = noise(SIZE)
    client.stall()
    backend.send(body[:100_000])
    here.pass_time(39)
    client.drain()
    here.pass_time(19.9)
    backend.send(body[100_000:])
    assert wrong_at(client.take(), body) is None


# Requests that are still under way


def test_a_client_is_not_read_while_its_backend_answers_without_reading(world):
    here = world()
    client, backend = begun(here, raw=request("POST", "Content-Length: 500000"))
    backend.stall()
    for _ in range(50):
        client.send(b"x" * 10_000)
    assert not client.reading
    assert backend.get_write_buffer_size() <= HIGH_WATER + 10_000 + 1000
    backend.send(b"y" * 100_000)
    assert client.take() == b"y" * 100_000
    backend.drain()
    assert client.reading
    assert len(Message.read(backend.take()).body) == 500_000
    backend.send(noise(SIZE - 100_000))
    assert len(client.take()) == SIZE - 100_000
    assert here.counts("blue").errors == {}


def test_a_backend_that_ends_without_having_read_its_request_is_let_go_at_once(world):
    here = world()
    client, backend = begun(here, raw=request("POST", "Content-Length: 500000"))
    backend.stall()
    client.send(b"x" * 10_000)
    assert backend.get_write_buffer_size() == 10_000
    backend.send(noise(100_000))
    backend.end()
    assert backend.lost
    assert client.lost
    assert backend.protocol.backend.connections == 0
    blamed(here, "upstream_reset")


def test_a_large_answer_to_half_a_request_arrives_whole_and_is_the_last(world):
    here = world()
    body = noise(SIZE)
    client, backend = begun(here, raw=post(b"x" * 10)[:-5])
    backend.send(body)
    assert wrong_at(client.take(), body) is None
    assert client.ended
    assert backend.lost


# Anything


class Stream:
    """A client, its backend, and the body that is on its way from one to the other."""

    def __init__(self, here, seed):
        self.body = noise(LARGE + PIECE, seed)
        self.client, self.backend = begun(here, len(self.body))
        self.sent = 0

    def act(self, what, size):
        if what == "read":
            data = self.body[self.sent : self.sent + size]
            self.sent += len(data)
            if data:
                self.backend.send(data)
        elif what == "stall":
            self.client.stall()
        elif what == "drain":
            self.client.drain()
        else:
            self.client.drain(size)

    def end(self):
        self.act("drain", 0)
        self.act("read", len(self.body))
        assert wrong_at(self.client.take(), self.body) is None


sizes = st.sampled_from([1, LOW_WATER, HIGH_WATER, HIGH_WATER + 1, PIECE - 1, PIECE, PIECE + 1]) | st.integers(1, LARGE)
acts = st.tuples(st.integers(0, 2), st.sampled_from(["read", "read", "stall", "drain", "take some"]), sizes)


@settings(deadline=None, max_examples=120)
@given(st.lists(acts, max_size=30), st.booleans())
def test_clients_get_their_bytes_however_they_are_cut_and_whoever_stalls(script, some_time):
    with World(timeouts=Timeouts(response=600, idle=600)) as here:
        streams = [Stream(here, seed) for seed in range(3)]
        for number, what, size in script:
            streams[number].act(what, size)
            if some_time:
                here.pass_time(0.1)
        for stream in streams:
            stream.end()
        assert here.counts("blue").codes == {200: 3}
        assert here.counts("blue").errors == {}
        assert len(here.wires) == 3
        assert len(here.wires[0].protocol.backend.idle) == 3
