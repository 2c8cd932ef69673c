"""A version leaves: requests may finish, tunnels go one after the other, what is left is cut, and it is told once."""

from dataclasses import replace

import pytest

from gatekeeper.core.model import Retries, Timeouts
from gatekeeper.dataplane.departure import CUTS_AT_ONCE
from tests.dataplane.tunnels import ASK, AWAY, GO, REPLY, other, tunnel, unmasked
from tests.dataplane.world import CANDIDATE, GET, OK, Message, post

TIMES = Timeouts(response=1000, idle=1000, connect=1000)
BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"


class Reports(list):
    """What was told: (finished, cut) each."""

    def __call__(self, finished, cut):
        self.append((finished, cut))


def leave(here, seconds=30.0, version="green", service="shop"):
    here.plane.draw = lambda: 1 << 63  # the middle of the time in which to say goodbye
    reports = Reports()
    here.plane.leave(service, version, seconds, reports)
    here.loop.run()
    return reports


@pytest.mark.parametrize("name", [{}, {"version": "red"}, {"service": "blog"}])
def test_where_nothing_is_under_way_it_is_told_at_once(world, name):
    here = world()
    assert leave(here, **name) == [(0, 0)]
    here.pass_time(40)
    assert here.plane.departures == []


def test_idle_connections_are_closed_at_once_and_only_that_versions(world):
    here = world({"blue": 0, "green": 100})
    assert here.answered(GET).status == 200
    green = here.backend()
    here.states(green="ejected")
    assert here.answered(GET).status == 200
    blue = here.backend()
    assert leave(here) == [(0, 0)]
    assert (green.lost, blue.lost) == (True, False)


def test_requests_finish_and_their_connections_are_not_kept(world):
    here = world(CANDIDATE)
    pairs = [here.asked(GET), here.asked(post(b"x"))]
    client, idle = here.asked(GET)
    idle.send(OK)
    assert client.take() == OK
    reports = leave(here)
    assert idle.lost, "at once"
    here.pass_time(10)
    assert reports == []
    for client, backend in pairs:
        backend.send(OK)
        assert Message.read(client.take()).status == 200
        assert not client.lost, "the client's connection is as good as before"
    here.pass_time(0.1)
    assert reports == [(2, 0)]
    assert all(backend.lost for _, backend in pairs)


def test_others_are_left_alone(world):
    here = world(CANDIDATE)
    here.states(green="ejected")
    client, backend = here.asked(GET)
    stays, far = tunnel(here)
    assert leave(here, 1.0) == [(0, 0)]
    here.pass_time(40)
    backend.send(OK)
    far.send(b"\x81\x01x")
    assert client.take() == OK
    assert stays.take() == b"\x81\x01x"


def test_what_is_left_at_the_end_is_cut_and_the_client_is_told_where_it_can_be(world):
    here = world(CANDIDATE, timeouts=TIMES, retries=Retries(attempts=0))
    waiting, unanswered = here.asked(GET)
    answering, half = here.asked(GET)
    half.send(BEGUN)
    here.silent.add("http://green-1:80")
    connecting = here.client()
    connecting.send(GET)
    reports = leave(here, 5.0)
    here.pass_time(4.9)
    assert not half.lost
    assert reports == []
    here.pass_time(0.2)
    for client in (waiting, connecting):
        answer = Message.read(client.take())
        assert (answer.status, answer.get("proxy-status")) == (503, "gatekeeper; error=destination_unavailable")
        assert not client.lost
    assert Message.read(answering.take()).body == b"01234"
    assert answering.lost, "short of the end that was announced"
    assert unanswered.lost
    assert half.lost
    assert reports == [(0, 3)]
    assert here.counts("green").errors == {"gatekeeper": 3}, "and no fault of the version"
    assert here.plane.backends.outcomes() == []


def test_many_are_cut_a_few_at_a_time(world):
    here = world(CANDIDATE, timeouts=TIMES)
    clients = [here.asked(GET)[0] for _ in range(3 * CUTS_AT_ONCE)]
    reports = leave(here, 5.0)
    here.clock.advance(6)
    here.plane.sweep(here.clock.monotonic())
    here.plane.flush()
    assert sum(bool(client.out) for client in clients) == CUTS_AT_ONCE
    assert reports == []
    here.loop.run()
    assert all(Message.read(client.take()).status == 503 for client in clients)
    assert reports == [(0, 3 * CUTS_AT_ONCE)]


def test_who_ends_by_itself_before_it_is_its_turn_to_be_cut_is_let_go_and_so_is_its_next_request(world):
    here = world(CANDIDATE, timeouts=TIMES)
    pairs = [here.asked(GET) for _ in range(CUTS_AT_ONCE + 1)]
    reports = leave(here, 5.0)
    here.clock.advance(6)
    here.plane.sweep(here.clock.monotonic())
    here.plane.flush()
    ((client, backend),) = [pair for pair in pairs if not pair[0].out]
    backend.send(OK, run=False)
    client.send(GET, run=False)
    here.loop.run()
    assert client.take() == OK
    assert reports == [(1, CUTS_AT_ONCE)]
    backend.send(OK)
    assert client.take() == OK


def test_a_websocket_leaves_at_its_moment_with_1001(world):
    here = world(CANDIDATE)
    client, backend = tunnel(here)
    reports = leave(here)
    here.pass_time(11)
    assert client.take() == b""
    here.pass_time(1)
    assert client.take() == AWAY
    assert unmasked(backend.take()) == b"\x03\xe9"
    client.send(REPLY)
    backend.send(REPLY)
    here.pass_time(0.1)
    assert client.lost
    assert reports == [(1, 0)]


