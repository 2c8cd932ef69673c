"""Connections to backends: which are kept, which are used again, what happens to them meanwhile."""

from dataclasses import replace

import pytest

from gatekeeper.dataplane import backends, groups
from tests.dataplane.world import ALL, GET, OK, Message, request


def kept(here):
    return [wire for wire in here.wires if not wire.lost]


def test_one_clients_connection_serves_anothers_request(world):
    here = world()
    assert here.answered(GET).status == 200
    assert here.answered(request("POST", "Content-Length: 1") + b"x").status == 200
    assert len(here.wires) == 1


def test_requests_at_once_have_a_connection_each(world):
    here = world()
    pairs = [here.asked(GET) for _ in range(5)]
    assert len({backend for _, backend in pairs}) == 5
    for client, backend in reversed(pairs):
        backend.send(OK)
        assert client.take() == OK
    assert len(kept(here)) == 5


def test_the_latest_used_is_used_first(world):
    here = world()
    pairs = [here.asked(GET) for _ in range(3)]
    for _, backend in pairs:
        backend.send(OK)
    _, backend = here.asked(GET)
    assert backend is pairs[-1][1]
    backend.send(OK)


@pytest.mark.parametrize(
    "reply",
    [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
     b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", OK + b"more",
     b"HTTP/1.1 204 No Content\r\n\r\nmore", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n"],
)  # fmt: skip
def test_only_a_clean_connection_is_used_again(world, reply):
    here = world()
    client, backend = here.asked(GET)
    backend.send(reply)
    assert not client.is_closing()
    assert backend.lost
    assert here.answered(GET).status == 200
    assert len(here.wires) == 2


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_connection_closed_while_idle_costs_nobody_an_error(world, how):
    here = world()
    assert here.answered(GET).status == 200
    getattr(here.backend(), how)()
    assert not any(each.idle for each in here.known())
    assert here.answered(GET).status == 200
    assert here.counts("blue").errors == {}
    assert here.counts("blue").retries == 0


def test_a_connection_that_is_closing_in_this_very_turn_is_not_taken(world):
    here = world()
    assert here.answered(GET).status == 200
    first = here.backend()
    client = here.client()
    first.end(run=False)
    client.send(GET)
    assert here.backend() is not first
    here.backend().send(OK)
    assert client.take() == OK
    assert here.counts("blue").retries == 0


@pytest.mark.parametrize("unasked", [OK, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", b"\x00"])
def test_an_answer_to_no_request_is_nobodys(world, unasked):
    here = world()
    assert here.answered(GET).status == 200
    here.backend().send(unasked)
    assert here.backend().lost
    assert here.answered(GET, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine").body == b"mine"


def test_an_idle_connection_is_closed_after_its_time(world):
    here = world()
    pairs = [here.asked(GET) for _ in range(2)]
    for _, backend in pairs:
        backend.send(OK)
        here.pass_time(backends.IDLE_SECONDS / 2 + 1)
    assert [backend.lost for _, backend in pairs] == [True, False]


def test_connections_of_a_burst_are_used_while_it_lasts_and_closed_soon_after_the_oldest_first(world, monkeypatch):
    monkeypatch.setattr(backends, "MAX_IDLE", 3)
    here = world()
    for _ in range(2):
        for client in [here.client() for _ in range(5)]:
            client.send(GET)
        assert len(here.wires) == 5
        for wire in here.wires:
            wire.send(OK)
        here.pass_time(backends.BURST_SECONDS - 1)
        assert len(kept(here)) == 5
    here.pass_time(2)
    assert kept(here) == here.wires[2:]


def test_many_connections_that_grow_old_together_are_closed_over_several_sweeps(world, monkeypatch):
    monkeypatch.setattr(backends, "CLOSES_AT_ONCE", 2)
    here = world()
    pairs = [here.asked(GET) for _ in range(5)]
    for _, backend in pairs:
        backend.send(OK)
    here.pass_time(backends.IDLE_SECONDS + 1)
    for left in (3, 1, 0):
        assert len(kept(here)) == left
        here.pass_time(0.1)


def test_connections_in_all_are_bounded_and_the_client_is_told(world, monkeypatch):
    monkeypatch.setattr(groups, "MAX_CONNECTIONS", 2)
    here = world()
    pairs = [here.asked(GET) for _ in range(2)]
    third = here.client()
    third.send(GET)
    message = Message.read(third.take())
    assert (message.status, message.get("proxy-status")) == (503, "gatekeeper; error=connection_limit_reached")
    for client, backend in pairs:
        backend.send(OK)
        assert client.take() == OK
    third.send(GET)
    here.wires[-1].send(OK)
    assert third.take() == OK
    assert here.counts("blue").errors == {"gatekeeper": 1}


def test_a_backend_that_no_table_names_any_more_finishes_and_loses_its_connections(world):
    here = world()
    assert here.answered(GET).status == 200
    client, busy = here.asked(GET)
    other, idle = here.asked(GET)
    idle.send(OK)
    blue = here.service.versions["blue"]
    moved = replace(blue, backends=(replace(blue.backends[0], url="http://blue-9:80"),))
    here.use(replace(here.service, versions={**here.service.versions, "blue": moved}), 8)
    assert idle.lost
    assert not busy.lost
    busy.send(OK)
    assert client.take() == OK
    assert busy.lost
    other.send(GET)
    assert here.attempts[-1].url == "http://blue-9:80"
    here.backend().send(OK)


def test_connections_outlive_a_change_of_weights(world):
    here = world()
    assert here.answered(GET).status == 200
    here.use(here.service, 8)
    _client, backend = here.asked(GET)
    assert backend is here.backend(0)
    assert Message.read(backend.take().rpartition(b"\r\n\r\n")[0].rpartition(b"GET")[2].join((b"GET",
        b"\r\n\r\n"))).get(
        "x-gatekeeper-revision"
    ) == "8"  # fmt: skip
    backend.send(OK)


def test_requests_under_way_finish_where_they_started(world):
    here = world()
    client, backend = here.asked(request("POST", "Content-Length: 4") + b"ab")
    here.states(blue="ejected", green="ejected")
    client.send(b"cd")
    backend.send(OK)
    assert client.take() == OK
    assert here.refused(GET).status == 503


def test_requests_go_to_the_backend_with_the_least_to_do(world):
    here = world(ALL, backends=3)
    pairs = [here.asked(GET) for _ in range(6)]
    urls = [attempt.url for attempt in here.attempts]
    assert sorted(urls) == sorted(f"http://blue-{number}:80" for number in (1, 1, 2, 2, 3, 3))
    for _, backend in pairs[:2]:
        backend.send(OK)
    freed = {backend.protocol.backend.url for _, backend in pairs[:2]}
    assert {here.asked(GET)[1].protocol.backend.url for _ in range(2)} == freed
