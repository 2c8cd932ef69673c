"""Testers over real sockets: who may force a version, and that for everybody else nothing of it exists."""

import asyncio
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.conftest import _take
from tests.system.parts import running
from tests.system.scripted import Backend
from tests.system.wire import ask

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

KEY = "a key of sixteen or more characters"
STRANGER = "127.0.0.9"
"""May connect, may not force."""
FRONT = "127.0.0.3"
"""A trusted proxy, which is no tester itself."""


class Stage:
    """``shop`` is all blue; its testers come from 127.0.0.1 or have a pass. ``odd`` has a header of its own."""

    def __init__(self, gatekeeper, blue, green):
        self.gatekeeper, self.blue, self.green = gatekeeper, blue, green

    async def ask(self, path="/", source="", **fields):
        """What a request gets: the answer, and the request as the backend saw it."""
        answer = await ask(self.gatekeeper.port, path, source=source, **fields)
        assert answer.status == 200
        return answer, {b"blue": self.blue, b"green": self.green}[answer.body].asked[-1]

    async def version(self, path="/", source="", **fields):
        answer, _ = await self.ask(path, source, **fields)
        return answer.body.decode()

    async def pass_for(self, *arguments):
        """What the command line prints, alone on standard output."""
        code, out, err = await self.gatekeeper.command("pass", "issue", *arguments)
        assert code == 0, err
        return out.strip()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory):
    async with AsyncExitStack() as stack:
        held = []
        port = _take(held)
        for each in held:
            each.close()
        blue = await stack.enter_async_context(Backend.answering("blue"))
        green = await stack.enter_async_context(Backend.answering("green"))
        versions = {"blue": {"backends": [blue.url]}, "green": {"backends": [green.url]}}
        near = ["127.0.0.1/32"]
        services = {
            "shop": {"versions": versions, "testers": {"from": near, "query": True, "keys": [KEY]}},
            "odd": {
                "hosts": ["odd.test"],
                "versions": versions,
                "testers": {"from": near, "header": "X-Release-Channel", "keys": [KEY]},
            },
        }
        gatekeeper = await stack.enter_async_context(
            running(tmp_path_factory.mktemp("testers"), port, services, trusted_proxies=[f"{FRONT}/32"])
        )
        yield Stage(gatekeeper, blue, green)


async def test_a_tester_s_header_forces_one_request_is_answered_with_the_version_and_counted_apart(stage):
    before = await stage.gatekeeper.scrape()
    answer, _ = await stage.ask(x_gatekeeper_version="green")
    assert (answer.body, answer.get("x-gatekeeper-version")) == (b"green", "green")
    assert not answer.get("set-cookie"), "one request, no session, and no unit either"
    answer, _ = await stage.ask()
    assert (answer.body, answer.get("x-gatekeeper-version")) == (b"blue", "")
    after = await stage.gatekeeper.scrape()
    forced = after.codes("shop", "green", forced="true")["200"]
    assert forced == before.codes("shop", "green", forced="true").get("200", 0) + 1
    assert after.codes("shop", "green") == {}, "nobody was released to green"


@pytest.mark.parametrize(
    "fields",
    [
        {"x_gatekeeper_version": "green"},
        {"x_gatekeeper_version": "green", "x_gatekeeper_pass": "forged"},
        {"x_gatekeeper_version": "green", "x_forwarded_for": "127.0.0.1"},
        {"x_gatekeeper_version": "green", "forwarded": "for=127.0.0.1"},
        {"x_gatekeeper_version": "green", "x_real_ip": "127.0.0.1"},
    ],
    ids=" ".join,
)
async def test_from_another_address_the_header_has_no_effect_at_all(stage, fields):
    """Whatever the client claims about where it comes from, the answer is that of a request without the header."""
    answer, seen = await stage.ask(source=STRANGER, **fields)
    plain, plain_seen = await stage.ask(source=STRANGER)
    assert answer.body == plain.body == b"blue"
    assert [name for name, _ in answer.fields] == [name for name, _ in plain.fields]
    assert seen.all("x-gatekeeper-version") == plain_seen.all("x-gatekeeper-version") == ["blue"]


@pytest.mark.parametrize(
    ("source", "chain", "version"),
    [
        ("127.0.0.1", "127.0.0.1", "blue"),  # hearsay: a peer that is not trusted names its own address
        (FRONT, "127.0.0.1", "green"),
        (FRONT, STRANGER, "blue"),
        (FRONT, f"127.0.0.1, {STRANGER}", "blue"),
        (FRONT, f"{STRANGER}, 127.0.0.1", "green"),
        (FRONT, "", "blue"),
    ],
)
async def test_behind_a_trusted_proxy_the_address_is_the_one_it_appended(stage, source, chain, version):
    fields = {"x_forwarded_for": chain} if chain else {}
    assert await stage.version(source=source, x_gatekeeper_version="green", **fields) == version


@pytest.mark.parametrize("name", ["red", "GREEN", "green, blue", "", "none", "green;q=1", "gr een"])
async def test_a_name_of_no_version_forces_nothing(stage, name):
    answer, seen = await stage.ask(x_gatekeeper_version=name)
    assert (answer.body, answer.get("x-gatekeeper-version")) == (b"blue", "")
    assert seen.all("x-gatekeeper-version") == ["blue"]


