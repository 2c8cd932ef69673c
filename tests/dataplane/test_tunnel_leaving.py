"""A drain ends tunnels politely and one after the other; what tunnels were and carried is in the books."""

from dataclasses import replace

import pytest

from gatekeeper.dataplane.tunnel import GOODBYE_SECONDS
from gatekeeper.http1.upgrade import close_frame
from gatekeeper.telemetry import block as cells
from tests.dataplane.tunnels import ASK, AWAY, GO, REPLY, cells_of, other, tunnel, unmasked
from tests.dataplane.world import ALL, SLOTS, World
from tests.http1.test_upgrade import frame


def leave(here: World, seconds: float = 30.0) -> None:
    here.plane.draining = True
    here.plane.draw = lambda: 1 << 63  # the middle of the time in which to say goodbye
    here.plane.leave_tunnels(seconds)


def test_in_a_drain_a_websocket_leaves_at_its_moment_and_ends_when_both_have_answered(world):
    here = world()
    client, backend = tunnel(here)
    leave(here)
    here.pass_time(11.0)
    client.send(frame(b"hi", 1, b"mask"))
    assert backend.take() == frame(b"hi", 1, b"mask")
    assert client.take() == b""
    here.pass_time(1.0)
    assert client.take() == AWAY
    assert unmasked(backend.take()) == b"\x03\xe9"
    backend.send(frame(b"too late", 1))
    client.send(REPLY)
    assert client.take() == backend.take() == b""
    assert not client.lost
    backend.send(close_frame(1001))
    assert client.lost
    assert backend.lost
    assert client.take() == b""


def test_moments_to_leave_are_spread_over_the_drain_time(world):
    here = world()
    draws = iter(part * (1 << 64) // 10 for part in range(10))
    clients = [tunnel(here)[0] for _ in range(10)]
    here.plane.draw = lambda: next(draws)
    here.plane.leave_tunnels(100.0)
    gone = []
    for _ in range(101):
        here.pass_time(1.0)
        gone.append(sum(client.out == AWAY for client in clients))
        for client in clients:
            client.reset() if client.out == AWAY else None
            client.take()
    assert sum(gone) == 10
    assert max(gone) == 1
    assert sum(gone[:40]) == 6  # of 95 s, 0.8 are for goodbyes: one every 7.6 s


def test_a_close_frame_waits_for_the_end_of_a_frame_on_each_side_alone(world):
    here = world()
    client, backend = tunnel(here)
    whole = frame(b"x" * 500)
    backend.send(whole[:100])
    leave(here)
    here.pass_time(15)
    assert client.take() == whole[:100]
    assert unmasked(backend.take()) == b"\x03\xe9"
    backend.send(whole[100:300])
    assert client.take() == whole[100:300]
    backend.send(whole[300:] + whole[:50])
    assert client.take() == whole[300:] + AWAY
    client.send(REPLY)
    backend.end()
    assert client.lost
    assert backend.lost


def test_a_frame_that_never_ends_is_cut_when_the_drain_is_over(world):
    here = world()
    client, backend = tunnel(here)
    backend.send(frame(b"x" * 500)[:100])
    leave(here, 30.0)
    here.pass_time(15)
    client.take()
    here.pass_time(10)
    assert not client.lost
    here.pass_time(5)
    assert client.lost
    assert client.take() == b""


def test_who_closes_by_itself_gets_no_second_close_frame(world):
    here = world()
    client, backend = tunnel(here)
    backend.send(close_frame(1000))
    leave(here)
    here.pass_time(15)
    assert client.take() == close_frame(1000)
    assert unmasked(backend.take()) == b"\x03\xe9"
    client.send(close_frame(1000, b"mask"))
    assert client.lost
    assert backend.take() == b""


def test_a_close_frame_that_comes_with_the_awaited_end_of_a_frame_is_the_only_one(world):
    here = world()
    client, backend = tunnel(here)
    whole = frame(b"x" * 500) + close_frame(1000)
    backend.send(whole[:100])
    leave(here)
    here.pass_time(15)
    backend.send(whole[100:])
    assert client.take() == whole


def test_who_does_not_answer_a_goodbye_is_not_waited_for_till_the_end_of_the_drain(world):
    here = world()
    client, _ = tunnel(here)
    leave(here, 600.0)
    here.pass_time(300)
    assert client.take() == AWAY
    here.pass_time(GOODBYE_SECONDS - 1)
    assert not client.lost
    here.pass_time(2)
    assert client.lost


def test_another_protocol_goes_on_until_the_end_of_the_drain(world):
    here = world()
    client, backend = other(here)
    leave(here, 30.0)
    here.pass_time(28)
    client.send(b"x")
    assert backend.take() == b"x"
    here.pass_time(1)
    assert client.lost
    assert backend.lost
    assert client.take() == b""


def test_a_tunnel_that_begins_while_draining_leaves_too(world):
    here = world()
    client, backend = here.asked(ASK)
    leave(here)
    backend.send(GO)
    client.take()
    here.pass_time(15)
    assert client.take() == AWAY


# Books


def test_the_request_is_counted_at_the_101_and_logged_at_the_end_with_its_bytes(world):
    here = world()
    client, backend = here.asked(ASK)
    here.clock.advance(0.02)
    backend.send(GO)
    counts = here.counts("blue")
    assert (counts.codes, counts.upstream_timed) == ({101: 1}, 1)
    assert cells_of(here) == (1, 0, 0, 0)
    assert not here.log.entries
    client.send(b"12345")
    backend.send(b"123")
    here.clock.advance(50)
    client.end()
    backend.end()
    assert cells_of(here) == (1, 1, 5, 3)
    (entry,) = here.log.entries
    status, sent, seconds, waited = entry[5:9]
    assert (status, sent) == (101, 3)
    assert seconds == pytest.approx(50.02)
    assert waited == pytest.approx(0.02)
    bucket = here._block.slot_cells(SLOTS["blue"])[cells.DURATION : cells.SUM]
    assert bucket[cells.BUCKETS.index(0.025)] == 1


def test_a_tunnel_is_work_of_its_backend_and_of_the_drain(world):
    here = world()
    client, _ = tunnel(here)
    (backend,) = [each for each in here.known() if each.key[1] == "blue"]
    assert backend.in_flight == 1
    assert here.plane.in_flight == 1
    client.reset()
    assert backend.in_flight == here.plane.in_flight == 0


def test_a_change_of_weights_and_the_end_of_its_version_leave_a_tunnel_alone(world):
    here = world(ALL)
    client, backend = tunnel(here)
    only_green = {"green": here.service.versions["green"]}
    weights = {"green": here.service.split["blue"]}
    here.use(replace(here.service, versions=only_green, stable="green", split=weights), revision=8)
    client.send(b"x")
    backend.send(b"y")
    assert (client.take(), backend.take()) == (b"y", b"x")
    client.end()
    backend.end()
    assert backend.lost
    assert cells_of(here) == (1, 1, 1, 1)
