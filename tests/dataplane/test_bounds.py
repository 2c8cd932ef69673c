"""What a flood or a client that stalls may cost: memory, descriptors, and everybody else's time."""

import errno
import resource

import pytest

from gatekeeper.core.model import Limits, Timeouts
from gatekeeper.dataplane.parting import LINGER_SECONDS, MAX_AHEAD
from gatekeeper.dataplane.plane import ENDS_AT_ONCE, MAX_TURNED_AWAY, OTHER_DESCRIPTORS
from gatekeeper.dataplane.retry import connect_fault
from gatekeeper.errors import Fault
from tests.dataplane.wires import HIGH_WATER
from tests.dataplane.world import GET, OK, TESTER, Message

TIMES = Timeouts(request_head=3, response=20, idle=40)
FORCED = b"GET / HTTP/1.1\r\nHost: shop.test\r\nX-Gatekeeper-Version: green\r\n\r\n"
BIG = b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n"


def test_a_stalled_client_holds_one_read_of_its_answer_not_all_that_came_in_a_turn(world):
    here = world()
    client, backend = here.asked(GET)
    client.stall()
    backend.send(BIG)
    for _ in range(4):
        backend.send(b"x" * 100_000, run=False)
    assert not backend.reading
    assert client.get_write_buffer_size() <= HIGH_WATER + 100_000


def test_a_stalled_backend_holds_one_read_of_a_request(world):
    here = world()
    client, backend = here.asked(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 500000\r\n\r\n")
    backend.stall()
    for _ in range(4):
        client.send(b"x" * 100_000, run=False)
    assert not client.reading
    assert backend.get_write_buffer_size() <= HIGH_WATER + 100_000 + 1000


def test_answers_of_our_own_that_nobody_reads_are_not_made(world):
    """They need no backend that could be paused, so the client is."""
    here = world(hosts=("a.test",))
    client = here.client()
    client.stall()
    for _ in range(5):
        client.send(GET * 1000)
    assert client.get_write_buffer_size() < HIGH_WATER + 1000
    assert not client.reading
    assert client.waiting >= len(GET) * 5000 - MAX_AHEAD - len(GET) * 1000 - client.get_write_buffer_size()
    client.drain()
    assert client.take().count(b"HTTP/1.1 404") == 5000
    assert client.reading


def test_who_does_not_read_answers_of_our_own_is_given_up(world):
    here = world(hosts=("a.test",), timeouts=TIMES)
    client = here.client()
    client.stall()
    client.send(GET * 2000)
    here.pass_time(41)
    here.pass_time(41)
    assert client.reset_by_us
    assert client.lost


def test_a_client_that_takes_something_now_and_then_is_waited_for(world):
    here = world(timeouts=TIMES)
    client, backend = here.asked(GET)
    client.stall()
    backend.send(BIG + b"x" * 400_000)
    for _ in range(3):
        here.pass_time(39)
        client.drain(1000)
        here.pass_time(2)
        assert not client.lost
    here.pass_time(41)
    assert client.reset_by_us
    assert backend.lost
    assert here.counts("blue").errors == {"client": 1}


def test_the_time_of_a_client_that_does_not_read_is_not_the_backends(world):
    here = world(timeouts=TIMES)
    client, backend = here.asked(GET)
    client.stall()
    backend.send(BIG + b"x" * 400_000)
    here.pass_time(30)
    client.drain()
    backend.send(b"x" * 100_000)
    assert len(Message.read(client.take()).body) == 500_000


def test_those_turned_away_do_not_keep_others_out(world):
    here = world(limits=Limits(connections=2))
    first, second = here.client(), here.client()
    refused = [here.client() for _ in range(10)]
    first.end()
    second.end()
    assert here.answered(GET).status == 200
    here.pass_time(LINGER_SECONDS + 1)
    assert all(each.lost for each in refused)
    assert here.refusals() == {"connection_limit": 10}
    assert not here.plane.turned_away


def test_a_flood_beyond_the_limit_is_not_told_one_by_one(world):
    here = world(limits=Limits(connections=1))
    here.client()
    flood = [here.client() for _ in range(MAX_TURNED_AWAY + 50)]
    assert [each.lost for each in flood] == [False] * MAX_TURNED_AWAY + [True] * 50
    assert here.refusals() == {"connection_limit": MAX_TURNED_AWAY + 50}


def test_without_a_limit_each_client_leaves_a_descriptor_for_a_backend(world, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (OTHER_DESCRIPTORS + 5, 9999))
    here = world()
    assert [each.ended for each in (here.client(), here.client(), here.client())] == [False, False, True]
    assert here.refusals() == {"descriptors": 1}


def test_idle_connections_to_one_backend_leave_room_for_one_to_another(world, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (OTHER_DESCRIPTORS + 6, 9999))
    here = world({"blue": 100, "green": 0})
    asked = [here.asked(GET, TESTER) for _ in range(3)]
    for _, backend in asked:
        backend.send(OK)
    asked[0][0].send(FORCED)
    assert here.backend() is not asked[0][1]
    assert [backend.lost for _, backend in asked] == [True, False, False]


def test_a_limit_below_what_descriptors_allow_is_the_limit(world, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (OTHER_DESCRIPTORS + 10, 9999))
    here = world(limits=Limits(connections=7))
    assert here.plane.max_connections == 5
    here.settings = type(here.settings)(limits=Limits(connections=3))
    here.use(here.service, 8)
    assert here.plane.max_connections == 3


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL])
def test_no_version_is_to_blame_for_what_this_machine_lacks(number):
    assert connect_fault(OSError(number, "...")) is Fault.CONNECTION_LIMIT
    assert connect_fault(OSError(errno.ECONNREFUSED, "...")) is Fault.CONNECT_REFUSED


def test_thousands_whose_time_is_over_at_once_end_a_few_in_each_turn(world):
    here = world(timeouts=TIMES)
    slow = [here.client() for _ in range(10 * ENDS_AT_ONCE)]
    for each in slow:
        each.send(GET[:20])
    here.clock.advance(4)
    here.plane.sweep(here.clock.monotonic())
    assert sum(each.out != b"" for each in slow) <= ENDS_AT_ONCE
    late = slow[0] if not slow[0].out else slow[-1]
    late.send(GET[20:], run=False)
    here.loop.run()
    assert all(each.take().startswith(b"HTTP/1.1 408") for each in slow if each is not late)
    here.backend().send(OK)
    assert late.take() == OK, "its head was complete before its turn came"
