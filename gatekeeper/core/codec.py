"""Frozen values to JSON and back, by their type hints alone.

``dump`` turns dataclasses into objects, ``Decimal`` into its text, enums into their values, tuples into arrays.
``load`` is its strict inverse: ``load(type(x), json.loads(json.dumps(dump(x)))) == x``, and the order of every mapping
is kept. What does not fit raises ``CodecError`` with the path of the place; nothing is guessed. A missing field takes
the default of its dataclass, so that a value written before the field existed can still be read; an unknown field is
an error, so that a value written by a newer program is never read by half.

Depth is bounded by the types: no type here refers to itself.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from typing import Any, Final, TypeVar, overload

from gatekeeper.errors import GatekeeperError

T = TypeVar("T")
Loader = Callable[[object, str], Any]


class CodecError(GatekeeperError):
    """Data that does not fit its type. ``path`` names the place (``services.shop.split.weights.blue``)."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path or 'value'}: {message}")
        self.path = path
        self.message = message


def dump(value: object) -> Any:
    """What ``json.dumps`` takes. Raises ``CodecError`` for a type that has no JSON form here."""
    kind: Any = type(value)
    return value if kind in _PLAIN else _dumper(kind)(value)


_PLAIN: Final = frozenset({str, bool, int, float, type(None)})


# Found once per type, as the loaders below: a command dumps a thousand values, and asking each what it is took five
# times as long. The cache is bounded by the number of types in the program.
@cache
def _dumper(kind: type) -> Callable[[Any], Any]:
    if issubclass(kind, Enum):
        return lambda value: value.value
    if issubclass(kind, str | int | float):
        return lambda value: value
    if issubclass(kind, Decimal):
        return str
    if issubclass(kind, Mapping):
        return _dump_mapping
    if issubclass(kind, tuple | list):
        return _dump_sequence
    if dataclasses.is_dataclass(kind):
        names = _field_names(kind)
        return lambda value: {name: dump(getattr(value, name)) for name in names}
    raise CodecError("", f"a {kind.__name__} has no JSON form")


def _dump_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        key if type(key) is str else str(dump(key)): item if type(item) in _PLAIN else dump(item)
        for key, item in value.items()
    }


def _dump_sequence(value: Sequence[Any]) -> list[Any]:
    return [item if type(item) in _PLAIN else dump(item) for item in value]


@overload
def load(cls: type[T], data: object) -> T: ...
@overload
def load(cls: object, data: object) -> Any: ...
def load(cls: object, data: object) -> Any:
    """An instance of ``cls`` (a dataclass, or any type a field may have) from what ``json.loads`` gave.

    Raises ``CodecError`` naming the first place that does not fit.
    """
    return _loader(cls)(data, "")


@cache
def _field_names(cls: type) -> tuple[str, ...]:
    return tuple(item.name for item in dataclasses.fields(cls))


# Loaders are built once per type: a worker decodes a service's state on every change, and looking up type hints costs
# more than the decoding. The cache is bounded by the number of types in the program.
@cache
def _loader(hint: Any) -> Loader:
    if hint is Any:
        return lambda data, _path: data
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _optional_loader(arguments)
    if origin is tuple:
        return _tuple_loader(arguments)
    if origin in (Mapping, dict):
        return _mapping_loader(*arguments)
    if isinstance(hint, type):
        if issubclass(hint, Enum):
            return _enum_loader(hint)
        if hint in _SCALARS:
            return _SCALARS[hint]
        if dataclasses.is_dataclass(hint):
            return _dataclass_loader(hint)
    raise CodecError("", f"no way to load {hint}")


def _found(data: object) -> str:
    text = repr(data)
    # 60 characters tell what it is; stored values may be megabytes long.
    return text if len(text) <= 60 else text[:57] + "..."


def _load_str(data: object, path: str) -> str:
    if not isinstance(data, str):
        raise CodecError(path, f"found {_found(data)}; allowed: a text")
    return data


def _load_bool(data: object, path: str) -> bool:
    if not isinstance(data, bool):
        raise CodecError(path, f"found {_found(data)}; allowed: true or false")
    return data


def _load_int(data: object, path: str) -> int:
    if not isinstance(data, int) or isinstance(data, bool):
        raise CodecError(path, f"found {_found(data)}; allowed: an integer")
    return data


