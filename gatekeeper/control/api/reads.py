"""The part of the admin API that looks at the present."""

import random
from functools import partial
from typing import Any

from aiohttp import web

from gatekeeper.control.api import release_views, views, wire
from gatekeeper.control.api.explain import explain
from gatekeeper.control.api.looking import look
from gatekeeper.control.api.operation import Call
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.stream import stream
from gatekeeper.control.api.wire import ProblemError
from gatekeeper.core.model import ServiceState


class Reads:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._draw = random.Random().getrandbits

    async def healthz(self, call: Call) -> web.Response:
        """Alive: this process answers."""
        del call
        return wire.answer({"status": "ok"})

    async def readyz(self, call: Call) -> web.Response:
        """Ready: traffic can be served."""
        del call
        reasons = list(self._parts.sights.not_ready())
        if reasons:
            raise ProblemError(
                503,
                "not_ready",
                "; ".join(reasons),
                problems=[{"path": "", "message": reason} for reason in reasons],
            )
        return wire.answer({"status": "ready"})

    async def metrics(self, call: Call) -> web.Response:
        body, content_type = self._parts.metrics(call.request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    async def status(self, call: Call) -> web.Response:
        del call
        controller = self._parts.controller
        notify, now = self._parts.notifier.documents(), self._parts.clock.wall()
        problems = self._parts.problems()
        document = views.status(controller.state, self._parts.sights, problems, self._released, notify, now)
        return wire.answer(document, revision=controller.state.revision)

    async def services(self, call: Call) -> web.Response:
        del call
        state, sights = self._parts.controller.state, self._parts.sights
        found = [views.brief(service, sights, self._released) for service in state.services.values()]
        return wire.answer({"revision": state.revision, "services": found}, revision=state.revision)

    async def service(self, call: Call) -> web.Response:
        state = self._parts.controller.state
        service = service_of(self._parts, call.path("service"))
        document = views.full(state, service, self._parts.sights, self._released)
        return wire.answer(document, revision=state.revision)

    async def version(self, call: Call) -> web.Response:
        state, name = self._parts.controller.state, call.path("version")
        service = service_of(self._parts, call.path("service"))
        if name not in service.definition.versions:
            raise unknown_version(service, name)
        return wire.answer(views.version(state, service, name, self._parts.sights), revision=state.revision)

    async def events(self, call: Call) -> web.StreamResponse:
        """Server-sent events; with ``follow=0`` a list of what is stored, the oldest first."""
        after = _after(call)
        limit = call.query["limit"]
        if limit is None:
            limit = 100 if after is None else 1_000
        feed, store = self._parts.feed, self._parts.store
        if call.query["follow"]:
            parts, actor = self._parts, call.actor
            return await stream(call.request, feed, store, after, lambda: parts.fallen(actor))
        if after is None:
            found = await store.last_events(limit)
        else:
            found = await store.events(after=after, up_to=feed.latest, limit=limit)
        return wire.answer([event.document() for event in found if event.id <= feed.latest])

    async def explain(self, call: Call) -> web.Response:
        controller = self._parts.controller
        document = explain(controller.table, call.body, self._ready, lambda: self._draw(64), self._parts.clock.wall())
        return wire.answer(document, revision=controller.state.revision)

    def _released(self, service: str) -> views.Document:
        """What is being released of a service, and what is kept to go back to."""
        return release_views.of_service(self._parts.controller.state, service, partial(look, self._parts))

    def _ready(self, service: str, version: str) -> int:
        sights = self._parts.sights
        definition = self._parts.controller.state.services[service].definition.versions[version]
        found: list[Any] = [
            sights.health(service, version, one)
            for backend in definition.backends
            for one in sights.ids(service, version, backend.url)
        ]
        return sum(health is None or health.condition == "ready" for health in found)


def service_of(parts: Parts, name: str) -> ServiceState:
    """The service of that name. Raises ProblemError (404) with a did-you-mean."""
    services = parts.controller.state.services
    if name not in services:
        raise unknown_service(parts, name)
    return services[name]


def unknown_service(parts: Parts, name: str, *more: str) -> ProblemError:
    """``more`` are names that would have been as good."""
    return _unknown("service", name, [*parts.controller.state.services, *more], f"there is no service {name}")


def unknown_version(service: ServiceState, name: str) -> ProblemError:
    definition = service.definition
    return _unknown("version", name, definition.versions, f"service {definition.name} has no version {name}")


def _unknown(what: str, name: str, known: Any, detail: str) -> ProblemError:
    problem = wire.unknown(what, name, what, known)
    meant = f" (did you mean {problem['suggestion']}?)" if "suggestion" in problem else ""
    return ProblemError(404, f"unknown_{what}", detail + meant, allowed=problem["allowed"], problems=[problem])


def _after(call: Call) -> int | None:
    """The last event id the client has: its own word on reconnecting, else the query's."""
    header = call.request.headers.get("Last-Event-ID", "").strip()
    return wire.last_event_id(header) if header else call.query["after"]
