"""A control plane without workers: real store, feed, controller and admin server, a publisher in the test's hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gatekeeper.clock import ManualClock
from gatekeeper.config.flag_values import flag_changes, flag_schema
from gatekeeper.config.versions import load_version, version_schema
from gatekeeper.control.api.admin import Admin
from gatekeeper.control.api.auth import Actor
from gatekeeper.control.api.parts import Parts
from gatekeeper.control.api.tokens import Tokens
from gatekeeper.control.api.views import Sights
from gatekeeper.control.controller import Controller
from gatekeeper.control.dashboard.assets import Assets, asset
from gatekeeper.control.dashboard.dashboard import Dashboard
from gatekeeper.control.feed import Feed
from gatekeeper.control.releases.checks import Examiner
from gatekeeper.control.releases.notify import Notifier
from gatekeeper.control.releases.runner import Runner
from gatekeeper.control.shadow.shadowing import Shadowing
from gatekeeper.control.store.start import first_state
from gatekeeper.control.store.store import Store
from gatekeeper.core import routing
from gatekeeper.core.command import Rollback, SetSplit
from gatekeeper.core.flags.model import FlagChanges
from gatekeeper.core.model import Backend, Definition, Role, Service, Settings, State, Testers, Version
from gatekeeper.errors import GatekeeperError
from gatekeeper.telemetry.shadowed import Shadowed
from tests.control.judged import Judges


def service(name: str, *versions: str, **more: Any) -> Service:
    first, *rest = versions
    return Service(
        name=name,
        versions={
            one: Version(one, (Backend(f"http://127.0.0.1:{9000 + at}"),)) for at, one in enumerate(versions, start=1)
        },
        stable=first,
        split={first: Decimal(100), **dict.fromkeys(rest, Decimal(0))},
        **more,
    )


def small(*services: Service) -> Definition:
    return Definition(Settings(), {one.name: one for one in services})


@dataclass(frozen=True)
class Taken:
    acknowledged: int
    total: int


class Publisher:
    """Stands for the fleet. ``hold`` stops it until set; ``failures`` are raised one after the other."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, State]] = []
        self.taken = Taken(2, 2)
        self.hold: asyncio.Event | None = None
        self.failures: list[Exception] = []

    async def __call__(self, old: State, new: State) -> Taken:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append((old.revision, new))
        if self.hold is not None:
            await self.hold.wait()
        return self.taken

    @property
    def traffic(self) -> dict[str, dict[str, int]]:
        """The splits that the workers route by."""
        services = self.sent[-1][1].services if self.sent else {}
        return {name: {v: int(w) for v, w in one.running.split.weights.items()} for name, one in services.items()}


@dataclass
class Condition:
    condition: str = "ready"
    reason: str = "the check passes"
    since: float = 0.0


@dataclass
class Live:
    seconds: float = 10.0
    requests: int = 200
    errors: int = 1
    rate: float = 20.0
    share: float | None = 0.5
    p50: float | None = 0.01
    p95: float | None = 0.02
    p99: float | None = 0.03
    in_flight: int = 2


@dataclass
class Files:
    """A loader whose file is a value; ``text`` takes JSON: {service: [versions]}."""

    definition: Definition
    problem: GatekeeperError | None = None
    local: bool | None = None
    """Whether the last text came from this machine's own."""

    def file(self) -> Definition:
        if self.problem is not None:
            raise self.problem
        return self.definition

    def text(self, text: str, *, local: bool) -> Definition:
        self.local = local
        if self.problem is not None:
            raise self.problem
        return small(*(service(name, *versions) for name, versions in json.loads(text).items()))

    def version(self, service: str, name: str, document: Mapping[str, Any], like: Version) -> Version:
        return load_version(service, name, document, "/nowhere", like)

    def version_schema(self) -> dict[str, Any]:
        return version_schema()

    def flag(self, document: Mapping[str, Any]) -> FlagChanges:
        return flag_changes(document)

    def flag_schema(self) -> dict[str, Any]:
        return flag_schema()


class Crew:
    """No workers: what they are told of checks that mirror."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def mirror(self, checks: Any) -> None:
        self.told.append(checks)


@dataclass
class Proof:
    """What checking new backends comes to: ``failed`` by backend, and what was asked. ``hold`` stops it until set."""

    failed: dict[str, str] = field(default_factory=dict)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[tuple[str, Version, float]] = field(default_factory=list)
    hold: asyncio.Event | None = None

    async def __call__(self, service: str, version: Version, seconds: float) -> dict[str, str]:
        self.asked.append((service, version, seconds))
        self.began.set()
        if self.hold is not None:
            await self.hold.wait()
        return self.failed


@dataclass
class World:
    path: Path
    store: Store
    feed: Feed
    controller: Controller
    publisher: Publisher
    clock: ManualClock
    files: Files
    parts: Parts
    proof: Proof
    not_ready: list[str] = field(default_factory=list)
    judges: Judges = field(default_factory=Judges)

    def split(self, name: str = "shop", /, **weights: int) -> SetSplit:
        return SetSplit(
            actor="anna",
            service=name,
            weights={version: Decimal(weight) for version, weight in weights.items()},
            salt="ab" * 16,
        )

    def back(self, name: str = "shop", to: int | None = None) -> Rollback:
        return Rollback(actor="anna", service=name, to_revision=to)

    def weights(self, name: str = "shop") -> dict[str, int]:
        return {v: int(w) for v, w in self.controller.state.services[name].running.split.weights.items()}

    def disk(self) -> tuple[int, dict[str, dict[str, int]]]:
        """What a restart would find: revision and splits."""
        stored = self.store.load()
        return stored.revision, {
            name: {v: int(w) for v, w in running.split.weights.items()} for name, running in stored.running.items()
        }


DEFINITION = small(
    service("shop", "blue", "green", testers=Testers(keys=("k" * 32,))),
    service("cart", "v1", "v2", path_prefix="/cart"),
)


ASSETS = Assets({"index.html": asset(".html", b"<!doctype html>"), "main.js": asset(".js", b"export {};\n" * 100)})
"""Stand for the dashboard's files."""


