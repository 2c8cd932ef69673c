"""Who is to be told is told, signed and in order; a dead receiver is tried for an hour and holds up nobody."""

import asyncio
import hashlib
import hmac
import json
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from gatekeeper.clock import ManualClock
from gatekeeper.control.releases import notify as module
from gatekeeper.control.releases.notify import Notifier, shown, signature, wants
from gatekeeper.control.store.rows import Event
from gatekeeper.core.release.plan import Notify

SECRET = "a-secret-of-32-characters-or-more"
WALL = 1_700_000_000.0


@pytest.fixture(autouse=True)
def _short_looks(monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.002)


def event(number, kind="release_step", **data):
    return Event(number, WALL, kind, 100 + number, {"text": f"text {number}", **data})


@dataclass
class Receiver:
    """Answers with ``statuses``, one after the other, then 204; keeps what it got."""

    statuses: list[int] = field(default_factory=list)
    got: list[tuple[web.Request, bytes]] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def take(self, request):
        body = await request.read()
        self.got.append((request, body))
        if self.hold is not None:
            await self.hold.wait()
        status = self.statuses.pop(0) if self.statuses else 204
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 307 else {})

    @property
    def ids(self):
        return [json.loads(body)["id"] for _, body in self.got]


@pytest.fixture
async def receiver(aiohttp_server):
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.take)
    made.url = str((await aiohttp_server(app)).make_url("/hook?team=a"))
    yield made
    if made.hold is not None:
        made.hold.set()


@dataclass
class World:
    clock: ManualClock
    targets: list[Notify]
    told: list[dict]
    notifier: Notifier
    chance: float = 0.5

    def document(self, at=0):
        return self.notifier.documents()[at]


@pytest.fixture
async def world():
    clock = ManualClock(wall=WALL)
    made = World(clock, [], [], None)
    made.notifier = Notifier(lambda: made.targets, made.told.append, clock, chance=lambda: made.chance)
    made.notifier.start()
    yield made
    await made.notifier.stop()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in the program, which has no hook for it
            await asyncio.sleep(0.002)


async def quiet():
    await asyncio.sleep(0.03)


