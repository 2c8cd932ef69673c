"""What clients send about releases, see ``bodies``."""

import math
import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema

from gatekeeper.control.api.base import NAME_PATTERN, Body, Note, known, wrong
from gatekeeper.control.api.wire import NAME, NOTE
from gatekeeper.core.release.start import MOST_SERVICES

PAST_SECONDS: Final = 60.0
"""A moment may be over by so much: a request may be late, a clock wrong. What is older was not meant so."""
AHEAD_SECONDS: Final = 10 * 366 * 86_400.0
"""What is further away is a typing mistake, or milliseconds."""
_MOMENT: Final = r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})"
_LATEST: Final = 253_402_300_799
"""The last second of the year 9999."""
_MOMENTS_ALLOWED: Final = "2026-12-01T06:00:00+01:00, with Z or an offset, or seconds since the epoch"


def _moment(value: object, info: ValidationInfo) -> float:
    at = _seconds(value)
    now = (info.context or {}).get("now", at)
    if at < now - PAST_SECONDS:
        raise wrong("is in the past", allowed="a moment to come, or nothing for at once")
    if at > now + AHEAD_SECONDS:
        raise wrong("is further away than ten years", allowed=_MOMENTS_ALLOWED)
    return at


def _seconds(value: object) -> float:
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise wrong("must be a moment", allowed=_MOMENTS_ALLOWED)
    if not 0 <= value <= _LATEST:
        raise wrong("is no moment there could be", allowed=_MOMENTS_ALLOWED)
    return float(value)


def _of_text(value: str) -> float:
    if not re.fullmatch(_MOMENT, value, re.ASCII):
        local = re.fullmatch(_MOMENT + "?", value, re.ASCII)
        # What is local to nobody must not be guessed: an hour too early is a release without its window.
        raise wrong("has no time zone" if local else "must be a moment", allowed=_MOMENTS_ALLOWED)
    try:
        at = datetime.fromisoformat(value.upper()).timestamp()
    except (ValueError, OverflowError):  # the 31st of February
        at = math.nan
    if not 0 <= at <= _LATEST:
        raise wrong("is no moment there could be", allowed=_MOMENTS_ALLOWED)
    return at


def _one_line(value: str) -> str:
    if not all(character.isprintable() for character in value):
        raise wrong("must be one line of text")
    return value


Moment = Annotated[
    float,
    BeforeValidator(_moment),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": _LATEST},
                {"type": "string", "pattern": f"^{_MOMENT}$", "examples": ["2026-12-01T06:00:00+01:00"]},
            ]
        }
    ),
]
"""Wall seconds, or a text that says its time zone."""
Reason = Annotated[str, AfterValidator(_one_line), Field(max_length=NOTE)]
VersionName = Annotated[str, Field(max_length=NAME), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})]
KnownPlan = Annotated[str, AfterValidator(known("plans")), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})]


class StartBody(Body):
    """``to`` is the new version; of a name of several services that in each of them which ``with`` does not name."""

    to: VersionName
    plan: KnownPlan | None = Field(
        None, description="Default: the one of the service; `direct`, everything at once, where it has none."
    )
    at: Moment | None = Field(None, description="The first step is taken no earlier; replaces the plan's.")
    with_: dict[str, VersionName] = Field(
        {},
        alias="with",
        max_length=MOST_SERVICES,
        description="Other services that move as one with it.",
        json_schema_extra={"propertyNames": {"pattern": NAME_PATTERN}},
    )
    note: Note = ""


class ActBody(Body):
    reason: Reason = Field("", description="Kept with the release. A rejection and a skip need one.")


class ApproveBody(ActBody):
    gate: Annotated[str, Field(max_length=NAME)] | None = Field(
        None, description="`start`, or how many steps come before it. Default: the next one that asks anybody."
    )


class VerifyBody(Body):
    """The checks are those before the plan's first step."""

    version: VersionName
    plan: KnownPlan | None = Field(None, description="Default: the one of the service.")
