"""Changes a split without end and says each revision once it was acknowledged; the test kills it at any moment."""

import asyncio
import os
import sys
from decimal import Decimal

from gatekeeper.clock import SystemClock
from gatekeeper.control.controller import Controller
from gatekeeper.control.feed import Feed
from gatekeeper.control.start import first_state
from gatekeeper.control.store import Store
from gatekeeper.core import routing
from gatekeeper.core.command import SetSplit
from gatekeeper.core.model import Backend, Definition, Service, Settings, Version


class Taken:
    acknowledged = total = 0


async def publish(_old: object, _new: object) -> Taken:
    return Taken()


async def main(path: str) -> None:
    versions = {name: Version(name, (Backend("http://127.0.0.1:9001"),)) for name in ("blue", "green")}
    service = Service("shop", versions, "blue", {"blue": Decimal(100), "green": Decimal(0)})
    store, clock = Store.open(path), SystemClock()
    definition = Definition(Settings(), {"shop": service})
    state, _ = await first_state(store, definition, entropy="ab" * 32, now=clock.wall())
    feed = Feed(store, clock)
    await feed.start()
    slots = {"shop": {"blue": 2, "green": 3}}
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
        green = Decimal(controller.state.revision)
        command = SetSplit(actor="crash", service="shop", weights={"blue": Decimal(1), "green": green}, salt="cd" * 16)
        result = await controller.submit(command)
        # One write of a short line to a pipe is all there or not at all (POSIX, PIPE_BUF).
        os.write(1, f"{result.state.revision} {green}\n".encode())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
