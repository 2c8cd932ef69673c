"""The OpenAPI 3.1 document, made of the table of operations and their models; nothing in it is written twice.

A schema of 3.1 is JSON Schema 2020-12, which is what pydantic writes. It is tidied: titles go, and what clients get is
open for keys to come, while what they send is not.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gatekeeper import __version__
from gatekeeper.control.api import codes, wire
from gatekeeper.control.api.answers import Problem
from gatekeeper.control.api.base import NAME_PATTERN, Body
from gatekeeper.control.api.operation import Call, Content, Operation
from gatekeeper.control.api.parameters import Parameter

Json = dict[str, Any]

_REF: Final = "#/components/schemas/"
_SECURITY: Final = "token"
_ABOUT: Final = (
    "Every refusal is one problem document (RFC 9457) that lists everything that is wrong. On the admin socket the "
    "kernel says who asks; over TCP a bearer token does, and for browsers the cookie of a session. Each role may what "
    "those before it may: viewer, operator, admin."
)
_PATH: Final = {
    "service": ({"type": "string", "pattern": NAME_PATTERN}, "shop", "The name of a service."),
    "version": ({"type": "string", "pattern": NAME_PATTERN}, "green", "The name of a version."),
    "flag": ({"type": "string", "pattern": r"^[a-z][a-z0-9_.-]{0,63}$"}, "new-checkout", "The name of a flag."),
    "revision": ({"type": "integer", "minimum": 0, "maximum": wire.NUMBER}, 1, "The number of a revision."),
    "release": (
        {"type": "string", "pattern": r"^(last|[1-9]\d{0,17})$"},
        "last",
        "The id of a release; `last`: the one under way, else the newest.",
    ),
    "path": ({"type": "string", "pattern": r"^[a-z][a-z0-9._-]{0,63}$"}, "main.js", "A file of the dashboard."),
}
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag of an answer: the request is granted only while that is the current revision.",
    "schema": {"anyOf": [{"const": "*"}, {"type": "string", "pattern": r'^"\d{1,18}"(, ?"\d{1,18}")*$'}]},
    "example": "*",
}
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The request acts once however often it is sent with this key, within a day; a new key for each new "
    "request.",
    "schema": {"type": "string", "pattern": rf"^[\x21-\x7e]{{1,{wire.KEY}}}$"},
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}
_LAST_EVENT_ID: Final = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The last event that a stream before this one gave; it goes on behind it.",
    "schema": {"type": "string", "pattern": r"^\d{0,18}$"},
}
_IF_NONE_MATCH: Final = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of an answer: 304 where this one would say the same.",
    "schema": {"type": "string"},
}
_VALIDATOR: Final = {
    "description": "Of what was given, for If-None-Match.",
    "schema": {"type": "string", "pattern": r'^W/"[0-9a-f]{32}"$'},
}
_ETAG: Final = {
    "description": "The revision, for If-Match.",
    "schema": {"type": "string", "pattern": r'^"\d+"$'},
}
_REPLAYED: Final = {
    "description": "This is the answer of the first time; nothing was done again.",
    "schema": {"const": "true"},
}
_CHALLENGE: Final = {"description": "What would be let in.", "schema": {"type": "string"}}


class Description:
    """Serves the document. It is made when it is asked for first, and then is the same for ever."""

    def __init__(self, operations: Callable[[], Sequence[Operation]]) -> None:
        self._operations = operations
        self._made: Json | None = None

    async def answer(self, call: Call) -> web.Response:
        del call
        if self._made is None:
            # A tenth of a second of work, for which nobody else is to wait.
            self._made = await asyncio.to_thread(lambda: document(self._operations()))
        return wire.answer(self._made)


def document(operations: Sequence[Operation]) -> Json:
    """The whole description."""
    paths: Json = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gatekeeper admin API",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(operations),
            "securitySchemes": {
                _SECURITY: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of `admin.tokens`. Not needed on the admin socket.",
                }
            },
        },
    }


def _operation(operation: Operation) -> Json:
    described: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [_tag(operation)],
        # With a scheme that is not OAuth the list names roles (OpenAPI 3.1, Security Requirement Object).
        "security": [{_SECURITY: [operation.role.value]}] if operation.role is not None else [],
        "parameters": [*_parameters(operation)],
        "responses": _responses(operation),
    }
    if operation.content is not None:
        described["requestBody"] = _body(operation.content)
    return described


def _tag(operation: Operation) -> str:
    if operation.writes:
        return "change"
    return "look" if operation.path.startswith("/v1/") else "watch"


def _parameters(operation: Operation) -> Iterable[Json]:
    for name, (schema, example, about) in _PATH.items():
        if f"{{{name}}}" in operation.path:
            yield {
                "name": name,
                "in": "path",
                "required": True,
                "description": about,
                "schema": schema,
                "example": example,
            }
    for parameter in operation.query:
        yield _parameter(parameter)
    if operation.writes:
        yield _IF_MATCH
        yield _IDEMPOTENCY_KEY
    if operation.resumes:
        yield _LAST_EVENT_ID
    if operation.revalidates:
        yield _IF_NONE_MATCH


def _parameter(parameter: Parameter) -> Json:
    return {"name": parameter.name, "in": "query", "description": parameter.description, "schema": parameter.schema}


def _body(content: Content) -> Json:
    name = content.model.__name__ if content.model is not None else content.name
    media: Json = {"schema": {"$ref": _REF + name}}
    if content.example is not None:
        media["example"] = content.example
    return {"required": content.needed, "content": dict.fromkeys(content.types, media)}


def _responses(operation: Operation) -> Json:
    found = {"204" if operation.answer is None else "200": _done(operation)}
    if operation.revalidates:
        found["304"] = {"description": "As before.", "headers": {"ETag": {**_VALIDATOR, "required": True}}}
    for status, names in codes.by_status(operation.problems).items():
        found[str(status)] = _refusal(operation, status, names)
    return found


def _done(operation: Operation) -> Json:
    if operation.answer is None:
        return {"description": "Done."}
    if isinstance(operation.answer, str):
        content: Json = {operation.answer: {"schema": {"type": "string"}}}
    else:
        content = {"application/json": {"schema": {"$ref": _REF + operation.answer.__name__}}}
    for other in (*operation.also, *(["text/event-stream"] if operation.streams else [])):
        content[other] = {"schema": {"type": "string"}}
    headers: Json = {}
    if operation.tags:
        headers["ETag"] = {**_ETAG, "required": True}
    if operation.revalidates:
        headers["ETag"] = {**_VALIDATOR, "required": True}
    if operation.writes:
        headers["Idempotency-Replayed"] = _REPLAYED
    return {"description": "Done." if operation.writes else "Here it is.", "headers": headers, "content": content}


def _refusal(operation: Operation, status: int, names: Sequence[str]) -> Json:
    media, model = wire.PROBLEM_TYPE, Problem.__name__
    if operation.refusal is not None:
        media, model = "application/json", operation.refusal.__name__
    described: Json = {
        "description": "; ".join(f"`{name}`: {codes.CODES[name].meaning}" for name in names),
        "content": {media: {"schema": {"$ref": _REF + model}}},
    }
    if status == 401:
        described["headers"] = {"WWW-Authenticate": {**_CHALLENGE, "required": True}}
    if status == 412:
        described["headers"] = {"ETag": {**_ETAG, "required": True}}
    return described


def _schemas(operations: Sequence[Operation]) -> Json:
    models: dict[str, type[BaseModel]] = {Problem.__name__: Problem}
    written: Json = {}
    for operation in operations:
        if operation.answer is not None and not isinstance(operation.answer, str):
            models[operation.answer.__name__] = operation.answer
        if operation.refusal is not None:
            models[operation.refusal.__name__] = operation.refusal
        content = operation.content
        if content is not None and content.model is not None:
            models[content.model.__name__] = content.model
        elif content is not None and content.schema is not None:
            written |= _named(content.name, content.schema())
    _, made = models_json_schema([(model, "validation") for model in models.values()], ref_template=_REF + "{model}")
    sent = {name for name, model in models.items() if issubclass(model, Body)}
    return {
        **{name: _tidy(schema, sent=name in sent) for name, schema in made["$defs"].items()},
        **{name: _tidy(schema, sent=True) for name, schema in written.items()},
    }


def _named(name: str, schema: Json) -> Json:
    """A schema with definitions of its own as several schemas; their names begin with its name."""
    parts = {f"{name}{inner}": part for inner, part in schema.pop("$defs", {}).items()}
    found: Json = _moved({name: schema, **parts}, name)
    return found


def _moved(node: Any, name: str) -> Any:
    if isinstance(node, list):
        return [_moved(item, name) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _REF + name + value.removeprefix("#/$defs/") if key == "$ref" else _moved(value, name)
        for key, value in node.items()
    }


def _tidy(node: Any, *, sent: bool) -> Any:
    """Without what is said of Python: titles, and the markup of docstrings."""
    if isinstance(node, list):
        return [_tidy(item, sent=sent) for item in node]
    if not isinstance(node, dict):
        return node
    tidy: Json = {}
    for key, value in node.items():
        if key == "properties":
            tidy[key] = {name: _tidy(inner, sent=sent) for name, inner in value.items()}
        elif key == "description" and isinstance(value, str):
            tidy[key] = " ".join(value.replace("``", "`").split())
        elif not (key == "title" and isinstance(value, str)) and not (
            key == "additionalProperties" and value is False and not sent
        ):
            tidy[key] = _tidy(value, sent=sent)
    return tidy
