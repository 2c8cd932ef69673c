"""Which backends there are, by table and picture, and in what state."""

import itertools
import ssl
from dataclasses import replace

import pytest

from gatekeeper.core.model import Backend as Entry
from gatekeeper.core.model import OnUnavailable
from gatekeeper.dataplane import roster
from gatekeeper.dataplane.backends import IDLE_SECONDS, Secure
from tests.dataplane.world import ALL, GET, OK, SLOTS, TESTER, Message, post, request

ONE, TWO, THREE = (f"http://blue-1:80#10.0.0.{number}" for number in (1, 2, 3))
URL = "http://blue-1:80"


def show(here, ages=None, /, **versions):
    """``show(here, blue={id: state})``: the picture; ``ages`` are blue's."""
    here.plane.set_backend_states({"shop": versions}, {"shop": {"blue": ages or {}}})
    here.loop.run()


def ids(here, version="blue"):
    return [backend.id for backend, _ in here.plane.snapshot.groups[SLOTS[version]].members]


def ready(here):
    return {name: here.plane.snapshot.ready[slot] for name, slot in SLOTS.items()}


def test_states_are_the_whole_picture_and_what_it_does_not_name_is_ready(world):
    here = world(backends=2)
    plane = here.plane
    plane.set_backend_states({"shop": {"blue": {"http://blue-1:80": "ejected"}}, "other": {"x": {"y": "ejected"}}})
    assert plane.snapshot.ready[2:4] == [1, 2]
    plane.set_backend_states({"shop": {"green": {"http://green-1:80": "pending", "http://green-2:80": "draining"}}})
    assert plane.snapshot.ready[2:4] == [2, 0]


def test_a_new_table_keeps_what_is_known_of_backends(world):
    here = world()
    here.states(blue="ejected")
    here.use(here.service, 8)
    assert here.plane.snapshot.ready[2:4] == [0, 1]


# Host names


def test_a_host_names_addresses_are_backends_of_their_own(world):
    here = world()
    show(here, blue={TWO: "ready", ONE: "ready", THREE: "ejected"})
    assert ids(here) == [ONE, TWO, THREE]
    assert ready(here) == {"blue": 2, "green": 1}
    for _ in range(4):
        here.asked(GET)
    assert [attempt.url for attempt in here.attempts] == [ONE, TWO] * 2


def test_an_address_has_the_weight_of_its_url(world):
    here = world()
    blue = here.service.versions["blue"]
    heavy = replace(blue, backends=(replace(blue.backends[0], weight=3), Entry("http://10.9.9.9:80")))
    here.use(replace(here.service, versions={**here.service.versions, "blue": heavy}), 8)
    show(here, blue={ONE: "ready", TWO: "ready", "http://10.9.9.9:80": "ready"})
    assert [weight for _, weight in here.plane.snapshot.groups[SLOTS["blue"]].members] == [3, 3, 1]


def test_a_name_that_the_picture_does_not_know_is_left_to_the_loop(world):
    here = world()
    show(here, green={"http://green-1:80#10.0.0.9": "ready"})
    assert ids(here) == [URL]
    assert here.asked(GET)[1].protocol.backend.address == ""


def test_a_name_without_an_address_yet_is_what_the_supervisor_says_of_it(world):
    here = world()
    show(here, blue={URL: "pending"})
    assert ready(here) == {"blue": 0, "green": 1}
    show(here, blue={ONE: "ready"})
    assert ids(here) == [ONE]


@pytest.mark.parametrize(
    "other", ["http://blue-1:8080#10.0.0.1", "http://blue-11:80#10.0.0.1", "https://blue-1:80#1.1.1.1"]
)
def test_an_address_belongs_to_the_url_before_the_number_sign(world, other):
    here = world()
    show(here, blue={other: "ready", URL: "ready"})
    assert ids(here) == [URL]


def test_a_path_with_a_number_sign_is_no_address(world):
    here = world()
    blue = replace(here.service.versions["blue"], backends=(Entry("unix:/run/a"), Entry("unix:/run/a#b")))
    here.use(replace(here.service, versions={**here.service.versions, "blue": blue}), 8)
    show(here, blue={"unix:/run/a": "ready", "unix:/run/a#b": "ejected"})
    assert ids(here) == ["unix:/run/a", "unix:/run/a#b"]
    assert ready(here)["blue"] == 1


def test_addresses_that_stay_keep_their_connections_and_what_they_have_to_do(world):
    here = world()
    show(here, blue={ONE: "ready"})
    assert here.answered(GET).status == 200
    client, busy = here.asked(GET)
    show(here, blue={ONE: "ready", TWO: "ready"})
    (one,) = [each for each in here.known() if each.id == ONE]
    assert one.in_flight == 1
    assert here.asked(post(b"x"))[1].protocol.backend.id == TWO, "as the other one is busy"
    busy.send(OK)
    assert client.take() == OK
    assert busy in [upstream.transport for upstream in one.idle]


