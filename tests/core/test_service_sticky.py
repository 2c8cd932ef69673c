"""Stickiness: where the unit comes from, and the modes ramp, pin and none."""

import re

import pytest

from gatekeeper.core.model import Sticky, StickyMode, UnitKind, UnitSource
from tests.core.routes import Draws, asker, cookie_header, cookies, reweighed, service, weights

HALF = weights(blue=50, green=50)
OWN = UnitSource(UnitKind.OWN_COOKIE)
USER = UnitSource(UnitKind.HEADER, "x-user-id")
SID = UnitSource(UnitKind.COOKIE, "sid")
ADDRESS = UnitSource(UnitKind.CLIENT_IP)


def shop(*sources, mode=StickyMode.RAMP, shares=HALF, **options):
    return service(shares=shares, sticky=Sticky(sources or (OWN,), mode), **options)


def user(name):
    return ((b"x-user-id", name),)


# gatekeeper's own cookie


def test_a_new_browser_gets_an_opaque_cookie_and_keeps_its_version_with_it():
    ask = asker(shop())
    for _ in range(50):
        first = ask()
        assert first.reason == "split"
        assert re.fullmatch(
            rb"Set-Cookie: gatekeeper-shop=[0-9a-f]{32}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax\r\n",
            first.set_cookie,
        )
        again = ask(cookie=b"theme=dark; " + cookie_header(first))
        assert (again.version, again.reason, again.set_cookie) == (first.version, "sticky", b"")


def test_on_tls_the_cookie_is_secure():
    assert asker(shop()).but(secure=True)().set_cookie.endswith(b"; SameSite=Lax; Secure\r\n")


def test_every_new_browser_gets_another_id_of_128_random_bits():
    draws = Draws()
    ask = asker(shop()).but(draw=draws)
    ids = {cookies(ask())["gatekeeper-shop"] for _ in range(100)}
    assert len(ids) == 100
    assert draws.count == 200


@pytest.mark.parametrize("value", [b"", b"a b", b"x" * 65, b"green;", b"<script>", b'"x"', b"a.b"])
def test_a_malformed_cookie_is_as_good_as_none(value):
    decision = asker(shop())(cookie=b"gatekeeper-shop=" + value)
    if value == b"green;":  # well-formed: an id like any other, which does not choose the version of that name
        assert decision.reason == "sticky"
    else:
        assert decision.reason == "split"
        assert set(cookies(decision)) == {"gatekeeper-shop"}


def test_a_forged_id_can_only_choose_among_versions_that_hold_weight():
    ask = asker(shop(shares=weights(blue=99, green=1, red=0)))
    seen = {ask.version(cookie=b"gatekeeper-shop=forged%d" % number) for number in range(2000)}
    assert seen == {"blue", "green"}


def test_the_same_unit_gets_the_same_version_from_tables_built_apart():
    one, two = asker(shop()), asker(shop())
    for number in range(300):
        cookie = b"gatekeeper-shop=u%d" % number
        assert one.version(cookie=cookie) == two.version(cookie=cookie)


# Ordered sources


def test_the_first_source_that_is_there_is_the_unit():
    ask = asker(shop(USER, SID, OWN))
    by_user = ask(fields=user(b"u1"), cookie=b"sid=s1; gatekeeper-shop=c1")
    assert by_user.reason == "sticky"
    for number in range(100):
        name = b"unit%d" % number
        as_user = ask.version(fields=user(name), cookie=b"sid=other; gatekeeper-shop=another")
        assert as_user == ask.version(cookie=b"sid=%b; gatekeeper-shop=another" % name)
        assert as_user == ask.version(cookie=b"gatekeeper-shop=" + name)


def test_an_empty_source_is_not_there():
    ask = asker(shop(USER, SID, OWN))
    for number in range(50):
        jar = b"sid= ; gatekeeper-shop=u%d" % number
        assert ask.version(fields=user(b" "), cookie=jar) == ask.version(cookie=b"gatekeeper-shop=u%d" % number)


