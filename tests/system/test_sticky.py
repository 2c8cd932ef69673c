"""Over real sockets, with two workers: whoever saw the new version keeps seeing it, until it is taken back."""

import asyncio
import math
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from tests.system.parts import Gatekeeper, running
from tests.system.scripted import Backend
from tests.system.wire import Connection

pytestmark = pytest.mark.system

BROWSERS = 5_000
USERS = 2_000
CONNECTIONS = 32
"""Kept connections that all clients share: what a client is must follow from what it sends alone."""

RAMP = (1, 10, 50, 100)
SIGMAS = 5
"""A share is off by more than this once in some two million checks."""


def expect_share(seen: Counter[str], version: str, percent: float) -> None:
    """The share of a version is as near to its weight as units drawn by chance are."""
    total = seen.total()
    part = percent / 100
    bound = SIGMAS * math.sqrt(total * part * (1 - part))
    assert abs(seen[version] - total * part) <= bound, f"{seen} at {percent} %"


class Clients:
    """Each has an identity of its own and remembers what it saw at each step."""

    def __init__(self, port: int, count: int) -> None:
        self.port = port
        self.seen: list[list[str]] = [[] for _ in range(count)]

    async def step(self) -> Counter[str]:
        """Everybody asks once; how many saw which version."""
        waiting = iter(range(len(self.seen)))
        await asyncio.gather(*(self._through(waiting) for _ in range(CONNECTIONS)))
        return Counter(history[-1] for history in self.seen)

    async def _through(self, waiting) -> None:
        connection = await Connection.open(self.port)
        for index in waiting:
            self.seen[index].append(await self.visit(connection, index))
        await connection.close()

    async def visit(self, connection: Connection, index: int) -> str:
        raise NotImplementedError

    def expect_nobody_went_back(self) -> None:
        """Nobody who has seen green has seen blue later."""
        for history in self.seen:
            assert history == sorted(history), history  # blue before green


class Browsers(Clients):
    """They keep the cookie that gatekeeper gives them, and nothing else."""

    def __init__(self, port: int, count: int) -> None:
        super().__init__(port, count)
        self.cookies = [""] * count

    async def visit(self, connection: Connection, index: int) -> str:
        cookie = self.cookies[index]
        answer = await connection.ask("/", **({"cookie": cookie} if cookie else {}))
        assert answer.status == 200
        given = answer.get("set-cookie")
        assert bool(given) == (not cookie), "a cookie is given once"
        if given:
            self.cookies[index] = given.partition(";")[0]
        return answer.body.decode()


class Users(Clients):
    """They are known by a header of the application."""

    async def visit(self, connection: Connection, index: int) -> str:
        answer = await connection.ask("/users/", x_user_id=f"user-{index}")
        assert answer.status == 200
        assert not answer.get("set-cookie"), "who is known needs no cookie"
        return answer.body.decode()


@pytest.fixture
async def ramp(tmp_path, free_port):
    """A gatekeeper with a service for browsers and one for users, both beginning with everything on blue."""
    async with AsyncExitStack() as stack:
        backends = {name: await stack.enter_async_context(Backend.answering(name)) for name in ("blue", "green", "red")}
        versions = {name: {"backends": [backend.url]} for name, backend in backends.items()}
        services = {
            "browsers": {"versions": versions},
            "users": {"path_prefix": "/users", "versions": versions, "sticky": {"by": ["header:X-User-Id"]}},
        }
        yield await stack.enter_async_context(running(tmp_path, free_port, services))


async def release(gatekeeper: Gatekeeper, percent: float) -> None:
    for service in ("browsers", "users"):
        await gatekeeper.weigh(service, blue=100 - percent, green=percent)


async def test_five_thousand_browsers_and_two_thousand_users_through_a_release_and_its_rollback(ramp):
    """1, 10, 50, 100 %, and back: nobody who saw green sees blue before the rollback, everybody sees it after."""
    everybody = Browsers(ramp.port, BROWSERS), Users(ramp.port, USERS)
    for clients in everybody:
        assert await clients.step() == Counter(blue=len(clients.seen))
    for percent in RAMP:
        await release(ramp, percent)
        for clients in everybody:
            expect_share(await clients.step(), "green", percent)
            clients.expect_nobody_went_back()
    for clients in everybody:
        assert {history[-1] for history in clients.seen} == {"green"}
    await release(ramp, 0)
    for clients in everybody:
        assert await clients.step() == Counter(blue=len(clients.seen))
    assert len(set(everybody[0].cookies)) == BROWSERS, "every browser has an identity of its own"
    found = await ramp.scrape()
    assert found.codes("browsers", "blue").keys() == {"200"}
    assert found.sum("gatekeeper_requests_total", service="browsers") == BROWSERS * (len(RAMP) + 2)
    assert found.sum("gatekeeper_requests_total", service="users") == USERS * (len(RAMP) + 2)


async def test_the_same_unit_gets_the_same_version_after_a_restart_of_everything(ramp):
    """The weights, the salt and with them everybody's version outlive the program."""
    everybody = Browsers(ramp.port, 600), Users(ramp.port, 600)
    await release(ramp, 40)
    for clients in everybody:
        await clients.step()
    await ramp.stop()
    await ramp.begin()
    for clients in everybody:
        await clients.step()
        assert all(before == after for before, after in clients.seen)
        assert len({before for before, _ in clients.seen}) == 2


async def test_with_a_third_version_only_those_move_that_must(ramp):
    """Taking from green for red moves nobody of blue, and giving it back brings exactly those back."""
    users = Users(ramp.port, USERS)
    for weights in ({"blue": 50, "green": 50}, {"blue": 50, "green": 20, "red": 30}, {"blue": 50, "green": 50}):
        await ramp.weigh("users", **weights)
        expect_share(await users.step(), "blue", 50)
    moves = Counter(tuple(history) for history in users.seen)
    assert moves.keys() == {("blue",) * 3, ("green",) * 3, ("green", "red", "green")}
    expect_share(Counter(red=moves["green", "red", "green"], other=USERS - moves["green", "red", "green"]), "red", 30)


async def test_a_rollback_takes_everybody_back_at_once(ramp):
    """From its reply on, nobody gets the version that was taken back, on any worker or kept connection."""
    browsers = Browsers(ramp.port, 500)
    await ramp.weigh("browsers", blue=50, green=50)
    expect_share(await browsers.step(), "green", 50)
    code, out, err = await ramp.command("rollback", "browsers")
    assert (code, err) == (0, "")
    assert "blue=100" in out
    assert await browsers.step() == Counter(blue=500)