def test_an_address_that_goes_finishes_its_requests_and_loses_its_connections(world):
    here = world()
    show(here, blue={ONE: "ready"})
    pairs = [here.asked(GET) for _ in range(2)]
    pairs[0][1].send(OK)
    show(here, blue={TWO: "ready"})
    assert pairs[0][1].lost
    assert not pairs[1][1].lost
    pairs[1][1].send(OK)
    assert pairs[1][0].take() == OK
    assert pairs[1][1].lost
    here.pass_time(0.1)
    assert {each.id for each in here.known()} == {TWO, "http://green-1:80"}, "nothing is left of it"


def test_an_address_that_comes_back_is_the_same_one(world):
    here = world()
    show(here, blue={ONE: "ready"})
    client, busy = here.asked(GET)
    show(here, blue={TWO: "ready"})
    here.pass_time(0.1)
    show(here, blue={ONE: "ready", TWO: "ready"})
    assert {each.id: each.in_flight for each in here.known()} == {ONE: 1, TWO: 0, "http://green-1:80": 0}
    busy.send(OK)
    assert client.take() == OK
    assert not busy.lost, "it may serve again"


def test_a_failure_after_an_address_has_gone_is_told_when_it_comes_back(world):
    here = world()
    show(here, blue={ONE: "ready"})
    _, busy = here.asked(request("POST", "Content-Length: 0"))
    show(here, blue={TWO: "ready"})
    busy.send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 9\r\n\r\n")
    assert here.plane.backends.outcomes() == [], "nobody knows it any more"
    show(here, blue={ONE: "ready", TWO: "ready"})
    assert here.plane.backends.outcomes() == [["shop", "blue", ONE, 1, 1, "answered 502"]]
    busy.send(b"123456789")
    assert here.plane.backends.outcomes() == []


def test_of_more_backends_than_one_sweep_looks_at_each_has_its_turn(world, monkeypatch):
    monkeypatch.setattr(roster, "LOOKS_AT_ONCE", 1)
    here = world()
    show(here, blue={ONE: "ready", TWO: "ready", THREE: "ready"})
    pairs = [here.asked(GET) for _ in range(3)]
    for _, backend in pairs:
        backend.send(OK)
    here.clock.advance(IDLE_SECONDS + 1)
    closed = []
    for _ in range(5):
        here.pass_time(0.1)
        closed.append(sum(backend.lost for _, backend in pairs))
    assert closed[-1] == 3, "four backends there are, and five sweeps"
    assert max(after - before for before, after in itertools.pairwise([0, *closed])) == 1


def test_a_request_that_began_by_an_earlier_table_heeds_the_picture(world):
    """A change of weights is no reason to try one that was ejected meanwhile."""
    here = world(backends=2)
    here.silent |= {"http://blue-1:80", "http://blue-2:80"}
    client = here.client()
    client.send(GET)
    here.use(here.service, 8)
    here.states(blue="ejected")
    here.attempts[0].refuse()
    here.loop.run()
    assert Message.read(client.take()).status == 503
    assert len(here.attempts) == 1


def test_tls_is_spoken_to_addresses_that_come_later(world):
    here = world()
    blue = replace(here.service.versions["blue"], backends=(Entry("https://b.test:443"), Entry("http://10.0.0.9:80")))
    here.use(replace(here.service, versions={**here.service.versions, "blue": blue}), 8)
    secure = Secure(ssl.create_default_context(), None)
    here.plane.snapshot.groups[SLOTS["blue"]].protect(secure)
    show(here, blue={"https://b.test:443#10.0.0.1": "ready", "http://10.0.0.9:80": "ready"})
    assert {each.id: each.secure for each in here.known() if each.key[1] == "blue"} == {
        "https://b.test:443#10.0.0.1": secure,
        "http://10.0.0.9:80": None,
    }


def test_a_draining_backend_keeps_no_connection(world):
    here = world()
    pairs = [here.asked(GET) for _ in range(2)]
    pairs[0][1].send(OK)
    here.states(blue="draining")
    here.loop.run()
    assert pairs[0][1].lost
    pairs[1][1].send(OK)
    assert pairs[1][1].lost
    here.states()
    assert here.answered(GET).status == 200
    assert not here.backend().lost, "called back, it does again"


def test_a_picture_touches_only_what_changes(world, monkeypatch):
    here = world(backends=3)
    here.states(blue="ejected")
    group = here.plane.snapshot.groups[SLOTS["blue"]]
    monkeypatch.setattr(type(group), "fill", lambda *_: pytest.fail("filled again"))
    here.states(blue="ejected")
    here.use(here.service, 8)
    assert here.plane.snapshot.groups[SLOTS["blue"]] is group


