"""What a request has of each flag, by the proxy's reading and by that of who asks."""

from dataclasses import replace

import pytest

from gatekeeper.core import routing
from gatekeeper.core.command import apply
from gatekeeper.core.flags.context import context_of
from gatekeeper.core.flags.evaluate import DEFAULT, DISABLED, SPLIT, STATIC, TARGETING_MATCH, TargetingKeyMissing
from gatekeeper.core.flags.resolver import Resolver
from gatekeeper.core.model import Pattern, PatternKind, Rule, Sticky, StickyMode, UnitKind, UnitSource, When
from gatekeeper.core.routing import RoutingTable
from tests.core.flags.states import THEME, D, begun, runs, said, switching
from tests.core.routes import Asker, Request, slots
from tests.core.states import NOW, service

BY_HEADER = Sticky((UnitSource(UnitKind.HEADER, "x-user"), UnitSource(UnitKind.OWN_COOKIE)))
GERMANY = When(headers=(("x-country", Pattern(PatternKind.EXACT, ("DE",))),))


def shop(**options):
    return service("shop", "blue green", sticky=options.pop("sticky", BY_HEADER), **options)


def compiled(state, previous=None):
    return routing.compile(state, slots(state), previous)


def asking(*flags, services=None, **options):
    return Asker(compiled(begun(*flags, services=services or (shop(),))), **options)


def user(name, *fields):
    return Request(fields=((b"x-user", name.encode()), *fields))


def told(ask, request=None):
    return ask(request).flags.line


def variants(ask, request=None):
    return dict(ask(request).flags.variants)


def resolved(state, name, **attributes):
    return Resolver(state).resolve(name, context_of(attributes))


def reason(state, name="new", **attributes):
    found = resolved(state, name, **attributes)
    return found.reason, found.variant


# What is served


def test_a_service_without_flags_has_none():
    ask = asking(said(services=("cart",)), services=(shop(), service("cart")))
    assert ask(user("anna")).flags is None
    assert ask.table.flags_of("shop") is None
    assert ask.table.flags_of("cart") is not None
    assert ask.table.flags_of("nobody") is None


def test_a_table_without_flags_has_no_table_of_them():
    state = replace(begun(), flags={})
    assert compiled(state).flags is None


def test_a_flag_without_services_concerns_all():
    ask = asking(said(on=True), said("other", on=True, services=("cart",)), services=(shop(), service("cart")))
    assert told(ask, user("anna")) == b"X-Gatekeeper-Flags: new\r\n"
    assert [route.name for route in ask.table.flags_of("cart").flags] == ["new", "other"]


def test_flags_stand_in_the_order_of_names():
    ask = asking(said("z", on=True), said("a", on=True), said("m", **THEME, on=True))
    assert told(ask, user("anna")) == b"X-Gatekeeper-Flags: a, m=dark, z\r\n"


def test_what_is_off_is_told_by_its_variant_unless_that_is_false():
    ask = asking(said("a"), said("m", **THEME))
    assert told(ask, user("anna")) == b"X-Gatekeeper-Flags: m=light\r\n"
    assert variants(ask, user("anna")) == {"a": "off", "m": "light"}
    assert told(asking(said("a")), user("anna")) == b""


def test_a_condition_that_does_not_match_gives_the_variant_of_off():
    ask = asking(said(on=True, when=GERMANY))
    assert variants(ask, user("anna", (b"x-country", b"DE"))) == {"new": "on"}
    assert variants(ask, user("anna", (b"x-country", b"FR"))) == {"new": "off"}


def test_a_killed_flag_is_off_even_if_it_is_on():
    state = begun(said(on=True))
    state = apply(state, switching(on=False, kill=True), NOW).state
    assert variants(Asker(compiled(state)), user("anna")) == {"new": "off"}
    broken = replace(state.flags["new"], running=replace(runs(state), on=True))
    assert variants(Asker(compiled(replace(state, flags={"new": broken}))), user("anna")) == {"new": "off"}


