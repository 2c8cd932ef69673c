"""One mirrored request: what is sent, what is noted of the user's answer, and what comes of every end."""

from dataclasses import replace

import pytest

from gatekeeper.core.model import Limits, Retries, Timeouts
from gatekeeper.core.shadow.compare import Kind, Place
from gatekeeper.core.shadow.model import BodyComparison, Compare
from gatekeeper.core.shadow.tally import Outcome
from gatekeeper.dataplane.shadow.lines import Line
from gatekeeper.dataplane.upstream import Upstream
from tests.dataplane.shadow.mirrored import MIRROR, ONCE
from tests.dataplane.wires import Wire
from tests.dataplane.world import GET, OK, Message, post, request

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
OF_ALL = {Outcome.SENT: 1, Outcome.AGAIN: 1, Outcome.ANSWERED: 1, Outcome.COMPARED: 1}
LOST = {Outcome.SENT: 1, Outcome.AGAIN: 1, Outcome.ANSWERED: 1, Outcome.NOT_COMPARED: 1}
UNANSWERED = {Outcome.SENT: 1, Outcome.AGAIN: 1, Outcome.NOT_COMPARED: 1}
OOPS = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"


def json(text: str) -> bytes:
    return JSON % (len(text), text.encode())


# What is sent


def test_copies_go_to_the_candidate_and_once_more_to_the_version_that_serves_the_user(mirrored):
    here = mirrored()
    _, backend = here.asked(GET)
    original = Message.read(backend.take())
    candidate, again = (Message.read(wire.take()) for wire in here.copies())
    assert [copy.line for copy in (candidate, again)] == [original.line] * 2
    assert [copy.get("x-gatekeeper-version") for copy in (original, candidate, again)] == ["blue", "green", "blue"]
    assert [copy.get("x-gatekeeper-shadow") for copy in (original, candidate, again)] == [None, "1", "1"]
    assert len({copy.get("x-request-id") for copy in (original, candidate, again)}) == 1
    assert len({copy.get("traceparent") for copy in (original, candidate, again)}) == 1


def test_a_copy_is_sent_when_the_original_is_with_its_backend_and_not_before(mirrored):
    here = mirrored()
    here.silent.add("http://blue-1:80")
    client = here.client()
    client.send(GET)
    assert not here.lines
    attempt = here.attempts[0]
    here.wires.append(attempt.accept())
    here.loop.run()
    assert here.backend().out
    assert here.lines


def test_the_original_is_written_first(mirrored, monkeypatch):
    here = mirrored()
    here.compared()
    written = []
    write = Wire.write
    monkeypatch.setattr(Wire, "write", lambda wire, data: (written.append(type(wire.protocol)), write(wire, data)))
    here.asked(GET)
    assert written == [Upstream, Line, Line]


def test_without_noise_cancelling_there_is_one_copy(mirrored):
    here = mirrored(ONCE)
    assert here.compared().outcomes == {Outcome.SENT: 1, Outcome.ANSWERED: 1, Outcome.COMPARED: 1}
    assert len(here.lines) == 1


def test_a_method_that_is_not_safe_is_never_asked_again_of_the_users_version(mirrored):
    here = mirrored(replace(MIRROR, methods=("POST",)))
    here.asked(post(b"order"))
    (copy,) = here.lines
    told = Message.read(copy.take())
    assert (told.get("x-gatekeeper-version"), told.get("content-length"), told.body) == ("green", "5", b"order")
    assert told.get("x-gatekeeper-shadow") == "1"


def test_a_body_in_chunks_is_copied_whole_and_with_its_length(mirrored):
    here = mirrored(replace(ONCE, methods=("POST",)))
    client, _ = here.asked(request("POST", "Transfer-Encoding: chunked"))
    client.send(b"3\r\nfir\r\n")
    assert not here.lines, "the copy waits until the body is whole"
    client.send(b"2\r\nst\r\n0\r\n\r\n")
    told = Message.read(here.lines[0].take())
    assert (told.get("content-length"), told.get("transfer-encoding"), told.body) == ("5", None, b"first")


def test_a_body_that_was_whole_before_the_backend_was_connected_is_copied(mirrored):
    here = mirrored(replace(ONCE, methods=("POST",)))
    here.silent.add("http://blue-1:80")
    here.client().send(post(b"early"))
    assert not here.lines
    here.wires.append(here.attempts[0].accept())
    here.loop.run()
    assert Message.read(here.lines[0].take()).body == b"early"


