"""Feature flags on the page: seen by everybody, turned by operators, each change shown before it is made."""

import pytest
from playwright.sync_api import expect

from tests.browser.hostile import HEBREW, MARKUP, fits, nothing_happened

pytestmark = [pytest.mark.system, pytest.mark.outside("chromium", "nginx")]

PHONE = {"viewport": {"width": 390, "height": 844}}


@pytest.fixture
def flags(house):
    """Two flags, one of them with texts of somebody who means no good; gone afterwards."""
    ask = house.gatekeeper.ask
    checkout = {"on": True, "percent": 10, "services": ["shop"], "owner": "checkout", "expires": "2026-01-31"}
    theme = {
        "type": "string",
        "variants": {"light": MARKUP, "dark": HEBREW},
        "off": "light",
        "split": {"light": 90, "dark": 10},
        "description": MARKUP,
        "owner": f"{HEBREW} {'x' * 150}",
    }
    for name, body in (("new-checkout", checkout), ("theme", theme)):
        status, reply = ask("ann", "PUT", f"/v1/flags/{name}?new=1", body)
        assert status == 200, reply
    yield house
    for name in ("new-checkout", "theme"):
        ask("ann", "DELETE", f"/v1/flags/{name}")


def flag_of(house, name="new-checkout"):
    return house.gatekeeper.ask("ann", "GET", f"/v1/flags/{name}")[1]


def acts(person, name="new-checkout"):
    return person.page.get_by_role("group", name=f"Acts on flag {name}")


def press(person, button, confirm, **fields):
    acts(person).get_by_role("button", name=button, exact=True).click()
    for label, value in fields.items():
        person.dialog.locator(f"[name={label}]").fill(value)
    go = person.dialog.get_by_role("button", name=confirm, exact=True)
    expect(go).to_be_enabled()
    go.click()
    expect(person.dialog).to_have_count(0)


def test_an_operator_turns_a_flag_and_sees_first_what_it_will_be(flags, people):
    """Share, off, on, killed, revived: said before, done on all workers, seen by others without a reload."""
    ann, pia = people(flags, "ann").open("#/"), people(flags, "pia").open("#/flags")
    ann.page.get_by_role("link", name="Flags", exact=True).click()
    ann.sees("new-checkout", "on for 10 %", "was to be gone by 2026-01-31", "2 flags, 1 on, 1 overdue")
    acts(ann).get_by_role("button", name="Share…").click()
    ann.dialog.get_by_label("Percent of users").fill("25")
    expect(ann.dialog).to_contain_text("new-checkout: on for 25 %.")
    assert flag_of(flags)["percent"] == 10
    ann.dialog.get_by_role("button", name="Set the share").click()
    assert "taken up by 2 of 2 workers" in ann.outcome("Flag new-checkout is on: on for 25 %.")
    pia.sees("on for 25 %")
    press(ann, "Turn off…", "Turn it off now", note="too many complaints")
    pia.sees("everybody gets off; once on: 25 %")
    assert (flag_of(flags)["state"], flag_of(flags)["percent"]) == ("off", 25)
    press(ann, "Turn on…", "Turn it on")
    pia.sees("on for 25 %")
    press(ann, "Kill…", "Kill it", note="it burns")
    assert flag_of(flags)["state"] == "killed"
    acts(ann).get_by_role("button", name="Revive…").click()
    expect(ann.dialog.get_by_role("button", name="Revive it")).to_be_disabled()
    ann.dialog.get_by_label("Reason").fill("fixed")
    ann.dialog.get_by_role("button", name="Revive it").click()
    ann.outcome("Flag new-checkout is on")
    history = flags.gatekeeper.ask("ann", "GET", "/v1/flags/new-checkout/history?limit=2")[1]["revisions"]
    assert [(row["actor"], row["note"]) for row in history] == [("ann", "fixed"), ("ann", "it burns")]


def test_a_viewer_sees_flags_and_finds_no_button(flags, people):
    pia = people(flags, "pia").open("#/flags")
    pia.sees("new-checkout", "theme", "You may look.", "an operator's to make")
    names = {button.inner_text() for button in pia.page.get_by_role("button").all()}
    assert names <= {"Skip to content", "Sign out"}


def test_what_is_refused_is_said_and_cannot_be_confirmed(flags, people):
    ann = people(flags, "ann").open("#/flags")
    ann.expected.append(r"422 ")
    acts(ann).get_by_role("button", name="Share…").click()
    ann.dialog.get_by_label("Percent of users").fill("500")
    expect(ann.dialog.get_by_role("alert")).to_contain_text("percent")
    expect(ann.dialog.get_by_role("button", name="Set the share")).to_be_disabled()
    assert flag_of(flags)["percent"] == 10


def test_hostile_texts_of_flags_stay_texts_on_every_screen(flags, people):
    for size in ({}, PHONE):
        ann = people(flags, "ann", **size).open("#/flags")
        ann.sees("theme", MARKUP, "x" * 150)
        nothing_happened(ann.page)
        fits(ann.page)
        acts(ann, "theme").get_by_role("button", name="Share…").click()
        expect(ann.dialog.get_by_label("Weight of dark")).to_have_value("10")
        fits(ann.page)
        nothing_happened(ann.page)
        ann.shoot("flags-phone" if size else "flags")


def test_what_the_judge_says_of_a_flag_stands_with_it(flags, people):
    assert flags.gatekeeper.ask("ann", "PUT", "/v1/flags/new-checkout", {"analysis": {}})[0] == 200
    people(flags, "pia").open("#/flags").sees("the judge: 0 requests of new-checkout=on seen")
