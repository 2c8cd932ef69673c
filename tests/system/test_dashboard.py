"""The dashboard's ground, over real processes: sessions and streams, through a hand-over and a revocation."""

import asyncio
import hashlib
import json
import os
import signal
from contextlib import asynccontextmanager

import pytest

from tests.system.parts import running, until
from tests.system.scripted import Backend
from tests.system.wire import ask

pytestmark = pytest.mark.system

TOKEN = "a-token-that-nobody-guesses"


def tokens(path, *names):
    entries = [
        {"name": name, "role": "operator", "sha256": hashlib.sha256(f"{TOKEN}-{name}".encode()).hexdigest()}
        for name in names
    ]
    path.write_text(json.dumps(entries))
    return str(path)


class Site:
    """The dashboard of a gatekeeper, as a browser has it."""

    def __init__(self, gatekeeper, port, file):
        self.gatekeeper, self.port, self.file = gatekeeper, port, file
        self.fields = {}

    async def sign_in(self, name="anna"):
        answer = await ask(self.port, "/session", "POST", body=json.dumps({"token": f"{TOKEN}-{name}"}).encode())
        assert answer.status == 204, answer.body
        self.fields = {"cookie": answer.get("set-cookie").partition(";")[0], "sec_fetch_site": "same-origin"}
        self.fields["x_gatekeeper_csrf"] = json.loads((await self.ask("/session")).body)["csrf"]

    async def ask(self, path, method="GET", body=b""):
        return await ask(self.port, path, method, body=body, **self.fields)

    @asynccontextmanager
    async def watching(self, path="/v1/live?service=shop"):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**24)
        lines = [f"GET {path} HTTP/1.0", "Host: any.test", f"Cookie: {self.fields['cookie']}", "", ""]
        writer.write("\r\n".join(lines).encode())
        assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"200"

        async def event(*names):
            """The next event of these names."""
            while True:
                text = (await asyncio.wait_for(reader.readuntil(b"\n\n"), 10)).decode()
                fields = dict(line.partition(": ")[::2] for line in text.strip().splitlines())
                if fields.get("event") in names:
                    return json.loads(fields["data"])

        try:
            yield event
        finally:
            writer.close()


@pytest.fixture
async def site(tmp_path, free_ports):
    traffic, admin = free_ports(2)
    file = tmp_path / "tokens.yaml"
    async with Backend.answering("blue") as blue, Backend.answering("green") as green:
        services = {"shop": {"versions": {"blue": {"backends": [blue.url]}, "green": {"backends": [green.url]}}}}
        reach = {"http": f"127.0.0.1:{admin}", "tokens": tokens(file, "anna", "bert")}
        async with running(tmp_path, traffic, services, admin=reach) as gatekeeper:
            made = Site(gatekeeper, admin, file)
            made.backends = (blue, green)
            yield made


async def test_what_flows_is_seen_within_seconds_and_a_change_moves_it(site):
    await site.sign_in()
    async with site.watching() as event:
        assert [*(await event("past"))["services"]] == ["shop"]
        for _ in range(50):
            assert (await site.gatekeeper.ask()).status == 200
        seen = 0
        while seen < 50:
            tick = await event("tick")
            seen += tick["services"]["shop"]["versions"]["blue"]["requests"]
        assert seen == 50
        assert tick["services"]["shop"]["versions"]["blue"]["share"] == 1.0
        answer = await site.ask("/v1/services/shop/split", "PUT", b'{"blue": 1, "green": 1}')
        done = json.loads(answer.body)
        assert (answer.status, done["workers"]) == (200, {"acknowledged": 2, "total": 2})
        assert (await event("change"))["revision"] == done["revision"]
        tick = await event("tick")
        assert tick["services"]["shop"]["versions"]["green"]["weight"] == 0.5
        assert [mark["text"] for mark in tick["services"]["shop"]["marks"]] == ["blue 1, green 1"]


async def test_a_token_that_is_taken_out_ends_the_stream_and_the_session_within_seconds(site):
    await site.sign_in("bert")
    async with site.watching() as event:
        await event("past")
        tokens(site.file, "anna")
        # The file is looked at once a second, and every stream as often.
        ended = await asyncio.wait_for(event("dropped"), 4)
        assert ended["reason"] in ("the token of bert was revoked", "the session of bert is over")
    assert (await site.ask("/v1/status")).status == 401
    tokens(site.file, "anna", "bert")
    await asyncio.sleep(1.5)
    assert (await site.ask("/v1/status")).status == 401, "the token is back, the session is not"
    await site.sign_in("bert")


async def test_a_hand_over_ends_streams_with_the_reason_and_sessions_and_keeps_what_happened(site):
    await site.sign_in()
    await site.ask("/v1/services/shop/split", "PUT", b'{"blue": 3, "green": 1}')
    old = json.loads((await site.ask("/v1/status")).body)["pid"]
    async with site.watching() as event:
        await event("past")
        os.kill(old, signal.SIGUSR2)
        assert (await event("dropped"))["reason"]

    async def another():
        status, document = await site.gatekeeper.admin("GET", "/v1/status")
        return status == 200 and document["pid"] != old

    await until(another)
    assert (await site.ask("/session")).status == 401, "sessions live in the memory of one program"
    await site.sign_in()
    async with site.watching() as event:
        marks = (await event("past"))["marks"]["shop"]
        assert [mark["text"] for mark in marks] == ["blue 3, green 1"]
        await event("tick")


async def test_no_backend_sees_the_cookie_of_who_is_signed_in(site):
    await site.sign_in()
    answer = await site.gatekeeper.ask(cookie=f"a=1; {site.fields['cookie']}; b=2")
    assert answer.status == 200
    cookies = [value for backend in site.backends for request in backend.asked for value in request.all("cookie")]
    assert cookies == ["a=1; b=2"]
