import pytest

from gatekeeper.core import model, passes
from tests.core.routes import LOOPBACK, NOW, STRANGER, asker, cookie_header, cookies, service, weights

KEY, OLD = "k" * 32, "o" * 32
TESTERS = model.Testers(query=True, keys=(KEY, OLD))


def shop(testers=TESTERS, **options):
    return asker(service(shares=weights(blue=100, green=0, red=0), testers=testers), **options)


def token(*versions, key=KEY, ends=NOW + 3600, name="shop"):
    return passes.issue(key, name, versions, ends).encode()


def outcome(decision):
    return decision.version.name, decision.reason, decision.forced, decision.set_cookie


PLAIN = {"cookie": b"gatekeeper-shop=u1"}
UNTOUCHED = ("blue", "sticky", False, b"")
FORCED = ("green", "forced", True, b"")


# Header


def test_an_allowed_address_forces_a_version_by_header_for_one_request():
    ask = shop().but(client_ip=LOOPBACK)
    assert outcome(ask(force=b"green", **PLAIN)) == FORCED
    assert outcome(ask(**PLAIN)) == UNTOUCHED


def test_a_forced_decision_is_certain_and_sets_no_cookie_for_a_new_browser():
    decision = shop().but(client_ip="::1")(force=b" green ")
    assert (decision.weight, decision.rule, decision.set_cookie) == (1.0, None, b"")


def test_an_address_that_is_hearsay_is_nobodys():
    assert outcome(shop().but(client_ip=LOOPBACK, proxied=True)(force=b"green", **PLAIN)) == UNTOUCHED


@pytest.mark.parametrize("version", [b"grey", b"", b"Green", b"green,red", b"\xff", b"gr\x00een"])
def test_a_version_that_does_not_exist_is_not_forced(version):
    assert outcome(shop().but(client_ip=LOOPBACK)(force=version, **PLAIN)) == UNTOUCHED


def test_a_valid_pass_forces_from_anywhere_even_through_a_strangers_proxy():
    ask = shop().but(client_ip=STRANGER, proxied=True)
    assert outcome(ask(force=b"green", pass_token=token("green"), **PLAIN)) == FORCED
    assert outcome(ask(force=b"green", pass_token=token("red", "green", key=OLD), **PLAIN)) == FORCED


@pytest.mark.parametrize(
    "presented",
    [
        b"",
        b"garbage",
        b"x" * 2000,
        b"\xff\xfe",
        token("red"),
        token("green", name="cart"),
        token("green", key="stranger" * 4),
        token("green", ends=NOW),
    ],
)
def test_nothing_changes_with_a_pass_that_is_forged_expired_or_for_something_else(presented):
    ask = shop()
    assert outcome(ask(force=b"green", pass_token=presented, **PLAIN)) == UNTOUCHED
    assert outcome(ask(query=b"gatekeeper-version=green", pass_token=presented, **PLAIN)) == UNTOUCHED


def test_a_pass_without_a_wish_changes_nothing():
    assert outcome(shop()(pass_token=token("green"), **PLAIN)) == UNTOUCHED


def test_a_service_without_keys_takes_no_pass():
    assert outcome(shop(model.Testers())(force=b"green", pass_token=token("green"), **PLAIN)) == UNTOUCHED


def test_a_header_of_another_name_replaces_the_default_one():
    ask = shop(model.Testers(header="X-Try")).but(client_ip=LOOPBACK)
    assert outcome(ask(fields=((b"x-try", b"green"),), **PLAIN)) == FORCED
    assert outcome(ask(force=b"green", **PLAIN)) == UNTOUCHED
    assert outcome(ask(fields=((b"x-try", b"green"),), force=b"red", **PLAIN)) == FORCED
    assert outcome(ask.but(client_ip=STRANGER)(fields=((b"x-try", b"green"),), **PLAIN)) == UNTOUCHED


def test_a_forced_request_never_fails_over():
    ask = shop().but(client_ip=LOOPBACK, down=("green",))
    decision = ask(force=b"green")
    assert decision.unavailable
    assert (decision.version.name, decision.forced, decision.failed_over_from) == ("green", True, None)


# Query and the session it starts


def test_a_query_parameter_forces_and_starts_a_session_by_cookie():
    ask = shop().but(client_ip=LOOPBACK)
    first = ask(query=b"a=1&gatekeeper-version=green", **PLAIN)
    assert (first.version.name, first.forced) == ("green", True)
    assert set(cookies(first)) == {"gatekeeper-shop-version"}
    assert b"Max-Age" not in first.set_cookie
    assert first.set_cookie.endswith(b"; Path=/; HttpOnly; SameSite=Lax\r\n")
    assert b"green" not in first.set_cookie
    assert outcome(ask(cookie=PLAIN["cookie"] + b"; " + cookie_header(first))) == FORCED
    assert ask.but(secure=True)(query=b"gatekeeper-version=green").set_cookie.endswith(b"; Secure\r\n")


def test_where_the_query_is_not_enabled_neither_it_nor_a_session_has_effect():
    session = cookie_header(shop().but(client_ip=LOOPBACK)(query=b"gatekeeper-version=green"))
    for testers in (model.Testers(), model.Testers(header="X-Try")):
        ask = shop(testers).but(client_ip=LOOPBACK)
        assert outcome(ask(query=b"gatekeeper-version=green", **PLAIN)) == UNTOUCHED
        assert outcome(ask(cookie=PLAIN["cookie"] + b"; " + session)) == UNTOUCHED


def test_a_strangers_query_changes_nothing():
    for query in (b"gatekeeper-version=green", b"gatekeeper-version=", b"gatekeeper-version=none"):
        assert outcome(shop()(query=query, **PLAIN)) == UNTOUCHED


