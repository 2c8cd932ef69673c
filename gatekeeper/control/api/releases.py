"""Releases: started, looked at, and what people do to them."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final, cast

from aiohttp import web

from gatekeeper.control.api import plan_views, release_views, wire
from gatekeeper.control.api.auth import Actor
from gatekeeper.control.api.changing import Changer, Describe
from gatekeeper.control.api.looking import Look, look, look_back
from gatekeeper.control.api.operation import Call, Handler
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.reads import unknown_service
from gatekeeper.control.api.release_bodies import ActBody, StartBody
from gatekeeper.control.api.wire import Document, ProblemError
from gatekeeper.control.store.rows import Audit
from gatekeeper.core.command import Act, StartRelease, Verb
from gatekeeper.core.model import Release, Role, State
from gatekeeper.core.outcome import plain
from gatekeeper.core.release import gates
from gatekeeper.core.release.guard import last_of
from gatekeeper.core.release.plan import DIRECT, Plan
from gatekeeper.core.release.words import listed

LAST: Final = "last"
"""Stands for the id of the release that is under way, else of the newest one."""
WITH_REASON: Final = frozenset({Verb.REJECT, Verb.SKIP})
BY_THOSE_ASKED: Final = frozenset({Verb.APPROVE, Verb.REJECT})
"""What a viewer may, too, who is in a group that the plan asks."""


class Releases:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._change = Changer(parts)

    # Looking

    async def listed(self, call: Call) -> web.Response:
        return await self._list(call, services_of(self._parts, call.path("service")))

    async def all(self, call: Call) -> web.Response:
        return await self._list(call, None)

    async def _list(self, call: Call, services: tuple[str, ...] | None) -> web.Response:
        query, state, before = call.query, self._parts.controller.state, call.query["before"] or None
        if query["active"]:
            releases = _active(state, services, query["build"], before)[: query["limit"]]
        else:
            found = await self._parts.store.releases(services, query["limit"], build=query["build"], before=before)
            # Those of the present as the state has them: the store may know a step more already.
            releases = [state.releases.get(release.id, release) for release in found]
        if not releases and services is not None:
            self._refuse_unknown(call.path("service"), services)
        documents = [release_views.brief(state, each, look(self._parts, each)) for each in releases]
        return wire.answer({"revision": state.revision, "releases": documents}, revision=state.revision)

    async def show(self, call: Call) -> web.Response:
        release = await self.named(call)
        state = self._parts.controller.state
        document = release_views.full(state, release, await look_back(self._parts, release))
        return wire.answer(document, revision=state.revision)

    async def plans(self, call: Call) -> web.Response:
        del call
        state, runner = self._parts.controller.state, self._parts.runner
        document = plan_views.plans(state, self._parts.clock.wall(), runner.offset)
        return wire.answer(document, revision=state.revision)

    async def named(self, call: Call) -> Release:
        """The release of the path. Raises ProblemError (404)."""
        name, text = call.path("service"), call.path("release")
        services = services_of(self._parts, name)
        state = self._parts.controller.state
        if text == LAST:
            found = _last(state, services) or next(iter(await self._parts.store.releases(services, 1)), None)
            if found is None:
                raise self._none(name, services)
            return state.releases.get(found.id, found)
        number = wire.whole(text)
        release = None
        if number is not None:
            release = state.releases.get(number) or await self._parts.store.release(number)
        if release is None or not set(release.services) & set(services):
            raise _unknown(text, name, state, services)
        return release

    def _none(self, name: str, services: tuple[str, ...]) -> ProblemError:
        self._refuse_unknown(name, services)
        return ProblemError(
            404,
            "no_release",
            f"service {name} was never released",
            allowed=f"`gatekeeper release start {name} --to VERSION`",
        )

    def _refuse_unknown(self, name: str, services: tuple[str, ...]) -> None:
        """Raises ProblemError (404) where there is no service of these."""
        state = self._parts.controller.state
        if not any(service in state.services for service in services):
            raise unknown_service(self._parts, name, *state.releasing.groups)

    # Changing

    def context(self, _: web.Request) -> Mapping[str, Any]:
        """What the validators of a start compare with."""
        return {"plans": plan_names(self._parts.controller.state), "now": self._parts.clock.wall()}

    async def start(self, call: Call) -> web.Response:
        parts, body, name = self._parts, cast("StartBody", call.body), call.path("service")
        known = services_of(parts, name)
        self._refuse_unknown(name, known)
        services = _to_move(body, name, known)
        plan = plan_named(parts.controller.state, name, body.plan)
        command = StartRelease(
            **self._change.wishes(call, body.note),
            services=services,
            plan=plan or DIRECT,
            at=body.at,
            groups=call.actor.groups,
            offset=parts.runner.offset,
            ready=parts.runner.ready(services),
        )
        return await self._change(call, command, self._described(call, name, services))

    def act(self, verb: Verb) -> Handler:
        return partial(self._act, verb)

    async def _act(self, verb: Verb, call: Call) -> web.Response:
        body, name = cast("ActBody", call.body), call.path("service")
        release = await self.named(call)
        if verb in BY_THOSE_ASKED:
            self._refuse_strangers(call, verb, release)
        if verb in WITH_REASON and not body.reason.strip():
            raise ProblemError(
                422,
                "reason_required",
                f"{verb.value}: a reason is needed",
                allowed="--reason TEXT; it is kept with the release",
                problems=[{"path": "reason", "message": "is required and missing"}],
            )
        services = [service for service in services_of(self._parts, name) if service in release.services]
        command = Act(
            **self._change.wishes(call, call.query["note"] or body.reason),
            event=verb,
            service=services[0],
            release=release.id,
            reason=body.reason,
            groups=call.actor.groups,
            gate=getattr(body, "gate", None),
            **self._parts.runner.world(release),
        )
        return await self._change(call, command, self._described(call, name, release.services, release.id))

    def _described(self, call: Call, name: str, services: Iterable[str], number: int | None = None) -> Describe:
        """What the answer to a change says; ``number`` None: of the release that it starts."""
        one = next(iter(services))

        def describe(state: State) -> Document:
            release = state.releases[number] if number is not None else last_of(state, one)
            assert release is not None  # noqa: S101 - the state is the one after its start
            service = state.services.get(name)
            split = {} if service is None else {"split": plain(service.running.split.weights)}
            known = self._look(release, real=not call.dry_run)
            return {"service": name, **split, "release": release_views.full(state, release, known)}

        return describe

    def _look(self, release: Release, *, real: bool) -> Look:
        return look(self._parts, release, real=real)

    def _refuse_strangers(self, call: Call, verb: Verb, release: Release) -> None:
        """Raises ProblemError (403) for a viewer whom the plan does not ask."""
        actor = call.actor
        asked = dict.fromkeys(group for approval in gates.asks(release.plan).values() for group in approval.groups)
        if actor.may(Role.OPERATOR) or set(actor.groups) & set(asked):
            return
        self._parts.feed.note(
            Audit(
                self._parts.clock.wall(),
                actor.name,
                actor.via,
                f"{verb.value}_release",
                call.path("service"),
                None,
                "refused",
                f"{Role.OPERATOR.value} needed, or one of the groups that are asked",
            )
        )
        raise _forbidden(actor, [*asked])


def services_of(parts: Parts, name: str) -> tuple[str, ...]:
    """The services that a name in a path stands for: one, or those that move as one. Raises ProblemError (404).

    A service that is gone has releases still; whether there is, or was, one of that name is then for them to say.
    """
    state = parts.controller.state
    if name in state.services:
        return (name,)
    group = state.releasing.groups.get(name)
    return group.services if group is not None else (name,)


def plan_names(state: State) -> list[str]:
    """What may be asked for as a plan."""
    return [*dict.fromkeys((*state.releasing.plans, DIRECT.name))]


def plan_named(state: State, name: str, wanted: str | None) -> Plan | None:
    """The plan of that name, or else the default of the service, or of the services, called ``name``; None: none."""
    plans, group = state.releasing.plans, state.releasing.groups.get(name)
    if wanted is None:
        wanted = group.plan if group is not None and name not in state.services else state.releasing.defaults.get(name)
    if wanted == DIRECT.name and wanted not in plans:
        return DIRECT
    return plans[wanted] if wanted is not None else None


def _to_move(body: StartBody, name: str, services: tuple[str, ...]) -> dict[str, str]:
    """Service -> new version."""
    if services == (name,) and name in body.with_:
        problem = {"path": f"with.{name}", "message": "is the service itself", "allowed": "its version as `to`"}
        raise ProblemError(
            422, "invalid_body", f"{problem['path']}: {problem['message']}", allowed="", problems=[problem]
        )
    return {**{service: body.with_.get(service, body.to) for service in services}, **body.with_}


def _active(state: State, services: tuple[str, ...] | None, build: str | None, before: int | None) -> list[Release]:
    """Those that are under way, the newest first; arguments as of ``Store.releases``."""
    found = []
    for release in state.releases.values():
        moves = [move for move in release.moves if services is None or move.service in services]
        fits = any(build in (None, move.build) for move in moves) and (before is None or release.id < before)
        if release.active and fits:
            found.append(release)
    return sorted(found, key=lambda release: release.id, reverse=True)


def _last(state: State, services: tuple[str, ...]) -> Release | None:
    """The one that is under way, else the newest."""
    found = [release for release in state.releases.values() if set(release.services) & set(services)]
    return max(found, key=lambda release: (release.active, release.id), default=None)


def _unknown(text: str, name: str, state: State, services: tuple[str, ...]) -> ProblemError:
    known = [str(each.id) for each in state.releases.values() if set(each.services) & set(services)]
    return ProblemError(
        404,
        "unknown_release",
        f"there is no release {wire.shown(text)} of {name}",
        allowed=", ".join([*known, LAST]) if known else f"one of `GET /v1/services/{name}/releases`",
    )


def _forbidden(actor: Actor, asked: list[str]) -> ProblemError:
    needed = f"{Role.OPERATOR.value}, or to be in {listed(asked, 'or')}" if asked else Role.OPERATOR.value
    return ProblemError(
        403,
        "forbidden",
        f"{actor.name} has the role {actor.role.value} and is in {listed(actor.groups) if actor.groups else 'no group'}"
        f", this needs {needed}",
        allowed=f"a token with the role {Role.OPERATOR.value}, or in one of the groups that the plan asks",
    )
