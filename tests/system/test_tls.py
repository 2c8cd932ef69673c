"""TLS towards users, through real processes and sockets: certificates by name, by clients, and as they are renewed."""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.system.programs import PATIENCE, until
from tests.system.secured import SlowStart, ask, replace, shown
from tests.tls.handshake import named

pytestmark = [pytest.mark.system, pytest.mark.outside("openssl", "nginx")]


def test_a_client_gets_the_certificate_it_asks_for_and_the_backend_hears_of_https(secured, client):
    gatekeeper = secured(sticky={"by": ["cookie"]})
    for name, expected in (("shop.test", "shop.test"), ("a.wild.test", "*.wild.test")):
        with contextlib.closing(gatekeeper.secure(client, name)) as link:
            assert named(link) == [expected]
            assert link.selected_alpn_protocol() is None
            answer = ask(link, "/told")
            assert answer.body == b"https 127.0.0.1"
            assert "; Secure" in answer.fields["Set-Cookie"]
            assert ask(link, "/told").status == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        gatekeeper.fetch(client, name="other.test")
    plain = gatekeeper.get("/told")
    assert plain.body == b"http 127.0.0.1"
    assert "Secure" not in plain.fields["Set-Cookie"]


@pytest.mark.outside("curl")
def test_curl_speaks_both_versions_and_is_kept_from_http2(secured, authority):
    gatekeeper = secured()
    for options, said in (
        (("--tls-max", "1.2"), "TLSv1.2"),
        (("--tlsv1.3",), "TLSv1.3"),
        (("--http2",), "ALPN: server accepted http/1.1"),
    ):
        done = subprocess.run(
            [
                *("curl", "-sv", *options, "--cacert", authority.cert, "--max-time", "10"),
                *("--resolve", f"shop.test:{gatekeeper.tls_port}:127.0.0.1"),
                f"https://shop.test:{gatekeeper.tls_port}/told",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "https 127.0.0.1"), done.stderr
        assert said in done.stderr


def test_a_least_version_of_1_3_refuses_1_2_and_counts_it(secured, client):
    gatekeeper = secured(tls={"min_version": "1.3"})
    assert gatekeeper.fetch(client).status == 200
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="alert protocol version"):
        gatekeeper.fetch(client)
    until(lambda: gatekeeper.refused("tls") == 1)


def test_plain_http_on_the_address_of_https_is_answered(secured):
    gatekeeper = secured()
    with socket.create_connection(("127.0.0.1", gatekeeper.tls_port), PATIENCE) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        assert raw.makefile("rb").read().startswith(b"HTTP/1.1 400 ")
    until(lambda: gatekeeper.refused("tls") == 1)


def test_a_handshake_that_stops_is_over_with_the_time_of_a_head(secured, client):
    gatekeeper = secured(timeouts={"request_head": "500ms"})
    began = time.monotonic()
    slow = [SlowStart(gatekeeper.tls_port, client, sends=sends) for sends in (1, 100, 300)]
    assert all(each.ended() for each in slow)
    assert 0.3 < time.monotonic() - began < 5
    until(lambda: gatekeeper.refused("tls") == 3)
    assert gatekeeper.fetch(client).status == 200


@pytest.mark.parametrize("auth", ["required", "optional"])
def test_client_certificates(secured, client, authority, issued, auth):
    gatekeeper = secured(tls={"client_ca": str(authority.cert), "client_auth": auth})
    if auth == "optional":
        assert gatekeeper.fetch(client).status == 200
    else:
        with pytest.raises(ssl.SSLError, match="certificate required"):
            gatekeeper.fetch(client)
        until(lambda: gatekeeper.refused("tls") == 1)
    client.load_cert_chain(*issued["client"])
    assert gatekeeper.fetch(client).status == 200
    assert gatekeeper.fetch(client, name="a.wild.test").status == 200


def test_a_session_is_resumed_by_its_ticket(secured, client):
    gatekeeper = secured(top={"workers": 1})
    with contextlib.closing(gatekeeper.secure(client)) as link:
        ask(link)
        session = link.session
    with contextlib.closing(gatekeeper.secure(client, session=session)) as link:
        assert link.session_reused
        assert ask(link).status == 200


class Users:
    """Requests by TLS without a pause, on kept and on fresh connections; ``failures`` must stay empty."""

    def __init__(self, gatekeeper, context):
        self.failures, self.serials, self.fresh, self.done = [], [], set(), 0
        self._gatekeeper, self._context = gatekeeper, context
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._go, args=(kept,)) for kept in (True, True, True, False)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _go(self, kept):
        try:
            with contextlib.ExitStack() as stack:
                link = stack.enter_context(contextlib.closing(self._gatekeeper.secure(self._context))) if kept else None
                while not self._end.is_set():
                    if link is not None:
                        assert ask(link).status == 200
                    else:
                        with contextlib.closing(self._gatekeeper.secure(self._context)) as fresh:
                            self.serials.append(shown(fresh))
                            assert ask(fresh).status == 200
                    self.done += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a failure
            self.failures.append(repr(error))

    def more(self, count=100):
        wanted = self.done + count
        until(lambda: self.done >= wanted or self.failures)


