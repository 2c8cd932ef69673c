"""Nobody else's page acts, or looks, for who is signed in."""

import pytest

from tests.control.dashboard.test_sign_in import SPLIT, behind_a_proxy

# How the same request looks when another page makes it.
FOREIGN = {
    "cross-site": {"Sec_Fetch_Site": "cross-site"},
    "a neighbour's page": {"Sec_Fetch_Site": "same-site"},
    "another origin": {"Origin": "https://evil.example"},
    "an opaque origin": {"Origin": "null"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "another scheme": {"Origin": "ftp://{host}"},
    "ours with more": {"Origin": "http://{host}.evil.example"},
    "ours as a name": {"Origin": "http://evil.example:80#{host}"},
    "ours as a user": {"Origin": "http://{host}@evil.example"},
    "nothing": {"Origin": ""},
    "both": {"Sec_Fetch_Site": "same-origin", "Origin": "https://evil.example"},
    "a word that does not exist": {"Sec_Fetch_Site": "same-origin, cross-site"},
}
WRITES = [
    ("PUT", SPLIT, {"green": 1}),
    ("POST", "/v1/services/shop/rollback", None),
    ("DELETE", "/v1/services/shop/versions/green", None),
    ("POST", "/v1/reload", None),
    ("POST", "/v1/explain", {"service": "shop"}),
    ("DELETE", "/session", None),
]


def shown_by(browser, foreign):
    host = browser.api.base.removeprefix("http://")
    return browser.elsewhere(**{name: value.format(host=host) for name, value in FOREIGN[foreign].items()})


async def test_another_page_neither_acts_nor_looks_nor_watches_even_with_the_csrf_token(world, browser):
    await browser.sign_in("token-of-admin")
    looks = [("GET", path, None) for path in ("/v1/status", "/session", "/v1/live")]
    for foreign in FOREIGN:
        attacker = shown_by(browser, foreign)
        for method, path, body in [*WRITES, *looks]:
            status, problem, headers = await attacker(method, path, json=body)
            assert (status, problem["code"]) == (403, "csrf"), (method, path, foreign)
            assert problem["allowed"]
            assert "Access-Control-Allow-Origin" not in headers
    assert world.controller.state.revision == 1
    assert len(world.parts.dashboard.live) == 0
    assert (await browser("GET", "/session"))[0] == 200, "nor does it sign anybody out"


async def test_another_page_signs_nobody_in(world, browser):
    for foreign in FOREIGN:
        page = shown_by(browser, foreign)
        status, problem, headers = await page("POST", "/session", json={"token": "token-of-viewer"})
        assert (status, problem["code"], "Set-Cookie" in headers) == (403, "csrf", False), foreign
    assert len(world.parts.dashboard.sessions) == 0


async def test_another_page_does_nothing_on_a_socket_that_was_forwarded_to_a_desk(world, api):
    for foreign in FOREIGN.values():
        site = {name.replace("_", "-"): value.format(host="gatekeeper") for name, value in foreign.items()}
        for method, path, body in [*WRITES, ("GET", "/v1/status", None), ("POST", "/session", {"token": "x"})]:
            status, problem, _ = await api(method, path, json=body, headers=site)
            assert (status, problem["code"]) == (403, "csrf"), (method, path, foreign)
    assert world.controller.state.revision == 1


async def test_a_write_by_cookie_needs_the_csrf_token_of_this_very_session(world, browser):
    await browser.sign_in("token-of-admin")
    browser.csrf = ""
    for token in (None, "", "wrong", "\xff", "x" * 5000):
        headers = {"X-Gatekeeper-CSRF": token} if token is not None else {}
        for method, path, body in WRITES:
            status, problem, _ = await browser(method, path, json=body, headers=headers)
            assert (status, problem["code"]) == (403, "csrf"), (method, path)
    assert world.controller.state.revision == 1


async def test_the_csrf_token_of_another_session_is_none(world, browser):
    await browser.sign_in("token-of-admin")
    other = await type(browser)(browser.api).sign_in("token-of-admin")
    browser.csrf = other.csrf
    assert (await browser("PUT", SPLIT, json={"green": 1}))[1]["code"] == "csrf"
    browser.csrf = browser.cookies["gatekeeper-_session"]
    assert (await browser("PUT", SPLIT, json={"green": 1}))[1]["code"] == "csrf"
    assert world.controller.state.revision == 1


@pytest.mark.parametrize(
    "site",
    [
        {},
        {"Origin": "http://{host}"},
        {"Origin": "HTTP://{host}"},
        {"Origin": "http://{host}", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "same-origin"},
    ],
)
async def test_the_own_page_acts_whatever_of_it_the_browser_says(browser, site):
    await browser.sign_in("token-of-admin")
    host = browser.api.base.removeprefix("http://")
    page = browser.elsewhere(**{name: value.format(host=host) for name, value in site.items()})
    assert (await page("PUT", SPLIT, json={"blue": 1, "green": 1}))[0] == 200


async def test_what_a_person_types_is_looked_at_but_changes_nothing(browser):
    await browser.sign_in("token-of-admin")
    typed = browser.elsewhere(Sec_Fetch_Site="none")
    assert (await typed("GET", "/v1/status"))[0] == 200
    assert (await typed("PUT", SPLIT, json={"green": 1}))[1]["code"] == "csrf"


async def test_a_token_with_the_request_is_no_browsers_and_needs_none_of_this(browser):
    admin = browser.api.with_token("token-of-admin")
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://tool.example"}
    assert (await admin("PUT", SPLIT, json={"blue": 1, "green": 1}, headers=headers))[0] == 200


@pytest.mark.parametrize(
    ("headers", "let_in"),
    [
        ({"Origin": "https://gk.example.com", "Host": "gk.example.com", "X-Forwarded-Proto": "https"}, True),
        ({"Origin": "https://gk.example.com", "Host": "gk.example.com:443", "X-Forwarded-Proto": "https"}, True),
        (
            {"Origin": "https://gk.example.com", "X-Forwarded-Host": "gk.example.com", "X-Forwarded-Proto": "https"},
            True,
        ),
        ({"Origin": "http://gk.example.com", "Host": "gk.example.com", "X-Forwarded-Proto": "https"}, False),
        ({"Origin": "https://gk.example.com:8443", "Host": "gk.example.com", "X-Forwarded-Proto": "https"}, False),
        ({"Origin": "https://evil.example", "X-Forwarded-Host": "gk.example.com", "X-Forwarded-Proto": "https"}, False),
    ],
)
async def test_behind_a_proxy_the_page_is_the_one_that_the_browser_asked_for(world, browser, headers, let_in):
    behind_a_proxy(world)
    await browser.sign_in("token-of-admin", **{"X-Forwarded-Proto": "https"})
    status, problem, _ = await browser("PUT", SPLIT, json={"blue": 1, "green": 1}, headers=headers)
    assert status == (200 if let_in else 403), problem


async def test_a_proxy_that_nobody_trusts_does_not_say_whose_page_it_is(browser):
    await browser.sign_in("token-of-admin")
    headers = {"Origin": "http://evil.example", "X-Forwarded-Host": "evil.example"}
    assert (await browser("PUT", SPLIT, json={"green": 1}, headers=headers))[1]["code"] == "csrf"
