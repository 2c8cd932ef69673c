"""The clients that people use, unchanged, through gatekeeper: nothing about them is special."""

import gzip
import hashlib
import http.client
import time
from pathlib import Path
from typing import Self

import pytest

from tests.conftest import _take
from tests.system.clients import BLOCK, CLIENTS, FORM, Curl, place
from tests.system.programs import PATIENCE, Gatekeeper, Nginx
from tests.system.site_app import Server

pytestmark = pytest.mark.system

TEXT = b"".join(b"%d bottles of beer on the wall\n" % number for number in range(5000))


class Site:
    """gatekeeper before an application (``/app``) and an nginx with files (everything else)."""

    def __init__(self, folder: Path) -> None:
        files = folder / "files"
        files.mkdir()
        (files / "text.txt").write_bytes(TEXT)
        (files / "text.txt.gz").write_bytes(gzip.compress(TEXT))
        self.zipped = (files / "text.txt.gz").read_bytes()
        held = []
        ports = [_take(held) for _ in range(2)]
        for each in held:
            each.close()
        lines = f"location /files/ {{ alias {files}/; gzip_static on; etag on; }}"
        self.nginx = Nginx("nginx", folder / "nginx", ports[0], lines)
        self.app = Server()
        self.gatekeeper = Gatekeeper(folder / "gatekeeper", ports[1], {})
        services = {
            "files": {"versions": {name: {"backends": [self.nginx.url]} for name in ("blue", "green")}},
            "app": {
                "versions": {name: {"backends": [self.app.url]} for name in ("blue", "green")},
                "path_prefix": "/app",
                "split": {"blue": 50, "green": 50},
            },
        }
        self.gatekeeper.write(services=services, workers=1)

    def __enter__(self) -> Self:
        self.app.start()
        self.nginx.start()
        self.gatekeeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gatekeeper.end()
        self.nginx.end()
        self.app.end()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.gatekeeper.port}"

    def accepted(self) -> float:
        """Connections of clients so far."""
        return self.gatekeeper.metrics()["gatekeeper_accepted_total"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Site(tmp_path_factory.mktemp("site")) as made:
        yield made
        assert "Traceback" not in made.gatekeeper.said()


def each_client(names=CLIENTS):
    marks = {"curl": "curl", "node-fetch": "node", "node-http": "node", "go": "go"}
    return [
        pytest.param(name, marks=pytest.mark.outside(marks[name]) if name in marks else ())
        for name in CLIENTS
        if name in names
    ]


every_client = pytest.mark.parametrize("client", each_client(), indirect=True)
every_browser = pytest.mark.parametrize(
    "client", each_client([name for name, kind in CLIENTS.items() if kind.follows]), indirect=True
)


@pytest.fixture
def client(request, site, tmp_path):
    made = CLIENTS[request.param](site.base, tmp_path)
    yield made
    made.close()


# Redirects and cookies


@every_browser
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_followed_to_their_end(client, status):
    got = client.ask(f"/app/redirect/3/{status}")
    assert (got.told["method"], got.told["path"]) == ("GET", "/app/echo")


@every_browser
def test_a_303_after_a_post_becomes_a_get_and_a_307_keeps_the_body(client):
    assert client.ask("/app/redirect/1/303", "POST", body=b"hello").told["method"] == "GET"
    told = client.ask("/app/redirect/2/307", "POST", body=b"hello").told
    assert (told["method"], told["beginning"]) == ("POST", "hello")


@pytest.mark.parametrize("client", each_client([name for name in CLIENTS if not CLIENTS[name].follows]), indirect=True)
def test_a_location_is_the_backends_word_for_word(client, site):
    """What a client that follows nothing by itself gets."""
    got = client.ask("/app/login")
    assert (got.status, got.fields["location"]) == (302, "echo")
    assert place(f"{site.base}/app/login", "echo") == "/app/echo"


@every_browser
def test_cookies_are_kept_and_our_own_stays_between_the_client_and_us(client):
    """Set in a redirect, in two lines beside ours; sent with every later request, and the application sees its own."""
    first = client.ask("/app/login")
    again = client.ask("/app/echo")
    for got in (first, again):
        (line,) = got.sent("cookie")
        assert sorted(line.split("; ")) == ["session=a1", "taste=b-2"]
    versions = {client.ask("/app/echo").sent("x-gatekeeper-version")[0] for _ in range(10)}
    assert len(versions) == 1, "the cookie of gatekeeper was kept and sent, too"


# Uploads


@every_client
@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_an_upload_with_a_length_arrives_whole(client, size):
    body = (BLOCK * (size // len(BLOCK) + 1))[:size]
    told = client.ask("/app/up", "POST", {"Content-Type": "application/x-thing"}, body).told
    assert (told["method"], told["size"]) == ("POST", size)
    assert told["sha256"] == hashlib.sha256(body).hexdigest()


@every_client
def test_a_chunked_upload_arrives_whole_and_chunked(client):
    got = client.chunked("/app/up", 40)
    assert got.sent("transfer-encoding") == ["chunked"]
    assert got.sent("content-length") == []
    assert got.told["sha256"] == hashlib.sha256(BLOCK * 40).hexdigest()


@every_client
def test_a_form_with_a_file_arrives_as_it_was_made(client):
    content = b"\r\n--x\r\n" + BLOCK * 5
    got = client.form("/app/up", content)
    (kind,) = got.sent("content-type")
    assert kind.startswith("multipart/form-data; boundary=")
    beginning = got.told["beginning"]
    assert f'name="{FORM["name"]}"' in beginning
    assert any(f'filename="a{blank}b.bin"' in beginning for blank in (" ", "%20"))
    head, _, rest = beginning.partition("\r\n\r\n")
    assert f"content-type: {FORM['content_type']}" in head.lower()
    assert rest.encode("latin-1").startswith(content[:200])
    assert got.told["size"] > len(content)


@every_client
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods_pass(client, method):
    told = client.ask("/app/thing?a=1&b=%20", method, body=b"x" if method in {"PUT", "PATCH"} else None).told
    assert (told["method"], told["path"]) == (method, "/app/thing?a=1&b=%20")


# Reading


@every_client
def test_a_head_tells_the_length_and_the_connection_goes_on(client):
    for _ in range(2):
        got = client.ask("/files/text.txt", "HEAD", {"Accept-Encoding": "identity"})
        assert (got.status, got.fields["content-length"], got.body) == (200, str(len(TEXT)), b"")
        assert client.ask("/files/text.txt", fields={"Accept-Encoding": "identity"}).body == TEXT


@every_client
@pytest.mark.parametrize(
    ("asked", "status", "part", "told"),
    [
        ("bytes=5-9", 206, TEXT[5:10], f"bytes 5-9/{len(TEXT)}"),
        ("bytes=100-", 206, TEXT[100:], f"bytes 100-{len(TEXT) - 1}/{len(TEXT)}"),
        ("bytes=-7", 206, TEXT[-7:], f"bytes {len(TEXT) - 7}-{len(TEXT) - 1}/{len(TEXT)}"),
        ("bytes=9999999-", 416, None, f"bytes */{len(TEXT)}"),
    ],
)
def test_ranges_are_the_backends(client, asked, status, part, told):
    got = client.ask("/files/text.txt", fields={"Range": asked, "Accept-Encoding": "identity"})
    assert (got.status, got.fields["content-range"]) == (status, told)
    assert part is None or got.body == part


@every_client
def test_what_has_not_changed_is_304_and_the_next_answer_is_its_own(client):
    plain = {"Accept-Encoding": "identity"}  # some ask for gzip with a GET only, and that has another tag
    tag = client.ask("/files/text.txt", "HEAD", fields=plain).fields["etag"]
    got = client.ask("/files/text.txt", fields={**plain, "If-None-Match": tag})
    assert (got.status, got.body) == (304, b"")
    assert client.ask("/app/echo").status == 200


@every_client
def test_gzip_is_passed_as_it_is_and_only_to_those_who_asked(client, site):
    got = client.ask("/files/text.txt", fields={"Accept-Encoding": "gzip"})
    assert got.fields["content-encoding"] == "gzip"
    assert got.body == (TEXT if client.decodes else site.zipped)
    plain = client.ask("/files/text.txt", fields={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.fields
    assert plain.body == TEXT


@pytest.mark.parametrize("client", each_client([name for name in CLIENTS if name != "curl"]), indirect=True)
def test_one_connection_serves_a_whole_session(client, site):
    """Of all kinds of answers: with a length, chunked, empty, refused."""
    before = site.accepted()
    for _ in range(3):
        client.ask("/files/text.txt")
        if client.trusts_heads:
            client.ask("/files/text.txt", "HEAD")
        client.ask("/files/none", fields={"Accept": "text/html"})
        client.ask("/app/up", "POST", body=BLOCK)
        client.chunked("/app/up", 2)
        client.ask("/app/echo")
    assert site.accepted() == before + 1


@pytest.mark.outside("curl")
def test_curl_asks_again_on_the_same_connection(site, tmp_path):
    curl = Curl(site.base, tmp_path)
    before = site.accepted()
    more = [f"{site.base}/{path}" for path in ("files/text.txt", "app/echo", "none", "app/redirect/2/302")]
    curl.run("/app/echo", *more)
    assert site.accepted() == before + 1
    assert curl.verbose.count("Re-using existing connection") >= len(more)


# Older and more cautious clients


@pytest.mark.outside("curl")
def test_curl_in_http_1_0_gets_whole_answers_and_the_end_of_the_connection(site, tmp_path):
    curl = Curl(site.base, tmp_path)
    got = curl.run("/files/text.txt", "-0")
    assert got.body == TEXT
    assert "transfer-encoding" not in got.fields
    assert got.fields["connection"] == "close"
    told = curl.run("/app/up", "-0", "--data-binary", "@-", feed=BLOCK).told
    assert (told["version"], told["size"]) == ("HTTP/1.1", len(BLOCK))


def test_http_1_0_with_keep_alive_keeps_the_connection(site):
    """RFC 9112 section 9.3: who asks for it by name gets it."""
    before = site.accepted()
    connection = http.client.HTTPConnection("127.0.0.1", site.gatekeeper.port, timeout=PATIENCE)
    connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"
    for _ in range(3):
        connection.request("GET", "/files/text.txt", headers={"Connection": "keep-alive"})
        response = connection.getresponse()
        assert response.read() == TEXT
        assert response.getheader("transfer-encoding") is None
    connection.close()
    assert site.accepted() == before + 1


@pytest.mark.outside("curl")
def test_curl_waits_for_a_100_before_a_large_upload_and_gets_it_at_once(site, tmp_path):
    """It would wait a second and then send anyway."""
    curl = Curl(site.base, tmp_path)
    began = time.monotonic()
    got = curl.run("/app/up", "-H", "Expect: 100-continue", "--expect100-timeout", "5", "--data-binary", "@-",
                   feed=BLOCK * 50)  # fmt: skip
    assert time.monotonic() - began < 4
    assert got.told["sha256"] == hashlib.sha256(BLOCK * 50).hexdigest()
    assert "< HTTP/1.1 100 Continue" in curl.verbose
    assert got.sent("expect") == ["100-continue"]
