import socket
import threading
import time

import pytest

from gatekeeper.interface import reach
from gatekeeper.interface.client import Client
from gatekeeper.interface.failures import UnreachableError


def listener(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


@pytest.fixture
def abandoned(tmp_path):
    """The socket of a gatekeeper that was killed: its file is there, and nobody listens."""
    path = tmp_path / "admin.sock"
    listener(path).close()
    return path


def later(seconds, function):
    thread = threading.Timer(seconds, function)
    thread.start()
    return thread


def test_a_place_where_nothing_ever_was_is_reported_at_once(tmp_path):
    begun = time.monotonic()
    with pytest.raises(UnreachableError):
        reach.Unix([str(tmp_path / "nobody.sock")]).connect(1.0)
    assert time.monotonic() - begun < 0.5


def test_a_socket_that_refuses_is_tried_until_somebody_listens_again(abandoned):
    taken = []

    def come_back():
        abandoned.unlink()
        taken.append(listener(abandoned))

    thread = later(0.2, come_back)
    connection = reach.Unix([str(abandoned)]).connect(1.0)
    connection.close()
    thread.join()
    taken[0].close()


def test_the_moment_between_the_old_socket_and_the_new_one_is_waited_for(tmp_path):
    path = tmp_path / "admin.sock"
    first = listener(path)
    place, taken = reach.Unix([str(path)]), []
    place.connect(1.0).close()
    first.close()
    path.unlink()
    thread = later(0.2, lambda: taken.append(listener(path)))
    place.connect(1.0).close()
    thread.join()
    taken[0].close()


def test_waiting_for_a_socket_has_an_end(abandoned):
    begun = time.monotonic()
    with pytest.raises(UnreachableError) as caught:
        reach.Unix([str(abandoned)], patience=0.2).connect(1.0)
    assert 0.2 <= time.monotonic() - begun < 1.0
    assert "Connection refused" in caught.value.where


def test_a_queue_that_is_full_is_waited_for(tmp_path):
    path = tmp_path / "admin.sock"
    with listener(path) as server:
        server.listen(0)
        waiting = []
        while True:
            sock = socket.socket(socket.AF_UNIX)
            sock.setblocking(False)
            waiting.append(sock)
            try:
                sock.connect(str(path))
            except BlockingIOError:
                break
        thread = later(0.2, lambda: [server.accept()[0].close() for _ in waiting[1:]])
        reach.Unix([str(path)]).connect(1.0).close()
        thread.join()
        for sock in waiting:
            sock.close()


@pytest.mark.parametrize("url", ["http://[::1", "http://host:port", "http://\x7f/"])
def test_an_address_that_is_none_is_unreachable_and_not_a_crash(url):
    with pytest.raises(UnreachableError) as caught:
        reach.Tcp(url).connect(1.0)
    assert "--url" in caught.value.way_out


def test_a_socket_that_may_not_be_used_is_not_taken_for_one_where_nobody_listens(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gatekeeper.interface.reach.socket.socket.connect", refuse)
    with pytest.raises(UnreachableError) as caught:
        Client(sockets=[str(tmp_path / "a.sock")]).get("/v1/status")
    assert "Permission denied" in caught.value.where
    assert "group that owns the socket" in caught.value.way_out


def test_a_path_too_long_for_a_socket_is_named_as_such():
    with pytest.raises(UnreachableError) as caught:
        Client(sockets=["/run/" + "x" * 120]).get("/v1/status")
    assert "107 bytes" in caught.value.where
