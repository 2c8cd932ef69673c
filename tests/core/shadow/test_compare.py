"""Two answers and where they differ; a third one that says what is noise."""

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.core.shadow.compare import ABSENT, DEEPEST, MOST_PLACES, Kind, Place, compare
from gatekeeper.core.shadow.model import BodyComparison, Compare
from tests.core.shadow.answers import answer

HOW = Compare()


def places(user, candidate, again=None, how=HOW):
    return [(each.kind.value, each.path) for each in compare(how, user, candidate, again).differences]


def sample(user, candidate, how=HOW):
    (found,) = compare(how, user, candidate, None).differences
    return found.left, found.right


def test_two_equal_answers_do_not_differ():
    assert places(answer({"a": [1, {"b": None}]}), answer({"a": [1, {"b": None}]})) == []


def test_white_space_and_the_order_of_members_are_no_difference():
    assert places(answer(b'{"a": 1, "b": 2}'), answer(b'{"b":2,"a":1}')) == []


def test_status_chosen_headers_and_json_are_each_named():
    user = answer({"price": 1}, 200, location="/a", x_other="1")
    candidate = answer({"price": 2}, 500, location="/b", x_other="2")
    assert places(user, candidate) == [("status", ""), ("header", "location"), ("json", "$.price")]


def test_a_header_that_one_side_lacks_differs():
    assert sample(answer(b"x", location="/a"), answer(b"x")) == ("/a", ABSENT)


def test_several_lines_of_one_header_are_one_value():
    user = replace(answer(b""), headers=(("location", "a"), ("location", "b")))
    assert places(user, answer(b"", location="a, b")) == []


@pytest.mark.parametrize(
    ("left", "right"), [(1, True), (0, False), ("1", 1), (None, 0), ([], {}), ({}, None), ([1], [1, 2])]
)
def test_values_of_another_type_or_length_differ(left, right):
    assert places(answer({"a": left}), answer({"a": right})) == [("json", "$.a")]


def test_one_and_one_point_zero_are_the_same_number():
    assert places(answer(b'{"a": 1}'), answer(b'{"a": 1.0}')) == []


def test_elements_of_an_array_are_one_place():
    user, candidate = answer({"items": [{"id": 1}, {"id": 2}]}), answer({"items": [{"id": 3}, {"id": 4}]})
    assert places(user, candidate) == [("json", "$.items[*].id")]


def test_a_member_that_one_side_lacks_is_named():
    assert places(answer({"a": 1, "b": 2}), answer({"a": 1})) == [("member", "$.b")]
    assert sample(answer({"a": 1}), answer({"a": 1, "b": "x"})) == (ABSENT, '"x"')


def test_a_member_may_be_missing_in_one_element_and_differ_in_another():
    user, candidate = answer([{"a": 1}, {"a": 1}]), answer([{}, {"a": 2}])
    assert places(user, candidate) == [("member", "$[*].a"), ("json", "$[*].a")]


def test_what_is_ignored_may_differ_with_all_below_it():
    how = replace(HOW, ignore=("$.time", "$.items[*].id"))
    user = answer({"time": {"at": 1}, "items": [{"id": 1}], "new": 1})
    candidate = answer({"time": {"at": 2}, "items": [{"id": 2}], "new": 2})
    assert places(user, candidate, how=how) == [("json", "$.new")]
    assert places(answer({}), answer({"time": 1}), how=how) == []


def test_a_body_that_is_no_json_is_compared_byte_by_byte():
    user, candidate = answer(b"<p>one", content_type="text/html"), answer(b"<p>two", content_type="text/html")
    assert places(user, candidate) == [("body", "")]
    assert sample(user, candidate)[0] == "6 bytes, differing from byte 3 on"


def test_a_page_of_html_where_json_is_expected_differs():
    assert sample(answer({"a": 1}), answer(b"<p>", content_type="application/json")) == ("JSON", "no JSON")


def test_compressed_json_is_read_and_a_bomb_is_not():
    packed = [
        replace(answer({"a": at}, content_encoding="gzip"), body=gzip.compress(json.dumps({"a": at}).encode()))
        for at in (1, 2)
    ]
    assert places(*packed) == [("json", "$.a")]
    bomb = replace(packed[0], body=gzip.compress(b" " * 50_000_000))
    assert places(bomb, packed[0]) == [("body", "")]
    long = [replace(packed[0], body=gzip.compress(b" " * 2_000_000 + end)) for end in (b"1", b"2")]
    assert places(*long) == [("body", "")]


def test_what_was_cut_is_compared_by_its_length_and_its_beginning():
    one = replace(answer(b'{"a": 1', cut=True), length=900)
    assert places(one, replace(one, body=b'{"a": 2')) == [("body", "cut")]
    assert places(one, replace(one, length=901)) == [("length", "cut")]
    assert places(one, one) == []
    whole = replace(answer({"a": 1}, cut=True), length=900)
    assert places(whole, replace(whole, body=b'{"a": 2}')) == [("body", "cut")]


