"""What becomes of listening sockets when a worker leaves: its own end with it, those of others live on unharmed."""

import asyncio
import gc
import socket
from contextlib import suppress

import pytest

from gatekeeper.channel import encode
from gatekeeper.control.fleet import publish
from gatekeeper.dataplane import worker as module
from gatekeeper.dataplane.worker import Worker
from gatekeeper.telemetry.block import Block
from tests.dataplane.test_worker import READY, SLOTS, Pipe, state

NAMES = ["own", "shared", "lent"]


@pytest.fixture
async def leaving(monkeypatch):
    """A worker that listens on three sockets, and a copy of each as another process would have it."""
    monkeypatch.setattr(module, "LAST_ACCEPTS_SECONDS", 0)
    block = Block.create(8)
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in NAMES]
    copies = dict(zip(NAMES, [sock.dup() for sock in socks], strict=True))
    worker = Worker(block, socks, NAMES, lent=["lent"])
    worker._control.connection_made(Pipe())
    for message in (publish.whole(state("shop"), SLOTS), READY):
        worker._control.data_received(encode(message))
    async with asyncio.timeout(5):
        while len(worker._servers) < len(NAMES):  # noqa: ASYNC110 - nobody tells a test
            await asyncio.sleep(0.001)
    yield worker, copies
    for task in list(worker._tasks):
        task.cancel()
    await asyncio.gather(*worker._tasks, return_exceptions=True)
    gc.unfreeze()
    worker._log.close()
    block.close()
    for sock in (*socks, *copies.values()):
        with suppress(OSError):
            sock.close()


async def admits(copy):
    """Whether a new client gets through to whoever else holds the socket."""
    copy.setblocking(False)
    with socket.socket() as client:
        client.setblocking(False)
        with suppress(TimeoutError, BlockingIOError):
            async with asyncio.timeout(0.3):
                await asyncio.get_running_loop().sock_connect(client, copy.getsockname())
                return True
    return False


@pytest.mark.parametrize(
    ("shared", "live_on"),
    [(False, {"lent"}), (["shared"], {"shared", "lent"}), (True, {"own", "shared", "lent"})],
)
async def test_a_drain_leaves_alone_what_others_accept_from(leaving, shared, live_on):
    worker, copies = leaving
    worker._control.data_received(encode({"type": "drain", "seconds": 5, "shared": shared}))
    await asyncio.wait_for(worker._ended.wait(), 5)
    assert {name for name, copy in copies.items() if await admits(copy)} == live_on


async def test_a_worker_without_supervisor_is_told_by_a_signal_which_of_both_it_is(leaving):
    worker, copies = leaving
    worker._control.connection_lost(None)
    worker._asked_to_leave()
    await asyncio.wait_for(worker._ended.wait(), 5)
    assert {name for name, copy in copies.items() if await admits(copy)} == set(NAMES)


async def test_while_the_supervisor_lives_that_signal_does_nothing(leaving):
    worker, _ = leaving
    worker._asked_to_leave()
    await asyncio.sleep(0)
    assert not worker._plane.draining
