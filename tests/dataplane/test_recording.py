"""What every end of a request comes to for the judge, byte for byte."""

import pytest

from gatekeeper.core.judge.latency import SLOWEST, bucket
from gatekeeper.core.model import (
    OnUnavailable,
    Retries,
    Rule,
    Sticky,
    StickyMode,
    Timeouts,
    UnitKind,
    UnitSource,
    When,
)
from gatekeeper.errors import Fault
from tests.dataplane.judged import Judged
from tests.dataplane.tunnels import ASK, GO
from tests.dataplane.world import GET, OK, TESTER, post, request

BY_ADDRESS = Sticky(by=(UnitSource(UnitKind.CLIENT_IP),))
NO_RETRY = Retries(attempts=0)
ON_STABLE = Retries(attempts=0, on_stable=True)
WRONG = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
GOOD, BAD, NOBODY = {"blue": (0, 0), "green": (1, 0)}, {"blue": (0, 0), "green": (1, 1)}, []


@pytest.fixture
def judged(world):
    """A judged world where all requests go to the candidate."""
    made = []

    def make(*args, **options):
        options.setdefault("retries", NO_RETRY)
        here = Judged(*args, **options)
        made.append(here.__enter__())
        here.to("green")
        return here

    yield make
    for here in made:
        here.__exit__(None)


def times(here, seconds=1.5):
    """Buckets of the candidate's draws."""
    (cell,) = here.part(seconds)["cells"]
    return cell[2][4]


# Answers


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OK, GOOD),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", GOOD),
        (WRONG, BAD),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", BAD),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, GOOD),
        (b"nonsense\r\n\r\n", BAD),
    ],
)
def test_a_5xx_and_an_invalid_answer_are_errors_and_a_4xx_is_none(judged, answer, expected):
    here = judged()
    _, backend = here.asked(GET)
    backend.send(answer)
    assert here.counted() == expected


def test_the_time_of_a_request_is_the_one_from_its_arrival_to_the_head_of_its_answer(judged):
    here = judged()
    here.silent.add("http://green-1:80")
    client = here.client()
    client.send(GET)
    here.clock.advance(0.1)  # connecting counts
    here.wires.append(here.attempts[0].accept())
    here.loop.run()
    here.clock.advance(0.2)
    here.backend().send(BEGUN)
    here.clock.advance(0.4)  # the body does not
    here.backend().send(b"-done")
    assert times(here) == [[bucket(0.3), 1]]


def test_a_truncated_body_is_an_error_before_the_seal(judged):
    here = judged()
    _, backend = here.asked(GET)
    backend.send(BEGUN)
    here.clock.advance(5)
    backend.end()
    assert here.counted() == BAD
    assert here.later(20) == NOBODY


def test_a_stream_that_is_open_at_the_seal_was_answered_and_what_comes_of_it_later_changes_nothing(judged):
    here = judged()
    _, backend = here.asked(GET)
    backend.send(BEGUN)
    assert here.later(10.9) == NOBODY
    assert here.counted(0.5) == GOOD
    backend.end()
    assert here.later(20) == NOBODY


def test_what_is_not_answered_at_the_seal_has_failed_as_the_slowest_whatever_it_comes_to(judged):
    here = judged()
    _, backend = here.asked(GET)
    assert here.later(10.9) == NOBODY
    part = here.part(0.5)
    assert part["cells"][0][2] == [1, 1, 1, 1, [[SLOWEST, 1]]]
    assert part["candidate"] == [1, 1, 1]
    backend.send(OK)
    assert here.later(20) == NOBODY


def test_a_client_that_has_not_sent_its_request_by_the_seal_makes_no_error(judged):
    here = judged(timeouts=Timeouts(idle=60, response=60))
    client, _ = here.asked(request("POST", "Content-Length: 9"))
    client.send(b"half")
    assert here.counted(11.5) == GOOD


def test_a_timeout_is_an_error(judged):
    here = judged(timeouts=Timeouts(response=3))
    here.asked(GET)
    here.pass_time(4)
    part = here.part(0)
    assert part["cells"][0][2] == [1, 1, 1, 1, [[SLOWEST, 1]]]


# The backend's end of the connection


def test_a_refused_connection_is_an_error(judged):
    here = judged()
    here.unreachable.add("http://green-1:80")
    here.client().send(GET)
    part = here.part()
    assert part["cells"][0][2][:2] == [1, 1]
    assert part["backends"] == {"http://green-1:80": [1, 1]}


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 O"])
def test_a_reset_before_or_in_the_head_is_an_error(judged, head):
    here = judged()
    _, backend = here.asked(GET)
    if head:
        backend.send(head)
    backend.reset()
    assert here.counted() == BAD


