"""What decides routing, as values: frozen, slotted, without behaviour beyond looking themselves up.

Three groups by lifetime:

* ``Definition`` is what the file says exists. A reload replaces it.
* ``Running`` is what operators decided since: weights, who owns which part of the hash range, what a rollback
  returns to. The store keeps it; a reload keeps it too.
* ``State`` is both under one revision number. A routing table is compiled from a State and from nothing else.

All durations are seconds (float), all sizes bytes (int), all fractions 0..1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gatekeeper.core.flags.model import Flag, FlagState
from gatekeeper.core.health import Ejection, HealthCheck, Trip
from gatekeeper.core.parts import Origin, Pattern, PatternKind, Split, Weights, When
from gatekeeper.core.release.model import Promoted, Release
from gatekeeper.core.release.plan import Releasing
from gatekeeper.core.settings import Dns, KeyPair, Limits, Listener, ListenerTls, Log, Role, Settings, Tracing, User
from gatekeeper.core.shadow.model import Mirror

__all__ = [
    "Backend",
    "BackendTls",
    "Definition",
    "Deployed",
    "Dns",
    "Ejection",
    "Flag",
    "FlagState",
    "HealthCheck",
    "KeyPair",
    "Limits",
    "Listener",
    "ListenerTls",
    "Log",
    "Mirror",
    "OnUnavailable",
    "Origin",
    "Pattern",
    "PatternKind",
    "Pending",
    "Promoted",
    "Release",
    "Releasing",
    "Retries",
    "Role",
    "Rule",
    "Running",
    "Service",
    "ServiceState",
    "Settings",
    "Split",
    "State",
    "Sticky",
    "StickyMode",
    "Testers",
    "Timeouts",
    "Tracing",
    "Trip",
    "Tripped",
    "Undo",
    "UnitKind",
    "UnitSource",
    "User",
    "Version",
    "Weights",
    "When",
]


class StickyMode(StrEnum):
    RAMP = "ramp"
    PIN = "pin"
    NONE = "none"


class UnitKind(StrEnum):
    """Where a unit id may come from, see SPEC words ``header:NAME``, ``cookie:NAME``, ``cookie``, ``client_ip``."""

    HEADER = "header"
    COOKIE = "cookie"
    OWN_COOKIE = "own_cookie"
    CLIENT_IP = "client_ip"


class OnUnavailable(StrEnum):
    FAIL_OVER = "fail_over"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Rule:
    """An ordered matcher that sends a request to one version (``to``) or to a split of its own; exactly one is set."""

    name: str
    when: When
    to: str | None = None
    split: Weights | None = None
    mirror: Mirror | None = None
    """In place of the service's, for the requests that the rule decides."""


@dataclass(frozen=True, slots=True)
class BackendTls:
    """TLS to backends with ``https``.

    ``ca`` is a path, None for the system's authorities; ``server_name`` is asked for and verified instead of the
    host in the URL; ``pair`` is what we show to backends that ask who we are.
    """

    ca: str | None = None
    verify: bool = True
    server_name: str | None = None
    pair: KeyPair | None = None


@dataclass(frozen=True, slots=True)
class Backend:
    """``url`` is normalised: ``http://HOST:PORT`` or ``https://HOST:PORT`` (IPv6 in brackets), or ``unix:/PATH``.

    ``weight`` is 1..1000.
    """

    url: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Version:
    name: str
    backends: tuple[Backend, ...]
    build: str | None = None
    health: HealthCheck | None = None
    origin: Origin = Origin.FILE
    tls: BackendTls = BackendTls()
    """For those of its backends that are ``https``."""


@dataclass(frozen=True, slots=True)
class UnitSource:
    kind: UnitKind
    name: str = ""
    """Header name in lower case, or the application's cookie name; empty for the other kinds."""


@dataclass(frozen=True, slots=True)
class Sticky:
    by: tuple[UnitSource, ...] = (UnitSource(UnitKind.OWN_COOKIE),)
    mode: StickyMode = StickyMode.RAMP


@dataclass(frozen=True, slots=True)
class Testers:
    """Who may force a version. ``networks`` are CIDR texts, ``keys`` sign passes (the first signs, all verify)."""

    header: str = "X-Gatekeeper-Version"
    query: bool = False
    networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeouts:
    request_head: float = 10.0
    connect: float = 5.0
    response: float = 60.0
    idle: float = 60.0
    tunnel: float = 3600.0
    drain: float = 30.0


@dataclass(frozen=True, slots=True)
class Retries:
    """``attempts`` further tries after the first; ``budget`` is the share of requests that may be retries, 0..1."""

    attempts: int = 1
    budget: float = 0.1
    on_stable: bool = False


@dataclass(frozen=True, slots=True)
class Ofrep:
    """Flags are told to the service's own clients by OFREP: below ``path`` of the service, to pages of its own and of
    other ``origins`` (``*``: all), ``rate`` times a second.
    """

    path: str = "/ofrep"
    origins: tuple[str, ...] = ()
    rate: int = 200


