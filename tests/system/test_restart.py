"""A kill -9 right after the reply: the next gatekeeper goes on with exactly what was acknowledged."""

import pytest

from tests.system.programs import until

pytestmark = pytest.mark.system

URL = "http://127.0.0.1:9"
"""Nobody need answer: what is looked at is what the control plane knows."""


@pytest.fixture
def shop(serve):
    return serve({"blue": URL, "green": URL}, workers=1)


def killed(gatekeeper):
    """A kill -9, and the next one, with the same file or the one that was written meanwhile."""
    gatekeeper.process.kill()
    gatekeeper.process.wait()
    return gatekeeper.start()


def put(gatekeeper, method, path, body=None, **fields):
    status, reply = gatekeeper.call(method, path, body, fields=fields)
    assert status in (200, 201), reply
    return reply["revision"]


def service(gatekeeper):
    return gatekeeper.call("GET", "/v1/services/shop")[1]


def test_a_configuration_that_was_sent_outlives_a_kill_until_the_file_is_edited(shop):
    sent = shop.document(workers=1, on_unavailable="fail")
    revision = put(shop, "PUT", "/v1/config", sent)
    killed(shop)
    assert shop.status()["revision"] == revision
    assert service(shop)["definition"]["on_unavailable"] == "fail"
    shop.write(workers=1, path_prefix="/shop")
    killed(shop)
    assert service(shop)["definition"]["on_unavailable"] == "fail_over"
    (event,) = shop.events("start")
    assert event["revision"] == revision + 1
    assert "services.shop.path_prefix" in {change["path"] for change in event["changes"]}


def test_a_deploy_and_a_restored_revision_outlive_a_kill(shop):
    first = put(shop, "PUT", "/v1/services/shop/versions/next", {"backends": [URL], "build": "b7"})
    killed(shop)
    assert service(shop)["versions"]["next"]["build"] == "b7"
    put(shop, "DELETE", "/v1/services/shop/versions/next")
    put(shop, "PUT", "/v1/services/shop/split", {"green": 1})
    revision = put(shop, "POST", f"/v1/revisions/{first}/restore")
    killed(shop)
    assert shop.status()["revision"] == revision
    assert service(shop)["versions"]["next"]["build"] == "b7"
    assert service(shop)["split"] == {"blue": 100, "green": 0, "next": 0}


def test_a_change_that_nobody_confirms_is_undone_although_its_gatekeeper_was_killed(shop):
    put(shop, "PUT", "/v1/services/shop/split?confirm_within=2s", {"green": 1})
    killed(shop)
    until(lambda: service(shop)["split"] == {"blue": 100, "green": 0}, what="the undoing")
    until(lambda: shop.events("undone"), what="its event")
    assert shop.status()["pending"] == []


def test_a_request_repeated_after_a_kill_acts_once(shop):
    key = {"Idempotency-Key": "one"}
    revision = put(shop, "PUT", "/v1/services/shop/split", {"green": 1}, **key)
    put(shop, "POST", "/v1/services/shop/rollback")
    killed(shop)
    assert put(shop, "PUT", "/v1/services/shop/split", {"green": 1}, **key) == revision
    assert service(shop)["split"] == {"blue": 100, "green": 0}
    actions = [(row["action"], row["outcome"]) for row in shop.call("GET", "/v1/audit")[1]["audit"]]
    assert actions == [("rollback", "done"), ("split", "done"), ("start", "done")]
