"""The file as pydantic models: edges only, nothing inside the program sees them.

Every key stands here with its meaning and its default as it is written in the file; the JSON Schema is made from this.
Checks that need more than one key (unknown versions, two services at one place) are in ``checks``.
"""

from typing import Annotated

from pydantic import Field

from gatekeeper.config.addresses import (
    BACKEND,
    FILE,
    FORCE_HEADER,
    HOST,
    LISTEN,
    NETWORK,
    PREFIX,
    REQUEST_PATH,
    SERVER_NAME,
    SOCKET,
    TCP_ADDRESS,
    TRACES_ADDRESS,
    UNIT,
)
from gatekeeper.config.base import Many, Model, OrOff, TextOrMapping, key
from gatekeeper.config.flags import Flags
from gatekeeper.config.matching import Rule, Weights
from gatekeeper.config.mirrors import Mirror
from gatekeeper.config.ofrep import Ofrep
from gatekeeper.config.plans import Freezes, Group, Plan, Webhooks
from gatekeeper.config.values import (
    BOOLEAN,
    NAME,
    PAGE_KEY,
    PERCENT,
    TLS_VERSION,
    USER,
    choice,
    duration,
    percent,
    size,
    text,
    whole,
)

_HOUR = 3600.0
_DAY = 24 * _HOUR

_Name = Annotated[str, NAME]
_Networks = Annotated[tuple[Annotated[str, NETWORK], ...], Many(unique=str)]
_Switch = Annotated[bool, BOOLEAN]


class Certificate(Model):
    """A certificate and its key. The settings of a listener as a whole stand in the first one of its list."""

    cert: Annotated[str, FILE] = Field(description="PEM file: the certificate, then its intermediates.")
    key_: Annotated[str, FILE] = Field(alias="key", description="PEM file: the private key, without a password.")
    min_version: Annotated[str, TLS_VERSION] = key("1.2", "Least version of TLS.")
    client_ca: Annotated[str, FILE] | None = key(None, "PEM file: who may have signed the certificates of clients.")
    client_auth: Annotated[str, choice("required", "optional")] | None = key(
        None, "Whether clients must show a certificate. Default with client_ca: required."
    )


class Listen(TextOrMapping):
    """One listening address; the text alone is enough."""

    address: Annotated[str, LISTEN] = Field(description="ADDRESS:PORT (IPv6 in brackets) or unix:/PATH.")
    tls: Annotated[tuple[Certificate, ...], Many(1, 256, alone=False, mapping=True)] | None = key(
        None, "TLS: a certificate, or a list of which each client gets the one for the name it asks for."
    )
    proxy_protocol: _Switch = key(False, "Whether each connection begins with a PROXY header, version 1 or 2.")


class User(Model):
    """What a user of this machine may do on the admin socket."""

    role: Annotated[str, choice("viewer", "operator", "admin")] = key(
        "operator", "viewer reads, operator changes, admin also changes what gatekeeper is."
    )
    groups: Annotated[tuple[_Name, ...], Many(0, 64, unique=str)] = key([], "Groups whose approval the user can give.")


class AdminOfrep(Model):
    """Feature flags for applications, by the OFREP protocol."""

    rate: Annotated[int, whole(1, 1_000_000)] = key(1000, "Requests of one token or user in a second; then a 429.")


class Admin(Model):
    """Where operators reach gatekeeper."""

    socket: Annotated[str, SOCKET] | None = key(
        None, "Unix socket, mode 0660. Always there; without this key in the default place."
    )
    http: Annotated[str, TCP_ADDRESS] | None = key(
        None, "ADDRESS:PORT of the API and metrics over TCP. Off unless named."
    )
    tokens: Annotated[str, FILE] | None = key(
        None, "File of bearer tokens (hashed). Without it TCP answers /healthz only."
    )
    users: dict[Annotated[str, USER], User] = key(
        {}, "Users of this machine who are not operators, by name. Root and gatekeeper's own user may do everything."
    )
    ofrep: AdminOfrep = key({}, "Feature flags for applications.")


class Dns(Model):
    """Host names of backends."""

    refresh: Annotated[float, duration(0.1, _HOUR)] = key("10s", "Time between two lookups of a name.")
    timeout: Annotated[float, duration(0.1, 60)] = key("5s", "Time a lookup may take; then the last answer stays.")


class Limits(Model):
    """Bounds on what one client may send. 0 is no limit, where it is allowed."""

    header_bytes: Annotated[int, size(1024, 1024**2)] = key("32KiB", "Bytes of a request's head.")
    headers: Annotated[int, whole(1, 10_000)] = key(100, "Header lines of a request.")
    body: Annotated[int, size(0, 2**50)] = key(0, "Bytes of a request's body; 0: no limit.")
    connections: Annotated[int, whole(0, 1_000_000)] = key(0, "Client connections of all workers; 0: no limit.")