def test_a_connection_of_the_pool_that_died_unused_is_no_attempt(judged):
    here = judged()
    assert here.answered(GET).status == 200
    client, backend = here.asked(GET)
    assert backend is here.backend(0)
    backend.reset()
    here.backend(1).send(OK)
    assert client.take() == OK
    assert here.counted() == {"blue": (0, 0), "green": (2, 0)}


def test_a_version_whose_backends_can_take_no_more_has_failed(judged, monkeypatch):
    here = judged()
    monkeypatch.setattr("gatekeeper.dataplane.groups.MAX_CONNECTIONS", 0)
    client = here.client()
    client.send(GET)
    assert b" 503 " in client.take()
    part = here.part()
    assert part["cells"][0][2][:2] == [1, 1]
    assert part["backends"] == {}


# Further attempts


def test_a_retry_within_the_version_does_not_hide_the_first_attempt(judged):
    here = judged(backends=2, retries=Retries(attempts=1))
    here.unreachable.add("http://green-1:80")
    for _ in range(2):
        assert here.answered(GET).status == 200
    part = here.part()
    assert part["cells"][0][2][:2] == [2, 2]
    assert part["backends"] == {"http://green-1:80": [2, 2]}


@pytest.mark.parametrize("how", ["answer", "reset"])
def test_an_answer_by_stable_does_not_hide_the_candidates_failure(judged, how):
    here = judged(retries=ON_STABLE)
    client, backend = here.asked(GET)
    if how == "answer":
        backend.send(WRONG)
    else:
        backend.reset()
    here.backend(1).send(OK)
    assert client.take() == OK
    part = here.part()
    assert (part["stable"], part["candidate"]) == ([0, 0, 0], [1, 1, 0])
    assert part["cells"][0][2][:2] == [1, 1]


# The client, and we ourselves


def test_a_client_that_hangs_up_makes_no_error_and_its_time_counts_as_far_as_it_waited(judged):
    here = judged()
    client, _ = here.asked(GET)
    here.clock.advance(0.7)
    client.reset()
    assert times(here) == [[bucket(0.7), 1]]


def test_a_client_that_hangs_up_in_the_middle_of_an_answer_was_answered(judged):
    here = judged()
    client, backend = here.asked(GET)
    backend.send(BEGUN)
    client.reset()
    assert here.counted() == GOOD


def test_a_request_whose_body_is_nonsense_makes_no_error(judged):
    here = judged()
    client, _ = here.asked(request("POST", "Transfer-Encoding: chunked"))
    client.send(b"nonsense\r\n")
    assert here.counted() == GOOD


def test_a_body_that_is_announced_too_large_is_nobodys(judged):
    from gatekeeper.core.model import Limits

    here = judged(limits=Limits(body=3))
    here.client().send(post(b"much"))
    assert here.later() == NOBODY


def test_a_fault_of_ours_says_nothing_of_the_version(judged):
    here = judged()
    client, _ = here.asked(GET)
    client.protocol.exchange.fail(Fault.WITHDRAWN)
    part = here.part()
    assert part["cells"] == []
    assert (part["excluded"], part["candidate"]) == (1, [1, 0, 0])


def test_the_handshake_of_a_tunnel_is_what_counts_of_it(judged):
    here = judged()
    client, backend = here.asked(ASK)
    here.clock.advance(0.2)
    backend.send(GO)
    assert times(here, 1.3) == [[bucket(0.2), 1]]
    backend.reset()
    client.reset()
    assert here.later(20) == NOBODY


# Whose decision it was


def test_one_side_without_a_ready_backend_excludes_both_whatever_the_label(judged):
    here = judged()
    here.states(blue="ejected")
    here.answered(GET)
    here.to("blue")
    here.answered(GET)  # fails over to green
    part = here.part()
    assert part["cells"] == []
    assert (part["excluded"], part["stable"], part["candidate"]) == (2, [0, 0, 0], [2, 0, 0])


def test_readiness_is_that_of_the_moment_of_the_decision(judged):
    here = judged()
    _, backend = here.asked(GET)
    here.states(blue="ejected")
    _, later = here.asked(GET)
    here.states()
    backend.send(OK)
    later.send(OK)
    part = here.part()
    assert part["cells"][0][2][:2] == [1, 0]
    assert part["excluded"] == 1


