"""Releases by the API: started, listed, shown, acted upon, by those who may, and refused with the way out."""

import asyncio
from datetime import UTC, datetime

import pytest

from gatekeeper.core.release.plan import Releasing
from tests.control.released import ASKING, CHECKED, FULL, PLANS, RAMP, begin, checked, with_people, with_plans

SHOP = "/v1/services/shop"
RELEASES = f"{SHOP}/releases"
LAST = f"{RELEASES}/last"
TO_GREEN = {"to": "green", "plan": "ramp"}


@pytest.fixture
def people(world, tcp):
    """``people("ann")`` is the API as that person sees it."""
    with_people(world)
    return tcp.with_token


@pytest.fixture(autouse=True)
def _plans(world):
    with_plans(world)


def problems(problem):
    return {entry["path"]: entry for entry in problem["problems"]}


# Starting


async def test_a_start_is_a_change_with_the_release_it_made(world, api):
    status, document, headers = await api("POST", f"{RELEASES}?note=for+the+sale", json=TO_GREEN)
    assert (status, headers["ETag"]) == (200, '"2"')
    assert (document["service"], document["split"]) == ("shop", {"blue": 90, "green": 10})
    release = document["release"]
    assert (release["id"], release["plan"]["name"], release["note"]) == (2, "ramp", "for the sale")
    assert world.weights() == {"blue": 90, "green": 10}
    assert "releases.2" in {change["path"] for change in document["changes"]}
    (row,) = await world.store.revisions(limit=1)
    assert (row.revision, row.note) == (2, "for the sale")
    assert (await world.store.audit(1))[0].service == "shop"


async def test_without_a_plan_it_is_the_default_and_without_one_of_these_direct(world, api):
    _, document, _ = await api("POST", "/v1/services/cart/releases", json={"to": "v2"})
    assert document["release"]["plan"]["name"] == "ramp"
    _, document, _ = await api("POST", RELEASES, json={"to": "green"})
    assert (document["release"]["plan"]["name"], document["release"]["state"]) == ("direct", "promoted")
    assert world.controller.state.services["shop"].definition.stable == "green"


async def test_direct_may_be_asked_for_where_there_is_a_default(world, api):
    body = {"to": "v2", "plan": "direct"}
    _, document, _ = await api("POST", "/v1/services/cart/releases", json=body)
    assert document["release"]["state"] == "promoted"
    with_plans(world, Releasing(plans={"direct": RAMP}))
    await api("POST", "/v1/services/cart/rollback")
    _, document, _ = await api("POST", "/v1/services/cart/releases", json=body)
    assert document["release"]["state"] == "progressing", "the file has a plan of that name"


async def test_several_services_move_as_one_by_their_name_or_with_each_other(world, api):
    body = {"to": "green", "with": {"cart": "v2"}}
    _, document, _ = await api("POST", "/v1/services/storefront/releases", json=body)
    assert "split" not in document
    assert document["service"] == "storefront"
    assert [(move["service"], move["to"]) for move in document["release"]["moves"]] == [
        ("shop", "green"),
        ("cart", "v2"),
    ]
    assert document["release"]["plan"]["name"] == "ramp"
    assert (world.weights("shop")["green"], world.weights("cart")["v2"]) == (10, 10)
    _, document, _ = await api("POST", "/v1/services/storefront/releases/last/abort")
    assert (document["release"]["state"], world.weights("cart")["v2"]) == ("aborted", 0)
    await api("POST", RELEASES, json={**TO_GREEN, "with": {"cart": "v2"}})
    assert (world.weights("shop")["green"], world.weights("cart")["v2"]) == (10, 10)