class Log(Model):
    """What is written, and where: without a file to standard output."""

    access: Annotated[str, choice("json", "combined", "off")] = key("json", "Form of the access log.")
    level: Annotated[str, choice("debug", "info", "warning", "error")] = key("info", "Least severity that is logged.")
    file: Annotated[str, FILE] | None = key(None, "File of events and messages; opened anew on SIGUSR1.")
    access_file: Annotated[str, FILE] | None = key(None, "File of the access log; opened anew on SIGUSR1.")


class Tracing(Model):
    """Spans of requests, to a collector of OpenTelemetry."""

    otlp: Annotated[str, TRACES_ADDRESS] = Field(description="http:// or https:// address of OTLP by HTTP.")
    sample: Annotated[float, percent(0, 100)] = key("1%", "Part of the traces begun here that is kept.")


class Backend(TextOrMapping):
    """One address of a version; the text alone is enough."""

    url: Annotated[str, BACKEND] = Field(description="http://HOST:PORT, https://HOST:PORT or unix:/PATH.")
    weight: Annotated[int, whole(1, 1000)] = key(1, "Share among the backends of its version.")


class Health(Model):
    """Active checks of every backend of a version."""

    path: Annotated[str, REQUEST_PATH] = key("/", "Path that is asked for by GET.")
    status: Annotated[tuple[Annotated[int, whole(200, 599)], ...], Many(1, unique=int)] = key(
        [200], "Statuses that mean healthy."
    )
    body_contains: Annotated[str, text(0, 1024)] = key("", "What must stand in the first 64 KiB of the answer.")
    interval: Annotated[float, duration(0.1, _HOUR)] = key("2s", "Time between two checks.")
    timeout: Annotated[float, duration(0.01, 600)] = key("1s", "Time a check may take.")
    rise: Annotated[int, whole(1, 100)] = key(2, "Passed checks in a row that make an ejected backend ready.")
    fall: Annotated[int, whole(1, 100)] = key(3, "Failed checks in a row that eject a ready backend.")
    jitter: Annotated[float, percent(0, 50)] = key("10%", "Part of the interval by which a check comes early or late.")


class BackendTls(Model):
    """TLS to the https backends of a version."""

    ca: Annotated[str, FILE] | None = key(None, "PEM file of trusted authorities. Default: those of the system.")
    verify: _Switch = key(True, "Whether the backend's certificate and its name are verified.")
    server_name: Annotated[str, SERVER_NAME] | None = key(
        None, "Name that is asked for and verified. Default: the host of the url."
    )
    cert: Annotated[str, FILE] | None = key(None, "PEM file: the certificate shown to the backend.")
    key_: Annotated[str, FILE] | None = key(None, "PEM file: its private key.", alias="key")


class Version(Model):
    """A deployed build and its backends."""

    backends: Annotated[tuple[Backend, ...], Many(1, unique=lambda backend: backend.url)] = Field(
        description="Addresses of this version."
    )
    build: Annotated[str, text(1, 200)] | None = key(None, "Free text, shown everywhere, kept in history.")
    health: Health | None = key(None, "Active health checks. Without them a backend counts as ready.")
    tls: BackendTls = key({}, "TLS to backends with https.")


class Sticky(Model):
    """What keeps a user with a version."""

    by: Annotated[tuple[Annotated[tuple[str, str], UNIT], ...], Many(1, 16, unique=tuple)] = key(
        ["cookie"], "Where the unit id comes from, in order: header:NAME, cookie:NAME, cookie, client_ip."
    )
    mode: Annotated[str, choice("ramp", "pin", "none")] = key("ramp", "How firmly a unit stays with its version.")


class Testers(Model):
    """Who may force a version."""

    header: Annotated[str, FORCE_HEADER] = key("X-Gatekeeper-Version", "Header that names the forced version.")
    query: _Switch = key(False, "Whether ?gatekeeper-version=NAME forces a browser session.")
    from_: _Networks = key(["127.0.0.0/8", "::1/128"], "Networks that may force without a pass.", alias="from")
    keys: Annotated[tuple[Annotated[str, text(16, 1024, hidden=True, what="a key")], ...], Many(0, 16, unique=str)] = (
        key([], "Keys of passes: the first signs, all verify.")
    )


class Timeouts(Model):
    """Times a client or backend may take."""

    request_head: Annotated[float, duration(0.1, 600)] = key("10s", "Until a request's head is complete.")
    connect: Annotated[float, duration(0.01, 600)] = key("5s", "Until a backend accepts a connection.")
    response: Annotated[float, duration(0.01, _DAY)] = key("60s", "Until a response begins, and pauses within it.")
    idle: Annotated[float, duration(0.1, _DAY)] = key(
        "60s", "A connection without a request is closed after this time, and so is a client that does not read."
    )
    tunnel: Annotated[float, duration(0.1, 7 * _DAY)] = key("1h", "A WebSocket that says nothing is closed after this.")
    drain: Annotated[float, duration(0, _HOUR)] = key("30s", "Requests under way may end in this time.")


class Retries(Model):
    """Tries after the first, only where repeating is safe."""

    attempts: Annotated[int, whole(0, 10)] = key(1, "Further tries after the first.")
    budget: Annotated[float, PERCENT] = key("10%", "Share of requests that may be retries.")
    on_stable: _Switch = key(False, "Whether a safe request that failed on the candidate is answered by stable.")


