"""Every view shows what it is for, in both schemes and on a phone, to eyes, ears and keyboards."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.hostile import fits
from tests.browser.seen import CONTRAST, FAULTS

pytestmark = [pytest.mark.system, pytest.mark.outside("chromium", "nginx")]

SIZES = {
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True},
}


@pytest.fixture(scope="module")
def released(house):
    """The house while green is being released, at 50 %."""
    release = house.gatekeeper.begin(note="the new basket, as tried in staging")
    house.release = release["id"]
    yield house
    if house.gatekeeper.release(release=release["id"])["active"]:
        house.gatekeeper.rollback()


@pytest.mark.parametrize("size", SIZES)
def test_every_view_is_whole_legible_and_named_in_every_size(released, people, size):
    """Contrast by WCAG AA, names for every control, one heading of level 1, nothing wider than the window; pictures."""
    ann = people(released, "ann", **SIZES[size])
    views = {
        "services": ("", "50 % to green"),
        "service": ("#/services/shop", "Backends"),
        "release": (f"#/services/shop/releases/{released.release}", "The five questions"),
        "history": ("#/services/shop/history", "Revisions"),
    }
    ann.page.goto(ann.base)
    expect(ann.page.get_by_label("Token")).to_be_visible()
    look(ann, f"signin-{size}")
    for name, (where, text) in views.items():
        ann.open(where).sees(text)
        expect(ann.page.locator(".stream.live")).to_be_visible()
        look(ann, f"{name}-{size}")
    ann.open("#/services/shop").button("Roll back to blue").click()
    expect(ann.dialog).to_contain_text("50 % of users move from green to blue.")
    look(ann, f"rollback-{size}")


def look(person, name):
    person.shoot(name)
    assert person.page.evaluate(CONTRAST) == []
    assert person.page.evaluate(FAULTS) == []
    fits(person.page)


def test_all_services_at_a_glance_say_who_is_stable_what_flows_and_which_backends_are_not_ready(released, people):
    """The numbers are those of the traffic, and go on by themselves."""
    pia = people(released, "pia").open()
    rows = {
        name: pia.page.locator(".glance tbody tr:not(.head)", has_text=name)
        for name in ("blue-17", "green-17", "script")
    }
    expect(rows["blue-17"]).to_contain_text("stable")
    expect(rows["green-17"]).to_contain_text("candidate")
    expect(rows["script"].locator("[data-label=ready]")).to_have_text("0 of 1")
    pia.sees("1 backend of hostile ejected", "step 1 of 2, 50 % to green")
    for name in ("blue-17", "green-17"):
        expect(rows[name].locator("[data-label=weight]")).to_have_text("50")
        expect(rows[name].locator("[data-label=share]")).to_have_text(re.compile(r"^[3-6]\d(\.\d)? %$"))
        expect(rows[name].locator("[data-label='req/s']")).to_have_text(re.compile(r"^[3-9]\d\.\d$"))
        expect(rows[name].locator("[data-label=p99]")).to_have_text(re.compile(r"^[\d.]+ m?s$"))
        expect(rows[name].locator("[data-label=errors]")).to_have_text("0 %")


def test_a_service_shows_its_charts_with_marks_and_the_same_as_a_table_and_why_a_backend_is_not_ready(released, people):
    pia = people(released, "pia").open("#/services/shop")
    for title in ("Requests per second", "Error rate", "Response time", "Share of traffic"):
        chart = pia.page.get_by_role("img", name=re.compile(f"^{title}. Now: blue"))
        expect(chart.locator("canvas")).to_be_visible()
    expect(pia.page.locator("tr", has_text="127.0.0.1:1").last).to_contain_text("connection refused")
    expect(pia.page.locator(".story").first).to_contain_text("step 1 of 2: 50 % to green")
    pia.page.get_by_text("The same as a table").click()
    numbers = pia.page.get_by_role("region", name="Numbers of the charts")
    expect(numbers.locator("tbody tr").first).to_contain_text("blue")
    pia.page.locator("[data-chart=time]").hover()
    said = pia.page.locator("[data-said=share]")
    expect(said).to_contain_text(re.compile(r"\d\d:\d\d:\d\d"))
    pia.page.wait_for_timeout(1_200)  # a tick later it is all still there
    expect(numbers).to_be_visible()
    expect(said).to_contain_text(re.compile(r"\d\d:\d\d:\d\d"))


def test_everything_is_done_by_keyboard_and_focus_comes_back(released, people):
    """From the skip link to the dialog of the rollback and back, without a mouse; drawing anew takes nothing away."""
    ann = people(released, "ann").open("#/services/shop")
    expect(ann.page.locator(".stream.live")).to_be_visible()
    ann.page.keyboard.press("Tab")
    expect(ann.button("Skip to content")).to_be_focused()
    ann.page.keyboard.press("Enter")
    ann.page.keyboard.press("Tab")
    back = ann.page.locator("button.rollback")
    expect(back).to_be_focused()
    ann.page.wait_for_timeout(1_200)
    expect(back).to_be_focused()
    ann.page.keyboard.press("Enter")
    expect(ann.dialog.get_by_role("button", name="Roll back now")).to_be_focused()
    ann.page.keyboard.press("Escape")
    expect(ann.dialog).to_have_count(0)
    expect(back).to_be_focused()


def test_only_what_changed_is_said_aloud(released, people):
    """The one live region is quiet while numbers run, and names what happens to a release."""
    ann = people(released, "ann").open("#/services/shop")
    expect(ann.page.locator(".stream.live")).to_be_visible()
    ann.page.wait_for_timeout(1_500)
    said = ann.page.locator("#said")
    expect(said).to_be_empty()
    released.gatekeeper.do("ann", "pause", "to be heard")
    expect(said).to_contain_text("to be heard")
    released.gatekeeper.do("ann", "resume")
    expect(said).to_contain_text("progressing")
