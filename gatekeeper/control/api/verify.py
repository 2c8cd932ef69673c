"""A plan's checks against a version, now, without a release. Nothing changes by it; who asked stands in the audit."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from aiohttp import web

from gatekeeper.control.api import wire
from gatekeeper.control.api.operation import Call
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.reads import service_of, unknown_version
from gatekeeper.control.api.release_bodies import VerifyBody
from gatekeeper.control.api.releases import plan_named, plan_names
from gatekeeper.control.api.wire import ProblemError
from gatekeeper.control.store.rows import Audit
from gatekeeper.core.command import Refused
from gatekeeper.core.release import gates
from gatekeeper.core.release.model import CheckResult
from gatekeeper.core.release.plan import Check, Plan

THERE_SECONDS: Final = 0.25
"""How often it is seen whether the caller is still there: nobody else wants to know."""


class Verify:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def context(self, _: web.Request) -> Mapping[str, Any]:
        return {"plans": plan_names(self._parts.controller.state)}

    async def verify(self, call: Call) -> web.Response:
        """Answers when all checks have ended, at the latest after ``wait``; ends them if the caller goes away."""
        parts, body, began = self._parts, cast("VerifyBody", call.body), self._parts.clock.monotonic()
        service = service_of(parts, call.path("service"))
        name = service.definition.name
        if body.version not in service.definition.versions:
            raise unknown_version(service, body.version)
        plan = self._plan(name, body.plan)
        results = await self._made(call, name, body.version, gates.checks_before(plan, 0))
        if results is None:
            return web.Response()  # to nobody
        passed = all(result.passed for result in results)
        self._note(call, name, body.version, results)
        return wire.answer(
            {
                "revision": parts.controller.state.revision,
                "service": name,
                "version": body.version,
                "build": service.definition.versions[body.version].build,
                "plan": plan.name,
                "passed": passed,
                "seconds": round(parts.clock.monotonic() - began, 3),
                "results": [
                    {
                        "name": result.name,
                        "passed": result.passed,
                        "seconds": result.seconds,
                        "output": result.output,
                        "at": result.at,
                    }
                    for result in results
                ],
            }
        )

    def _plan(self, service: str, wanted: str | None) -> Plan:
        """The plan whose checks are made. Raises ProblemError (409) for none, and for one without."""
        state = self._parts.controller.state
        plan = plan_named(state, service, wanted)
        if plan is not None and gates.checks_before(plan, 0):
            return plan
        some = [each.name for each in state.releasing.plans.values() if gates.checks_before(each, 0)]
        what = f"plan {plan.name} checks nothing" if plan is not None else f"service {service} has no plan of its own"
        raise ProblemError(
            409,
            "nothing_to_verify",
            f"{what}, so there is nothing to verify" + (" before its first step" if plan is not None else ""),
            allowed=f"a plan with checks: {', '.join(some)}" if some else "a plan in the file, with `verify:`",
        )

    async def _made(
        self, call: Call, service: str, version: str, checks: Sequence[Check]
    ) -> tuple[CheckResult, ...] | None:
        """What the checks came to; None if the caller went away meanwhile, and with him the checks."""
        making = asyncio.create_task(self._parts.runner.verify(service, version, checks, call.query["wait"]))
        try:
            while not making.done():
                await asyncio.wait([making], timeout=THERE_SECONDS)
                transport = call.request.transport
                if transport is None or transport.is_closing():
                    return None
            return making.result()
        except Refused as refusal:
            raise ProblemError(refusal.status, refusal.code, refusal.detail, allowed=refusal.allowed) from refusal
        finally:
            if not making.done():
                making.cancel()
                await asyncio.wait([making])

    def _note(self, call: Call, service: str, version: str, results: Sequence[CheckResult]) -> None:
        passed = sum(result.passed for result in results)
        detail = f"{version}: {passed} of {len(results)} checks passed"
        actor, now = call.actor, self._parts.clock.wall()
        self._parts.feed.note(Audit(now, actor.name, actor.via, "verify", service, None, "done", detail))
