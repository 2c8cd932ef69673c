"""OFREP on the admin API: applications ask which flags their users have. What is answered is in ``core.flags.ofrep``.

Everything under ``PREFIX`` is in the protocol's own words, refusals of a token and of a limit too: an SDK reads no
other, and what it cannot read it reports as a defect of ours.
"""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from gatekeeper.control.api.ofrep_answers import Evaluation, EvaluationFailure, Evaluations, request_schema
from gatekeeper.control.api.operation import Call, Content, Operation
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.wire import ProblemError
from gatekeeper.core.flags import ofrep
from gatekeeper.core.flags.ofrep import Reply
from gatekeeper.core.flags.rate import Bucket
from gatekeeper.core.flags.resolver import Resolver
from gatekeeper.core.model import Role, State

PREFIX: Final = "/ofrep/"
_FLAGS: Final = "/ofrep/v1/evaluate/flags"
_ACTORS: Final = 1024
"""Whose rates are remembered. Token files have fewer lines; whoever is forgotten begins with a full bucket."""
_EXAMPLE: Final = {"context": {"targetingKey": "anna", "X-Country": "DE"}}


def operations(parts: Parts) -> list[Operation]:
    asking = Evaluating(parts)
    content = Content(schema=request_schema, name="EvaluationRequest", limit=ofrep.BODY_BYTES, example=_EXAMPLE)
    return [
        Operation(
            "evaluate_flag",
            "POST",
            _FLAGS + "/{flag}",
            Role.VIEWER,
            "OFREP: one flag, for somebody",
            asking.one,
            Evaluation,
            content=content,
            codes=("bad_evaluation", "too_many_evaluations"),
            refusal=EvaluationFailure,
        ),
        Operation(
            "evaluate_flags",
            "POST",
            _FLAGS,
            Role.VIEWER,
            "OFREP: all flags, for somebody",
            asking.all,
            Evaluations,
            content=content,
            codes=("bad_evaluation", "too_many_evaluations"),
            refusal=EvaluationFailure,
            revalidates=True,
        ),
    ]


class Evaluating:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._known: tuple[State, Resolver] | None = None
        self._buckets: dict[str, tuple[int, Bucket]] = {}

    async def one(self, call: Call) -> web.Response:
        return self._answer(call, lambda resolver: ofrep.single(resolver, call.path("flag"), call.raw))

    async def all(self, call: Call) -> web.Response:
        tags = ", ".join(call.request.headers.getall("If-None-Match", ()))
        return self._answer(call, lambda resolver: ofrep.bulk(resolver, call.raw, tags))

    def _answer(self, call: Call, evaluate: Callable[[Resolver], Reply]) -> web.Response:
        self._limit(call.actor.name)
        reply = evaluate(self._resolver())
        for flag, variant in reply.evaluated:
            self._parts.evaluated(flag, variant)
        if reply.document is not None and reply.status >= 400:
            raise _refused(reply.document)
        headers = {"Cache-Control": "no-cache, private", **({"ETag": reply.etag} if reply.etag else {})}
        # A 304 has no body, nor a type of one.
        kind = "application/json" if reply.document is not None else None
        return web.Response(status=reply.status, body=reply.body or None, content_type=kind, headers=headers)

    def _resolver(self) -> Resolver:
        """That of the present; made once for each revision."""
        state = self._parts.controller.state
        if self._known is None or self._known[0] is not state:
            self._known = state, Resolver(state)
        return self._known[1]

    def _limit(self, name: str) -> None:
        """Raises ProblemError (429) when this actor asks too often: what operators want must not wait for it."""
        rate = self._parts.controller.state.settings.ofrep_rate
        had, bucket = self._buckets.get(name, (0, None))
        if bucket is None or had != rate:
            if bucket is None and len(self._buckets) >= _ACTORS:
                del self._buckets[next(iter(self._buckets))]
            bucket = Bucket(rate, burst=rate)
            self._buckets[name] = rate, bucket
        wait = bucket.take(self._parts.clock.monotonic())
        if wait:
            raise ProblemError(
                429,
                "too_many_evaluations",
                f"{name} asks for flags more than {rate} times a second",
                allowed=f"again in {wait} s; all flags at once (POST {_FLAGS}), or more in `admin.ofrep.rate`",
                headers={"Retry-After": str(wait)},
            )


def _refused(failure: ofrep.Document) -> ProblemError:
    """A failure of the protocol as a problem like all others; ``told`` makes it the protocol's again."""
    told = {"errorCode": failure["errorCode"]}
    if failure["errorCode"] == ofrep.FLAG_NOT_FOUND:
        return ProblemError(404, "unknown_flag", failure["errorDetails"], extra=told)
    return ProblemError(400, "bad_evaluation", failure["errorDetails"], extra=told)


def told(request: web.Request, problem: ProblemError) -> web.Response:
    """A refusal in the protocol's words."""
    document = problem.document
    details = "; allowed: ".join(text for text in (document["detail"], document["allowed"]) if text)
    failure = ofrep.failure(document.get("errorCode", ofrep.GENERAL), details, request.match_info.get("flag"))
    reply = Reply(problem.status, failure)
    return web.Response(status=reply.status, body=reply.body, content_type="application/json", headers=problem.headers)
