"""Which requests are mirrored, which are not, and what is given up first when there is much to do."""

from dataclasses import replace

import pytest

from gatekeeper.core.codec import dump
from gatekeeper.core.model import Rule, When
from gatekeeper.core.shadow.model import Compare
from gatekeeper.core.shadow.tally import Outcome
from gatekeeper.dataplane.shadow import lines, shadows
from tests.dataplane.shadow.mirrored import MIRROR, ONCE
from tests.dataplane.tunnels import ASK
from tests.dataplane.world import GET, OK, TESTER, Message, post, request


def mirrored_to(here, raw=GET, **options) -> str | None:
    """The version that a copy of a request goes to."""
    for wire in here.lines:
        wire.take()
    _, backend = here.asked(raw, **options)
    sent = [Message.read(wire.take()).get("x-gatekeeper-version") for wire in here.lines if wire.out]
    backend.send(OK)
    return sent[0] if sent else None


@pytest.mark.parametrize("mirror", [None, replace(MIRROR, percent=0.0), replace(MIRROR, to="gone")])
def test_where_nothing_is_mirrored_no_request_is_looked_at(mirrored, mirror):
    here = mirrored(mirror)
    assert here.plane.shadows is None
    assert mirrored_to(here) is None


@pytest.mark.parametrize(("chance", "expected"), [(0.0499, "green"), (0.05, None), (0.9, None)])
def test_so_many_percent_are_drawn(mirrored, chance, expected):
    here = mirrored(replace(ONCE, percent=5.0))
    here.shadows.chance = lambda: chance
    assert mirrored_to(here) == expected


def test_what_the_version_serves_itself_is_not_copied_to_it(mirrored):
    here = mirrored(ONCE, split={"blue": 0, "green": 100})
    assert mirrored_to(here) is None
    assert here.nothing()


@pytest.mark.parametrize("raw", [post(b"x"), request("DELETE"), request("OPTIONS"), ASK])
def test_other_methods_and_upgrades_are_not_copied(mirrored, raw):
    here = mirrored(ONCE)
    assert mirrored_to(here, raw) is None
    assert here.nothing()


def test_what_a_tester_forces_is_not_copied(mirrored):
    here = mirrored(ONCE)
    assert mirrored_to(here, request("GET", "X-Gatekeeper-Version: blue"), address=TESTER) is None


def test_a_request_without_a_host_is_not_copied(mirrored):
    """The name it goes out with is that of one backend."""
    here = mirrored(ONCE)
    assert mirrored_to(here, b"GET / HTTP/1.0\r\n\r\n") is None


def test_a_rules_mirror_replaces_the_services(mirrored):
    rules = (
        Rule("posts", When(methods=("POST",)), to="blue", mirror=replace(ONCE, methods=("POST",))),
        Rule("puts", When(methods=("PUT",)), to="blue"),
    )
    here = mirrored(replace(ONCE, methods=("GET", "PUT")), rules=rules)
    assert [mirrored_to(here, raw) for raw in (GET, post(b"x"), request("PUT"))] == ["green"] * 3


def test_a_check_mirrors_for_itself_and_instead_of_the_service(mirrored):
    here = mirrored(None)
    here.plane.mirror([["shop", "check-1", dump(replace(ONCE, timeout=1.0))]])
    assert mirrored_to(here) == "green"
    here.clock.advance(1)
    (message,) = here.shadows.look(here.clock.monotonic())
    assert [run[:3] for run in message["runs"]] == [["shop", "green", "check-1"]]
    here.plane.mirror([])
    assert here.plane.shadows is None
    assert mirrored_to(here) is None


def test_a_check_of_another_service_leaves_this_ones_mirror(mirrored):
    here = mirrored(ONCE)
    here.plane.mirror([["blog", "check-1", dump(ONCE)]])
    assert mirrored_to(here) == "green"
    assert here.shadows._accounts.keys() != {("shop", "green", "check-1")}


