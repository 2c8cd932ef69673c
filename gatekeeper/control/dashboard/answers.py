"""What the dashboard's endpoints take and give, as models; see ``api.answers``."""

from typing import Annotated

from pydantic import Field

from gatekeeper.control.api.answers import BeingReleased, Retained, Worker
from gatekeeper.control.api.base import Answer, Body, WallSeconds


class SignInBody(Body):
    token: Annotated[str, Field(min_length=1)]


class Session(Answer):
    """Who asks, and what a page needs to act for him."""

    name: str
    role: str
    groups: list[str]
    csrf: Annotated[str | None, Field(description="For X-Gatekeeper-CSRF; null where no cookie says who it is.")]
    expires: Annotated[WallSeconds | None, Field(description="When he has to sign in again at the latest.")]
    revision: int
    gatekeeper: Annotated[str, Field(description="The version of gatekeeper.")]


class Mark(Answer):
    """Something that moved users, or would have."""

    at: WallSeconds
    kind: Annotated[str, Field(description="That of the event.")]
    text: str
    revision: int | None
    version: str | None
    actor: str | None


Numbers = list[float | None]


class VersionThen(Answer):
    """Lists, each as long as `at` of the service; null: not known."""

    requests: Numbers
    errors: Numbers
    p50: Numbers
    p95: Numbers
    p99: Numbers
    in_flight: Numbers
    weight: Numbers
    share: Numbers


class ServiceThen(Answer):
    at: Annotated[list[WallSeconds], Field(description="One a second, the oldest first.")]
    versions: dict[str, VersionThen]
    odds: Annotated[Numbers, Field(description="Of the judge, against luck.")]
    bar: Annotated[float | None, Field(description="The odds that mean rollback.")]
    verdict: list[str | None]


class Then(Answer):
    """What was: the event `past`."""

    at: WallSeconds
    revision: int
    services: dict[str, ServiceThen]
    marks: dict[str, list[Mark]]


class VersionNow(Answer):
    """The last second; quantiles (seconds) and share look back over five."""

    requests: int
    errors: Annotated[int, Field(description="Those of the requests that were answered with 5xx.")]
    p50: float | None
    p95: float | None
    p99: float | None
    in_flight: int
    weight: Annotated[float, Field(description="The part of the requests that the split gives it, 0..1.")]
    share: Annotated[float | None, Field(description="The part that it really got, 0..1.")]


class ServiceNow(Answer):
    versions: dict[str, VersionNow]
    odds: float | None
    bar: float | None
    verdict: Annotated[str | None, Field(description="Its kind.")]
    release: BeingReleased | None
    retained: Retained | None
    marks: Annotated[list[Mark] | None, Field(description="Those since the last tick.")] = None


class Now(Answer):
    """What is: the event `tick`."""

    at: WallSeconds
    revision: int
    services: dict[str, ServiceNow]
    workers: list[Worker]
    problems: list[str]


class LiveNow(Answer):
    """With ?follow=0: what a stream begins with, and one tick."""

    past: Then
    tick: Now