def test_a_cookie_is_minted_only_when_the_own_cookie_is_reached():
    ask = asker(shop(USER, OWN))
    assert ask(fields=user(b"u1")).set_cookie == b""
    assert set(cookies(ask())) == {"gatekeeper-shop"}
    assert asker(shop(ADDRESS, OWN))().set_cookie == b""
    assert set(cookies(asker(shop(ADDRESS, OWN)).but(client_ip="")())) == {"gatekeeper-shop"}


def test_without_any_unit_each_request_is_drawn_and_gets_no_cookie():
    ask = asker(shop(USER, SID))
    decisions = [ask() for _ in range(2000)]
    assert {one.reason for one in decisions} == {"split"}
    assert {one.set_cookie for one in decisions} == {b""}
    assert sum(one.version.name == "green" for one in decisions) / 2000 == pytest.approx(0.5, abs=0.03)


def test_a_client_address_is_a_unit():
    ask = asker(shop(ADDRESS))
    seen = {address: ask.but(client_ip=address).version() for address in (f"10.0.0.{last}" for last in range(100))}
    assert set(seen.values()) == {"blue", "green"}
    assert all(ask.but(client_ip=address).version() == name for address, name in seen.items())


def test_the_applications_cookie_is_read_whole():
    ask = asker(shop(SID))
    assert ask(cookie=b"xsid=1").reason == "split"
    for number in range(50):
        plain = ask.version(cookie=b"sid=a%d==" % number)
        assert plain == ask.version(cookie=b"x=1; sid=a%d== ; y=2" % number)


# Ramp


def test_who_saw_green_at_ten_percent_sees_it_at_fifty_and_all_go_back():
    definition = shop(shares=weights(blue=100, green=0))
    steps = [weights(blue=100 - green, green=green) for green in (1, 10, 50, 100, 0)]
    jars = [b"gatekeeper-shop=u%d" % number for number in range(2000)]
    before: set[bytes] = set()
    for count, step in enumerate(steps, start=1):
        ask = reweighed(definition, steps[:count])
        on_green = {jar for jar in jars if ask.version(cookie=jar) == "green"}
        if step["green"]:
            assert before <= on_green
            assert len(on_green) / len(jars) == pytest.approx(float(step["green"]) / 100, abs=0.03)
        else:
            assert on_green == set()
        before = on_green


# Pin


def test_a_pinned_browser_stays_while_weights_move_and_its_cookie_stays_as_it_is():
    definition = shop(mode=StickyMode.PIN)
    ask = asker(definition)
    firsts = [ask() for _ in range(100)]
    assert {one.version.name for one in firsts} == {"blue", "green"}
    moved = reweighed(definition, [weights(blue=1, green=99), weights(blue=99, green=1)])
    for first in firsts:
        again = moved(cookie=cookie_header(first))
        assert (again.version.name, again.reason, again.set_cookie) == (first.version.name, "pinned", b"")
        assert again.weight == (0.99 if again.version.name == "blue" else 0.01)


def test_a_pin_ends_when_its_version_has_no_weight_and_a_new_one_is_set_under_the_same_id():
    definition = shop(mode=StickyMode.PIN)
    ask = asker(definition)
    first = next(one for one in (ask() for _ in range(100)) if one.version.name == "green")
    after = reweighed(definition, [weights(blue=100, green=0)])(cookie=cookie_header(first))
    assert (after.version.name, after.reason) == ("blue", "sticky")
    old, new = (cookies(one)["gatekeeper-shop"].split(".") for one in (first, after))
    assert old[0] == new[0]
    assert old[1] != new[1]
    assert ask(cookie=cookie_header(first, after)).version.name == "blue"  # though green holds weight there


def test_a_pin_does_not_come_back_with_a_version_that_was_withdrawn():
    definition = shop(mode=StickyMode.PIN, shares=weights(blue=50, green=50))
    released, again = asker(definition, since={"green": 2}), asker(definition, since={"green": 9})
    firsts = [released() for _ in range(100)]
    assert {one.version.name for one in firsts} == {"blue", "green"}
    for first in firsts:
        pinned = first.version.name == "blue"
        assert released(cookie=cookie_header(first)).reason == "pinned"
        assert again(cookie=cookie_header(first)).reason == ("pinned" if pinned else "sticky")