class Ejection(Model):
    """When a backend that fails users' requests gets none for a while."""

    failures: Annotated[int, whole(1, 1000)] = key(5, "Least number of failures that eject.")
    errors: Annotated[float, PERCENT] = key("50%", "Least part of its requests that failed, since the first of these.")
    within: Annotated[float, duration(0.1, 600)] = key("10s", "Time in which they are counted.")
    for_: Annotated[float, duration(0.1, _HOUR)] = key(
        "10s", "Time out; each time in a row takes twice as long.", alias="for"
    )
    most: Annotated[float, duration(0.1, _DAY)] = key("5m", "Longest time out.")
    keep: Annotated[float, PERCENT] = key("50%", "Part of a version's backends that always stay, at least one.")


class Trip(Model):
    """When a version that is not stable loses its weight at once."""

    errors: Annotated[float, percent(1, 100)] = key("50%", "Part of its requests answered with 5xx.")
    within: Annotated[float, duration(0.2, 60)] = key("1s", "Time in which they are counted.")
    min: Annotated[int, whole(1, 1_000_000)] = key(20, "Least number of requests in that time.")


class Service(Model):
    """A named front: hosts and path prefix, its versions, its rules."""

    hosts: Annotated[tuple[Annotated[str, HOST], ...], Many(1, unique=str)] = key(
        (), "Hosts it answers to. Omitted: every host."
    )
    path_prefix: Annotated[str, PREFIX] = key("/", "Paths it answers to, by whole segments. The longest prefix wins.")
    strip_prefix: _Switch = key(False, "Whether backends see the path without the prefix.")
    versions: Annotated[dict[_Name, Version], Field(min_length=1)] = Field(description="Version name to version.")
    stable: _Name | None = key(None, "The version that holds the service. Default: the first one.")
    split: Weights | None = key(None, "Weights at the start. Default: stable has all. Left out: 0.")
    sticky: Sticky = key({}, "What keeps a user with a version.")
    rules: Annotated[tuple[Rule, ...], Many(0, 1000, alone=False)] = key([], "Tried in order before the split.")
    testers: Testers = key({}, "Who may force a version.")
    on_unavailable: Annotated[str, choice("fail_over", "fail")] = key(
        "fail_over", "When a version has no ready backend."
    )
    timeouts: Timeouts = key({}, "Times a client or backend may take.")
    retries: Retries = key({}, "Tries after the first.")
    skew: Annotated[float, duration(0, 7 * _DAY)] = key(0, "How long an open page keeps its version; 0: off.")
    ejection: Annotated[Ejection | None, OrOff()] = key({}, "When a backend that fails users' requests gets none; off.")
    slow_start: Annotated[float, duration(0, _HOUR)] = key(
        0, "Time in which a backend that became ready grows to its whole share; 0: at once."
    )
    trip: Annotated[Trip | None, OrOff()] = key({}, "When a version that is not stable loses its weight at once; off.")
    mirror: Mirror | None = key(None, "Copies of users' requests to another version, and what differs.")
    ofrep: Ofrep | None = key(None, "Flags for its clients, by OFREP. Without this key they cannot ask.")
    plan: _Name | None = key(None, "The plan of its releases if none is named. Default: at once.")
    freeze: Freezes = key([], "When none of its releases may begin or take a step.")
    error_pages: Annotated[dict[Annotated[str, PAGE_KEY], Annotated[str, FILE]], Field(min_length=1)] | None = key(
        None, "HTML files for errors gatekeeper makes, by status (502) or class (5xx); dir: a directory of 502.html, …"
    )


class File(Model):
    """A gatekeeper configuration file."""

    include: Annotated[tuple[Annotated[str, text(1, 4096)], ...], Many()] = key([], "Files or globs, beside this file.")
    listen: Annotated[tuple[Listen, ...], Many(1, 64, unique=lambda item: item.address)] = key(
        ["0.0.0.0:8080"], "Where users connect."
    )
    admin: Admin = key({}, "Where operators reach gatekeeper.")
    state: Annotated[str, FILE] | None = key(None, "File of the store. Without this key in the default place.")
    workers: Annotated[int, whole(1, 256, "auto")] = key("auto", "Data-plane processes; auto: one per core.")
    trusted_proxies: _Networks = key([], "Networks whose X-Forwarded-* and Forwarded fields are believed.")
    limits: Limits = key({}, "Bounds on what one client may send.")
    log: Log = key({}, "What is written, and where.")
    dns: Dns = key({}, "Host names of backends.")
    tracing: Tracing | None = key(None, "Where spans of requests go. Without this key nowhere.")
    plans: dict[_Name, Plan] = key({}, "What releases do in which order, by name.")
    releases: dict[_Name, Group] = key({}, "Services that are released as one, by a name of their own.")
    freeze: Freezes = key([], "When no release may begin or take a step.")
    notify: Webhooks = key([], "Who is told of events.")
    flags: Flags = key({}, "Features that are released without a deploy, by name.")
    services: Annotated[dict[_Name, Service], Field(min_length=1)] = Field(description="Service name to service.")
