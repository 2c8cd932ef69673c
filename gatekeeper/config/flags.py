"""``flags`` as pydantic models: features that are released without a deploy.

What may be a flag says ``core.flags.define``, for the file and for commands; ``flag_values`` reads one.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema, model_validator

from gatekeeper.config.analysis import Comparison
from gatekeeper.config.base import Many, Model, key
from gatekeeper.config.matching import When
from gatekeeper.config.moments import MOMENT, ZONE, Moment, read_date
from gatekeeper.config.problems import WrongValueError
from gatekeeper.config.values import ANY_SUBSTITUTION, BOOLEAN, NAME, WEIGHT, Reads, choice, in_range, text, wrong
from gatekeeper.core.flags.define import NAME_ALLOWED, VARIANT_ALLOWED, is_name, is_variant
from gatekeeper.core.flags.model import FlagFails, FlagType

TYPES = tuple(kind.value for kind in FlagType)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s?%?")


def read_flag_name(name: str) -> str:
    """The name of a flag."""
    if not is_name(name):
        near = re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).lstrip("0123456789._-").removesuffix(".version")[:64]
        raise WrongValueError("is not the name of a flag", suggestion=near if is_name(near) else "")
    return name


def _variant(name: str) -> str:
    if not is_variant(name):
        raise WrongValueError("is not the name of a variant")
    return name


def _percent(written: str) -> Decimal:
    found = _PERCENT.fullmatch(written)
    if found is None:
        raise WrongValueError("is not a percentage")
    return in_range(Decimal(found[1]), Decimal(0), Decimal(100))


FLAG_NAME = Reads(read_flag_name, NAME_ALLOWED, {"type": "string", "pattern": r"^[a-z][a-z0-9_.-]{0,63}$"})
VARIANT = Reads(
    _variant, VARIANT_ALLOWED, {"type": ["string", "number"], "pattern": r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"}
)
PART = Reads(
    _percent,
    "a percentage from 0 to 100 with at most 6 decimals, with or without %",
    {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 100},
            {"type": "string", "pattern": rf"^\d+(\.\d+)? ?%?$|{ANY_SUBSTITUTION}"},
        ]
    },
)
DATE = Reads(
    read_date, "a day such as 2027-01-31", {"type": "string", "pattern": rf"^\d{{4}}-\d\d-\d\d$|{ANY_SUBSTITUTION}"}
)

_Variant = Annotated[str, VARIANT]
_Value = Annotated[Any, WithJsonSchema({"type": ["boolean", "string", "number", "object", "array"]})]


class Schedule(Model):
    """When the flag turns itself on and off. At least one of on and off stands here."""

    on: Annotated[Moment, MOMENT] | None = key(None, "Turned on then: 2026-12-01T06:00.")
    off: Annotated[Moment, MOMENT] | None = key(None, "Turned off then.")
    timezone: Annotated[str, ZONE] | None = key(None, "Where these are local.")

    @model_validator(mode="before")
    @classmethod
    def _some_moment(cls, value: object) -> object:
        if isinstance(value, Mapping) and set(value) <= {"timezone"}:
            raise wrong(WrongValueError("says no time", allowed="on, off or both"))
        return value


class Flag(Model):
    """A feature flag. Where it starts is said by on, and percent or split; afterwards the store knows better."""

    type: Annotated[str, choice(*TYPES)] | None = key(
        None, "Type of the values. Default: what the first variant looks like, without variants boolean."
    )
    variants: Annotated[dict[_Variant, _Value], Field(min_length=1)] | None = key(
        None, "Variant name to value, all of one type. Default: on is true, off is false."
    )
    off: _Variant | None = key(
        None, "Variant that is served while it is off. Default: the first that is false, else the one named off."
    )
    on: Annotated[bool, BOOLEAN] = key(False, "Whether it is on at the start.")
    percent: Annotated[Decimal, PART] | None = key(
        None, "Of a boolean flag without variants: part of the units that get true at the start. Default: 100."
    )
    split: Annotated[dict[_Variant, Annotated[Decimal, WEIGHT]], Field(min_length=1)] | None = key(
        None, "Weights at the start. Default: the first variant but that of off has all. Left out: 0."
    )
    when: When = key({}, "For which requests it is on; the others get the variant of off.")
    services: Annotated[tuple[Annotated[str, NAME], ...], Many(0, 1000, unique=str, what="services")] = key(
        [], "Services whose requests it concerns. Default: all, and with follow that one."
    )
    follow: Annotated[str, NAME] | None = key(
        None, "Service whose releases it follows: on with the candidate, off with its rollback."
    )
    schedule: Schedule | None = key(None, "When it turns itself on and off.")
    analysis: Comparison | None = key(
        None, "What the judge is asked while it is on for some and not for all. Default: it is not judged."
    )
    on_fail: Annotated[str, choice(*(each.value for each in FlagFails))] = key(
        "keep", "What becomes of it when it is proven to make things worse."
    )
    owner: Annotated[str, text(0, 200)] = key("", "Who is asked about it.")
    expires: Annotated[str, DATE] | None = key(None, "Day after which status warns that it is still there.")
    description: Annotated[str, text(0, 1000)] = key("", "What it is for.")


Flags = dict[Annotated[str, FLAG_NAME], Flag]