def test_a_check_of_a_version_that_is_gone_copies_nothing(mirrored):
    here = mirrored(None)
    here.plane.mirror([["shop", "check-1", dump(replace(ONCE, to="gone"))]])
    assert mirrored_to(here) is None


def test_a_new_table_counts_from_the_next_request_on_and_keeps_what_was_counted(mirrored):
    here = mirrored(ONCE)
    mirrored_to(here)
    here.use(here.service, revision=8)
    mirrored_to(here)
    here.use(replace(here.service, mirror=replace(ONCE, timeout=1.0)), revision=9)
    mirrored_to(here)
    here.clock.advance(1)
    (message,) = here.shadows.look(here.clock.monotonic())
    sent = [run[3]["outcomes"]["sent"] for run in message["runs"]]
    assert sorted(sent) == [1, 2]
    assert len({run[2] for run in message["runs"]}) == 2


def test_copies_tell_the_present_revision(mirrored):
    here = mirrored(ONCE)
    for revision in ("7", "8"):
        here.use(here.service, revision=int(revision))
        here.asked(GET)
        assert Message.read(here.lines[-1].take()).get("x-gatekeeper-revision") == revision


def test_what_comes_of_a_run_that_is_over_is_told_and_then_forgotten(mirrored):
    here = mirrored(ONCE)
    _, backend = here.asked(GET)
    here.use(replace(here.service, mirror=None), revision=8)
    assert here.tally().outcomes == {Outcome.SENT: 1}
    backend.send(OK)
    here.lines[0].send(OK)
    assert here.tally().outcomes[Outcome.COMPARED] == 1
    assert here.shadows._accounts == {}


# Giving up


def test_more_copies_at_a_time_than_allowed_are_shed_and_counted(mirrored):
    here = mirrored(replace(ONCE, in_flight=2))
    for _ in range(5):
        here.asked(GET)
    assert len(here.lines) == 2
    assert here.tally().outcomes == {Outcome.SENT: 2, Outcome.SHED: 3}
    for wire in here.lines:
        wire.send(OK)
    here.pass_time(6)
    here.tally()
    assert mirrored_to(here) == "green"


