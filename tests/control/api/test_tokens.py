"""The token file while gatekeeper runs: who is taken out is out, also with a stream that is open."""

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

from gatekeeper.control.api import tokens
from gatekeeper.control.api.admin import Admin
from gatekeeper.control.api.tokens import TokenFile, Tokens, TokensError


def digest(token):
    return hashlib.sha256(token.encode()).hexdigest()


def entry(name, role="viewer", **more):
    return {"name": name, "role": role, "sha256": digest(name), **more}


@pytest.fixture
def written(tmp_path):
    """``written(entry, ...)`` replaces the file; its path."""
    path = tmp_path / "tokens.yaml"

    def write(*entries):
        path.write_text(json.dumps(entries))
        return str(path)

    return write


# Expiry


@pytest.mark.parametrize(
    ("text", "wall"),
    [
        ("2027-01-31", 1801353600.0),
        ('"2027-01-31"', 1801353600.0),
        ("2027-01-31T18:00:00Z", 1801418400.0),
        ('"2027-01-31T18:00:00+02:00"', 1801411200.0),
        ("2027-01-31 18:00:00 +00:00", 1801418400.0),
    ],
)
def test_an_end_is_a_moment_or_a_date(tmp_path, text, wall):
    path = tmp_path / "t"
    path.write_text(f"- {{name: a, role: viewer, sha256: {digest('a')}, expires: {text}}}\n")
    actor = Tokens.load(str(path)).find("a")
    assert actor.expires == wall
    assert not tokens.expired(actor, wall - 0.001)
    assert tokens.expired(actor, wall)


@pytest.mark.parametrize("end", ["soon", "2027-02-31", "2027-01-31T18:00:00", 5, True, ["x"], ""])
def test_what_is_no_end_is_refused_with_an_example(written, end):
    with pytest.raises(TokensError, match=r"\[0\].expires.*allowed: 2027-01-31"):
        Tokens.load(written(entry("a", expires=end)))


# Changes


async def test_a_changed_file_is_taken_up_and_a_wrong_one_is_not(written):
    taken, refused = [], []
    file = TokenFile(written(entry("anna")), taken.append, refused.append)
    await file.look()
    assert taken[-1].find("anna") is not None
    written(entry("eve", "admin"))
    await file.look()
    assert (taken[-1].find("anna"), taken[-1].find("eve").role) == (None, "admin")
    written({"name": "x"})
    await file.look()
    assert len(taken) == 2
    assert {problem["path"] for problem in refused[-1].problems} == {"[0].role", "[0].sha256"}


async def test_a_file_that_goes_away_is_refused_once(written, tmp_path):
    taken, refused = [], []
    file = TokenFile(written(entry("anna")), taken.append, refused.append)
    await file.look()
    (tmp_path / "tokens.yaml").unlink()
    for _ in range(3):
        await file.look()
    assert (len(taken), len(refused)) == (1, 1)


async def test_a_mistake_that_is_read_twice_is_told_once_until_it_was_mended(written):
    """What was written just now is read once more, a moment later."""
    taken, refused = [], []
    file = TokenFile(written({"name": "x"}), taken.append, refused.append)
    for _ in range(2):
        await file.look()
        file._seen = None
    assert len(refused) == 1
    written(entry("anna"))
    await file.look()
    written({"name": "x"})
    await file.look()
    assert (len(taken), len(refused)) == (1, 2)


def test_a_file_that_is_missing_says_how_to_make_one(tmp_path):
    with pytest.raises(TokensError, match=r"No such file.*`gatekeeper token add NAME --file .*/none` makes one"):
        Tokens.load(str(tmp_path / "none"))


async def test_a_defect_of_one_look_does_not_end_the_watch(written, monkeypatch, caplog):
    monkeypatch.setattr(tokens, "WATCH_SECONDS", 0.01)
    calls = asyncio.Queue()

    def take(_tokens):
        calls.put_nowait(1)
        raise ZeroDivisionError

    file = TokenFile(written(entry("anna")), take, lambda _: None)
    watching = asyncio.create_task(file.watch())
    await asyncio.wait_for(calls.get(), 5)
    written(entry("eve"), entry("anna"))
    await asyncio.wait_for(calls.get(), 5)
    watching.cancel()
    assert "could not be looked at" in caplog.text


