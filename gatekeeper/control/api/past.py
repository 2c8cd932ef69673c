"""The part of the admin API that looks back: revisions, their differences, who did what; and what makes it shorter."""

from typing import cast

from aiohttp import web

from gatekeeper.control.api import views, wire
from gatekeeper.control.api.bodies import PruneBody
from gatekeeper.control.api.changing import REPLAYED, fingerprint, owner, refuse_moved
from gatekeeper.control.api.operation import Call
from gatekeeper.control.api.parameters import seconds_of
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.reads import service_of
from gatekeeper.control.api.wire import Document, ProblemError
from gatekeeper.control.store.rows import Answer, Audit, Record
from gatekeeper.core import codec
from gatekeeper.core.difference import compare, past_state
from gatekeeper.core.past import Past


class History:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def revisions(self, call: Call) -> web.Response:
        """The newest first; ``before`` asks for the next page."""
        service = call.query["service"]
        rows = await self._parts.store.revisions(
            service=service,
            limit=call.query["limit"],
            before=call.query["before"] or None,
            after=call.query["after"],
        )
        if service is not None and not rows:
            service_of(self._parts, service)
        return wire.answer({"revisions": [views.revision(row, service) for row in rows]})

    async def revision(self, call: Call) -> web.Response:
        number = wire.revision_in_path(call.path("revision"))
        service, other = call.query["service"], call.query["diff"]
        past = await self._past(number, service)
        if other is not None:
            return wire.answer(self._difference(number, past, other, await self._past(other, service), service))
        rows = await self._parts.store.revisions(before=number + 1, after=number - 1, limit=1)
        if not rows:  # pruned this very moment
            raise _unknown(number)
        document = {"services": views.past(past, service), "flags_then": views.past_flags(past)}
        return wire.answer({**views.revision(rows[0], service), **document})

    async def audit(self, call: Call) -> web.Response:
        """Who did or tried what, the newest first."""
        await self._parts.feed.flush()  # what was refused is written behind
        rows = await self._parts.store.audit(call.query["limit"], call.query["before"] or None)
        return wire.answer({"audit": [row.document() for row in rows]})

    async def prune(self, call: Call) -> web.Response:
        body = cast("PruneBody", call.body)
        wire.note(call.query["note"] or "")
        await refuse_moved(self._parts, call.expected)
        now = self._parts.clock.wall()
        older = now - (seconds_of(body.older_than) or 0.0) if body.older_than is not None else None
        counts = await self._parts.store.prune(body.before, older, dry_run=call.dry_run)
        oldest = counts.pop("oldest")
        revision = self._parts.controller.state.revision
        document: Document = {
            "revision": revision,
            "oldest": oldest,
            "dry_run": call.dry_run,
            "removed": counts,
        }
        if not call.dry_run:
            await self._record(call, document, now)
        return wire.answer(document, revision=revision)

    def again(self, call: Call, answer: Answer) -> web.Response:
        del call
        return wire.answer(answer.document, revision=answer.revision, headers=REPLAYED)

    async def _past(self, number: int, service: str | None) -> Past:
        """Raises ProblemError (404)."""
        past = await self._parts.store.state_at(number)
        if past is None:
            raise _unknown(number)
        if service is not None and service not in past.services:
            service_of(self._parts, service)
        return past

    @staticmethod
    def _difference(number: int, past: Past, other: int, before: Past, service: str | None) -> Document:
        changes = compare(past_state(before, past), past_state(past, before))
        only = f"services.{service}"
        found = [
            change for change in changes if service is None or change.path == only or change.path.startswith(f"{only}.")
        ]
        return {"revision": number, "diff": other, "changes": codec.dump(found)}

    async def _record(self, call: Call, document: Document, now: float) -> None:
        """Durable with the answer: a repetition must not delete what has become old meanwhile."""
        actor, feed, revision = call.actor, self._parts.feed, self._parts.controller.state.revision
        note = wire.note(call.query["note"] or "")
        removed = ", ".join(f"{count} {name}" for name, count in document["removed"].items())
        event = {"kind": "history_pruned", "actor": actor.name, "note": note, "oldest": document["oldest"]}
        answer = None
        if call.key is not None:
            answer = Answer(call.key, owner(call), fingerprint(call), revision, revision, document)
        record = Record(
            revision=None,
            at=now,
            actor=actor.name,
            action="prune",
            events=[{**event, "removed": document["removed"]}],
            answer=answer,
            audit=Audit(now, actor.name, actor.via, "prune", "", None, "done", f"removed {removed}"),
        )
        async with feed.order:
            feed.emit(await self._parts.store.append(record))


def _unknown(number: int) -> ProblemError:
    return ProblemError(
        404,
        "unknown_revision",
        f"the history does not have revision {number}",
        allowed="a revision of `GET /v1/revisions`",
    )
