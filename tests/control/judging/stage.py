"""A control plane with judges, a clock in the test's hand, and workers that record what they are told to."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from gatekeeper.control.judging.judging import Judging
from gatekeeper.core.command import StartRelease
from gatekeeper.core.judge.analysis import Analysis
from gatekeeper.core.judge.latency import SLOWEST
from gatekeeper.core.model import Definition, Release, Sticky, StickyMode
from gatekeeper.core.release import demand
from gatekeeper.core.release.commands import Act, Advance, Verb
from gatekeeper.core.release.plan import Plan, Step
from tests.control.conftest import World, make_world, service, small

BOOT = "the-first-boot"
ASKED = Analysis(min_bake=5, latency=False)
SHOPS = small(
    service("shop", "blue", "green", sticky=Sticky(mode=StickyMode.NONE)),
    service("cart", "v1", "v2", path_prefix="/cart", sticky=Sticky(mode=StickyMode.NONE)),
    service("users", "old", "new", path_prefix="/users"),
)


def plan(*weights: int, analysis: Analysis | None = ASKED, hold: float = 600.0, **more: Any) -> Plan:
    return Plan("p", tuple(Step(Decimal(each), hold) for each in weights or (50, 100)), analysis=analysis, **more)


def arm(requests: int, errors: int) -> list[Any]:
    times = [[place, count] for place, count in ((10, requests - errors), (SLOWEST, errors)) if count]
    return [requests, errors, requests, errors, times]


def part(at: int, stable: tuple[int, int], candidate: tuple[int, int], weight: float = 0.5) -> dict[str, Any]:
    """What a worker recorded of a second in which each request drew its label: (requests, errors) of both."""
    return {
        "at": at,
        "cells": [[weight, arm(*stable), arm(*candidate), {}]],
        "units": [],
        "stable": [*stable, 0],
        "candidate": [*candidate, 0],
        "backends": {"http://127.0.0.1:9002": list(candidate)},
    }


def unit(number: int, *, candidate: bool, failed: bool, weight: float = 0.5) -> list[Any]:
    return [number, int(candidate), weight, SLOWEST if failed else 10, int(failed), int(failed), []]


def lines(*paths: str) -> list[dict[str, Any]]:
    """Of logs, one after the other."""
    return [json.loads(each) for path in paths for each in Path(path).read_text(encoding="ascii").splitlines()]


def files(directory: str | Path, pattern: str = "*") -> dict[Path, os.stat_result]:
    return {path: path.stat() for path in Path(directory).glob(pattern)}


@dataclass
class Crew:
    """The fleet, as judges see it."""

    serving: list[int] = field(default_factory=lambda: [11])
    sent: list[list[dict[str, Any]]] = field(default_factory=list)

    def judge(self, cases: list[dict[str, Any]]) -> None:
        self.sent.append(cases)

    def case(self, service: str = "shop") -> dict[str, Any]:
        return next(each for each in self.sent[-1] if each["service"] == service)


@dataclass
class Stage:
    world: World
    judging: Judging
    crew: Crew
    stuck: bool = False
    """A command is under way that never ends."""

    # Releases

    @property
    def release(self) -> Release:
        found = self.world.controller.state.releases
        return found[max(found)]

    def worldly(self, _release: Release) -> dict[str, Any]:
        return self.world_of()

    def world_of(self) -> dict[str, Any]:
        return {
            "offset": self.world.parts.runner.offset,
            "steady": self.world.clock.wall(),
            "ready": {"shop": True, "cart": True, "users": True},
        }

    async def start(self, plan: Plan = plan(), **services: str) -> Release:  # noqa: B008 - a value
        command = StartRelease(actor="anna", services=services or {"shop": "green"}, plan=plan, **self.world_of())
        await self.world.controller.submit(command)
        await self.settled()
        return self.release

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in a thread
                await asyncio.sleep(0.001)

    async def act(self, verb: Verb, **more: Any) -> None:
        number = self.release.id
        order = Act(actor="ben", event=verb, release=number, reason="because", **more, **self.world_of())
        await self.world.controller.submit(order)
        await self.settled()

    async def advance(self) -> None:
        await self.world.controller.submit(Advance(actor="plan", release=self.release.id, **self.world_of()))
        await self.settled()

    # Time

    async def settled(self) -> None:
        """Whatever was begun has come to its end, the disk's part as well."""
        await self.until(self._rests)

    def _rests(self) -> bool:
        judging, keeping = self.judging, self.judging._keeping
        wanted = {each.id for each in self.world.controller.state.releases.values() if demand.asked(each)}
        return (
            not keeping._wake.is_set()
            and not keeping._one.locked()
            and wanted == set(judging._courses)
            and (self.stuck or all(each._asking is None for each in judging._courses.values()))
        )

    def at(self, service: str = "shop") -> int:
        """The second it is, by the case's clock."""
        return int(self.world.clock.monotonic() - self.crew.case(service)["origin"])

    def say(self, *parts: Mapping[str, Any], upto: int | None = None, worker: int = 11, service: str = "shop") -> None:
        """A worker's message of everything up to the second that has just ended."""
        upto = self.at(service) - 1 if upto is None else upto
        said = [self.release.id, service, upto, list(parts)]
        self.judging.hear(worker, {"type": "seconds", "of": [said]})

    async def second(
        self,
        stable: tuple[int, int] = (20, 0),
        candidate: tuple[int, int] = (20, 0),
        *,
        weight: float = 0.5,
        service: str = "shop",
    ) -> None:
        """One second passes with these requests and errors of both."""
        at = self.at(service)
        self.world.clock.advance(1.0)
        self.say(part(at, stable, candidate, weight), service=service)
        self.judging.look()
        await self.settled()

    async def seconds(self, many: int, *more: tuple[int, int], **named: Any) -> None:
        for _ in range(many):
            await self.second(*more, **named)

    def verdict(self, service: str = "shop") -> Any:
        return next(each.verdict for each in self.judging.verdicts(self.release.id) if each.service == service)

    async def events(self, kind: str) -> list[dict[str, Any]]:
        await self.world.feed.flush()
        return [each.data for each in await self.world.store.last_events(500) if each.kind == kind]

    def kill(self) -> None:
        """As SIGKILL does it: nothing more is written."""
        self.judging._paused = True


@asynccontextmanager
async def staged(
    path: Path, *, monotonic: float = 0.0, boot: str = BOOT, definition: Definition = SHOPS
) -> AsyncIterator[Stage]:
    """``monotonic`` seconds are added to those of the clock."""
    async with make_world(path, definition) as world:
        world.clock.advance(monotonic)
        crew = Crew()
        made = Stage(world, None, crew)  # type: ignore[arg-type]
        made.judging = Judging(
            controller=world.controller,
            crew=crew,
            store=world.store,
            tell=world.feed.tell,
            clock=world.clock,
            steady=lambda _: world.clock.wall(),
            world=made.worldly,
            state_path=str(path),
            boot=boot,
        )
        await made.judging.start()
        await made.settled()
        try:
            yield made
        finally:
            await made.judging.stop()


def asked(**changes: Any) -> Analysis:
    return replace(ASKED, **changes)
