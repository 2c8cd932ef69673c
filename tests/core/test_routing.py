from dataclasses import replace

import pytest

from gatekeeper.core import model, routing, split
from gatekeeper.core.match import MatchError
from gatekeeper.core.model import (
    Pattern,
    PatternKind,
    Rule,
    ServiceState,
    Sticky,
    StickyMode,
    UnitKind,
    UnitSource,
    When,
)
from tests.core.routes import Asker, Request, asker, service, slots, state, table, weights


def changed(of, name, **options):
    one = of.services[name]
    return replace(
        of,
        revision=of.revision + 1,
        services=of.services | {name: replace(one, running=replace(one.running, **options))},
    )


def test_a_table_says_its_revision_and_keeps_its_state():
    made = state([service()], revision=17)
    compiled = routing.compile(made, slots(made))
    assert compiled.revision == 17
    assert compiled.state is made


def test_a_version_has_its_slot_weight_and_the_lines_for_the_backend():
    compiled = table(service(shares=weights(blue=90, green=10)), revision=17)
    shop = compiled.services["shop"]
    assert shop.stable is shop.versions["blue"]
    green = shop.versions["green"]
    assert (green.service, green.name, green.slot, green.weight) == ("shop", "green", 3, 10)
    assert green.version is shop.definition.versions["green"]
    assert green.head_lines == b"X-Gatekeeper-Version: green\r\nX-Gatekeeper-Revision: 17\r\n"


def test_only_services_that_changed_are_compiled_again():
    before = state([service("shop", hosts=("a.com",)), service("cart", hosts=("b.com",))])
    old = routing.compile(before, slots(before))
    after = changed(before, "cart", split=split.initial(weights(blue=0, green=100), "aa"))
    new = routing.compile(after, slots(after), old)
    assert new.services["shop"] is old.services["shop"]
    assert new.services["cart"] is not old.services["cart"]
    assert Asker(new).version(host=b"b.com") == "green"
    assert Asker(new)(host=b"a.com").service is old.services["shop"]
    assert Asker(old).version(host=b"b.com") == "blue"


def test_an_equal_service_from_elsewhere_is_taken_over():
    old = table(service())
    again = state([service()])
    assert routing.compile(again, slots(again), old).services["shop"] is old.services["shop"]


def test_a_service_whose_slots_moved_is_compiled_again():
    made = state([service()])
    old = routing.compile(made, slots(made))
    new = routing.compile(made, {"shop": {"blue": 2, "green": 9}}, old)
    assert new.services["shop"].versions["green"].slot == 9


def test_slots_of_versions_that_are_gone_do_not_matter():
    made = state([service()])
    old = routing.compile(made, slots(made))
    assert (
        routing.compile(made, {"shop": {"blue": 2, "green": 3, "red": 4}}, old).services["shop"]
        is (old.services["shop"])
    )


@pytest.mark.parametrize(
    "after",
    [
        [service("shop", hosts=("new.com",)), service("cart", hosts=("b.com",)), service("rest")],
        [service("shop", hosts=("a.com",)), service("cart", hosts=("b.com",), path_prefix="/c"), service("rest")],
        [service("shop", hosts=("a.com",)), service("rest")],
        [service("more", hosts=("c.com",)), service("shop", hosts=("a.com",)), service("rest")],
        [service("rest"), service("cart"), service("shop", hosts=("*.a.com",))],
        [service("shop", hosts=("a.com",), stable="green"), service("cart", hosts=("b.com",)), service("rest")],
        [service("shop", hosts=("a.com",)), service("cart", hosts=("b.com",)), service("rest", stable="green")],
    ],
)
def test_a_table_built_on_another_answers_as_one_built_from_nothing(after):
    before = state([service("shop", hosts=("a.com",)), service("cart", hosts=("b.com",)), service("rest")])
    old = routing.compile(before, slots(before))
    target = state(after, revision=2)
    built = Asker(routing.compile(target, slots(target), old))
    fresh = Asker(routing.compile(target, slots(target)))
    for host in (b"a.com", b"b.com", b"c.com", b"new.com", b"x.a.com", b""):
        for path in (b"/", b"/c"):
            one, two = (each.maybe(Request(host=host, path=path)) for each in (built, fresh))
            assert (one and (one.service.name, one.service.stable.name, one.version.name)) == (
                two and (two.service.name, two.service.stable.name, two.version.name)
            )


def test_equal_states_give_equal_tables():
    one, two = (asker(service(shares=weights(blue=50, green=50))) for _ in range(2))
    for unit in range(200):
        cookie = b"gatekeeper-shop=u%d" % unit
        assert one.version(cookie=cookie) == two.version(cookie=cookie)


