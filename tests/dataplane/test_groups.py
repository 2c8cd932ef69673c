"""Choosing a backend within a version: the least busy, in turns, and new ones a little at a time."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.dataplane import groups
from gatekeeper.dataplane.backends import Backend
from gatekeeper.dataplane.groups import Group


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
    monkeypatch.setattr(groups, "MAX_CONNECTIONS", 1)
    one, members = group(1, 1)
    members[0].connections = 1
    assert {one.claim() for _ in range(3)} == {members[1]}
    members[1].connections = 1
    assert one.claim() is None
    single, (backend,) = group(1)
    backend.connections = 1
    assert single.claim() is None
    assert backend.in_flight == 0


# Turns


def answered(one, times):
    """Who gets requests of which each is answered before the next."""
    chosen = Counter()
    for _ in range(times):
        backend = one.claim()
        chosen[backend] += 1
        backend.in_flight -= 1
    return chosen


@pytest.mark.parametrize("weights", [(1, 3), (2, 1, 1), (1, 1, 1, 1), (1, 9)])
def test_requests_one_after_the_other_follow_the_weights(weights):
    one, members = group(*weights)
    total = 20 * sum(weights)
    chosen = answered(one, total)
    for backend, weight in zip(members, weights, strict=True):
        assert abs(chosen[backend] - 20 * weight) <= 1


def test_who_has_nothing_to_do_comes_before_who_has_whatever_the_weights():
    one, members = group(1, 1000)
    members[1].in_flight = 1
    assert one.claim() is members[0]


def test_who_was_away_does_not_make_up_for_it():
    one, members = group(1, 1)
    members[1].state = "ejected"
    one.refresh()
    third = Backend(("shop", "blue", "http://b3:80"))
    one.members.append((third, 1))
    one.refresh()
    answered(one, 1000)
    members[1].state = "ready"
    one.refresh()
    chosen = answered(one, 30)
    assert all(abs(chosen[each] - 10) <= 1 for each in (*members, third))


# Slow start


def slowly(*factors, weights=None):
    one, members = group(*(weights or [1] * len(factors)))
    for backend, factor in zip(members, factors, strict=True):
        backend.factor = factor
    one.refresh()
    return one, members


@pytest.mark.parametrize(
    ("factors", "weights", "parts"),
    [((1, 0.1), (1, 1), (10, 1)), ((1, 0.5, 1), (1, 1, 2), (2, 1, 4)), ((0.2, 0.1), (1, 1), (2, 1)),
     ((0.3, 0.3), (1, 1), (1, 1)), ((1, 0.1, 0.1), (1, 1, 1), (10, 1, 1))],
)  # fmt: skip
@pytest.mark.parametrize("at_once", [1, 2, 7, 40])
def test_a_new_one_gets_its_part_of_the_requests_however_many_there_are_at_once(factors, weights, parts, at_once):
    """That it is the least busy all the time gives it no more."""
    one, members = slowly(*factors, weights=weights)
    chosen, under_way = Counter(), []
    total = 100 * sum(parts)
    for _ in range(total):
        backend = one.claim()
        chosen[backend] += 1
        under_way.append(backend)
        if len(under_way) >= at_once:
            under_way.pop(0).in_flight -= 1
    new = [
        (backend, part) for backend, part, factor in zip(members, parts, factors, strict=True) if factor < max(factors)
    ]
    for backend, part in new:
        assert abs(chosen[backend] - 100 * part) <= 2
    if not new:
        assert abs(chosen[members[0]] - 100 * parts[0]) <= 1


def test_a_new_one_that_is_slow_gets_less_than_its_part():
    one, members = slowly(1, 0.5)
    members[1].in_flight = 1000
    assert {one.claim() for _ in range(100)} == {members[0]}


def test_what_a_new_one_was_not_given_does_not_come_as_a_burst():
    one, members = slowly(1, 0.5)
    members[1].in_flight = 1000
    for _ in range(100):
        one.claim()
    members[1].in_flight = 0
    assert [one.claim() for _ in range(4)].count(members[1]) <= 2


def test_a_new_one_alone_gets_everything():
    one, members = slowly(1, 0.1)
    members[0].state = "ejected"
    one.refresh()
    assert {one.claim() for _ in range(10)} == {members[1]}


@pytest.mark.parametrize("how", ["full", "tried"])
def test_a_new_one_is_better_than_nobody(monkeypatch, how):
    monkeypatch.setattr(groups, "MAX_CONNECTIONS", 1)
    one, members = slowly(1, 0.1)
    tried = ()
    if how == "full":
        members[0].connections = 1
    else:
        tried = (members[0],)
    assert {one.claim(tried) for _ in range(10)} == {members[1]}


def test_where_nobody_is_new_nobody_is_rationed(monkeypatch):
    one, members = slowly(1, 0.1)
    monkeypatch.setattr(Group, "_offered", lambda *_: pytest.fail("costs time at every request"))
    members[1].factor = 1.0
    one.refresh()
    assert answered(one, 100)[members[1]] == 50


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.floats(0.1, 1.0)), min_size=1, max_size=6),
    st.lists(st.integers(0, 9), max_size=60),
)
def test_a_claim_is_given_to_somebody_ready_and_counted_once(members, ends):
    one, known = slowly(*(factor for _, factor in members), weights=[weight for weight, _ in members])
    under_way = []
    for end in ends:
        backend = one.claim(tuple(under_way[:2]))
        assert backend in known
        under_way.append(backend)
        if end < len(under_way):
            under_way.pop(end).in_flight -= 1
        assert Counter(under_way) == Counter({each: each.in_flight for each in known if each.in_flight})
