"""Single values as people write them: durations, sizes, percentages, decimals, choices, texts.

A ``Reads`` is put into a model's annotation: it turns the text of a scalar into the value, says what is allowed, and
describes the text to editors. Each reader takes a text and raises ``WrongValueError``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

import re2
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from gatekeeper.config.problems import WrongValueError, closest

JsonSchema = dict[str, Any]
T = TypeVar("T", int, float, Decimal)

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(?=\d)(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SIZES = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SIZE = re.compile(r"(\d{1,15})\s?(B|KiB|MiB|GiB)?")
_LOOSE_SIZE = re.compile(r"(\d{1,15})\s?([kmg])i?b?", re.IGNORECASE)
_PERCENT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s?%?")
_DECIMAL = re.compile(r"\d{1,10}(?:\.\d{1,6})?")
_SHARE = re.compile(r"(\d{1,10}(?:\.\d{1,6})?)\s?%?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# Names come from directories too (LDAP, sssd), so only what cannot stand in /etc/passwd is left out.
_USER = re.compile(r"[!-9;-~]{1,256}|uid:\d{1,10}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

MAX_WEIGHT = Decimal(10) ** 9
MAX_REGEX = 1024
"""Characters: longer ones are lists of names, for which there is ``one_of``."""
ANY_SUBSTITUTION = r"\$\{"
"""The part of a schema's pattern that lets ``${NAME}`` through: an editor cannot know what it stands for."""


@dataclass(frozen=True, slots=True, eq=False)
class Reads:
    """How a scalar is read. ``hidden`` values are never shown, not even as they are written."""

    parse: Callable[[str], Any]
    allowed: str
    schema: JsonSchema
    hidden: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler  # the text alone decides
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        del schema, handler
        if self.schema.get("type") in ("integer", "number", "boolean"):  # a tuple: it may be a list
            return {"anyOf": [dict(self.schema), {"type": "string", "pattern": ANY_SUBSTITUTION}]}
        return dict(self.schema)

    def _validate(self, value: object) -> Any:
        if isinstance(value, int | float):  # a default; what comes from a file is always a text
            value = str(value).lower()
        if not isinstance(value, str):
            raise wrong(WrongValueError("takes a single value", allowed=self.allowed), hidden=self.hidden)
        try:
            return self.parse(value)
        except WrongValueError as error:
            raise wrong(error, allowed=self.allowed, hidden=self.hidden) from None


def wrong(
    error: WrongValueError, *, allowed: str = "", hidden: bool = False, at: int | None = None
) -> PydanticCustomError:
    """The same mistake as pydantic collects them, all at once; ``at`` is the item of a list that is to blame."""
    said = {"message": error.message, "allowed": error.allowed or allowed, "suggestion": error.suggestion}
    return PydanticCustomError("wrong_value", "{message}", {**said, "hidden": hidden, "at": at})


def written(seconds: float) -> str:
    """A duration as it is written in the file: ``0.25`` -> ``250ms``, ``7200`` -> ``2h``."""
    for unit, length in _SECONDS.items():
        if seconds >= length and (seconds / length).is_integer():
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:g}s"


def duration(low: float, high: float) -> Reads:
    """Seconds (float) from ``250ms``, ``5s``, ``10m``, ``2h`` or ``1h30m``; both bounds in seconds, inclusive."""
    allowed = f"a duration from {written(low)} to {written(high)}, such as 250ms, 5s, 10m or 2h"

    def parse(text: str) -> float:
        found = _DURATION.fullmatch(text)
        if text == "0" and low == 0:
            return 0.0
        if found is None or len(text) > 32:
            bare = re.fullmatch(r"\d+(\.\d+)?", text)
            spaced = text.replace(" ", "").lower()
            near = f"{text}s" if bare else spaced if _DURATION.fullmatch(spaced) else ""
            raise WrongValueError("needs a unit" if bare else "is not a duration", suggestion=near)
        seconds = sum(float(part) * _SECONDS[unit] for part, unit in zip(found.groups(), _SECONDS, strict=True) if part)
        return in_range(round(seconds, 9), low, high)

    pattern = rf"^(0|(?=\d)(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s)?(\d+(\.\d+)?ms)?)$|{ANY_SUBSTITUTION}"
    # Zero may stand without a unit, as a number: there is nothing to mistake.
    text: JsonSchema = {"type": "string", "pattern": pattern}
    return Reads(parse, allowed, {"anyOf": [text, {"const": 0}]} if low == 0 else text)