def test_a_pin_ends_when_its_version_has_no_backend():
    ask = asker(shop(mode=StickyMode.PIN))
    first = next(one for one in (ask() for _ in range(100)) if one.version.name == "green")
    down = ask.but(down=("green",))(cookie=cookie_header(first))
    assert down.version.name == "blue"
    back = ask(cookie=cookie_header(first, down))
    assert (back.version.name, back.reason) == ("blue", "pinned")


def test_a_fail_over_to_a_version_without_weight_is_not_pinned():
    ask = asker(shop(mode=StickyMode.PIN, shares=weights(blue=0, green=100)))
    first = ask.but(down=("green",))()
    assert first.version.name == "blue"
    assert "." not in cookies(first)["gatekeeper-shop"]
    assert ask(cookie=cookie_header(first)).version.name == "green"


def test_a_503_pins_nobody():
    decision = asker(shop(mode=StickyMode.PIN)).but(down=("blue", "green"))()
    assert decision.unavailable
    assert "." not in cookies(decision)["gatekeeper-shop"]


@pytest.mark.parametrize("end", range(4))
def test_a_forged_pin_is_as_good_as_none(end):
    ask = asker(shop(mode=StickyMode.PIN))
    first = ask()
    identity, tag = cookies(first)["gatekeeper-shop"].split(".")
    forged = [
        f"{identity}.{'0' * 32}",
        f"{'0' * 32}.{tag}",
        f"{identity}.{tag[:-1]}{'1' if tag[-1] == '0' else '0'}",
        f"{identity}",
    ][end]
    decision = ask(cookie=b"gatekeeper-shop=" + forged.encode())
    assert decision.reason == "sticky"
    assert cookies(decision)["gatekeeper-shop"].split(".")[0] == forged.split(".", maxsplit=1)[0]


def test_a_pin_of_another_service_is_worth_nothing_here():
    other = service("cart", shares=HALF, sticky=Sticky(mode=StickyMode.PIN))
    pin = cookies(asker(other)())["gatekeeper-cart"]
    ask = asker(shop(mode=StickyMode.PIN))
    assert "gatekeeper-shop" in cookies(ask(cookie=b"gatekeeper-cart=" + pin.encode()))


def test_a_browser_whose_unit_is_a_user_is_pinned_too_under_an_id_of_its_own():
    ask = asker(shop(USER, OWN, mode=StickyMode.PIN))
    first = ask(fields=user(b"u1"))
    assert first.reason == "sticky"
    value = cookies(first)["gatekeeper-shop"]
    assert re.fullmatch(r"[0-9a-f]{32}\.[0-9a-f]{32}", value)
    assert ask(fields=user(b"u1"), cookie=cookie_header(first)).reason == "pinned"


def test_changing_the_mode_moves_nobody():
    """A pinned cookie's id goes on as a ramp unit, and a ramp unit is pinned to the version it has."""
    pin, ramp = asker(shop(mode=StickyMode.PIN)), asker(shop())
    for _ in range(50):
        first = pin()
        assert ramp(cookie=cookie_header(first)).version.name == first.version.name
        assert ramp(cookie=cookie_header(first)).set_cookie == b""
        first = ramp()
        assert pin(cookie=cookie_header(first)).version.name == first.version.name


# None


def test_none_draws_every_request_anew_and_sets_no_cookie():
    ask = asker(shop(mode=StickyMode.NONE))
    decisions = [ask(cookie=b"gatekeeper-shop=u1") for _ in range(2000)]
    assert sum(one.version.name == "green" for one in decisions) / 2000 == pytest.approx(0.5, abs=0.03)
    assert {(one.reason, one.set_cookie) for one in decisions} == {("split", b"")}
