"""Backends that are known to be gone: where their traffic goes, what is counted, and how they come back."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.system.parts import Gatekeeper, Load, running, until
from tests.system.scripted import Backend, Request, Wire, reply
from tests.system.wire import Connection, ask

pytestmark = pytest.mark.system

HEALTH = {"path": "/healthz", "interval": "100ms", "timeout": "5s", "rise": 2, "fall": 2}
"""Sick here means an answer that says so. A short timeout would find all backends sick, as this process is all of them,
whenever a busy machine lets it stand for that long."""


@pytest.fixture
async def backend():
    """``backend("blue")`` is a new one that answers with that word and is healthy until told otherwise."""
    async with AsyncExitStack() as stack:

        async def start(word: str) -> Backend:
            return await stack.enter_async_context(Backend.answering(word))

        yield start


def checked(*backends: Backend, **health: object) -> dict:
    return {"backends": [backend.url for backend in backends], "health": {**HEALTH, **health}}


KEPT = {"trip": "off"}
"""The trip-wire would take the weight from a version that is gone; these look at what happens while it has it."""


TOLD = 0.2
"""Seconds in which workers have surely heard what the supervisor knows; nobody answers for it."""


async def become(gatekeeper: Gatekeeper, version: str, *states: str) -> None:
    """Wait until the version's backends are in these states, and every worker has heard so."""

    async def look() -> bool:
        return await gatekeeper.backends("shop", version) == list(states)

    await until(look)
    await asyncio.sleep(TOLD)


async def bodies(port: int, count: int = 20, **fields: str) -> set[bytes]:
    answers = await asyncio.gather(*(ask(port, **fields) for _ in range(count)))
    assert {answer.status for answer in answers} == {200}
    return {answer.body for answer in answers}


async def test_a_version_whose_checks_fail_gets_nothing_until_it_has_risen(tmp_path, free_port, backend):
    """Its users are served by stable, each is counted; nobody notices on the way there and back."""
    blue, green = await backend("blue"), await backend("green")
    versions = {"blue": checked(blue), "green": checked(green)}
    service = {"versions": versions, "split": {"blue": 0, "green": 100}, **KEPT}
    async with running(tmp_path, free_port, {"shop": service}) as gatekeeper:
        async with Load(free_port, connections=4, pause=0.002) as load:
            await load.more(50)
            assert not blue.asked
            green.health_status = 503
            await become(gatekeeper, "green", "ejected")
            await load.more(20)
            asked = len(green.asked)
            before = (await gatekeeper.scrape()).sum("gatekeeper_failovers_total", service="shop", version="green")
            assert await bodies(free_port) == {b"blue"}
            await load.more(50)
            found = await gatekeeper.scrape()
            assert found.sum("gatekeeper_failovers_total", service="shop", version="green") >= before + 70
            assert found.sum("gatekeeper_failovers_total", version="blue") == 0
            assert found.sum("gatekeeper_backend_up", version="green", backend=green.url) == 0
            assert found.sum("gatekeeper_backend_up", version="blue", backend=blue.url) == 1
            assert len(green.asked) == asked
            green.health_status = 200
            await become(gatekeeper, "green", "ready")
            await load.more(20)
            assert await bodies(free_port) == {b"green"}
        assert load.failures == []
        found = await gatekeeper.scrape()
        assert found.errors("shop", "green") == found.errors("shop", "blue") == {}
        document = (await gatekeeper.admin("GET", "/v1/events?follow=0"))[1]
        kinds = [event["kind"] for event in document if event.get("version") == "green"]
        assert kinds[-2:] == ["backend_ejected", "backend_ready"]


