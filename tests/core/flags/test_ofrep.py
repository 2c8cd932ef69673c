"""OFREP as the protocol has it: answers, errors, and tags that change only with what somebody is given."""

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatekeeper.core.flags.context import Context, ToldHead
from gatekeeper.core.flags.ofrep import KEY, Reply, bulk, failure, single
from tests.core.flags.asked import FLAGS, GERMANY, boolean, flag, ramped, resolver

ALL = resolver()


def body(**context):
    return json.dumps({"context": context}).encode()


def one(key, *, asked=ALL, own=None, **context):
    return single(asked, key, body(**context), own)


def given_of(reply):
    """(value, variant, reason) of a reply, read from its bytes."""
    found = json.loads(reply.body)
    return found["value"], found["variant"], found["reason"]


# One flag


@pytest.mark.parametrize(
    ("key", "value", "variant", "reason"),
    [
        ("simple", True, "on", "STATIC"),
        ("resting", False, "off", "DISABLED"),
        ("killed", False, "off", "DISABLED"),
        ("theme", "light", "light", "STATIC"),
        ("limit", 50, "many", "STATIC"),
        ("layout", {"columns": 3}, "wide", "STATIC"),
        ("only-germany", False, "off", "DEFAULT"),
    ],
)
def test_a_flag_of_every_type_is_told_with_value_variant_and_reason(key, value, variant, reason):
    reply = one(key)
    assert (reply.status, reply.etag) == (200, "")
    assert given_of(reply) == (value, variant, reason)
    assert json.loads(reply.body)["key"] == key
    assert reply.evaluated == ((key, variant),)


def test_a_float_stays_a_float_and_an_integer_an_integer():
    assert b'"value":1.0,' in one("factor").body
    assert b'"value":50,' in one("limit").body


def test_a_condition_is_matched_by_what_the_context_says():
    assert given_of(one("only-germany", **{"X-Country": "DE"})) == (True, "on", "TARGETING_MATCH")
    assert given_of(one("only-germany", headers={"x-country": "DE"})) == (True, "on", "TARGETING_MATCH")
    assert given_of(one("only-germany", country="DE")) == (False, "off", "DEFAULT")


def test_a_split_is_by_the_targeting_key():
    found = {given_of(one("new-checkout", targetingKey=f"u{each}")) for each in range(200)}
    assert found == {(True, "on", "SPLIT"), (False, "off", "SPLIT")}


def test_metadata_say_whose_it_is():
    assert json.loads(one("new-checkout", targetingKey="u").body)["metadata"] == {"owner": "checkout-team"}


def test_a_services_version_is_a_flag():
    assert given_of(one("shop.version")) == ("blue", "blue", "STATIC")
    split = resolver(split={"blue": 50, "green": 50})
    found = {given_of(one("shop.version", asked=split, targetingKey=f"u{each}")) for each in range(50)}
    assert found == {("blue", "blue", "SPLIT"), ("green", "green", "SPLIT")}


# Errors


def refused(reply):
    found = json.loads(reply.body)
    assert set(found) <= {"key", "errorCode", "errorDetails"}
    assert found["errorDetails"]
    assert (reply.etag, reply.evaluated) == ("", ())
    return reply.status, found["errorCode"], found.get("key")


def test_an_unknown_flag_is_not_found_and_the_near_one_named():
    reply = one("new-chekout")
    assert refused(reply) == (404, "FLAG_NOT_FOUND", "new-chekout")
    assert "did you mean new-checkout?" in json.loads(reply.body)["errorDetails"]
    assert "gatekeeper flag list" in json.loads(one("zzzz").body)["errorDetails"]


@pytest.mark.parametrize("context", [{}, {"targetingKey": ""}, {"targetingKey": None}, {"user": "u"}])
def test_a_split_without_a_targeting_key_says_that_it_is_missing(context):
    assert refused(one("new-checkout", **context)) == (400, "TARGETING_KEY_MISSING", "new-checkout")


@pytest.mark.parametrize(
    "sent",
    [
        b"{",
        b"nope",
        b'{"context": NaN}',
        b"\xff",
        b'{"context": 1' + b"0" * 5000 + b"}",
        b"[" * 15_000,
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_not_json_is_a_parse_error(sent):
    assert refused(single(ALL, "simple", sent)) == (400, "PARSE_ERROR", "simple")
    assert refused(bulk(ALL, sent)) == (400, "PARSE_ERROR", None)


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        (b"[]", "the body"),
        (b'"x"', "the body"),
        (b'{"context": []}', "context is not an object"),
        (b'{"context": "u"}', "context is not an object"),
        (b'{"context": {"targetingKey": 7}}', "context.targetingKey"),
        (b'{"context": {"path": 7}}', "context.path"),
        (b'{"context": {"headers": []}}', "context.headers"),
        (b'{"context": {"cookies": {"a": 1}}}', "context.cookies.a"),
        (b'{"context": {"targetingKey": "\\ud800"}}', "not Unicode"),
        (b'{"context": {"\\ud800": "x"}}', "not Unicode"),
    ],
)
def test_a_context_that_cannot_be_used_is_invalid_and_the_place_is_named(sent, named):
    for reply, key in ((single(ALL, "simple", sent), "simple"), (bulk(ALL, sent), None)):
        assert refused(reply) == (400, "INVALID_CONTEXT", key)
        assert named in json.loads(reply.body)["errorDetails"]


