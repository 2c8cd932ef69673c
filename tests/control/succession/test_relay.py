"""Messages and descriptors between two supervisors, over a real socketpair."""

import asyncio
import os
import socket

import pytest

from gatekeeper.control.succession.relay import AT_ONCE, Relay, RelayError


@pytest.fixture
def ends():
    made = [Relay(sock) for sock in socket.socketpair()]
    yield made
    for end in made:
        end.close()


def read(descriptor):
    try:
        return os.pread(descriptor, 100, 0)
    finally:
        os.close(descriptor)


def file_of(content):
    descriptor = os.memfd_create("test")
    os.write(descriptor, content)
    return descriptor


async def test_descriptors_arrive_in_order_with_their_messages_and_are_not_inherited(ends):
    ours, theirs = ends
    files = [file_of(b"%d" % number) for number in range(2 * AT_ONCE)]
    await ours.send({"type": "first"}, files[:AT_ONCE])
    await ours.send({"type": "second"}, files[AT_ONCE:])
    assert (await theirs.receive())["type"] == "first"
    assert (await theirs.receive())["type"] == "second"
    came = theirs.descriptors(2 * AT_ONCE)
    assert not any(map(os.get_inheritable, came))
    assert [read(each) for each in came] == [b"%d" % number for number in range(2 * AT_ONCE)]
    for file in files:
        os.close(file)


async def test_a_message_larger_than_the_sockets_buffer_waits_for_its_reader_and_stops_nobody(ends):
    ours, theirs = ends
    file = file_of(b"here")
    sending = asyncio.create_task(ours.send({"type": "large", "text": "x" * 3_000_000}, [file]))
    await asyncio.sleep(0.05)
    assert not sending.done()
    assert len((await theirs.receive())["text"]) == 3_000_000
    await sending
    assert [read(each) for each in theirs.descriptors(1)] == [b"here"]
    os.close(file)


async def test_an_end_that_is_gone_is_an_error_for_who_receives_and_who_sends(ends):
    ours, theirs = ends
    theirs.close()
    with pytest.raises(RelayError, match="gone"):
        await ours.receive()
    with pytest.raises(RelayError, match="gone"):
        await ours.send({"type": "late"})


async def test_nonsense_is_an_error():
    ours, theirs = socket.socketpair()
    relay = Relay(ours)
    theirs.sendall(b"\0\0\0\x04nono")
    with pytest.raises(RelayError, match="nonsense"):
        await relay.receive()
    relay.close()
    theirs.close()


async def test_descriptors_that_did_not_come_are_an_error_and_those_not_wanted_are_closed(ends):
    ours, theirs = ends
    read_end, write_end = os.pipe()
    await ours.send({"type": "one"}, [write_end])
    os.close(write_end)
    await theirs.receive()
    with pytest.raises(RelayError, match="2 descriptors were announced, 1 came"):
        theirs.descriptors(2)
    theirs.close()
    assert os.read(read_end, 1) == b""  # nobody holds the other end any more
    os.close(read_end)
