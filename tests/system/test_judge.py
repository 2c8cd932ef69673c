"""The judge over real sockets: what is worse goes back within few requests, what is good goes on by proof alone."""

import json
from contextlib import AsyncExitStack
from math import floor, log

import pytest
import pytest_asyncio

from tests.system.judged import ERRORS, Case, Version, open_court, plan

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

BEHIND = 60
"""Requests that a candidate gets while what is known of it makes its way: three seconds of them on a busy machine."""
BETTER = 0.05
"""By so much the good one is to be proven good enough (5 points)."""
WATCHED = plan((10, "1h"), **ERRORS)
PROVEN = {"promote_within": {"errors": "5pt", "p95": "x1.5 + 20pt", "p99": "x1.5 + 20pt"}, "min_bake": "2s"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def court(tmp_path_factory):
    """All of them at once."""
    cases = {
        "outage": Case(WATCHED, green=Version("green", fails=1)),
        "errors": Case(WATCHED, green=Version("green", fails=20), rate=120),
        "refused": Case(WATCHED),
        "slow": Case(plan((25, "1h"), min_bake="0s"), green=Version("green", slow=10), rate=80),
        "good": Case(plan((50, "1s"), **PROVEN)),
        "quiet": Case({**plan((50, "1s"), deadline="2s"), "max_hold": "4s"}, rate=3),
        "left": Case(WATCHED),
        "right": Case(WATCHED, green=Version("green", fails=2)),
    }
    both = {"both": {"services": ["left", "right"], "plan": "outage"}}
    async with AsyncExitStack() as stack:
        opened = await open_court(stack, tmp_path_factory.mktemp("judge"), cases, releases=both)
        await cases["refused"].green.stop()
        for name in ("outage", "errors", "refused", "slow", "quiet"):
            await opened[name].begin()
        opened["left"].users.come()
        await opened["right"].begin(name="both")
        good = opened["good"]
        await good.begin(users=False)
        opened.waited = await good.comes_to(lambda found: found["verdict"] and found["hold"]["over"] > 2)
        good.users.come()
        yield opened


def judged(release, number=0):
    """Requests of the candidate that were compared, and its failures."""
    found = release["verdicts"][number]
    return found["requests"]["candidate"], found["errors"]["candidate"]


def revisions(version):
    return [int(each.all("x-gatekeeper-revision")[0]) for each in version.asked]


@pytest.mark.parametrize(
    ("name", "most", "cause"),
    [("outage", 25, "errors"), ("refused", 25, "errors"), ("errors", 160, "errors"), ("slow", 600, "latency")],
)
async def test_a_candidate_that_is_worse_is_rolled_back_within_few_requests_and_the_reason_is_what_the_judge_said(
    court, name, most, cause, tell
):
    """Total outage; refused connections; 5 % of the requests; the slowest tenth. Seconds of 6 to 20 requests of the
    candidate are judged as a whole, so that no bound is below one of these."""
    trial = court[name]
    release = await trial.ends("rolled_back")
    verdict = release["verdict"]
    assert (verdict["kind"], verdict["cause"]) == ("rollback", cause)
    assert release["reason"] == verdict["sentence"] == release["verdicts"][0]["sentence"]
    assert verdict["odds"] >= verdict["bar"] == 100
    compared, failed = judged(release)
    assert compared <= most
    assert len(trial.green.asked) <= most + BEHIND
    assert failed == (0 if name == "slow" else compared if name in {"outage", "refused"} else compared // 20)
    # Who failed is who was sent to it.
    assert trial.users.failed <= failed + BEHIND
    assert trial.users.cut == 0
    assert await trial.split() == {"blue": 100, "green": 0}
    tell(compared=compared, failed_users=trial.users.failed, seconds=release["verdicts"][0]["seconds"])


async def test_of_services_released_as_one_the_one_that_fails_takes_both_back(court):
    left, right = court["left"], court["right"]
    release = await right.ends("rolled_back")
    await left.users.leave()
    assert release["reason"] == release["verdict"]["sentence"]
    assert release["reason"].startswith("right: ")
    assert await left.split() == await right.split() == {"blue": 100, "green": 0}
    kinds = {each["service"]: each["kind"] for each in release["verdicts"]}
    assert kinds == {"left": "collecting", "right": "rollback"}
    assert left.users.failed == 0


async def test_a_candidate_with_too_little_traffic_is_never_promoted_and_its_release_pauses_and_says_why(court):
    """Its hold of a second is over at once, its time for a proof after two, its patience after four."""
    trial = court["quiet"]
    release = await trial.comes_to(lambda found: found["state"] == "paused")
    assert release["verdict"]["kind"] == "not_enough_data"
    assert "needs" in release["verdict"]["sentence"]
    assert release["step"] == 0
    assert await trial.split() == {"blue": 50, "green": 50}
    code, said, _ = await court.gatekeeper.command("release", "verdict", trial.name)
    assert (code, said.startswith("not enough data: ")) == (4, True), said
    status, refusal = await court.gatekeeper.admin("POST", f"{trial.path}/releases/last/promote", {})
    assert (status, refusal["code"]) == (409, "not_proven"), refusal
    await trial.users.leave()


async def test_a_good_candidate_is_promoted_by_proof_under_load_and_never_before_it(court, tell):
    """Its hold was over long ago, and nobody came: nothing moved."""
    trial, waited = court["good"], court.waited
    assert (waited["state"], waited["step"], waited["verdict"]["kind"]) == ("progressing", 0, "collecting")
    release = await trial.ends("promoted")
    assert release["verdict"]["kind"] == "passed"
    assert trial.users.statuses.keys() == {200}
    # No smaller number without a failure proves it, however the bets are laid.
    enough = log(20) / -log(1 - BETTER)
    last = max(revisions(trial.blue))
    assert sum(revision <= last for revision in revisions(trial.green)) >= floor(enough)
    (found,) = release["verdicts"]
    assert all(odds >= found["proof_bar"] == 20 for odds in found["proofs"].values())
    assert (await court.gatekeeper.command("release", "verdict", trial.name))[0] == 0
    tell(compared=judged(release)[0])


@pytest.mark.parametrize("name", ["slow", "good"])
async def test_what_the_judge_was_told_gives_the_same_verdict_again_bit_for_bit(court, name):
    trial = court[name]
    await trial.comes_to(lambda found: not found["active"])
    record = await trial.record()
    code, said = await court.replay(record)
    assert (code, "identical" in said) == (0, True), said


async def test_a_record_that_was_changed_by_one_failure_is_not_what_was_judged(court):
    await court["errors"].ends("rolled_back")
    lines = [json.loads(line) for line in (await court["errors"].record()).splitlines()]
    arm = next(line["second"]["cells"][0]["candidate"] for line in reversed(lines) if "second" in line)
    arm["errors"] += 1
    code, said = await court.replay("".join(json.dumps(line) + "\n" for line in lines))
    assert code == 1, said
