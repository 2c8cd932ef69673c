"""TLS in the file: what is written becomes the settings, and every file that cannot be used is named at its place."""

import time

import pytest

from gatekeeper.config import ConfigError, load_file, load_text
from gatekeeper.core.model import BackendTls, KeyPair, Listener, ListenerTls
from tests.config.conftest import SHOP
from tests.tls.authority import Authority

pytestmark = pytest.mark.outside("openssl")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("files"))
    made.issue("shop", "shop.test")
    made.issue("other", "other.test")
    made.issue("old", "old.test", days=-1)
    made.issue("client", "client.test", usage="clientAuth")
    (made.folder / "garbage").write_text("hello")
    return made


@pytest.fixture
def load(authority):
    """A definition from a text for ``listen`` and one for the versions; paths start at the authority's folder."""

    def load(listen="[':80']", versions="{v: {backends: 'http://h'}}", more=""):
        text = f"listen: {listen}\n{more}\nservices: {{s: {{versions: {versions}}}}}\n"
        return load_text(text, "gk.yaml", authority.folder)

    return load


@pytest.fixture
def problems(load):
    def problems(*arguments, **more):
        with pytest.raises(ConfigError) as caught:
            load(*arguments, **more)
        return [(problem.path, problem.message) for problem in caught.value.problems]

    return problems


def test_a_certificate_stands_alone_or_in_a_list(load, authority):
    pair = KeyPair(f"{authority.folder}/shop.pem", f"{authority.folder}/shop.key")
    other = KeyPair(f"{authority.folder}/other.pem", f"{authority.folder}/other.key")
    for tls, pairs in (
        ("{cert: shop.pem, key: shop.key}", (pair,)),
        ("[{cert: shop.pem, key: shop.key}]", (pair,)),
        ("[{cert: shop.pem, key: ./shop.key}, {cert: other.pem, key: other.key}]", (pair, other)),
    ):
        settings = load(f"[{{address: ':443', tls: {tls}}}, ':80']").settings
        assert settings.listen == ("0.0.0.0:443", "0.0.0.0:80")
        assert settings.listeners == {"0.0.0.0:443": Listener(ListenerTls(pairs))}


def test_the_first_certificate_holds_what_is_the_listeners(load, authority):
    settings = load(
        "[{address: ':443', tls: [{cert: shop.pem, key: shop.key, min_version: 1.3, client_ca: authority.pem},"
        " {cert: other.pem, key: other.key}]}]"
    ).settings
    tls = settings.listeners["0.0.0.0:443"].tls
    assert (tls.min_version, tls.client_ca, tls.client_auth) == ("1.3", str(authority.cert), "required")


def test_client_certificates_may_be_optional(load):
    tls = "{cert: shop.pem, key: shop.key, client_ca: authority.pem, client_auth: optional}"
    settings = load(f"[{{address: ':443', tls: {tls}}}]").settings
    assert settings.listeners["0.0.0.0:443"].tls.client_auth == "optional"


def test_proxy_protocol_is_for_trusted_peers_and_unix_sockets(load, problems):
    listener = {"unix:/run/a.sock": Listener(proxy_protocol=True)}
    assert load("[{address: 'unix:/run/a.sock', proxy_protocol: true}]").settings.listeners == listener
    trusting = load("[{address: ':80', proxy_protocol: true}]", more="trusted_proxies: 10.0.0.0/8")
    assert trusting.settings.listeners == {"0.0.0.0:80": Listener(proxy_protocol=True)}
    for more in ("", "trusted_proxies: []"):
        found = problems("[{address: ':80', proxy_protocol: true}]", more=more)
        assert [path for path, _ in found] == ["listen[0].proxy_protocol"]
        assert "would refuse every connection" in found[0][1]


