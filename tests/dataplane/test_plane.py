"""What connections share: the write queue, the sweep, limits, budgets, drains."""

from dataclasses import replace

import pytest

from gatekeeper.core.model import Limits, Retries, Timeouts
from gatekeeper.dataplane.plane import SWEEP_SECONDS
from tests.dataplane.world import GET, OK, STRANGER, Message, request


def test_bytes_are_written_at_the_end_of_the_turn_in_their_order(world):
    here = world()
    client = here.client()
    here.plane.write(client, b"a")
    here.plane.write(client, b"b")
    assert client.out == b""
    here.loop.run()
    assert client.out == b"ab"


def test_a_connection_closed_in_the_same_turn_costs_the_others_nothing(world):
    """Its transport refuses to be written on, and everybody else's bytes are behind it in the queue."""
    here = world()
    gone, backend = here.asked(GET)
    other, second = here.asked(GET)
    gone.reset(run=False)
    backend.send(OK, run=False)
    second.send(OK, run=False)
    here.loop.run()
    assert other.take() == OK
    assert gone.lost


def test_what_is_queued_is_flushed_before_a_close(world):
    here = world()
    client, backend = here.asked(GET)
    backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", run=False)
    backend.reset(run=False)
    here.loop.run()
    assert Message.read(client.take()).body == b"abc"
    assert client.lost


def test_every_connection_of_a_turn_is_answered_in_it(world):
    here = world()
    pairs = [here.asked(GET) for _ in range(20)]
    for _, backend in pairs:
        backend.send(OK, run=False)
    assert all(client.out == b"" for client, _ in pairs)
    here.loop.run()
    assert all(client.take() == OK for client, _ in pairs)


def test_a_deadline_is_kept_within_a_sweep(world):
    here = world(timeouts=Timeouts(response=20))
    client, _ = here.asked(GET)
    here.pass_time(20 - SWEEP_SECONDS)
    assert client.out == b""
    here.pass_time(2 * SWEEP_SECONDS)
    assert Message.read(client.take()).status == 504


def test_one_sweep_ends_all_that_is_over_its_time(world):
    here = world(timeouts=Timeouts(response=20, request_head=3))
    waiting = [here.asked(GET)[0] for _ in range(5)]
    silent = [here.client() for _ in range(5)]
    here.pass_time(21)
    assert [Message.read(client.take()).status for client in waiting] == [504] * 5
    assert all(client.lost for client in silent)


def test_the_longest_head_and_idle_time_of_all_services_count_before_one_is_known(world):
    here = world(timeouts=Timeouts(request_head=3, idle=7))
    assert (here.plane.head_seconds, here.plane.idle_seconds) == (3, 7)


@pytest.mark.parametrize(("limit", "workers", "share"), [(100, 4, 25), (10, 4, 3), (1, 8, 1)])
def test_a_limit_of_connections_is_shared_by_the_workers(world, limit, workers, share):
    here = world(limits=Limits(connections=limit))
    here.plane._workers = workers
    here.use(here.service, 8)
    assert here.plane.max_connections == share


def test_limits_change_with_the_table(world):
    here = world()
    raw = request("GET", *["A: b"] * 10)
    assert here.answered(raw).status == 200
    here.settings = replace(here.settings, limits=Limits(headers=5, body=3))
    here.use(here.service, 8)
    assert here.refused(raw).status == 431, "also where the same section was read before"
    assert here.plane.max_body == 3


@pytest.mark.parametrize(
    ("networks", "address", "trusted"),
    [((), "10.0.0.1", False), ((), "", False), (("10.0.0.0/8",), "10.1.2.3", True),
     (("10.0.0.0/8",), "11.0.0.1", False),
     (("10.0.0.0/8",), "", True), (("10.0.0.0/8",), "::ffff:10.0.0.1", True), (("::1/128",), "::1", True),
     (("10.0.0.0/8",), "nonsense", False)],
)  # fmt: skip
def test_whose_forwarding_fields_are_believed(world, networks, address, trusted):
    assert world(trusted=networks).plane.trusts(address) is trusted


def test_the_budget_of_retries_outlives_a_change_of_weights(world):
    here = world(retries=Retries(attempts=1, budget=0.001))
    route = here.plane.snapshot.table.services["shop"]
    while here.plane.may_retry(route):
        pass
    here.use(here.service, 8)
    assert not here.plane.may_retry(here.plane.snapshot.table.services["shop"])


def test_a_request_is_decided_by_one_table_to_its_end(world):
    here = world(retries=Retries(attempts=1))
    here.silent.add("http://blue-1:80")
    client = here.client()
    client.send(GET)
    here.use(here.service, 8)
    here.attempts[0].refuse()
    here.loop.run()
    here.wires.append(here.attempts[1].accept())
    here.loop.run()
    assert Message.read(here.backend().take()).get("x-gatekeeper-revision") == "7"
    here.backend().send(OK)
    assert client.take() == OK


def test_an_answer_is_logged_with_all_that_was_decided(world):
    here = world()
    here.answered(request("GET", "X-Request-Id: abc", "Referer: r", "User-Agent: a", target="/p?q"))
    assert here.log.entries[0][1:] == (
        STRANGER, b"GET", b"/p?q", 1, 200, 2, 0.0, 0.0, b"shop.test", "shop", "blue", "http://blue-1:80", "sticky",
            None, 7,
        b"abc", b"r", b"a", "", False, 0,
    )  # fmt: skip


def test_a_failure_is_logged_with_its_source(world):
    here = world(retries=Retries(attempts=1))
    here.unreachable.add("http://blue-1:80")
    here.refused_by_all = here.client()
    here.refused_by_all.send(GET)
    entry = here.log.entries[0]
    assert (entry[5], entry[8], entry[-3], entry[-1]) == (502, -1.0, "upstream_connect", 1)


def test_durations_are_measured_by_the_monotonic_clock(world):
    here = world()
    client, backend = here.asked(GET)
    here.clock.advance(2)
    here.clock.jump_wall(-3600)
    backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    here.clock.advance(3)
    backend.send(b"ok")
    assert here.log.entries[0][7:9] == (5.0, 2.0)
    assert client.lost is False


def test_without_a_table_nothing_is_served(world):
    from gatekeeper.core import routing
    from gatekeeper.core.model import Settings, State

    here = world()
    empty = State(8, Settings(), {})
    here.plane.swap(routing.compile(empty, {}, None), empty)
    assert here.refused(GET).status == 404
