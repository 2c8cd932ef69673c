"""Second tries: when one is made, where, how often, and who is blamed for the first."""

import pytest

from gatekeeper.core.model import OnUnavailable, Retries, Timeouts
from tests.dataplane.world import CANDIDATE, GET, OK, TESTER, Message, post, request

TIMES = Timeouts(connect=5, response=20)
ON_STABLE = Retries(attempts=0, on_stable=True)
WRONG = b"HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\noh!"
IDS = ("x-request-id", "traceparent", "x-gatekeeper-version")


def pooled(here, raw, **options):
    """A request on a connection that has served one before."""
    assert here.answered(GET).status == 200
    client, backend = here.asked(raw, **options)
    assert backend is here.backend(0)
    return client, backend


# Nothing was sent


@pytest.mark.parametrize("raw", [GET, post(b"payload"), request("PATCH", "Content-Length: 1") + b"x"])
def test_a_refused_connection_is_tried_on_another_backend_whatever_the_method(world, raw):
    here = world(backends=2)
    here.unreachable.add("http://blue-1:80")
    for _ in range(2):
        assert here.answered(raw).status == 200
    assert Message.read(here.backend().take()).body == Message.read(raw).body * 1
    counts = here.counts("blue")
    refused = [attempt.url for attempt in here.attempts].count("http://blue-1:80")
    assert refused > 0
    assert (counts.codes, counts.errors, counts.retries) == ({200: 2}, {"upstream_connect": refused}, refused)
    assert {wire.protocol.backend.url for wire in here.wires} == {"http://blue-2:80"}


def test_a_version_of_one_backend_is_tried_again_there(world):
    here = world()
    here.silent.add("http://blue-1:80")
    client = here.client()
    client.send(GET)
    here.attempts[0].refuse()
    here.loop.run()
    here.wires.append(here.attempts[1].accept())
    here.loop.run()
    here.backend().send(OK)
    assert client.take() == OK
    assert here.counts("blue").retries == 1


def test_a_connect_timeout_is_tried_again_and_the_late_connection_is_nobodys(world):
    here = world(backends=2, timeouts=TIMES)
    here.silent.add("http://blue-1:80")
    clients = [here.client(), here.client()]
    for client in clients:
        client.send(GET)
    here.pass_time(6)
    for wire in list(here.wires):
        wire.send(OK)
    assert [Message.read(client.take()).status for client in clients] == [200, 200]
    assert here.counts("blue").errors == {"upstream_connect": 1}


@pytest.mark.parametrize(("attempts", "tries"), [(0, 1), (1, 2), (3, 4)])
def test_attempts_are_the_tries_after_the_first(world, attempts, tries):
    here = world(backends=2, retries=Retries(attempts=attempts))
    here.unreachable |= {"http://blue-1:80", "http://blue-2:80"}
    client = here.client()
    client.send(GET)
    assert Message.read(client.take()).status == 502
    assert len(here.attempts) == tries
    counts = here.counts("blue")
    assert (counts.codes, counts.errors, counts.retries) == ({502: 1}, {"upstream_connect": tries}, tries - 1)


def test_without_a_budget_nothing_is_tried_again(world):
    here = world(retries=Retries(attempts=5, budget=0.0))
    here.unreachable.add("http://blue-1:80")
    client = here.client()
    client.send(GET)
    assert len(here.attempts) == 1


def test_the_budget_ends_and_is_filled_by_requests(world):
    here = world(retries=Retries(attempts=1, budget=0.1))
    here.unreachable.add("http://blue-1:80")
    client = here.client()
    for _ in range(40):
        client.send(GET)
    # ten in reserve, and a tenth of each request
    assert 10 <= here.counts("blue").retries <= 14
    assert len(here.attempts) == 40 + here.counts("blue").retries


def test_the_body_held_while_connecting_goes_out_whole_on_the_second_try(world):
    here = world(backends=2)
    here.silent |= {"http://blue-1:80", "http://blue-2:80"}
    client = here.client()
    client.send(request("POST", "Content-Length: 6") + b"ab")
    client.send(b"cd")
    here.attempts[0].refuse()
    here.loop.run()
    client.send(b"ef")
    here.wires.append(here.attempts[1].accept())
    here.loop.run()
    assert Message.read(here.backend().out).body == b"abcdef"
    here.backend().send(OK)
    assert client.take() == OK