def test_compiling_changes_nothing_it_was_given():
    made = state([service(), service("cart", hosts=("b.com",))])
    old = routing.compile(made, slots(made))
    fronts = dict(old.hosts.exact)
    after = changed(made, "cart", split=split.initial(weights(blue=0, green=100), "aa"))
    routing.compile(after, slots(after), old)
    assert old.hosts.exact == fronts
    assert made == state([service(), service("cart", hosts=("b.com",))])


def test_slots_that_do_not_belong_to_the_state_are_an_error():
    made = state([service()])
    with pytest.raises(KeyError, match="green"):
        routing.compile(made, {"shop": {"blue": 2}})
    with pytest.raises(KeyError, match="shop"):
        routing.compile(made, {})


def test_a_bad_regular_expression_is_an_error_and_the_old_table_stays_good():
    old = asker(service())
    bad = Rule("bad", When(headers=(("h", Pattern(PatternKind.REGEX, ("(",))),)), to="green")
    made = state([service(rules=(bad,))])
    with pytest.raises(MatchError):
        routing.compile(made, slots(made), old.table)
    assert old.version() == "blue"


def test_the_cookies_of_a_service_are_stripped_and_no_others():
    shop = table(service()).services["shop"]
    cookie = b"a=1; gatekeeper-shop=x; gatekeeper-shop-page=y; gatekeeper-shop-version=z; gatekeeper-cart=w"
    assert shop.cookie_strip(cookie) == b"a=1; gatekeeper-cart=w"
    assert shop.cookie_strip is shop.cookie_strip


def test_no_backend_sees_who_is_signed_in_to_the_dashboard():
    shop = table(service()).services["shop"]
    cookie = b"gatekeeper-_session=id; a=1; __Host-gatekeeper-_session=id; xgatekeeper-_session=b"
    assert shop.cookie_strip(cookie) == b"a=1; xgatekeeper-_session=b"
    assert shop.cookie_strip(b"a=1; __Host-gatekeeper-_session=id") == b"a=1"


def test_a_state_decoded_afresh_reuses_nothing_it_should_not():
    made = state([service()])
    old = routing.compile(made, slots(made))
    one = made.services["shop"]
    other = replace(made, services={"shop": ServiceState(one.definition, replace(one.running, revision=2))})
    assert b"Revision: 2\r\n" in routing.compile(other, slots(other), old).services["shop"].stable.head_lines


KNOWN = Request(cookie=b"gatekeeper-shop=u1")
POSTS = When(methods=("POST",))
STAFF_AT_WORK = Rule(
    "staff",
    When(cookies=(("staff", model.Pattern(model.PatternKind.EXACT, ("1",))),), methods=("POST",)),
    to="green",
)
HALF_OF_POSTS = Rule("half", POSTS, split=weights(blue=50, green=50))


def test_the_decision_for_a_known_unit_repeats():
    ask = asker(service())
    assert ask.table.repeats(KNOWN, ask(KNOWN))


@pytest.mark.parametrize(
    ("definition", "request_"),
    [
        (service(), Request()),
        (service(), replace(KNOWN, force=b"green")),
        (service(path_prefix="/a"), replace(KNOWN, path=b"/a")),
        (service(skew=60.0), KNOWN),
        (service(rules=(STAFF_AT_WORK,)), replace(KNOWN, cookie=b"gatekeeper-shop=u1; staff=1")),
        (service(rules=(HALF_OF_POSTS,)), replace(KNOWN, method=b"POST")),
        (service(testers=model.Testers(query=True)), KNOWN),
        (service(testers=model.Testers(header="X-Try")), KNOWN),
        (service(sticky=Sticky(mode=StickyMode.PIN)), KNOWN),
        (service(sticky=Sticky(mode=StickyMode.NONE)), KNOWN),
        (service(sticky=Sticky((UnitSource(UnitKind.CLIENT_IP),))), KNOWN),
    ],
    ids=["new", "asks", "path", "page", "rule", "drawn", "query", "header", "pin", "none", "address"],
)
def test_a_decision_in_which_more_than_the_fields_has_a_say_does_not_repeat(definition, request_):
    ask = asker(definition)
    assert not ask.table.repeats(request_, ask(request_))


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_decision_repeats_for_those_whom_the_same_rules_let_through(method):
    ask = asker(service(rules=(Rule("api", POSTS, to="green"),)))
    request = replace(KNOWN, method=method)
    assert ask.table.repeats(request, ask(request))
    assert ask.table.services["shop"].rules.by_rest(request, "") == ((0,) if method == b"POST" else ())


@pytest.mark.parametrize("down", [("blue",), ("blue", "green")])
def test_a_decision_that_health_changed_does_not_repeat(down):
    ask = asker(service(shares=weights(blue=100, green="0.000001"))).but(down=down)
    assert not ask.table.repeats(KNOWN, ask(KNOWN))
