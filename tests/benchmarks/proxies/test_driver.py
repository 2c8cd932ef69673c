"""The open loop."""

import contextlib
import socket
import threading
import time

import pytest

from benchmarks.proxies.driver import Driver, Slice, said, tell
from benchmarks.proxies.figures import Times

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes"
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@contextlib.contextmanager
def serving(answer):
    """A server on a port of its own; ``answer(connection, number)`` is called for each request, one after the other."""
    lock, count = threading.Lock(), iter(range(10**9))
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(connection):
            with connection, contextlib.suppress(OSError):
                while connection.recv(65536):
                    with lock:
                        answer(connection, next(count))

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def driven(port, rate, seconds, connections=4, every=float("inf")):
    driver = Driver(port, [REQUEST], connections)
    try:
        return list(driver.drive(rate, seconds, every))
    finally:
        driver.close()


def test_all_that_are_due_are_sent_and_answered():
    with serving(lambda connection, _: connection.sendall(ANSWER)) as port:
        began = time.monotonic()
        (found,) = driven(port, 200, 0.5)
    assert (found.answered, found.failed, found.error) == (100, 0, "")
    assert time.monotonic() - began >= 0.5
    assert found.late.total() == 100


def test_a_server_that_stalls_is_late_for_all_who_came_meanwhile():
    """With one connection only one request waits in the server; the others wait because of it."""

    def answer(connection, number):
        if number == 10:
            time.sleep(0.3)
        connection.sendall(ANSWER)

    with serving(answer) as port:
        (found,) = driven(port, 100, 0.5, connections=1)
    assert found.answered == 50
    slow = sum(count for micros, count in found.took.items() if micros > 50_000)
    assert slow >= 20
    # And it is not the driver's fault.
    assert found.late.quantile(0.9) < 0.05


def test_an_answer_in_pieces_is_one_answer():
    def answer(connection, _):
        for at in range(len(ANSWER)):
            connection.sendall(ANSWER[at : at + 1])

    with serving(answer) as port:
        (found,) = driven(port, 50, 0.2)
    assert (found.answered, found.failed) == (10, 0)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", "502"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "no length"),
        (b"", "closed"),
    ],
)
def test_what_is_no_answer_is_counted_as_a_failure_and_the_rest_goes_on(wrong, word):
    def answer(connection, number):
        if number == 3:
            if wrong:
                connection.sendall(wrong)
            else:
                connection.shutdown(socket.SHUT_RDWR)
        else:
            connection.sendall(ANSWER)

    with serving(answer) as port:
        (found,) = driven(port, 50, 0.4)
    assert (found.answered, found.failed) == (19, 1)
    assert word in found.error


def test_who_is_never_answered_has_failed(monkeypatch):
    monkeypatch.setattr("benchmarks.proxies.driver.PATIENCE", 0.2)
    with serving(lambda connection, number: None if number == 5 else connection.sendall(ANSWER)) as port:
        (found,) = driven(port, 50, 0.2)
    assert (found.answered, found.failed) == (9, 1)
    assert "not answered" in found.error


def test_slices_have_all_of_it_together():
    with serving(lambda connection, _: connection.sendall(ANSWER)) as port:
        found = driven(port, 100, 0.6, every=0.2)
    assert sum(each.answered for each in found) == 60
    assert len(found) in (3, 4)
    assert [round(each.at, 3) for each in found[:3]] == [0.0, 0.2, 0.4]


def test_a_slice_that_was_told_is_the_same():
    one = Slice(1.5, 2, "why", Times([100, 100, 7]), Times([3]))
    assert said(tell(one)) == one
