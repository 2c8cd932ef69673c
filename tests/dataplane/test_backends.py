"""Choosing a backend, and what is known of each."""

from collections import Counter

import pytest

from gatekeeper.dataplane import backends
from gatekeeper.dataplane.backends import Backend, Group


def group(*weights):
    members = [(Backend(("shop", "blue", f"http://b{number}:80")), weight) for number, weight in enumerate(weights)]
    return Group(members), [backend for backend, _ in members]


def test_a_claim_counts_in_the_same_step():
    one, (backend,) = group(1)
    assert one.claim() is backend
    assert backend.in_flight == 1


def test_ties_go_round():
    one, members = group(1, 1, 1)
    for _ in range(2):
        assert {one.claim() for _ in range(3)} == set(members)


def test_idle_backends_take_turns_when_each_answers_before_the_next():
    one, members = group(1, 1)
    chosen = Counter()
    for _ in range(100):
        backend = one.claim()
        chosen[backend] += 1
        backend.in_flight -= 1
    assert [chosen[each] for each in members] == [50, 50]


@pytest.mark.parametrize("weights", [(1, 2), (3, 1, 1), (1, 1000)])
def test_requests_in_flight_follow_the_weights(weights):
    one, members = group(*weights)
    total = sum(weights) * 10
    for _ in range(total):
        one.claim()
    for backend, weight in zip(members, weights, strict=True):
        assert abs(backend.in_flight - 10 * weight) <= 1


def test_the_least_busy_is_chosen():
    one, members = group(1, 1, 1)
    for backend, busy in zip(members, (5, 3, 4), strict=True):
        backend.in_flight = busy
    assert one.claim() is members[1]


def test_who_was_tried_is_avoided_while_there_is_a_choice():
    one, members = group(1, 1)
    for _ in range(5):
        assert one.claim((members[0],)) is members[1]
    assert one.claim(tuple(members)) is not None, "better than nothing"


@pytest.mark.parametrize("state", ["pending", "ejected", "draining"])
def test_only_ready_ones_get_requests(state):
    one, members = group(1, 1)
    members[0].state = state
    assert one.refresh() == 1
    assert {one.claim() for _ in range(4)} == {members[1]}
    members[1].state = state
    assert one.refresh() == 0
    assert one.claim() is None


def test_a_full_backend_is_passed_over(monkeypatch):
    monkeypatch.setattr(backends, "MAX_CONNECTIONS", 1)
    one, members = group(1, 1)
    members[0].connections = 1
    assert {one.claim() for _ in range(3)} == {members[1]}
    members[1].connections = 1
    assert one.claim() is None
    single, (backend,) = group(1)
    backend.connections = 1
    assert single.claim() is None
    assert backend.in_flight == 0


@pytest.mark.parametrize(
    ("url", "authority"),
    [("http://a.test:80", b"a.test:80"), ("http://[::1]:9", b"[::1]:9"), ("unix:/run/x.sock", b"localhost")],
)
def test_a_backend_has_a_name_for_requests_without_one(url, authority):
    assert Backend(("shop", "blue", url)).authority == authority


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