async def test_a_moment_is_wall_seconds_or_a_text_with_its_zone(world, api):
    at = world.clock.wall() + 3600
    text = datetime.fromtimestamp(at, UTC).isoformat()
    for moment in (at, text, text.replace("+00:00", "Z").replace("T", " ")):
        _, document, _ = await api("POST", f"{RELEASES}?dry_run=1", json={**TO_GREEN, "at": moment})
        assert document["release"]["plan"]["at"] == at
        assert document["release"]["waiting"][0]["kind"] == "time"


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("2030-12-01T06:00", "has no time zone"),
        ("2030-12-01T06:00:00", "has no time zone"),
        ("2030-02-31T06:00:00Z", "is no moment there could be"),
        ("tomorrow", "must be a moment"),
        ("2030-12-01", "must be a moment"),
        (True, "must be a moment"),
        ([], "must be a moment"),
        (-1, "is no moment there could be"),
        (1e300, "is no moment there could be"),
        (1, "is in the past"),
        ("1999-12-01T06:00:00+01:00", "is in the past"),
        (253_000_000_000, "is further away than ten years"),
    ],
)
async def test_what_is_no_moment_to_come_is_refused(world, api, at, message):
    status, problem, _ = await api("POST", RELEASES, json={**TO_GREEN, "at": at})
    assert (status, problem["code"]) == (422, "invalid_body")
    assert problems(problem)["at"]["message"] == message
    assert problems(problem)["at"]["allowed"]
    assert world.controller.state.revision == 1


async def test_every_mistake_of_a_start_is_in_one_answer(world, api):
    body = {"to": 5, "plan": "rmap", "at": "now", "wiht": {}, "note": 3}
    status, problem, _ = await api("POST", RELEASES, json=body)
    assert (status, problem["code"]) == (422, "invalid_body")
    found = problems(problem)
    assert set(found) == {"to", "plan", "at", "wiht", "note"}
    assert found["plan"]["suggestion"] == "ramp"
    assert found["wiht"]["suggestion"] == "with"
    status, problem, _ = await api("POST", RELEASES, json={**TO_GREEN, "with": {"shop": "green"}})
    assert (status, "with.shop" in problems(problem)) == (422, True)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (RELEASES, {"to": "gren"}, 404, "unknown_version"),
        (RELEASES, {"to": "blue"}, 409, "already_stable"),
        ("/v1/services/shpo/releases", {"to": "green"}, 404, "unknown_service"),
        ("/v1/services/storefrnt/releases", {"to": "green"}, 404, "unknown_service"),
        (RELEASES, {"to": "green", "with": {"crat": "v2"}}, 404, "unknown_service"),
        (f"{RELEASES}?confirm_within=5m", {"to": "green"}, 400, "bad_query"),
    ],
)
async def test_a_start_that_cannot_be_says_why_and_changes_nothing(world, api, path, body, status, code):
    found, problem, _ = await api("POST", path, json=body)
    assert (found, problem["code"]) == (status, code)
    assert problem["allowed"]
    assert (world.controller.state.revision, world.disk()[0]) == (1, 1)
    assert await world.store.releases() == []


async def test_a_second_start_is_refused_with_the_release_there_is(world, api):
    await api("POST", RELEASES, json=TO_GREEN)
    status, problem, _ = await api("POST", RELEASES, json=TO_GREEN)
    assert (status, problem["code"]) == (409, "release_active")
    assert "release 2 of shop" in problem["detail"]
    status, problem, _ = await api("PUT", f"{SHOP}/split", json={"blue": 1})
    assert (status, problem["code"]) == (409, "release_active")


async def test_a_dry_run_shows_the_release_and_makes_none(world, api):
    status, document, headers = await api("POST", f"{RELEASES}?dry_run=1", json=TO_GREEN)
    assert (status, document["revision"], document["base"], headers["ETag"]) == (200, 2, 1, '"1"')
    assert document["release"]["headline"] == "progressing: step 1 of 3, 10 % to green"
    assert world.controller.state.releases == {}
    assert (await api("GET", LAST))[1]["code"] == "no_release"