@pytest.mark.parametrize("early", [b"", b"220 mail.test ESMTP\r\n", OK])
def test_a_connection_that_is_gone_before_anything_was_sent_is_no_try_wasted(world, early):
    """It closes, or talks, in the moment it is made: any method may go elsewhere."""
    here = world(backends=2)
    here.silent |= {"http://blue-1:80", "http://blue-2:80"}
    client = here.client()
    client.send(post(b"x"))
    wire = here.attempts[0].accept()
    here.wires.append(wire)
    if early:
        wire.send(early, run=False)
    else:
        wire.end(run=False)
    here.loop.run()
    here.wires.append(here.attempts[1].accept())
    here.loop.run()
    assert wire.out == b""
    here.backend().send(OK)
    assert client.take() == OK
    assert here.counts("blue").errors == {"upstream_reset": 1}


# The pooled connection died


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_an_idempotent_request_on_a_dead_pooled_connection_is_repeated_unseen(world, method):
    here = world(retries=Retries(attempts=0, budget=0.0))
    client, backend = pooled(here, request(method))
    backend.reset()
    assert here.backend() is not backend
    here.backend().send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert Message.read(client.take()).status == 200
    counts = here.counts("blue")
    assert (counts.codes, counts.errors, counts.retries) == ({200: 2}, {}, 1)


def test_it_is_repeated_once_not_for_ever(world):
    here = world()
    client, backend = pooled(here, GET)
    backend.reset()
    here.backend().reset()
    assert Message.read(client.take()).status == 502
    assert len(here.attempts) == 2
    assert here.counts("blue").errors == {"upstream_reset": 1}


@pytest.mark.parametrize(
    "raw", [request("POST"), request("PATCH"), post(b"x"), request("PUT", "Content-Length: 1") + b"x"]
)
def test_a_post_and_whatever_has_a_body_is_never_sent_twice(world, raw):
    here = world(backends=1, retries=Retries(attempts=3))
    client, backend = pooled(here, raw)
    backend.reset()
    assert Message.read(client.take()).status == 502
    assert len(here.attempts) == 1


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_what_has_been_answered_in_part_is_not_repeated(world, begun):
    here = world()
    client, backend = pooled(here, GET)
    backend.send(begun)
    backend.reset()
    assert b"502 Bad Gateway" in client.take()
    assert len(here.attempts) == 1


def test_a_get_on_a_new_connection_is_not_repeated(world):
    here = world()
    client, backend = here.asked(GET)
    backend.reset()
    assert Message.read(client.take()).status == 502
    assert len(here.attempts) == 1


def test_every_try_tells_the_same_request_id_and_trace(world):
    here = world()
    client, backend = pooled(here, GET)
    first = Message.read(backend.take().rpartition(b"GET / HTTP/1.1")[2].join((b"GET / HTTP/1.1", b"")))
    backend.reset()
    second = Message.read(here.backend().take())
    assert second.get("x-request-id") == first.get("x-request-id") is not None
    assert second.get("traceparent").split("-")[1] == first.get("traceparent").split("-")[1]
    here.backend().send(OK)
    assert client.take() == OK


def test_a_second_try_tells_an_id_where_the_client_gave_a_trace(world):
    here = world()
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    client, backend = pooled(here, request("GET", f"traceparent: {trace}"))
    backend.reset()
    told = Message.read(here.backend().take())
    assert told.get("traceparent") == trace
    assert told.get("x-request-id")
    here.backend().send(OK)
    assert client.take() == OK


# Stable answers what the candidate could not


def failing(here, how, raw=GET):
    client, backend = here.asked(raw)
    if how == "wrong":
        backend.send(WRONG)
    elif how == "silent":
        here.pass_time(21)
    elif how == "garbage":
        backend.send(b"what?\r\n\r\n")
    elif how == "half":
        backend.send(b"HTTP/1.1 200 OK\r\nX-Half: 1")
        backend.reset()
    else:
        getattr(backend, how)()
    return client, backend


@pytest.mark.parametrize(
    ("how", "code", "source"),
    [("wrong", 500, None), ("silent", 504, "upstream_timeout"), ("garbage", 502, "upstream_protocol"),
     ("reset", 502, "upstream_reset"),
     ("end", 502, "upstream_reset")],
)  # fmt: skip
def test_users_see_stables_answer_and_the_failure_stays_the_candidates(world, how, code, source):
    here = world(CANDIDATE, retries=ON_STABLE, timeouts=TIMES)
    client, candidate = failing(here, how)
    assert candidate.lost
    told = Message.read(here.backend().take())
    assert told.get("x-gatekeeper-version") == "blue"
    assert told.get("x-request-id")
    here.backend().send(OK)
    assert client.take() == OK
    green, blue = here.counts("green"), here.counts("blue")
    assert (green.codes, green.errors, green.retries) == ({code: 1}, {source: 1} if source else {}, 0)
    assert (blue.codes, blue.errors, blue.retries) == ({200: 1}, {}, 1)
    assert here.log.entries[0][11] == "blue"


