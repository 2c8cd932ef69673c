"""Looking back, going back, what undoes itself, and making the past shorter."""

import pytest

SHOP = "/v1/services/shop"
SPLIT = f"{SHOP}/split"
RED = f"{SHOP}/versions/red"
NEW = {"backends": ["http://127.0.0.1:9009"]}


async def some_history(api):
    """Revision 2: 90/10; 3: red; 4: 50/40/10; 5: cart."""
    await api("PUT", SPLIT + "?note=first", json={"blue": 90, "green": 10})
    await api("PUT", RED, json=NEW)
    await api("PUT", SPLIT, json={"blue": 50, "green": 40, "red": 10})
    await api("PUT", "/v1/services/cart/split", json={"v2": 1})


async def test_a_revision_is_shown_whole_with_what_it_changed_and_without_secrets(world, api):
    await some_history(api)
    status, document, _ = await api("GET", "/v1/revisions/3")
    assert (status, document["action"], document["splits"]["shop"]) == (
        200,
        "deployed",
        {"blue": 90, "green": 10, "red": 0},
    )
    shop = document["services"]["shop"]
    assert shop["split"] == {"blue": 90, "green": 10, "red": 0}
    assert (list(shop["definition"]["versions"]), shop["deployed"]) == (["blue", "green", "red"], ["red"])
    assert shop["definition"]["testers"]["keys"] == 1
    assert "cart" in document["services"]
    assert list((await api("GET", "/v1/revisions/3?service=shop"))[1]["services"]) == ["shop"]
    assert (await api("GET", "/v1/revisions/2"))[1]["note"] == "first"
    for wrong in ("99", "0", "x", "1e3", "-1", "%D9%A3"):
        status, problem, _ = await api("GET", f"/v1/revisions/{wrong}")
        assert (status, problem["code"]) == (404, "unknown_revision"), wrong
    assert (await api("GET", "/v1/revisions/2?service=shpo"))[1]["problems"][0]["suggestion"] == "shop"


async def test_the_difference_of_two_revisions_in_both_directions(api):
    await some_history(api)
    _, document, _ = await api("GET", "/v1/revisions/4?diff=2")
    assert (document["revision"], document["diff"]) == (4, 2)
    found = {change["path"]: (change["before"], change["after"]) for change in document["changes"]}
    assert found["services.shop.versions.red"] == (None, NEW["backends"])
    assert found["services.shop.split"][1] == {"blue": 50, "green": 40, "red": 10}
    _, document, _ = await api("GET", "/v1/revisions/2?diff=4")
    found = {change["path"]: (change["before"], change["after"]) for change in document["changes"]}
    assert found["services.shop.versions.red"] == (NEW["backends"], None)
    _, document, _ = await api("GET", "/v1/revisions/5?diff=4&service=shop")
    assert document["changes"] == []
    _, document, _ = await api("GET", "/v1/revisions/5?diff=1&service=cart")
    assert {change["path"] for change in document["changes"]} == {"services.cart.split"}
    assert (await api("GET", "/v1/revisions/5?diff=99"))[1]["code"] == "unknown_revision"
    assert (await api("GET", "/v1/revisions/5?diff=x"))[0] == 400


async def test_a_restore_makes_everything_or_one_service_as_it_was(world, api):
    await some_history(api)
    status, document, _ = await api("POST", "/v1/revisions/2/restore?service=shop&dry_run=1")
    assert (status, document["dry_run"], world.controller.state.revision) == (200, True, 5)
    status, document, headers = await api("POST", "/v1/revisions/2/restore?service=shop")
    assert (status, document["revision"], headers["ETag"]) == (200, 6, '"6"')
    assert world.weights() == {"blue": 90, "green": 10}
    assert world.weights("cart") == {"v1": 0, "v2": 1}
    await api("POST", "/v1/revisions/1/restore")
    assert (world.weights(), world.weights("cart")) == ({"blue": 100, "green": 0}, {"v1": 100, "v2": 0})
    status, problem, _ = await api("POST", "/v1/revisions/77/restore")
    assert (status, problem["code"]) == (404, "unknown_revision")
    assert (await api("POST", "/v1/revisions/one/restore"))[0] == 404


async def test_a_change_that_waits_is_shown_refuses_others_and_stays_once_confirmed(world, api):
    status, document, _ = await api("PUT", SPLIT + "?confirm_within=5m", json={"blue": 50, "green": 50})
    assert (status, document["confirm_by"]) == (200, world.clock.wall() + 300)
    _, shown, _ = await api("GET", "/v1/status")
    (waiting,) = shown["pending"]
    assert (waiting["revision"], waiting["deadline"]) == (2, world.clock.wall() + 300)
    assert (waiting["services"], waiting["actor"]) == (["shop"], (await world.store.revisions(limit=1))[0].actor)
    status, problem, _ = await api("PUT", SPLIT, json={"green": 1})
    assert (status, problem["code"]) == (409, "awaiting_confirmation")
    assert (await api("PUT", "/v1/services/cart/split", json={"v2": 1}))[0] == 200, "another service may"
    assert (await api("POST", "/v1/confirm", json={"revision": 7}))[1]["code"] == "nothing_to_confirm"
    assert (await api("POST", "/v1/confirm"))[0] == 200
    assert (await api("GET", "/v1/status"))[1]["pending"] == []
    assert (await api("PUT", SPLIT, json={"green": 1}))[0] == 200


