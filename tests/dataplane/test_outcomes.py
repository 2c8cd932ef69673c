"""What is told of backends that fail: what counts as a failure, what as a request, and how far back."""

import errno
import ssl

import pytest

from gatekeeper.core.model import Limits, Retries, Timeouts
from gatekeeper.dataplane.outcomes import LOOK_BACK_SECONDS, REASONS
from gatekeeper.errors import Fault, Source
from tests.dataplane.tunnels import other, tunnel
from tests.dataplane.world import CANDIDATE, GET, OK, Message, post, request

TIMES = Timeouts(request_head=3, connect=5, response=20, idle=40)
NEVER = Retries(attempts=0)
BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"
BLUE = ("shop", "blue", "http://blue-1:80")


def reply(status, body=b"oh"):
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def told(here):
    return [tuple(row) for row in here.plane.backends.outcomes()]


def requests(here):
    return {each.id: each.requests for each in here.known() if each.requests}


# Failures


def refuse(here):
    here.unreachable.add("http://blue-1:80")
    here.client().send(GET)


def never_accept(here):
    here.silent.add("http://blue-1:80")
    here.client().send(GET)
    here.pass_time(6)


def connect_error(error):
    def fail(here):
        here.silent.add("http://blue-1:80")
        here.client().send(GET)
        (attempt,) = here.attempts
        attempt._error = error
        attempt._wake()
        here.loop.run()

    return fail


def never_answer(here):
    here.asked(GET)
    here.pass_time(21)


def say(data, *, then=""):
    def fail(here):
        _, backend = here.asked(GET)
        backend.send(data)
        if then:
            getattr(backend, then)()

    return fail


def stop_in_the_middle(here):
    say(BEGUN)(here)
    here.pass_time(21)


def leave_at_once(here):
    here.asked(GET)[1].reset()


@pytest.mark.parametrize(
    ("fail", "reason"),
    [
        (refuse, "cannot be reached"),
        (never_accept, "did not accept a connection in time"),
        (connect_error(ssl.SSLError("no")), "no TLS with it"),
        (connect_error(ssl.SSLCertVerificationError("no")), "its certificate is not accepted"),
        (never_answer, "did not answer in time"),
        (leave_at_once, "closed before it answered"),
        (say(b"SSH-2.0-OpenSSH\r\n"), "its answer is invalid"),
        (say(b"HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n"), "its answer is invalid"),
        (say(b"HTTP/1.1 200 OK\r\nX", then="end"), "its answer is invalid"),
        (say(BEGUN, then="reset"), "closed in the middle of an answer"),
        (say(BEGUN, then="end"), "closed in the middle of an answer"),
        (stop_in_the_middle, "stopped in the middle of an answer"),
        (say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n"), "its answer is invalid"),
        (say(reply(502)), "answered 502"),
        (say(reply(503)), "answered 503"),
        (say(reply(504)), "answered 504"),
    ],
)  # fmt: skip
def test_a_failure_of_the_backend_is_told_once_with_its_reason(world, fail, reason):
    here = world(retries=NEVER, timeouts=TIMES)
    fail(here)
    assert told(here) == [(*BLUE, 1, 1, reason)]
    assert told(here) == []
    assert requests(here) == {BLUE[2]: 1}


def test_every_fault_of_a_backend_has_its_reason():
    upstream = {Source.UPSTREAM_CONNECT, Source.UPSTREAM_TIMEOUT, Source.UPSTREAM_RESET, Source.UPSTREAM_PROTOCOL}
    assert set(REASONS) == {fault for fault in Fault if fault.value.source in upstream}


def test_a_try_that_failed_is_told_though_the_next_one_answered(world):
    here = world(backends=2)
    here.unreachable.add("http://blue-1:80")
    assert here.answered(GET).status == 200
    assert told(here) == [(*BLUE, 1, 1, "cannot be reached")]
    assert requests(here) == {BLUE[2]: 1, "http://blue-2:80": 1}


@pytest.mark.parametrize("how", ["refuses", "answers 503", "answers 500"])
def test_a_candidate_whose_failure_stable_made_good_is_told_all_the_same(world, how):
    here = world(CANDIDATE, retries=Retries(attempts=0, on_stable=True))
    if how == "refuses":
        here.unreachable.add("http://green-1:80")
        assert here.answered(GET).status == 200
    else:
        client, backend = here.asked(GET)
        backend.send(reply(int(how[-3:])))
        here.backend().send(OK)
        assert Message.read(client.take()).status == 200
    rows = {"refuses": [("cannot be reached")], "answers 503": ["answered 503"], "answers 500": []}[how]
    assert told(here) == [("shop", "green", "http://green-1:80", 1, 1, reason) for reason in rows]
    assert requests(here) == {"http://green-1:80": 1, BLUE[2]: 1}


def test_an_answer_that_fails_twice_is_one_failure(world):
    here = world()
    _, backend = here.asked(GET)
    backend.send(b"HTTP/1.1 503 X\r\nContent-Length: 9\r\n\r\nabc")
    backend.reset()
    assert told(here) == [(*BLUE, 1, 1, "answered 503")]


def test_an_answer_that_fails_and_goes_on_counts_as_one_request(world):
    here = world()
    _, backend = here.asked(GET)
    backend.send(b"HTTP/1.1 503 X\r\nContent-Length: 9\r\n\r\nabc")
    assert told(here) == [(*BLUE, 1, 1, "answered 503")]
    backend.send(b"abcdef")
    assert here.answered(GET, reply(503)).status == 503
    assert told(here) == [(*BLUE, 1, 1, "answered 503")]


# No failures


def no_failure(here, count):
    assert told(here) == []
    assert requests(here) == ({BLUE[2]: count} if count else {})
    assert all(each.in_flight == 0 for each in here.known())


@pytest.mark.parametrize("status", [200, 204, 301, 404, 429, 500, 501, 505, 599])
def test_an_answer_is_a_request_and_what_it_says_is_the_applications(world, status):
    here = world()
    body = b"" if status in {204, 304} else b"x"
    here.answered(GET, reply(status, body) if body else b"HTTP/1.1 204 X\r\n\r\n")
    no_failure(here, 1)


@pytest.mark.parametrize("when", ["connecting", "waiting", "answering"])
@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_client_that_leaves_says_nothing_of_the_backend(world, when, how):
    here = world()
    if when == "connecting":
        here.silent.add("http://blue-1:80")
        client = here.client()
        client.send(GET)
    else:
        client, backend = here.asked(GET)
        backend.send(BEGUN if when == "answering" else b"")
    getattr(client, how)()
    no_failure(here, 0)


def test_a_client_that_does_not_read_says_nothing_of_the_backend(world):
    here = world(timeouts=TIMES)
    client, backend = here.asked(GET)
    client.stall()
    backend.send(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"x" * 300_000)
    here.pass_time(41)
    assert client.reset_by_us
    no_failure(here, 0)


@pytest.mark.parametrize(
    "raw",
    [post(b"x" * 10), request("POST", "Transfer-Encoding: chunked") + b"zz\r\n",
     request("POST", "Transfer-Encoding: chunked") + b"a\r\n0123456789\r\n",
     request("POST", "Content-Length: 3") + b"a"],
)  # fmt: skip
def test_what_a_client_sent_wrong_or_not_at_all_says_nothing_of_the_backend(world, raw):
    here = world(limits=Limits(body=4), timeouts=TIMES)
    client = here.client()
    client.send(raw)
    here.pass_time(50)
    assert Message.read(client.take()).status in {400, 408, 413}
    no_failure(here, 0)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EADDRNOTAVAIL])