def test_a_split_is_by_the_unit_of_the_services_split_and_stays():
    ask = asking(said(on=True, percent=D(50)))
    first = [variants(ask, user(f"u{number}"))["new"] for number in range(200)]
    assert first == [variants(ask, user(f"u{number}"))["new"] for number in range(200)]
    assert 60 < first.count("on") < 140


def test_two_flags_do_not_take_the_same_people_first():
    ask = asking(said("a", on=True, percent=D(50)), said("b", on=True, percent=D(50)))
    both = [variants(ask, user(f"u{number}")) for number in range(400)]
    assert {(one["a"], one["b"]) for one in both} == {("on", "on"), ("on", "off"), ("off", "on"), ("off", "off")}


def test_a_new_browser_has_what_it_will_have_with_its_cookie():
    half = shop(sticky=Sticky(), split={"blue": D(50), "green": D(50)})
    ask = asking(said(on=True, percent=D(50)), services=(half,))
    for _ in range(20):
        decision = ask(Request())
        cookie = decision.set_cookie.partition(b": ")[2].partition(b";")[0]
        again = ask(Request(cookie=cookie))
        assert (again.flags.variants, again.version) == (decision.flags.variants, decision.version)


def test_what_a_rule_sends_somewhere_has_flags_by_the_same_unit():
    everything = Rule("all", When(), to="green")
    plain = asking(said(on=True, percent=D(50)))
    ruled = asking(said(on=True, percent=D(50)), services=(shop(rules=(everything,)),))
    for number in range(50):
        request = user(f"u{number}")
        assert ruled(request).reason == "rule"
        assert variants(ruled, request) == variants(plain, request)


def test_what_a_rule_sends_somewhere_gets_a_cookie_if_a_flag_needs_a_unit():
    everything = Rule("all", When(), to="green")
    ask = asking(said(on=True, percent=D(50)), services=(shop(rules=(everything,), sticky=Sticky()),))
    decision = ask(Request())
    cookie = decision.set_cookie.partition(b": ")[2].partition(b";")[0]
    assert cookie.startswith(b"gatekeeper-shop=")
    assert ask(Request(cookie=cookie)).flags.variants == decision.flags.variants
    assert not asking(said(on=True), services=(shop(rules=(everything,), sticky=Sticky()),))(Request()).set_cookie


def test_who_forces_a_version_has_flags_by_the_same_unit():
    ask = asking(said(on=True, percent=D(50)))
    forced = ask.but(client_ip="127.0.0.1")
    for number in range(50):
        request = user(f"u{number}")
        decision = forced(replace(request, force=b"green"))
        assert (decision.reason, decision.set_cookie) == ("forced", b"")
        assert dict(decision.flags.variants) == variants(ask, request)


def test_without_a_unit_a_split_is_drawn_each_time():
    ask = asking(said(on=True, percent=D(50)), services=(shop(sticky=Sticky(mode=StickyMode.NONE)),))
    drawn = [variants(ask, user("anna"))["new"] for _ in range(200)]
    assert 60 < drawn.count("on") < 140


def test_what_failed_over_and_what_goes_nowhere_has_flags():
    ask = asking(said(on=True))
    assert ask.but(down=("blue",))(user("anna")).failed_over_from is None
    assert told(ask.but(down=("blue", "green")), user("anna")) == b"X-Gatekeeper-Flags: new\r\n"


def test_a_copy_of_a_decision_keeps_its_flags():
    ask = asking(said(on=True))
    decision = ask(user("anna"))
    version = decision.version
    copies = [decision.of_unit(1, b"a", b""), decision.with_cookie(b""), decision.nowhere()]
    copies.append(decision.elsewhere(version))
    assert {copy.flags for copy in copies} == {decision.flags}


def test_equal_results_are_one_object_and_decisions_are_shared():
    ask = asking(said(on=True, percent=D(50)))
    by_variant = {}
    for number in range(50):
        decision = ask(user(f"u{number}"))
        by_variant.setdefault(decision.flags.variants, set()).add(decision)
    assert len(by_variant) == 2
    assert all(len(decisions) == 1 for decisions in by_variant.values())