async def test_users_who_were_served_by_stable_meanwhile_come_back_to_their_version(tmp_path, free_port, backend):
    """Failing over is for the moment: it forgets nobody's version and gives nobody a new one."""
    blue, green = await backend("blue"), await backend("green")
    service = {
        "versions": {"blue": checked(blue), "green": checked(green)},
        "split": {"blue": 50, "green": 50},
        "sticky": {"by": ["header:X-User-Id"]},
        **KEPT,
    }

    async def everybody(port: int) -> list[bytes]:
        return [answer.body for answer in await asyncio.gather(*(ask(port, x_user_id=f"{n}") for n in range(60)))]

    async with running(tmp_path, free_port, {"shop": service}) as gatekeeper:
        before = await everybody(free_port)
        assert set(before) == {b"blue", b"green"}
        green.health_status = 500
        await become(gatekeeper, "green", "ejected")
        assert set(await everybody(free_port)) == {b"blue"}
        green.health_status = 200
        await become(gatekeeper, "green", "ready")
        assert await everybody(free_port) == before


async def test_of_two_backends_the_one_that_fails_its_check_gets_no_traffic(tmp_path, free_port, backend):
    """The other takes all of it; nothing fails over. A second reason: it hangs instead of answering."""
    good, bad = await backend("good"), await backend("bad")
    versions = {"blue": checked(good, bad, timeout="500ms")}
    async with running(tmp_path, free_port, {"shop": {"versions": versions}}) as gatekeeper:
        assert await bodies(free_port) == {b"good", b"bad"}
        bad.health_path = ""  # so that checks go to the script
        bad.script = lambda _wire, _request: None
        await become(gatekeeper, "blue", "ready", "ejected")
        assert await bodies(free_port) == {b"good"}
        document = (await gatekeeper.admin("GET", "/v1/services/shop"))[1]
        assert "no answer within 0.5 s" in document["versions"]["blue"]["backends"][1]["reason"]
        assert (await gatekeeper.scrape()).sum("gatekeeper_failovers_total") == 0


async def test_when_stable_is_gone_its_users_go_to_the_version_with_the_most_weight(tmp_path, free_port, backend):
    """Never to one that was not released."""
    blue, green, red = await backend("blue"), await backend("green"), await backend("red")
    versions = {"blue": checked(blue), "red": checked(red), "green": checked(green)}
    async with running(tmp_path, free_port, {"shop": {"versions": versions}}) as gatekeeper:
        blue.health_status = 500
        await become(gatekeeper, "blue", "ejected")
        assert (await ask(free_port)).status == 503, "nothing else was released"
        assert not red.asked
        await gatekeeper.weigh("shop", blue=80, green=20)
        assert await bodies(free_port) == {b"green"}


async def test_on_unavailable_fail_answers_503_and_leaves_the_others_alone(tmp_path, free_port, backend):
    """Counted as unavailable, against the version that is."""
    blue, green = await backend("blue"), await backend("green")
    service = {
        "versions": {"blue": checked(blue), "green": checked(green)},
        "rules": [{"when": {"path": "/new"}, "to": "green"}],
        "on_unavailable": "fail",
    }
    async with running(tmp_path, free_port, {"shop": service}) as gatekeeper:
        assert (await ask(free_port, "/new")).body == b"green"
        green.health_status = 404
        await become(gatekeeper, "green", "ejected")
        answer = await ask(free_port, "/new")
        assert (answer.status, answer.get("content-type")) == (503, "application/problem+json")
        assert (await ask(free_port)).body == b"blue"
        found = await gatekeeper.scrape()
        assert found.errors("shop", "green") == {"upstream_unavailable": 1}
        assert found.errors("shop", "blue") == {}
        assert found.sum("gatekeeper_failovers_total") == 0


async def test_a_forced_request_never_fails_over(tmp_path, free_port, backend):
    """The tester is told so."""
    blue, green = await backend("blue"), await backend("green")
    async with running(
        tmp_path, free_port, {"shop": {"versions": {"blue": checked(blue), "green": checked(green)}}}
    ) as gatekeeper:
        green.health_status = 500
        await become(gatekeeper, "green", "ejected")
        answer = await ask(free_port, x_gatekeeper_version="green", accept="application/json")
        assert answer.status == 503
        assert b"never fails over" in answer.body
        assert (await gatekeeper.scrape()).codes("shop", "green", forced="true") == {"503": 1}