async def test_a_start_under_a_condition_or_a_key_acts_once(world, api):
    status, problem, _ = await api("POST", RELEASES, json=TO_GREEN, headers={"If-Match": '"7"'})
    assert (status, problem["code"]) == (412, "revision_moved")
    key = {"Idempotency-Key": "k1", "If-Match": '"1"'}
    first = await api("POST", RELEASES, json=TO_GREEN, headers=key)
    again = await api("POST", RELEASES, json=TO_GREEN, headers=key)
    assert (first[0], again[0], again[2]["Idempotency-Replayed"]) == (200, 200, "true")
    assert again[1]["release"] == first[1]["release"]
    assert len(await world.store.releases()) == 1


# Looking


async def test_a_release_is_shown_by_its_number_as_the_last_and_by_all_its_names(world, api):
    release = await begin(world, services={"shop": "green", "cart": "v2"})
    found = []
    for name in ("shop", "cart", "storefront"):
        for number in (release.id, "last"):
            status, document, headers = await api("GET", f"/v1/services/{name}/releases/{number}")
            assert (status, headers["ETag"]) == (200, f'"{release.id}"')
            found.append(document["id"])
    assert found == [release.id] * 6


@pytest.mark.parametrize("number", ["99", "x", "0", "-1", "1" * 30, "last2"])
async def test_a_release_that_is_not_there_is_unknown(world, api, number):
    await begin(world)
    status, problem, _ = await api("GET", f"{RELEASES}/{number}")
    assert (status, problem["code"], problem["allowed"]) == (404, "unknown_release", "2, last")


async def test_a_release_of_another_service_is_unknown_here(world, api):
    release = await begin(world)
    status, problem, _ = await api("GET", f"/v1/services/cart/releases/{release.id}")
    assert (status, problem["code"]) == (404, "unknown_release")


async def test_the_last_is_the_one_under_way_before_a_newer_one_that_has_ended(world, api):
    going = await begin(world)
    await api("POST", "/v1/services/cart/releases", json={"to": "v2"})
    await api("POST", "/v1/services/cart/releases/last/abort")
    _, document, _ = await api("GET", "/v1/services/storefront/releases/last")
    assert document["id"] == going.id


async def test_releases_are_listed_newest_first_by_page_and_by_build(world, api):
    spare = {"backends": ["http://127.0.0.1:9009"], "build": "b7"}
    await api("PUT", f"{SHOP}/versions/spare", json=spare)
    ids = [(await begin(world)).id, (await begin(world, to="spare")).id]
    await api("POST", "/v1/services/cart/releases", json={"to": "v2"})

    async def listed(path):
        status, document, headers = await api("GET", path)
        assert (status, headers["ETag"]) == (200, f'"{document["revision"]}"')
        return [each["id"] for each in document["releases"]]

    everything = await listed("/v1/releases")
    assert everything == sorted(everything, reverse=True)
    assert everything[1:] == ids[::-1]
    assert await listed(RELEASES) == ids[::-1]
    assert await listed(f"{RELEASES}?limit=1") == ids[1:]
    assert await listed(f"{RELEASES}?before={ids[1]}") == ids[:1]
    assert await listed(f"{RELEASES}?build=b7") == ids[1:]
    assert await listed(f"{RELEASES}?build=b8") == []
    assert await listed(f"{RELEASES}?active=1") == ids[1:]
    assert await listed("/v1/releases?active=1&build=b7") == ids[1:]
    assert await listed("/v1/releases?active=1&limit=1") == everything[:1]
    assert await listed("/v1/services/storefront/releases") == everything
    assert (await api("GET", "/v1/services/none/releases"))[1]["code"] == "unknown_service"


async def test_a_list_shows_each_in_brief(world, api):
    await begin(world)
    _, document, _ = await api("GET", RELEASES)
    (brief,) = document["releases"]
    assert brief["plan"] == "ramp"
    assert brief["headline"] == "progressing: step 1 of 3, 10 % to green"
    assert not {"timeline", "checks", "log", "answers", "waiting", "approvals", "skipped", "checking"} & set(brief)