@pytest.mark.parametrize("sent", [b"", b" ", b"{}", b'{"context": null}', b'{"context": {}}', b'{"more": 1}'])
def test_nothing_said_of_anybody_is_an_empty_context(sent):
    assert single(ALL, "simple", sent).status == 200


def test_what_other_providers_use_is_passed_over():
    assert one("simple", age=7, tags=["a"], deep={"a": {"b": [1.5, None]}}, flag=True).status == 200


def test_an_error_repeats_no_more_of_a_key_than_a_name_has():
    found = json.loads(one("x" * 9000).body)
    assert len(found["key"]) == KEY
    assert len(found["errorDetails"]) < 1000
    assert (
        Reply(400, failure("GENERAL", "no", "\udcff")).body
        == b'{"key":"?","errorCode":"GENERAL","errorDetails":"no"}\n'
    )


# All flags


def flags_of(reply):
    return {found["key"]: found for found in json.loads(reply.body)["flags"]}


def test_all_are_told_in_the_order_of_names_and_each_as_if_it_was_asked_for_alone():
    reply = bulk(ALL, body(targetingKey="u", **{"X-Country": "DE"}))
    found = json.loads(reply.body)["flags"]
    assert [each["key"] for each in found] == sorted([*(one.definition.name for one in FLAGS), "shop.version"])
    for each in found:
        alone = one(each["key"], targetingKey="u", **{"X-Country": "DE"})
        assert json.loads(alone.body) == each
    assert reply.evaluated == tuple((each["key"], each["variant"]) for each in found)


def test_one_that_cannot_be_evaluated_keeps_nothing_from_the_others():
    reply = bulk(ALL, body())
    found = flags_of(reply)
    assert reply.status == 200
    assert found["new-checkout"]["errorCode"] == "TARGETING_KEY_MISSING"
    assert found["new-checkout"]["errorDetails"]
    assert found["simple"]["value"] is True
    assert len(reply.evaluated) == len(found) - 1


def test_a_tag_that_comes_back_is_answered_304_without_a_body():
    reply = bulk(ALL, body(targetingKey="u"))
    assert reply.etag.startswith('W/"')
    strong = reply.etag.removeprefix("W/")
    for sent in (reply.etag, strong, f'"x", {reply.etag}', f'W/"y",{strong}'):
        again = bulk(ALL, body(targetingKey="u"), sent)
        assert (again.status, again.document, again.body, again.etag) == (304, None, b"", reply.etag)
        assert again.evaluated == reply.evaluated
    for other in ("", '"x"', "*", "nonsense", strong.strip('"'), f'"{strong[1:5]}"'):
        assert bulk(ALL, body(targetingKey="u"), other).status == 200


def tag(asked, unit="u"):
    return bulk(asked, body(targetingKey=unit)).etag


@given(st.lists(st.integers(0, 100), min_size=1, max_size=5), st.text("abc", min_size=1, max_size=8))
def test_the_tag_changes_exactly_when_what_somebody_is_given_does(steps, unit):
    state = boolean("new", 1)
    asked = resolver(state)
    for percent in steps:
        state = ramped(state, percent)
        after = resolver(state)
        had, has = (flags_of(bulk(each, body(targetingKey=unit)))["new"]["variant"] for each in (asked, after))
        assert (tag(asked, unit) == tag(after, unit)) == (had == has)
        asked = after


def test_a_step_that_leaves_a_user_in_place_changes_no_tag_of_his_and_one_that_moves_him_does():
    before = boolean("new", 10)
    after = ramped(before, 50)
    tags = [(tag(resolver(before), f"u{each}"), tag(resolver(after), f"u{each}")) for each in range(200)]
    moved = sum(first != second for first, second in tags)
    assert 40 < moved < 120  # 40 % of 200