def test_more_units_and_results_than_are_remembered_change_nothing(monkeypatch):
    monkeypatch.setattr("gatekeeper.core.flags.evaluate.REMEMBERED", 8)
    monkeypatch.setattr("gatekeeper.core.flags.evaluate.INTERNED", 2)
    monkeypatch.setattr("gatekeeper.core.flags.evaluate.DECISIONS", 1)
    flags = [said(name, on=True, percent=D(50)) for name in "abcd"]
    ask = asking(*flags)
    first = [variants(ask, user(f"u{number}")) for number in range(60)]
    assert first == [variants(ask, user(f"u{number}")) for number in range(60)]
    assert len(ask.table.flags_of("shop")._known) <= 8
    assert len(ask.table.flags_of("shop")._results) <= 2


def test_where_no_flag_needs_a_unit_there_is_one_result_for_all():
    ask = asking(said("a", on=True), said("b", percent=D(50)))
    assert len({ask(user(f"u{number}")).flags for number in range(20)}) == 1
    assert len(ask.table.flags_of("shop")._known) == 1


def test_decisions_that_are_copies_are_not_kept():
    ask = asking(said(on=True), services=(shop(split={"blue": D(50), "green": D(50)}),))
    for number in range(20):
        found = ask.but(down=("blue",))(user(f"u{number}"))
        assert all(kept.failed_over_from is None for kept in found.flags._decisions)


def test_a_long_unit_is_evaluated_and_not_remembered():
    ask = asking(said(on=True, percent=D(50)))
    ask(user("x" * 1000))
    assert not ask.table.flags_of("shop")._known


def test_what_the_split_said_is_known_as_drawn():
    ask = asking(said("a", on=True, percent=D(50)), said("b", on=True, percent=D(50), when=GERMANY), said("c", on=True))
    assert ask(user("anna")).flags.drawn == {"a"}
    assert ask(user("anna", (b"x-country", b"DE"))).flags.drawn == {"a", "b"}
    none = shop(sticky=Sticky(mode=StickyMode.NONE))
    [flag] = (asked := asking(said(on=True, percent=D(50)), services=(none,))(user("anna")).flags).drawn
    assert [flag] == [name for name, _ in asked.variants]


# What repeats


FIELDS = [GERMANY, When(cookies=(("a", Pattern(PatternKind.EXACT, ("b",))),))]
REST = [
    When(path=Pattern(PatternKind.PREFIX, ("/a",))),
    When(methods=("PUT",)),
    When(query=(("a", Pattern(PatternKind.EXACT, ("b",))),)),
    When(networks=("10.0.0.0/8",)),
]
OTHER = {"path": b"/a", "method": b"PUT", "query": b"a=b"}


@pytest.mark.parametrize("when", FIELDS)
def test_a_decision_is_remembered_by_fields_where_flags_follow_from_them(when):
    ask = asking(said(on=True, when=when))
    decision = ask(user("anna"))
    assert ask.table.repeats(user("anna"), decision)
    assert decision.flags.by_rest is None


@pytest.mark.parametrize("when", REST)
def test_where_flags_ask_for_more_of_a_request_it_is_known_what_they_ask(when):
    ask = asking(said(on=True, when=when), said("other", on=True, when=GERMANY))
    one, two = user("anna"), replace(user("anna"), **OTHER)
    decision = ask(one)
    assert ask.table.repeats(one, decision)
    by_rest = decision.flags.by_rest
    assert by_rest(one, "192.0.2.1") == by_rest(one, "192.0.2.2") != by_rest(two, "10.0.0.1")
    assert variants(ask, one) != variants(ask.but(client_ip="10.0.0.1"), two)


def test_a_condition_of_a_flag_that_is_off_has_no_say():
    ask = asking(said(when=When(methods=("GET",))))
    decision = ask(user("anna"))
    assert ask.table.repeats(user("anna"), decision)
    assert decision.flags.by_rest is None


# What a change compiles anew


