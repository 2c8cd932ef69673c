"""Signed passes for testers. Issuing one changes nothing that decides routing; it is told, and audited."""

from typing import Any, cast

from aiohttp import web

from gatekeeper.control.api import wire
from gatekeeper.control.api.bodies import PASS_SECONDS, PassBody
from gatekeeper.control.api.changing import REPLAYED, fingerprint, owner, refuse_moved
from gatekeeper.control.api.operation import Call
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.reads import service_of
from gatekeeper.control.api.wire import ProblemError
from gatekeeper.control.store.rows import Answer, Audit, Record
from gatekeeper.core import passes
from gatekeeper.core.model import Service


class Passes:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def issue(self, call: Call) -> web.Response:
        service = service_of(self._parts, call.path("service")).definition
        body = cast("PassBody", call.body)
        await refuse_moved(self._parts, call.expected)
        now = self._parts.clock.wall()
        expires = int(now) + (body.ttl or PASS_SECONDS)
        what = {"service": service.name, "versions": body.versions, "expires": expires}
        document = {"pass": _signed(service, body.versions, expires), **what}
        # The pass itself is kept nowhere: it is made of the same again for a repetition.
        await self._record(call, what, now)
        return wire.answer(document)

    def again(self, call: Call, answer: Answer) -> web.Response:
        """The same pass for a repetition; with another key than then if the first one was replaced since."""
        del call
        what = answer.document
        service = service_of(self._parts, what["service"]).definition
        token = _signed(service, what["versions"], what["expires"])
        return wire.answer({"pass": token, **what}, headers=REPLAYED)

    async def _record(self, call: Call, what: dict[str, Any], now: float) -> None:
        actor, feed, revision = call.actor, self._parts.feed, self._parts.controller.state.revision
        event = {"kind": "pass_issued", "actor": actor.name, **what, "versions": sorted(set(what["versions"]))}
        if call.key is None:
            feed.tell(event)
            feed.note(self._audit(call, what, now))
            return
        answer = Answer(call.key, owner(call), fingerprint(call), revision, revision, what)
        record = Record(
            revision=None,
            at=now,
            actor=actor.name,
            action="pass",
            events=[event],
            answer=answer,
            audit=self._audit(call, what, now),
        )
        async with feed.order:
            feed.emit(await self._parts.store.append(record))

    @staticmethod
    def _audit(call: Call, what: dict[str, Any], now: float) -> Audit:
        detail = f"for {', '.join(what['versions'])}"
        return Audit(now, call.actor.name, call.actor.via, "pass", what["service"], None, "done", detail)


def _signed(service: Service, versions: list[str], expires: int) -> str:
    """Raises ProblemError: 409 without a key to sign with, 422 for a pass that would be too long."""
    if not service.testers.keys:
        raise ProblemError(
            409,
            "no_keys",
            f"service {service.name} has no key to sign passes with",
            allowed="name one in `testers.keys` of the file and reload",
        )
    try:
        return passes.issue(service.testers.keys[0], service.name, versions, expires)
    except passes.PassError as error:
        raise ProblemError(422, "invalid_body", str(error)) from error
