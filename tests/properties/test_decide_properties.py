"""Whatever a client sends: it gets a version it may have, and what it may not do changes nothing."""

import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.core import model, split
from gatekeeper.core.match import compile_when
from gatekeeper.core.model import Pattern, PatternKind, Rule, Sticky, StickyMode, UnitKind, UnitSource, When
from gatekeeper.core.prefixes import PrefixMap, normal, under
from gatekeeper.core.rules import RuleIndex
from gatekeeper.core.sticky import finder, own_finder, point, stripper
from tests.core.routes import LOOPBACK, Draws, Request, asker, cookie_header, reweighed, service, weights

NAMES = ("blue", "green", "red")
SHARES = st.fixed_dictionaries({name: st.integers(0, 100) for name in NAMES}).filter(
    lambda shares: any(shares.values())
)
SOURCES = st.permutations(
    [
        UnitSource(UnitKind.HEADER, "x-user-id"),
        UnitSource(UnitKind.COOKIE, "sid"),
        UnitSource(UnitKind.OWN_COOKIE),
        UnitSource(UnitKind.CLIENT_IP),
    ]
)
ONE = Pattern(PatternKind.EXACT, ("1",))
STAFF = Rule("staff", When(cookies=(("staff", ONE),)), to="red")
STAFF_POSTS = Rule("staff-posts", When(cookies=(("staff", ONE),), methods=("POST",)), to="green")
POSTS = Rule("posts", When(methods=("POST",)), to="green")
OTHERS = Rule("others", When(path=Pattern(PatternKind.PREFIX, ("/shop/other",))), split=weights(blue=50, red=50))
BY_QUERY = Rule("query", When(query=(("red", ONE),)), to="red")

# Cookies, queries and fields as an attacker would write them: the right names, anything for values.
RAW = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"green", b"red", b"", b"0" * 32, b"0" * 32 + b"." + b"f" * 32])
)
COOKIE_NAMES = st.sampled_from(
    [b"gatekeeper-shop", b"gatekeeper-shop-page", b"gatekeeper-shop-version", b"sid", b"gatekeeper-", b"x"]
)
COOKIE = st.lists(st.tuples(COOKIE_NAMES, RAW), max_size=5).map(
    lambda pairs: b"; ".join(name + b"=" + value for name, value in pairs)
)
HEADS = st.builds(
    Request,
    cookie=COOKIE,
    force=RAW,
    pass_token=RAW,
    query=st.one_of(RAW, RAW.map(lambda value: b"gatekeeper-version=" + value)),
    fields=st.lists(
        st.tuples(st.sampled_from([b"x-user-id", b"sec-fetch-mode"]), st.one_of(RAW, st.just(b"navigate"))), max_size=3
    ).map(tuple),
)


@given(
    shares=SHARES,
    sources=SOURCES,
    mode=st.sampled_from(StickyMode),
    skew=st.sampled_from([0.0, 3600.0]),
    query=st.booleans(),
    head=HEADS,
)
@settings(deadline=None)
def test_a_stranger_gets_a_version_that_holds_weight_and_an_answer_that_can_be_sent(
    shares, sources, mode, skew, query, head
):
    definition = service(
        shares=weights(**shares),
        sticky=Sticky(tuple(sources), mode),
        skew=skew,
        testers=model.Testers(query=query, keys=("k" * 32,)),
    )
    decision = asker(definition)(head)
    assert shares[decision.version.name] > 0
    assert not decision.forced
    assert decision.reason in {"sticky", "split"}
    for line in decision.set_cookie.split(b"\r\n")[:-1]:
        assert line.startswith((b"Set-Cookie: gatekeeper-shop=", b"Set-Cookie: gatekeeper-shop-page="))
        assert line.isascii()
        assert line.decode().isprintable()


@given(head=HEADS, query=st.booleans(), header=st.sampled_from(["X-Gatekeeper-Version", "X-User-Id"]))
@settings(deadline=None)
def test_what_a_stranger_asks_for_changes_nothing(head, query, header):
    shares = weights(blue=60, green=40, red=0)
    open_gate = asker(service(shares=shares, testers=model.Testers(header=header, query=query, keys=("k" * 32,))))
    shut_gate = asker(service(shares=shares, testers=model.Testers(networks=())))
    quiet = replace(head, force=b"", pass_token=b"", query=b"")
    one, two = open_gate(head), shut_gate(quiet)
    assert (one.version.name, one.reason, one.forced, one.set_cookie) == (
        two.version.name,
        two.reason,
        two.forced,
        two.set_cookie,
    )


