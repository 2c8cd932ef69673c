"""Precedence, rules, splits and fail-over: SPEC words "Which version a request gets"."""

import pytest

from gatekeeper.core.model import (
    OnUnavailable,
    Pattern,
    PatternKind,
    Rule,
    Sticky,
    StickyMode,
    UnitKind,
    UnitSource,
    When,
)
from tests.core.routes import LOOPBACK, asker, cookie_header, cookies, rule_split, service, weights

THREE = weights(blue=60, green=40, red=0)
STAFF = When(cookies=(("staff", Pattern(PatternKind.EXACT, ("1",))),))
API = When(path=Pattern(PatternKind.PREFIX, ("/api",)))


def test_force_beats_rule_beats_stickiness_beats_weight():
    rules = (Rule("staff", STAFF, to="red"),)
    ask = asker(service(shares=THREE, rules=rules, sticky=Sticky(mode=StickyMode.PIN)))
    pinned = ask()
    jar = cookie_header(pinned)
    name = pinned.version.name
    other = "green" if name == "blue" else "blue"
    assert pinned.reason == "split"
    followed = ask(cookie=jar)
    assert (followed.version.name, followed.reason) == (name, "pinned")
    ruled = ask(cookie=jar + b"; staff=1")
    assert (ruled.version.name, ruled.reason, ruled.rule) == ("red", "rule", "staff")
    forced = ask.but(client_ip=LOOPBACK)(cookie=jar + b"; staff=1", force=other.encode())
    assert (forced.version.name, forced.reason, forced.rule, forced.forced) == (other, "forced", None, True)


def test_the_first_rule_that_matches_decides():
    ask = asker(service(shares=THREE, rules=(Rule("api", API, to="green"), Rule("staff", STAFF, to="red"))))
    assert ask(path=b"/api", cookie=b"staff=1").rule == "api"
    assert ask(path=b"/", cookie=b"staff=1").rule == "staff"
    assert ask(path=b"/").rule is None


def test_a_rule_may_send_to_a_version_without_weight_and_says_so_with_certainty():
    decision = asker(service(shares=THREE, rules=(Rule("staff", STAFF, to="red"),)))(cookie=b"staff=1")
    assert (decision.version.name, decision.weight, decision.set_cookie) == ("red", 1.0, b"")


def test_a_rules_split_is_by_unit_and_its_own():
    rules = (rule_split("api", API, weights(blue=0, green=50, red=50)),)
    ask = asker(service(shares=weights(blue=100, green=0, red=0), rules=rules))
    jars = [b"gatekeeper-shop=u%d" % unit for unit in range(300)]
    through = [ask(path=b"/api", cookie=jar) for jar in jars]
    assert {decision.version.name for decision in through} == {"green", "red"}
    assert {(decision.reason, decision.rule, decision.weight) for decision in through} == {("rule", "api", 0.5)}
    assert [decision.version for decision in through] == [ask(path=b"/api", cookie=jar).version for jar in jars]
    assert {ask(cookie=jar).version.name for jar in jars} == {"blue"}


def test_a_rules_split_gives_a_new_browser_its_cookie():
    ask = asker(service(rules=(rule_split("api", API, weights(blue=50, green=50)),)))
    first = ask(path=b"/api")
    assert set(cookies(first)) == {"gatekeeper-shop"}
    assert ask(path=b"/api", cookie=cookie_header(first)).version is first.version


def test_the_split_gives_each_version_its_share():
    ask = asker(service(shares=weights(blue=70, green="29.5", red="0.5")))
    versions = [ask.version() for _ in range(20_000)]
    for name, share in (("blue", 0.7), ("green", 0.295), ("red", 0.005)):
        assert versions.count(name) / len(versions) == pytest.approx(share, abs=0.01)


def test_a_version_without_weight_gets_nobody():
    ask = asker(service(shares=THREE))
    assert "red" not in {ask.version() for _ in range(2000)}


