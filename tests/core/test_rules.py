import pytest

from gatekeeper.core.model import Pattern, PatternKind, When
from gatekeeper.core.rules import RuleIndex
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
