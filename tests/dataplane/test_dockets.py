"""What a worker keeps of all services: cases, the places of its table, the routes it samples, and when it tells."""

import pytest

from gatekeeper.dataplane import dockets as module
from gatekeeper.dataplane.docket import MOST_PARTS
from gatekeeper.dataplane.dockets import ROUTES_SECONDS
from tests.dataplane.judged import Judged
from tests.dataplane.world import CANDIDATE, GET, OK, TESTER, request


def routes(here):
    """What is told of routes when the time for it has come."""
    here.clock.advance(ROUTES_SECONDS)
    messages = here.plane.dockets.look(here.clock.monotonic(), here.plane.connections)
    return [message["of"] for message in messages if message["type"] == "routes"]


def look(here):
    return here.plane.dockets.look(here.clock.monotonic(), here.plane.connections)


def test_one_request_to_each_version_is_sampled_after_each_look(world):
    here = world()
    look(here)
    for _ in range(3):
        here.answered(request("GET", target="/cart/17"))
    look(here)
    here.answered(request("GET", target="/home?x=1"))
    assert routes(here) == [{"shop": {"/cart": 1, "/home": 1}}]
    assert routes(here) == []


def test_a_request_that_fails_is_sampled_as_any_other(world):
    here = world()
    look(here)
    here.unreachable.add("http://blue-1:80")
    here.client().send(GET)
    assert routes(here) == [{"shop": {"/": 1}}]


def test_what_a_tester_forces_says_nothing_of_routes(world):
    here = world()
    look(here)
    here.answered(request("GET", "X-Gatekeeper-Version: green"), address=TESTER)
    assert routes(here) == []


def test_whoever_does_not_listen_is_told_later_and_what_waits_for_it_is_bounded():
    with Judged() as here:
        for _ in range(100):
            here.answered(GET)
            here.clock.advance(1)
            assert here.plane.dockets.look(here.clock.monotonic(), here.plane.connections, behind=True) == []
            (docket,) = here.plane.dockets._dockets.values()
            assert not docket.lines
        (message,) = look(here)
        ((_, _, upto, parts),) = message["of"]
        assert (upto, len(parts)) == (99, MOST_PARTS)


def test_a_judged_service_is_not_sampled():
    with Judged() as here:
        look(here)
        here.answered(GET)
        assert routes(here) == []


def test_routes_are_bounded_and_the_bound_is_lifted_when_they_are_told(world, monkeypatch):
    monkeypatch.setattr(module, "MOST_ROUTES", 2)
    here = world()
    for _ in range(2):
        look(here)
        for name in "abcd":
            here.answered(request("GET", target=f"/{name}"))
            look(here)
        ((found,),) = [list(each.values()) for each in routes(here)]
        assert len(found) == 2


def test_a_service_that_nobody_judges_has_nobody_at_its_place_once_it_was_sampled(world):
    here = world(CANDIDATE)
    look(here)
    here.answered(GET)
    client, backend = here.asked(GET)
    assert client.protocol.exchange.place is None
    backend.send(OK)


@pytest.mark.parametrize("content", [None, b"too short"])
def test_a_memory_of_units_that_cannot_be_read_is_done_without(world, tmp_path, content):
    path = tmp_path / "units"
    if content is not None:
        path.write_bytes(content)
    with Judged(case={"seen": str(path)}) as here:
        here.answered(GET)
        assert len(here.later()) == 1


def test_a_case_of_a_service_that_is_not_there_is_ignored_until_it_is():
    with Judged(case={"service": "other"}) as here:
        here.answered(GET)
        assert here.later() == []
        assert here.upto == 0
