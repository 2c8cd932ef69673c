"""Small pieces of Markdown. What people and programs wrote is shown as they wrote it: it cannot become markup."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|~$&])")
"""What begins markup anywhere in a line. What does at its beginning alone never comes there: we begin each."""


def words(name: str) -> str:
    return name.replace("_", " ")


def moment(at: float | None) -> str:
    """``2026-12-01 06:00:00 UTC``; empty for none, and for one that no calendar has."""
    if at is None:
        return ""
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{at:g} s"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(text(cell) for cell in row)} |" for row in rows]
    if not lines:
        return "None."
    return "\n".join([f"| {' | '.join(map(text, head))} |", f"|{'---|' * len(head)}", *lines])


def text(value: object) -> str:
    """In one line, and nothing in it is markup: neither of Markdown nor of HTML."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def quoted(output: str) -> str:
    """As a block of code, with a fence that is not in it."""
    longest = max((len(run) for run in re.findall(r"`+", output)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{output.rstrip()}\n{fence}"
