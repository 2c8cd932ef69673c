"""A copy's answer, byte for byte: what is read of it, what it is taken for, and what becomes of the connection."""

from dataclasses import replace

import pytest

from gatekeeper.core.shadow.compare import Kind, Place
from gatekeeper.core.shadow.model import BodyComparison, Compare
from gatekeeper.core.shadow.tally import Outcome
from gatekeeper.dataplane.shadow import copies, shadow
from tests.dataplane.shadow.mirrored import MIRROR, ONCE
from tests.dataplane.world import GET, OK, post

SMALL = replace(ONCE, compare=Compare(noise=False, body=BodyComparison.EXACT, bytes=10))
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nok"


@pytest.fixture
def copy(mirrored):
    """``copy(bytes, ...)`` is what a request came to whose copy was answered so, and the copy's connection."""

    def make(*answer: bytes, end="", mirror=ONCE, raw=GET):
        here = mirrored(mirror)
        client, backend = here.asked(raw)
        (wire,) = here.lines
        backend.send(OK)
        for piece in answer:
            wire.send(piece)
        if end:
            getattr(wire, end)()
        assert client.take() == OK
        return here.tally(), wire

    return make


def test_a_connection_that_was_answered_well_carries_the_next_copy(mirrored):
    here = mirrored(ONCE)
    for _ in range(3):
        assert here.compared().outcomes[Outcome.COMPARED] == 1
    assert len(here.lines) == 1


@pytest.mark.parametrize(
    "answer",
    [CLOSING, CLOSING.replace(b"1.1", b"1.0"), OK + b"HTTP/1.1 200 more"],
    ids=["closing", "old", "bytes behind it"],
)
def test_a_connection_that_will_not_do_again_is_closed(copy, answer):
    tally, wire = copy(answer)
    assert wire.lost
    assert (tally.outcomes[Outcome.COMPARED], tally.different) == (1, 0)


def test_an_answer_may_end_with_its_connection(copy):
    tally, wire = copy(UNTIL_CLOSE, end="end")
    assert wire.lost
    assert tally.different == 0
    tally, _ = copy(UNTIL_CLOSE, end="reset")
    assert tally.outcomes[Outcome.BROKEN] == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * (copies.MOST_INTERIM + 1),
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * copies.MOST_HEAD,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * copies.MOST_HEAD + b"\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["another protocol", "two lengths", "bad chunk", "upgrade", "interim", "endless head", "large head"],
)
def test_what_is_no_answer_is_broken_and_its_connection_closed(copy, answer):
    tally, wire = copy(answer)
    assert wire.lost
    assert tally.outcomes == {Outcome.SENT: 1, Outcome.BROKEN: 1}
    assert set(tally.places) == {Place(Kind.ANSWER, "broken")}


def test_an_end_in_the_middle_is_broken(copy):
    for piece in (b"", OK[:10], OK[:-1]):
        for end in ("end", "reset"):
            tally, _ = copy(piece, end=end) if piece else copy(end=end)
            assert tally.outcomes[Outcome.BROKEN] == 1