@dataclass(frozen=True, slots=True)
class Service:
    """A named front. ``hosts`` are lower case, without port, ``*.`` only as the first label; empty = every host."""

    name: str
    versions: Mapping[str, Version]
    stable: str
    split: Weights
    hosts: tuple[str, ...] = ()
    path_prefix: str = "/"
    strip_prefix: bool = False
    sticky: Sticky = Sticky()
    rules: tuple[Rule, ...] = ()
    testers: Testers = Testers()
    on_unavailable: OnUnavailable = OnUnavailable.FAIL_OVER
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    skew: float = 0.0
    """Seconds a superseded version is kept for pages still open; 0 = off."""
    error_pages: Mapping[str, str] = field(default_factory=dict)
    """HTML for answers that gatekeeper makes, by status (``502``) or class (``5xx``)."""
    ejection: Ejection | None = field(default_factory=Ejection)
    """None = users' requests eject no backend."""
    slow_start: float = 0.0
    """Seconds in which a backend that became ready grows to its whole weight; 0 = at once."""
    trip: Trip | None = field(default_factory=Trip)
    """None = no trip-wire."""
    ofrep: Ofrep | None = None
    """None = its clients cannot ask for flags."""
    mirror: Mirror | None = None
    """None = no copies of users' requests."""


@dataclass(frozen=True, slots=True)
class Definition:
    settings: Settings
    services: Mapping[str, Service]
    releasing: Releasing = field(default_factory=Releasing)
    flags: Mapping[str, Flag] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Undo:
    """A split that a rollback can return to: the weights that held until ``revision`` replaced them.

    ``stable`` is what was stable until then, where a release changed that, too; else empty.
    """

    revision: int
    weights: Weights
    stable: str = ""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A version that a deploy registered or replaced; ``at`` is wall seconds.

    ``replaced`` is what the file said under its name then, None if nothing. As long as the file goes on to say that,
    the deploy is the later act and holds; once the file says something else, the file is.
    """

    version: Version
    at: float
    replaced: Version | None = None


@dataclass(frozen=True, slots=True)
class Tripped:
    """Why and when (wall seconds) the trip-wire took a version's weight."""

    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class Running:
    """What operators decided about one service since it exists. ``changed_at`` and ``superseded`` are wall seconds."""

    split: Split
    secret: str
    """Hexadecimal, 32 bytes: keys pinned and page cookies of this service."""
    rules: Mapping[str, Split] = field(default_factory=dict)
    """Splits of rules that have one, by rule name."""
    undo: tuple[Undo, ...] = ()
    """Newest last, bounded by ``core.command.UNDO_DEPTH``."""
    superseded: Mapping[str, float] = field(default_factory=dict)
    """Version -> when its weight became 0 other than by a rollback; read by ``skew``."""
    since: Mapping[str, int] = field(default_factory=dict)
    """Version -> revision at which its weight last rose from 0. Signed into pinned and page cookies: an assignment
    ends when the weight becomes 0 and does not come back with the version."""
    deployed: Mapping[str, Deployed] = field(default_factory=dict)
    """Versions whose definition came by a deploy."""
    retired: Mapping[str, Version] = field(default_factory=dict)
    """Versions of the file that were retired, and what the file said of them then; see ``Deployed.replaced``."""
    tripped: Mapping[str, Tripped] = field(default_factory=dict)
    """Versions that may get no weight until an operator resets the trip-wire."""
    draining: Mapping[str, float] = field(default_factory=dict)
    """Version -> wall seconds until which its requests and tunnels may end; it gets no new ones, also afterwards,
    until it is given weight or deployed again."""
    promoted: Promoted | None = None
    """What a release made stable in place of what the file says."""
    revision: int = 0
    """The revision of the last change of this service."""
    changed_at: float = 0.0


@dataclass(frozen=True, slots=True)
class ServiceState:
    definition: Service
    running: Running


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that undoes itself at ``deadline`` (wall seconds) unless it is confirmed before.

    ``before`` are the services it changed as they were before it (None: there was none), ``flags`` the flags,
    ``settings`` and ``releasing`` likewise if it changed them. Until then nobody else may change these services and
    flags, so putting them back undoes nothing else.
    """

    revision: int
    deadline: float
    actor: str
    before: Mapping[str, ServiceState | None]
    settings: Settings | None = None
    releasing: Releasing | None = None
    flags: Mapping[str, FlagState | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    revision: int
    settings: Settings
    services: Mapping[str, ServiceState]
    pending: tuple[Pending, ...] = ()
    """Changes that wait to be confirmed, the oldest first."""
    releasing: Releasing = field(default_factory=Releasing)
    """What the file says of releases. Workers get neither this nor ``releases``: they route by weights alone."""
    releases: Mapping[int, Release] = field(default_factory=dict)
    """By id: those that are active and, of each service, the last one; what is older is in the store."""
    flags: Mapping[str, FlagState] = field(default_factory=dict)
    """By name; their order means nothing."""
