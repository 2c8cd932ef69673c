"""The whole program replaced by a new one again and again, under load and with open WebSockets: nobody notices.

``GATEKEEPER_LONG=1`` does it a hundred times.
"""

import asyncio
import contextlib
import http.client
import os
import signal
import time

import pytest

from tests.system.chatting import Chat, backend
from tests.system.kernel import gone
from tests.system.ledger import Ledger
from tests.system.programs import requests_counted, until
from tests.system.visitors import Visitor, running

pytestmark = [pytest.mark.system, pytest.mark.alone, pytest.mark.outside("nginx", "wrk"), pytest.mark.asyncio]

UPGRADES, LONG_UPGRADES = 6, 100
PEOPLE = 200
DRAIN = 1.0
"""Seconds in which an old program lets its WebSockets go, each at a moment of its own."""


def status(gatekeeper):
    """The status, or None in the moment in which one program has left the admin socket and the other not begun."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return gatekeeper.status()
    return None


def upgrade(gatekeeper):
    """Replace the program that runs; seconds until the new one serves. Returns when the old one is gone."""
    before = gatekeeper.status()
    began = time.monotonic()
    os.kill(before["pid"], signal.SIGUSR2)

    def replaced():
        now = status(gatekeeper)
        return now is not None and now["pid"] != before["pid"] and now

    after = until(replaced, 30, "the new program")
    took = time.monotonic() - began
    assert after["revision"] == before["revision"]
    assert {worker["state"] for worker in after["workers"]} == {"ready"}
    old, new = ({worker["pid"] for worker in each["workers"]} for each in (before, after))
    assert not old & new
    until(lambda: gone(before["pid"]) and all(map(gone, old)), DRAIN + 10, "the end of the old program")
    return took


async def test_upgrades_under_load_and_with_open_websockets_cost_no_request_and_refuse_no_connection(
    nginx, serve, wrk, long, tell
):
    """Every request is answered, each went to a backend once; every WebSocket is asked to go with 1001 and let in
    again; what was changed between two upgrades holds after them; counters never begin anew."""
    blue, green = nginx("blue"), nginx("green")
    async with backend() as chat:
        port = chat.sockets[0].getsockname()[1]
        split = {"timeouts": {"drain": f"{DRAIN:g}s"}, "sticky": {"mode": "none"}}
        shop = {"versions": {name: {"backends": [each.url]} for name, each in (("blue", blue), ("green", green))}}
        rooms = {"versions": {"one": {"backends": [f"http://127.0.0.1:{port}"]}}, "path_prefix": "/chat"}
        gatekeeper = serve({}, services={"shop": shop | split, "chat": rooms | split})
        load = wrk(gatekeeper.port, "close=50")
        visitors = [Visitor(gatekeeper) for _ in range(2)]
        took, counted = [], 0.0
        with running(*visitors):
            async with Chat(f"ws://127.0.0.1:{gatekeeper.port}/chat", PEOPLE) as people:
                for number in range(LONG_UPGRADES if long else UPGRADES):
                    await asyncio.to_thread(people.all_back, number)
                    weights = {"blue": 1 + number % 2, "green": 1}
                    reply = await asyncio.to_thread(lambda weights=weights: gatekeeper.split(**weights))
                    took.append(await asyncio.to_thread(upgrade, gatekeeper))
                    now = await asyncio.to_thread(gatekeeper.status)
                    assert now["revision"] == reply["revision"]
                    requests = requests_counted(await asyncio.to_thread(gatekeeper.metrics))
                    assert requests > counted
                    counted = requests
                await asyncio.to_thread(people.all_back, len(took))
        report = load.stop()
    assert people.wrong == []
    assert people.asked == PEOPLE * len(took)
    assert report.errors == {}
    visits = [visit for visitor in visitors for visit in visitor.visits]
    assert [visit for visit in visits if visit.problem] == []

    ledger = Ledger(gatekeeper)
    ledger.check_numbers()
    assert sum(row["action"] == "split" for row in ledger.rows.values()) == len(took)
    metrics = gatekeeper.quiet_metrics()
    blue.end()
    green.end()
    lines = [*blue.lines(), *green.lines()]
    assert {line.status for line in lines} == {200}
    # Each request went out once, and those in flight when the load ended may have arrived or not.
    assert report.requests <= sum(line.sent > 0 for line in lines) <= report.requests + 64
    assert requests_counted(metrics, code=200) >= report.requests + len(visits)
    took.sort()
    tell(
        upgrades=len(took),
        took_p50_ms=round(took[len(took) // 2] * 1000),
        took_most_ms=round(took[-1] * 1000),
        requests=report.requests,
        rate=round(report.rate),
        request_p99_ms=report.p99 / 1000,
        websockets=people.came,
        asked_to_go=people.asked,
        visits=len(visits),
    )