def test_whose_flag_it_is_and_why_it_is_as_it_is_changes_no_tag():
    base = boolean("new", 100)
    known = tag(resolver(base))
    assert tag(resolver(boolean("new", 100, owner="somebody"))) == known
    off = boolean("new", 0)
    assert tag(resolver(off)) == tag(resolver(boolean("new", 100, on=False))) != known
    assert tag(resolver(replace(base, running=replace(base.running, revision=9, changed_at=9.0)))) == known


def test_another_value_of_the_same_variant_changes_the_tag():
    def limit(many):
        return tag(resolver(flag("limit", "number", {"few": 1, "many": many}, "few", {"many": 100})))

    assert len({limit(1), limit(1.0), limit(50), limit(51)}) == 4


# A user's own request


def own_of(unit=b"cookie-id", address="10.0.0.1", **headers):
    fields = {name.encode(): [value.encode()] for name, value in headers.items()}
    head = ToldHead(b"POST", b"shop.example.com", b"/ofrep/v1/evaluate/flags", b"", b"staff=1", fields)
    return Context(unit, head, address)


def test_without_a_targeting_key_a_user_is_known_by_his_own_request_and_with_one_by_that():
    own = own_of()
    assert given_of(one("new-checkout", own=own)) == given_of(one("new-checkout", targetingKey="cookie-id"))
    told = [given_of(one("new-checkout", own=own, targetingKey=f"u{each}")) for each in range(50)]
    assert told == [given_of(one("new-checkout", targetingKey=f"u{each}")) for each in range(50)]
    assert refused(one("new-checkout", own=own_of(unit=None)))[1] == "TARGETING_KEY_MISSING"


def test_a_condition_sees_a_users_own_headers_unless_the_context_says_otherwise():
    own = own_of(**{"x-country": "DE"})
    assert given_of(one("only-germany", own=own))[0] is True
    assert given_of(one("only-germany", own=own, **{"X-Country": "FR"}))[0] is False


def test_a_users_address_is_where_he_is_and_not_what_he_says():
    office = flag("office", "boolean", {"on": True, "off": False}, "off", {"on": 100}, when=IN_OFFICE)
    asked = resolver(office)
    assert given_of(one("office", asked=asked, own=own_of(address="10.0.0.1"), client_ip="192.0.2.1"))[0] is True
    assert given_of(one("office", asked=asked, own=own_of(address="192.0.2.1"), client_ip="10.0.0.1"))[0] is False
    assert given_of(one("office", asked=asked, client_ip="10.0.0.1"))[0] is True


def test_a_users_own_cookies_count_and_the_path_of_asking_does_not():
    cases = {
        "cookie": (STAFF, {}, True),
        "told": (STAFF, {"cookies": {"staff": "0"}}, False),
        "path": (ASKING, {}, False),
        "path told": (ASKING, {"path": "/ofrep/v1"}, True),
    }
    for name, (when, context, expected) in cases.items():
        asked = resolver(flag("f", "boolean", {"on": True, "off": False}, "off", {"on": 100}, when=when))
        assert given_of(one("f", asked=asked, own=own_of(), **context))[0] is expected, name


IN_OFFICE = replace(GERMANY, headers=(), networks=("10.0.0.0/8",))
STAFF = replace(GERMANY, headers=(), cookies=(("staff", replace(GERMANY.headers[0][1], values=("1",))),))
ASKING = replace(GERMANY, headers=(), path=replace(GERMANY.headers[0][1], kind="prefix", values=("/ofrep",)))


TEXTS = st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["targetingKey", "path", "method", "query", "host", "client_ip", "headers", "cookies", "x"])


@given(
    st.binary(max_size=64) | st.builds(lambda context: json.dumps({"context": context}).encode(), VALUES),
    st.sampled_from([*ALL.names, "none", ""]),
    st.text(max_size=20),
)
@example(b'{"context": {"cookies": {"a;b": "c"}}}', "simple", "*")
def test_whatever_is_sent_is_answered_in_the_protocols_words(sent, key, tags):
    alone, together = single(ALL, key, sent), bulk(ALL, sent, tags)
    assert alone.status in (200, 400, 404)
    found = json.loads(alone.body)
    assert ({"value", "reason", "variant"} if alone.status == 200 else {"errorCode", "errorDetails"}) <= set(found)
    assert together.status in (200, 304, 400)
    if together.status == 200:
        assert [each["key"] for each in json.loads(together.body)["flags"]] == list(ALL.names)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_a_context_of_any_shape_gives_a_value_or_says_which_part_of_it_is_wrong(context):
    reply = single(ALL, "simple", json.dumps({"context": context}).encode())
    found = json.loads(reply.body)
    if reply.status != 200:
        wrong = found["errorDetails"]
        assert any(f"context.{name}" in wrong for name in context) or "not Unicode" in wrong or "JSON" in wrong
