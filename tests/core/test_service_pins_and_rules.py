"""One pin per browser, followed by the service's split and by rules with a split of their own."""

from gatekeeper.core.model import Pattern, PatternKind, Sticky, StickyMode, When
from tests.core.routes import asker, cookie_header, cookies, rule_split, service, weights

API = When(path=Pattern(PatternKind.PREFIX, ("/api",)))


def pinning(main, rule):
    return asker(service(shares=main, sticky=Sticky(mode=StickyMode.PIN), rules=(rule_split("api", API, rule),)))


def test_a_rules_split_follows_the_pin_where_it_gives_the_version_weight():
    ask = pinning(weights(blue=50, green=50), weights(blue=1, green=99))
    for _ in range(50):
        first = ask()
        decision = ask(path=b"/api", cookie=cookie_header(first))
        assert (decision.version, decision.reason, decision.rule) == (first.version, "pinned", "api")
        assert decision.set_cookie == b""


def test_a_rules_split_that_cannot_follow_the_pin_leaves_it_alone():
    ask = pinning(weights(blue=50, green=50, red=0), weights(blue=0, green=0, red=100))
    first = ask()
    through = ask(path=b"/api", cookie=cookie_header(first))
    assert (through.version.name, through.reason, through.set_cookie) == ("red", "rule", b"")
    assert ask(cookie=cookie_header(first)).version is first.version


def test_splits_that_share_no_version_do_not_rewrite_each_others_pins_for_ever():
    ask = pinning(weights(blue=50, green=50, red=0), weights(blue=0, green=0, red=100))
    jar = [ask(path=b"/api")]
    jar.append(ask(cookie=cookie_header(*jar)))  # the service's split cannot use red: it pins anew, once
    assert cookies(jar[1])
    for path in (b"/api", b"/", b"/api", b"/"):
        assert ask(path=path, cookie=cookie_header(*jar)).set_cookie == b""


def test_where_the_service_holds_another_version_a_rules_split_may_pin_its_own():
    ask = pinning(weights(blue=100, green=0, red=0), weights(blue=0, green=50, red=50))
    first = ask(path=b"/api")
    again = ask(path=b"/api", cookie=cookie_header(first))
    assert (again.version, again.reason) == (first.version, "pinned")


def test_a_rules_split_replaces_a_pin_that_nobody_can_follow_any_more():
    rule = weights(blue=0, green=50, red=50, grey=0)
    old = pinning(weights(blue=0, green=0, red=0, grey=100), rule)()
    ask = pinning(weights(blue=100, green=0, red=0, grey=0), rule)
    pinned = ask(path=b"/api", cookie=cookie_header(old))
    again = ask(path=b"/api", cookie=cookie_header(old, pinned))
    assert (again.version, again.reason) == (pinned.version, "pinned")
