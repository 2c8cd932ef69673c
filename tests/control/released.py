"""Releases for the tests of the admin API: plans in the state, a release as far as it is wanted, people with tokens."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from gatekeeper.control.api.auth import Actor
from gatekeeper.control.api.tokens import Tokens
from gatekeeper.core.command import CheckDone, Rollback, StartRelease
from gatekeeper.core.model import Release, Releasing, Role
from gatekeeper.core.release import gates
from gatekeeper.core.release.guard import active_of, last_of
from gatekeeper.core.release.model import CheckResult
from gatekeeper.core.release.moving import digest
from gatekeeper.core.release.plan import Approval, Check, CommandCheck, Group, HttpCheck, Plan, Step
from tests.control.conftest import World

HEALTHZ = Check(http=HttpCheck("/healthz"))
RAMP = Plan("ramp", (Step(Decimal(10), 60.0), Step(Decimal(50), 60.0), Step(Decimal(100), 60.0)))
ASKING = replace(RAMP, name="asking", approve=Approval(("engineering", "product")))
CHECKED = replace(RAMP, name="checked", verify=(HEALTHZ,))
SLOW = replace(RAMP, name="slow", verify=(Check(command=CommandCheck(("sh", "-c", "echo $$; sleep 60"))),))
FULL = replace(ASKING, name="full", verify=(HEALTHZ,), steps=(*RAMP.steps[:1], Step(Decimal(100), 60.0, pause=True)))
PLANS = {each.name: each for each in (RAMP, ASKING, CHECKED, SLOW, FULL)}
RELEASING = Releasing(PLANS, {"cart": "ramp"}, {"storefront": Group(("shop", "cart"), "ramp")})

PEOPLE = {
    "ann": Actor("ann", Role.OPERATOR, ("engineering",)),
    "ole": Actor("ole", Role.OPERATOR, ("engineering",)),
    "max": Actor("max", Role.OPERATOR, ("marketing",)),
    "pia": Actor("pia", Role.VIEWER, ("product",)),
    "eve": Actor("eve", Role.VIEWER, ("marketing",)),
}


def with_plans(world: World, releasing: Releasing = RELEASING) -> None:
    """As if the file said so."""
    world.controller.state = replace(world.controller.state, releasing=releasing)


def with_people(world: World, people: Mapping[str, Actor] = PEOPLE) -> None:
    """Tokens that are the names."""
    world.parts.tokens = Tokens({hashlib.sha256(name.encode()).hexdigest(): who for name, who in people.items()})


async def back_to_blue(world: World) -> None:
    """End what is released of shop, and take back what was."""
    found = last_of(world.controller.state, "shop")
    if found is not None and (found.active or found.retained):
        await world.controller.submit(Rollback(actor="zoe", service="shop"))


async def begin(world: World, plan: Plan = RAMP, to: str = "green", author: str = "zoe", **more: Any) -> Release:
    """A release of shop that somebody started a moment ago."""
    await back_to_blue(world)
    runner, services = world.parts.runner, more.pop("services", {"shop": to})
    command = StartRelease(
        actor=author, services=services, plan=plan, offset=runner.offset, ready=runner.ready(services), **more
    )
    await world.controller.submit(command)
    found = active_of(world.controller.state, next(iter(services)))
    assert found is not None
    return found


async def checked(world: World, *, passed: bool = True, output: str = "all is well") -> None:
    """What the checks of the release of shop came to."""
    release = active_of(world.controller.state, "shop")
    assert release is not None
    running = gates.checks_of(release)
    assert running is not None
    gate, checks = running
    results = tuple(
        CheckResult(gate, move.service, check.name, passed, 0.25, output, 0.0, _digest(world, move.service, move.to))
        for move in release.moves
        for check in checks
    )
    world_of = world.parts.runner.world(release)
    await world.controller.submit(
        CheckDone(actor="plan", release=release.id, gate=gate, results=results, **world_of), via="gatekeeper"
    )


def _digest(world: World, service: str, version: str) -> str:
    return digest(world.controller.state.services[service].definition.versions[version])
