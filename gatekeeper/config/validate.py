"""From tree to models, with pydantic's errors turned into problems with places."""

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from gatekeeper.config.models import File
from gatekeeper.config.problems import closest, listed
from gatekeeper.config.tree import KeyPath, Mapping, Node, Report, Scalar, locate, plain, shown

_KEY = "[key]"
"""How pydantic marks an error in a key of a mapping rather than in its value."""

_SHAPES = {
    "model_type": "takes a mapping",
    "dict_type": "takes a mapping",
    "too_short": "is empty",
}


def validate(root: Mapping, report: Report) -> File | None:
    """The file as models, or None with every mistake in ``report``. What was blamed before is not blamed again."""
    try:
        return File.model_validate(plain(root))
    except ValidationError as error:
        errors: list[dict[str, Any]] = [dict(one) for one in error.errors(include_url=False, include_input=False)]
        misspelt = {_meant(one["loc"]) for one in errors if one["type"] == "extra_forbidden"}
        for one in errors:
            # A misspelt key is one mistake, not also a missing one.
            if one["type"] != "missing" or one["loc"] not in misspelt:
                _report(root, report, one)
        return None


def _meant(loc: KeyPath) -> KeyPath:
    return (*loc[:-1], closest(str(loc[-1]), keys_at(loc[:-1])))


def _report(root: Mapping, report: Report, error: dict[str, Any]) -> None:
    loc: KeyPath = tuple(error["loc"])
    context = error.get("ctx", {})
    about_key = error["type"] == "extra_forbidden"
    if loc and loc[-1] == _KEY:
        loc, about_key = loc[:-1], True
    if context.get("at") is not None:
        loc = (*loc, context["at"])
    spot = locate(root, loc)
    if error["type"] == "missing" and not isinstance(spot.node, Scalar):
        name = str(loc[-1])
        place = spot.key.place if spot.key else spot.node.place
        report.add(place, (*spot.path, name), "is required and missing", allowed=_described(loc))
        return
    blamed: Node = spot.key if about_key and spot.key else spot.node
    if report.blamed(blamed):
        return
    report.blame(blamed)
    found = "(not shown)" if context.get("hidden") and isinstance(blamed, Scalar) else shown(blamed)
    allowed, suggestion = str(context.get("allowed", "")), str(context.get("suggestion", ""))
    if isinstance(blamed, Scalar) and blamed.text != blamed.written:
        suggestion = ""  # it is made from the value, which may be a secret
    message = error["msg"]
    if error["type"] == "extra_forbidden":
        known = keys_at(loc[:-1])
        message, allowed, suggestion = "unknown key", listed(known), closest(str(loc[-1]), known)
    elif error["type"] in _SHAPES:
        message = _SHAPES[error["type"]]
        allowed = listed(keys_at(loc)) or "a mapping of names to values"
        allowed = "at least one entry" if error["type"] == "too_short" else allowed
    report.add(blamed.place, spot.path, message, found=found, allowed=allowed, suggestion=suggestion)


def keys_at(path: KeyPath) -> list[str]:
    """The keys that the mapping at ``path`` may have; empty where it names things freely or is no mapping."""
    kind = _type_at(path)
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return []
    return [field.alias or name for name, field in kind.model_fields.items()]


def _described(path: KeyPath) -> str:
    """The description of the key that ``path`` ends with."""
    kind = _type_at(path[:-1])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if path[-1] == (field.alias or name):
                return (field.description or "").removesuffix(".")
    return ""


def _type_at(path: KeyPath) -> Any:
    kind: Any = File
    for step in path:
        kind = _bare(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            fields = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
            kind = fields.get(str(step))
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif get_origin(kind) is tuple:
            kind = get_args(kind)[0]
        else:
            return None
    return _bare(kind)


def _bare(kind: Any) -> Any:
    """A type without its annotations and without "or None"."""
    while get_origin(kind) in {Annotated, Union, UnionType}:
        kind = next(part for part in get_args(kind) if part is not type(None))
    return kind
