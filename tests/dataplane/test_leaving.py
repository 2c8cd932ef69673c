"""Closing loses nobody whom the kernel has let in, and lets nobody further in."""

import asyncio
import errno
import select
import socket
import sys

import pytest
import uvloop

from gatekeeper.dataplane.leaving import admit_no_more, has_unread, is_awaited

linux = pytest.mark.skipif(sys.platform != "linux", reason="socket filters are Linux's")


@pytest.fixture(params=[("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)], ids=["IPv4", "IPv6"])
def listener(request):
    host, family = request.param
    sock = socket.socket(family)
    try:
        sock.bind((host, 0))
    except OSError:
        sock.close()
        pytest.skip(f"no {host} on this machine")
    with sock:
        sock.listen(16)
        yield sock


def knock(listener):
    """A client in the middle of its handshake; it does not block."""
    client = socket.socket(listener.family)
    client.setblocking(False)
    assert client.connect_ex(listener.getsockname()) in {0, errno.EINPROGRESS}
    return client


def connected(client, milliseconds=200):
    poll = select.poll()
    poll.register(client, select.POLLOUT)
    return bool(poll.poll(milliseconds))


@linux
def test_who_waits_in_the_queue_is_served_and_who_comes_later_hears_nothing(listener):
    with knock(listener) as early:
        assert connected(early)
        early.send(b"early")
        admit_no_more(listener)
        with knock(listener) as late:
            assert not connected(late)
            assert is_awaited(listener)
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.recv(16) == b"early"
                accepted.send(b"served")
                early.setblocking(True)
                assert early.recv(16) == b"served"
            assert not is_awaited(listener)


@linux
def test_who_heard_nothing_is_refused_once_the_socket_is_closed(listener):
    admit_no_more(listener)
    with knock(listener) as late:
        assert not connected(late)
        listener.close()
        assert connected(late, 5_000)  # its second try comes after a second
        assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


@linux
def test_another_socket_of_the_port_takes_who_comes_later():
    """The successor's socket, after the one that was left is closed: the second try of a handshake reaches it."""
    with socket.socket() as old, socket.socket() as new:
        for sock in (old, new):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(("127.0.0.1", 0) if sock is old else old.getsockname())
        old.listen(16)
        admit_no_more(old)
        with knock(old) as late:
            assert not connected(late)
            new.listen(16)
            old.close()
            assert connected(late, 5_000)
            assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            assert is_awaited(new)


def test_a_unix_socket_is_left_as_it_is(tmp_path):
    """Its path is gone by the time; who has it open already may still come."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(tmp_path / "socket"))
        listener.listen(16)
        admit_no_more(listener)
        assert not is_awaited(listener)
        client.connect(str(tmp_path / "socket"))
        assert is_awaited(listener)


def test_bytes_nobody_has_read_are_seen():
    """As the worker has its transports: on uvloop, reading paused or about to happen."""

    async def look():
        ours, theirs = socket.socketpair()
        with theirs:
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
            transport.pause_reading()
            try:
                assert not has_unread(transport)
                theirs.send(b"GET")
                assert has_unread(transport)
            finally:
                transport.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(look())