async def test_an_event_is_sent_as_json_with_a_signature_that_the_receiver_can_check(world, receiver):
    world.targets = [Notify(receiver.url, SECRET)]
    world.notifier.hear(event(7, "release_promoted"))
    await until(lambda: receiver.got)
    request, body = receiver.got[0]
    assert (request.method, request.path_qs) == ("POST", "/hook?team=a")
    assert json.loads(body) == {"id": 7, "at": WALL, "kind": "release_promoted", "revision": 107, "text": "text 7"}
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["X-Gatekeeper-Event"] == "release_promoted"
    assert request.headers["X-Gatekeeper-Delivery"] == "7"
    parts = dict(part.split("=") for part in request.headers["X-Gatekeeper-Signature"].split(","))
    expected = hmac.new(SECRET.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert (parts["t"], parts["v1"]) == (str(int(WALL)), expected)


def test_a_signature_depends_on_secret_body_and_moment():
    given = signature("s" * 16, b"body", 1000)
    # printf '1000.body' | openssl dgst -sha256 -hmac ssssssssssssssss
    assert given == "t=1000,v1=7f9e3e21e90347c00e479561cf3617be2de955434e8771ca15ef63ee3d782896"
    assert len({given, signature("t" * 16, b"body", 1000), signature("s" * 16, b"Body", 1000)}) == 3
    assert given.partition("v1=")[2] != signature("s" * 16, b"body", 1001).partition("v1=")[2]


async def test_without_a_secret_nothing_is_signed(world, receiver):
    world.targets = [Notify(receiver.url)]
    world.notifier.hear(event(1))
    await until(lambda: receiver.got)
    assert "X-Gatekeeper-Signature" not in receiver.got[0][0].headers


@pytest.mark.parametrize(
    ("kind", "by_default"),
    [
        ("release_started", True),
        ("release_retention_over", True),
        ("rollback", True),
        ("tripped", True),
        ("split", False),
        ("backend_ejected", False),
        ("notify_failed", False),
    ],
)
def test_it_is_told_what_it_names_or_else_all_of_releases(kind, by_default):
    assert wants(Notify("http://x"), kind) is by_default
    assert wants(Notify("http://x", events=("split", kind)), kind) is (kind != "notify_failed")
    assert not wants(Notify("http://x", events=("other",)), kind)


async def test_events_come_one_after_the_other_in_their_order(world, receiver):
    world.targets = [Notify(receiver.url)]
    receiver.statuses = [500]
    for number in range(1, 6):
        world.notifier.hear(event(number))
    await until(lambda: receiver.ids == [1])
    await quiet()
    assert receiver.ids == [1], "the second waits for the first"
    world.clock.advance(2)
    await until(lambda: world.document()["delivered"] == 5)
    assert receiver.ids == [1, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_2xx_counts(world, receiver, status):
    world.targets = [Notify(receiver.url)]
    receiver.statuses = [status]
    world.notifier.hear(event(1))
    await until(lambda: world.document()["delivered"] == 1)
    assert world.document() == {
        "url": shown(receiver.url),
        "events": [],
        "state": "ok",
        "reason": "",
        "since": None,
        "tries": 0,
        "waiting": 0,
        "delivered": 1,
        "dropped": 0,
        "last": WALL,
    }


async def test_it_is_tried_ever_more_slowly_with_a_new_moment_in_each_signature_and_then_dropped(world, receiver):
    world.targets = [Notify(receiver.url, SECRET)]
    receiver.statuses = [503] * 100
    world.notifier.hear(event(3))
    waits = [1, 4, 16, 64, 256, 600, 600, 600, 600]
    for tries, wait in enumerate(waits, start=1):
        await until(lambda known=tries: world.document()["tries"] == known)
        world.clock.advance(wait - 0.1)
        await asyncio.sleep(0.01)
        assert len(receiver.got) == tries
        world.clock.advance(0.2)
    await until(lambda: world.told)
    assert len(receiver.got) == 10
    assert len({request.headers["X-Gatekeeper-Signature"] for request, _ in receiver.got}) == 10
    assert {request.headers["X-Gatekeeper-Delivery"] for request, _ in receiver.got} == {"3"}
    assert world.told == [
        {
            "kind": "notify_failed",
            "url": shown(receiver.url),
            "of": "release_step",
            "event_id": 3,
            "tries": 10,
            "dropped": 1,
            "reason": "answered 503",
        }
    ]
    assert {key: world.document()[key] for key in ("state", "reason", "since", "waiting", "dropped")} == {
        "state": "failing",
        "reason": "answered 503",
        "since": WALL,
        "waiting": 0,
        "dropped": 1,
    }


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 0.8), (1.0, 1.2)])
async def test_waits_differ_by_chance(world, receiver, chance, wait):
    world.chance = chance
    world.targets = [Notify(receiver.url)]
    receiver.statuses = [500]
    world.notifier.hear(event(1))
    await until(lambda: world.document()["tries"] == 1)
    world.clock.advance(wait - 0.05)
    await quiet()
    assert len(receiver.got) == 1
    world.clock.advance(0.1)
    await until(lambda: world.document()["delivered"] == 1)


async def test_what_waited_an_hour_is_dropped_with_it_and_one_event_says_so(world, receiver):
    world.targets = [Notify(receiver.url)]
    receiver.hold = asyncio.Event()
    receiver.statuses = [500]
    world.notifier.hear(event(1))
    await until(lambda: receiver.got)
    for number in range(2, 6):
        world.notifier.hear(event(number))
    world.clock.advance(1800)
    world.notifier.hear(event(6))
    world.clock.advance(1801)
    receiver.hold.set()
    await until(lambda: world.document()["delivered"] == 1)
    assert receiver.ids == [1, 6]
    assert [(each["event_id"], each["tries"], each["dropped"]) for each in world.told] == [(1, 1, 5)]
    assert world.document()["state"] == "ok"


