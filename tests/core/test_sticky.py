import subprocess
import sys

import pytest

from gatekeeper.core import sticky


def test_a_point_is_the_same_in_every_process_for_ever():
    """The value is written down: a change of the hash would move every user of every installation."""
    assert sticky.point(bytes(range(16)), b"0123456789abcdef0123456789abcdef") == 1010177232
    program = "from gatekeeper.core.sticky import point; print(point(bytes(range(16)), b'u42'))"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert int(other.stdout) == sticky.point(bytes(range(16)), b"u42")


def test_the_prepared_hasher_gives_the_same_point():
    hashed = sticky.hasher(b"key").copy()
    hashed.update(b"unit")
    assert int.from_bytes(hashed.digest(), "big") == sticky.point(b"key", b"unit")


def test_another_salt_gives_another_point():
    assert sticky.point(b"one", b"unit") != sticky.point(b"two", b"unit")


def test_points_fill_the_range_evenly():
    points = [sticky.point(b"salt", b"%d" % unit) for unit in range(20_000)]
    for tenth in range(10):
        share = sum(point * 10 // 2**32 == tenth for point in points) / len(points)
        assert share == pytest.approx(0.1, abs=0.01)


def test_a_tag_is_good_only_for_its_text_seal_secret_and_purpose():
    signer = sticky.Signer(b"secret", b"pin")
    tag = signer.tag(b"id", b"1:green")
    assert signer.verify(b"id", b"1:green", tag)
    assert not signer.verify(b"ie", b"1:green", tag)
    assert not signer.verify(b"id", b"1:blue", tag)
    assert not signer.verify(b"id", b"2:green", tag)
    assert not sticky.Signer(b"other", b"pin").verify(b"id", b"1:green", tag)
    assert not sticky.Signer(b"secret", b"page").verify(b"id", b"1:green", tag)


def test_text_and_seal_cannot_be_shifted_against_each_other():
    signer = sticky.Signer(b"secret", b"pin")
    assert signer.tag(b"id1", b"1:green") != signer.tag(b"id", b"11:green")


ID = b"0123456789abcdef0123456789abcdef"
TAG = b"f" * 32


@pytest.mark.parametrize(
    ("cookie", "found"),
    [
        (b"gatekeeper-shop=" + ID, ID),
        (b"a=1; gatekeeper-shop=%b; b=2" % ID, ID),
        (b"a=1;gatekeeper-shop=%b;b=2" % ID, ID),
        (b"a=1; \t gatekeeper-shop=%b \t; b=2" % ID, ID),
        (b"  gatekeeper-shop=x", b"x"),
        (b"gatekeeper-shop=%b.%b" % (ID, TAG), ID),
        (b"gatekeeper-shop=" + b"x" * 64, b"x" * 64),
        (b"gatekeeper-shop=; gatekeeper-shop=second", b"second"),
        (b"gatekeeper-shop=bad value; gatekeeper-shop=second", b"second"),
        (b"", None),
        (b"gatekeeper-shop=", None),
        (b"gatekeeper-shop=" + b"x" * 65, None),
        (b'gatekeeper-shop="quoted"', None),
        (b"gatekeeper-shop=umlaut\xfc", None),
        (b"gatekeeper-shop=%b.short" % ID, None),
        (b"xgatekeeper-shop=" + ID, None),
        (b"a=1 gatekeeper-shop=" + ID, None),
        (b"gatekeeper-shop2=" + ID, None),
        (b"gatekeeper-shop-page=" + ID, None),
        (b"Gatekeeper-Shop=" + ID, None),
    ],
)
def test_the_own_cookie_is_found_whole_and_well_formed_or_not_at_all(cookie, found):
    match = sticky.own_finder("shop")(cookie)
    assert (match and match[1]) == found


def test_a_dot_in_a_services_name_stands_for_itself():
    assert sticky.own_finder("a.b")(b"gatekeeper-aXb=x") is None
    assert sticky.stripper([b"gatekeeper-a.b"])(b"gatekeeper-aXb=x") == b"gatekeeper-aXb=x"


@pytest.mark.parametrize(
    ("cookie", "left"),
    [
        (b"gatekeeper-shop=x", b""),
        (b"gatekeeper-shop=x; b=2", b"b=2"),
        (b"a=1; gatekeeper-shop=x", b"a=1"),
        (b"a=1; gatekeeper-shop=x; b=2", b"a=1; b=2"),
        (b"gatekeeper-shop=x; gatekeeper-shop-page=y; b=2; gatekeeper-shop=z", b"b=2"),
        (b"a=1;gatekeeper-shop=x;b=2", b"a=1;b=2"),
        (b"a=gatekeeper-shop=x; gatekeeper-shops=1", b"a=gatekeeper-shop=x; gatekeeper-shops=1"),
        (b"gatekeeper-other=x", b"gatekeeper-other=x"),
    ],
)
def test_stripping_takes_out_the_own_cookies_and_leaves_the_others_as_they_are(cookie, left):
    assert sticky.stripper([b"gatekeeper-shop", b"gatekeeper-shop-page"])(cookie) == left


def test_a_cookie_line_has_every_attribute_and_secure_only_on_tls():
    line = sticky.CookieLine(b"gatekeeper-shop", sticky.OWN_COOKIE_SECONDS)
    assert line.line(b"x", secure=False) == (
        b"Set-Cookie: gatekeeper-shop=x; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax\r\n"
    )
    assert line.line(b"x", secure=True) == (
        b"Set-Cookie: gatekeeper-shop=x; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure\r\n"
    )


def test_a_session_cookie_line_has_no_age():
    assert sticky.CookieLine(b"n").line(b"x", secure=False) == b"Set-Cookie: n=x; Path=/; HttpOnly; SameSite=Lax\r\n"


def test_a_new_id_keeps_its_length_when_the_numbers_are_small():
    assert sticky.new_id(0, 0) == b"0" * 32
    assert sticky.new_id(2**64 - 1, 2**64 - 1) == b"f" * 32
