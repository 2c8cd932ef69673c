"""A reload under traffic: all of it or nothing, and nobody who asks for something notices."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tests.system.parts import Load, running, until
from tests.system.scripted import Backend, Request, Script, Wire, reply
from tests.system.wire import ask

pytestmark = pytest.mark.system


@pytest.fixture
async def backends():
    """``backends("blue")`` is a new one that answers with that word."""
    async with AsyncExitStack() as stack:

        async def start(word: str) -> Backend:
            return await stack.enter_async_context(Backend.answering(word))

        yield start


def shop(**versions: Backend) -> dict:
    """A service whose requests are drawn anew each time, so that one client meets every version."""
    return {
        "versions": {name: {"backends": [backend.url]} for name, backend in versions.items()},
        "sticky": {"mode": "none"},
    }


HOLD = 0.6
"""Seconds that the slow version takes for half its answer: the reload comes in between."""


def slow(word: str) -> Script:
    """An answer whose first half comes at once."""
    answer = reply(word * 200)

    def act(wire: Wire, _request: Request) -> None:
        wire.send(answer[:-500])
        wire.later(HOLD, answer[-500:])

    return act


async def test_a_version_that_is_removed_under_load_finishes_what_it_has_begun_and_gets_nothing_more(
    tmp_path, free_port, backends
):
    """No request is lost; none that began after the reload's reply goes to the version that is gone."""
    blue, green = await backends("blue"), await backends("green")
    green.script = slow("green")
    async with running(tmp_path, free_port, {"shop": shop(blue=blue, green=green)}) as gatekeeper:
        await gatekeeper.weigh("shop", blue=10, green=90)
        async with Load(free_port, connections=60) as load:
            await until(lambda: len(green.wires) > 40)
            under_way = len([wire for wire in green.wires if not wire.transport.is_closing()])
            gatekeeper.put({"shop": shop(blue=blue)})
            code, out, err = await gatekeeper.command("reload")
            assert (code, err) == (0, "")
            assert "services.shop.versions.green: removed" in out
            begun, seen = load.begun, len(load.bodies)
            late = await asyncio.gather(*(ask(free_port) for _ in range(50)))
            assert {answer.body for answer in late} == {b"blue"}
            await until(lambda: not green.wires)
            await load.more(100)
        assert set(load.since(begun)) == {b"blue"}
        assert load.failures == []
        finished = load.bodies[seen:].count(b"green" * 200)
        assert finished >= 20, f"{under_way} connections, {finished} answers"
        assert set(load.bodies) == {b"blue", b"green" * 200}
        found = await gatekeeper.scrape()
        assert found.sum("gatekeeper_errors_total", service="shop") == 0


async def test_a_version_whose_backends_are_replaced_under_load_loses_no_request(tmp_path, free_port, backends):
    """The old ones finish what they have begun, their idle connections are closed, and they get nothing more."""
    old, new = await backends("old"), await backends("new")
    old.script, new.script = slow("old"), slow("new")
    async with running(tmp_path, free_port, {"shop": shop(green=old)}) as gatekeeper:
        async with Load(free_port, connections=20) as load:
            await until(lambda: len(old.asked) >= 20)
            gatekeeper.put({"shop": shop(green=new)})
            assert (await gatekeeper.command("reload"))[0] == 0
            begun = load.begun
            await load.more(40)
            await until(lambda: not old.wires)
            assert len(new.asked) >= 20
        assert load.failures == []
        assert set(load.bodies) == {b"old" * 200, b"new" * 200}
        assert set(load.since(begun)) == {b"new" * 200}


async def test_a_service_that_is_removed_finishes_what_it_has_begun_and_is_not_found_afterwards(
    tmp_path, free_port, backends
):
    """The other service is not touched."""
    blue, green = await backends("blue"), await backends("green")
    green.script = slow("green")
    services = {"shop": shop(blue=blue), "old": shop(green=green) | {"path_prefix": "/old"}}
    async with running(tmp_path, free_port, services) as gatekeeper:
        async with Load(free_port, path="/new") as load:
            under_way = asyncio.gather(*(ask(free_port, "/old/page") for _ in range(10)))
            await until(lambda: len(green.asked) == 10)
            gatekeeper.put({"shop": services["shop"] | {"path_prefix": "/new"}})
            assert (await gatekeeper.command("reload"))[0] == 0
            assert (await ask(free_port, "/old/page")).status == 404
            assert (await ask(free_port, "/elsewhere")).status == 404
            assert [(answer.status, len(answer.body)) for answer in await under_way] == [(200, 1000)] * 10
            await load.more(50)
        assert load.failures == []