async def test_a_release_that_only_the_history_knows_is_shown_without_anything_to_do(world, api):
    first = await begin(world)
    await begin(world)
    assert first.id not in world.controller.state.releases
    status, document, _ = await api("GET", f"{RELEASES}/{first.id}")
    assert (status, document["state"], document["allowed"], document["next"]) == (200, "rolled_back", [], None)
    status, problem, _ = await api("POST", f"{RELEASES}/{first.id}/pause")
    assert (status, problem["code"]) == (404, "unknown_release")


async def test_plans_are_shown_with_what_uses_them(api):
    status, document, _ = await api("GET", "/v1/plans")
    assert (status, [plan["name"] for plan in document["plans"]]) == (200, [*PLANS])
    assert document["defaults"] == {"cart": "ramp"}
    assert document["groups"] == {"storefront": {"services": ["shop", "cart"], "plan": "ramp"}}


async def test_status_and_services_say_what_is_being_released_and_how_webhooks_stand(world, api):
    await begin(world, ASKING)
    for path in ("/v1/status", "/v1/services"):
        _, document, _ = await api("GET", path)
        shop, cart = document["services"]
        assert shop["release"]["waiting"] == ["approval by engineering and product"]
        assert (cart["release"], cart["retained"]) == (None, None)
    assert (await api("GET", SHOP))[1]["release"]["to"] == "green"
    dead = {"url": "http://hooks/x", "events": [], "state": "failing", "reason": "refused", "since": 5.0}
    counts = {"tries": 3, "waiting": 1, "delivered": 0, "dropped": 0, "last": None}
    world.parts.notifier.documents = lambda: [{**dead, **counts}]
    _, document, _ = await api("GET", "/v1/status")
    assert document["notify"] == [{**dead, **counts}]
    assert any("http://hooks/x" in problem for problem in document["problems"])


# Acting


async def test_pause_resume_skip_promote_and_abort_do_what_they_say(world, api):
    await begin(world)
    _, document, _ = await api("POST", f"{LAST}/pause", json={"reason": "lunch"})
    assert document["release"]["state"] == "paused"
    assert (await world.store.revisions(limit=1))[0].note == "lunch"
    _, document, _ = await api("POST", f"{LAST}/resume")
    assert document["release"]["state"] == "progressing"
    _, document, _ = await api("POST", f"{LAST}/skip", json={"reason": "quiet night"})
    assert (document["release"]["step"], document["split"]) == (1, {"blue": 50, "green": 50})
    _, document, _ = await api("POST", f"{LAST}/promote")
    assert (document["release"]["state"], document["split"]) == ("promoted", {"blue": 0, "green": 100})
    await begin(world)
    _, document, _ = await api("POST", f"{LAST}/abort")
    assert (document["release"]["state"], document["split"]) == ("aborted", {"blue": 100, "green": 0})


async def test_what_is_so_already_is_granted_and_changes_nothing(world, api):
    await begin(world)
    await api("POST", f"{LAST}/pause")
    status, document, _ = await api("POST", f"{LAST}/pause")
    assert (status, document["changes"], document["base"]) == (200, [], document["revision"])
    await api("POST", f"{LAST}/abort")
    status, document, _ = await api("POST", f"{LAST}/abort")
    assert (status, document["changes"], document["release"]["state"]) == (200, [], "aborted")


async def test_what_is_not_possible_now_says_what_is(world, api):
    await begin(world)
    await api("POST", f"{LAST}/abort")
    status, problem, _ = await api("POST", f"{LAST}/resume")
    assert (status, problem["code"], problem["allowed"]) == (409, "wrong_state", "a new release of shop")


