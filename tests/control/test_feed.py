"""The feed: one order for everybody, and no watcher slows anybody."""

import asyncio
import json
from types import SimpleNamespace

import aiohttp
import pytest

from gatekeeper.control import feed as module
from gatekeeper.control.api import stream
from gatekeeper.control.api.admin import Admin
from gatekeeper.control.feed import DroppedError, TooManyWatchersError
from gatekeeper.control.store.store import Audit, StoreError


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in the program, which has no hook for it
            await asyncio.sleep(0.005)


async def settled(world, count):
    """Wait until ``count`` events are stored and emitted."""
    await until(lambda: world.feed.latest >= count)


async def test_told_events_are_stored_and_passed_on_in_the_order_told_at_the_time_told(world):
    watcher = world.feed.watch()
    for n in range(3):
        world.feed.tell({"kind": "backend_ready", "n": n})
        world.clock.advance(1)
    events = [await watcher.next(1) for _ in range(3)]
    assert [(event.id, event.data["n"]) for event in events] == [(2, 0), (3, 1), (4, 2)]
    assert [event.at - events[0].at for event in events] == [0, 1, 2]
    assert await world.store.events(after=1) == events


async def test_what_an_operator_must_see_is_logged_above_info(world, caplog):
    with caplog.at_level("INFO", "gatekeeper.events"):
        for kind in ("worker_replaced", "backend_ejected", "reload_refused"):
            world.feed.tell({"kind": kind})
        await settled(world, 4)
    levels = {record.event["kind"]: record.levelname for record in caplog.records}
    assert levels == {"worker_replaced": "INFO", "backend_ejected": "WARNING", "reload_refused": "ERROR"}


async def test_an_event_told_while_a_command_is_under_way_follows_it_in_ids_and_in_the_stream(world):
    watcher = world.feed.watch()
    world.publisher.hold = asyncio.Event()
    command = asyncio.create_task(world.controller.submit(world.split(blue=1, green=1)))
    await asyncio.sleep(0.05)
    world.feed.tell({"kind": "backend_ejected"})
    await asyncio.sleep(0.05)
    assert await watcher.next(0.01) is None, "nothing overtakes the command whose workers are not ready yet"
    world.publisher.hold.set()
    await command
    assert [((event := await watcher.next(1)).id, event.kind) for _ in range(2)] == [
        (2, "split"),
        (3, "backend_ejected"),
    ]


async def test_a_watcher_that_does_not_keep_up_is_dropped_with_a_reason_and_commands_do_not_wait_for_it(world):
    slow, quick = world.feed.watch(), world.feed.watch()
    for n in range(module.QUEUE + 1):
        world.feed.tell({"kind": "x", "n": n})
        if n % 100 == 0:
            await settled(world, n + 2)
            while await quick.next(0.01):
                pass
    await settled(world, module.QUEUE + 2)
    assert [(await slow.next(1)).data["n"] for _ in range(module.QUEUE)] == list(range(module.QUEUE))
    with pytest.raises(DroppedError, match=r"more than 256 events behind; reconnect with Last-Event-ID"):
        await slow.next(1)
    assert world.feed.dropped == 1
    assert await quick.next(1) is not None
    assert (await world.controller.submit(world.split(blue=1, green=1))).state.revision == 2


async def test_watchers_are_bounded_and_a_place_is_free_again_when_one_leaves(world):
    watchers = [world.feed.watch() for _ in range(module.WATCHERS)]
    with pytest.raises(TooManyWatchersError):
        world.feed.watch()
    world.feed.leave(watchers[0])
    world.feed.watch()


async def test_events_that_cannot_be_stored_are_passed_on_without_an_id(world, monkeypatch, caplog):
    async def tell(*_):
        raise StoreError("f", "is full", "free space")

    watcher = world.feed.watch()
    monkeypatch.setattr(world.feed._store, "tell", tell)
    world.feed.tell({"kind": "worker_died", "worker": 1})
    event = await watcher.next(1)
    assert (event.id, event.kind, event.data) == (0, "worker_died", {"worker": 1})
    assert "event not stored" in caplog.text
    assert not stream.encode(event).startswith(b"id:")


