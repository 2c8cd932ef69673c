"""A whole new definition: from the file, or from a body."""

import secrets
from dataclasses import replace
from typing import Any, Final, cast

from aiohttp import web

from gatekeeper.control.api.bodies import ReloadBody
from gatekeeper.control.api.changing import Changer, kept, load, once_of, submit
from gatekeeper.control.api.operation import Call
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.tokens import Tokens
from gatekeeper.control.api.wire import ProblemError
from gatekeeper.control.controller import Result
from gatekeeper.control.store.rows import Once
from gatekeeper.core import codec
from gatekeeper.core.command import Reload

NOT_WRITTEN: Final = (
    "in effect until the next reload, or until a restart finds the file edited; the file was not written"
)


class Config:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._change = Changer(parts)

    async def reload(self, call: Call) -> web.Response:
        body = cast("ReloadBody", call.body)
        result = await reload_file(
            self._parts,
            **self._change.wishes(call, body.note),
            reset_split=body.reset_split,
            dry_run=call.dry_run,
            once=once_of(call, kept),
            via=call.actor.via,
        )
        return self._change.answer(result)

    async def put(self, call: Call) -> web.Response:
        try:
            text = call.raw.decode()
        except UnicodeDecodeError as error:
            raise ProblemError(
                400, "not_text", f"the body is not UTF-8 text: {error}", allowed="YAML or JSON"
            ) from None
        loader, local = self._parts.loader, call.actor.local
        command = Reload(
            **self._change.wishes(call),
            definition=await load(lambda: loader.text(text, local=local)),
            entropy=secrets.token_hex(32),
            reset_split=call.query["reset_split"],
            from_file=False,
        )
        return await self._change(call, command, lambda _: {"note": NOT_WRITTEN})


async def reload_file(
    parts: Parts,
    *,
    reset_split: bool = False,
    dry_run: bool = False,
    once: Once | None = None,
    via: str,
    **wishes: Any,
) -> Result:
    """Take up the file, and the token file with it; all of both or nothing. Then certificates whose files changed.

    ``wishes`` are what every command has: actor and so on. Raises ProblemError: 422 with everything that is wrong, or
    why it is refused.
    """
    tokens = parts.tokens
    if parts.tokens_path is not None:
        path = parts.tokens_path
        tokens = await load(lambda: Tokens.load(path))
    command = Reload(
        definition=await load(parts.loader.file), entropy=secrets.token_hex(32), reset_split=reset_split, **wishes
    )
    result = await submit(parts, command, dry_run=dry_run, once=once, via=via)
    if not dry_run and not result.replayed:
        parts.tokens = tokens
    if parts.renew is not None and not result.replayed:
        renewed = await parts.renew(command.actor, dry_run=dry_run)
        result = replace(result, changes=[*result.changes, *codec.dump(list(renewed))])
    return result
