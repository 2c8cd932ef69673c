"""A page that stays open while gatekeeper goes and comes."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.system, pytest.mark.outside("chromium", "nginx")]

GONE = r"net::ERR_|401 "


def test_a_page_survives_a_restart_and_a_kill_and_goes_on_where_it_was(stage, people):
    """Away: it says so and keeps what it knew. Back: it asks for the token, is where it was, shows what is new."""
    on = stage()
    ann = people(on, "ann").open("#/services/shop")
    ann.expected.append(GONE)
    expect(ann.page.locator("[data-chart=rate] canvas")).to_be_visible()
    on.gatekeeper.process.terminate()
    on.gatekeeper.process.wait(15)
    ann.sees("Connection lost", "No numbers are coming in", "blue-17")
    on.gatekeeper.start()
    on.gatekeeper.split(blue=70, green=30)
    ann.sees("session has ended")
    ann.enter()
    expect(ann.page).to_have_url(f"{on.url}/#/services/shop")
    expect(ann.page.locator(".stream.live")).to_be_visible()
    expect(ann.page.get_by_role("img", name="Weights: blue 70 %, green 30 %")).to_be_visible()
    expect(ann.page.locator("[data-chart=rate] canvas")).to_be_visible()
    ann.sees_not("No numbers are coming in", "session has ended")
    on.gatekeeper.kill()
    ann.sees("Connection lost", "blue-17")


def test_a_page_in_the_background_gives_its_connection_back_and_takes_it_again(house, people):
    """A browser has six connections to one host; a tab that nobody looks at must not hold one."""
    ann = people(house, "ann").open("#/services/shop")
    expect(ann.page.locator(".stream.live")).to_be_visible()
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    streams = [url for url in ann.asked if "/v1/live" in url]
    with ann.page.expect_event("requestfailed", lambda request: "/v1/live" in request.url):
        ann.page.evaluate(hide, True)
    with ann.page.expect_request("**/v1/live?*"):
        ann.page.evaluate(hide, False)
    expect(ann.page.locator(".stream.live")).to_be_visible()
    assert len([url for url in ann.asked if "/v1/live" in url]) == len(streams) + 1
