"""The part of the admin API that is about feature flags."""

import secrets
from typing import cast

from aiohttp import web

from gatekeeper.control.api import flag_views, views, wire
from gatekeeper.control.api.changing import Changer, Describe, load
from gatekeeper.control.api.flag_bodies import OffBody, OnBody, RollbackFlagBody
from gatekeeper.control.api.operation import Call, Handler
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.wire import Document, ProblemError
from gatekeeper.core.flags.commands import RemoveFlag, RollbackFlag, SetFlag, SwitchFlag
from gatekeeper.core.flags.model import FlagState
from gatekeeper.core.model import State


class Flags:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._change = Changer(parts)

    # Looking

    async def all(self, call: Call) -> web.Response:
        del call
        state, now = self._parts.controller.state, self._parts.clock.wall()
        found = [
            flag_views.brief(state.flags[name], now, self._parts.flag_standing(name)) for name in sorted(state.flags)
        ]
        return wire.answer({"revision": state.revision, "flags": found}, revision=state.revision)

    async def one(self, call: Call) -> web.Response:
        state = self._parts.controller.state
        standing = self._parts.flag_standing(call.path("flag"))
        document = flag_views.full(self._flag(call), self._parts.clock.wall(), standing)
        return wire.answer({**document, "revision": state.revision}, revision=state.revision)

    async def history(self, call: Call) -> web.Response:
        """The newest first; also of a flag that is gone. ``before`` asks for the next page."""
        name = call.path("flag")
        rows = await self._parts.store.revisions(
            flag=name, limit=call.query["limit"], before=call.query["before"] or None
        )
        if not rows and not call.query["before"]:
            self._flag(call)
        return wire.answer({"flag": name, "revisions": [views.revision(row, None) for row in rows]})

    # Changing

    async def set(self, call: Call) -> web.Response:
        """The body is read by the models of the file, so that both take the same."""
        document, loader = wire.parse_object(call.raw), self._parts.loader
        changes = await load(lambda: loader.flag(document), "invalid_flag")
        command = SetFlag(
            **self._change.wishes(call),
            name=call.path("flag"),
            changes=changes,
            new=call.query["new"],
            salt=secrets.token_hex(16),
        )
        return await self._change(call, command, self._describe(call))

    def switch(self, *, on: bool) -> Handler:
        async def handle(call: Call) -> web.Response:
            body = cast("OnBody | OffBody", call.body)
            command = SwitchFlag(
                **self._change.wishes(call, body.reason),
                name=call.path("flag"),
                on=on,
                kill=isinstance(body, OffBody) and body.kill,
                revive=isinstance(body, OnBody) and body.revive,
            )
            return await self._change(call, command, self._describe(call))

        return handle

    async def rollback(self, call: Call) -> web.Response:
        body = cast("RollbackFlagBody", call.body)
        command = RollbackFlag(**self._change.wishes(call, body.reason), name=call.path("flag"))
        return await self._change(call, command, self._describe(call))

    async def remove(self, call: Call) -> web.Response:
        command = RemoveFlag(**self._change.wishes(call), name=call.path("flag"))
        return await self._change(call, command, self._describe(call))

    # Parts of these

    def _flag(self, call: Call) -> FlagState:
        """Raises ProblemError (404) with a did-you-mean."""
        return flag_of(self._parts, call.path("flag"))

    def _describe(self, call: Call) -> Describe:
        name, now, standing = call.path("flag"), self._parts.clock.wall, self._parts.flag_standing

        def describe(state: State) -> Document:
            found = state.flags.get(name)
            return {"flag": name, "now": None if found is None else flag_views.brief(found, now(), standing(name))}

        return describe


def flag_of(parts: Parts, name: str) -> FlagState:
    """The flag of that name. Raises ProblemError (404) with a did-you-mean."""
    flags = parts.controller.state.flags
    found = flags.get(name)
    if found is None:
        problem = wire.unknown("flag", name, "flag", sorted(flags))
        meant = f" (did you mean {problem['suggestion']}?)" if "suggestion" in problem else ""
        detail = f"there is no flag {wire.shown(name)}{meant}"
        raise ProblemError(404, "unknown_flag", detail, allowed=problem["allowed"], problems=[problem])
    return found