async def test_the_client_s_copies_never_reach_the_backend(stage):
    """The backend is told what gatekeeper decided, once, and never sees the pass."""
    issued = await stage.pass_for("shop", "green")
    for source, version in (("", "green"), (STRANGER, "green")):
        _, seen = await stage.ask(
            source=source,
            x_gatekeeper_version="green",
            x_gatekeeper_pass=issued,
            x_gatekeeper_revision="999",
            X_GATEKEEPER_Anything="x",
        )
        assert seen.all("x-gatekeeper-version") == [version]
        assert seen.all("x-gatekeeper-revision") == ["1"]
        assert seen.all("x-gatekeeper-pass") == seen.all("x-gatekeeper-anything") == []
        assert len(seen.all("x-request-id")) == 1


async def test_a_pass_opens_what_it_names_from_anywhere(stage):
    """Of one service and one version; another version, another service or no header is not opened."""
    issued = await stage.pass_for("shop", "green", "--ttl", "1h")
    there = {"source": STRANGER, "x_gatekeeper_pass": issued}
    assert await stage.version(**there, x_gatekeeper_version="green") == "green"
    assert await stage.version(**there) == "blue"
    assert await stage.version(**there, host="odd.test", x_release_channel="green") == "blue"
    for_blue = await stage.pass_for("shop", "blue")
    assert await stage.version(source=STRANGER, x_gatekeeper_pass=for_blue, x_gatekeeper_version="green") == "blue"
    assert (await stage.gatekeeper.command("pass", "issue", "shop", "red"))[0] == 2


async def test_a_pass_that_was_tampered_with_opens_nothing(stage):
    """Any character changed, anything cut off or added."""
    issued = await stage.pass_for("shop", "green")
    changed = [issued[:at] + ("A" if issued[at] != "A" else "B") + issued[at + 1 :] for at in range(len(issued) - 1)]
    wrong = [*changed, issued[:-1], issued + "x", f'"{issued}"', issued.replace(".", ""), "." + issued]
    found = await asyncio.gather(
        *(stage.version(source=STRANGER, x_gatekeeper_pass=each, x_gatekeeper_version="green") for each in wrong)
    )
    assert set(found) == {"blue"}


async def test_an_expired_pass_opens_nothing(stage):
    issued = await stage.pass_for("shop", "green", "--ttl", "2s")
    there = {"source": STRANGER, "x_gatekeeper_pass": issued, "x_gatekeeper_version": "green"}
    assert await stage.version(**there) == "green"
    await asyncio.sleep(2.2)
    assert await stage.version(**there) == "blue"


async def test_the_query_opens_a_session_by_cookie_that_only_a_tester_can_use(stage):
    """The cookie carries the session, is stripped before the backend, ends on request, and works from there only."""
    answer, _ = await stage.ask("/?gatekeeper-version=green")
    assert (answer.body, answer.get("x-gatekeeper-version")) == (b"green", "green")
    line = answer.get("set-cookie")
    cookie, *attributes = line.split("; ")
    assert cookie.startswith("gatekeeper-shop-version=")
    assert "green" not in cookie
    assert "HttpOnly" in attributes
    assert not any(each.startswith(("Max-Age", "Expires")) for each in attributes), "a session ends with the browser"

    answer, seen = await stage.ask("/page", cookie=f"a=b; {cookie}; c=d")
    assert (answer.body, answer.get("x-gatekeeper-version")) == (b"green", "green")
    assert seen.all("cookie") == ["a=b; c=d"]
    assert await stage.version(source=STRANGER, cookie=cookie) == "blue"
    assert await stage.version(cookie=cookie[:-1]) == "blue"
    assert await stage.version(cookie=cookie, x_gatekeeper_version="blue") == "blue"

    answer, _ = await stage.ask("/?gatekeeper-version=none", cookie=cookie)
    assert answer.body == b"blue"
    assert any(
        each.startswith("gatekeeper-shop-version=;") and "Max-Age=0" in each for each in answer.all("set-cookie")
    )


async def test_the_query_does_nothing_for_a_stranger_or_where_it_is_not_enabled(stage):
    answer, _ = await stage.ask("/?gatekeeper-version=green", source=STRANGER)
    assert answer.body == b"blue"
    assert all(line.startswith("gatekeeper-shop=") for line in answer.all("set-cookie"))
    assert await stage.version("/?gatekeeper-version=green", host="odd.test") == "blue"


async def test_a_session_by_pass_works_from_anywhere(stage):
    issued = await stage.pass_for("shop", "green")
    answer, _ = await stage.ask("/?gatekeeper-version=green", source=STRANGER, x_gatekeeper_pass=issued)
    assert answer.body == b"green"
    cookie = answer.get("set-cookie").partition(";")[0]
    assert await stage.version(source="127.0.0.77", cookie=cookie) == "green"


async def test_a_service_with_a_header_of_its_own_obeys_that_one_and_keeps_it_from_the_backend(stage):
    answer, seen = await stage.ask(host="odd.test", x_release_channel="green")
    assert (answer.body, answer.get("x-gatekeeper-version")) == (b"green", "green")
    assert seen.all("x-release-channel") == []
    answer, seen = await stage.ask(host="odd.test", x_gatekeeper_version="green")
    assert answer.body == b"blue"
    answer, seen = await stage.ask(host="odd.test", source=STRANGER, x_release_channel="green")
    assert answer.body == b"blue"
    assert seen.all("x-release-channel") == []


async def test_a_backend_cannot_say_that_a_request_was_forced(stage):
    """The answer's X-Gatekeeper-Version is gatekeeper's word."""
    before = stage.blue.script
    boast = b"HTTP/1.1 200 OK\r\nX-Gatekeeper-Version: red\r\nContent-Length: 4\r\n\r\nblue"
    stage.blue.script = lambda wire, _request: wire.send(boast)
    try:
        answer, _ = await stage.ask()
        assert answer.all("x-gatekeeper-version") == []
    finally:
        stage.blue.script = before
