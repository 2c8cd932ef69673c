"""The part of the table of operations that is about flags."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from aiohttp import web

from gatekeeper.control.api import flag_answers, past_answers
from gatekeeper.control.api import flag_bodies as bodies
from gatekeeper.control.api.answers import FlagOutcome
from gatekeeper.control.api.flags import Flags
from gatekeeper.control.api.operation import Call, Content, Operation
from gatekeeper.control.api.parameters import OF_A_WRITE, flag, number
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.store.history import PAGE
from gatekeeper.control.store.rows import Answer
from gatekeeper.core.model import Role

_FLAGS: Final = "/v1/flags"
_FLAG: Final = _FLAGS + "/{flag}"
_NEW: Final = flag("new", "Make a flag that is not there yet.")
_EXAMPLE: Final = {"percent": 10, "owner": "checkout-team"}


def looking(parts: Parts) -> list[Operation]:
    flags = Flags(parts)
    return [
        Operation("flags", "GET", _FLAGS, Role.VIEWER, "All feature flags", flags.all, flag_answers.Flags, etag=True),
        Operation(
            "flag",
            "GET",
            _FLAG,
            Role.VIEWER,
            "One flag: what it is, what holds of it now, what a rollback returns to",
            flags.one,
            flag_answers.Flag,
            etag=True,
        ),
        Operation(
            "flag_history",
            "GET",
            _FLAG + "/history",
            Role.VIEWER,
            "The revisions that changed a flag, newest first; also of one that is gone",
            flags.history,
            past_answers.FlagHistory,
            query=(
                number("limit", "How many at most.", default=20, high=PAGE),
                number("before", "Only what is older than this one: the next page.", default=0),
            ),
        ),
    ]


def changing(parts: Parts, again: Callable[[Call, Answer], web.Response]) -> list[Operation]:
    flags = Flags(parts)

    def change(name: str, method: str, path: str, summary: str, handle: Any, **more: Any) -> Operation:
        query: Sequence[Any] = (*OF_A_WRITE, *more.pop("query", ()))
        return Operation(
            name, method, path, Role.OPERATOR, summary, handle, FlagOutcome, query=(*query,), again=again, **more
        )

    return [
        change(
            "set_flag",
            "PUT",
            _FLAG,
            "Change what the body says of a flag, or make one",
            flags.set,
            query=(_NEW,),
            content=Content(schema=parts.loader.flag_schema, name="FlagBody", needed=True, example=_EXAMPLE),
            codes=("invalid_body", "invalid_flag", "not_json", "flag_exists", "flag_killed", "too_many_flags"),
        ),
        change(
            "switch_flag_on",
            "POST",
            _FLAG + "/on",
            "Turn a flag on",
            flags.switch(on=True),
            content=Content(bodies.OnBody),
            codes=("flag_killed", "invalid_switch", "reason_required"),
        ),
        change(
            "switch_flag_off",
            "POST",
            _FLAG + "/off",
            "Turn a flag off, or kill it",
            flags.switch(on=False),
            content=Content(bodies.OffBody),
        ),
        change(
            "rollback_flag",
            "POST",
            _FLAG + "/rollback",
            "Take back the last change of a flag",
            flags.rollback,
            content=Content(bodies.RollbackFlagBody),
            codes=("flag_killed", "nothing_to_undo", "too_many_flags"),
        ),
        change(
            "remove_flag",
            "DELETE",
            _FLAG,
            "Remove a flag that a command made, or what commands made of one in the file",
            flags.remove,
            codes=("flag_in_file",),
        ),
    ]
