from hashlib import sha256

import pytest

from gatekeeper.core import passes

NOW = 1_700_000_000.0
KEYS = ("k" * 32, "old" * 11)


def test_a_pass_opens_the_versions_it_names_for_its_service():
    token = passes.issue(KEYS[0], "shop", ["green", "red"], NOW + 60)
    assert passes.verify(token, KEYS, "shop", NOW) == {"green", "red"}
    assert passes.verify(token.encode(), KEYS, "shop", NOW) == {"green", "red"}


def test_a_pass_for_another_service_opens_nothing():
    assert passes.verify(passes.issue(KEYS[0], "cart", ["green"], NOW + 60), KEYS, "shop", NOW) is None


def test_a_pass_ends_at_the_second_it_says():
    token = passes.issue(KEYS[0], "shop", ["green"], NOW + 60)
    assert passes.verify(token, KEYS, "shop", NOW + 59.9) is not None
    assert passes.verify(token, KEYS, "shop", NOW + 60) is None


def test_a_pass_of_an_older_key_holds_until_that_key_is_removed():
    token = passes.issue(KEYS[1], "shop", ["green"], NOW + 60)
    assert passes.verify(token, KEYS, "shop", NOW) == {"green"}
    assert passes.verify(token, KEYS[:1], "shop", NOW) is None
    assert passes.verify(token, (), "shop", NOW) is None


def test_an_opened_pass_says_until_when_and_by_which_key():
    found = passes.Verifier(KEYS, "shop").open(passes.issue(KEYS[1], "shop", ["green"], NOW + 60.9), NOW)
    assert found == passes.Pass(frozenset({"green"}), NOW + 60, KEYS[1])


def test_every_changed_character_makes_a_pass_worthless():
    token = passes.issue(KEYS[0], "shop", ["green"], NOW + 60)
    for at in range(len(token) - 1):  # the last one holds padding bits that carry nothing
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert passes.verify(changed, KEYS, "shop", NOW) is None


@pytest.mark.parametrize("token", ["", ".", "..", "a.b", "=", b"\xff\xfe.\xfd", "e30.", ".eJw.", "x" * 1025])
def test_garbage_is_no_pass(token):
    assert passes.verify(token, KEYS, "shop", NOW) is None


@pytest.mark.parametrize(
    "body", [[], {}, {"s": "shop"}, {"s": "shop", "v": "green", "e": 2e9}, {"s": "shop", "v": ["g"]}]
)
def test_a_signed_body_of_another_shape_is_no_pass(body):
    assert passes.verify(passes._serializer(KEYS[0]).dumps(body), KEYS, "shop", NOW) is None


def test_a_pass_that_is_too_long_is_not_issued_and_the_error_says_what_to_do():
    with pytest.raises(passes.PassError, match="name fewer versions"):
        passes.issue(KEYS[0], "shop", [sha256(b"%d" % number).hexdigest() for number in range(40)], NOW)


def test_a_pass_without_versions_is_not_issued():
    with pytest.raises(passes.PassError, match="at least one version"):
        passes.issue(KEYS[0], "shop", [], NOW)
