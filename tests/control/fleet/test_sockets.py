"""Listening sockets: who holds what, and what is said when an address cannot be had."""

import os
import socket
import stat

import pytest

from gatekeeper.control.fleet.sockets import ListenError, Listeners, unix_answers


@pytest.fixture
def opened():
    made = []

    def open_(*names, slots=1, shared=False):
        listeners = Listeners.open(names, slots, shared=shared)
        made.append(listeners)
        return listeners

    yield open_
    for listeners in made:
        listeners.close()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_every_slot_has_its_own_socket_on_the_same_port(opened):
    listeners = opened("127.0.0.1:0", slots=3)
    socks = [listeners.slot(index)[0].sock for index in range(3)]
    assert len({sock.getsockname() for sock in socks}) == 1
    assert len({os.fstat(sock.fileno()).st_ino for sock in socks}) == 3
    assert listeners.addresses == [f"127.0.0.1:{socks[0].getsockname()[1]}"]


def test_a_tcp_socket_does_not_listen_before_the_worker_does(opened):
    sock = opened("127.0.0.1:0").slot(0)[0].sock
    with socket.socket() as client:
        assert client.connect_ex(sock.getsockname()) != 0


def test_the_name_of_the_file_is_kept_beside_the_real_address(opened):
    endpoint = opened("127.0.0.1:0").slot(0)[0]
    assert endpoint.name == "127.0.0.1:0"
    assert endpoint.address != endpoint.name


def test_a_port_in_use_is_named_with_the_way_out(opened):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{port}: another program uses this port.*name another"):
            opened(f"127.0.0.1:{port}")


def test_workers_left_behind_may_share_the_port(opened):
    first = opened("127.0.0.1:0")
    first.slot(0)[0].sock.listen()
    assert opened(first.addresses[0], shared=True).addresses == first.addresses


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_ipv6_and_ipv4_stand_side_by_side_on_one_port(opened):
    first = opened("[::1]:0")
    port = first.slot(0)[0].sock.getsockname()[1]
    assert first.addresses == [f"[::1]:{port}"]
    both = opened("[::]:0")
    port = both.slot(0)[0].sock.getsockname()[1]
    assert opened(f"0.0.0.0:{port}").addresses == [f"0.0.0.0:{port}"]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("203.0.113.77:0", "no such address"),
        ("no-such-host.invalid:80", "the host is not known"),
        ("unix:/no/such/directory/a.sock", "directory does not exist"),
        ("unix:/tmp/" + "x" * 120, "too long"),
    ],
)
def test_an_address_that_cannot_be_had_is_named_with_the_way_out(name, way):
    with pytest.raises(ListenError) as caught:
        Listeners.open((name,), 1)
    assert name in str(caught.value)
    assert way in str(caught.value)


def test_one_bad_address_leaves_nothing_open(opened, tmp_path):
    path = tmp_path / "a.sock"
    with pytest.raises(ListenError):
        opened(f"unix:{path}", "203.0.113.77:0")
    assert list(tmp_path.iterdir()) == []


def test_a_unix_socket_is_shared_by_all_slots_and_removed_at_the_end(opened, tmp_path):
    path = tmp_path / "a.sock"
    listeners = opened(f"unix:{path}", slots=2)
    assert len({os.fstat(listeners.slot(index)[0].sock.fileno()).st_ino for index in range(2)}) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    assert unix_answers(path)
    listeners.close()
    assert list(tmp_path.iterdir()) == []


def test_a_stale_unix_socket_is_taken_over(opened, tmp_path):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    opened(f"unix:{path}")
    assert unix_answers(path)


def test_a_unix_socket_somebody_listens_on_is_left_alone(opened, tmp_path):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(1)
        with pytest.raises(ListenError, match="another program listens there"):
            opened(f"unix:{path}")
        assert unix_answers(path)


def test_a_file_that_is_no_socket_is_left_alone(opened, tmp_path):
    path = tmp_path / "precious"
    path.write_text("keep")
    with pytest.raises(ListenError, match="no socket"):
        opened(f"unix:{path}")
    assert path.read_text() == "keep"


def test_closing_leaves_a_successors_socket_in_place(opened, tmp_path):
    path = tmp_path / "a.sock"
    first = opened(f"unix:{path}")
    opened(f"unix:{path}", shared=True)
    first.close()
    assert unix_answers(path)