def test_half_a_head_of_the_candidates_is_no_part_of_stables(world):
    here = world(CANDIDATE, retries=ON_STABLE)
    client, _ = failing(here, "half")
    here.backend().send(OK)
    assert client.take() == OK
    assert here.counts("green").errors == {"upstream_protocol": 1}


def test_stable_gets_the_tries_that_a_request_has(world):
    here = world(CANDIDATE, retries=Retries(attempts=2, on_stable=True), backends=2)
    here.unreachable.add("http://blue-1:80")
    for _ in range(2):
        client, _ = failing(here, "wrong")
        here.backend().send(OK)
        assert client.take() == OK
    refused = [attempt.url for attempt in here.attempts].count("http://blue-1:80")
    assert here.counts("blue").errors == {"upstream_connect": refused}
    assert refused > 0


@pytest.mark.parametrize("raw", [GET, post(b"payload"), request("DELETE")])
def test_a_candidate_that_cannot_be_reached_is_answered_by_stable_whatever_the_method(world, raw):
    here = world(CANDIDATE, retries=ON_STABLE)
    here.unreachable.add("http://green-1:80")
    assert here.answered(raw).status == 200
    assert Message.read(here.backend().take()).body == Message.read(raw).body
    assert here.counts("green").codes == {502: 1}
    assert here.counts("green").errors == {"upstream_connect": 1}


@pytest.mark.parametrize(
    "raw", [post(b"x"), request("PUT"), request("DELETE"), request("GET", "Content-Length: 1") + b"x"]
)
def test_only_safe_requests_are_answered_by_stable(world, raw):
    here = world(CANDIDATE, retries=ON_STABLE)
    client, _ = failing(here, "wrong", raw)
    assert Message.read(client.take()).status == 500
    assert here.counts("blue").begun == 0


def test_stable_answers_only_when_told_to_and_only_for_others(world):
    for options in ({"retries": Retries(on_stable=False)}, {"split": {"blue": 100, "green": 0}, "retries": ON_STABLE}):
        here = world(**({"split": CANDIDATE} | options))
        client, _ = failing(here, "wrong")
        assert Message.read(client.take()).status == 500
        assert len(here.wires) == 1


def test_a_tester_sees_the_failure_of_the_version_asked_for(world):
    here = world(retries=ON_STABLE)
    client, candidate = here.asked(request("GET", "X-Gatekeeper-Version: green"), TESTER)
    candidate.send(WRONG)
    assert Message.read(client.take()).status == 500
    assert here.counts("green").forced == {500: 1}


def test_a_candidate_that_has_begun_to_answer_is_not_replaced(world):
    here = world(CANDIDATE, retries=ON_STABLE)
    client, candidate = here.asked(GET)
    candidate.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    candidate.reset()
    assert client.lost
    assert here.counts("blue").begun == 0


def test_stable_that_fails_too_is_what_the_client_sees(world):
    here = world(CANDIDATE, retries=ON_STABLE)
    client, _ = failing(here, "wrong")
    here.backend().reset()
    assert Message.read(client.take()).status == 502
    assert here.counts("blue").codes == {502: 1}
    assert here.counts("green").codes == {500: 1}


# No backend is ready


def test_without_a_ready_backend_the_request_fails_over_to_stable_counted_once(world):
    here = world(CANDIDATE)
    here.states(green="ejected")
    assert here.answered(GET).status == 200
    assert here.counts("green").failovers == 1
    assert here.counts("blue").codes == {200: 1}
    here.states(green="ready")
    client, backend = here.asked(GET)
    assert Message.read(backend.take()).get("x-gatekeeper-version") == "green"
    client.reset()


@pytest.mark.parametrize("state", ["pending", "ejected", "draining"])
def test_a_service_told_to_fail_answers_503(world, state):
    here = world(CANDIDATE, on_unavailable=OnUnavailable.FAIL)
    here.states(green=state)
    message = here.refused(GET)
    assert (message.status, message.get("proxy-status")) == (503, "gatekeeper; error=destination_unavailable")
    assert here.counts("green").codes == {503: 1}
    assert here.counts("green").errors == {"upstream_unavailable": 1}
    assert here.counts("blue").begun == 0


def test_nobody_is_ready(world):
    here = world()
    here.states(green="ejected", blue="ejected")
    assert here.refused(GET).status == 503


def test_a_tester_gets_a_503_that_says_so_and_never_another_version(world):
    here = world()
    here.states(green="ejected")
    message = here.refused(request("GET", "X-Gatekeeper-Version: green"), TESTER)
    assert message.status == 503
    assert b"forced version has no ready backend" in message.body
    assert message.get("x-gatekeeper-version") == "green"
    assert here.counts("green").forced == {503: 1}
    assert here.counts("green").failovers == 0
