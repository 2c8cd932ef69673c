"""The part of the admin API that decides about traffic: each request becomes one command, and the reply its outcome."""

import secrets
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

from aiohttp import web
from pydantic import ValidationError

from gatekeeper.control.api import wire
from gatekeeper.control.api.bodies import ConfirmBody, ResetTripBody, RollbackBody, SplitBody
from gatekeeper.control.api.changing import Changer, Describe
from gatekeeper.control.api.decode import problems_of
from gatekeeper.control.api.operation import Call
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.reads import service_of
from gatekeeper.control.api.wire import Document, ProblemError
from gatekeeper.core import codec
from gatekeeper.core.command import Confirm, Refused, ResetTrip, Restore, Rollback, SetSplit, apply
from gatekeeper.core.model import State
from gatekeeper.core.outcome import plain
from gatekeeper.core.release.guard import last_of


class Writes:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._change = Changer(parts)

    async def split(self, call: Call) -> web.Response:
        service = self._service(call)
        weights, problems = _weights(wire.parse_object(call.raw))
        command = SetSplit(**self._change.wishes(call), service=service, weights=weights, salt=secrets.token_hex(16))
        if problems:
            problems += self._also_wrong(command)
            raise ProblemError(
                422, "invalid_weights", f"the split of service {service} was not changed", problems=problems
            )
        return await self._change(call, command, of_service(service))

    async def rollback(self, call: Call) -> web.Response:
        service, body = self._service(call), cast("RollbackBody", call.body)
        command = Rollback(**self._change.wishes(call, body.note), service=service, to_revision=body.to)

        def describe(state: State) -> Document:
            return {**of_service(service)(state), "warnings": self._without_backends(state, service)}

        return await self._change(call, command, describe)

    def _without_backends(self, state: State, service: str) -> list[str]:
        """Who has users again and nobody to serve them. It is no reason to refuse: what was before may be worse."""
        release = last_of(state, service)
        services = release.services if release is not None and release.revision == state.revision else (service,)
        return [
            f"version {version} of service {name} holds weight and has no ready backend"
            for name in services
            for version, weight in state.services[name].running.split.weights.items()
            if weight > 0 and not self._parts.runner.backends(name, version)
        ]

    async def reset_trip(self, call: Call) -> web.Response:
        service, body = self._service(call), cast("ResetTripBody", call.body)
        command = ResetTrip(**self._change.wishes(call), service=service, versions=tuple(body.versions))
        return await self._change(call, command, of_service(service))

    async def confirm(self, call: Call) -> web.Response:
        body = cast("ConfirmBody", call.body)
        return await self._change(call, Confirm(**self._change.wishes(call), revision=body.revision))

    async def restore(self, call: Call) -> web.Response:
        command = Restore(
            **self._change.wishes(call),
            revision=wire.revision_in_path(call.path("revision")),
            service=call.query["service"],
            entropy=secrets.token_hex(32),
        )
        return await self._change(call, command)

    def _service(self, call: Call) -> str:
        return service_of(self._parts, call.path("service")).definition.name

    def _also_wrong(self, command: SetSplit) -> list[Document]:
        """What the command would say to the weights that are numbers: all mistakes go into one answer."""
        try:
            apply(self._parts.controller.state, replace(command, expected_revision=None), self._parts.clock.wall())
        except Refused as refusal:
            # With a weight missing, the total of the others says nothing.
            return [codec.dump(problem) for problem in refusal.problems if problem.path]
        return []


def of_service(service: str, **more: Any) -> Describe:
    """The part of an answer that says of what it speaks."""

    def describe(state: State) -> Document:
        return {"service": service, "split": plain(state.services[service].running.split.weights), **more}

    return describe


def _weights(document: Document) -> tuple[dict[str, Decimal], list[Document]]:
    """The weights that are numbers, and what is wrong with the others.

    Which versions exist and what weights may be is the command's to say.
    """
    try:
        return SplitBody.model_validate(document).root, []
    except ValidationError as error:
        places = [one["loc"] for one in error.errors()]
        if () in places:  # about the whole: its parts were not looked at
            return {}, problems_of(SplitBody, error)
        wrong = {place[0] for place in places}
        found = {name: Decimal(value) for name, value in document.items() if name not in wrong}
        return found, problems_of(SplitBody, error)