def size(low: int, high: int) -> Reads:
    """Bytes (int) from ``65536``, ``64KiB``, ``1MiB`` or ``2GiB``; bounds inclusive."""
    allowed = f"a size from {_size_text(low)} to {_size_text(high)}: bytes, or a number with KiB, MiB or GiB"

    def parse(text: str) -> int:
        found = _SIZE.fullmatch(text)
        if found is None:
            loose = _LOOSE_SIZE.fullmatch(text)
            near = f"{loose[1]}{loose[2].upper()}iB" if loose else ""
            raise WrongValueError("is not a size", suggestion=near)
        return in_range(int(found[1]) * _SIZES[found[2] or ""], low, high)

    whole: JsonSchema = {"type": "integer", "minimum": low, "maximum": high}
    text: JsonSchema = {"type": "string", "pattern": rf"^\d+ ?(B|KiB|MiB|GiB)?$|{ANY_SUBSTITUTION}"}
    return Reads(parse, allowed, {"anyOf": [whole, text]})


def _size_text(count: int) -> str:
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % _SIZES[unit] == 0:
            return f"{count // _SIZES[unit]}{unit}"
    return str(count)


def in_range(value: T, low: T, high: T) -> T:
    """``value``, or WrongValueError when it lies outside the bounds, which belong to the range."""
    if not low <= value <= high:
        raise WrongValueError("is too small" if value < low else "is too large")
    return value


def whole(low: int, high: int, *words: str) -> Reads:
    """An integer in bounds, inclusive; ``words`` are read as 0, which the bounds then leave out."""
    allowed = " or ".join([*words, f"a whole number from {low} to {high}"])

    def parse(text: str) -> int:
        if text in words:
            return 0
        if not re.fullmatch(r"-?\d{1,18}", text):
            raise WrongValueError("is not a whole number", suggestion=closest(text, words))
        return in_range(int(text), low, high)

    number: JsonSchema = {"type": "integer", "minimum": low, "maximum": high}
    return Reads(parse, allowed, {"anyOf": [number, {"enum": list(words)}]} if words else number)


def read_weight(text: str) -> Decimal:
    """A weight, exactly as its digits say."""
    if not _DECIMAL.fullmatch(text):
        near = text.removesuffix("%").strip()
        raise WrongValueError("is not a weight", suggestion=near if near != text and _DECIMAL.fullmatch(near) else "")
    return in_range(Decimal(text), Decimal(0), MAX_WEIGHT)


WEIGHT = Reads(
    read_weight,
    "a number from 0 to 1000000000 with at most 6 decimals",
    {"type": "number", "minimum": 0, "maximum": int(MAX_WEIGHT)},
)


def percent(low: int, high: int) -> Reads:
    """A fraction (0..1) from a percentage; both bounds are percentages, inclusive."""

    def parse(text: str) -> float:
        found = _PERCENT.fullmatch(text)
        if found is None:
            raise WrongValueError("is not a percentage")
        return in_range(float(found[1]), low, high) / 100

    number: JsonSchema = {"type": "number", "minimum": low, "maximum": high}
    text: JsonSchema = {"type": "string", "pattern": rf"^\d+(\.\d+)? ?%?$|{ANY_SUBSTITUTION}"}
    return Reads(parse, f"a percentage from {low} to {high}, with or without %", {"anyOf": [number, text]})


PERCENT = percent(0, 100)


