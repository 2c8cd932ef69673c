from types import SimpleNamespace

import pytest

from gatekeeper.core import match
from gatekeeper.core.match import MatchError, compile_when
from gatekeeper.core.model import Pattern, PatternKind, When
from tests.core.routes import Request

EXACT, PREFIX, SUFFIX = PatternKind.EXACT, PatternKind.PREFIX, PatternKind.SUFFIX
CONTAINS, REGEX, PRESENT, ONE_OF = PatternKind.CONTAINS, PatternKind.REGEX, PatternKind.PRESENT, PatternKind.ONE_OF


def pattern(kind, *values):
    return Pattern(kind, values)


def matches(when, client_ip="203.0.113.9", **head):
    return compile_when(when).matches(Request(**head), client_ip)


def test_an_empty_condition_matches_every_request():
    assert matches(When())


KINDS = [
    (pattern(EXACT, "beta"), b"beta", True),
    (pattern(EXACT, "beta"), b"Beta", False),
    (pattern(EXACT, "beta"), b"beta2", False),
    (pattern(PREFIX, "be"), b"beta", True),
    (pattern(PREFIX, "be"), b"abe", False),
    (pattern(SUFFIX, "ta"), b"beta", True),
    (pattern(SUFFIX, "ta"), b"tab", False),
    (pattern(CONTAINS, "et"), b"beta", True),
    (pattern(CONTAINS, "et"), b"bta", False),
    (pattern(REGEX, "b.t"), b"xbetax", True),
    (pattern(REGEX, "^b.t$"), b"beta", False),
    (pattern(REGEX, "^be+ta$"), b"beeeta", True),
    (pattern(ONE_OF, "alpha", "beta"), b"beta", True),
    (pattern(ONE_OF, "alpha", "beta"), b"gamma", False),
    (pattern(EXACT, "caf\u00e9"), b"caf\xc3\xa9", True),
    (pattern(REGEX, "caf\u00e9"), b"un caf\xc3\xa9", True),
    (pattern(REGEX, "a.c"), b"a\xffc\x80", False),
]


@pytest.mark.parametrize(("wanted", "value", "expected"), KINDS)
def test_every_kind_of_pattern_on_a_header(wanted, value, expected):
    assert matches(When(headers=(("x-ring", wanted),)), fields=((b"x-ring", value),)) is expected


@pytest.mark.parametrize(("wanted", "value", "expected"), KINDS)
def test_every_kind_of_pattern_on_a_cookie(wanted, value, expected):
    assert matches(When(cookies=(("ring", wanted),)), cookie=b"a=1; ring=" + value) is expected


@pytest.mark.parametrize(("wanted", "value", "expected"), KINDS)
def test_every_kind_of_pattern_on_a_query_parameter(wanted, value, expected):
    assert matches(When(query=(("ring", wanted),)), query=b"a=1&ring=" + value) is expected


@pytest.mark.parametrize(
    ("part", "absent", "there"),
    [
        ("headers", {}, {"fields": ((b"ring", b""),)}),
        ("cookies", {"cookie": b"rings=1; ring"}, {"cookie": b"ring="}),
        ("query", {"query": b"rings=1"}, {"query": b"ring"}),
    ],
)
def test_presence_is_about_the_name_not_the_value(part, absent, there):
    present = When(**{part: (("ring", pattern(PRESENT, "true")),)})
    missing = When(**{part: (("ring", pattern(PRESENT, "false")),)})
    assert matches(present, **there)
    assert not matches(present, **absent)
    assert matches(missing, **absent)
    assert not matches(missing, **there)


def test_a_header_name_does_not_depend_on_case():
    assert matches(When(headers=(("X-Ring", pattern(EXACT, "beta")),)), fields=((b"x-ring", b"beta"),))


def test_any_line_of_a_header_may_match_and_lines_stay_separate():
    fields = ((b"x-ring", b"alpha"), (b"x-ring", b" beta\t"))
    assert matches(When(headers=(("x-ring", pattern(EXACT, "beta")),)), fields=fields)
    assert not matches(When(headers=(("x-ring", pattern(EXACT, "alpha, beta")),)), fields=fields)


def test_any_cookie_of_the_name_may_match():
    assert matches(When(cookies=(("ring", pattern(EXACT, "beta")),)), cookie=b"ring=alpha;ring=beta")


def test_a_cookie_name_depends_on_case_and_a_value_may_hold_equals_signs():
    assert not matches(When(cookies=(("ring", pattern(EXACT, "1")),)), cookie=b"Ring=1")
    assert matches(When(cookies=(("ring", pattern(EXACT, "a=b=")),)), cookie=b"ring=a=b=")


@pytest.mark.parametrize("query", [b"ring=b%20c", b"ring=b+c", b"ring=x&ring=b+c", b"%72ing=b%20%63", b"&&ring=b+c&"])
def test_query_names_and_values_are_decoded_and_any_may_match(query):
    assert matches(When(query=(("ring", pattern(EXACT, "b c")),)), query=query)


