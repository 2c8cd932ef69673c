"""What came of copies of users' requests is on the service's page, and an operator begins anew from there."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.hostile import fits
from tests.browser.seen import CONTRAST, FAULTS

pytestmark = [pytest.mark.system, pytest.mark.outside("chromium", "nginx")]

MIRROR = {"to": "green", "percent": 50, "compare": {"body": "exact"}}


def test_a_service_shows_how_answers_to_copies_differ_and_lets_an_operator_begin_anew(stage, people):
    made = stage(mirror=MIRROR)
    ann, pia = people(made, "ann"), people(made, "pia")
    panel = ann.open("#/services/shop").page.locator("section.shadow")
    expect(panel).to_contain_text("50 % of GET, HEAD to green")
    expect(panel).to_contain_text(re.compile(r"[1-9][\d,]* of [\d,]+ answers differ \(100 %\)"), timeout=20_000)
    expect(panel.get_by_role("region", name="Differences of green")).to_contain_text("body")
    assert ann.page.evaluate(CONTRAST) == []
    assert ann.page.evaluate(FAULTS) == []
    fits(ann.page)
    other = pia.open("#/services/shop").page.locator("section.shadow")
    expect(other).to_contain_text("answers differ")
    expect(other.get_by_role("button", name="Begin anew…")).to_have_count(0)
    made.users.end()
    made.users = None
    panel.get_by_role("button", name="Begin anew…").click()
    ann.dialog.get_by_role("button", name="Begin anew").click()
    expect(panel).to_contain_text("nothing compared yet", timeout=20_000)