def test_flipping_a_flag_compiles_no_service_and_no_other_flag():
    state = begun(said("a", services=("shop",)), said("b"), services=(shop(), service("cart")))
    before = compiled(state)
    ask = Asker(before)
    ask(user("anna"))
    cart = before.flags_of("cart")
    after = compiled(apply(state, switching("a"), NOW).state, before)
    assert after.services == before.services
    assert after.flags.routes["b"] is before.flags.routes["b"]
    assert after.flags.routes["a"] is not before.flags.routes["a"]
    assert after.flags_of("cart") is cart
    assert told(Asker(after), user("anna")) == b"X-Gatekeeper-Flags: a\r\n"
    assert told(ask, user("anna")) == b""


def test_a_service_that_changed_remembers_nothing_of_the_one_before():
    state = begun(said("a", on=True), services=(shop(),))
    before = compiled(state)
    known = before.flags_of("shop")
    changed = replace(
        state, services={**state.services, "shop": replace(state.services["shop"], definition=shop(skew=5.0))}
    )
    after = compiled(changed, before)
    assert after.flags_of("shop") is not known
    assert compiled(changed, after).flags_of("shop") is after.flags_of("shop")


# The reasons


def test_off_and_killed_are_disabled():
    state = begun(said(on=False, when=GERMANY))
    assert reason(state) == (DISABLED, "off")
    state = apply(begun(said(on=True)), switching(on=False, kill=True), NOW).state
    assert reason(state, targetingKey="anna") == (DISABLED, "off")


def test_a_condition_that_does_not_match_is_the_default_and_one_that_does_a_match():
    state = begun(said(on=True, when=GERMANY))
    assert reason(state) == (DEFAULT, "off")
    assert reason(state, **{"X-Country": "DE"}) == (TARGETING_MATCH, "on")


def test_one_variant_for_all_is_static_and_several_are_a_split():
    assert reason(begun(said(on=True))) == (STATIC, "on")
    assert reason(begun(said(on=True, percent=D(0)))) == (STATIC, "off")
    assert reason(begun(said(on=True, percent=D(50))), targetingKey="anna")[0] == SPLIT
    state = begun(said(on=True, percent=D(50), when=GERMANY))
    assert reason(state, targetingKey="anna", headers={"x-country": "DE"})[0] == SPLIT


def test_a_split_needs_a_targeting_key_and_nothing_else_does():
    state = begun(said(on=True, percent=D(50), when=GERMANY))
    assert reason(state) == (DEFAULT, "off")
    with pytest.raises(TargetingKeyMissing, match="flag new depends on who asks"):
        reason(state, **{"X-Country": "DE"})
    with pytest.raises(TargetingKeyMissing):
        reason(begun(said(on=True, percent=D(50))), targetingKey="")


def test_the_value_is_that_of_the_variant_and_who_owns_it_is_told():
    layout = {"wide": {"columns": 3}, "narrow": {"columns": 1}}
    state = begun(said(variants=layout, off="narrow", on=True, owner="anna", expires="2027-01-31", description="d"))
    found = resolved(state, "new")
    assert (found.value, found.variant) == ({"columns": 3}, "wide")
    assert found.metadata == {"owner": "anna", "expires": "2027-01-31", "description": "d"}
    assert resolved(begun(), "new").metadata == {}
    assert resolved(state, "nothing") is None


def test_a_service_is_resolved_with_its_own_flags_alone():
    state = begun(said("a", services=("cart",)), said("b"), services=(shop(), service("cart")))
    assert Resolver(state).names == ("a", "b", "cart.version", "shop.version")
    assert Resolver(state, "shop").names == ("b", "shop.version")
    table: RoutingTable = compiled(state)
    assert Resolver(state, "cart", table.flags.routes).names == ("a", "b", "cart.version")


def test_the_version_of_a_service_is_a_flag():
    state = begun(services=(shop(),))
    assert reason(state, "shop.version") == (STATIC, "blue")
    half = begun(services=(shop(split={"blue": D(50), "green": D(50)}),))
    ask = Asker(compiled(half))
    for number in range(50):
        expected = ask(user(f"u{number}")).version.name
        assert reason(half, "shop.version", targetingKey=f"u{number}") == (SPLIT, expected)
    with pytest.raises(TargetingKeyMissing, match="the version of service shop"):
        reason(half, "shop.version")
    assert "X-Gatekeeper-Flags" not in told(ask, user("anna")).decode()
