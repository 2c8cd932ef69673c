"""Changes things without end and says each revision once it was acknowledged; the test kills it at any moment.

What is changed by revision N, and to what, follows from N: see ``expected``.
"""

import asyncio
import os
import sys
from decimal import Decimal

from gatekeeper.clock import SystemClock
from gatekeeper.control.controller import Controller, Once
from gatekeeper.control.feed import Feed
from gatekeeper.control.store.start import first_state
from gatekeeper.control.store.store import Store
from gatekeeper.core import routing
from gatekeeper.core.command import Command, Deploy, Reload, SetSplit
from gatekeeper.core.model import Backend, Definition, Origin, Service, Settings, State, Version


class Taken:
    acknowledged = total = 0


async def publish(_old: object, _new: object) -> Taken:
    return Taken()


def version(name: str, port: int = 9001, origin: Origin = Origin.FILE) -> Version:
    return Version(name, (Backend(f"http://127.0.0.1:{port}"),), origin=origin)


def definition(skew: int = 0) -> Definition:
    versions = {name: version(name) for name in ("blue", "green")}
    split = {"blue": Decimal(100), "green": Decimal(0)}
    return Definition(Settings(), {"shop": Service("shop", versions, "blue", split, skew=float(skew))})


def command(revision: int) -> Command:
    """What leads from ``revision - 1`` to ``revision``: a split, a deploy, or a configuration that is sent."""
    who = {"actor": "crash"}
    if revision % 3 == 0:
        return Deploy(**who, service="shop", version=version("next", 10_000 + revision, Origin.DEPLOY))
    if revision % 3 == 1:
        return Reload(**who, definition=definition(revision), entropy="ab" * 32, from_file=False)
    weights = {"blue": Decimal(1), "green": Decimal(revision)}
    return SetSplit(**who, service="shop", weights=weights, salt="cd" * 16)


def found(state: State) -> tuple[int, int, int]:
    """Green's weight, the port of what was deployed, the skew that was sent last."""
    shop = state.services["shop"]
    deployed = shop.definition.versions.get("next")
    port = int(deployed.backends[0].url.rpartition(":")[2]) if deployed is not None else 0
    return int(shop.running.split.weights["green"]), port, int(shop.definition.skew)


def expected(revision: int) -> tuple[int, int, int]:
    """What ``found`` says of the state of ``revision``."""
    split, deploy, sent = (
        max((at for at in range(2, revision + 1) if at % 3 == rest), default=0) for rest in (2, 0, 1)
    )
    return split, deploy and 10_000 + deploy, sent


async def main(path: str) -> None:
    store, clock = Store.open(path), SystemClock()
    state, _ = await first_state(store, definition(), entropy="ab" * 32, now=clock.wall())
    feed = Feed(store, clock)
    await feed.start()
    slots = {"shop": {"blue": 2, "green": 3, "next": 4}}
    controller = Controller(
        state=state,
        compile_table=lambda new, old: routing.compile(new, slots, old),
        journal=store,
        publish=publish,
        feed=feed,
        clock=clock,
    )
    controller.start()
    while True:
        revision = controller.state.revision + 1
        once = Once(f"k{revision}", "crash", "f", lambda new: {"revision": new.revision})
        result = await controller.submit(command(revision), once=once)
        # One write of a short line to a pipe is all there or not at all (POSIX, PIPE_BUF).
        os.write(1, f"{result.state.revision}\n".encode())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
