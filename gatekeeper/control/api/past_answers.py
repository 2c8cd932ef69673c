"""What clients get of the past, as models: revisions, differences, events, audit."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, RootModel

from gatekeeper.control.api.base import Answer, Share, WallSeconds
from gatekeeper.control.api.flag_answers import Held


class Change(Answer):
    """``before`` is null for what is new, ``after`` for what is gone."""

    path: str
    before: Any
    after: Any


class Revision(Answer):
    revision: int
    at: WallSeconds
    actor: str
    action: str
    note: str
    changes: list[Change]
    splits: Annotated[dict[str, Share], Field(description="Those that this revision set, by service.")]
    weights: Annotated[Share | None, Field(description="With ?service=: the split that it set there.")] = None
    flags: Annotated[dict[str, Held | None], Field(description="What it made of flags; null: it removed one.")]


class Revisions(Answer):
    revisions: list[Revision]


class FlagHistory(Answer):
    flag: str
    revisions: Annotated[list[Revision], Field(description="Those that changed the flag, the newest first.")]


class PastService(Answer):
    split: Share
    definition: Annotated[dict[str, Any] | None, Field(description="Null: it was not kept.")]
    deployed: list[str]
    retired: list[str]


class PastFlag(Held):
    definition: dict[str, Any]


class RevisionInFull(Revision):
    services: dict[str, PastService]
    flags_then: Annotated[dict[str, PastFlag], Field(description="The flags that were in force.")]


class Difference(Answer):
    """What is another in ``revision`` than it was in ``diff``."""

    revision: int
    diff: int
    changes: list[Change]


class RevisionOrDifference(RootModel[RevisionInFull | Difference]):
    """With ``?diff=`` a difference."""


class Event(Answer):
    """What happened. Each kind has keys of its own beside these."""

    model_config = ConfigDict(extra="allow")

    id: int
    at: WallSeconds
    kind: str
    revision: int | None


class Events(RootModel[list[Event]]):
    """The oldest first."""


class AuditRow(Answer):
    id: int
    at: WallSeconds
    actor: str
    via: Annotated[str, Field(description="uid NUMBER, token, dashboard, signal or gatekeeper.")]
    action: str
    service: Annotated[str, Field(description="What it is about: a service, several, or `flag NAME`.")]
    revision: int | None
    outcome: str
    detail: str


class Audit(Answer):
    audit: Annotated[list[AuditRow], Field(description="The newest first.")]


class Removed(Answer):
    revisions: int
    events: int
    audit: int


class Pruned(Answer):
    revision: int
    oldest: Annotated[int, Field(description="The oldest revision that is left.")]
    dry_run: bool
    removed: Removed