@given(head=HEADS, down=st.sets(st.sampled_from(NAMES)), shares=SHARES, local=st.booleans(), rules=st.booleans())
@settings(deadline=None)
def test_a_decision_names_a_ready_version_or_says_that_there_is_none(head, down, shares, local, rules):
    definition = service(shares=weights(**shares), rules=(STAFF,) if rules else (), testers=model.Testers(query=True))
    ask = asker(definition).but(down=tuple(down), client_ip=LOOPBACK if local else "")
    decision = ask(replace(head, cookie=head.cookie + b"; staff=1"))
    if decision.unavailable:
        assert decision.version.name in down
        assert decision.failed_over_from is None
        # Nobody was left out: forced never fails over, others may go to stable or to a version with weight.
        assert decision.forced or all(name in down for name in NAMES if shares[name] or name == "blue")
    else:
        assert decision.version.name not in down
    if decision.failed_over_from is not None:
        assert decision.failed_over_from.name in down
        assert not decision.forced


@given(
    shares=SHARES, history=st.lists(SHARES, max_size=6), units=st.sets(st.integers(0, 10**9), min_size=1, max_size=30)
)
@settings(deadline=None)
def test_a_table_gives_every_unit_the_owner_of_its_point(shares, history, units):
    definition = service(shares=weights(**shares))
    ask = reweighed(definition, [weights(**step) for step in history])
    running = ask.table.state.services["shop"].running
    uppers, owners = split.bounds(running.split)
    for unit in units:
        place = point(bytes.fromhex(running.split.salt), b"u%d" % unit)
        owner = next(name for upper, name in zip(uppers, owners, strict=True) if place < upper)
        assert ask.version(cookie=b"gatekeeper-shop=u%d" % unit) == owner


@given(seed=st.integers(0, 2**32), history=st.lists(SHARES, min_size=1, max_size=5))
@settings(deadline=None)
def test_a_pin_is_followed_exactly_while_its_version_holds_weight(seed, history):
    definition = service(shares=weights(blue=40, green=30, red=30), sticky=Sticky(mode=StickyMode.PIN))
    first = asker(definition).but(draw=Draws(seed))()
    steps = [weights(**step) for step in history]
    after = reweighed(definition, steps)(cookie=cookie_header(first))
    if steps[-1][first.version.name] > 0:
        assert (after.version.name, after.reason) == (first.version.name, "pinned")
    else:
        assert after.reason == "sticky"
        assert after.set_cookie


@given(
    sources=SOURCES.flatmap(lambda order: st.integers(1, 4).map(lambda count: tuple(order[:count]))),
    mode=st.sampled_from(StickyMode),
    options=st.fixed_dictionaries(
        {},
        optional={
            "rules": st.lists(
                st.sampled_from([STAFF, STAFF_POSTS, POSTS, OTHERS, BY_QUERY]), unique_by=lambda rule: rule.name
            ).map(tuple),
            "skew": st.just(3600.0),
            "testers": st.sampled_from([model.Testers(query=True), model.Testers(header="X-User-Id")]),
            "path_prefix": st.just("/shop"),
        },
    ),
    head=HEADS,
    down=st.sets(st.sampled_from(NAMES)),
)
@settings(deadline=None)
def test_a_decision_said_to_repeat_is_the_one_any_request_with_these_fields_gets(sources, mode, options, head, down):
    head = replace(head, path=b"/shop")
    definition = service(shares=weights(blue=60, green=40, red=0), sticky=Sticky(sources, mode), **options)
    ask = asker(definition).but(down=tuple(down))
    decision = ask(head)
    if not ask.table.repeats(head, decision):
        return
    rules = ask.table.services["shop"].rules
    for changes in (
        {"path": b"/shop/other"},
        {"method": b"POST"},
        {"query": b"gatekeeper-version=red"},
        {"query": b"r%65d=1&red=1"},
        {"query": b""},
    ):
        other = replace(head, **changes)
        if rules is None or rules.by_rest(other, "") == rules.by_rest(head, ""):
            assert ask.maybe(other) is decision
    later = ask.but(client_ip=LOOPBACK, now=ask.now + 10**7, draw=Draws(7), secure=True)
    assert later(head) is decision


