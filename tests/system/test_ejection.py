"""Backends that fail users, each in its own way: what takes them out, what brings them back, and what is told of it.

``Story`` holds the account of the events against that of /metrics and against what the backends saw.
"""

import asyncio
import contextlib
import time
from itertools import pairwise
from typing import NamedTuple, Self

import pytest

from tests.system.parts import Gatekeeper, Load, running, until
from tests.system.scripted import Backend, Request, Script, Wire, reply

pytestmark = pytest.mark.system

HEARD = 0.5
"""Seconds after an ejection in which a backend may still see what was decided before: one message to each worker, a
turn of its loop and one of this loop, where the backend lives. Each is milliseconds unless the machine is busy."""
PATIENCE = 0.8
"""Seconds until a request is given up. The backends live in the process of the test: when that stands still for so
long, each of them is too slow, the good ones as well."""
STATE = "gatekeeper_backend_state"
LOAD = {"connections": 6, "pause": 0.003}


class Timed(Backend):
    """Also knows when it was asked, in wall seconds as in the events. ``act`` may be changed at any time."""

    def __init__(self, act: Script) -> None:
        super().__init__(self._note)
        self.act = act
        self.arrived: list[float] = []

    def _note(self, wire: Wire, request: Request) -> None:
        self.arrived.append(time.time())
        self.act(wire, request)

    def between(self, start: float, end: float) -> int:
        return sum(start <= at < end for at in self.arrived)


def well(wire: Wire, _: Request) -> None:
    wire.send(reply("well"))


def slow(wire: Wire, _: Request) -> None:
    """Long after the request was given up."""
    wire.later(3 * PATIENCE, reply("slow"))


def broken(wire: Wire, _: Request) -> None:
    wire.send(reply("broken", 503))


def half_dead(wire: Wire, _: Request) -> None:
    """Of two requests one is refused and one is never answered."""
    if len(wire.backend.asked) % 2:
        broken(wire, _)


