"""What is made of what open pages cost."""

import asyncio
import hashlib
import threading

import pytest

from benchmarks import dashboards
from benchmarks.dashboards import PAGE_LIMIT, PHASES, Cost, Played, configuration, markdown
from benchmarks.pages import Page, Reading, opened
from benchmarks.processes import BenchmarkError, Ports
from gatekeeper.config import load_file
from gatekeeper.control.api.admin import Admin
from gatekeeper.control.api.auth import Actor
from gatekeeper.control.api.tokens import Tokens
from gatekeeper.core.model import Role
from tests.control.conftest import make_world

QUIET = Cost(0.01, 20e-6, 60 * 2**20)


def played(cpu=0.02, rss=QUIET.rss, deaf=0):
    one = dict.fromkeys(PHASES, QUIET) | {"watching": Cost(cpu, 20e-6, rss), "changing": Cost(cpu, 20e-6, rss)}
    return Played([one] * 3, deaf, 50, 50)


@pytest.mark.parametrize(
    ("one", "reached"),
    [
        (played(cpu=0.0999), True),
        (played(cpu=0.101), False),
        (played(rss=QUIET.rss + 50 * PAGE_LIMIT), True),
        (played(rss=QUIET.rss + 51 * PAGE_LIMIT), False),
        (played(deaf=51 * PAGE_LIMIT), False),
        (played(rss=0), True),
    ],
)
def test_the_verdict_is_about_cpu_and_about_memory(one, reached):
    text = markdown(one, {"cpu": "x"})
    assert one.reached == reached
    assert text.count("reached" if reached else "missed") == 1
    assert f"| watching | {one.cpu:.1%} |" in text


def test_the_configuration_is_one_of_gatekeeper(tmp_path):
    path = configuration(tmp_path, Ports(20001, 20002, 20003), 20004, services=10, versions=3)
    definition = load_file(str(path))
    assert len(definition.services) == 10
    assert {len(service.versions) for service in definition.services.values()} == {3}
    assert definition.settings.admin_http == "127.0.0.1:20004"


async def test_pages_read_what_a_real_server_sends_and_ask_after_a_change(tmp_path, free_port):
    opening, closing = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def played_by_pages():
        with opened(3, free_port, "viewer") as pages, Reading(pages, ("/v1/services/shop",)) as reading:
            loop.call_soon_threadsafe(opening.set)
            closing.wait(5)
            assert [(page.ticks, page.changes, page.gaps) for page in pages] == [(1, 1, 0)] * 3
            reading.check(3)
            with pytest.raises(BenchmarkError, match="a page got 1 ticks in 100 s"):
                reading.check(100)

    async with make_world(tmp_path / "state.db") as world:
        digest = hashlib.sha256(b"viewer").hexdigest()
        world.parts.tokens = Tokens({digest: Actor("viewer", Role.VIEWER)})
        world.feed.listeners.append(world.parts.dashboard.hear)
        admin = Admin(world.parts, path=str(tmp_path / "s"), http=f"127.0.0.1:{free_port}")
        await admin.start()
        playing = asyncio.create_task(asyncio.to_thread(played_by_pages))
        await asyncio.wait_for(opening.wait(), 5)
        await world.controller.submit(world.split(blue=1, green=1))
        world.parts.dashboard.live.tick(b"event: tick\ndata: {}\n\n")
        await asyncio.sleep(0.5)
        closing.set()
        await asyncio.wait_for(playing, 15)
        with pytest.raises(BenchmarkError, match="a sign-in was answered 401"):
            await asyncio.to_thread(Page, free_port, "wrong")
        await admin.stop()


def test_what_cannot_be_measured_is_refused(capsys):
    with pytest.raises(SystemExit):
        dashboards.main(["--versions", "1"])
    assert "--versions at 2" in capsys.readouterr().err