def _load_float(data: object, path: str) -> float:
    if isinstance(data, bool) or not isinstance(data, int | float):
        raise CodecError(path, f"found {_found(data)}; allowed: a number")
    try:
        number = float(data)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise CodecError(path, f"found {_found(data)}; allowed: a finite number")
    return number


def _load_decimal(data: object, path: str) -> Decimal:
    try:
        number = Decimal(data) if isinstance(data, str) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise CodecError(path, f"found {_found(data)}; allowed: a decimal number as text")
    return number


def _load_none(data: object, path: str) -> None:
    if data is not None:
        raise CodecError(path, f"found {_found(data)}; allowed: null")


_SCALARS: dict[type, Loader] = {
    str: _load_str,
    bool: _load_bool,
    int: _load_int,
    float: _load_float,
    Decimal: _load_decimal,
    type(None): _load_none,
}


def _enum_loader(hint: type[Enum]) -> Loader:
    members = {member.value: member for member in hint}

    def load_enum(data: object, path: str) -> Enum:
        # Only texts and integers hash here; a bool would pass for 0 or 1.
        member = members.get(data) if isinstance(data, str | int) and not isinstance(data, bool) else None
        if member is None:
            allowed = ", ".join(str(value) for value in members)
            raise CodecError(path, f"found {_found(data)}; allowed: {allowed}")
        return member

    return load_enum


def _optional_loader(arguments: tuple[Any, ...]) -> Loader:
    inner = [argument for argument in arguments if argument is not type(None)]
    if len(inner) != 1 or len(inner) == len(arguments):
        # Any other union would need a guess which member is meant.
        raise CodecError("", f"no way to load a union of {arguments}")
    load_inner = _loader(inner[0])
    return lambda data, path: None if data is None else load_inner(data, path)


def _tuple_loader(arguments: tuple[Any, ...]) -> Loader:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        load_item = _loader(arguments[0])

        def load_sequence(data: object, path: str) -> tuple[Any, ...]:
            return tuple(load_item(item, f"{path}[{at}]") for at, item in enumerate(_array(data, path)))

        return load_sequence
    loaders = tuple(_loader(argument) for argument in arguments)

    def load_fixed(data: object, path: str) -> tuple[Any, ...]:
        items = _array(data, path)
        if len(items) != len(loaders):
            raise CodecError(path, f"found {len(items)} items; allowed: exactly {len(loaders)}")
        return tuple(
            loader(item, f"{path}[{at}]") for at, (loader, item) in enumerate(zip(loaders, items, strict=True))
        )

    return load_fixed


def _array(data: object, path: str) -> list[Any]:
    if not isinstance(data, list):
        raise CodecError(path, f"found {_found(data)}; allowed: an array")
    return data


def _object(data: object, path: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise CodecError(path, f"found {_found(data)}; allowed: an object")
    return data


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _load_int_key(data: object, path: str) -> int:
    # Keys of JSON objects are texts; only the one that ``dump`` writes is the number. 20 characters hold any 64 bits.
    plausible = isinstance(data, str) and len(data) <= 20 and data.removeprefix("-").isdecimal()
    number = int(str(data)) if plausible else None
    if number is None or str(number) != data:
        raise CodecError(path, f"found the key {_found(data)}; allowed: an integer")
    return number


def _mapping_loader(key_hint: Any, item_hint: Any) -> Loader:
    load_key, load_item = _load_int_key if key_hint is int else _loader(key_hint), _loader(item_hint)

    def load_mapping(data: object, path: str) -> dict[Any, Any]:
        return {
            load_key(key, path): load_item(item, _join(path, str(key))) for key, item in _object(data, path).items()
        }

    return load_mapping


def _dataclass_loader(cls: type) -> Loader:
    hints = typing.get_type_hints(cls)
    loaders = {name: _loader(hints[name]) for name in _field_names(cls)}
    required = {
        item.name
        for item in dataclasses.fields(cls)
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    }

    def load_dataclass(data: object, path: str) -> Any:
        fields = _object(data, path)
        for name in fields:
            if name not in loaders:
                allowed = ", ".join(loaders)
                raise CodecError(_join(path, str(name)), f"unknown field; allowed: {allowed}")
        for name in required:
            if name not in fields:
                raise CodecError(_join(path, name), "missing")
        return cls(**{name: loaders[name](item, _join(path, name)) for name, item in fields.items()})

    return load_dataclass
