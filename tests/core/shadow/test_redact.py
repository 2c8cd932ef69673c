"""What may be shown of an answer."""

import pytest

from gatekeeper.core.shadow import redact


@pytest.mark.parametrize(
    "name", ["set-cookie", "authorization", "cookie", "x-api-key", "x-session-id", "www-authenticate"]
)
def test_a_header_whose_name_says_secret_is_not_shown(name):
    assert redact.header(name, "abc") == redact.REDACTED


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/in?token=abc&x=1", "/in?token=(redacted)&x=1"),
        ("/in#access_token=abc", "/in#access_token=(redacted)"),
        ("https://ann:pw@host/x", "https://(redacted)host/x".replace("(redacted)", "(redacted)@")),
        ("text/html; charset=utf-8", "text/html; charset=utf-8"),
    ],
)
def test_an_address_loses_its_secrets(value, shown):
    assert redact.header("location", value) == shown


def test_a_long_value_is_cut_and_has_no_sign_that_a_terminal_acts_on():
    assert len(redact.shown("x" * 10_000)) == redact.LONGEST
    assert redact.shown("a\x1b[2Jb") == "a?[2Jb"
