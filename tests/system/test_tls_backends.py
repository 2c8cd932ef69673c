"""TLS to backends: whom they are, who we are, and what a broken one costs."""

import contextlib
import hashlib
import os
import socket
import ssl
import threading
import time

import pytest

from tests.system.programs import PATIENCE, until
from tests.system.secured import ask
from tests.tls.authority import Authority

pytestmark = [pytest.mark.system, pytest.mark.outside("openssl", "nginx")]


@pytest.fixture
def backend(nginx, free_ports, tmp_path):
    """``backend(files, more)`` is the port of a backend that speaks TLS with these files."""
    (tmp_path / "large").write_bytes(os.urandom(8_000_000))

    def start(files, more=""):
        port = free_ports(1)[0]
        nginx(
            f"blue{port}",
            f"listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.2 TLSv1.3;"
            f" ssl_certificate {files.cert}; ssl_certificate_key {files.key}; {more}"
            f" location = /large {{ root {tmp_path}; }}"
            ' location = /name { return 200 "$ssl_server_name $ssl_protocol $ssl_client_s_dn"; }',
        )
        return port

    return start


def behind(port, host="127.0.0.1", **tls):
    return {"blue": {"backends": [f"https://{host}:{port}"], **({"tls": tls} if tls else {})}}


def test_a_backend_is_reached_by_tls_and_asked_for_its_name(secured, backend, authority, issued):
    port = backend(issued["backend"], f"ssl_client_certificate {authority.cert}; ssl_verify_client on;")
    gatekeeper = secured(
        versions={},
        services={
            "shop": {
                "versions": behind(
                    port,
                    ca=str(authority.cert),
                    server_name="backend.test",
                    cert=str(issued["client"].cert),
                    key=str(issued["client"].key),
                )
            }
        },
    )
    assert gatekeeper.get("/name").body == b"backend.test TLSv1.3 CN=client"
    with contextlib.closing(gatekeeper.connect()) as connection:
        for _ in range(5):
            assert gatekeeper.get("/name", connection=connection).status == 200


@pytest.mark.parametrize(
    ("files", "trusts", "name", "error", "reason"),
    [
        (
            "backend",
            False,
            None,
            "tls_certificate_error",
            "the certificate is not accepted: unable to get local issuer",
        ),
        ("backend", True, "other.test", "tls_certificate_error", "the certificate is not accepted: Hostname mismatch"),
        ("stale", True, None, "tls_certificate_error", "the certificate is not accepted: certificate has expired"),
        (None, True, None, "tls_protocol_error", "the TLS handshake failed: "),
    ],
)
def test_a_backend_that_is_not_who_it_should_be_is_a_502_and_is_ejected(
    secured, backend, nginx, authority, issued, files, trusts, name, error, reason
):
    port = backend(issued[files]) if files else nginx("plain").port
    tls = {"ca": str(authority.cert)} if trusts else {}
    if name:
        tls["server_name"] = name
    versions = behind(port, **tls)
    versions["checked"] = {**versions["blue"], "health": {"interval": "100ms"}}
    gatekeeper = secured(versions={}, services={"shop": {"versions": versions, "retries": {"attempts": 0}}})
    answer = gatekeeper.get()
    assert (answer.status, answer.fields["Proxy-Status"]) == (502, f"gatekeeper; error={error}")
    assert gatekeeper.errors("upstream_connect") == 1

    def ejected():
        state = gatekeeper.call("GET", "/v1/services/shop")[1]["versions"]["checked"]["backends"][0]
        return state["state"] == "ejected" and state["reason"]

    assert reason in until(ejected)


def test_verification_can_be_switched_off(secured, backend, issued):
    services = {"shop": {"versions": behind(backend(issued["stale"]), verify=False)}}
    assert secured(versions={}, services=services).get("/name").status == 200


def test_a_backend_that_refuses_our_certificate_is_a_502(secured, backend, authority, issued):
    """In TLS 1.3 we learn of it only after the handshake, in the place of an answer."""
    foreign = Authority(issued["shop"].cert.parent / "foreign", "Foreign")
    mine = foreign.issue("mine", "mine.test", usage="clientAuth")

    with refusing(issued["backend"], authority) as port:
        gatekeeper = secured(
            versions={},
            services={
                "shop": {
                    "versions": behind(port, ca=str(authority.cert), cert=str(mine.cert), key=str(mine.key)),
                    "retries": {"attempts": 0},
                }
            },
        )
        assert gatekeeper.get().status == 502
        assert gatekeeper.errors("upstream_connect") == 1


@contextlib.contextmanager
def refusing(files, authority):
    """A backend that wants a certificate of this authority, unlike nginx already in the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    context.load_verify_locations(authority.cert)
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(context, lambda link: link.recv(65536)) as port:
        yield port


@contextlib.contextmanager
def serving(context, answer):
    """A backend that does ``answer`` with each connection and closes it without a close_notify."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        with contextlib.suppress(OSError):
            while True:
                raw, _ = listener.accept()
                with contextlib.suppress(OSError), contextlib.closing(raw):
                    raw.settimeout(PATIENCE)
                    link = context.wrap_socket(raw, server_side=True)
                    answer(link)
                    socket.socket(fileno=link.detach()).close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(PATIENCE)


@pytest.mark.parametrize("notified", [True, False])
def test_an_answer_cut_by_the_network_does_not_look_complete(secured, authority, issued, notified):
    """RFC 9112 section 9.8: without a length only close_notify tells the end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*issued["backend"])

    def answer(link):
        link.recv(65536)
        link.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        if notified:
            with contextlib.suppress(ssl.SSLError, OSError):
                link.settimeout(0.5)
                link.unwrap()

    with serving(context, answer) as port:
        gatekeeper = secured(versions={}, services={"shop": {"versions": behind(port, ca=str(authority.cert))}})
        with socket.create_connection(("127.0.0.1", gatekeeper.port), PATIENCE) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            body = raw.makefile("rb").read().partition(b"\r\n\r\n")[2]
        assert body.startswith(b"4\r\nhalf\r\n")
        assert body.endswith(b"0\r\n\r\n") is notified


def test_large_bodies_pass_both_ways_through_both_kinds_of_tls(secured, backend, authority, issued, client, tmp_path):
    gatekeeper = secured(
        versions={}, services={"shop": {"versions": behind(backend(issued["backend"]), ca=str(authority.cert))}}
    )
    wanted = hashlib.sha256((tmp_path / "large").read_bytes()).hexdigest()
    with contextlib.closing(gatekeeper.secure(client)) as link:
        link.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        found, head = hashlib.sha256(), b""
        while b"\r\n\r\n" not in head:
            head += link.recv(65536)
        head, _, body = head.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        time.sleep(0.3)  # a slow reader: what it does not take is not read from the backend
        found.update(body)
        while body := link.recv(65536):
            found.update(body)
    assert found.hexdigest() == wanted
    with contextlib.closing(gatekeeper.secure(client)) as link:
        body = (tmp_path / "large").read_bytes()[:900_000]
        assert ask(link, "/", method="POST", body=body).status == 200
