"""Versions: registered and replaced, retired, drained."""

from dataclasses import replace
from typing import cast

from aiohttp import web

from gatekeeper.control.api import wire
from gatekeeper.control.api.bodies import DrainBody
from gatekeeper.control.api.changing import Changer, load
from gatekeeper.control.api.operation import Call
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.reads import service_of
from gatekeeper.control.api.wire import Document, ProblemError
from gatekeeper.control.api.writes import of_service
from gatekeeper.core.command import Deploy, Drain, Retire
from gatekeeper.core.model import State, Version
from gatekeeper.core.overlay import same_but_origin
from gatekeeper.core.versions import has_users


class Versions:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._change = Changer(parts)

    async def deploy(self, call: Call) -> web.Response:
        """Register or replace. A version that has users keeps its backends until the new ones passed their check.

        That happens outside of the writer. Whether it has users is the command's to say, in the moment it is carried
        out: one that got some since it was looked at is refused, and then proved after all.
        """
        state, name = service_of(self._parts, call.path("service")), call.path("version")
        service, versions = state.definition.name, state.definition.versions
        document = wire.parse_object(call.raw)
        like = versions.get(name) or versions[state.definition.stable]
        loader = self._parts.loader
        version = await load(lambda: loader.version(service, name, document, like), "invalid_version")
        if not call.actor.local:
            _refuse_new_files(self._parts, version)
        describe = of_service(service, version=name)
        command = Deploy(**self._change.wishes(call), service=service, version=version, proved=call.dry_run)
        in_use = name in versions and has_users(state, name) and not same_but_origin(versions[name], version)
        if call.dry_run or not in_use:
            try:
                return await self._change(call, command, describe)
            except ProblemError as problem:
                if problem.document["code"] != "not_healthy":
                    raise
        await self._prove(service, version, call.query["wait"])
        return await self._change(call, replace(command, proved=True), describe)

    async def retire(self, call: Call) -> web.Response:
        service, name = self._named(call)
        command = Retire(**self._change.wishes(call), service=service, version=name)
        return await self._change(call, command, of_service(service, version=name))

    async def drain(self, call: Call) -> web.Response:
        service, name = self._named(call)
        body = cast("DrainBody", call.body)
        command = Drain(**self._change.wishes(call), service=service, version=name, seconds=float(body.seconds))

        def describe(state: State) -> Document:
            until = state.services[service].running.draining.get(name)
            return {**of_service(service, version=name)(state), "draining": until}

        return await self._change(call, command, describe)

    def _named(self, call: Call) -> tuple[str, str]:
        return service_of(self._parts, call.path("service")).definition.name, call.path("version")

    async def _prove(self, service: str, version: Version, seconds: float) -> None:
        """Raises ProblemError (409) with the reason of every backend that is not well in time."""
        failed = await self._parts.prove(service, version, seconds)
        if failed:
            raise ProblemError(
                409,
                "not_healthy",
                f"{len(failed)} of the new backends of {version.name}, which has users, did not pass their check "
                f"within {seconds:g} s; the old ones stay",
                allowed="backends that pass, or a longer wait (`?wait=`, `gatekeeper deploy --wait --timeout`)",
                problems=[{"path": backend, "message": reason} for backend, reason in failed.items()],
            )


def _refuse_new_files(parts: Parts, version: Version) -> None:
    """From afar only files that the configuration names already: what else there is on this machine is not said.

    Raises ProblemError (422).
    """
    services = parts.controller.state.services.values()
    known = {name for one in services for each in one.definition.versions.values() for _, name in _files(each)}
    problems = [
        {
            "path": f"tls.{key}",
            "message": "names a file that the configuration does not name",
            "found": wire.shown(name),
        }
        for key, name in _files(version)
        if name not in known
    ]
    if problems:
        raise ProblemError(
            422,
            "invalid_version",
            f"{problems[0]['path']}: {problems[0]['message']}",
            allowed="over TCP only files that some version has already; others on the admin socket",
            problems=problems,
        )


def _files(version: Version) -> list[tuple[str, str]]:
    tls = version.tls
    named = {"ca": tls.ca, "cert": tls.pair and tls.pair.cert, "key": tls.pair and tls.pair.key}
    return [(key, name) for key, name in named.items() if name]
