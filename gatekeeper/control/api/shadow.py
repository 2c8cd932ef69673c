"""Copies of users' requests: what is made, what came of them, and beginning anew."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from aiohttp import web

from gatekeeper.control.api import shadow_answers as answers
from gatekeeper.control.api import wire
from gatekeeper.control.api.operation import Call, Operation
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.reads import service_of
from gatekeeper.control.shadow.run import Run
from gatekeeper.control.store.rows import Audit
from gatekeeper.core.model import Role, Service, Version
from gatekeeper.core.shadow.report import report
from gatekeeper.core.shadow.runs import runs

Document = dict[str, Any]

_SHADOW: Final = "/v1/services/{service}/shadow"


def looking(parts: Parts) -> list[Operation]:
    return [
        Operation(
            "shadow",
            "GET",
            _SHADOW,
            Role.VIEWER,
            "Copies of users' requests: how the answers to them differ",
            Shadow(parts).report,
            answers.Shadow,
            etag=True,
        )
    ]


def changing(parts: Parts) -> list[Operation]:
    return [
        Operation(
            "reset_shadow",
            "POST",
            _SHADOW + "/reset",
            Role.OPERATOR,
            "Begin counting copies and differences anew",
            Shadow(parts).reset,
            answers.ShadowReset,
            etag=True,
        )
    ]


class Shadow:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def report(self, call: Call) -> web.Response:
        service, state = service_of(self._parts, call.path("service")).definition, self._parts.controller.state
        found = self._parts.shadowing.of(service.name)
        document = {
            "revision": state.revision,
            "service": service.name,
            "mirrors": _mirrors(service),
            "runs": [_run(run, service.versions) for run in found],
        }
        return wire.answer(document, revision=state.revision)

    async def reset(self, call: Call) -> web.Response:
        name, revision = (
            service_of(self._parts, call.path("service")).definition.name,
            self._parts.controller.state.revision,
        )
        many = self._parts.shadowing.reset(name)
        actor, now, feed = call.actor, self._parts.clock.wall(), self._parts.feed
        feed.tell({"kind": "shadow_reset", "service": name, "actor": actor.name, "runs": many})
        feed.note(Audit(now, actor.name, actor.via, "shadow_reset", name, None, "done", f"{many} runs"))
        return wire.answer({"revision": revision, "service": name, "runs": many}, revision=revision)


def _mirrors(service: Service) -> list[Document]:
    return [
        {
            "rule": rule,
            "to": run.mirror.to,
            "percent": run.mirror.percent,
            "methods": list(run.mirror.methods),
            "noise": run.mirror.compare.noise,
        }
        for rule, run in (runs(service) or {}).items()
    ]


def _run(run: Run, versions: Mapping[str, Version]) -> Document:
    version, found = versions.get(run.version), asdict(report(run.tally))
    for row in (*found["differences"], *found["noise"]):
        row["samples"] = [sample._asdict() for sample in row["samples"]]
    return {
        "version": run.version,
        "build": version.build if version is not None else None,
        "check": run.check,
        "active": run.active,
        "since": run.since,
        "at": run.at or None,
        **found,
    }