@pytest.fixture
async def backends():
    """``backends(well, slow)`` are two that do so; their checks pass until told otherwise."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*acts: Script) -> list[Timed]:
            return [await stack.enter_async_context(Timed(act)) for act in acts]

        yield start


class Seen(NamedTuple):
    """One scrape: what it said was true at some moment of these."""

    start: float
    end: float
    states: dict[str, str]
    ejections: dict[str, float]


class Out(NamedTuple):
    """A time without requests, by the events; ``end`` is infinite while it lasts."""

    start: float
    end: float
    cause: str


def lengths(outs: list[Out], first: float, most: float) -> list[float]:
    """How long each has to be: twice the one before, and half for each such time that it was well in between."""
    steps, level, back = [min(most, first * 2**count) for count in range(len(outs) + 1)], 0, float("inf")
    found: list[float] = []
    for out in outs:
        was_well = out.start - back
        while level and was_well >= steps[level - 1]:
            level -= 1
            was_well -= steps[level]
        found.append(steps[level])
        level, back = level + 1, out.end
    return found


class Story:
    """Scrapes all the while; ``events`` are those of the backends, as the API lists them."""

    def __init__(self, gatekeeper: Gatekeeper) -> None:
        self._gatekeeper = gatekeeper
        self.events: list[dict] = []
        self.seen: list[Seen] = []

    async def __aenter__(self) -> Self:
        self.seen.append(await self._scrape())
        self._task = asyncio.create_task(self._go())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _go(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            self.seen.append(await self._scrape())

    async def _scrape(self) -> Seen:
        start = time.time()
        found = await self._gatekeeper.scrape()
        end = time.time()
        of = [dict(labels) for (name, labels), is_in in found.samples.items() if is_in and name == STATE]
        states = {labels["backend"]: labels["state"] for labels in of}
        assert len(states) == len(of), "in two states at once"
        counts = {cause: found.sum("gatekeeper_ejections_total", cause=cause) for cause in ("check", "requests")}
        return Seen(start, end, states, counts)

    async def read(self) -> None:
        events = (await self._gatekeeper.admin("GET", "/v1/events?follow=0"))[1]
        self.events = [each for each in events if each["kind"].startswith("backend_") and each["at"] > self.seen[0].end]

    async def told(self, kind: str, count: int = 1, backend: Backend | None = None) -> None:
        """Wait until so many events of a kind were told, of one backend if one is named."""

        async def look() -> bool:
            await self.read()
            found = [each for each in self.events if each["kind"] == kind]
            return sum(backend is None or each["backend"] == backend.url for each in found) >= count

        await until(look)

    def outs(self, backend: Backend) -> list[Out]:
        """Its times out, one after the other: it goes before it comes back, and comes back before it goes again."""
        outs: list[Out] = []
        for event in self.events:
            if event["backend"] != backend.url or event["kind"] == "backend_kept":
                continue
            if event["kind"] == "backend_ejected":
                assert event["was"] == "ready"
                outs.append(Out(event["at"], float("inf"), event["cause"]))
            else:
                assert (event["kind"], event["was"]) == ("backend_ready", "ejected")
                outs[-1] = outs[-1]._replace(end=event["at"])
        assert all(earlier.end < later.start for earlier, later in pairwise(outs))
        return outs

    def least_ready(self, among: list[Timed]) -> int:
        outs = [out for backend in among for out in self.outs(backend)]
        return len(among) - max(sum(other.start <= out.start < other.end for other in outs) for out in outs)

    def nobody_asked_who_is_out(self, among: list[Timed]) -> None:
        """Not from HEARD on, and not until it is back, to the moment."""
        for backend in among:
            for out in self.outs(backend):
                end = min(out.end, self.seen[-1].end)
                late = [at - out.start for at in backend.arrived if out.start + HEARD < at < end]
                assert late == [], f"asked so many seconds after it was ejected, for {end - out.start:.3f} s"

    async def agrees(self, among: list[Timed]) -> None:
        """/metrics said at every moment what the events say, and counted the ejections that they tell of."""
        self.seen.append(await self._scrape())
        await asyncio.sleep(0.3)  # events are listed once they are stored
        await self.read()
        outs = {backend.url: self.outs(backend) for backend in among}
        for seen in self.seen:
            for cause, count in seen.ejections.items():
                starts = [out.start for found in outs.values() for out in found if out.cause == cause]
                assert sum(at < seen.start for at in starts) <= count <= sum(at <= seen.end for at in starts), cause
            for url, state in seen.states.items():
                surely = any(out.start < seen.start and seen.end < out.end for out in outs[url])
                perhaps = any(out.start <= seen.end and seen.start <= out.end for out in outs[url])
                assert state in ({"ejected"} if surely else {"ready", "ejected"} if perhaps else {"ready"}), (url, seen)


def shop(among: list[Timed], ejection: dict, **more: object) -> dict:
    version = {"backends": [backend.url for backend in among]}
    if health := more.pop("health", None):
        version["health"] = health
    return {
        "shop": {"versions": {"blue": version}, "ejection": ejection, "timeouts": {"response": f"{PATIENCE}s"}, **more}
    }


async def test_each_goes_out_for_longer_each_time_and_gets_nothing_meanwhile(tmp_path, free_port, backends):
    """One flaps, one is too slow, one is half dead; the two others carry on and are never blamed."""
    all_ = *good, flapping, late, half = await backends(well, well, well, slow, half_dead)
    bad = [flapping, late, half]
    services = shop(all_, {"failures": 3, "within": "5s", "for": "1200ms", "most": "3s", "keep": "40%"})

    async with running(tmp_path, free_port, services) as gatekeeper, Story(gatekeeper) as story:
        async with Load(free_port, **LOAD) as load:
            for count in (1, 2, 3):
                await flapping.stop()
                await story.told("backend_ejected", count, flapping)
                await flapping.start()  # it would serve, from now on
                await story.told("backend_ready", count, flapping)
            for backend in (late, half):
                await story.told("backend_ready", 3, backend)
        await story.agrees(all_)
        assert {failure[:3] for failure in load.failures} <= {"502", "503", "504"}
        story.nobody_asked_who_is_out(all_)
        for backend in bad:
            outs = [out for out in story.outs(backend) if out.end < story.seen[-1].end]
            for out, seconds in zip(outs, lengths(outs, 1.2, 3.0), strict=True):
                assert seconds <= out.end - out.start < seconds + 1.0
                assert out.cause == "requests"
                assert all(each.between(out.start + HEARD, out.end) > 0 for each in good)
        assert lengths(story.outs(flapping), 1.2, 3.0) == [1.2, 2.4, 3.0]
        assert [story.outs(backend) for backend in good] == [[], []]
        assert {event["kind"] for event in story.events} == {"backend_ejected", "backend_ready"}
        assert story.least_ready(all_) >= 2
        why = {event["backend"]: event["reason"] for event in story.events if event["kind"] == "backend_ejected"}
        assert "cannot be reached" in why[flapping.url] or "closed before it answered" in why[flapping.url]
        assert "did not answer in time" in why[late.url]
        assert "requests failed within 5 s" in why[half.url]


async def test_requests_keep_the_floor_and_checks_do_not(tmp_path, free_port, backends):
    """Three of four fail users, two must stay; what fails and stays is told. Then none of the four is well."""
    all_ = await backends(well, broken, slow, half_dead)
    health = {"path": "/healthz", "interval": "100ms", "timeout": "5s", "rise": 1, "fall": 2}
    ejection = {"failures": 3, "within": "5s", "for": "1s", "keep": "50%"}
    services = shop(all_, ejection, health=health)

    async with running(tmp_path, free_port, services) as gatekeeper, Story(gatekeeper) as story:
        async with Load(free_port, **LOAD):
            await story.told("backend_ready", 2)
            await story.told("backend_ejected", 4)
            assert story.least_ready(all_) == 2
            await story.told("backend_kept")
        await story.agrees(all_)
        assert min(list(seen.states.values()).count("ready") for seen in story.seen) == 2
        assert story.outs(all_[0]) == []
        outs = [out for backend in all_ for out in story.outs(backend)]
        assert all(out.cause == "requests" and out.end - out.start >= 1.0 for out in outs)
        kept = [event for event in story.events if event["kind"] == "backend_kept"]
        assert all(event["reason"].endswith("it stays, as 2 of 4 must") for event in kept)
        story.nobody_asked_who_is_out(all_)

        for backend in all_:
            backend.health_status = 500
        await until(lambda: story.seen[-1].states == dict.fromkeys((each.url for each in all_), "ejected"))
        await story.agrees(all_)
        assert story.least_ready(all_) == 0
        assert [out.cause for out in story.outs(all_[0])] == ["check"]


async def test_it_comes_back_when_its_time_is_over_and_its_check_passes_and_gets_its_share_slowly(
    tmp_path, free_port, backends
):
    """It fails users, then its check as well; once well it grows from a tenth of its share to the whole."""
    all_ = *_, sick = await backends(well, well, well)
    health = {"path": "/healthz", "interval": "100ms", "timeout": "5s", "rise": 2, "fall": 2}
    services = shop(all_, {"failures": 3, "within": "5s", "for": "1s"}, health=health, slow_start="2s", timeouts={})

    def share(start: float, end: float) -> float:
        counts = [backend.between(start, end) for backend in all_]
        assert sum(counts) > 40, "too few to tell"
        return counts[-1] / sum(counts)

    async with running(tmp_path, free_port, services) as gatekeeper, Story(gatekeeper) as story:
        async with Load(free_port, **LOAD) as load:
            sick.act = broken
            await story.told("backend_ejected")
            sick.act, sick.health_status = well, 500
            out = story.outs(sick)[0]
            await asyncio.sleep(out.start + 2.0 - time.time())
            assert await gatekeeper.backends("shop", "blue") == ["ready", "ready", "ejected"], "its time is over"
            sick.health_status = 200
            healed = time.time()
            await story.told("backend_ready")
            back = story.outs(sick)[0].end
            assert healed < back
            await asyncio.sleep(back + 3.2 - time.time())
        await story.agrees(all_)
        assert [(event["kind"], event["backend"], event["cause"]) for event in story.events] == [
            ("backend_ejected", sick.url, "requests"),
            ("backend_ready", sick.url, "requests"),
        ]
        story.nobody_asked_who_is_out(all_)
        first, middle, last = share(back, back + 0.5), share(back + 1.0, back + 1.5), share(back + 2.2, back + 3.2)
        assert 0 < first < 0.15 < middle < 0.3 < last < 0.37
        assert {failure[:3] for failure in load.failures} == {"503"}
