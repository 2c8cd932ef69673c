"""The report of a release: all its evidence, as JSON and as Markdown in which nothing that was said becomes markup."""

import re

import pytest

from gatekeeper.control.api import markup, report
from gatekeeper.control.api.release_answers import Report
from tests.control.released import ASKING, FULL, begin, checked, with_people, with_plans

LAST = "/v1/services/shop/releases/last"
NASTY = "<b>|*x*_y_ `z` [a](http://b) # c ~~d~~ &amp; $e$ \\"


@pytest.fixture
def people(world, tcp):
    with_people(world)
    return tcp.with_token


@pytest.fixture(autouse=True)
def _plans(world):
    with_plans(world)


async def whole(world, people, output="all is well"):
    """A release from its start to a rollback after the promotion, with everything that can be in a report."""
    await begin(world, FULL, author="ann", note="for the sale")
    await checked(world, output=output)
    await people("pia")("POST", f"{LAST}/approve", json={"reason": "we want it"})
    await people("ole")("POST", f"{LAST}/approve")
    world.clock.advance(10)
    await people("ole")("POST", f"{LAST}/skip", json={"reason": "quiet night"})
    await people("ole")("POST", f"{LAST}/resume", json={"reason": "looks good"})
    await people("ole")("POST", f"{LAST}/promote")
    await people("ole")("POST", "/v1/services/shop/rollback?note=too+slow")


async def fetched(people, accept="application/json"):
    status, document, headers = await people("pia")("GET", f"{LAST}/report", headers={"Accept": accept})
    assert status == 200, document
    return document, headers


async def test_the_report_has_all_of_the_release_and_every_revision_it_made(world, people):
    await whole(world, people)
    await world.controller.submit(world.split("cart", v1=1, v2=1))
    document, headers = await fetched(people)
    Report.model_validate(document)
    assert headers["Content-Type"].startswith("application/json")
    about = document["report"]
    assert about["made"] == world.clock.wall()
    rows = [(row["actor"], row["action"], row["splits"].get("shop", {}).get("green")) for row in about["revisions"]]
    assert rows == [
        ("ann", "release_started", None),
        ("plan", "release_verified", None),
        ("pia", "release_approved", None),
        ("ole", "release_approved", 10),
        ("ole", "release_skipped", None),
        ("ole", "release_resumed", 100),
        ("ole", "release_promoted", 100),
        ("ole", "release_rolled_back", 0),
    ]
    assert [row["revision"] for row in about["revisions"]] == sorted(row["revision"] for row in about["revisions"])
    assert about["summary"].startswith("Release of shop from blue to green by plan full, started by ann on ")
    assert "1 check passed, pia approved for product, ole approved for engineering" in about["summary"]
    assert about["summary"].endswith("rolled back by ole: too slow")


async def test_the_markdown_says_the_same_to_people(world, people):
    await whole(world, people)
    text, headers = await fetched(people, "text/markdown")
    assert headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert headers["Vary"] == "Accept"
    assert text.startswith("# Release 2: shop from blue to green\n")
    for heading in ("The five questions", "Steps", "Checks", "Approvals", "Skipped", "Who did what, when", "Revisions"):
        assert f"\n## {heading}\n" in text
    assert "| pia | product | start | " in text
    assert "| we want it |" in text
    assert "the hold of step 1 of 2 ended after 10 s of 60 s" in text
    assert "```text\nall is well\n```" in text
    assert "**How was it verified?** 1 of 1 check passed" in text
    assert "blue 90, green 10" in text or "shop: blue 90, green 10" in text
    assert "| note | for the sale |" in text


async def test_a_report_of_a_release_under_way_says_what_it_waits_for(world, people):
    await begin(world, ASKING, author="ann")
    text, _ = await fetched(people, "text/markdown")
    assert "approval by engineering and product (a member of engineering and one of product, not ann)" in text
    assert "without a check or an approval" in text
    assert text.count("None.") == 3


async def test_a_report_is_there_when_only_the_history_has_the_release(world, people):
    first = await begin(world, author="ann")
    await begin(world)
    status, document, _ = await people("pia")("GET", f"/v1/services/shop/releases/{first.id}/report")
    assert (status, document["id"], document["state"]) == (200, first.id, "rolled_back")
    assert [row["action"] for row in document["report"]["revisions"]] == ["release_started", "release_rolled_back"]


async def test_nothing_that_was_said_becomes_markup(world, people):
    await begin(world, FULL, author="ann", note=NASTY)
    output = "```\n| x |\n# y\n````\n<script>alert(1)</script>"
    await checked(world, passed=False, output=output)
    text, _ = await fetched(people, "text/markdown")
    assert f"`````text\n{output}\n`````" in text, "the fence is longer than any in it"
    outside = text.replace(output, "")
    note = next(line for line in outside.splitlines() if line.startswith("| note |"))
    assert note.count(" | ") == 1, "it is one cell"
    assert not re.search(r"(?<!\\)[<*`\[~$&]", note)
    for row in (line for line in outside.splitlines() if line.startswith("|")):
        assert row.endswith("|")


def test_a_backslash_at_the_end_of_a_cell_does_not_open_it():
    assert markup.text("a\\") == "a\\\\"
    assert markup.text("two\nlines  of it") == "two lines of it"


@pytest.mark.parametrize(
    ("accept", "markdown"),
    [
        ("", False),
        ("*/*", False),
        ("text/markdown", True),
        ("text/*", True),
        ("Text/Markdown; charset=utf-8", True),
        ("application/json", False),
        ("application/json, text/markdown", False),
        ("application/json;q=0.9, text/markdown", True),
        ("text/markdown;q=0.1, */*;q=0.5", False),
        ("text/markdown;q=0", False),
        ("text/html, */*;q=0.1", False),
        ("nonsense;;q=x", False),
    ],
)
def test_markdown_is_for_who_prefers_it(accept, markdown):
    assert report.wants_markdown(accept) is markdown


def test_a_moment_no_calendar_has_is_still_said():
    assert markup.moment(1e30) == "1e+30 s"
    assert markup.moment(None) == ""
    assert markup.moment(0.0) == "1970-01-01 00:00:00 UTC"