def test_a_body_beyond_the_bound_is_not_mirrored_and_counted(mirrored):
    here = mirrored(replace(MIRROR, methods=("POST",), body=4))
    client, backend = here.asked(request("POST", "Content-Length: 5"))
    assert here.tally().outcomes == {Outcome.BODY_TOO_LARGE: 1}
    client.send(b"large")
    backend.send(OK)
    assert client.take() == OK
    client, _ = here.asked(request("POST", "Transfer-Encoding: chunked"))
    client.send(b"5\r\nlarge\r\n")
    assert here.tally().outcomes == {Outcome.BODY_TOO_LARGE: 1}
    client.send(b"4\r\nmore\r\n0\r\n\r\n")
    here.backend().send(OK)
    assert client.take() == OK
    assert not here.lines
    assert here.nothing()


def test_a_body_of_just_the_bound_is_mirrored(mirrored):
    here = mirrored(replace(ONCE, methods=("POST",), body=4))
    assert here.compared(raw=post(b"four")).outcomes[Outcome.COMPARED] == 1


def test_a_request_that_is_tried_again_is_copied_once(mirrored):
    here = mirrored(retries=Retries(attempts=0))
    here.answered(GET)
    client = here.client()
    client.send(GET)
    here.backend().reset()  # the kept connection died: asked again on a new one
    assert here.backend(1).out
    here.backend(1).send(OK)
    assert client.take() == OK
    sent = [Message.read(wire.take()) for wire in here.lines if wire.out]
    assert len({each.get("x-request-id") for each in sent}) == 2
    assert here.shadows._accounts[*next(iter(here.shadows._accounts))].tally.outcomes[Outcome.SENT] == 2


# What comes of it


def test_equal_answers_are_compared_and_do_not_differ(mirrored):
    tally = mirrored().compared()
    assert tally.outcomes == OF_ALL
    assert (tally.different, tally.asked, tally.twice) == (0, 1, 1)


def test_a_difference_is_told_with_the_request_it_showed_in_and_without_its_query(mirrored):
    tally = mirrored().compared(candidate=OOPS, raw=request("GET", target="/cart?card=4111"))
    (sample,) = tally.places[Place(Kind.STATUS, "")].samples
    assert tuple(sample) == ("200", "500", "GET /cart")
    assert tally.different == 1


def test_what_the_users_version_says_otherwise_itself_is_noise(mirrored):
    tally = mirrored().compared(*map(json, ('{"at": 1, "n": 1}', '{"at": 2, "n": 2}', '{"at": 3, "n": 1}')))
    assert set(tally.places) == {Place(Kind.JSON, "$.n")}
    assert set(tally.noise) == {Place(Kind.JSON, "$.at")}


def test_headers_that_are_compared_are_compared(mirrored):
    answer = b"HTTP/1.1 200 OK\r\nX-Price: %d\r\nX-Node: %d\r\nContent-Length: 0\r\n\r\n"
    here = mirrored(replace(ONCE, compare=Compare(noise=False, headers=("x-price",))))
    tally = here.compared(answer % (1, 1), answer % (2, 2))
    assert set(tally.places) == {Place(Kind.HEADER, "x-price")}


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_an_answer_in_pieces_is_the_same_as_a_whole_one(mirrored, pieces):
    here = mirrored()
    whole = json('{"a": [1, 2, 3], "b": "text"}')
    client, backend = here.asked(GET)
    candidate, again = here.copies()
    for wire in (candidate, backend, again):
        for start in range(0, len(whole), pieces):
            wire.send(whole[start : start + pieces])
    assert client.take() == whole
    tally = here.tally()
    assert (tally.outcomes, tally.different) == (OF_ALL, 0)


def test_a_body_in_chunks_is_compared_by_what_it_holds(mirrored):
    here = mirrored(ONCE)
    client, backend = here.asked(GET)
    backend.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n")
    here.lines[0].send(OK)
    client.take()
    assert here.tally().different == 0


def test_to_head_there_is_no_body_to_compare(mirrored):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"
    tally = mirrored().compared(head, head, head, raw=request("HEAD"))
    assert (tally.outcomes, tally.different) == (OF_ALL, 0)