# Slow start


def factors(here):
    return {each.id: each.factor for each in here.known() if each.key[1] == "blue"}


def test_a_new_backend_grows_from_a_tenth_to_its_whole_share_by_the_workers_own_clock(world):
    here = world(slow_start=30.0)
    show(here, {TWO: 1.5}, blue={ONE: "ready", TWO: "ready"})
    assert factors(here) == {ONE: 1.0, TWO: 0.1}
    here.pass_time(13.5)
    assert factors(here) == {ONE: 1.0, TWO: 0.5}
    here.pass_time(16)
    assert factors(here) == {ONE: 1.0, TWO: 1.0}


def test_while_it_grows_it_gets_its_part_of_the_requests(world):
    here = world(slow_start=30.0)
    show(here, {TWO: 15.0}, blue={ONE: "ready", TWO: "ready"})
    for _ in range(30):
        assert here.answered(GET).status == 200
    told = {wire.protocol.backend.id: wire.out.count(b"GET / ") for wire in here.wires}
    assert told == {ONE: 20, TWO: 10}


def test_the_last_picture_decides_who_is_new(world):
    here = world(slow_start=30.0)
    show(here, {TWO: 0.0}, blue={ONE: "ready", TWO: "ready"})
    show(here, {ONE: 6.0}, blue={ONE: "ready", TWO: "ready"})
    assert factors(here) == {ONE: 0.2, TWO: 1.0}
    show(here, blue={ONE: "ready", TWO: "ready"})
    assert factors(here) == {ONE: 1.0, TWO: 1.0}
    assert here.plane.snapshot.groups[SLOTS["blue"]]._rationed == []


def test_a_new_table_does_not_end_a_slow_start_and_one_without_it_does(world):
    here = world(slow_start=30.0)
    show(here, {TWO: 6.0}, blue={ONE: "ready", TWO: "ready"})
    here.use(here.service, 8)
    assert factors(here)[TWO] == 0.2
    here.use(replace(here.service, slow_start=0.0), 9)
    assert factors(here)[TWO] == 1.0


def test_a_backend_that_comes_with_the_next_table_is_new_then(world):
    here = world(slow_start=30.0)
    nine = "http://10.0.0.9:80"
    show(here, {nine: 3.0}, blue={URL: "ready", nine: "ready"})
    here.pass_time(3.0)
    blue = replace(here.service.versions["blue"], backends=(Entry(URL), Entry(nine)))
    here.use(replace(here.service, versions={**here.service.versions, "blue": blue}), 8)
    assert factors(here)[nine] == pytest.approx(0.2)


# Without a supervisor


@pytest.mark.parametrize("state", ["ejected", "pending"])
def test_without_a_supervisor_a_service_of_which_nothing_is_ready_tries_what_there_is(world, state):
    here = world()
    here.states(blue=state, green=state)
    assert here.refused(GET).status == 503
    here.plane.backends.orphaned()
    assert here.answered(GET).status == 200


def test_without_a_supervisor_requests_still_fail_over_to_what_is_ready(world):
    here = world({"blue": 50, "green": 50})
    here.states(green="ejected")
    here.plane.backends.orphaned()
    assert ready(here) == {"blue": 1, "green": 0}


def test_without_a_supervisor_a_version_that_nobody_fails_over_to_helps_nobody(world):
    here = world(ALL)
    here.states(blue="ejected")
    assert here.refused(GET).status == 503
    here.plane.backends.orphaned()
    assert ready(here) == {"blue": 1, "green": 1}
    assert here.answered(GET).status == 200


def test_without_a_supervisor_a_version_that_does_not_fail_over_is_tried(world):
    here = world({"blue": 50, "green": 50}, on_unavailable=OnUnavailable.FAIL)
    here.states(green="ejected")
    here.plane.backends.orphaned()
    assert ready(here) == {"blue": 1, "green": 1}


@pytest.mark.parametrize("otherwise", list(OnUnavailable))
def test_without_a_supervisor_the_ejected_stay_out_where_others_of_the_version_are_ready(world, otherwise):
    here = world(backends=2, on_unavailable=otherwise)
    show(here, blue={"http://blue-1:80": "ejected"})
    here.plane.backends.orphaned()
    assert ready(here)["blue"] == 1


def test_without_a_supervisor_what_drains_goes_on_to_drain(world):
    here = world()
    here.states(blue="draining", green="draining")
    here.plane.backends.orphaned()
    forced = request("GET", "X-Gatekeeper-Version: blue")
    assert here.refused(forced, TESTER).status == 503