# The index of rules and the map of prefixes against their plain definitions

TEXT = st.sampled_from(["a", "b", "ab", ""])
PATTERNS = st.one_of(
    st.builds(
        lambda kind, text: Pattern(kind, (text,)), st.sampled_from([PatternKind.EXACT, PatternKind.PREFIX]), TEXT
    ),
    st.builds(lambda texts: Pattern(PatternKind.ONE_OF, tuple(texts)), st.lists(TEXT, max_size=3)),
    st.builds(lambda text: Pattern(PatternKind.PRESENT, (text,)), st.sampled_from(["true", "false"])),
)
SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3)
PATHS = st.builds(lambda parts, end: "/" + "/".join(parts) + end, SEGMENTS, st.sampled_from(["", "/"]))
NAMED = st.lists(st.tuples(st.sampled_from(["n", "m"]), PATTERNS), max_size=2).map(tuple)
WHENS = st.builds(
    When,
    headers=NAMED,
    cookies=NAMED,
    query=NAMED,
    path=st.one_of(
        st.none(),
        st.builds(
            lambda kind, path: Pattern(kind, (path,)), st.sampled_from([PatternKind.EXACT, PatternKind.PREFIX]), PATHS
        ),
    ),
    methods=st.sampled_from([(), ("GET",), ("POST",)]),
)
VALUES = st.lists(st.tuples(st.sampled_from([b"n", b"m"]), TEXT.map(str.encode)), max_size=3)


@given(
    whens=st.lists(WHENS, max_size=12),
    path=PATHS,
    fields=VALUES,
    cookies=VALUES,
    query=VALUES,
)
@settings(deadline=None)
def test_the_rule_index_finds_what_asking_every_rule_in_order_finds(whens, path, fields, cookies, query):
    head = Request(
        path=path.encode(),
        fields=tuple(fields),
        cookie=b"; ".join(name + b"=" + value for name, value in cookies),
        query=b"&".join(name + b"=" + value for name, value in query),
    )
    plainly = next((number for number, when in enumerate(whens) if compile_when(when).matches(head, "")), None)
    assert RuleIndex([(when, number) for number, when in enumerate(whens)]).first(head, "") == plainly


@given(prefixes=st.lists(PATHS, max_size=8), path=PATHS)
@settings(deadline=None)
def test_the_prefix_map_finds_the_longest_of_all_prefixes_that_hold_the_path(prefixes, path):
    found = PrefixMap([(normal(prefix), normal(prefix)) for prefix in prefixes])
    holding = sorted({normal(each) for each in prefixes if under(path.encode(), normal(each))}, key=len, reverse=True)
    assert found.longest(path.encode()) == (holding[0] if holding else None)
    assert list(found.every(path.encode())) == holding


# Cookies

PARTS = st.lists(
    st.tuples(
        st.sampled_from([b"gatekeeper-shop", b"a", b"gatekeeper-shop2", b"xgatekeeper-shop"]),
        st.text("abc=.- ", max_size=6).map(str.encode),
    ),
    max_size=6,
)


@given(parts=PARTS, separator=st.sampled_from([b"; ", b";", b" ; ", b";\t"]))
@settings(deadline=None)
def test_stripping_leaves_exactly_the_other_cookies_and_nothing_of_ours_to_find(parts, separator):
    value = separator.join(name + b"=" + text for name, text in parts)
    left = stripper([b"gatekeeper-shop"])(value)
    others = [name + b"=" + text for name, text in parts if name != b"gatekeeper-shop"]
    assert [part.strip() for part in left.split(b";") if part.strip()] == [part.strip() for part in others]
    assert own_finder("shop")(left) is None


@given(parts=PARTS)
@settings(deadline=None)
def test_the_first_well_formed_cookie_of_the_name_is_found(parts):
    value = b"; ".join(name + b"=" + text for name, text in parts)
    found = finder(b"gatekeeper-shop", re.compile(rb"([abc]+)(?![ \t]*[^; \t])"))(value)
    good = [text.rstrip() for name, text in parts if name == b"gatekeeper-shop" and re.fullmatch(rb"[abc]+ *", text)]
    assert (found[1] if found else None) == (good[0] if good else None)
