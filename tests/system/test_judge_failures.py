"""Whatever dies or is changed under way, the evidence goes on: no odds begin anew, and every second can be replayed."""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.system.judged import ERRORS, Case, open_court, plan
from tests.system.kernel import gone
from tests.system.parts import until
from tests.system.test_handover import upgrade

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

SUSPICIOUS = 4
"""Failures of the candidate, and none of stable's, that make it so at a weight of a fifth."""
SUSPICION = 10
WRITTEN = 0.2
"""Seconds in which the last second gets from the judge to its log. A kill within them may cost it."""
MISROUTED = """
import os, sys
from benchmarks.releases import misrouting
os.environ["PYTHONPATH"] = os.getcwd()
sys.argv = ["misrouting", "serve", "1.5", sys.argv[-1]]
sys.exit(misrouting.main())
"""
"""The candidate gets one and a half times the users that it is said to."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trial(tmp_path_factory):
    """A suspicious release, to which one thing after the other happens.

    Labels stick to users, each of whom comes twice. No number of failures rolls back, so that odds can be watched.
    """
    case = Case(
        plan((20, "1h"), **{**ERRORS, "min_events": 1000}),
        fields=twice,
        sticky={"by": ["header:X-User"]},
    )
    async with AsyncExitStack() as stack:
        court = await open_court(stack, tmp_path_factory.mktemp("failures"), {"shop": case})
        trial = court["shop"]
        await trial.begin()
        await trial.evidence(lambda found: found["requests"]["candidate"])
        await one_more(trial, SUSPICIOUS)
        await trial.says("suspicious")
        yield trial


def twice(number):
    return {"x_user": f"u{number - 101}", "x_again": "1"} if number % 2 else {"x_user": f"u{number}"}


async def one_more(trial, failures=1):
    """So many more requests of the candidate fail, each of another user; the evidence when it has them."""
    known = (await trial.evidence())["errors"]["candidate"]
    trial.green.owes = failures
    found = await trial.evidence(lambda found: found["errors"]["candidate"] >= known + failures)
    await asyncio.sleep(WRITTEN)
    return found


async def ready(gatekeeper):
    """The pids of both workers once they serve."""
    found = []

    async def both():
        workers = (await gatekeeper.admin("GET", "/v1/status"))[1]["workers"]
        found[:] = [worker["pid"] for worker in workers if worker["state"] == "ready"]
        return len(found) == 2

    await until(both)
    return found


# What may happen to a gatekeeper


async def reload(gatekeeper):
    services = {"shop": {**gatekeeper.services["shop"], "slow_start": "1s"}}
    gatekeeper.put(services)
    status, told = await gatekeeper.admin("POST", "/v1/reload", {})
    assert status == 200, told


async def kill_a_worker(gatekeeper):
    victim, _ = await ready(gatekeeper)
    os.kill(victim, signal.SIGKILL)
    await until(lambda: gone(victim))
    await ready(gatekeeper)


async def hand_over(gatekeeper):
    await asyncio.to_thread(upgrade, gatekeeper)


async def kill_the_supervisor(gatekeeper):
    """And wait until those who took care of users meanwhile, and recorded nothing, are gone."""
    (supervisor,), workers = gatekeeper.supervisor_pids(), gatekeeper.worker_pids()
    os.kill(supervisor, signal.SIGKILL)
    for process in gatekeeper.processes:
        await asyncio.to_thread(process.wait)
    await until(lambda: not gatekeeper.supervisor_pids())
    await gatekeeper.begin()
    await until(lambda: all(map(gone, workers)))


async def kill_everything(gatekeeper):
    await asyncio.to_thread(gatekeeper.end)
    await gatekeeper.begin()


@pytest.mark.parametrize(
    "happens", [reload, kill_a_worker, hand_over, kill_the_supervisor, kill_everything], ids=lambda each: each.__name__
)
async def test_the_evidence_goes_on(trial, happens):
    """What was known is known still, and one more failure adds to it: odds that began anew would be far below."""
    before = await one_more(trial)
    await happens(trial.court.gatekeeper)
    after = await one_more(trial)
    assert after["errors"] == {"stable": 0, "candidate": before["errors"]["candidate"] + 1}
    assert after["odds"] > before["odds"] > SUSPICION
    assert after["seconds"] > before["seconds"]
    assert after["requests"]["candidate"] > before["requests"]["candidate"]
    assert (await trial.release())["verdict"]["kind"] == "suspicious"


async def test_while_one_worker_hangs_the_other_one_s_failures_are_seen(trial):
    """It is waited for until it is found out; what it had recorded is missing, and that is said."""
    before = await one_more(trial)
    hangs, _ = await ready(trial.court.gatekeeper)
    os.kill(hangs, signal.SIGSTOP)
    await asyncio.sleep(WRITTEN)  # what it had sent has come to its backend
    after = await one_more(trial)
    assert after["odds"] > before["odds"] > SUSPICION
    await until(lambda: gone(hangs))
    found = await trial.evidence(lambda found: found["missing"] > before["missing"])
    assert any("a worker's report is missing" in note for note in found["notes"])
    assert (await trial.release())["state"] == "progressing"


async def test_after_all_of_that_every_second_gives_the_same_odds_again(trial):
    code, said = await trial.court.replay(await trial.record())
    assert (code, "identical" in said) == (0, True), said


def memory(gatekeeper):
    (found,) = Path(f"{gatekeeper.state}.judge").glob("*.units")
    return found


async def test_without_its_memory_of_users_it_compares_no_more_and_says_why(trial):
    """To go on would bet on their labels again."""
    before, gatekeeper = await one_more(trial), trial.court.gatekeeper
    await asyncio.to_thread(gatekeeper.end)
    memory(gatekeeper).unlink()
    await gatekeeper.begin()
    release = await trial.says("invalid")
    verdict = release["verdict"]
    assert (verdict["cause"], verdict["passes"]) == ("lost", False)
    assert verdict["sentence"].startswith("the memory of units is not there any more")
    assert (release["state"], release["step"]) == ("progressing", 0)
    (found,) = release["verdicts"]
    assert found["errors"]["candidate"] == before["errors"]["candidate"]


async def test_users_who_are_not_where_they_were_drawn_to_make_a_comparison_invalid_and_the_weight_stays(tmp_path):
    """The share that the candidate gets is measured, not believed; its hold of a second is over long ago."""
    program = [sys.executable, "-c", MISROUTED]
    async with AsyncExitStack() as stack:
        case = Case(plan((20, "1s"), **ERRORS), rate=250)
        court = await open_court(stack, tmp_path, {"shop": case}, program=program)
        # Nobody else would find its workers.
        stack.push_async_callback(court.gatekeeper.stop)
        trial = court["shop"]
        await trial.begin()
        release = await trial.says("invalid")
        verdict = release["verdict"]
        assert (verdict["cause"], verdict["passes"]) == ("routing", False)
        assert "the routing is not what it should be" in verdict["sentence"]
        assert sum(release["verdicts"][0]["draws"].values()) < 1500
        await asyncio.sleep(1.5)
        release = await trial.release()
        assert (release["state"], release["step"]) == ("progressing", 0)
        assert await trial.split() == {"blue": 80, "green": 20}
