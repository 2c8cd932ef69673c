"""A release from its start to its promotion, and back, by nothing but clicks of several people."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.system, pytest.mark.outside("chromium", "nginx")]

TAKEN_UP = re.compile(r"Revision \d+, taken up by 2 of 2 workers in [\d.]+ ms\.")


def test_two_people_bring_a_version_to_its_users_and_one_of_them_back(stage, people):
    """Ann starts it, ben and pia approve, each in a browser of his own; all see every step; ann rolls it back."""
    on = stage(plan="careful")
    ann, ben = (people(on, name).open("#/services/shop") for name in ("ann", "ben"))
    pia = people(on, "pia").open("#/services/shop")

    ann.button("Start a release…").click()
    expect(ann.dialog).to_contain_text("shop from blue to green, in 3 steps:")
    expect(ann.dialog).to_contain_text("engineering and product, never the author")
    ann.dialog.get_by_label("Note").fill("the new basket")
    ann.dialog.get_by_role("button", name="Start the release").click()
    assert TAKEN_UP.search(ann.outcome("Release 2 of shop to green"))
    for person in (ann, ben, pia):
        person.sees("the new basket", "approval by engineering and product")
    assert on.gatekeeper.split_of() == {"blue": 100, "green": 0}

    ann.sees("nobody approves a release of his own")
    expect(ann.button("Approve")).to_have_count(0)
    ben.press("Approve", "Approve", note="seen in staging")
    pia.sees("ben for engineering")
    pia.press("Approve", "Approve")
    assert TAKEN_UP.search(pia.outcome("Release 2: progressing"))
    for person in (ann, ben, pia):
        person.sees("10 % to green")
    expect(ann.page.locator(".glance tbody tr", has_text="green")).to_contain_text("candidate")
    for person in (ann, pia):
        person.sees("step 2 of 3: 50 % to green, once product approves")
    pia.press("Approve", "Approve")
    for person in (ann, ben, pia):
        person.sees("promoted", "green is stable")
    assert on.gatekeeper.stable() == "green"
    expect(ben.page.locator(".glance tbody tr", has_text="green")).to_contain_text("stable")

    ann.button("Roll back to blue").click()
    expect(ann.dialog).to_contain_text("All users move from green to blue.")
    ann.dialog.get_by_role("button", name="Roll back now").click()
    assert TAKEN_UP.search(ann.outcome("Rolled back: shop is at blue 100 %."))
    assert on.gatekeeper.split_of() == {"blue": 100, "green": 0}
    assert {on.gatekeeper.get().version for _ in range(20)} == {"blue"}
    pia.sees("rolled back")
    marks = ann.page.locator("section", has=ann.page.get_by_role("heading", name="What happened")).last
    for text in ("release started", "release step", "release promoted", "10 % to green", "rolled back"):
        expect(marks).to_contain_text(text)


def test_a_release_is_paused_skipped_promoted_and_aborted_with_reasons_asked_where_they_are_due(stage, people):
    on = stage(plan="long")
    ann = people(on, "ann").open("#/services/shop")
    ann.press("Start a release…", "Start the release")
    ann.sees("50 % to green", "held for")
    ann.press("Pause", "Pause it", note="lunch")
    ann.sees("paused (was progressing: step 1 of 2, 50 % to green) by ann: lunch")
    ann.press("Resume", "Resume it")
    ann.button("Skip").click()
    skip = ann.dialog.get_by_role("button", name="Skip it")
    expect(ann.dialog).to_contain_text("the rest of the hold at 50 %")
    expect(skip).to_be_disabled()
    ann.page.keyboard.press("Escape")
    ann.button("Abort").click()
    expect(ann.dialog).to_contain_text("50 % of users move from green to blue.")
    ann.dialog.get_by_role("button", name="Abort it").click()
    ann.sees("aborted")
    assert on.gatekeeper.split_of() == {"blue": 100, "green": 0}
    ann.press("Start a release…", "Start the release")
    ann.press("Promote now", "Promote now")
    ann.sees("promoted")
    assert on.gatekeeper.stable() == "green"


def test_a_version_that_fails_its_users_is_stopped_and_everybody_sees_why(stage, people):
    """The trip-wire acts by itself; the page says so without a reload, names the reason, and marks it in the charts."""
    on = stage(plan="long")
    pia = people(on, "pia").open("#/services/shop")
    on.gatekeeper.begin()
    pia.sees("50 % to green")
    on.break_green()
    pia.sees("green was stopped by the trip-wire", "rolled back")
    expect(pia.page.locator(".alarm", has_text="trip-wire")).to_contain_text("failed")
    expect(pia.page.locator(".story", has_text="tripped")).to_be_visible()
    assert on.gatekeeper.split_of() == {"blue": 100, "green": 0}
    pia.shoot("faulty-version")
    ann = people(on, "ann").open("#/services/shop")
    ann.press("Reset…", "Reset it")
    ann.outcome("green may have weight again.")
    pia.sees_not("green was stopped by the trip-wire")


def test_a_version_that_is_worse_is_found_by_the_judge_and_its_evidence_is_shown(stage, people):
    """A quarter fails, too few for the trip-wire: the odds rise over the bar, it goes back, the page says why."""
    on = stage(plan="judged")
    ann = people(on, "ann").open("#/services/shop")
    ann.press("Start a release…", "Start the release")
    verdict = ann.page.get_by_role("region", name="Verdict")
    expect(verdict).to_contain_text("collecting")
    expect(verdict.get_by_role("meter", name="Odds against luck")).to_be_visible()
    expect(ann.page.get_by_role("img", name=re.compile("^Odds against luck. Now"))).to_be_visible()
    on.sicken_green()
    ann.sees("rolled back: ")
    expect(verdict).to_contain_text("rolls back at 100 : 1")
    failed = verdict.get_by_role("row", name=re.compile("^Failed")).get_by_role("cell")
    expect(failed.first).to_have_text("0")
    expect(failed.last).to_have_text(re.compile(r"^[1-9]\d*$"))
    expect(ann.page.locator(".story").first).to_contain_text("release verdict")
    assert on.gatekeeper.split_of() == {"blue": 100, "green": 0}
    ann.shoot("judged")


def test_a_version_whose_checks_fail_reaches_nobody_and_their_output_is_shown(house, people):
    before = house.gatekeeper.split_of()
    ann = people(house, "ann").open("#/services/shop")
    ann.button("Start a release…").click()
    ann.dialog.get_by_label("Version").select_option("green")
    ann.dialog.get_by_label("Plan").select_option("doomed")
    expect(ann.dialog).to_contain_text("First it is verified: command sh -c echo the basket is empty")
    ann.dialog.get_by_role("button", name="Start the release").click()
    number = ann.outcome("Release ").split()[1]
    ann.page.get_by_role("link", name=f"Release {number}").first.click()
    ann.sees("rolled back: ", "1 of 1 failed", "the basket is empty", "exit code 3")
    assert house.gatekeeper.split_of() == before
