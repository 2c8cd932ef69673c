"""Made-up heads, services and tables for the tests of deciding."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from gatekeeper.core import routing, split
from gatekeeper.core.decision import Decision
from gatekeeper.core.model import Backend, Rule, Running, Service, ServiceState, Settings, State, Version, Weights
from gatekeeper.core.routing import RoutingTable

NOW = 1_700_000_000.0
SALT = "5a" * 16
SECRET = "c0" * 32
STRANGER = "203.0.113.9"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Request:
    """A head as ``core.head.Head`` describes it; ``fields`` are (name in lower case, value) pairs."""

    method: bytes = b"GET"
    host: bytes = b"shop.example.com"
    path: bytes = b"/"
    query: bytes = b""
    cookie: bytes = b""
    force: bytes = b""
    pass_token: bytes = b""
    fields: tuple[tuple[bytes, bytes], ...] = ()

    def values(self, name_lower: bytes) -> list[bytes]:
        return [value for name, value in self.fields if name == name_lower]


def weights(**shares: float) -> dict[str, Decimal]:
    return {name: Decimal(str(share)) for name, share in shares.items()}


def service(name: str = "shop", *, shares: Weights | None = None, stable: str = "blue", **options: Any) -> Service:
    shares = weights(blue=100, green=0) if shares is None else shares
    versions = {name: Version(name, (Backend("http://127.0.0.1:9001"),)) for name in shares}
    return Service(name, versions, stable, shares, **options)


def running(definition: Service, revision: int = 1, **options: Any) -> Running:
    rules = {rule.name: split.initial(rule.split, SALT) for rule in definition.rules if rule.split is not None}
    return Running(split.initial(definition.split, SALT), SECRET, rules=rules, revision=revision, **options)


def state(definitions: Iterable[Service], revision: int = 1, **options: Any) -> State:
    return State(
        revision,
        Settings(),
        {each.name: ServiceState(each, running(each, revision, **options)) for each in definitions},
    )


def slots(of: State) -> dict[str, dict[str, int]]:
    """Two per service at least, from 2 on, as in a metrics block."""
    free = iter(range(2, 1_000_000))
    return {name: {version: next(free) for version in each.definition.versions} for name, each in of.services.items()}


def table(*definitions: Service, **options: Any) -> RoutingTable:
    made = state(definitions, **options)
    return routing.compile(made, slots(made))


class AllReady:
    """Every slot has a ready backend but those of the versions named."""

    def __init__(self, of: RoutingTable, *down: str) -> None:
        self._down = {
            route.slot for each in of.services.values() for route in each.versions.values() if route.name in down
        }

    def __getitem__(self, slot: int) -> int:
        return 0 if slot in self._down else 1


@dataclass
class Draws:
    """Random numbers that are known: 64 bits each, all different, spread over the range."""

    count: int = 0

    def __call__(self) -> int:
        self.count += 1
        return self.count * 0x9E3779B97F4A7C15 % 2**64


@dataclass
class Asker:
    """Asks one table; every part of the question has a default that a test may change."""

    table: RoutingTable
    down: tuple[str, ...] = ()
    now: float = NOW
    client_ip: str = STRANGER
    proxied: bool = False
    secure: bool = False
    draw: Callable[[], int] = field(default_factory=Draws)

    def maybe(self, request: Request) -> Decision | None:
        ready: Any = AllReady(self.table, *self.down)
        return self.table.decide(request, self.client_ip, self.proxied, self.secure, ready, self.draw, self.now)

    def __call__(self, request: Request | None = None, **head: Any) -> Decision:
        decision = self.maybe(replace(request or Request(), **head))
        assert decision is not None
        return decision

    def version(self, **head: Any) -> str:
        return self(**head).version.name

    def but(self, **changes: Any) -> "Asker":
        return replace(self, **changes)


def asker(definition: Service, **options: Any) -> Asker:
    return Asker(table(definition, **options))


def reweighed(definition: Service, history: Iterable[Weights], **options: Any) -> Asker:
    """The table after the split moved through ``history``."""
    moved = split.initial(definition.split, SALT)
    for step in history:
        moved = split.move(moved, step)
    made = state([definition], **options)
    one = made.services[definition.name]
    made = replace(made, services={definition.name: replace(one, running=replace(one.running, split=moved))})
    return Asker(routing.compile(made, slots(made)))


def cookies(decision: Decision) -> dict[str, str]:
    """Name -> value of the cookies a decision sets."""
    lines = decision.set_cookie.decode().split("\r\n")
    assert lines.pop() == ""
    pairs = [line.removeprefix("Set-Cookie: ").partition(";")[0].partition("=") for line in lines]
    return {name: value for name, _, value in pairs}


def cookie_header(*decisions: Decision) -> bytes:
    """What a browser sends after these answers."""
    jar: dict[str, str] = {}
    for decision in decisions:
        jar |= cookies(decision)
    return "; ".join(f"{name}={value}" for name, value in jar.items() if value).encode()


def rule_split(name: str, when: Any, shares: Mapping[str, Decimal]) -> Rule:
    return Rule(name, when, split=shares)