def test_times_of_both_sides_are_noted(mirrored):
    here = mirrored(ONCE)
    _, backend = here.asked(GET)
    here.clock.advance(0.1)
    backend.send(OK)
    here.clock.advance(0.3)
    here.lines[0].send(OK)
    tally = here.tally()
    assert (tally.user.total, tally.candidate.total) == (pytest.approx(0.1), pytest.approx(0.4))


def test_the_time_of_an_upload_is_not_the_versions(mirrored):
    here = mirrored(replace(ONCE, methods=("POST",)))
    client, backend = here.asked(request("POST", "Content-Length: 2"))
    client.send(b"o")
    here.clock.advance(3)
    client.send(b"k")
    here.clock.advance(0.1)
    backend.send(OK)
    here.lines[0].send(OK)
    tally = here.tally()
    assert (tally.user.total, tally.candidate.total) == (pytest.approx(0.1), pytest.approx(0.1))


# Ends that are none


def test_a_user_who_leaves_takes_nothing_along_and_is_not_compared(mirrored):
    here = mirrored()
    client, _ = here.asked(GET)
    client.reset()
    for wire in here.copies():
        wire.send(OK)
    assert here.tally().outcomes == LOST


def test_a_candidate_that_fails_is_not_blamed_where_the_user_got_nothing_either(mirrored):
    here = mirrored()
    here.unreachable.add("http://green-1:80")
    client, _ = here.asked(GET)
    client.reset()
    here.lines[0].send(OK)
    assert here.tally().outcomes == UNANSWERED


def test_a_users_answer_that_is_cut_is_not_compared(mirrored):
    here = mirrored()
    _, backend = here.asked(GET)
    for wire in here.copies():
        wire.send(OK)
    backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    backend.reset()
    assert here.tally().outcomes == LOST


def test_our_own_answer_is_not_compared(mirrored):
    here = mirrored(retries=Retries(attempts=0))
    _, backend = here.asked(GET)
    backend.reset()
    for wire in here.copies():
        wire.send(OK)
    assert here.tally().outcomes == LOST


def test_an_answer_by_stable_in_the_users_versions_place_is_not_compared(mirrored):
    here = mirrored(
        replace(MIRROR, to="blue"), split={"blue": 0, "green": 100}, retries=Retries(attempts=0, on_stable=True)
    )
    client, backend = here.asked(GET)
    backend.send(OOPS)
    here.backend().send(OK)
    assert client.take() == OK
    for wire in here.copies():
        wire.send(OK)
    here.clock.advance(1)
    (message,) = here.shadows.look(here.clock.monotonic())
    assert message["runs"][0][3]["outcomes"] == {outcome.value: many for outcome, many in LOST.items()}


def test_what_goes_to_stable_because_the_candidate_could_not_be_reached_is_not_copied(mirrored):
    here = mirrored(
        replace(MIRROR, to="blue"), split={"blue": 0, "green": 100}, retries=Retries(attempts=0, on_stable=True)
    )
    here.unreachable.add("http://green-1:80")
    client = here.client()
    client.send(GET)
    here.backend().send(OK)
    assert client.take() == OK
    assert not here.lines
    assert here.nothing()


@pytest.mark.parametrize("number", [0, 1])
def test_a_second_copy_that_is_lost_leaves_nothing_to_compare_and_a_lost_candidate_is_different(mirrored, number):
    here = mirrored()
    client, backend = here.asked(GET)
    copies = here.copies()
    copies[number].reset()
    copies[1 - number].send(OK)
    backend.send(OK)
    assert client.take() == OK
    tally = here.tally()
    if number:
        assert tally.outcomes == LOST
    else:
        assert tally.outcomes == {Outcome.SENT: 1, Outcome.AGAIN: 1, Outcome.BROKEN: 1}
        assert set(tally.places) == {Place(Kind.ANSWER, "broken")}


def test_a_candidate_that_hangs_is_left_after_the_timeout_and_different(mirrored):
    here = mirrored(replace(MIRROR, timeout=5.0))
    client, backend = here.asked(GET)
    candidate, again = here.copies()
    backend.send(OK)
    again.send(OK)
    here.pass_time(4.9)
    assert not candidate.lost
    here.pass_time(0.2)
    assert candidate.lost
    assert client.take() == OK
    tally = here.tally()
    assert tally.outcomes == {Outcome.SENT: 1, Outcome.AGAIN: 1, Outcome.TIMEOUT: 1}
    assert tally.different == 1