async def test_a_version_added_under_load_gets_nothing_until_it_is_released(tmp_path, free_port, backends):
    """The reload keeps the running split; the version is there, with weight 0, and can be weighed at once."""
    blue, green = await backends("blue"), await backends("green")
    async with running(tmp_path, free_port, {"shop": shop(blue=blue)}) as gatekeeper:
        async with Load(free_port) as load:
            await load.more(100)
            gatekeeper.put({"shop": shop(blue=blue, green=green)})
            assert (await gatekeeper.command("reload"))[0] == 0
            await load.more(200)
            assert not green.asked
            await gatekeeper.weigh("shop", green=100)
            after = await asyncio.gather(*(ask(free_port) for _ in range(50)))
            assert {answer.body for answer in after} == {b"green"}
            await load.more(100)
        assert load.failures == []


async def test_a_running_split_survives_a_reload_unless_the_file_s_is_asked_for(tmp_path, free_port, backends):
    """The file says where a new service starts; the store says where it is."""
    blue, green = await backends("blue"), await backends("green")
    service = shop(blue=blue, green=green) | {"split": {"blue": 90, "green": 10}}
    async with running(tmp_path, free_port, {"shop": service}) as gatekeeper:
        await gatekeeper.weigh("shop", blue=30, green=70)
        gatekeeper.put({"shop": service | {"on_unavailable": "fail"}})
        assert (await gatekeeper.command("reload"))[0] == 0
        assert (await gatekeeper.admin("GET", "/v1/services/shop"))[1]["split"] == {"blue": 30, "green": 70}
        assert (await gatekeeper.command("reload", "--reset-split"))[0] == 0
        assert (await gatekeeper.admin("GET", "/v1/services/shop"))[1]["split"] == {"blue": 90, "green": 10}


async def test_changed_rules_hold_for_every_request_after_the_reply(tmp_path, free_port, backends):
    """On every worker, on connections that were there before."""
    blue, green = await backends("blue"), await backends("green")
    service = shop(blue=blue, green=green)
    async with running(tmp_path, free_port, {"shop": service}) as gatekeeper:
        async with Load(free_port, connections=8, x_staff="1") as load:
            await load.more(100)
            for to in ("green", "blue", "green"):
                rules = [{"name": "staff", "when": {"header": {"X-Staff": "1"}}, "to": to}]
                gatekeeper.put({"shop": service | {"rules": rules}})
                code, out, _ = await gatekeeper.command("reload")
                assert (code, "services.shop.rules.staff" in out) == (0, True)
                begun = load.begun
                await load.more(100)
                assert set(load.since(begun)) == {to.encode()}
                assert (await gatekeeper.ask()).body == b"blue"
        assert load.failures == []


async def test_a_dry_run_shows_the_difference_and_changes_nothing(tmp_path, free_port, backends):
    """What it shows is what the reload then does."""
    blue, green = await backends("blue"), await backends("green")
    async with running(tmp_path, free_port, {"shop": shop(blue=blue)}) as gatekeeper:
        gatekeeper.put({"shop": shop(blue=blue, green=green) | {"timeouts": {"connect": "1s"}}})
        code, out, err = await gatekeeper.command("reload", "--dry-run")
        assert (code, err) == (0, "")
        first, *changes = out.splitlines()
        assert "would become revision 2; nothing was changed" in first
        assert [line.strip() for line in changes] == [
            "services.shop.split: blue=100 -> blue=100 green=0",
            f'services.shop.versions.green: added ["{green.url}"]',
            "services.shop.split in the file: blue=100 -> blue=100 green=0",
            "services.shop.timeouts.connect: 5.0 -> 1.0",
        ]
        assert await gatekeeper.revision() == 1
        assert list((await gatekeeper.admin("GET", "/v1/services/shop"))[1]["versions"]) == ["blue"]
        _, done, _ = await gatekeeper.command("reload")
        assert done.splitlines()[1:] == changes
        assert await gatekeeper.revision() == 2
        code, out, _ = await gatekeeper.command("reload")
        assert (code, "nothing to change at revision 2" in out) == (0, True)
        assert await gatekeeper.revision() == 2


async def test_what_needs_a_restart_is_refused_whole(tmp_path, free_port, free_ports, backends):
    """Exit 4, every such key named, and nothing of the rest of the file taken up."""
    blue, green = await backends("blue"), await backends("green")
    async with running(tmp_path, free_port, {"shop": shop(blue=blue)}) as gatekeeper:
        gatekeeper.put({"shop": shop(blue=blue, green=green)})
        gatekeeper.write(workers=1, listen=[f"127.0.0.1:{free_ports(1)[0]}"])
        code, _, err = await gatekeeper.command("reload")
        assert code == 4
        assert "workers: is 1 in the new definition, 2 is running" in err
        assert "listen: is 127.0.0.1:" in err
        assert await gatekeeper.revision() == 1
        assert (await gatekeeper.ask()).body == b"blue"
