"""The part of the admin API that only looks."""

import random
from typing import Any

from aiohttp import web

from gatekeeper.control import views, wire
from gatekeeper.control.auth import Actor
from gatekeeper.control.explain import explain
from gatekeeper.control.parts import Parts
from gatekeeper.control.stream import stream
from gatekeeper.control.wire import ProblemError
from gatekeeper.core.model import ServiceState


class Reads:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._draw = random.Random().getrandbits

    async def healthz(self, request: web.Request, _actor: Actor) -> web.Response:
        """Alive: this process answers."""
        wire.query(request)
        return wire.answer({"status": "ok"})

    async def readyz(self, request: web.Request, _actor: Actor) -> web.Response:
        """Ready: traffic can be served."""
        wire.query(request)
        reasons = list(self._parts.sights.not_ready())
        if reasons:
            raise ProblemError(
                503,
                "not_ready",
                "; ".join(reasons),
                problems=[{"path": "", "message": reason} for reason in reasons],
            )
        return wire.answer({"status": "ready"})

    async def metrics(self, request: web.Request, _actor: Actor) -> web.Response:
        body, content_type = self._parts.metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    async def status(self, request: web.Request, _actor: Actor) -> web.Response:
        wire.query(request)
        controller = self._parts.controller
        document = views.status(controller.state, self._parts.sights, controller.trouble)
        return wire.answer(document, revision=controller.state.revision)

    async def services(self, request: web.Request, _actor: Actor) -> web.Response:
        wire.query(request)
        state, sights = self._parts.controller.state, self._parts.sights
        found = [views.brief(service, sights) for service in state.services.values()]
        return wire.answer({"revision": state.revision, "services": found}, revision=state.revision)

    async def service(self, request: web.Request, _actor: Actor) -> web.Response:
        wire.query(request)
        state = self._parts.controller.state
        document = views.full(state, service_of(self._parts, request), self._parts.sights)
        return wire.answer(document, revision=state.revision)

    async def revisions(self, request: web.Request, _actor: Actor) -> web.Response:
        """The history, newest first; ``before`` asks for the next page."""
        query = wire.query(request, "service", "limit", "before", "after")
        service = query.get("service")
        rows = await self._parts.store.revisions(
            service=service,
            limit=wire.query_number(query, "limit", 100, 1_000),
            before=wire.query_number(query, "before", 0) or None,
            after=wire.query_number(query, "after", 0),
        )
        if service is not None and not rows and service not in self._parts.controller.state.services:
            service_of(self._parts, request, service)
        return wire.answer({"revisions": [views.revision(row, service) for row in rows]})

    async def events(self, request: web.Request, _actor: Actor) -> web.StreamResponse:
        """Server-sent events; with ``follow=0`` a list of what is stored, the oldest first."""
        query = wire.query(request, "follow", "after", "limit")
        after = _after(request)
        limit = wire.query_number(query, "limit", 100 if after is None else 1_000, 1_000)
        feed, store = self._parts.feed, self._parts.store
        if wire.query_flag(query, "follow", default=True):
            return await stream(request, feed, store, after)
        if after is None:
            found = await store.last_events(limit)
        else:
            found = await store.events(after=after, up_to=feed.latest, limit=limit)
        return wire.answer([event.document() for event in found if event.id <= feed.latest])

    async def explain(self, request: web.Request, _actor: Actor) -> web.Response:
        wire.query(request)
        body = wire.parse_object(await wire.read_body(request, wire.BODY_BYTES))
        controller = self._parts.controller
        document = explain(controller.table, body, self._ready, lambda: self._draw(64), self._parts.clock.wall())
        return wire.answer(document, revision=controller.state.revision)

    def _ready(self, service: str, version: str) -> int:
        definition = self._parts.controller.state.services[service].definition.versions[version]
        found: list[Any] = [self._parts.sights.health(service, version, one.url) for one in definition.backends]
        return sum(health is None or health.condition == "ready" for health in found)


def service_of(parts: Parts, request: web.Request, name: str | None = None) -> ServiceState:
    """The service the path (or ``name``) speaks of. Raises ProblemError (404) with a did-you-mean."""
    name = request.match_info["service"] if name is None else name
    services = parts.controller.state.services
    if name not in services:
        problem = wire.unknown("service", name, "service", services)
        meant = f" (did you mean {problem['suggestion']}?)" if "suggestion" in problem else ""
        raise ProblemError(
            404,
            "unknown_service",
            f"there is no service {name}{meant}",
            allowed=problem["allowed"],
            problems=[problem],
        )
    return services[name]


def _after(request: web.Request) -> int | None:
    """The last event id the client has: its own word on reconnecting, else the query's."""
    header = request.headers.get("Last-Event-ID", "").strip()
    if header:
        return wire.query_number({"Last-Event-ID": header}, "Last-Event-ID", 0)
    return wire.query_number(request.query, "after", 0) if request.query.get("after") else None
