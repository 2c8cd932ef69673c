"""Who signs in, who does not, and what either sees."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.system, pytest.mark.outside("chromium", "nginx")]


def test_a_token_opens_the_page_and_a_wrong_one_says_why_it_does_not(house, people):
    """No data before, no readable cookie after; a deep link leads where it should; a reload keeps who it is."""
    ann = people(house, "ann")
    ann.expected.append(r"401 .*/session")
    ann.page.goto(f"{house.url}/#/services/shop")
    expect(ann.page.get_by_label("Token")).to_be_focused()
    ann.sees_not("blue", "revision")
    ann.enter("not-a-token-of-anybody")
    expect(ann.page.get_by_role("alert")).to_contain_text("no token")
    ann.enter()
    expect(ann.page.get_by_role("heading", level=1)).to_have_text("shop")
    ann.sees("blue-17")
    assert ann.page.evaluate("document.cookie") == ""
    assert ann.page.evaluate("Object.keys(localStorage).length + Object.keys(sessionStorage).length") == 0

    ann.page.reload()
    ann.sees("ann operator", "blue-17")
    ann.button("Sign out").click()
    expect(ann.page.get_by_label("Token")).to_be_visible()
    ann.sees_not("blue-17")
    ann.page.reload()
    expect(ann.page.get_by_label("Token")).to_be_visible()


def test_a_token_that_is_taken_away_ends_what_it_opened(stage, people):
    """Within seconds, also where a page only watches; what was on the page is gone from it."""
    on = stage()
    pia = people(on, "pia").open("#/services/shop")
    pia.expected.append(r"401 ")
    pia.sees("blue-17")
    tokens = on.gatekeeper.folder / "tokens.yaml"
    tokens.write_text(re.sub(r'\{"name": "pia".*?\}, ?|, ?\{"name": "pia".*?\}', "", tokens.read_text()))
    expect(pia.page.get_by_label("Token")).to_be_visible()
    pia.sees("session has ended").sees_not("blue-17")


def test_a_page_of_another_origin_cannot_change_anything(house, people):
    """Without the word that the page has, a change that carries the cookie is refused."""
    before = house.gatekeeper.split_of()
    ann = people(house, "ann").open("#/services/shop")
    ann.expected.append(r"403 ")
    ann.sees("blue-17")
    change = """async (csrf) => (await fetch("v1/services/shop/split", {
        method: "PUT", body: '{"blue": 1, "green": 1}',
        headers: {"Content-Type": "application/json", ...(csrf ? {"X-Gatekeeper-CSRF": csrf} : {})},
    })).status"""
    assert ann.page.evaluate(change, "") == 403
    assert ann.page.evaluate(change, "guessed") == 403
    assert house.gatekeeper.split_of() == before