def read_share(text: str) -> Decimal:
    """Percent of the traffic, exactly as its digits say: above 0, at most 100."""
    found = _SHARE.fullmatch(text)
    if found is None:
        raise WrongValueError("is not a percentage")
    if not Decimal(found[1]):
        raise WrongValueError("is too small")
    return in_range(Decimal(found[1]), Decimal(0), Decimal(100))


SHARE = Reads(
    read_share,
    "a percentage above 0, at most 100, with at most 6 decimals, with or without %",
    {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 100},
            {"type": "string", "pattern": rf"^\d+(\.\d+)? ?%?$|{ANY_SUBSTITUTION}"},
        ]
    },
)


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise WrongValueError("is not true or false")
    return text.lower() == "true"


BOOLEAN = Reads(_boolean, "true or false", {"type": "boolean"})


def read_name(text: str) -> str:
    """The name of a service, version or rule."""
    if not _NAME.fullmatch(text):
        near = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")[:64].rstrip("-")
        raise WrongValueError("is not a name", suggestion=near if _NAME.fullmatch(near) else "")
    return text


NAME = Reads(
    read_name,
    "1 to 64 of letters, digits, '.', '_' and '-', beginning with a letter or digit",
    {"type": ["string", "number"], "pattern": rf"^{_NAME.pattern}$"},
)


def _user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise WrongValueError("is not the name of a user")
    return text


USER = Reads(
    _user,
    "the name of a user of this machine, or uid:NUMBER",
    {"type": ["string", "number"], "pattern": r"^[!-9;-~]{1,256}$|^uid:\d{1,10}$"},
)


def choice(*words: str) -> Reads:
    """One of ``words``."""

    def parse(text: str) -> str:
        if text not in words:
            raise WrongValueError("is not one of the words this key takes", suggestion=closest(text, words))
        return text

    return Reads(parse, ", ".join(words[:-1]) + f" or {words[-1]}", {"enum": list(words)})


_VERSIONS = choice("1.2", "1.3")
# Without quotes these are numbers to an editor.
TLS_VERSION = Reads(_VERSIONS.parse, "1.2 or 1.3", {"enum": ["1.2", "1.3", 1.2, 1.3]})


def read_page_key(text: str) -> str:
    """``dir``, a status, or a class of statuses."""
    if text != "dir" and not re.fullmatch(r"[45](\d\d|xx)", text):
        raise WrongValueError("is no status of an error", suggestion=closest(text, ("dir", "4xx", "5xx")))
    return text


PAGE_KEY = Reads(
    read_page_key,
    "a status from 400 to 599, 4xx, 5xx or dir",
    {"type": ["string", "integer"], "pattern": r"^(dir|[45](\d\d|xx))$"},
)


def text(low: int, high: int, *, hidden: bool = False, what: str = "a text") -> Reads:
    """A text of ``low`` to ``high`` characters, none of them a control character."""
    allowed = f"{what} of {low} to {high} characters on one line"

    def parse(value: str) -> str:
        if len(value) < low:
            raise WrongValueError("is too short")
        if len(value) > high:
            raise WrongValueError("is too long")
        if _CONTROL.search(value):
            raise WrongValueError("holds a control character")
        return value

    # A number without quotes is a text here; editors must not complain about `build: 17`.
    return Reads(parse, allowed, {"type": ["string", "number", "boolean"]}, hidden=hidden)


def _regex(value: str) -> str:
    if len(value) > MAX_REGEX:
        raise WrongValueError("is too long", allowed=f"at most {MAX_REGEX} characters; one_of takes long lists")
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(value, options)
    except re2.error as error:
        said = error.args[0] if error.args else b""
        why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        # The library repeats the pattern after a colon; it may hold what ${...} stands for.
        raise WrongValueError(f"is not a regular expression: {why.partition(':')[0]}") from None
    return value


REGEX = Reads(_regex, "a regular expression in RE2's syntax (no look-around, no back-references)", {"type": "string"})
