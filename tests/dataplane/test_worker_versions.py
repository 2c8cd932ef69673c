"""Messages about versions and backends: who is new, who fails, who leaves; and what holds when nobody tells."""

import asyncio
from dataclasses import replace

import pytest

from gatekeeper.channel import encode
from gatekeeper.control.fleet import publish
from gatekeeper.dataplane.downstream import Downstream
from gatekeeper.dataplane.ending import Ending
from tests.dataplane.test_worker import READY, SLOTS, post, state
from tests.dataplane.wires import HandLoop, Wire
from tests.dataplane.world import GET, OK

__all__ = ["post"]

URL = "http://shop-blue:80"
LEAVE = {"type": "leave", "service": "shop", "version": "blue", "seconds": 30}


def blue(post):
    return {each.id: each for each in post.plane.backends.all() if each.key[:2] == ("shop", "blue")}


class Talk:
    """A client with a request under way on a backend made by hand."""

    def __init__(self, post):
        self.loop = HandLoop()
        post.plane._call_soon = self.loop.call_soon
        self.client = Wire(self.loop, Downstream(post.plane, self.loop), ("203.0.113.9", 1))

        async def connect(_, loop, factory):
            self.backend = Wire(loop, factory(), ("10.0.0.1", 80))

        self.connect = connect

    def ask(self, monkeypatch):
        monkeypatch.setattr("gatekeeper.dataplane.sending.connect", self.connect)
        self.client.send(GET)


@pytest.fixture
def talk(post, monkeypatch):
    made = []

    def begin():
        talk = Talk(post)
        made.append(talk)
        talk.ask(monkeypatch)
        return talk

    yield begin
    for each in made:
        each.client.reset()
        for wire in (each.client, each.backend):
            wire.discard()


async def serving(post):
    await post.tell(publish.whole(state("shop"), SLOTS), READY)


async def test_a_picture_names_addresses_and_says_who_is_new(post):
    first = state("shop")
    definition = replace(first.services["shop"].definition, slow_start=5.0)
    slow = replace(first, services={"shop": replace(first.services["shop"], definition=definition)})
    await post.tell(publish.whole(slow, SLOTS), READY)
    picture = {"shop": {"blue": {f"{URL}#10.0.0.1": "ready", f"{URL}#10.0.0.2": "ready"}}}
    await post.tell(publish.backends(picture, {"shop": {"blue": {f"{URL}#10.0.0.2": 1.0}}}))
    assert set(blue(post)) == {f"{URL}#10.0.0.1", f"{URL}#10.0.0.2"}
    assert post.plane.snapshot.ready[2] == 2
    assert blue(post)[f"{URL}#10.0.0.2"].factor == pytest.approx(0.2, abs=0.05)


async def test_a_picture_without_a_word_of_who_is_new_is_taken(post):
    await serving(post)
    await post.tell({"type": "backends", "states": {"shop": {"blue": {URL: "ejected"}}}})
    assert post.plane.snapshot.ready[2] == 0


async def test_what_failed_is_told_with_the_next_sweep_and_once(post, talk):
    await serving(post)
    one = talk()
    one.backend.send(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
    post.worker._flush()
    assert post.pipe.sent() == [{"type": "outcomes", "backends": [["shop", "blue", URL, 1, 1, "answered 503"]]}]
    post.worker._flush()
    assert post.pipe.sent() == []


async def test_while_nothing_fails_nothing_is_told(post, talk):
    await serving(post)
    one = talk()
    one.backend.send(OK)
    post.worker._flush()
    assert post.pipe.sent() == []


async def test_a_version_with_nothing_to_do_has_left_at_once(post):
    answer = {"type": "left", "service": "shop", "version": "blue", "finished": 0, "cut": 0}
    assert await post.tell(LEAVE) == [answer], "also before there is a state"
    await serving(post)
    assert await post.tell(LEAVE) == [answer]
    assert await post.tell({**LEAVE, "version": "red"}) == [{**answer, "version": "red"}]


async def test_a_version_has_left_when_its_requests_have_ended_and_says_so_once(post, talk):
    await serving(post)
    one = talk()
    assert await post.tell(LEAVE) == []
    one.backend.send(OK)
    post.plane.sweep(0.0)
    post.plane.sweep(0.0)
    assert post.pipe.sent() == [{"type": "left", "service": "shop", "version": "blue", "finished": 1, "cut": 0}]


async def test_a_version_that_is_leaving_when_the_worker_ends_is_answered_for(post, talk):
    await serving(post)
    talk()
    await post.tell(LEAVE)
    post.control.data_received(encode({"type": "drain", "seconds": 0.01}))
    await asyncio.wait_for(post.worker._ended.wait(), 5)
    assert post.pipe.sent() == [
        {"type": "left", "service": "shop", "version": "blue", "finished": 0, "cut": 1},
        {"type": "drained", "cut": 1, "finished": 0},
    ]
    post.plane.sweep(0.0)
    assert post.pipe.sent() == [], "by a last sweep not again"


async def test_an_orphan_tries_what_was_ejected_rather_than_refusing_everybody(post):
    await serving(post)
    picture = {"shop": {"blue": {URL: "ejected"}, "green": {"http://shop-green:80": "ejected"}}}
    await post.tell(publish.backends(picture, {}))
    assert post.plane.snapshot.ready[2:4] == [0, 0]
    post.control.connection_lost(None)
    assert post.plane.snapshot.ready[2:4] == [1, 1]
    assert not post.worker._ended.is_set()


async def test_an_orphan_that_fails_tells_nobody_and_goes_on(post, talk):
    await serving(post)
    post.control.connection_lost(None)
    post.pipe.closed = True
    one = talk()
    one.backend.send(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
    post.worker._flush()
    assert post.pipe.sent() == []


async def test_a_claim_is_given_back_uncounted_where_the_version_left(post, talk, monkeypatch):
    await serving(post)
    failed = []
    monkeypatch.setattr(Ending, "settle", lambda *_: failed.append(1))
    talk()
    await post.tell({**LEAVE, "seconds": 0})
    assert post.pipe.sent() == []
    assert [each.in_flight for each in blue(post).values()] == [0]
    assert failed == []