def test_moments_are_spread_over_the_time(world):
    here = world(CANDIDATE)
    clients = [tunnel(here)[0] for _ in range(10)]
    draws = iter(part * (1 << 64) // 10 for part in range(10))
    reports = Reports()
    here.plane.draw = lambda: next(draws)
    here.plane.leave("shop", "green", 100.0, reports)
    gone = []
    for _ in range(101):
        here.pass_time(1.0)
        left = [client for client in clients if client.out.startswith(AWAY)]
        gone.append(len(left))
        for client in left:
            client.take()
            client.reset()
    assert sum(gone) == 10
    assert max(gone) == 1
    assert reports == [(10, 0)]


def test_another_protocol_goes_on_until_shortly_before_the_end(world):
    here = world(CANDIDATE)
    client, backend = other(here)
    reports = leave(here)
    here.pass_time(28)
    client.send(b"x")
    assert backend.take() == b"x"
    here.pass_time(1)
    here.pass_time(0.1)
    assert client.lost
    assert reports == [(1, 0)]


def test_a_tunnel_that_is_there_at_the_end_is_cut(world):
    here = world(CANDIDATE)
    client, backend = other(here)
    reports = leave(here, 0.2)
    here.clock.advance(0.3)
    here.plane.departures[0].look(here.clock.monotonic())
    here.loop.run()
    assert client.lost
    assert backend.lost
    assert reports == [(0, 1)]
    here.plane.departures.clear()


def test_without_time_to_leave_a_websocket_is_still_told(world):
    here = world(CANDIDATE)
    client, backend = tunnel(here)
    cut_short, half = tunnel(here)
    half.send(b"\x81\x05ab")
    cut_short.take()
    assert leave(here, 0.0) == [(0, 2)]
    assert client.take() == AWAY
    assert unmasked(backend.take()) == b"\x03\xe9"
    assert cut_short.take() == b"", "in the middle of a frame nothing can be said"
    assert all(wire.lost for wire in (client, backend, cut_short, half))


def test_a_request_that_becomes_a_tunnel_meanwhile_leaves_too(world):
    here = world(CANDIDATE)
    client, backend = here.asked(ASK)
    reports = leave(here)
    backend.send(GO)
    client.take()
    here.pass_time(11)
    assert client.take() == b""
    here.pass_time(1)
    assert client.take() == AWAY
    client.reset()
    here.pass_time(0.1)
    assert reports == [(1, 0)]


def test_a_version_that_no_table_names_any_more_is_found(world):
    here = world(CANDIDATE)
    client, backend = tunnel(here)
    waiting, unanswered = here.asked(GET)
    only_blue = {"blue": here.service.versions["blue"]}
    here.use(replace(here.service, versions=only_blue, split={"blue": here.service.split["green"]}), revision=8)
    reports = leave(here)
    here.pass_time(12)
    assert client.take() == AWAY
    client.send(REPLY)
    backend.send(REPLY)
    unanswered.send(OK)
    assert waiting.take() == OK
    here.pass_time(0.1)
    assert reports == [(2, 0)]
    assert {each.key[1] for each in here.known()} == {"blue"}


def test_what_a_version_gets_after_it_was_called_back_is_not_cut(world):
    here = world(CANDIDATE, timeouts=TIMES)
    old, _ = here.asked(GET)
    reports = leave(here, 5.0)
    new, backend = here.asked(GET)
    late, far = tunnel(here)
    here.pass_time(6)
    assert Message.read(old.take()).status == 503
    assert reports == [(0, 1)]
    backend.send(OK)
    assert new.take() == OK
    far.send(b"\x81\x01x")
    assert late.take() == b"\x81\x01x"


def test_two_departures_of_one_version_are_told_each(world):
    here = world(CANDIDATE, timeouts=TIMES)
    client, _ = tunnel(here)
    first, second = leave(here, 30.0), leave(here, 10.0)
    here.pass_time(4.1)
    assert client.take() == AWAY, "the shorter time counts"
    here.pass_time(6)
    here.pass_time(0.1)
    assert client.lost
    assert (first, second) == ([(1, 0)], [(1, 0)])


@pytest.mark.parametrize("first", ["departure", "drain"])
def test_of_a_departure_and_a_drain_the_earlier_end_counts(world, first):
    here = world(CANDIDATE)
    client, _ = tunnel(here)
    cut_short, half = tunnel(here)
    half.send(b"\x81\x05ab")
    here.plane.draining = True
    here.plane.draw = lambda: 1 << 63
    if first == "departure":
        leave(here, 300.0)
    here.plane.leave_tunnels(30.0)
    if first == "drain":
        leave(here, 300.0)
    here.pass_time(12)
    assert client.take() == AWAY
    here.pass_time(16)
    assert not cut_short.lost
    here.pass_time(1)
    assert cut_short.lost


def test_what_does_not_wait_any_longer_is_cut_at_once_and_told_once(world):
    here = world(CANDIDATE, timeouts=TIMES)
    for _ in range(2 * CUTS_AT_ONCE):
        here.asked(GET)
    reports = leave(here, 300.0)
    here.plane.departures.pop().cut()
    assert reports == [(0, 2 * CUTS_AT_ONCE)]
    here.pass_time(400)
    assert len(reports) == 1
