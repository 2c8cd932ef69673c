"""What clients send: one model per endpoint that takes a body.

The configuration of a version is the one exception: it is read by the models of the file, through ``parts.Loader``, so
that a deploy takes what the file takes and says what the file's problems say. Its model here describes it.
"""

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, RootModel, WithJsonSchema, field_validator, model_validator

from gatekeeper.control.api.base import (
    NAME_PATTERN,
    Body,
    ClientAddress,
    KnownVersion,
    Note,
    RevisionNumber,
    Weight,
    Whole,
    wrong,
)
from gatekeeper.control.api.parameters import seconds_of
from gatekeeper.control.api.wire import NAME, NUMBER

PASS_SECONDS: Final = 8 * 3600
"""A pass without a stated lifetime: a working day."""
PASS_SECONDS_MOST: Final = 30 * 24 * 3600
"""A pass cannot be taken back alone, only with its key; a month is long enough to be reminded of it."""
DRAIN_SECONDS: Final = 30
DRAIN_SECONDS_MOST: Final = 24 * 3600
"""Of one drain: a version that must be kept longer for open pages has ``skew``."""
_WEIGHTS: Final = 1_000
"""More than any service has versions; each that is not known is compared with all that are."""
_VERSIONS: Final = 256
"""Names in one list: more than any service has versions."""


_Weights = Annotated[dict[str, Weight], Field(max_length=_WEIGHTS)]


class SplitBody(RootModel[_Weights]):
    """Weights by version. A version that is not named gets 0; the total may be any positive number."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        json_schema_extra={
            "propertyNames": {"pattern": NAME_PATTERN},
            "examples": [{"blue": 90, "green": 10}],
        },
    )


class RollbackBody(Body):
    """Without ``to``: back to the split before the last change."""

    to: RevisionNumber | None = Field(None, description="The revision whose split to return to.")
    note: Note = ""


class ReloadBody(Body):
    reset_split: bool = Field(False, description="Take the file's splits instead of keeping the running ones.")
    note: Note = ""


class ResetTripBody(Body):
    """Without ``versions``: all of the service."""

    versions: list[KnownVersion] = Field([], max_length=_VERSIONS)


class ConfirmBody(Body):
    """Without ``revision``: the only change that waits to be confirmed."""

    revision: RevisionNumber | None = None


class DrainBody(Body):
    seconds: Annotated[Whole, Field(ge=0, le=DRAIN_SECONDS_MOST)] = Field(
        DRAIN_SECONDS, description="What is under way may end in this time; what is left then is cut."
    )


class PruneBody(Body):
    """With both: what is both."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["before"], "properties": {"before": {"type": "integer"}}},
                {"required": ["older_than"], "properties": {"older_than": {"type": "string"}}},
            ]
        },
    )

    before: Annotated[Whole, Field(ge=1, le=NUMBER)] | None = Field(
        None, description="What is older than this revision."
    )
    older_than: Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^[1-9]\d{0,3}d$"})] | None = Field(
        None, description="What is older than this time, such as 90d or 12h."
    )

    @field_validator("older_than")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None and not seconds_of(value):
            raise wrong("must be a duration", allowed="a duration such as 90d or 12h")
        return value

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.before is None and self.older_than is None:
            raise wrong("says nothing of what is to go", allowed="before or older_than")
        return self


class PassBody(Body):
    ttl: Annotated[Whole, Field(ge=1, le=PASS_SECONDS_MOST)] | None = Field(
        None, description=f"Seconds the pass holds; {PASS_SECONDS} if not given."
    )
    versions: Annotated[list[KnownVersion], Field(min_length=1, max_length=_VERSIONS)] = Field(
        description="The versions it opens."
    )


_FIELD_NAME: Final = re.compile(r"[^\r\n\0]+")
_FIELD_VALUE: Final = re.compile(r"[^\r\n\0]*")
_PAIR_SCHEMA: Final = {
    "type": "array",
    "prefixItems": [
        {"type": "string", "pattern": r"^[^\r\n\u0000]+$"},
        {"type": "string", "pattern": r"^[^\r\n\u0000]*$"},
    ],
    "items": False,
    "minItems": 2,
    "maxItems": 2,
}


def _field(pair: list[str]) -> list[str]:
    if len(pair) != 2 or not _FIELD_NAME.fullmatch(pair[0]) or not _FIELD_VALUE.fullmatch(pair[1]):
        raise wrong("must be a name and a value without line ends")
    return pair


def _target(value: str) -> str:
    if not value.startswith("/"):
        raise wrong("must begin with /", allowed="/PATH?QUERY")
    return value


class ExplainBody(Body):
    """A request that nobody sent. What is left out is such that the request reaches ``service``."""

    service: Annotated[str, Field(max_length=NAME)] = ""
    host: Annotated[str, Field(max_length=NAME)] | None = Field(
        None, description="Default: a Host field among the headers, or one of the service's hosts."
    )
    method: Annotated[str, Field(max_length=32)] = "GET"
    path: (
        Annotated[str, AfterValidator(_target), Field(max_length=8192, json_schema_extra={"pattern": "^/"})] | None
    ) = Field(None, description="Path and query. Default: the service's prefix.")
    headers: list[Annotated[list[str], AfterValidator(_field), WithJsonSchema(_PAIR_SCHEMA)]] = Field(
        [], max_length=100, description="Names and values."
    )
    client_ip: ClientAddress = "127.0.0.1"
    secure: bool = Field(False, description="Whether it comes over TLS.")
