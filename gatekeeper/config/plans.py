"""``plans``, ``releases``, ``freeze`` and ``notify`` as pydantic models: how, when and together with what is released.

What needs more than one key (weights that rise, moments without a time zone) is in ``plan_checks``.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, model_validator

from gatekeeper.config.addresses import API_ADDRESS, FILE, REQUEST_PATH, WEB_ADDRESS
from gatekeeper.config.analysis import Analysis
from gatekeeper.config.base import Many, Model, TextOrMapping, key
from gatekeeper.config.mirrors import MirrorCheck
from gatekeeper.config.moments import HOURS, MOMENT, WEEKDAYS, ZONE, Moment
from gatekeeper.config.problems import WrongValueError
from gatekeeper.config.values import BOOLEAN, NAME, SHARE, choice, duration, text, whole, wrong

CHECKS = ("http", "command", "released_in", "mirror")
EVENTS = (
    "release_started",
    "release_verifying",
    "release_verified",
    "release_check_failed",
    "release_waiting",
    "release_approved",
    "release_approval_expired",
    "release_rejected",
    "release_step",
    "release_skipped",
    "release_verdict",
    "release_paused",
    "release_resumed",
    "release_promoted",
    "release_rolled_back",
    "release_aborted",
    "release_retention_over",
    "rollback",
    "tripped",
)
"""Kinds of events that can be told: all of a release, and what brings users back without one."""
MAX_STEPS = 100
"""More than a step for each percent of the traffic is a mistake of a generator."""

_HOUR = 3600.0
_MONTH = 30 * 24 * _HOUR
"""The longest that a step may be held or an approval stay good: longer ones are releases that somebody forgot."""

_Name = Annotated[str, NAME]
_Zone = Annotated[str, ZONE]
_Moment = Annotated[Moment, MOMENT]
_Days = Annotated[tuple[Annotated[tuple[int, ...], WEEKDAYS], ...], Many(1, 7)]


class HttpCheck(TextOrMapping):
    """A GET to every backend of the candidate; the path alone is enough."""

    path: Annotated[str, REQUEST_PATH] = Field(description="Path that is asked for.")
    status: Annotated[tuple[Annotated[int, whole(200, 599)], ...], Many(1, unique=int)] = key(
        [200], "Statuses that pass."
    )
    body_contains: Annotated[str, text(0, 1024)] = key("", "What must stand in the first 64 KiB of the answer.")
    within: Annotated[float, duration(0.01, 600)] = key("2s", "Time the answer may take.")


class CommandCheck(Model):
    """A program of this machine. It passes with exit code 0."""

    run: Annotated[
        tuple[Annotated[str, text(0, 4096)], ...],
        Many(1, 256, alone=False, what="texts: the program and its arguments, which no shell reads"),
    ] = Field(description="Program and arguments; {url} in them is the address of the candidate's first backend.")
    timeout: Annotated[float, duration(0.1, 24 * _HOUR)] = key("2m", "Time it may take; then it is killed.")


class ReleasedInCheck(Model):
    """The same build was released at another gatekeeper."""

    gatekeeper: Annotated[str, API_ADDRESS] = Field(description="http:// or https:// address of its admin API.")
    service: _Name = Field(description="The service there.")
    token_file: Annotated[str, FILE] | None = key(None, "File with the bearer token for it.")
    timeout: Annotated[float, duration(0.1, 600)] = key("10s", "Time the answer may take.")


class Check(Model):
    """One thing that must be true of the candidate. Exactly one of the keys stands here."""

    http: HttpCheck | None = key(None, "Every backend of the candidate answers a GET as it should.")
    command: CommandCheck | None = key(None, "A program of this machine ends with exit code 0.")
    released_in: ReleasedInCheck | None = key(None, "The same build was released at another gatekeeper.")
    mirror: MirrorCheck | None = key(None, "Copies of users' requests are answered by the candidate as by stable.")

    @model_validator(mode="before")
    @classmethod
    def _one_check(cls, value: object) -> object:
        # An unknown key is reported by its own name; saying also that a known one is missing would be noise.
        if isinstance(value, Mapping) and len(value) != 1 and set(value) <= set(CHECKS):
            raise wrong(WrongValueError("takes exactly one check", allowed=f"exactly one of {', '.join(CHECKS)}"))
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return {**handler.resolve_ref_schema(handler(schema)), "minProperties": 1, "maxProperties": 1}


_Checks = Annotated[tuple[Check, ...], Many(0, 100, alone=False, what="checks")]


class Window(Model):
    """Hours of some days. At least one of days and hours stands here."""

    days: _Days = key(["daily"], "Days on which it opens: mon, mon-thu, daily, or a list of such.")
    hours: Annotated[tuple[int, int], HOURS] = key("00:00-24:00", "Hours of these days; over midnight too.")
    timezone: _Zone | None = key(None, "Where these are the hours. Default: the timezone beside window, else UTC.")


class Start(Model):
    """When the first step may be taken. At least one of at and window stands here."""

    at: _Moment | None = key(None, "Not before: 2026-12-01T06:00.")
    timezone: _Zone | None = key(None, "Where at and the hours of window are local.")
    window: Window | None = key(None, "Every step is taken only while it is open.")


class Approval(Model):
    """Who must agree: one member of each group, none of them the author, nobody for two groups."""

    groups: Annotated[tuple[_Name, ...], Many(1, 16, unique=str)] = Field(description="Groups that are asked.")
    expires: Annotated[float, duration(1, _MONTH)] = key("24h", "Time after which an approval counts no more.")


class Step(Model):
    """A weight for the candidate, what comes before it, and how long it is held."""

    weight: Annotated[Decimal, SHARE] = Field(description="Percent of the service's traffic; the last step's is 100.")
    hold: Annotated[float, duration(0, _MONTH)] = key(0, "Time the weight is held before the next step.")
    approve: Approval | None = key(None, "Who must agree before this step.")
    pause: Annotated[bool, BOOLEAN] = key(False, "Whether somebody must resume the release before this step.")
    verify: _Checks = key([], "Checks before this step.")


class Plan(Model):
    """What a release does in which order, and what must be true to go on."""

    verify: _Checks = key([], "Checks before any user sees the candidate; all must pass.")
    start: Start | None = key(None, "When the first step may be taken. Default: at once.")
    approve: Approval | None = key(None, "Who must agree before the first step.")
    steps: Annotated[tuple[Step, ...], Many(1, MAX_STEPS, alone=False, what="steps")] = Field(
        description="Weights that rise to 100, each with what comes before it and how long it is held."
    )
    analysis: Analysis | None = key(None, "What the judge is asked in every step. Default: nothing is judged.")
    on_fail: Annotated[str, choice("rollback", "pause")] = key(
        "rollback", "What is done when a check fails or the judge is against the candidate."
    )
    max_hold: Annotated[float, duration(1, _MONTH)] = key(
        "24h", "Longest time a hold goes on when the judge does not let it pass; then the release pauses."
    )
    retain: Annotated[float, duration(0, _MONTH)] = key("1h", "Time a rollback brings the old version back afterwards.")


class Freeze(Model):
    """No start and no step then; never a rollback. At least one of from, until, days and hours stands here."""

    from_: _Moment | None = key(None, "First moment: 2026-12-20T00:00. Default: always was.", alias="from")
    until: _Moment | None = key(None, "Moment at which it is over. Default: never.")
    days: _Days = key(["daily"], "Days of the week: mon, fri-sun, daily, or a list of such.")
    hours: Annotated[tuple[int, int], HOURS] = key("00:00-24:00", "Hours of these days; over midnight too.")
    timezone: _Zone | None = key(None, "Where all these are local. Default of days and hours: UTC.")
    reason: Annotated[str, text(0, 200)] = key("", "Told to who is refused.")


Freezes = Annotated[tuple[Freeze, ...], Many(0, 1000, alone=False, what="freezes")]


class Group(Model):
    """Services that are released, and taken back, as one."""

    services: Annotated[tuple[_Name, ...], Many(2, 100, alone=False, unique=str, what="services")] = Field(
        description="The services; each in one group only."
    )
    plan: _Name | None = key(None, "The plan that is used if none is named. Default: at once.")


class Webhook(Model):
    """Who is told of events, by a signed POST."""

    url: Annotated[str, WEB_ADDRESS] = Field(description="http:// or https:// address that takes the POST.")
    secret: Annotated[str, text(16, 1024, hidden=True, what="a secret")] = Field(
        description="Signs what is sent; at least 16 characters, best as ${...}."
    )
    events: Annotated[tuple[Annotated[str, choice(*EVENTS)], ...], Many(1, unique=str)] = key(
        (), "Kinds of events. Default: all of these."
    )


Webhooks = Annotated[tuple[Webhook, ...], Many(0, 16, alone=False, unique=lambda hook: hook.url, what="webhooks")]
