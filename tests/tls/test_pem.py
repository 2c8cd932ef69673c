"""What OpenSSL makes of PEM texts: names and dates of good ones, the file to blame and the reason of bad ones."""

import time

import pytest

from gatekeeper.tls.pem import MAX_PEM, Facts, Pair, Part, PemError, examine, read_pem
from tests.tls.authority import openssl

pytestmark = pytest.mark.outside("openssl")


def pair(files):
    return Pair(*files.texts())


def refused(function, *arguments, **more):
    with pytest.raises(PemError) as caught:
        function(*arguments, **more)
    return caught.value.part, str(caught.value)


def test_a_pair_tells_its_names_and_dates(authority):
    facts = examine(pair(authority.issue("names", "Shop.test", "*.shop.test", "IP:127.0.0.1", "shop.test")))
    assert facts.names == ("shop.test", "*.shop.test")
    assert abs(facts.not_before - time.time()) < 3600
    assert facts.not_after - facts.not_before == 30 * 86400


def test_a_certificate_without_names_is_one_for_no_name(authority):
    assert examine(pair(authority.issue("nameless"))).names == ()


def test_intermediates_may_follow(authority):
    files = authority.issue("chained", "chained.test")
    cert, key = files.texts()
    assert examine(Pair(cert + authority.cert.read_text(), key)).names == ("chained.test",)


def test_an_expired_pair_can_be_examined_and_says_so(authority):
    facts = examine(pair(authority.issue("old", "old.test", days=-1)))
    assert facts.expired(time.time()).startswith("the certificate has expired, on 20")


def test_dates_are_judged_by_the_time_that_is_given():
    facts = Facts(("a.test",), 1_700_000_000.0, 1_700_086_400.0)
    assert facts.expired(1_700_000_001.0) == ""
    assert facts.expired(1_699_999_999.0) == "the certificate is not valid yet, but from 2023-11-14 on"
    assert facts.expired(1_700_086_401.0) == "the certificate has expired, on 2023-11-15"


@pytest.mark.parametrize("kind", [("rsa:2048",), ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")])
def test_the_key_of_another_certificate_is_blamed_on_the_key(authority, tmp_path, kind):
    other = tmp_path / "other.key"
    openssl("req", "-x509", "-newkey", *kind, "-nodes", "-keyout", other, "-out", tmp_path / "c", "-subj", "/CN=x")
    cert, _ = authority.issue("mine", "mine.test").texts()
    assert refused(examine, Pair(cert, other.read_text())) == (Part.KEY, "is not the key of this certificate")


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(authority, tmp_path):
    cert, key = authority.issue("locked", "locked.test").texts()
    locked = openssl("pkey", "-aes256", "-passout", "pass:secret", given=key)
    part, why = refused(examine, Pair(cert, locked))
    assert (part, "decrypt it" in why) == (Part.KEY, True)
    old = openssl("pkey", "-traditional", "-aes256", "-passout", "pass:secret", given=key)
    assert "DEK-Info" in old
    assert refused(examine, Pair(cert, old))[0] is Part.KEY


def test_texts_that_are_something_else_are_blamed_each_on_itself(authority):
    cert, key = authority.issue("good", "good.test").texts()
    assert refused(examine, Pair("hello", key))[0] is Part.CERT
    assert refused(examine, Pair(cert, "hello"))[0] is Part.KEY
    assert refused(examine, Pair(cert, cert))[0] is Part.KEY
    assert refused(examine, Pair(cert.replace("M", "!"), key))[0] is Part.CERT
    assert refused(examine, Pair(cert, key.replace("M", "!")))[0] is Part.KEY


def test_a_certificate_for_clients_only_is_none_for_a_server_and_the_other_way_round(authority):
    client = pair(authority.issue("client", "client.test", usage="clientAuth"))
    server = pair(authority.issue("server", "server.test"))
    assert examine(client, client=True).names == ("client.test",)
    assert refused(examine, client)[0] is Part.CERT
    assert refused(examine, server, client=True)[0] is Part.CERT


def test_a_weak_key_is_refused(tmp_path):
    cert, key = tmp_path / "c", tmp_path / "k"
    openssl("req", "-x509", "-newkey", "rsa:1024", "-nodes", "-keyout", key, "-out", cert, "-subj", "/CN=weak")
    part, why = refused(examine, Pair(cert.read_text(), key.read_text()))
    assert (part, "too weak" in why) == (Part.CERT, True)


def test_a_pair_never_shows_its_key(authority):
    made = pair(authority.issue("quiet", "quiet.test"))
    assert made.key not in repr(made)
    assert repr(made) == "Pair(...)"


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    assert refused(read_pem, str(tmp_path / "none"), Part.KEY) == (
        Part.KEY,
        "cannot be read: no such file or directory",
    )
    assert refused(read_pem, str(tmp_path), Part.CA) == (Part.CA, "cannot be read: is a directory")
    (tmp_path / "long").write_bytes(b"x" * (MAX_PEM + 1))
    assert refused(read_pem, str(tmp_path / "long"), Part.CERT) == (Part.CERT, "is longer than 1024 KiB")


def test_comments_in_any_language_are_no_harm(authority, tmp_path):
    cert, key = authority.issue("spoken", "spoken.test").texts()
    (tmp_path / "spoken.pem").write_text("# größer\n" + cert, encoding="utf-8")
    assert examine(Pair(read_pem(str(tmp_path / "spoken.pem"), Part.CERT), key)).names == ("spoken.test",)
