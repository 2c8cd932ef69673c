"""What is given is what is received, and what is not wanted is closed."""

import os
import socket

import pytest

from gatekeeper.control.fleet.orphans import Identity
from gatekeeper.control.succession.estate import Estate, LeftBlock, give, receive
from gatekeeper.control.succession.given import Given
from gatekeeper.control.succession.relay import Relay, RelayError


@pytest.fixture
def ends():
    made = [Relay(sock) for sock in socket.socketpair()]
    yield made
    for end in made:
        end.close()


async def test_everything_arrives_as_it_was(ends):
    ours, theirs = ends
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(70)]  # more than go with one frame
    block = os.memfd_create("block")
    estate = Estate(
        pid=7,
        version="1",
        state_path="/s",
        drain=30.0,
        restarts=3,
        counters={"ejections": [["shop", "blue", "check", 2]]},
        names={2: ("shop", "blue")},
        picture={"shop": {"blue": {"http://b": "ready"}}},
        sockets=[Given(sock, "label", f"name{i}", i, lent=i == 1, inode=i) for i, sock in enumerate(socks)],
        blocks=[LeftBlock(block, (Identity(1, 2),)), LeftBlock(block)],
    )
    await give(ours, estate)
    found = await receive(theirs)
    assert [(each.label, each.name, each.slot, each.lent, each.inode) for each in found.sockets] == [
        (each.label, each.name, each.slot, each.lent, each.inode) for each in estate.sockets
    ]
    assert [each.sock.getsockname() for each in found.sockets] == [sock.getsockname() for sock in socks]
    assert [each.users for each in found.blocks] == [(Identity(1, 2),), ()]
    for fact in ("pid", "version", "state_path", "drain", "restarts", "counters", "names", "picture"):
        assert getattr(found, fact) == getattr(estate, fact)
    found.close()
    for sock in socks:
        sock.close()
    os.close(block)


async def test_an_estate_that_is_cut_off_is_closed_and_told(ends):
    ours, theirs = ends
    read_end, write_end = os.pipe()
    facts = {
        "pid": 1,
        "version": "",
        "state": "",
        "drain": 0,
        "restarts": 0,
        "counters": {},
        "names": [],
        "picture": {},
    }
    await ours.send({"type": "estate", **facts, "things": 2})
    await ours.send({"type": "things", "things": [{"thing": "block", "users": []}]}, [write_end])
    os.close(write_end)
    ours.close()
    with pytest.raises(RelayError, match="gone"):
        await receive(theirs)
    assert os.read(read_end, 1) == b""
    os.close(read_end)


async def test_an_estate_that_makes_no_sense_is_refused_with_the_way_out(ends):
    ours, theirs = ends
    await ours.send({"type": "estate", "pid": "many"})
    with pytest.raises(RelayError, match=r"cannot be read.*restart instead"):
        await receive(theirs)