@pytest.mark.parametrize("act", ["skip", "reject"])
async def test_a_skip_and_a_rejection_need_a_reason(world, api, act):
    await begin(world)
    revision = world.controller.state.revision
    for body in (None, {}, {"reason": "  "}):
        status, problem, _ = await api("POST", f"{LAST}/{act}", json=body)
        assert (status, problem["code"], "reason" in problems(problem)) == (422, "reason_required", True)
    for reason in ("two\nlines", 5, "x" * 1001):
        status, problem, _ = await api("POST", f"{LAST}/{act}", json={"reason": reason})
        assert (status, problem["code"]) == (422, "invalid_body")
    assert world.controller.state.revision == revision


async def test_an_act_is_known_by_its_key_and_its_condition_and_can_be_tried(world, api):
    release = await begin(world)
    _, document, _ = await api("POST", f"{LAST}/abort?dry_run=1")
    assert (document["release"]["state"], document["dry_run"]) == ("aborted", True)
    assert world.controller.state.releases[release.id].active
    assert (await api("POST", f"{LAST}/pause", headers={"If-Match": '"1"'}))[0] == 412
    key = {"Idempotency-Key": "k2"}
    first = await api("POST", f"{LAST}/pause", headers=key)
    await api("POST", f"{LAST}/resume")
    again = await api("POST", f"{LAST}/pause", headers=key)
    assert (again[1]["release"], again[2]["Idempotency-Replayed"]) == (first[1]["release"], "true")
    assert world.controller.state.releases[release.id].state == "progressing"


async def test_an_act_on_the_last_is_on_the_release_that_was_meant(world, api):
    """One that ended while the request waited in the line is not confused with one that came after it."""
    first = await begin(world)
    world.publisher.hold = asyncio.Event()
    ending = asyncio.create_task(api("POST", f"{RELEASES}/{first.id}/abort"))
    await asyncio.sleep(0.05)
    starting = asyncio.create_task(api("POST", RELEASES, json=TO_GREEN))
    await asyncio.sleep(0.05)
    late = asyncio.create_task(api("POST", f"{LAST}/promote"))
    await asyncio.sleep(0.05)
    world.publisher.hold.set()
    assert [(await task)[0] for task in (ending, starting)] == [200, 200]
    status, problem, _ = await late
    assert (status, problem["code"]) == (404, "unknown_release")
    assert world.weights() == {"blue": 90, "green": 10}


# Who may


async def test_those_who_are_asked_approve_also_as_viewers_and_the_groups_count(world, people):
    await begin(world, ASKING, author="ann")
    status, problem, _ = await people("ann")("POST", f"{LAST}/approve")
    assert (status, problem["code"]) == (409, "own_release")
    status, problem, _ = await people("max")("POST", f"{LAST}/approve")
    assert (status, problem["code"]) == (409, "not_asked")
    status, problem, _ = await people("eve")("POST", f"{LAST}/approve")
    assert (status, problem["code"]) == (403, "forbidden")
    assert "engineering or product" in problem["detail"]
    assert world.weights() == {"blue": 100, "green": 0}
    status, document, _ = await people("pia")("POST", f"{LAST}/approve", json={"reason": "we want it", "gate": "start"})
    assert (status, document["release"]["waiting"][0]["groups"]) == (200, ["engineering"])
    assert document["release"]["approvals"][0]["reason"] == "we want it"
    status, document, _ = await people("pia")("POST", f"{LAST}/approve")
    assert (status, document["changes"]) == (200, [])
    status, document, _ = await people("ole")("POST", f"{LAST}/approve")
    assert (status, document["release"]["state"], world.weights()["green"]) == (200, "progressing", 10)


async def test_a_gate_that_is_not_there_is_named_with_those_that_are(world, people):
    await begin(world, ASKING, author="ann")
    status, problem, _ = await people("pia")("POST", f"{LAST}/approve", json={"gate": "7"})
    assert (status, problem["code"], problem["allowed"]) == (404, "unknown_gate", "start")


