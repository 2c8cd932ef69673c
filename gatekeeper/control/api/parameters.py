"""Query parameters: said once, both for reading them and for the OpenAPI document."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from gatekeeper.control.api import wire
from gatekeeper.control.api.wire import ProblemError

_DURATION: Final = re.compile(
    r"(?:(\d{1,9}(?:\.\d{1,9})?)h)?(?:(\d{1,9}(?:\.\d{1,9})?)m)?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?"
)
_UNITS: Final = (3600.0, 60.0, 1.0, 0.001)
DAY: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Parameter:
    """``read`` gives the value of a text, None for a text it cannot be; ``allowed`` says what can."""

    name: str
    description: str
    schema: Mapping[str, Any]
    read: Callable[[str], Any]
    allowed: str
    default: Any = None


def flag(name: str, description: str, *, default: bool = False) -> Parameter:
    # All four words mean something, also in a generated client that knows booleans only.
    schema = {"enum": ["1", "0", "true", "false"], "default": "1" if default else "0"}
    words = {"1": True, "true": True, "0": False, "false": False}
    return Parameter(name, description, schema, words.get, "1 or 0", default)


def number(
    name: str, description: str, *, default: int | None = None, low: int = 0, high: int = wire.NUMBER
) -> Parameter:
    def read(text: str) -> int | None:
        found = wire.whole(text)
        return found if found is not None and low <= found <= high else None

    schema: dict[str, Any] = {"type": "integer", "minimum": low, "maximum": high}
    if default is not None:
        schema["default"] = default
    return Parameter(name, description, schema, read, f"a whole number from {low} to {high}", default)


def duration(
    name: str, description: str, *, low: float, high: float, pattern: str, default: float | None = None
) -> Parameter:
    """Seconds from ``250ms``, ``5s``, ``10m``, ``2h``, ``90d`` or ``1h30m``; ``pattern`` shows plain ones in bounds."""

    def read(text: str) -> float | None:
        seconds = seconds_of(text)
        return seconds if seconds is not None and low <= seconds <= high else None

    schema: dict[str, Any] = {"type": "string", "pattern": pattern}
    if default is not None:
        schema["default"] = written(default)
    return Parameter(
        name,
        description,
        schema,
        read,
        f"a duration from {written(low)} to {written(high)}, such as 30s, 5m or 2h",
        default,
    )


def text(name: str, description: str, *, limit: int = wire.NAME) -> Parameter:
    schema = {"type": "string", "maxLength": limit}
    return Parameter(
        name, description, schema, lambda found: found if len(found) <= limit else None, f"at most {limit} characters"
    )


def seconds_of(text: str) -> float | None:
    """Seconds of a duration, None for a text that is none."""
    if found := re.fullmatch(r"(\d{1,9})d", text):
        return int(found[1]) * DAY
    parts = _DURATION.fullmatch(text)
    if parts is None or not text:
        return None
    return round(sum(float(part) * unit for part, unit in zip(parts.groups(), _UNITS, strict=True) if part), 9)


def written(seconds: float) -> str:
    for unit, length in (("d", DAY), ("h", 3600.0), ("m", 60.0), ("s", 1.0)):
        if seconds >= length and (seconds / length).is_integer():
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds * 1000:g}ms"


DRY_RUN: Final = flag("dry_run", "Show what would change, and change nothing.")
# Whatever is wrong with a note is said by ``wire.note``, which also reads those in bodies.
NOTE: Final = Parameter("note", "One line for the history.", {"type": "string", "maxLength": wire.NOTE}, str, "", "")
CONFIRM_WITHIN: Final = duration(
    "confirm_within",
    "The change undoes itself after this time unless it is confirmed.",
    low=1.0,
    high=7 * DAY,
    pattern=r"^([1-9]\d{0,4}s|[1-9]\d{0,3}m|[1-9]\d?h|[1-7]d)$",
)
OF_A_WRITE: Final = (DRY_RUN, CONFIRM_WITHIN, NOTE)


def read_query(request: web.Request, known: Sequence[Parameter]) -> dict[str, Any]:
    """Every parameter's value, its default where it was not given. Raises ProblemError (400) with every mistake.

    A name that is not known is one, with a did-you-mean: a misspelt ``dry_run`` would not be dry.
    """
    problems: list[dict[str, Any]] = []
    names = [parameter.name for parameter in known]
    for name in dict.fromkeys(request.query):
        if name not in names:
            problems.append(wire.unknown(f"?{name}", name, "parameter", names))
        elif len(request.query.getall(name)) > 1:
            problems.append({"path": f"?{name}", "message": "given more than once", "allowed": "once"})
    values: dict[str, Any] = {}
    for parameter in known:
        found = request.query.get(parameter.name)
        values[parameter.name] = parameter.default if found is None else parameter.read(found)
        if found is not None and values[parameter.name] is None and request.query.getall(parameter.name) == [found]:
            problems.append(
                {
                    "path": f"?{parameter.name}",
                    "message": "cannot be read",
                    "found": wire.shown(found),
                    "allowed": parameter.allowed,
                }
            )
    if problems:
        first = problems[0]
        raise ProblemError(
            400,
            "bad_query",
            f"{first['path']}: {first['message']}",
            allowed=first["allowed"],
            problems=problems,
        )
    return values
