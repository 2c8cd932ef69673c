"""What all models of the API share.

Bodies are read by them: strictly, whole, every mistake at once. Answers are only described by them: what leaves is made
by ``views`` and checked against these models by the tests, at no cost while running.
"""

import ipaddress
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from gatekeeper.control.api.wire import NOTE, NUMBER, nearest
from gatekeeper.core.command import MAX_WEIGHT

Example = dict[str, Any]

NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""Of services and versions, as the file allows them."""
DURATION_PATTERN: Final = r"^(?=\d)(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s)?(\d+(\.\d+)?ms)?$"


class Body(BaseModel):
    """What a client sends. An unknown key is a mistake; nothing is turned into another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Answer(BaseModel):
    """What a client gets. Clients should pass over keys they do not know: more may come."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def wrong(message: str, *, allowed: str = "", suggestion: str = "") -> PydanticCustomError:
    """A mistake in one place, to be raised by a validator."""
    return PydanticCustomError(
        "wrong_value", "{message}", {"message": message, "allowed": allowed, "meant": suggestion}
    )


def _number(value: object) -> Decimal:
    # The body's numbers come as int or Decimal, never through a binary fraction.
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise wrong("must be a number")
    return Decimal(value)


def _whole(value: object) -> object:
    # To JSON Schema, and to many who write JSON, 5.0 is an integer.
    if isinstance(value, Decimal) and value == value.to_integral_value() and abs(value) <= NUMBER:
        return int(value)
    return value


def known(what: str) -> Callable[[str, ValidationInfo], str]:
    """A validator: the text is one of the names under ``what`` in the validation's context."""

    def check(value: str, info: ValidationInfo) -> str:
        names = list((info.context or {}).get(what, (value,)))
        if value not in names:
            one = what.removesuffix("s")
            raise wrong(f"unknown {one}", allowed=", ".join(names) or "none", suggestion=nearest(value, names))
        return value

    return check


def _address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise wrong("must be an IP address") from None
    return value


Weight = Annotated[
    Decimal,
    BeforeValidator(_number),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": int(MAX_WEIGHT)}),
]
"""Exactly what its digits say. Bounds and decimals are the command's to check, with everything else about a split."""
Name = Annotated[str, WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})]
KnownVersion = Annotated[
    str, AfterValidator(known("versions")), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})
]
ClientAddress = Annotated[
    str, AfterValidator(_address), WithJsonSchema({"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}], "type": "string"})
]
Note = Annotated[str, Field(max_length=NOTE, description="One line for the history.")]
Whole = Annotated[int, BeforeValidator(_whole)]
RevisionNumber = Annotated[Whole, Field(ge=0, le=NUMBER)]
Duration = Annotated[str, Field(pattern=DURATION_PATTERN)]
Share = Annotated[dict[str, float], Field(description="Weights by version.")]
WallSeconds = Annotated[float, Field(description="Seconds since the epoch.")]


class Changed(Answer):
    revision: int
    at: WallSeconds
