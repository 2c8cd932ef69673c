"""What a copy carries of the head that went to the user's backend."""

from dataclasses import replace

import pytest

from gatekeeper.core.shadow.model import Keep
from tests.dataplane.shadow.mirrored import MIRROR
from tests.dataplane.world import Message, post, request

SECRETS = ("Cookie: session=1; gatekeeper-shop=me", "Authorization: Bearer x", "Proxy-Authorization: Basic y")


def copied(mirrored, raw, **options):
    here = mirrored(replace(MIRROR, methods=("GET", "POST"), **options))
    here.asked(raw)
    return Message.read(here.lines[0].take())


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ((), (None, None)),
        ((Keep.COOKIE,), ("session=1", None)),
        ((Keep.AUTHORIZATION,), (None, "Bearer x")),
        ((Keep.COOKIE, Keep.AUTHORIZATION), ("session=1", "Bearer x")),
    ],
)
def test_a_users_secrets_go_along_only_where_they_are_kept_and_gatekeepers_cookie_never(mirrored, keep, expected):
    told = copied(mirrored, request("GET", *SECRETS), keep=keep)
    assert (told.get("cookie"), told.get("authorization")) == expected
    assert (told.get("proxy-authorization") is None) is (Keep.AUTHORIZATION not in keep)


def test_what_concerns_the_users_connection_stays_behind(mirrored):
    told = copied(mirrored, post(b"x", "Expect: 100-continue", "TE: trailers", "Connection: TE, keep-alive"))
    assert [told.get(name) for name in ("expect", "te", "connection", "content-length")] == [None, None, None, "1"]


def test_everything_else_goes_along(mirrored):
    told = copied(mirrored, request("GET", "Accept-Language: de", "If-None-Match: x", "Cookies: 1", target="/a?b=1"))
    assert told.line == "GET /a?b=1 HTTP/1.1"
    assert [told.get(name) for name in ("host", "accept-language", "if-none-match", "cookies")] == [
        "shop.test", "de", "x", "1",
    ]  # fmt: skip
    assert told.get("x-forwarded-for") == "203.0.113.9"


def test_a_users_own_mark_passes_to_nobody(mirrored):
    here = mirrored()
    _, backend = here.asked(request("GET", "X-Gatekeeper-Shadow: 7", "X-Gatekeeper-Version: blue"))
    assert Message.read(backend.take()).get("x-gatekeeper-shadow") is None
    assert Message.read(here.lines[0].take()).all("x-gatekeeper-shadow") == ["1"]


def test_a_value_that_looks_like_our_lines_changes_nothing(mirrored):
    told = copied(mirrored, request("GET", "X-Told: X-Gatekeeper-Version: blue"))
    assert (told.get("x-gatekeeper-version"), told.get("x-told")) == ("green", "X-Gatekeeper-Version: blue")