async def test_a_backend_that_was_never_there_does_not_keep_gatekeeper_from_starting(
    tmp_path, free_port, free_ports, backend
):
    """It starts, serves the rest, and takes the backend in when it comes."""
    blue, green = await backend("blue"), Backend.answering("green")
    green.port = free_ports(1)[0]
    service = {"versions": {"blue": checked(blue), "green": checked(green)}, "split": {"green": 1}, **KEPT}
    async with running(tmp_path, free_port, {"shop": service}) as gatekeeper:
        assert await bodies(free_port) == {b"blue"}
        async with green:
            await become(gatekeeper, "green", "ready")
            assert await bodies(free_port) == {b"green"}
        await become(gatekeeper, "green", "ejected")
        assert await bodies(free_port) == {b"blue"}


async def test_a_backend_that_refuses_is_left_for_the_other_one_before_anybody_notices(
    tmp_path, free_port, free_ports, backend
):
    """Without checks: nothing was sent, so any method may be tried again."""
    good = await backend("good")
    dead = f"http://127.0.0.1:{free_ports(1)[0]}"
    service = {"versions": {"blue": {"backends": [dead, good.url]}}, "retries": {"attempts": 1, "budget": "100%"}}
    async with running(tmp_path, free_port, {"shop": service}) as gatekeeper:
        assert await bodies(free_port, 40) == {b"good"}
        assert await bodies(free_port, 10, method="POST", body=b"order") == {b"good"}
        found = await gatekeeper.scrape()
        retried = found.sum("gatekeeper_retries_total", service="shop", version="blue")
        assert retried == found.errors("shop", "blue")["upstream_connect"] >= 10


async def test_what_the_candidate_fails_stable_answers_and_the_candidate_is_blamed(tmp_path, free_port, backend):
    """``retries.on_stable``: users see nothing, the failure is counted all the same; POST is not repeated."""
    blue = await backend("blue")
    green = await backend("green")

    def failing(wire: Wire, request: Request) -> None:
        wire.send(reply("broken", 500)) if request.path == "/500" else wire.reset()

    green.script = failing
    service = {
        "versions": {"blue": {"backends": [blue.url]}, "green": {"backends": [green.url]}},
        "split": {"green": 1},
        "retries": {"on_stable": True, "budget": "100%"},
    }
    async with running(tmp_path, free_port, {"shop": service}) as gatekeeper:
        assert await bodies(free_port, 5) == {b"blue"}
        assert await bodies(free_port, 5, path="/500") == {b"blue"}
        assert (await ask(free_port, method="POST", body=b"order")).status == 502
        found = await gatekeeper.scrape()
        assert found.codes("shop", "green") == {"500": 5, "502": 6}
        assert found.errors("shop", "green") == {"upstream_reset": 6}
        assert found.codes("shop", "blue") == {"200": 10}
        assert found.errors("shop", "blue") == {}


async def test_a_pooled_connection_that_died_costs_nobody_an_error(tmp_path, free_port, backend):
    """The backend closes after each answer without saying so: GET goes again, unseen; the counters stay clean."""
    blue = await backend("blue")

    def closing(wire: Wire, _request: Request) -> None:
        wire.send(reply("blue"))
        asyncio.get_running_loop().call_later(0.005, wire.reset)

    blue.script = closing
    async with running(tmp_path, free_port, {"shop": {"versions": {"blue": {"backends": [blue.url]}}}}) as gatekeeper:
        connection = await Connection.open(free_port)
        for number in range(60):
            assert (await connection.ask()).body == b"blue"
            await asyncio.sleep(0.0005 * (number % 20))
        await connection.close()
        assert (await gatekeeper.scrape()).errors("shop", "blue") == {}