def test_tls_to_backends(load, authority):
    tls = "{ca: authority.pem, server_name: S.test, cert: client.pem, key: client.key}"
    versions = f"{{v: {{backends: ['https://h', 'http://h'], tls: {tls}}}}}"
    version = load(versions=versions).services["s"].versions["v"]
    assert [backend.url for backend in version.backends] == ["https://h:443", "http://h:80"]
    pair = KeyPair(f"{authority.folder}/client.pem", f"{authority.folder}/client.key")
    assert version.tls == BackendTls(str(authority.cert), server_name="s.test", pair=pair)
    assert load(versions="{v: {backends: 'https://h:8443'}}").services["s"].versions["v"].tls == BackendTls()
    loose = load(versions="{v: {backends: 'https://h', tls: {verify: false}}}").services["s"].versions["v"]
    assert loose.tls == BackendTls(verify=False)


def listening(authority, cert, key):
    folder = authority.folder
    return f"listen: [{{address: ':443', tls: {{cert: {folder}/{cert}, key: {folder}/{key}}}}}]\n{SHOP}"


MISTAKES = [
    ("{cert: none.pem, key: shop.key}", ".cert", "cannot be read: no such file or directory"),
    ("{cert: shop.pem, key: none.key}", ".key", "cannot be read: no such file or directory"),
    ("{cert: shop.pem, key: other.key}", ".key", "is not the key of this certificate"),
    ("{cert: shop.pem, key: shop.pem}", ".key", "holds no private key"),
    ("{cert: garbage, key: shop.key}", ".cert", "holds no certificate"),
    ("{cert: client.pem, key: client.key}", ".cert", "is no certificate for a server"),
    ("{cert: shop.pem, key: shop.key, client_ca: none.pem}", ".client_ca", "cannot be read"),
    ("{cert: shop.pem, key: shop.key, client_ca: garbage}", ".client_ca", "holds no certificate"),
    ("{cert: shop.pem, key: shop.key, client_auth: optional}", ".client_auth", "needs to know who may have signed"),
    ("{cert: shop.pem, key: shop.key, min_version: 1.1}", ".min_version", "is not one of the words"),
    (
        "[{cert: shop.pem, key: shop.key}, {cert: other.pem, key: other.key, min_version: 1.3}]",
        "[1].min_version",
        "holds for the whole listener",
    ),
    ("[{cert: shop.pem, key: shop.key}, {cert: other.pem, key: shop.key}]", "[1].key", "is not the key of this"),
    ("{certs: shop.pem, key: shop.key}", ".certs", "unknown key"),
]


@pytest.mark.parametrize(("tls", "path", "message"), MISTAKES)
def test_a_mistake_is_told_where_it_stands(problems, tls, path, message):
    found = problems(f"[':80', {{address: ':443', tls: {tls}}}]")
    assert [at for at, _ in found] == [f"listen[1].tls{path}"]
    assert found[0][1].startswith(message)


def test_a_key_of_a_backend_is_checked_for_a_client(problems):
    versions = "{v: {backends: 'https://h', tls: {cert: shop.pem, key: shop.key, ca: garbage}}}"
    found = problems(versions=versions)
    assert {path for path, _ in found} == {"services.s.versions.v.tls.ca", "services.s.versions.v.tls.cert"}


def test_what_is_out_of_date_is_an_error_for_check_and_none_for_serve(authority, tmp_path):
    """A proxy that does not come back after a restart is worse than one whose clients complain."""
    path = tmp_path / "gk.yaml"
    path.write_text(listening(authority, "old.pem", "old.key"))
    assert load_file(path).settings.listeners
    with pytest.raises(ConfigError, match=r"gk.yaml:1: listen\[0\].tls.cert: the certificate has expired, on 20"):
        load_file(path, now=time.time())
    with pytest.raises(ConfigError, match="is not valid yet"):
        load_file(path, now=0.0)


def test_no_message_shows_what_a_key_file_holds(authority, tmp_path):
    path = tmp_path / "gk.yaml"
    path.write_text(listening(authority, "other.pem", "shop.key"))
    with pytest.raises(ConfigError) as caught:
        load_file(path)
    assert "PRIVATE KEY" not in str(caught.value)
    assert (authority.folder / "shop.key").read_text().splitlines()[1] not in str(caught.value)
