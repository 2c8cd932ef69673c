"""Contexts as clients and backends meet them: handshakes in memory."""

import ssl

import pytest

from gatekeeper.core.model import BackendTls, KeyPair, ListenerTls
from gatekeeper.tls.contexts import Names, client_context, server_context
from gatekeeper.tls.pem import Pair, PemError
from tests.tls.handshake import named, shake, trusting

pytestmark = pytest.mark.outside("openssl")

SHOWN = (KeyPair("a.pem", "a.key"),)


@pytest.fixture(scope="session")
def shop(authority):
    return Pair(*authority.issue("shop", "shop.test", "*.shop.test").texts())


@pytest.fixture(scope="session")
def other(authority):
    return Pair(*authority.issue("other", "other.test", "deep.shop.test", "*.other.test").texts())


def serving(*pairs, ca=None, **options):
    return server_context(ListenerTls(SHOWN * len(pairs), **options), pairs, ca)


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("shop.test", "shop.test"),
        ("SHOP.test", "shop.test"),
        ("other.test", "other.test"),
        ("a.other.test", "other.test"),
        ("a.shop.test", "shop.test"),
        ("deep.shop.test", "other.test"),  # the exact name goes before a wildcard of an earlier certificate
        ("a.b.other.test", "shop.test"),  # a wildcard stands for one label
        ("unknown.test", "shop.test"),
        ("test", "shop.test"),
        (None, "shop.test"),
    ],
)
def test_a_client_gets_the_certificate_for_the_name_it_asks_for(authority, shop, other, asked, got):
    client = trusting(authority.cert, check_hostname=False)
    assert named(shake(client, serving(shop, other), asked)[0])[0] == got


def test_of_two_certificates_for_a_name_the_earlier_is_shown():
    first, second = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = Names([(["a.test"], first), (["a.test", "b.test"], second)])
    assert (names.find("a.test"), names.find("b.test."), names.find("")) == (first, second, first)


@pytest.mark.parametrize("least", ["1.2", "1.3"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_versions_below_the_least_are_refused(authority, shop, other, least, version):
    for name in ("shop.test", "other.test"):
        client = trusting(authority.cert, minimum_version=version, maximum_version=version)
        client.set_ciphers("ALL:@SECLEVEL=0")
        server = serving(shop, other, min_version=least)
        if version.name.removeprefix("TLSv").replace("_", ".") < least:
            with pytest.raises(ssl.SSLError):
                shake(client, server, name)
        else:
            assert shake(client, server, name)[0].version() == version.name.replace("_", ".").replace(
                "TLSv1.", "TLSv1."
            )


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256"])
def test_ciphers_without_forward_secrecy_or_authentication_are_refused(authority, shop, cipher):
    client = trusting(authority.cert, maximum_version=ssl.TLSVersion.TLSv1_2)
    client.set_ciphers(cipher)
    with pytest.raises(ssl.SSLError, match=r"(?i)no shared cipher"):
        shake(client, serving(shop), "shop.test")


@pytest.mark.parametrize(("offered", "chosen"), [(["h2", "http/1.1"], "http/1.1"), (["h2"], None), ([], None)])
def test_http_1_1_is_the_only_protocol(authority, shop, offered, chosen):
    client = trusting(authority.cert)
    if offered:
        client.set_alpn_protocols(offered)
    assert shake(client, serving(shop), "shop.test")[0].selected_alpn_protocol() == chosen


@pytest.mark.parametrize("name", ["shop.test", "other.test"])
@pytest.mark.parametrize(
    ("auth", "shows", "served"),
    [
        ("required", "ours", True),
        ("required", "", False),
        ("required", "foreign", False),
        ("optional", "ours", True),
        ("optional", "", True),
        ("optional", "foreign", False),
        ("none", "foreign", True),
    ],
)
def test_clients_show_certificates_as_the_listener_demands(authority, foreign, shop, other, name, auth, shows, served):
    """Also where another certificate than the first was chosen by name."""
    client = trusting(authority.cert)
    if shows:
        files = {"ours": authority, "foreign": foreign}[shows].issue("client", "client.test", usage="clientAuth")
        client.load_cert_chain(*files)
    ca = None if auth == "none" else authority.cert.read_text()
    server = serving(shop, other, client_auth=auth, client_ca=None if auth == "none" else "ca.pem", ca=ca)
    if served:
        assert bool(shake(client, server, name)[1].getpeercert()) is (shows == "ours")
    else:
        with pytest.raises(ssl.SSLError):
            shake(client, server, name)


def backend(pair, ca=None):
    """A backend that wants our certificate if ``ca`` is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*(pair.cert, pair.key))
    if ca is not None:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_a_backend_is_verified_by_authority_and_name(authority, foreign):
    ours = client_context(BackendTls(ca="ca.pem"), None, authority.cert.read_text())
    good = backend(authority.issue("backend", "backend.test", "IP:127.0.0.1"))
    assert named(shake(ours, good, "backend.test")[0]) == ["backend.test"]
    shake(ours, good, "127.0.0.1")
    for server, name in (
        (good, "elsewhere.test"),
        (good, "127.0.0.2"),
        (backend(foreign.issue("backend", "backend.test")), "backend.test"),
        (backend(authority.issue("stale", "backend.test", days=-1)), "backend.test"),
        (backend(authority.issue("wrong", "backend.test", usage="clientAuth")), "backend.test"),
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            shake(ours, server, name)


def test_without_an_authority_of_its_own_the_systems_count(authority):
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(client_context(BackendTls(), None, None), backend(authority.issue("b", "backend.test")), "backend.test")


def test_a_backends_own_certificate_may_be_trusted_by_itself(foreign):
    files = foreign.issue("pinned", "pinned.test")
    shake(client_context(BackendTls(ca="x"), None, files.cert.read_text()), backend(files), "pinned.test")


def test_verification_can_be_switched_off(foreign):
    ours = client_context(BackendTls(verify=False), None, None)
    shake(ours, backend(foreign.issue("any", "any.test", days=-1)), "backend.test")


def test_a_backend_sees_our_certificate(authority):
    mine = Pair(*authority.issue("proxy", "proxy.test", usage="clientAuth").texts())
    server = backend(authority.issue("asking", "asking.test"), ca=authority.cert)
    ours = client_context(BackendTls(ca="x", pair=SHOWN[0]), mine, authority.cert.read_text())
    assert named(shake(ours, server, "asking.test")[1]) == ["proxy.test"]


def test_what_is_no_certificate_cannot_be_trusted():
    with pytest.raises(PemError, match="holds no certificate"):
        client_context(BackendTls(ca="x"), None, "hello")


def test_nobody_renegotiates_or_compresses(authority, shop):
    for context in (serving(shop), client_context(BackendTls(), None, authority.cert.read_text())):
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.options & ssl.OP_NO_COMPRESSION
