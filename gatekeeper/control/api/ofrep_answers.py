"""What goes and comes by OFREP, as models. Names are the protocol's."""

from typing import Annotated, Any, Literal

from pydantic import Field, RootModel

from gatekeeper.control.api.base import Answer


class Evaluation(Answer):
    """What somebody is given of one flag."""

    key: str
    value: Annotated[Any, Field(description="Of the flag's type.")]
    reason: Annotated[
        Literal["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "DEFAULT"],
        Field(description="DEFAULT: it is on, and not for whom its condition leaves out."),
    ]
    variant: str
    metadata: dict[str, str | int | float | bool]


class EvaluationFailure(Answer):
    """Why there is no value; the protocol's form of every refusal under /ofrep."""

    key: Annotated[str, Field(description="The flag; left out where all were asked for.")] = ""
    errorCode: Literal["FLAG_NOT_FOUND", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "PARSE_ERROR", "GENERAL"]  # noqa: N815
    errorDetails: Annotated[str, Field(description="What is wrong, and the way out.")]  # noqa: N815


class OneEvaluation(RootModel[Evaluation | EvaluationFailure]):
    """Of one flag among all: one that cannot be evaluated keeps nothing from the others."""


class Evaluations(Answer):
    flags: Annotated[list[OneEvaluation], Field(description="In the order of names.")]


def request_schema() -> dict[str, Any]:
    """JSON Schema of what is sent. Open: a context may hold whatever an application knows. null is as if left out: some
    clients write what they do not know so.
    """
    text = {"type": ["string", "null"]}
    texts = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
    return {
        "type": "object",
        "properties": {
            "context": {
                "type": ["object", "null"],
                "description": "Who is asked for. Other texts are headers to a flag's conditions.",
                "properties": {
                    "targetingKey": {**text, "description": "The unit, as `sticky.by` finds it."},
                    **dict.fromkeys(("method", "path", "query", "host", "client_ip"), text),
                    "headers": texts,
                    "cookies": texts,
                },
            }
        },
    }