async def test_a_store_that_hangs_costs_bounded_memory_and_the_oldest_events(world, monkeypatch):
    async with world.feed.order:
        for n in range(module.BACKLOG + 50):
            world.feed.tell({"kind": "x", "n": n})
            await asyncio.sleep(0) if n == 0 else None
        assert len(world.feed._told) == module.BACKLOG
        assert world.feed.lost == 50
    await settled(world, 1 + module.BACKLOG)
    assert (await world.store.last_events(1))[0].data == {"n": module.BACKLOG + 49}


async def test_stopping_writes_what_was_told(world):
    world.feed.tell({"kind": "worker_died"})
    await world.feed.stop()
    assert (await world.store.last_events(1))[0].kind == "worker_died"


def refusal(n=0):
    return Audit(1.5, "ben", "token", "split", "shop", None, "refused", f"no {n}")


async def audited(world):
    return [row.detail for row in reversed(await world.store.audit(limit=1000)) if row.outcome == "refused"]


async def test_what_is_noted_for_the_audit_is_stored_behind_in_order(world):
    for n in range(3):
        world.feed.note(refusal(n))
    await world.feed.flush()
    assert await audited(world) == ["no 0", "no 1", "no 2"]
    assert world.feed.latest == 1, "it is no event"


async def test_a_store_that_hangs_costs_bounded_memory_and_the_oldest_notes(world):
    async with world.feed.order:
        for n in range(module.BACKLOG + 50):
            world.feed.note(refusal(n))
        assert world.feed.lost == 50
    await world.feed.flush()
    assert await audited(world) == [f"no {n}" for n in range(50, module.BACKLOG + 50)]


async def test_a_note_that_cannot_be_stored_is_in_the_log(world, monkeypatch, caplog):
    async def note(_rows):
        raise StoreError("f", "is full", "free space")

    monkeypatch.setattr(world.store, "note", note)
    world.feed.note(refusal(7))
    await world.feed.flush()
    assert [record.audit["detail"] for record in caplog.records if record.message == "audit not stored"] == ["no 7"]


async def test_flushing_waits_for_what_is_being_written(world, monkeypatch):
    go, real = asyncio.Event(), world.store.note

    async def slow(rows):
        await go.wait()
        await real(rows)

    monkeypatch.setattr(world.store, "note", slow)
    world.feed.note(refusal())
    await asyncio.sleep(0.02)
    flushing = asyncio.create_task(world.feed.flush())
    await asyncio.sleep(0.02)
    assert not flushing.done()
    go.set()
    await flushing
    assert await audited(world) == ["no 0"]


async def test_a_paused_feed_writes_nothing_and_loses_nothing(world):
    world.feed.tell({"kind": "before"})
    await world.feed.pause()
    assert (await world.store.last_events(1))[0].kind == "before"
    world.feed.tell({"kind": "during"})
    world.feed.note(refusal())
    await asyncio.sleep(0.05)
    assert (await world.store.last_events(1))[0].kind == "before"
    world.feed.resume()
    await settled(world, 3)
    await world.feed.flush()
    assert (await world.store.last_events(1))[0].kind == "during"
    assert await audited(world) == ["no 0"]


async def test_a_paused_feed_can_be_stopped_and_writes_what_it_kept_back(world):
    await world.feed.pause()
    world.feed.tell({"kind": "worker_died"})
    await asyncio.wait_for(world.feed.stop(), 5)
    assert (await world.store.last_events(1))[0].kind == "worker_died"


