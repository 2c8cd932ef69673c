"""What clients get, as models: the source of the OpenAPI document, and what the tests hold real answers against."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, RootModel

from gatekeeper.control.api.base import Answer, Changed, Share, WallSeconds
from gatekeeper.control.api.flag_answers import FlagBrief, FlagsInShort
from gatekeeper.control.api.past_answers import Change, Revision
from gatekeeper.control.api.verdict_answers import Verdict

State = Literal["pending", "ready", "ejected", "draining"]


class OpenApi(RootModel[dict[str, Any]]):
    """An OpenAPI 3.1 document."""


class Alive(Answer):
    status: Literal["ok"]


class Ready(Answer):
    status: Literal["ready"]


# The present


class Worker(Answer):
    """A slot of the data plane; without ``pid`` it is between two processes. The load is what it told last."""

    index: int | None = None
    pid: int | None
    state: str
    revision: int
    restarts: int | None = None
    last_end: Annotated[str | None, Field(description="Why the process before this one ended.")] = None
    connections: int | None = None
    in_flight: int | None = None
    lag: Annotated[float | None, Field(description="Seconds its event loop was late.")] = None
    rss: Annotated[int | None, Field(description="Bytes of memory.")] = None


class Backend(Answer):
    """``id`` tells the addresses of one host name apart; elsewhere it is the url."""

    url: str
    id: str
    weight: int
    state: State
    reason: str
    since: WallSeconds | None


class Live(Answer):
    """The last seconds of a version; ``errors`` is the part of its requests that were answered with 5xx."""

    seconds: float
    requests: int
    failed: int
    errors: float | None
    rate: Annotated[float, Field(description="Requests per second.")]
    share: Annotated[float | None, Field(description="The part of the service's requests that it really got.")]
    p50: Annotated[float | None, Field(description="Seconds.")]
    p95: Annotated[float | None, Field(description="Seconds.")]
    p99: Annotated[float | None, Field(description="Seconds.")]
    in_flight: int


class Trip(Answer):
    at: WallSeconds
    reason: str


class Version(Answer):
    build: str | None
    origin: Literal["file", "deploy"]
    differs_from_file: Annotated[bool, Field(description="The file says something else of it; the deploy holds.")]
    tripped: Annotated[Trip | None, Field(description="Why it may get no weight until a reset.")]
    draining: Annotated[WallSeconds | None, Field(description="Until when what is under way may end.")]
    backends: list[Backend]
    live: Live


class Next(Answer):
    """What happens next by itself: when, and after what."""

    text: str
    at: WallSeconds | None
    if_: Annotated[str, Field(alias="if", description="What has to happen first; empty: nothing.")]


class BeingReleased(Answer):
    """The release that is under way."""

    id: int
    state: str
    headline: str
    to: str
    next: Next | None
    waiting: list[str]
    verdict: Annotated[Verdict | None, Field(description="Null: nothing is judged, or not yet.")]


class Retained(Answer):
    """The version that a rollback of the last release brings back."""

    version: str
    until: WallSeconds


class Service(Answer):
    name: str
    hosts: list[str]
    path_prefix: str
    stable: str
    split: Share
    changed: Changed
    versions: dict[str, Version]
    retired: Annotated[list[str], Field(description="Versions that the file names and that were retired.")]
    release: BeingReleased | None
    retained: Retained | None


class Undo(Answer):
    revision: int
    split: Share


class ServiceInFull(Service):
    revision: int
    rule_splits: dict[str, Share]
    undo: Annotated[list[Undo], Field(description="What a rollback returns to, the next first.")]
    definition: Annotated[dict[str, Any], Field(description="What is in force; secrets are counted, not shown.")]


class Drained(Answer):
    """What became of the requests and tunnels of a version that drains; 0 until it is ``done``."""

    until: WallSeconds
    finished: int
    cut: int
    done: bool


class VersionInFull(Version):
    revision: int
    service: str
    version: str
    weight: float
    drained: Annotated[Drained | None, Field(description="None if it does not drain, or did before a restart.")]
    definition: dict[str, Any]


class Pending(Answer):
    """A change that undoes itself at ``deadline`` unless it is confirmed."""

    revision: int
    deadline: WallSeconds
    actor: str
    services: list[str]
    flags: list[str]


class Webhook(Answer):
    """Who is told of releases, and how that goes; of the url what names the receiver, no more."""

    url: str
    events: Annotated[list[str], Field(description="Kinds of events; empty: all of releases.")]
    state: Literal["ok", "failing"]
    reason: str
    since: Annotated[WallSeconds | None, Field(description="Since when it fails.")]
    tries: Annotated[int, Field(description="Of what is being sent.")]
    waiting: Annotated[int, Field(description="Events that are not delivered yet.")]
    delivered: int
    dropped: int
    last: Annotated[WallSeconds | None, Field(description="The last delivery.")]


class Status(Answer):
    version: str
    pid: int
    started: WallSeconds
    revision: int
    ready: bool
    problems: list[str]
    pending: list[Pending]
    workers: list[Worker]
    services: list[Service]
    flags: FlagsInShort
    notify: Annotated[list[Webhook], Field(description="The webhooks of the file.")]


class Services(Answer):
    revision: int
    services: list[Service]


# What a change comes to


class Workers(Answer):
    acknowledged: Annotated[int, Field(description="Those that route by the new revision.")]
    total: int


class Outcome(Answer):
    """``revision`` is what is in force after it, with ``dry_run`` what would be; ``base`` what it was made from."""

    revision: int
    base: int
    dry_run: bool
    changes: list[Change]
    workers: Workers
    ms: Annotated[float, Field(description="Milliseconds it took.")]
    confirm_by: Annotated[WallSeconds | None, Field(description="When it undoes itself unless it is confirmed.")]


class ServiceOutcome(Outcome):
    service: str
    split: Share


class RollbackOutcome(ServiceOutcome):
    warnings: Annotated[list[str], Field(description="Versions that hold weight again and have no ready backend.")]


class VersionOutcome(ServiceOutcome):
    version: str


class ConfigOutcome(Outcome):
    note: str


class DrainOutcome(VersionOutcome):
    draining: Annotated[WallSeconds | None, Field(description="Until when what is under way may end.")]


class FlagOutcome(Outcome):
    flag: str
    now: Annotated[FlagBrief | None, Field(description="What it is after the change; null: it is gone.")]


class Pass(Answer):
    """``pass`` goes into ``X-Gatekeeper-Pass``."""

    pass_: Annotated[str, Field(alias="pass")]
    expires: WallSeconds
    service: str
    versions: list[str]


class Explanation(Answer):
    service: str
    version: str
    reason: str
    because: str
    rule: str | None
    forced: bool
    probability: float
    failed_over_from: str | None
    unavailable: bool
    sets_cookie: list[str]
    revision: int
    note: str | None = None


# What goes wrong


class Mistake(Answer):
    """One thing wrong. ``path`` is where in the body, ``?NAME`` a parameter; files have lines, too."""

    model_config = ConfigDict(extra="allow")

    path: str
    message: str
    found: str | None = None
    allowed: str | None = None
    suggestion: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None


class Problem(Answer):
    """RFC 9457. ``code`` is the word for programs, ``allowed`` the way out, ``problems`` every mistake found."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    allowed: str
    problems: list[Mistake]
    revision: Annotated[int | None, Field(description="The current one, where the request met it.")] = None
    changed: Annotated[list[Revision] | None, Field(description="412: what happened since, newest first.")] = None