def test_the_difference_of_two_files_names_people_and_no_digest(written):
    before = Tokens.load(written(entry("anna"), entry("bob"), entry("eve")))
    after = Tokens.load(written(entry("anna"), entry("eve", "admin"), entry("zoe")))
    assert before.difference(after) == {"added": ["zoe"], "removed": ["bob"], "changed": ["eve"]}
    assert before == Tokens.load(written(entry("anna"), entry("bob"), entry("eve")))


# Seen from outside


@asynccontextmanager
async def admin_with(world, path, port):
    world.parts.tokens_path = path
    world.parts.tokens = Tokens.load(path)
    admin = Admin(world.parts, path=str(world.path.with_name("a.sock")), http=f"127.0.0.1:{port}")
    await admin.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            yield session
    finally:
        await admin.stop()


def bearer(name):
    return {"Authorization": f"Bearer {name}"}


async def read_to_the_end(response):
    """The documents of an event stream, until the server ends it."""
    async with asyncio.timeout(10):
        return [json.loads(line[6:]) async for line in response.content if line.startswith(b"data: ")]


async def test_a_revoked_token_is_out_within_two_seconds_and_its_stream_ends_with_the_reason(world, written, free_port):
    path = written(entry("anna"), entry("eve", "admin"))
    loop = asyncio.get_running_loop()
    async with admin_with(world, path, free_port) as session:
        stream = await session.get("/v1/events", headers=bearer("eve"))
        kept = await session.get("/v1/events", headers=bearer("anna"))
        await asyncio.sleep(0.1)
        began = loop.time()
        written(entry("anna"))
        told = await read_to_the_end(stream)
        assert loop.time() - began < 2.0
        assert told[-1] == {"kind": "dropped", "reason": "the token of eve was revoked"}
        async with session.get("/v1/status", headers=bearer("eve")) as response:
            assert response.status == 401
        async with session.get("/v1/status", headers=bearer("anna")) as response:
            assert response.status == 200
        assert not kept.content.at_eof(), "the stream of somebody else goes on"
        await world.feed.flush()
        (event,) = [one for one in await world.store.last_events(10) if one.kind == "tokens_changed"]
        assert event.data == {"added": [], "removed": ["eve"], "changed": []}
        kept.close()


async def test_the_stream_of_a_token_that_expires_ends_and_nothing_more_is_told(world, written, free_port, monkeypatch):
    path = written(entry("eve", expires="2023-11-14T22:13:30Z"))  # ten seconds ahead of the test's clock
    async with admin_with(world, path, free_port) as session:
        stream = await session.get("/v1/events", headers=bearer("eve"))
        await asyncio.sleep(0.1)
        world.clock.advance(10)
        await world.controller.submit(world.split(green=1))
        told = await read_to_the_end(stream)
        assert told == [{"kind": "dropped", "reason": "the token of eve expired"}]


async def test_a_wrong_file_is_told_and_the_tokens_of_before_stay(world, written, free_port):
    path = written(entry("anna"))
    async with admin_with(world, path, free_port) as session:
        written({"name": "anna"})
        watcher = world.feed.watch()
        event = await watcher.next(5)
        assert (event.kind, event.data["kept"]) == ("tokens_refused", 1)
        assert "[0].sha256" in event.data["reason"]
        async with session.get("/v1/status", headers=bearer("anna")) as response:
            (problem,) = (await response.json())["problems"]
        assert problem.startswith("the token file is refused, the tokens of before stay in force: ")
        written(entry("anna"), entry("eve"))
        assert (await watcher.next(5)).kind == "tokens_changed"
        assert world.parts.problems() == []
        async with session.get("/v1/status", headers=bearer("anna")) as response:
            assert response.status == 200
