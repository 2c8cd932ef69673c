"""A browser, gatekeepers to look at, and people. Whatever a test starts is ended with it."""

import os
import shutil

import pytest

from tests.browser.hostile import HOSTILE, SAY
from tests.browser.people import Person
from tests.browser.stage import PLANS, Stage
from tests.conftest import _take
from tests.system.programs import Nginx
from tests.system.team import HEALTH


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium, headless, which can find no host but this machine."""
    from playwright.sync_api import sync_playwright

    alone = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-dev-shm-usage"]
    if os.geteuid() == 0:
        alone.append("--no-sandbox")  # root may not use it
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=alone)
        yield browser
        browser.close()


@pytest.fixture
def stage(tmp_path, free_ports):
    """``stage(plans={...}, **service)``: a gatekeeper with users, whose service shop has versions blue and green."""
    entered, servers = [], []

    def nginx(name, more):
        server = Nginx(name, tmp_path / f"nginx-{name}", free_ports(1)[0], more)
        servers.append(server)
        server.start()
        return server

    def make(**options):
        made = Stage(tmp_path, free_ports(2), nginx, **options)
        entered.append(made)
        return made.__enter__()

    yield make
    for made in entered:
        made.__exit__()
    for server in servers:
        server.end()


@pytest.fixture
def people(chromium):
    """``people(stage, "ann")`` is a person in a browser of her own; at the end nothing may have gone wrong with it."""
    come = []

    def meet(stage, name=None, **context):
        person = Person(chromium, stage.url, name, **context)
        come.append(person)
        return person

    yield meet
    for person in come:
        person.close()
    for person in come:
        person.check()


@pytest.fixture(scope="session")
def house(tmp_path_factory):
    """One gatekeeper for all tests that only look, or put back what they changed.

    Besides blue and green there is ``hostile``, all of whose texts were written by somebody who means no good, and
    whose only backend refuses connections.
    """
    folder, servers = tmp_path_factory.mktemp("house"), []
    held = []
    ports = [_take(held) for _ in range(4)]
    for taken in held:
        taken.close()

    def nginx(name, more):
        server = Nginx(name, folder / f"nginx-{name}", ports.pop(), more)
        servers.append(server)
        server.start()
        return server

    dead = {"backends": ["http://127.0.0.1:1"], "build": HOSTILE, "health": HEALTH}
    odd = {"verify": [{"command": {"run": ["sh", "-c", SAY], "timeout": "10s"}}], "steps": [{"weight": 100}]}
    plans = {**PLANS, "odd": odd}
    with Stage(folder, ports[:2], nginx, plans=plans, versions={"hostile": dead}, plan="long") as made:
        yield made
    for server in servers:
        server.end()
