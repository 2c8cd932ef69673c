"""Two services that move as one: no moment at which they disagree, forward and back.

Each service's requests tell at the backends which revision routed them. On one kept connection, which one worker
serves, requests to the two services take turns: whoever was answered by a revision is never answered by an older one
after it, by whichever service. And what is sent after the reply to a change is routed by that change, on every
connection, in both services.
"""

import threading
import time
from bisect import bisect_left

import pytest

from tests.system.team import HEALTH
from tests.system.visitors import running

pytestmark = [pytest.mark.system, pytest.mark.outside("nginx")]

SERVICES = ("shop", "cart")
ROUNDS = 5
PLANS = {
    "together": {"steps": [{"weight": 30, "hold": "1h"}, {"weight": 60, "hold": "1h"}, {"weight": 100, "hold": "1h"}]}
}


class Walker(threading.Thread):
    """Asks the services in turns on one connection; notes when it asked, whom, and which revision answered."""

    def __init__(self, gatekeeper):
        super().__init__()
        self._gatekeeper = gatekeeper
        self._stopped = threading.Event()
        self.steps = []
        self.problems = []

    def run(self):
        connection = self._gatekeeper.connect()
        try:
            while not self._stopped.is_set():
                for service in SERVICES:
                    sent = time.monotonic()
                    answer = self._gatekeeper.get("/walk", {"Host": f"{service}.test"}, connection)
                    assert answer.status == 200, answer
                    self.steps.append((sent, service, answer.version, answer.revision))
        except Exception as error:  # noqa: BLE001 - the test shows it
            self.problems.append(repr(error))
        finally:
            connection.close()

    def stop(self):
        self._stopped.set()
        self.join()


@pytest.fixture
def storefront(team):
    """Two services, both with versions blue and green, in a group."""
    gatekeeper = team()
    versions = {side.name: {"backends": [side.url], "health": HEALTH} for side in (gatekeeper.blue, gatekeeper.green)}
    services = {
        name: {"hosts": [f"{name}.test"], "versions": versions, "sticky": {"mode": "none"}} for name in SERVICES
    }
    gatekeeper.top |= {"plans": PLANS, "releases": {"storefront": {"services": [*SERVICES], "plan": "together"}}}
    document = gatekeeper.document(services=services)
    gatekeeper.document = lambda **_: document
    gatekeeper.reload()
    for name in SERVICES:
        gatekeeper.until_ready(service=name)
    return gatekeeper


def test_two_services_released_as_one_never_disagree_and_are_undone_as_one(storefront, tell):
    """Steps, promotion and both rollbacks, with walkers in both services all the time."""
    gatekeeper = storefront
    walkers = [Walker(gatekeeper) for _ in range(6)]
    replies = []
    """When a change was answered, its revision, and who may have users after it."""

    def note(reply, *versions):
        replies.append((time.monotonic(), reply["revision"], set(versions)))
        assert gatekeeper.split_of(SERVICES[0]) == gatekeeper.split_of(SERVICES[1])
        time.sleep(0.1)

    with running(*walkers):
        time.sleep(0.3)
        for number in range(ROUNDS):
            status, reply = gatekeeper.ask("ann", "POST", "/v1/services/storefront/releases", {"to": "green"})
            assert status == 200, reply
            assert reply["release"]["services"] == [*SERVICES]
            gatekeeper.comes_to("progressing", 0, service="storefront")
            note({"revision": gatekeeper.status()["revision"]}, "blue", "green")
            if number % 2:
                status, reply = gatekeeper.act("ben", "skip", "next", service="cart")  # a member stands for all
                assert status == 200, reply
                note(reply, "blue", "green")
                status, reply = gatekeeper.act("ben", "promote", service="storefront")
                assert status == 200, reply
                note(reply, "green")
                assert [gatekeeper.stable(name) for name in SERVICES] == ["green", "green"]
            note(gatekeeper.rollback(SERVICES[number % 2]), "blue")
            assert [gatekeeper.stable(name) for name in SERVICES] == ["blue", "blue"]
            assert gatekeeper.release("storefront")["state"] == "rolled_back"
    check(walkers, replies)
    tell(changes=len(replies), requests=sum(len(walker.steps) for walker in walkers))


def check(walkers, replies):
    at = [moment for moment, _, _ in replies]
    both = set()
    for walker in walkers:
        assert walker.problems == []
        newest = 0
        for sent, service, version, revision in walker.steps:
            assert revision >= newest, f"{service} was routed by {revision} after {newest} on the same connection"
            newest = revision
            last = bisect_left(at, sent) - 1
            if last >= 0:
                _, replied, allowed = replies[last]
                assert revision >= replied, f"{service}, sent after the reply to {replied}, was routed by {revision}"
                if revision == replied:
                    assert version in allowed, f"{version} had no weight in {service} at {revision}"
                    both.add((revision, service))
    for _, revision, _ in replies:
        assert {(revision, name) for name in SERVICES} <= both, f"nobody met revision {revision} in both services"


def test_one_candidate_that_fails_takes_both_services_back(storefront):
    """Cart's candidate is retired; shop's users go back in the same revision."""
    gatekeeper = storefront
    gatekeeper.begin("storefront")
    gatekeeper.comes_to("progressing", 0, service="storefront")
    status, reply = gatekeeper.call("DELETE", "/v1/services/cart/versions/green")
    assert status == 200, reply
    release = gatekeeper.release("storefront")
    assert (release["state"], release["revision"]) == ("rolled_back", reply["revision"])
    assert [gatekeeper.split_of(name).get("green", 0) for name in SERVICES] == [0, 0]


def test_a_service_that_is_being_released_is_not_in_a_second_release(storefront):
    gatekeeper = storefront
    first = gatekeeper.begin("cart", plan="together")
    status, refusal = gatekeeper.ask("ann", "POST", "/v1/services/storefront/releases", {"to": "green"})
    assert (status, str(first["id"]) in refusal["detail"]) == (409, True), refusal
    assert gatekeeper.split_of("shop").get("green", 0) == 0


def test_services_named_with_each_other_move_as_one_without_a_group(storefront):
    gatekeeper = storefront
    gatekeeper.until_ready(service="cart")
    release = gatekeeper.begin("shop", plan="together", **{"with": {"cart": "green"}})
    assert release["services"] == [*SERVICES]
    gatekeeper.comes_to("progressing", 0)
    assert gatekeeper.split_of("cart") == gatekeeper.split_of("shop") == {"blue": 70, "green": 30}
    gatekeeper.rollback("cart")
    assert gatekeeper.split_of("shop") == {"blue": 100, "green": 0}


def walker(*steps):
    """A walk that was: seconds, service, version, revision."""
    found = Walker(None)
    found.steps = list(steps)
    return found


REPLIES = [(10.0, 7, {"blue"})]


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        ([(9.0, "shop", "green", 7), (9.1, "cart", "green", 6)], "after 7 on the same connection"),
        ([(11.0, "shop", "blue", 7), (11.1, "cart", "green", 6)], "after 7 on the same connection"),
        ([(11.0, "shop", "green", 6), (11.1, "cart", "blue", 7)], "was routed by 6"),
        ([(11.0, "shop", "blue", 7), (11.1, "cart", "green", 7)], "green had no weight in cart"),
        ([(11.0, "shop", "blue", 7)], "nobody met revision 7"),
    ],
)
def test_a_disagreement_would_be_found(steps, wrong):
    """The judge of these tests, judged."""
    check([walker((11.0, "shop", "blue", 7), (11.1, "cart", "blue", 7))], REPLIES)
    with pytest.raises(AssertionError, match=wrong):
        check([walker(*steps)], REPLIES)
