"""The service manager's side is played by a real datagram socket and real descriptors."""

import asyncio
import os
import socket

import pytest

from gatekeeper.systemd import Notifier, SystemdError, passed_sockets


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        yield sock


def environment(manager, **more):
    return {"NOTIFY_SOCKET": manager.getsockname(), **more}


def test_a_note_is_one_datagram_of_lines(manager):
    Notifier.from_environment(environment(manager)).tell(READY=1, STATUS="serving")
    assert manager.recv(1000) == b"READY=1\nSTATUS=serving"


def test_a_line_break_in_a_text_begins_no_other_field(manager):
    Notifier.from_environment(environment(manager)).tell(STATUS="bad\nMAINPID=1")
    assert manager.recv(1000) == b"STATUS=bad MAINPID=1"


def test_an_abstract_address_is_understood():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0gatekeeper-test-{os.getpid()}")
        sock.settimeout(5)
        Notifier(f"@gatekeeper-test-{os.getpid()}").tell(READY=1)
        assert sock.recv(1000) == b"READY=1"


def test_without_a_manager_nothing_is_said_and_nothing_fails(tmp_path):
    Notifier.from_environment({}).tell(READY=1)
    Notifier(str(tmp_path / "nobody")).tell(READY=1)


def test_the_variables_are_taken_out_and_given_to_a_successor_alone(manager):
    found = environment(manager, WATCHDOG_USEC="3000000", WATCHDOG_PID=str(os.getpid()), PATH="/bin")
    notifier = Notifier.from_environment(found)
    assert found == {"PATH": "/bin"}
    assert notifier.environment() == environment(manager, WATCHDOG_USEC="3000000")
    assert Notifier.from_environment(notifier.environment()).watchdog == 3.0


def test_a_watchdog_for_another_process_is_not_ours():
    assert Notifier.from_environment({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}).watchdog == 0


def test_a_watchdog_time_that_is_no_number_is_named():
    with pytest.raises(SystemdError, match="WATCHDOG_USEC=soon in the environment is no number"):
        Notifier.from_environment({"WATCHDOG_USEC": "soon"})


async def test_signs_of_life_come_three_times_as_often_as_wanted_and_only_while_alive(manager):
    alive = True
    notifier = Notifier(manager.getsockname(), 0.03)
    watch = asyncio.create_task(notifier.watch(lambda: alive))
    await asyncio.sleep(0.2)
    manager.setblocking(False)
    alive = False
    came = drained(manager)
    assert came >= 10
    await asyncio.sleep(0.1)
    assert drained(manager) <= 1
    watch.cancel()


def drained(sock):
    count = 0
    while True:
        try:
            assert sock.recv(100) == b"WATCHDOG=1"
        except BlockingIOError:
            return count
        count += 1


# Sockets

BASE = 200
"""Descriptors far from those the test run has open; the real ones begin at 3."""


def listening():
    sock = socket.create_server(("127.0.0.1", 0))
    os.dup2(sock.fileno(), BASE)
    return sock


def given(count, **more):
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(count), **more}


def test_passed_sockets_are_taken_by_number_named_and_not_inherited_further():
    with listening() as sock:
        found = given(1, LISTEN_FDNAMES="web", PATH="/bin")
        [passed] = passed_sockets(found, BASE)
        with passed.sock:
            assert passed.sock.getsockname() == sock.getsockname()
            assert passed.label == f"'web' (127.0.0.1:{sock.getsockname()[1]})"
            assert not passed.sock.get_inheritable()
        assert found == {"PATH": "/bin"}


def test_sockets_for_another_process_are_not_ours():
    assert passed_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, BASE) == []


def test_what_does_not_listen_is_refused_by_name():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        os.dup2(sock.fileno(), BASE)
        with pytest.raises(
            SystemdError, match=r"'dns' \(127.0.0.1:\d+\) does not listen for connections; use ListenStr"
        ):
            passed_sockets(given(1, LISTEN_FDNAMES="dns"), BASE)
        os.close(BASE)


def test_what_is_no_socket_is_refused_by_name(tmp_path):
    with (tmp_path / "file").open("w") as file:
        os.dup2(file.fileno(), BASE)
        with pytest.raises(SystemdError, match=r"'LISTEN_FDS 0' \(descriptor 200\) is no socket"):
            passed_sockets(given(1), BASE)
        os.close(BASE)


@pytest.mark.parametrize(("count", "says"), [("many", "LISTEN_FDS=many"), ("5000", "more than 1024")])
def test_a_count_that_is_garbage_is_named(count, says):
    with pytest.raises(SystemdError, match=says):
        passed_sockets(given(count), BASE)
