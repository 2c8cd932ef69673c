"""The worker's end of the channel, for judges: what it is told to record, and when it tells."""

import time

import pytest

from gatekeeper.channel import encode
from gatekeeper.control.fleet import publish
from gatekeeper.dataplane import plane, sending
from gatekeeper.dataplane import worker as module
from gatekeeper.dataplane.downstream import Downstream
from tests.dataplane.test_worker import READY, SLOTS, post, state
from tests.dataplane.wires import HandLoop, Wire
from tests.dataplane.world import GET

__all__ = ["post"]


@pytest.fixture(autouse=True)
def _no_sweeps(monkeypatch):
    """The test alone says when time is looked at."""
    monkeypatch.setattr(plane, "SWEEP_SECONDS", 3600)


def case(**changes):
    made = {
        "release": 1, "service": "shop", "stable": "blue", "candidate": "green", "units": False,
        "origin": time.monotonic() - 100.5, "tolerate": [0.05, 0.002], "slow": None, "routes": [], "seen": None,
    }  # fmt: skip
    return made | changes


def of(messages, kind="seconds"):
    return [message["of"] for message in messages if message["type"] == kind]


async def serving(post, *cases):
    await post.tell(publish.whole(state("shop"), SLOTS), READY, {"type": "judge", "cases": list(cases)})
    post.pipe.sent()


async def test_it_tells_how_far_all_is_sealed_also_when_nothing_happened(post, monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr(module, "monotonic", lambda: now)
    await serving(post, case(origin=now - 100.5))
    post.worker._flush()
    assert of(post.pipe.sent()) == [[[1, "shop", 99, []]]]
    post.worker._flush()
    assert of(post.pipe.sent()) == [], "once a second"


async def test_without_cases_it_tells_nothing(post):
    await serving(post)
    post.worker._flush()
    assert post.pipe.sent() == []


async def test_cases_before_the_first_state_are_none(post):
    assert await post.tell({"type": "judge", "cases": [case()]}) == []


async def test_a_supervisor_that_does_not_read_is_told_when_it_does_again(post):
    await serving(post, case())
    post.pipe.unread = module.MAX_UNREAD + 1
    post.worker._flush()
    assert post.pipe.sent() == []
    post.pipe.unread = 0
    post.worker._flush()
    assert len(of(post.pipe.sent())) == 1


async def test_a_worker_that_drains_tells_the_rest_before_it_says_so(post, monkeypatch):
    async def connect(*_):
        raise ConnectionRefusedError

    monkeypatch.setattr(sending, "connect", connect)
    await serving(post, case())
    loop = HandLoop()
    wire = Wire(loop, Downstream(post.plane, loop), ("203.0.113.9", 1))
    wire.send(GET, run=False)
    post.control.data_received(encode({"type": "drain", "seconds": 0.01}))
    await post.worker._ended.wait()
    seconds, drained = post.pipe.sent()[-2:]
    assert (seconds["type"], drained["type"]) == ("seconds", "drained")
    ((_, _, upto, (part,)),) = seconds["of"]
    assert (part["excluded"], part["stable"]) == (1, [1, 0, 0])
    assert part["at"] == upto >= 100, "the present second is over, too"
    loop.run()


async def test_nothing_is_recorded_for_a_supervisor_that_is_gone(post):
    await serving(post, case())
    post.control.connection_lost(None)
    post.worker._flush()
    assert post.plane.dockets.look(time.monotonic() + 5, ()) == []
