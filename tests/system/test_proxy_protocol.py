"""The PROXY protocol through real sockets: before HTTP and before TLS, from those who are believed and from others."""

import socket
import time

import pytest

from tests.system.programs import PATIENCE, until
from tests.system.secured import ask

pytestmark = [pytest.mark.system, pytest.mark.outside("openssl", "nginx")]


LINE = b"PROXY TCP4 198.51.100.9 203.0.113.1 51000 443\r\n"


def told(sock, pieces):
    """What the backend was told, for a request sent in pieces."""
    for piece in pieces:
        sock.sendall(piece)
        time.sleep(0.002)
    return sock.makefile("rb").read().rpartition(b"\r\n\r\n")[2]


REQUEST = b"GET /told HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def test_a_proxy_header_comes_before_tls_or_http_and_names_the_client(secured, client, free_ports, tmp_path, shown_by):
    port, path = free_ports(1)[0], tmp_path / "front.sock"
    pair = {"cert": str(shown_by["wild"].cert), "key": str(shown_by["wild"].key)}
    gatekeeper = secured(
        listener={"proxy_protocol": True},
        more=[
            {"address": f"127.0.0.1:{port}", "proxy_protocol": True},
            {"address": f"unix:{path}", "proxy_protocol": True},
            {"address": f"unix:{path}.tls", "proxy_protocol": True, "tls": pair},
        ],
        top={"trusted_proxies": ["127.0.0.1"]},
    )
    for at in (0, 1, len(LINE) // 2, len(LINE) - 1, len(LINE), len(LINE) + 3):
        pieces = [(LINE + REQUEST)[:at], (LINE + REQUEST)[at:]]
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
            assert told(sock, pieces) == b"http 198.51.100.9"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(path))
            assert told(sock, pieces) == b"http 198.51.100.9"
    assert gatekeeper.fetch(client, "/told", before=LINE).body == b"https 198.51.100.9"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(f"{path}.tls")
        sock.sendall(LINE)
        with client.wrap_socket(sock, server_hostname="a.wild.test") as link:
            assert ask(link, "/told").body == b"https 198.51.100.9"
    spoofed = gatekeeper.fetch(client, "/told", {"X-Forwarded-For": "10.0.0.1"}, before=LINE)
    assert spoofed.body == b"https 198.51.100.9"
    local = gatekeeper.fetch(client, "/told", {"X-Forwarded-For": "10.0.0.1"}, before=b"PROXY UNKNOWN\r\n")
    assert local.body == b"https 10.0.0.1, 127.0.0.1"
    with pytest.raises(OSError):  # ssl.SSLError is one, and so is a reset
        gatekeeper.fetch(client)
    until(lambda: gatekeeper.refused("proxy_protocol") == 1)


def test_a_peer_that_is_not_trusted_cannot_name_a_client(secured, client):
    gatekeeper = secured(listener={"proxy_protocol": True}, top={"trusted_proxies": ["203.0.113.0/24"]})
    with pytest.raises(OSError):
        gatekeeper.fetch(client, before=LINE)
    until(lambda: gatekeeper.refused("proxy_protocol") == 1)
    assert gatekeeper.metrics()["gatekeeper_connections"] == 0