async def test_a_viewer_who_is_asked_may_reject_and_nothing_else(world, people):
    await begin(world, ASKING, author="ann")
    for act in ("pause", "resume", "skip", "promote", "abort"):
        status, problem, _ = await people("pia")("POST", f"{LAST}/{act}", json={"reason": "x"})
        assert (status, problem["code"]) == (403, "forbidden")
    status, problem, _ = await people("eve")("POST", f"{LAST}/reject", json={"reason": "no"})
    assert (status, problem["code"]) == (403, "forbidden")
    status, document, _ = await people("pia")("POST", f"{LAST}/reject", json={"reason": "not before the sale"})
    assert (status, document["release"]["state"]) == (200, "aborted")
    await world.feed.flush()
    done = [(row.actor, row.action, row.outcome, row.detail) for row in await world.store.audit()]
    assert ("pia", "reject_release", "done", "not before the sale") in done
    assert ("pia", "promote_release", "refused", "operator needed") in done
    assert [row[:3] for row in done if row[0] == "eve"] == [("eve", "reject_release", "refused")]


async def test_where_nobody_is_asked_a_viewer_of_any_group_is_turned_away(world, people):
    await begin(world, author="ann")
    for act in ("approve", "reject"):
        status, problem, _ = await people("pia")("POST", f"{LAST}/{act}", json={"reason": "x"})
        assert (status, problem["code"]) == (403, "forbidden")


async def test_who_starts_brings_his_groups(world, people):
    _, document, _ = await people("ann")("POST", RELEASES, json=TO_GREEN)
    assert (document["release"]["author"], document["release"]["author_groups"]) == ("ann", ["engineering"])


# On its way


async def test_a_release_goes_its_way_by_itself_and_says_so(world, api):
    """With the runner that is really used: checks, holds, promotion."""
    world.parts.runner.start()
    _, document, _ = await api("POST", RELEASES, json={"to": "green", "plan": "checked"})
    assert document["release"]["state"] == "verifying"

    async def until(state, step):
        for _ in range(400):
            _, found, _ = await api("GET", LAST)
            if (found["state"], found["step"]) == (state, step):
                return found
            world.parts.runner.look_soon()
            await asyncio.sleep(0.01)
        raise AssertionError(found["headline"])

    found = await until("progressing", 0)
    assert [(each["name"], each["passed"], each["current"]) for each in found["checks"]] == [
        ("http /healthz", True, True)
    ]
    for step in (1, 2):
        world.clock.advance(60)
        await until("progressing", step)
    world.clock.advance(60)
    found = await until("promoted", 2)
    assert found["answers"][0]["answer"].startswith("1 of 1 check passed")
    assert [entry["event"] for entry in found["log"]] == [
        *("started", "verifying", "verified", "step", "step", "step", "promoted")
    ]


async def test_checks_that_failed_are_shown_with_what_they_said(world, api):
    await begin(world, CHECKED)
    await checked(world, passed=False, output="503 Service Unavailable")
    _, document, _ = await api("GET", LAST)
    assert (document["state"], document["checks"][0]["output"]) == ("rolled_back", "503 Service Unavailable")


async def test_a_full_plan_shows_every_gate_in_its_order(world, people):
    await begin(world, FULL, author="ann")
    await checked(world)
    _, document, _ = await people("pia")("GET", LAST)
    assert [[gate["kind"] for gate in stage["gates"]] for stage in document["timeline"]] == [
        ["verify", "approval"],
        ["pause"],
    ]


async def test_what_a_plan_does_stands_in_the_audit_with_its_service(world):
    await begin(world, CHECKED)
    await checked(world)
    (row,) = await world.store.audit(1)
    assert (row.actor, row.via, row.action, row.service, row.outcome) == (
        *("plan", "gatekeeper", "check_done"),
        *("shop", "done"),
    )
