"""What an operator does by hand besides releases: weights, checks, passes."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.system, pytest.mark.outside("chromium", "nginx")]


def test_weights_are_moved_by_hand_after_a_look_at_who_would_move(house, people):
    """The preview says what the change will be; what is set is what was shown; history has it, with what differs."""
    ann = people(house, "ann").open("#/services/shop")
    ann.button("Weights…").click()
    ann.dialog.get_by_label("Weight of green, as a number").fill("25")
    expect(ann.dialog.get_by_label("Weight of green", exact=True)).to_have_value("25")
    expect(ann.dialog).to_contain_text("20 % of users move from blue to green. Everybody else stays where they are.")
    ann.dialog.get_by_label("Note").fill("a first look")
    assert house.gatekeeper.split_of()["green"] == 0
    ann.dialog.get_by_role("button", name="Set weights").click()
    assert "taken up by 2 of 2 workers" in ann.outcome("shop is at blue 80 %, green 20 %.")
    assert house.gatekeeper.split_of() == {"blue": 100, "green": 25, "hostile": 0}
    ann.page.get_by_role("link", name="History").click()
    ann.sees("a first look")
    revisions = ann.page.locator(".revisions tbody tr")
    revisions.nth(1).get_by_role("radio").first.check()
    revisions.nth(0).get_by_role("radio").last.check()
    expect(ann.page.locator("del")).to_contain_text("green 0")
    expect(ann.page.locator("ins")).to_contain_text("green 25")
    ann.press("Roll back to blue", "Roll back now")
    ann.outcome("Rolled back")
    assert house.gatekeeper.split_of()["green"] == 0


def test_two_who_change_at_once_are_told_and_the_second_decides_anew(house, people):
    """What was previewed no longer holds: nothing is done, and the dialog shows what would happen now."""
    ann = people(house, "ann").open("#/services/shop")
    ann.expected.append(r"412 ")
    ann.button("Weights…").click()
    ann.dialog.get_by_label("Weight of green, as a number").fill("100")
    expect(ann.dialog).to_contain_text("50 % of users move from blue to green.")
    house.gatekeeper.split(blue=100, green=300)
    try:
        ann.dialog.get_by_role("button", name="Set weights").click()
        expect(ann.dialog.get_by_role("alert")).to_contain_text("revision")
        expect(ann.dialog).to_contain_text("25 % of users move from green to blue.")
        assert house.gatekeeper.split_of()["green"] == 300
    finally:
        house.gatekeeper.rollback()


def test_a_version_is_verified_and_a_tester_gets_a_pass_that_opens_it(house, people):
    ann = people(house, "ann").open("#/services/shop")
    ann.button("Verify…").click()
    ann.dialog.get_by_role("button", name="Run the checks").click()
    expect(ann.dialog).to_contain_text("green passed 1 check.")
    ann.dialog.get_by_role("button", name="Close").click()
    ann.button("Tester's pass…").click()
    ann.dialog.get_by_role("button", name="Issue the pass").click()
    box = ann.dialog.get_by_label("Header fields for the tester's browser or program")
    expect(box).to_be_visible()
    fields = dict(line.split(": ", 1) for line in box.input_value().splitlines())
    assert set(fields) == {"X-Gatekeeper-Version", "X-Gatekeeper-Pass"}
    assert house.gatekeeper.get("/", fields).version == "green"