async def test_of_several_that_wait_one_must_be_named(api):
    await api("PUT", SPLIT + "?confirm_within=1m", json={"green": 1})
    await api("PUT", "/v1/services/cart/split?confirm_within=1m", json={"v2": 1})
    status, problem, _ = await api("POST", "/v1/confirm")
    assert (status, problem["code"]) == (409, "which_revision")
    assert "2, 3" in problem["detail"]
    assert (await api("POST", "/v1/confirm", json={"revision": 3}))[0] == 200


async def test_a_rollback_undoes_what_waits_at_once(world, api):
    await api("PUT", SPLIT + "?confirm_within=1m", json={"green": 1})
    assert (await api("POST", f"{SHOP}/rollback"))[0] == 200
    assert world.weights() == {"blue": 100, "green": 0}
    assert (await api("GET", "/v1/status"))[1]["pending"] == []


@pytest.mark.parametrize("within", ["0s", "999ms", "8d", "5", "", "5 m", "-5m", "1e3s", "9" * 30 + "s"])
async def test_a_time_to_confirm_is_a_duration_from_a_second_to_a_week(world, api, within):
    status, problem, _ = await api("PUT", f"{SPLIT}?confirm_within={within}", json={"green": 1})
    assert (status, problem["code"]) == (400, "bad_query")
    assert "from 1s to 7d" in problem["allowed"]
    assert world.controller.state.revision == 1


async def test_the_history_is_made_shorter_only_by_an_order_and_what_later_revisions_need_stays(world, api):
    await some_history(api)
    status, document, headers = await api("POST", "/v1/history/prune?dry_run=1", json={"before": 4})
    assert (status, document["dry_run"], document["oldest"], headers["ETag"]) == (200, True, 4, '"5"')
    assert document["removed"]["revisions"] == 3
    assert len((await api("GET", "/v1/revisions"))[1]["revisions"]) == 5
    status, document, _ = await api("POST", "/v1/history/prune", json={"before": 4})
    assert document["removed"]["revisions"] == 3
    assert [row["revision"] for row in (await api("GET", "/v1/revisions"))[1]["revisions"]] == [5, 4]
    assert (await api("GET", "/v1/revisions/3"))[0] == 404
    assert (await api("GET", "/v1/revisions/5"))[1]["services"]["shop"]["split"] == {"blue": 50, "green": 40, "red": 10}
    _, document, _ = await api("GET", "/v1/audit?limit=1")
    assert (document["audit"][0]["action"], document["audit"][0]["outcome"]) == ("prune", "done")
    _, events, _ = await api("GET", "/v1/events?follow=0&limit=1")
    assert (events[0]["kind"], events[0]["oldest"]) == ("history_pruned", 4)


async def test_what_is_older_than_a_time_goes(world, api):
    await some_history(api)
    world.clock.advance(100 * 86_400)
    await api("PUT", SPLIT, json={"blue": 1})
    _, document, _ = await api("POST", "/v1/history/prune", json={"older_than": "90d"})
    assert (document["removed"]["revisions"], document["oldest"]) == (5, 6)


@pytest.mark.parametrize(
    "body", [{}, {"before": 0}, {"before": "4"}, {"older_than": "soon"}, {"older": "90d"}, {"before": None}]
)
async def test_an_order_to_prune_that_is_not_clear_deletes_nothing(world, api, body):
    await some_history(api)
    assert (await api("POST", "/v1/history/prune", json=body))[0] == 422
    status, problem, _ = await api("POST", "/v1/history/prune", json={"before": 4}, headers={"If-Match": '"4"'})
    assert (status, [row["revision"] for row in problem["changed"]]) == (412, [5])
    assert len(await world.store.revisions()) == 5


async def test_the_audit_tells_what_was_done_and_what_was_refused(world, api):
    await api("PUT", SPLIT + "?note=why", json={"green": 1})
    await api("PUT", SPLIT, json={"green": 1}, headers={"If-Match": '"1"'})
    await api("POST", f"{SHOP}/passes", json={"versions": ["green"]})
    _, document, _ = await api("GET", "/v1/audit")
    rows = {row["action"]: row for row in document["audit"] if row["outcome"] != "refused"}
    assert (rows["split"]["detail"], rows["split"]["revision"], rows["split"]["service"]) == ("why", 2, "shop")
    assert rows["split"]["via"].startswith("uid ")
    assert rows["pass"]["detail"] == "for green"
    refused = [row for row in document["audit"] if row["outcome"] == "refused"]
    assert (len(refused), refused[0]["revision"]) == (1, None)
    ids = [row["id"] for row in document["audit"]]
    assert ids == sorted(ids, reverse=True)
    _, page, _ = await api("GET", f"/v1/audit?before={ids[0]}&limit=1")
    assert [row["id"] for row in page["audit"]] == [ids[1]]