@pytest.mark.parametrize("how", [BodyComparison.LENGTH, BodyComparison.NONE])
def test_a_body_may_be_compared_by_less(how):
    chosen = replace(HOW, body=how)
    assert places(answer({"a": 1}), answer({"a": 2}), how=chosen) == []
    assert places(answer({"a": 1}), answer({"a": 10}), how=chosen) == (
        [("length", "")] if how is BodyComparison.LENGTH else []
    )


def test_exact_sees_what_json_does_not():
    assert places(answer(b'{"a":1}'), answer(b'{"a": 1}'), how=replace(HOW, body=BodyComparison.EXACT)) == [
        ("body", "")
    ]


# Noise


def test_what_differs_between_two_answers_of_stable_is_not_the_candidates_fault():
    user, again = answer({"time": 1, "price": 5}, x="1"), answer({"time": 2, "price": 5})
    candidate = answer({"time": 3, "price": 6})
    found = compare(HOW, user, candidate, again)
    assert [each.path for each in found.differences] == ["$.price"]
    assert found.noise == (Place(Kind.JSON, "$.time"),)
    assert found.twice


def test_without_a_second_answer_everything_counts():
    assert not compare(HOW, answer({}), answer({}), None).twice


def test_below_what_stable_does_not_always_have_nothing_is_said():
    user, again, candidate = answer({"a": {"b": 1}}), answer({"a": None}), answer({"a": {"b": 2}})
    assert places(user, candidate, again) == []


def test_where_names_of_members_vary_a_new_name_is_no_difference():
    user, again, candidate = ({"by": {key: 1}, "x": 1} for key in ("k1", "k2", "k3"))
    found = compare(HOW, answer(user), answer(candidate), answer(again))
    assert found.differences == ()
    assert found.noise == (Place(Kind.MEMBER, "$.by.*"),)


def test_a_status_that_flaps_is_noise_of_that_request():
    assert places(answer(b"", 200), answer(b"", 503), answer(b"", 503)) == []
    assert places(answer(b"", 200), answer(b"", 503), answer(b"", 200)) == [("status", "")]


# Samples


@pytest.mark.parametrize(
    ("body", "hidden"),
    [({"password": "a"}, True), ({"session": {"id": "a"}}, True), ({"apiKey": ["a"]}, True), ({"name": "a"}, False)],
)
def test_what_stands_under_the_name_of_a_secret_is_not_shown(body, hidden):
    (found,) = compare(HOW, answer(body), answer(json.loads(json.dumps(body).replace('"a"', '"b"'))), None).differences
    assert ("(redacted)" in {found.left, found.right}) == hidden


def test_objects_and_arrays_are_not_shown_whole():
    assert sample(answer({"a": {"password": "x"}}), answer({"a": [1, 2]})) == ("an object of 1", "an array of 2")


def test_an_answer_that_differs_everywhere_names_a_bounded_number_of_places():
    left, right = ({f"k{at}": value for at in range(1000)} for value in (1, 2))
    assert len(places(answer(left), answer(right))) == MOST_PLACES


def test_no_depth_and_no_number_breaks_it():
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000  # beyond what any Python's own parser follows
    assert places(answer(deep), answer(deep.replace(b"1", b"2"))) == [("body", "")]
    nested, other = ({"a": value} for value in (1, 2))
    for _ in range(200):
        nested, other = {"a": nested}, {"a": other}
    assert places(answer(nested), answer(other)) == [("json", "$" + DEEPEST * ".a")]
    assert places(answer(b"[" + b"9" * 9000 + b"]"), answer(b"[1]")) == [("body", "")]
    assert places(answer(b'{"a": NaN}'), answer(b'{"a": NaN, "b": 1}')) == [("member", "$.b")]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)


@given(values, values)
def test_no_value_differs_from_itself_and_a_difference_is_seen_from_both_sides(left, right):
    assert places(answer(left), answer(left)) == []
    one, other = places(answer(left), answer(right)), places(answer(right), answer(left))
    assert sorted(one) == sorted(other)
    same = json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    assert (one == []) == same


@given(values, values)
def test_a_candidate_that_answers_as_stables_second_answer_is_never_blamed(user, again):
    assert places(answer(user), answer(again), answer(again)) == []


@given(st.binary(max_size=40), st.binary(max_size=40), st.booleans())
def test_whatever_bytes_come_it_compares_them(left, right, cut):
    found = places(answer(left, cut=cut, content_encoding="gzip"), answer(right))
    assert cut or (found == [] or left != right)