async def test_a_feed_without_its_store_tells_the_log_and_those_who_watch(world, caplog):
    watcher = world.feed.watch()
    await world.feed.pause()
    await world.store.hand_over()
    with caplog.at_level("INFO", "gatekeeper.events"):
        world.feed.tell({"kind": "stopped", "cut": 0})
        world.feed.part()
        event = await watcher.next(1)
    assert (event.id, event.kind, event.data) == (0, "stopped", {"cut": 0})
    assert [record.levelname for record in caplog.records] == ["INFO"], "no error: it is as it should be"
    await world.store.take_back()


class Stream:
    """A client of server-sent events that reads when told to."""

    def __init__(self, api, **headers):
        self.request = api.session.get(api.base + "/v1/events", headers=headers)

    async def __aenter__(self):
        self.response = await self.request.__aenter__()
        assert self.response.status == 200
        return self

    async def __aexit__(self, *error):
        self.response.close()

    async def next(self):
        """(id or None, document) of the next event, None at the end."""
        identity = data = None
        async with asyncio.timeout(5):
            while line := (await self.response.content.readline()).decode():
                name, _, value = line.rstrip("\n").partition(": ")
                if name == "id":
                    identity = int(value)
                elif name == "data":
                    data = json.loads(value)
                elif not line.strip() and data is not None:
                    return identity, data
        return None


async def watching(world):
    await until(lambda: world.feed._watchers)


async def test_a_stream_tells_what_happens_from_now_on(world, api):
    await world.controller.submit(world.split(blue=9, green=1))
    async with Stream(api) as events:
        await watching(world)
        await api("PUT", "/v1/services/shop/split", json={"blue": 1, "green": 1})
        identity, event = await events.next()
        assert (identity, event["id"], event["kind"], event["revision"]) == (3, 3, "split", 3)
        assert event["after"] == {"blue": 1, "green": 1}
        assert event["actor"]


async def test_a_stream_resumes_after_the_last_id_without_gap_or_repetition(world, api):
    for n in range(1, 8):
        await world.controller.submit(world.split(blue=n, green=1))
    async with Stream(api, **{"Last-Event-ID": "3"}) as events:
        assert [(await events.next())[0] for _ in range(3)] == [4, 5, 6]
    async with Stream(api, **{"Last-Event-ID": "6"}) as events:
        seen = [(await events.next())[0] for _ in range(2)]
        await watching(world)
        await world.controller.submit(world.split(blue=99, green=1))
        assert [*seen, (await events.next())[0]] == [7, 8, 9]


async def test_a_stream_that_catches_up_while_much_happens_loses_nothing(world, api, monkeypatch):
    monkeypatch.setattr(stream, "PAGE", 7)
    total = 400

    async def happen():
        for n in range(total):
            world.feed.tell({"kind": "x", "n": n})
            if n % 5 == 0:
                await asyncio.sleep(0.001)

    task = asyncio.create_task(happen())
    async with Stream(api, **{"Last-Event-ID": "1"}) as events:
        assert [(await events.next())[0] for _ in range(total)] == list(range(2, total + 2))
    await task


async def test_a_stream_that_resumes_does_not_tell_of_a_change_before_every_worker_follows_it(world, api):
    world.publisher.hold = asyncio.Event()
    command = asyncio.create_task(world.controller.submit(world.split(blue=1, green=1)))
    await until(lambda: len(world.publisher.sent) == 2)
    assert [event.id for event in await world.store.events()] == [1, 2], "stored it is"
    async with Stream(api, **{"Last-Event-ID": "0"}) as events:
        assert (await events.next())[0] == 1
        await watching(world)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(events.response.content.readany(), 0.1)
        assert [event["id"] for event in (await api("GET", "/v1/events?follow=0"))[1]] == [1]
        world.publisher.hold.set()
        await command
        assert (await events.next())[0] == 2