def test_the_weight_of_a_decision_is_the_share_of_its_version():
    ask = asker(service(shares=weights(blue=3, green=1)))
    assert {(one.version.name, one.weight) for one in (ask() for _ in range(100))} == {("blue", 0.75), ("green", 0.25)}


# Health


def test_a_version_without_a_ready_backend_fails_over_to_stable():
    ask = asker(service(shares=weights(blue=50, green=50))).but(down=("green",))
    decisions = [ask(cookie=b"gatekeeper-shop=u%d" % unit) for unit in range(100)]
    assert {one.version.name for one in decisions} == {"blue"}
    failed_over = [one for one in decisions if one.failed_over_from is not None]
    assert {one.failed_over_from.name for one in failed_over} == {"green"}
    assert 20 < len(failed_over) < 80
    assert not any(one.unavailable for one in decisions)


def test_stable_takes_over_even_without_weight():
    decision = asker(service(shares=weights(blue=0, green=100))).but(down=("green",))()
    assert (decision.version.name, decision.failed_over_from.name) == ("blue", "green")


def test_where_stable_is_down_the_ready_version_with_the_most_weight_takes_over():
    shares = weights(blue=50, green=10, red=30, grey=30, black=0)
    ask = asker(service(shares=shares, stable="blue"))
    assert {ask.but(down=("blue",)).version() for _ in range(200)} == {"red", "green", "grey"}
    over = [ask.but(down=("blue",))() for _ in range(200)]
    assert {one.version.name for one in over if one.failed_over_from} == {"red"}  # of equals the one defined first
    over = [ask.but(down=("blue", "red", "grey"))() for _ in range(200)]
    assert {one.version.name for one in over} == {"green"}


def test_nobody_fails_over_to_a_version_that_was_never_released():
    ask = asker(service(shares=weights(blue=100, green=0))).but(down=("blue",))
    decision = ask()
    assert decision.unavailable
    assert decision.version.name == "blue"


def test_with_no_version_ready_the_decision_is_unavailable_for_the_version_wanted():
    ask = asker(service(shares=weights(blue=50, green=50))).but(down=("blue", "green"))
    decisions = [ask() for _ in range(50)]
    assert all(one.unavailable and one.failed_over_from is None for one in decisions)
    assert {one.version.name for one in decisions} == {"blue", "green"}


def test_fail_means_unavailable_though_stable_is_ready():
    shop = service(shares=weights(blue=0, green=100), on_unavailable=OnUnavailable.FAIL)
    decision = asker(shop).but(down=("green",))()
    assert decision.unavailable
    assert decision.version.name == "green"


def test_a_rules_version_fails_over_too_and_keeps_the_rule():
    ask = asker(service(shares=THREE, rules=(Rule("staff", STAFF, to="red"),))).but(down=("red",))
    decision = ask(cookie=b"staff=1")
    assert (decision.version.name, decision.failed_over_from.name) == ("blue", "red")
    assert (decision.reason, decision.rule) == ("rule", "staff")


def test_a_new_browser_that_fails_over_keeps_its_id_and_returns_when_its_version_does():
    ask = asker(service(shares=weights(blue=0, green=100)))
    first = ask.but(down=("green",))()
    assert first.version.name == "blue"
    assert ask(cookie=cookie_header(first)).version.name == "green"


def test_a_shared_decision_is_not_changed_by_failing_over():
    ask = asker(service(shares=weights(blue=0, green=100)))
    known = b"gatekeeper-shop=u1"
    before = ask(cookie=known)
    ask.but(down=("green",))(cookie=known)
    ask.but(down=("blue", "green"))(cookie=known)
    after = ask(cookie=known)
    assert after is before
    assert (after.version.name, after.failed_over_from, after.unavailable) == ("green", None, False)


def test_a_client_address_unit_fails_over_like_any_other():
    shop = service(shares=weights(blue=0, green=100), sticky=Sticky((UnitSource(UnitKind.CLIENT_IP),)))
    assert asker(shop).but(down=("green",)).version() == "blue"