@pytest.mark.parametrize(("query", "value"), [(b"r=%zz", "%zz"), (b"r=%", "%"), (b"r=a%2", "a%2"), (b"r=%26b", "&b")])
def test_broken_escapes_stay_as_they_are_and_separators_may_be_escaped(query, value):
    assert matches(When(query=(("r", pattern(EXACT, value)),)), query=query)


@pytest.mark.parametrize(
    ("wanted", "path", "expected"),
    [
        (pattern(PREFIX, "/v2"), b"/v2", True),
        (pattern(PREFIX, "/v2"), b"/v2/x", True),
        (pattern(PREFIX, "/v2"), b"/v2x", False),
        (pattern(PREFIX, "/v2/"), b"/v2", True),
        (pattern(PREFIX, "/"), b"/anything", True),
        (pattern(EXACT, "/v2"), b"/v2", True),
        (pattern(EXACT, "/v2"), b"/v2/", False),
        (pattern(EXACT, "/caf\u00e9 au lait"), b"/caf%C3%A9%20au%20lait", True),
        (pattern(SUFFIX, ".js"), b"/a/b.js", True),
        (pattern(CONTAINS, "/api/"), b"/x/api/y", True),
        (pattern(REGEX, "^/v[0-9]+(/|$)"), b"/v12/x", True),
        (pattern(REGEX, "^/v[0-9]+(/|$)"), b"/vx/x", False),
        (pattern(ONE_OF, "/a", "/b"), b"/b", True),
        (pattern(PRESENT, "true"), b"/", True),
    ],
)
def test_paths_are_matched_as_sent_and_prefixes_by_segment(wanted, path, expected):
    assert matches(When(path=wanted), path=path) is expected


def test_methods_match_exactly():
    when = When(methods=("GET", "HEAD"))
    assert matches(when, method=b"HEAD")
    assert not matches(when, method=b"get")
    assert not matches(when, method=b"POST")


def test_a_client_address_matches_by_network_and_no_address_matches_none():
    when = When(networks=("10.0.0.0/8", "2001:db8::/32"))
    assert matches(when, client_ip="10.9.8.7")
    assert matches(when, client_ip="2001:db8::1")
    assert not matches(when, client_ip="11.0.0.1")
    assert not matches(when, client_ip="")


def test_all_parts_must_match():
    when = When(
        headers=(("h", pattern(EXACT, "1")),),
        cookies=(("c", pattern(EXACT, "1")),),
        query=(("q", pattern(EXACT, "1")),),
        path=pattern(PREFIX, "/p"),
        methods=("GET",),
        networks=("10.0.0.0/8",),
    )
    good = {"fields": ((b"h", b"1"),), "cookie": b"c=1", "query": b"q=1", "path": b"/p"}
    assert matches(when, client_ip="10.0.0.1", **good)
    assert not matches(when, client_ip="10.0.0.1", **good | {"method": b"POST"})
    assert not matches(when, client_ip="11.0.0.1", **good)
    for part, empty in (("fields", ()), ("cookie", b""), ("query", b""), ("path", b"/")):
        assert not matches(when, client_ip="10.0.0.1", **good | {part: empty})


def test_two_conditions_on_one_header_must_both_match():
    when = When(headers=(("h", pattern(PREFIX, "a")), ("h", pattern(SUFFIX, "z"))))
    assert matches(when, fields=((b"h", b"a-z"),))
    assert not matches(when, fields=((b"h", b"a-y"),))


@pytest.mark.parametrize("text", ["(", "(?<=a)b", r"(a)\1", "a{2000}"])
def test_a_regular_expression_that_re2_does_not_take_is_an_error_that_quotes_it(text, capfd):
    with pytest.raises(MatchError) as raised:
        compile_when(When(headers=(("h", pattern(REGEX, text)),)))
    assert repr(text) in str(raised.value)
    assert capfd.readouterr().err == ""


def test_an_evil_regular_expression_is_linear():
    """(a+)+$ takes a backtracking engine 2**30 steps on thirty letters, and an age on thirty thousand."""
    assert not matches(When(headers=(("h", pattern(REGEX, "^(a+)+$")),)), fields=((b"h", b"a" * 30_000 + b"!"),))


def test_only_a_bounded_number_of_cookies_and_parameters_is_read(monkeypatch):
    monkeypatch.setattr(match, "MAX_PAIRS", 3)
    assert list(match.parse_cookies(b"a=1;b=2;c=3;d=4;e=5")) == [b"a", b"b", b"c"]
    assert list(match.parse_query(b"a=1&b=2&c=3&d=4&e=5")) == [b"a", b"b", b"c"]


def test_parts_of_a_request_are_read_once():
    asked = []
    head = SimpleNamespace(values=lambda name: asked.append(name) or [b"v"], cookie=b"c=1", query=b"q=1")
    view = match.View(head, "")
    assert view.header(b"h") is view.header(b"h")
    assert asked == [b"h"]
    assert view.cookies is view.cookies
    assert view.query is view.query