async def test_what_is_not_stored_any_more_is_said_to_be_missed(world, api):
    for _ in range(6):
        world.feed.tell({"kind": "x"})
    await settled(world, 7)
    world.store._connection.execute("DELETE FROM events WHERE id NOT IN (4, 7)")
    async with Stream(api, **{"Last-Event-ID": "1"}) as events:
        assert await events.next() == (None, {"kind": "missed", "from": 2, "to": 3, "reason": "not stored any more"})
        assert (await events.next())[0] == 4
        assert await events.next() == (None, {"kind": "missed", "from": 5, "to": 6, "reason": "not stored any more"})
        assert (await events.next())[0] == 7


async def test_a_client_that_does_not_read_is_dropped_and_the_controller_never_waits_for_it(world, api, monkeypatch):
    monkeypatch.setattr(stream, "WRITE_SECONDS", 0.3)
    reader, writer = await asyncio.open_unix_connection(str(world.path.with_name("admin.sock")), limit=1)
    writer.write(b"GET /v1/events HTTP/1.1\r\nHost: g\r\n\r\n")
    await watching(world)
    began = asyncio.get_running_loop().time()
    for n in range(60):
        world.feed.tell({"kind": "x", "text": "t" * 50_000, "n": n})
    await world.controller.submit(world.split(blue=1, green=1))
    assert asyncio.get_running_loop().time() - began < 1
    await until(lambda: not world.feed._watchers)
    writer.close()
    reader.feed_eof()


async def test_a_dropped_client_that_reads_again_finds_the_reason(world, api):
    async with Stream(api) as events:
        await watching(world)
        next(iter(world.feed._watchers)).drop("more than 256 events behind")
        assert await events.next() == (None, {"kind": "dropped", "reason": "more than 256 events behind"})
        assert await events.next() is None, "the stream ends"


async def test_stopping_the_server_ends_the_streams_at_once_after_the_last_events(world, tmp_path):
    admin = Admin(world.parts, path=str(tmp_path / "a.sock"))
    await admin.start()
    connector = aiohttp.UnixConnector(str(tmp_path / "a.sock"))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        Stream(SimpleNamespace(session=session, base="http://g")) as events,
    ):
        await watching(world)
        for n in range(3):
            world.feed.tell({"kind": "x", "n": n})
        began = asyncio.get_running_loop().time()
        await admin.stop()
        assert asyncio.get_running_loop().time() - began < 1
        assert [(await events.next())[1].get("n") for _ in range(3)] == [0, 1, 2]
        assert (await events.next())[1] == {"kind": "dropped", "reason": "gatekeeper is stopping"}


async def test_silence_is_broken_by_comments(world, api, monkeypatch):
    monkeypatch.setattr(stream, "SILENCE", 0.05)
    async with Stream(api) as events:
        lines = [await events.response.content.readline() for _ in range(4)]
        assert lines == [b"retry: 2000\n", b"\n", b":\n", b"\n"]


async def test_an_id_that_is_no_number_is_refused(api):
    status, problem, _ = await api("GET", "/v1/events", headers={"Last-Event-ID": "x"})
    assert (status, problem["code"]) == (400, "bad_query")


async def test_one_watcher_too_many_is_refused_before_anything_is_sent(world, api):
    watchers = [world.feed.watch() for _ in range(module.WATCHERS)]
    status, problem, _ = await api("GET", "/v1/events")
    assert (status, problem["code"]) == (503, "too_many_watchers")
    world.feed.leave(watchers[0])


async def test_without_follow_the_stored_events_come_as_a_list(world, api):
    for n in range(1, 5):
        await world.controller.submit(world.split(blue=n, green=1))
    status, events, _ = await api("GET", "/v1/events?follow=0")
    assert status == 200
    assert [event["id"] for event in events] == [1, 2, 3, 4, 5]
    assert [event["id"] for event in (await api("GET", "/v1/events?follow=0&after=2&limit=2"))[1]] == [3, 4]
    assert [event["id"] for event in (await api("GET", "/v1/events?follow=0&limit=2"))[1]] == [4, 5]
