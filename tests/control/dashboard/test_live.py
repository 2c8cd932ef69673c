"""Everybody who watches gets the same, and who reads slowly costs nothing."""

import asyncio
import json

import pytest

from gatekeeper.control.dashboard.live import CHANGES, WATCHERS, Live, event
from gatekeeper.control.feed import DroppedError, TooManyWatchersError
from gatekeeper.control.store.rows import Event


def change(number):
    return Event(number, 1.0, "split", number, {"service": "shop"})


async def test_a_watcher_gets_ticks_and_changes_in_the_order_of_their_kinds():
    live = Live()
    watcher = live.watch()
    live.hear(change(1))
    live.tick(b"tick 1\n")
    assert await watcher.next(1) == event("change", change(1).document(), 1) + b"tick 1\n"
    assert await watcher.next(0.01) == b""


async def test_all_watchers_share_the_very_same_bytes():
    live = Live()
    watchers = [live.watch() for _ in range(3)]
    data = b"tick" * 1000
    live.tick(data)
    assert [id(await watcher.next(1)) for watcher in watchers] == [id(data)] * 3


async def test_who_does_not_read_misses_ticks_is_told_how_many_and_holds_one():
    live = Live()
    slow, quick = live.watch(), live.watch()
    for at in range(100):
        live.tick(b"tick %d\n" % at)
        assert await quick.next(1) == b"tick %d\n" % at
    assert await slow.next(1) == event("gap", {"missed": 99}) + b"tick 99\n"
    live.tick(b"tick 100\n")
    assert await slow.next(1) == b"tick 100\n", "a gap is told once"


async def test_changes_that_nobody_reads_are_bounded_and_the_gap_says_so():
    live = Live()
    watcher = live.watch()
    for number in range(1, CHANGES + 11):
        live.hear(change(number))
    data = await watcher.next(1)
    assert data.startswith(event("gap", {"missed": 10}))
    assert data.count(b"event: change") == CHANGES
    assert data.endswith(event("change", change(CHANGES + 10).document(), CHANGES + 10))


async def test_who_leaves_gets_nothing_and_makes_room_and_beyond_the_bound_nobody_comes_in():
    live = Live()
    watchers = [live.watch() for _ in range(WATCHERS)]
    with pytest.raises(TooManyWatchersError):
        live.watch()
    live.leave(watchers[0])
    live.tick(b"x")
    assert await watchers[0].next(0.01) == b""
    assert len(live) == WATCHERS - 1
    live.watch()


async def test_who_is_dismissed_gets_what_waits_first():
    live = Live()
    watcher = live.watch()
    live.tick(b"last")
    live.dismiss("gatekeeper is stopping")
    assert await watcher.next(1) == b"last"
    with pytest.raises(DroppedError, match="is stopping"):
        await asyncio.wait_for(watcher.next(60), 1)


@pytest.mark.parametrize(
    "text", ["\n\nevent: tick\ndata: {}\n\n", "\r", "\u2028", "</script>", "\x00\x1b[2J", "\u202e", "\ud800"]
)
def test_no_text_ends_an_event_or_begins_another(text):
    data = event("change", {"note": text}, 7)
    lines = data.split(b"\n")
    assert (lines[0], lines[1], lines[3:]) == (b"id: 7", b"event: change", [b"", b""])
    assert lines[2].startswith(b"data: ")
    assert b"\r" not in data
    shown = text.encode("utf-8", "replace").decode()
    assert json.loads(lines[2].removeprefix(b"data: ")) == {"note": shown}
