"""Places in a JSON value: ``$.items[*].id``. Indices of arrays are all ``[*]``, so that one place has one name.

A name that is no plain word is quoted: ``$['two words']``. In a path of the configuration ``.*`` is any name.
"""

import re
from collections.abc import Sequence
from typing import Final

ROOT: Final = "$"
ELEMENT: Final = "[*]"
MOST: Final = 200
"""Characters of a path that is reported; names come from whoever answers, and may be as long as the answer."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
_PART: Final = re.compile(r"\.(?P<plain>[A-Za-z0-9_-]+|\*)|\['(?P<quoted>[^'\]]+)'\]|(?P<element>\[\*\])")
_LAST: Final = re.compile(r"(?:\.[A-Za-z0-9_-]+|\['[^'\[\]]*'\]|\[\*\])\Z")
_INDEX: Final = re.compile(r"\[\d+\]")

Pattern = tuple[str | None, ...]
"""Names from the root on; None is any name."""


class PathError(ValueError):
    """A path of the configuration that cannot be read; the text says what is allowed."""


def text(place: Sequence[str]) -> str:
    """How a place is written. What would end a quoted name or trouble a terminal becomes ``?``; long ones are cut."""
    path = ROOT + "".join([part if part == ELEMENT else _step(part) for part in place])
    return path if len(path) <= MOST else path[: MOST - 3] + "..."


def _step(key: str) -> str:
    if _PLAIN.match(key):
        return f".{key}"
    return "['" + "".join([sign if sign.isprintable() and sign not in "'[]" else "?" for sign in key]) + "']"


def above(path: str) -> str:
    """The path of what holds this place; empty for the root and for a path that was cut."""
    found = _LAST.search(path)
    return "" if found is None else path[: found.start()]


def pattern(written: str) -> Pattern:
    """What ``ignore`` says, e.g. ``$.items[*].id``. Raises PathError."""
    if not written.startswith(ROOT):
        raise PathError(f"{written!r} does not begin with $; write $.name, $.items[*].id or $['two words']")
    at = len(ROOT)
    parts: list[str | None] = []
    while at < len(written):
        found = _PART.match(written, at)
        if found is None:
            index = _INDEX.match(written, at)
            hint = "an index is written [*]" if index else "after $ come .name, ['two words'], .* or [*]"
            raise PathError(f"{written!r} cannot be read from {written[at : at + 20]!r} on: {hint}")
        plain, quoted = found["plain"], found["quoted"]
        parts.append(ELEMENT if found["element"] else None if plain == "*" else plain or quoted)
        at = found.end()
    return tuple(parts)


def covers(patterns: Sequence[Pattern], place: Sequence[str]) -> bool:
    """Whether one of them is this place, or a place above it."""
    return any(
        len(each) <= len(place)
        # ``zip`` ends with the pattern: what is below it belongs to it.
        and all((part is None and found != ELEMENT) or part == found for part, found in zip(each, place, strict=False))
        for each in patterns
    )
