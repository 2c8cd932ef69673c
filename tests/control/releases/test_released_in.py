"""What was promoted at another gatekeeper may go on here; anything else may not, and it is said why."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest
from aiohttp import web

from gatekeeper.control.releases.released_in import released_in
from gatekeeper.core.command import Rollback
from gatekeeper.core.model import Role
from gatekeeper.core.release.commands import Advance, StartRelease
from gatekeeper.core.release.plan import Plan, ReleasedInCheck, Step
from tests.control.conftest import TOKENS


class Staging:
    """Another gatekeeper; ``answer`` is what it says."""

    def __init__(self):
        self.asked = []
        self.status = 200
        self.answer = {"releases": []}
        self.hold = None

    async def releases(self, request):
        headers = request.headers
        self.asked.append((request.path, dict(request.query), headers.get("Authorization")))
        if self.hold is not None:
            await self.hold.wait()
        if isinstance(self.answer, bytes):
            return web.Response(status=self.status, body=self.answer)
        if self.status == 302:
            return web.Response(status=302, headers={"Location": "/elsewhere"})
        return web.json_response(self.answer, status=self.status)


@pytest.fixture
async def staging(aiohttp_server):
    made = Staging()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.releases)
    made.url = str((await aiohttp_server(app)).make_url("")).rstrip("/")
    return made


@pytest.fixture
def ask(staging):
    with ThreadPoolExecutor(1) as threads:

        async def asked(build="b1", token=None, timeout=5.0, url=None):  # noqa: ASYNC109
            check = ReleasedInCheck(url or staging.url, "shop", None if token is None else str(token), timeout)
            return await released_in(check, build, threads)

        yield asked


def release(state="promoted", build="b1", service="shop", **more):
    return {"id": 7, "state": state, "moves": [{"service": service, "build": build, "to": "green"}], **more}


async def test_a_build_whose_last_release_there_was_promoted_passes(ask, staging):
    staging.answer = {"releases": [release()]}
    found = await ask()
    assert (found.passed, found.text) == (True, f"{staging.url}, service shop: build b1 was promoted by release 7")
    assert staging.asked == [("/v1/services/shop/releases", {"build": "b1", "limit": "1"}, None)]


@pytest.mark.parametrize("state", ["progressing", "paused", "rolled_back", "aborted", "waiting"])
async def test_a_build_whose_last_release_there_is_anything_else_does_not(ask, staging, state):
    staging.answer = {"releases": [release(state, reason="too many errors"), release("promoted")]}
    found = await ask()
    assert not found.passed
    assert found.text == (
        f"{staging.url}, service shop: the last release of build b1, 7, is {state}, too many errors; "
        "it counts once it is promoted there"
    )


@pytest.mark.parametrize("others", [[], [release(build="b2")], [release(service="cart")], [{"id": 1}], ["?"]])
async def test_a_build_never_released_there_does_not_whatever_else_is_listed(ask, staging, others):
    staging.answer = {"releases": others}
    found = await ask()
    assert not found.passed
    assert found.text.endswith("build b1 was never released there; release it there first")


async def test_without_a_build_there_is_nothing_to_ask(ask, staging):
    for build in (None, ""):
        found = await ask(build)
        assert not found.passed
        assert "the candidate has no build to ask for" in found.text
    assert staging.asked == []


async def test_the_token_is_read_anew_each_time(ask, staging, tmp_path):
    path = tmp_path / "token"
    for token in ("one", "two"):
        path.write_text(f"{token}\n")
        await ask(token=path)
    assert [asked[2] for asked in staging.asked] == ["Bearer one", "Bearer two"]


async def test_a_token_that_cannot_be_read_is_named_and_nobody_asked(ask, staging, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "two").write_text("a b")
    (tmp_path / "long").write_text("a" * 5000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    said = {}
    for name in ("missing", "pipe", "empty", "two", "long", "binary"):
        found = await ask(token=tmp_path / name)
        assert not found.passed
        assert found.text.startswith(f"{tmp_path}/{name} ")
        assert found.text.endswith("; put the token there, alone in the file, for this user to read")
        said[name] = found.text
    assert "cannot be read (no such file or directory)" in said["missing"]
    assert "is no file" in said["pipe"]
    assert staging.asked == []


async def test_what_it_answers_else_is_said_with_a_way_out(ask, staging, tmp_path):
    (tmp_path / "token").write_text("old")
    staging.status, staging.answer = 401, {"detail": "expired"}
    assert (
        f"answered 401, so it does not let us look; renew the token in {tmp_path}/token"
        in (await ask(token=tmp_path / "token")).text
    )
    assert "name a `token_file`" in (await ask()).text
    staging.status, staging.answer = 404, {"detail": "there is no service shop"}
    assert (await ask()).text.endswith("answered 404, there is no service shop")
    staging.status, staging.answer = 500, b"oops"
    assert (await ask()).text.endswith("answered 500")
    staging.status = 200
    for answer in (b"<html>", b"[]", b'{"releases": {}}', b"\xff", b"[" * 3_000_000):
        staging.answer = answer
        found = await ask()
        assert not found.passed
        assert found.text.endswith("answered what no gatekeeper does; see that the address is its API")


async def test_a_redirect_is_not_followed_since_the_token_is_for_that_address_alone(ask, staging, tmp_path):
    (tmp_path / "token").write_text("secret")
    staging.status = 302
    found = await ask(token=tmp_path / "token")
    assert (found.passed, len(staging.asked)) == (False, 1)
    assert found.text.endswith("answered 302")


async def test_one_that_does_not_answer_is_not_waited_for(ask, staging, free_port):
    staging.hold = asyncio.Event()
    found = await ask(timeout=0.1)
    staging.hold.set()
    assert (found.passed, found.text) == (False, f"{staging.url} gave no answer within 0.1 s")
    url = f"http://127.0.0.1:{free_port}"
    assert (await ask(url=url)).text == f"{url}: connection refused"


async def test_whom_nobody_vouches_for_is_not_asked(ask, staging):
    """TLS is verified: a plain server, asked by https, ends the check in words."""
    found = await ask(url=staging.url.replace("http:", "https:"))
    assert not found.passed
    assert "the TLS handshake failed" in found.text


@pytest.fixture
def definition(made_service, definition_of):
    shop = made_service("shop", "blue", "green")
    built = {name: replace(version, build=f"b-{name}") for name, version in shop.versions.items()}
    return definition_of(replace(shop, versions=built))


@pytest.fixture
async def world(tmp_path, world_of, definition):
    async with world_of(tmp_path / "state.db", definition) as made:
        yield made


async def test_another_gatekeeper_answers_it(world, tcp, ask, tmp_path):
    """The other end is our own admin API: what it says of releases is what is looked for."""
    (tmp_path / "token").write_text(TOKENS[Role.VIEWER])
    runner = world.parts.runner

    async def asked(token=tmp_path / "token"):
        return await ask("b-green", token, url=tcp.base)

    assert (await asked()).text.endswith("build b-green was never released there; release it there first")
    assert "answered 401" in (await asked(None)).text
    plan = Plan("p", (Step(Decimal(100), 60.0),))
    start = StartRelease(actor="anna", services={"shop": "green"}, plan=plan, offset=runner.offset)
    await world.controller.submit(replace(start, ready={"shop": True}))
    found = await asked()
    assert not found.passed
    assert "the last release of build b-green, 2, is progressing" in found.text
    release = world.controller.state.releases[2]
    world.clock.advance(61)
    await world.controller.submit(Advance(actor="plan", release=2, **runner.world(release)))
    assert (await asked()).passed
    await world.controller.submit(Rollback(actor="anna", service="shop"))
    assert "is rolled_back" in (await asked()).text
