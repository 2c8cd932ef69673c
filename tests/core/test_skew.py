import pytest

from gatekeeper.core.model import Pattern, PatternKind, Rule, Sticky, StickyMode, UnitKind, UnitSource, When
from tests.core.routes import LOOPBACK, NOW, asker, cookie_header, cookies, rule_split, service, weights

HOUR = 3600.0
NAVIGATE = ((b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document"))
ASSET = ((b"sec-fetch-mode", b"no-cors"), (b"sec-fetch-dest", b"script"))
PAGE = "gatekeeper-shop-page"


DRAWN = Sticky(mode=StickyMode.NONE)


def shop(green=50.0, *, skew=12 * HOUR, sticky=DRAWN, rules=(), **running):
    shares = weights(blue=100 - green, green=green)
    return asker(service(shares=shares, skew=skew, sticky=sticky, rules=rules), **running)


def page_on(name, ask=None, **head):
    """The jar of a browser with a page of that version open."""
    ask = ask or shop()
    opened = next(one for one in (ask(fields=NAVIGATE, **head) for _ in range(100)) if one.version.name == name)
    return cookie_header(opened)


def test_what_a_page_loads_follows_the_page():
    ask = shop()
    for name in ("blue", "green"):
        jar = page_on(name)
        for _ in range(20):
            loaded = ask(fields=ASSET, cookie=jar)
            assert (loaded.version.name, loaded.reason, loaded.set_cookie) == (name, "page", b"")
            assert loaded.weight == 0.5


@pytest.mark.parametrize("field", NAVIGATE)
def test_a_navigation_is_told_by_either_field_and_notes_the_page_for_the_session(field):
    decision = shop()(fields=(field,))
    assert set(cookies(decision)) == {PAGE}
    assert decision.set_cookie.endswith(b"; Path=/; HttpOnly; SameSite=Lax\r\n")
    assert decision.version.name.encode() not in decision.set_cookie
    assert shop().but(secure=True)(fields=(field,)).set_cookie.endswith(b"; Secure\r\n")


def test_a_navigation_does_not_follow_the_page_before():
    ask, jar = shop(), page_on("green")
    assert {ask.version(fields=NAVIGATE, cookie=jar) for _ in range(50)} == {"blue", "green"}


def test_a_request_that_is_no_navigation_notes_nothing():
    assert shop()(fields=ASSET).set_cookie == b""
    assert shop()().set_cookie == b""


def test_without_skew_no_page_is_noted_or_followed():
    off = shop(skew=0.0)
    assert off(fields=NAVIGATE).set_cookie == b""
    assert {off.version(fields=ASSET, cookie=page_on("green")) for _ in range(50)} == {"blue", "green"}


def test_a_fresh_note_of_the_same_version_is_left_and_an_old_one_renewed():
    ask = shop(green=100.0)
    jar = page_on("green", ask)
    assert ask.but(now=NOW + HOUR - 1)(fields=NAVIGATE, cookie=jar).set_cookie == b""
    assert set(cookies(ask.but(now=NOW + HOUR)(fields=NAVIGATE, cookie=jar))) == {PAGE}
    assert set(cookies(shop(green=0.0)(fields=NAVIGATE, cookie=jar))) == {PAGE}


def test_a_superseded_version_is_kept_for_open_pages_as_long_as_skew_says():
    jar = page_on("blue")
    promoted = shop(green=100.0, superseded={"blue": NOW})
    kept = promoted.but(now=NOW + 12 * HOUR - 1)(fields=ASSET, cookie=jar)
    assert (kept.version.name, kept.reason, kept.weight) == ("blue", "page", 0.0)
    assert promoted.but(now=NOW + 12 * HOUR).version(fields=ASSET, cookie=jar) == "green"
    assert promoted.version(fields=NAVIGATE, cookie=jar) == "green"
    assert promoted.version() == "green"


def test_a_version_rolled_back_is_not_kept():
    """A rollback does not supersede: whoever has its page open goes back with everybody."""
    assert shop(green=0.0).version(fields=ASSET, cookie=page_on("green")) == "blue"


def test_pages_of_before_a_withdrawal_do_not_bring_a_version_back():
    jar = page_on("green", shop(since={"green": 2}))
    again = shop(green=1.0, since={"green": 9})
    assert {again(fields=ASSET, cookie=jar).reason for _ in range(20)} == {"split"}
    assert shop(green=1.0, since={"green": 2})(fields=ASSET, cookie=jar).reason == "page"


def test_a_page_never_outranks_health():
    jar = page_on("green")
    assert shop().but(down=("green",)).version(fields=ASSET, cookie=jar) == "blue"
    promoted = shop(green=100.0, superseded={"blue": NOW}).but(down=("blue",))
    assert promoted.version(fields=ASSET, cookie=page_on("blue")) == "green"


def test_where_the_page_cannot_be_followed_the_unit_decides_and_not_the_fail_over():
    ask = asker(service(shares=weights(blue=0, green=1, red=99), skew=HOUR)).but(down=("green",))
    opened = ask.but(down=("red", "blue"))(fields=NAVIGATE)
    assert opened.version.name == "green"
    red = next(jar for jar in (b"gatekeeper-shop=u%d" % n for n in range(100)) if ask.version(cookie=jar) == "red")
    loaded = ask(fields=ASSET, cookie=red + b"; " + cookie_header(opened))
    assert (loaded.version.name, loaded.reason, loaded.failed_over_from) == ("red", "sticky", None)


def test_a_page_that_failed_over_loads_from_where_it_came():
    opened = shop(green=100.0, superseded={"blue": NOW}).but(down=("green",))(fields=NAVIGATE)
    assert opened.version.name == "blue"
    loaded = shop(green=100.0, superseded={"blue": NOW})(fields=ASSET, cookie=cookie_header(opened))
    assert (loaded.version.name, loaded.reason) == ("blue", "page")


def test_a_503_notes_no_page():
    assert shop().but(down=("blue", "green"))(fields=NAVIGATE).set_cookie == b""


def test_a_page_older_than_thirty_days_is_decided_anew():
    ask = shop().but(now=NOW + 30 * 24 * HOUR)
    assert ask(fields=ASSET, cookie=page_on("green")).reason == "split"


def test_every_changed_character_makes_a_note_worthless():
    name, _, value = page_on("green").partition(b"=")
    ask = shop(green=1.0)
    for at in range(len(value)):
        changed = value[:at] + (b"1" if value[at : at + 1] != b"1" else b"2") + value[at + 1 :]
        assert ask(fields=ASSET, cookie=name + b"=" + changed).reason == "split"


def test_a_rule_beats_the_page_and_notes_its_own():
    staff = Rule("staff", When(path=Pattern(PatternKind.PREFIX, ("/staff",))), to="green")
    ask = shop(green=1.0, rules=(staff,))
    assert ask(path=b"/staff/x.js", fields=ASSET, cookie=page_on("blue")).reason == "rule"
    opened = ask(path=b"/staff", fields=NAVIGATE)
    loaded = ask(path=b"/x.js", fields=ASSET, cookie=cookie_header(opened))
    assert (loaded.version.name, loaded.reason) == ("green", "page")


def test_a_rules_split_follows_the_page_only_where_it_gives_the_version_weight():
    api = When(path=Pattern(PatternKind.PREFIX, ("/api",)))
    both = shop(rules=(rule_split("api", api, weights(blue=99, green=1)),))
    loaded = both(path=b"/api", fields=ASSET, cookie=page_on("green"))
    assert (loaded.version.name, loaded.reason, loaded.rule) == ("green", "page", "api")
    promoted = shop(green=100.0, superseded={"blue": NOW}, rules=(rule_split("api", api, weights(blue=0, green=100)),))
    assert promoted.version(path=b"/api", fields=ASSET, cookie=page_on("blue")) == "green"


def test_the_page_beats_the_pin():
    sticky = Sticky(mode=StickyMode.PIN)
    ask = shop(sticky=sticky)
    pinned = next(one for one in (ask() for _ in range(100)) if one.version.name == "blue")
    both = cookie_header(pinned) + b"; " + page_on("green")
    assert ask(fields=ASSET, cookie=both).reason == "page"
    assert ask(fields=NAVIGATE, cookie=both).reason == "pinned"


def test_a_new_browser_gets_its_id_and_its_page_at_once():
    ask = shop(sticky=Sticky((UnitSource(UnitKind.OWN_COOKIE),)))
    assert set(cookies(ask(fields=NAVIGATE))) == {"gatekeeper-shop", PAGE}


def test_a_forced_page_is_not_noted():
    decision = shop().but(client_ip=LOOPBACK)(force=b"green", fields=NAVIGATE)
    assert (decision.forced, decision.set_cookie) == (True, b"")
