"""Listening on what somebody else made: the program before, or the service manager."""

import os
import socket
import stat

import pytest

from gatekeeper.control.api.admin_sockets import AdminError, AdminSockets
from gatekeeper.control.fleet.sockets import ListenError, Listeners
from gatekeeper.control.succession.given import Gifts, Given


@pytest.fixture
def opened():
    made = []

    def open_(*names, slots=1, given=None):
        listeners = Listeners.open(names, slots, given=given)
        made.append(listeners)
        return listeners

    yield open_
    for listeners in made:
        listeners.close()


def copies(listeners):
    """As they come out of the other end of a relay: other descriptors of the same sockets."""
    return [
        Given(each.sock.dup(), each.label, each.name, each.slot, each.lent, each.inode) for each in listeners.given()
    ]


def inodes(listeners, slots):
    return [[os.fstat(each.sock.fileno()).st_ino for each in listeners.slot(index)] for index in range(slots)]


def server(reuse_port=False, address=("127.0.0.1", 0), family=socket.AF_INET):
    return socket.create_server(address, family=family, reuse_port=reuse_port)


# The program before


def test_the_sockets_of_the_program_before_are_taken_slot_by_slot(opened):
    old = opened("127.0.0.1:0", slots=2)
    gifts = Gifts(copies(old))
    new = opened("127.0.0.1:0", slots=2, given=gifts)
    assert inodes(new, 2) == inodes(old, 2)
    assert new.addresses == old.addresses
    assert gifts.taken == {("127.0.0.1:0", 0), ("127.0.0.1:0", 1)}
    assert gifts.left == []


def test_more_workers_get_new_sockets_beside_them_and_fewer_leave_the_rest(opened):
    old = opened("127.0.0.1:0", slots=2)
    more = opened("127.0.0.1:0", slots=3, given=Gifts(copies(old)))
    assert inodes(more, 2) == inodes(old, 2)
    assert len({sock for slot in inodes(more, 3) for sock in slot}) == 3
    gifts = Gifts(copies(old))
    opened("127.0.0.1:0", slots=1, given=gifts)
    assert gifts.taken == {("127.0.0.1:0", 0)}
    assert [(each.name, each.slot) for each in gifts.left] == [("127.0.0.1:0", 1)]
    gifts.close()


def test_an_address_that_has_another_name_now_is_the_same_and_told_by_its_old_name(opened):
    old = opened("127.0.0.1:0")
    port = old.slot(0)[0].sock.getsockname()[1]
    gifts = Gifts(copies(old))
    new = opened(f"localhost:{port}", given=gifts)
    assert inodes(new, 1) == inodes(old, 1)
    assert gifts.taken == {("127.0.0.1:0", 0)}


def test_a_wider_address_at_our_own_port_is_not_somebody_elses(opened):
    old = opened("127.0.0.1:0")
    old.slot(0)[0].sock.listen()
    port = old.slot(0)[0].sock.getsockname()[1]
    gifts = Gifts(copies(old))
    assert opened(f"0.0.0.0:{port}", given=gifts).addresses == [f"0.0.0.0:{port}"]
    gifts.close()


def test_a_new_address_that_a_stranger_has_is_refused(opened):
    with server() as stranger:
        name = f"127.0.0.1:{stranger.getsockname()[1]}"
        gifts = Gifts(copies(opened("127.0.0.1:0")))
        with pytest.raises(ListenError, match="another program uses this port"):
            opened("127.0.0.1:0", name, given=gifts)
        gifts.close()


def test_a_unix_path_stays_with_whoever_is_in_service(opened, tmp_path):
    name = f"unix:{tmp_path}/web.sock"
    old = opened(name, slots=2)
    failed = opened(name, slots=2, given=Gifts(copies(old)))
    failed.close()
    assert (tmp_path / "web.sock").exists()  # it was not its own yet
    gifts = Gifts(copies(old))
    new = opened(name, slots=2, given=gifts)
    assert gifts.taken == {(name, 0), (name, 1)}
    new.keep()
    old.hand_over(gifts.taken)
    assert (tmp_path / "web.sock").exists()
    new.close()
    assert not (tmp_path / "web.sock").exists()


