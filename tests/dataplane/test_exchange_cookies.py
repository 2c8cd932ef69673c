"""The cookie that keeps a browser with its version: when it is set, and that nobody else gets to see it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gatekeeper.core import model
from gatekeeper.core.model import Sticky, StickyMode
from tests.dataplane.world import GET, OK, TESTER, Message, request

OWN = {"sticky": Sticky()}
HALVES = {"blue": 50, "green": 50}


def answer(*lines, status=200):
    return "\r\n".join((f"HTTP/1.1 {status} X", "Content-Length: 0", *lines, "", "")).encode()


def test_a_first_answer_sets_it_and_it_is_opaque(world):
    line = world(HALVES, **OWN).answered(GET).get("set-cookie")
    name, _, value = line.partition("; ")[0].partition("=")
    assert (name, len(value)) == ("gatekeeper-shop", 32)
    assert line.endswith("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax")


def test_it_comes_beside_the_applications_cookies(world):
    got = world(**OWN).answered(GET, answer("Set-Cookie: a=1", "Set-Cookie: b=2")).all("set-cookie")
    assert got[:2] == ["a=1", "b=2"]
    assert len(got) == 3


def test_a_browser_that_has_it_keeps_its_version_and_gets_no_other(world):
    here = world(HALVES, **OWN)
    for _ in range(8):
        client, backend = here.asked(GET)
        version = Message.read(backend.take()).get("x-gatekeeper-version")
        backend.send(OK)
        cookie = Message.read(client.take()).get("set-cookie").partition(";")[0]
        for _ in range(3):
            other, backend = here.asked(request("GET", f"Cookie: a=1; {cookie}"))
            told = Message.read(backend.take())
            assert told.get("x-gatekeeper-version") == version
            assert told.get("cookie") == "a=1"
            backend.send(OK)
            assert Message.read(other.take()).all("set-cookie") == []


@pytest.mark.parametrize(
    "line",
    ["Cache-Control: public, max-age=60", "Cache-Control: max-age=60", "Cache-Control: s-maxage=1",
     "Expires: Thu, 01 Jan 2099 00:00:00 GMT"],
)  # fmt: skip
def test_an_answer_that_shared_caches_may_keep_gets_none(world, line):
    assert world(**OWN).answered(GET, answer(line)).all("set-cookie") == []


@pytest.mark.parametrize(
    "line", ["Cache-Control: private, max-age=60", "Cache-Control: no-store", "Expires: 0", "X: y"]
)
def test_any_other_answer_gets_it(world, line):
    assert len(world(**OWN).answered(GET, answer(line)).all("set-cookie")) == 1


@pytest.mark.parametrize("status", [204, 304, 404, 500])
def test_it_comes_with_any_status(world, status):
    assert len(world(**OWN).answered(GET, answer(status=status)).all("set-cookie")) == 1


def test_interim_answers_and_our_own_have_none(world):
    here = world(**OWN)
    client, backend = here.asked(GET)
    backend.send(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
    assert b"Set-Cookie" not in client.take()
    backend.end()
    assert Message.read(client.take()).all("set-cookie") == []


def test_behind_tls_it_is_secure(world):
    here = world(trusted=("10.0.0.0/8",), **OWN)
    got = here.answered(request("GET", "X-Forwarded-Proto: https"), address="10.0.0.1")
    assert got.get("set-cookie").endswith("; Secure")


def test_a_strangers_word_for_tls_is_not_taken(world):
    here = world(trusted=("10.0.0.0/8",), **OWN)
    assert "Secure" not in here.answered(request("GET", "X-Forwarded-Proto: https")).get("set-cookie")


def test_a_forged_one_only_chooses_among_versions_that_hold_weight(world):
    here = world({"blue": 0, "green": 100}, **OWN)
    for number in range(50):
        told = here.told(request("GET", f"Cookie: gatekeeper-shop={number:032x}"))
        assert told.get("x-gatekeeper-version") == "green"


def test_the_same_section_is_decided_anew_after_a_change_of_weights(world):
    here = world({"blue": 0, "green": 100}, **OWN)
    raw = request("GET", "Cookie: gatekeeper-shop=" + "a" * 32)
    for split, version in (({"blue": 0, "green": 100}, "green"), ({"blue": 100, "green": 0}, "blue")):
        here.use(replace(here.service, split={name: Decimal(weight) for name, weight in split.items()}))
        for _ in range(3):
            assert here.told(raw).get("x-gatekeeper-version") == version


def test_drawn_anew_sets_none(world):
    assert world(HALVES, sticky=Sticky(mode=StickyMode.NONE)).answered(GET).all("set-cookie") == []


def test_a_tester_gets_a_session_by_query_and_ends_it(world):
    here = world(testers=model.Testers(query=True), **OWN)
    client, backend = here.asked(request("GET", target="/?gatekeeper-version=green"), TESTER)
    told = Message.read(backend.take())
    assert told.get("x-gatekeeper-version") == "green"
    backend.send(OK)
    got = Message.read(client.take())
    assert got.get("x-gatekeeper-version") == "green"
    cookie = got.get("set-cookie").partition(";")[0]
    assert cookie.startswith("gatekeeper-shop-version=")
    told = here.told(request("GET", f"Cookie: {cookie}; a=1"), TESTER)
    assert (told.get("x-gatekeeper-version"), told.get("cookie")) == ("green", "a=1")
    assert here.told(request("GET", f"Cookie: {cookie}")).get("x-gatekeeper-version") == "blue"
