"""OpenFeature's own SDKs ask a running gatekeeper for flags: every type, defaults, errors, targeting, limits."""

import hashlib
import json

import pytest

from tests.system.flagged import SDKS, Asked, Told, python
from tests.system.programs import Gatekeeper

pytestmark = pytest.mark.system

WIDE = {"columns": 3, "title": "Größe", "deep": {"list": [1, 2.5, True]}}
FLAGS = {
    "simple": {"on": True, "owner": "checkout-team", "description": "the new way", "expires": "2099-01-31"},
    "resting": {"on": False},
    "killed": {"on": True},
    "in-germany": {"on": True, "when": {"header": {"X-Country": "DE"}}},
    "on-mobile": {"on": True, "percent": 50, "when": {"path": {"prefix": "/m/"}}},
    "some": {"on": True, "percent": 50},
    "theme": {"on": True, "variants": {"light": "light", "dark": "dark"}, "off": "light", "split": {"dark": 100}},
    "limit": {"on": True, "variants": {"few": 5, "many": 50}, "off": "few", "split": {"many": 100}},
    "factor": {"on": True, "variants": {"one": 1.0, "more": 2.5}, "off": "one", "split": {"one": 100}},
    "layout": {"on": True, "variants": {"narrow": {}, "wide": WIDE}, "off": "narrow", "split": {"wide": 100}},
}
RATE = 50
"""Few, so that the one test that asks for more meets it on any machine."""
TOKENS = {f"{who}-{sdk}": f"the-token-of-{who}-{sdk}" for who in ("types", "people", "often") for sdk in SDKS}
ANNA, DE = {"targetingKey": "anna"}, {"X-Country": "DE"}

# What is asked for, and what an application gets. The SDKs say the same, but for metadata of what failed.
EVALUATIONS = {
    "boolean": (Asked("boolean", "simple", False), Told(True, "on", "STATIC")),
    "string": (Asked("string", "theme", "none"), Told("dark", "dark", "STATIC")),
    "integer": (Asked("integer", "limit", 1), Told(50, "many", "STATIC")),
    "float": (Asked("float", "factor", 9.5), Told(1.0, "one", "STATIC")),
    "object": (Asked("object", "layout", {}), Told(WIDE, "wide", "STATIC")),
    "off": (Asked("boolean", "resting", True), Told(False, "off", "DISABLED")),
    "killed": (Asked("boolean", "killed", True), Told(False, "off", "DISABLED")),
    "target": (Asked("boolean", "in-germany", False, DE), Told(True, "on", "TARGETING_MATCH")),
    "target by headers": (Asked("boolean", "in-germany", False, {"headers": DE}), Told(True, "on", "TARGETING_MATCH")),
    "not the target": (Asked("boolean", "in-germany", True, {"X-Country": "FR"}), Told(False, "off", "DEFAULT")),
    "no target": (Asked("boolean", "on-mobile", True, {"path": "/"} | ANNA), Told(False, "off", "DEFAULT")),
    "version": (Asked("string", "shop.version", "none", ANNA), Told("blue", "blue", "STATIC")),
    "unknown": (Asked("boolean", "nothing", True), Told(True, None, "ERROR", "FLAG_NOT_FOUND")),
    "unknown version": (Asked("string", "cart.version", "x"), Told("x", None, "ERROR", "FLAG_NOT_FOUND")),
    "another type": (Asked("string", "simple", "x"), Told("x", None, "ERROR", "TYPE_MISMATCH")),
    "no object": (Asked("object", "theme", {"a": 1}), Told({"a": 1}, None, "ERROR", "TYPE_MISMATCH")),
    "nobody": (Asked("boolean", "some", True), Told(True, None, "ERROR", "TARGETING_KEY_MISSING")),
    "nobody there": (
        Asked("boolean", "on-mobile", True, {"path": "/m/"}),
        Told(True, None, "ERROR", "TARGETING_KEY_MISSING"),
    ),
    "wrong context": (Asked("boolean", "simple", False, {"path": 7}), Told(False, None, "ERROR", "INVALID_CONTEXT")),
}


EACH = pytest.mark.parametrize("sdk", ["python", pytest.param("javascript", marks=pytest.mark.outside("node"))])


