"""What all models of the file share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from gatekeeper.config.problems import WrongValueError
from gatekeeper.config.values import JsonSchema, wrong


class Model(BaseModel):
    """A mapping of known keys. Unknown ones are refused; what is read is not changed again."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def key(default: object, description: str, **more: Any) -> Any:
    """A key with its default as it would be written in the file, so that the schema shows what people may write."""
    return Field(default, description=description, **more)


class TextOrMapping(Model):
    """A mapping with one required key that may be written as that key's text alone."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {cls._required(): value} if isinstance(value, str) else value

    @classmethod
    def _required(cls) -> str:
        return next(name for name, field in cls.model_fields.items() if field.is_required())

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        mapping = handler.resolve_ref_schema(handler(schema))
        return {"anyOf": [mapping["properties"][cls._required()], mapping]}


@dataclass(frozen=True, slots=True)
class OrOff:
    """A mapping, or the word ``off``, which is read as None."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        mapping = next(one for one in handler(schema)["anyOf"] if one != {"type": "null"})
        return {"anyOf": [{"enum": ["off"]}, mapping]}

    def _read(self, value: object) -> object:
        if value == "off":
            return None
        if isinstance(value, str):
            near = "off" if value.lower() in {"false", "no", "none", "off"} else ""
            raise wrong(WrongValueError("takes off or a mapping", allowed="off, or a mapping of keys", suggestion=near))
        return value


@dataclass(frozen=True, slots=True)
class Many:
    """A list of ``low`` to ``high`` items.

    Where ``alone``, a list of one may be written as its item, a text; where ``mapping``, as its item, a mapping.
    """

    low: int = 0
    high: int = 1000
    alone: bool = True
    mapping: bool = False
    unique: Callable[[Any], Any] | None = None
    """What no two items may have in common, as a function of an item; None: they may be equal."""
    what: str = "values"
    """What is in the list, for people."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = core_schema.no_info_before_validator_function(self._listed, handler(source))
        return core_schema.no_info_after_validator_function(self._distinct, inner)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        array: JsonSchema = {**handler(schema), "maxItems": self.high}
        if self.low:
            array["minItems"] = self.low
        if self.mapping:
            return {"anyOf": [array, array["items"]]}
        if not self.alone:
            return array
        return {"anyOf": [array, {"type": "string"} if "$ref" in array["items"] else array["items"]]}

    def _listed(self, value: object) -> object:
        if isinstance(value, tuple):  # a default
            return list(value)
        if (isinstance(value, str) and self.alone) or (isinstance(value, dict) and self.mapping):
            return [value]
        if not isinstance(value, list):
            raise wrong(WrongValueError("takes a list", allowed=f"a list of {self.what}"))
        if len(value) < self.low:
            message = "is too short" if value else "is empty"
            raise wrong(WrongValueError(message, allowed=f"a list of at least {self.low}"))
        if len(value) > self.high:
            raise wrong(WrongValueError("is too long", allowed=f"a list of at most {self.high}"))
        return value

    def _distinct(self, values: Any) -> Any:
        seen: dict[Any, int] = {}
        for position, value in enumerate(values if self.unique else ()):
            first = seen.setdefault(self.unique(value) if self.unique else None, position)
            if first != position:
                raise wrong(WrongValueError(f"is the same as item {first + 1} of this list"), at=position)
        return values
