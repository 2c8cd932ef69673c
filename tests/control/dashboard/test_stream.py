"""``GET /v1/live`` as a page sees it, over a real server; the second's beat is in the test's hand."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import aiohttp
import pytest

from gatekeeper.control.api import stream as sse
from gatekeeper.control.api.auth import Actor
from gatekeeper.control.api.tokens import Tokens
from gatekeeper.control.dashboard import live
from gatekeeper.control.dashboard import stream as page_stream
from gatekeeper.control.dashboard.pulse import Pulse
from gatekeeper.control.dashboard.sessions import SECONDS
from gatekeeper.core.model import Role
from tests.control.dashboard.test_seconds import BLUE, GREEN, counts
from tests.control.dashboard.test_sign_in import digest


class Samples:
    """Stands for the window."""

    def __init__(self):
        self.latest = (0.0, {})


@pytest.fixture
def beat(world):
    """Lets a second pass in which so many requests came."""
    samples = Samples()
    pulse = Pulse(world.parts, samples)
    world.feed.listeners.append(world.parts.dashboard.hear)
    total = {BLUE: 0, GREEN: 0}

    def beat(blue=0, green=0):
        total[BLUE] += blue
        total[GREEN] += green
        world.clock.advance(1.0)
        samples.latest = (world.clock.monotonic(), {name: counts(value) for name, value in total.items()})
        pulse.beat()

    beat()
    return beat


class Page:
    def __init__(self, response):
        self.response = response

    async def next(self):
        """The next event: its name, its data, its id."""
        name, data, number = "message", None, None
        while True:
            line = (await asyncio.wait_for(self.response.content.readline(), 5)).decode()
            if not line:
                return None
            key, _, value = line.rstrip("\n").partition(": ")
            if key == "event":
                name = value
            elif key == "data":
                data = json.loads(value)
            elif key == "id":
                number = int(value)
            elif not line.strip() and data is not None:
                return name, data, number


@asynccontextmanager
async def opened(tcp, path="/v1/live", cookie=""):
    headers = {"Cookie": cookie} if cookie else {"Authorization": "Bearer token-of-viewer"}
    async with aiohttp.ClientSession() as session, session.get(tcp.base + path, headers=headers) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        yield Page(response)


async def test_a_page_gets_the_past_and_then_each_second(world, tcp, beat):
    beat(blue=10)
    async with opened(tcp) as page:
        name, past, _ = await page.next()
        assert name == "past"
        assert set(past["services"]) == {"shop", "cart"}
        assert past["services"]["shop"]["versions"]["blue"]["requests"] == [10]
        beat(blue=30, green=10)
        name, tick, _ = await page.next()
        assert (name, tick["at"], tick["revision"]) == ("tick", world.clock.wall(), 1)
        shop = tick["services"]["shop"]
        assert (shop["versions"]["blue"]["requests"], shop["versions"]["green"]["share"]) == (30, 0.2)
        assert (shop["release"], shop["verdict"], shop["odds"], "marks" in shop) == (None, None, None, False)
        assert tick["workers"] == [{"pid": 7, "revision": 1, "state": "ready"}]
        assert tick["problems"] == []


async def test_of_one_service_it_is_ten_minutes_and_of_all_of_them_one(tcp, beat):
    for _ in range(80):
        beat(blue=1)
    async with opened(tcp, "/v1/live?service=shop") as page:
        _, past, _ = await page.next()
        assert [*past["services"]] == ["shop"]
        assert len(past["services"]["shop"]["at"]) == 80
        beat()
        assert {*(await page.next())[1]["services"]} == {"shop", "cart"}, "the present is of all"
    async with opened(tcp) as page:
        assert len((await page.next())[1]["services"]["shop"]["at"]) == 60


async def test_a_change_comes_with_its_id_and_a_mark_with_the_next_tick(world, tcp, beat):
    async with opened(tcp) as page:
        await page.next()
        await world.controller.submit(world.split(blue=90, green=10))
        name, change, number = await page.next()
        assert (name, change["kind"], change["revision"], number) == ("change", "split", 2, change["id"])
        beat()
        _, tick, _ = await page.next()
        (mark,) = tick["services"]["shop"]["marks"]
        assert (mark["text"], mark["actor"], mark["revision"]) == ("blue 90, green 10", "anna", 2)
        assert tick["services"]["shop"]["versions"]["green"]["weight"] == 0.1
        beat()
        assert "marks" not in (await page.next())[1]["services"]["shop"]
    async with opened(tcp) as page:
        assert [one["text"] for one in (await page.next())[1]["marks"]["shop"]] == ["blue 90, green 10"]


async def test_nothing_falls_between_the_past_and_the_first_tick(tcp, beat):
    beat(blue=1)
    async with opened(tcp) as page:
        beat(blue=2)
        beat(blue=3)
        seen = (await page.next())[1]["services"]["shop"]["versions"]["blue"]["requests"][-1]
        while seen != 3:
            name, data, _ = await page.next()
            seen = data["services"]["shop"]["versions"]["blue"]["requests"] if name == "tick" else seen


async def test_a_tick_is_written_once_for_all_and_not_at_all_for_nobody(world, tcp, beat, monkeypatch):
    written = []
    real = live.event

    def event(name, document, number=0):
        written.append(name)
        return real(name, document, number)

    monkeypatch.setattr(live, "event", event)
    beat()
    assert written == []
    async with opened(tcp) as one, opened(tcp) as two, opened(tcp) as three:
        for page in (one, two, three):
            await page.next()
        assert written == ["past"], "pages that come back together share it too"
        beat()
        assert await one.next() == await two.next() == await three.next()
        assert written == ["past", "tick"]
    async with opened(tcp) as page:
        await page.next()
        assert written == ["past", "tick", "past"]


async def test_who_is_signed_in_watches_until_he_signs_out(tcp, beat, browser):
    await browser.sign_in("token-of-viewer")
    cookie = f"gatekeeper-_session={browser.cookies['gatekeeper-_session']}"
    async with opened(tcp, cookie=cookie) as page:
        await page.next()
        beat()
        assert (await page.next())[0] == "tick"
        await browser("DELETE", "/session")
        beat()
        name, data, _ = await page.next()
        assert (name, data) == ("dropped", {"reason": "the session of viewer is over"})
        assert await page.next() is None


async def test_watching_is_a_use_of_the_session_and_does_not_outlast_it(world, tcp, beat, browser):
    await browser.sign_in("token-of-viewer")
    cookie = f"gatekeeper-_session={browser.cookies['gatekeeper-_session']}"
    async with opened(tcp, cookie=cookie) as page:
        await page.next()
        for _ in range(int(SECONDS / 3000)):
            world.clock.advance(2999)
            beat()
            assert (await page.next())[0] == "tick"
        world.clock.advance(3000)
        beat()
        assert (await page.next())[0] == "dropped"


@pytest.mark.parametrize("how", ["cookie", "bearer"])
async def test_a_token_that_falls_ends_the_stream_with_the_reason(world, tcp, beat, browser, how):
    await browser.sign_in("token-of-viewer")
    cookie = f"gatekeeper-_session={browser.cookies['gatekeeper-_session']}" if how == "cookie" else ""
    async with opened(tcp, cookie=cookie) as page:
        await page.next()
        world.parts.tokens = Tokens({digest("other"): Actor("other", Role.VIEWER)})
        beat()
        name, data, _ = await page.next()
        assert (name, data) == ("dropped", {"reason": "the token of viewer was revoked"})
    assert len(world.parts.dashboard.live) == 0


async def test_gatekeeper_that_stops_says_so_and_does_not_wait_for_pages(world, tmp_path, beat):
    from gatekeeper.control.api.admin import Admin

    path = str(tmp_path / "live.sock")
    admin = Admin(world.parts, path=path)
    await admin.start()
    connector = aiohttp.UnixConnector(path)
    async with aiohttp.ClientSession(connector=connector) as session, session.get("http://x/v1/live") as response:
        page = Page(response)
        await page.next()
        stopping = asyncio.create_task(admin.stop())
        assert (await page.next())[:2] == ("dropped", {"reason": "gatekeeper is stopping"})
        await asyncio.wait_for(stopping, 1)


async def test_a_page_that_does_not_read_is_dropped_and_the_others_go_on(world, tcp, beat, monkeypatch):
    monkeypatch.setattr(sse, "WRITE_SECONDS", 0.3)
    host, port = tcp.base.removeprefix("http://").split(":")
    reader, deaf = await asyncio.open_connection(host, int(port), limit=1)
    deaf.write(b"GET /v1/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-of-viewer\r\n\r\n")
    await reader.readexactly(100)  # it watches; beyond the limit of its reader nothing more is taken
    hub = world.parts.dashboard.live
    async with opened(tcp) as page:
        await page.next()
        assert len(hub) == 2
        data = live.event("tick", {"x": "y" * 50_000})
        for _ in range(400):
            hub.tick(data)
            assert (await page.next())[0] == "tick"
            if len(hub) == 1:
                break
            await asyncio.sleep(0.01)
        assert len(hub) == 1
    deaf.close()


async def test_the_past_of_many_versions_does_not_pile_up_for_a_page_that_does_not_read(world, tcp, beat, monkeypatch):
    monkeypatch.setattr(sse, "WRITE_SECONDS", 0.3)
    world.parts.dashboard.opening(None, lambda: {"x": "y" * 5_000_000})
    begun, held = page_stream.open_stream, []

    async def kept(request):
        held.append(request.transport)
        return await begun(request)

    monkeypatch.setattr(page_stream, "open_stream", kept)
    host, port = tcp.base.removeprefix("http://").split(":")
    reader, deaf = await asyncio.open_connection(host, int(port), limit=1)
    deaf.write(b"GET /v1/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-of-viewer\r\n\r\n")
    await reader.readexactly(100)
    most = 0
    async with asyncio.timeout(5):
        while len(world.parts.dashboard.live):
            most = max(most, held[0].get_write_buffer_size())
            await asyncio.sleep(0.01)
    assert 0 < most < 200_000
    read = await reader.read(10_000_000)
    assert b"dropped" not in read, "in the middle of an event nothing else can be said"
    deaf.close()


async def test_a_long_past_arrives_whole(world, tcp):
    long = {"x": "y" * 1_000_000}
    world.parts.dashboard.opening(None, lambda: long)
    headers = {"Authorization": "Bearer token-of-viewer"}
    async with (
        aiohttp.ClientSession(read_bufsize=2**21) as session,
        session.get(f"{tcp.base}/v1/live", headers=headers) as response,
    ):
        assert await Page(response).next() == ("past", long, None)


async def test_the_kernel_keeps_little_for_a_page_that_does_not_read(tcp, beat, monkeypatch):
    begun = page_stream.open_stream
    held = []

    async def kept(request):
        held.append(request.transport.get_extra_info("socket"))
        return await begun(request)

    monkeypatch.setattr(page_stream, "open_stream", kept)
    async with opened(tcp) as page:
        await page.next()
        # The kernel doubles what it is told, for its own bookkeeping (socket(7)).
        assert held[0].getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * page_stream.SEND_BYTES


async def test_too_many_pages_are_refused_before_anything_is_sent(world, tcp, monkeypatch):
    monkeypatch.setattr(live, "WATCHERS", 1)
    async with opened(tcp) as page:
        await page.next()
        status, problem, _ = await tcp.with_token("token-of-viewer")("GET", "/v1/live")
        assert (status, problem["code"]) == (503, "too_many_watchers")


async def test_a_service_that_is_not_there_is_refused_with_what_was_meant(tcp):
    for more in ("", "&follow=0"):
        status, problem, _ = await tcp.with_token("token-of-viewer")("GET", f"/v1/live?service=shpo{more}")
        assert (status, problem["code"], problem["problems"][0]["suggestion"]) == (404, "unknown_service", "shop")


async def test_a_service_that_goes_is_not_in_the_next_tick(world, tcp, beat, definition_of, made_service):
    async with opened(tcp, "/v1/live?service=cart") as page:
        await page.next()
        world.files.definition = definition_of(made_service("shop", "blue", "green"))
        await tcp.with_token("token-of-admin")("POST", "/v1/reload")
        assert (await page.next())[0] == "change"
        beat()
        assert [*(await page.next())[1]["services"]] == ["shop"]


async def test_numbers_that_cannot_be_made_stop_nothing_and_are_logged_once(world, beat, caplog, monkeypatch):
    monkeypatch.setattr(world.parts.dashboard.past, "take", lambda *_: 1 / 0)
    beat()
    beat()
    assert caplog.text.count("the dashboard's numbers could not be made") == 1