def serial(client, gatekeeper):
    with contextlib.closing(gatekeeper.secure(client)) as link:
        return shown(link)


def test_a_certificate_is_renewed_under_load_and_no_connection_is_lost(secured, client, shown_by, issued):
    """By its files alone; then a broken pair is refused and the new one stays; then by a reload, at once."""
    gatekeeper = secured()
    old = serial(client, gatekeeper)
    with Users(gatekeeper, client) as users:
        users.more()
        replace(issued["next"], shown_by["shop"])
        until(lambda: gatekeeper.events("certificate_renewed"))
        assert {serial(client, gatekeeper) for _ in range(20)} == {new := serial(client, gatekeeper)}
        assert new != old
        users.more()

        shown_by["shop"].key.write_text("-----BEGIN PRIVATE KEY-----\nspoilt")
        refused = until(lambda: gatekeeper.events("certificate_refused"))
        assert refused[0]["files"] == [str(shown_by["shop"].cert), str(shown_by["shop"].key)]
        assert refused[0]["reason"].startswith("key cannot be read")
        assert serial(client, gatekeeper) == new
        users.more()

        replace(issued["shop"], shown_by["shop"])
        done = gatekeeper.cli("reload")
        assert done.returncode == 0, done.stderr
        assert str(shown_by["shop"].cert) in done.stdout
        assert {serial(client, gatekeeper) for _ in range(20)} == {old}
        users.more()
    assert users.failures == []
    assert set(users.serials) == {old, new}
    assert gatekeeper.status()["revision"] == 1
    assert "PRIVATE" not in (gatekeeper.folder / "out0").read_text()


def test_a_reload_with_a_broken_pair_is_refused_as_a_whole(secured, client, shown_by, issued):
    gatekeeper = secured()
    old = serial(client, gatekeeper)
    shutil.copy(issued["next"].key, shown_by["shop"].key)
    done = gatekeeper.cli("reload")
    assert done.returncode != 0
    assert "listen[1].tls[0].key: is not the key of this certificate" in done.stdout + done.stderr
    assert serial(client, gatekeeper) == old


def test_tls_can_be_changed_by_a_reload(secured, client, authority, issued):
    """Another certificate, a demand for the client's, and back to plain HTTP: connections that are open go on."""
    gatekeeper = secured()
    with contextlib.closing(gatekeeper.secure(client)) as kept:
        listener = gatekeeper.top["listen"][0]
        files = issued["next"]
        listener["tls"] = {"cert": str(files.cert), "key": str(files.key), "client_ca": str(authority.cert)}
        gatekeeper.write()
        assert gatekeeper.cli("reload").returncode == 0
        with pytest.raises(ssl.SSLError, match="certificate required"):
            gatekeeper.fetch(client)
        client.load_cert_chain(*issued["client"])
        assert gatekeeper.fetch(client).status == 200
        del listener["tls"]
        gatekeeper.write()
        assert gatekeeper.cli("reload").returncode == 0
        with socket.create_connection(("127.0.0.1", gatekeeper.tls_port), PATIENCE) as raw:
            assert ask(raw, "/told").body == b"http 127.0.0.1"
        assert ask(kept, "/told").body == b"https 127.0.0.1"


def test_a_worker_that_is_replaced_needs_no_file(secured, client, shown_by):
    gatekeeper = secured(top={"workers": 1})
    for files in shown_by.values():
        files.cert.unlink()
        files.key.unlink()
    before = gatekeeper.workers()
    os.kill(before[0], signal.SIGKILL)
    until(lambda: gatekeeper.workers() != before and gatekeeper.status()["workers"][0]["state"] == "ready")
    assert gatekeeper.fetch(client).status == 200


def test_check_names_each_file_that_cannot_be_used(secured, shown_by, issued):
    gatekeeper = secured()
    replace(issued["stale"], shown_by["shop"])
    shown_by["wild"].key.unlink()
    done = gatekeeper.cli("check", str(gatekeeper.file))
    assert done.returncode == 2
    said = done.stdout + done.stderr
    assert "listen[1].tls[0].cert: the certificate has expired" in said
    assert "listen[1].tls[1].key: cannot be read: no such file or directory" in said


def test_no_key_is_in_the_state_file_or_the_api(secured, shown_by):
    gatekeeper = secured()
    secret = shown_by["shop"].key.read_text().splitlines()[1]
    seen = json.dumps([gatekeeper.status(), gatekeeper.call("GET", "/v1/services/shop")[1]])
    stored = b"".join(path.read_bytes() for path in Path(gatekeeper.folder).glob("state*"))
    assert secret not in seen
    assert secret.encode() not in stored