def test_a_candidate_that_refuses_is_different(mirrored):
    here = mirrored()
    here.unreachable.add("http://green-1:80")
    client, backend = here.asked(GET)
    backend.send(OK)
    here.lines[0].send(OK)
    assert client.take() == OK
    assert here.tally().outcomes == {Outcome.SENT: 1, Outcome.AGAIN: 1, Outcome.REFUSED: 1}


def test_a_candidate_without_a_ready_backend_is_refused(mirrored):
    here = mirrored(ONCE)
    here.states(green="ejected")
    client, backend = here.asked(GET)
    backend.send(OK)
    assert client.take() == OK
    assert here.tally().outcomes == {Outcome.SENT: 1, Outcome.REFUSED: 1}
    assert not here.lines


def test_a_connection_that_never_comes_about_is_a_timeout_and_nothing_waits_for_it(mirrored):
    here = mirrored(ONCE)
    here.silent.add("http://green-1:80")
    client, backend = here.asked(GET)
    backend.send(OK)
    assert client.take() == OK
    assert len(here.shadows._lines) == 1
    here.pass_time(6)
    assert here.tally().outcomes == {Outcome.SENT: 1, Outcome.TIMEOUT: 1}
    assert len(here.shadows._lines) == 0


def test_a_user_who_reads_slowly_holds_nothing_after_the_timeout(mirrored):
    here = mirrored(timeouts=Timeouts(response=60, idle=60))
    client, backend = here.asked(GET)
    for wire in here.copies():
        wire.send(OK)
    backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
    here.pass_time(5.1)
    assert here.shadows._held == 0
    assert here.tally().outcomes == LOST
    backend.send(b"k")
    assert client.take().endswith(b"ok")


def test_a_request_that_is_never_sent_on_leaves_no_trace(mirrored):
    here = mirrored(retries=Retries(attempts=0))
    here.unreachable.add("http://blue-1:80")
    client = here.client()
    client.send(GET)
    assert b" 502 " in client.take()
    assert here.nothing()
    assert not here.lines


def test_an_upload_that_is_never_whole_is_not_copied(mirrored):
    here = mirrored(replace(MIRROR, methods=("POST",)), timeouts=Timeouts(idle=1000, response=1000))
    client, backend = here.asked(request("POST", "Content-Length: 9"))
    client.send(b"half")
    backend.send(OK)
    assert b"\r\n\r\nok" in client.take()
    assert here.nothing()
    client, _ = here.asked(request("POST", "Content-Length: 9"))
    here.pass_time(31)
    assert here.tally().outcomes == {Outcome.SHED: 1}
    client.send(b"all of it")
    assert not here.lines


def test_a_body_that_is_refused_is_not_copied(mirrored):
    here = mirrored(replace(MIRROR, methods=("POST",)), limits=Limits(body=3))
    client, _ = here.asked(request("POST", "Transfer-Encoding: chunked"))
    client.send(b"5\r\nlarge\r\n0\r\n\r\n")
    assert b" 413 " in client.take()
    assert here.nothing()


# Memory


def test_of_a_large_answer_the_user_gets_all_and_the_comparison_a_beginning(mirrored):
    here = mirrored(replace(ONCE, compare=Compare(noise=False, body=BodyComparison.EXACT, bytes=100)))
    client, backend = here.asked(GET)
    backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"a" * 60)
    backend.send(b"a" * 4940)
    (copy,) = here.lines
    copy.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"a" * 99 + b"b" * 20)
    assert copy.lost, "the rest is not read"
    assert client.take().endswith(b"a" * 5000)
    tally = here.tally()
    assert tally.outcomes[Outcome.TOO_LARGE] == 1
    assert set(tally.places) == {Place(Kind.BODY, "cut")}


def test_of_a_large_answer_no_more_is_held_than_is_compared(mirrored):
    here = mirrored(replace(ONCE, compare=Compare(noise=False, bytes=100)))
    client, backend = here.asked(GET)
    backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"a" * 60)
    for _ in range(10):
        backend.send(b"a" * 60)
    shadow = client.protocol.exchange.shadow
    assert [len(part) for part in shadow._parts] == [60, 40]


def test_a_users_answer_beyond_the_bound_is_compared_as_a_beginning(mirrored):
    here = mirrored(replace(ONCE, compare=Compare(noise=False, body=BodyComparison.EXACT, bytes=100)))
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"a" * 5000
    tally = here.compared(whole, OK)
    assert set(tally.places) == {Place(Kind.LENGTH, "cut")}
