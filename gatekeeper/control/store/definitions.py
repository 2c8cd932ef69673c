"""Definitions as they are kept and recognised: as text, without what is the default.

What a definition does not say is left out, as in the configuration file. So its text, and the digest by which it is
known, stay the same when a later gatekeeper has more to define: an upgrade must not look like an edited file, since an
edited file takes the place of what was sent or deployed since.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from hashlib import blake2b
from typing import Any

from gatekeeper.core import codec
from gatekeeper.core.model import Definition


def digest(definition: Definition) -> str:
    """Equal for equal definitions, across processes and across versions of this program; hexadecimal."""
    return digest_of(text(definition))


def digest_of(written: str) -> str:
    """Of a text that ``text`` made: 128 bits, so that no two of a history are ever taken for one another."""
    return blake2b(written.encode(), digest_size=16).hexdigest()


def text(value: object) -> str:
    """A definition or a part of it; ``codec.load`` reads it back. The order of mappings is part of it."""
    return json.dumps(_said(value), allow_nan=False, separators=(",", ":"))


def _said(value: object) -> Any:
    """The JSON form of ``value`` without the fields that are as they are by default."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            name: _said(item)
            for name, default in _defaults(type(value))
            if (item := getattr(value, name)) != default or default is MISSING
        }
    if isinstance(value, Mapping):
        return {str(codec.dump(key)): _said(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_said(item) for item in value]
    return codec.dump(value)


@cache  # bounded by the number of types in the model
def _defaults(cls: type) -> tuple[tuple[str, Any], ...]:
    return tuple((each.name, _default(each)) for each in fields(cls))


def _default(each: "Field[Any]") -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()
