"""Who may only look."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.system, pytest.mark.outside("chromium", "nginx")]

VIEWS = ("", "#/services/shop", "#/services/shop/history")
HARMLESS = {"Skip to content", "Sign out", "10 min", "2 min"}
WRITES = """async () => {
    const csrf = (await (await fetch("session")).json()).csrf;
    const ask = async (method, path, body) => (await fetch(path, {
        method, body: JSON.stringify(body), headers: {"Content-Type": "application/json", "X-Gatekeeper-CSRF": csrf},
    })).status;
    return [
        await ask("PUT", "v1/services/shop/split", {blue: 1, green: 1}),
        await ask("POST", "v1/services/shop/rollback", {}),
        await ask("POST", "v1/services/shop/releases", {to: "green"}),
        await ask("POST", "v1/services/shop/passes", {versions: ["green"]}),
        await ask("POST", "v1/services/shop/verify", {version: "green"}),
        await ask("PUT", "v1/flags/new?new=1", {on: true}),
        await ask("POST", "v1/flags/new/off", {kill: true}),
    ];
}"""


def test_a_viewer_sees_everything_finds_no_button_and_could_change_nothing(house, people):
    """Actions are absent, the page says why; a change that is sent all the same is refused, by role."""
    before = house.gatekeeper.status()["revision"]
    pia = people(house, "pia")
    pia.expected.append(r"403 ")
    for view in VIEWS:
        pia.open(view).sees("shop")
        expect(pia.page.locator(".stream.live")).to_be_visible()
        names = {button.inner_text() for button in pia.page.get_by_role("button").all()}
        assert names <= HARMLESS
    pia.open("#/services/shop").sees("You may look.", "pia (viewer, product)", "an operator's to make")
    assert pia.page.evaluate(WRITES) == [403] * 7
    assert house.gatekeeper.status()["revision"] == before


def test_a_viewer_whose_group_is_asked_may_approve_and_reject_and_no_more(house, people):
    on = house
    on.gatekeeper.begin(plan="careful")
    pia = people(on, "pia").open("#/services/shop")
    acts = pia.page.get_by_role("group", name="Acts on release")
    expect(acts).to_be_visible()
    assert [button.inner_text() for button in acts.get_by_role("button").all()] == ["Approve", "Reject"]
    expect(pia.page.locator("button.rollback")).to_have_count(0)
    pia.press("Reject", "Reject it", note="not before the sale")
    pia.sees("not before the sale")
    assert not on.gatekeeper.release()["active"]
