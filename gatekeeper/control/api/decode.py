"""From the bytes of a body to a model, or one problem document with everything that is wrong."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from gatekeeper.control.api import wire
from gatekeeper.control.api.wire import Document, ProblemError

M = TypeVar("M", bound=BaseModel)

MOST: Final = 100
"""Problems that are listed; a body may hold a hundred thousand, and nobody reads more."""
_MESSAGES: Final = {
    "missing": "is required and missing",
    "string_type": "must be a text",
    "string_too_long": "must be a text of at most {max_length} characters",
    "string_too_short": "must be a text of at least {min_length} characters",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
"""In our words; whatever else there is keeps pydantic's."""


def decode(model: type[M], body: bytes, context: Mapping[str, Any] | None = None) -> M:
    """The body as ``model``; an empty one is an empty object. ``context`` is for its validators.

    Raises ProblemError: 400 for what is not JSON, 422 with every mistake.
    """
    document = wire.parse_object(body)
    try:
        return model.model_validate(document, context=dict(context or {}))
    except ValidationError as error:
        raise refusal(problems_of(model, error)) from None


def refusal(problems: list[Document]) -> ProblemError:
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ProblemError(422, "invalid_body", f"{first['path']}: {first['message']}{more}", problems=problems)


def problems_of(model: type[BaseModel], error: ValidationError) -> list[Document]:
    """Unknown keys first: they explain what else is missing."""
    found: list[Document] = [dict(one) for one in error.errors(include_url=False)]
    keys = [field.alias or name for name, field in model.model_fields.items()]
    extra = [one for one in found if one["type"] == "extra_forbidden"][:MOST]
    problems = [wire.unknown(path_of(one["loc"]), str(one["loc"][-1]), "key", keys) for one in extra]
    # A misspelt key is one mistake, not also a missing one.
    meant = {problem.get("suggestion") for problem in problems}
    rest = [
        one
        for one in found
        if one["type"] != "extra_forbidden" and not (one["type"] == "missing" and one["loc"][-1] in meant)
    ]
    problems += [_problem(one) for one in rest[: MOST - len(problems)]]
    if len(found) > MOST:
        problems.append({"path": "", "message": f"{len(found) - MOST} more problems are not listed"})
    return problems


def _problem(error: Mapping[str, Any]) -> Document:
    context = error.get("ctx", {})
    message = _MESSAGES.get(error["type"], error["msg"]).format(**context)
    problem = {"path": path_of(error["loc"]), "message": message, "allowed": str(context.get("allowed", ""))}
    if error["type"] != "missing":
        problem["found"] = wire.shown(error["input"])
    if context.get("meant"):
        problem["suggestion"] = context["meant"]
    return problem


def path_of(steps: tuple[int | str, ...]) -> str:
    """``versions[0].name``"""
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
