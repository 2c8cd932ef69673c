"""Signing in with a browser: what the cookie is, what it opens, and when it opens nothing any more."""

import hashlib
from dataclasses import replace

import pytest

from gatekeeper import __version__
from gatekeeper.control.api.auth import Actor
from gatekeeper.control.api.tokens import TokenFile, Tokens
from gatekeeper.control.dashboard.attempts import BURST, EVERY
from gatekeeper.control.dashboard.sessions import IDLE_SECONDS, SECONDS
from gatekeeper.core.model import Role

SPLIT = "/v1/services/shop/split"


def digest(token):
    return hashlib.sha256(token.encode()).hexdigest()


def behind_a_proxy(world):
    """The tests' client is a trusted proxy."""
    state = world.controller.state
    settings = replace(state.settings, trusted_proxies=("127.0.0.0/8", "::1/128"))
    world.controller.state = replace(state, settings=settings)


async def test_a_token_gives_a_cookie_that_no_script_and_no_other_site_gets(browser):
    status, document, headers = await browser("POST", "/session", json={"token": "token-of-viewer"})
    assert (status, document, headers["Cache-Control"]) == (204, "", "no-store")
    assert [*browser.answered] == ["gatekeeper-_session"]
    cookie = browser.answered["gatekeeper-_session"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert (cookie["secure"], cookie["domain"], cookie["max-age"], cookie["expires"]) == ("", "", "", "")
    assert len(cookie.value) == 43
    assert "token" not in cookie.value


async def test_the_session_says_who_and_what_a_page_needs(world, browser):
    await browser.sign_in("token-of-operator")
    _, document, headers = await browser("GET", "/session")
    assert document == {
        "name": "operator",
        "role": "operator",
        "groups": [],
        "csrf": browser.csrf,
        "expires": world.clock.wall() + SECONDS,
        "revision": 1,
        "gatekeeper": __version__,
    }
    assert len(browser.csrf) == 43
    assert browser.csrf not in browser.cookies.values()
    assert headers["Cache-Control"] == "no-store"


async def test_the_cookie_opens_what_its_token_opens_and_no_more(browser):
    await browser.sign_in("token-of-viewer")
    assert (await browser("GET", "/v1/status"))[0] == 200
    assert (await browser("GET", "/v1/events?follow=0"))[0] == 200
    assert (await browser("POST", "/v1/explain", json={"service": "shop"}))[0] == 200
    status, problem, _ = await browser("PUT", SPLIT, json={"green": 1})
    assert (status, problem["code"]) == (403, "forbidden")


async def test_what_is_done_by_cookie_stands_in_the_audit_with_the_name_of_the_token(browser):
    await browser.sign_in("token-of-operator")
    status, document, _ = await browser("PUT", SPLIT, json={"blue": 1, "green": 1})
    assert (status, document["revision"], document["workers"]) == (200, 2, {"acknowledged": 2, "total": 2})
    _, document, _ = await browser("GET", "/v1/audit")
    assert {key: document["audit"][0][key] for key in ("actor", "via", "action")} == {
        "actor": "operator",
        "via": "dashboard",
        "action": "split",
    }


async def test_signing_out_ends_the_session_and_takes_the_cookie_away(browser):
    await browser.sign_in("token-of-viewer")
    kept = dict(browser.cookies)
    status, _, _ = await browser("DELETE", "/session")
    assert (status, browser.cookies) == (204, {})
    assert browser.answered["gatekeeper-_session"]["max-age"] == "0"
    browser.cookies = kept
    assert (await browser("GET", "/session"))[0] == 401, "a copy of the cookie is worth nothing either"


# When it ends


async def test_a_token_that_is_revoked_takes_its_sessions_along_and_does_not_bring_them_back(world, tcp, browser):
    await browser.sign_in("token-of-admin")
    tokens = world.parts.tokens
    others = {digest(f"token-of-{name}"): Actor(name, Role(name)) for name in ("viewer", "operator")}
    world.parts.tokens = Tokens(others)
    status, problem, headers = await browser("GET", "/v1/status")
    assert (status, problem["code"], "WWW-Authenticate" in headers) == (401, "unauthorised", True)
    world.parts.tokens = tokens
    assert (await browser("GET", "/v1/status"))[0] == 401


async def test_the_token_file_ends_sessions_of_who_is_not_in_it_any_more(world, tmp_path, browser):
    from gatekeeper.control.api.admin import Admin

    await browser.sign_in("token-of-admin")
    other = await type(browser)(browser.api).sign_in("token-of-viewer")
    path = tmp_path / "tokens.yaml"
    path.write_text(f"- {{name: viewer, role: viewer, sha256: {digest('token-of-viewer')}}}\n")
    admin = Admin(world.parts, path=str(tmp_path / "another.sock"))
    await TokenFile(str(path), admin._take_tokens, admin._refuse_tokens).look()
    assert len(world.parts.dashboard.sessions) == 1
    assert (await other("GET", "/session"))[0] == 200
    assert (await browser("GET", "/session"))[0] == 401


async def test_a_token_that_expires_ends_its_sessions_in_that_second(world, browser):
    end = world.clock.wall() + 100
    world.parts.tokens = Tokens({digest("short"): Actor("short", Role.VIEWER, expires=end)})
    await browser.sign_in("short")
    assert (await browser("GET", "/session"))[1]["expires"] == end
    world.clock.advance(99)
    assert (await browser("GET", "/session"))[0] == 200
    world.clock.advance(1)
    assert (await browser("GET", "/session"))[0] == 401
    assert len(world.parts.dashboard.sessions) == 0
    status, problem, _ = await browser("POST", "/session", json={"token": "short"})
    assert (status, problem["code"]) == (401, "token_expired")


async def test_a_role_that_changes_changes_for_those_who_are_signed_in(world, browser):
    await browser.sign_in("token-of-operator")
    world.parts.tokens = Tokens({digest("token-of-operator"): Actor("operator", Role.VIEWER, ("product",))})
    _, document, _ = await browser("GET", "/session")
    assert (document["role"], document["groups"]) == ("viewer", ["product"])
    assert (await browser("PUT", SPLIT, json={"green": 1}))[1]["code"] == "forbidden"


@pytest.mark.parametrize("seconds", [IDLE_SECONDS, SECONDS])
async def test_a_session_is_over_after_an_hour_of_nothing_and_after_a_day_of_work(world, browser, seconds):
    await browser.sign_in("token-of-viewer")
    step = seconds / 24 if seconds == SECONDS else seconds
    for _ in range(int(seconds / step) - 1):
        world.clock.advance(step)
        assert (await browser("GET", "/session"))[0] == 200
    world.clock.advance(step)
    assert (await browser("GET", "/session"))[0] == 401


async def test_a_clock_that_is_set_ends_no_session_and_lengthens_none(world, browser):
    await browser.sign_in("token-of-viewer")
    world.clock.jump_wall(30 * 24 * 3600)
    assert (await browser("GET", "/session"))[0] == 200
    world.clock.jump_wall(-60 * 24 * 3600)
    world.clock.advance(IDLE_SECONDS)
    assert (await browser("GET", "/session"))[0] == 401


# Whoever wants in without a token


async def test_an_id_that_the_browser_came_with_never_becomes_a_session(browser):
    planted = "A" * 43
    browser.cookies["gatekeeper-_session"] = planted
    assert (await browser("GET", "/session"))[0] == 401
    await browser.sign_in("token-of-viewer")
    assert browser.cookies["gatekeeper-_session"] != planted


async def test_who_signs_in_again_gets_another_session_and_the_one_before_is_over(world, browser):
    await browser.sign_in("token-of-viewer")
    before = dict(browser.cookies)
    await browser.sign_in("token-of-admin")
    assert browser.cookies != before
    assert len(world.parts.dashboard.sessions) == 1
    browser.cookies = before
    assert (await browser("GET", "/session"))[0] == 401


async def test_a_wrong_token_gets_nothing_and_is_not_repeated_anywhere(world, browser, caplog):
    status, problem, headers = await browser("POST", "/session", json={"token": "hunter2-hunter2"})
    assert (status, problem["code"]) == (401, "unauthorised")
    assert "Set-Cookie" not in headers
    assert "hunter2" not in str(problem) + caplog.text
    assert "sign-in refused" in caplog.text
    assert len(world.parts.dashboard.sessions) == 0


@pytest.mark.parametrize(
    "body",
    ["", "{}", "[]", '{"token": ""}', '{"token": 7}', '{"token": "x", "role": "admin"}', '{"tokne": "xxxx"}'],
)
async def test_what_is_no_sign_in_is_refused_and_opens_nothing(world, browser, body):
    status, problem, headers = await browser("POST", "/session", data=body)
    assert status == 422, problem
    assert "Set-Cookie" not in headers
    assert "xxxx" not in str(problem), "what was sent may be a token"
    assert len(world.parts.dashboard.sessions) == 0


@pytest.mark.parametrize("token", ["x" * 513, "x" * 1_000_000, "\x00", "token-of-admin\x00", "tökén", " "])
async def test_no_text_is_too_strange_to_be_no_token(world, browser, token):
    status, problem, _ = await browser("POST", "/session", json={"token": token})
    assert (status, problem["code"]) == (401, "unauthorised")
    assert len(world.parts.dashboard.sessions) == 0


async def test_guessing_is_slowed_down_and_a_right_token_waits_with_the_wrong_ones(world, browser):
    for _ in range(BURST):
        assert (await browser("POST", "/session", json={"token": "wrong"}))[0] == 401
    for token in ("wrong", "token-of-admin"):
        status, problem, headers = await browser("POST", "/session", json={"token": token})
        assert (status, problem["code"], headers["Retry-After"]) == (429, "too_many_attempts", "6")
        assert "Set-Cookie" not in headers
    bearer = browser.api.with_token("token-of-viewer")
    assert (await bearer("GET", "/v1/status"))[0] == 200, "who brings his token is not slowed"
    world.clock.advance(EVERY)
    assert (await browser("POST", "/session", json={"token": "token-of-admin"}))[0] == 204


async def test_who_is_signed_in_does_not_use_up_attempts(browser):
    for _ in range(BURST * 2):
        await browser.sign_in("token-of-viewer")


async def test_behind_a_proxy_each_client_has_his_own_bound(world, browser):
    behind_a_proxy(world)

    async def attempt(chain):
        return (await browser("POST", "/session", json={"token": "x"}, headers={"X-Forwarded-For": chain}))[0]

    for at in range(BURST):
        # What stands before the proxy's own entry is the client's invention.
        assert await attempt(f"198.51.100.{at}, 192.0.2.1") == 401
    assert await attempt("192.0.2.1, 127.0.0.1") == 429
    assert await attempt("192.0.2.2") == 401


async def test_without_a_trusted_proxy_nobody_chooses_his_address(browser):
    for at in range(BURST):
        headers = {"X-Forwarded-For": f"192.0.2.{at}"}
        assert (await browser("POST", "/session", json={"token": "x"}, headers=headers))[0] == 401
    headers = {"X-Forwarded-For": "192.0.2.99"}
    assert (await browser("POST", "/session", json={"token": "x"}, headers=headers))[0] == 429


# TLS


async def test_by_tls_the_cookie_is_secure_and_of_this_host_alone(world, browser):
    behind_a_proxy(world)
    await browser.sign_in("token-of-viewer", **{"X-Forwarded-Proto": "https"})
    assert [*browser.cookies] == ["__Host-gatekeeper-_session"]
    tls = {"X-Forwarded-Proto": "https"}
    await browser("DELETE", "/session", headers=tls)
    cookie = browser.answered["__Host-gatekeeper-_session"]
    assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", ""), "else browsers refuse the name"


async def test_by_tls_a_cookie_that_came_without_it_counts_for_nothing(world, browser):
    behind_a_proxy(world)
    await browser.sign_in("token-of-viewer")
    assert (await browser("GET", "/session"))[0] == 200
    status, _, _ = await browser("GET", "/session", headers={"X-Forwarded-Proto": "https"})
    assert status == 401, "a neighbour without TLS could have planted it"


@pytest.mark.parametrize("proto", ["http", "", "httpsx"])
async def test_only_a_trusted_proxy_says_that_there_was_tls(world, browser, proto):
    await browser("POST", "/session", json={"token": "token-of-viewer"}, headers={"X-Forwarded-Proto": "https"})
    assert browser.answered["gatekeeper-_session"]["secure"] == "", "who is not trusted says nothing"
    behind_a_proxy(world)
    await browser("POST", "/session", json={"token": "token-of-viewer"}, headers={"X-Forwarded-Proto": proto})
    assert browser.answered["gatekeeper-_session"]["secure"] == ""


# Other ways in


async def test_a_token_with_the_request_goes_before_the_cookie(browser):
    await browser.sign_in("token-of-admin")
    bearer = {"Authorization": "Bearer token-of-viewer"}
    _, document, _ = await browser("GET", "/session", headers=bearer)
    assert (document["name"], document["csrf"]) == ("viewer", None)
    for wrong in ("Bearer wrong", "Basic dG9rZW4=", "", "Bearer"):
        assert (await browser("GET", "/session", headers={"Authorization": wrong}))[0] == 401


async def test_on_the_socket_no_cookie_is_given_and_none_is_read(world, api, browser):
    status, problem, headers = await api("POST", "/session", json={"token": "token-of-admin"})
    assert (status, problem["code"]) == (409, "on_the_socket")
    assert "Set-Cookie" not in headers
    await browser.sign_in("token-of-viewer")
    cookie = {"Cookie": f"gatekeeper-_session={browser.cookies['gatekeeper-_session']}"}
    _, document, headers = await api("GET", "/session", headers=cookie)
    assert (document["role"], document["csrf"], document["expires"]) == ("admin", None, None)
    assert "Set-Cookie" not in headers
    assert (await api("DELETE", "/session", headers=cookie))[0] == 204
    assert (await browser("GET", "/session"))[0] == 200, "and none is ended"


async def test_programs_on_the_socket_need_no_csrf_token(api):
    assert (await api("PUT", SPLIT, json={"blue": 1, "green": 1}))[0] == 200
