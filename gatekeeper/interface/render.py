"""What people read: aligned tables, numbers with units, problems one per line.

Everything here turns API documents into text; nothing asks or decides. Texts that came from elsewhere (build names,
reasons, paths) lose their control characters, so that no backend or file can write escape sequences to a terminal.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Table:
    """``right`` names the columns whose cells are numbers."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    right: frozenset[str] = frozenset()


def clean(value: object) -> str:
    """One line of printable text."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(value))


def plain(table: Table) -> str:
    """The table as aligned text without trailing spaces; columns two spaces apart."""
    lines = [[name.upper() for name in table.columns], *([clean(cell) for cell in row] for row in table.rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(table.columns))]
    right = [name in table.right for name in table.columns]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def rich_table(table: Table) -> Any:
    """The same for a terminal. rich is imported only here: it would double the start time of every verb."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in table.columns:
        drawn.add_column(name, justify="right" if name in table.right else "left", overflow="fold")
    for row in table.rows:
        # Text, not str: square brackets in a name are no markup.
        drawn.add_row(*(Text(clean(cell)) for cell in row))
    return drawn


def show(table: Table) -> None:
    """Print for a terminal if standard output is one, else plainly."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(rich_table(table))
    else:
        sys.stdout.write(plain(table) + "\n")


def number(value: object) -> str:
    """A weight or count as short as it can be: 90, 0.5, 2.25."""
    if value is None:
        return NOTHING
    text = str(value)
    return (text.rstrip("0").rstrip(".") or "0") if "." in text and "e" not in text.lower() else text


def percent(fraction: float | None) -> str:
    return NOTHING if fraction is None else f"{fraction * 100:.1f}%"


def rate(per_second: float | None) -> str:
    return NOTHING if per_second is None else f"{per_second:.1f}"


def milliseconds(seconds: float | None) -> str:
    """Three significant digits: 0.42, 12.3, 1250."""
    if seconds is None:
        return NOTHING
    value = seconds * 1000
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


def duration(seconds: float) -> str:
    """The two largest units: ``45s``, ``3m 12s``, ``2h 5m``, ``4d 1h``."""
    whole = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def moment(at: object) -> str:
    """Wall seconds, or an ISO text as it came, in the reader's own time zone."""
    if isinstance(at, bool) or not isinstance(at, int | float):
        return clean(at) if at else NOTHING
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")


def weights(split: Mapping[str, object]) -> str:
    """``blue=90 green=10``: exactly what the verb ``split`` takes."""
    return " ".join(f"{clean(name)}={number(weight)}" for name, weight in split.items()) or NOTHING


def problem_line(problem: Mapping[str, Any]) -> str:
    """``FILE:LINE: PATH: MESSAGE (found X; allowed: Y; did you mean Z?)`` with what is known of it."""
    if text := problem.get("text"):
        return clean(text)
    place = clean(problem.get("file") or "")
    if place and (line := problem.get("line")):
        place += f":{line}"
    line_parts = [place, clean(problem.get("path") or ""), clean(problem.get("message") or "")]
    extra = []
    if (found := problem.get("found")) not in {None, ""}:
        extra.append(f"found {clean(found)}")
    if allowed := problem.get("allowed"):
        extra.append(f"allowed: {clean(listing(allowed))}")
    if suggestion := problem.get("suggestion"):
        extra.append(f"did you mean {clean(suggestion)}?")
    return ": ".join(part for part in line_parts if part) + (f" ({'; '.join(extra)})" if extra else "")


def revision_line(row: Mapping[str, Any]) -> str:
    """``revision 19, ann, split shop: blue=90 green=10 (why)``."""
    splits = [f"{clean(name)}: {weights(split)}" for name, split in (row.get("splits") or {}).items()]
    what = " ".join([clean(row.get("action", "")), "; ".join(splits)]).strip()
    note = f" ({clean(row['note'])})" if row.get("note") else ""
    return f"revision {row.get('revision')}, {clean(row.get('actor', ''))}, {what}{note}"


def listing(value: object) -> str:
    """A list as ``a, b, c``; anything else as it is."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return ", ".join(str(item) for item in value)
    return str(value)
