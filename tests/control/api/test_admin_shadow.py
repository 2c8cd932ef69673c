"""Copies of users' requests by the API: what is made, what came of it, and beginning anew."""

from dataclasses import replace

import pytest

from gatekeeper.control.api.shadow_answers import Shadow, ShadowReset
from gatekeeper.core.command import Reload
from gatekeeper.core.model import Rule, State, When
from gatekeeper.core.shadow.model import Mirror
from gatekeeper.core.shadow.runs import runs
from gatekeeper.core.shadow.tally import Outcome
from tests.core.shadow.test_tally import CLOCK, PRICE, found, tally_of

PATH = "/v1/services/shop/shadow"


@pytest.fixture(autouse=True)
async def _mirrored(world):
    """The service mirrors to green, but for what the rule decides."""
    state: State = world.controller.state
    shop = state.services["shop"]
    rules = (Rule("pay", When(), "blue", mirror=Mirror("green", 1.0, methods=("POST",))),)
    definition = replace(shop.definition, mirror=Mirror("green", 5.0), rules=rules)
    services = {name: known.definition for name, known in state.services.items()} | {"shop": definition}
    command = Reload(actor="anna", definition=replace(world.files.definition, services=services), entropy="ab" * 32)
    await world.controller.submit(command)
    await world.parts.shadowing.start()
    yield
    await world.parts.shadowing.stop()


def hear(world, tally) -> None:
    number = (runs(world.controller.state.services["shop"].definition) or {})[None].id
    world.parts.shadowing.hear(1, {"type": "shadow", "runs": [["shop", "green", number, tally.to_message()]]})


async def test_it_says_what_is_mirrored_and_that_nothing_came_of_it_yet(api):
    status, document, _ = await api("GET", PATH)
    assert status == 200
    Shadow.model_validate(document)
    assert [(each["rule"], each["to"], each["percent"], each["methods"]) for each in document["mirrors"]] == [
        (None, "green", 5.0, ["GET", "HEAD"]),
        ("pay", "green", 1.0, ["POST"]),
    ]
    (run,) = document["runs"]
    assert (run["version"], run["active"], run["asked"], run["share"], run["at"]) == ("green", True, 0, None, None)


async def test_differences_come_with_samples_and_noise_apart(api, world):
    tally = tally_of(*[found(PRICE)] * 2, *[found(noise=(CLOCK,))] * 8)
    tally.count(Outcome.SENT, 11)
    tally.failed(Outcome.TIMEOUT, "GET /slow")
    hear(world, tally)
    status, document, _ = await api("GET", PATH)
    Shadow.model_validate(document)
    (run,) = document["runs"]
    assert status == 200
    assert (run["mirrored"], run["compared"], run["failed"], run["asked"], run["different"]) == (11, 10, 1, 11, 3)
    assert run["low"] < run["share"] < run["high"]
    assert [(row["kind"], row["path"], row["requests"]) for row in run["differences"]] == [
        ("json", "$.price", 2),
        ("answer", "timeout", 1),
    ]
    assert run["differences"][0]["samples"][0] == {"left": "l", "right": "r", "request": "GET /cart"}
    assert [(row["path"], row["noise"]) for row in run["noise"]] == [("$.time", 8)]


async def test_a_reset_begins_anew_and_stands_in_the_audit(api, world):
    hear(world, tally_of(found(PRICE)))
    status, document, _ = await api("POST", f"{PATH}/reset")
    assert status == 200
    ShadowReset.model_validate(document)
    assert document["runs"] == 1
    assert (await api("GET", PATH))[1]["runs"][0]["asked"] == 0
    await world.feed.flush()
    audit = (await api("GET", "/v1/audit"))[1]["audit"]
    assert ("shadow_reset", "shop", "done") in {(row["action"], row["service"], row["outcome"]) for row in audit}


async def test_a_service_that_mirrors_nothing_has_nothing(api):
    _, document, _ = await api("GET", "/v1/services/cart/shadow")
    assert (document["mirrors"], document["runs"]) == ([], [])
    assert (await api("POST", "/v1/services/cart/shadow/reset"))[1]["runs"] == 0


async def test_of_a_service_that_is_not_there_nothing_is_known(api):
    assert (await api("GET", "/v1/services/none/shadow"))[0] == 404
    assert (await api("POST", "/v1/services/none/shadow/reset"))[0] == 404
