"""The worker's end of the channel: what each message does, and what it answers."""

import asyncio
import gc
import os
from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.channel import Decoder, encode
from gatekeeper.control.fleet import publish
from gatekeeper.core.model import Backend, Definition, Log, Service, Settings, State, Version
from gatekeeper.core.reload import initial_state
from gatekeeper.dataplane import worker as module
from gatekeeper.dataplane.downstream import Downstream
from gatekeeper.dataplane.process import report_exception, resident_bytes
from gatekeeper.dataplane.roster import Roster
from gatekeeper.dataplane.worker import Control, Worker
from gatekeeper.telemetry import block as cells
from gatekeeper.telemetry.block import Block
from tests.dataplane.wires import HandLoop, Wire
from tests.dataplane.world import GET, Message

SLOTS = {"shop": {"blue": 2, "green": 3}, "blog": {"blue": 4, "green": 5}}
READY = {"type": "backends", "states": {}}
NEVER_HEARD_OF = {"type": "from-the-future", "x": 1}


class Pipe:
    """The channel's transport; what the worker sent is decoded."""

    def __init__(self):
        self.closed = False
        self.unread = 0
        self._data = b""

    def write(self, data):
        self._data += data

    def is_closing(self):
        return self.closed

    def get_write_buffer_size(self):
        return self.unread

    def close(self):
        self.closed = True

    def sent(self):
        data, self._data = self._data, b""
        return Decoder().feed(data)


class Post:
    """A worker with nothing to listen on, and its supervisor's hand."""

    def __init__(self, block):
        self.block = block
        self.worker = Worker(block, [], [])
        self.control: Control = self.worker._control
        self.pipe = Pipe()
        self.control.connection_made(self.pipe)

    async def tell(self, *messages):
        """The messages in one read; then what is answered within two turns."""
        self.control.data_received(b"".join(map(encode, messages)))
        for _ in range(5):
            await asyncio.sleep(0)
        return self.pipe.sent()

    @property
    def plane(self):
        return self.worker._plane


@pytest.fixture
async def post(monkeypatch):
    monkeypatch.setattr(module, "LAST_ACCEPTS_SECONDS", 0)
    monkeypatch.setattr(module, "DRAIN_LOOK_SECONDS", 0)
    block = Block.create(8)
    made = Post(block)
    yield made
    for task in list(made.worker._tasks):
        task.cancel()
    await asyncio.gather(*made.worker._tasks, return_exceptions=True)
    gc.unfreeze()
    made.worker._log.close()
    block.close()


def state(*names, revision=1, blue=100, settings=None):
    services = {
        name: Service(
            name,
            {each: Version(each, (Backend(f"http://{name}-{each}:80"),)) for each in ("blue", "green")},
            "blue",
            {"blue": Decimal(blue), "green": Decimal(100 - blue)},
            hosts=(f"{name}.test",),
        )
        for name in names
    }
    settings = settings or Settings(log=Log(access="off"), workers=1)
    return initial_state(Definition(settings, services), {}, revision, "ab" * 32, 0.0)[0]


def known(post):
    return {name: str(each.versions["blue"].weight) for name, each in post.plane.snapshot.table.services.items()}


async def test_a_whole_state_is_routed_by_then_acknowledged(post):
    assert await post.tell(publish.whole(state("shop", revision=4), SLOTS)) == [{"type": "ack", "revision": 4}]
    assert known(post) == {"shop": "100"}
    assert post.block.integers[cells.REVISION] == 4


async def test_it_listens_once_it_has_a_state_and_the_first_picture_of_the_backends(post):
    assert await post.tell(READY) == []
    await post.tell(publish.whole(state("shop"), SLOTS))
    assert await post.tell(READY) == [{"type": "ready", "pid": os.getpid()}]
    assert await post.tell(READY) == [], "once"