def test_what_would_hold_too_much_memory_is_shed(mirrored):
    compare = Compare(bytes=shadows.MOST_HELD // 5)
    here = mirrored(replace(MIRROR, compare=compare))
    here.asked(GET)
    here.asked(GET)
    assert here.tally().outcomes == {Outcome.SENT: 1, Outcome.AGAIN: 1, Outcome.SHED: 1}


def test_bodies_count_for_it(mirrored):
    here = mirrored(replace(ONCE, methods=("POST",), body=shadows.MOST_HELD // 2, compare=Compare(bytes=1)))
    here.asked(post(b"one"))
    here.asked(post(b"two"))
    assert here.tally().outcomes == {Outcome.SENT: 1, Outcome.SHED: 1}


def test_a_request_that_is_too_large_for_the_bound_is_mirrored_where_it_is_alone(mirrored):
    here = mirrored(replace(MIRROR, compare=Compare(bytes=shadows.MOST_HELD)))
    assert here.compared().outcomes[Outcome.COMPARED] == 1


@pytest.mark.parametrize(("lag", "used", "sheds"), [(0.03, 0.0, True), (0.0, 0.08, True), (0.01, 0.06, False)])
def test_a_busy_worker_mirrors_nothing(mirrored, monkeypatch, lag, used, sheds):
    here = mirrored(ONCE)
    here.pass_time(0.1)
    monkeypatch.setattr(shadows, "occupied_seconds", lambda: used)
    here.plane.lag = lag
    here.pass_time(0.1)
    assert (mirrored_to(here) is None) is sheds
    if sheds:
        assert here.tally().outcomes == {Outcome.SHED: 1}
    here.plane.lag = 0.0
    here.pass_time(0.1)
    assert mirrored_to(here) == "green"


def test_where_descriptors_are_scarce_users_have_them(mirrored):
    here = mirrored(ONCE)
    here.plane.most_clients = 1
    assert mirrored_to(here) is None
    assert here.tally().outcomes == {Outcome.SHED: 1}
    here.plane.most_clients = 4
    assert mirrored_to(here) == "green"


def test_a_worker_that_drains_mirrors_nothing_more_and_tells_the_rest(mirrored):
    here = mirrored(ONCE)
    here.asked(GET)
    here.plane.draining = True
    here.asked(GET)
    (message,) = here.shadows.close()
    assert message["runs"][0][3]["outcomes"] == {"sent": 1, "shed": 1, "not_compared": 1}
    assert here.shadows._held == 0


def test_what_waits_to_be_compared_when_the_worker_ends_is_told_as_not_compared(mirrored, monkeypatch):
    here = mirrored(ONCE)
    monkeypatch.setattr(here.shadows.comparing, "_call_soon", lambda _: None)
    _, backend = here.asked(GET)
    backend.send(OK)
    here.lines[0].send(OK)
    (message,) = here.shadows.close()
    assert message["runs"][0][3]["outcomes"] == {"sent": 1, "answered": 1, "not_compared": 1}


def test_a_second_copy_for_which_there_is_no_connection_left_is_shed(mirrored, monkeypatch):
    monkeypatch.setattr(lines, "MOST_LINES", 1)
    here = mirrored(MIRROR)
    _, backend = here.asked(GET)
    assert len(here.lines) == 1
    backend.send(OK)
    here.lines[0].send(OK)
    assert here.tally().outcomes[Outcome.NOT_COMPARED] == 1


@pytest.mark.parametrize(
    ("service", "version", "lost"), [("shop", "green", True), ("shop", "blue", True), ("blog", "green", False)]
)
def test_copies_to_a_version_that_leaves_are_given_up_and_blame_nobody(mirrored, service, version, lost):
    here = mirrored()
    client, backend = here.asked(GET)
    here.plane.leave(service, version, 10.0, lambda *_: None)
    here.loop.run()
    assert [wire.lost for wire in here.lines] == [lost] * 2
    backend.send(OK)
    assert client.take() == OK
    if lost:
        assert here.tally().outcomes == {Outcome.SENT: 1, Outcome.AGAIN: 1, Outcome.NOT_COMPARED: 1}


def test_a_worker_without_a_supervisor_mirrors_nothing_whatever_it_is_told(mirrored):
    here = mirrored(ONCE)
    here.plane.orphaned()
    assert mirrored_to(here) is None
    here.use(here.service, revision=8)
    assert mirrored_to(here) is None


def test_users_and_their_backends_counts_see_nothing_of_copies(mirrored):
    here = mirrored()
    here.asked(GET)
    green = next(each for each in here.known() if each.id == "http://green-1:80")
    assert (green.in_flight, green.requests, green.connections) == (0, 0, 0)
    here.lines[0].reset()
    assert (green.failures, here.counts("green").begun) == (0, 0)


# Telling


def test_it_is_told_once_a_second_and_only_where_something_happened(mirrored):
    here = mirrored(ONCE)
    assert here.nothing()
    mirrored_to(here)
    now = here.clock.monotonic()
    assert len(here.shadows.look(now + 1)) == 1
    mirrored_to(here)
    assert here.shadows.look(now + 1.5) == []
    assert len(here.shadows.look(now + 2)) == 1
    assert here.shadows.look(now + 3) == []


def test_a_supervisor_that_does_not_read_is_told_later(mirrored):
    here = mirrored(ONCE)
    mirrored_to(here)
    here.clock.advance(1)
    assert here.shadows.look(here.clock.monotonic(), behind=True) == []
    mirrored_to(here)
    assert here.tally().outcomes[Outcome.SENT] == 2


def test_backends_take_turns(mirrored):
    here = mirrored(ONCE, backends=2)
    for _ in range(4):
        here.asked(GET)
    used = [wire.protocol.backend.id for wire in here.lines]
    assert (used[0], used[1]) == (used[2], used[3])
    assert used[0] != used[1]