@asynccontextmanager
async def make_world(path: Path, definition: Definition = DEFINITION, **replaced: Any) -> AsyncIterator[World]:
    clock = ManualClock()
    store = Store.open(str(path))
    try:
        state, _ = await first_state(store, definition, entropy="cd" * 32, now=clock.wall())
        feed, publisher, files = Feed(store, clock), Publisher(), Files(definition)
        await feed.start()
        publisher.sent.append((0, state))
        slots: dict[tuple[str, str], int] = {}

        def compile_table(state: State, previous: routing.RoutingTable | None) -> routing.RoutingTable:
            assigned = {
                name: {v: slots.setdefault((name, v), 2 + len(slots)) for v in one.definition.versions}
                for name, one in state.services.items()
            }
            return routing.compile(state, assigned, previous)

        controller = Controller(
            **{
                "state": state,
                "compile_table": compile_table,
                "journal": store,
                "publish": publisher,
                "feed": feed,
                "clock": clock,
                "workers": 2,
                **replaced,
            }
        )
        controller.start()
        not_ready: list[str] = []
        sights = Sights(
            workers=lambda: [{"pid": 7, "revision": controller.state.revision, "state": "ready"}],
            health=lambda *_: Condition(),
            live=lambda *_: Live(),
            not_ready=lambda: not_ready,
            started=clock.wall(),
        )
        proof = Proof()

        async def well(*_: Any) -> str:
            return ""

        examiner = Examiner(
            probe=well, ids=lambda *ids: ids[2:], directory=str(path.parent), state_path=str(path), clock=clock
        )
        parts = Parts(
            controller=controller,
            store=store,
            feed=feed,
            sights=sights,
            loader=files,
            metrics=lambda accept: (b"up 1\n", "text/plain; version=0.0.4"),
            clock=clock,
            prove=proof,
            runner=Runner(controller, examiner, lambda *_: 1, clock),
            notifier=Notifier(lambda: controller.state.releasing.notify, feed.tell, clock),
            judging=(judges := Judges()),
            shadowing=Shadowing(
                controller=controller, crew=Crew(), totals=Shadowed(), clock=clock, state_path=str(path)
            ),
            dashboard=Dashboard(assets=ASSETS),
        )
        try:
            yield World(path, store, feed, controller, publisher, clock, files, parts, proof, not_ready, judges)
        finally:
            if publisher.hold is not None:
                publisher.hold.set()
            await parts.runner.stop()
            await controller.stop()
            await examiner.close()
            await feed.stop()
    finally:
        store.close()


@pytest.fixture
def world_of() -> Callable[..., Any]:
    """``async with world_of(path, definition=..., journal=..., publish=...)`` for a world with a part of its own."""
    return make_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path / "state.db") as made:
        yield made


@pytest.fixture
def made_service() -> Callable[..., Service]:
    return service


@pytest.fixture
def definition_of() -> Callable[..., Definition]:
    return small


class Api:
    """The admin API as a client sees it: ``api("GET", "/v1/status")`` gives (status, document, headers)."""

    def __init__(self, session: aiohttp.ClientSession, base: str, token: str | None = None) -> None:
        self.session = session
        self.base = base
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def with_token(self, token: str | None) -> "Api":
        return Api(self.session, self.base, token)

    async def __call__(self, method: str, path: str, **more: Any) -> tuple[int, Any, Any]:
        headers = {**self.headers, **more.pop("headers", {})}
        async with self.session.request(method, self.base + path, headers=headers, **more) as response:
            data = await response.read()
            is_json = response.content_type.endswith(("/json", "+json"))
            document = json.loads(data) if is_json else data.decode()
            return response.status, document, response.headers


@pytest.fixture
async def api(world: World, tmp_path: Path) -> AsyncIterator[Api]:
    """On the unix socket."""
    admin = Admin(world.parts, path=str(tmp_path / "admin.sock"))
    await admin.start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "admin.sock"))) as session:
            yield Api(session, "http://gatekeeper")
    finally:
        await admin.stop()


TOKENS = {role: f"token-of-{role.value}" for role in Role}


@pytest.fixture
async def tcp(world: World, tmp_path: Path, free_port: int) -> AsyncIterator[Api]:
    """Over TCP, without a token; ``with_token("token-of-viewer")``, ``-operator``, ``-admin`` have one."""
    import hashlib

    world.parts.tokens = Tokens(
        {hashlib.sha256(token.encode()).hexdigest(): Actor(role.value, role) for role, token in TOKENS.items()}
    )
    admin = Admin(world.parts, path=str(tmp_path / "tcp.sock"), http=f"127.0.0.1:{free_port}")
    await admin.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Api(session, f"http://127.0.0.1:{free_port}")
    finally:
        await admin.stop()


@pytest.fixture
def edited() -> Callable[..., Any]:
    return replace
