"""From a request to a command and from its result to the reply: what every write of the API has in common.

A write with an ``Idempotency-Key`` acts once. What was answered is stored with the change, so that a repetition gets
the same answer, also after a restart, and whatever has changed since. Its own present is added: which workers follow.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from aiohttp import web

from gatekeeper.control.api import views, wire
from gatekeeper.control.api.operation import Call
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.wire import Document, ProblemError
from gatekeeper.control.controller import Result
from gatekeeper.control.store.rows import Answer, Once
from gatekeeper.core import codec
from gatekeeper.core.command import Command, Refused
from gatekeeper.core.model import State
from gatekeeper.errors import GatekeeperError

T = TypeVar("T")

Describe = Callable[[State], Document]

CHANGED_SHOWN: Final = 20
"""Rows of the history in a 412: what happened since one looked is little, or it does not matter any more."""
REPLAYED: Final = {"Idempotency-Replayed": "true"}


def nothing(_: State) -> Document:
    """For an answer that says nothing beside what changed."""
    return {}


class Changer:
    """``change(call, command, describe)`` carries a command out and answers; ``describe`` adds what it is about."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def __call__(self, call: Call, command: Command, describe: Describe = nothing) -> web.Response:
        return self.answer(await self.submit(call, command, describe), describe)

    async def submit(self, call: Call, command: Command, describe: Describe = nothing) -> Result:
        once = once_of(call, lambda state: kept(state, describe))
        return await submit(self._parts, command, dry_run=call.dry_run, once=once, via=call.actor.via)

    def wishes(self, call: Call, note: str = "") -> dict[str, Any]:
        """What every command of a request has: for ``**`` into its constructor. Raises ProblemError."""
        return {
            "actor": call.actor.name,
            "note": wire.note(note or call.query.get("note", "")),
            "expected_revision": call.expected,
            "confirm_within": call.query.get("confirm_within"),
        }

    def answer(self, result: Result, describe: Describe = nothing, **more: Any) -> web.Response:
        """``more`` is for the answer of the moment alone, and not repeated."""
        if result.replayed:
            assert result.answer is not None  # noqa: S101 - that is what replayed means
            return self._again(result.base, result.answer, result.changes)
        document = {
            "revision": result.state.revision,
            "base": result.base,
            "dry_run": result.dry_run,
            **kept(result.state, describe),
            "changes": result.changes,
            "workers": {"acknowledged": result.acknowledged, "total": result.total},
            "ms": round(result.ms, 3),
            **more,
        }
        return wire.answer(document, revision=result.base if result.dry_run else result.state.revision)

    def again(self, answer: Answer) -> web.Response:
        """The answer of a repetition."""
        return self._again(answer.base, answer.document, answer.changes)

    def _again(self, base: int, answered: Mapping[str, Any], changes: Any) -> web.Response:
        workers, revision = self._parts.sights.workers(), answered["revision"]
        following = sum(each["state"] == "ready" and each["revision"] >= revision for each in workers)
        document = {
            **answered,
            "base": base,
            "dry_run": False,
            "changes": changes,
            "workers": {"acknowledged": following, "total": len(workers)},
            "ms": 0.0,
        }
        return wire.answer(document, revision=revision, headers=REPLAYED)


def kept(state: State, describe: Describe = nothing) -> Document:
    """What is stored under an ``Idempotency-Key``."""
    waiting = (change.deadline for change in state.pending if change.revision == state.revision)
    return {"revision": state.revision, "confirm_by": next(waiting, None), **describe(state)}


def once_of(call: Call, describe: Describe) -> Once | None:
    """What makes the request act once; None without an ``Idempotency-Key``, or where it does not act."""
    if call.key is None or call.dry_run:
        return None
    return Once(call.key, owner(call), fingerprint(call), describe)


def owner(call: Call) -> str:
    """Whose keys they are: two people with one key do not know of each other."""
    return f"{call.actor.via} {call.actor.name}"


def fingerprint(call: Call) -> str:
    """Equal for a repetition, different for any other request."""
    request = call.request
    digest = hashlib.sha256()
    for part in (request.method, request.raw_path, request.headers.get("If-Match", "")):
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    digest.update(call.raw)
    return digest.hexdigest()


async def submit(parts: Parts, command: Command, *, dry_run: bool, once: Once | None = None, via: str) -> Result:
    """The outcome of a command. Raises ProblemError: a 412 says what changed since the revision that was expected."""
    try:
        return await parts.controller.submit(command, dry_run=dry_run, once=once, via=via)
    except Refused as refusal:
        raise await _refused(parts, refusal, command.expected_revision) from refusal


async def refuse_moved(parts: Parts, expected: int | None) -> None:
    """What ``If-Match`` means where no command says so. Raises ProblemError (412)."""
    current = parts.controller.state.revision
    if expected not in (None, current):
        refusal = Refused(
            412,
            "revision_moved",
            f"the revision is {current}, the request expected {expected}",
            f"look at what changed and repeat with revision {current}",
        )
        raise await _refused(parts, refusal, expected)


async def _refused(parts: Parts, refusal: Refused, expected: int | None) -> ProblemError:
    extra: dict[str, Any] = {"revision": parts.controller.state.revision}
    if refusal.status == 412 and expected is not None:
        rows = await parts.store.revisions(after=expected, limit=CHANGED_SHOWN)
        extra["changed"] = [views.revision(row, None) for row in rows]
    return ProblemError(
        refusal.status,
        refusal.code,
        refusal.detail,
        allowed=refusal.allowed,
        problems=[codec.dump(problem) for problem in refusal.problems],
        headers={"ETag": f'"{parts.controller.state.revision}"'},
        extra=extra,
    )


async def load(read: Callable[[], T], code: str = "invalid_file") -> T:
    """What ``read`` gives, in a thread; its problems as a ProblemError of this code."""
    try:
        return await asyncio.to_thread(read)
    except GatekeeperError as error:
        problems = [_told(codec.dump(problem)) for problem in getattr(error, "problems", ())]
        count = f"{len(problems)} problems" if len(problems) != 1 else "1 problem"
        raise ProblemError(
            422,
            code,
            f"{count}; nothing was changed" if problems else str(error),
            problems=problems,
        ) from error


def _told(problem: Document) -> Document:
    """Without places that a body does not have."""
    return {key: value for key, value in problem.items() if value not in ("", 0) or key in ("path", "message")}