async def test_a_change_touches_only_the_services_it_names(post):
    first = state("shop", "blog")
    await post.tell(publish.whole(first, SLOTS))
    before = post.plane.snapshot.table.services
    second = State(2, first.settings, {**first.services, "shop": state("shop", blue=30).services["shop"]})
    assert await post.tell(publish.changes(first, second, SLOTS)) == [{"type": "ack", "revision": 2}]
    assert known(post) == {"shop": "30", "blog": "100"}
    assert post.plane.snapshot.table.services["blog"] is before["blog"]


async def test_a_service_sent_without_a_definition_keeps_the_one_it_has(post):
    first = state("shop")
    await post.tell(publish.whole(first, SLOTS))
    shop = replace(first.services["shop"], running=state("shop", blue=30).services["shop"].running)
    message = publish.changes(first, State(2, first.settings, {"shop": shop}), SLOTS)
    assert "definition" not in message["services"]["shop"]["state"]
    assert await post.tell(message) == [{"type": "ack", "revision": 2}]
    assert known(post) == {"shop": "30"}
    nobodys = {**message, "base": 2, "revision": 3, "services": {"blog": message["services"]["shop"]}}
    assert (await post.tell(nobodys))[0]["type"] == "nack", "a service nobody has defined yet"


async def test_a_removed_service_is_gone_and_its_address_answers_404(post):
    first = state("shop", "blog")
    await post.tell(publish.whole(first, SLOTS))
    second = State(2, first.settings, {"shop": first.services["shop"]})
    await post.tell(publish.changes(first, second, SLOTS))
    assert known(post) == {"shop": "100"}
    loop = HandLoop()
    wire = Wire(loop, Downstream(post.plane, loop), ("203.0.113.9", 1))
    wire.send(GET.replace(b"shop", b"blog"))
    post.plane.flush()
    assert Message.read(wire.out).status == 404
    wire.reset()


async def test_settings_change_with_a_change(post):
    first = state("shop")
    await post.tell(publish.whole(first, SLOTS))
    settings = replace(first.settings, trusted_proxies=("10.0.0.0/8",))
    await post.tell(publish.changes(first, replace(first, revision=2, settings=settings), SLOTS))
    assert post.plane.trusts("10.0.0.1")


async def test_a_change_of_another_base_is_refused_and_the_old_table_goes_on(post):
    first = state("shop", revision=1)
    await post.tell(publish.whole(first, SLOTS))
    third = publish.changes(replace(first, revision=2), state("shop", revision=3, blue=1), SLOTS)
    (answer,) = await post.tell(third)
    assert (answer["type"], answer["revision"]) == ("nack", 3)
    assert "revision 2" in answer["why"]
    assert known(post) == {"shop": "100"}
    assert post.block.integers[cells.REVISION] == 1


@pytest.mark.parametrize(
    "spoil",
    [lambda message: message["services"].update(shop={"state": {}, "slots": {}}),
     lambda message: message["services"]["shop"].update(slots={}),
     lambda message: message.update(settings={"nonsense": 1}), lambda message: message["services"].update(shop=7)],
)  # fmt: skip
async def test_a_state_that_makes_no_sense_is_refused_and_the_old_table_goes_on(post, spoil):
    await post.tell(publish.whole(state("shop"), SLOTS))
    message = publish.whole(state("shop", revision=2, blue=1), SLOTS)
    spoil(message)
    (answer,) = await post.tell(message)
    assert (answer["type"], answer["revision"]) == ("nack", 2)
    assert known(post) == {"shop": "100"}
    assert await post.tell(publish.whole(state("shop", revision=3), SLOTS)) == [{"type": "ack", "revision": 3}]


async def test_backends_change_who_is_ready(post):
    await post.tell(publish.whole(state("shop"), SLOTS), READY)
    picture = {"shop": {"blue": {"http://shop-blue:80": "ejected"}}}
    await post.tell(publish.backends(picture, {}))
    assert post.plane.snapshot.ready[2:4] == [0, 1]
    await post.tell(publish.whole(state("shop", revision=2), SLOTS))
    assert post.plane.snapshot.ready[2:4] == [0, 1], "a new table does not make a backend healthy"


