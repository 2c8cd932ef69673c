"""All checks of a gate are made at once, and their results come in the order of the plan."""

import asyncio
from dataclasses import replace

import pytest

from gatekeeper.control.releases import verification as module
from gatekeeper.control.releases.candidate import Candidate
from gatekeeper.control.releases.finding import Finding
from gatekeeper.control.releases.verification import AT_ONCE, Verification
from gatekeeper.core.model import Backend, Service, Settings, Version
from gatekeeper.core.release.plan import Check, HttpCheck

CHECKS = [Check(http=HttpCheck(f"/{name}")) for name in "abc"]


def candidate(name):
    version = Version("green", (Backend("http://10.0.0.1:1"),))
    return Candidate(Service(name, {"green": version}, "green", {}), version, Settings(), 1)


SHOP, CART = candidate("shop"), candidate("cart")


class Looker:
    """``findings`` by path, else all passes; ``after`` are seconds, by path; ``began`` and ``cancelled`` are paths."""

    def __init__(self):
        self.findings, self.after = {}, {}
        self.began, self.cancelled = [], []
        self.now = self.most = 0

    async def __call__(self, check, candidate):
        path = f"{candidate.service.name}{check.http.path}"
        self.began.append(path)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.after.get(path, 0))
        except asyncio.CancelledError:
            self.cancelled.append(path)
            raise
        finally:
            self.now -= 1
        found = self.findings.get(path, Finding(passed=True, text=f"{path} is fine"))
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def look():
    return Looker()


async def run(look, checks=CHECKS, candidates=(SHOP, CART), time=lambda: 50.0):
    return await Verification("start", checks, candidates).run(look, time)


async def test_results_come_service_by_service_in_the_order_of_the_plan_whoever_is_first(look):
    look.after = {"shop/a": 0.05, "cart/b": 0.02}
    times = iter(range(100))
    results = await run(look, time=lambda: float(next(times)))
    names = [(each.service, each.name) for each in results]
    assert names == [(service, f"http /{name}") for service in ("shop", "cart") for name in "abc"]
    assert results[0].at == 5.0, "it was the last to end"
    assert results[0].seconds >= 0.05
    assert {each.gate for each in results} == {"start"}
    assert all(each.passed for each in results)
    assert results[0].output == "shop/a is fine"
    assert results[0].version == SHOP.digest


async def test_they_run_at_once_but_not_all_of_a_hundred(look):
    checks = [Check(http=HttpCheck(f"/{number}")) for number in range(50)]
    look.after = {f"shop/{number}": 0.001 for number in range(50)}
    assert len(await run(look, checks)) == 100
    assert look.most == AT_ONCE


async def test_when_one_has_failed_the_others_have_a_while_to_end_and_then_are_ended(look, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.1)
    look.findings = {"shop/a": Finding(passed=False, text="no")}
    look.after = {"shop/b": 0.02, "shop/c": 60.0}
    async with asyncio.timeout(5):
        results = await run(look, candidates=(SHOP,))
    assert [(each.passed, each.output) for each in results] == [
        (False, "no"),
        (True, "shop/b is fine"),
        (False, "not finished: another check had failed"),
    ]
    assert look.cancelled == ["shop/c"]


async def test_a_defect_of_a_check_is_a_failed_check_and_said_in_the_log(look, caplog):
    look.findings = {"shop/b": ZeroDivisionError("oops")}
    results = await run(look, candidates=(SHOP,))
    assert [each.passed for each in results] == [True, False, True]
    assert "the check itself failed: ZeroDivisionError('oops')" in results[1].output
    assert "a check failed by itself" in caplog.text


async def test_cancelled_it_ends_every_check(look):
    look.after = dict.fromkeys(("shop/a", "shop/b", "shop/c"), 60.0)
    task = asyncio.create_task(run(look, candidates=(SHOP,)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(look.cancelled) == ["shop/a", "shop/b", "shop/c"]


async def test_checks_that_look_twice_in_one_place_are_told_apart(look):
    """Each must pass: a result that took the place of another one's could hide that it failed."""
    checks = [Check(http=HttpCheck("/a")), Check(http=HttpCheck("/a", body_contains="ok"))]
    assert [each.name for each in await run(look, checks, candidates=(SHOP,))] == ["http /a", "http /a (2)"]


async def test_without_checks_there_is_nothing_to_wait_for(look):
    assert await run(look, []) == ()


async def test_it_shows_how_far_it_is(look, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 2)
    look.after = {"shop/b": 60.0}
    look.findings = {"shop/a": Finding(passed=False, text="no")}
    verification = Verification("1", [*CHECKS, replace(CHECKS[0], http=HttpCheck("/d"))], [SHOP])
    look.after["shop/c"] = 60.0
    task = asyncio.create_task(verification.run(look, lambda: 1.0))
    await asyncio.sleep(0.02)
    now = asyncio.get_running_loop().time()
    shown = [item.document(now) for item in verification.items]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [(each["name"], each["state"]) for each in shown] == [
        ("http /a", "failed"),
        ("http /b", "running"),
        ("http /c", "running"),
        ("http /d", "waiting"),
    ]
    assert shown[1]["seconds"] > 0.01
    assert shown[3] == {"service": "shop", "name": "http /d", "state": "waiting", "seconds": 0.0}
