"""``rules``: which requests go elsewhere than the service's split says."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, model_validator

from gatekeeper.config.addresses import COOKIE, HEADER, METHOD, NETWORK
from gatekeeper.config.base import Many, Model, key
from gatekeeper.config.mirrors import Mirror
from gatekeeper.config.problems import WrongValueError
from gatekeeper.config.values import BOOLEAN, NAME, REGEX, WEIGHT, text, wrong
from gatekeeper.core import model

TESTS = ("exact", "prefix", "suffix", "contains", "regex", "present", "one_of")

_Value = Annotated[str, text(0, 4096)]
_Part = Annotated[str, text(1, 4096, what="a text")]
Weights = Annotated[dict[Annotated[str, NAME], Annotated[Decimal, WEIGHT]], Field(min_length=1)]


class Pattern(Model):
    """One test of one value. A text alone is ``exact``; otherwise exactly one of the keys stands here."""

    exact: _Value | None = key(None, "The value is this text.")
    prefix: _Part | None = key(None, "The value begins with this text; a path by whole segments (/v2 is not /v2x).")
    suffix: _Part | None = key(None, "The value ends with this text.")
    contains: _Part | None = key(None, "The value holds this text.")
    regex: Annotated[str, REGEX] | None = key(None, "RE2 finds this in the value; ^ and $ tie it to the ends.")
    present: Annotated[bool, BOOLEAN] | None = key(None, "true: it is there with any value; false: it is not there.")
    one_of: Annotated[tuple[_Value, ...], Many(1)] | None = key(None, "The value is one of these texts.")

    @model_validator(mode="before")
    @classmethod
    def _one_test(cls, value: object) -> object:
        if isinstance(value, str):
            return {"exact": value}
        # An unknown key is reported by its own name; saying also that a known one is missing would be noise.
        if isinstance(value, Mapping) and len(value) != 1 and set(value) <= set(TESTS):
            allowed = f"a text, or exactly one of {', '.join(TESTS)}"
            raise wrong(WrongValueError("takes exactly one test", allowed=allowed))
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        body = handler.resolve_ref_schema(handler(schema))
        mapping = {**body, "minProperties": 1, "maxProperties": 1}
        return {"anyOf": [{"type": ["string", "number", "boolean"]}, mapping]}


Header = Annotated[str, HEADER]


class When(Model):
    """All parts must match. An empty one matches every request."""

    header: dict[Header, Pattern] = key({}, "Header name to pattern; of several values of a header any may match.")
    cookie: dict[Annotated[str, COOKIE], Pattern] = key({}, "Cookie name to pattern.")
    query: dict[Annotated[str, text(1, 256)], Pattern] = key({}, "Query parameter to pattern, percent-decoded.")
    path: Pattern | None = key(None, "The path, without the query.")
    method: Annotated[tuple[Annotated[str, METHOD], ...], Many(1, unique=str)] = key((), "One of these methods.")
    client_ip: Annotated[tuple[Annotated[str, NETWORK], ...], Many(1, unique=str)] = key(
        (), "The client's address is in one of these networks."
    )


class Rule(Model):
    """An ordered matcher; the first rule that matches decides. It has exactly one of ``to`` and ``split``."""

    name: Annotated[str, NAME] | None = key(None, "Shown in logs and explain. Without it: rule-N, N counting from 1.")
    when: When = Field(description="What a request must look like; {} matches every request.")
    to: Annotated[str, NAME] | None = key(None, "The version such requests get.")
    split: Weights | None = key(None, "Weights per version for such requests.")
    mirror: Mirror | None = key(None, "Copies of such requests to another version, in place of the service's mirror.")


def when_value(given: When) -> model.When:
    """The condition as the program has it."""
    return model.When(
        headers=_patterns(given.header),
        cookies=_patterns(given.cookie),
        query=_patterns(given.query),
        path=_pattern(given.path) if given.path else None,
        methods=given.method,
        networks=given.client_ip,
    )


def _patterns(given: dict[str, Pattern]) -> tuple[tuple[str, model.Pattern], ...]:
    return tuple((name, _pattern(pattern)) for name, pattern in given.items())


def _pattern(given: Pattern) -> model.Pattern:
    kind, value = next((name, value) for name, value in given if value is not None)
    if isinstance(value, bool):
        return model.Pattern(model.PatternKind(kind), ("true" if value else "false",))
    return model.Pattern(model.PatternKind(kind), value if isinstance(value, tuple) else (value,))
