"""What is not about one service, as values: listeners, limits, who may do what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do; each may what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Paths of two PEM files: a certificate, followed by its intermediates, and its private key."""

    cert: str
    key: str


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """TLS for clients. The files are named, never held: their content reaches workers apart from any revision.

    The first of ``pairs`` is the one for names that no other is for. ``client_auth`` is ``none``, ``optional`` or
    ``required``; ``client_ca`` (a path) is set unless it is ``none``. ``min_version`` is ``1.2`` or ``1.3``.
    """

    pairs: tuple[KeyPair, ...]
    min_version: str = "1.2"
    client_ca: str | None = None
    client_auth: str = "none"


@dataclass(frozen=True, slots=True)
class Listener:
    """What a listening address expects of a connection before HTTP begins: first PROXY protocol, then TLS."""

    tls: ListenerTls | None = None
    proxy_protocol: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """0 means none, except for the two that protect the parser, which have no such value.

    ``connections`` counts client connections over all workers.
    """

    header_bytes: int = 32 * 1024
    headers: int = 100
    body: int = 0
    connections: int = 0


@dataclass(frozen=True, slots=True)
class Log:
    access: str = "json"
    """``json``, ``combined`` or ``off``."""
    level: str = "info"
    """``debug``, ``info``, ``warning`` or ``error``."""


@dataclass(frozen=True, slots=True)
class User:
    """What a user of this machine may do on the admin socket."""

    role: Role
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dns:
    """Host names of backends: how often they are looked up, and how long a lookup may take."""

    refresh: float = 10.0
    timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class Tracing:
    """``otlp`` is the collector's address for traces by HTTP, ``sample`` the part (0..1) of new traces that is kept."""

    otlp: str
    sample: float = 0.01


@dataclass(frozen=True, slots=True)
class Settings:
    """What is not about one service. ``listen`` are ``HOST:PORT`` (IPv6 in brackets) or ``unix:/PATH`` texts."""

    listen: tuple[str, ...] = ("0.0.0.0:8080",)
    listeners: Mapping[str, Listener] = field(default_factory=dict)
    """Those of ``listen`` that are not plain HTTP."""
    admin_socket: str = ""
    admin_http: str | None = None
    admin_tokens: str | None = None
    admin_users: Mapping[str, User] = field(default_factory=dict)
    """Users of the admin socket by name; its owner and root may everything anyway."""
    ofrep_rate: int = 1000
    """Evaluations that one actor may ask the admin API for, per second."""
    state: str = ""
    workers: int = 0
    """0 = one per core."""
    trusted_proxies: tuple[str, ...] = ()
    limits: Limits = Limits()
    log: Log = Log()
    log_file: str | None = None
    """Where events and messages go; None: standard output. The same of ``access_file`` and the access log."""
    access_file: str | None = None
    tracing: Tracing | None = None
    dns: Dns = Dns()