def test_interim_answers_are_passed_over(copy):
    tally, _ = copy(b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", OK)
    assert (tally.outcomes[Outcome.ANSWERED], tally.different) == (1, 0)


@pytest.mark.parametrize(
    ("head", "told"),
    [(b"Content-Length: 1000000000", "1000000000 bytes"), (b"Transfer-Encoding: chunked", "unknown")],
)
def test_of_an_answer_without_end_only_the_beginning_is_read(copy, head, told):
    body = b"400\r\n" + b"x" * 0x400 if b"chunked" in head else b"x" * 1024
    tally, wire = copy(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body, mirror=SMALL)
    assert wire.lost
    assert tally.outcomes == {
        Outcome.SENT: 1, Outcome.ANSWERED: 1, Outcome.TOO_LARGE: 1, Outcome.COMPARED: 1
    }  # fmt: skip
    assert tally.places[Place(Kind.LENGTH, "cut")].samples[0].right == told


def test_an_answer_of_just_the_bound_is_whole(copy):
    tally, wire = copy(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", mirror=SMALL)
    assert Outcome.TOO_LARGE not in tally.outcomes
    assert not wire.lost


def test_a_kept_connection_that_dies_under_a_copy_is_nobodys_failure(mirrored):
    here = mirrored(ONCE)
    here.compared()
    client, backend = here.asked(GET)
    here.lines[0].reset()
    backend.send(OK)
    here.lines[1].send(OK)
    assert client.take() == OK
    assert here.tally().outcomes == {Outcome.SENT: 1, Outcome.ANSWERED: 1, Outcome.COMPARED: 1}


@pytest.mark.parametrize("how", ["begun", "not safe"])
def test_what_may_have_been_carried_out_is_not_asked_again(mirrored, how):
    here = mirrored(replace(ONCE, methods=("GET", "POST")))
    here.compared()
    client, backend = here.asked(GET if how == "begun" else post(b"order"))
    if how == "begun":
        here.lines[0].send(OK[:10])
    here.lines[0].reset()
    backend.send(OK)
    client.take()
    assert here.tally().outcomes == {Outcome.SENT: 1, Outcome.BROKEN: 1}
    assert len(here.lines) == 1


def test_a_connection_that_speaks_unasked_is_closed(mirrored):
    here = mirrored(ONCE)
    here.compared()
    here.lines[0].send(OK)
    assert here.lines[0].lost
    assert here.compared().outcomes[Outcome.COMPARED] == 1
    assert len(here.lines) == 2


def test_who_answers_without_reading_the_request_gets_no_second_one(mirrored):
    here = mirrored(replace(ONCE, methods=("POST",), body=1 << 20))
    here.silent.add("http://green-1:80")
    client, backend = here.asked(post(b"x" * 1000))
    wire = here.attempts[-1].accept()
    here.wires.append(wire)
    wire.stall()
    here.loop.run()
    wire.send(OK)
    backend.send(OK)
    client.take()
    assert wire.lost
    assert here.tally().outcomes[Outcome.COMPARED] == 1


def test_a_connection_that_is_made_after_the_copy_was_given_up_is_closed(mirrored):
    here = mirrored(MIRROR)
    here.silent.add("http://green-1:80")
    here.asked(GET)
    attempt = next(each for each in here.attempts if "green" in each.url)
    wire = attempt.accept()  # in the same turn as what follows
    here.wires.append(wire)
    here.clock.advance(6)
    here.shadows.sweep(here.clock.monotonic())
    here.loop.run()
    assert wire.lost


def test_a_connection_that_ends_as_it_is_made_is_broken(mirrored):
    here = mirrored(ONCE)
    here.silent.add("http://green-1:80")
    client, backend = here.asked(GET)
    wire = here.attempts[-1].accept()
    here.wires.append(wire)
    wire.reset(run=False)
    wire._lose(None)  # before who made it heard of it
    here.loop.run()
    backend.send(OK)
    client.take()
    assert here.tally().outcomes == {Outcome.SENT: 1, Outcome.BROKEN: 1}


def test_a_connection_that_is_just_being_closed_carries_no_copy(mirrored):
    here = mirrored(ONCE)
    here.compared()
    here.lines[0].send(OK, run=False)  # unasked
    assert here.compared().outcomes == {Outcome.SENT: 1, Outcome.ANSWERED: 1, Outcome.COMPARED: 1}
    assert len(here.lines) == 2


def test_no_more_of_an_answer_is_held_than_is_compared(mirrored, monkeypatch):
    here = mirrored(SMALL)
    compared = []
    compare = shadow.compare
    monkeypatch.setattr(shadow, "compare", lambda how, *answers: (compared.extend(answers), compare(how, *answers))[1])
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + b"x" * 50
    here.compared(large, large)
    assert [len(answer.body) for answer in compared if answer is not None] == [10, 10]