def test_what_this_machine_lacks_says_nothing_of_the_backend(world, code):
    here = world(retries=NEVER)
    connect_error(OSError(code, "ours"))(here)
    no_failure(here, 0)


def test_a_pooled_connection_that_had_died_and_was_repeated_unseen_is_no_failure(world):
    here = world()
    assert here.answered(GET).status == 200
    client, first = here.asked(GET)
    first.reset()
    here.backend().send(OK)
    assert client.take() == OK
    no_failure(here, 2)


@pytest.mark.parametrize("open_one", [tunnel, other])
@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_tunnel_is_one_request_that_was_answered_however_it_ends(world, open_one, how):
    here = world()
    client, backend = open_one(here)
    assert requests(here) == {BLUE[2]: 1}
    getattr(backend, how)()
    client.reset()
    no_failure(here, 1)


def test_a_request_without_a_ready_backend_is_nobodys_failure(world):
    here = world()
    here.states(blue="ejected")
    assert here.refused(GET).status == 503
    no_failure(here, 0)


# How far back


def fail(here):
    assert here.answered(GET, reply(503)).status == 503
    ((*backend, count, failures, _),) = told(here)
    assert (tuple(backend), failures) == (BLUE, 1)
    return count


def test_a_report_tells_of_the_requests_since_the_last_one(world):
    here = world()
    for count in (3, 5):
        for _ in range(count):
            assert here.answered(GET).status == 200
        assert fail(here) == count + 1


def test_a_report_looks_back_for_a_while_and_no_further(world):
    here = world()
    for seconds in (0.0, LOOK_BACK_SECONDS, LOOK_BACK_SECONDS):
        here.pass_time(seconds)
        assert here.answered(GET).status == 200
    assert fail(here) == 3, "the second and third of those before"
    here.pass_time(LOOK_BACK_SECONDS)
    assert here.answered(GET).status == 200
    here.pass_time(LOOK_BACK_SECONDS)
    here.pass_time(LOOK_BACK_SECONDS)
    assert fail(here) == 1
