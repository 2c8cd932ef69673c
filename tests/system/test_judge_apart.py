"""What is not the candidate's doing is not held against it, what retries hide is; and bounds that are no comparison."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.system.judged import ERRORS, Case, Users, Version, free_port, open_court, plan
from tests.system.parts import until
from tests.system.scripted import Backend, reply
from tests.system.wire import Connection

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

HALVES = plan((50, "1h"), **ERRORS)
DEAF_TO_LUCK = {**ERRORS, "alpha": 0.0001, "min_events": 1000}
"""The comparison never rolls back: whatever else does is not it."""
HIDDEN = {"attempts": 1, "budget": "100%", "on_stable": True}
COUNTED = ("forced", "retried")
"""Whose requests are counted, to the last one."""
TESTER = {"x_gatekeeper_version": "green", "x_tester": "1"}
SOON = {**ERRORS, "promote_within": {"errors": "5pt"}}


class Prometheus(Backend):
    """Answers every query with ``value``; its port is known before it is started."""

    def __init__(self, value):
        super().__init__(self._answer)
        self.value, self.port = value, free_port()

    def _answer(self, wire, _):
        result = [{"metric": {}, "value": [0, str(self.value)]}]
        data = {"status": "success", "data": {"resultType": "vector", "result": result}}
        wire.send(reply(json.dumps(data), Content_Type="application/json"))

    def asks(self, **more):
        return [{"name": "queue", "prometheus": self.url, "query": "max(queue)", "max": 5, "every": "1s", **more}]


def is_test(request):
    return bool(request.all("x-tester"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def court(tmp_path_factory):
    """All of them at once."""
    busy, dead = Prometheus(3), Prometheus(3)
    bounds = {"errors": "5%", "window": "5s"}
    bad = Version("green", fails=10)
    cases = {
        "forced": Case(HALVES, green=Version("green", fails_for=is_test)),
        "rescued": Case(plan((10, "1h"), **ERRORS), green=Version("green", fails=1), retries=HIDDEN),
        "retried": Case(
            plan((50, "1h"), **DEAF_TO_LUCK),
            blue=Version("blue", fails_for=lambda request: request.all("x-request-id")[0] in bad.failed),
            green=bad,
            retries=HIDDEN,
        ),
        "hung_up": Case(
            HALVES,
            *(Version(name, slow=1, seconds=0.4) for name in ("blue", "green")),
            rate=30,
            fields=lambda number: {"x_user": f"u{number % 500}"},
            sticky={"by": ["header:X-User"]},
        ),
        "shared": Case(
            plan((50, "1s"), **DEAF_TO_LUCK, guard=bounds), *(Version(name, fails=2) for name in ("blue", "green"))
        ),
        "guarded": Case(plan((50, "1h"), **DEAF_TO_LUCK, guard=bounds), green=Version("green", fails=5)),
        "metric": Case(plan((50, "1h"), **ERRORS, metrics=busy.asks(failures=2)), rate=10),
        "deaf": Case(plan((50, "1s"), **SOON, metrics=dead.asks())),
    }
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(busy)
        opened = await open_court(stack, tmp_path_factory.mktemp("apart"), cases)
        opened.busy, opened.dead = busy, dead
        opened.testers = Users(opened.gatekeeper.port, "forced", 40, fields=lambda _: TESTER)
        stack.push_async_callback(opened.testers.leave)
        for name in cases:
            await opened[name].begin(users=name not in COUNTED)
        for name in COUNTED:
            await opened[name].evidence(lambda found: found["seconds"])  # every worker records from now on
            opened[name].users.come()
        opened.testers.come()
        yield opened


async def test_a_retry_on_stable_hides_the_failure_from_users_and_not_from_the_judge(court):
    trial = court["rescued"]
    release = await trial.ends("rolled_back")
    assert release["reason"] == release["verdict"]["sentence"]
    (found,) = release["verdicts"]
    assert found["errors"] == {"stable": 0, "candidate": found["requests"]["candidate"]}
    assert trial.users.statuses.keys() == {200}
    assert trial.users.cut == 0
    assert trial.users.statuses[200] >= found["requests"]["stable"]


async def test_a_bound_rolls_back_and_is_named_as_no_comparison(court):
    release = await court["guarded"].ends("rolled_back")
    assert release["verdict"]["cause"] == "guard"
    assert release["reason"].startswith("an absolute guard, not a comparison: green: ")


async def test_both_versions_in_trouble_are_shared_trouble_that_holds_and_takes_nobody_back(court):
    """Its hold of a second is over; well again, it is compared again."""
    trial = court["shared"]
    release = await trial.says("shared_trouble")
    assert "both versions" in release["verdict"]["sentence"]
    await asyncio.sleep(1)
    release = await trial.release()
    assert (release["state"], release["step"], release["verdict"]["passes"]) == ("progressing", 0, False)
    assert await trial.split() == {"blue": 50, "green": 50}
    trial.blue.fails = trial.green.fails = 0
    release = await trial.comes_to(lambda found: found["verdict"]["kind"] != "shared_trouble")
    assert release["active"]
    await trial.users.leave()


async def test_failures_that_testers_force_are_in_no_evidence_and_every_user_s_request_is_once(court):
    trial = court["forced"]
    await until(lambda: len(trial.green.failed) >= 100, 30)
    await court.testers.leave()
    await trial.users.leave()
    assert court.testers.statuses.keys() == {500}
    found = await trial.settled()
    assert sum(found["requests"].values()) == trial.users.statuses[200] == sum(trial.users.statuses.values())
    assert found["errors"] == {"stable": 0, "candidate": 0}
    assert found["odds"] <= 1
    assert found["excluded"] == 0
    assert found["requests"]["candidate"] == sum(not is_test(each) for each in trial.green.asked)


async def test_a_retry_that_fails_as_well_is_one_failure_of_the_version_that_was_tried_first(court):
    trial = court["retried"]
    await until(lambda: len(trial.green.failed) >= 10, 30)
    await trial.users.leave()
    found = await trial.settled()
    assert sum(found["requests"].values()) == sum(trial.users.statuses.values())
    assert found["errors"] == {"stable": 0, "candidate": len(trial.green.failed)}
    assert found["requests"]["candidate"] == len(trial.green.asked)
    assert len(trial.blue.failed) == len(trial.green.failed), "each of them was tried again, in vain"
    assert trial.users.failed == len(trial.green.failed)


async def test_a_storm_of_clients_that_hang_up_on_the_candidate_alone_is_not_its_fault(court):
    """They know whose users they are, and wait for a tenth of what either version takes."""
    trial, port = court["hung_up"], court.gatekeeper.port
    await until(lambda: len(trial.green.asked) >= 10, 30)
    mine = sorted({each.all("x-user")[0] for each in trial.green.asked})
    before = len(trial.green.asked)

    async def hang_up(user):
        connection = await Connection.open(port)
        connection.writer.write(f"GET / HTTP/1.1\r\nHost: hung_up.test\r\nX-User: {user}\r\n\r\n".encode())
        await asyncio.sleep(0.04)
        connection.writer.transport.abort()

    for _ in range(10):
        await asyncio.gather(*(hang_up(user) for user in mine * (1 + 20 // len(mine))))
    left = len(trial.green.asked) - before
    assert left >= 150
    await trial.users.leave()
    found = await trial.evidence(lambda found: found["requests"]["candidate"] >= before + 150)
    assert found["errors"] == {"stable": 0, "candidate": 0}
    assert found["odds"] <= 1
    release = await trial.release()
    assert (release["state"], release["verdict"]["kind"]) == ("progressing", "collecting")


async def test_a_custom_metric_beyond_its_bound_ends_the_release_and_is_named(court):
    trial = court["metric"]
    await until(lambda: len(court.busy.asked) >= 2, 20)
    release = await trial.release()
    assert release["active"]
    court.busy.value = 7
    release = await trial.ends("rolled_back")
    assert release["verdict"]["cause"] == "metric"
    assert release["reason"] == "a custom metric, not a comparison: queue was 7, more than 5, 2 times in a row"


async def test_a_custom_metric_that_nobody_answers_holds_what_is_proven_and_takes_nothing_back(court):
    trial = court["deaf"]
    await trial.evidence(lambda found: found["kind"] == "passed")
    await asyncio.sleep(1)
    release = await trial.release()
    assert (release["state"], release["step"]) == ("progressing", 0)
    verdict = release["verdict"]
    assert (verdict["kind"], verdict["cause"], verdict["passes"]) == ("collecting", "metric", False)
    assert "the custom metric queue is not known" in verdict["sentence"]
    await court.dead.start()
    release = await trial.ends("promoted")
    await court.dead.stop()