def test_nobody_ready_is_excluded_and_an_error_of_the_version_that_was_wanted(judged):
    here = judged(on_unavailable=OnUnavailable.FAIL)
    here.states(green="ejected")
    here.client().send(GET)
    part = here.part()
    assert (part["cells"], part["excluded"], part["candidate"]) == ([], 1, [1, 1, 0])


def test_what_a_tester_forces_is_nowhere(judged):
    here = judged()
    assert here.answered(request("GET", "X-Gatekeeper-Version: green"), address=TESTER).status == 200
    assert here.later() == NOBODY


def test_what_a_rule_decides_is_excluded_and_in_the_totals(judged):
    here = judged(rules=(Rule("beta", When(methods=("GET",)), to="green"),))
    here.answered(GET, WRONG)
    part = here.part()
    assert (part["cells"], part["excluded"], part["candidate"]) == ([], 1, [1, 1, 0])


def test_what_is_slow_counts_for_the_guard(judged):
    here = judged()
    _, backend = here.asked(GET)
    here.clock.advance(1.2)
    backend.send(OK)
    assert here.part()["candidate"] == [1, 0, 1]


# Units


def test_a_new_unit_is_told_with_its_point_and_the_time_of_its_first_request(judged):
    here = judged(sticky=BY_ADDRESS)
    address = here.address("green")
    _, first = here.asked(GET, address)
    here.clock.advance(0.05)
    _, second = here.asked(GET, address)
    here.clock.advance(0.05)
    second.send(WRONG)
    here.clock.advance(0.1)
    first.send(OK)
    part = here.part(1.3)
    assert part["units"] == [[here.unit(address), 1, 0.5, bucket(0.2), 0, 1, []]]
    assert part["cells"][0][2] == [2, 0, 0, 0, []]


def test_a_unit_whose_first_request_failed_is_in_the_slowest_bucket(judged):
    here = judged(sticky=BY_ADDRESS)
    address = here.address("blue")
    here.answered(GET, WRONG, address)
    assert here.part()["units"] == [[here.unit(address), 0, 0.5, SLOWEST, 1, 1, []]]


def test_a_unit_that_was_seen_before_is_told_only_if_it_failed(judged, tmp_path):
    from gatekeeper.core.judge.units import SIZE, Units

    memory = bytearray(SIZE)
    units = Units.begin(memory)
    path = tmp_path / "units"
    here = judged(sticky=BY_ADDRESS)
    good, bad = here.address("green", 0), here.address("green", 1)
    assert units.is_new(here.unit(good))
    assert units.is_new(here.unit(bad))
    path.write_bytes(memory)
    here.plane.judge([here.case | {"seen": str(path)}])
    here.answered(GET, OK, good)
    here.answered(GET, WRONG, bad)
    part = here.part()
    assert part["units"] == [[here.unit(bad), 1, 0.5, -1, 0, 1, []]]
    assert part["cells"][0][2][0] == 2


def test_an_id_that_is_minted_is_a_unit(judged):
    here = judged(sticky=Sticky())
    here.answered(GET)
    part = here.part()
    assert [unit[1:3] for unit in part["units"]] == [[unit[1], 0.5] for unit in part["units"]]
    assert len(part["units"]) == 1
    assert part["unkeyed"] == 0


def test_a_request_without_a_unit_is_unkeyed_and_excluded(judged):
    here = judged(sticky=Sticky(by=(UnitSource(UnitKind.HEADER, "X-User"),)))
    here.answered(GET, WRONG)
    part = here.part()
    assert (part["cells"], part["unkeyed"], part["excluded"], part["candidate"]) == ([], 1, 1, [1, 1, 0])


def test_a_head_that_repeats_keeps_its_unit(judged):
    here = judged(sticky=Sticky(by=(UnitSource(UnitKind.HEADER, "X-User"),)))
    raw = request("GET", "X-User: ann")
    for _ in range(3):
        here.answered(raw)
    part = here.part()
    assert len(part["units"]) == 1
    assert sum(arm[0] for arm in part["cells"][0][1:3]) == 3


def test_in_mode_pin_only_the_first_draw_counts(judged):
    here = judged(sticky=Sticky(mode=StickyMode.PIN))
    first = here.answered(GET)
    cookie = first.get("set-cookie").partition(";")[0]
    here.answered(request("GET", f"Cookie: {cookie}"))
    here.answered(request("GET", f"Cookie: {cookie.partition('.')[0]}"))  # an id without a pin is drawn by the id
    part = here.part()
    assert part["cells"][0][2][0] == 1
    assert (part["excluded"], part["units"]) == (2, [])