async def test_no_more_than_so_many_wait_and_the_oldest_go(world, receiver, monkeypatch):
    monkeypatch.setattr(module, "QUEUE", 3)
    world.targets = [Notify(receiver.url)]
    receiver.hold = asyncio.Event()
    world.notifier.hear(event(1))
    await until(lambda: receiver.got)
    for number in range(2, 8):
        world.notifier.hear(event(number))
    assert (world.document()["waiting"], world.document()["dropped"]) == (4, 3)
    receiver.hold.set()
    await until(lambda: world.document()["delivered"] == 4)
    assert receiver.ids == [1, 5, 6, 7]


async def test_a_dead_receiver_holds_up_no_other(world, receiver, free_port):
    world.targets = [Notify(f"http://127.0.0.1:{free_port}/"), Notify(receiver.url)]
    for number in range(1, 4):
        world.notifier.hear(event(number))
    await until(lambda: world.document(1)["delivered"] == 3)
    await until(lambda: world.document(0)["tries"] == 1)
    dead = world.document(0)
    assert (dead["state"], dead["reason"], dead["waiting"]) == ("failing", "connection refused", 3)


async def test_one_that_takes_the_event_and_never_answers_is_tried_again(world, receiver, monkeypatch):
    monkeypatch.setattr(module, "TRY_SECONDS", 0.05)
    world.targets = [Notify(receiver.url)]
    receiver.hold = asyncio.Event()
    world.notifier.hear(event(1))
    await until(lambda: world.document()["tries"] == 1)
    assert world.document()["reason"] == "no answer within 0.05 s"


async def test_a_redirect_is_a_failure_since_what_is_signed_is_for_that_address(world, receiver):
    world.targets = [Notify(receiver.url)]
    receiver.statuses = [307]
    world.notifier.hear(event(1))
    await until(lambda: world.document()["tries"] == 1)
    assert world.document()["reason"].startswith("answered 307; redirects are not followed")
    assert len(receiver.got) == 1


async def test_a_reload_changes_who_is_told_and_keeps_what_waits_for_those_that_stay(world, receiver):
    world.targets = [Notify(receiver.url, SECRET)]
    receiver.statuses = [500]
    world.notifier.hear(event(1))
    await until(lambda: world.document()["tries"] == 1)
    world.targets = [Notify(receiver.url, "x" * 32, ("split",))]
    world.notifier.hear(event(2, "split"))
    world.notifier.hear(event(3))
    world.clock.advance(2)
    await until(lambda: world.document()["delivered"] == 2)
    assert receiver.ids == [1, 1, 2]
    request, body = receiver.got[-1]
    assert request.headers["X-Gatekeeper-Signature"] == signature("x" * 32, body, int(WALL) + 2)
    world.targets = []
    world.notifier.hear(event(4, "split"))
    await quiet()
    assert (receiver.ids, world.notifier.documents()) == ([1, 1, 2], [])


async def test_it_ends_at_once_whatever_is_under_way(world, receiver):
    world.targets = [Notify(receiver.url)]
    receiver.hold = asyncio.Event()
    world.notifier.hear(event(1))
    await until(lambda: receiver.got)
    await asyncio.wait_for(world.notifier.stop(), 1)
    world.notifier.hear(event(2))
    assert world.notifier.documents() == []


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://hooks.slack.com/services/T0/B0/XXXX", "https://hooks.slack.com/services/…"),
        ("https://user:pw@host:8443/a?token=b", "https://host:8443/a/…"),
        ("http://host", "http://host/"),
        ("http://host/?key=1", "http://host//…"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_secret(url, text):
    assert shown(url) == text


async def test_the_feed_tells_it_everything_in_order_and_waits_for_nothing(world, receiver, tmp_path, world_of):
    world.targets = [Notify(receiver.url, events=("split", "tokens_changed"))]
    receiver.hold = asyncio.Event()
    async with world_of(tmp_path / "state.db") as control:
        control.feed.listeners.append(world.notifier.hear)
        await control.controller.submit(control.split(blue=90, green=10))
        control.feed.tell({"kind": "tokens_changed"})
        await control.feed.flush()
        receiver.hold.set()
        await until(lambda: world.document()["delivered"] == 2)
        assert [json.loads(body)["kind"] for _, body in receiver.got] == ["split", "tokens_changed"]
        stored = [each.document() for each in await control.store.last_events(2)]
        assert [json.loads(body) for _, body in receiver.got] == json.loads(json.dumps(stored))
