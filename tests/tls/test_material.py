"""What travels to workers, and the contexts that are made of it."""

import json
from dataclasses import replace

import pytest

from gatekeeper.core.model import Backend, BackendTls, KeyPair, Listener, ListenerTls, Settings
from gatekeeper.tls.material import Contexts, Material, MissingError, check_tls, wanted
from gatekeeper.tls.pem import Pair, PemError
from tests.core.routes import service, state

pytestmark = pytest.mark.outside("openssl")

FRONT, CLIENT, UNUSED = (KeyPair(f"{name}.pem", f"{name}.key") for name in ("front", "client", "unused"))


def shop(url="https://h:443", **tls):
    made = service("shop")
    versions = {
        name: replace(version, backends=(Backend(url),), tls=BackendTls(**tls))
        for name, version in made.versions.items()
    }
    return replace(made, versions=versions)


def of(definition, **listeners):
    return replace(state([definition]), settings=Settings(listeners=listeners))


@pytest.fixture
def material(authority):
    pairs = {
        FRONT: Pair(*authority.issue("front", "front.test").texts()),
        CLIENT: Pair(*authority.issue("client", "client.test", usage="clientAuth").texts()),
    }
    return Material(pairs, {"ca.pem": authority.cert.read_text()})


def test_a_material_arrives_as_it_was_sent(material):
    assert Material.of_message(json.loads(json.dumps(material.message()))) == material
    assert Material.of_message({"type": "credentials", "serial": 1, **Material().message()}) == Material()


def test_a_state_wants_the_files_of_its_listeners_and_of_versions_behind_tls():
    listener = Listener(ListenerTls((FRONT,), client_ca="clients.pem", client_auth="optional"))
    assert wanted(of(shop(ca="ca.pem", pair=CLIENT), a=listener, b=Listener())) == (
        {FRONT, CLIENT},
        {"clients.pem", "ca.pem"},
    )
    assert wanted(of(shop("http://h:80", ca="ca.pem", pair=UNUSED))) == (set(), set())


def test_a_context_is_made_once_and_shared_by_names(material):
    contexts = Contexts(material)
    assert contexts.server(ListenerTls((FRONT,))) is contexts.server(ListenerTls((FRONT,)))
    one, other = BackendTls(ca="ca.pem", server_name="a"), BackendTls(ca="ca.pem", server_name="b")
    assert contexts.client(one) is contexts.client(other)
    assert contexts.client(one) is not contexts.client(BackendTls(ca="ca.pem", pair=CLIENT))


def test_a_state_is_checked_against_its_material_as_a_whole(material):
    good = of(shop(ca="ca.pem", pair=CLIENT), a=Listener(ListenerTls((FRONT,))))
    check_tls(good, Contexts(material))
    for missing in (of(shop(ca="other.pem")), of(shop(), a=Listener(ListenerTls((UNUSED,))))):
        with pytest.raises(MissingError, match=r"(other|unused)\.pem"):
            check_tls(missing, Contexts(material))
    with pytest.raises(PemError):
        check_tls(good, Contexts(replace(material, authorities={"ca.pem": "hello"})))
