import pytest

from gatekeeper.core.model import Pattern, PatternKind, When
from gatekeeper.core.rules import FEW_NAMES, RuleIndex
from tests.core.routes import Request

EXACT = PatternKind.EXACT


def header(name, *values):
    return When(headers=((name, Pattern(PatternKind.ONE_OF if len(values) > 1 else EXACT, values)),))


def first(pairs, client_ip="", **head):
    return RuleIndex(pairs).first(Request(**head), client_ip)


def test_without_rules_nothing_matches():
    assert first([]) is None


def test_the_first_rule_that_matches_decides_whatever_it_is_filed_under():
    regex = When(headers=(("h", Pattern(PatternKind.REGEX, ("^a",))),))
    prefix = When(path=Pattern(PatternKind.PREFIX, ("/p",)))
    exact = When(path=Pattern(EXACT, ("/p",)))
    cookie = When(cookies=(("c", Pattern(EXACT, ("1",))),))
    query = When(query=(("q", Pattern(EXACT, ("1",))),))
    rules = [header("h", "a"), regex, prefix, exact, cookie, query, When(methods=("GET",)), When()]
    request = {"fields": ((b"h", b"a"),), "path": b"/p", "cookie": b"c=1", "query": b"q=1"}
    for turn in range(len(rules)):
        order = rules[turn:] + rules[:turn]
        assert first([(rule, rule) for rule in order], **request) is order[0]


def test_a_rule_whose_equality_holds_but_whose_other_part_fails_is_passed_over():
    both = When(headers=(("h", Pattern(EXACT, ("a",))),), methods=("POST",))
    assert first([(both, 1), (header("h", "a"), 2)], fields=((b"h", b"a"),)) == 2


def test_the_values_of_all_lines_are_looked_up():
    assert first([(header("h", "b"), 1)], fields=((b"h", b"a"), (b"h", b"b"))) == 1


@pytest.mark.parametrize("query", [b"a+b=1", b"a%20b=1", b"x=2&%61%20b=1&y"])
def test_the_names_of_a_query_are_found_however_they_are_written(query):
    assert first([(When(query=(("a b", Pattern(EXACT, ("1",))),)), 1)], query=query) == 1


def test_of_many_names_none_is_overlooked():
    rules = [
        (
            When(query=((f"q{number}", Pattern(EXACT, ("1",))),), cookies=((f"c{number}", Pattern(EXACT, ("1",))),)),
            number,
        )
        for number in range(FEW_NAMES + 1)
    ]
    assert first(rules, query=b"q8=1", cookie=b"c8 = 1") == FEW_NAMES
    assert first(rules[:2], query=b"q1=1", cookie=b"a=c1; c1=1") == 1


def test_the_rest_of_a_request_lets_those_through_that_ask_nothing_else_and_those_whose_fields_are_not_looked_at_yet():
    admin = When(path=Pattern(EXACT, ("/admin",)), cookies=(("staff", Pattern(EXACT, ("1",))),))
    rules = [(admin, 1), (When(methods=("POST",)), 2), (header("h", "a"), 3), (When(networks=("10.0.0.0/8",)), 4)]
    # A condition that two share is no good for finding one of them: so the first is looked for by its path.
    index = RuleIndex([*rules, (When(cookies=admin.cookies, methods=("PUT",)), 5)])
    assert index.by_rest(Request(path=b"/admin"), "") == (0,)
    assert index.by_rest(Request(method=b"POST"), "10.1.1.1") == (1, 3)
    assert index.by_rest(Request(fields=((b"h", b"a"),)), "") == ()
    assert index.follows(Request(fields=((b"h", b"a"),)))
    assert not index.follows(Request(cookie=b"staff=1"))


@pytest.mark.parametrize("value", [b"a", b"b"])
def test_a_rule_with_several_values_is_found_under_each(value):
    assert first([(header("h", "a", "b", "a"), 1)], fields=((b"h", value),)) == 1


def test_nested_path_prefixes_are_all_candidates_in_the_order_of_rules():
    def prefix(text, *methods):
        return When(path=Pattern(PatternKind.PREFIX, (text,)), methods=methods)

    assert first([(prefix("/a/b", "POST"), 1), (prefix("/"), 2), (prefix("/a"), 3)], path=b"/a/b/c") == 2


def test_a_condition_that_all_rules_share_does_not_file_them_in_one_place():
    shared = ("tenant", Pattern(EXACT, ("same",)))
    rules = [(When(headers=(shared, ("ring", Pattern(EXACT, (f"r{number}",))))), number) for number in range(1000)]
    index = RuleIndex(rules)
    assert set(index._headers) == {b"ring"}
    assert all(len(found) == 1 for found in index._headers[b"ring"].values())
    assert index.first(Request(fields=((b"tenant", b"same"), (b"ring", b"r999"))), "") == 999


def test_one_of_nothing_matches_nothing_and_stops_nobody():
    nothing = When(headers=(("h", Pattern(PatternKind.ONE_OF, ())),))
    assert first([(nothing, 1), (When(), 2)], fields=((b"h", b"a"),)) == 2
