"""The part of the admin API that changes something: each request becomes one command, and the reply its outcome."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from aiohttp import web

from gatekeeper.control import views, wire
from gatekeeper.control.auth import Actor, Tokens
from gatekeeper.control.controller import Result
from gatekeeper.control.parts import Parts
from gatekeeper.control.reads import service_of
from gatekeeper.control.wire import Fields, ProblemError
from gatekeeper.core import codec, passes
from gatekeeper.core.command import Command, Refused, Reload, Rollback, SetSplit, apply
from gatekeeper.core.outcome import plain
from gatekeeper.errors import GatekeeperError

T = TypeVar("T")

PASS_SECONDS: Final = 8 * 3600
"""A pass without a stated lifetime: a working day."""
PASS_SECONDS_MOST: Final = 30 * 24 * 3600
"""A pass cannot be taken back alone, only with its key; a month is long enough to be reminded of it."""

_NOT_WRITTEN: Final = "in effect until the next reload or restart, which read the file again; the file was not written"


class Writes:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def split(self, request: web.Request, actor: Actor) -> web.Response:
        query = wire.query(request, "dry_run", "note")
        dry_run = wire.query_flag(query, "dry_run")
        service = service_of(self._parts, request).definition.name
        weights, problems = wire.weights(wire.parse_object(await wire.read_body(request, wire.BODY_BYTES)))
        command = SetSplit(
            actor=actor.name,
            note=wire.note(query.get("note", "")),
            expected_revision=self._expected(request),
            service=service,
            weights=weights,
            salt=secrets.token_hex(16),
        )
        if problems:
            problems += self._also_wrong(command)
            raise ProblemError(
                422, "invalid_weights", f"the split of service {service} was not changed", problems=problems
            )
        return self._service_answer(service, await self._submit(command, dry_run=dry_run))

    async def rollback(self, request: web.Request, actor: Actor) -> web.Response:
        query = wire.query(request, "dry_run", "note")
        dry_run = wire.query_flag(query, "dry_run")
        service = service_of(self._parts, request).definition.name
        fields = Fields(wire.parse_object(await wire.read_body(request, wire.BODY_BYTES)), ("to", "note"))
        to = fields.integer("to", 0, 2**62)
        note = fields.text("note", limit=wire.NOTE)
        fields.done()
        command = Rollback(
            actor=actor.name,
            note=wire.note(note or query.get("note", "")),
            expected_revision=self._expected(request),
            service=service,
            to_revision=to,
        )
        return self._service_answer(service, await self._submit(command, dry_run=dry_run))

    async def reload(self, request: web.Request, actor: Actor) -> web.Response:
        query = wire.query(request, "dry_run", "note")
        dry_run = wire.query_flag(query, "dry_run")
        fields = Fields(wire.parse_object(await wire.read_body(request, wire.BODY_BYTES)), ("reset_split", "note"))
        reset_split = fields.flag("reset_split")
        note = fields.text("note", limit=wire.NOTE)
        fields.done()
        result = await reload_file(
            self._parts,
            actor=actor.name,
            note=wire.note(note or query.get("note", "")),
            expected_revision=self._expected(request),
            reset_split=reset_split,
            dry_run=dry_run,
        )
        return self._answer(result)

    async def config(self, request: web.Request, actor: Actor) -> web.Response:
        query = wire.query(request, "dry_run", "note", "reset_split")
        dry_run = wire.query_flag(query, "dry_run")
        reset_split = wire.query_flag(query, "reset_split")
        body = await wire.read_body(request, wire.CONFIG_BYTES)
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise ProblemError(
                400, "not_text", f"the body is not UTF-8 text: {error}", allowed="YAML or JSON"
            ) from None
        loader = self._parts.loader
        command = Reload(
            actor=actor.name,
            note=wire.note(query.get("note", "")),
            expected_revision=self._expected(request),
            definition=await load(lambda: loader.text(text)),
            entropy=secrets.token_hex(32),
            reset_split=reset_split,
        )
        return self._answer(await self._submit(command, dry_run=dry_run), note=_NOT_WRITTEN)

    async def passes(self, request: web.Request, actor: Actor) -> web.Response:
        wire.query(request)
        service = service_of(self._parts, request).definition
        fields = Fields(wire.parse_object(await wire.read_body(request, wire.BODY_BYTES)), ("versions", "ttl"))
        versions = fields.texts("versions")
        seconds = fields.integer("ttl", 1, PASS_SECONDS_MOST) or PASS_SECONDS
        if not versions and not fields.problems:
            fields.wrong("versions", "names no version", None, ", ".join(service.versions))
        for at, name in enumerate(versions):
            if name not in service.versions:
                fields.problems.append(wire.unknown(f"versions[{at}]", name, "version", service.versions))
        fields.done()
        if not service.testers.keys:
            raise ProblemError(
                409,
                "no_keys",
                f"service {service.name} has no key to sign passes with",
                allowed="name one in `testers.keys` of the file and reload",
            )
        expires = int(self._parts.clock.wall()) + seconds
        try:
            token = passes.issue(service.testers.keys[0], service.name, versions, expires)
        except passes.PassError as error:
            raise ProblemError(422, "invalid_body", str(error)) from error
        who = {"actor": actor.name, "service": service.name}
        self._parts.feed.tell({"kind": "pass_issued", **who, "versions": sorted(set(versions)), "expires": expires})
        return wire.answer({"pass": token, "expires": expires, "service": service.name, "versions": versions})

    def _expected(self, request: web.Request) -> int | None:
        return wire.expected_revision(request, self._parts.controller.state.revision)

    async def _submit(self, command: Command, *, dry_run: bool) -> Result:
        return await submit(self._parts, command, dry_run=dry_run)

    def _also_wrong(self, command: SetSplit) -> list[dict[str, Any]]:
        """What the command would say to the weights that are numbers: all mistakes go into one answer."""
        try:
            apply(self._parts.controller.state, replace(command, expected_revision=None), self._parts.clock.wall())
        except Refused as refusal:
            # With a weight missing, the total of the others says nothing.
            return [codec.dump(problem) for problem in refusal.problems if problem.path]
        return []

    def _service_answer(self, service: str, result: Result) -> web.Response:
        split = plain(result.state.services[service].running.split.weights)
        return self._answer(result, service=service, split=split)

    def _answer(self, result: Result, **more: Any) -> web.Response:
        document = {
            "revision": result.state.revision,
            "base": result.base,
            "dry_run": result.dry_run,
            **more,
            "changes": result.changes,
            "workers": {"acknowledged": result.acknowledged, "total": result.total},
            "ms": round(result.ms, 3),
        }
        return wire.answer(document, revision=result.base if result.dry_run else result.state.revision)


async def reload_file(
    parts: Parts,
    *,
    actor: str,
    note: str = "",
    expected_revision: int | None = None,
    reset_split: bool = False,
    dry_run: bool = False,
) -> Result:
    """Take up the file, and the token file with it; all of both or nothing. Then certificates whose files changed.

    Raises ProblemError: 422 with everything that is wrong, or why it is refused.
    """
    tokens = parts.tokens
    if parts.tokens_path is not None:
        path = parts.tokens_path
        tokens = await load(lambda: Tokens.load(path))
    command = Reload(
        actor=actor,
        note=note,
        expected_revision=expected_revision,
        definition=await load(parts.loader.file),
        entropy=secrets.token_hex(32),
        reset_split=reset_split,
    )
    result = await submit(parts, command, dry_run=dry_run)
    if not dry_run:
        parts.tokens = tokens
    if parts.renew is not None:
        renewed = await parts.renew(actor, dry_run=dry_run)
        result = replace(result, changes=[*result.changes, *codec.dump(list(renewed))])
    return result


async def submit(parts: Parts, command: Command, *, dry_run: bool) -> Result:
    """The outcome of a command; a 412 says what changed since the revision that was expected."""
    try:
        return await parts.controller.submit(command, dry_run=dry_run)
    except Refused as refusal:
        extra: dict[str, Any] = {"revision": parts.controller.state.revision}
        if refusal.status == 412 and command.expected_revision is not None:
            rows = await parts.store.revisions(after=command.expected_revision, limit=20)
            extra["changed"] = [views.revision(row, None) for row in rows]
        raise ProblemError(
            refusal.status,
            refusal.code,
            refusal.detail,
            allowed=refusal.allowed,
            problems=[codec.dump(problem) for problem in refusal.problems],
            headers={"ETag": f'"{parts.controller.state.revision}"'},
            extra=extra,
        ) from refusal


async def load(read: Callable[[], T]) -> T:
    """What ``read`` gives, in a thread; its problems as a ProblemError."""
    try:
        return await asyncio.to_thread(read)
    except GatekeeperError as error:
        problems = [codec.dump(problem) for problem in getattr(error, "problems", ())]
        count = f"{len(problems)} problems" if len(problems) != 1 else "1 problem"
        raise ProblemError(
            422,
            "invalid_file",
            f"{count}; nothing was changed" if problems else str(error),
            problems=problems,
        ) from error