def test_a_unix_path_that_the_new_file_does_not_name_goes_with_the_old_program(opened, tmp_path):
    old = opened(f"unix:{tmp_path}/old.sock", "127.0.0.1:0")
    old.hand_over({("127.0.0.1:0", 0)})
    assert not (tmp_path / "old.sock").exists()


def test_a_unix_socket_whose_path_is_gone_is_made_anew(opened, tmp_path):
    name = f"unix:{tmp_path}/web.sock"
    old = opened(name)
    (tmp_path / "web.sock").unlink()
    gifts = Gifts(copies(old))
    assert inodes(opened(name, given=gifts), 1) != inodes(old, 1)
    assert gifts.taken == set()
    gifts.close()


# The service manager


def test_a_lent_socket_is_shared_by_all_workers_unless_it_allows_more_beside_it(opened):
    for reuse_port, count in ((False, 1), (True, 3)):
        with server(reuse_port) as sock:
            name = f"127.0.0.1:{sock.getsockname()[1]}"
            found = opened(name, slots=3, given=Gifts([Given(sock.dup(), "web", lent=True)]))
            assert len({number for slot in inodes(found, 3) for number in slot}) == count
            assert inodes(found, 1)[0] == [os.fstat(sock.fileno()).st_ino]
            lent = [endpoint.lent for index in range(3) for endpoint in found.slot(index)]
            assert lent == [True, not reuse_port, not reuse_port]
            found.close()


def test_the_path_of_a_lent_socket_is_never_removed(opened, tmp_path):
    path = str(tmp_path / "web.sock")
    with server(address=path, family=socket.AF_UNIX) as sock:
        found = opened(f"unix:{path}", slots=2, given=Gifts([Given(sock.dup(), "web", lent=True)]))
        assert all(endpoint.lent for index in range(2) for endpoint in found.slot(index))
        found.keep()
        found.close()
    assert os.path.exists(path)  # noqa: PTH110


def test_a_socket_for_an_address_nobody_names_is_left_over(opened):
    with server() as sock:
        gifts = Gifts([Given(sock.dup(), "'web' (127.0.0.1:1)", lent=True)])
        opened("127.0.0.1:0", given=gifts)
        assert [each.label for each in gifts.left] == ["'web' (127.0.0.1:1)"]
        gifts.close()


# The admin server's


@pytest.fixture
def admin(tmp_path, free_port):
    made = []

    def make():
        made.append(AdminSockets(str(tmp_path / "admin.sock"), f"127.0.0.1:{free_port}"))
        return made[-1]

    yield make
    for each in made:
        each.close()


def admin_copies(admin):
    return Gifts(
        Given(each.sock.dup(), each.label, each.name, each.slot, each.lent, each.inode) for each in admin.given
    )


def test_the_admin_sockets_of_the_program_before_are_taken_and_its_path_stays(admin, tmp_path):
    old, failed, new = admin(), admin(), admin()
    old.open()
    failed.open(admin_copies(old))
    failed.close()
    path = tmp_path / "admin.sock"
    assert path.exists()
    gifts = admin_copies(old)
    new.open(gifts)
    assert {os.fstat(each.sock.fileno()).st_ino for each in new.given} == {
        os.fstat(each.sock.fileno()).st_ino for each in old.given
    }
    new.keep()
    old.hand_over(gifts.taken)
    assert path.exists()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    new.close()
    assert not path.exists()


def test_a_second_program_that_was_given_nothing_is_refused(admin):
    admin().open()
    with pytest.raises(AdminError, match="another gatekeeper listens there"):
        admin().open()


def test_the_admin_socket_of_the_service_manager_is_used_and_left_alone(admin, tmp_path):
    path = str(tmp_path / "admin.sock")
    with server(address=path, family=socket.AF_UNIX) as sock:
        made = admin()
        made.open(Gifts([Given(sock.dup(), "admin", lent=True)]))
        assert os.fstat(made.given[0].sock.fileno()).st_ino == os.fstat(sock.fileno()).st_ino
        made.keep()
        made.close()
    assert os.path.exists(path)  # noqa: PTH110