async def test_a_ping_is_answered_with_what_there_is_to_tell(post):
    (pong,) = await post.tell({"type": "ping", "n": 5})
    assert (pong["type"], pong["n"], pong["connections"], pong["in_flight"]) == ("pong", 5, 0, 0)
    await post.tell(publish.whole(state("shop"), SLOTS))
    loop = HandLoop()
    wire = Wire(loop, Downstream(post.plane, loop), ("203.0.113.9", 1))
    (pong,) = await post.tell({"type": "ping", "n": 6})
    assert (pong["n"], pong["connections"]) == (6, 1)
    assert pong["rss"] > 1_000_000
    wire.reset()


async def test_a_message_of_a_later_version_is_passed_over(post):
    assert [each["type"] for each in await post.tell(NEVER_HEARD_OF, {"type": "ping", "n": 1})] == ["pong"]


async def test_a_drain_of_nobody_ends_at_once_and_reports(post):
    await post.tell(publish.whole(state("shop"), SLOTS), READY)
    assert await post.tell({"type": "drain", "seconds": 5}) == [{"type": "drained", "cut": 0, "finished": 0}]
    await asyncio.wait_for(post.worker._ended.wait(), 5)


async def test_what_outlasts_a_drain_is_cut_and_reported(post):
    await post.tell(publish.whole(state("shop"), SLOTS), READY)
    loop = HandLoop()
    wire = Wire(loop, Downstream(post.plane, loop), ("203.0.113.9", 1))
    post.plane.in_flight += 1
    post.control.data_received(encode({"type": "drain", "seconds": 0.01}))
    await asyncio.wait_for(post.worker._ended.wait(), 5)
    assert post.pipe.sent()[-1] == {"type": "drained", "cut": 1, "finished": 0}
    loop.run()
    assert wire.lost


async def test_a_worker_without_its_supervisor_serves_on(post):
    await post.tell(publish.whole(state("shop"), SLOTS), READY)
    post.control.connection_lost(None)
    await asyncio.sleep(0)
    assert not post.worker._ended.is_set()
    assert known(post) == {"shop": "100"}
    post.worker._asked_to_end()
    await asyncio.wait_for(post.worker._ended.wait(), 5)


async def test_a_worker_that_never_served_ends_with_its_supervisor(post):
    post.control.connection_lost(None)
    assert post.worker._ended.is_set()


async def test_while_the_supervisor_lives_a_signal_ends_nothing(post):
    await post.tell(publish.whole(state("shop"), SLOTS), READY)
    post.worker._asked_to_end()
    await asyncio.sleep(0)
    assert not post.plane.draining


async def test_a_broken_channel_is_left_and_traffic_goes_on(post, capsys):
    await post.tell(publish.whole(state("shop"), SLOTS), READY)
    post.control.data_received(b"\xff\xff\xff\xff")
    assert post.pipe.closed
    assert "serving on without it" in capsys.readouterr().err
    assert known(post) == {"shop": "100"}


async def test_a_sweep_that_fails_is_told_and_does_not_end_the_keeping_of_time(post, monkeypatch):
    monkeypatch.setattr("gatekeeper.dataplane.plane.SWEEP_SECONDS", 0)
    await post.tell(publish.whole(state("shop"), SLOTS))
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    swept = asyncio.Event()
    outcomes = iter([RuntimeError("first")])

    def sweep(_roster, _now):
        for error in outcomes:
            raise error
        swept.set()

    monkeypatch.setattr(Roster, "sweep", sweep)
    await asyncio.wait_for(swept.wait(), 5)
    assert [str(error) for error in told] == ["first"]


def test_an_unexpected_error_is_told_with_its_place(capsys):
    try:
        int("lost")
    except ValueError as error:
        report_exception(None, {"message": "Fatal", "exception": error})
    text = capsys.readouterr().err
    assert "Fatal" in text
    assert "test_an_unexpected_error_is_told_with_its_place" in text
    report_exception(None, {"message": "no exception"})
    assert "no exception" in capsys.readouterr().err


def test_memory_is_told_in_bytes():
    assert 1_000_000 < resident_bytes() < 1 << 40
