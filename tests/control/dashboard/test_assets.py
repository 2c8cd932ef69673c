"""The dashboard's files: from memory, exactly those of the folder, each with its type and tag."""

import gzip
import re

import pytest
from yarl import URL

from gatekeeper.control.dashboard.assets import HEADERS, Assets, asset

ATTACKS = [
    "../index.html",
    "..%2findex.html",
    "%2e%2e/secret",
    "views/../../secret.js",
    "//etc/passwd",
    "/etc/passwd",
    "views/%00.js",
    "main.js%00",
    "main.js/",
    "MAIN.JS",
    "views",
    "views/",
    ".hidden.js",
    "_private.js",
    "LICENSE",
    "..\\secret.js",
    "file:///etc/passwd",
    "%c0%ae%c0%ae/secret",
]


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "dashboard"
    (inside / "views").mkdir(parents=True)
    (inside / "index.html").write_text("<!doctype html>")
    (inside / "main.js").write_text("export {};\n" * 200)
    (inside / "views" / "one.js").write_text("export const one = 1;")
    (inside / "icon.png").write_bytes(bytes(1000))
    for name in (".hidden.js", "_private.js", "LICENSE", "notes.md"):
        (inside / name).write_text("secret")
    (tmp_path / "secret.js").write_text("secret")
    return inside


def test_what_is_there_is_found_by_its_path_and_nothing_else(folder):
    files = Assets.load(folder)
    assert sorted(files) == ["icon.png", "index.html", "main.js", "views/one.js"]
    assert files.get("views/one.js").type == "text/javascript; charset=utf-8"
    assert files.get("icon.png").packed is None, "a picture is compressed already"
    for path in ATTACKS:
        assert files.get(path) is None


def test_a_folder_that_is_not_there_is_an_empty_one(tmp_path):
    assert [*Assets.load(tmp_path / "none")] == []


def test_the_tag_follows_the_content():
    assert asset(".js", b"a").tag == asset(".js", b"a").tag != asset(".js", b"b").tag


def test_every_file_of_the_real_dashboard_can_be_served_and_its_page_asks_for_no_other_host():
    from importlib.resources import files

    real = Assets.load(files("gatekeeper") / "interface" / "dashboard")
    page = real.get("index.html")
    assert page is not None
    wanted = re.findall(rb'(?:src|href)="([^"]*)"', page.body)
    assert wanted
    for path in wanted:
        assert real.get(path.decode().removeprefix("assets/")) is not None, path


async def test_the_page_is_given_to_everybody_under_a_strict_policy(tcp):
    status, text, headers = await tcp("GET", "/")
    assert (status, text) == (200, "<!doctype html>")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        **dict.fromkeys(("script-src", "style-src", "img-src", "connect-src"), "'self'"),
        **dict.fromkeys(("base-uri", "form-action", "frame-ancestors"), "'none'"),
        "require-trusted-types-for": "'script'",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Cache-Control"] == "no-cache"
    assert "Set-Cookie" not in headers
    assert headers["Server"] == "gatekeeper"
    assert set(HEADERS) <= set(headers)


async def test_a_file_is_given_packed_to_who_takes_that_and_not_again_to_who_has_it(tcp):
    async def get(**headers):
        fields = {"Accept-Encoding": "identity", **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with tcp.session.get(f"{tcp.base}/assets/main.js", headers=fields, auto_decompress=False) as response:
            return response.status, await response.read(), response.headers

    status, plain, headers = await get()
    assert (status, headers["Vary"]) == (200, "Accept-Encoding")
    assert "Content-Encoding" not in headers
    _, packed, zipped = await get(Accept_Encoding="br, gzip;q=0.8")
    assert zipped["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 2
    assert headers["ETag"] != zipped["ETag"]
    for refusing in ("gzip;q=0", "gzip; q=0.0", "br"):
        assert "Content-Encoding" not in (await get(Accept_Encoding=refusing))[2]
    for known in (headers["ETag"], f"W/{headers['ETag']}", f'"other", {headers["ETag"]}', "*"):
        status, body, again = await get(If_None_Match=known)
        assert (status, body, again["ETag"]) == (304, b"", headers["ETag"])
        assert again["Content-Security-Policy"] == headers["Content-Security-Policy"]
    assert (await get(If_None_Match=zipped["ETag"]))[0] == 200


async def test_no_path_leads_anywhere_else(tcp):
    for path in ATTACKS:
        async with tcp.session.get(URL(f"{tcp.base}/assets/{path}", encoded=True)) as response:
            assert response.status in (400, 401, 404), path


async def test_raw_bytes_of_a_path_lead_nowhere_either(tcp):
    import asyncio

    host, port = tcp.base.removeprefix("http://").split(":")
    for target in (b"/assets/../index.html", b"/assets/..%5c..%5csecret", b"/../assets/main.js", b"/assets//main.js"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        assert answer.split(b" ")[1] in (b"401", b"404"), answer


async def test_a_gatekeeper_without_its_dashboard_says_so(world, tcp):
    kept = world.parts.dashboard.assets
    world.parts.dashboard.assets = Assets()
    status, problem, _ = await tcp("GET", "/")
    assert (status, problem["code"]) == (404, "unknown_asset")
    assert "without its dashboard" in problem["detail"]
    world.parts.dashboard.assets = kept


async def test_data_is_never_run_nor_framed(tcp):
    for path in ("/healthz", "/v1/status", "/metrics", "/openapi.json", "/v1/events?follow=0", "/nothing"):
        _, _, headers = await tcp.with_token("token-of-admin")("GET", path)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers
