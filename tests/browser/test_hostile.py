"""Texts from outside are shown as texts, whatever they hold; nothing runs, nothing breaks, nothing is pushed away."""

import pytest
from playwright.sync_api import expect

from tests.browser.hostile import HEBREW, LONG, MARKUP, TURNED, fits, nothing_happened

pytestmark = [pytest.mark.system, pytest.mark.outside("chromium", "nginx")]

VIEWS = ("", "#/services/shop", "#/services/shop/history", "#/services/shop/releases/last")
PHONE = {"viewport": {"width": 390, "height": 844}}


def test_hostile_builds_notes_and_reasons_stay_texts_in_every_view(house, people):
    """Markup and endless texts, on a desktop and on a phone: all there, none alive, the page keeps its width."""
    gatekeeper = house.gatekeeper
    release = gatekeeper.begin(note=LONG)
    gatekeeper.do("ann", "pause", LONG)
    try:
        for size in ({}, PHONE):
            ann = people(house, "ann", **size)
            for view in VIEWS:
                ann.open(view.replace("last", str(release["id"])))
                ann.sees("shop", MARKUP)
                nothing_happened(ann.page)
                fits(ann.page)
        ann.sees(HEBREW, "x" * 500)
        ann.open("#/services/shop")
        ann.button("Abort").click()
        expect(ann.dialog).to_contain_text("Abort: release")
        fits(ann.page)
        nothing_happened(ann.page)
        ann.shoot("phone-hostile")
    finally:
        gatekeeper.do("ann", "abort")


def test_a_hostile_address_and_hostile_headers_of_users_do_nothing(house, people):
    """A link somebody sends leads nowhere; what users send never reaches the page at all."""
    house.gatekeeper.get(
        f"/{'a' * 200}?<script>", {"User-Agent": MARKUP.replace('"', ""), "X-Gatekeeper-Version": "<b>"}
    )
    ann = people(house, "ann").open(f"#/services/{MARKUP.replace('/', '')}")
    ann.expected.append(r"404 ")
    ann.sees("Not here", "there is no service")
    nothing_happened(ann.page)
    for where in ("#/services/%E0%A4%A", "#/services/shop/releases/..%2f..%2fv1", "#javascript:window.pwned=1", "#///"):
        ann.open(where)
        expect(ann.page.get_by_role("heading", level=1)).to_be_visible()
        nothing_happened(ann.page)


def test_a_version_cannot_have_a_hostile_name_and_its_refusal_is_shown_as_text(house, people):
    """Names are refused by gatekeeper; the page shows even that answer as text."""
    status, problem = house.gatekeeper.ask(
        "ann", "PUT", "/v1/services/shop/versions/%3Cb%3E", {"backends": ["http://127.0.0.1:1"]}
    )
    assert status == 422, problem
    ann = people(house, "ann").open("#/services/shop")
    ann.expected.append(r"422 ")
    ann.button("Weights…").click()
    ann.dialog.get_by_label("Note").fill(MARKUP)
    ann.dialog.get_by_label("Weight of blue, as a number").fill("0")
    expect(ann.dialog.get_by_role("alert")).to_contain_text("not changed")
    expect(ann.dialog.get_by_role("button", name="Set weights")).to_be_disabled()
    nothing_happened(ann.page)


def test_what_a_check_prints_is_shown_as_it_is(house, people):
    """A program may print anything; control characters are written out, markup stays text."""
    ann = people(house, "ann").open("#/services/shop")
    ann.button("Verify…").click()
    ann.dialog.get_by_label("Version").select_option("green")
    ann.dialog.get_by_label("Plan").select_option("odd")
    ann.dialog.get_by_role("button", name="Run the checks").click()
    expect(ann.dialog).to_contain_text("green failed: 1 of 1 check")
    expect(ann.dialog.locator("pre")).to_contain_text("<script>window.pwned=script</script>")
    expect(ann.dialog.locator("pre")).not_to_contain_text(TURNED)
    nothing_happened(ann.page)
    fits(ann.page)