@pytest.fixture(scope="module")
def gatekeeper(tmp_path_factory):
    from tests.conftest import _take

    held = []
    traffic, admin = (_take(held) for _ in range(2))
    for each in held:
        each.close()
    folder = tmp_path_factory.mktemp("ofrep")
    made = Gatekeeper(folder / "gatekeeper", traffic, {"blue": "http://127.0.0.1:9", "green": "http://127.0.0.1:9"})
    tokens = folder / "tokens.yaml"
    entries = [
        {"name": name, "role": "viewer", "sha256": hashlib.sha256(token.encode()).hexdigest()}
        for name, token in TOKENS.items()
    ]
    tokens.write_text(json.dumps(entries))
    document = made.document(workers=1)
    document["admin"] |= {"http": f"127.0.0.1:{admin}", "tokens": str(tokens), "ofrep": {"rate": RATE}}
    made.file.write_text(json.dumps(document | {"flags": FLAGS}))
    made.url = f"http://127.0.0.1:{admin}"
    try:
        made.start()
        status, reply = made.call("POST", "/v1/flags/killed/off", {"kill": True})
        assert status == 200, reply
        yield made
        assert "Traceback" not in made.said()
    finally:
        made.end()


@EACH
def test_an_sdk_evaluates_every_type_target_and_error_as_it_should(gatekeeper, sdk):
    found = SDKS[sdk](gatekeeper.url, TOKENS[f"types-{sdk}"], [asked for asked, _ in EVALUATIONS.values()])
    for (name, (_, expected)), told in zip(EVALUATIONS.items(), found, strict=True):
        # The two differ in what they keep of an error beside its code.
        assert told._replace(metadata={}, message=None) == expected, (name, told)
        assert type(told.value) is type(expected.value) or sdk == "javascript", name
        if told.error is not None:
            assert told.message, name
    assert found[0].metadata == {
        "owner": "checkout-team",
        "description": "the new way",
        "expires": "2099-01-31",
    }


@EACH
def test_an_sdk_tells_people_apart_by_their_targeting_key_and_always_in_the_same_way(gatekeeper, sdk):
    people = [Asked("boolean", "some", False, {"targetingKey": f"user-{number}"}) for number in range(20)]
    found = SDKS[sdk](gatekeeper.url, TOKENS[f"people-{sdk}"], [*people, *people])
    assert {told.reason for told in found} == {"SPLIT"}
    assert {told.value for told in found} == {True, False}
    assert found[:20] == found[20:]
    # The same by another's hand: what an SDK sends is what the protocol says.
    for told, each in zip(found, people, strict=False):
        status, alone = gatekeeper.call("POST", "/ofrep/v1/evaluate/flags/some", {"context": each.context})
        assert (status, alone["value"], alone["variant"]) == (200, told.value, told.variant)


@EACH
def test_an_application_without_a_token_goes_on_with_its_defaults(gatekeeper, sdk):
    (told,) = SDKS[sdk](gatekeeper.url, "nobody's", [Asked("boolean", "simple", False)])
    assert (told.value, told.reason, told.error) == (False, "ERROR", "GENERAL")
    # The one for JavaScript keeps it to itself.
    assert told.message == ("unauthorized" if sdk == "python" else "")


@EACH
def test_an_application_that_asks_too_often_gets_its_defaults_and_waits_as_long_as_it_is_told(gatekeeper, sdk):
    found = SDKS[sdk](gatekeeper.url, TOKENS[f"often-{sdk}"], [Asked("boolean", "simple", False)] * 300)
    good = [told for told in found if told.error is None]
    bad = [told for told in found if told.error is not None]
    assert len(good) >= RATE
    assert {(told.value, told.error) for told in bad} == {(False, "GENERAL")}
    # From the second refused one on it does not even ask before the time is over.
    assert "paused due to TooManyRequests" in bad[1].message


def test_an_application_goes_on_with_its_defaults_while_gatekeeper_is_away():
    (told,) = python("http://127.0.0.1:9", "any", [Asked("string", "theme", "plain")])
    assert (told.value, told.error) == ("plain", "GENERAL")
