"""The worker's end of the channel, for what is mirrored: what it is told besides the state, and what it tells."""

import time
from dataclasses import replace

import pytest

from gatekeeper.channel import encode
from gatekeeper.control.fleet import publish
from gatekeeper.core.codec import dump
from gatekeeper.core.shadow.model import Mirror
from gatekeeper.dataplane import plane, sending
from gatekeeper.dataplane import worker as module
from gatekeeper.dataplane.downstream import Downstream
from tests.dataplane.test_worker import READY, SLOTS, post, state
from tests.dataplane.wires import HandLoop, Wire
from tests.dataplane.world import GET

__all__ = ["post"]

MIRROR = Mirror("green", percent=100.0)
CHECK = {"type": "mirror", "checks": [["shop", "check-1", dump(MIRROR)]]}


@pytest.fixture(autouse=True)
def _no_sweeps(monkeypatch):
    """The test alone says when time is looked at."""
    monkeypatch.setattr(plane, "SWEEP_SECONDS", 3600)


@pytest.fixture(autouse=True)
def _no_backends(monkeypatch):
    async def connect(*_):
        raise ConnectionRefusedError

    monkeypatch.setattr(sending, "connect", connect)


def told(post):
    """What the supervisor is told of copies."""
    return [message["runs"] for message in post.pipe.sent() if message["type"] == "shadow"]


def shed(post):
    """A request that is not mirrored, because the worker is busy."""
    post.plane.mirroring._busy = True
    loop = HandLoop()
    wire = Wire(loop, Downstream(post.plane, loop), ("203.0.113.9", 1))
    wire.send(GET, run=False)
    wire.reset(run=False)
    loop.run()


async def test_what_a_service_mirrors_comes_with_the_state(post):
    before = state("shop")
    mirroring = before.services["shop"]
    definition = replace(mirroring.definition, mirror=MIRROR)
    after = replace(before, services={"shop": replace(mirroring, definition=definition)})
    await post.tell(publish.whole(before, SLOTS), READY)
    assert post.plane.shadows is None
    await post.tell(publish.whole(replace(after, revision=2), SLOTS))
    assert post.plane.shadows is not None


async def test_a_check_counts_until_it_is_no_longer_named(post):
    await post.tell(publish.whole(state("shop"), SLOTS), READY, CHECK)
    assert post.plane.shadows is not None
    await post.tell(publish.whole(state("shop", revision=2), SLOTS))
    assert post.plane.shadows is not None
    await post.tell({"type": "mirror", "checks": []})
    assert post.plane.shadows is None


async def test_checks_before_the_first_state_are_none(post):
    assert await post.tell(CHECK) == []


async def test_what_came_of_it_is_told_with_the_run(post):
    await post.tell(publish.whole(state("shop"), SLOTS), READY, CHECK)
    shed(post)
    post.worker._flush()
    ((run,),) = told(post)
    service, to, run, tally = run
    assert (service, to, run, tally["outcomes"]) == ("shop", "green", "check-1", {"shed": 1})


async def test_a_supervisor_that_does_not_read_is_told_when_it_does_again(post):
    await post.tell(publish.whole(state("shop"), SLOTS), READY, CHECK)
    shed(post)
    post.pipe.unread = module.MAX_UNREAD + 1
    post.worker._flush()
    assert told(post) == []
    post.pipe.unread = 0
    post.worker._flush()
    assert len(told(post)) == 1


async def test_a_worker_that_drains_tells_the_rest_before_it_says_so(post):
    await post.tell(publish.whole(state("shop"), SLOTS), READY, CHECK)
    shed(post)
    post.control.data_received(encode({"type": "drain", "seconds": 0.01}))
    await post.worker._ended.wait()
    assert [message["type"] for message in post.pipe.sent()][-2:] == ["shadow", "drained"]


async def test_nothing_is_mirrored_for_a_supervisor_that_is_gone(post):
    await post.tell(publish.whole(state("shop"), SLOTS), READY, CHECK)
    post.control.connection_lost(None)
    assert post.plane.shadows is None
    assert post.plane.mirroring.look(time.monotonic() + 5) == []