def test_header_beats_query_beats_cookie():
    ask = shop().but(client_ip=LOOPBACK)
    session = cookie_header(ask(query=b"gatekeeper-version=green"))
    assert ask.version(query=b"gatekeeper-version=red", cookie=session) == "red"
    assert ask.version(force=b"blue", query=b"gatekeeper-version=red", cookie=session) == "blue"
    assert ask(force=b"blue", query=b"gatekeeper-version=red", cookie=session).set_cookie == b""


def test_a_wish_that_fails_leaves_the_weaker_ones_in_force():
    ask = shop().but(client_ip=LOOPBACK)
    session = cookie_header(ask(query=b"gatekeeper-version=green"))
    assert ask.version(force=b"grey", query=b"gatekeeper-version=grey", cookie=session) == "green"


def test_a_session_granted_to_an_address_works_only_from_such_addresses():
    ask = shop().but(client_ip=LOOPBACK)
    jar = {"cookie": PLAIN["cookie"] + b"; " + cookie_header(ask(query=b"gatekeeper-version=green"))}
    assert outcome(ask.but(client_ip="127.9.9.9")(**jar)) == FORCED
    assert outcome(ask.but(client_ip=STRANGER)(**jar)) == UNTOUCHED
    assert outcome(ask.but(proxied=True)(**jar)) == UNTOUCHED


def test_a_session_granted_to_an_address_lasts_twelve_hours():
    ask = shop().but(client_ip=LOOPBACK)
    jar = {"cookie": PLAIN["cookie"] + b"; " + cookie_header(ask(query=b"gatekeeper-version=green"))}
    assert outcome(ask.but(now=NOW + 12 * 3600 - 1)(**jar)) == FORCED
    assert outcome(ask.but(now=NOW + 12 * 3600)(**jar)) == UNTOUCHED


@pytest.mark.parametrize("client_ip", [STRANGER, LOOPBACK])
def test_a_session_granted_by_a_pass_goes_anywhere_and_ends_with_the_pass(client_ip):
    granted = shop().but(client_ip=client_ip)(query=b"gatekeeper-version=green", pass_token=token("green"))
    jar = {"cookie": PLAIN["cookie"] + b"; " + cookie_header(granted)}
    ask = shop().but(client_ip=STRANGER, proxied=True)
    assert outcome(ask.but(now=NOW + 3599)(**jar)) == FORCED
    assert outcome(ask.but(now=NOW + 3600)(**jar)) == UNTOUCHED


def test_a_session_granted_by_a_pass_ends_when_its_key_is_removed():
    granted = shop()(query=b"gatekeeper-version=green", pass_token=token("green", key=OLD))
    jar = {"cookie": PLAIN["cookie"] + b"; " + cookie_header(granted)}
    assert outcome(shop()(**jar)) == FORCED
    assert outcome(shop(model.Testers(query=True, keys=(KEY,)))(**jar)) == UNTOUCHED
    assert outcome(shop(model.Testers(query=True, keys=("n" * 32, KEY, OLD)))(**jar)) == FORCED


@pytest.mark.parametrize("wish", [b"gatekeeper-version=", b"gatekeeper-version", b"gatekeeper-version=none"])
def test_an_empty_wish_or_none_ends_the_session(wish):
    ask = shop().but(client_ip=LOOPBACK)
    session = cookie_header(ask(query=b"gatekeeper-version=green"))
    decision = ask(query=wish, cookie=PLAIN["cookie"] + b"; " + session)
    assert (decision.version.name, decision.reason, decision.forced) == ("blue", "sticky", False)
    assert decision.set_cookie == (
        b"Set-Cookie: gatekeeper-shop-version=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax\r\n"
    )


def test_whoever_has_a_session_by_pass_may_end_it_without_the_pass():
    granted = shop()(query=b"gatekeeper-version=green", pass_token=token("green"))
    decision = shop()(query=b"gatekeeper-version=none", cookie=PLAIN["cookie"] + b"; " + cookie_header(granted))
    assert cookies(decision) == {"gatekeeper-shop-version": ""}


def test_whoever_has_a_pass_may_end_a_session_that_has_already_expired():
    decision = shop()(query=b"gatekeeper-version=none", pass_token=token("red"), **PLAIN)
    assert cookies(decision) == {"gatekeeper-shop-version": ""}


def test_ending_a_session_and_a_new_browsers_cookie_go_together():
    decision = shop().but(client_ip=LOOPBACK)(query=b"gatekeeper-version=none")
    assert set(cookies(decision)) == {"gatekeeper-shop-version", "gatekeeper-shop"}


def test_every_changed_character_makes_a_session_worthless():
    granted = shop()(query=b"gatekeeper-version=green", pass_token=token("green"))
    value = cookies(granted)["gatekeeper-shop-version"].encode()
    for at in range(len(value)):
        changed = value[:at] + (b"e" if value[at : at + 1] != b"e" else b"d") + value[at + 1 :]
        jar = PLAIN["cookie"] + b"; gatekeeper-shop-version=" + changed
        assert outcome(shop()(cookie=jar)) == UNTOUCHED


def test_a_session_for_a_version_that_is_gone_is_worthless():
    granted = shop().but(client_ip=LOOPBACK)(query=b"gatekeeper-version=red")
    smaller = asker(service(shares=weights(blue=100, green=0), testers=TESTERS)).but(client_ip=LOOPBACK)
    assert outcome(smaller(cookie=PLAIN["cookie"] + b"; " + cookie_header(granted))) == UNTOUCHED
